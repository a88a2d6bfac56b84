"""Segmentation control: ids to colours, flat or shaded, and which ids occur in which frame."""

# mypy: disable-error-code="misc"
# (wp.tid() gives as many indices as the launch has axes)

from typing import Mapping, Optional, Sequence

import numpy as np
import warp as wp

from cosmos.bridge.kernels.checks import check_array, check_same_device, lanes_of, prepare_out

wp.set_module_options({"enable_backward": False})

_ID_TYPES = ("uint32", "int32")
_DIRECT_IDS = 65536  # ids below this are looked up in a table, others searched

_KNUTH = wp.constant(wp.uint32(2654435761))  # multiplicative hash, The Art of Computer Programming 3, 6.4


@wp.func
def _find_id(known: wp.array(dtype=wp.uint32, ndim=1), wanted: wp.uint32):
    low = wp.int32(0)
    high = wp.int32(known.shape[0])
    while low < high:
        middle = (low + high) // 2
        if known[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    if low == known.shape[0]:  # on its own: older Warps read both sides of `and`
        return wp.int32(-1)
    if known[low] == wanted:
        return low
    return wp.int32(-1)


@wp.func
def _slot_of(known: wp.array(dtype=wp.uint32, ndim=1), slots: wp.array(dtype=wp.int32, ndim=1), wanted: wp.uint32):
    if slots.shape[0] == 0:
        return _find_id(known, wanted)
    if wanted < wp.uint32(slots.shape[0]):
        return slots[wp.int32(wanted)]
    return wp.int32(-1)


@wp.kernel
def _ids_to_control_kernel(
    # in
    ids: wp.array3d(dtype=wp.uint32),
    known: wp.array(dtype=wp.uint32, ndim=1),
    slots: wp.array(dtype=wp.int32, ndim=1),
    colors: wp.array2d(dtype=wp.uint8),
    others: wp.array2d(dtype=wp.uint8),
    # out
    control_out: wp.array4d(dtype=wp.uint8),
):
    t, y, x = wp.tid()
    wanted = ids[t, y, x]
    slot = _slot_of(known, slots, wanted)
    for c in range(3):
        level = wp.uint8(0)
        if wanted != wp.uint32(0):
            if slot >= 0:
                level = colors[slot, c]
            elif others.shape[0] > 0:
                mixed = wanted * _KNUTH
                mixed = mixed ^ (mixed >> wp.uint32(15))
                level = others[wp.int32(mixed % wp.uint32(others.shape[0])), c]
        control_out[t, y, x, c] = level


@wp.kernel
def _shade_control_kernel(
    # in
    normals: wp.array4d(dtype=wp.float32),
    light: wp.vec3,
    # in and out
    control: wp.array4d(dtype=wp.uint8),
):
    t, y, x = wp.tid()
    normal = wp.vec3(normals[t, y, x, 0], normals[t, y, x, 1], normals[t, y, x, 2])
    facing = wp.dot(normal, light)
    shade = float(0.75)  # no normal: neither lit nor turned away
    if wp.isfinite(facing):
        shade = 0.75 + 0.25 * wp.clamp(facing, -1.0, 1.0)
    for c in range(3):
        control[t, y, x, c] = wp.uint8(wp.float32(control[t, y, x, c]) * shade + 0.5)


@wp.kernel
def _count_ids_kernel(
    # in
    ids: wp.array3d(dtype=wp.uint32),
    known: wp.array(dtype=wp.uint32, ndim=1),
    lanes: wp.int32,
    # out
    counts_out: wp.array2d(dtype=wp.int32),
):
    t, y, lane = wp.tid()
    last = wp.uint32(0)
    slot = _find_id(known, last)
    run = wp.int32(0)
    for x in range(lane, ids.shape[2], lanes):
        wanted = ids[t, y, x]
        if wanted != last:
            if run > 0:
                if slot < 0:
                    slot = known.shape[0]
                wp.atomic_add(counts_out, t, slot, run)
            last = wanted
            slot = _find_id(known, wanted)
            run = wp.int32(0)
        run += 1
    if run > 0:
        if slot < 0:
            slot = known.shape[0]
        wp.atomic_add(counts_out, t, slot, run)


def _slot_table(known: np.ndarray) -> np.ndarray:
    """Position of each id in ``known``, -1 for none; empty where the ids reach too far and must be searched."""
    if not len(known) or known[-1] >= _DIRECT_IDS:
        return np.zeros(0, dtype=np.int32)
    slots = np.full(int(known[-1]) + 1, -1, dtype=np.int32)
    slots[known] = np.arange(len(known), dtype=np.int32)
    return slots


def ids_as_uint32(ids: wp.array) -> wp.array:
    """View int32 ids as uint32, same bits, no copy."""
    return ids if ids.dtype is wp.uint32 else ids.view(wp.uint32)


def ids_to_control(
    ids: wp.array,
    colors: Mapping[int, Sequence[int]],
    *,
    others: Optional[np.ndarray] = None,
    out: Optional[wp.array] = None,
) -> wp.array:
    """Paint each id in its colour; id 0 is black.

    Args:
        ids: uint32 or int32 (same bits), shape [T, H, W]; 0 is background.
        colors: Id -> ``(r, g, b)`` in 0..255.
        others: Colours for ids that ``colors`` does not hold, uint8, shape [N, 3]; which one is a fixed hash of the
            id. ``None`` paints them black.
        out: Video to fill, uint8, shape [T, H, W, 3]; allocated on the device of ``ids`` when ``None``.

    Raises:
        ValueError: If an array does not fit, or a colour lies outside 0..255.
    """
    check_array("ids_to_control", "ids", ids, dtypes=_ID_TYPES, ndim=3)
    known = sorted(colors)
    table = np.asarray([colors[key] for key in known], dtype=np.int64).reshape(-1, 3)
    if known and (known[0] < 0 or known[-1] >= 2**32 or table.min() < 0 or table.max() > 255):
        raise ValueError("ids_to_control needs ids in 0..2^32-1 and colours (r, g, b) in 0..255, got others.")
    spare = np.zeros((0, 3), dtype=np.uint8) if others is None else np.ascontiguousarray(others, dtype=np.uint8)
    if spare.ndim != 2 or spare.shape[1] != 3:
        raise ValueError(f"ids_to_control needs others as uint8 [N, 3], got {list(spare.shape)}.")
    out = prepare_out("ids_to_control", out, (*ids.shape, 3), wp.uint8, ids.device)
    wp.launch(
        _ids_to_control_kernel,
        dim=ids.shape,
        inputs=[
            ids_as_uint32(ids),
            wp.array(np.asarray(known, dtype=np.uint32), dtype=wp.uint32, device=ids.device),
            wp.array(_slot_table(np.asarray(known, dtype=np.int64)), dtype=wp.int32, device=ids.device),
            wp.array(table.astype(np.uint8), dtype=wp.uint8, device=ids.device),
            wp.array(spare, dtype=wp.uint8, device=ids.device),
        ],
        outputs=[out],
        device=ids.device,
    )
    return out


def shade_control(control: wp.array, normals: wp.array, *, light: Sequence[float]) -> wp.array:
    """Darken a segmentation control in place by how far its surfaces turn away from a light.

    The factor is ``0.75 + 0.25 n.l``, in [0.5, 1]: form becomes visible, no instance becomes black.

    Args:
        control: uint8, shape [T, H, W, 3]; changed and returned.
        normals: World-space unit normals, float32, shape [T, H, W, 3]; zero or NaN shades as 0.75.
        light: World direction towards the light, any length above 0.

    Raises:
        ValueError: If an array does not fit, or ``light`` has no direction.
    """
    check_array("shade_control", "control", control, dtypes=("uint8",), ndim=4, channels=3)
    check_array("shade_control", "normals", normals, dtypes=("float32",), ndim=4, channels=3)
    check_same_device("shade_control", control=control, normals=normals)
    if control.shape != normals.shape:
        raise ValueError(
            f"shade_control needs both arrays of one shape, got {list(control.shape)} and {list(normals.shape)}."
        )
    direction = np.asarray(light, dtype=np.float64)
    length = float(np.linalg.norm(direction)) if direction.shape == (3,) else 0.0
    if not 0.0 < length < np.inf:
        raise ValueError(f"shade_control needs light as a direction (x, y, z), got {light!r}.")
    wp.launch(
        _shade_control_kernel,
        dim=control.shape[:3],
        inputs=[normals, wp.vec3(*(direction / length))],
        outputs=[control],
        device=control.device,
    )
    return control


def count_ids(ids: wp.array, known: Sequence[int]) -> np.ndarray:
    """Count the pixels of each known id in each frame.

    Args:
        ids: uint32 or int32 (same bits), shape [T, H, W].
        known: Ids to count, each once, ascending.

    Returns:
        int32, shape [T, K + 1]: column k counts ``known[k]``, the last column everything else.

    Raises:
        ValueError: If ``ids`` does not fit, or ``known`` is not strictly ascending.
    """
    check_array("count_ids", "ids", ids, dtypes=_ID_TYPES, ndim=3)
    table = np.asarray(known, dtype=np.int64).reshape(-1)
    if (np.diff(table) <= 0).any() or (table < 0).any() or (table >= 2**32).any():
        raise ValueError("count_ids needs known ids in 0..2^32-1, each once, ascending.")
    counts = wp.zeros((ids.shape[0], len(table) + 1), dtype=wp.int32, device=ids.device)
    lanes = lanes_of(ids.device)
    wp.launch(
        _count_ids_kernel,
        dim=(*ids.shape[:2], lanes),
        inputs=[ids_as_uint32(ids), wp.array(table.astype(np.uint32), dtype=wp.uint32, device=ids.device), lanes],
        outputs=[counts],
        device=ids.device,
    )
    return counts.numpy()


__all__ = ["count_ids", "ids_as_uint32", "ids_to_control", "shade_control"]
