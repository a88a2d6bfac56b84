"""NVIDIA's Cosmos 3 in this process: any number of hints in one sequence, structured prompts, control guidance."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Optional

from cosmos.bridge.errors import ModelError
from cosmos.bridge.transfer.base import TransferSpec
from cosmos.bridge.transfer.chunked import count_steps, join_chunks
from cosmos.bridge.transfer.fetched import (
    as_model_errors,
    dtype_text,
    find_checkpoint,
    pick_device,
    pick_dtype,
    revision_of,
)
from cosmos.bridge.transfer.footprint import peak_bytes, settings_of, versions
from cosmos.bridge.transfer.frames import video_frames
from cosmos.bridge.transfer.pixels import check_pixels
from cosmos.bridge.types import ControlKind, Progress, Provenance, TransferRequest, TransferResult

if TYPE_CHECKING:
    from cosmos.models.chunks import Chunk
    from cosmos.models.cosmos3.loading import Loaded3
    from cosmos.models.cosmos3.sampling import Part3, Sampling3

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
class Cosmos3Options:
    """What one run of Cosmos 3 may set besides its requests; ``transfer_options`` in a config."""

    weights: Optional[str] = None
    """Folder of the checkpoint: ``transformer``, ``vae``, ``text_tokenizer``; ``None`` takes the fetched one."""
    control_guidance: Optional[float] = None
    """How much more than plainly the controls act, in [0, 10]; 1 is plainly, ``None`` takes what NVIDIA tuned."""
    attention: Literal["joint", "weighted"] = "joint"
    """All controls in one attention, at equal weights; or one attention a control, added by weight."""
    shift: Optional[float] = 10.0
    """Shift of the noise schedule; ``None`` keeps the published schedule."""
    chunk_frames: int = 121
    """Frames painted at once, 4k + 1."""
    overlap: int = 1
    """Frames that a chunk shares with the one before, and is begun with."""
    complete_prompts: bool = True
    """Whether duration, rate and size of the clip are added to the prompt."""
    dtype: Optional[Literal["float32", "bfloat16"]] = None
    """Type to compute in; ``None`` takes bfloat16 on CUDA and float32 on the CPU."""
    fp8: bool = False
    """Whether the large linear layers are stored in 8 bits, but for queries and keys: about half the memory."""
    vae_tiling: bool = False
    """Whether pictures are encoded and decoded in tiles: less memory, faint seams."""

    def __post_init__(self) -> None:
        if self.chunk_frames < 5 or self.chunk_frames % 4 != 1:
            raise ValueError(f"chunk_frames must be 4k + 1 and at least 5, got {self.chunk_frames}; 121 is as tuned.")
        if not 1 <= self.overlap < self.chunk_frames:
            raise ValueError(f"overlap must lie in [1, {self.chunk_frames - 1}], got {self.overlap}.")
        if self.control_guidance is not None and not 0.0 <= self.control_guidance <= _MOST_GUIDANCE:
            raise ValueError(f"control_guidance must lie in [0, {_MOST_GUIDANCE:g}], got {self.control_guidance}.")
        if self.shift is not None and not 0.1 <= self.shift <= 100.0:
            raise ValueError(f"shift must lie in [0.1, 100], got {self.shift}; 10 is as tuned.")


class Cosmos3Transfer:
    """Cosmos 3 behind the protocol of all backends.

    Args:
        options: What a run may set; ``None`` takes the defaults.
    """

    Options: ClassVar[type[Cosmos3Options]] = Cosmos3Options

    def __init__(self, options: Optional[Cosmos3Options] = None) -> None:
        self._options = options or Cosmos3Options()
        self._loaded: Optional[Loaded3] = None
        self._device = ""

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
        )

    def load(self, device: Optional[str] = None) -> None:
        """Bring the weights onto a device; ``None`` picks CUDA where there is one. A second call does nothing.

        Raises:
            ModelNotInstalledError: If diffusers or transformers is missing.
            ModelWeightsError: If the weights are missing or damaged.
            ModelMemoryError: If they do not fit the device.
            ModelError: If there is no such device.
        """
        from cosmos.models.cosmos3.loading import load_cosmos3

        wanted = pick_device(_NAME, device)
        if self._loaded is not None and wanted == self._device:
            return
        self.unload()
        folder = find_checkpoint(_NAME, self._options.weights, "transformer")
        with as_model_errors(_NAME, wanted, "take a larger device"):
            dtype = pick_dtype(self._options.dtype, wanted)
            self._loaded = load_cosmos3(folder, device=wanted, dtype=dtype, fp8=self._options.fp8)
            if self._options.vae_tiling:
                self._loaded.vae.enable_tiling()
        self._device = wanted

    def transfer(self, request: TransferRequest, progress: Optional[Progress] = None) -> TransferResult:
        """Make the request's clip photoreal, frame for frame.

        Raises:
            ModelError: If the request asks for what this model cannot do; the sentence names the option.
            ModelMemoryError: If a chunk does not fit the device.
        """
        kinds = self._check(request)
        self.load(self._device or None)
        loaded = self._loaded
        if loaded is None:  # load returns with a model or raises
            raise ModelError(f"{_NAME} has no weights loaded; call load().")
        from cosmos.models.chunks import plan_chunks
        from cosmos.models.cosmos3.sampling import Cosmos3

        start, clip = time.perf_counter(), request.clip
        nets = Cosmos3(loaded.transformer, loaded.vae, loaded.scheduler)
        sampling, prompt = self._sampling(request, kinds, loaded)
        chunks = plan_chunks(clip.num_frames, chunk=self._options.chunk_frames, overlap=self._options.overlap)
        cure = (
            f"{clip.height} x {clip.width} px and {self._options.chunk_frames} frames a chunk are too much; take less"
        )
        with as_model_errors(_NAME, self._device, cure):
            tell = count_steps(progress, len(chunks), sampling.num_steps)
            painted = nets.paint(_parts(request, kinds, chunks), sampling, tell)
            rgb, seams = join_chunks(_NAME, clip, chunks, painted)
        provenance = Provenance(
            model=_NAME,
            revision=self.spec.revision,
            weights_sha256=loaded.sha256,
            licence=self.spec.licence,
            dtype=dtype_text(nets.dtype, fp8=self._options.fp8),
            device=self._device,
            seconds=time.perf_counter() - start,
            peak_bytes=peak_bytes(self._device),
            requested=settings_of(request),
            effective={**self._effective(request, kinds, sampling), "prompt": prompt, "seams": seams},
            versions=versions("torch", "warp", "safetensors", "diffusers", "transformers"),
            notes=self._notes(request, kinds),
        )
        return TransferResult(rgb=rgb, provenance=provenance)

    def unload(self) -> None:
        """Free the weights; safe to call twice."""
        if self._loaded is None:
            return
        was_cuda, self._loaded, self._device = self._device.startswith("cuda"), None, ""
        gc.collect()  # nets of diffusers hold reference cycles
        if was_cuda:
            import torch

            torch.cuda.empty_cache()

    def _check(self, request: TransferRequest) -> tuple[ControlKind, ...]:
        """Refuse what the model cannot do; return the controls in the model's order."""
        kinds = tuple(kind for kind in _ORDER if kind in request.weights.kinds)
        foreign = [kind.value for kind in request.weights.kinds if kind not in _KINDS]
        if foreign:
            known = ", ".join(kind.value for kind in _KINDS)
            raise ModelError(f"{_NAME} does not know the control {' and '.join(foreign)}; it knows {known}.")
        if not kinds:
            raise ModelError(f"{_NAME} needs a control, but all weights are 0; give one, for example depth=1.")
        _check_weights(request, kinds, self._options.attention)
        if request.preserve is not None:
            raise ModelError(f"{_NAME} cannot preserve parts of the source; cosmos-transfer2.5 can.")
        if request.num_steps is not None and request.num_steps > self.spec.max_steps:
            raise ModelError(f"{_NAME} takes at most {self.spec.max_steps} num_steps, got {request.num_steps}.")
        guidance, _ = self._guidance(request, kinds)
        if not 0.0 <= guidance <= _MOST_GUIDANCE:
            raise ModelError(f"{_NAME} takes a guidance in [0, {_MOST_GUIDANCE:g}], got {guidance:g}; 3 is as tuned.")
        if guidance <= 1.0 and request.negative_prompt.strip():
            raise ModelError(f"{_NAME} reads a negative prompt where guidance is above 1; raise it or leave that out.")
        for kind in kinds:
            check_pixels(request.controls[kind])
        return kinds

    def _guidance(self, request: TransferRequest, kinds: tuple[ControlKind, ...]) -> tuple[float, float]:
        """Return prompt and control guidance: what was asked, else the strongest tuned for one of the hints."""
        prompt = max(_TUNED[kind][0] for kind in kinds) if request.guidance is None else float(request.guidance)
        given = self._options.control_guidance
        return prompt, max(_TUNED[kind][1] for kind in kinds) if given is None else given

    def _sampling(
        self, request: TransferRequest, kinds: tuple[ControlKind, ...], loaded: Loaded3
    ) -> tuple[Sampling3, str]:
        """Return how to sample, and the prompt as read."""
        import torch

        from cosmos.models.cosmos3.prompt import complete_prompt
        from cosmos.models.cosmos3.sampling import Sampling3

        clip, prompt = request.clip, request.prompt
        if self._options.complete_prompts:
            prompt = complete_prompt(
                prompt, num_frames=clip.num_frames, fps=clip.fps, height=clip.height, width=clip.width
            )
        guidance, control_guidance = self._guidance(request, kinds)
        generator = torch.Generator("cpu").manual_seed(request.seed % 2**63)
        sampling = Sampling3(
            ids=loaded.tokens(prompt),
            negative_ids=loaded.tokens(request.negative_prompt),
            num_steps=request.num_steps or self.spec.num_steps,
            guidance=guidance,
            control_guidance=control_guidance,
            fps=clip.fps,
            noise=lambda shape: torch.randn(shape, generator=generator),
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
            "size": [-(-clip.height // _MULTIPLE) * _MULTIPLE, -(-clip.width // _MULTIPLE) * _MULTIPLE],
            "fps": clip.fps,
            "chunk_frames": 1 if clip.num_frames == 1 else options.chunk_frames,
            "overlap": options.overlap,
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


def _check_weights(request: TransferRequest, kinds: tuple[ControlKind, ...], attention: str) -> None:
    """Refuse weights that would not act."""
    weights = [request.weights[kind] for kind in kinds]
    if not all(isinstance(weight, (int, float)) for weight in weights):
        raise ModelError(f"{_NAME} takes numbers as weights, not maps; cosmos-transfer2.5 takes maps.")
    given = ", ".join(f"{kind}={weight}" for kind, weight in zip(kinds, weights, strict=True))
    if len(kinds) == 1 and weights[0] != 1.0:
        raise ModelError(f"{_NAME} cannot weigh a single control, got {given}; give 1, or control_guidance below 1.")
    if attention == "joint" and len({float(weight) for weight in weights}) > 1:
        raise ModelError(
            f"{_NAME} takes equal weights in one attention, got {given}; set transfer_options.attention to 'weighted'."
        )


def _shares(request: TransferRequest, kinds: tuple[ControlKind, ...]) -> list[float]:
    """Return the weights divided by their sum, as the model wants them."""
    weights = [float(request.weights[kind]) for kind in kinds]
    return [weight / sum(weights) for weight in weights]


def _parts(request: TransferRequest, kinds: tuple[ControlKind, ...], chunks: tuple[Chunk, ...]) -> Iterator[Part3]:
    """Bring the chunks of a request to tensors, one at a time."""
    from cosmos.models.cosmos3.sampling import Part3

    for chunk in chunks:
        videos = (video_frames(request.controls[kind].video, chunk.sources, _MULTIPLE) for kind in kinds)
        yield Part3(chunk=chunk, controls=tuple(videos))


__all__ = ["Cosmos3Options", "Cosmos3Transfer"]
