"""What Transfer is asked and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.types.control import ControlSignals, ControlWeights
from cosmos.bridge.types.frame import Clip

if TYPE_CHECKING:
    import warp as wp

Progress = Callable[[str, int, int], None]
"""``progress(stage, done, total)``; called often, from the working thread; may raise JobCancelled, which passes."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TransferRequest:
    """One clip to be made photoreal. The same request on the same model revision gives the same pixels."""

    clip: Clip
    """The simulated clip with its ground truth."""
    controls: ControlSignals
    """Control videos of that clip."""
    weights: ControlWeights
    """How strongly each control acts; each kind above 0 has a control."""
    prompt: str
    """What the result should look like; not empty."""
    negative_prompt: str = ""
    """What the result should not look like."""
    seed: int = 0
    """Decides everything random, >= 0."""
    num_steps: Optional[int] = None
    """Denoising steps; ``None`` takes the model's own."""
    guidance: Optional[float] = None
    """Prompt guidance; ``None`` takes the model's own."""
    overlap: Optional[int] = None
    """Frames that chunks of a long clip share, >= 1; ``None`` takes the model's own. Means nothing where
    ``TransferSpec.overlap`` is false."""
    preserve: Optional[wp.array] = None
    """1 where the source's picture stays as it is, float32 in [0, 1], shape [T, H, W]; ``None`` repaints all."""

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise ValueError("TransferRequest needs a prompt, got an empty one; say what the result should look like.")
        for name, least in (("seed", 0), ("num_steps", 1), ("overlap", 1)):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, np.integer)) and value >= least):
                raise ValueError(f"TransferRequest.{name} must be >= {least} and whole, got {value!r}.")
        if self.preserve is not None and (
            len(self.preserve.shape) != 3 or getattr(self.preserve.dtype, "__name__", "") != "float32"
        ):
            got = f"{self.preserve.dtype} {list(self.preserve.shape)}"
            raise ValueError(f"TransferRequest.preserve must be a float32 map [T, H, W], got {got}.")
        missing = [str(kind) for kind in self.weights.kinds if kind not in self.controls]
        if missing:
            have = [str(kind) for kind in self.controls.kinds]
            raise ValueError(f"TransferRequest weighs {missing}, but the controls are {have}; derive them first.")
        shape = (self.clip.num_frames, self.clip.height, self.clip.width)
        for signal in self.controls:
            if tuple(signal.video.shape[:3]) != shape:
                raise ValueError(
                    f"The {signal.kind} control is {list(signal.video.shape[:3])} [T, H, W], the clip is {list(shape)}."
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where a result came from; plain values only, written to the manifest as it is."""

    model: str
    """Name in the registry."""
    revision: str
    """Revision of code and weights."""
    weights_sha256: str
    """Hash of the weight file, empty for a model without weights."""
    licence: str
    """Licence name of the weights."""
    dtype: str
    """Type the model computed in."""
    device: str
    """Device the model ran on."""
    seconds: float
    """Wall time of the transfer [s]."""
    peak_bytes: int
    """Peak memory of the device on CUDA, of the process on CPU [bytes]."""
    requested: Mapping[str, Any] = field(default_factory=dict)
    """Settings as asked."""
    effective: Mapping[str, Any] = field(default_factory=dict)
    """Settings as used."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package -> version."""
    notes: tuple[str, ...] = ()
    """What the user should know, one sentence each (for one: words of the prompt that were not understood)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TransferResult:
    """The photoreal clip, frame for frame that of the request."""

    rgb: wp.array
    """sRGB, uint8, shape [T, H, W, 3]; the caller owns it."""
    provenance: Provenance
    """Where it came from."""


__all__ = ["Progress", "Provenance", "TransferRequest", "TransferResult"]
