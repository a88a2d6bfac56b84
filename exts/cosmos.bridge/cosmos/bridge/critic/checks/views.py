"""Does the same surface point look the same through several cameras of one moment?"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, ScoreRows, measured, spans
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Chunk, Truth
from cosmos.bridge.types import WHOLE_FRAME, Camera, TransferRequest, Verdict

MOST_VIEWS = 64
"""Reduced frames that are remembered of one look; the oldest go first."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class View:
    """One reduced frame through one camera."""

    camera: Camera
    """Where it was taken from."""
    time_code: float
    """When."""
    step: int
    """Pixels of the full frame between two of these."""
    depth: np.ndarray
    """Distance to the image plane [m], shape [h, w]."""
    source: np.ndarray
    """Source picture, uint8, shape [h, w, 3]."""
    result: np.ndarray
    """Result picture, uint8, shape [h, w, 3]."""
    path: np.ndarray
    """CRC of the prim path of the instance at each pixel, 0 for none, int64, shape [h, w]."""


class Memory:
    """Remembers accepted views by look and stage, so that the next camera can be held against them."""

    def __init__(self) -> None:
        self._views: dict[object, list[View]] = {}

    def of(self, request: TransferRequest) -> list[View]:
        """Views through other cameras of what this request shows, asked for in the same words."""
        mine = request.clip.cameras[0].prim_path
        return [view for view in self._views.get(_look(request), []) if view.camera.prim_path != mine]

    def keep(self, request: TransferRequest, views: list[View], verdict: Verdict) -> None:
        """Remember the views of an accepted result; another attempt of the same camera replaces the one before."""
        if not verdict.accepted or not views:
            return
        key, mine = _look(request), request.clip.cameras[0].prim_path
        others = [view for view in self._views.pop(key, []) if view.camera.prim_path != mine]
        self._views[key] = [*others, *views][-MOST_VIEWS:]
        while len(self._views) > 8:
            self._views.pop(next(iter(self._views)))


