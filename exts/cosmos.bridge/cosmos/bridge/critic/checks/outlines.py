"""Are the outlines that the labels claim still where they were? Conclusions per frame and per instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from cosmos.bridge.critic.checks.agreement import Agreement, agree
from cosmos.bridge.critic.checks.kept import OutlineLead
from cosmos.bridge.critic.checks.others import median_of_others
from cosmos.bridge.critic.checks.presence import Sight
from cosmos.bridge.critic.checks.split import conclude_split
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, ScoreRows, measured, spans, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Truth
from cosmos.bridge.types import WHOLE_FRAME

IN_PLACE = 1.0
"""What filtering and codecs move an outline by [px]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Means:
    """What was seen of the outline of each thing, on average over its frames; arrays of one length M."""

    owner: np.ndarray
    """Index of the thing, rising, int64."""
    area: np.ndarray
    """Pixels in the source; infinite where the clip has no ids."""
    piece: np.ndarray
    """Those in the largest piece that is seen of it."""
    share: np.ndarray
    """Share of the picture that it fills in the source."""
    sites: np.ndarray
    """Visible outline pixels in the source [px]."""
    roundness: np.ndarray
    """0 for a straight line, 0.5 for a circle."""
    kept: np.ndarray
    """Share of the outline at which the request keeps the source's look."""
    snowed: np.ndarray
    """Share that snow was asked to lie on and that is not kept."""

    def take(self, rows: np.ndarray) -> Means:
        """Return some rows."""
        return Means(**{item.name: getattr(self, item.name)[rows] for item in fields(self)})


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Outlines:
    """What was seen of outlines, one row a frame and owner, by frame; arrays of one length N."""

    frame: np.ndarray
    """Frame number, int64."""
    owner: np.ndarray
    """Index of the thing, -1 where the clip has no ids, int64."""
    area: np.ndarray
    """Pixels in the source; infinite where the clip has no ids."""
    piece: np.ndarray
    """Those in the largest piece that is seen of it."""
    share: np.ndarray
    """Share of the picture that it fills in the source."""
    depth: np.ndarray
    """Mean depth of the outline [m]; 0 without depth."""
    sites: np.ndarray
    """Visible outline pixels in the source [px]."""
    shown: np.ndarray
    """Those among them around which the result shows any structure [px]."""
    weight: np.ndarray
    """Weight of the sites shown."""
    found: np.ndarray
    """Weight of those that have an edge of the right direction in place."""
    roundness: np.ndarray
    """0 for a straight line, 0.5 for a circle."""
    across: np.ndarray
    """Direction ``(x, y)`` that most of its normals share, of length 1, shape [N, 2]."""
    kept: np.ndarray
    """Share of the outline at which the request keeps the source's look."""
    snowed: np.ndarray
    """Share of the outline that snow was asked to lie on: upward faces."""
    source: np.ndarray
    """Shift scores of the source, float32, shape [N, K, K]."""
    result: np.ndarray
    """Shift scores of the result, float32, shape [N, K, K]."""

    def take(self, rows: np.ndarray) -> Outlines:
        """Return some rows."""
        return Outlines(**{item.name: getattr(self, item.name)[rows] for item in fields(self)})

    def rows(self) -> dict[int, np.ndarray]:
        """Return the rows of each owner, by owner."""
        order = np.argsort(self.owner, kind="stable")
        owners, starts = np.unique(self.owner[order], return_index=True)
        return dict(zip(owners.tolist(), np.split(order, starts[1:]), strict=True)) if len(owners) else {}

    def means(self) -> Means:
        """Return what is seen of each owner, on average over its frames."""
        owners, which, count = np.unique(self.owner, return_inverse=True, return_counts=True)

        def mean(values: np.ndarray) -> np.ndarray:
            return np.bincount(which, values, minlength=len(owners)) / count

        return Means(
            owner=owners,
            area=mean(self.area),
            piece=mean(self.piece),
            share=mean(self.share),
            sites=mean(self.sites),
            roundness=mean(self.roundness),
            kept=mean(self.kept),
            snowed=mean(self.snowed * (1.0 - self.kept)),
        )

    def replace(self, **columns: np.ndarray) -> Outlines:
        """Return other values in some columns."""
        return replace(self, **columns)

    @classmethod
    def join(cls, parts: Sequence[Outlines]) -> Outlines:
        """Put the rows of several chunks together."""
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})


