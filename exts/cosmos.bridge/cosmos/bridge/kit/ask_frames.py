"""Questions of the self-test about pictures: shapes, first frames, memory, clock, unit of depth, motion, devices."""

from __future__ import annotations

import inspect
from itertools import pairwise
from typing import Any, Optional

import numpy as np

from cosmos.bridge.kit import compat, probe
from cosmos.bridge.kit.facts import Fact
from cosmos.bridge.kit.payload import reference_time, split_payload
from cosmos.bridge.kit.pool import is_warp


def ask_shape(structure: str, count: int, kept: list[probe.Kept]) -> Fact:
    """Ask whether a payload of a structure is understood, product by product."""
    name = f"payload {structure}, {count} product{'s' if count > 1 else ''}"
    if not kept:
        return Fact(name=name, ok=False, found="write() was never called")
    products = split_payload(kept[-1].payload, ("rgb", "camera_params"))
    whole = len(products) == count and all({"rgb", "camera_params"} <= set(product.readings) for product in products)
    keys = ", ".join(str(key) for key in kept[-1].payload)
    return Fact(name=name, ok=whole, found=f"{len(products)} products; keys {keys}")


def is_empty(kept: probe.Kept) -> bool:
    """Return whether a frame came before the renderer had drawn."""
    rgb = kept.copies.get("rgb")
    return rgb is None or not rgb.size or not rgb[..., 3:].any()


def ask_frames(kept: list[probe.Kept], rate: float) -> list[Fact]:
    """Ask all that several frames of one camera can tell.

    Args:
        kept: Frames in order, empty ones at the front included; at least three are whole.
        rate: Time codes a second of the stage.
    """
    empty = [index for index, item in enumerate(kept) if is_empty(item)]
    first = Fact(
        name="empty frames come first only",
        ok=empty == list(range(len(empty))),
        found=f"{empty or 'none'} of {len(kept)}",
    )
    plain = [item for item in kept if not is_empty(item)]
    return [first, *_lifetime(plain), _clock(plain, rate), *_pictures(plain), *_devices(plain)]


def _lifetime(kept: list[probe.Kept]) -> list[Fact]:
    """See whether an array shows its frame until write() returns, and still when later ones came."""
    lost = [index for index, item in enumerate(kept) if not item.steady]
    held = Fact(
        name="buffers last while write() runs",
        ok=not lost,
        found=f"frames {lost} were written over meanwhile" if lost else f"in all {len(kept)} frames",
    )
    same = np.array_equal(probe.host_of(_motion(kept[0])), kept[0].copies["motion_vectors"], equal_nan=True)
    later = "no, this time" if same else "yes: a copy is needed, and made"
    return [held, Fact(name="buffers are written over", ok=None, found=later)]


def _motion(kept: probe.Kept) -> Any:
    return split_payload(kept.payload, ("motion_vectors",))[0].readings["motion_vectors"].array


def _clock(kept: list[probe.Kept], rate: float) -> Fact:
    moments = [reference_time(item.payload) for item in kept]
    if any(moment is None for moment in moments):
        return Fact(name="reference time", ok=False, found="not in the payload")
    steps = {str(after - before) for before, after in pairwise(moments) if before is not None and after is not None}
    return Fact(
        name="reference time advances", ok="0" not in steps, found=f"by {', '.join(sorted(steps))} s at {rate:g} 1/s"
    )


def _pictures(kept: list[probe.Kept]) -> list[Fact]:
    (height, width), facts = probe.SIZE, []
    for name, array in kept[-1].copies.items():
        if array.dtype.names is None:
            fits = array.size % (height * width) == 0
            facts.append(Fact(name=f"annotator {name}", ok=fits, found=f"{array.dtype} {list(array.shape)}"))
    step = compat.need("omni.replicator.core.orchestrator.step_async")
    waits = "wait_for_render" in inspect.signature(step).parameters
    facts.append(Fact(name="step_async knows wait_for_render", ok=None, found="yes" if waits else "no"))
    return facts