class ViewSweep:
    """Projects surface points into earlier views by true depth and poses and compares their colours.

    What the source itself shows differently (gloss, light that depends on the view) is allowed, and so is a common
    offset of two pictures, as exposures differ.
    """

    family = "views"

    def __init__(
        self,
        request: TransferRequest,
        truth: Truth,
        earlier: list[View],
        thresholds: Mapping[str, Threshold],
        limits: Limits,
    ) -> None:
        self._clip, self._truth, self._earlier = request.clip, truth, earlier
        self._thresholds, self._limits = thresholds, limits
        self._paths = np.array(
            [zlib.crc32(part.prim_path.encode()) if part.prim_path else 0 for part in truth.parts], np.int64
        )
        self.views: list[View] = []
        self._rows: list[tuple[int, int, float]] = []

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in."""
        if chunk.depth is None or chunk.index is None:
            return
        step = max(1, round(chunk.source.shape[2] / self._limits.order_width))
        every = max(1, self._clip.num_frames // self._limits.view_frames)
        cut = slice(step // 2, None, step)
        for i in range(chunk.halo, chunk.source.shape[0]):
            frame = chunk.first + i - chunk.halo
            if frame % every:
                continue
            view = View(
                camera=self._clip.cameras[frame],
                time_code=float(self._clip.time_codes[frame]),
                step=step,
                depth=chunk.depth[i][cut, cut].copy(),
                source=chunk.source[i][cut, cut].copy(),
                result=chunk.result[i][cut, cut].copy(),
                path=self._paths[chunk.index[i, cut, cut]],
            )
            self.views.append(view)
            for other in self._earlier:
                if other.time_code == view.time_code:
                    self._compare(frame, view, other, chunk.index[i, cut, cut])

    def _compare(self, frame: int, view: View, other: View, index: np.ndarray) -> None:
        """Compare what both views see."""
        y, x = np.nonzero(np.isfinite(view.depth) & (view.depth > 0.0) & (view.path != 0))
        offset = view.step // 2 + 0.5
        points = _world(view, x * view.step + offset, y * view.step + offset, view.depth[y, x])
        pixels, distance = other.camera.project(points), _distance(other.camera, points)
        with np.errstate(invalid="ignore"):
            column, row = (np.floor((pixels[:, axis] - other.step // 2) / other.step) for axis in (0, 1))
            inside = (column >= 0) & (row >= 0) & (column < other.depth.shape[1]) & (row < other.depth.shape[0])
        at = np.flatnonzero(inside & np.isfinite(distance))
        column, row = column[at].astype(int), row[at].astype(int)
        same = np.abs(other.depth[row, column] - distance[at]) <= 0.02 * distance[at]
        same &= other.path[row, column] == view.path[y[at], x[at]]
        at, column, row = at[same], column[same], row[same]
        if len(at) < self._limits.min_shared:
            return
        first, second = (y[at], x[at]), (row, column)
        change = [
            picture[first].astype(np.int16) - theirs[second]
            for picture, theirs in ((view.source, other.source), (view.result, other.result))
        ]
        beyond = np.abs(change[1] - np.median(change[1], axis=0)) - np.abs(change[0] - np.median(change[0], axis=0))
        worst = beyond.max(axis=1)
        self._rows.append((frame, -1, float(np.median(worst))))
        thing = self._truth.thing_of[index[first]]
        for owner in np.unique(thing).tolist():
            mine = thing == owner
            if mine.sum() >= self._limits.min_shared // 4:
                self._rows.append((frame, owner, float(np.median(worst[mine]))))

    def conclude(self) -> Outcome:
        """Hold everything seen against the bars; nothing where no other camera saw these moments."""
        if not self._rows:
            return Outcome()
        outcomes = []
        table = np.array(self._rows)
        for check, mine in (("views_agree", table[:, 1] < 0), ("instance_views", table[:, 1] >= 0)):
            if mine.any():
                outcomes.append(self._held(check, table[mine]))
        return Outcome.join(outcomes)

    def _held(self, check: str, table: np.ndarray) -> Outcome:
        bar, things = self._thresholds[check], self._truth.things
        owners = table[:, 1].astype(int)
        ids = np.array([WHOLE_FRAME if owner < 0 else things[owner].id for owner in owners.tolist()])
        scores = ScoreRows.of(bar, check, table[:, 0], ids, table[:, 2])
        worst, findings = -255.0, []
        for owner in np.unique(owners).tolist():
            rows = owners == owner
            value = float(np.median(table[rows, 2]))
            worst = max(worst, value)
            if bar.passes(value):
                continue
            frames = table[rows & ~scores.passed, 0].astype(int).tolist()
            name = "The picture" if owner < 0 else self._truth.name(owner)
            text = (
                f"{name} looks different through another camera of the same moment: by {value:.0f} levels more than in "
                f"the source, in {len(set(frames))} frames ({spans(frames)}); {bar.value:.0f} are allowed."
            )
            findings.append(bar.finding(check, text, value, sorted(set(frames)), None if owner < 0 else things[owner]))
        found = measured(self._thresholds, check, worst)
        return Outcome(measurements=(found,), findings=tuple(findings), scores=(scores,))


def _look(request: TransferRequest) -> object:
    """What makes two results comparable: the words, and the things that there are and where they stand."""
    clip = request.clip
    keys = sorted(clip.instances)
    place = zlib.crc32("\n".join(f"{clip.instances[key].prim_path} {key in clip.poses}" for key in keys).encode())
    placed = [clip.poses[key] for key in keys if key in clip.poses]
    if placed:
        place = zlib.crc32(np.round(np.stack(placed), 4).tobytes(), place)
    return request.prompt, request.negative_prompt, request.guidance, place


def _world(view: View, u: np.ndarray, v: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """World points [m] of pixels at known distance to the image plane."""
    starts, directions = view.camera.rays(np.stack([u, v], axis=1))
    ahead = directions @ -view.camera.cam_to_world[:3, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return starts + directions * (depth / ahead)[:, None]


def _distance(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Distance of world points to the image plane of a camera [m]."""
    into = np.linalg.inv(camera.cam_to_world)
    return -(points @ into[2, :3] + into[2, 3])


__all__ = ["Memory", "View", "ViewSweep"]
