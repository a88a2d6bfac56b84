"""A work table with a robot arm that lifts one of the things lying there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from cosmos.bridge.scenes.builder import MaterialRef, Placement, StageBuilder, open_builder
from cosmos.bridge.scenes.machines import robot_arm
from cosmos.bridge.scenes.physics import physics_scene
from cosmos.bridge.scenes.shapes import Shape, box, cylinder, ground, merge, profile_bar, quad, turned

if TYPE_CHECKING:
    from pxr import Usd

_TOP = 0.75
"""Height of the table top [m]."""
_CUBE = np.array([0.06, -0.06])
"""Where the lifted cube lies [m]."""


def tabletop(path: str | os.PathLike[str] | None = None, *, num_frames: int = 48, seed: int = 0) -> Usd.Stage:
    """Author the table; ``/World/Camera`` looks at it from the front, ``/World/CameraTop`` from above.

    Args:
        path: File to save to (``.usda``, ``.usdc``, ``.usd``; textures go to ``textures/`` beside it), or
            ``None`` for a stage in memory.
        num_frames: Frames of animation at 24 a second, >= 1; the arm grasps and lifts within them.
        seed: Decides how the things lie and their colours, >= 0.

    Raises:
        ConfigError: If ``num_frames`` is below 1, or the file cannot be written.
    """
    builder = open_builder(path, num_frames=num_frames)
    rng = np.random.default_rng([29, seed])
    physics_scene(builder)
    _room(builder)
    _table(builder)
    _things(builder, rng)
    _arm(builder)
    _lights(builder)
    _cameras(builder)
    return builder.finish(path)


def _room(builder: StageBuilder) -> None:
    floor = builder.surface("planks", color=(0.52, 0.40, 0.29), seed=5, tile=1.4, roughness=0.5)
    wall = builder.surface("plaster", color=(0.76, 0.74, 0.69), tile=3.0)
    brick = builder.surface("brick", color=(0.58, 0.32, 0.25), seed=1, tile=1.6, roughness=0.9)
    builder.mesh("/World/Room/Floor", ground(9, 8), floor, label="floor", physics="collider")
    window = [box((2.6, 0.16, 2.9), (-3.2, 2.6, 0)), box((3.4, 0.16, 2.9), (2.8, 2.6, 0)),
              box((3.0, 0.16, 0.95), (-0.4, 2.6, 0)), box((3.0, 0.16, 0.55), (-0.4, 2.6, 2.35))]  # fmt: skip
    builder.mesh("/World/Room/Back", merge(window), brick, label="wall", physics="collider")
    builder.mesh("/World/Room/Left", box((0.16, 8, 2.9), (-4.4, -1.2, 0)), wall, label="wall", physics="collider")
    builder.mesh("/World/Room/Right", box((0.16, 8, 2.9), (4.4, -1.2, 0)), wall, label="wall", physics="collider")
    builder.mesh("/World/Room/Front", box((9, 0.16, 2.9), (0, -5.2, 0)), wall, label="wall", physics="collider")
    builder.mesh("/World/Room/Ceiling", box((9, 8.1, 0.16), (0, -1.2, 2.9)), wall, label="ceiling")
    frame = builder.material("Frame", color=(0.92, 0.92, 0.9), roughness=0.4)
    bars = [box((0.06, 0.1, 1.4), (x, 2.6, 0.95)) for x in (-1.87, -0.4, 1.07)]
    bars += [box((3.0, 0.1, 0.06), (-0.4, 2.6, z)) for z in (0.95, 2.29)]
    builder.mesh("/World/Room/Window", merge(bars), frame, label="window")
    lawn = builder.surface("grass", color=(0.30, 0.38, 0.16), tile=3.0, roughness=1.0)
    builder.mesh("/World/Outside", ground(120, 60, (0, 33, -0.4)), lawn, label="grass")
    shelf = builder.surface("planks", color=(0.62, 0.48, 0.32), seed=2, tile=0.8)
    boards = [box((1.3, 0.3, 0.03), (2.2, 2.36, z)) for z in (1.1, 1.5, 1.9)]
    boards += [box((0.03, 0.3, 1.1), (x, 2.36, 0.83)) for x in (1.56, 2.84)]
    builder.mesh("/World/Room/Shelf", merge(boards), shelf, label="shelf")
    colors = ((0.55, 0.16, 0.14), (0.16, 0.26, 0.44), (0.72, 0.62, 0.35), (0.22, 0.38, 0.26), (0.80, 0.78, 0.72))
    for number in range(14):
        row, slot = divmod(number, 7)
        cloth = builder.material("Book", color=colors[(number * 3) % 5], roughness=0.8)
        height = 0.22 + 0.03 * ((number * 5) % 4)
        builder.mesh(f"/World/Room/Book_{number}", box((0.045 + 0.01 * (number % 3), 0.18, height),
                     (1.68 + 0.075 * slot + 0.3 * row, 2.34, 1.13 + 0.4 * row)), cloth, label="book")  # fmt: skip
    picture = builder.textures.sign("CELL 4", ink=(0.95, 0.95, 0.95), paper=(0.12, 0.28, 0.46), size=(64, 192))
    board = builder.material("Sign", roughness=0.5, texture=picture, tile=0.0)
    builder.mesh("/World/Room/Sign", quad(0.9, 0.3), board, Placement(at=(2.2, 2.5, 2.15)), label="sign")


def _table(builder: StageBuilder) -> None:
    wood = builder.surface("planks", color=(0.66, 0.50, 0.33), seed=4, tile=1.2, roughness=0.45, size=512)
    steel = builder.surface("painted", color=(0.24, 0.26, 0.29), tile=1.0, roughness=0.5)
    builder.mesh(
        "/World/Table/Top", box((1.6, 0.9, 0.04), (0, 0, _TOP - 0.04)), wood, label="table", physics="collider"
    )
    legs = [box((0.06, 0.06, _TOP - 0.04), (x, y, 0)) for x in (-0.74, 0.74) for y in (-0.39, 0.39)]
    legs += [box((1.42, 0.04, 0.07), (0, y, _TOP - 0.14)) for y in (-0.39, 0.39)]
    builder.mesh("/World/Table/Legs", merge(legs), steel, label="table", physics="collider")
    mat = builder.material("Mat", color=(0.16, 0.30, 0.28), roughness=0.9)
    builder.mesh("/World/Table/Mat", box((0.62, 0.42, 0.003), (0.12, -0.12, _TOP)), mat, label="mat")


def _thing(
    builder: StageBuilder,
    name: str,
    shape: Shape,
    material: MaterialRef,
    at: tuple[float, float],
    yaw: float,
    mass: float = 0.2,
) -> None:
    builder.mesh(
        f"/World/Things/{name.capitalize()}",
        shape,
        material,
        Placement(at=(*at, _TOP), turn=(0, 0, yaw)),
        label=name,
        physics="rigid",
        mass=mass,
    )


def _things(builder: StageBuilder, rng: np.random.Generator) -> None:
    turn = lambda: float(rng.uniform(0, 360))  # noqa: E731
    clay = builder.material("Mug", color=(0.80, 0.30, 0.18), roughness=0.25)
    mug = turned([(0.034, 0.0), (0.040, 0.01), (0.040, 0.095), (0.036, 0.095), (0.034, 0.012)], sides=24)
    handle = [
        box((0.012, 0.012, 0.05), (0.065, 0, 0.024)),
        *(box((0.03, 0.012, 0.012), (0.052, 0, z)) for z in (0.02, 0.068)),
    ]
    _thing(builder, "mug", merge([mug, *handle]), clay, (0.52, -0.22), turn(), 0.3)
    glass = builder.material("Bottle", color=(0.10, 0.32, 0.16), roughness=0.08)
    bottle = turned(
        [(0.036, 0.0), (0.038, 0.02), (0.038, 0.15), (0.014, 0.205), (0.014, 0.26), (0.017, 0.262), (0.017, 0.275)],
        sides=20,
    )
    _thing(builder, "bottle", bottle, glass, (0.46, 0.20), 0.0, 0.5)
    tin = builder.material("Can", color=(0.75, 0.76, 0.78), roughness=0.25, metallic=1.0)
    _thing(
        builder,
        "can",
        turned([(0.030, 0.0), (0.033, 0.006), (0.033, 0.112), (0.027, 0.122)], sides=24),
        tin,
        (-0.08, -0.30),
        0.0,
    )
    paper = builder.surface("cardboard", color=(0.68, 0.52, 0.34), seed=2, tile=0.0, roughness=0.85)
    _thing(builder, "carton", box((0.20, 0.15, 0.12), fit=True), paper, (0.26, 0.24), float(rng.uniform(-20, 40)), 0.4)
    china = builder.material("Bowl", color=(0.85, 0.86, 0.84), roughness=0.2)
    bowl = turned(
        [(0.035, 0.0), (0.04, 0.008), (0.075, 0.05), (0.078, 0.052), (0.068, 0.05), (0.03, 0.014), (0.0, 0.012)],
        sides=26,
    )
    _thing(builder, "bowl", bowl, china, (-0.28, -0.22), 0.0, 0.3)
    for number, (x, y, color) in enumerate(((-0.30, -0.215, (0.75, 0.10, 0.08)), (-0.262, -0.232, (0.45, 0.60, 0.12)))):
        skin = builder.material("Apple", color=color, roughness=0.35)
        builder.round(f"/World/Things/Apple_{number}", "Sphere", 0.034, 0.0, skin, Placement(at=(x, y, _TOP + 0.052)),
                      label="apple", physics="rigid", mass=0.15)  # fmt: skip
    book = builder.material("Book", color=(0.16, 0.26, 0.44), roughness=0.8)
    _thing(builder, "book", box((0.15, 0.22, 0.028)), book, (-0.60, -0.20), float(rng.uniform(-30, 30)), 0.5)
    wood = builder.surface("planks", color=(0.72, 0.58, 0.40), seed=1, tile=0.2)
    _thing(builder, "wedge", profile_bar(((-0.05, 0.0), (0.05, 0.0), (0.05, 0.05)), 0.05), wood, (0.20, -0.26), turn())
    for number, (x, y, color) in enumerate(((0.34, -0.08, (0.10, 0.28, 0.62)), (-0.10, -0.16, (0.85, 0.66, 0.08)))):
        plain = builder.material("Block", color=color, roughness=0.5)
        builder.mesh(
            f"/World/Things/Cube_{number + 1}",
            box((0.05, 0.05, 0.05)),
            plain,
            Placement(at=(x, y, _TOP + 0.003 * (number == 1)), turn=(0, 0, turn())),
            label="cube",
            physics="rigid",
            mass=0.1,
        )
    steel = builder.material("Steel", color=(0.70, 0.71, 0.73), roughness=0.3, metallic=1.0)
    grip = builder.material("Grip", color=(0.80, 0.14, 0.08), roughness=0.5)
    tool = builder.group("/World/Things/Screwdriver", Placement(at=(0.02, 0.02, _TOP + 0.014), turn=(90.0, 0.0, 62.0)),
                         label="screwdriver", physics="rigid", mass=0.1)  # fmt: skip
    builder.mesh(f"{tool}/Blade", cylinder(0.004, 0.11, sides=10), steel, physics="hull")
    builder.mesh(
        f"{tool}/Grip",
        turned([(0.010, -0.09), (0.014, -0.08), (0.012, -0.01), (0.007, 0.0)], sides=12),
        grip,
        physics="hull",
    )


def _smooth(share: np.ndarray) -> np.ndarray:
    """Ease in and out: 3 s^2 - 2 s^3 over [0, 1]."""
    clipped = np.clip(share, 0.0, 1.0)
    return clipped * clipped * (3.0 - 2.0 * clipped)


def _reach(radius: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joint angles [deg] that hold the wrist at a radius and height [m] from the shoulder, the hand pointing down."""
    upper, fore = 0.36, 0.30
    span = np.clip(np.hypot(radius, height), 0.1, upper + fore - 1.0e-3)
    bend = np.arccos((span**2 - upper**2 - fore**2) / (2 * upper * fore))
    lift = np.arctan2(radius, height) - np.arctan2(fore * np.sin(bend), upper + fore * np.cos(bend))
    shoulder, elbow = np.degrees(lift), np.degrees(bend)
    return shoulder, elbow, 180.0 - shoulder - elbow


