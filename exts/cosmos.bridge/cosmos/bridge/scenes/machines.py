"""Machines of a yard and a workshop: an autonomous mobile robot, a forklift, a robot arm with a gripper."""

from __future__ import annotations

import numpy as np

from cosmos.bridge.scenes import props
from cosmos.bridge.scenes.builder import Placement, StageBuilder
from cosmos.bridge.scenes.shapes import beam, box, cylinder, merge, profile_bar, turned


def amr(builder: StageBuilder, path: str, placement: Placement) -> str:
    """Author an autonomous mobile robot that carries a pallet of cartons along +X; its top is 0.31 m high."""
    builder.group(path, placement, label="amr", physics="kinematic", mass=180.0)
    shell = builder.material("AmrShell", color=(0.90, 0.42, 0.06), roughness=0.35)
    dark = builder.material("AmrTrim", color=(0.07, 0.07, 0.08), roughness=0.5)
    glow = builder.material("AmrGlow", color=(0.2, 0.8, 1.0), emissive=(0.15, 0.9, 1.3))
    hazard = builder.surface("stripes", color=(0.94, 0.78, 0.08), tile=0.34, roughness=0.5)
    outline = ((-0.62, 0.06), (0.58, 0.06), (0.68, 0.14), (0.62, 0.27), (-0.62, 0.27))
    builder.mesh(f"{path}/Shell", profile_bar(outline, 0.82), shell)
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
    builder.mesh(f"{path}/Body", profile_bar(body, 1.05), yellow)
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
    builder.mesh(f"{path}/Mast", merge(mast), dark)
    forks = [box((1.15, 0.12, 0.05), (1.62, y, 0.28)) for y in (-0.24, 0.24)]
    forks += [box((0.06, 0.12, 0.6), (1.07, y, 0.28)) for y in (-0.24, 0.24)]
    builder.mesh(f"{path}/Forks", merge(forks), steel)
    for number, (x, y, radius) in enumerate(
        ((0.62, 0.5, 0.34), (0.62, -0.5, 0.34), (-0.85, 0.45, 0.26), (-0.85, -0.45, 0.26))
    ):
        props.wheel(builder, f"{path}/Wheel_{number}", (x, y, radius), radius, 0.2, spin=spin)
    driver = builder.group(f"{path}/Driver", Placement(at=(-0.12, 0, 0.0)), label="person")
    vest = builder.material("Cloth", color=(0.88, 0.42, 0.08), roughness=0.9)
    jeans = builder.material("Cloth", color=(0.16, 0.22, 0.36), roughness=0.9)
    builder.round(f"{driver}/Torso", "Capsule", 0.17, 0.32, vest, Placement(at=(-0.06, 0, 1.08), scale=(0.8, 1.15, 1)))
    builder.round(
        f"{driver}/Head", "Sphere", 0.11, 0, builder.material("Skin", color=props.SKIN[1]), Placement(at=(0, 0, 1.56))
    )
    helmet = builder.material("Helmet", color=(0.92, 0.92, 0.9), roughness=0.35)
    builder.round(f"{driver}/Helmet", "Sphere", 0.125, 0, helmet, Placement(at=(-0.01, 0, 1.60), scale=(1, 1, 0.8)))
    builder.mesh(
        f"{driver}/Arms", merge([beam((-0.02, y, 1.28), (0.42, 0.5 * y, 1.05), 0.05) for y in (-0.22, 0.22)]), vest
    )
    builder.mesh(f"{driver}/Legs", merge([beam((0.0, y, 0.8), (0.42, y, 0.78), 0.075) for y in (-0.12, 0.12)]), jeans)
    wood = builder.surface("planks", color=(0.62, 0.47, 0.31), seed=3, tile=0.8)
    wrap = builder.material("Wrap", color=(0.15, 0.32, 0.55), roughness=0.25)
    builder.mesh(f"{path}/Pallet", props.pallet_shape().moved((1.72, 0, 0.33), yaw=90.0), wood, label="pallet")
    builder.mesh(f"{path}/Load", box((0.76, 1.1, 0.85), (1.72, 0, 0.474)), wrap, label="box")
    return path


def robot_arm(builder: StageBuilder, path: str, placement: Placement, joints: np.ndarray, opening: np.ndarray) -> str:
    """Author a six-joint arm with a two-finger gripper; it reaches 0.85 m.

    Args:
        builder: Where to.
        path: Prim path.
        placement: Where its foot stands.
        joints: Base, shoulder, elbow, wrist pitch and wrist roll [deg], shape [T, 5]; all zero stands upright.
        opening: Gap between the fingers [m], shape [T].
    """
    white = builder.material("ArmShell", color=(0.88, 0.89, 0.90), roughness=0.3)
    joint = builder.material("ArmJoint", color=(0.16, 0.28, 0.44), roughness=0.4)
    dark = builder.material("ArmTrim", color=(0.07, 0.07, 0.08), roughness=0.5)
    zero = np.zeros(builder.num_frames)
    builder.group(path, placement, label="robot", physics="kinematic", mass=18.0)
    builder.mesh(f"{path}/Foot", turned([(0.10, 0.0), (0.10, 0.02), (0.075, 0.03), (0.07, 0.12)], sides=20), dark)
    base = builder.group(f"{path}/Base", Placement(at=(0, 0, 0.12), turn=np.stack([zero, zero, joints[:, 0]], 1)))
    builder.mesh(f"{base}/Hub", turned([(0.07, 0.0), (0.068, 0.08), (0.05, 0.11)], sides=20), white)
    upper = builder.group(f"{base}/Upper", Placement(at=(0, 0, 0.06), turn=np.stack([zero, joints[:, 1], zero], 1)))
    builder.round(f"{upper}/Joint", "Cylinder", 0.062, 0.17, joint, axis="Y")
    builder.mesh(f"{upper}/Link", turned([(0.05, 0.0), (0.042, 0.18), (0.042, 0.36)], sides=18), white)
    fore = builder.group(f"{upper}/Fore", Placement(at=(0, 0, 0.36), turn=np.stack([zero, joints[:, 2], zero], 1)))
    builder.round(f"{fore}/Joint", "Cylinder", 0.052, 0.14, joint, axis="Y")
    builder.mesh(f"{fore}/Link", turned([(0.042, 0.0), (0.034, 0.16), (0.034, 0.3)], sides=18), white)
    wrist = builder.group(f"{fore}/Wrist", Placement(at=(0, 0, 0.3), turn=np.stack([zero, joints[:, 3], zero], 1)))
    builder.round(f"{wrist}/Joint", "Cylinder", 0.042, 0.11, joint, axis="Y")
    hand = builder.group(f"{wrist}/Hand", Placement(at=(0, 0, 0.05), turn=np.stack([zero, zero, joints[:, 4]], 1)))
    builder.mesh(f"{hand}/Flange", turned([(0.035, 0.0), (0.035, 0.05)], sides=16), white)
    builder.mesh(f"{hand}/Palm", box((0.06, 0.13, 0.04), (0, 0, 0.05)), dark)
    for sign, name in ((1.0, "Left"), (-1.0, "Right")):
        slide = np.stack([zero, sign * (opening / 2.0 + 0.008), zero + 0.09], 1)
        builder.mesh(
            f"{hand}/{name}",
            merge([box((0.024, 0.014, 0.07)), box((0.028, 0.008, 0.025), (0, -0.006 * sign, 0.05))]),
            dark,
            Placement(at=slide),
        )
    return path


__all__ = ["amr", "forklift", "robot_arm"]
