"""An endless family of domain-randomised scenes: yards, streets, fields, halls, rooms and table tops full of things."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from cosmos.bridge.scenes import props
from cosmos.bridge.scenes.builder import MaterialRef, Placement, StageBuilder, open_builder
from cosmos.bridge.scenes.clutter import CLUTTER, object_of
from cosmos.bridge.scenes.shapes import box, ground, profile_bar, quad
from cosmos.bridge.scenes.textures import TEXTURES, Color, TextureStore

if TYPE_CHECKING:
    from pxr import Usd

POOL_SIZE = 64
"""How many small textures all random scenes share."""


def pool_texture(textures: TextureStore, index: int) -> tuple[str, float]:
    """Return the asset path of a texture of the shared pool and the length that one repeat of it covers [m].

    Args:
        textures: Where the pool lives.
        index: Which one, 0 <= index < POOL_SIZE.
    """
    rng = np.random.default_rng([9157, index])
    kind = TEXTURES[index % len(TEXTURES)]
    color = _color(rng)
    if kind == "grass":
        color = (0.24 + 0.1 * color[0], 0.30 + 0.12 * color[1], 0.12)
    if kind == "asphalt":
        color = (0.2 + 0.1 * color[0],) * 3
    rounded = (round(color[0], 2), round(color[1], 2), round(color[2], 2))
    tile = {"windows": 6.0, "cardboard": 0.8, "checker": 1.0, "stripes": 1.0}.get(kind, 2.0)
    return textures.surface(kind, color=rounded, seed=index, size=128), tile


def _color(rng: np.random.Generator) -> Color:
    """Draw an sRGB colour: mostly greys, earths and other muted tones of real surfaces, at times a loud one."""
    kind = rng.random()
    hue = rng.uniform(0.0, 6.0) if kind > 0.7 else rng.normal(0.55, 0.35) % 6.0  # red 0, yellow 1, green 2, blue 4
    saturation = rng.uniform(0.55, 0.92) if kind > 0.85 else rng.uniform(0.0, 0.12 if kind < 0.3 else 0.5)
    value = rng.uniform(0.15, 0.92)
    ramp = [np.clip(abs((hue + shift) % 6.0 - 3.0) - 1.0, 0.0, 1.0) for shift in (0.0, 4.0, 2.0)]
    red, green, blue = (float(value * (1.0 - saturation + saturation * channel)) for channel in ramp)
    return round(red, 3), round(green, 3), round(blue, 3)


class _Dice:
    """The random choices of one scene."""

    def __init__(self, builder: StageBuilder, seed: int) -> None:
        self.builder = builder
        self.rng = np.random.default_rng([4211, seed])
        self._pool = [int(index) for index in self.rng.choice(POOL_SIZE, 10, replace=False)]

    def material(self, *, textured: float = 0.45) -> MaterialRef:
        """Draw a material; with the chance ``textured`` one of this scene's ten textures covers it."""
        rng = self.rng
        roughness = round(float(rng.uniform(0.12, 1.0)), 2)
        if rng.random() < textured:
            texture, tile = pool_texture(self.builder.textures, self._pool[rng.integers(len(self._pool))])
            return self.builder.material(
                "Textured", roughness=roughness, texture=texture, tile=tile * float(rng.choice([0.5, 1.0, 2.0]))
            )
        metallic = 1.0 if rng.random() < 0.15 else 0.0
        return self.builder.material("Plain", color=_color(rng), roughness=roughness, metallic=metallic)

    def floor(self, *kinds: str) -> MaterialRef:
        """Draw one of the pool's textures of these kinds for a floor or a wall."""
        indices = [index for index in range(POOL_SIZE) if TEXTURES[index % len(TEXTURES)] in kinds]
        texture, tile = pool_texture(self.builder.textures, int(self.rng.choice(indices)))
        return self.builder.material(
            "Floor", roughness=round(float(self.rng.uniform(0.3, 1.0)), 2), texture=texture,
            tile=tile * float(self.rng.choice([1.0, 1.5, 2.0])),
        )  # fmt: skip

    def drive(self, at: np.ndarray, heading: float, speed: float) -> np.ndarray:
        """Positions [T, 3] [m] of something at ``at`` that moves along ``heading`` [deg] at ``speed`` [m/s]."""
        angle = np.radians(heading)
        way = speed * self.builder.times[:, None] / 24.0
        return at + way * np.array([np.cos(angle), np.sin(angle), 0.0])


