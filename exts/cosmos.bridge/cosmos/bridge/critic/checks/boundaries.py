"""Are the outlines that the labels claim still where they were? Per frame and per instance."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Optional

import cv2
import numpy as np

from cosmos.bridge.critic.outcome import Outcome, measured, spans, unchecked
from cosmos.bridge.critic.thresholds import Limits, Threshold
from cosmos.bridge.critic.truth import Chunk, Truth, boundary_sites
from cosmos.bridge.kernels.boundary import color_gradient, shift_scores
from cosmos.bridge.types import Finding, Measurement

_NEAR = np.array([(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)], np.int32)
_COLUMNS = (
    "frame",
    "owner",
    "sites",
    "depth",
    "sites_shown",
    "kept",
    "shown",
    "contrast",
    "contrast_source",
    "chance",
    "roundness",
    "relief",
    "down",
    "right",
    "shift_gain",
    "shift_fit",
    "fit",
)


class BoundarySweep:
    """Looks at boundary pixels, chunk by chunk, and concludes on edges, displacement and vanished instances.

    A boundary pixel counts by how much the *source picture* changes there. Its direction is the source's; the result
    may have any contrast and sign. What the result hides in darkness is not judged.
    """

    def __init__(self, truth: Truth, thresholds: Mapping[str, Threshold], limits: Limits) -> None:
        self._truth, self._thresholds, self._limits = truth, thresholds, limits
        self._rows: list[np.ndarray] = []
        self._frame_shift: dict[int, float] = {}
        self._small: set[int] = set()

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in."""
        new = slice(chunk.halo, None)
        source = color_gradient(chunk.source[new]).numpy()
        result = color_gradient(chunk.result[new]).numpy()
        index = None if chunk.index is None else chunk.index[new]
        depth = None if chunk.depth is None else chunk.depth[new].numpy()
        sites, owners = self._sites(source, index, depth)
        gradient = source[tuple(sites.T)]
        magnitude = np.linalg.norm(gradient, axis=1)
        weight = np.minimum(magnitude, 10.0 * self._limits.visible_gradient)
        weight[magnitude < self._limits.visible_gradient] = 0.0
        weight[_hidden(chunk.result[new].numpy(), sites, self._limits)] = 0.0
        seen = weight > 0.0
        if index is not None:
            self._small |= set(owners.tolist()) - set(owners[seen].tolist())
        sites, owners, gradient, magnitude, weight = (
            array[seen] for array in (sites, owners, gradient, magnitude, weight)
        )
        if not len(sites):
            return
        normals = (gradient / magnitude[:, None]).astype(np.float32)
        flat_source, _ = _flatten(source, self._limits)
        flat_result, strength = _flatten(result, self._limits)
        weight = weight * (strength[tuple(sites.T)] >= self._limits.noise_gradient)
        rows = self._measure(sites, owners, normals, weight, (source, result), (flat_source, flat_result))
        rows["depth"] = _median_depth(depth, sites, rows["bounds"])
        rows["relief"] = _relief(depth, sites, rows["bounds"])
        scores = self._scores(sites, normals, rows["bounds"], (flat_source, flat_result))
        shift, rows["shift_gain"], rows["shift_fit"], rows["fit"] = _best_shift(scores[0], scores[1], self._limits)
        rows["down"], rows["right"] = shift.T
        rows["frame"] = rows["frame"] + chunk.first
        for frame in np.unique(rows["frame"]):
            mine = rows["frame"] == frame
            totals = [score[mine].sum(axis=0, keepdims=True) for score in scores]
            shift, gain, fit, _ = _best_shift(totals[0], totals[1], self._limits, near=0.0)
            proven = gain[0] >= self._limits.shift_gain and fit[0] >= self._limits.shift_fit
            self._frame_shift[int(frame)] = float(np.hypot(*shift[0])) if proven else 0.0
        self._rows.append(np.stack([rows[name].astype(np.float64) for name in _COLUMNS], axis=1))

    def _scores(
        self, sites: np.ndarray, normals: np.ndarray, bounds: np.ndarray, flat: tuple[np.ndarray, np.ndarray]
    ) -> list[np.ndarray]:
        """How many sites of each segment find the source's edge again, in source and result, under every shift."""
        import warp as wp

        there = flat[0][tuple(sites.T)]
        expected = np.maximum(np.abs((there * normals).sum(axis=1)), 1e-3)
        arrays = (
            wp.array(np.ascontiguousarray(sites, np.int32), dtype=wp.int32, device="cpu"),
            wp.array((normals / expected[:, None]).astype(np.float32), dtype=wp.float32, device="cpu"),
            wp.ones(len(sites), dtype=wp.float32, device="cpu"),
            wp.array(bounds.astype(np.int32), dtype=wp.int32, device="cpu"),
        )
        fields = (wp.array(field, dtype=wp.float32, device="cpu") for field in flat)
        return [shift_scores(field, *arrays, radius=self._limits.search_radius).numpy() for field in fields]

    def _sites(
        self, source: np.ndarray, index: Optional[np.ndarray], depth: Optional[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Boundary pixels ``(frame, y, x)`` and their owners, sorted by frame and owner, thinned evenly."""
        if index is None and depth is None:
            mask = np.linalg.norm(source, axis=3) >= 3.0 * self._limits.visible_gradient
        else:
            mask = boundary_sites(index, depth, self._truth.areas)
        sites = np.argwhere(mask).astype(np.int32)
        owners = np.full(len(sites), -1, np.int32) if index is None else index[mask]
        order = np.lexsort((owners, sites[:, 0]))
        sites, owners = sites[order], owners[order]
        bounds = _bounds(sites[:, 0], owners)
        counts = np.diff(bounds)
        segments = np.maximum(np.bincount(sites[bounds[:-1], 0], minlength=len(source)), 1) if len(sites) else None
        if segments is None:
            return sites, owners
        limit = self._limits.max_sites if index is not None else self._limits.frame_sites
        share = np.clip(self._limits.frame_sites // segments, 3 * self._limits.min_sites, limit)
        steps = -(-counts // share[sites[bounds[:-1], 0]])
        rank = np.arange(len(sites)) - np.repeat(bounds[:-1], counts)
        keep = rank % np.repeat(steps, counts) == 0
        return sites[keep], owners[keep]

    def _measure(
        self,
        sites: np.ndarray,
        owners: np.ndarray,
        normals: np.ndarray,
        weight: np.ndarray,
        raw: tuple[np.ndarray, np.ndarray],
        flat: tuple[np.ndarray, np.ndarray],
    ) -> dict[str, np.ndarray]:
        """Sum per frame and owner what does not need a search."""
        bounds = _bounds(sites[:, 0], owners)
        flat_source, flat_result = (_near_peak(field, sites, normals) for field in flat)
        raw_source, raw_result = (_near_peak(field, sites, normals) for field in raw)
        chance_source, chance_result = (
            _chance_peak(field, sites, normals, self._limits.chance_distance) for field in raw
        )
        kept = weight * (flat_result >= 0.5 * flat_source)
        return {
            "bounds": bounds,
            "frame": sites[bounds[:-1], 0],
            "owner": owners[bounds[:-1]],
            "sites": np.diff(bounds),
            "kept": np.add.reduceat(kept, bounds[:-1]),
            "shown": np.add.reduceat(weight, bounds[:-1]),
            "sites_shown": np.add.reduceat(weight > 0.0, bounds[:-1]),
            "contrast": np.add.reduceat(np.minimum(raw_result, 2.0 * raw_source) - chance_result, bounds[:-1]),
            "contrast_source": np.add.reduceat(raw_source - chance_source, bounds[:-1]),
            "chance": np.add.reduceat(chance_result, bounds[:-1]),
            "roundness": _roundness(normals, bounds),
        }

    def conclude(self) -> Outcome:
        """Hold everything seen against the bars."""
        if not self._rows:
            text = "No boundary could be checked: the source shows none, or the result hides all of them in darkness."
            return Outcome(findings=(unchecked("edges_kept", text),))
        table = np.concatenate(self._rows)
        columns = {name: table[:, i] for i, name in enumerate(_COLUMNS)}
        outcomes = [self._edges(columns), self._frames_moved()]
        if self._truth.instances:
            outcomes += [self._moved(columns), self._vanished(columns), self._left_out(columns)]
        else:
            text = "Instances could not be checked one by one: the source gives no instance ids."
            outcomes.append(Outcome(findings=(unchecked("boundary_shift", text),)))
        return Outcome(
            measurements=tuple(m for outcome in outcomes for m in outcome.measurements),
            findings=tuple(f for outcome in outcomes for f in outcome.findings),
            proof=any(outcome.proof for outcome in outcomes),
        )

    def _edges(self, columns: Mapping[str, np.ndarray]) -> Outcome:
        """Share of visible boundary pixels that still have an edge, frame by frame."""
        bar = self._thresholds["edges_kept"]
        frames = columns["frame"].astype(np.int64)
        sites = np.bincount(frames, columns["sites_shown"])
        shown, kept = np.bincount(frames, columns["shown"]), np.bincount(frames, columns["kept"])
        judged = sites >= self._limits.min_sites
        if not judged.any():
            text = "Edges could not be checked: too few boundary pixels show in the result."
            return Outcome(findings=(unchecked("edges_kept", text),))
        share = np.where(judged, kept / np.maximum(shown, 1e-9), 1.0)
        failing = np.flatnonzero(~np.array([bar.passes(value) for value in share]))
        findings = []
        if len(failing):
            text = (
                f"Only {100 * share.min():.0f} % of the visible boundary pixels have their edge in the worst of "
                f"{len(failing)} frames ({spans(failing.tolist())}); {100 * bar.value:.0f} % are needed."
            )
            findings.append(self._finding("edges_kept", text, share.min(), failing.tolist()))
        return Outcome(measurements=(self._value("edges_kept", share.min()),), findings=tuple(findings), proof=True)

    def _frames_moved(self) -> Outcome:
        """Whether all boundaries of a frame moved together."""
        bar = self._thresholds["frame_shift"]
        worst = max(self._frame_shift.values())
        failing = [frame for frame, shift in self._frame_shift.items() if not bar.passes(shift)]
        findings = []
        if failing:
            text = (
                f"The whole picture is displaced by up to {worst:.1f} px against its labels in {len(failing)} frames "
                f"({spans(failing)}); {bar.value:.1f} px are allowed."
            )
            findings.append(self._finding("frame_shift", text, worst, failing))
        return Outcome(measurements=(self._value("frame_shift", worst),), findings=tuple(findings))

    def _moved(self, columns: Mapping[str, np.ndarray]) -> Outcome:
        """Whether the boundary of single instances moved."""
        bar, limits = self._thresholds["boundary_shift"], self._limits
        judged = (columns["sites"] >= limits.min_sites) & (columns["roundness"] >= limits.min_roundness)
        worst, findings = 0.0, []
        for owner in self._owners(columns, judged):
            mine = judged & (columns["owner"] == owner)
            shift, gain = np.hypot(columns["down"], columns["right"])[mine], columns["shift_gain"][mine]
            frames = columns["frame"][mine].astype(int)
            vectors = np.stack([columns["down"][mine], columns["right"][mine]], axis=1)
            off = (gain >= limits.shift_gain) & (columns["shift_fit"][mine] >= limits.shift_fit) & (shift > bar.value)
            if off.any():
                off &= np.linalg.norm(vectors - np.median(vectors[off], axis=0), axis=1) <= limits.shift_agreement
            strong = off & (gain >= limits.strong_shift_gain)
            proven = off.sum() >= max(2, limits.shift_share * len(off)) or strong.sum() >= min(2, len(off))
            value = float(np.median(shift[off])) if proven else 0.0
            worst = max(worst, value)
            if proven:
                text = (
                    f"{self._truth.name(owner)} is displaced by {value:.1f} px against its mask in {int(off.sum())} of "
                    f"{len(off)} frames ({spans(frames[off].tolist())}); {bar.value:.1f} px are allowed."
                )
                findings.append(self._finding("boundary_shift", text, value, frames[off].tolist(), owner))
        if not judged.any():
            return Outcome()
        return Outcome(measurements=(self._value("boundary_shift", worst),), findings=tuple(findings))

    def _vanished(self, columns: Mapping[str, np.ndarray]) -> Outcome:
        """Whether an instance lost its contrast while others as far away kept theirs."""
        bar, limits = self._thresholds["instance_kept"], self._limits
        source = columns["contrast_source"] / columns["sites"]
        strong = (columns["sites"] >= limits.min_sites) & (source >= 3.0 * limits.visible_gradient)
        strong &= ~(columns["relief"] < limits.min_relief)
        strong &= columns["chance"] <= limits.max_chance * columns["contrast_source"]
        retention = np.maximum(columns["contrast"], 0.0) / np.maximum(columns["contrast_source"], 1e-9)
        relative = np.full(len(retention), np.nan)
        in_place = np.hypot(columns["down"], columns["right"]) <= limits.shift_agreement
        for row in np.flatnonzero(strong).tolist():
            depth = columns["depth"][row]
            others = strong & (columns["frame"] == columns["frame"][row]) & (columns["owner"] != columns["owner"][row])
            if np.isfinite(depth):
                others &= columns["depth"] >= limits.neighbour_depth * depth
            if others.any():
                expected = float(np.median(retention[_closest(columns["depth"], row, others)]))
                if expected * source[row] >= limits.visible_gradient:
                    there = columns["fit"][row] >= limits.fit_present or in_place[row]
                    relative[row] = 1.0 if there else min(retention[row] / expected, 1.0)
        judged = np.isfinite(relative)
        worst, findings = 1.0, []
        for owner in self._owners(columns, judged):
            mine = judged & (columns["owner"] == owner)
            frames, kept = columns["frame"][mine].astype(int), relative[mine]
            gone = ~np.array([bar.passes(value) for value in kept])
            proven = gone.sum() >= max(min(2, len(gone)), limits.gone_share * len(gone))
            value = float(np.median(kept[gone])) if proven else max(float(kept.min()), bar.value)
            worst = min(worst, value)
            if proven:
                text = (
                    f"{self._truth.name(owner)} has vanished in {int(gone.sum())} of {len(gone)} frames "
                    f"({spans(frames[gone].tolist())}): its boundary keeps {100 * value:.0f} % of the contrast that "
                    f"things as far away keep; {100 * bar.value:.0f} % are needed."
                )
                findings.append(self._finding("instance_kept", text, value, frames[gone].tolist(), owner))
        if not judged.any():
            text = (
                "Vanished instances could not be looked for: none has a visible boundary and a neighbour as far away."
            )
            return Outcome(findings=(unchecked("instance_kept", text),))
        return Outcome(measurements=(self._value("instance_kept", worst),), findings=tuple(findings), proof=True)

    def _left_out(self, columns: Mapping[str, np.ndarray]) -> Outcome:
        """Name the instances that no frame shows well enough to judge."""
        judged = set(self._owners(columns, columns["sites"] >= self._limits.min_sites))
        known = {i for i, instance in enumerate(self._truth.instances) if instance.id != 0}
        named = sorted((known & (self._small | set(columns["owner"].astype(int).tolist()))) - judged)
        if not named:
            return Outcome()
        names = ", ".join(self._truth.name(owner) for owner in named[:5]) + (", ..." if len(named) > 5 else "")
        text = (
            f"{len(named)} of {len(known)} instances could not be judged one by one, each with fewer than "
            f"{self._limits.min_sites} visible boundary pixels: {names}."
        )
        return Outcome(findings=(unchecked("instances", text),))

    def _owners(self, columns: Mapping[str, np.ndarray], rows: np.ndarray) -> list[int]:
        """Dense indices in these rows, without the background."""
        owners = np.unique(columns["owner"][rows]).astype(int).tolist()
        return [owner for owner in owners if owner >= 0 and self._truth.instances[owner].id != 0]

    def _value(self, check: str, value: float) -> Measurement:
        return measured(self._thresholds, check, value)

    def _finding(self, check: str, text: str, value: float, frames: list[int], owner: Optional[int] = None) -> Finding:
        bar = self._thresholds[check]
        instance = None if owner is None else self._truth.instances[owner]
        return Finding(
            kind=bar.kind,
            check=check,
            severity=bar.severity,
            text=text,
            frames=tuple(frames),
            instance=None if instance is None else instance.id,
            prim_path="" if instance is None else instance.prim_path,
            value=float(value),
            threshold=bar.value,
        )


def _closest(depth: np.ndarray, row: int, others: np.ndarray) -> np.ndarray:
    """Rows of the nine others closest in depth, by ratio; all of them where depth is unknown."""
    rows = np.flatnonzero(others)
    if not np.isfinite(depth[row]) or len(rows) <= 9:
        return rows
    return rows[np.argsort(np.abs(np.log(depth[rows] / depth[row])), kind="stable")[:9]]


def _bounds(frames: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """First row of each run of equal frame and owner and, last, the number of rows."""
    if not len(frames):
        return np.zeros(1, np.int64)
    change = np.flatnonzero((np.diff(frames) != 0) | (np.diff(owners) != 0)) + 1
    return np.concatenate([[0], change, [len(frames)]])


def _flatten(gradient: np.ndarray, limits: Limits) -> tuple[np.ndarray, np.ndarray]:
    """Divide a gradient by its local strength, so that contrast drops out; noise stays small.

    Returns:
        The flat gradient, shape [N, H, W, 2], and the local strength [levels/px], shape [N, H, W].
    """
    side = 2 * limits.search_radius + 5
    flat, strengths = np.empty_like(gradient), np.empty(gradient.shape[:3], np.float32)
    for frame, field in enumerate(gradient):
        power = cv2.boxFilter(field[..., 0] ** 2 + field[..., 1] ** 2, -1, (side, side), borderType=cv2.BORDER_REFLECT)
        strengths[frame] = np.sqrt(np.maximum(power, 0.0))
        np.divide(field, strengths[frame][..., None] + np.float32(limits.noise_gradient), out=flat[frame])
    return flat, strengths


def _near_peak(field: np.ndarray, sites: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Strongest gradient along the normal within 1 px of each site."""
    _, height, width, _ = field.shape
    peak = np.zeros(len(sites), np.float32)
    for dy, dx in _NEAR:
        y, x = np.clip(sites[:, 1] + dy, 0, height - 1), np.clip(sites[:, 2] + dx, 0, width - 1)
        g = field[sites[:, 0], y, x]
        np.maximum(peak, np.abs(g[:, 0] * normals[:, 0] + g[:, 1] * normals[:, 1]), out=peak)
    return peak


def _chance_peak(field: np.ndarray, sites: np.ndarray, normals: np.ndarray, distance: float) -> np.ndarray:
    """What ``_near_peak`` gives beside the boundary, where texture and noise alone answer: mean of both sides."""
    aside = np.rint(normals[:, ::-1] * distance).astype(np.int32)
    height, width = field.shape[1:3]
    total = np.zeros(len(sites), np.float32)
    for sign in (-1, 1):
        moved = sites.copy()
        moved[:, 1] = np.clip(sites[:, 1] + sign * aside[:, 0], 0, height - 1)
        moved[:, 2] = np.clip(sites[:, 2] + sign * aside[:, 1], 0, width - 1)
        total += _near_peak(field, moved, normals)
    return 0.5 * total


def _hidden(pictures: np.ndarray, sites: np.ndarray, limits: Limits) -> np.ndarray:
    """Whether the result is dark all around a site, or overexposed."""
    kernel = np.ones((7, 7), np.uint8)
    hidden = np.empty(pictures.shape[:3], bool)
    for frame, picture in enumerate(pictures):
        dark = cv2.dilate(picture.max(axis=2), kernel) < limits.dark_level
        white = cv2.erode(picture.min(axis=2), kernel) > limits.white_level
        hidden[frame] = dark | white
    return hidden[tuple(sites.T)]


def _median_depth(depth: Optional[np.ndarray], sites: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Median depth of the sites of each segment [m]; NaN without depth."""
    if depth is None:
        return np.full(len(bounds) - 1, np.nan)
    values = depth[tuple(sites.T)]
    values = np.where(np.isfinite(values), values, 1.0e6)
    return np.array([np.median(values[a:b]) for a, b in pairwise(bounds)])


def _relief(depth: Optional[np.ndarray], sites: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Share of the sites of each segment at which depth jumps by more than 2 %; NaN without depth."""
    if depth is None:
        return np.full(len(bounds) - 1, np.nan)
    known = np.where(np.isfinite(depth), depth, np.float32(1.0e6))
    here = known[tuple(sites.T)]
    step = np.zeros(len(sites), bool)
    for dy, dx in _NEAR:
        y, x = np.clip(sites[:, 1] + dy, 0, depth.shape[1] - 1), np.clip(sites[:, 2] + dx, 0, depth.shape[2] - 1)
        step |= np.abs(known[sites[:, 0], y, x] - here) > 0.02 * here
    return np.add.reduceat(step, bounds[:-1], dtype=np.float64) / np.diff(bounds)


def _roundness(normals: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """How evenly the normals of each segment point everywhere: 0 for one straight line, 0.5 for a circle."""
    xx, xy, yy = (
        np.add.reduceat(product, bounds[:-1]) / np.diff(bounds)
        for product in (normals[:, 0] ** 2, normals[:, 0] * normals[:, 1], normals[:, 1] ** 2)
    )
    return 0.5 * (xx + yy - np.hypot(xx - yy, 2.0 * xy))


def _best_shift(
    source: np.ndarray, result: np.ndarray, limits: Limits, near: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Find by how much each boundary moved, and how well it fits there and in place.

    Args:
        source: Scores of the source under every shift, shape [S, K, K].
        result: Scores of the result.
        limits: How to search.
        near: What still counts as in place [px].

    Returns:
        Displacement ``(down, right)`` [px], shape [S, 2]; fit there over fit in place, shape [S], 0 where the source
        itself cannot tell the two places apart; fit there and fit in place, each over the source's own, shape [S].
    """
    radius = limits.search_radius
    offset = np.arange(-radius, radius + 1)
    down, right = np.meshgrid(offset, offset, indexing="ij")
    distance = np.hypot(down, right)
    in_place = distance <= near
    result = np.where(distance <= radius + 0.5, result, 0.0)
    peak, here = result.max(axis=(1, 2)), result[:, in_place].max(axis=1)
    candidates = np.where(result >= 0.97 * peak[:, None, None], distance, np.inf).reshape(len(result), -1)
    best = candidates.argmin(axis=1)
    own = source[:, in_place].max(axis=1)
    distinct = source.reshape(len(source), -1)[np.arange(len(source)), best] <= limits.shift_distinct * own
    shift = np.stack([down.reshape(-1)[best], right.reshape(-1)[best]], axis=1)
    gain = np.where(distinct, peak / np.maximum(here, 1e-6), 0.0)
    return shift, gain, peak / np.maximum(own, 1e-6), here / np.maximum(own, 1e-6)


__all__ = ["BoundarySweep"]