def _arm(builder: StageBuilder) -> None:
    foot = np.array([-0.34, 0.12])
    share = builder.times / max(1, builder.num_frames - 1)
    down, close, up = _smooth(share / 0.35), _smooth((share - 0.36) / 0.1), _smooth((share - 0.48) / 0.5)
    offset = _CUBE - foot
    radius = np.full_like(share, float(np.hypot(*offset)))
    grasp = 0.025 + 0.19 - 0.18  # the wrist over the shoulder when the fingers hold the cube
    height = grasp + 0.17 * (1.0 - down) + 0.20 * up
    shoulder, elbow, wrist = _reach(radius, height)
    swing = 24.0 * (1.0 - down) - 18.0 * up
    base = np.degrees(np.arctan2(offset[1], offset[0])) + swing
    joints = np.stack([base, shoulder, elbow, wrist, np.zeros_like(base)], axis=1)
    opening = 0.05 + 0.03 * (1.0 - close)
    robot_arm(builder, "/World/Robot", Placement(at=(*foot, _TOP)), joints, opening)
    angle = np.radians(base)
    held = close > 0.999
    at = np.stack(
        [foot[0] + radius * np.cos(angle), foot[1] + radius * np.sin(angle), np.full_like(angle, _TOP + 0.003)], axis=1
    )
    at[:, 2] += np.where(held, height - grasp, 0.0)
    at[~held, :2] = _CUBE
    red = builder.material("Block", color=(0.78, 0.12, 0.09), roughness=0.5)
    turn = np.stack(
        [np.zeros_like(base), np.zeros_like(base), np.where(held, base, base[np.argmax(held)] if held.any() else base)],
        axis=1,
    )
    builder.mesh(
        "/World/Things/Cube_0",
        box((0.05, 0.05, 0.05)),
        red,
        Placement(at=at, turn=turn),
        label="cube",
        physics="kinematic",
        mass=0.1,
    )


