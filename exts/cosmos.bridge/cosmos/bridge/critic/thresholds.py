"""Every bar of the model-free checks as data: its value, its unit and why it lies there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cosmos.bridge.types import FindingKind, Severity


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """The bar of one check."""

    value: float
    """The bar itself, in ``unit``."""
    better: Literal["higher", "lower"]
    """Which side of the bar passes; the bar itself passes."""
    best: float
    """What a flawless clip measures, in ``unit``; score 1."""
    unit: str
    """Unit, empty for a ratio."""
    kind: FindingKind
    """Family of the fault."""
    severity: Severity
    """What a clip on the wrong side gets."""
    reason: str
    """Why the bar lies there."""

    def passes(self, value: float) -> bool:
        """Whether a measured value is on the right side; NaN is not."""
        return value >= self.value if self.better == "higher" else value <= self.value

    def quality(self, value: float) -> float:
        """Map a value to [0, 1]: 1 at ``best``, 0.5 at the bar, 0 as far beyond; NaN gives 0.

        Where the bar is the best value itself (a count of 0), one beyond it gives 0.
        """
        span = abs(self.best - self.value) or 0.5
        distance = (self.best - value) if self.better == "higher" else (value - self.best)
        quality = 1.0 - 0.5 * distance / span
        return min(max(quality, 0.0), 1.0) if quality == quality else 0.0


THRESHOLDS: Mapping[str, Threshold] = {
    "blank_frames": Threshold(
        value=0.0,
        better="lower",
        best=0.0,
        unit="frames",
        kind="artefact",
        severity="reject",
        reason="A black, white or flat frame where the source shows a scene carries no label at all.",
    ),
    "frozen_frames": Threshold(
        value=0.0,
        better="lower",
        best=0.0,
        unit="frames",
        kind="physics",
        severity="reject",
        reason="The picture stands still where the source moves: labels of the next frame no longer fit.",
    ),
    "frame_order": Threshold(
        value=0.0,
        better="lower",
        best=0.0,
        unit="frames",
        kind="physics",
        severity="reject",
        reason="A frame whose moving structure fits another moment of the source better than its own carries the "
        "labels of the wrong moment.",
    ),
    "edges_kept": Threshold(
        value=0.5,
        better="higher",
        best=1.0,
        unit="",
        kind="geometry",
        severity="reject",
        reason="Share of visible boundary pixels with an edge of the right direction within 1 px, in the worst frame; "
        "an unrelated picture of the same kind keeps 0.2 to 0.4 by chance.",
    ),
    "edge_f1": Threshold(
        value=0.15,
        better="higher",
        best=1.0,
        unit="",
        kind="geometry",
        severity="warning",
        reason="F1 of Canny edges with 2 px tolerance at equal contrast, for comparison with others; weather rightly "
        "adds and hides edges and noise fits by chance, so it only warns and is left out of the score.",
    ),
    "frame_shift": Threshold(
        value=1.5,
        better="lower",
        best=0.0,
        unit="px",
        kind="geometry",
        severity="reject",
        reason="All boundaries of a frame together moved; 1 px is within what filtering and codecs do.",
    ),
    "boundary_shift": Threshold(
        value=2.5,
        better="lower",
        best=0.0,
        unit="px",
        kind="geometry",
        severity="reject",
        reason="The boundary of one instance moved; at 3 px the mask of a 30 px object is off by a fifth of its area.",
    ),
    "instance_kept": Threshold(
        value=0.25,
        better="higher",
        best=1.0,
        unit="",
        kind="label",
        severity="reject",
        reason="Contrast across the boundary of an instance against that of what is as far away or farther: fog and "
        "night weaken all of them, only a vanished object loses its own.",
    ),
    "flicker_level": Threshold(
        value=6.0,
        better="lower",
        best=0.0,
        unit="levels",
        kind="flicker",
        severity="reject",
        reason="Median change of colour from frame to frame along true motion, beyond 1.5 times the source's; people "
        "see whole-field flicker from 1 to 2 % (3 to 5 of 255 levels).",
    ),
    "flicker_texture": Threshold(
        value=8.0,
        better="lower",
        best=0.0,
        unit="levels",
        kind="flicker",
        severity="reject",
        reason="Median deviation from that change, beyond 1.5 times the source's: texture that boils or swims; the "
        "median leaves flakes and streaks out.",
    ),
}
"""Check name -> bar, causes before their consequences: verdicts list them in this order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How the checks measure; what lies outside is not judged, and is said to be so."""

    chunk: int = 8
    """Frames held in memory at a time."""
    search_radius: int = 6
    """Largest shift looked for [px]; farther away chance finds a fit more often than the truth does."""
    visible_gradient: float = 4.0
    """A boundary pixel counts where the source changes by at least this much there, and a boundary is missed where at
    least this much was to be expected [levels/px]."""
    noise_gradient: float = 2.0
    """Gradients well below this are noise [levels/px]."""
    dark_level: float = 24.0
    """Where the result is darker all around, a missing edge proves nothing [levels]."""
    chance_distance: float = 6.0
    """So far beside a boundary, texture and noise alone answer [px]; what they answer is subtracted."""
    white_level: float = 250.0
    """Where the result is brighter all around, it is overexposed and a missing edge proves nothing [levels]."""
    min_sites: int = 40
    """Fewest visible boundary pixels of an instance that are judged [px]."""
    max_sites: int = 300
    """Boundary pixels of an instance and frame that are looked at [px]; more are thinned evenly."""
    frame_sites: int = 8000
    """Boundary pixels of a frame that are looked at, about [px]."""
    min_roundness: float = 0.1
    """Boundaries straighter than this tell no displacement along themselves; 0 is a line, 0.5 a circle."""
    min_relief: float = 0.5
    """Share of a boundary at which depth must jump before its absence is a fault: snow may cover a flat marking."""
    shift_distinct: float = 0.75
    """The source itself, shifted by as much, must fit worse than this times its fit in place."""
    shift_fit: float = 0.7
    """A shifted boundary must fit at least so well, against what the source shows in place."""
    shift_gain: float = 1.4
    """A shifted boundary must fit so many times better than an unshifted one."""
    shift_agreement: float = 1.5
    """Displacements in different frames are of one fault if they differ by no more than this [px]."""
    shift_share: float = 0.3
    """Share of the frames that must agree on a displacement ..."""
    strong_shift_gain: float = 1.6
    """... unless two frames show it as clearly as this."""
    fit_present: float = 0.4
    """A boundary that is found in place by so much of its length has not vanished, however faint it is."""
    max_chance: float = 0.4
    """Contrast beside a boundary, against its own in the source, above which its absence proves nothing."""
    gone_share: float = 0.5
    """Share of its frames in which an instance must be gone."""
    neighbour_depth: float = 0.85
    """Neighbours of an instance are those at least this many times as far away."""
    flicker_samples: int = 60_000
    """Pixels of a frame that flicker is measured on, about."""
    min_flicker_samples: int = 100
    """Fewest of them in an instance that is judged."""
    min_texture_samples: int = 800
    """Fewest of them for texture: streaks and flakes cover a small instance for a moment."""
    source_flicker: float = 1.5
    """So many times the source's own residual is allowed before anything counts as flicker."""
    min_moving: float = 0.002
    """Smallest share of the picture that must move in the source before standing still proves something."""
    order_window: int = 96
    """Frames among which the best match of a frame is looked for."""
    order_width: int = 160
    """Width at which frames are matched [px], about."""
    order_margin: float = 0.35
    """Another frame must fit better by this share of the difference that the source itself shows between the two."""
    order_distinct: float = 0.02
    """Frames of the source that correlate more than 1 minus this cannot be told apart, and need not be."""
    order_tolerance: float = 1.0
    """A frame that its own moment explains as well when displaced by so much is not misplaced in time [px]."""
    order_evidence: float = 0.12
    """Weakest correlation of moving structure that still proves something."""
    max_findings: int = 24
    """Most findings in a verdict; the rest is counted in one."""


__all__ = ["THRESHOLDS", "Limits", "Threshold"]
