"""The random choices that domain-randomised scenes share: materials, clutter, people, cameras, daylight."""

from __future__ import annotations

import numpy as np

from cosmos.bridge.scenes import props
from cosmos.bridge.scenes.builder import MaterialRef, Placement, StageBuilder
from cosmos.bridge.scenes.clutter import CLUTTER, object_of
from cosmos.bridge.scenes.textures import TEXTURES, Color, TextureStore

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
    color = surface_color(rng)
    if kind == "grass":
        color = (0.24 + 0.1 * color[0], 0.30 + 0.12 * color[1], 0.12)
    if kind == "asphalt":
        color = (0.2 + 0.1 * color[0],) * 3
    rounded = (round(color[0], 2), round(color[1], 2), round(color[2], 2))
    tile = {"windows": 6.0, "cardboard": 0.8, "checker": 1.0, "stripes": 1.0}.get(kind, 2.0)
    return textures.surface(kind, color=rounded, seed=index, size=128), tile


def surface_color(rng: np.random.Generator) -> Color:
    """Draw an sRGB colour: mostly greys, earths and other muted tones of real surfaces, at times a loud one."""
    kind = rng.random()
    hue = rng.uniform(0.0, 6.0) if kind > 0.7 else rng.normal(0.55, 0.35) % 6.0  # red 0, yellow 1, green 2, blue 4
    saturation = rng.uniform(0.55, 0.92) if kind > 0.85 else rng.uniform(0.0, 0.12 if kind < 0.3 else 0.5)
    value = rng.uniform(0.15, 0.92)
    ramp = [np.clip(abs((hue + shift) % 6.0 - 3.0) - 1.0, 0.0, 1.0) for shift in (0.0, 4.0, 2.0)]
    red, green, blue = (float(value * (1.0 - saturation + saturation * channel)) for channel in ramp)
    return round(red, 3), round(green, 3), round(blue, 3)


class Dice:
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
        return self.builder.material("Plain", color=surface_color(rng), roughness=roughness, metallic=metallic)

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


def scatter(dice: Dice, count: int, low: tuple[float, float], high: tuple[float, float], size: float) -> None:
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


def cameras(dice: Dice, eye: np.ndarray, target: np.ndarray, sway: float) -> None:
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


def daylight(dice: Dice) -> None:
    """Author a sky, and a sun in most scenes."""
    rng = dice.rng
    dice.builder.sky(
        sun=float(rng.uniform(1.5, 4.0)) * float(rng.random() < 0.85), elevation=float(rng.uniform(12, 75)),
        azimuth=float(rng.uniform(0, 360)), dome=float(rng.uniform(0.6, 1.4)),
    )  # fmt: skip


def people(dice: Dice, count: int, low: tuple[float, float], high: tuple[float, float]) -> None:
    """Author ``count`` people who stand or walk in a rectangle."""
    rng, builder = dice.rng, dice.builder
    for _ in range(count):
        at = np.array([rng.uniform(low[0], high[0]), rng.uniform(low[1], high[1]), 0.0])
        heading, speed = float(rng.uniform(0, 360)), float(rng.choice([0.0, 1.0, 1.4]))
        props.person(
            builder, builder.unique("/World/Person"), dice.drive(at, heading, speed), heading,
            seed=int(rng.integers(1 << 30)), speed=speed, vest=bool(rng.random() < 0.4),
        )  # fmt: skip


__all__ = ["POOL_SIZE", "Dice", "cameras", "daylight", "people", "pool_texture", "scatter", "surface_color"]
