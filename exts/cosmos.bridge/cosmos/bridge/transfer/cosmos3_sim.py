"""NVIDIA's Cosmos3-Nano-Sim-Transfer in this process: causal and streaming, pictures as the simulator makes frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Optional

from cosmos.bridge.errors import ModelError
from cosmos.bridge.fetched import as_model_errors, revision_of
from cosmos.bridge.transfer.base import TransferSpec
from cosmos.bridge.transfer.frames import pick_frames, video_frames
from cosmos.bridge.transfer.pixels import check_pixels
from cosmos.bridge.transfer.published import Painted, PublishedOptions, PublishedTransfer, padded
from cosmos.bridge.types import Clip, ControlKind, ControlSignal, Progress, TransferRequest

if TYPE_CHECKING:
    import torch
    import warp as wp

    from cosmos.models.cosmos3.loading import Loaded3
    from cosmos.models.cosmos3.streaming import SimStream

_NAME = "cosmos3-sim-transfer"
_KINDS = (ControlKind.EDGE, ControlKind.DEPTH, ControlKind.SEG, ControlKind.VIS)
_MULTIPLE = 32
_STEPS = 4
_TRAINED_FRAMES = 201
_CANVASES = ((480, 832), (544, 736), (640, 640), (736, 544), (832, 480))
_CURE = "ask for a smaller size or a shorter window"


@dataclass(frozen=True, kw_only=True, slots=True)
class SimTransferOptions(PublishedOptions):
    """What one run of Sim-Transfer may set besides its requests; ``transfer_options`` in a config."""

    window: Optional[int] = None
    """Pairs of control and picture that are remembered; ``None`` reads it from the checkpoint."""
    sinks: Optional[int] = None
    """Of these, first pairs that are never forgotten; ``None`` reads it from the checkpoint."""

    def __post_init__(self) -> None:
        if self.window is not None and self.window < 1:
            raise ValueError(f"window must be 1 or more, got {self.window}.")
        if self.sinks is not None and self.sinks < 0:
            raise ValueError(f"sinks must be 0 or more, got {self.sinks}.")


class TransferStream:
    """One view that is painted while its frames are made; streams of one model do not know of each other.

    Made by `CosmosSimTransfer.open`.
    """

    def __init__(self, stream: SimStream, kind: ControlKind) -> None:
        self._stream, self._kind = stream, kind
        self._waiting: list[wp.array] = []
        self._shape: tuple[int, ...] = ()

    def push(self, frames: wp.array, progress: Optional[Progress] = None) -> wp.array:
        """Take control frames, and return the pictures that are ready.

        The first frame is painted at once, the others four at a time; what is fewer waits.

        Args:
            frames: Control frames, uint8, shape [n, H, W, 3]; copied.
            progress: Told the steps done of those that this call takes; may raise to stop, which ends the stream.

        Returns:
            Pictures, sRGB, uint8, shape [m, H, W, 3], in order, on the device of ``frames``; the caller owns them.

        Raises:
            ModelError: If frames have another size than those before, or the first do not show the stream's control.
        """
        signal = ControlSignal(kind=self._kind, video=frames)
        if not self._shape:
            check_pixels(signal)
        shape = tuple(frames.shape[1:])
        if self._shape and shape != self._shape:
            raise ModelError(f"The stream paints frames of {list(self._shape)} [H, W, 3], got {list(shape)}.")
        self._shape = shape
        copied = pick_frames(frames, range(frames.shape[0]))
        self._waiting += [copied[index] for index in range(frames.shape[0])]
        ready: list[wp.array] = []
        total = _STEPS * _pieces(len(self._waiting), self._stream.wanted)
        while len(self._waiting) >= self._stream.wanted:
            count = self._stream.wanted
            ready.append(self._paint(self._waiting[:count], count, _counted(progress, _STEPS * len(ready), total)))
            del self._waiting[:count]
        return self._join(ready, frames.device)

    def finish(self, progress: Optional[Progress] = None) -> wp.array:
        """Paint what waits, filled up with its last frame; return only the pictures that were asked for.

        Args:
            progress: As for `push`.

        Raises:
            ModelError: If no frame was ever pushed.
        """
        if not self._shape:
            raise ModelError("The stream got no frame; push one before finish().")
        if not self._waiting:
            return self._join([], None)
        waiting, self._waiting = self._waiting, []
        filled = waiting + [waiting[-1]] * (self._stream.wanted - len(waiting))
        return self._paint(filled, len(waiting), _counted(progress, 0, _STEPS))

    def _paint(self, frames: list[wp.array], kept: int, tell: Callable[[int], None]) -> wp.array:
        import warp as wp

        from cosmos.bridge.kernels.layout import shared_streams, tensor_to_video

        height, width = self._shape[:2]
        video = wp.empty((len(frames), *self._shape), dtype=wp.uint8, device=frames[0].device)
        for place, frame in enumerate(frames):
            wp.copy(video[place], frame)
        with as_model_errors(_NAME, str(video.device), _CURE), shared_streams(video.device, str(self._stream.device)):
            pictures = self._stream.push(video_frames(video, range(len(frames)), _MULTIPLE), tell)
        try:
            return tensor_to_video(pictures[:, :, :kept, :height, :width].to(wp.device_to_torch(video.device)))
        except ValueError as error:
            raise ModelError(f"{_NAME} failed on these frames: {error}") from error

    def _join(self, parts: list[wp.array], device: Any) -> wp.array:
        import warp as wp

        total = sum(part.shape[0] for part in parts)
        joined = wp.empty((total, *self._shape), dtype=wp.uint8, device=device)
        first = 0
        for part in parts:
            wp.copy(joined[first : first + part.shape[0]], part)
            first += part.shape[0]
        return joined


class CosmosSimTransfer(PublishedTransfer[SimTransferOptions, "Loaded3"]):
    """Sim-Transfer behind the protocol of all backends, and as streams; open streams keep weights that are unloaded.

    Args:
        options: What a run may set; ``None`` takes the defaults.
    """

    Options: ClassVar[type[SimTransferOptions]] = SimTransferOptions
    name = _NAME

    def __init__(self, options: Optional[SimTransferOptions] = None) -> None:
        super().__init__(options)
        self._memory = (0, 0)

    @property
    def spec(self) -> TransferSpec:
        """What the model is and can do."""
        return TransferSpec(
            name=_NAME,
            revision=revision_of(_NAME, self._options.weights, ""),
            licence="as its model card says",
            controls=_KINDS,
            size_multiple=1,
            num_steps=_STEPS,
            max_steps=_STEPS,
            weight_maps=False,
            negative_prompt=False,
            guidance=False,
        )

    def open(self, prompt: str, *, control: str | ControlKind, seed: int = 0, fps: float = 30.0) -> TransferStream:
        """Open a stream for one view; any number of them may share the model.

        Args:
            prompt: What the pictures should look like; not empty.
            control: What the frames will show: edge, depth, seg or vis.
            seed: Decides everything random, >= 0.
            fps: Frames a second, > 0.

        Raises:
            ModelError: If an argument is wrong or the model cannot be loaded.
        """
        import torch

        from cosmos.bridge.kernels.layout import shared_streams
        from cosmos.models.cosmos3.causal import CausalTransformer
        from cosmos.models.cosmos3.streaming import SimStream
        from cosmos.models.runtime import plain_attention

        if not prompt.strip() or seed < 0 or not fps > 0.0:
            raise ModelError(f"A stream needs a prompt, a seed >= 0 and fps > 0, got {prompt!r}, {seed}, {fps}.")
        if str(control) not in [str(kind) for kind in _KINDS]:
            raise ModelError(f"{_NAME} does not know the control {control}; it knows {', '.join(map(str, _KINDS))}.")
        loaded = self._ready()
        net = CausalTransformer(loaded.transformer)
        streams = shared_streams(self._device)
        with as_model_errors(_NAME, self._device, _CURE), streams, plain_attention(net.device), torch.inference_mode():
            text = net.read(loaded.tokens(prompt))
        window, sinks = self._memory
        stream = SimStream(net, loaded.vae, text, seed=seed, fps=fps, window=window, sinks=sinks)
        return TransferStream(stream, ControlKind(str(control)))

    def _read(self, folder: Path, device: str, dtype: torch.dtype) -> Loaded3:
        from cosmos.models.cosmos3.loading import load_cosmos3, read_memory

        self._memory = read_memory(folder, self._options.window, self._options.sinks)
        return load_cosmos3(
            folder, device=device, dtype=dtype, fp8=self._options.fp8, cpu_offload=self._options.cpu_offload
        )

    def _cure(self, clip: Clip) -> str:
        return _CURE

    def _paint(self, request: TransferRequest, loaded: Loaded3, progress: Optional[Progress]) -> Painted:
        import warp as wp

        clip, (kind,) = request.clip, request.weights.kinds
        stream = self.open(request.prompt, control=kind, seed=request.seed, fps=clip.fps)
        rgb, video = wp.empty_like(clip.rgb), request.controls[kind].video
        painted, pieces = 0, 1 + -(-(clip.num_frames - 1) // 4)
        for piece in range(pieces):
            first, stop = max(0, 4 * piece - 3), min(4 * piece + 1, clip.num_frames)
            told = _within(progress, _STEPS * piece, _STEPS * pieces)
            pictures = stream.push(pick_frames(video, range(first, stop)), told)
            if not pictures.shape[0]:
                pictures = stream.finish(told)
            wp.copy(rgb[painted : painted + pictures.shape[0]], pictures)
            painted += pictures.shape[0]
        effective = {
            "num_steps": _STEPS,
            "guidance": 1.0,
            "seed": request.seed,
            "size": padded(clip, _MULTIPLE),
            "fps": clip.fps,
            "weights": {kind.value: 1.0},
            "window": self._memory[0],
            "sinks": self._memory[1],
        }
        return Painted(rgb=rgb, effective=effective, notes=_notes(request))

    def _refuse(self, request: TransferRequest) -> None:
        from cosmos.bridge.transfer.registry import able

        kinds = request.weights.kinds
        weights = [request.weights[kind] for kind in kinds]
        if len(kinds) != 1 or not isinstance(weights[0], (int, float)) or weights[0] != 1.0:
            told = [weight if isinstance(weight, (int, float)) else "a map" for weight in weights]
            given = ", ".join(f"{kind}={weight}" for kind, weight in zip(kinds, told, strict=True))
            raise ModelError(
                f"{_NAME} takes exactly one control, at weight 1, got {given}; {' or '.join(able('weights'))} can "
                "weigh several."
            )


def _pieces(frames: int, wanted: int) -> int:
    """Return how many latent frames so many waiting frames make, of which the next takes ``wanted``."""
    return 0 if frames < wanted else 1 + (frames - wanted) // 4


def _counted(progress: Optional[Progress], before: int, total: int) -> Callable[[int], None]:
    """Return what a stream tells the steps of one latent frame, as progress."""

    def tell(done: int) -> None:
        if progress is not None:
            progress("transfer", before + done, total)

    return tell


def _within(progress: Optional[Progress], before: int, total: int) -> Optional[Progress]:
    """Return progress of a part as progress of the whole."""
    if progress is None:
        return None
    return lambda stage, done, _: progress(stage, before + done, total)


def _notes(request: TransferRequest) -> tuple[str, ...]:
    """Say what the user should know."""
    notes, size = [], (request.clip.height, request.clip.width)
    if size not in _CANVASES:
        told = ", ".join(f"{height} x {width}" for height, width in _CANVASES)
        notes.append(f"The model was trained on {told}; this clip is {size[0]} x {size[1]}.")
    if request.clip.num_frames > _TRAINED_FRAMES:
        notes.append(f"The model was trained on {_TRAINED_FRAMES} frames; later ones may drift.")
    return tuple(notes)


__all__ = ["CosmosSimTransfer", "SimTransferOptions", "TransferStream"]
