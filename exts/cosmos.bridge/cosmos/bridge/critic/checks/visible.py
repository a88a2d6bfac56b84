"""Can what the labels call visible be seen, or does haze hide it that nobody asked for?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

import cv2
import numpy as np

from cosmos.bridge.critic.checks.groups import Groups
from cosmos.bridge.critic.checks.prompt import understood
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, ScoreRows, measured, spans, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Chunk, Truth
from cosmos.bridge.types import TransferResult
from cosmos.bridge.types.look import haze_extinction

_AROUND = (5, 5)
"""Window whose brightness an edge is held against [px]."""
_FLOOR = 10.0
"""Added to that: contrast of what is nearly black is noise [levels]."""
_ROWS = 2
"""One row of the picture in so many is looked at, in wider ones fewer."""
_GLOWING, _LEFT = 0.95, 0.5
"""Where haze that was asked for lets less through than this, lamps and windows make it glow: so much of the contrast
that it would leave is enough."""
_CLEAREST = 0.3
"""Where haze that was asked for lets less through than this, nobody can say how much a thing should show."""


class VisibleSweep:
    """Holds the contrast that each thing shows in the result against that of the source.

    Contrast is Weber's and Koschmieder's (1924), by which visibility is defined: the step of an edge over the
    brightness around it, at the pixels of a thing where the source has one. Light and shadow change steps and
    brightness alike; haze takes from the step what it does not let through, and adds its own light to the brightness.
    So haze that lets through ``t`` leaves about ``t`` squared, and that much may be missing where the prompt was
    understood to ask for it, by true depth, and half of the rest where it is more than thin, for lamps and windows make
    haze glow. Edges on which snow was asked to lie are not looked at, nor what has hardly any others.
    """

    family = "visible"

    def __init__(
        self,
        result: TransferResult,
        truth: Truth,
        thresholds: Mapping[str, Threshold],
        limits: Limits,
        *,
        kept: Optional[np.ndarray] = None,
        snowed: Optional[np.ndarray] = None,
    ) -> None:
        asked = understood(result)
        self._extinction: Optional[float] = None
        if asked is not None:
            amounts = {name: min(max(asked[name], 0.0), 1.0) for name in ("fog", "rain", "snow", "dust")}
            self._extinction = sum(haze_extinction(**amounts))
        self._truth, self._thresholds, self._limits = truth, thresholds, limits
        self._kept, self._snowed = kept, snowed
        self._ids = np.array([thing.id for thing in truth.things], np.int64)
        self._rows: list[np.ndarray] = []

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in."""
        if chunk.thing is None:
            return
        step, many = _ROWS * max(1, round(chunk.thing.shape[2] / self._limits.usual_width)), len(self._ids)
        new = slice(chunk.halo, None), slice(None, None, step)
        thing = np.ascontiguousarray(chunk.thing[new])
        owner = thing + (many * np.arange(len(thing), dtype=np.int32))[:, None, None]  # of a thing and frame
        source, result = (steep[new] for steep in chunk.steep)
        told = (source >= self._limits.visible_gradient) & (self._ids != 0)[thing]
        if self._snowed is not None:
            frames = slice(chunk.frames.start, chunk.frames.stop), slice(None, None, step)
            free = ~self._snowed[frames]
            if self._kept is not None:
                free |= self._kept[frames] >= 0.5
            edges, left = (np.bincount(owner[part], minlength=many * len(thing)) for part in (told, told & free))
            told &= free & (left > (1.0 - self._limits.max_snowed) * edges)[owner]
        at = np.flatnonzero(told)
        groups = Groups.of(owner.take(at), many * len(thing))
        at = at[groups.order]
        around = (np.stack([cv2.blur(high, _AROUND)[::step] for high in video[chunk.halo :]]).take(at)
                  for video in chunk.highest)  # fmt: skip
        (was, now), levels = (steep.take(at) for steep in (source, result)), [*around]
        through = self._through(None if chunk.depth is None else chunk.depth[new].take(at))
        weber = was / (levels[0] + _FLOOR)
        columns = (
            weber,
            weber * through**2 * np.where(through < _GLOWING, _LEFT, 1.0),
            now / (levels[1] + _FLOOR),
            levels[1],
            through,
        )
        sums = groups.sums([np.broadcast_to(column, len(at)) for column in columns])
        count, area = groups.sizes, np.bincount(owner.ravel(), minlength=many * len(thing))
        seen = np.flatnonzero((step * count >= self._limits.min_sites) & (step * area >= self._limits.min_area))
        frame, thing_seen = np.divmod(seen, many)
        self._rows.append(np.concatenate([[frame + chunk.first, thing_seen], sums[:, seen] / count[seen]]))

    def _through(self, depth: Optional[np.ndarray]) -> np.ndarray:
        """Share of the light that the haze which was asked for lets through; 1 without depth."""
        if depth is None or self._extinction is None:
            return np.ones(1)
        known = np.where(np.isfinite(depth) & (depth > 0.0), depth, 0.0)
        share: np.ndarray = np.exp(-self._extinction * known)
        return share

    def conclude(self) -> Outcome:
        """Hold what each thing shows, in the median of its frames, against the bar."""
        bar = self._thresholds["instance_shown"]
        rows = np.concatenate(self._rows, axis=1) if self._rows else np.zeros((7, 0))
        rows = rows[:, rows[5] >= self._limits.dark_level]
        if not rows.shape[1]:
            text = (
                "What haze hides was not looked for: no instance ids, or the result is dark, or no thing is distinct."
            )
            return Outcome(findings=(unchecked("instance_shown", text),))
        frame, owner = rows[:2].astype(np.int64)
        left = rows[4] / rows[2]
        scores = ScoreRows.of(bar, "instance_shown", frame, self._ids[owner], left)
        if self._extinction is None:
            text = (
                "Whether haze hides what nobody asked it to hide could not be checked: the backend does not record "
                "which conditions it understood."
            )
            return Outcome(findings=(unchecked("instance_shown", text),), scores=(scores,))
        share, clear = rows[4] / rows[3], rows[6] >= _CLEAREST
        values, findings = [], []
        for thing in np.unique(owner).tolist():
            mine = np.flatnonzero((owner == thing) & clear)
            if not len(mine):
                continue
            value = float(np.median(share[mine]))
            values.append(value)
            if not bar.passes(value):
                frames = frame[mine][share[mine] < bar.value].tolist()
                text = (
                    f"{self._truth.name(thing)} is hidden in {len(frames)} frames ({spans(frames)}): it keeps "
                    f"{float(np.median(left[mine])):.2f} of its contrast, where the haze that was asked for may "
                    f"leave {float(np.median(rows[3, mine] / rows[2, mine])):.2f}."
                )
                findings.append(bar.finding("instance_shown", text, value, frames, self._truth.things[thing]))
        if not values:
            text = "What haze hides was not looked for: the haze that was asked for rightly hides all that is distinct."
            return Outcome(findings=(unchecked("instance_shown", text),), scores=(scores,))
        found = measured(self._thresholds, "instance_shown", min(values))
        return Outcome(measurements=(found,), findings=tuple(findings), scores=(scores,))


__all__ = ["VisibleSweep"]