def _lights(builder: StageBuilder) -> None:
    builder.sky(sun=3.0, elevation=34.0, azimuth=75.0, dome=0.8)
    case = builder.material("LampCase", color=(0.9, 0.9, 0.88), emissive=(1.2, 1.15, 1.0))
    builder.mesh("/World/Lamps/Case", box((1.2, 0.3, 0.05), (0, -0.2, 2.2)), case, label="lamp")
    builder.light("/World/Lamps/Panel", "RectLight", intensity=14.0, color=(1.0, 0.96, 0.9), width=1.2, height=0.3,
                  placement=Placement(at=(0, -0.2, 2.19)))  # fmt: skip


def _cameras(builder: StageBuilder) -> None:
    drift = builder.times[:, None] / 24.0
    builder.camera(
        "/World/Camera",
        np.array([0.72, -1.25, 1.36]) + drift * [-0.10, 0.02, 0.01],
        (0.02, 0.02, 0.88),
        focal=30.0,
        near=0.02,
        far=200.0,
    )
    builder.camera("/World/CameraTop", (0.05, -0.25, 2.0), (0.05, 0.0, _TOP), focal=28.0, near=0.02, far=200.0)
    builder.camera(
        "/World/CameraSide",
        np.array([-1.35, -0.55, 1.15]) + drift * [0.03, 0.06, 0],
        (0.05, 0.0, 0.85),
        focal=30.0,
        near=0.02,
        far=200.0,
    )


__all__ = ["tabletop"]
