"""Which clips a critic is tried on: our own scenes under many prompts, or the user's, tuning and proving kept apart."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from cosmos.bridge.errors import ConfigError

FAMILIES = ("warehouse", "random", "street", "random", "random", "tabletop", "random", "random")
"""Whose turn it is: over half of the scenes are random yards, streets, fields, halls, rooms and table tops."""

PROMPTS = {
    "clear-day": "a clear sunny day",
    "night": "at night, under the lamps",
    "fog": "in fog",
    "snow": "covered in snow, it is snowing",
    "golden-hour": "golden hour, low warm evening sun",
    "rain": "rain, wet ground",
    "overcast": "an overcast grey day",
    "dusk": "dusk, shortly after sunset",
    "dust": "a dusty haze in the air",
    "night-snow": "a snowy night",
}
"""Name -> text: light and weather, which any Transfer model can follow."""

FIRST_SEED = 760_000
"""Seeds of random scenes from here on; training and its evaluation use others."""

Part = Literal["tune", "prove"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipPlan:
    """One clip to make: a scene, a camera, some frames and a prompt."""

    name: str
    """Name of its file."""
    family: str
    """``warehouse``, ``tabletop``, ``street`` or ``random``; ``source`` for the user's own."""
    seed: int
    """Seed of the scene, and of the transfer."""
    source: str = ""
    """Path of the user's stage, folder or video; empty for our own scenes."""
    first: int = 0
    """First time code."""
    num_frames: int = 8
    """Frames of the clip."""
    step: int = 2
    """Time codes from frame to frame."""
    prompt_name: str = ""
    """Name of the prompt."""
    prompt: str
    """What the result should look like."""
    protect: bool = False
    """Whether one instance keeps its look by a ``vis`` weight of 1."""
    part: Part
    """``tune`` where bars may be chosen, ``prove`` where they are held against; no scene is in both."""

    @property
    def scene(self) -> str:
        """What two clips of one scene share; a bootstrap draws whole scenes."""
        return self.source or f"{self.family}_{self.seed}"

    @property
    def key(self) -> str:
        """Short hash of everything that decides the pixels; another plan never takes its file."""
        return hashlib.sha256(repr(sorted(asdict(self).items())).encode()).hexdigest()[:10]


def plan_suite(clips: int, *, num_frames: int = 8, step: int = 2) -> tuple[ClipPlan, ...]:
    """Plan clips over all our scenes: two prompts a scene, one scene in three to tune on.

    A longer suite begins with the clips of a shorter one.

    Args:
        clips: How many, >= 1.
        num_frames: Frames of each clip.
        step: Time codes from frame to frame; 1 is 24 frames a second.

    Raises:
        ConfigError: If a number is below 1.
    """
    _check(clips, num_frames, step)
    plans = []
    for number in range(clips):
        scene, variant = divmod(number, 2)
        family = FAMILIES[scene % len(FAMILIES)]
        seed = scene // len(FAMILIES) if family != "random" else FIRST_SEED + scene
        prompt_name = list(PROMPTS)[(3 * scene + 5 * variant + scene // len(PROMPTS)) % len(PROMPTS)]
        first = (7 * scene) % 25 if family != "random" else 0
        part: Part = "tune" if scene % 3 == 0 else "prove"
        plans.append(
            ClipPlan(
                name=f"{number:04d}_{family}_{prompt_name}",
                family=family,
                seed=seed,
                first=first,
                num_frames=num_frames,
                step=step,
                prompt_name=prompt_name,
                prompt=PROMPTS[prompt_name],
                protect=variant == 1,
                part=part,
            )
        )
    return tuple(plans)


def plan_sources(
    sources: Sequence[str],
    prompts: Sequence[str],
    clips: int,
    *,
    num_frames: int = 8,
    step: int = 2,
) -> tuple[ClipPlan, ...]:
    """Plan clips of the user's own stages, folders or videos: each source under each prompt in turn, then other frames.

    One source in three is tuned on; where there is one source alone, every third clip of it.

    Args:
        sources: Paths.
        prompts: Texts; none takes ours.
        clips: How many, >= 1.
        num_frames: Frames of each clip.
        step: Time codes from frame to frame.

    Raises:
        ConfigError: If a number is below 1 or there is no source.
    """
    _check(clips, num_frames, step)
    if not sources:
        raise ConfigError("A suite of your own scenes needs at least one source; give a stage, folder or mp4.")
    texts = dict(PROMPTS) if not prompts else {f"prompt-{index}": text for index, text in enumerate(prompts)}
    names = list(texts)
    plans = []
    for number in range(clips):
        turn, index = divmod(number, len(sources))
        window, choice = divmod(turn, len(names))
        alone = len(sources) < 3
        prompt_name = names[choice]
        plans.append(
            ClipPlan(
                name=f"{number:04d}_{Path(sources[index]).stem[:24]}_{prompt_name}",
                family="source",
                seed=number,
                source=str(Path(sources[index]).absolute()),
                first=window * num_frames * step,
                num_frames=num_frames,
                step=step,
                prompt_name=prompt_name,
                prompt=texts[prompt_name],
                protect=number % 2 == 1,
                part="tune" if (number if alone else index) % 3 == 0 else "prove",
            )
        )
    return tuple(plans)


def _check(clips: int, num_frames: int, step: int) -> None:
    for name, value in (("clips", clips), ("frames", num_frames), ("step", step)):
        if value < 1:
            raise ConfigError(f"A suite needs {name} >= 1, got {value}.")


__all__ = ["FAMILIES", "FIRST_SEED", "PROMPTS", "ClipPlan", "Part", "plan_sources", "plan_suite"]
