"""Things that stand and move in more than one scene: people, vehicles, trees, crates, racks, buildings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cosmos.bridge.scenes.builder import MaterialRef, Placement, StageBuilder
from cosmos.bridge.scenes.people import CLOTH, SKIN, person
from cosmos.bridge.scenes.shapes import (
    Shape,
    Vector,
    beam,
    blob,
    box,
    cylinder,
    extruded,
    merge,
    profile_bar,
    turned,
)
from cosmos.bridge.scenes.textures import Color
from cosmos.bridge.scenes.vehicles import PAINT, car, wheel


def path_along(
    builder: StageBuilder, start: Vector, end: Vector, *, speed: float, phase: float = 0.0
) -> tuple[np.ndarray, float]:
    """Walk from ``start`` towards ``end`` and turn back there.

    Args:
        builder: Gives the frames.
        start: First end of the way [m].
        end: Other end of the way [m].
        speed: Speed [m/s].
        phase: Way already walked [m].

    Returns:
        Positions [T, 3] [m] and the heading of the way around Z [deg]; at a turn the walker steps backwards, so keep
        ways longer than ``speed * num_frames / 24``.
    """
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    length = float(np.linalg.norm(b - a))
    walked = phase + speed * builder.times / 24.0
    folded = length - np.abs(np.mod(walked, 2.0 * length) - length)
    direction = (b - a) / max(length, 1.0e-9)
    return a + folded[:, None] * direction, float(np.degrees(np.arctan2(direction[1], direction[0])))


def tree(builder: StageBuilder, path: str, at: Vector, *, seed: int, height: float = 6.0, label: str = "tree") -> str:
    """Author a broadleaf tree, or a conifer for every third seed."""
    rng = np.random.default_rng(seed)
    green = float(rng.uniform(0.26, 0.42))
    leaves = builder.surface(
        "grass", color=(round(green * rng.uniform(0.55, 0.9), 2), round(green, 2), 0.14), seed=seed % 3, tile=1.5,
        roughness=0.95, size=128,
    )  # fmt: skip
    bark = builder.material("Bark", color=(0.27, 0.20, 0.14), roughness=0.95)
    builder.group(path, Placement(at=tuple(at), turn=(0, 0, float(rng.uniform(0, 360)))), label=label)
    trunk = height * (0.25 if seed % 3 == 2 else 0.5)
    builder.mesh(f"{path}/Trunk", turned([(height * 0.035, 0.0), (height * 0.022, trunk)], sides=9), bark)
    if seed % 3 == 2:
        tiers = []
        for tier in range(4):
            low = height * (0.16 + 0.2 * tier)
            radius = height * 0.24 * (1.0 - 0.2 * tier)
            tiers.append(
                turned([(radius, 0.0), (radius * 0.25, height * 0.24), (0.0, height * 0.27)], sides=11).moved(
                    (0, 0, low)
                )
            )
        builder.mesh(f"{path}/Crown", merge(tiers), leaves)
        return path
    crown = []
    for number in range(5):
        angle = 2.0 * np.pi * number / 4.0
        reach = 0.0 if number == 4 else height * 0.16
        radius = height * float(rng.uniform(0.16, 0.22))
        middle = (
            reach * np.cos(angle),
            reach * np.sin(angle),
            height * float(rng.uniform(0.58, 0.72) + (number == 4) * 0.12),
        )
        crown.append(blob((radius, radius, radius * 0.9), seed * 7 + number, rows=9, sides=14).moved(middle))
    builder.mesh(f"{path}/Crown", merge(crown), leaves)
    return path


def pallet_shape() -> Shape:
    """Make a 1.2 x 0.8 m pallet that stands on the origin; its top is at 0.144 m."""
    parts = [box((1.2, 0.1, 0.022), (0, y, 0.0)) for y in (-0.35, 0.0, 0.35)]
    parts += [box((0.1, 0.1, 0.078), (x, y, 0.022)) for x in (-0.55, 0.0, 0.55) for y in (-0.35, 0.0, 0.35)]
    parts += [box((0.1, 0.8, 0.022), (x, 0.0, 0.1)) for x in (-0.55, 0.0, 0.55)]
    parts += [box((1.2, 0.11, 0.022), (0, y, 0.122)) for y in (-0.345, -0.17, 0.0, 0.17, 0.345)]
    return merge(parts)


def crate(
    builder: StageBuilder, path: str, size: Vector, placement: Placement, material: MaterialRef, *, label: str = "box",
    mass: float = 8.0,
) -> str:  # fmt: skip
    """Author a box that physics can push around."""
    return builder.mesh(path, box(size), material, placement, label=label, physics="rigid", mass=mass)


def rack_shapes(length: float, height: float, depth: float, levels: Sequence[float]) -> tuple[Shape, Shape, Shape]:
    """Make a pallet rack along X around the origin: uprights, beams, and shelf boards, each to be one mesh."""
    bays = max(1, round(length / 2.7))
    xs = np.linspace(-length / 2.0, length / 2.0, bays + 1)
    ys = (-depth / 2.0, depth / 2.0)
    uprights = [box((0.09, 0.09, height), (x, y, 0.0)) for x in xs for y in ys]
    for x in xs:
        for step in range(int(height / 1.1)):
            low, high = 0.2 + 1.1 * step, 0.2 + 1.1 * (step + 1)
            ends = ys if step % 2 else ys[::-1]
            uprights.append(beam((x, ends[0], low), (x, ends[1], high), 0.02, sides=5))
    beams = [box((length, 0.05, 0.12), (0.0, y, level - 0.12)) for y in ys for level in levels]
    boards = [box((length - 0.1, depth - 0.06, 0.03), (0.0, 0.0, level - 0.01)) for level in levels]
    return merge(uprights), merge(beams), merge(boards)


def lamp_post(
    builder: StageBuilder, path: str, at: Vector, *, yaw: float, height: float = 6.5, intensity: float = 30.0
) -> str:
    """Author a street lamp whose arm reaches along +X of ``yaw``, with a light of that ``intensity`` in its head."""
    steel = builder.material("LampSteel", color=(0.33, 0.35, 0.36), roughness=0.45, metallic=1.0)
    glow = builder.material("LampGlow", color=(0.95, 0.9, 0.8), roughness=0.4, emissive=(1.6, 1.4, 1.0))
    builder.group(path, Placement(at=tuple(at), turn=(0, 0, yaw)), label="lamp")
    mast = [turned([(0.09, 0.0), (0.05, height)], sides=10), beam((0, 0, height), (1.3, 0, height + 0.2), 0.04)]
    mast.append(box((0.6, 0.26, 0.09), (1.45, 0, height + 0.14)))
    builder.mesh(f"{path}/Mast", merge(mast), steel, physics="collider")
    builder.mesh(f"{path}/Glass", box((0.5, 0.2, 0.03), (1.45, 0, height + 0.11)), glow)
    builder.light(f"{path}/Light", "SphereLight", intensity=intensity, color=(1.0, 0.82, 0.58), radius=0.15,
                  placement=Placement(at=(1.45, 0, height - 0.15)))  # fmt: skip
    return path


def building(
    builder: StageBuilder, path: str, size: Vector, placement: Placement, *, seed: int, label: str = "building"
) -> str:
    """Author a house whose walls show windows, with a roof and a plinth; its front looks along -Y."""
    rng = np.random.default_rng(seed)
    palette: tuple[Color, ...] = (
        (0.72, 0.66, 0.56),
        (0.60, 0.33, 0.26),
        (0.70, 0.70, 0.68),
        (0.50, 0.42, 0.36),
        (0.78, 0.72, 0.60),
        (0.45, 0.48, 0.52),
    )
    color = palette[rng.integers(len(palette))]
    wall = builder.surface("windows", color=color, seed=seed % 4, tile=6.0, roughness=0.75)
    trim = builder.surface("plaster", color=(0.42, 0.41, 0.40), seed=0, tile=3.0)
    builder.group(path, placement, label=label)
    width, depth, height = (float(value) for value in size)
    builder.mesh(f"{path}/Walls", box((width, depth, height)), wall, physics="collider")
    builder.mesh(f"{path}/Plinth", box((width + 0.16, depth + 0.16, 0.7)), trim)
    if rng.random() < 0.5:
        tiles = builder.surface("planks", color=(0.36, 0.17, 0.13), seed=1, tile=2.4)
        rise = float(rng.uniform(1.5, 3.0))
        outline = ((-width / 2 - 0.4, 0.0), (width / 2 + 0.4, 0.0), (0.0, rise))
        builder.mesh(f"{path}/Roof", profile_bar(outline, depth + 0.6).moved((0, 0, height)), tiles)
    else:
        builder.mesh(f"{path}/Roof", box((width + 0.4, depth + 0.4, 0.5), (0, 0, height)), trim)
    door = builder.material("Door", color=CLOTH[rng.integers(len(CLOTH))], roughness=0.5)
    builder.mesh(f"{path}/Door", box((1.3, 0.1, 2.3), (float(rng.uniform(-0.3, 0.3)) * width, -depth / 2, 0.0)), door)
    return path


def fence_shape(length: float, height: float) -> Shape:
    """Make a fence along X around the origin."""
    posts = np.linspace(-length / 2.0, length / 2.0, max(2, round(length / 1.6) + 1))
    parts = [box((0.08, 0.08, height), (x, 0, 0)) for x in posts]
    parts += [box((length, 0.035, 0.1), (0, 0, height * level)) for level in (0.25, 0.55, 0.85)]
    return merge(parts)


def cone_shape() -> Shape:
    """Make a traffic cone that stands on the origin."""
    return merge([box((0.36, 0.36, 0.04)), turned([(0.14, 0.04), (0.03, 0.68)], sides=14)])


def barrel_shape(radius: float = 0.29, height: float = 0.88) -> Shape:
    """Make a steel drum with its hoops, standing on the origin."""
    hoop = radius * 1.05
    profile = [(radius, 0.0)]
    for level in (0.33, 0.66):
        z = height * level
        profile += [(radius, z - 0.03), (hoop, z - 0.015), (hoop, z + 0.015), (radius, z + 0.03)]
    return turned([*profile, (radius, height)], sides=18)


__all__ = [
    "CLOTH", "PAINT", "SKIN", "barrel_shape", "building", "car", "cone_shape", "crate", "cylinder", "extruded",
    "fence_shape", "lamp_post", "pallet_shape", "path_along", "person", "rack_shapes", "tree", "wheel",
]  # fmt: skip
