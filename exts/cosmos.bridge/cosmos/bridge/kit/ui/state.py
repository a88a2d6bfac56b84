"""What a person has set in the panel; frozen, and saved as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from cosmos.bridge.errors import ConfigError
from cosmos.bridge.kit.ui.presets import AS_IT_IS, PRESETS, words_of

KINDS = ("edge", "depth", "seg", "vis")
"""Controls that every clip has."""
PLACES = ("here", "worker")
"""Where a take's model may run; a batch host cannot, for frames that were captured live are gone by then."""
ANY_MEMORY = "any"
MEMORIES = (ANY_MEMORY, "16", "24", "32", "48", "80")
"""Memory of the model's device [GB] that there is a profile for."""
_CHOSEN = {"placement": PLACES, "memory": MEMORIES}
RANGES: Mapping[str, tuple[int, int]] = {
    "width": (16, 8192),
    "height": (16, 8192),
    "num_frames": (1, 10_000),
    "seed": (0, 2**31 - 1),
    "variants": (1, 100),
    "max_attempts": (1, 100),
}
"""Whole numbers -> lowest and highest value; a field may hold another one while it is typed, but no start does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassWeights:
    """Weights of one semantic class, where it has its own."""

    edge: float = 0.5
    """Weight of the Canny edges on its pixels, in [0, 1]."""
    depth: float = 0.5
    """Weight of the depth video."""
    seg: float = 0.0
    """Weight of the instance colours."""
    vis: float = 0.0
    """Weight of the blurred picture: 1 keeps its looks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PanelState:
    """Every field of the panel."""

    cameras: tuple[str, ...] = ()
    """Prim paths of the cameras to capture."""
    height: int = 704
    """Height of the pictures [px]."""
    width: int = 1280
    """Width of the pictures [px]."""
    num_frames: int = 93
    """Frames to capture."""
    edge: float = 0.5
    """Weight of the Canny edges, in [0, 1]."""
    depth: float = 0.5
    """Weight of the depth video."""
    seg: float = 0.0
    """Weight of the instance colours."""
    vis: float = 0.0
    """Weight of the blurred picture."""
    classes: Mapping[str, ClassWeights] = field(default_factory=dict)
    """Label -> weights of its own."""
    prompt: str = ""
    """What results should look like."""
    negative_prompt: str = ""
    """What they should not look like."""
    weather: str = AS_IT_IS
    """Name in ``PRESETS["weather"]``."""
    light: str = AS_IT_IS
    """Name in ``PRESETS["light"]``."""
    material: str = AS_IT_IS
    """Name in ``PRESETS["material"]``."""
    live_shares: bool = True
    """Whether the shares of classes are counted all the time."""
    output_dir: str = ""
    """Folder of the takes."""
    write_stage: bool = True
    """Whether a results layer is written."""
    write_report: bool = True
    """Whether a report is written."""
    transfer: str = "embedded"
    """Name of the Transfer backend."""
    placement: str = "here"
    """Where the Transfer model runs, one of PLACES."""
    transfer_device: str = ""
    """Device of the Transfer model alone; empty takes that of the run."""
    worker_python: str = ""
    """Python of the worker; empty takes Kit's own."""
    memory: str = ANY_MEMORY
    """Memory whose profile is taken, one of MEMORIES."""
    fall_back: bool = False
    """Whether the next smaller profile is taken when memory runs out."""
    seed: int = 0
    """Seed of the first variant, >= 0."""
    seed_locked: bool = True
    """Whether every start takes the same seed; else the next start takes another."""
    variants: int = 1
    """Results a camera and prompt."""
    critic: str = "consistency"
    """Name of the critic."""
    min_score: float = 0.0
    """Score, in [0, 1], below which a result is rejected although the critic found no fault."""
    max_attempts: int = 2
    """Tries a clip gets while the critic says no."""

    def __post_init__(self) -> None:
        for group, names in PRESETS.items():
            chosen = getattr(self, group)
            if chosen not in names:
                raise ConfigError(f"{group} {chosen!r} is no preset; there is {', '.join(names)}.")
        for name, known in _CHOSEN.items():
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}.")

    @property
    def whole_prompt(self) -> str:
        """The prompt with the words of the presets."""
        return words_of(self.prompt, {group: getattr(self, group) for group in PRESETS})

    def line(self) -> dict[str, Any]:
        """Return the settings of `BridgeConfig` that these fields mean."""
        weights: dict[str, Any] = {kind: getattr(self, kind) for kind in KINDS}
        if self.classes:
            weights["regions"] = [
                {"classes": [label], **{kind: getattr(own, kind) for kind in KINDS}}
                for label, own in sorted(self.classes.items())
            ]
        line: dict[str, Any] = {
            "prompts": [self.whole_prompt],
            "weights": weights,
            "transfer": self.transfer,
            "critic": self.critic,
            "min_score": self.min_score,
            "seed": self.seed,
            "variants": self.variants,
            "retry": {"max_attempts": self.max_attempts},
        }
        if self.negative_prompt.strip():
            line["negative_prompt"] = self.negative_prompt.strip()
        if self.offload:
            line["offload"] = self.offload
        return line

    @property
    def offload(self) -> dict[str, Any]:
        """What is set of where the model runs and how it fits there, as the settings of `OffloadPolicy`."""
        given = {
            "placement": "" if self.placement == "here" else self.placement,
            "device": self.transfer_device.strip(),
            "python": self.worker_python.strip(),
            "memory": 0 if self.memory == ANY_MEMORY else int(self.memory),
            "fall_back": self.fall_back,
        }
        return {name: value for name, value in given.items() if value}

    def sinks(self, *, saved: bool) -> list[str]:
        """Return the names of what is written; a layer needs a saved stage."""
        extra = [("stage", self.write_stage and saved), ("report", self.write_report)]
        return ["dataset", *(name for name, wanted in extra if wanted)]

    def with_class(self, label: str, weights: Optional[ClassWeights]) -> PanelState:
        """Return a state where a class has weights of its own, or none any more."""
        classes = {name: own for name, own in self.classes.items() if name != label}
        if weights is not None:
            classes[label] = weights
        return replace(self, classes=classes)


__all__ = ["ANY_MEMORY", "KINDS", "MEMORIES", "PLACES", "RANGES", "ClassWeights", "PanelState"]
