"""NVIDIA's Cosmos3-Nano-Sim-Transfer in this process: causal and streaming, pictures as the simulator makes frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Optional

from cosmos.bridge.errors import ModelError
from cosmos.bridge.fetched import as_model_errors, revision_of
from cosmos.bridge.transfer.base import TransferSpec
from cosmos.bridge.transfer.cosmos3_stream import CURE, MULTIPLE, NAME, STEPS, TransferStream
from cosmos.bridge.transfer.frames import pick_frames
from cosmos.bridge.transfer.kept import KeptLatents, key_of
from cosmos.bridge.transfer.published import Painted, PublishedOptions, PublishedTransfer, padded
from cosmos.bridge.transfer.watch import GuardChoice, Watch
from cosmos.bridge.types import Clip, ControlKind, Progress, TransferRequest

if TYPE_CHECKING:
    import torch

    from cosmos.models.cosmos3.export import Export
    from cosmos.models.cosmos3.loading import Loaded3
    from cosmos.models.cosmos3.streaming import SimStream

_HINTS = {
    ControlKind.EDGE: "edge",
    ControlKind.DEPTH: "depth",
    ControlKind.SEG: "seg",
    ControlKind.VIS: "blur",
}
"""Kind -> NVIDIA's name."""
_TRAINED_FRAMES = 201
"""Frames of the clips that framewise exports were trained on."""
_TRAINED_CHUNKWISE = 601
"""Frames of those that chunkwise exports were trained on."""
_CANVASES = ((480, 832), (544, 736), (640, 640), (736, 544), (832, 480))


@dataclass(frozen=True, kw_only=True, slots=True)
class SimTransferOptions(PublishedOptions):
    """What one run of Sim-Transfer may set besides its requests; ``transfer_options`` in a config."""

    window: Optional[int] = None
    """Latent frames, of four pictures each, that one sees at most, itself among them; ``None`` reads it from the
    checkpoint."""
    sinks: Optional[int] = None
    """Of these, first ones that are never forgotten; ``None`` reads it from the checkpoint."""
    complete_prompts: bool = True
    """Whether duration, rate and size are added to the prompt, as the model was trained to read them."""
    name_control: Optional[bool] = None
    """Whether the prompt ends with the sentence that names the control; ``None`` reads it from the checkpoint."""

    def __post_init__(self) -> None:
        if self.window is not None and self.window < 1:
            raise ValueError(f"window must be 1 or more, got {self.window}.")
        if self.sinks is not None and self.sinks < 0:
            raise ValueError(f"sinks must be 0 or more, got {self.sinks}.")


