"""Things that stand and move in more than one scene: people, vehicles, trees, crates, racks, buildings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cosmos.bridge.scenes.builder import MaterialRef, Placement, StageBuilder
from cosmos.bridge.scenes.shapes import (
    Shape,
    Vector,
    beam,
    blob,
    box,
    cylinder,
    extruded,
    merge,
    profile_bar,
    quad,
    turned,
)
from cosmos.bridge.scenes.textures import Color

SKIN: tuple[Color, ...] = ((0.55, 0.38, 0.29), (0.78, 0.58, 0.46), (0.36, 0.24, 0.18), (0.87, 0.69, 0.57))
CLOTH: tuple[Color, ...] = (
    (0.16, 0.22, 0.36), (0.55, 0.12, 0.12), (0.20, 0.34, 0.24), (0.42, 0.42, 0.44), (0.62, 0.50, 0.30),
    (0.12, 0.12, 0.14), (0.78, 0.76, 0.70), (0.25, 0.42, 0.60),
)  # fmt: skip
PAINT: tuple[Color, ...] = (
    (0.72, 0.08, 0.08), (0.08, 0.20, 0.45), (0.86, 0.86, 0.85), (0.10, 0.10, 0.11), (0.55, 0.57, 0.60),
    (0.12, 0.35, 0.22), (0.85, 0.62, 0.10), (0.35, 0.14, 0.10),
)  # fmt: skip


def path_along(
    builder: StageBuilder, start: Vector, end: Vector, *, speed: float, phase: float = 0.0
) -> tuple[np.ndarray, float]:
    """Walk from ``start`` towards ``end`` and turn back there.

    Args:
        builder: Gives the frames.
        start: First end of the way [m].
        end: Other end of the way [m].
        speed: Speed [m/s].
        phase: Way already walked [m].

    Returns:
        Positions [T, 3] [m] and the heading of the way around Z [deg]; at a turn the walker steps backwards, so keep
        ways longer than ``speed * num_frames / 24``.
    """
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    length = float(np.linalg.norm(b - a))
    walked = phase + speed * builder.times / 24.0
    folded = length - np.abs(np.mod(walked, 2.0 * length) - length)
    direction = (b - a) / max(length, 1.0e-9)
    return a + folded[:, None] * direction, float(np.degrees(np.arctan2(direction[1], direction[0])))


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
    skin = builder.material("Skin", color=SKIN[rng.integers(len(SKIN))], roughness=0.6)
    top_color: Color = (0.85, 0.75, 0.08) if vest else CLOTH[rng.integers(len(CLOTH))]
    top = builder.material("Cloth", color=top_color, roughness=0.9)
    trousers = builder.material("Cloth", color=CLOTH[rng.integers(len(CLOTH))], roughness=0.9)
    shoes = builder.material("Shoes", color=(0.06, 0.06, 0.06), roughness=0.7)
    step = rng.uniform(0.0, 2.0 * np.pi) + 2.0 * np.pi * builder.times / 24.0 * (speed / 1.45 if speed > 0 else 0.0)
    swing = 26.0 if speed > 0.0 else 3.0
    bob = 0.025 * np.abs(np.sin(step)) if speed > 0.0 else 0.006 * np.sin(builder.times / 24.0 * 1.5)
    ground = np.broadcast_to(np.asarray(positions, np.float64), (builder.num_frames, 3))
    builder.group(
        path, Placement(at=ground + bob[:, None] * [0, 0, 1], turn=(0.0, 0.0, heading), scale=(size,) * 3), label=label
    )
    builder.round(f"{path}/Torso", "Capsule", 0.165, 0.34, top, Placement(at=(0, 0, 1.18), scale=(0.75, 1.15, 1.0)))
    builder.round(f"{path}/Hips", "Capsule", 0.15, 0.08, trousers, Placement(at=(0, 0, 0.93), scale=(0.8, 1.05, 1.0)))
    builder.round(f"{path}/Head", "Sphere", 0.11, 0.0, skin, Placement(at=(0.01, 0, 1.63), scale=(1.0, 0.88, 1.15)))
    hair = builder.material("Hair", color=(0.10 + 0.3 * float(rng.random()), 0.08, 0.06), roughness=0.8)
    cap = builder.material("Helmet", color=(0.92, 0.92, 0.9), roughness=0.35) if vest else hair
    builder.round(f"{path}/Cap", "Sphere", 0.115, 0.0, cap, Placement(at=(-0.015, 0, 1.67), scale=(1.0, 0.95, 0.95)))
    if vest:
        band = builder.material("Reflective", color=(0.85, 0.86, 0.88), roughness=0.3)
        builder.mesh(f"{path}/Band", turned([(0.185, 0.0), (0.185, 0.05)]), band,
                     Placement(at=(0, 0, 1.12), scale=(0.75, 1.12, 1.0)))  # fmt: skip
    for side, name in ((1.0, "Left"), (-1.0, "Right")):
        sway = swing * np.sin(step) * side
        zero = np.zeros_like(sway)
        leg = np.stack([zero, sway, zero], axis=1)
        knee = np.stack(
            [zero, np.maximum(0.0, swing * 1.4 * np.sin(step + 1.9 * side + (0 if side > 0 else 0.66))), zero], 1
        )
        arm = np.stack([np.full_like(sway, -6.0 * side), -0.8 * sway, zero], axis=1)
        builder.group(f"{path}/{name}Leg", Placement(at=(0, 0.095 * side, 0.90), turn=leg))
        builder.round(f"{path}/{name}Leg/Thigh", "Capsule", 0.075, 0.32, trousers, Placement(at=(0, 0, -0.22)))
        builder.group(f"{path}/{name}Leg/Knee", Placement(at=(0, 0, -0.44), turn=knee))
        builder.round(f"{path}/{name}Leg/Knee/Shin", "Capsule", 0.058, 0.30, trousers, Placement(at=(0, 0, -0.2)))
        builder.mesh(f"{path}/{name}Leg/Knee/Shoe", box((0.26, 0.095, 0.08), (0.05, 0, -0.46)), shoes)
        builder.group(f"{path}/{name}Arm", Placement(at=(0, 0.225 * side, 1.40), turn=arm))
        builder.round(f"{path}/{name}Arm/Sleeve", "Capsule", 0.05, 0.46, top, Placement(at=(0, 0, -0.25)))
        builder.round(f"{path}/{name}Arm/Hand", "Sphere", 0.052, 0.0, skin, Placement(at=(0.02, 0, -0.56)))
    return path


_CAR_BODY = (
    (-2.1, 0.32),
    (-1.72, 0.26),
    (1.75, 0.26),
    (2.12, 0.34),
    (2.14, 0.62),
    (1.98, 0.76),
    (1.05, 0.88),
    (-1.65, 0.92),
    (-2.1, 0.84),
)
_CAR_CABIN = ((-1.62, 0.90), (1.02, 0.87), (0.38, 1.36), (0.10, 1.42), (-0.95, 1.42), (-1.25, 1.36))
_VAN_BODY = (
    (-2.5, 0.35),
    (2.35, 0.32),
    (2.5, 0.6),
    (2.42, 1.0),
    (1.75, 1.15),
    (1.25, 2.05),
    (1.1, 2.15),
    (-2.4, 2.18),
    (-2.5, 2.05),
)


def car(
    builder: StageBuilder, path: str, placement: Placement, *, color: Color, kind: str = "car",
    label: str | None = None, spin: np.ndarray | None = None,
) -> str:  # fmt: skip
    """Author a car or a van that looks along +X.

    Args:
        builder: Where to.
        path: Prim path.
        placement: Where it stands or drives.
        color: Paint, sRGB.
        kind: ``car`` or ``van``.
        label: Semantic class; ``kind`` when ``None``.
        spin: Turn of the wheels [deg], shape [T].
    """
    builder.group(path, placement, label=label or kind, physics="kinematic", mass=1400.0)
    paint = builder.material("CarPaint", color=color, roughness=0.28, metallic=0.0)
    glass = builder.material("CarGlass", color=(0.05, 0.07, 0.09), roughness=0.08)
    dark = builder.material("CarTrim", color=(0.05, 0.05, 0.055), roughness=0.6)
    front = builder.material("HeadLamp", color=(0.95, 0.95, 0.9), roughness=0.2, emissive=(1.2, 1.15, 1.0))
    rear = builder.material("TailLamp", color=(0.6, 0.03, 0.03), roughness=0.3, emissive=(0.7, 0.02, 0.02))
    if kind == "van":
        builder.mesh(f"{path}/Body", profile_bar(_VAN_BODY, 1.95), paint, physics="none")
        panes = [box((1.0, 1.97, 0.6), (0.55, 0, 1.25)), quad(1.7, 0.8).moved((1.735, 0.0, 1.2), yaw=90.0, pitch=-29.0)]
        nose, tail, wide, tall, axle = 2.46, -2.5, 0.7, 0.78, 1.6
    else:
        builder.mesh(f"{path}/Body", profile_bar(_CAR_BODY, 1.76), paint)
        roof = ((-1.12, 1.375), (0.28, 1.375), (0.10, 1.435), (-0.95, 1.435))
        builder.mesh(f"{path}/Roof", profile_bar(roof, 1.52), paint)
        panes = [profile_bar(_CAR_CABIN, 1.5)]
        nose, tail, wide, tall, axle = 2.12, -2.1, 0.62, 0.62, 1.32
    builder.mesh(f"{path}/Glass", merge(panes), glass)
    lamps = [box((0.06, 0.36, 0.15), (nose - 0.01, side * wide, tall - 0.07)) for side in (-1, 1)]
    builder.mesh(f"{path}/HeadLamps", merge(lamps), front)
    backs = [box((0.06, 0.3, 0.16), (tail + 0.01, side * wide, tall + 0.02)) for side in (-1, 1)]
    builder.mesh(f"{path}/TailLamps", merge(backs), rear)
    bumper = [box((0.10, 1.74, 0.2), (nose, 0, 0.3)), box((0.10, 1.74, 0.2), (tail, 0, 0.32))]
    builder.mesh(f"{path}/Bumpers", merge(bumper), dark)
    half = 0.92 if kind == "van" else 0.82
    for number, (x, y) in enumerate(((axle, half), (axle, -half), (-axle, half), (-axle, -half))):
        wheel(builder, f"{path}/Wheel_{number}", (x, y, 0.33), 0.33, 0.22, spin=spin)
    return path


def wheel(
    builder: StageBuilder, path: str, at: Vector, radius: float, width: float, *, spin: np.ndarray | None = None
) -> None:
    """Author a wheel that rolls along X, its middle at ``at``; ``spin`` turns it [deg], shape [T]."""
    tyre = builder.material("Tyre", color=(0.045, 0.045, 0.05), roughness=0.95)
    rim = builder.material("Rim", color=(0.62, 0.63, 0.65), roughness=0.35, metallic=1.0)
    turn = (0.0, 0.0, 0.0) if spin is None else np.stack([np.zeros_like(spin), spin, np.zeros_like(spin)], axis=1)
    builder.group(path, Placement(at=tuple(at), turn=turn))
    builder.round(f"{path}/Tyre", "Cylinder", radius, width, tyre, axis="Y")
    spokes = [box((radius * 1.1, width + 0.02, radius * 0.16), (0, 0, -radius * 0.08)),
              box((radius * 0.16, width + 0.02, radius * 1.1), (0, 0, -radius * 0.55))]  # fmt: skip
    builder.mesh(f"{path}/Rim", merge(spokes), rim)


def tree(builder: StageBuilder, path: str, at: Vector, *, seed: int, height: float = 6.0, label: str = "tree") -> str:
    """Author a broadleaf tree, or a conifer for every third seed."""
    rng = np.random.default_rng(seed)
    green = float(rng.uniform(0.26, 0.42))
    leaves = builder.surface(
        "grass", color=(round(green * rng.uniform(0.55, 0.9), 2), round(green, 2), 0.14), seed=seed % 3, tile=1.5,
        roughness=0.95, size=128,
    )  # fmt: skip
    bark = builder.material("Bark", color=(0.27, 0.20, 0.14), roughness=0.95)
    builder.group(path, Placement(at=tuple(at), turn=(0, 0, float(rng.uniform(0, 360)))), label=label)
    trunk = height * (0.25 if seed % 3 == 2 else 0.5)
    builder.mesh(f"{path}/Trunk", turned([(height * 0.035, 0.0), (height * 0.022, trunk)], sides=9), bark)
    if seed % 3 == 2:
        tiers = []
        for tier in range(4):
            low = height * (0.16 + 0.2 * tier)
            radius = height * 0.24 * (1.0 - 0.2 * tier)
            tiers.append(
                turned([(radius, 0.0), (radius * 0.25, height * 0.24), (0.0, height * 0.27)], sides=11).moved(
                    (0, 0, low)
                )
            )
        builder.mesh(f"{path}/Crown", merge(tiers), leaves)
        return path
    crown = []
    for number in range(5):
        angle = 2.0 * np.pi * number / 4.0
        reach = 0.0 if number == 4 else height * 0.16
        radius = height * float(rng.uniform(0.16, 0.22))
        middle = (
            reach * np.cos(angle),
            reach * np.sin(angle),
            height * float(rng.uniform(0.58, 0.72) + (number == 4) * 0.12),
        )
        crown.append(blob((radius, radius, radius * 0.9), seed * 7 + number).moved(middle))
    builder.mesh(f"{path}/Crown", merge(crown), leaves)
    return path


def pallet_shape() -> Shape:
    """Make a 1.2 x 0.8 m pallet that stands on the origin; its top is at 0.144 m."""
    parts = [box((1.2, 0.1, 0.022), (0, y, 0.0)) for y in (-0.35, 0.0, 0.35)]
    parts += [box((0.1, 0.1, 0.078), (x, y, 0.022)) for x in (-0.55, 0.0, 0.55) for y in (-0.35, 0.0, 0.35)]
    parts += [box((0.1, 0.8, 0.022), (x, 0.0, 0.1)) for x in (-0.55, 0.0, 0.55)]
    parts += [box((1.2, 0.11, 0.022), (0, y, 0.122)) for y in (-0.345, -0.17, 0.0, 0.17, 0.345)]
    return merge(parts)


def crate(
    builder: StageBuilder, path: str, size: Vector, placement: Placement, material: MaterialRef, *, label: str = "box",
    mass: float = 8.0,
) -> str:  # fmt: skip
    """Author a box that physics can push around."""
    return builder.mesh(path, box(size), material, placement, label=label, physics="rigid", mass=mass)


def rack_shapes(length: float, height: float, depth: float, levels: Sequence[float]) -> tuple[Shape, Shape, Shape]:
    """Make a pallet rack along X around the origin: uprights, beams, and shelf boards, each to be one mesh."""
    bays = max(1, round(length / 2.7))
    xs = np.linspace(-length / 2.0, length / 2.0, bays + 1)
    ys = (-depth / 2.0, depth / 2.0)
    uprights = [box((0.09, 0.09, height), (x, y, 0.0)) for x in xs for y in ys]
    for x in xs:
        for step in range(int(height / 1.1)):
            low, high = 0.2 + 1.1 * step, 0.2 + 1.1 * (step + 1)
            ends = ys if step % 2 else ys[::-1]
            uprights.append(beam((x, ends[0], low), (x, ends[1], high), 0.02, sides=5))
    beams = [box((length, 0.05, 0.12), (0.0, y, level - 0.12)) for y in ys for level in levels]
    boards = [box((length - 0.1, depth - 0.06, 0.03), (0.0, 0.0, level - 0.01)) for level in levels]
    return merge(uprights), merge(beams), merge(boards)


def lamp_post(
    builder: StageBuilder, path: str, at: Vector, *, yaw: float, height: float = 6.5, intensity: float = 30.0
) -> str:
    """Author a street lamp whose arm reaches along +X of ``yaw``, with a light of that ``intensity`` in its head."""
    steel = builder.material("LampSteel", color=(0.33, 0.35, 0.36), roughness=0.45, metallic=1.0)
    glow = builder.material("LampGlow", color=(0.95, 0.9, 0.8), roughness=0.4, emissive=(1.6, 1.4, 1.0))
    builder.group(path, Placement(at=tuple(at), turn=(0, 0, yaw)), label="lamp")
    mast = [turned([(0.09, 0.0), (0.05, height)], sides=10), beam((0, 0, height), (1.3, 0, height + 0.2), 0.04)]
    mast.append(box((0.6, 0.26, 0.09), (1.45, 0, height + 0.14)))
    builder.mesh(f"{path}/Mast", merge(mast), steel, physics="collider")
    builder.mesh(f"{path}/Glass", box((0.5, 0.2, 0.03), (1.45, 0, height + 0.11)), glow)
    builder.light(f"{path}/Light", "SphereLight", intensity=intensity, color=(1.0, 0.82, 0.58), radius=0.15,
                  placement=Placement(at=(1.45, 0, height - 0.15)))  # fmt: skip
    return path


def building(
    builder: StageBuilder, path: str, size: Vector, placement: Placement, *, seed: int, label: str = "building"
) -> str:
    """Author a house whose walls show windows, with a roof and a plinth; its front looks along -Y."""
    rng = np.random.default_rng(seed)
    palette: tuple[Color, ...] = (
        (0.72, 0.66, 0.56),
        (0.60, 0.33, 0.26),
        (0.70, 0.70, 0.68),
        (0.50, 0.42, 0.36),
        (0.78, 0.72, 0.60),
        (0.45, 0.48, 0.52),
    )
    color = palette[rng.integers(len(palette))]
    wall = builder.surface("windows", color=color, seed=seed % 4, tile=6.0, roughness=0.75)
    trim = builder.surface("plaster", color=(0.42, 0.41, 0.40), seed=0, tile=3.0)
    builder.group(path, placement, label=label)
    width, depth, height = (float(value) for value in size)
    builder.mesh(f"{path}/Walls", box((width, depth, height)), wall, physics="collider")
    builder.mesh(f"{path}/Plinth", box((width + 0.16, depth + 0.16, 0.7)), trim)
    if rng.random() < 0.5:
        tiles = builder.surface("planks", color=(0.36, 0.17, 0.13), seed=1, tile=2.4)
        rise = float(rng.uniform(1.5, 3.0))
        outline = ((-width / 2 - 0.4, 0.0), (width / 2 + 0.4, 0.0), (0.0, rise))
        builder.mesh(f"{path}/Roof", profile_bar(outline, depth + 0.6).moved((0, 0, height)), tiles)
    else:
        builder.mesh(f"{path}/Roof", box((width + 0.4, depth + 0.4, 0.5), (0, 0, height)), trim)
    door = builder.material("Door", color=CLOTH[rng.integers(len(CLOTH))], roughness=0.5)
    builder.mesh(f"{path}/Door", box((1.3, 0.1, 2.3), (float(rng.uniform(-0.3, 0.3)) * width, -depth / 2, 0.0)), door)
    return path


def fence_shape(length: float, height: float) -> Shape:
    """Make a fence along X around the origin."""
    posts = np.linspace(-length / 2.0, length / 2.0, max(2, round(length / 1.6) + 1))
    parts = [box((0.08, 0.08, height), (x, 0, 0)) for x in posts]
    parts += [box((length, 0.035, 0.1), (0, 0, height * level)) for level in (0.25, 0.55, 0.85)]
    return merge(parts)


def cone_shape() -> Shape:
    """Make a traffic cone that stands on the origin."""
    return merge([box((0.36, 0.36, 0.04)), turned([(0.14, 0.04), (0.03, 0.68)], sides=14)])


def barrel_shape(radius: float = 0.29, height: float = 0.88) -> Shape:
    """Make a steel drum with its hoops, standing on the origin."""
    hoop = radius * 1.05
    profile = [(radius, 0.0)]
    for level in (0.33, 0.66):
        z = height * level
        profile += [(radius, z - 0.03), (hoop, z - 0.015), (hoop, z + 0.015), (radius, z + 0.03)]
    return turned([*profile, (radius, height)], sides=18)


__all__ = [
    "CLOTH", "PAINT", "SKIN", "barrel_shape", "building", "car", "cone_shape", "crate", "cylinder", "extruded",
    "fence_shape", "lamp_post", "pallet_shape", "path_along", "person", "rack_shapes", "tree", "wheel",
]  # fmt: skip
