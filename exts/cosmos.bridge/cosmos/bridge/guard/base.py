"""The seam every guard fills, and what a refusal is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from cosmos.bridge.errors import GuardRefusal
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


def allowed(report: GuardReport) -> GuardReport:
    """Return the report of a guard that said yes; raise GuardRefusal for one that said no."""
    if not report.allowed:
        reasons = ", ".join(report.categories) or "no reason given"
        raise GuardRefusal(f"The guard {report.effective} refused the {report.stage} ({reasons}); change the prompt.")
    return report


__all__ = ["Guard", "allowed"]
