"""NVIDIA's Cosmos 3 in this process: any number of hints in one sequence, structured prompts, control guidance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Optional

from cosmos.bridge.errors import ModelError
from cosmos.bridge.fetched import revision_of
from cosmos.bridge.transfer.base import TransferSpec
from cosmos.bridge.transfer.chunked import paint_chunks
from cosmos.bridge.transfer.frames import video_frames
from cosmos.bridge.transfer.published import ChunkOptions, Painted, PublishedTransfer, padded
from cosmos.bridge.types import Clip, ControlKind, Progress, TransferRequest

if TYPE_CHECKING:
    import torch

    from cosmos.models.chunks import Chunk
    from cosmos.models.cosmos3.loading import Loaded3
    from cosmos.models.cosmos3.sampling import Cosmos3, Part3, Sampling3

_NAME = "cosmos3"
_KINDS = (ControlKind.EDGE, ControlKind.DEPTH, ControlKind.SEG, ControlKind.VIS, ControlKind.HDMAP)
_ORDER = (ControlKind.EDGE, ControlKind.VIS, ControlKind.DEPTH, ControlKind.SEG, ControlKind.HDMAP)
_MULTIPLE = 32
_MOST_GUIDANCE = 10.0
_TUNED = {
    ControlKind.EDGE: (3.0, 1.5),
    ControlKind.VIS: (3.0, 1.5),
    ControlKind.DEPTH: (3.0, 1.5),
    ControlKind.SEG: (3.0, 2.0),
    ControlKind.HDMAP: (1.0, 3.0),
}
"""Kind -> prompt and control guidance that NVIDIA tuned for this hint alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cosmos3Options(ChunkOptions):
    """What one run of Cosmos 3 may set besides its requests; ``transfer_options`` in a config."""

    chunk_frames: int = 121
    """Frames painted at once, 4k + 1."""
    control_guidance: Optional[float] = None
    """How much more than plainly the controls act, in [0, 10]; 1 is plainly, ``None`` takes what NVIDIA tuned."""
    attention: Literal["joint", "weighted"] = "joint"
    """All controls in one attention, at equal weights; or one attention a control, added by weight."""
    shift: Optional[float] = 10.0
    """Shift of the noise schedule; ``None`` keeps the published schedule."""
    complete_prompts: bool = True
    """Whether duration, rate and size of the clip are added to the prompt."""

    def __post_init__(self) -> None:
        ChunkOptions.__post_init__(self)
        if self.control_guidance is not None and not 0.0 <= self.control_guidance <= _MOST_GUIDANCE:
            raise ValueError(f"control_guidance must lie in [0, {_MOST_GUIDANCE:g}], got {self.control_guidance}.")
        if self.shift is not None and not 0.1 <= self.shift <= 100.0:
            raise ValueError(f"shift must lie in [0.1, 100], got {self.shift}; 10 is as tuned.")


