"""The stage's local lights as device arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.atlas import mean_color
from cosmos.bridge.render.draw.lamp import Lamps
from cosmos.bridge.render.remarks import MAX_LAMPS
from cosmos.bridge.render.scene import Light, Pose, Scene

_KINDS = {"distant": 0, "rect": 1, "sphere": 2, "cylinder": 3, "disk": 4}
_DTYPES = {
    "kinds": wp.int32,
    "places": wp.vec3,
    "sides": wp.vec3,
    "tops": wp.vec3,
    "aims": wp.vec3,
    "sizes": wp.float32,
    "powers": wp.vec3,
    "radiances": wp.vec3,
    "areas": wp.float32,
    "shapings": wp.vec4,
    "tints": wp.vec3,
    "images": wp.int32,
    "shadows": wp.int32,
}


def _extent(light: Light, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float, float]:
    """Return the extents along x and y [m], the radius [m], the area seen from the front and the whole one [m2]."""
    scale = np.linalg.norm(axes, axis=0)
    unit = axes / np.maximum(scale, 1e-12)
    width, height = light.size
    if light.kind == "rect":
        area = width * scale[0] * height * scale[1]
        return axes[:, 0] * width / 2, axes[:, 1] * height / 2, 0.0, area, area
    if light.kind == "disk":
        area = math.pi * width**2 * scale[0] * scale[1]
        return axes[:, 0] * width, axes[:, 1] * width, 0.0, area, area
    if light.kind == "sphere":
        radius = max(width * scale.mean(), 1e-5)
        area = math.pi * radius**2
        return unit[:, 0] * radius, unit[:, 1] * radius, radius, area, 4.0 * area
    radius, length = max(width * math.sqrt(scale[1] * scale[2]), 1e-5), height * scale[0]
    return unit[:, 0] * length / 2, unit[:, 1] * radius, radius, 2.0 * radius * length, 2.0 * math.pi * radius * length


def _row(light: Light, matrix: np.ndarray, scene: Scene, gain: float) -> dict[str, Any]:
    """Return what ``Lamps`` holds of one light; its place is in world space [m]."""
    axes = matrix[:3, :3]
    aim = -axes[:, 2] / max(float(np.linalg.norm(axes[:, 2])), 1e-12)
    row: dict[str, Any] = {"kinds": _KINDS[light.kind], "aims": aim, "shadows": int(light.shadow), "images": -1}
    row |= {"places": np.zeros(3), "sides": np.zeros(3), "tops": np.zeros(3), "areas": 0.0}
    row |= {"shapings": np.zeros(4), "tints": np.zeros(3)}
    if light.kind == "distant":
        half = max(1e-3, math.radians(min(90.0, 0.5 * light.size[0])))
        arriving = np.asarray(light.irradiance) * gain
        return row | {"sizes": half, "powers": arriving, "radiances": arriving / (math.pi * math.sin(half) ** 2)}
    side, top, radius, seen, whole = _extent(light, axes)
    seen, whole = max(seen, 1e-10), max(whole, 1e-10)
    radiance = np.asarray(light.color, dtype=np.float64) * gain / (whole if light.normalize else 1.0)
    mean = radiance
    if light.texture >= 0:
        mean = radiance * mean_color(scene.textures[light.texture])
    used = light.focus > 0.0 or light.cone_angle < 180.0
    shaping = np.array([light.focus, math.radians(light.cone_angle), light.cone_softness, float(used)])
    row |= {"places": matrix[:3, 3], "sides": side, "tops": top, "sizes": radius, "areas": seen, "powers": mean * seen}
    return row | {"radiances": radiance, "shapings": shaping, "tints": light.focus_tint, "images": light.texture}


def make_lamps(
    scene: Scene,
    lights: Sequence[Light],
    pose: Pose,
    origin: np.ndarray,
    device: Any,
    *,
    gain: float = 1.0,
    skip: tuple[int, ...] = (),
) -> Any:
    """Return the local lights at ``pose``.

    Args:
        scene: The stage.
        lights: Its lights as bright as they are to be drawn, in the order of ``scene.lights``.
        pose: Where the lights are.
        origin: Origin of the world's arrays [m], float64, shape [3].
        device: Warp device.
        gain: Factor on every power.
        skip: Indices of lights that are drawn elsewhere (the sun).
    """
    rows = []
    for index, light in enumerate(lights):
        if light.kind == "dome" or index in skip or max(light.color) * gain <= 0.0:
            continue
        matrix = np.asarray(pose.light_to_world[index], dtype=np.float64)
        if not np.isfinite(matrix).all():
            continue
        row = _row(light, matrix, scene, gain)
        if light.kind != "distant":
            row["places"] = row["places"] - origin
        rows.append(row)
    rows.sort(key=lambda row: -float(np.max(row["powers"])))
    rows = rows[:MAX_LAMPS]
    lamps = Lamps()
    lamps.count = len(rows)
    for name, dtype in _DTYPES.items():
        width = {wp.vec3: 3, wp.vec4: 4}.get(dtype, 0)
        column = [row[name] for row in rows] or [np.zeros(width) if width else 0]
        values = np.array(column, dtype=np.int32 if dtype is wp.int32 else np.float32)
        setattr(lamps, name, wp.array(values, dtype=dtype, device=device))
    return lamps


__all__ = ["make_lamps"]
