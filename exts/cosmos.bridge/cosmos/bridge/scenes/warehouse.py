"""A warehouse with its loading yard: racks, pallets, an AMR, a forklift and people, seen from the yard."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from cosmos.bridge.scenes import props
from cosmos.bridge.scenes.builder import MaterialRef, Placement, StageBuilder, open_builder
from cosmos.bridge.scenes.machines import amr, forklift
from cosmos.bridge.scenes.physics import physics_scene
from cosmos.bridge.scenes.shapes import Shape, box, ground, merge, profile_bar, quad

if TYPE_CHECKING:
    from pxr import Usd

_HALF, _DEEP, _HIGH = 13.0, 27.0, 7.2
_GATE = (-7.6, 3.6, 4.9)
"""Left edge, right edge and height of the open gate [m]."""
_DOCK = (6.2, 9.8, 3.6)
"""The same of the closed dock door."""


def warehouse(path: str | os.PathLike[str] | None = None, *, num_frames: int = 48, seed: int = 0) -> Usd.Stage:
    """Author the warehouse; ``/World/Camera`` looks over the yard into the hall, 3 to 60 m deep.

    Args:
        path: File to save to (``.usda``, ``.usdc``, ``.usd``; textures go to ``textures/`` beside it), or
            ``None`` for a stage in memory.
        num_frames: Frames of animation at 24 a second, >= 1.
        seed: Decides what lies on the shelves and how the people look, >= 0.

    Raises:
        ConfigError: If ``num_frames`` is below 1, or the file cannot be written.
    """
    builder = open_builder(path, num_frames=num_frames)
    rng = np.random.default_rng([77, seed])
    physics_scene(builder)
    _grounds(builder)
    _hall(builder)
    _racks(builder, rng)
    _yard(builder, rng)
    _traffic(builder, seed)
    _lights(builder)
    _cameras(builder)
    return builder.finish(path)


def _grounds(builder: StageBuilder) -> None:
    asphalt = builder.surface("asphalt", color=(0.42, 0.42, 0.42), tile=6.0, roughness=0.9, size=512)
    slab = builder.surface("concrete", color=(0.58, 0.57, 0.54), tile=5.0, roughness=0.55, size=512)
    lawn = builder.surface("grass", color=(0.28, 0.37, 0.14), tile=3.0, roughness=1.0)
    builder.mesh("/World/Lawn", ground(240, 240, (0, 0, -0.06)), lawn, label="grass")
    builder.mesh("/World/Yard", ground(56, 40, (0, -20, 0)), asphalt, label="yard", physics="collider")
    builder.mesh(
        "/World/Floor", ground(2 * _HALF, _DEEP, (0, _DEEP / 2, 0.005)), slab, label="floor", physics="collider"
    )
    yellow = builder.surface("painted", color=(0.86, 0.67, 0.10), tile=2.0, roughness=0.7)
    white = builder.surface("painted", color=(0.86, 0.86, 0.83), tile=2.0, seed=1, roughness=0.7)
    lanes = [box((0.12, 38.0, 0.006), (x, 4.0, 0.004)) for x in (-3.6, 0.4)]
    lanes += [box((8.0, 0.12, 0.006), (8.0, y, 0.002)) for y in (-3.0, -7.5, -12.0)]
    builder.mesh("/World/Markings/Lanes", merge(lanes), yellow, label="floor marking")
    zebra = [box((0.5, 2.6, 0.006), (-11.5 + 1.0 * stripe, -3.4, 0.002)) for stripe in range(8)]
    bays = [box((0.12, 5.0, 0.006), (x, -16.5, 0.002)) for x in np.arange(-13.0, -2.0, 2.7)]
    builder.mesh("/World/Markings/Zebra", merge([*zebra, *bays]), white, label="floor marking")


def _wall(width: float, height: float, openings: list[tuple[float, float, float]]) -> Shape:
    """A wall along X from ``-width/2`` with door openings ``(left, right, top)``, sorted from left to right."""
    parts, left = [], -width / 2.0
    for start, end, top in openings:
        parts.append(box((start - left, 0.24, height), ((start + left) / 2, 0, 0)))
        parts.append(box((end - start, 0.24, height - top), ((start + end) / 2, 0, top)))
        left = end
    parts.append(box((width / 2.0 - left, 0.24, height), ((width / 2.0 + left) / 2, 0, 0)))
    return merge(parts)


def _hall(builder: StageBuilder) -> None:
    cladding = builder.surface("metal", color=(0.56, 0.62, 0.66), tile=1.6, roughness=0.45)
    brick = builder.surface("brick", color=(0.50, 0.25, 0.19), tile=1.6, roughness=0.9)
    inner = builder.surface("plaster", color=(0.74, 0.73, 0.70), tile=4.0)
    steel = builder.surface("painted", color=(0.22, 0.32, 0.42), tile=2.0, roughness=0.5)
    builder.group("/World/Hall", label="building")
    builder.mesh("/World/Hall/Front", _wall(2 * _HALF, _HIGH, [_GATE, _DOCK]), cladding, physics="collider")
    edges = (-_HALF, *_GATE[:2], *_DOCK[:2], _HALF)
    plinth = [box((b - a, 0.34, 1.0), ((a + b) / 2, 0, 0)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    builder.mesh("/World/Hall/Plinth", merge(plinth), brick)
    for name, size, at in (
        ("Left", (0.24, _DEEP, _HIGH), (-_HALF, _DEEP / 2, 0.0)),
        ("Right", (0.24, _DEEP, _HIGH), (_HALF, _DEEP / 2, 0.0)),
        ("Back", (2 * _HALF, 0.24, _HIGH), (0.0, _DEEP, 0.0)),
    ):
        builder.mesh(f"/World/Hall/{name}", box(size, at), inner if name == "Back" else cladding, physics="collider")
    strips = [box((2 * _HALF + 0.6, 3.0, 0.2), (0, 1.2 + 4.2 * row, _HIGH)) for row in range(7)]
    builder.mesh("/World/Hall/Roof", merge(strips), cladding)
    builder.mesh("/World/Hall/Canopy", box((13.6, 3.2, 0.18), (-2.0, -1.5, _GATE[2] + 0.35)), steel)
    trusses = [box((2 * _HALF, 0.16, 0.5), (0, 3.2 + 4.2 * row, _HIGH - 0.5)) for row in range(6)]
    builder.mesh("/World/Hall/Trusses", merge(trusses), steel)
    posts = [box((0.3, 0.3, _HIGH), (x, y, 0)) for x in (-6.0, 0.0, 6.0) for y in (7.4, 15.8, 24.2)]
    builder.mesh("/World/Hall/Pillars", merge(posts), steel, label="pillar", physics="collider")
    hazard = builder.surface("stripes", color=(0.92, 0.74, 0.08), tile=0.5, roughness=0.6)
    guards = [box((0.34, 0.34, 1.1), (x, y, 0)) for x in (-6.0, 0.0, 6.0) for y in (7.4, 15.8, 24.2)]
    guards += [box((0.18, 0.40, 2.2), (x, 0, 0)) for x in (_GATE[0] - 0.02, _GATE[1] + 0.02)]
    builder.mesh("/World/Hall/Guards", merge(guards), hazard, label="pillar")
    shutter = builder.surface("metal", color=(0.72, 0.72, 0.70), seed=2, tile=1.2, roughness=0.4)
    leaf = profile_bar(((0.0, 0.0), (3.6, 0.0), (3.6, 3.6), (0.0, 3.6)), 0.1).moved((_DOCK[0], 0.02, 0))
    builder.mesh("/World/Hall/DockDoor", leaf, shutter, label="door")
    seal = [box((0.3, 0.5, 3.9), (x, -0.3, 0)) for x in (_DOCK[0] - 0.15, _DOCK[1] + 0.15)]
    seal.append(box((4.2, 0.5, 0.4), (8.0, -0.3, 3.6)))
    rubber = builder.material("Rubber", color=(0.05, 0.05, 0.055), roughness=0.9)
    builder.mesh("/World/Hall/DockSeal", merge(seal), rubber)
    _signs(builder)


def _signs(builder: StageBuilder) -> None:
    for name, text, size, at, colors in (
        ("Company", "NORTH YARD LOGISTICS", (8.4, 0.98), (-2.0, -3.06, 5.43), ((0.95, 0.95, 0.93), (0.08, 0.22, 0.42))),
        ("Dock", "DOCK 2", (1.9, 0.62), (8.0, -0.14, 4.35), ((0.08, 0.08, 0.08), (0.93, 0.78, 0.12))),
        ("Gate", "GATE 1", (1.9, 0.62), (4.9, -0.14, 3.2), ((0.08, 0.08, 0.08), (0.93, 0.78, 0.12))),
        ("Exit", "EXIT", (1.2, 0.45), (2.0, _DEEP - 0.2, 3.4), ((0.97, 0.97, 0.97), (0.05, 0.42, 0.20))),
    ):
        picture = builder.textures.sign(text, ink=colors[0], paper=colors[1], size=(64, int(64 * size[0] / size[1])))
        board = builder.material(f"Sign{name}", roughness=0.5, texture=picture, tile=0.0)
        builder.mesh(f"/World/Signs/{name}", quad(*size), board, Placement(at=at), label="sign")


def _racks(builder: StageBuilder, rng: np.random.Generator) -> None:
    length, depth, levels = 16.2, 1.1, (0.12, 1.75, 3.35, 4.95)
    blue = builder.surface("painted", color=(0.12, 0.25, 0.50), tile=1.5, roughness=0.45)
    orange = builder.surface("painted", color=(0.86, 0.40, 0.08), tile=1.5, roughness=0.45)
    board = builder.surface("planks", color=(0.66, 0.52, 0.36), tile=1.0)
    wood = builder.surface("planks", color=(0.62, 0.47, 0.31), seed=3, tile=0.8)
    cartons = [
        builder.surface("cardboard", color=color, seed=number, tile=0.0, roughness=0.85)
        for number, color in enumerate(((0.66, 0.49, 0.31), (0.58, 0.42, 0.26), (0.72, 0.58, 0.40), (0.62, 0.50, 0.36)))
    ]
    wraps = [builder.material("Wrap", color=color, roughness=0.25)
             for color in ((0.72, 0.75, 0.78), (0.15, 0.32, 0.55), (0.20, 0.42, 0.26), (0.66, 0.14, 0.12))]  # fmt: skip
    for number, x in enumerate((-11.6, -8.6, -4.7, 1.6, 4.6, 9.2)):
        rack = builder.group(f"/World/Racks/Rack_{number}", Placement(at=(x, 14.6, 0), turn=(0, 0, 90)), label="rack")
        shapes = props.rack_shapes(length, 6.1, depth, levels)
        for name, shape, material in zip(("Uprights", "Beams", "Boards"), shapes, (blue, orange, board), strict=True):
            builder.mesh(f"{rack}/{name}", shape, material, physics="collider")
        picture = builder.textures.sign(
            f"{'ABCDEF'[number]}{number + 1}", ink=(0.97, 0.97, 0.97), paper=(0.1, 0.2, 0.4), size=(96, 96)
        )
        plate = builder.material(f"Shelf{number}", roughness=0.5, texture=picture, tile=0.0)
        spot = Placement(at=(-length / 2 - 0.08, 0.0, 3.9), turn=(0, 0, -90))
        builder.mesh(f"{rack}/Plate", quad(0.9, 0.9), plate, spot, label="sign")
        pallets = []
        for level in levels:
            for slot in range(11):
                at = (-length / 2 + 0.8 + 1.46 * slot, 0.0, level + 0.02)
                if rng.random() < 0.16:
                    continue
                pallets += [box((1.2, 0.9, 0.03), (at[0], 0, at[2] + 0.1)),
                            *(box((0.12, 0.9, 0.1), (at[0] + dx, 0, at[2])) for dx in (-0.5, 0.0, 0.5))]  # fmt: skip
                _load(builder, f"{rack}/Load", (at[0], 0.0, at[2] + 0.13), rng, cartons, wraps)
        builder.mesh(f"{rack}/Pallets", merge(pallets), wood, label="pallet")


def _load(
    builder: StageBuilder, path: str, at: tuple[float, float, float], rng: np.random.Generator,
    cartons: list[MaterialRef], wraps: list[MaterialRef],
) -> str:  # fmt: skip
    """A palletful: a stack of cartons, or one wrapped block."""
    name = builder.unique(path)
    if rng.random() < 0.25:
        shape = box((1.1, 0.86, float(rng.uniform(0.6, 1.15))))
        material = wraps[rng.integers(len(wraps))]
    else:
        rows, columns, tall = int(rng.integers(1, 4)), int(rng.integers(2, 4)), float(rng.uniform(0.3, 0.4))
        wide = 1.14 / columns
        parts = [
            box(
                (wide - 0.015, 0.82, tall - 0.01),
                (-0.57 + wide * (column + 0.5), float(rng.normal(0, 0.012)), tall * row),
                fit=True,
            )
            for row in range(rows)
            for column in range(columns)
            if row == 0 or row < rows - 1 or rng.random() < 0.8
        ]
        shape, material = merge(parts), cartons[rng.integers(len(cartons))]
    return builder.mesh(name, shape, material, Placement(at=at), label="box", physics="rigid", mass=60.0)


def _yard(builder: StageBuilder, rng: np.random.Generator) -> None:
    wood = builder.surface("planks", color=(0.62, 0.47, 0.31), seed=3, tile=0.8)
    carton = builder.surface("cardboard", color=(0.66, 0.49, 0.31), tile=0.0, roughness=0.85)
    wrap = builder.material("Wrap", color=(0.72, 0.75, 0.78), roughness=0.25)
    for x, y, turn in (
        (-9.6, -1.7, 4.0),
        (-11.2, -2.0, -8.0),
        (5.4, -2.1, 12.0),
        (5.2, -4.0, -5.0),
        (-5.6, -6.4, 24.0),
    ):
        place = Placement(at=(x, y, 0.0), turn=(0.0, 0.0, turn))
        stand = builder.group(builder.unique("/World/Goods/Pallet"), place, label="pallet")
        builder.mesh(f"{stand}/Wood", props.pallet_shape(), wood, physics="collider")
        for _ in range(int(rng.integers(1, 2))):
            _load(builder, f"{stand}/Load", (0.0, 0.0, 0.15), rng, [carton], [wrap])
    stack = [
        props.pallet_shape().moved((-12.4, -4.6, 0.146 * level), yaw=float(rng.normal(0, 3))) for level in range(7)
    ]
    builder.mesh("/World/Goods/PalletStack", merge(stack), wood, label="pallet", physics="collider")
    red = builder.material("ConeRed", color=(0.90, 0.26, 0.06), roughness=0.6)
    for x, y in ((1.6, -6.2), (2.5, -7.0), (-3.9, -9.2), (-8.0, -9.9), (4.4, -9.4)):
        builder.mesh(
            builder.unique("/World/Goods/Cone"),
            props.cone_shape(),
            red,
            Placement(at=(x, y, 0.0)),
            label="cone",
            physics="rigid",
            mass=2.0,
        )
    for number, (x, color) in enumerate(
        ((10.7, (0.10, 0.28, 0.55)), (11.5, (0.10, 0.28, 0.55)), (11.1, (0.55, 0.12, 0.10)))
    ):
        paint = builder.material("Drum", color=color, roughness=0.4)
        builder.mesh(
            f"/World/Goods/Barrel_{number}",
            props.barrel_shape(),
            paint,
            Placement(at=(x, -0.9 - 0.75 * (number == 2), 0.0)),
            label="barrel",
            physics="rigid",
            mass=25.0,
        )
    wire = builder.material("Fence", color=(0.42, 0.46, 0.44), roughness=0.5, metallic=1.0)
    for number, (at, turn, length) in enumerate(
        (((-19.0, -6.0, 0), 90.0, 26.0), ((20.0, -6.0, 0), 90.0, 26.0), ((-16.0, 7.0, 0), 0.0, 6.0))
    ):
        builder.mesh(
            f"/World/Fence_{number}",
            props.fence_shape(length, 1.9),
            wire,
            Placement(at=at, turn=(0, 0, turn)),
            label="fence",
        )
    spots = (
        (-17.5, 12, 7.5),
        (-21, 3, 6.5),
        (-23, 20, 9.0),
        (-24, -5, 6.0),
        (22, 9, 8.0),
        (26, 3, 6.5),
        (18, 17, 9.0),
        (33, 14, 10.0),
        (29, -8, 7.0),
        (-19, 31, 9.5),
        (19, 30, 9.0),
    )
    for number, (x, y, height) in enumerate(spots):
        props.tree(builder, f"/World/Trees/Tree_{number}", (x, y, -0.05), seed=number, height=height)
    for number, (x, y, size) in enumerate(
        ((-33.0, 36.0, (16, 10, 9)), (44.0, 24.0, (18, 12, 12)), (-46.0, 14.0, (12, 14, 7)))
    ):
        props.building(builder, f"/World/Town/House_{number}", size, Placement(at=(x, y, 0)), seed=number + 3)


def _traffic(builder: StageBuilder, seed: int) -> None:
    way, heading = props.path_along(builder, (-1.6, 9.0, 0.006), (-1.6, -12.0, 0.006), speed=1.4, phase=11.0)
    amr(builder, "/World/AMR", Placement(at=way, turn=(0, 0, heading)))
    way, heading = props.path_along(builder, (12.0, -5.6, 0), (-4.0, -5.6, 0), speed=1.7, phase=6.2)
    spin = np.degrees(1.7 * builder.times / 24.0 / 0.3)
    forklift(builder, "/World/Forklift", Placement(at=way, turn=(0, 0, heading)), spin=spin)
    for number, (start, end, speed, phase) in enumerate((
        ((-12.0, -3.4, 0), (0.0, -3.4, 0), 1.3, 3.6),
        ((2.4, 24.0, 0), (2.4, -6.0, 0), 1.2, 16.0),
        ((-6.6, 6.0, 0), (-6.6, 25.0, 0), 1.1, 0.5),
    )):  # fmt: skip
        way, heading = props.path_along(builder, start, end, speed=speed, phase=phase)
        props.person(
            builder,
            f"/World/People/Person_{number}",
            way,
            heading,
            seed=97 * seed + number,
            speed=speed,
            vest=number != 1,
        )
    still = np.array([4.9, -1.2, 0.0])
    props.person(builder, "/World/People/Person_3", still, 215.0, seed=97 * seed + 5, speed=0.0, vest=True)
    props.car(
        builder, "/World/Van", Placement(at=(8.0, -4.4, 0), turn=(0, 0, -90)), color=(0.88, 0.88, 0.86), kind="van"
    )
    props.car(builder, "/World/Car_0", Placement(at=(-11.6, -16.5, 0), turn=(0, 0, 90)), color=(0.12, 0.22, 0.40))
    props.car(builder, "/World/Car_1", Placement(at=(14.5, -9.0, 0), turn=(0, 0, 100)), color=(0.55, 0.10, 0.09))


def _lights(builder: StageBuilder) -> None:
    builder.sky(sun=3.0, elevation=40.0, azimuth=236.0, dome=1.0)
    case = builder.material("LampCase", color=(0.9, 0.9, 0.88), roughness=0.4, emissive=(1.3, 1.25, 1.1))
    for number, (x, y) in enumerate((x, y) for y in (5.3, 13.7, 22.1) for x in (-6.6, -1.6, 3.1, 7.0)):
        builder.mesh(f"/World/Lamps/Case_{number}", box((1.5, 0.35, 0.09), (x, y, _HIGH - 0.7)), case, label="lamp")
        builder.light(
            f"/World/Lamps/Hall_{number}",
            "RectLight",
            intensity=10.0,
            color=(1.0, 0.95, 0.86),
            width=1.5,
            height=0.35,
            placement=Placement(at=(x, y, _HIGH - 0.72)),
        )
    for number, x in enumerate((-5.6, 1.6, 8.0)):
        high = _GATE[2] + 0.3 if x < 4 else 4.25
        builder.mesh(
            f"/World/Lamps/Flood_{number}",
            box((0.6, 0.24, 0.16), (x, -2.2 if x < 4 else -0.6, high - 0.13)),
            case,
            label="lamp",
        )
        builder.light(
            f"/World/Lamps/Yard_{number}",
            "SphereLight",
            intensity=40.0,
            color=(1.0, 0.86, 0.66),
            radius=0.14,
            placement=Placement(at=(x, -2.2 if x < 4 else -0.7, high - 0.3)),
        )
    props.lamp_post(builder, "/World/Lamps/Post_0", (-16.5, -4.0, 0), yaw=0.0)
    props.lamp_post(builder, "/World/Lamps/Post_1", (17.0, -6.0, 0), yaw=180.0)


def _cameras(builder: StageBuilder) -> None:
    slide = builder.times[:, None] / 24.0
    builder.camera(
        "/World/Camera",
        np.array([-9.2, -15.2, 2.5]) + slide * [0.34, 0.16, 0.0],
        np.array([1.6, 2.5, 2.0]) + slide * [0.1, 0, 0],
        focal=21.5,
        far=400.0,
    )
    builder.camera(
        "/World/CameraAisle",
        np.array([-1.4, 25.0, 1.6]) - slide * [0, 0.6, 0],
        (-1.4, -4.0, 1.3),
        focal=24.0,
        far=400.0,
    )
    around = np.radians(-118.0 + 4.0 * builder.times / 24.0)
    circle = np.stack([15.0 * np.cos(around), 15.0 * np.sin(around), np.full_like(around, 8.5)], axis=1)
    builder.camera("/World/CameraHigh", circle, (0.0, 1.0, 0.5), focal=26.0, far=400.0)


__all__ = ["warehouse"]