def _devices(kept: list[probe.Kept]) -> list[Fact]:
    """Compare the ordinal of the GPU that renders with what torch calls the same memory."""
    array, name = _motion(kept[-1]), "the renderer's GPU is torch's"
    if not is_warp(array):
        return [Fact(name=name, ok=None, found="annotators come on the host: Warp sees no CUDA here")]
    ordinal = renderer_ordinal(kept[-1])
    ours = "the host" if ordinal is None else f"cuda:{ordinal}"
    try:
        theirs = torch_place(array)
    except ImportError:
        return [Fact(name=name, ok=None, found=f"pictures lie on {ours}; torch is not installed")]
    return [Fact(name=name, ok=theirs == ours, found=f"pictures lie on {ours}, and for torch on {theirs}")]


def renderer_ordinal(kept: probe.Kept) -> Optional[int]:
    """Return the CUDA ordinal of the memory that Replicator handed over; ``None`` for the host."""
    array = _motion(kept)
    return int(array.device.ordinal) if is_warp(array) and array.device.ordinal >= 0 else None


def torch_place(array: Any) -> str:
    """Return where torch sees an array of Warp: ``cuda:<ordinal>`` or ``the host``.

    Raises:
        ImportError: If torch is not installed.
    """
    import warp as wp

    device = wp.to_torch(array).device
    return f"cuda:{device.index}" if device.type == "cuda" else "the host"


def ask_ticks(kept: list[probe.Kept], rate: float) -> Fact:
    """Ask whether pictures of a camera with a tick rate of its own agree with their reference times.

    Args:
        kept: Frames of `probe.TICKING`, in order.
        rate: Time codes a second of the stage.
    """
    name = "buffers under multi-tick rendering"
    plain = [item for item in kept if not is_empty(item)]
    moments = [reference_time(item.payload) for item in plain]
    places = [_box_column(item) for item in plain]
    whole = [(m, place) for m, place in zip(moments, places, strict=True) if m is not None and place is not None]
    if len(whole) < 3:
        return Fact(name=name, ok=None, found=f"{len(whole)} pictures with a time and the box came; nothing to compare")
    pixels = -probe.expected_motion()[0]
    start = float(np.median([place - float(moment) * rate * pixels for moment, place in whole]))
    worst = max(abs(place - start - float(moment) * rate * pixels) for moment, place in whole)
    times = [moment for moment, _ in whole]
    found = f"{len(times) - len(set(times))} of {len(times)} frames repeat the time of another; "
    return Fact(name=name, ok=worst < 0.75, found=f"{found}the box is at most {worst:.2f} px from where its time says")


def _box_column(kept: probe.Kept) -> Optional[float]:
    """Return the mean column of the box [px], whatever the unit of depth; ``None`` where it is not in sight."""
    depth = kept.copies["distance_to_image_plane"].reshape(probe.SIZE)
    hits = np.isfinite(depth) & (depth > 0.0)
    if not hits.any():
        return None
    near = hits & (depth < 1.02 * depth[hits].min())
    return float(np.nonzero(near)[1].mean())


