"""What the backends with NVIDIA's weights share: options, loading, refusals and provenance; each adapts one family."""

from __future__ import annotations

import gc
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Optional, Protocol, TypeVar

from cosmos.bridge.errors import ModelError
from cosmos.bridge.fetched import as_model_errors, dtype_text, find_checkpoint, pick_device, pick_dtype
from cosmos.bridge.transfer.base import TransferSpec
from cosmos.bridge.transfer.footprint import peak_bytes, restart_peak, settings_of, versions
from cosmos.bridge.transfer.pixels import check_pixels
from cosmos.bridge.types import Clip, Progress, Provenance, TransferRequest, TransferResult

if TYPE_CHECKING:
    import torch
    import warp as wp


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedOptions:
    """What one run of any of these backends may set besides its requests; ``transfer_options`` in a config."""

    weights: Optional[str] = None
    """Folder of the checkpoint, in the published layout; ``None`` takes the fetched one."""
    dtype: Optional[Literal["float32", "bfloat16"]] = None
    """Type to compute in; ``None`` takes bfloat16 on CUDA and float32 on the CPU."""
    fp8: bool = False
    """Whether the large linear layers are stored in 8 bits, but for queries and keys: about half the memory."""
    cpu_offload: bool = False
    """Whether the blocks of the large nets wait in main memory and come to the device while they run: little memory,
    the same pictures, slower."""
    keep_chunks: bool = True
    """Whether what is painted of a long clip lies on disk until it is done, so that one that was stopped goes on there;
    at most as much as the uncompressed frames."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChunkOptions(PublishedOptions):
    """The options of backends that paint long clips in chunks."""

    chunk_frames: int = 93
    """Frames painted at once, 4k + 1."""
    overlap: int = 1
    """Frames that a chunk shares with the one before, and is begun with."""
    vae_tiling: bool = False
    """Whether pictures are encoded and decoded in tiles: less memory, faint seams."""

    def __post_init__(self) -> None:
        if self.chunk_frames < 5 or self.chunk_frames % 4 != 1:
            known = type(self)().chunk_frames
            raise ValueError(f"chunk_frames must be 4k + 1 and at least 5, got {self.chunk_frames}; take {known}.")
        if not 1 <= self.overlap < self.chunk_frames:
            raise ValueError(f"overlap must lie in [1, {self.chunk_frames - 1}], got {self.overlap}.")


class Checkpoint(Protocol):
    """What a family's loader returns."""

    @property
    def sha256(self) -> str:
        """One hash over the weights."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Painted:
    """What a backend made of a request, and how."""

    rgb: wp.array
    """sRGB, uint8, shape [T, H, W, 3]."""
    effective: Mapping[str, Any]
    """Settings as used."""
    notes: tuple[str, ...] = ()
    """What the user should know."""


OptionsT = TypeVar("OptionsT", bound=PublishedOptions)
CheckpointT = TypeVar("CheckpointT", bound=Checkpoint)


class PublishedTransfer(ABC, Generic[OptionsT, CheckpointT]):
    """A backend over fetched weights: one checkpoint on one device, and requests that are checked before it works.

    Args:
        options: What a run may set; ``None`` takes the defaults.
    """

    Options: ClassVar[type[Any]] = PublishedOptions
    name: ClassVar[str]
    """Name in the registry."""
    part: ClassVar[str] = "transformer"
    """Folder by which a checkpoint is known."""
    off_guidance: ClassVar[float] = 1.0
    """Guidance that changes nothing."""
    most_guidance: ClassVar[float] = 10.0
    """Most guidance that means something."""

    def __init__(self, options: Optional[OptionsT] = None) -> None:
        self._options: OptionsT = options or self.Options()
        self._loaded: Optional[CheckpointT] = None
        self._device = ""

    @property
    @abstractmethod
    def spec(self) -> TransferSpec:
        """What the model is and can do."""

    def require_weights(self) -> Path:
        """Return the folder of the checkpoint.

        Raises:
            ModelWeightsError: If it is not there.
        """
        return find_checkpoint(self.name, self._options.weights, self.part)

    def load(self, device: Optional[str] = None) -> None:
        """Bring the weights onto a device; ``None`` picks CUDA where there is one. A second call does nothing.

        Raises:
            ModelNotInstalledError: If diffusers or transformers is missing.
            ModelWeightsError: If the weights are missing, damaged, or of an export that this backend cannot run.
            ModelMemoryError: If they do not fit the device.
            ModelError: If there is no such device.
        """
        wanted = pick_device(self.name, device)
        if self._loaded is not None and wanted == self._device:
            return
        self.unload()
        folder = self.require_weights()
        with as_model_errors(self.name, wanted, "take a larger device, fp8 or cpu_offload, or set offload.memory"):
            self._loaded = self._read(folder, wanted, pick_dtype(self._options.dtype, wanted))
        self._device = wanted

    def transfer(self, request: TransferRequest, progress: Optional[Progress] = None) -> TransferResult:
        """Make the request's clip photoreal, frame for frame.

        Raises:
            ModelError: If the request asks for what this model cannot do; the sentence names the option.
            ModelMemoryError: If a chunk or frame does not fit the device.
        """
        from cosmos.bridge.kernels.layout import shared_streams

        self._check(request)
        loaded = self._ready()
        start = time.perf_counter()
        restart_peak(self._device)
        streams = shared_streams(request.clip.rgb.device, self._device)
        with as_model_errors(self.name, self._device, self._cure(request.clip)), streams:
            painted = self._paint(request, loaded, progress)
        provenance = Provenance(
            model=self.name,
            revision=self.spec.revision,
            weights_sha256=loaded.sha256,
            licence=self.spec.licence,
            dtype=dtype_text(pick_dtype(self._options.dtype, self._device), fp8=self._options.fp8),
            device=self._device,
            seconds=time.perf_counter() - start,
            peak_bytes=peak_bytes(self._device),
            requested=settings_of(request),
            effective={**painted.effective, "cpu_offload": self._options.cpu_offload},
            versions=versions("torch", "warp", "safetensors", "diffusers", "transformers"),
            notes=painted.notes,
        )
        return TransferResult(rgb=painted.rgb, provenance=provenance)

    def unload(self) -> None:
        """Free the weights; safe to call twice."""
        if self._loaded is None:
            return
        was_cuda, self._loaded, self._device = self._device.startswith("cuda"), None, ""
        gc.collect()  # nets of diffusers hold reference cycles
        if was_cuda:
            import torch

            torch.cuda.empty_cache()

    @abstractmethod
    def _read(self, folder: Path, device: str, dtype: torch.dtype) -> CheckpointT:
        """Load the nets from a folder of the published layout."""

    @abstractmethod
    def _paint(self, request: TransferRequest, loaded: CheckpointT, progress: Optional[Progress]) -> Painted:
        """Paint a request that was checked."""

    @abstractmethod
    def _refuse(self, request: TransferRequest) -> None:
        """Refuse what this model alone cannot do."""

    @abstractmethod
    def _cure(self, clip: Clip) -> str:
        """Say what to do when a clip does not fit the device."""

    def _identity(self, loaded: CheckpointT) -> dict[str, Any]:
        """Return what decides the pictures besides a request and the options."""
        return {
            "name": self.name,
            "sha256": loaded.sha256,
            "device": self._device.partition(":")[0],
            "dtype": str(pick_dtype(self._options.dtype, self._device)),
            "torch": versions("torch", "diffusers"),
        }

    def _ready(self) -> CheckpointT:
        """Return the loaded nets; load them where nobody did."""
        self.load(self._device or None)
        if self._loaded is None:  # load returns with a model or raises
            raise ModelError(f"{self.name} has no weights loaded; call load().")
        return self._loaded

    def _check(self, request: TransferRequest) -> None:
        """Refuse what the model cannot do, before it is loaded."""
        from cosmos.bridge.transfer.registry import knowing

        kinds, spec = request.weights.kinds, self.spec
        foreign = [kind.value for kind in kinds if kind not in spec.controls]
        if foreign:
            known = ", ".join(kind.value for kind in spec.controls)
            raise ModelError(
                f"{self.name} does not know the control {' and '.join(foreign)}; it knows {known}; {knowing(*foreign)}."
            )
        if not kinds:
            raise ModelError(f"{self.name} needs a control, but all weights are 0; give one, for example depth=1.")
        self._refuse(request)
        self._refuse_settings(request)
        for kind in kinds:
            check_pixels(request.controls[kind])

    def _refuse_settings(self, request: TransferRequest) -> None:
        """Refuse settings that the specification says mean nothing here."""
        from cosmos.bridge.transfer.registry import able

        spec, negative = self.spec, bool(request.negative_prompt.strip())
        guidance = self.off_guidance if request.guidance is None else float(request.guidance)
        for setting, asked, what in (
            ("preserve", request.preserve is not None, "preserve parts of the source"),
            ("negative_prompt", negative, "read a negative prompt"),
            ("guidance", guidance != self.off_guidance, "use guidance"),
            ("overlap", request.overlap is not None, "overlap chunks"),
        ):
            if asked and not getattr(spec, setting):
                raise ModelError(f"{self.name} cannot {what}; {' or '.join(able(setting))} can.")
        if not 0.0 <= guidance <= self.most_guidance:
            raise ModelError(f"{self.name} takes a guidance in [0, {self.most_guidance:g}], got {guidance:g}.")
        if negative and request.guidance is not None and guidance <= self.off_guidance:
            raise ModelError(
                f"{self.name} reads no negative prompt at guidance {guidance:g}; raise it above "
                f"{self.off_guidance:g} or leave the negative prompt out."
            )
        if request.num_steps is None or request.num_steps == spec.num_steps:
            return
        if spec.num_steps == spec.max_steps:
            others = " or ".join(able("num_steps"))
            raise ModelError(
                f"{self.name} paints in {spec.num_steps} steps, got num_steps={request.num_steps}; {others} can take "
                "others."
            )
        if request.num_steps > spec.max_steps:
            raise ModelError(f"{self.name} takes at most {spec.max_steps} num_steps, got {request.num_steps}.")


def padded(clip: Clip, multiple: int) -> list[int]:
    """Return height and width of a clip, brought up to multiples [px]."""
    return [-(-side // multiple) * multiple for side in (clip.height, clip.width)]


__all__ = ["Checkpoint", "ChunkOptions", "Painted", "PublishedOptions", "PublishedTransfer", "padded"]
