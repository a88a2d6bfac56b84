"""The seam every sink fills."""

from __future__ import annotations

from typing import Optional, Protocol, runtime_checkable

from cosmos.bridge.types import Augmentation, Progress


@runtime_checkable
class Sink(Protocol):
    """Takes finished attempts, accepted or not, and keeps them."""

    def write(self, augmentation: Augmentation, progress: Optional[Progress] = None) -> None:
        """Keep one attempt; rejected ones are kept apart from accepted ones, never dropped.

        Raises:
            SinkError: If it cannot be written whole; nothing half-written stays under its final name.
        """
        ...

    def close(self) -> None:
        """Finish what needs all attempts (manifest, report, layer); safe to call twice."""
        ...


__all__ = ["Sink"]
