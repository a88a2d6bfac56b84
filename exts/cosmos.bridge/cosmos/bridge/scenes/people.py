"""People who stand and walk."""

from __future__ import annotations

import numpy as np

from cosmos.bridge.scenes.builder import Placement, StageBuilder
from cosmos.bridge.scenes.lofts import upright
from cosmos.bridge.scenes.shapes import Shape, merge
from cosmos.bridge.scenes.textures import Color

SKIN: tuple[Color, ...] = ((0.55, 0.38, 0.29), (0.78, 0.58, 0.46), (0.36, 0.24, 0.18), (0.87, 0.69, 0.57))
CLOTH: tuple[Color, ...] = (
    (0.16, 0.22, 0.36), (0.55, 0.12, 0.12), (0.20, 0.34, 0.24), (0.42, 0.42, 0.44), (0.62, 0.50, 0.30),
    (0.12, 0.12, 0.14), (0.78, 0.76, 0.70), (0.25, 0.42, 0.60),
)  # fmt: skip
_TROUSERS: tuple[Color, ...] = ((0.13, 0.17, 0.27), (0.10, 0.10, 0.12), (0.30, 0.28, 0.25), (0.36, 0.33, 0.27))
_HAIR: tuple[Color, ...] = ((0.05, 0.04, 0.035), (0.16, 0.10, 0.06), (0.34, 0.24, 0.13), (0.45, 0.44, 0.42))


def torso_shape() -> Shape:
    """Make chest, waist and shoulders from the belt, at z 0.96, to the neck [m]."""
    return upright([
        (0.955, 0.19, 0.300, 0.00), (1.00, 0.205, 0.318, 0.00), (1.10, 0.195, 0.305, 0.00), (1.20, 0.205, 0.335, 0.00),
        (1.32, 0.220, 0.375, 0.00), (1.40, 0.205, 0.395, -0.005), (1.445, 0.170, 0.350, -0.01),
        (1.475, 0.130, 0.200, -0.01), (1.490, 0.105, 0.120, -0.01),
    ])  # fmt: skip


def hips_shape() -> Shape:
    """Make the seat of the trousers [m]."""
    return upright([(0.80, 0.12, 0.20, 0.0), (0.84, 0.19, 0.30, -0.005), (0.90, 0.215, 0.325, -0.01),
                    (0.97, 0.20, 0.315, 0.0), (1.00, 0.18, 0.29, 0.0)])  # fmt: skip


def head_shape() -> Shape:
    """Make head and neck, the face towards +X [m]."""
    return upright(
        [
            (1.46, 0.105, 0.105, -0.005),
            (1.53, 0.105, 0.105, 0.0),
            (1.545, 0.135, 0.11, 0.022),
            (1.57, 0.170, 0.125, 0.02),
            (1.62, 0.190, 0.145, 0.012),
            (1.67, 0.195, 0.150, 0.005),
            (1.72, 0.175, 0.138, 0.0),
            (1.755, 0.110, 0.090, 0.0),
            (1.765, 0.02, 0.02, 0.0),
        ],
        sides=14,
        power=2.0,
    )


def hair_shape() -> Shape:
    """Make short hair, open at the face [m]."""
    return upright([
        (1.575, 0.100, 0.130, -0.055), (1.62, 0.150, 0.158, -0.035), (1.68, 0.180, 0.164, -0.022),
        (1.72, 0.190, 0.154, -0.008), (1.757, 0.135, 0.112, -0.004), (1.778, 0.03, 0.03, 0.0),
    ], sides=14, power=2.0)  # fmt: skip


def helmet_shape() -> Shape:
    """Make a hard hat with its brim [m]."""
    return merge([
        upright([(1.672, 0.225, 0.185, 0.0), (1.72, 0.212, 0.176, 0.0), (1.768, 0.16, 0.14, 0.0),
                 (1.795, 0.07, 0.06, 0.0)], sides=14, power=2.0),
        upright([(1.664, 0.300, 0.215, 0.02), (1.675, 0.290, 0.21, 0.02)], sides=14, power=2.0),
    ])  # fmt: skip


