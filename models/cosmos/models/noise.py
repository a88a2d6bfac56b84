"""Noise of a clip's parts, drawn one after the other from one seed."""

from __future__ import annotations

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253


class PartNoise:
    """Draws the noise of a part by its number, so that a clip may go on where it was stopped.

    Args:
        seed: Decides all of it.
    """

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator("cpu").manual_seed(seed % 2**63)
        self._drawn = 0

    def __call__(self, index: int, shape: tuple[int, ...]) -> Tensor:
        """Return the noise of a part; numbers must rise, and parts before it, of the same shape, are passed over."""
        while self._drawn < index:
            torch.randn(shape, generator=self._generator)
            self._drawn += 1
        self._drawn += 1
        return torch.randn(shape, generator=self._generator)


__all__ = ["PartNoise"]
