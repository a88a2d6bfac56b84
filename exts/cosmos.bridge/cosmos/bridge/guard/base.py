"""The seam every guard fills."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from cosmos.bridge.types import GuardReport, TransferResult


@runtime_checkable
class Guard(Protocol):
    """Screens prompts and results. An exception inside a guard is a refusal, never "safe"."""

    @property
    def name(self) -> str:
        """Name in the registry."""
        ...

    def screen_prompt(self, prompt: str) -> GuardReport:
        """Say whether a prompt may be used."""
        ...

    def screen_video(self, result: TransferResult) -> tuple[TransferResult, GuardReport]:
        """Say whether a result may be used, and return it, with faces blurred where the guard does that."""
        ...


__all__ = ["Guard"]
