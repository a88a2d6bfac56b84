"""Where the Transfer model of a run lives, and how it fits there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Optional

from cosmos.bridge.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class OffloadPolicy:
    """Where the Transfer model runs, and where its weights wait."""

    placement: Literal["here", "worker", "batch"] = "here"
    """``here`` in this process; ``worker`` in a process of its own, which is started anew if it dies; ``batch`` on
    another host: the run is checked and its folder made, and ``cosmos-bridge resume`` does the work there."""
    device: Optional[str] = None
    """Device of the Transfer model alone, e.g. ``"cuda:1"``; ``None`` takes that of the run."""
    python: Optional[str] = None
    """Python of the worker, e.g. of an environment with other packages; ``None`` takes this one."""
    memory: Optional[Literal[16, 24, 32, 48, 80]] = None
    """Memory of the Transfer model's device [GB]: takes the profile of the backend that fits it (8-bit weights, blocks
    that wait in main memory); what ``transfer_options`` names wins. ``None`` takes those options as they are."""
    fall_back: bool = False
    """Whether the next smaller profile is taken when memory runs out; the notes of the result say so."""

    def __post_init__(self) -> None:
        for name in ("device", "python"):
            text = getattr(self, name)
            if text is not None and not text.strip():
                raise ConfigError(f"offload.{name} is empty; give one, or leave it out.")
        if self.python is not None and self.placement != "worker":
            raise ConfigError(
                f"offload.python is the Python of a worker, but offload.placement is {self.placement!r}; "
                "set it to 'worker', or leave python out."
            )


__all__ = ["OffloadPolicy"]