def _scatter(dice: _Dice, count: int, low: tuple[float, float], high: tuple[float, float], size: float) -> None:
    """Strew ``count`` objects of about ``size`` [m] over a rectangle; a few of them move."""
    rng, builder = dice.rng, dice.builder
    for _ in range(count):
        name = CLUTTER[rng.integers(len(CLUTTER))]
        scale = size * float(np.exp(rng.normal(0.0, 0.45)))
        at = np.array([rng.uniform(low[0], high[0]), rng.uniform(low[1], high[1]), 0.0])
        turn = np.array([0.0, 0.0, rng.uniform(0.0, 360.0)])
        moving = rng.random() < 0.2
        way = dice.drive(at, float(rng.uniform(0, 360)), size * float(rng.uniform(0.3, 2.0))) if moving else at
        spin = turn + np.outer(builder.times / 24.0, [0.0, 0.0, rng.normal(0.0, 60.0)]) if moving else turn
        object_of(
            builder, builder.unique(f"/World/{name.capitalize()}"), name, scale, Placement(at=way, turn=spin),
            rng, dice.material,
        )  # fmt: skip


def _cameras(dice: _Dice, eye: np.ndarray, target: np.ndarray, sway: float) -> None:
    """Author one to three cameras; each drifts by about ``sway`` [m/s]."""
    rng, builder = dice.rng, dice.builder
    times = builder.times[:, None] / 24.0
    for number in range(int(rng.integers(1, 4))):
        name = "/World/Camera" if number == 0 else f"/World/Camera_{number}"
        around = np.radians(rng.normal(0.0, 35.0)) if number else 0.0
        turn = np.array([[np.cos(around), -np.sin(around), 0], [np.sin(around), np.cos(around), 0], [0, 0, 1]])
        at = target * [1, 1, 0] + turn @ (eye - target * [1, 1, 0])
        drift = rng.normal(0.0, sway, 3) * [1.0, 1.0, 0.3]
        look = target + rng.normal(0.0, 0.08, 3) * np.linalg.norm(eye - target)
        eyes = at + times * drift
        eyes[:, 2] = np.maximum(eyes[:, 2], 0.12 * eye[2])
        builder.camera(
            name, eyes, look + times * rng.normal(0.0, 0.5 * sway, 3), focal=float(rng.uniform(18.0, 42.0)), near=0.02
        )


def _outdoor_lights(dice: _Dice) -> None:
    rng = dice.rng
    dice.builder.sky(
        sun=float(rng.uniform(1.5, 4.0)) * float(rng.random() < 0.85), elevation=float(rng.uniform(12, 75)),
        azimuth=float(rng.uniform(0, 360)), dome=float(rng.uniform(0.6, 1.4)),
    )  # fmt: skip


def _people(dice: _Dice, count: int, low: tuple[float, float], high: tuple[float, float]) -> None:
    rng, builder = dice.rng, dice.builder
    for _ in range(count):
        at = np.array([rng.uniform(low[0], high[0]), rng.uniform(low[1], high[1]), 0.0])
        heading, speed = float(rng.uniform(0, 360)), float(rng.choice([0.0, 1.0, 1.4]))
        props.person(
            builder, builder.unique("/World/Person"), dice.drive(at, heading, speed), heading,
            seed=int(rng.integers(1 << 30)), speed=speed, vest=bool(rng.random() < 0.4),
        )  # fmt: skip


def _yard(dice: _Dice) -> None:
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
        at = np.array([rng.uniform(-10, 10), rng.uniform(2, 14), 0.0])
        spin = np.degrees(speed * builder.times / 24.0 / 0.33)
        props.car(
            builder, f"/World/Car_{number}", Placement(at=dice.drive(at, heading, speed), turn=(0, 0, heading)),
            color=_color(rng), kind=str(rng.choice(["car", "car", "van"])), spin=spin if speed else None,
        )  # fmt: skip
    for number in range(int(rng.integers(0, 5))):
        at = (float(rng.uniform(-18, 18)), float(rng.uniform(4, 26)), 0.0)
        props.tree(
            builder, f"/World/Tree_{number}", at, seed=int(rng.integers(1 << 20)), height=float(rng.uniform(2, 8))
        )
    for number in range(int(rng.integers(0, 3))):
        at = (float(rng.uniform(-12, 12)), float(rng.uniform(0, 18)), 0.0)
        builder.mesh(f"/World/Fence_{number}", props.fence_shape(float(rng.uniform(3, 12)), float(rng.uniform(0.8, 2))),
                     dice.material(), Placement(at=at, turn=(0, 0, float(rng.uniform(0, 180)))), label="fence")  # fmt: skip
    if rng.random() < 0.4:
        props.lamp_post(
            builder,
            "/World/Lamp",
            (float(rng.uniform(-8, 8)), float(rng.uniform(3, 14)), 0),
            yaw=float(rng.uniform(0, 360)),
        )
    _people(dice, int(rng.integers(0, 3)), (-6, -2), (6, 12))
    _scatter(dice, int(rng.integers(14, 32)), (-8, -4), (8, 11), 1.0)
    eye = np.array([rng.uniform(-7, 7), rng.uniform(-11, -4), float(np.exp(rng.uniform(np.log(0.7), np.log(6.0))))])
    _cameras(dice, eye, np.array([rng.uniform(-3, 3), 4.0, rng.uniform(0.3, 1.8)]), 1.0)
    _outdoor_lights(dice)


