"""NVIDIA's Cosmos guardrail: a word list and Qwen3Guard for prompts, blurred faces for videos.

The package's classifier of video content is switched off in its code, so that videos are never refused for what they
show; the reports say what really ran. Whatever fails inside of it is a refusal here.
"""

from __future__ import annotations

import importlib.util
from typing import Any, Optional, Protocol

import numpy as np

from cosmos.bridge.types import GuardReport, TransferResult

_PROMPT = "word list, Qwen3Guard"
_VIDEO = "face blur"


class SafetyChecker(Protocol):
    """What the package's checker offers."""

    def check_text_safety(self, prompt: str) -> bool:
        """Say whether a prompt is safe."""
        ...

    def check_video_safety(self, frames: np.ndarray) -> Optional[np.ndarray]:
        """Return frames, uint8 [T, H, W, 3], with faces blurred; ``None`` blocks them."""
        ...


class CosmosGuard:
    """Screens prompts and videos with the ``cosmos-guardrail`` package.

    Every `Exception` of the checker is caught on purpose: its nets, its files and its downloads fail in ways that it
    does not name, and one that slipped through would stop the run where it must only refuse the clip.

    Its models are loaded at the first screening; the package fetches them under NVIDIA's licence when they are not on
    this machine, and ``HF_HUB_OFFLINE=1`` keeps it from that.

    Args:
        checker: The checker; ``None`` makes the package's own.

    Raises:
        ImportError: If the package is missing.
    """

    def __init__(self, checker: Optional[SafetyChecker] = None) -> None:
        if checker is None and importlib.util.find_spec("cosmos_guardrail") is None:
            raise ImportError("cosmos_guardrail is not installed", name="cosmos_guardrail")
        self._checker = checker

    @property
    def name(self) -> str:
        """Name in the registry."""
        return "cosmos"

    def screen_prompt(self, prompt: str) -> GuardReport:
        """Say whether a prompt may be used."""
        try:
            safe = self._made().check_text_safety(prompt)
        except Exception as error:  # noqa: BLE001 - a refusal, and the report names it
            return self._report("prompt", "failed", _failure(error))
        # Only a plain yes is one: None or a message must not pass for safe.
        return self._report("prompt", _PROMPT, "" if safe is True else "unsafe prompt")

    def screen_video(self, result: TransferResult) -> tuple[TransferResult, GuardReport]:
        """Say whether a result may be used, and return it with faces blurred."""
        import warp as wp

        frames = result.rgb.numpy()
        try:
            seen = self._made().check_video_safety(frames.copy())
        except Exception as error:  # noqa: BLE001 - a refusal, and the report names it
            return result, self._report("video", "failed", _failure(error))
        if seen is None or not np.any(seen):
            return result, self._report("video", _VIDEO, "blocked video")
        if np.shape(seen) != frames.shape:
            wrong = f"the guard returned {list(np.shape(seen))} for {list(frames.shape)}"
            return result, self._report("video", "failed", wrong)
        seen = np.asarray(seen, dtype=np.uint8)
        changed = int((seen != frames).any(axis=(1, 2, 3)).sum())
        if changed:
            rgb = wp.array(seen, dtype=wp.uint8, device=result.rgb.device)
            result = TransferResult(rgb=rgb, provenance=result.provenance)
        return result, self._report("video", _VIDEO, "", changed)

    def _made(self) -> Any:
        """Return the checker, made at its first use."""
        if self._checker is None:
            import torch
            from cosmos_guardrail import CosmosSafetyChecker

            made = CosmosSafetyChecker()
            made.to("cuda" if torch.cuda.is_available() else "cpu")
            self._checker = made
        return self._checker

    def _report(self, stage: Any, effective: str, reason: str, faces: int = 0) -> GuardReport:
        return GuardReport(
            allowed=not reason,
            stage=stage,
            requested=self.name,
            effective=effective,
            categories=(reason,) if reason else (),
            faces_blurred=faces,
        )


def _failure(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"the guard failed: {lines[0] if lines else type(error).__name__}"


__all__ = ["CosmosGuard", "SafetyChecker"]
