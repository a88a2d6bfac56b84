"""Headlights of labelled vehicles, lit at night: found by the name of a part or its material, aimed along the body."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import product

import numpy as np

from cosmos.bridge.render.scene import Light, Pose, Scene

VEHICLES = frozenset((
    "ambulance", "automobile", "bus", "car", "forklift", "lorry", "motorcycle", "pickup", "scooter", "suv", "taxi",
    "tractor", "truck", "van", "vehicle",
))  # fmt: skip
"""Labels, in lower case, whose headlights are lit."""
_NAME = re.compile(r"head[ _-]?(lamp|light)", re.IGNORECASE)
_RADIUS = 0.08
_INTENSITY = 60.0
"""Of one headlight in the units of a look: irradiance times squared distance, street lamps giving about 1."""
_COLOR = (1.0, 0.95, 0.86)
_DIP = 3.0
"""How far below the horizon a headlight aims [deg]."""
_APART = 0.5
"""A part wider than this is a pair of lamps [m]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Headlamp:
    """The lamp part of one vehicle."""

    instance: int
    """Index of the drawn instance that holds it."""
    points: np.ndarray
    """Its points in the space of that instance's mesh [m], float64, shape [K, 3]."""
    body: np.ndarray
    """Indices of the instances of the whole vehicle."""


def find_headlamps(scene: Scene) -> tuple[Headlamp, ...]:
    """Return the lamp parts of all vehicles of a scene: labelled as one, the part or its material named as a lamp."""
    distinct = {id(instance.labels): instance.labels for instance in scene.drawn}  # most share those of a prim above
    vehicles = {
        key
        for key, labels in distinct.items()
        if VEHICLES & {word for label in labels.values() for word in re.split(r"[\s,_]+", label.lower())}
    }
    labelled = [index for index, instance in enumerate(scene.drawn) if id(instance.labels) in vehicles]
    named = np.array([bool(_NAME.search(material.name)) for material in scene.materials], dtype=bool)
    found = []
    for index in labelled:
        mesh = scene.meshes[scene.mesh_of[index]]
        path = scene.drawn[index].prim_path
        worn = int(scene.material_of[index])
        if _NAME.search(path.rsplit("/", 1)[-1]) or (worn >= 0 and named[worn]):
            lit = np.ones(len(mesh.triangles), dtype=bool)
        elif worn < 0 and named.any():
            lit = named[mesh.materials]
        else:
            continue
        corners = np.flatnonzero(np.bincount(mesh.triangles[lit].reshape(-1)))
        if len(corners):
            parent = path.rsplit("/", 1)[0] + "/"
            body = [other for other in labelled if scene.drawn[other].prim_path.startswith(parent)]
            points = mesh.points[corners].astype(np.float64)
            found.append(Headlamp(instance=index, points=points, body=np.array(body)))
    return tuple(found)


def _middle(scene: Scene, pose: Pose, body: np.ndarray) -> np.ndarray:
    """Return the middle of the box around the middles and corners of some instances, in the world [m]."""
    corners = []
    for index in body.tolist():
        points = scene.meshes[scene.mesh_of[index]].points
        low, high = points.min(axis=0), points.max(axis=0)
        box = np.array(list(product(*zip(low, high, strict=True), (1.0,))))
        corners.append((pose.local_to_world[index] @ box.T).T[:, :3])
    cloud = np.concatenate(corners)
    return np.asarray((cloud.min(axis=0) + cloud.max(axis=0)) / 2.0)


def _frame(forward: np.ndarray, up: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the matrix of a light that shines along ``forward``, dipped a little."""
    dip = math.radians(_DIP)
    aim = forward * math.cos(dip) - up * math.sin(dip)
    side = np.cross(aim, up)
    side /= np.linalg.norm(side)
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = side, np.cross(side, aim), -aim, at
    return matrix


def headlights(scene: Scene, pose: Pose, lamps: tuple[Headlamp, ...]) -> tuple[list[Light], list[np.ndarray]]:
    """Return a light for each headlight where the vehicles are at ``pose``, and their matrices to the world.

    Args:
        scene: The stage.
        pose: Where everything is.
        lamps: What ``find_headlamps`` returned.
    """
    up = np.array([0.0, 1.0, 0.0] if scene.up_axis == "Y" else [0.0, 0.0, 1.0])
    scale = _INTENSITY / (math.pi * _RADIUS**2)
    radiance = (_COLOR[0] * scale, _COLOR[1] * scale, _COLOR[2] * scale)
    lights, matrices = [], []
    for lamp in lamps:
        to_world = np.asarray(pose.local_to_world[lamp.instance], dtype=np.float64)
        if not pose.visible[lamp.instance] or not np.isfinite(to_world).all():
            continue
        points = lamp.points @ to_world[:3, :3].T + to_world[:3, 3]
        place = (points.min(axis=0) + points.max(axis=0)) / 2.0
        forward = place - _middle(scene, pose, lamp.body)
        forward -= up * (forward @ up)
        length = float(np.linalg.norm(forward))
        if length < 1e-3:
            continue
        forward /= length
        across = points @ np.cross(forward, up)
        middle = (across.min() + across.max()) / 2.0
        pair = np.ptp(across) > _APART
        groups = [points[across > middle], points[across <= middle]] if pair else [points]
        for group in groups:
            at = (group.min(axis=0) + group.max(axis=0)) / 2.0
            ahead = float((group @ forward).max() - at @ forward) + 0.05
            path, size = scene.drawn[lamp.instance].prim_path, (_RADIUS, 0.0)
            lights.append(
                Light(kind="disk", prim_path=path, color=radiance, size=size, cone_angle=38.0, cone_softness=0.8)
            )
            matrices.append(_frame(forward, up, at + forward * ahead))
    return lights, matrices


__all__ = ["VEHICLES", "Headlamp", "find_headlamps", "headlights"]
