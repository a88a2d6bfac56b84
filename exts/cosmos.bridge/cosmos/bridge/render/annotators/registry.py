"""Every annotator by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Optional

from cosmos.bridge.errors import ConfigError
from cosmos.bridge.render.annotators import boxes, driving, geometry, pixels
from cosmos.bridge.render.annotators.options import AnnotatorOptions, Shot
from cosmos.bridge.types import Frame

_MAKERS: dict[str, Callable[[Shot], Any]] = {
    "rgb": pixels.rgb,
    "HdrColor": pixels.hdr_color,
    "distance_to_camera": pixels.to_camera,
    "distance_to_image_plane": pixels.to_plane,
    "normals": pixels.normals,
    "motion_vectors": pixels.motion_vectors,
    "semantic_segmentation": pixels.semantic_segmentation,
    "instance_segmentation": pixels.instance_segmentation,
    "instance_id_segmentation": pixels.instance_id_segmentation,
    "shaded_semantic_segmentation": pixels.semantic_segmentation,
    "shaded_instance_segmentation": pixels.instance_segmentation,
    "shaded_instance_id_segmentation": pixels.instance_id_segmentation,
    "bounding_box_2d_tight": boxes.tight,
    "bounding_box_2d_loose": boxes.loose,
    "bounding_box_3d": boxes.solid,
    "bounding_box_3d_360": boxes.solid_around,
    "occlusion": boxes.occlusion,
    "camera_params": geometry.camera_params,
    "pointcloud": geometry.pointcloud,
    "lidar": driving.lidar,
    "hdmap": driving.hdmap,
}
_ALIASES = {
    "LdrColor": "rgb",
    **{
        f"{name}_fast": name
        for name in (
            "instance_segmentation",
            "instance_id_segmentation",
            "bounding_box_2d_tight",
            "bounding_box_2d_loose",
            "bounding_box_3d",
        )
    },
}
_PICTURES = ("rgb", "pointcloud")

ANNOTATORS = tuple(_MAKERS)
"""Every annotator, without its other names (``LdrColor``, ``..._fast``)."""


def check_annotator(name: str) -> str:
    """Return the name of an annotator.

    Raises:
        ConfigError: If it is unknown; the sentence lists those that are known.
    """
    if name not in _MAKERS and name not in _ALIASES:
        raise ConfigError(f"There is no annotator {name!r}; there are {', '.join(_MAKERS)}.")
    return name


def needs_picture(names: Iterable[str]) -> bool:
    """Return whether any of these annotators looks at ``Frame.rgb``, which costs most of a frame."""
    return any(_ALIASES.get(name, name) in _PICTURES for name in names)


def annotate(frame: Frame, names: Iterable[str], options: Optional[AnnotatorOptions] = None) -> dict[str, Any]:
    """Return annotators of a frame as Replicator's ``get_data()`` gives them on the CPU.

    Args:
        frame: Any frame with ground truth; what cannot be read off its buffers is asked of its renderer, so call this
            before the renderer draws another one.
        names: Names of annotators; those that end in ``_fast`` have integer keys where the others have text.
        options: Colours, units and the like; Replicator's defaults, in metres, when ``None``.

    Returns:
        Name -> array, or ``{"data": array, "info": {...}}`` for segmentations, boxes, ``pointcloud`` and ``lidar``, or
        the dict of ``camera_params``. Arrays are copies.

    Raises:
        ConfigError: If an annotator is unknown.
        SourceError: If the frame lacks what one needs.
    """
    shot = Shot(frame, options or AnnotatorOptions())
    wanted = [check_annotator(name) for name in names]
    return {name: _make(shot, name) for name in wanted}


def _make(shot: Shot, name: str) -> Any:
    base = _ALIASES.get(name, name)
    if base.startswith("shaded_"):
        colored = Shot(shot.frame, replace(shot.options, colorize=True))
        made = _MAKERS[base](colored)
        return {"data": pixels.shaded(made["data"], shot), "info": _text_keys(made["info"])}
    made = _MAKERS[base](shot)
    if isinstance(made, dict) and "info" in made and not name.endswith("_fast"):
        return {"data": made["data"], "info": _text_keys(made["info"])}
    return made


def _text_keys(info: dict[str, Any]) -> dict[str, Any]:
    """Return the tables with text for keys, as the annotators without ``_fast`` have them."""
    return {
        name: {str(key): entry for key, entry in value.items()} if isinstance(value, dict) else value
        for name, value in info.items()
    }


__all__ = ["ANNOTATORS", "annotate", "check_annotator", "needs_picture"]
