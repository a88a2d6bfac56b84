"""A street crossing: lanes and kerbs, houses with windows, cars, people, trees, lamps and traffic lights."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from cosmos.bridge.scenes import props
from cosmos.bridge.scenes.builder import Placement, StageBuilder, open_builder
from cosmos.bridge.scenes.physics import physics_scene
from cosmos.bridge.scenes.shapes import Shape, beam, box, cylinder, ground, merge

if TYPE_CHECKING:
    from pxr import Usd

_ROAD, _WALK = 3.6, 6.6
"""Half the width of the road, and of the road with its pavements [m]; both roads of the crossing are alike."""
_FAR = 90.0
"""How far the roads reach from the crossing [m]."""


def street(path: str | os.PathLike[str] | None = None, *, num_frames: int = 48, seed: int = 0) -> Usd.Stage:
    """Author the street; ``/World/Camera`` drives along it, ``/World/CameraCorner`` watches the crossing.

    Args:
        path: File to save to (``.usda``, ``.usdc``, ``.usd``; textures go to ``textures/`` beside it), or
            ``None`` for a stage in memory.
        num_frames: Frames of animation at 24 a second, >= 1.
        seed: Decides houses, cars and people, >= 0.

    Raises:
        ConfigError: If ``num_frames`` is below 1, or the file cannot be written.
    """
    builder = open_builder(path, num_frames=num_frames)
    rng = np.random.default_rng([131, seed])
    physics_scene(builder)
    _roads(builder)
    _houses(builder, rng)
    _greens(builder, rng)
    _signals(builder)
    _traffic(builder, rng)
    _people(builder, rng)
    builder.sky(sun=3.2, elevation=38.0, azimuth=205.0, dome=1.0)
    _map(builder)
    _cameras(builder)
    return builder.finish(path)


def _roads(builder: StageBuilder) -> None:
    lawn = builder.surface("grass", color=(0.28, 0.36, 0.15), tile=3.0, roughness=1.0)
    asphalt = builder.surface("asphalt", color=(0.34, 0.34, 0.35), tile=4.0, roughness=0.9, size=512)
    slabs = builder.surface("tiles", color=(0.60, 0.59, 0.56), tile=2.4, roughness=0.85)
    stone = builder.surface("concrete", color=(0.66, 0.65, 0.62), seed=2, tile=1.0, roughness=0.8)
    paint = builder.surface("painted", color=(0.88, 0.88, 0.85), seed=1, tile=2.0, roughness=0.7)
    builder.mesh("/World/Lawn", ground(400, 400, (0, 0, -0.08)), lawn, label="grass")
    cross = [ground(2 * _ROAD, 2 * _FAR), ground(_FAR - _ROAD, 2 * _ROAD, ((_FAR + _ROAD) / 2, 0, 0)),
             ground(_FAR - _ROAD, 2 * _ROAD, (-(_FAR + _ROAD) / 2, 0, 0))]  # fmt: skip
    builder.mesh("/World/Road", merge(cross), asphalt, label="road", physics="collider")
    length, middle = _FAR - _ROAD, (_FAR + _ROAD) / 2
    walks, kerbs = [], []
    for sx in (-1, 1):
        for sy in (-1, 1):
            side = (_ROAD + _WALK) / 2
            walks.append(box((_WALK - _ROAD - 0.3, length, 0.14), (sx * (side + 0.15), sy * middle, 0)))
            walks.append(box((length - _WALK + _ROAD, _WALK - _ROAD - 0.3, 0.14),
                             (sx * (middle + (_WALK - _ROAD) / 2), sy * (side + 0.15), 0)))  # fmt: skip
            kerbs.append(box((0.3, length, 0.15), (sx * (_ROAD + 0.15), sy * middle, 0)))
            kerbs.append(box((length - 0.3, 0.3, 0.15), (sx * (middle + 0.15), sy * (_ROAD + 0.15), 0)))
    builder.mesh("/World/Pavement", merge(walks), slabs, label="pavement", physics="collider")
    builder.mesh("/World/Kerbs", merge(kerbs), stone, label="kerb", physics="collider")
    builder.mesh("/World/Markings", merge(_markings()), paint, label="road marking")


def _markings() -> list[Shape]:
    marks = []
    for way in np.arange(12.0, _FAR - 2.0, 6.0):
        for sign in (-1, 1):
            marks += [box((0.14, 3.0, 0.004), (0, sign * way, 0.002)), box((3.0, 0.14, 0.004), (sign * way, 0, 0.002))]
    for sign in (-1, 1):
        marks += [box((0.42, 2.6, 0.004), (x, sign * 6.0, 0.002)) for x in np.arange(-3.1, 3.2, 0.88)]
        marks += [box((2.6, 0.42, 0.004), (sign * 6.0, y, 0.002)) for y in np.arange(-3.1, 3.2, 0.88)]
        marks += [box((_ROAD - 0.2, 0.4, 0.004), (-sign * _ROAD / 2, sign * 8.2, 0.002))]
        marks += [box((0.4, _ROAD - 0.2, 0.004), (sign * 8.2, sign * _ROAD / 2, 0.002))]
    return marks


def _map(builder: StageBuilder) -> None:
    """Author the lines of an HD map: what a camera sees as paint and stone, as curves that only ``hdmap`` draws."""
    builder.group("/World/Map")
    lane_lines, lanes, edges, stops, crossings = [], [], [], [], []
    for sign in (-1, 1):
        for turn in (0, 1):  # along Y, then along X

            def at(across: float, along: float, turn: int = turn, sign: int = sign) -> tuple[float, float, float]:
                return (across, sign * along, 0.01) if turn == 0 else (sign * along, across, 0.01)

            lane_lines.append([at(0.0, 8.4), at(0.0, _FAR)])
            lanes += [[at(side * _ROAD / 2, 8.4), at(side * _ROAD / 2, _FAR)] for side in (-1, 1)]
            edges += [[at(side * _ROAD, _ROAD), at(side * _ROAD, _FAR)] for side in (-1, 1)]
            keep = -sign if turn == 0 else sign  # the side on which one drives towards the crossing
            stops.append([at(0.0, 8.2), at(keep * _ROAD, 8.2)])
            low, high, wide = 4.7, 7.3, _ROAD - 0.2
            crossings.append([at(-wide, low), at(wide, low), at(wide, high), at(-wide, high), at(-wide, low)])
    kinds = (
        ("LaneLines", lane_lines, "lane line"),
        ("Lanes", lanes, "lane"),
        ("Boundaries", edges, "road boundary"),
        ("WaitLines", stops, "wait line"),
        ("Crosswalks", crossings, "crosswalk"),
    )
    for name, polylines, label in kinds:
        builder.lines(f"/World/Map/{name}", [np.array(line) for line in polylines], label=label)


def _houses(builder: StageBuilder, rng: np.random.Generator) -> None:
    number = 0
    for sx in (-1, 1):
        for sy in (-1, 1):
            way = _WALK + 0.6
            while way < 78.0:
                front = float(rng.choice([9.0, 12.0, 15.0]))
                size = (front, float(rng.uniform(9, 12)), float(rng.choice([6.0, 9.0, 12.0, 15.0])))
                at = (sx * (_WALK + size[1] / 2 + 0.4), sy * (way + front / 2), 0.0)
                turn = Placement(at=at, turn=(0, 0, 90.0 * -sx))  # the front, -Y, turns to the road
                props.building(builder, f"/World/Houses/House_{number}", size, turn, seed=int(rng.integers(64)))
                number += 1
                way += front + float(rng.choice([0.0, 0.0, 4.0]))
    for sx in (-1, 1):
        for sy in (-1, 1):
            at = (sx * 34.0, sy * (_WALK + 6.0), 0.0)
            size = (22.0, 10.0, float(rng.choice([6.0, 9.0])))
            turn = Placement(at=at, turn=(0, 0, 0.0 if sy > 0 else 180.0))
            props.building(builder, f"/World/Houses/Side_{number}", size, turn, seed=int(rng.integers(64)))
            number += 1


def _greens(builder: StageBuilder, rng: np.random.Generator) -> None:
    number = 0
    for sx in (-1, 1):
        for y in (-64.0, -48.0, -34.0, -20.0, 16.0, 27.0, 39.0, 52.0, 66.0):
            if rng.random() < 0.75:
                seed = 3 * int(rng.integers(1 << 16)) + int(rng.integers(2))  # broadleaf trees only
                at = (sx * (_ROAD + 1.0), y + float(rng.normal(0, 1)), 0.14)
                props.tree(builder, f"/World/Trees/Tree_{number}", at, seed=seed, height=float(rng.uniform(4.5, 6.5)))
                number += 1
    for number, (sx, y) in enumerate((sx, y) for sx in (-1, 1) for y in (-42.0, -14.0, 21.0, 45.0)):
        props.lamp_post(
            builder, f"/World/Lamps/Lamp_{number}", (sx * (_ROAD + 0.6), y, 0.14), yaw=180.0 if sx > 0 else 0.0
        )
    wood = builder.surface("planks", color=(0.50, 0.36, 0.22), tile=0.8)
    steel = builder.material("Bin", color=(0.16, 0.30, 0.22), roughness=0.5)
    for number, (x, y) in enumerate(((5.9, 11.5), (-5.9, 14.0), (5.9, -24.0))):
        slats = [box((0.1, 1.7, 0.04), (dx, 0, 0.44)) for dx in (-0.16, 0.0, 0.16)]
        legs = [box((0.42, 0.08, 0.44), (0, y_leg, 0)) for y_leg in (-0.7, 0.7)]
        bench = merge([*slats, *legs])
        builder.mesh(
            f"/World/Bench_{number}", bench, wood, Placement(at=(x, y, 0.14)), label="bench", physics="collider"
        )
        builder.mesh(f"/World/Bin_{number}", cylinder(0.22, 0.8, sides=14), steel, Placement(at=(x, y + 1.6, 0.14)),
                     label="bin", physics="collider")  # fmt: skip


def _signals(builder: StageBuilder) -> None:
    dark = builder.material("SignalCase", color=(0.07, 0.08, 0.08), roughness=0.5)
    steel = builder.material("LampSteel", color=(0.33, 0.35, 0.36), roughness=0.45, metallic=1.0)
    lamps = {
        "Red": builder.material("SignalRed", color=(0.9, 0.05, 0.04), emissive=(2.2, 0.08, 0.05)),
        "Amber": builder.material("SignalAmber", color=(0.25, 0.16, 0.03), roughness=0.4),
        "Green": builder.material("SignalGreen", color=(0.05, 0.75, 0.35), emissive=(0.05, 1.9, 0.7)),
        "Off": builder.material("SignalOff", color=(0.10, 0.10, 0.09), roughness=0.4),
    }
    for number, (x, y, turn) in enumerate(((4.1, -7.6, 0), (-4.1, 7.6, 180), (7.6, 4.1, 90), (-7.6, -4.1, -90))):
        path = builder.group(f"/World/Signals/Signal_{number}", Placement(at=(x, y, 0.14), turn=(0, 0, turn)),
                             label="traffic light")  # fmt: skip
        builder.mesh(
            f"{path}/Pole",
            merge([cylinder(0.06, 3.6, sides=10), beam((0, 0, 3.5), (-1.9, 0, 3.9), 0.035)]),
            steel,
            physics="collider",
        )
        builder.mesh(
            f"{path}/Case",
            merge([box((0.3, 0.2, 0.9), (0, -0.12, 2.45)), box((0.3, 0.2, 0.9), (-1.9, -0.1, 3.4))]),
            dark,
        )
        go = number < 2
        for row, (name, lit) in enumerate((("Green", go), ("Amber", False), ("Red", not go))):
            material = lamps[name] if lit or name == "Amber" else lamps["Off"]
            for head, (hx, hz) in enumerate(((0.0, 2.6), (-1.9, 3.55))):
                builder.round(f"{path}/{name}_{head}", "Sphere", 0.1, 0.0, material,
                              Placement(at=(hx, -0.2, hz + 0.29 * row), scale=(1, 0.5, 1)))  # fmt: skip


def _traffic(builder: StageBuilder, rng: np.random.Generator) -> None:
    moving = (
        (1.8, -9.0, 1, 6.0),
        (1.8, 16.0, 1, 8.0),
        (-1.8, 20.0, -1, 7.5),
        (-1.8, 60.0, -1, 8.0),
        (1.8, 44.0, 1, 8.0),
    )
    for number, (x, y, sign, speed) in enumerate(moving):
        way = sign * speed * builder.times / 24.0
        at = np.stack([np.full_like(way, x), y + way, np.zeros_like(way)], axis=1)
        spin = np.degrees(speed * builder.times / 24.0 / 0.33)
        kind = "van" if number == 2 else "car"
        props.car(builder, f"/World/Traffic/Moving_{number}", Placement(at=at, turn=(0, 0, 90.0 * sign)),
                  color=props.PAINT[rng.integers(len(props.PAINT))], kind=kind, spin=spin)  # fmt: skip
    waiting = ((10.8, 1.8, 180.0), (16.6, 1.8, 180.0), (-10.8, -1.8, 0.0))
    for number, (x, y, turn) in enumerate(waiting):
        props.car(builder, f"/World/Traffic/Waiting_{number}", Placement(at=(x, y, 0), turn=(0, 0, turn)),
                  color=props.PAINT[rng.integers(len(props.PAINT))])  # fmt: skip


def _people(builder: StageBuilder, rng: np.random.Generator) -> None:
    walks = (((6.0, -13.0), (6.0, -60.0), 1.2), ((-5.6, 12.0), (-5.6, 70.0), 1.3), ((5.4, 24.0), (5.4, 9.0), 1.4),
             ((-6.0, -3.4), (-6.0, 3.4), 1.3), ((6.2, 3.4), (6.2, -3.4), 1.25), ((-6.0, -30.0), (-6.0, -9.0), 1.5),
             ((5.2, -20.0), (5.2, -8.0), 1.1))  # fmt: skip
    for number, (start, end, speed) in enumerate(walks):
        level = 0.14 if abs(start[1]) > 4.0 else 0.004
        way, heading = props.path_along(
            builder, (*start, level), (*end, level), speed=speed, phase=float(rng.uniform(0, 4))
        )
        props.person(
            builder, f"/World/People/Person_{number}", way, heading, seed=int(rng.integers(1 << 30)), speed=speed
        )


def _cameras(builder: StageBuilder) -> None:
    drive = builder.times[:, None] / 24.0 * np.array([0.0, 5.0, 0.0])
    builder.camera(
        "/World/Camera",
        np.array([1.75, -24.0, 1.55]) + drive,
        np.array([1.2, 10.0, 1.6]) + drive,
        focal=22.0,
        far=600.0,
    )
    builder.camera(
        "/World/CameraCorner", (6.2, -14.0, 5.2), np.array([-2.5, 6.0, 0.8]) + 0.03 * drive, focal=22.0, far=600.0
    )
    stroll = builder.times[:, None] / 24.0 * np.array([0.0, 1.2, 0.0])
    builder.camera(
        "/World/CameraPavement",
        np.array([-5.4, -22.0, 1.65]) + stroll,
        np.array([-1.0, 8.0, 1.6]) + stroll,
        focal=26.0,
        far=600.0,
    )


__all__ = ["street"]
