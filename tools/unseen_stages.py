"""Stages that the embedded model is measured on and never trained on: kinds, shapes and materials of their own.

Training knows ``scenes.random``: yards, halls and table tops of upright things, with textures of one pool. Here are a
quarry, all slopes and rubble, and a mine tunnel, one bent surface around the camera; their surfaces are drawn here too.
The three authored places, ``street``, ``warehouse`` and ``tabletop``, use the textures that training knows in rooms and
streets that it never saw.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cosmos.bridge import scenes
from cosmos.bridge.scenes.builder import MaterialRef, Placement, StageBuilder, open_builder
from cosmos.bridge.scenes.dice import Dice, cameras, daylight
from cosmos.bridge.scenes.shapes import Shape, beam, blob, box, cylinder, ground, merge, profile_bar, turned
from cosmos.bridge.scenes.textures import noise

if TYPE_CHECKING:
    from pxr import Usd

_TEXELS = 256


def _cells(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which of ``count`` stones each texel belongs to, and how near it is to the next stone; tileable."""
    seeds = rng.random((count, 2)) * _TEXELS
    y, x = np.mgrid[:_TEXELS, :_TEXELS]
    away = np.empty((count, _TEXELS, _TEXELS), np.float32)
    for number, (top, left) in enumerate(seeds):
        down, right = (np.abs(at - place) for at, place in ((y, top), (x, left)))
        away[number] = np.hypot(np.minimum(down, _TEXELS - down), np.minimum(right, _TEXELS - right))
    nearest = np.partition(away, 1, axis=0)
    return away.argmin(axis=0), nearest[1] - nearest[0]


def _gravel(rng: np.random.Generator) -> np.ndarray:
    """Stones of many greys with dark gaps."""
    stone, gap = _cells(rng, 260)
    tone = rng.uniform(0.28, 0.72, (260, 1)) * rng.uniform([0.95, 0.93, 0.88], [1.05, 1.0, 0.98], (260, 3))
    picture: np.ndarray = tone[stone] * np.clip(0.35 + 0.16 * gap, 0.0, 1.0)[..., None]
    return picture


def _strata(rng: np.random.Generator) -> np.ndarray:
    """Layers of rock, bent and cracked."""
    bend = noise(rng, _TEXELS, first=2, octaves=4)
    rows = (np.arange(_TEXELS)[:, None] / _TEXELS + 0.16 * bend) * 9.0
    layer = np.floor(rows).astype(int) % 9
    tones = np.array([0.56, 0.45, 0.36]) * rng.uniform(0.62, 1.3, (9, 1)) * rng.uniform(0.9, 1.1, (9, 3))
    _, gap = _cells(rng, 40)
    picture: np.ndarray = tones[layer] * (0.75 + 0.4 * noise(rng, _TEXELS, first=16))[..., None]
    picture *= np.where((rows % 1.0 < 0.07) | (gap < 1.6), 0.55, 1.0)[..., None]
    return picture


def _rust(rng: np.random.Generator) -> np.ndarray:
    """Paint that has come off in flakes, and rust under it."""
    under = np.array([0.42, 0.22, 0.1]) * (0.6 + 0.8 * noise(rng, _TEXELS, first=16, gain=0.8))[..., None]
    paint = rng.uniform(0.35, 0.9, 3) * (0.85 + 0.2 * noise(rng, _TEXELS, first=4))[..., None]
    return np.where((noise(rng, _TEXELS, first=8, octaves=6, gain=0.75) > 0.52)[..., None], under, paint)


def _segments(rng: np.random.Generator) -> np.ndarray:
    """Six-sided slabs of a lining with bolts, damp towards the bottom."""
    high, wide = 4, 4
    places = [((row + 0.5) / high, (column + 0.5 * (row % 2)) / wide) for row in range(high) for column in range(wide)]
    y, x = np.mgrid[:_TEXELS, :_TEXELS] / _TEXELS
    away = [np.hypot(_wrap(y - top) * high, _wrap(x - left) * wide) for top, left in places]
    nearest = np.sort(away, axis=0)
    tone = rng.uniform(0.42, 0.6, (len(places), 1)) * np.array([1.0, 0.99, 0.95])
    picture: np.ndarray = tone[np.argmin(away, axis=0)] * (0.8 + 0.3 * noise(rng, _TEXELS, first=4))[..., None]
    picture *= np.where(nearest[1] - nearest[0] < 0.07, 0.45, np.where(nearest[0] < 0.06, 0.3, 1.0))[..., None]
    return picture


