"""The prims of one clip in the results layer: a screen before its camera, textured with the clip's frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from cosmos.bridge.errors import SinkError
from cosmos.bridge.types import Camera, Orthographic, Pinhole

Matrices = Sequence[np.ndarray]
_BENT_CELLS = 48
"""Quads a side of the screen of a bent lens."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Screen:
    """What a screen shows, and where it stands."""

    path: str
    """Path of its Xform prim."""
    cameras: tuple[Camera, ...]
    """One camera a frame."""
    time_codes: np.ndarray
    """USD time codes, float64, shape [T]."""
    frames: tuple[str, ...]
    """Picture of each frame, relative to the layer."""
    distance: float
    """From the camera to the screen [m]."""
    metres_per_unit: float
    """Unit of the stage [m]."""
    visible: bool
    """Whether it shows when guides are shown."""


def screen_distance(camera: Camera, nearest: Optional[float]) -> float:
    """Return where a screen stands before its camera: past the near plane, before all that is seen, within a metre.

    Args:
        camera: Lens of the clip.
        nearest: Smallest depth of the clip [m]; ``None`` where it is not known.
    """
    free = 1.0 if nearest is None or not np.isfinite(nearest) else 0.5 * nearest
    return max(1.01 * camera.near, min(free, 1.0))


def screen_corners(camera: Camera, distance: float) -> np.ndarray:
    """Return where the image lies at a distance, in camera space [m], [V, 3]; which is which: ``screen_grid``.

    A rectangle for straight lenses; for bent ones a bowl around the camera, each point on the ray of its image point.
    NaN where the lens sees nothing.
    """
    image, _ = screen_grid(camera)
    (fx, _, cx), (_, fy, cy) = camera.intrinsics[0], camera.intrinsics[1]
    plane = np.stack([(image[:, 0] * camera.width - cx) / fx, (cy - (1.0 - image[:, 1]) * camera.height) / fy], axis=1)
    if isinstance(camera.lens, Orthographic):
        return np.concatenate([plane, np.full((len(plane), 1), -distance)], axis=1)
    rays = camera.lens.rays(plane)
    return rays * (distance / -rays[:, 2:] if isinstance(camera.lens, Pinhole) else distance)