def limb_shape(length: float, upper: float, lower: float, *, bulge: float = 1.0) -> Shape:
    """Make a limb that hangs from the origin, rounded at both ends.

    Args:
        length: From joint to joint [m].
        upper: Radius at the upper joint [m].
        lower: Radius at the lower joint [m].
        bulge: Factor on the thickness above the middle: a calf, a forearm.
    """
    rows = []
    for share in (-0.04, 0.0, 0.12, 0.35, 0.6, 0.85, 1.0, 1.04):
        thick = upper + (lower - upper) * min(max(share, 0.0), 1.0)
        thick *= 1.0 + (bulge - 1.0) * float(np.exp(-(((share - 0.3) / 0.22) ** 2)))
        thick *= 0.45 if share in (-0.04, 1.04) else 0.92 if share in (0.0, 1.0) else 1.0
        rows.append((-length * share, 2.0 * thick, 2.0 * thick, 0.0))
    return upright(rows[::-1], sides=12, power=2.0)


def shoe_shape() -> Shape:
    """Make a shoe, its ankle at the origin, its tip towards +X [m]."""
    return upright([(-0.085, 0.265, 0.095, 0.055), (-0.06, 0.265, 0.098, 0.055), (-0.04, 0.22, 0.09, 0.04),
                    (-0.01, 0.13, 0.08, 0.005), (0.02, 0.10, 0.075, 0.0)], sides=12, power=2.6)  # fmt: skip


def _gait(builder: StageBuilder, phase: float, speed: float, side: float) -> tuple[np.ndarray, ...]:
    """Return the angles of hip, knee, ankle, shoulder and elbow of one side [deg], each [T].

    A stride of 1.45 m; the knee bends while its leg swings forwards, a little at the landing too.
    """
    step = phase + 2.0 * np.pi * builder.times / 24.0 * speed / 1.45 + (0.0 if side > 0 else np.pi)
    if speed <= 0.0:
        still = np.zeros_like(step)
        breath = 1.5 * np.sin(builder.times / 24.0 * 1.5 + phase)
        return still, still + 2.0, still - 2.0, breath, still - 10.0
    stride = min(1.0, speed / 1.3)
    hip = -(4.0 + 25.0 * np.sin(step)) * stride
    knee = (
        8.0 + 50.0 * np.clip(np.cos(step + 0.35), 0.0, None) ** 1.5 + 6.0 * np.clip(np.sin(step), 0.0, None)
    ) * stride
    ankle = -0.35 * (hip + knee) - 10.0 * np.clip(-np.sin(step + 0.5), 0.0, None) * stride
    shoulder = 24.0 * np.sin(step) * stride
    elbow = -(16.0 + 14.0 * np.clip(-np.sin(step), 0.0, None)) * stride
    return hip, knee, ankle, shoulder, elbow