def _hall(dice: _Dice) -> None:
    """A hall or a room: floor, walls, maybe a ceiling, openings to the outside, shelves, pillars, lamps, clutter."""
    rng, builder = dice.rng, dice.builder
    wide, deep, high = float(rng.uniform(5, 24)), float(rng.uniform(5, 26)), float(rng.uniform(2.6, 8))
    builder.mesh("/World/Outside", ground(160, 160, (0, 0, -0.05)), dice.floor("asphalt", "grass"), label="ground")
    builder.mesh(
        "/World/Floor", ground(wide, deep), dice.floor("concrete", "planks", "tiles", "checker"), label="floor"
    )
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
    elif roof == 2:  # strips with daylight between them
        count = max(3, int(deep / 2.5))
        for number in range(count):
            y = -deep / 2 + deep * (number + 0.5) / count
            builder.mesh(
                f"/World/Roof_{number}", box((wide, deep / count * 0.6, 0.2), (0, y, high)), ceiling, label="ceiling"
            )
    for number in range(int(rng.integers(0, 4))):
        at = (float(rng.uniform(-0.4, 0.4)) * wide, float(rng.uniform(-0.1, 0.45)) * deep, 0)
        builder.mesh(
            f"/World/Pillar_{number}", box((0.4, 0.4, high)), dice.material(), Placement(at=at), label="pillar"
        )
    levels = [0.15, 1.3, 2.5, 3.7][: max(1, int((high - 0.4) / 1.2))]
    for number in range(int(rng.integers(0, 4))):
        length, turn = float(rng.uniform(1.5, 6)), float(rng.choice([0, 90, 90]))
        at = (float(rng.uniform(-0.42, 0.42)) * wide, float(rng.uniform(0.0, 0.44)) * deep, 0)
        path = builder.group(f"/World/Rack_{number}", Placement(at=at, turn=(0, 0, turn)), label="rack")
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
    for number in range(int(rng.integers(1, 5))):
        lamp_at = (float(rng.uniform(-0.4, 0.4)) * wide, float(rng.uniform(-0.4, 0.4)) * deep, high - 0.12)
        builder.light(f"/World/Lamp_{number}", "RectLight", intensity=float(rng.uniform(6, 20)), width=1.6, height=0.5,
                      color=(1.0, float(rng.uniform(0.8, 1)), float(rng.uniform(0.6, 1))),
                      placement=Placement(at=lamp_at))  # fmt: skip
        builder.mesh(f"/World/LampCase_{number}", box((1.6, 0.5, 0.08), (lamp_at[0], lamp_at[1], lamp_at[2] + 0.02)),
                     builder.material("Case", color=(0.9, 0.9, 0.88), emissive=(0.8, 0.78, 0.7)), label="lamp")  # fmt: skip
    _people(dice, int(rng.integers(0, 3)), (-0.3 * wide, -0.2 * deep), (0.3 * wide, 0.35 * deep))
    reach = min(1.0, 9.0 / max(wide, deep))
    low, high_end = (-0.42 * wide * reach, -0.34 * deep), (0.42 * wide * reach, (0.8 * reach - 0.36) * deep)
    _scatter(dice, int(rng.integers(14, 30)), low, high_end, 0.75)
    eye = np.array([rng.uniform(-0.35, 0.35) * wide, -0.47 * deep, rng.uniform(0.5, min(0.9 * high, 4.0))])
    _cameras(dice, eye, np.array([rng.uniform(-0.15, 0.15) * wide, 0.2 * deep, rng.uniform(0.4, 1.8)]), 0.6)
    _outdoor_lights(dice)


def _table(dice: _Dice) -> None:
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
    _scatter(dice, int(rng.integers(9, 24)), (-0.42 * wide, -0.4 * deep), (0.42 * wide, 0.42 * deep), 0.14)
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
    _cameras(dice, eye, np.array([rng.uniform(-0.1, 0.1), 0.05, 0.06]), 0.12)
    _outdoor_lights(dice)


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
    dice = _Dice(builder, seed)
    draw = dice.rng.random()
    author = _yard if draw < 0.5 else _hall if draw < 0.85 else _table
    author(dice)
    return builder.finish()


__all__ = ["POOL_SIZE", "pool_texture", "random"]
