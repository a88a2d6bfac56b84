"""Machines of a yard and a workshop: an autonomous mobile robot, a forklift, a robot arm with a gripper."""

from __future__ import annotations

from typing import Literal

import numpy as np

from cosmos.bridge.scenes import people, props
from cosmos.bridge.scenes.builder import Placement, StageBuilder
from cosmos.bridge.scenes.physics import articulation, joint
from cosmos.bridge.scenes.shapes import beam, box, cylinder, merge, profile_bar, turned


def amr(builder: StageBuilder, path: str, placement: Placement) -> str:
    """Author an autonomous mobile robot that carries a pallet of cartons along +X; its top is 0.31 m high."""
    builder.group(path, placement, label="amr", physics="kinematic", mass=180.0)
    shell = builder.material("AmrShell", color=(0.90, 0.42, 0.06), roughness=0.35)
    dark = builder.material("AmrTrim", color=(0.07, 0.07, 0.08), roughness=0.5)
    glow = builder.material("AmrGlow", color=(0.2, 0.8, 1.0), emissive=(0.15, 0.9, 1.3))
    hazard = builder.surface("stripes", color=(0.94, 0.78, 0.08), tile=0.34, roughness=0.5)
    outline = ((-0.62, 0.06), (0.58, 0.06), (0.68, 0.14), (0.62, 0.27), (-0.62, 0.27))
    builder.mesh(f"{path}/Shell", profile_bar(outline, 0.82), shell, physics="hull")
    builder.mesh(f"{path}/Skirt", box((1.26, 0.86, 0.09), (0.0, 0.0, 0.09)), hazard)
    builder.mesh(f"{path}/Deck", box((1.16, 0.76, 0.04), (-0.02, 0.0, 0.27)), dark)
    builder.mesh(
        f"{path}/Strip",
        merge([box((0.02, 0.6, 0.03), (0.665, 0, 0.19)), box((0.02, 0.6, 0.03), (-0.63, 0, 0.2))]),
        glow,
    )
    builder.mesh(f"{path}/Lidar", cylinder(0.06, 0.07, (0.55, 0.0, 0.27), sides=14), dark)
    for number, (x, y) in enumerate(((0.42, 0.36), (0.42, -0.36), (-0.42, 0.36), (-0.42, -0.36))):
        builder.round(f"{path}/Wheel_{number}", "Cylinder", 0.09, 0.07, dark, Placement(at=(x, y, 0.09)), axis="Y")
    wood = builder.surface("planks", color=(0.62, 0.47, 0.31), seed=3, tile=0.8)
    carton = builder.surface("cardboard", color=(0.70, 0.54, 0.36), seed=1, tile=0.0, roughness=0.85)
    builder.mesh(f"{path}/Pallet", props.pallet_shape().moved((0, 0, 0.31)), wood, label="pallet")
    for number, (x, y, level) in enumerate(
        ((-0.3, -0.19, 0), (0.3, -0.19, 0), (-0.3, 0.19, 0), (0.3, 0.19, 0), (-0.28, 0.0, 1), (0.25, 0.05, 1))
    ):
        builder.mesh(
            f"{path}/Carton_{number}",
            box((0.56, 0.36, 0.33), (x, y, 0.455 + 0.335 * level), fit=True),
            carton,
            label="box",
            physics="hull",
        )
    return path


