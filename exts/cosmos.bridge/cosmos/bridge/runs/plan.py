"""The plan of a run: which clips it makes, in which order, with which seeds; decided by the config alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from cosmos.bridge.config import BridgeConfig, Prompt

_RETRY_STRIDE = 1_000_003


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedClip:
    """One clip to be made."""

    name: str
    """Name in the output, e.g. ``clip_0003``."""
    camera: Optional[str]
    """Prim path; ``None`` takes the source's own camera."""
    prompt: Prompt
    """The look."""
    variant: int
    """Number of the variant, from 0."""
    seed: int
    """Seed of the first attempt."""

    def seed_of(self, attempt: int) -> int:
        """Return the seed of an attempt (1 for the first): it depends on nothing but the plan."""
        return self.seed + (attempt - 1) * _RETRY_STRIDE


def plan_clips(config: BridgeConfig) -> tuple[PlannedClip, ...]:
    """List every clip of a run: camera by camera, then prompt by prompt, then variant by variant."""
    cameras: tuple[Optional[str], ...] = config.cameras or (None,)
    choices = [
        (camera, prompt, variant)
        for camera in cameras
        for prompt in config.prompts
        for variant in range(config.variants)
    ]
    return tuple(
        PlannedClip(name=f"clip_{index:04d}", camera=camera, prompt=prompt, variant=variant, seed=config.seed + variant)
        for index, (camera, prompt, variant) in enumerate(choices)
    )


__all__ = ["PlannedClip", "plan_clips"]
