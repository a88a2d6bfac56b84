"""What annotators are initialised with, and the frame as they see it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal, Optional

import numpy as np

from cosmos.bridge.errors import SourceError
from cosmos.bridge.render.annotators.things import Things
from cosmos.bridge.render.lidar import Lidar
from cosmos.bridge.render.roadmap import MapStyle
from cosmos.bridge.types import Camera, Frame, FrameDetails, Lens

Color = tuple[int, int, int]


def hashed_color(text: str) -> Color:
    """Return a colour ``(r, g, b)`` that a name alone decides, each channel in 48..255."""
    red, green, blue = (48 + value * 207 // 255 for value in hashlib.blake2b(text.encode(), digest_size=3).digest())
    return red, green, blue


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnotatorOptions:
    """Replicator's ``init_params``, for every annotator at once."""

    colorize: bool = False
    """Give segmentations as uint8 RGBA, with colours as keys of ``idToLabels``; ids when ``False``."""
    include_unlabelled: bool = False
    """Let unlabelled surfaces into ``pointcloud``."""
    semantic_types: tuple[str, ...] = ()
    """Taxonomies that count, e.g. ``("class",)``; what has no label of them is unlabelled. Empty: all count."""
    units: Literal["metres", "scene"] = "metres"
    """Unit of lengths: metres whatever the stage's unit, or units of the stage as Replicator has them."""
    color_of: Callable[[str], Color] = hashed_color
    """Prim path, or labels as JSON, -> ``(r, g, b)`` where ids are colourised."""

    lidar: Lidar = field(default_factory=Lidar)
    """Sensor of ``lidar``."""
    hdmap: MapStyle = field(default_factory=MapStyle)
    """How ``hdmap`` is drawn."""

    def __post_init__(self) -> None:
        if self.units not in ("metres", "scene"):
            raise ValueError(f"AnnotatorOptions.units must be 'metres' or 'scene', got {self.units!r}.")