class Cosmos3Transfer(PublishedTransfer[Cosmos3Options, "Loaded3"]):
    """Cosmos 3 behind the protocol of all backends."""

    Options: ClassVar[type[Cosmos3Options]] = Cosmos3Options
    name = _NAME
    most_guidance = _MOST_GUIDANCE

    @property
    def spec(self) -> TransferSpec:
        """What the model is and can do."""
        return TransferSpec(
            name=_NAME,
            revision=revision_of(_NAME, self._options.weights, ""),
            licence="OpenMDW-1.1",
            controls=_KINDS,
            size_multiple=1,
            num_steps=50,
            max_steps=200,
            weight_maps=False,
            negative_prompt=True,
            guidance=True,
            overlap=True,
            most_guidance=self.most_guidance,
        )

    def _read(self, folder: Path, device: str, dtype: torch.dtype) -> Loaded3:
        from cosmos.models.cosmos3.loading import load_cosmos3

        loaded = load_cosmos3(
            folder, device=device, dtype=dtype, fp8=self._options.fp8, cpu_offload=self._options.cpu_offload
        )
        if self._options.vae_tiling:
            loaded.vae.enable_tiling()
        return loaded

    def _cure(self, clip: Clip) -> str:
        size, frames = f"{clip.height} x {clip.width} px", self._options.chunk_frames
        return f"{size} and {frames} frames a chunk are too much; take less"

    def _paint(self, request: TransferRequest, loaded: Loaded3, progress: Optional[Progress]) -> Painted:
        from cosmos.models.cosmos3.sampling import Cosmos3

        kinds = _kinds(request)
        nets = Cosmos3(loaded.transformer, loaded.vae, loaded.scheduler)
        sampling, prompt = self._sampling(request, kinds, loaded)
        rgb, told, notes = paint_chunks(
            self.name,
            request,
            self._options,
            lambda chunks, tell, last: nets.paint(_parts(request, kinds, chunks, nets), sampling, tell, last),
            num_steps=sampling.num_steps,
            progress=progress,
            model=self._identity(loaded),
        )
        return Painted(
            rgb=rgb,
            effective={**self._effective(request, kinds, sampling), "prompt": prompt, **told},
            notes=(*notes, *self._notes(request, kinds)),
        )

    def _refuse(self, request: TransferRequest) -> None:
        kinds = _kinds(request)
        _check_weights(request, kinds, self._options.attention)
        guidance, _ = self._guidance(request, kinds)
        if request.guidance is None and guidance <= 1.0 and request.negative_prompt.strip():
            raise ModelError(f"{_NAME} reads no negative prompt at the tuned guidance {guidance:g}; give a guidance.")

    def _guidance(self, request: TransferRequest, kinds: tuple[ControlKind, ...]) -> tuple[float, float]:
        """Return prompt and control guidance: what was asked, else the strongest tuned for one of the hints."""
        prompt = max(_TUNED[kind][0] for kind in kinds) if request.guidance is None else float(request.guidance)
        given = self._options.control_guidance
        return prompt, max(_TUNED[kind][1] for kind in kinds) if given is None else given

    def _sampling(
        self, request: TransferRequest, kinds: tuple[ControlKind, ...], loaded: Loaded3
    ) -> tuple[Sampling3, str]:
        """Return how to sample, and the prompt as read."""
        from cosmos.models.cosmos3.prompt import complete_prompt
        from cosmos.models.cosmos3.sampling import Sampling3
        from cosmos.models.noise import PartNoise

        clip, prompt = request.clip, request.prompt
        if self._options.complete_prompts:
            prompt = complete_prompt(
                prompt, num_frames=clip.num_frames, fps=clip.fps, height=clip.height, width=clip.width
            )
        guidance, control_guidance = self._guidance(request, kinds)
        sampling = Sampling3(
            ids=loaded.tokens(prompt),
            negative_ids=loaded.tokens(request.negative_prompt),
            num_steps=request.num_steps or self.spec.num_steps,
            guidance=guidance,
            control_guidance=control_guidance,
            fps=clip.fps,
            noise=PartNoise(request.seed),
            shift=self._options.shift,
            weights=_shares(request, kinds) if self._options.attention == "weighted" else (),
        )
        return sampling, prompt

    def _effective(
        self, request: TransferRequest, kinds: tuple[ControlKind, ...], sampling: Sampling3
    ) -> dict[str, Any]:
        """Return the settings as used."""
        options, clip = self._options, request.clip
        shares = sampling.weights or [1.0 / len(kinds)] * len(kinds)
        return {
            "num_steps": sampling.num_steps,
            "guidance": sampling.guidance,
            "control_guidance": sampling.control_guidance,
            "attention": options.attention,
            "weights": {kind.value: round(share, 4) for kind, share in zip(kinds, shares, strict=True)},
            "shift": options.shift,
            "seed": request.seed,
            "size": padded(clip, _MULTIPLE),
            "fps": clip.fps,
        }

    def _notes(self, request: TransferRequest, kinds: tuple[ControlKind, ...]) -> tuple[str, ...]:
        """Say what the user should know."""
        notes = []
        if len(kinds) > 1 and (request.guidance is None or self._options.control_guidance is None):
            prompt, control = self._guidance(request, kinds)
            notes.append(
                f"NVIDIA tuned guidance for one hint at a time; for {len(kinds)} hints the strongest of theirs is "
                f"taken: {prompt:g} for the prompt, {control:g} for the controls."
            )
        if ControlKind.HDMAP in kinds:
            notes.append("hdmap stands for the hint wsm; its colours are ours, not those that NVIDIA trained on.")
        return tuple(notes)


def _kinds(request: TransferRequest) -> tuple[ControlKind, ...]:
    """Return the controls in the model's order."""
    return tuple(kind for kind in _ORDER if kind in request.weights.kinds)


def _check_weights(request: TransferRequest, kinds: tuple[ControlKind, ...], attention: str) -> None:
    """Refuse weights that would not act."""
    weights = [request.weights[kind] for kind in kinds]
    if not all(isinstance(weight, (int, float)) for weight in weights):
        raise ModelError(f"{_NAME} takes numbers as weights, not maps; cosmos-transfer2.5 takes maps.")
    given = ", ".join(f"{kind}={weight}" for kind, weight in zip(kinds, weights, strict=True))
    if len(kinds) == 1 and weights[0] != 1.0:
        raise ModelError(
            f"{_NAME} cannot weigh a single control, got {given}; give 1, or control_guidance below 1; "
            "cosmos-transfer2.5 can weigh one."
        )
    if attention == "joint" and len({float(weight) for weight in weights}) > 1:
        raise ModelError(
            f"{_NAME} takes equal weights in one attention, got {given}; set transfer_options.attention to 'weighted'."
        )


def _shares(request: TransferRequest, kinds: tuple[ControlKind, ...]) -> list[float]:
    """Return the weights divided by their sum, as the model wants them."""
    weights = [float(request.weights[kind]) for kind in kinds]
    return [weight / sum(weights) for weight in weights]


def _parts(
    request: TransferRequest, kinds: tuple[ControlKind, ...], chunks: tuple[Chunk, ...], nets: Cosmos3
) -> Iterator[Part3]:
    """Bring the chunks of a request to the nets' tensors, one at a time."""
    from cosmos.models.cosmos3.sampling import Part3

    for chunk in chunks:
        videos = (video_frames(request.controls[kind].video, chunk.sources, _MULTIPLE) for kind in kinds)
        yield Part3(chunk=chunk, controls=tuple(video.to(device=nets.device, dtype=nets.dtype) for video in videos))


__all__ = ["Cosmos3Options", "Cosmos3Transfer"]
