"""What physics sees of an authored scene: gravity, bodies, colliders and joints (UsdPhysics)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from pxr import Sdf

    from cosmos.bridge.scenes.builder import StageBuilder

Physics = Literal["none", "collider", "hull", "rigid", "kinematic"]


def physics_scene(builder: StageBuilder) -> None:
    """Author the PhysicsScene with gravity downwards."""
    from pxr import Gf

    spec = builder.define("/World/PhysicsScene", "PhysicsScene")
    builder.set(spec, "physics:gravityDirection", "vector3f", Gf.Vec3f(0.0, 0.0, -1.0))
    builder.set(spec, "physics:gravityMagnitude", "float", 9.81)


def apply_physics(builder: StageBuilder, spec: Sdf.PrimSpec, physics: Physics, mass: float) -> None:
    """Make a prim a body, a collider, or both.

    Args:
        builder: Holds the layer.
        spec: The prim; a group of type Xform collides by the shapes below it.
        physics: ``rigid`` falls, ``kinematic`` follows its animation; ``collider`` stands still and collides as it is,
            ``hull`` is part of the body above it and collides as its convex hull.
        mass: Mass of a body [kg].
    """
    if physics == "none":
        return
    if physics in ("rigid", "kinematic"):
        builder.apply(spec, "PhysicsRigidBodyAPI", "PhysicsMassAPI")
        builder.set(spec, "physics:kinematicEnabled", "bool", physics == "kinematic")
        builder.set(spec, "physics:mass", "float", mass)
    if spec.typeName == "Xform":
        return
    builder.apply(spec, "PhysicsCollisionAPI")
    if spec.typeName == "Mesh":
        builder.apply(spec, "PhysicsMeshCollisionAPI")
        approximation = "none" if physics == "collider" else "convexHull"
        builder.set(spec, "physics:approximation", "token", approximation, uniform=True)


def articulation(builder: StageBuilder, path: str) -> None:
    """Make the bodies and joints below a group one articulation."""
    builder.apply(builder.define(path, "Xform"), "PhysicsArticulationRootAPI")


def joint(
    builder: StageBuilder, path: str, kind: Literal["revolute", "prismatic"], bodies: tuple[str, str], *,
    axis: Literal["X", "Y", "Z"], at: tuple[float, float, float], limits: tuple[float, float], target: np.ndarray,
    stiffness: float = 1.0e4, damping: float = 1.0e3,
) -> str:  # fmt: skip
    """Author a driven joint whose second body has its origin on the axis; return its path.

    Args:
        builder: Holds the layer.
        path: Prim path.
        kind: ``revolute`` turns, ``prismatic`` slides.
        bodies: Paths of the first body and of the one that moves against it; a first one without RigidBodyAPI stands.
        axis: Axis, in the frame of either body.
        at: Where the second body's origin is in the first one's frame while the joint is at 0 [m].
        limits: Least and largest position [deg] or [m].
        target: Where the drive holds the joint in each frame [deg] or [m], shape [T].
        stiffness: Of the drive [N m/deg] or [N/m].
        damping: Of the drive [N m s/deg] or [N s/m].
    """
    from pxr import Gf, Sdf

    revolute = kind == "revolute"
    spec = builder.define(path, "PhysicsRevoluteJoint" if revolute else "PhysicsPrismaticJoint")
    for name, body in zip(("physics:body0", "physics:body1"), bodies, strict=True):
        Sdf.RelationshipSpec(spec, name, False).targetPathList.explicitItems = [body]
    builder.set(spec, "physics:axis", "token", axis, uniform=True)
    for side, place in ((0, at), (1, (0.0, 0.0, 0.0))):
        builder.set(spec, f"physics:localPos{side}", "point3f", Gf.Vec3f(*place))
        builder.set(spec, f"physics:localRot{side}", "quatf", Gf.Quatf(1.0))
    builder.set(spec, "physics:lowerLimit", "float", float(limits[0]))
    builder.set(spec, "physics:upperLimit", "float", float(limits[1]))
    motion = "angular" if revolute else "linear"
    builder.apply(spec, f"PhysicsDriveAPI:{motion}")
    drive = f"drive:{motion}:physics"
    builder.set(spec, f"{drive}:type", "token", "force", uniform=True)
    builder.set(spec, f"{drive}:stiffness", "float", stiffness)
    builder.set(spec, f"{drive}:damping", "float", damping)
    held = builder.set(spec, f"{drive}:targetPosition", "float", None)
    for time, value in enumerate(np.broadcast_to(target, (builder.num_frames,)).tolist()):
        builder.layer.SetTimeSample(held.path, float(time), float(value))
    return path


__all__ = ["Physics", "apply_physics", "articulation", "joint", "physics_scene"]
