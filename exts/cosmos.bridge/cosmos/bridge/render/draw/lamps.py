"""The stage's local lights as device arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.light import Lamps
from cosmos.bridge.render.scene import Light, Pose, Scene

MAX_LAMPS = 64
"""Local lights that are drawn; the brightest are kept."""


def _extent(light: Light, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return half extents along the light's x and y [m], and the area that shines [m2]."""
    scale = np.linalg.norm(axes, axis=0)
    width, height = light.size
    if light.kind == "rect":
        return axes[:, 0] * width / 2, axes[:, 1] * height / 2, width * scale[0] * height * scale[1]
    if light.kind == "disk":
        radius = width * math.sqrt(scale[0] * scale[1])
        half = width * math.sqrt(math.pi) / 2  # a square of the same area
        return axes[:, 0] * half, axes[:, 1] * half, math.pi * radius**2
    if light.kind == "sphere":
        radius = width * scale.mean()
        return axes[:, 0] * width * 0.7, axes[:, 1] * width * 0.7, math.pi * radius**2
    radius = width * math.sqrt(scale[1] * scale[2])
    return axes[:, 0] * height / 2, axes[:, 1] * width * 0.7, 2.0 * radius * height * scale[0]


def _surface_area(light: Light, area: float) -> float:
    """Return the area of the whole light, by which ``normalize`` divides [m2]."""
    return area * {"sphere": 4.0, "cylinder": math.pi}.get(light.kind, 1.0)


def make_lamps(
    scene: Scene, pose: Pose, origin: np.ndarray, device: Any, *, gain: float = 1.0, skip: tuple[int, ...] = ()
) -> Any:
    """Return the local lights at ``pose``.

    Args:
        scene: The stage.
        pose: Where the lights are.
        origin: Origin of the world's arrays [m], float64, shape [3].
        device: Warp device.
        gain: Factor on every power.
        skip: Indices of lights that are drawn elsewhere (the sun).
    """
    rows = []
    for index, light in enumerate(scene.lights):
        if light.kind == "dome" or index in skip or max(light.color) * gain <= 0.0:
            continue
        matrix = np.asarray(pose.light_to_world[index], dtype=np.float64)
        axes = matrix[:3, :3]
        aim = -axes[:, 2] / max(float(np.linalg.norm(axes[:, 2])), 1e-12)
        color = np.asarray(light.color, dtype=np.float64) * gain
        if light.kind == "distant":
            rows.append((0, np.zeros(3), np.zeros(3), np.zeros(3), aim, color, 0.0, light.shadow))
            continue
        side, top, area = _extent(light, axes)
        area = max(area, 1e-8)
        power = color * (area / _surface_area(light, area) if light.normalize else area)
        kind = {"rect": 1, "disk": 1, "sphere": 2, "cylinder": 3}[light.kind]
        rows.append((kind, matrix[:3, 3] - origin, side, top, aim, power, area, light.shadow))
    rows.sort(key=lambda row: -float(np.max(row[5])))
    rows = rows[:MAX_LAMPS]
    lamps = Lamps()
    lamps.count = len(rows)
    columns: list = list(zip(*rows, strict=True)) if rows else [[0], *([np.zeros(3)] for _ in range(5)), [0.0], [0]]
    dtypes = (wp.int32, wp.vec3, wp.vec3, wp.vec3, wp.vec3, wp.vec3, wp.float32, wp.int32)
    names = ("kinds", "places", "sides", "tops", "aims", "powers", "areas", "shadows")
    for name, dtype, column in zip(names, dtypes, columns, strict=True):
        values = np.array(column, dtype=np.int32 if dtype is wp.int32 else np.float32)
        setattr(lamps, name, wp.array(values, dtype=dtype, device=device))
    return lamps


__all__ = ["MAX_LAMPS", "make_lamps"]
