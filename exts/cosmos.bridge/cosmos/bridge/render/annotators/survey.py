"""One pass over the ids of a frame: what they are shown as, which occur, how many pixels each has and where.

The first index of every output that several threads add to is a thread's own slot, so that nothing is lost; on CUDA
there is one slot, and what is added is added atomically.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.bands import Bands

wp.set_module_options({"enable_backward": False})

STRETCH = 128
"""Columns of a row that one item of a launch works on [px]."""
_STRETCH = wp.constant(wp.int32(STRETCH))
_NOWHERE = -(1 << 30)


@wp.func
def _note(spans: wp.array3d(dtype=wp.int32), slot: wp.int32, key: wp.int32, x0: wp.int32, x1: wp.int32, y: wp.int32):
    """Add columns x0 to x1, half-open, of row y to what is known of an id."""
    wp.atomic_add(spans, slot, key, 0, x1 - x0)
    wp.atomic_max(spans, slot, key, 1, -x0)
    wp.atomic_max(spans, slot, key, 2, -y)
    wp.atomic_max(spans, slot, key, 3, x1 - 1)
    wp.atomic_max(spans, slot, key, 4, y)


@wp.kernel
def _survey_kernel(
    slot: wp.int32,
    first: wp.int32,
    ids: wp.array2d(dtype=wp.uint32),
    table: wp.array(dtype=wp.uint32),  # what each id is shown as
    beyond: wp.int32,  # what an id beyond the table is shown as, -1 for itself
    shown_out: wp.array2d(dtype=wp.uint32),
    seen_out: wp.array2d(dtype=wp.uint8),  # [S, ids + 1]: whether an id occurs; the last stands for all beyond
    spans_out: wp.array3d(dtype=wp.int32),  # [S, G, 5]: pixels, -x_min, -y_min, x_max, y_max of what is shown; or G = 0
):
    item = first + wp.tid()
    stretches = (ids.shape[1] + _STRETCH - 1) // _STRETCH
    y = item // stretches
    begin = (item - y * stretches) * _STRETCH
    end = wp.min(begin + _STRETCH, ids.shape[1])
    count = wp.uint32(table.shape[0])
    last = wp.uint32(0)
    shown = wp.uint32(0)
    start = begin
    for x in range(begin, end):
        key = ids[y, x]
        if x == begin or key != last:
            if x > begin and spans_out.shape[1] > 0:
                _note(spans_out, slot, wp.int32(shown), start, x, y)
            start = x
            last = key
            if key < count:
                shown = table[wp.int32(key)]
                seen_out[slot, wp.int32(key)] = wp.uint8(1)
            else:
                shown = key
                if beyond >= 0:
                    shown = wp.uint32(beyond)
                seen_out[slot, table.shape[0]] = wp.uint8(1)
        shown_out[y, x] = shown
    if spans_out.shape[1] > 0:
        _note(spans_out, slot, wp.int32(shown), start, end, y)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Survey:
    """What ids a picture shows."""

    shown: wp.array
    """What each pixel is shown as, uint32, shape [H, W]; its own memory."""
    present: tuple[int, ...]
    """The ids that occur, ascending, as they were before they were looked up."""
    pixels: np.ndarray
    """Pixels of each thing that is shown, int64, shape [G]."""
    boxes: np.ndarray
    """Inclusive x_min, y_min, x_max, y_max of each [px], int32, -1 where there is no pixel, shape [G, 4]."""


def survey(bands: Bands, ids: wp.array, table: np.ndarray, *, beyond: int = -1, count: int = 0) -> Survey:
    """Look up the id of each pixel, tell which occur, and count and box what they are shown as.

    Args:
        bands: Where to launch.
        ids: uint32, shape [H, W].
        table: What each id is shown as, shape [K].
        beyond: What ids from K on are shown as; as themselves when -1.
        count: Number G of things to count and box: what is shown is less than that; nothing is counted when 0.
    """
    height, width = ids.shape
    items = height * stretches(width)
    slots = 1 if bands.threads == 1 else max(1, min(2 * bands.threads, items // 64))
    empty = np.full((slots, count, 5), _NOWHERE, np.int32)
    empty[..., 0] = 0
    seen = wp.zeros((slots, len(table) + 1), dtype=wp.uint8, device=bands.device)
    spans = wp.array(empty, dtype=wp.int32, device=bands.device)
    shown = wp.empty((height, width), dtype=wp.uint32, device=bands.device)
    values = wp.array(np.asarray(table, np.uint32), dtype=wp.uint32, device=bands.device)
    bands.load(_survey_kernel)
    edges = [items * slot // slots for slot in range(slots + 1)]
    inputs = [ids, values, beyond, shown, seen, spans]
    bands.run(_survey_kernel, [(b - a, (slot, a)) for slot, (a, b) in enumerate(pairwise(edges))], inputs)
    found, spans = seen.numpy().any(axis=0), spans.numpy()
    present = np.unique(ids.numpy()) if found[-1] else np.flatnonzero(found)
    pixels, ends = spans[..., 0].sum(axis=0, dtype=np.int64), spans[..., 1:].max(axis=0)
    boxes = np.where(pixels[:, None] > 0, ends * (-1, -1, 1, 1), -1).astype(np.int32)
    return Survey(shown=shown, present=tuple(present.tolist()), pixels=pixels, boxes=boxes)


def stretches(width: int) -> int:
    """Return how many items a row is split into."""
    return -(-width // STRETCH)


__all__ = ["STRETCH", "Survey", "stretches", "survey"]