def conclude_outlines(
    outlines: Outlines,
    totals: Outlines,
    sights: Mapping[int, Sight],
    truth: Truth,
    thresholds: Mapping[str, Threshold],
    limits: Limits,
) -> Outcome:
    """Hold everything seen against the bars.

    Args:
        outlines: One row a frame and owner.
        totals: One row a frame: the scores of all owners together.
        sights: What was seen of each thing in colours.
        truth: The instances of the clip.
        thresholds: The bars.
        limits: How to measure.
    """
    judge = _Judge(truth, thresholds, limits)
    outcomes = [judge.edges(outlines), judge.frames_moved(totals)]
    if truth.things:
        judged = outlines.take(_judged(outlines, truth, limits))
        outcomes += [judge.moved(judged), conclude_split(sights, truth, thresholds, limits)]
    else:
        text = "Instances could not be checked one by one: the source gives no instance ids."
        outcomes.append(Outcome(findings=(unchecked("boundary_shift", text),)))
    return Outcome.join(outcomes)


def _judged(outlines: Outlines, truth: Truth, limits: Limits) -> np.ndarray:
    """Rows of things whose own outline is seen well enough over the clip, and shows in the result or ought to."""
    things = np.append(truth.single, False)
    rows = np.flatnonzero(things[outlines.owner] & (2 * outlines.sites >= limits.min_sites))
    owners, which, seen = np.unique(outlines.owner[rows], return_inverse=True, return_counts=True)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(which, values[rows], minlength=len(owners)) / np.maximum(seen, 1)

    sites, area = mean(outlines.sites), mean(outlines.area)
    there = np.array([np.count_nonzero(outlines.owner == owner) for owner in owners.tolist()])
    whole = (sites >= limits.min_sites) & (2 * seen > there) & (area >= limits.min_area)
    whole &= (mean(outlines.share) >= limits.min_share) | ~np.isfinite(area)
    whole &= mean(outlines.snowed * (1.0 - outlines.kept)) <= 0.5
    whole &= (mean(outlines.piece) >= limits.min_piece * area) | ~np.isfinite(area)
    shown, depth = mean(outlines.shown) / np.maximum(sites, 1e-9), mean(outlines.depth)
    clear = (sites >= limits.min_sites) & (shown >= limits.clear_shown) & (depth > 0.0) & (mean(outlines.kept) < 0.5)
    farthest = depth[clear].max() if clear.any() else 0.0
    ought = (depth > 0.0) & (0.8 * depth <= farthest) & (mean(outlines.share) < limits.max_share)
    return rows[(whole & ((shown >= limits.min_shown) | ought))[which]]