@lru_cache(maxsize=2)
def _camera_rays(lens: Lens, intrinsics: bytes, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rays of a camera at the origin; the same for every frame of a clip."""
    matrix = np.frombuffer(intrinsics, np.float64).reshape(3, 3)
    camera = Camera(prim_path="", height=height, width=width, intrinsics=matrix, cam_to_world=np.eye(4), lens=lens)
    return camera.rays()


class Shot:
    """One frame as NumPy arrays, each fetched once, and what several annotators share."""

    def __init__(self, frame: Frame, options: AnnotatorOptions):
        self.frame, self.options = frame, options
        self._arrays: dict[str, np.ndarray] = {}

    def need(self, name: str) -> np.ndarray:
        """Return a buffer of the frame; ids as uint32.

        Raises:
            SourceError: If the source does not give it.
        """
        if name not in self._arrays:
            buffer: Optional[Any] = getattr(self.frame, name)
            if buffer is None:
                raise SourceError(f"The source gives no {name}; leave out the annotators that need it.")
            array: np.ndarray = buffer.numpy()
            self._arrays[name] = array.view(np.uint32) if array.dtype == np.int32 else array
        return self._arrays[name]

    def details(self, wanted_by: str) -> FrameDetails:
        """Return what the renderer can still tell.

        Raises:
            SourceError: If the frame comes from files.
        """
        if self.frame.details is None:
            raise SourceError(f"{wanted_by} needs a stage to look into, but these frames were recorded; leave it out.")
        return self.frame.details

    @cached_property
    def unit(self) -> float:
        """Metres in one unit of what is given back."""
        if self.options.units == "metres":
            return 1.0
        return float(self.details("units='scene'").meters_per_unit)

    @cached_property
    def labels(self) -> Mapping[int, Mapping[str, str]]:
        """Semantic id -> the labels that count; empty for background and for what is unlabelled."""
        return {key: self.counted(labels) for key, labels in self.frame.labels.items() if key > 1}

    def counted(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Return the labels of the taxonomies that count."""
        kinds = self.options.semantic_types
        return {kind: label for kind, label in labels.items() if not kinds or kind in kinds}

    @cached_property
    def things(self) -> Things:
        """The labelled things of the stage."""
        details, key = self.frame.details, ("things", self.options.semantic_types)
        if details is None:
            return Things.of(self.frame.instances, self.counted)
        if key not in details.memory:
            details.memory[key] = Things.of(self.frame.instances, self.counted)
        found: Things = details.memory[key]
        return found

    @cached_property
    def thing_ids(self) -> np.ndarray:
        """Thing at each pixel: 0 background, 1 unlabelled, uint32, shape [H, W]."""
        return self.things.look_up(self.need("instance_ids"))

    @cached_property
    def rays(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the ray of each pixel starts [m] and its unit direction, in camera axes, float64, each [H, W, 3]."""
        camera = self.frame.camera
        return _camera_rays(camera.lens, camera.intrinsics.tobytes(), camera.height, camera.width)

    @cached_property
    def reach(self) -> np.ndarray:
        """How far along its ray [m] each pixel sees, float64, shape [H, W]; NaN where no hit."""
        depth, deep = self.need("depth").astype(np.float64), -self.rays[1][..., 2]
        # A ray at a right angle to the axis keeps its depth at 0, which tells nothing of how far it went.
        known = np.isfinite(depth) & (np.abs(deep) > 1e-6)
        return np.asarray(np.divide(depth, deep, out=np.full_like(depth, np.nan), where=known))

    @cached_property
    def unoccluded(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixels and boxes of each thing as if nothing stood before it; shapes [G] and [G, 4]."""
        return self.details("Occlusion").silhouettes(self.things.group_of, len(self.things))

    @cached_property
    def visible(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixels and inclusive boxes x_min, y_min, x_max, y_max of each thing as it is seen; -1 where it is not."""
        return extents(self.thing_ids, len(self.things) + 2, skip=2)

    @cached_property
    def occlusion(self) -> np.ndarray:
        """Hidden share of each thing: 0 fully seen, 1 fully hidden; NaN out of view, and where nobody can tell."""
        if self.frame.details is None:
            return np.full(len(self.things), np.nan, np.float32)
        seen, alone = self.visible[0], self.unoccluded[0]
        whole = np.maximum(seen, alone)
        return np.where(whole > 0, 1.0 - seen / np.maximum(whole, 1), np.nan).astype(np.float32)


def present_ids(ids: np.ndarray) -> list[int]:
    """Return the ids that occur, ascending."""
    if not ids.size or int(ids.max()) >= 1 << 24:
        return [int(key) for key in np.unique(ids)]
    return [int(key) for key in np.flatnonzero(np.bincount(ids.ravel()))]


def extents(ids: np.ndarray, count: int, *, skip: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Count the pixels of each id and box them.

    Args:
        ids: Below ``count``, shape [H, W].
        count: Number of ids.
        skip: How many of the first ids are left out.

    Returns:
        Pixels, int64, shape [count - skip]; inclusive x_min, y_min, x_max, y_max, int32, -1 where there is no pixel.
    """
    height, width = ids.shape
    rows = np.broadcast_to(np.arange(height, dtype=np.int32)[:, None], ids.shape)
    columns = np.broadcast_to(np.arange(width, dtype=np.int32)[None, :], ids.shape)
    boxes = np.full((count, 4), -1, np.int32)
    # Of several writes to one slot the last one stays, so the scan order makes the minimum or the maximum.
    boxes[ids.T.ravel()[::-1], 0] = columns.T.ravel()[::-1]
    boxes[ids.ravel()[::-1], 1] = rows.ravel()[::-1]
    boxes[ids.T.ravel(), 2] = columns.T.ravel()
    boxes[ids.ravel(), 3] = rows.ravel()
    return np.bincount(ids.ravel(), minlength=count)[skip:], boxes[skip:]


__all__ = ["AnnotatorOptions", "Color", "Shot", "extents", "hashed_color", "present_ids"]