def person(
    builder: StageBuilder, path: str, positions: np.ndarray, heading: float, *, seed: int, speed: float = 1.3,
    label: str = "person", vest: bool = False,
) -> str:  # fmt: skip
    """Author a walking person of about 1.75 m, looking along ``heading``.

    Args:
        builder: Where to.
        path: Prim path.
        positions: Place on the ground of each frame [m], shape [T, 3], or one place of a standing person.
        heading: Direction around Z [deg], 0 is +X.
        seed: Decides clothes, size and the phase of the steps.
        speed: Sets the pace [m/s]; 0 stands still.
        label: Semantic class.
        vest: Wears a high-visibility vest and a helmet.
    """
    rng = np.random.default_rng(seed)
    size = float(rng.uniform(0.94, 1.06))
    girth = float(rng.uniform(0.92, 1.12))
    skin = builder.material("Skin", color=SKIN[rng.integers(len(SKIN))], roughness=0.6)
    top = builder.material("Cloth", color=CLOTH[rng.integers(len(CLOTH))], roughness=0.9)
    trousers = builder.material("Cloth", color=_TROUSERS[rng.integers(len(_TROUSERS))], roughness=0.9)
    shoes = builder.material("Shoes", color=(0.06, 0.06, 0.06), roughness=0.7)
    jacket = builder.material("Cloth", color=(0.85, 0.75, 0.08), roughness=0.9) if vest else top
    phase = float(rng.uniform(0.0, 2.0 * np.pi))
    bob = 0.025 * np.cos(2.0 * (phase + 2.0 * np.pi * builder.times / 24.0 * speed / 1.45)) if speed > 0.0 else 0.0
    ground = np.broadcast_to(np.asarray(positions, np.float64), (builder.num_frames, 3))
    lift = np.zeros((builder.num_frames, 3))
    lift[:, 2] = bob - (0.025 if speed > 0.0 else 0.0)
    builder.group(
        path, Placement(at=ground + lift, turn=(0.0, 0.0, heading), scale=(size,) * 3), label=label,
        physics="kinematic", mass=75.0,
    )  # fmt: skip
    builder.mesh(f"{path}/Torso", torso_shape(), jacket, Placement(scale=(girth, girth, 1.0)), physics="hull")
    builder.mesh(f"{path}/Hips", hips_shape(), trousers, Placement(scale=(girth, girth, 1.0)))
    builder.mesh(f"{path}/Head", head_shape(), skin, physics="hull")
    if vest:
        helmet = builder.material("Helmet", color=(0.92, 0.92, 0.9), roughness=0.35)
        builder.mesh(f"{path}/Helmet", helmet_shape(), helmet)
        band = builder.material("Reflective", color=(0.85, 0.86, 0.88), roughness=0.3)
        strip = merge([upright([(z, 0.222, 0.36 + w, 0.0), (z + 0.045, 0.222, 0.366 + w, 0.0)])
                       for z, w in ((1.09, -0.045), (1.24, 0.0))])  # fmt: skip
        builder.mesh(f"{path}/Band", strip, band, Placement(scale=(girth, girth, 1.0)))
    else:
        hair = builder.material("Hair", color=_HAIR[rng.integers(len(_HAIR))], roughness=0.8)
        builder.mesh(f"{path}/Hair", hair_shape(), hair)
    for side, name in ((1.0, "Left"), (-1.0, "Right")):
        hip, knee, ankle, shoulder, elbow = _gait(builder, phase, speed, side)
        _leg(builder, f"{path}/{name}Leg", side * girth, (hip, knee, ankle), (trousers, shoes))
        _arm(builder, f"{path}/{name}Arm", side * girth, (shoulder, elbow), (top, skin))
    return path


def _pitch(angle: np.ndarray, roll: float = 0.0) -> np.ndarray:
    """Return a turn around y [deg], after a fixed one around x."""
    return np.stack([np.full_like(angle, roll), angle, np.zeros_like(angle)], axis=1)


def _leg(builder: StageBuilder, path: str, side: float, angles: tuple, materials: tuple) -> None:
    hip, knee, ankle = angles
    cloth, shoes = materials
    builder.group(path, Placement(at=(0, 0.085 * side, 0.90), turn=_pitch(hip)))
    builder.mesh(f"{path}/Thigh", limb_shape(0.42, 0.088, 0.060), cloth)
    builder.group(f"{path}/Knee", Placement(at=(0, 0, -0.42), turn=_pitch(knee)))
    builder.mesh(f"{path}/Knee/Shin", limb_shape(0.40, 0.058, 0.044, bulge=1.12), cloth)
    builder.group(f"{path}/Knee/Ankle", Placement(at=(0, 0, -0.395), turn=_pitch(ankle)))
    builder.mesh(f"{path}/Knee/Ankle/Shoe", shoe_shape(), shoes)


def _arm(builder: StageBuilder, path: str, side: float, angles: tuple, materials: tuple) -> None:
    shoulder, elbow = angles
    cloth, skin = materials
    builder.group(path, Placement(at=(-0.005, 0.195 * side, 1.405), turn=_pitch(shoulder, 7.0 * np.sign(side))))
    builder.mesh(f"{path}/Sleeve", limb_shape(0.29, 0.058, 0.043), cloth)
    builder.group(f"{path}/Elbow", Placement(at=(0, 0, -0.29), turn=_pitch(elbow)))
    builder.mesh(f"{path}/Elbow/Forearm", limb_shape(0.25, 0.042, 0.031, bulge=1.08), cloth)
    builder.round(
        f"{path}/Elbow/Hand", "Sphere", 0.05, 0.0, skin, Placement(at=(0.005, 0, -0.30), scale=(0.8, 0.5, 1.5))
    )


__all__ = ["CLOTH", "SKIN", "person"]
