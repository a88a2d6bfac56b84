"""How a picture is drawn: quickly, or by tracing paths of light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Quality = Literal["interactive", "reference"]
"""Quick shading without noise, or path-traced global illumination."""
MOST_SAMPLES = 65536


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """Path tracing: the noise falls as samples grow; equal numbers give the same picture on any number of threads."""

    samples: int = 64
    """Paths a pixel, in [1, 65536]."""
    seed: int = 0
    """Decides the paths, from 0."""
    denoise: bool = False
    """Whether what noise is left is filtered out along the surfaces; blurs fine shadows a little."""

    def __post_init__(self) -> None:
        if not 1 <= self.samples <= MOST_SAMPLES:
            raise ValueError(f"Reference quality takes 1 to {MOST_SAMPLES} samples a pixel, got {self.samples!r}.")
        if self.seed < 0:
            raise ValueError(f"The seed of reference quality must not be negative, got {self.seed!r}.")


def reference_of(quality: str, samples: int, seed: int, denoise: bool) -> Reference | None:
    """Return how paths are traced; ``None`` for interactive quality.

    Raises:
        ValueError: If the quality is unknown, or a number is out of range.
    """
    if quality not in ("interactive", "reference"):
        raise ValueError(f"quality must be 'interactive' or 'reference', got {quality!r}.")
    return Reference(samples=samples, seed=seed, denoise=denoise) if quality == "reference" else None


__all__ = ["MOST_SAMPLES", "Quality", "Reference", "reference_of"]