class _Judge:
    """Holds outlines against bars."""

    def __init__(self, truth: Truth, thresholds: Mapping[str, Threshold], limits: Limits) -> None:
        self._truth, self._thresholds, self._limits = truth, thresholds, limits

    def edges(self, outlines: Outlines) -> Outcome:
        """Share of visible outline pixels that still have an edge, frame by frame."""
        bar = self._thresholds["edges_kept"]
        sites = np.bincount(outlines.frame, outlines.shown)
        shown, kept = np.bincount(outlines.frame, outlines.weight), np.bincount(outlines.frame, outlines.found)
        frames = np.flatnonzero(sites >= 2 * self._limits.min_sites)
        if not len(frames):
            text = "Edges could not be checked: too few boundary pixels show in the result."
            return Outcome(findings=(unchecked("edges_kept", text),))
        share = kept[frames] / np.maximum(shown[frames], 1e-9)
        scores = ScoreRows.of(bar, "edges_kept", frames, WHOLE_FRAME, share)
        failing, worst, findings = frames[~scores.passed], float(share.min()), []
        if len(failing):
            text = (
                f"Only {100 * worst:.0f} % of the visible boundary pixels have their edge in the worst of "
                f"{len(failing)} frames ({spans(failing.tolist())}); {100 * bar.value:.0f} % are needed."
            )
            findings.append(bar.finding("edges_kept", text, worst, failing.tolist()))
        value = measured(self._thresholds, "edges_kept", worst)
        return Outcome(measurements=(value,), findings=tuple(findings), scores=(scores,), proof=True)

    def frames_moved(self, totals: Outlines) -> Outcome:
        """Whether all outlines of a frame moved together."""
        bar, limits = self._thresholds["frame_shift"], self._limits
        seen = totals.take(np.flatnonzero(totals.sites >= limits.min_sites))
        if not len(seen.frame):
            text = "Displaced frames could not be looked for: too few boundary pixels show in the result."
            return Outcome(findings=(unchecked("frame_shift", text),))
        found = agree(seen.source, seen.result, limits=limits, near=0.0, away=limits.frame_away)
        scores = ScoreRows.of(bar, "frame_shift", seen.frame, WHOLE_FRAME, found.margin)
        failing, worst, findings = seen.frame[~scores.passed], float(found.margin.max()), []
        if len(failing):
            length = float(np.median(np.hypot(*found.shift[~scores.passed].T)))
            text = (
                f"The whole picture is displaced by {length:.1f} px against its labels in {len(failing)} frames "
                f"({spans(failing.tolist())}): its outlines agree better there by {worst:.2f} of the source's own "
                f"agreement; {bar.value:.2f} is allowed."
            )
            findings.append(bar.finding("frame_shift", text, worst, failing.tolist()))
        value = measured(self._thresholds, "frame_shift", worst)
        return Outcome(measurements=(value,), findings=tuple(findings), scores=(scores,))

    def moved(self, outlines: Outlines) -> Outcome:
        """Whether the outline of single instances moved."""
        bar = self._thresholds["boundary_shift"]
        outlines = self._distinct(outlines)
        if not len(outlines.frame):
            return Outcome()
        row = _agree(outlines, self._limits)
        scores = self._rows("boundary_shift", outlines, row.margin)
        worst, findings = -1.0, []
        for owner, mine in outlines.rows().items():
            margin, shift, off = self._displaced(outlines, row, mine)
            worst = max(worst, margin)
            if not bar.passes(margin):
                frames = outlines.frame[off].tolist()
                text = (
                    f"{self._truth.name(owner)} is displaced by {shift:.1f} px against its mask in {len(off)} of "
                    f"{len(mine)} frames ({spans(frames)}): its outline agrees better there by {margin:.2f} of the "
                    f"source's own agreement; {bar.value:.2f} is allowed."
                )
                findings.append(bar.finding("boundary_shift", text, margin, frames, self._truth.things[owner]))
        value = measured(self._thresholds, "boundary_shift", worst)
        return Outcome(measurements=(value,), findings=tuple(findings), scores=(scores,))

    def _displaced(self, outlines: Outlines, row: Agreement, mine: np.ndarray) -> tuple[float, float, np.ndarray]:
        """Margin, shift [px] and rows of an instance's displacement: over the clip, or a run of frames that agree."""
        bar, limits = self._thresholds["boundary_shift"], self._limits
        whole = agree_over(outlines, mine, self._limits)
        off = mine[row.margin[mine] > bar.value]
        if len(off):
            off = off[
                np.linalg.norm(row.shift[off] - np.median(row.shift[off], axis=0), axis=1) <= limits.shift_agreement
            ]
        best = float(whole.margin[0]), float(np.hypot(*whole.shift[0])), off if len(off) else mine
        off = _longest_run(off, outlines.frame)
        if len(off) >= max(min(2, len(mine)), limits.run_share * len(mine)):
            part = agree_over(outlines, off, self._limits)
            worst_of = (len(off) < len(mine)) + (2 * len(off) < len(mine))
            margin = float(part.margin[0]) - limits.part_margin * worst_of
            if margin > best[0]:
                best = margin, float(np.hypot(*part.shift[0])), off
        return best

    def _distinct(self, outlines: Outlines) -> Outlines:
        """Leave out instances whose source outline agrees with itself almost anywhere."""
        groups = list(outlines.rows().values())
        if not groups:
            return outlines
        shares = agree_each(outlines, groups, self._limits).distinct
        keep = [mine for mine, share in zip(groups, shares, strict=True) if share >= self._limits.min_distinct]
        return outlines.take(np.sort(np.concatenate(keep))) if keep else outlines.take(np.zeros(0, np.int64))

    def _rows(self, check: str, outlines: Outlines, values: np.ndarray) -> ScoreRows:
        ids = np.array([self._truth.things[owner].id for owner in outlines.owner.tolist()], np.int64)
        return ScoreRows.of(self._thresholds[check], check, outlines.frame, ids, values)


