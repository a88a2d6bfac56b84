"""Where the outlines that the labels claim lie, and what source and result show there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

import cv2
import numpy as np

from cosmos.bridge.critic.checks.outlines import Outlines, conclude_outlines
from cosmos.bridge.critic.checks.presence import Sight, Sights
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Chunk, Truth, boundary_sites, highest, lowest
from cosmos.bridge.kernels.boundary import thin_edges
from cosmos.bridge.kernels.shifts import near_peaks, shift_scores

_THIN = 0.55
"""Share of a thing that lies within its rims, below which it is thin."""


class BoundarySweep:
    """Looks at boundary pixels, chunk by chunk, and concludes on edges, displacement and vanished instances.

    A boundary pixel counts by how much the *source picture* changes there. Its direction is the source's; the result
    may have any contrast and sign. What the result hides in darkness is not judged.
    """

    family = "outlines"

    def __init__(
        self,
        truth: Truth,
        thresholds: Mapping[str, Threshold],
        limits: Limits,
        *,
        kept: Optional[np.ndarray] = None,
        snowed: Optional[np.ndarray] = None,
    ) -> None:
        self._truth, self._thresholds, self._limits = truth, thresholds, limits
        self._kept, self._snowed = kept, snowed
        self._sights = Sights(truth, limits, kept, snowed)
        self._outlines: list[Outlines] = []
        self._totals: list[Outlines] = []

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in."""
        new = slice(chunk.halo, None)
        fields = tuple(field[new] for field in chunk.gradients)
        steep = tuple(lengths[new] for lengths in chunk.steep)
        index = None if chunk.index is None else chunk.index[new]
        depth = None if chunk.depth is None else chunk.depth[new]
        areas = None if chunk.thing is None else _areas(chunk.thing[new], len(self._truth.things), self._limits)
        if areas is not None:
            self._sights.add(chunk, areas)
        sites, owners = self._sites(steep[0], index, depth)
        magnitude = steep[0].reshape(-1).take(_flat(sites, steep[0]))
        seen = magnitude >= self._limits.visible_gradient
        seen &= ~_hidden(chunk.result[new], sites, self._limits)
        sites, owners, magnitude = sites[seen], owners[seen], magnitude[seen]
        gradient = fields[0].reshape(-1, 2).take(_flat(sites, steep[0]), axis=0)
        if not len(sites):
            return
        normals = (gradient / magnitude[:, None]).astype(np.float32)
        weight = np.minimum(magnitude, 10.0 * self._limits.visible_gradient)
        self._gather(chunk.first, sites, owners, normals, weight, depth, areas, fields, steep)

    def _gather(
        self,
        start: int,
        sites: np.ndarray,
        owners: np.ndarray,
        normals: np.ndarray,
        weight: np.ndarray,
        depth: Optional[np.ndarray],
        areas: Optional[np.ndarray],
        fields: tuple[np.ndarray, ...],
        steep: tuple[np.ndarray, ...],
    ) -> None:
        """Sum per frame and owner."""
        bounds = _bounds(sites[:, 0], owners)
        edges = [self._edges(*pair) for pair in zip(fields, steep, strict=True)]
        noise = self._limits.noise_gradient
        strength = [_strength(lengths, self._limits) for lengths in steep]
        shown = (strength[1].reshape(-1).take(_flat(sites, strength[1])) >= noise) & ~self._beside_kept(sites, start)
        there, made = self._peaks(fields, strength, sites, normals)

        def total(values: np.ndarray) -> np.ndarray:
            return np.add.reduceat(values.astype(np.float64), bounds[:-1])

        def share(maps: Optional[np.ndarray]) -> np.ndarray:
            if maps is None:
                return np.zeros(len(bounds) - 1)
            return total(maps[sites[:, 0] + start, sites[:, 1], sites[:, 2]]) / np.diff(bounds)

        scores = self._scores(sites, normals, bounds, edges)
        roundness, across = _roundness(normals, bounds)
        first = sites[bounds[:-1], 0], owners[bounds[:-1]]
        area = np.full((2, len(first[0])), np.inf) if areas is None else areas[:, first[0], first[1]]
        rows = Outlines(
            frame=first[0].astype(np.int64) + start,
            owner=first[1].astype(np.int64),
            area=area[0],
            piece=area[1],
            share=area[0] / (steep[0].shape[1] * steep[0].shape[2]),
            depth=_depth(depth, sites, bounds),
            sites=np.diff(bounds),
            shown=total(shown),
            weight=total(weight * shown),
            found=total(weight * shown * (made >= 0.5 * there)),
            roundness=roundness,
            across=across,
            kept=share(self._kept),
            snowed=share(self._snowed),
            source=scores[0],
            result=scores[1],
        )
        starts = np.flatnonzero(np.diff(rows.frame, prepend=-1))
        sums = {name: np.add.reduceat(getattr(rows, name), starts) for name in ("sites", "source", "result")}
        self._totals.append(rows.take(starts).replace(**sums))
        self._outlines.append(rows)

    def _beside_kept(self, sites: np.ndarray, start: int) -> np.ndarray:
        """Whether a site is not kept itself but near what is, whose structure says nothing about weather here."""
        if self._kept is None:
            return np.zeros(len(sites), bool)
        side = 2 * self._limits.search_radius + 5
        beside = np.zeros(len(sites), bool)
        for frame in np.unique(sites[:, 0]).tolist():
            kept = (self._kept[start + frame] >= 0.5).astype(np.uint8)
            near = (cv2.dilate(kept, np.ones((side, side), np.uint8)) > 0) & (kept == 0)
            mine = sites[:, 0] == frame
            beside[mine] = near[sites[mine, 1], sites[mine, 2]]
        return beside

    def _edges(self, gradient: np.ndarray, steep: np.ndarray) -> np.ndarray:
        """Thin the edges of gradients, so that contrast drops out."""
        import warp as wp

        array, lengths = (wp.array(field, dtype=wp.float32, device="cpu", copy=False) for field in (gradient, steep))
        limits = self._limits
        return thin_edges(array, faint=limits.faint_gradient, full=limits.full_gradient, lengths=lengths).numpy()

    def _peaks(
        self, fields: tuple[np.ndarray, ...], strength: list[np.ndarray], sites: np.ndarray, normals: np.ndarray
    ) -> list[np.ndarray]:
        """Strongest gradient along the normal near each site, over its local strength: contrast drops out."""
        import warp as wp

        def shared(values: np.ndarray, dtype: type) -> wp.array:
            return wp.array(values, dtype=dtype, device="cpu", copy=False)

        at, across, noise = shared(sites, wp.int32), shared(normals, wp.float32), self._limits.noise_gradient
        return [
            near_peaks(shared(field, wp.float32), shared(around, wp.float32), at, across, noise=noise).numpy()
            for field, around in zip(fields, strength, strict=True)
        ]

    def _scores(
        self, sites: np.ndarray, normals: np.ndarray, bounds: np.ndarray, edges: list[np.ndarray]
    ) -> list[np.ndarray]:
        """How many sites of each segment find the source's edge again, in source and result, under every shift."""
        import warp as wp

        there = edges[0].reshape(-1, 2).take(_flat(sites, edges[0]), axis=0)
        along = there[:, 0] * normals[:, 0] + there[:, 1] * normals[:, 1]
        expected = np.maximum(np.abs(along), np.float32(1e-3))
        arrays = (
            wp.array(np.ascontiguousarray(sites, np.int32), dtype=wp.int32, device="cpu"),
            wp.array((normals / expected[:, None]).astype(np.float32), dtype=wp.float32, device="cpu"),
            wp.ones(len(sites), dtype=wp.float32, device="cpu"),
            wp.array(bounds.astype(np.int32), dtype=wp.int32, device="cpu"),
        )
        fields = (wp.array(field, dtype=wp.float32, device="cpu", copy=False) for field in edges)
        return [shift_scores(field, *arrays, radius=self._limits.search_radius).numpy() for field in fields]

    def _sites(
        self, steep: np.ndarray, index: Optional[np.ndarray], depth: Optional[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Boundary pixels ``(frame, y, x)`` and their things, sorted by frame and thing, thinned evenly."""
        if index is None and depth is None:
            mask = steep >= 3.0 * self._limits.visible_gradient
        else:
            mask = boundary_sites(index, depth, self._truth.areas)
        sites = np.argwhere(mask).astype(np.int32)
        owners = np.full(len(sites), -1, np.int64) if index is None else self._truth.thing_of[index[mask]]
        key = sites[:, 0] * np.int32(len(self._truth.things) + 1) + owners.astype(np.int32)
        order = np.argsort(key.astype(np.int16) if key.max(initial=0) < 1 << 15 else key, kind="stable")
        sites, owners = sites[order], owners[order]
        bounds = _bounds(sites[:, 0], owners)
        counts = np.diff(bounds)
        segments = np.maximum(np.bincount(sites[bounds[:-1], 0], minlength=len(steep)), 1) if len(sites) else None
        if segments is None:
            return sites, owners
        limit = self._limits.max_sites if index is not None else self._limits.frame_sites
        share = np.clip(self._limits.frame_sites // segments, 2 * self._limits.min_sites, limit)
        steps = -(-counts // share[sites[bounds[:-1], 0]])
        rank = np.arange(len(sites)) - np.repeat(bounds[:-1], counts)
        keep = rank % np.repeat(steps, counts) == 0
        return sites[keep], owners[keep]

    def outlines(self) -> Optional[Outlines]:
        """Return what was seen of outlines, ``None`` where there were none."""
        return Outlines.join(self._outlines) if self._outlines else None

    def seen(self) -> tuple[Optional[Outlines], dict[int, Sight]]:
        """Return what was seen of outlines, ``None`` where there were none, and of things in one piece in colours."""
        return self.outlines(), self._sights.all(self._limits.one_piece)

    def sights(self) -> dict[int, Sight]:
        """Return what was seen in colours of each thing, of those in several pieces as well."""
        return self._sights.all(self._limits.some_piece)

    def conclude(self) -> Outcome:
        """Hold everything seen against the bars."""
        outlines, sights = self.seen()
        if outlines is None:
            text = "No boundary could be checked: the source shows none, or the result hides all of them in darkness."
            return Outcome(findings=(unchecked("edges_kept", text),))
        totals = Outlines.join(self._totals)
        return conclude_outlines(outlines, totals, sights, self._truth, self._thresholds, self._limits)


def _bounds(frames: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """First row of each run of equal frame and owner and, last, the number of rows."""
    if not len(frames):
        return np.zeros(1, np.int64)
    change = np.flatnonzero((np.diff(frames) != 0) | (np.diff(owners) != 0)) + 1
    return np.concatenate([[0], change, [len(frames)]])


def _areas(thing: np.ndarray, count: int, limits: Limits) -> np.ndarray:
    """Pixels of each thing and of its largest piece in each frame, shape [2, N, count].

    Pieces are told in pictures reduced to about ``usual_width``. They are counted without their right and lower rims,
    at which one thing could touch the next; those of what is so thin that little else is left, a ladder or a fence, are
    counted one thing at a time.
    """
    found = np.zeros((2, len(thing), count))
    scale = max(1, min(round(thing.shape[2] / limits.usual_width), thing.shape[1]))
    for frame, full in enumerate(thing):
        picture = full[scale // 2 :: scale, scale // 2 :: scale]
        inner = np.zeros(picture.shape, np.uint8)
        inner[:-1, :-1] = (picture[:-1, :-1] == picture[1:, :-1]) & (picture[:-1, :-1] == picture[:-1, 1:])
        pieces, label = cv2.connectedComponents(inner, connectivity=4)  # twice as fast as with its statistics
        flat = label.ravel()
        sizes = np.bincount(flat, minlength=pieces)
        begins = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        owner = np.zeros(pieces, np.int64)
        owner[flat[begins]] = picture.ravel()[begins]
        owner[flat[0]] = picture[0, 0]
        whole = np.bincount(owner[1:], sizes[1:], minlength=count)
        largest = np.zeros(count)
        np.maximum.at(largest, owner[1:], sizes[1:])
        area = np.bincount(picture.ravel(), minlength=count)
        share = largest / np.maximum(whole, 1)
        for thin in np.flatnonzero((area * scale**2 >= limits.min_area) & (whole < _THIN * area)).tolist():
            mask = (picture == thin).astype(np.uint8)
            x, y, wide, high = cv2.boundingRect(mask)
            parts = cv2.connectedComponentsWithStats(mask[y : y + high, x : x + wide], connectivity=8)[2]
            share[thin] = parts[1:, cv2.CC_STAT_AREA].max() / area[thin]
        found[0, frame] = area if scale == 1 else np.bincount(full.ravel(), minlength=count)
        found[1, frame] = found[0, frame] * share
    return found


def _strength(steep: np.ndarray, limits: Limits) -> np.ndarray:
    """Local strength of gradients [levels/px], float32, shape [N, H, W] of their lengths, same shape."""
    side = (2 * limits.search_radius + 5,) * 2
    powers = (cv2.boxFilter(lengths * lengths, -1, side, borderType=cv2.BORDER_REFLECT) for lengths in steep)
    return np.stack([np.sqrt(np.maximum(power, 0.0)) for power in powers])


def unseen(picture: np.ndarray, limits: Limits) -> np.ndarray:
    """Where a result is dark all around, or overexposed, bool, shape [H, W] of uint8 [H, W, 3]."""
    kernel = np.ones((7, 7), np.uint8)
    dark = cv2.dilate(highest(picture), kernel) < limits.dark_level
    white = cv2.erode(lowest(picture), kernel) > limits.white_level
    return np.asarray(dark | white)


def _hidden(pictures: np.ndarray, sites: np.ndarray, limits: Limits) -> np.ndarray:
    """Whether the result is dark all around a site, or overexposed."""
    hidden = np.stack([unseen(picture, limits) for picture in pictures])
    return np.asarray(hidden.reshape(-1).take(_flat(sites, hidden)))


def _flat(sites: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Numbers of the pixels ``(frame, y, x)`` in an array of pictures that lie one after the other, int64."""
    height, width = field.shape[1:3]
    return (sites[:, 0].astype(np.int64) * height + sites[:, 1]) * width + sites[:, 2]


def _depth(depth: Optional[np.ndarray], sites: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Harmonic mean of the depth of the sites of each segment [m]; 0 without depth."""
    if depth is None:
        return np.zeros(len(bounds) - 1)
    near = depth.reshape(-1).take(_flat(sites, depth))
    inverse = np.where(np.isfinite(near) & (near > 0.0), 1.0 / np.maximum(near, 1e-6), 0.0)
    return 1.0 / np.maximum(np.add.reduceat(inverse.astype(np.float64), bounds[:-1]) / np.diff(bounds), 1e-9)


def _roundness(normals: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How evenly the normals of each segment point everywhere, and where most of them point.

    Returns:
        0 for one straight line to 0.5 for a circle, shape [N], and the direction ``(x, y)``, shape [N, 2].
    """
    xx, xy, yy = (
        np.add.reduceat(product, bounds[:-1]) / np.diff(bounds)
        for product in (normals[:, 0] ** 2, normals[:, 0] * normals[:, 1], normals[:, 1] ** 2)
    )
    turn = 0.5 * np.arctan2(2.0 * xy, xx - yy)
    across = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    return 0.5 * (xx + yy - np.hypot(xx - yy, 2.0 * xy)), across


__all__ = ["BoundarySweep", "unseen"]
