"""The guard that lets everything pass, and says so."""

from __future__ import annotations

from cosmos.bridge.types import GuardReport, TransferResult


class OffGuard:
    """Screens nothing; its reports name the posture ``off``."""

    @property
    def name(self) -> str:
        """Name in the registry."""
        return "off"

    def screen_prompt(self, prompt: str) -> GuardReport:
        """Let a prompt pass unseen."""
        return GuardReport(allowed=True, stage="prompt", requested="off", effective="off")

    def screen_video(self, result: TransferResult) -> tuple[TransferResult, GuardReport]:
        """Let a result pass unseen."""
        return result, GuardReport(allowed=True, stage="video", requested="off", effective="off")


__all__ = ["OffGuard"]