def leads_of(outlines: Outlines, truth: Truth, limits: Limits) -> dict[int, OutlineLead]:
    """What the outline of each thing says of its being there, against those of the others.

    Straight outlines tell nothing of elsewhere.
    """
    mean = outlines.means()
    rows = outlines.rows()
    speaks = _speaks(mean, truth, limits)
    rows = {owner: mine for (owner, mine), told in zip(rows.items(), speaks.tolist(), strict=True) if told}
    if not rows:
        return {}
    mean = mean.take(np.flatnonzero(speaks))
    whole, each = agree_each(outlines, list(rows.values()), limits), _agree(outlines, limits).presence
    counts = (mean.kept < 0.5) & (mean.sites >= limits.min_sites)
    presences = dict(zip(rows, whole.presence.tolist(), strict=True))
    free = {owner: presences[owner] for owner, counted in zip(rows, counts.tolist(), strict=True) if counted}
    usual, found = median_of_others(free, rows, alone=0.0), {}
    for i, (owner, mine) in enumerate(rows.items()):
        expected = usual[owner]
        less = 0.5 * expected + max(float(whole.margin[i]), 0.0) * (mean.roundness[i] >= limits.min_roundness)
        found[owner] = OutlineLead(
            frames=outlines.frame[mine],
            leads=each[mine] - less,
            lead=presences[owner] - less,
            agreement=presences[owner],
            expected=expected,
            sites=float(mean.sites[i]),
            margin=float(whole.margin[i]),
            roundness=float(mean.roundness[i]),
        )
    return found


def _speaks(mean: Means, truth: Truth, limits: Limits) -> np.ndarray:
    """Tell what is one thing, of which a piece holds half, with a few outline pixels, bool, shape [M]."""
    large = (mean.sites >= limits.few_sites) & (mean.share < limits.max_share)
    whole = ~np.isfinite(mean.area) | (mean.piece >= limits.some_piece * mean.area)
    return np.asarray(np.append(truth.single, False)[mean.owner] & large & whole)


def _agree(outlines: Outlines, limits: Limits) -> Agreement:
    return agree(
        outlines.source, outlines.result, limits=limits, near=IN_PLACE, away=limits.instance_away,
        across=outlines.across * (outlines.roundness < limits.min_roundness)[:, None],
    )  # fmt: skip


def agree_over(outlines: Outlines, rows: np.ndarray, limits: Limits) -> Agreement:
    """Agreement of some rows of one thing, taken together; what is straight tells displacement across itself alone."""
    return agree_each(outlines, [rows], limits)


def agree_each(outlines: Outlines, groups: Sequence[np.ndarray], limits: Limits) -> Agreement:
    """Agreement of several groups of rows, none of them empty, those of each taken together."""
    rows, counts = np.concatenate(groups), np.array([len(group) for group in groups])
    starts = np.cumsum(counts) - counts
    source, result, roundness, across = (
        np.add.reduceat(values[rows], starts, axis=0)
        for values in (outlines.source, outlines.result, outlines.roundness, _turned(outlines.across))
    )
    turns = 0.5 * np.arctan2(across[:, 0], across[:, 1])
    across = np.column_stack([np.cos(turns), np.sin(turns)]) * (roundness / counts < limits.min_roundness)[:, None]
    return agree(source, result, limits=limits, near=IN_PLACE, away=limits.instance_away, across=across)


def _turned(across: np.ndarray) -> np.ndarray:
    """Sine and cosine of twice the angle of directions ``(x, y)``, which opposite ones share, shape [N, 2]."""
    x, y = across.T
    return np.column_stack([2.0 * x * y, x * x - y * y])


def _longest_run(rows: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Keep the rows of the longest run of frames without a gap."""
    runs = np.split(rows, np.flatnonzero(np.diff(frame[rows]) > 1) + 1)
    return max(runs, key=len)


__all__ = ["IN_PLACE", "Means", "Outlines", "agree_each", "agree_over", "conclude_outlines", "leads_of"]
