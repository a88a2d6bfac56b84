"""An endless family of domain-randomised scenes: yards, streets, fields, halls, rooms and table tops full of things."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from cosmos.bridge.scenes import props
from cosmos.bridge.scenes.builder import Placement, open_builder
from cosmos.bridge.scenes.dice import Dice, cameras, daylight, people, scatter, surface_color
from cosmos.bridge.scenes.shapes import box, ground, profile_bar, quad

if TYPE_CHECKING:
    from pxr import Usd


def _yard(dice: Dice) -> None:
    """A yard, a street or a field: ground, a few walls and houses around, vehicles, people, trees, clutter."""
    rng, builder = dice.rng, dice.builder
    builder.mesh("/World/Ground", ground(160, 160), dice.floor("asphalt", "concrete", "grass", "tiles"), label="ground")
    for number in range(int(rng.integers(0, 4))):
        strip = ground(float(rng.uniform(2, 7)), 120).moved((float(rng.uniform(-14, 14)), 0, 0.006 * (number + 1)))
        builder.mesh(
            f"/World/Strip_{number}",
            strip.moved(yaw=float(rng.uniform(0, 180))),
            dice.floor("asphalt", "tiles", "grass", "concrete"),
            label="road",
        )
    for number in range(int(rng.integers(1, 5))):
        size = (float(rng.uniform(7, 20)), float(rng.uniform(6, 12)), float(rng.uniform(3, 14)))
        at = (float(rng.uniform(-26, 26)), float(rng.uniform(16, 34)), 0.0)
        turn = Placement(at=at, turn=(0, 0, float(rng.normal(0, 15))))
        props.building(builder, f"/World/Building_{number}", size, turn, seed=int(rng.integers(64)))
    for number in range(int(rng.integers(0, 3))):
        heading = float(rng.choice([0.0, 180.0, 90.0]) + rng.normal(0, 12))
        speed = float(rng.choice([0.0, 3.0, 7.0]))
        start = np.array([rng.uniform(-10, 10), rng.uniform(2, 14), 0.0])
        spin = np.degrees(speed * builder.times / 24.0 / 0.33)
        props.car(
            builder, f"/World/Car_{number}", Placement(at=dice.drive(start, heading, speed), turn=(0, 0, heading)),
            color=surface_color(rng), kind=str(rng.choice(["car", "car", "van"])), spin=spin if speed else None,
        )  # fmt: skip
    for number in range(int(rng.integers(0, 5))):
        at = (float(rng.uniform(-18, 18)), float(rng.uniform(4, 26)), 0.0)
        props.tree(
            builder, f"/World/Tree_{number}", at, seed=int(rng.integers(1 << 20)), height=float(rng.uniform(2, 8))
        )
    for number in range(int(rng.integers(0, 3))):
        at = (float(rng.uniform(-12, 12)), float(rng.uniform(0, 18)), 0.0)
        builder.mesh(
            f"/World/Fence_{number}",
            props.fence_shape(float(rng.uniform(3, 12)), float(rng.uniform(0.8, 2))),
            dice.material(),
            Placement(at=at, turn=(0, 0, float(rng.uniform(0, 180)))),
            label="fence",
        )
    if rng.random() < 0.4:
        props.lamp_post(
            builder,
            "/World/Lamp",
            (float(rng.uniform(-8, 8)), float(rng.uniform(3, 14)), 0),
            yaw=float(rng.uniform(0, 360)),
        )
    people(dice, int(rng.integers(0, 3)), (-6, -2), (6, 12))
    scatter(dice, int(rng.integers(14, 32)), (-8, -4), (8, 11), 1.0)
    eye = np.array([rng.uniform(-7, 7), rng.uniform(-11, -4), float(np.exp(rng.uniform(np.log(0.7), np.log(6.0))))])
    cameras(dice, eye, np.array([rng.uniform(-3, 3), 4.0, rng.uniform(0.3, 1.8)]), 1.0)
    daylight(dice)


def _hall(dice: Dice) -> None:
    """A hall or a room: floor, walls, maybe a ceiling, openings to the outside, shelves, pillars, lamps, clutter."""
    rng, builder = dice.rng, dice.builder
    wide, deep, high = float(rng.uniform(5, 24)), float(rng.uniform(5, 26)), float(rng.uniform(2.6, 8))
    builder.mesh("/World/Outside", ground(160, 160, (0, 0, -0.05)), dice.floor("asphalt", "grass"), label="ground")
    builder.mesh(
        "/World/Floor", ground(wide, deep), dice.floor("concrete", "planks", "tiles", "checker"), label="floor"
    )
    _shell(dice, wide, deep, high)
    _shelves(dice, wide, deep, high)
    _lamps(dice, wide, deep, high)
    people(dice, int(rng.integers(0, 3)), (-0.3 * wide, -0.2 * deep), (0.3 * wide, 0.35 * deep))
    reach = min(1.0, 9.0 / max(wide, deep))
    low, high_end = (-0.42 * wide * reach, -0.34 * deep), (0.42 * wide * reach, (0.8 * reach - 0.36) * deep)
    scatter(dice, int(rng.integers(14, 30)), low, high_end, 0.75)
    eye = np.array([rng.uniform(-0.35, 0.35) * wide, -0.47 * deep, rng.uniform(0.5, min(0.9 * high, 4.0))])
    cameras(dice, eye, np.array([rng.uniform(-0.15, 0.15) * wide, 0.2 * deep, rng.uniform(0.4, 1.8)]), 0.6)
    daylight(dice)


def _shell(dice: Dice, wide: float, deep: float, high: float) -> None:
    """Three walls, some with a wide opening; no roof, a roof, or strips with daylight between them; pillars."""
    rng, builder = dice.rng, dice.builder
    wall = dice.floor("plaster", "brick", "concrete", "tiles", "metal", "painted")
    for name, length, at, yaw in (
        ("Back", wide, (0, deep / 2, 0), 0.0),
        ("Left", deep, (-wide / 2, 0, 0), 90.0),
        ("Right", deep, (wide / 2, 0, 0), 90.0),
    ):
        if rng.random() < 0.5:  # a wide opening in the middle
            gap, lintel = length * float(rng.uniform(0.2, 0.5)), high * float(rng.uniform(0.15, 0.4))
            side = (length - gap) / 2
            parts = [box((side, 0.2, high), (sign * (gap + side) / 2, 0, 0)) for sign in (-1, 1)]
            parts.append(box((gap, 0.2, lintel), (0, 0, high - lintel)))
        else:
            parts = [box((length, 0.2, high))]
        for number, part in enumerate(parts):
            builder.mesh(f"/World/Wall{name}_{number}", part, wall, Placement(at=at, turn=(0, 0, yaw)), label="wall")
    roof = int(rng.integers(0, 3))
    ceiling = dice.floor("plaster", "metal", "concrete")
    if roof == 1:
        builder.mesh("/World/Roof", box((wide, deep, 0.2), (0, 0, high)), ceiling, label="ceiling")
    elif roof == 2:
        count = max(3, int(deep / 2.5))
        for number in range(count):
            y = -deep / 2 + deep * (number + 0.5) / count
            builder.mesh(
                f"/World/Roof_{number}", box((wide, deep / count * 0.6, 0.2), (0, y, high)), ceiling, label="ceiling"
            )
    for number in range(int(rng.integers(0, 4))):
        middle = (float(rng.uniform(-0.4, 0.4)) * wide, float(rng.uniform(-0.1, 0.45)) * deep, 0)
        builder.mesh(
            f"/World/Pillar_{number}", box((0.4, 0.4, high)), dice.material(), Placement(at=middle), label="pillar"
        )


def _shelves(dice: Dice, wide: float, deep: float, high: float) -> None:
    """Up to three racks with boxes."""
    rng, builder = dice.rng, dice.builder
    levels = [0.15, 1.3, 2.5, 3.7][: max(1, int((high - 0.4) / 1.2))]
    for number in range(int(rng.integers(0, 4))):
        length, turn = float(rng.uniform(1.5, 6)), float(rng.choice([0, 90, 90]))
        middle = (float(rng.uniform(-0.42, 0.42)) * wide, float(rng.uniform(0.0, 0.44)) * deep, 0)
        path = builder.group(f"/World/Rack_{number}", Placement(at=middle, turn=(0, 0, turn)), label="rack")
        for part, shape in zip(
            ("Uprights", "Beams", "Boards"), props.rack_shapes(length, levels[-1] + 0.9, 0.9, levels), strict=True
        ):
            builder.mesh(f"{path}/{part}", shape, dice.material(textured=0.2))
        for level in levels:
            for slot in range(int(length / 0.9)):
                if rng.random() < 0.6:
                    size = rng.uniform(0.25, 0.8, 3)
                    spot = Placement(at=(-length / 2 + 0.5 + 0.9 * slot, 0, level + 0.025))
                    props.crate(
                        builder, builder.unique(f"{path}/Box"), size.tolist(), spot, dice.material(textured=0.7)
                    )


def _lamps(dice: Dice, wide: float, deep: float, high: float) -> None:
    """One to four lamps under the ceiling."""
    rng, builder = dice.rng, dice.builder
    for number in range(int(rng.integers(1, 5))):
        spot = (float(rng.uniform(-0.4, 0.4)) * wide, float(rng.uniform(-0.4, 0.4)) * deep, high - 0.12)
        builder.light(f"/World/Lamp_{number}", "RectLight", intensity=float(rng.uniform(6, 20)), width=1.6, height=0.5,
                      color=(1.0, float(rng.uniform(0.8, 1)), float(rng.uniform(0.6, 1))),
                      placement=Placement(at=spot))  # fmt: skip
        builder.mesh(
            f"/World/LampCase_{number}",
            box((1.6, 0.5, 0.08), (spot[0], spot[1], spot[2] + 0.02)),
            builder.material("Case", color=(0.9, 0.9, 0.88), emissive=(0.8, 0.78, 0.7)),
            label="lamp",
        )


def _table(dice: Dice) -> None:
    """A table top from close up, a wall or a hall behind it."""
    rng, builder = dice.rng, dice.builder
    builder.mesh(
        "/World/Floor",
        ground(30, 30, (0, 0, -0.75)),
        dice.floor("planks", "tiles", "concrete", "checker"),
        label="floor",
    )
    wide, deep = float(rng.uniform(1.0, 2.2)), float(rng.uniform(0.7, 1.2))
    builder.mesh("/World/Table", box((wide, deep, 0.05), (0, 0, -0.05)), dice.material(textured=0.7), label="table")
    for number, (x, y) in enumerate(((-1, -1), (1, -1), (1, 1), (-1, 1))):
        at = Placement(at=(x * (wide / 2 - 0.06), y * (deep / 2 - 0.06), -0.75))
        builder.mesh(f"/World/Leg_{number}", box((0.06, 0.06, 0.7)), dice.material(textured=0.2), at, label="table")
    back = float(rng.uniform(0.8, 4.0))
    builder.mesh("/World/Wall", quad(30, 6, fit=False), dice.floor("plaster", "brick", "tiles", "painted"),
                 Placement(at=(0, back, -0.75)), label="wall")  # fmt: skip
    scatter(dice, int(rng.integers(9, 24)), (-0.42 * wide, -0.4 * deep), (0.42 * wide, 0.42 * deep), 0.14)
    if rng.random() < 0.5:
        shelf = profile_bar(((-0.5, 0.0), (0.5, 0.0), (0.5, 0.03), (-0.5, 0.03)), 0.25)
        builder.mesh(
            "/World/Shelf",
            shelf,
            dice.material(),
            Placement(at=(float(rng.uniform(-0.5, 0.5)), back - 0.14, 0.4)),
            label="shelf",
        )
    builder.light("/World/Lamp", "RectLight", intensity=float(rng.uniform(8, 25)), width=0.8, height=0.8,
                  placement=Placement(at=(float(rng.uniform(-1, 1)), float(rng.uniform(-1, 0.5)), 1.6)))  # fmt: skip
    eye = np.array([rng.uniform(-0.8, 0.8), -rng.uniform(0.7, 1.5), rng.uniform(0.25, 1.1)])
    cameras(dice, eye, np.array([rng.uniform(-0.1, 0.1), 0.05, 0.06]), 0.12)
    daylight(dice)


def random(seed: int, *, num_frames: int = 8, texture_dir: str | os.PathLike[str] | None = None) -> Usd.Stage:
    """Author a random scene in memory; the same seed gives the same scene.

    Half of the seeds show a yard, a street or a field, a third a hall or a room, the others a table top. The first
    camera is ``/World/Camera``; about a fifth of the things move.

    Args:
        seed: Decides everything, >= 0.
        num_frames: Frames of animation at 24 a second, >= 1.
        texture_dir: Folder of the shared textures; ``None`` is a per-user cache.

    Raises:
        ConfigError: If ``num_frames`` is below 1.
    """
    builder = open_builder(None, num_frames=num_frames, texture_dir=texture_dir)
    dice = Dice(builder, seed)
    draw = dice.rng.random()
    author = _yard if draw < 0.5 else _hall if draw < 0.85 else _table
    author(dice)
    return builder.finish()


__all__ = ["random"]