def screen_grid(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Return the texture coordinates of a screen's points, [V, 2], and its quads counter-clockwise, int [F, 4]."""
    columns = rows = 1 if isinstance(camera.lens, (Pinhole, Orthographic)) else _BENT_CELLS
    s, t = np.meshgrid(np.linspace(0.0, 1.0, columns + 1), np.linspace(0.0, 1.0, rows + 1))
    first = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
    quads = np.stack([first, first + 1, first + columns + 2, first + columns + 1], axis=1)
    return np.stack([s.ravel(), t.ravel()], axis=1), quads


def author_screen(layer: Any, screen: Screen) -> None:
    """Write a screen's prims into a layer, in place of what stood there.

    Args:
        layer: Sdf.Layer to write.
        screen: What to write.
    """
    from pxr import Sdf

    if layer.GetPrimAtPath(screen.path):
        path = Sdf.Path(screen.path)
        del layer.GetPrimAtPath(path.GetParentPath()).nameChildren[path.name]
    root = _define(layer, screen.path, "Xform")
    author_transform(root, screen.cameras, screen.time_codes, screen.metres_per_unit)
    _attribute(root, "purpose", "Token", "guide", uniform=True)
    _attribute(root, "visibility", "Token", "inherited" if screen.visible else "invisible")
    mesh = _define(layer, f"{screen.path}/Screen", "Mesh")
    mesh.SetInfo("apiSchemas", Sdf.TokenListOp.Create(prependedItems=["MaterialBindingAPI"]))
    corners = [screen_corners(camera, screen.distance) / screen.metres_per_unit for camera in screen.cameras]
    image, quads = screen_grid(screen.cameras[0])
    there = np.all(np.isfinite(np.array(corners)), axis=(0, 2))
    quads = quads[np.asarray(there)[quads].all(axis=1)]
    corners = [np.nan_to_num(corner) for corner in corners]  # points of no quad
    points = _attribute(mesh, "points", "Point3fArray", _vectors(corners[0]))
    extent = _attribute(mesh, "extent", "Float3Array", _extent(corners[0]))
    if any(not np.array_equal(corner, corners[0]) for corner in corners):
        for time_code, corner in zip(screen.time_codes, corners, strict=True):
            layer.SetTimeSample(points.path, float(time_code), _vectors(corner))
            layer.SetTimeSample(extent.path, float(time_code), _extent(corner))
    _attribute(mesh, "faceVertexCounts", "IntArray", [4] * len(quads))
    _attribute(mesh, "faceVertexIndices", "IntArray", quads.ravel().tolist())
    _attribute(mesh, "subdivisionScheme", "Token", "none", uniform=True)
    _attribute(mesh, "doubleSided", "Bool", True, uniform=True)
    st = _attribute(mesh, "primvars:st", "TexCoord2fArray", _vectors(image))
    st.SetInfo("interpolation", "vertex")
    for name in ("primvars:doNotCastShadows", "primvars:invisibleToSecondaryRays"):
        _attribute(mesh, name, "Bool", True, custom=True)
    binding = Sdf.RelationshipSpec(mesh, "material:binding", False)
    binding.targetPathList.explicitItems = [Sdf.Path(f"{screen.path}/Material")]
    _author_material(layer, screen)


def _author_material(layer: Any, screen: Screen) -> None:
    """Write a material that only glows: emissive colour from the frames, nothing reflected."""
    path = f"{screen.path}/Material"
    material = _define(layer, path, "Material")
    surface = _shader(layer, f"{path}/Surface", "UsdPreviewSurface")
    texture = _shader(layer, f"{path}/Texture", "UsdUVTexture")
    reader = _shader(layer, f"{path}/Coordinates", "UsdPrimvarReader_float2")
    _connect(_attribute(material, "outputs:surface", "Token"), f"{path}/Surface.outputs:surface")
    _attribute(surface, "outputs:surface", "Token")
    black = (0.0, 0.0, 0.0)
    _attribute(surface, "inputs:diffuseColor", "Color3f", black)
    _attribute(surface, "inputs:useSpecularWorkflow", "Int", 1)
    _attribute(surface, "inputs:specularColor", "Color3f", black)
    _attribute(surface, "inputs:roughness", "Float", 1.0)
    _connect(_attribute(surface, "inputs:emissiveColor", "Color3f"), f"{path}/Texture.outputs:rgb")
    author_frames(texture, "inputs:file", screen.frames, screen.time_codes, custom=False)
    _attribute(texture, "inputs:sourceColorSpace", "Token", "sRGB")
    _attribute(texture, "inputs:wrapS", "Token", "clamp")
    _attribute(texture, "inputs:wrapT", "Token", "clamp")
    _connect(_attribute(texture, "inputs:st", "Float2"), f"{path}/Coordinates.outputs:result")
    _attribute(texture, "outputs:rgb", "Float3")
    _attribute(reader, "inputs:varname", "String", "st")
    _attribute(reader, "outputs:result", "Float2")


def author_frames(prim: Any, name: str, frames: Sequence[str], time_codes: np.ndarray, *, custom: bool = True) -> None:
    """Write an asset attribute whose time samples are the frames; its default is the first one.

    Args:
        prim: Sdf.PrimSpec to write.
        name: Name of the attribute.
        frames: Path of each frame, relative to the layer.
        time_codes: USD time codes, shape [T].
        custom: False for an attribute of the prim's schema.
    """
    from pxr import Sdf

    attribute = _attribute(prim, name, "Asset", Sdf.AssetPath(frames[0]), custom=custom)
    for time_code, frame in zip(time_codes, frames, strict=True):
        prim.layer.SetTimeSample(attribute.path, float(time_code), Sdf.AssetPath(frame))


def author_transform(
    prim: Any, cameras: Sequence[Camera], time_codes: np.ndarray, metres_per_unit: float, *, reset: bool = False
) -> None:
    """Make a prim follow a camera: one matrix if it stands still, else one a time code.

    Args:
        prim: Sdf.PrimSpec to write.
        cameras: One camera a frame.
        time_codes: USD time codes, shape [T].
        metres_per_unit: Unit of the stage [m].
        reset: Whether the transforms of its ancestors are left out.
    """
    from pxr import Gf

    matrices = []
    for camera in cameras:
        pose = np.array(camera.cam_to_world)
        pose[:3, 3] /= metres_per_unit
        matrices.append(Gf.Matrix4d(pose.T.tolist()))  # USD multiplies row vectors
    attribute = _attribute(prim, "xformOp:transform", "Matrix4d", matrices[0])
    if any(matrix != matrices[0] for matrix in matrices):
        for time_code, matrix in zip(time_codes, matrices, strict=True):
            prim.layer.SetTimeSample(attribute.path, float(time_code), matrix)
    order = ["!resetXformStack!"] if reset else []
    _attribute(prim, "xformOpOrder", "TokenArray", [*order, "xformOp:transform"], uniform=True)


def author_camera(layer: Any, path: str, cameras: Sequence[Camera], time_codes: np.ndarray, unit: float) -> None:
    """Write a camera that the stage does not have, with its lens and its way.

    Args:
        layer: Sdf.Layer to write.
        path: Path of the new prim.
        cameras: One camera a frame.
        time_codes: USD time codes, shape [T].
        unit: Unit of the stage [m].

    Raises:
        SinkError: If the lens is none that UsdGeomCamera describes.
    """
    camera = cameras[0]
    if not isinstance(camera.lens, (Pinhole, Orthographic)):
        raise SinkError(
            f"Camera {path} is not in the stage and has the lens {camera.lens.name}, which no USD schema describes; "
            "add the camera to the stage."
        )
    prim = _define(layer, path, "Camera")
    author_transform(prim, cameras, time_codes, unit, reset=True)
    (fx, _, cx), (_, fy, cy) = camera.intrinsics[0], camera.intrinsics[1]
    aperture = 20.955  # the schema's own; only ratios matter to a pinhole
    focal = fx / camera.width * aperture
    if isinstance(camera.lens, Orthographic):
        focal, aperture = 50.0, 10.0 * camera.width / fx / unit  # in tenths of a unit (Gf.Camera.APERTURE_UNIT)
        _attribute(prim, "projection", "Token", "orthographic")
    vertical = aperture * camera.height / camera.width * fx / fy
    lens = {
        "focalLength": focal,
        "horizontalAperture": aperture,
        "verticalAperture": vertical,
        "horizontalApertureOffset": aperture * (0.5 - cx / camera.width),
        "verticalApertureOffset": vertical * (cy / camera.height - 0.5),
    }
    for name, value in lens.items():
        _attribute(prim, name, "Float", float(value))
    _attribute(prim, "clippingRange", "Float2", (camera.near / unit, camera.far / unit))


def _define(layer: Any, path: str, type_name: str) -> Any:
    from pxr import Sdf

    prim = Sdf.CreatePrimInLayer(layer, path)
    prim.specifier, prim.typeName = Sdf.SpecifierDef, type_name
    return prim


def _shader(layer: Any, path: str, identifier: str) -> Any:
    shader = _define(layer, path, "Shader")
    _attribute(shader, "info:id", "Token", identifier, uniform=True)
    return shader


def _attribute(
    prim: Any, name: str, type_name: str, value: Any = None, *, uniform: bool = False, custom: bool = False
) -> Any:
    """Write one attribute of a prim spec, new or in place of the one there."""
    from pxr import Sdf

    attribute = prim.attributes.get(name)
    if attribute is None:
        variability = Sdf.VariabilityUniform if uniform else Sdf.VariabilityVarying
        attribute = Sdf.AttributeSpec(prim, name, getattr(Sdf.ValueTypeNames, type_name), variability, custom)
    attribute.ClearInfo("timeSamples")
    if value is not None:
        attribute.default = value
    return attribute


def _connect(attribute: Any, target: str) -> None:
    from pxr import Sdf

    attribute.connectionPathList.explicitItems = [Sdf.Path(target)]


def _vectors(rows: Any) -> Any:
    """Return rows of 2 or 3 numbers as a Vt array."""
    from pxr import Gf, Vt

    rows = [[float(value) for value in row] for row in rows]
    if len(rows[0]) == 2:
        return Vt.Vec2fArray([Gf.Vec2f(*row) for row in rows])
    return Vt.Vec3fArray([Gf.Vec3f(*row) for row in rows])


def _extent(corners: np.ndarray) -> Any:
    return _vectors([corners.min(axis=0), corners.max(axis=0)])


__all__ = [
    "Screen",
    "author_camera",
    "author_frames",
    "author_screen",
    "author_transform",
    "screen_corners",
    "screen_distance",
    "screen_grid",
]
