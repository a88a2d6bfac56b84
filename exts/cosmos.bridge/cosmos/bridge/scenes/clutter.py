"""Single objects of random size and make, from bare solids to chairs and ladders, for domain-randomised scenes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cosmos.bridge.scenes import props
from cosmos.bridge.scenes.builder import MaterialRef, Placement, StageBuilder
from cosmos.bridge.scenes.shapes import (
    Shape,
    beam,
    blob,
    box,
    cylinder,
    extruded,
    merge,
    profile_bar,
    stairs,
    turned,
)

_Maker = Callable[[np.random.Generator], list[Shape]]


def _prism(rng: np.random.Generator) -> list[Shape]:
    """A prism over a random star-shaped outline: a star, an L, a gear, a triangle."""
    corners = int(rng.integers(3, 11))
    angles = 2.0 * np.pi * np.arange(corners) / corners
    radii = 0.5 * rng.uniform(0.4, 1.0, corners)
    outline = [(float(r * np.cos(a)), float(r * np.sin(a))) for r, a in zip(radii, angles, strict=True)]
    return [extruded(outline, float(rng.uniform(0.15, 1.2)))]


def _vase(rng: np.random.Generator) -> list[Shape]:
    heights = np.cumsum(rng.uniform(0.08, 0.3, 5))
    return [turned([(float(rng.uniform(0.08, 0.4)), float(z - heights[0])) for z in heights], sides=14)]


def _stack(rng: np.random.Generator) -> list[Shape]:
    parts, level = [], 0.0
    for _ in range(int(rng.integers(2, 5))):
        size = rng.uniform([0.35, 0.3, 0.15], [0.9, 0.8, 0.5])
        parts.append(box(size, (0, 0, level), yaw=float(rng.normal(0, 12))))
        level += float(size[2])
    return parts


def _chair(rng: np.random.Generator) -> list[Shape]:
    legs = [box((0.05, 0.05, 0.45), (x, y, 0)) for x in (-0.2, 0.2) for y in (-0.2, 0.2)]
    back = box((0.46, 0.04, float(rng.uniform(0.3, 0.55))), (0, 0.21, 0.5))
    return [merge([*legs, box((0.48, 0.48, 0.05), (0, 0, 0.45))]), back]


def _bench(rng: np.random.Generator) -> list[Shape]:
    length = float(rng.uniform(0.9, 1.7))
    legs = [box((0.08, 0.4, 0.42), (x, 0, 0)) for x in (-0.4 * length, 0.4 * length)]
    slats = [box((length, 0.1, 0.04), (0, y, 0.42)) for y in (-0.15, 0.0, 0.15)]
    return [merge(legs), merge(slats)]


def _ladder(rng: np.random.Generator) -> list[Shape]:
    height = float(rng.uniform(1.2, 2.4))
    rails = [beam((x, 0, 0), (x, 0.25 * height, height), 0.03) for x in (-0.22, 0.22)]
    rungs = [beam((-0.22, 0.25 * z, z), (0.22, 0.25 * z, z), 0.018, sides=6) for z in np.arange(0.25, height, 0.28)]
    return [merge([*rails, *rungs])]


def _arch(rng: np.random.Generator) -> list[Shape]:
    wide, high = float(rng.uniform(0.8, 1.8)), float(rng.uniform(0.9, 2.0))
    outline = [(-wide / 2, 0), (-wide / 2 + 0.15, 0), (-wide / 2 + 0.15, high * 0.8), (wide / 2 - 0.15, high * 0.8),
               (wide / 2 - 0.15, 0), (wide / 2, 0), (wide / 2, high), (-wide / 2, high)]  # fmt: skip
    return [profile_bar(outline, float(rng.uniform(0.15, 0.6)))]


def _sign(rng: np.random.Generator) -> list[Shape]:
    height = float(rng.uniform(1.2, 2.4))
    plate = box((0.6, 0.03, 0.45), (0, -0.05, height - 0.45), fit=True)
    return [cylinder(0.03, height, sides=8), plate]


def _trolley(rng: np.random.Generator) -> list[Shape]:
    wheels = [
        turned([(0.09, -0.025), (0.09, 0.025)], sides=12).moved((x, y, 0.09), pitch=90.0)
        for x in (-0.4, 0.4) for y in (-0.24, 0.24)
    ]  # fmt: skip
    handle = [beam((-0.45, y, 0.2), (-0.6, y, 1.0), 0.02, sides=6) for y in (-0.22, 0.22)]
    handle.append(beam((-0.6, -0.22, 1.0), (-0.6, 0.22, 1.0), 0.02, sides=6))
    load = box(rng.uniform([0.4, 0.35, 0.2], [0.85, 0.5, 0.7]), (0.02, 0, 0.24))
    return [merge(wheels), merge([box((1.0, 0.6, 0.05), (0, 0, 0.18)), *handle]), load]


def _machine(rng: np.random.Generator) -> list[Shape]:
    body = box(rng.uniform([0.7, 0.6, 0.8], [1.4, 1.0, 1.6]))
    top = float(body.points[:, 2].max())
    return [body, cylinder(float(rng.uniform(0.1, 0.25)), float(rng.uniform(0.2, 0.6)), (0.15, 0.1, top)),
            box((0.4, 0.05, 0.3), (0.0, float(body.points[:, 1].min()), top * 0.55), fit=True)]  # fmt: skip


_MAKERS: dict[str, _Maker] = {
    "box": lambda rng: [box(rng.uniform(0.3, 1.2, 3))],
    "slab": lambda rng: [box(rng.uniform([0.8, 0.4, 0.05], [2.0, 1.2, 0.25]))],
    "column": lambda rng: [cylinder(float(rng.uniform(0.12, 0.4)), float(rng.uniform(0.5, 2.4)))],
    "prism": _prism, "vase": _vase, "stack": _stack, "chair": _chair, "bench": _bench, "ladder": _ladder, "arch": _arch,
    "sign": _sign, "trolley": _trolley, "machine": _machine,
    "steps": lambda rng: [stairs(float(rng.uniform(0.6, 1.6)), 0.18, 0.28, int(rng.integers(2, 7)))],
    "rock": lambda rng: [blob(rng.uniform(0.25, 0.7, 3), int(rng.integers(1 << 20)), roughness=0.3).moved((0, 0, 0.2))],
    "bush": lambda rng: [blob((0.5, 0.5, 0.45), int(rng.integers(1 << 20)), roughness=0.25).moved((0, 0, 0.35))],
    "barrel": lambda rng: [props.barrel_shape()],
    "marker": lambda rng: [props.cone_shape()],
    "pallet": lambda rng: [props.pallet_shape(), box(rng.uniform([0.5, 0.5, 0.3], [1.1, 0.8, 1.0]), (0, 0, 0.144))],
    "ramp": lambda rng: [profile_bar(((-0.8, 0), (0.8, 0), (0.8, float(rng.uniform(0.2, 0.9)))), 0.8)],
}  # fmt: skip
_ROUND = ("sphere", "cone", "capsule", "pipe")

CLUTTER: tuple[str, ...] = (*_MAKERS, *_ROUND)
"""Names that ``object_of`` knows; each is the semantic class of what it makes."""


def object_of(
    builder: StageBuilder, path: str, name: str, size: float, placement: Placement, rng: np.random.Generator,
    material: Callable[[], MaterialRef],
) -> str:  # fmt: skip
    """Author an object that stands on its placement.

    Args:
        builder: Where to.
        path: Prim path.
        name: One of ``CLUTTER``.
        size: Scale; 1 is about a metre.
        placement: Where it stands; its scale is replaced.
        rng: Decides proportions.
        material: Draws a material for each part.
    """
    builder.group(path, Placement(at=placement.at, turn=placement.turn, scale=(size,) * 3), label=name)
    if name in _MAKERS:
        for number, shape in enumerate(_MAKERS[name](rng)):
            builder.mesh(f"{path}/Part_{number}", shape, material())
        return path
    radius, height = float(rng.uniform(0.2, 0.45)), float(rng.uniform(0.4, 1.1))
    if name == "sphere":
        builder.round(f"{path}/Part", "Sphere", radius, 0.0, material(), Placement(at=(0, 0, radius)))
    elif name == "cone":
        builder.round(f"{path}/Part", "Cone", radius, height, material(), Placement(at=(0, 0, height / 2)))
    elif name == "capsule":
        builder.round(f"{path}/Part", "Capsule", radius, height, material(), Placement(at=(0, 0, radius + height / 2)))
    else:
        builder.round(
            f"{path}/Part", "Cylinder", radius, 2 * height, material(), Placement(at=(0, 0, radius)), axis="X"
        )
    return path


__all__ = ["CLUTTER", "object_of"]
