"""NVIDIA's Cosmos-Transfer2.5 in this process: several weighted control branches at once, long clips, kept regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Optional

from cosmos.bridge.errors import ModelError
from cosmos.bridge.fetched import revision_of
from cosmos.bridge.transfer.base import TransferSpec
from cosmos.bridge.transfer.chunked import paint_chunks
from cosmos.bridge.transfer.frames import capped_numbers, capped_tokens, check_maps, map_frames, video_frames
from cosmos.bridge.transfer.published import ChunkOptions, Painted, PublishedTransfer, padded
from cosmos.bridge.types import Clip, ControlKind, Progress, TransferRequest

if TYPE_CHECKING:
    import torch

    from cosmos.models.chunks import Chunk
    from cosmos.models.transfer25.loading import Loaded25
    from cosmos.models.transfer25.sampling import Part, Sampling
    from cosmos.models.transfer25.text import Embedding

_NAME = "cosmos-transfer2.5"
_KINDS = (ControlKind.EDGE, ControlKind.DEPTH, ControlKind.SEG, ControlKind.VIS)
_MULTIPLE = 16
_LONGEST = 1920
_GUIDANCE = 3.0
_TRAINED_PIXELS = 704 * 1280
_TRAINED_FRAMES = 93
_MOST_FRAMES = 509
"""Frames of the 128 latent frames that the model has positions for."""
_FEW_STEPS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Transfer25Options(ChunkOptions):
    """What one run of Transfer2.5 may set besides its requests; ``transfer_options`` in a config."""

    branches: tuple[Literal["edge", "depth", "seg", "vis"], ...] = ()
    """Control branches to load; empty loads all that are there."""
    schedule: Literal["shift", "karras"] = "shift"
    """Noise schedule: NVIDIA's own, or that of the published diffusers pipeline."""
    distilled: bool = False
    """Whether to run the model that NVIDIA distilled to 4 steps: edges alone, without guidance."""
    preserve_steps: int = 25
    """Steps for which what ``preserve`` covers is held to the source; fewer let it blend in."""
    block_gains: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Kind -> factor on its weight for each control block, from the first layers to the last."""
    cache_embeddings: bool = True
    """Whether prompt embeddings are kept on disk, about 100 MB a prompt."""

    def __post_init__(self) -> None:
        ChunkOptions.__post_init__(self)
        if self.chunk_frames > _MOST_FRAMES:
            raise ValueError(
                f"chunk_frames must be at most {_MOST_FRAMES}, got {self.chunk_frames}; the model was trained on "
                f"{_TRAINED_FRAMES}."
            )
        if self.distilled and (self.schedule != "shift" or set(self.branches) - {"edge"}):
            raise ValueError("distilled has a schedule and a branch of its own, edge; leave schedule and branches out.")
        if self.preserve_steps < 1:
            raise ValueError(f"preserve_steps must be 1 or more, got {self.preserve_steps}.")
        for kind, gains in self.block_gains.items():
            if kind not in [str(known) for known in _KINDS]:
                raise ValueError(f"block_gains knows {', '.join(map(str, _KINDS))}, got {kind!r}.")
            if not all(0.0 <= gain <= 1.0 for gain in gains):
                raise ValueError(f"block_gains.{kind} must lie in [0, 1], got {list(gains)}.")


class CosmosTransfer25(PublishedTransfer[Transfer25Options, "Loaded25"]):
    """Transfer2.5 behind the protocol of all backends."""

    Options: ClassVar[type[Transfer25Options]] = Transfer25Options
    name = _NAME
    part = "general"
    off_guidance = 0.0
    most_guidance = 7.0

    @property
    def spec(self) -> TransferSpec:
        """What the model is and can do."""
        few, revision = self._options.distilled, revision_of(_NAME, self._options.weights, "general")
        return TransferSpec(
            name=_NAME,
            revision=f"{revision}, distilled" if few else revision,
            licence="NVIDIA Open Model License",
            controls=(ControlKind.EDGE,) if few else _KINDS,
            size_multiple=1,
            num_steps=_FEW_STEPS if few else 35,
            max_steps=_FEW_STEPS if few else 200,
            weight_maps=True,
            negative_prompt=not few,
            guidance=not few,
            preserve=True,
            overlap=True,
            most_guidance=self.most_guidance,
        )

    def _read(self, folder: Path, device: str, dtype: torch.dtype) -> Loaded25:
        from cosmos.models.places import embedding_folder
        from cosmos.models.transfer25.loading import load_transfer25

        return load_transfer25(
            folder,
            device=device,
            dtype=dtype,
            cache=embedding_folder(_NAME) if self._options.cache_embeddings else None,
            branches=self._options.branches,
            vae_tiling=self._options.vae_tiling,
            fp8=self._options.fp8,
            distilled=self._options.distilled,
            cpu_offload=self._options.cpu_offload,
        )

    def _cure(self, clip: Clip) -> str:
        size, frames = f"{clip.height} x {clip.width} px", self._options.chunk_frames
        return f"{size} and {frames} frames a chunk are too much; take less, or vae_tiling"

    def _paint(self, request: TransferRequest, loaded: Loaded25, progress: Optional[Progress]) -> Painted:
        self._check_branches(request, loaded)
        negative, embedding, sampling = self._sampling(request, loaded)
        rgb, told, notes = paint_chunks(
            self.name,
            request,
            self._options,
            lambda chunks, tell, last: loaded.nets.paint(self._parts(request, chunks, loaded), sampling, tell, last),
            num_steps=sampling.num_steps,
            progress=progress,
            model=self._identity(loaded),
        )
        return Painted(
            rgb=rgb,
            effective={**self._effective(request, sampling), "negative_prompt": negative, **told},
            notes=(*notes, *self._notes(request, embedding)),
        )

    def _refuse(self, request: TransferRequest) -> None:
        longest = max(request.clip.height, request.clip.width)
        if longest > _LONGEST:
            raise ModelError(f"{_NAME} paints at most {_LONGEST} px a side, got {longest}; embedded paints any.")
        if self._options.distilled and (request.guidance or request.negative_prompt.strip()):
            raise ModelError(f"The distilled {_NAME} takes no guidance and no negative prompt; leave them, or it, out.")
        check_maps(_NAME, request)

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

    def _guidance(self, request: TransferRequest) -> float:
        if self._options.distilled:
            return 0.0
        return _GUIDANCE if request.guidance is None else float(request.guidance)

    def _sampling(self, request: TransferRequest, loaded: Loaded25) -> tuple[str, Embedding, Sampling]:
        """Read the prompts; return the negative prompt used, the prompt's embedding, and how to sample."""
        import torch

        from cosmos.models.noise import PartNoise
        from cosmos.models.transfer25.sampling import Sampling
        from cosmos.models.transfer25.text import default_negative_prompt

        nets, guidance = loaded.nets, self._guidance(request)
        negative = (request.negative_prompt.strip() or default_negative_prompt()) if guidance > 0.0 else ""
        prompts = (request.prompt, negative) if guidance > 0.0 else (request.prompt,)
        device, dtype = nets.device, nets.dtype
        try:
            # The encoder is larger than all nets together: on a GPU they make room for it.
            aside = device.type == "cuda" and not self._options.cpu_offload and loaded.encoder.lacks(prompts, dtype)
            if aside:
                nets.to(torch.device("cpu"))
                torch.cuda.empty_cache()
            embeddings = loaded.encoder.embed(prompts, device=device, dtype=dtype)
        finally:
            nets.to(device)
        sampling = Sampling(
            states=embeddings[request.prompt].states,
            negative_states=embeddings[negative].states if guidance > 0.0 else None,
            num_steps=request.num_steps or self.spec.num_steps,
            guidance=guidance,
            schedule="distilled" if self._options.distilled else self._options.schedule,
            noise=PartNoise(request.seed),
        )
        return negative, embeddings[request.prompt], sampling

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
        options = self._options
        numbers = capped_numbers(request.weights)
        return {
            "num_steps": sampling.num_steps,
            "guidance": sampling.guidance,
            "schedule": sampling.schedule,
            "seed": request.seed,
            "size": padded(request.clip, _MULTIPLE),
            "weights": "maps" if numbers is None else {kind.value: round(w, 4) for kind, w in numbers.items()},
            "block_gains": {kind: list(gains) for kind, gains in options.block_gains.items()},
            "preserve_steps": options.preserve_steps if request.preserve is not None else 0,
        }

    def _notes(self, request: TransferRequest, embedding: Embedding) -> tuple[str, ...]:
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
            notes.append(
                f"The model was trained on 704 x 1280; {request.clip.height} x {request.clip.width} is far off."
            )
        if self._options.distilled and self._options.chunk_frames != _TRAINED_FRAMES and request.clip.num_frames > 1:
            notes.append(f"The distilled model was trained on chunks of {_TRAINED_FRAMES} frames alone.")
        return tuple(notes)


__all__ = ["CosmosTransfer25", "Transfer25Options"]
