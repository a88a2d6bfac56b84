"""The seam every Transfer backend fills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Protocol, runtime_checkable

from cosmos.bridge.types import ControlKind, Progress, TransferRequest, TransferResult


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferSpec:
    """What a backend is and can do, known before anything is loaded."""

    name: str
    """Name in the registry."""
    revision: str
    """Revision of code and weights; other numbers of steps may have weights of their own, which a result then names."""
    licence: str
    """Licence name of the weights."""
    controls: tuple[ControlKind, ...]
    """Kinds it listens to."""
    size_multiple: int
    """Height and width must be multiples of this [px]."""
    num_steps: int
    """Steps when the request names none."""
    max_steps: int
    """Most steps that mean something; equal to num_steps where the number is fixed."""
    weight_maps: bool
    """Whether weights may be maps."""
    negative_prompt: bool
    """Whether a negative prompt acts."""
    guidance: bool
    """Whether guidance acts."""
    preserve: bool = False
    """Whether parts of the source can be kept."""
    overlap: bool = False
    """Whether long clips are painted in chunks, whose overlap a request may set."""
    steps_help: bool = True
    """Whether more steps follow a prompt more closely, so that they are tried where it was missed."""
    most_guidance: float = 10.0
    """Most guidance that it takes."""


@runtime_checkable
class TransferModel(Protocol):
    """A model that turns a clip and its controls into a photoreal clip."""

    @property
    def spec(self) -> TransferSpec:
        """What the model is and can do."""
        ...

    def load(self, device: Optional[str] = None) -> None:
        """Bring the weights onto a device; ``None`` picks CUDA where there is one. A second call does nothing."""
        ...

    def transfer(self, request: TransferRequest, progress: Optional[Progress] = None) -> TransferResult:
        """Make the request's clip photoreal, frame for frame.

        Raises:
            ModelError: If the request asks for what this model cannot do; the sentence names the option.
        """
        ...

    def unload(self) -> None:
        """Free the weights; safe to call twice."""
        ...


__all__ = ["TransferModel", "TransferSpec"]