def _wrap(away: np.ndarray) -> np.ndarray:
    """Return the shorter of both ways round, in [-0.5, 0.5]."""
    return (away + 0.5) % 1.0 - 0.5


_SURFACES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "gravel": _gravel,
    "strata": _strata,
    "rust": _rust,
    "segments": _segments,
}


class _Surfaces:
    """The surfaces of one stage, drawn anew each time: none is left of code that has changed since."""

    def __init__(self, dice: Dice, seed: int) -> None:
        self._dice, self._seed = dice, seed
        self._folder = Path(tempfile.gettempdir()) / "cosmos_bridge_unseen"
        self._folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, kind: str, tile: float, *, metallic: float = 0.0) -> MaterialRef:
        """Return a material of a surface, one repeat of which covers ``tile`` [m]."""
        path = self._folder / f"{kind}_{self._seed}.png"
        picture = _SURFACES[kind](np.random.default_rng([77, self._seed, *kind.encode()]))
        part = path.with_suffix(f".{os.getpid()}.png")
        cv2.imwrite(str(part), (np.clip(picture, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)[..., ::-1])
        part.replace(path)
        roughness = round(float(self._dice.rng.uniform(0.5, 1.0)), 2)
        return self._dice.builder.material(
            kind.capitalize(), roughness=roughness, metallic=metallic, texture=str(path), tile=tile
        )


def _relief(heights: np.ndarray, wide: float) -> Shape:
    """Return a square piece of land around the origin, ``wide`` [m], with heights [m] at its grid, shape [N, N]."""
    count = len(heights)
    flat = ground(wide, wide, cells=count - 1)
    points = flat.points.copy()
    points[:, 2] = heights.ravel()
    down, right = np.gradient(heights, wide / (count - 1))
    normals = np.stack([-right, -down, np.ones_like(heights)], axis=-1).reshape(-1, 3)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    # Up steep walls the surface is longer than the ground below it.
    uvs = points[:, :2] + [0.0, 1.0] * points[:, 2:]
    return Shape(
        points=points,
        counts=flat.counts,
        indices=flat.indices,
        uvs=uvs[flat.indices].astype(np.float32),
        normals=normals[flat.indices].astype(np.float32),
    )


def quarry(seed: int, *, num_frames: int = 8) -> Usd.Stage:
    """Author a quarry in memory: terraced rock, rubble, heaps, a belt that climbs, a silo, a dumper that drives."""
    builder = open_builder(None, num_frames=num_frames)
    dice = Dice(builder, 7_000_000 + seed)
    rng, surface = dice.rng, _Surfaces(dice, seed)
    count, wide = 160, 120.0
    at = np.linspace(-wide / 2, wide / 2, count)
    rough = noise(rng, 256, first=4, octaves=6)[:count, :count] - 0.5
    away = np.maximum(at[:, None] - float(rng.uniform(14, 20)) + 8.0 * rough, np.abs(at)[None, :] - 24.0 + 8.0 * rough)
    step = float(rng.uniform(3.0, 5.0))
    climb = np.clip(away, 0.0, 30.0) / step
    heights = step * (np.floor(climb) + np.clip((climb % 1.0) * 3.0, 0.0, 1.0)) + 1.2 * rough
    heights -= heights[count // 2 - 10, count // 2]
    builder.mesh("/World/Land", _relief(heights, wide), surface("strata", 6.0), label="ground")

    def floor_at(x: float, y: float) -> float:
        row, column = (round((place / wide + 0.5) * (count - 1)) for place in (y, x))
        return float(heights[row, column])

    for number in range(int(rng.integers(16, 30))):
        x, y = float(rng.uniform(-9, 9)), float(rng.uniform(-3, 15))
        size = float(np.exp(rng.uniform(np.log(0.15), np.log(1.3))))
        stone = blob(size * rng.uniform(0.6, 1.2, 3), int(rng.integers(1 << 20)), roughness=0.35, rows=9, sides=12)
        builder.mesh(f"/World/Stone_{number}", stone, surface("strata", 2.0),
                     Placement(at=(x, y, floor_at(x, y) + 0.3 * size)), label="rock")  # fmt: skip
    for number in range(int(rng.integers(1, 4))):
        x, y, high = float(rng.uniform(-10, 10)), float(rng.uniform(8, 15)), float(rng.uniform(1.2, 3.0))
        heap = turned([(1.5 * high, 0.0), (0.9 * high, 0.42 * high), (0.3 * high, 0.85 * high), (0.0, high)], sides=24)
        builder.mesh(
            f"/World/Heap_{number}", heap, surface("gravel", 1.5), Placement(at=(x, y, floor_at(x, y) - 0.1)),
            label="heap",
        )  # fmt: skip
    _belt(builder, surface, rng, floor_at)
    _dumper(dice, surface, floor_at)
    eye = np.array([rng.uniform(-5, 5), rng.uniform(-10, -5), 0.0])
    eye[2] = floor_at(eye[0], eye[1]) + float(rng.uniform(1.2, 4.0))
    cameras(dice, eye, np.array([rng.uniform(-2, 2), 8.0, 1.2]), 1.0)
    daylight(dice)
    return builder.finish()


def _belt(builder: StageBuilder, surface: _Surfaces, rng: np.random.Generator, floor_at: Callable[..., float]) -> None:
    """A belt on trestles that climbs to a silo."""
    foot = np.array([rng.uniform(-9, -3), rng.uniform(3, 8), 0.0])
    head = foot + rng.uniform([7.0, 1.0, 4.0], [10.0, 5.0, 6.0])
    way = (head - foot) / np.linalg.norm(head - foot)
    side = np.cross(way, [0.0, 0.0, 1.0])
    rails = [beam(foot + sign * 0.5 * side, head + sign * 0.5 * side, 0.09) for sign in (-1, 1)]
    legs, braces = [], []
    for share in (0.25, 0.5, 0.75, 0.95):
        top = foot + share * (head - foot)
        for sign in (-1, 1):
            below = np.array([*(top + sign * 1.1 * side)[:2], floor_at(*top[:2]) - 0.2])
            legs.append(beam(below, top + sign * 0.5 * side, 0.06))
        braces.append(beam([*(top - side)[:2], 0.4 * top[2]], [*(top + side)[:2], 0.7 * top[2]], 0.04))
    builder.mesh("/World/Belt/Frame", merge([*rails, *legs, *braces]), surface("rust", 1.5), label="conveyor")
    length = float(np.linalg.norm(head - foot))
    tilt = float(np.degrees(np.arcsin(way[2])))
    heading = float(np.degrees(np.arctan2(way[1], way[0])))
    builder.mesh("/World/Belt/Band", box((length, 0.9, 0.05)), surface("gravel", 0.8),
                 Placement(at=tuple(0.5 * (foot + head) + [0, 0, 0.08]), turn=(0.0, -tilt, heading)),
                 label="conveyor")  # fmt: skip
    middle = head + way * [1.4, 1.4, 0.0]
    silo = merge([turned([(0.4, -2.2), (1.7, -0.2), (1.7, 1.6), (0.0, 2.3)], sides=20).moved(middle)]
                 + [beam([*(middle + off)[:2], -1.0], middle + off, 0.1)
                    for off in ([1.3, 0.0, 0.0], [-1.3, 0.0, 0.0], [0.0, 1.3, 0.0], [0.0, -1.3, 0.0])])  # fmt: skip
    builder.mesh("/World/Silo", silo, surface("rust", 2.5, metallic=1.0), label="silo")


def _dumper(dice: Dice, surface: _Surfaces, floor_at: Callable[..., float]) -> None:
    """A dumper truck that drives along the terrace."""
    rng, builder = dice.rng, dice.builder
    x, y, heading = float(rng.uniform(0, 7)), float(rng.uniform(4, 10)), float(rng.uniform(0, 360))
    way = dice.drive(np.array([x, y, floor_at(x, y)]), heading, float(rng.choice([0.0, 2.0, 4.0])))
    builder.group("/World/Dumper", Placement(at=way, turn=(0, 0, heading)), label="dumper")
    skip = profile_bar([(-2.4, 1.3), (0.9, 1.3), (1.5, 2.6), (-2.9, 2.2)], 2.2)
    cab = profile_bar([(1.0, 0.9), (2.5, 0.9), (2.5, 1.7), (2.1, 2.5), (1.6, 2.5), (1.0, 1.3)], 1.7)
    wheels = [
        turned([(0.62, -0.25), (0.62, 0.25)], sides=18).moved((along, across, 0.62), pitch=90.0)
        for along in (-1.6, 1.7) for across in (-0.95, 0.95)
    ]  # fmt: skip
    builder.mesh("/World/Dumper/Skip", skip, surface("rust", 2.0))
    builder.mesh("/World/Dumper/Cab", cab, dice.builder.material("Cab", color=(0.85, 0.62, 0.1), roughness=0.4))
    frame = box((4.6, 0.9, 0.35), (-0.1, 0, 0.75))
    dark = dice.builder.material("Rubber", color=(0.09, 0.09, 0.09), roughness=0.9)
    builder.mesh("/World/Dumper/Chassis", merge([frame, *wheels]), dark)


def tunnel(seed: int, *, num_frames: int = 8) -> Usd.Stage:
    """Author a mine tunnel in memory: a bent lining, ribs, rails, pipes, lamps, drums, a cart that rolls."""
    builder = open_builder(None, num_frames=num_frames)
    dice = Dice(builder, 8_000_000 + seed)
    rng, surface = dice.rng, _Surfaces(dice, seed)
    length, radius = 44.0, float(rng.uniform(2.4, 3.6))
    angles = np.linspace(-0.58, np.pi + 0.58, 31)  # down to the floor
    lining = _bent(length, [(radius * np.cos(a), radius * (0.55 + np.sin(a))) for a in angles])
    builder.mesh("/World/Lining", lining, surface("segments", 4.0), label="wall")
    builder.mesh("/World/Outside", ground(160, 160, (0, 0, -0.4)), surface("strata", 5.0), label="ground")
    builder.mesh("/World/Floor", ground(2.0 * radius, length, (0, length / 2 - 6, 0.0)), surface("gravel", 1.2),
                 label="floor")  # fmt: skip
    ribs = []
    for y in np.arange(-4.0, length - 7.0, float(rng.uniform(2.5, 4.0))):
        turn = np.linspace(-0.5, np.pi + 0.5, 17)
        bent = np.column_stack([0.97 * np.cos(turn), np.full(17, y / radius), 0.55 + 0.97 * np.sin(turn)]) * radius
        ribs += [beam(a, b, 0.08, sides=6) for a, b in pairwise(bent)]
    builder.mesh("/World/Ribs", merge(ribs), surface("rust", 1.0), label="rib")
    rails = [box((0.07, length, 0.1), (x, length / 2 - 6, 0.06)) for x in (-0.45, 0.45)]
    sleepers = [box((1.4, 0.2, 0.06), (0, y, 0.01)) for y in np.arange(-5.5, length - 7.0, 0.8)]
    builder.mesh("/World/Rails", merge(rails), surface("rust", 0.7, metallic=1.0), label="rail")
    builder.mesh("/World/Sleepers", merge(sleepers), surface("strata", 0.9), label="rail")
    for number in range(int(rng.integers(2, 5))):
        side, high = (-1) ** number, float(rng.uniform(0.5, 1.6))
        x = side * (0.9 * radius - 0.1)
        pipe = [beam((x, -5.5, high), (x, length - 7, high), float(rng.uniform(0.06, 0.16)), sides=10)]
        pipe += [cylinder(0.2, 0.1, (0, 0, 0)).moved((x, y, high), pitch=-90.0) for y in np.arange(-4, length - 8, 5.0)]
        builder.mesh(f"/World/Pipe_{number}", merge(pipe), surface("rust", 1.2), label="pipe")
    top = 1.5 * radius
    for number, y in enumerate(np.arange(-2.0, length - 8.0, float(rng.uniform(5.0, 8.0)))):
        builder.light(f"/World/Lamp_{number}", "RectLight", intensity=float(rng.uniform(10, 22)), width=0.9, height=0.3,
                      color=(1.0, 0.93, 0.8), placement=Placement(at=(0.0, float(y), top - 0.1)))  # fmt: skip
        builder.mesh(f"/World/LampCase_{number}", box((0.9, 0.3, 0.06), (0.0, float(y), top - 0.08)),
                     builder.material("Case", color=(0.9, 0.9, 0.88), emissive=(0.8, 0.78, 0.7)),
                     label="lamp")  # fmt: skip
    for number in range(int(rng.integers(3, 7))):
        size = float(rng.uniform(0.5, 1.0))
        drum = turned([(0.5, 0.0), (0.5, 0.07), (0.28, 0.07), (0.28, 0.5), (0.5, 0.5), (0.5, 0.57)], sides=20)
        x = float(rng.choice([-1, 1])) * float(rng.uniform(0.9, 0.7 * radius))
        builder.mesh(f"/World/Drum_{number}", drum, surface("rust", 0.8),
                     Placement(at=(x, float(rng.uniform(-1, 14)), 0.0), scale=(size,) * 3), label="drum")  # fmt: skip
    for number in range(int(rng.integers(6, 14))):
        stone = blob(rng.uniform(0.1, 0.4, 3), int(rng.integers(1 << 20)), roughness=0.35)
        spot = (float(rng.uniform(-0.8, 0.8)) * radius, float(rng.uniform(-2, 16)), 0.08)
        builder.mesh(f"/World/Stone_{number}", stone, surface("strata", 1.0), Placement(at=spot), label="rock")
    rolls = dice.drive(np.array([0.0, rng.uniform(4, 11), 0.0]), 90.0, float(rng.choice([-2.0, 0.0, 2.0])))
    builder.group("/World/Cart", Placement(at=rolls, turn=(0, 0, 90)), label="cart")
    tub = profile_bar([(-0.7, 0.4), (0.7, 0.4), (1.0, 1.25), (-1.0, 1.25)], 1.0)
    wheels = [
        turned([(0.2, -0.05), (0.2, 0.05)], sides=14).moved((along, across, 0.3), pitch=90.0)
        for along in (-0.45, 0.45) for across in (-0.45, 0.45)
    ]  # fmt: skip
    load = blob((0.8, 0.45, 0.35), int(rng.integers(1 << 20)), roughness=0.3).moved((0, 0, 1.2))
    builder.mesh("/World/Cart/Tub", merge([tub, *wheels]), surface("rust", 1.1))
    builder.mesh("/World/Cart/Load", load, surface("gravel", 0.9))
    eye = np.array([rng.uniform(-0.4, 0.4) * radius, -4.5, float(rng.uniform(0.8, 2.0))])
    cameras(dice, eye, np.array([rng.uniform(-0.5, 0.5), 8.0, 1.2]), 0.5)
    daylight(dice)
    return builder.finish()


def _bent(length: float, outline: list[tuple[float, float]]) -> Shape:
    """Return an open vault that is seen from inside: an outline ``(x, z)`` [m] from right to left, drawn along y."""
    flat = np.array(outline)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(flat, axis=0), axis=1))])
    ys = np.array([-6.0, length - 6.0])
    points = np.concatenate([np.column_stack([flat[:, 0], np.full(len(flat), y), flat[:, 1]]) for y in ys])
    n = len(flat)
    indices = np.concatenate([[k, k + 1, n + k + 1, n + k] for k in range(n - 1)])
    slope = np.gradient(flat, axis=0)
    inward = np.column_stack([-slope[:, 1], np.zeros(n), slope[:, 0]])
    inward /= np.linalg.norm(inward, axis=1, keepdims=True)
    return Shape(
        points=points.astype(np.float32),
        counts=np.full(n - 1, 4, dtype=np.int32),
        indices=indices.astype(np.int32),
        uvs=np.column_stack([np.tile(along, 2), np.repeat(ys, n)])[indices].astype(np.float32),
        normals=np.tile(inward, (2, 1))[indices].astype(np.float32),
    )


AUTHORED: dict[str, Callable[[], Usd.Stage]] = {
    "street": scenes.street,
    "warehouse": scenes.warehouse,
    "tabletop": scenes.tabletop,
}
"""Places that training never saw, with surfaces of the kinds that it knows."""
UNSEEN: dict[str, Callable[[], Usd.Stage]] = {
    "quarry 0": lambda: quarry(0),
    "quarry 2": lambda: quarry(2),
    "tunnel 0": lambda: tunnel(0),
    "tunnel 1": lambda: tunnel(1),
}
"""Kinds, shapes and materials that training never saw."""

__all__ = ["AUTHORED", "UNSEEN", "quarry", "tunnel"]
