"""Which pixels a region means: by class, prim path, instance, box and mask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from cosmos.bridge.controls.masks import mask_to_float, read_mask
from cosmos.bridge.controls.specs import Area
from cosmos.bridge.errors import ControlError
from cosmos.bridge.types import Clip

if TYPE_CHECKING:
    import warp as wp

_LISTED = 20
"""How many names an error lists before it only counts."""


def region_coverage(clip: Clip, region: Area, name: str) -> wp.array:
    """Draw where a region lies in a clip.

    Args:
        clip: Clip whose ids are looked up.
        region: What to look for.
        name: What to call the region in an error.

    Returns:
        float32 in [0, 1], shape [T, H, W], on the clip's device.

    Raises:
        ControlError: If a class, prim or instance never occurs, the clip lacks its ids, a mask does not fit, or
            nothing is left of the region.
    """
    import warp as wp

    from cosmos.bridge.kernels.weights import inspect_weights, limit_to_box, limit_to_mask, select_ids

    shape = (clip.num_frames, clip.height, clip.width)
    device = clip.rgb.device
    by_ids = bool(region.classes or region.prims or region.instances)
    coverage = wp.full(shape, 0.0 if by_ids else 1.0, dtype=wp.float32, device=device)
    semantics, instances = _wanted_ids(clip, region, name)
    if semantics:
        select_ids(clip.semantic_ids, sorted(semantics), out=coverage)
    if instances:
        select_ids(clip.instance_ids, sorted(instances), out=coverage)
    if region.box is not None:
        scale = (clip.width, clip.height) * 2 if region.normalized else (1.0,) * 4
        limit_to_box(coverage, [edge * factor for edge, factor in zip(region.box, scale, strict=True)])
    stored = region.mask_array if region.mask is None else read_mask(region.mask)
    if stored is not None:
        mask = mask_to_float(stored, shape, region.mask or "array")
        limit_to_mask(coverage, wp.array(mask, dtype=wp.float32, device=device))
    if not inspect_weights(coverage)[0]:
        raise ControlError(f"{name} covers no pixel of the clip; check its box and mask ({shape} [T, H, W]).")
    return coverage


def _wanted_ids(clip: Clip, region: Area, name: str) -> tuple[set[int], set[int]]:
    """Semantic ids and instance ids that a region selects, each of which occurs in the clip."""
    semantics: set[int] = set()
    instances: set[int] = set()
    if region.classes:
        in_semantics = _occurring(clip, "semantic_ids", clip.labels)
        in_instances = _occurring(clip, "instance_ids", clip.instances)
        if clip.semantic_ids is None and clip.instance_ids is None:
            raise _lacks(name, "classes", "semantic_ids")
        names = {key: _class_names(clip.labels[key]) for key in in_semantics}
        owners = {key: _class_names(clip.instances[key].labels) for key in in_instances}
        known = set().union(*names.values(), *owners.values())
        for wanted in region.classes:
            if wanted not in known:
                raise ControlError(
                    f"{name} wants the class {wanted!r}, which never occurs; {_listing('classes', known)}"
                )
            semantics |= {key for key, held in names.items() if wanted in held}
            instances |= {key for key, held in owners.items() if wanted in held}
    if region.prims or region.instances:
        if clip.instance_ids is None:
            raise _lacks(name, "prims and instances", "instance_ids")
        paths = {key: clip.instances[key].prim_path for key in _occurring(clip, "instance_ids", clip.instances)}
        for glob in region.prims:
            found = {key for key, path in paths.items() if _matches(path, glob)}
            if not found:
                raise ControlError(
                    f"{name} wants the prim {glob!r}, which never occurs; {_listing('prims', paths.values())}"
                )
            instances |= found
        missing = set(region.instances) - set(paths)
        if missing:
            raise ControlError(
                f"{name} wants the instances {sorted(missing)}, which never occur; {_listing('instances', paths)}"
            )
        instances |= set(region.instances)
    return semantics, instances


def _occurring(clip: Clip, buffer: str, known: Mapping[int, object]) -> list[int]:
    """Known ids above 0 that at least one pixel of the clip has."""
    from cosmos.bridge.kernels.segmentation import count_ids

    array = getattr(clip, buffer)
    ids = sorted(key for key in known if key > 0)
    if array is None or not ids:
        return []
    seen = count_ids(array, ids)[:, :-1].any(axis=0)
    return [int(key) for key in np.asarray(ids)[seen]]


def _class_names(labels: Mapping[str, str]) -> set[str]:
    """Labels of every taxonomy; Replicator joins several of one prim with commas."""
    return {part.strip() for label in labels.values() for part in label.split(",")}


def _matches(path: str, glob: str) -> bool:
    """A glob means the prims it names and everything below them; a path with brackets also means itself."""
    glob = glob.rstrip("/")
    return path == glob or path.startswith(glob + "/") or fnmatchcase(path, glob) or fnmatchcase(path, glob + "/*")


def _listing(what: str, known: Iterable[object]) -> str:
    names = sorted(known, key=str)
    if not names:
        return f"no {what} occur in this clip at all."
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{what} that do: {', '.join(map(str, names[:_LISTED]))}{more}."


def _lacks(name: str, what: str, buffer: str) -> ControlError:
    return ControlError(
        f"{name} selects by {what}, but its source did not give the clip's {buffer}; "
        f"read {buffer} as well, or use a box or a mask."
    )


__all__ = ["region_coverage"]