class CosmosSimTransfer(PublishedTransfer[SimTransferOptions, "Loaded3"]):
    """Sim-Transfer behind the protocol of all backends, and as streams; open streams keep weights that are unloaded.

    Args:
        options: What a run may set; ``None`` takes the defaults.
    """

    Options: ClassVar[type[SimTransferOptions]] = SimTransferOptions
    name = NAME

    def __init__(self, options: Optional[SimTransferOptions] = None) -> None:
        super().__init__(options)
        self._export: Optional[Export] = None

    @property
    def spec(self) -> TransferSpec:
        """What the model is and can do."""
        return TransferSpec(
            name=NAME,
            revision=revision_of(NAME, self._options.weights, ""),
            licence="as its model card says",
            controls=tuple(_HINTS),
            size_multiple=1,
            num_steps=STEPS,
            max_steps=STEPS,
            weight_maps=False,
            negative_prompt=False,
            guidance=False,
        )

    def open(
        self,
        prompt: str,
        *,
        control: str | ControlKind,
        seed: int = 0,
        fps: float = 30.0,
        num_frames: int = _TRAINED_FRAMES,
        guard: GuardChoice = None,
    ) -> TransferStream:
        """Open a stream for one view; any number of them may share the model.

        Args:
            prompt: What the pictures should look like; not empty.
            control: What the frames will show: edge, depth, seg or vis.
            seed: Decides everything random, >= 0.
            fps: Frames a second, > 0.
            num_frames: Frames that are to come, >= 1, of which only the prompt tells the model; more or fewer may.
            guard: Guard that screens the prompt now and the pictures as they come, or its name; ``None`` takes what
                the licence asks for, as a run does.

        Raises:
            ModelError: If an argument is wrong, or model or guard cannot be loaded.
            GuardRefusal: If the guard refuses the prompt.
        """
        if not prompt.strip() or seed < 0 or not 0.0 < fps < float("inf") or num_frames < 1:
            raise ModelError(
                "A stream needs a prompt, a seed >= 0, fps > 0 and a frame or more, got "
                f"{prompt!r}, {seed}, {fps} and {num_frames}."
            )
        if str(control) not in [str(kind) for kind in _HINTS]:
            raise ModelError(f"{NAME} does not know the control {control}; it knows {', '.join(map(str, _HINTS))}.")
        watch = Watch(self.spec, guard, prompt)
        kind = ControlKind(str(control))
        self._check_kind(kind)
        return TransferStream(
            self._beginning(prompt, kind, seed, fps, num_frames), kind, self._ready_export().chunk, watch=watch
        )

    def _beginning(
        self, prompt: str, kind: ControlKind, seed: int, fps: float, num_frames: int
    ) -> Callable[[int, int], SimStream]:
        """Return what begins a stream once the size of its frames is known."""
        loaded, export = self._ready(), self._ready_export()

        def begin(height: int, width: int) -> SimStream:
            import torch

            from cosmos.bridge.kernels.layout import shared_streams
            from cosmos.models.cosmos3.causal import CausalTransformer
            from cosmos.models.cosmos3.streaming import SimStream
            from cosmos.models.runtime import plain_attention

            net = CausalTransformer(loaded.transformer)
            device = str(net.device)
            text = self._text(prompt, kind, fps=fps, num_frames=num_frames, size=(height, width))
            streams = shared_streams(device)
            with as_model_errors(NAME, device, CURE), streams, plain_attention(net.device), torch.inference_mode():
                read = net.read(loaded.tokens(text))
            return SimStream(
                net, loaded.vae, read, seed=seed, fps=fps, window=export.window, sinks=export.sinks, chunk=export.chunk
            )

        return begin

    def _text(self, prompt: str, kind: ControlKind, *, fps: float, num_frames: int, size: tuple[int, int]) -> str:
        """Return the prompt as the model reads it."""
        from cosmos.models.cosmos3.prompt import complete_prompt, name_control

        if self._options.complete_prompts:
            height, width = size
            prompt = complete_prompt(prompt, num_frames=num_frames, fps=fps, height=height, width=width)
        named = self._options.name_control
        named = self._ready_export().names_control if named is None else named
        return name_control(prompt, _HINTS[kind]) if named else prompt

    def _read(self, folder: Path, device: str, dtype: torch.dtype) -> Loaded3:
        from cosmos.models.cosmos3.export import read_export
        from cosmos.models.cosmos3.loading import load_cosmos3

        self._export = read_export(folder, window=self._options.window, sinks=self._options.sinks)
        return load_cosmos3(
            folder, device=device, dtype=dtype, fp8=self._options.fp8, cpu_offload=self._options.cpu_offload
        )

    def _ready_export(self) -> Export:
        """Return how the loaded checkpoint streams."""
        self._ready()
        if self._export is None:  # _ready returns with a checkpoint or raises
            raise ModelError(f"{NAME} has no weights loaded; call load().")
        return self._export

    def _check_kind(self, kind: ControlKind) -> None:
        """Refuse a control that this checkpoint was not trained on."""
        hints = self._ready_export().hints
        if _HINTS[kind] not in hints:
            known = ", ".join(kind for kind, hint in _HINTS.items() if hint in hints)
            raise ModelError(f"This checkpoint of {NAME} was not trained on {kind}; it knows {known}.")

    def _cure(self, clip: Clip) -> str:
        return CURE

    def _paint(self, request: TransferRequest, loaded: Loaded3, progress: Optional[Progress]) -> Painted:
        import warp as wp

        from cosmos.models.places import chunk_folder

        clip, (kind,), export = request.clip, request.weights.kinds, self._ready_export()
        self._check_kind(kind)
        kept, pieces = None, _pieces(clip.num_frames, export.chunk)
        if self._options.keep_chunks and len(pieces) > 1:
            settings = {**asdict(self._options), **self._identity(loaded), **asdict(export), "weights": ""}
            kept = KeptLatents(chunk_folder(NAME), key_of(request, settings))
        begin = self._beginning(request.prompt, kind, request.seed, clip.fps, clip.num_frames)
        stream = TransferStream(begin, kind, export.chunk, kept=kept)
        rgb, video = wp.empty_like(clip.rgb), request.controls[kind].video
        painted = 0
        for number, frames in enumerate(pieces):
            told = _within(progress, STEPS * number, STEPS * len(pieces))
            pictures = stream.push(pick_frames(video, frames), told)
            if not pictures.shape[0]:
                pictures = stream.finish(told)
            wp.copy(rgb[painted : painted + pictures.shape[0]], pictures)
            painted += pictures.shape[0]
        notes = _notes(request, _TRAINED_FRAMES if export.chunk == 1 else _TRAINED_CHUNKWISE)
        if kept is not None:
            kept.drop()
            notes = (*kept.notes(kept.done, len(pieces), "pieces"), *notes)
        size = (clip.height, clip.width)
        effective = {
            "num_steps": STEPS,
            "guidance": 1.0,
            "seed": request.seed,
            "size": padded(clip, MULTIPLE),
            "fps": clip.fps,
            "weights": {kind.value: 1.0},
            "chunk": export.chunk,
            "window": export.window,
            "sinks": export.sinks,
            "prompt": self._text(request.prompt, kind, fps=clip.fps, num_frames=clip.num_frames, size=size),
        }
        return Painted(rgb=rgb, effective=effective, notes=notes)

    def _refuse(self, request: TransferRequest) -> None:
        from cosmos.bridge.transfer.registry import able

        kinds = request.weights.kinds
        weights = [request.weights[kind] for kind in kinds]
        if len(kinds) != 1 or not isinstance(weights[0], (int, float)) or weights[0] != 1.0:
            told = [weight if isinstance(weight, (int, float)) else "a map" for weight in weights]
            given = ", ".join(f"{kind}={weight}" for kind, weight in zip(kinds, told, strict=True))
            raise ModelError(
                f"{NAME} takes exactly one control, at weight 1, got {given}; {' or '.join(able('weights'))} can "
                "weigh several."
            )


def _pieces(num_frames: int, chunk: int) -> list[range]:
    """Return the frames of a clip that are painted together: the first alone, then four for each latent frame."""
    rest = range(1, num_frames, 4 * chunk)
    return [range(1), *(range(first, min(first + 4 * chunk, num_frames)) for first in rest)]


def _within(progress: Optional[Progress], before: int, total: int) -> Optional[Progress]:
    """Return progress of a part as progress of the whole."""
    if progress is None:
        return None
    return lambda stage, done, _: progress(stage, before + done, total)


def _notes(request: TransferRequest, trained_frames: int) -> tuple[str, ...]:
    """Say what the user should know."""
    notes, size = [], (request.clip.height, request.clip.width)
    if size not in _CANVASES:
        told = ", ".join(f"{height} x {width}" for height, width in _CANVASES)
        notes.append(f"The model was trained on {told}; this clip is {size[0]} x {size[1]}.")
    if request.clip.num_frames > trained_frames:
        notes.append(f"The model was trained on {trained_frames} frames; later ones may drift.")
    return tuple(notes)


__all__ = ["CosmosSimTransfer", "SimTransferOptions"]
