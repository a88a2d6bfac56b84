"""What annotators are initialised with, and the frame as they see it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Optional

import numpy as np
import warp as wp

from cosmos.bridge.errors import SourceError
from cosmos.bridge.render.annotators.solids import local_boxes
from cosmos.bridge.render.annotators.survey import Survey, survey
from cosmos.bridge.render.annotators.things import FIRST, Things
from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.lidar import Lidar
from cosmos.bridge.render.roadmap import MapStyle
from cosmos.bridge.types import Frame, FrameDetails

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


class Shot:
    """One frame as NumPy arrays, each fetched once, and what several annotators share."""

    def __init__(self, frame: Frame, options: AnnotatorOptions):
        self.frame, self.options = frame, options
        self._arrays: dict[str, np.ndarray] = {}

    def buffer(self, name: str) -> wp.array:
        """Return a buffer of the frame where it lies; ids as uint32.

        Raises:
            SourceError: If the source does not give it.
        """
        buffer: Optional[Any] = getattr(self.frame, name)
        if buffer is None:
            raise SourceError(f"The source gives no {name}; leave out the annotators that need it.")
        return buffer.view(wp.uint32) if buffer.dtype == wp.int32 else buffer

    def need(self, name: str) -> np.ndarray:
        """Return a buffer of the frame as an array; ids as uint32.

        Raises:
            SourceError: If the source does not give it.
        """
        if name not in self._arrays:
            self._arrays[name] = self.buffer(name).numpy()
        return self._arrays[name]

    @cached_property
    def bands(self) -> Bands:
        """Where passes over the pixels are launched: where the frame was drawn, with as many threads."""
        found: Bands = self.frame.details.bands if self.frame.details else Bands(self.frame.rgb.device, 1)
        return found

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
    def thing_survey(self) -> Survey:
        """What instances there are, and where which thing is: 0 background, 1 unlabelled."""
        return survey(
            self.bands, self.buffer("instance_ids"), self.things.table, beyond=1, count=len(self.things) + FIRST
        )

    @cached_property
    def thing_ids(self) -> np.ndarray:
        """Thing at each pixel: 0 background, 1 unlabelled, uint32, shape [H, W]."""
        shown: np.ndarray = self.thing_survey.shown.numpy()
        return shown

    @cached_property
    def unoccluded(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixels and boxes of each thing as if nothing stood before it; shapes [G] and [G, 4]."""
        return self.details("Occlusion").silhouettes(self.things.group_of, len(self.things))

    @cached_property
    def visible(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixels and inclusive boxes x_min, y_min, x_max, y_max of each thing as it is seen; -1 where it is not."""
        return self.thing_survey.pixels[FIRST:], self.thing_survey.boxes[FIRST:]

    def solids(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return pose, least and greatest corner of some things, as ``local_boxes`` does; each is worked out once."""
        own, low, high, known = self._solids
        missing = rows[~known[rows]]
        things = [self.things.items[row] for row in missing]
        details = self.details("bounding_box_3d")
        own[missing], low[missing], high[missing] = local_boxes(details, things)
        known[missing] = True
        return own[rows], low[rows], high[rows]

    @cached_property
    def _solids(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        count = len(self.things)
        return np.zeros((count, 4, 4)), np.zeros((count, 3)), np.zeros((count, 3)), np.zeros(count, bool)

    @cached_property
    def occlusion(self) -> np.ndarray:
        """Hidden share of each thing: 0 fully seen, 1 fully hidden; NaN out of view, and where nobody can tell."""
        if self.frame.details is None:
            return np.full(len(self.things), np.nan, np.float32)
        seen, alone = self.visible[0], self.unoccluded[0]
        whole = np.maximum(seen, alone)
        return np.where(whole > 0, 1.0 - seen / np.maximum(whole, 1), np.nan).astype(np.float32)


__all__ = ["AnnotatorOptions", "Color", "Shot", "hashed_color"]
