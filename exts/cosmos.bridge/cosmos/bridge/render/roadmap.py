"""HD-map projection: lanes, poles and boxes of a stage drawn as coloured lines, as Transfer's ``hdmap`` wants it.

What is drawn how stands in ``MAP_CLASSES``; the colours of lines, poles, signs and lights are those that tools around
Cosmos-Drive-Dreams publish.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, Literal, Optional

import numpy as np

from cosmos.bridge.types import Camera, FTheta, MapLine, OpenCvFisheye

Color = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class MapClass:
    """How things of some semantic labels are drawn."""

    name: str
    kind: Literal["line", "pole", "box"]
    """A curve or rim, the upright of a thing, or its box."""
    color: Color
    """sRGB."""
    labels: tuple[str, ...]
    """Semantic labels in lower case with underscores; those of things are compared likewise."""


MAP_CLASSES = (
    MapClass(name="lane_line", kind="line", color=(98, 183, 249),
             labels=("lane_line", "laneline", "lane_marking", "lane_divider", "lane_boundary")),
    MapClass(name="lane", kind="line", color=(56, 103, 221),
             labels=("lane", "lane_center", "lane_centre", "centerline")),
    MapClass(name="road_boundary", kind="line", color=(253, 1, 232),
             labels=("road_boundary", "road_edge", "road_border", "curb_line", "kerb_line")),
    MapClass(name="wait_line", kind="line", color=(185, 63, 34), labels=("wait_line", "stop_line")),
    MapClass(name="crosswalk", kind="line", color=(206, 131, 63),
             labels=("crosswalk", "zebra_crossing", "pedestrian_crossing")),
    MapClass(name="road_marking", kind="line", color=(126, 204, 205), labels=("road_marking", "road_arrow")),
    MapClass(name="pole", kind="pole", color=(66, 40, 144),
             labels=("pole", "lamp", "lamp_post", "street_lamp", "street_light", "utility_pole")),
    MapClass(name="traffic_sign", kind="box", color=(131, 175, 155), labels=("traffic_sign", "road_sign", "sign")),
    MapClass(name="traffic_light", kind="box", color=(252, 157, 155), labels=("traffic_light", "traffic_signal")),
    MapClass(name="car", kind="box", color=(255, 0, 0), labels=("car", "van", "vehicle", "taxi", "suv", "automobile")),
    MapClass(name="truck", kind="box", color=(0, 0, 255), labels=("truck", "bus", "trailer", "lorry")),
    MapClass(name="pedestrian", kind="box", color=(0, 255, 0), labels=("pedestrian", "person", "people", "human")),
    MapClass(name="cyclist", kind="box", color=(255, 255, 0),
             labels=("cyclist", "bicycle", "bicyclist", "motorcycle", "motorcyclist", "rider")),
    MapClass(name="other", kind="box", color=(255, 255, 255), labels=("obstacle", "traffic_cone", "cone", "barrier")),
)  # fmt: skip
"""Every class that is drawn; the first one that a label fits counts."""

_EDGE: Color = (200, 200, 200)
_FACES = (
    ((1, 3, 7, 5), 1.0), ((0, 4, 6, 2), 0.45), ((2, 6, 7, 3), 0.7), ((0, 1, 5, 4), 0.7), ((4, 5, 7, 6), 0.85),
    ((0, 2, 3, 1), 0.3),
)  # fmt: skip
"""Corners (bit 0 is x, bit 1 y, bit 2 z) and brightness of +X, -X, +Y, -Y, +Z and -Z: the front is brightest."""
_PIECE = 0.5
"""Longest straight piece [m] that lines are cut into."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MapStyle:
    """How the map is drawn."""

    classes: tuple[MapClass, ...] = MAP_CLASSES
    """What is drawn."""
    line_width: float = 0.008
    """Width of lines, in picture heights."""
    max_distance: float = 150.0
    """What is farther from the camera [m] is left out."""
    depth_test: bool = False
    """Hide what the scene hides. Transfer was trained on maps that know no buildings, so they shine through."""

    def __post_init__(self) -> None:
        if not 0.0 < self.line_width <= 0.2 or not self.max_distance > 0.0:
            raise ValueError(
                "MapStyle needs a line_width in (0, 0.2] and a positive max_distance [m], got "
                f"{self.line_width!r} and {self.max_distance!r}."
            )

    def class_of(self, labels: Mapping[str, str]) -> Optional[MapClass]:
        """Return how a thing of these labels is drawn; ``None`` where it is not."""
        names = {_plain(part) for text in labels.values() for part in text.split(",")}
        return next((item for item in self.classes if names.intersection(item.labels)), None)

    def has_line(self, labels: Mapping[str, str]) -> bool:
        """Return whether a thing of these labels is drawn as a line."""
        found = self.class_of(labels)
        return found is not None and found.kind == "line"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MapPole:
    """A labelled thing that is drawn as an upright."""

    labels: Mapping[str, str]
    ends: np.ndarray
    """Foot and top in the world [m], shape [2, 3]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MapBox:
    """A labelled thing in its own axes."""

    labels: Mapping[str, str]
    low: np.ndarray
    """Least corner [m], shape [3]."""
    high: np.ndarray
    """Greatest corner [m], shape [3]."""
    to_world: np.ndarray
    """Own space to world [m], column vectors, float64, shape [4, 4]."""


def _plain(label: str) -> str:
    return label.strip().lower().replace(" ", "_").replace("-", "_")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Stroke:
    """One thing to draw: a line of two points, or a filled polygon."""

    away: float
    spots: np.ndarray
    color: Color
    filled: bool
    thin: bool = False


def draw_map(
    camera: Camera,
    lines: Sequence[MapLine],
    poles: Iterable[MapPole],
    boxes: Iterable[MapBox],
    style: MapStyle,
    depth: Optional[np.ndarray] = None,
) -> np.ndarray:
    """Draw the map as a camera sees it, near things over far ones, on black.

    Args:
        camera: The camera.
        lines: Curves and rims.
        poles: Uprights.
        boxes: Other things.
        style: How.
        depth: What the camera sees [m], shape [H, W]; needed where ``style.depth_test``.

    Returns:
        uint8 sRGB, shape [H, W, 3].
    """
    eye = _Eye(camera, style, depth if style.depth_test else None)
    strokes: list[_Stroke] = []
    for line in lines:
        kind = style.class_of(line.labels)
        if kind is not None and kind.kind == "line":
            strokes += eye.line(line.points, kind.color)
    for pole in poles:
        kind = style.class_of(pole.labels)
        if kind is not None and kind.kind == "pole":
            strokes += eye.line(pole.ends, kind.color)
    for box in boxes:
        kind = style.class_of(box.labels)
        if kind is not None and kind.kind == "box":
            strokes += eye.box(box, kind.color)
    return _paint(camera, strokes, max(1, round(style.line_width * camera.height)))


class _Eye:
    """Turns world things into strokes on the picture."""

    def __init__(self, camera: Camera, style: MapStyle, depth: Optional[np.ndarray]):
        self._camera, self._style, self._depth = camera, style, depth
        self._place, self._back = camera.cam_to_world[:3, 3], camera.cam_to_world[:3, 2]
        self._bent = isinstance(camera.lens, (FTheta, OpenCvFisheye))

    def line(self, points: np.ndarray, color: Color, *, thin: bool = False) -> list[_Stroke]:
        """Return the pieces of a polyline that are in view."""
        ends = _pieces(points)
        if not self._bent:
            ends = _clip_near(ends, self._depth_of(ends), max(self._camera.near, 1e-3))
        away = np.linalg.norm(ends.mean(axis=1) - self._place, axis=1)
        spots = self._camera.project(ends)
        kept = np.isfinite(spots).all(axis=(1, 2)) & (away <= self._style.max_distance)
        kept[kept] &= self._not_hidden(ends[kept].mean(axis=1))
        kept[kept] &= _meets(spots[kept], self._camera)
        return [
            _Stroke(away=float(far), spots=ends_2d, color=color, filled=False, thin=thin)
            for far, ends_2d in zip(away[kept], spots[kept], strict=True)
        ]

    def box(self, box: MapBox, color: Color) -> list[_Stroke]:
        """Return the faces of a box that face the camera, and their edges."""
        ends = (box.low, box.high)
        local = np.array([[ends[i][0], ends[j][1], ends[k][2]] for k, j, i in product((0, 1), repeat=3)])
        corners = local @ box.to_world[:3, :3].T + box.to_world[:3, 3]
        middle, strokes = corners.mean(axis=0), []
        if np.linalg.norm(middle - self._place) > self._style.max_distance or not np.isfinite(corners).all():
            return []
        for face, brightness in _FACES:
            polygon = corners[list(face)]
            centre = polygon.mean(axis=0)
            out = centre - middle  # boxes may be mirrored or skewed, so the way out decides, not the winding
            normal = np.cross(polygon[1] - polygon[0], polygon[2] - polygon[0])
            normal = normal if normal @ out >= 0.0 else -normal
            if normal @ (self._place - centre) <= 0.0 or not self._not_hidden(centre[None])[0]:
                continue
            away = float(np.linalg.norm(centre - self._place))
            rim = _pieces(np.concatenate([polygon, polygon[:1]]))
            outline = self._outline(rim[:, 0])
            if len(outline) > 2:
                shade = (round(color[0] * brightness), round(color[1] * brightness), round(color[2] * brightness))
                strokes.append(_Stroke(away=away, spots=outline, color=shade, filled=True))
            for stroke in self.line(np.concatenate([polygon, polygon[:1]]), _EDGE, thin=True):
                strokes.append(
                    _Stroke(away=away - 1e-3, spots=stroke.spots, color=stroke.color, filled=False, thin=True)
                )
        return strokes

    def _outline(self, polygon: np.ndarray) -> np.ndarray:
        """Return a convex polygon on the picture, cut off at the near plane; empty where it leaves the lens."""
        if not self._bent:
            near = max(self._camera.near, 1e-3)
            deep = self._depth_of(polygon) - near
            kept = []
            for k in range(len(polygon)):
                here, there = deep[k], deep[(k + 1) % len(polygon)]
                if here >= 0.0:
                    kept.append(polygon[k])
                if (here >= 0.0) != (there >= 0.0):
                    share = here / (here - there)
                    kept.append(polygon[k] + share * (polygon[(k + 1) % len(polygon)] - polygon[k]))
            polygon = np.array(kept).reshape(-1, 3)
        spots = self._camera.project(polygon)
        return spots if len(spots) and np.isfinite(spots).all() else np.zeros((0, 2))

    def _depth_of(self, points: np.ndarray) -> np.ndarray:
        return np.asarray(-((points - self._place) @ self._back))

    def _not_hidden(self, points: np.ndarray) -> np.ndarray:
        """Return which points the scene does not hide, where that is asked for; what is off the picture is not."""
        if self._depth is None or not len(points):
            return np.ones(len(points), bool)
        spots = np.nan_to_num(np.floor(self._camera.project(points)), nan=-1.0, posinf=-1.0, neginf=-1.0)
        height, width = self._depth.shape
        inside = ((spots >= 0) & (spots < (width, height))).all(axis=1)
        columns, rows = np.where(inside[:, None], spots, 0).astype(np.int64).T
        return np.asarray(~inside | (self._depth_of(points) <= _slack(self._depth[rows, columns])))


def _slack(depth: np.ndarray) -> np.ndarray:
    return np.asarray(depth + 0.02 * np.abs(depth) + 0.15)


def _pieces(points: np.ndarray) -> np.ndarray:
    """Cut a polyline into pieces of at most ``_PIECE`` metres, at most 400 a segment; shape [K, 2, 3]."""
    pieces = []
    for start, end in pairwise(points):
        count = int(np.clip(np.ceil(np.linalg.norm(end - start) / _PIECE), 1, 400))
        along = start + (end - start) * (np.arange(count + 1) / count)[:, None]
        pieces.append(np.stack([along[:-1], along[1:]], axis=1))
    return np.concatenate(pieces) if pieces else np.zeros((0, 2, 3))


def _clip_near(ends: np.ndarray, deep: np.ndarray, near: float) -> np.ndarray:
    """Cut pieces [K, 2, 3] off at the near plane; those behind it fall away."""
    kept = (deep > near).any(axis=1)
    ends, deep = ends[kept].copy(), deep[kept]
    for one, other in ((0, 1), (1, 0)):
        behind = deep[:, one] <= near
        share = (deep[behind, other] - near * 1.0001) / (deep[behind, other] - deep[behind, one])
        ends[behind, one] = ends[behind, other] + share[:, None] * (ends[behind, one] - ends[behind, other])
    return ends


def _meets(spots: np.ndarray, camera: Camera) -> np.ndarray:
    """Return which pieces [K, 2, 2] may touch the picture."""
    low, high = spots.min(axis=1), spots.max(axis=1)
    return np.asarray(((high >= -32.0) & (low <= np.array([camera.width, camera.height]) + 32.0)).all(axis=1))


def _paint(camera: Camera, strokes: list[_Stroke], width: int) -> np.ndarray:
    import cv2

    picture = np.zeros((camera.height, camera.width, 3), np.uint8)
    limit = 8.0 * max(camera.height, camera.width)
    for stroke in sorted(strokes, key=lambda item: -item.away):
        # Pixel centres lie at +0.5 with us, at whole numbers with OpenCV, which takes sixteenths here.
        spots = np.rint((np.clip(stroke.spots, -limit, limit) - 0.5) * 16.0).astype(np.int32)
        if stroke.filled:
            cv2.fillPoly(picture, [spots], stroke.color, cv2.LINE_AA, 4)
        else:
            thickness = max(1, width // 3) if stroke.thin else width
            cv2.line(picture, _pair(spots[0]), _pair(spots[1]), stroke.color, thickness, cv2.LINE_AA, 4)
    return picture


def _pair(spot: Any) -> tuple[int, int]:
    return int(spot[0]), int(spot[1])


__all__ = ["MAP_CLASSES", "MapBox", "MapClass", "MapPole", "MapStyle", "draw_map"]
