"""The seam every critic fills."""

from __future__ import annotations

from typing import Optional, Protocol, runtime_checkable

import numpy as np

from cosmos.bridge.types import Progress, TransferRequest, TransferResult, Verdict


@runtime_checkable
class Critic(Protocol):
    """Says whether a result still fits its labels."""

    @property
    def name(self) -> str:
        """Name in the registry."""
        ...

    def judge(self, request: TransferRequest, result: TransferResult, progress: Optional[Progress] = None) -> Verdict:
        """Hold a result against the clip, controls, weights and prompt that it was asked for."""
        ...


@runtime_checkable
class Unloads(Protocol):
    """A critic that holds a model."""

    def unload(self) -> None:
        """Free the weights; safe to call twice."""
        ...


@runtime_checkable
class Answers(Protocol):
    """A critic that answers questions in words."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """What it can be asked."""
        ...

    def ask(self, frames: np.ndarray, fps: float, task: str, progress: Optional[Progress] = None) -> str:
        """Answer a question about pictures, uint8 [T, H, W, 3], of ``fps`` frames a second."""
        ...


__all__ = ["Answers", "Critic", "Unloads"]