def forklift(builder: StageBuilder, path: str, placement: Placement, *, spin: np.ndarray) -> str:
    """Author a forklift that carries a pallet in front of it along +X; ``spin`` turns its wheels [deg], shape [T]."""
    builder.group(path, placement, label="forklift", physics="kinematic", mass=3200.0)
    yellow = builder.surface("painted", color=(0.90, 0.66, 0.08), seed=2, tile=1.5, roughness=0.4)
    dark = builder.material("LiftSteel", color=(0.09, 0.09, 0.10), roughness=0.5)
    steel = builder.material("LiftFork", color=(0.35, 0.36, 0.38), roughness=0.4, metallic=1.0)
    red = builder.material("Beacon", color=(0.95, 0.45, 0.05), emissive=(1.4, 0.5, 0.05))
    body = (
        (-1.15, 0.25),
        (0.75, 0.25),
        (0.85, 0.55),
        (0.55, 0.75),
        (0.15, 0.62),
        (-0.25, 0.62),
        (-0.4, 1.05),
        (-1.1, 1.0),
        (-1.25, 0.7),
    )
    builder.mesh(f"{path}/Body", profile_bar(body, 1.05), yellow, physics="hull")
    builder.mesh(
        f"{path}/Seat",
        merge([box((0.45, 0.5, 0.12), (-0.12, 0, 0.62)), box((0.12, 0.5, 0.55), (-0.36, 0, 0.95))]),
        dark,
    )
    bars = [
        beam((x0, y, z0), (x1, y, z1), 0.035)
        for y in (-0.46, 0.46)
        for x0, z0, x1, z1 in ((0.62, 0.7, 0.42, 2.1), (-0.85, 1.0, -0.75, 2.1), (0.42, 2.1, -0.75, 2.1))
    ]
    bars += [beam((x, -0.46, 2.1), (x, 0.46, 2.1), 0.03) for x in (0.42, 0.13, -0.16, -0.45, -0.75)]
    builder.mesh(f"{path}/Cage", merge(bars), dark)
    builder.mesh(f"{path}/Beacon", cylinder(0.06, 0.12, (-0.6, 0.3, 2.13), sides=12), red)
    mast = [box((0.12, 0.09, 2.25), (0.98, y, 0.12)) for y in (-0.36, 0.36)]
    mast += [box((0.1, 0.8, 0.1), (0.98, 0, z)) for z in (0.55, 1.3, 2.2)]
    builder.mesh(f"{path}/Mast", merge(mast), dark, physics="hull")
    forks = [box((1.15, 0.12, 0.05), (1.62, y, 0.28)) for y in (-0.24, 0.24)]
    forks += [box((0.06, 0.12, 0.6), (1.07, y, 0.28)) for y in (-0.24, 0.24)]
    builder.mesh(f"{path}/Forks", merge(forks), steel, physics="hull")
    for number, (x, y, radius) in enumerate(
        ((0.62, 0.5, 0.34), (0.62, -0.5, 0.34), (-0.85, 0.45, 0.26), (-0.85, -0.45, 0.26))
    ):
        props.wheel(builder, f"{path}/Wheel_{number}", (x, y, radius), radius, 0.2, spin=spin)
    driver = builder.group(f"{path}/Driver", Placement(at=(-0.12, 0, 0.0)), label="person")
    vest = builder.material("Cloth", color=(0.88, 0.42, 0.08), roughness=0.9)
    jeans = builder.material("Cloth", color=(0.16, 0.22, 0.36), roughness=0.9)
    skin = builder.material("Skin", color=people.SKIN[1], roughness=0.6)
    helmet = builder.material("Helmet", color=(0.92, 0.92, 0.9), roughness=0.35)
    for name, shape, material in (("Torso", people.torso_shape(), vest), ("Head", people.head_shape(), skin),
                                  ("Helmet", people.helmet_shape(), helmet)):  # fmt: skip
        builder.mesh(f"{driver}/{name}", shape, material, Placement(at=(-0.06, 0.0, -0.19)))
    builder.mesh(
        f"{driver}/Arms", merge([beam((-0.05, y, 1.2), (0.42, 0.5 * y, 1.0), 0.045) for y in (-0.2, 0.2)]), vest
    )
    builder.mesh(f"{driver}/Legs", merge([beam((0.0, y, 0.8), (0.42, y, 0.78), 0.075) for y in (-0.12, 0.12)]), jeans)
    wood = builder.surface("planks", color=(0.62, 0.47, 0.31), seed=3, tile=0.8)
    wrap = builder.material("Wrap", color=(0.15, 0.32, 0.55), roughness=0.25)
    builder.mesh(f"{path}/Pallet", props.pallet_shape().moved((1.72, 0, 0.33), yaw=90.0), wood, label="pallet")
    builder.mesh(f"{path}/Load", box((0.76, 1.1, 0.85), (1.72, 0, 0.474)), wrap, label="box", physics="hull")
    return path


