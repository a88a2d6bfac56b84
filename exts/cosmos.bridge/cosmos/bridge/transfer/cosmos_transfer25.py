"""NVIDIA's Cosmos-Transfer2.5 in this process: several weighted control branches at once, long clips, kept regions."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
from cosmos.bridge.transfer.frames import capped_numbers, capped_tokens, check_maps, map_frames, video_frames
from cosmos.bridge.transfer.pixels import check_pixels
from cosmos.bridge.types import ControlKind, Progress, Provenance, TransferRequest, TransferResult

if TYPE_CHECKING:
    import warp as wp

    from cosmos.models.chunks import Chunk
    from cosmos.models.transfer25.loading import Loaded25
    from cosmos.models.transfer25.sampling import Part, Sampling
    from cosmos.models.transfer25.text import Embedding

_NAME = "cosmos-transfer2.5"
_KINDS = (ControlKind.EDGE, ControlKind.DEPTH, ControlKind.SEG, ControlKind.VIS)
_MULTIPLE = 16
_LONGEST = 1920
_MOST_GUIDANCE = 7.0
_GUIDANCE = 3.0
_TRAINED_PIXELS = 704 * 1280


@dataclass(frozen=True, kw_only=True, slots=True)
class Transfer25Options:
    """What one run of Transfer2.5 may set besides its requests; ``transfer_options`` in a config."""

    weights: Optional[str] = None
    """Folder of the checkpoint: ``general`` and ``controlnet``; ``None`` takes the fetched one."""
    branches: tuple[Literal["edge", "depth", "seg", "vis"], ...] = ()
    """Control branches to load; empty loads all that are there."""
    schedule: Literal["shift", "karras"] = "shift"
    """Noise schedule: NVIDIA's own, or that of the published diffusers pipeline."""
    chunk_frames: int = 93
    """Frames painted at once, 4k + 1; the model was trained on 93."""
    overlap: int = 1
    """Frames that a chunk shares with the one before, and is conditioned on."""
    preserve_steps: int = 25
    """Steps for which what ``preserve`` covers is held to the source; fewer let it blend in."""
    block_gains: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Kind -> factor on its weight for each control block, from the first layers to the last."""
    dtype: Optional[Literal["float32", "bfloat16"]] = None
    """Type to compute in; ``None`` takes bfloat16 on CUDA and float32 on the CPU."""
    fp8: bool = False
    """Whether the large linear layers are stored in 8 bits, but for queries and keys: about half the memory."""
    vae_tiling: bool = False
    """Whether pictures are encoded and decoded in tiles: less memory, faint seams."""
    cache_embeddings: bool = True
    """Whether prompt embeddings are kept on disk, about 100 MB a prompt."""

    def __post_init__(self) -> None:
        if self.chunk_frames < 5 or self.chunk_frames % 4 != 1:
            raise ValueError(f"chunk_frames must be 4k + 1 and at least 5, got {self.chunk_frames}; 93 is as trained.")
        if not 1 <= self.overlap < self.chunk_frames:
            raise ValueError(f"overlap must lie in [1, {self.chunk_frames - 1}], got {self.overlap}.")
        if self.preserve_steps < 1:
            raise ValueError(f"preserve_steps must be 1 or more, got {self.preserve_steps}.")
        for kind, gains in self.block_gains.items():
            if kind not in [str(known) for known in _KINDS]:
                raise ValueError(f"block_gains knows {', '.join(map(str, _KINDS))}, got {kind!r}.")
            if not all(0.0 <= gain <= 1.0 for gain in gains):
                raise ValueError(f"block_gains.{kind} must lie in [0, 1], got {list(gains)}.")


class CosmosTransfer25:
    """Transfer2.5 behind the protocol of all backends.

    Args:
        options: What a run may set; ``None`` takes the defaults.
    """

    Options: ClassVar[type[Transfer25Options]] = Transfer25Options

    def __init__(self, options: Optional[Transfer25Options] = None) -> None:
        self._options = options or Transfer25Options()
        self._loaded: Optional[Loaded25] = None
        self._device = ""

    @property
    def spec(self) -> TransferSpec:
        """What the model is and can do."""
        return TransferSpec(
            name=_NAME,
            revision=revision_of(_NAME, self._options.weights, "general"),
            licence="NVIDIA Open Model License",
            controls=_KINDS,
            size_multiple=1,
            num_steps=35,
            max_steps=200,
            weight_maps=True,
            negative_prompt=True,
            guidance=True,
            preserve=True,
        )

    def load(self, device: Optional[str] = None) -> None:
        """Bring the weights onto a device; ``None`` picks CUDA where there is one. A second call does nothing.

        Raises:
            ModelNotInstalledError: If diffusers or transformers is missing.
            ModelWeightsError: If the weights are missing or damaged.
            ModelMemoryError: If they do not fit the device.
            ModelError: If there is no such device.
        """
        from cosmos.models.places import embedding_folder
        from cosmos.models.transfer25.loading import load_transfer25

        wanted = pick_device(_NAME, device)
        if self._loaded is not None and wanted == self._device:
            return
        self.unload()
        folder = find_checkpoint(_NAME, self._options.weights, "general")
        with as_model_errors(_NAME, wanted, "load fewer branches"):
            self._loaded = load_transfer25(
                folder,
                device=wanted,
                dtype=pick_dtype(self._options.dtype, wanted),
                cache=embedding_folder(_NAME) if self._options.cache_embeddings else None,
                branches=self._options.branches,
                vae_tiling=self._options.vae_tiling,
                fp8=self._options.fp8,
            )
        self._device = wanted

    def transfer(self, request: TransferRequest, progress: Optional[Progress] = None) -> TransferResult:
        """Make the request's clip photoreal, frame for frame.

        Raises:
            ModelError: If the request asks for what this model cannot do; the sentence names the option.
            ModelMemoryError: If a chunk does not fit the device.
        """
        guidance = self._check(request)
        self.load(self._device or None)
        loaded = self._loaded
        if loaded is None:  # load returns with a model or raises
            raise ModelError(f"{_NAME} has no weights loaded; call load().")
        self._check_branches(request, loaded)
        start = time.perf_counter()
        if self._device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(self._device)
        size = f"{request.clip.height} x {request.clip.width}"
        cure = f"{size} px and {self._options.chunk_frames} frames a chunk are too much; take less, or vae_tiling"
        with as_model_errors(_NAME, self._device, cure):
            negative, embedding, sampling = self._sampling(request, loaded, guidance)
            rgb, seams = self._paint(request, loaded, sampling, progress)
        provenance = Provenance(
            model=_NAME,
            revision=self.spec.revision,
            weights_sha256=loaded.sha256,
            licence=self.spec.licence,
            dtype=dtype_text(loaded.nets.dtype, fp8=self._options.fp8),
            device=self._device,
            seconds=time.perf_counter() - start,
            peak_bytes=peak_bytes(self._device),
            requested=settings_of(request),
            effective={**self._effective(request, sampling), "negative_prompt": negative, "seams": seams},
            versions=versions("torch", "warp", "safetensors", "diffusers", "transformers"),
            notes=_notes(request, embedding),
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

    def _check(self, request: TransferRequest) -> float:
        """Refuse what the model cannot do; return the guidance."""
        foreign = [kind.value for kind in request.weights.kinds if kind not in _KINDS]
        if foreign:
            known = ", ".join(kind.value for kind in _KINDS)
            raise ModelError(f"{_NAME} does not know the control {' and '.join(foreign)}; it knows {known}.")
        if not request.weights.kinds:
            raise ModelError(f"{_NAME} needs a control, but all weights are 0; give one, for example depth=1.")
        if request.num_steps is not None and request.num_steps > self.spec.max_steps:
            raise ModelError(f"{_NAME} takes at most {self.spec.max_steps} num_steps, got {request.num_steps}.")
        longest = max(request.clip.height, request.clip.width)
        if longest > _LONGEST:
            raise ModelError(f"{_NAME} paints at most {_LONGEST} px a side, got {longest}; ask for a smaller size.")
        guidance = _GUIDANCE if request.guidance is None else float(request.guidance)
        if not 0.0 <= guidance <= _MOST_GUIDANCE:
            raise ModelError(f"{_NAME} takes a guidance in [0, {_MOST_GUIDANCE:g}], got {guidance:g}; 3 is as tuned.")
        if guidance == 0.0 and request.negative_prompt.strip():
            raise ModelError(f"{_NAME} reads no negative prompt at guidance 0; raise guidance or leave the prompt out.")
        check_maps(_NAME, request)
        for kind in request.weights.kinds:
            check_pixels(request.controls[kind])
        return guidance

    def _check_branches(self, request: TransferRequest, loaded: Loaded25) -> None:
        absent = [kind.value for kind in request.weights.kinds if kind.value not in loaded.nets.branches]
        if absent:
            raise ModelError(
                f"{_NAME} has no branch {' and '.join(absent)} loaded, only {', '.join(loaded.nets.branches)}; name it "
                "in transfer_options.branches and see that its checkpoint is there."
            )
        for kind, gains in self._options.block_gains.items():
            blocks = len(next(iter(loaded.nets.branches.values())).control_blocks)
            if len(gains) != blocks:
                raise ModelError(f"block_gains.{kind} must name {blocks} numbers, one a block, got {len(gains)}.")

    def _sampling(self, request: TransferRequest, loaded: Loaded25, guidance: float) -> tuple[str, Embedding, Sampling]:
        """Read the prompts; return the negative prompt used, the prompt's embedding, and how to sample."""
        import torch

        from cosmos.models.transfer25.sampling import Sampling
        from cosmos.models.transfer25.text import default_negative_prompt

        nets = loaded.nets
        negative = (request.negative_prompt.strip() or default_negative_prompt()) if guidance > 0.0 else ""
        prompts = (request.prompt, negative) if guidance > 0.0 else (request.prompt,)
        device, dtype = nets.device, nets.dtype
        try:
            # The encoder is larger than all nets together: on a GPU they make room for it.
            aside = device.type == "cuda" and loaded.encoder.lacks(prompts, dtype)
            if aside:
                nets.to(torch.device("cpu"))
                torch.cuda.empty_cache()
            embeddings = loaded.encoder.embed(prompts, device=device, dtype=dtype)
        finally:
            nets.to(device)
        generator = torch.Generator("cpu").manual_seed(request.seed % 2**63)
        sampling = Sampling(
            states=embeddings[request.prompt].states,
            negative_states=embeddings[negative].states if guidance > 0.0 else None,
            num_steps=request.num_steps or self.spec.num_steps,
            guidance=guidance,
            schedule=self._options.schedule,
            noise=lambda index, shape: torch.randn(shape, generator=generator),
        )
        return negative, embeddings[request.prompt], sampling

    def _paint(
        self, request: TransferRequest, loaded: Loaded25, sampling: Sampling, progress: Optional[Progress]
    ) -> tuple[wp.array, list[float]]:
        """Paint chunk after chunk; return the pictures and how well the chunks meet [8-bit levels]."""
        from cosmos.models.chunks import plan_chunks

        clip = request.clip
        chunks = plan_chunks(clip.num_frames, chunk=self._options.chunk_frames, overlap=self._options.overlap)
        tell = count_steps(progress, len(chunks), sampling.num_steps)
        painted = loaded.nets.paint(self._parts(request, chunks, loaded), sampling, tell)
        return join_chunks(_NAME, clip, chunks, painted)

    def _parts(self, request: TransferRequest, chunks: tuple[Chunk, ...], loaded: Loaded25) -> Iterator[Part]:
        """Bring the chunks of a request to the nets' tensors, one at a time."""
        from cosmos.models.chunks import latent_frames
        from cosmos.models.transfer25.sampling import Hint, Part, Preserve

        device, dtype = loaded.nets.device, loaded.nets.dtype
        numbers = capped_numbers(request.weights)
        for chunk in chunks:
            hints: dict[str, Hint] = {}
            tokens: Mapping[ControlKind, Any] = {}
            for kind in request.weights.kinds:
                video = video_frames(request.controls[kind].video, chunk.sources, _MULTIPLE).to(
                    device=device, dtype=dtype
                )
                if numbers is None and not tokens:
                    grid = (latent_frames(len(chunk.sources)), video.shape[-2] // 16, video.shape[-1] // 16)
                    tokens = capped_tokens(request.weights, chunk.sources, _MULTIPLE, grid)
                weight = tokens[kind].to(device=device, dtype=dtype) if numbers is None else numbers[kind]
                hints[kind.value] = Hint(
                    video=video, weight=weight, block_gains=self._options.block_gains.get(kind.value, ())
                )
            preserve = None
            if request.preserve is not None:
                preserve = Preserve(
                    video=video_frames(request.clip.rgb, chunk.sources, _MULTIPLE).to(device=device, dtype=dtype),
                    mask=map_frames(request.preserve, chunk.sources, _MULTIPLE).to(device),
                    steps=self._options.preserve_steps,
                )
            yield Part(chunk=chunk, hints=hints, preserve=preserve)

    def _effective(self, request: TransferRequest, sampling: Sampling) -> dict[str, Any]:
        """Return the settings as used."""
        options, clip = self._options, request.clip
        numbers = capped_numbers(request.weights)
        return {
            "num_steps": sampling.num_steps,
            "guidance": sampling.guidance,
            "schedule": sampling.schedule,
            "seed": request.seed,
            "size": [-(-clip.height // _MULTIPLE) * _MULTIPLE, -(-clip.width // _MULTIPLE) * _MULTIPLE],
            "chunk_frames": 1 if clip.num_frames == 1 else options.chunk_frames,
            "overlap": options.overlap,
            "weights": "maps" if numbers is None else {kind.value: round(w, 4) for kind, w in numbers.items()},
            "block_gains": {kind: list(gains) for kind, gains in options.block_gains.items()},
            "preserve_steps": options.preserve_steps if request.preserve is not None else 0,
        }


def _notes(request: TransferRequest, embedding: Embedding) -> tuple[str, ...]:
    """Say what the user should know."""
    notes = []
    if embedding.cut:
        notes.append(f"The last {embedding.cut} tokens of the prompt were not read; the model reads 512.")
    if len(request.weights.kinds) > 1:
        notes.append(
            "Several published branches act on one base model here; NVIDIA trained them one at a time, "
            "so that their sum is an approximation of its multi-control checkpoint."
        )
    pixels = request.clip.height * request.clip.width
    if not 0.25 < pixels / _TRAINED_PIXELS < 2.0:
        notes.append(f"The model was trained on 704 x 1280; {request.clip.height} x {request.clip.width} is far off.")
    return tuple(notes)


__all__ = ["CosmosTransfer25", "Transfer25Options"]