def calibrate(kept: list[probe.Kept], stage: Any) -> tuple[dict[str, Any], list[Fact]]:
    """Measure the unit of depth, sign and scale of motion, and what both say of the background.

    Args:
        kept: Whole frames of the first camera, in order.
        stage: The open stage.

    Returns:
        Settings to keep, and the facts.
    """
    from pxr import UsdGeom

    unit = UsdGeom.GetStageMetersPerUnit(stage)
    depth = kept[-1].copies["distance_to_image_plane"].reshape(probe.SIZE).astype(np.float64)
    motion = kept[-1].copies["motion_vectors"].reshape(*probe.SIZE, -1)[..., :2].astype(np.float64)
    hits = depth[np.isfinite(depth) & (depth > 0.0)]
    if not hits.size:
        return {}, [Fact(name="depth", ok=False, found="no pixel of the probe has one")]
    near, far = float(hits.min()), float(np.median(hits[hits > 0.5 * (hits.min() + hits.max())]))
    measured: dict[str, Any] = {}
    facts = [_depth_fact(near, far, unit, measured), _background_fact(depth)]
    inside = np.abs(depth - near) < 0.02 * near
    inside &= np.roll(inside, 3, 0) & np.roll(inside, -3, 0) & np.roll(inside, 3, 1) & np.roll(inside, -3, 1)
    seen = np.median(motion[inside], axis=0) if inside.any() else np.zeros(2)
    void = motion[~(np.isfinite(depth) & (depth > 0.0))]
    facts += [_motion_fact(seen, measured), _void_fact(void, measured)]
    return measured, facts


def _depth_fact(near: float, far: float, unit: float, measured: dict[str, Any]) -> Fact:
    found = f"the box at {probe.BOX} m reads {near:.4g}, the wall at {probe.WALL} m reads {far:.4g}"
    metric, scene = (
        all(abs(seen * scale - true) < 0.03 * true for seen, true in ((near, probe.BOX), (far, probe.WALL)))
        for scale in (1.0, unit)
    )
    if metric and scene:
        return Fact(name="unit of depth", ok=None, found=f"{found}; 1 m a unit tells nothing, open a stage of 0.01")
    if metric or scene:
        measured["depth_in_scene_units"] = bool(scene)
        return Fact(name="unit of depth", ok=True, found=f"{found}: {'units of the stage' if scene else 'metres'}")
    return Fact(name="unit of depth", ok=False, found=f"{found}: neither metres nor units of {unit:g} m")


def _background_fact(depth: np.ndarray) -> Fact:
    corner = float(depth[0, 0])
    return Fact(name="depth of the background", ok=not np.isfinite(corner) or corner <= 0.0, found=f"{corner:g}")


def _motion_fact(seen: np.ndarray, measured: dict[str, Any]) -> Fact:
    expected = np.array(probe.expected_motion())
    found = f"{seen[0]:.3g}, {seen[1]:.3g} where {expected[0]:.3g}, {expected[1]:.3g} px is previous minus current"
    if np.abs(seen).min() < 1e-4 * np.abs(expected).min():
        return Fact(name="motion vectors", ok=False, found=f"{found}: there is none; is the renderer's motion on?")
    scale = expected / seen
    if np.abs(np.abs(scale) - 1.0).max() < 0.05:  # only the sign is open
        scale = np.sign(scale)
    measured["motion_scale_x"], measured["motion_scale_y"] = (float(round(value, 4)) for value in scale)
    return Fact(name="motion vectors", ok=True, found=f"{found}: scale {scale[0]:.4g}, {scale[1]:.4g}")


def _void_fact(void: np.ndarray, measured: dict[str, Any]) -> Fact:
    """See what stands for the motion of nothing: the probe's camera rests, so anything but 0 is a filler."""
    name = "motion of the background"
    if not len(void):
        return Fact(name=name, ok=None, found="the probe fills the picture; it cannot be seen")
    values = np.round(np.nan_to_num(void), 3) + 0.0
    usual = np.median(values, axis=0)
    found = f"{usual[0]:g}, {usual[1]:g}"
    share = float((values == usual).all(axis=1).mean())
    if share < 0.9:
        return Fact(name=name, ok=False, found=f"{found} in {share:.0%} of it only: neither motion nor a filler")
    filler = bool(usual.any())
    measured["motion_void_is_filler"] = filler
    told = "a filler, which is taken as no motion" if filler else "no motion"
    return Fact(name=name, ok=True, found=f"{found}: {told}")


__all__ = [
    "ask_frames",
    "ask_shape",
    "ask_ticks",
    "calibrate",
    "is_empty",
    "renderer_ordinal",
    "torch_place",
]
