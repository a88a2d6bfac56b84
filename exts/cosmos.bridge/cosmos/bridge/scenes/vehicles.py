"""Cars and vans: smooth bodies with wheel arches, glass, lamps and rolling wheels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from cosmos.bridge.scenes.builder import MaterialRef, Placement, StageBuilder
from cosmos.bridge.scenes.lofts import hull
from cosmos.bridge.scenes.shapes import Shape, Vector, beam, box, merge, profile_bar, turned
from cosmos.bridge.scenes.textures import Color

PAINT: tuple[Color, ...] = (
    (0.72, 0.08, 0.08), (0.08, 0.20, 0.45), (0.86, 0.86, 0.85), (0.10, 0.10, 0.11), (0.55, 0.57, 0.60),
    (0.12, 0.35, 0.22), (0.85, 0.62, 0.10), (0.35, 0.14, 0.10),
)  # fmt: skip


_RADIUS = 0.33
"""Of a wheel [m]."""
_ARCH = 0.39
"""Radius of a wheel arch [m]."""


def body_shape(
    length: tuple[float, float], top: Sequence[tuple[float, float]], width: float, axles: tuple[float, float], *,
    clearance: float = 0.22, tuck: float = 0.1, round_off: float = 0.2, power: float = 5.0,
) -> Shape:  # fmt: skip
    """Make the painted body of a vehicle, with an arch over each axle.

    Args:
        length: Where it starts and ends along x [m].
        top: Its outline from the side, ``(x, z)`` from back to front [m].
        width: At its widest [m].
        axles: x of the axles [m].
        clearance: Height of its floor [m].
        tuck: Share by which the top is narrower than the bottom.
        round_off: Share of the width that the ends lose.
        power: Boxiness of its sections.
    """
    start, end = length
    middle, half = (start + end) / 2.0, (end - start) / 2.0
    stations = set(np.linspace(start, end, 27).tolist())
    for axle in axles:
        stations |= set((axle + _ARCH * np.cos(np.linspace(0.0, np.pi, 11))).tolist())
    xs = np.array(sorted(stations))
    high = np.interp(xs, [x for x, _ in top], [z for _, z in top])
    low = np.full_like(xs, clearance)
    low += 0.10 * np.clip((np.abs(xs - middle) - 0.9 * half) / (0.1 * half), 0.0, 1.0)  # bumpers curve upwards
    for axle in axles:
        inside = np.sqrt(np.clip(_ARCH**2 - (xs - axle) ** 2, 0.0, None))
        low = np.maximum(low, np.where(inside > 0.0, _RADIUS + inside, low))
    wide = width * (1.0 - round_off * (np.abs(xs - middle) / half) ** 7)
    return hull(list(zip(xs, low, np.maximum(high, low + 0.12), wide, strict=True)), power=power, tuck=tuck)


def wheel(
    builder: StageBuilder, path: str, at: Vector, radius: float, width: float, *, spin: np.ndarray | None = None
) -> None:
    """Author a wheel that rolls along X, its middle at ``at``; ``spin`` turns it [deg], shape [T]."""
    tyre = builder.material("Tyre", color=(0.045, 0.045, 0.05), roughness=0.95)
    rim = builder.material("Rim", color=(0.62, 0.63, 0.65), roughness=0.35, metallic=1.0)
    turn = (0.0, 0.0, 0.0) if spin is None else np.stack([np.zeros_like(spin), spin, np.zeros_like(spin)], axis=1)
    builder.group(path, Placement(at=tuple(at), turn=turn))
    side, edge = width / 2.0, 0.12 * radius
    profile = [
        (0.62 * radius, -0.8 * side),
        (0.70 * radius, -side),
        (radius - edge, -side),
        (radius, edge - side),
        (radius, side - edge),
        (radius - edge, side),
        (0.70 * radius, side),
        (0.62 * radius, 0.8 * side),
    ]
    builder.mesh(f"{path}/Tyre", turned(profile, sides=24).moved(pitch=90.0), tyre, physics="hull")
    spokes = [turned([(0.16 * radius, -side * 0.97), (0.16 * radius, side * 0.97)], sides=12).moved(pitch=90.0)]
    for number in range(5):
        angle = 2.0 * np.pi * number / 5.0
        x, z = 0.66 * radius * np.cos(angle), 0.66 * radius * np.sin(angle)
        spokes += [beam((0.0, y, 0.0), (x, y, z), 0.075 * radius, sides=6) for y in (-0.86 * side, 0.86 * side)]
    builder.mesh(f"{path}/Rim", merge(spokes), rim)


def _mirrored(shape: Shape) -> list[Shape]:
    """Return a shape that lies on the left, and its twin turned to the right."""
    turned_over = shape.points * np.array([1.0, -1.0, 1.0], dtype=np.float32)
    starts = np.concatenate([[0], np.cumsum(shape.counts)])
    order = np.concatenate([np.arange(a, b)[::-1] for a, b in pairwise(starts)])
    flip = np.array([1.0, -1.0, 1.0], dtype=np.float32)
    twin = Shape(
        points=turned_over.astype(np.float32),
        counts=shape.counts,
        indices=shape.indices[order],
        uvs=shape.uvs[order],
        normals=(shape.normals * flip)[order],
    )
    return [shape, twin]


def _car_parts() -> dict[str, Shape]:
    """Return the parts of a car that carry one material each, but paint."""
    glass = hull(
        [
            (-1.72, 0.84, 0.92, 1.34),
            (-1.45, 0.84, 1.10, 1.42),
            (-1.10, 0.84, 1.33, 1.48),
            (-0.85, 0.84, 1.40, 1.50),
            (-0.30, 0.84, 1.435, 1.51),
            (0.15, 0.84, 1.40, 1.50),
            (0.42, 0.84, 1.30, 1.48),
            (0.80, 0.84, 1.08, 1.44),
            (1.12, 0.84, 0.90, 1.38),
        ],
        power=4.5,
        tuck=0.24,
    )
    inside = [
        box((2.9, 1.30, 0.30), (0.0, 0.0, 0.26)),
        box((0.10, 1.10, 0.14), (2.13, 0.0, 0.34)),
        box((0.06, 0.9, 0.05), (2.155, 0.0, 0.60)),
    ]
    mirror = hull([(0.70, 0.93, 1.05, 0.10), (0.76, 0.91, 1.07, 0.20), (0.84, 0.93, 1.05, 0.14)], sides=10).moved(
        (0, 0.87, 0)
    )
    front = hull([(1.86, 0.56, 0.68, 0.20), (2.00, 0.55, 0.68, 0.36), (2.10, 0.56, 0.67, 0.34)], sides=12).moved(
        (0, 0.60, 0)
    )
    rear = hull([(-2.14, 0.68, 0.82, 0.34), (-2.06, 0.66, 0.84, 0.40), (-1.9, 0.68, 0.80, 0.24)], sides=12).moved(
        (0, 0.58, 0)
    )
    return {
        "Glass": glass,
        "Trim": merge(inside),
        "Mirrors": merge(_mirrored(mirror)),
        "HeadLamps": merge(_mirrored(front)),
        "TailLamps": merge(_mirrored(rear)),
    }


def _car_paint() -> tuple[Shape, Shape]:
    """Return the body of a car, and its roof with the pillars."""
    top = (
        (-2.18, 0.66),
        (-2.10, 0.86),
        (-1.95, 0.93),
        (-1.5, 0.95),
        (0.9, 0.93),
        (1.3, 0.90),
        (1.8, 0.80),
        (2.08, 0.68),
        (2.18, 0.52),
    )
    body = body_shape((-2.18, 2.18), top, 1.80, (-1.32, 1.32))
    roof = hull(
        [
            (-1.14, 1.325, 1.36, 1.00),
            (-0.9, 1.36, 1.425, 1.16),
            (-0.30, 1.39, 1.455, 1.20),
            (0.15, 1.355, 1.42, 1.16),
            (0.36, 1.325, 1.36, 1.00),
        ],
        power=3.0,
    )
    pillars: list[Shape] = []
    for low, high in (
        ((1.02, 0.70, 0.92), (0.36, 0.565, 1.345)),
        ((-0.35, 0.735, 0.92), (-0.38, 0.585, 1.40)),
        ((-1.62, 0.70, 0.92), (-1.08, 0.56, 1.35)),
    ):
        pillars += _mirrored(beam(low, high, 0.034, sides=8))
    return body, merge([roof, *pillars])


def _van_parts() -> dict[str, Shape]:
    """Return the parts of a van that carry one material each, but paint."""
    screen = profile_bar(((1.90, 1.20), (1.98, 1.20), (1.50, 1.93), (1.42, 1.93)), 1.62)
    panes = [
        hull(
            [(0.60, 1.22, 1.86, 0.06), (1.0, 1.22, 1.88, 0.06), (1.36, 1.22, 1.84, 0.06), (1.72, 1.24, 1.36, 0.06)],
            sides=12,
        ).moved((0, 0.915, 0))
    ]
    inside = [
        box((3.6, 1.40, 0.30), (0.0, 0.0, 0.30)),
        box((0.10, 1.3, 0.22), (2.45, 0.0, 0.36)),
        box((0.05, 1.0, 0.12), (2.475, 0.0, 0.80)),
    ]
    mirror = hull([(1.55, 1.15, 1.50, 0.08), (1.62, 1.13, 1.52, 0.18), (1.70, 1.15, 1.50, 0.10)], sides=10).moved(
        (0, 1.03, 0)
    )
    front = hull([(2.20, 0.74, 0.96, 0.20), (2.36, 0.72, 0.98, 0.32), (2.47, 0.74, 0.94, 0.28)], sides=12).moved(
        (0, 0.70, 0)
    )
    rear = box((0.06, 0.14, 0.5), (-2.49, 0.80, 0.95))
    return {
        "Glass": merge([screen, *_mirrored(panes[0])]),
        "Trim": merge(inside),
        "Mirrors": merge(_mirrored(mirror)),
        "HeadLamps": merge(_mirrored(front)),
        "TailLamps": merge(_mirrored(rear)),
    }


def _van_paint() -> Shape:
    """Return the body of a van."""
    top = (
        (-2.5, 2.10),
        (-2.42, 2.20),
        (1.0, 2.22),
        (1.3, 2.12),
        (1.46, 1.96),
        (1.98, 1.16),
        (2.3, 1.06),
        (2.45, 0.95),
        (2.5, 0.80),
    )
    return body_shape((-2.5, 2.5), top, 1.96, (-1.6, 1.6), clearance=0.28, tuck=0.05, round_off=0.1, power=9.0)


def car(
    builder: StageBuilder, path: str, placement: Placement, *, color: Color, kind: str = "car",
    label: str | None = None, spin: np.ndarray | None = None,
) -> str:  # fmt: skip
    """Author a car or a van that looks along +X.

    Args:
        builder: Where to.
        path: Prim path.
        placement: Where it stands or drives.
        color: Paint, sRGB.
        kind: ``car`` or ``van``.
        label: Semantic class; ``kind`` when ``None``.
        spin: Turn of the wheels [deg], shape [T].
    """
    van = kind == "van"
    builder.group(path, placement, label=label or kind, physics="kinematic", mass=2100.0 if van else 1400.0)
    paint = builder.material("CarPaint", color=color, roughness=0.28, metallic=0.0)
    if van:
        builder.mesh(f"{path}/Body", _van_paint(), paint, physics="hull")
    else:
        body, roof = _car_paint()
        builder.mesh(f"{path}/Body", body, paint, physics="hull")
        builder.mesh(f"{path}/Roof", roof, paint, physics="hull")
    looks = _looks(builder)
    for name, shape in (_van_parts() if van else _car_parts()).items():
        builder.mesh(f"{path}/{name}", shape, looks[name])
    axle, half = (1.6, 0.86) if van else (1.32, 0.78)
    for number, (x, y) in enumerate(((axle, half), (axle, -half), (-axle, half), (-axle, -half))):
        wheel(builder, f"{path}/Wheel_{number}", (x, y, _RADIUS), _RADIUS, 0.22, spin=spin)
    return path


def _looks(builder: StageBuilder) -> dict[str, MaterialRef]:
    """Return the material of each part of a vehicle."""
    dark = builder.material("CarTrim", color=(0.05, 0.05, 0.055), roughness=0.6)
    return {
        "Glass": builder.material("CarGlass", color=(0.05, 0.07, 0.09), roughness=0.08),
        "Trim": dark,
        "Mirrors": dark,
        "HeadLamps": builder.material("HeadLamp", color=(0.95, 0.95, 0.9), roughness=0.2, emissive=(1.2, 1.15, 1.0)),
        "TailLamps": builder.material("TailLamp", color=(0.6, 0.03, 0.03), roughness=0.3, emissive=(0.7, 0.02, 0.02)),
    }


__all__ = ["PAINT", "body_shape", "car", "wheel"]