def robot_arm(builder: StageBuilder, path: str, placement: Placement, joints: np.ndarray, opening: np.ndarray) -> str:
    """Author a five-joint arm with a two-finger gripper, one articulation; it reaches 0.85 m.

    Each link is a body of its own beside the others, as simulators want it; where it is comes from the joints.

    Args:
        builder: Where to.
        path: Prim path.
        placement: Where its foot stands.
        joints: Base, shoulder, elbow, wrist pitch and wrist roll [deg], shape [T, 5]; all zero stands upright.
        opening: Gap between the fingers [m], shape [T].
    """
    white = builder.material("ArmShell", color=(0.88, 0.89, 0.90), roughness=0.3)
    blue = builder.material("ArmJoint", color=(0.16, 0.28, 0.44), roughness=0.4)
    dark = builder.material("ArmTrim", color=(0.07, 0.07, 0.08), roughness=0.5)
    builder.group(path, placement, label="robot")
    articulation(builder, path)
    foot = turned([(0.10, 0.0), (0.10, 0.02), (0.075, 0.03), (0.07, 0.12)], sides=20)
    builder.mesh(f"{path}/Foot", foot, dark, physics="collider")
    turn = np.tile(np.eye(3), (builder.num_frames, 1, 1))
    at = np.zeros((builder.num_frames, 3))
    before = "Foot"
    for number, (name, rise, axis, mass, limit) in enumerate(_LINKS):
        at = at + turn @ np.array([0.0, 0.0, rise])
        turn = turn @ _turn(axis, joints[:, number])
        body = builder.group(f"{path}/{name}", Placement(at=at, turn=_angles(turn)), physics="rigid", mass=mass)
        joint(builder, f"{path}/Joints/{name}", "revolute", (f"{path}/{before}", body), axis=axis, at=(0.0, 0.0, rise),
              limits=(-limit, limit), target=joints[:, number])  # fmt: skip
        before = name
    builder.mesh(
        f"{path}/Base/Hub", turned([(0.07, 0.0), (0.068, 0.08), (0.05, 0.11)], sides=20), white, physics="hull"
    )
    for name, radius, width, profile in (
        ("Upper", 0.062, 0.17, [(0.05, 0.0), (0.042, 0.18), (0.042, 0.36)]),
        ("Fore", 0.052, 0.14, [(0.042, 0.0), (0.034, 0.16), (0.034, 0.3)]),
    ):
        builder.round(f"{path}/{name}/Joint", "Cylinder", radius, width, blue, axis="Y", physics="hull")
        builder.mesh(f"{path}/{name}/Link", turned(profile, sides=18), white, physics="hull")
    builder.round(f"{path}/Wrist/Joint", "Cylinder", 0.042, 0.11, blue, axis="Y", physics="hull")
    builder.mesh(f"{path}/Hand/Flange", turned([(0.035, 0.0), (0.035, 0.05)], sides=16), white, physics="hull")
    builder.mesh(f"{path}/Hand/Palm", box((0.06, 0.13, 0.04), (0, 0, 0.05)), dark, physics="hull")
    for sign, name in ((1.0, "FingerLeft"), (-1.0, "FingerRight")):
        slide = sign * (opening / 2.0 + 0.008)
        spot = at + (turn @ np.stack([0.0 * slide, slide, 0.0 * slide + 0.09], axis=1)[..., None])[..., 0]
        finger = merge([box((0.024, 0.014, 0.07)), box((0.028, 0.008, 0.025), (0, -0.006 * sign, 0.05))])
        body = builder.mesh(f"{path}/{name}", finger, dark, Placement(at=spot, turn=_angles(turn)), physics="rigid",
                            mass=0.05)  # fmt: skip
        joint(builder, f"{path}/Joints/{name}", "prismatic", (f"{path}/Hand", body), axis="Y", at=(0.0, 0.0, 0.09),
              limits=(-0.06, 0.06), target=slide)  # fmt: skip
    return path


_LINKS: tuple[tuple[str, float, Literal["Y", "Z"], float, float], ...] = (
    ("Base", 0.12, "Z", 4.0, 180.0),
    ("Upper", 0.06, "Y", 4.5, 135.0),
    ("Fore", 0.36, "Y", 3.0, 170.0),
    ("Wrist", 0.30, "Y", 1.5, 200.0),
    ("Hand", 0.05, "Z", 1.0, 180.0),
)
"""Name, height above the joint before [m], axis, mass [kg] and limit [deg] of each link."""


def _turn(axis: str, angle: np.ndarray) -> np.ndarray:
    """Return rotations around an axis by ``angle`` [deg], shape [T, 3, 3]."""
    a = np.radians(angle)
    zero, one = np.zeros_like(a), np.ones_like(a)
    if axis == "Y":
        rows = [[np.cos(a), zero, np.sin(a)], [zero, one, zero], [-np.sin(a), zero, np.cos(a)]]
    else:
        rows = [[np.cos(a), -np.sin(a), zero], [np.sin(a), np.cos(a), zero], [zero, zero, one]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _angles(turn: np.ndarray) -> np.ndarray:
    """Return rotations as turns around x, y, z in that order [deg], without jumps in time, shape [T, 3]."""
    x = np.arctan2(turn[:, 2, 1], turn[:, 2, 2])
    y = -np.arcsin(np.clip(turn[:, 2, 0], -1.0, 1.0))
    z = np.arctan2(turn[:, 1, 0], turn[:, 0, 0])
    return np.degrees(np.unwrap(np.stack([x, y, z], axis=1), axis=0))


__all__ = ["amr", "forklift", "robot_arm"]
