"""Author a USD stage from shapes, materials, lights and moving placements, straight into one Sdf layer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cosmos.bridge.errors import ConfigError
from cosmos.bridge.scenes.physics import Physics, apply_physics
from cosmos.bridge.scenes.shapes import Shape
from cosmos.bridge.scenes.textures import Color, TextureStore, default_texture_dir
from cosmos.bridge.srgb import srgb_to_linear

if TYPE_CHECKING:
    from pxr import Sdf, Usd

FPS = 24.0
"""Time codes a second of every authored stage."""
LAYER_FORMATS = (".usda", ".usdc", ".usd")
"""Endings that an authored stage can be saved with."""


def linear_color(color: Color) -> Color:
    """Decode an sRGB colour in [0, 1] to the linear Rec. 709 that USD materials hold (IEC 61966-2-1)."""
    value = np.asarray(color, dtype=np.float64)
    red, green, blue = srgb_to_linear(value)
    return float(red), float(green), float(blue)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Placement:
    """Where something stands: scaled, then turned around x, y, z in that order, then shifted; parent space."""

    at: Any = (0.0, 0.0, 0.0)
    """Shift [m]: three numbers, or one row a frame, shape [T, 3]."""
    turn: Any = (0.0, 0.0, 0.0)
    """Turn around x, y, z [deg]: three numbers, or shape [T, 3]."""
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Scale along x, y, z."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MaterialRef:
    """A material that was authored."""

    path: str
    """Path of the Material prim."""
    tile: float = 1.0
    """Length of surface that one repeat of its texture covers [m]; 0 when a texture fits the whole face."""


class StageBuilder:
    """Collects prims; ``finish`` gives the stage. Frames are time codes 0 .. num_frames - 1."""

    def __init__(self, *, num_frames: int, textures: TextureStore) -> None:
        """Start an empty Z-up stage in metres.

        Raises:
            ConfigError: If ``num_frames`` is below 1.
        """
        from pxr import Sdf

        if num_frames < 1:
            raise ConfigError(f"A scene needs num_frames >= 1, got {num_frames}.")
        self.num_frames = num_frames
        self.textures = textures
        self.layer: Sdf.Layer = Sdf.Layer.CreateAnonymous("scene.usda")
        self._materials: dict[Any, MaterialRef] = {}
        self._names: dict[str, int] = {}
        self._block: Any = Sdf.ChangeBlock()
        self._block.__enter__()
        self.define("/World", "Xform")

    @property
    def times(self) -> np.ndarray:
        """Time codes of all frames, float64 [T]."""
        return np.arange(self.num_frames, dtype=np.float64)

    def unique(self, path: str) -> str:
        """Return ``path`` with the next free number behind it: ``/World/Crate_0``, ``/World/Crate_1``."""
        number = self._names.get(path, 0)
        self._names[path] = number + 1
        return f"{path}_{number}"

    def define(self, path: str, kind: str) -> Sdf.PrimSpec:
        """Return the spec of a new prim, or of the group that is there already; groups above it are made."""
        from pxr import Sdf

        spec = self.layer.GetPrimAtPath(path)
        if spec is not None and spec.specifier == Sdf.SpecifierDef:
            if kind != "Xform" or spec.typeName not in ("", "Xform"):
                raise ConfigError(f"The scene already has a prim {path}; give this {kind} another name.")
            return spec
        parent = path.rsplit("/", 1)[0]
        if parent:
            above = self.layer.GetPrimAtPath(parent)
            if above is None:
                self.define(parent, "Xform")
        spec = Sdf.CreatePrimInLayer(self.layer, path)
        spec.specifier = Sdf.SpecifierDef
        spec.typeName = kind
        return spec

    def set(self, spec: Sdf.PrimSpec, name: str, type_name: str, value: Any, *, uniform: bool = False) -> Any:
        """Author an attribute, without a value when that is ``None``, and return its spec."""
        from pxr import Sdf

        variability = Sdf.VariabilityUniform if uniform else Sdf.VariabilityVarying
        attribute = Sdf.AttributeSpec(spec, name, Sdf.ValueTypeNames.Find(type_name), variability)
        if value is not None:
            attribute.default = value
        return attribute

    def apply(self, spec: Sdf.PrimSpec, *schemas: str) -> None:
        """Apply API schemas to a prim."""
        from pxr import Sdf

        operation = spec.GetInfo("apiSchemas") if spec.HasInfo("apiSchemas") else Sdf.TokenListOp()
        operation.prependedItems = [*operation.prependedItems, *schemas]
        spec.SetInfo("apiSchemas", operation)

    def _place(self, spec: Sdf.PrimSpec, placement: Placement | None) -> None:
        from pxr import Gf

        if placement is None:
            return
        operations = []
        parts = (
            ("xformOp:translate", "double3", Gf.Vec3d, placement.at, 0.0),
            ("xformOp:rotateXYZ", "float3", Gf.Vec3f, placement.turn, 0.0),
            ("xformOp:scale", "float3", Gf.Vec3f, placement.scale, 1.0),
        )
        for name, type_name, vector, given, rest in parts:
            rows = np.asarray(given, dtype=np.float64)
            if np.all(rows == rest):
                continue
            operations.append(name)
            if rows.ndim == 1:
                self.set(spec, name, type_name, vector(*rows.tolist()))
                continue
            if len(rows) != self.num_frames:
                raise ConfigError(f"{spec.path} moves through {len(rows)} frames, the scene has {self.num_frames}.")
            attribute = self.set(spec, name, type_name, None)
            for time, row in enumerate(rows.tolist()):
                self.layer.SetTimeSample(attribute.path, float(time), vector(*row))
        if operations:
            self.set(spec, "xformOpOrder", "token[]", operations, uniform=True)

    def _label(self, spec: Sdf.PrimSpec, label: str | None) -> None:
        if label:
            self.apply(spec, "SemanticsLabelsAPI:class")
            self.set(spec, "semantics:labels:class", "token[]", [label])

    def group(
        self, path: str, placement: Placement | None = None, *, label: str | None = None, physics: Physics = "none",
        mass: float = 1.0,
    ) -> str:  # fmt: skip
        """Author an Xform and return its path.

        Args:
            path: Absolute prim path.
            placement: Where it stands.
            label: Semantic class that everything below inherits.
            physics: ``rigid`` falls, ``kinematic`` follows its animation; the shapes below carry the colliders.
            mass: Mass of the rigid body [kg].
        """
        spec = self.define(path, "Xform")
        self._place(spec, placement)
        self._label(spec, label)
        apply_physics(self, spec, physics, mass)
        return path

    def mesh(
        self, path: str, shape: Shape, material: MaterialRef | None = None, placement: Placement | None = None, *,
        label: str | None = None, color: Color | None = None, physics: Physics = "none", mass: float = 1.0,
    ) -> str:  # fmt: skip
        """Author a Mesh and return its path.

        Args:
            path: Absolute prim path.
            shape: Its polygons.
            material: What it is made of; ``None`` leaves ``color`` as displayColor.
            placement: Where it stands.
            label: Semantic class.
            color: displayColor, sRGB in [0, 1].
            physics: ``rigid`` falls, ``kinematic`` follows its animation, both as their convex hull; ``collider``
                stands still, as it is; ``hull`` is part of the body above it, as its convex hull.
            mass: Mass of a rigid body [kg].
        """
        from pxr import Vt

        spec = self.define(path, "Mesh")
        low, high = shape.points.min(axis=0), shape.points.max(axis=0)
        self.set(spec, "points", "point3f[]", Vt.Vec3fArray.FromNumpy(shape.points))
        self.set(spec, "faceVertexCounts", "int[]", Vt.IntArray.FromNumpy(shape.counts))
        self.set(spec, "faceVertexIndices", "int[]", Vt.IntArray.FromNumpy(shape.indices))
        self.set(spec, "subdivisionScheme", "token", "none", uniform=True)
        self.set(spec, "extent", "float3[]", Vt.Vec3fArray.FromNumpy(np.stack([low, high])))
        normals = self.set(spec, "normals", "normal3f[]", Vt.Vec3fArray.FromNumpy(shape.normals))
        normals.SetInfo("interpolation", "faceVarying")
        tile = material.tile if material is not None else 0.0
        uvs = shape.uvs / np.float32(tile) if tile > 0.0 else shape.uvs
        st = self.set(spec, "primvars:st", "texCoord2f[]", Vt.Vec2fArray.FromNumpy(np.ascontiguousarray(uvs)))
        st.SetInfo("interpolation", "faceVarying")
        self._dress(spec, material, color)
        self._place(spec, placement)
        self._label(spec, label)
        apply_physics(self, spec, physics, mass)
        return path

    def lines(self, path: str, polylines: Sequence[np.ndarray], *, label: str) -> str:
        """Author lines of a map as BasisCurves that no camera sees (purpose guide) and return their path.

        Args:
            path: Absolute prim path.
            polylines: World points [m] of each line, shape [N, 3].
            label: Semantic class.
        """
        from pxr import Vt

        points = np.concatenate([np.asarray(line, np.float32) for line in polylines])
        spec = self.define(path, "BasisCurves")
        self.set(spec, "type", "token", "linear", uniform=True)
        self.set(spec, "points", "point3f[]", Vt.Vec3fArray.FromNumpy(points))
        counts = np.array([len(line) for line in polylines], np.int32)
        self.set(spec, "curveVertexCounts", "int[]", Vt.IntArray.FromNumpy(counts))
        self.set(spec, "widths", "float[]", Vt.FloatArray([0.1])).SetInfo("interpolation", "constant")
        extent = np.stack([points.min(axis=0), points.max(axis=0)])
        self.set(spec, "extent", "float3[]", Vt.Vec3fArray.FromNumpy(extent))
        self.set(spec, "purpose", "token", "guide", uniform=True)
        self._label(spec, label)
        return path

    def round(
        self, path: str, kind: Literal["Sphere", "Cylinder", "Cone", "Capsule"], radius: float, height: float = 0.0,
        material: MaterialRef | None = None, placement: Placement | None = None, *, axis: Literal["X", "Y", "Z"] = "Z",
        label: str | None = None, color: Color | None = None, physics: Physics = "none", mass: float = 1.0,
    ) -> str:  # fmt: skip
        """Author a round gprim around its own middle and return its path.

        Args:
            path: Absolute prim path.
            kind: UsdGeom type.
            radius: Radius [m].
            height: Length along ``axis`` without a capsule's ends [m]; a sphere has none.
            material: What it is made of.
            placement: Where its middle stands.
            axis: Spine.
            label: Semantic class.
            color: displayColor, sRGB in [0, 1].
            physics: Its part in a simulation.
            mass: Mass of a rigid body [kg].
        """
        from pxr import Vt

        spec = self.define(path, kind)
        self.set(spec, "radius", "double", float(radius))
        half = np.full(3, radius, dtype=np.float32)
        if kind != "Sphere":
            self.set(spec, "height", "double", float(height))
            self.set(spec, "axis", "token", axis, uniform=True)
            half["XYZ".index(axis)] = height / 2.0 + (radius if kind == "Capsule" else 0.0)
        self.set(spec, "extent", "float3[]", Vt.Vec3fArray.FromNumpy(np.stack([-half, half])))
        self._dress(spec, material, color)
        self._place(spec, placement)
        self._label(spec, label)
        apply_physics(self, spec, physics, mass)
        return path

    def _dress(self, spec: Sdf.PrimSpec, material: MaterialRef | None, color: Color | None) -> None:
        from pxr import Gf, Sdf

        if color is not None:
            display = self.set(spec, "primvars:displayColor", "color3f[]", [Gf.Vec3f(*linear_color(color))])
            display.SetInfo("interpolation", "constant")
        if material is not None:
            self.apply(spec, "MaterialBindingAPI")
            binding = Sdf.RelationshipSpec(spec, "material:binding", False)
            binding.targetPathList.explicitItems = [material.path]

    def material(
        self, name: str, *, color: Color = (0.5, 0.5, 0.5), roughness: float = 0.6, metallic: float = 0.0,
        opacity: float = 1.0, emissive: Color | None = None, texture: str | None = None, tile: float = 1.0,
    ) -> MaterialRef:  # fmt: skip
        """Author a UsdPreviewSurface, or return the equal one that is there already.

        Args:
            name: Name of the prim under ``/World/Looks``; numbered when it is taken by another material.
            color: Base colour, sRGB in [0, 1]; a texture replaces it.
            roughness: 0 mirrors, 1 is chalk.
            metallic: 0 or 1.
            opacity: 1 is solid.
            emissive: Glow, linear, may exceed 1.
            texture: Asset path of the base colour picture (sRGB).
            tile: Length of surface one repeat covers [m]; 0 keeps the shape's own texture coordinates.
        """
        from pxr import Gf

        key = (name, color, roughness, metallic, opacity, emissive, texture, tile)
        if key in self._materials:
            return self._materials[key]
        scope = "/World/Looks"
        if self.layer.GetPrimAtPath(scope) is None:
            self.define(scope, "Scope")
        taken = self.layer.GetPrimAtPath(f"{scope}/{name}") is not None
        path = self.unique(f"{scope}/{name}") if taken else f"{scope}/{name}"
        material = self.define(path, "Material")
        surface = self.define(f"{path}/Surface", "Shader")
        self.set(surface, "info:id", "token", "UsdPreviewSurface", uniform=True)
        base = self.set(surface, "inputs:diffuseColor", "color3f", Gf.Vec3f(*linear_color(color)))
        self.set(surface, "inputs:roughness", "float", float(roughness))
        self.set(surface, "inputs:metallic", "float", float(metallic))
        if opacity < 1.0:
            self.set(surface, "inputs:opacity", "float", float(opacity))
        if emissive is not None:
            self.set(surface, "inputs:emissiveColor", "color3f", Gf.Vec3f(*emissive))
        self.set(surface, "outputs:surface", "token", None)
        out = self.set(material, "outputs:surface", "token", None)
        out.connectionPathList.explicitItems = [f"{path}/Surface.outputs:surface"]
        if texture is not None:
            base.connectionPathList.explicitItems = [self._texture(path, texture)]
        self._materials[key] = MaterialRef(path=path, tile=tile if texture is not None else 0.0)
        return self._materials[key]

    def _texture(self, path: str, texture: str) -> str:
        from pxr import Sdf

        reader = self.define(f"{path}/Coordinates", "Shader")
        self.set(reader, "info:id", "token", "UsdPrimvarReader_float2", uniform=True)
        self.set(reader, "inputs:varname", "string", "st")
        self.set(reader, "outputs:result", "float2", None)
        image = self.define(f"{path}/Texture", "Shader")
        self.set(image, "info:id", "token", "UsdUVTexture", uniform=True)
        self.set(image, "inputs:file", "asset", Sdf.AssetPath(texture))
        self.set(image, "inputs:sourceColorSpace", "token", "sRGB")
        self.set(image, "inputs:wrapS", "token", "repeat")
        self.set(image, "inputs:wrapT", "token", "repeat")
        coordinates = self.set(image, "inputs:st", "float2", None)
        coordinates.connectionPathList.explicitItems = [f"{path}/Coordinates.outputs:result"]
        self.set(image, "outputs:rgb", "float3", None)
        return f"{path}/Texture.outputs:rgb"

    def surface(
        self, kind: str, *, color: Color, seed: int = 0, tile: float = 2.0, roughness: float = 0.8,
        metallic: float = 0.0, size: int = 256,
    ) -> MaterialRef:  # fmt: skip
        """Author a material with the procedural texture ``kind`` (see ``textures.TEXTURES``)."""
        texture = self.textures.surface(kind, color=color, seed=seed, size=size)
        return self.material(
            kind.capitalize(), color=color, roughness=roughness, metallic=metallic, texture=texture, tile=tile
        )

    def camera(
        self, path: str, eye: Any, target: Any, *, focal: float = 24.0, near: float = 0.05, far: float = 500.0
    ) -> str:
        """Author a camera that looks from ``eye`` at ``target`` and return its path.

        Args:
            path: Absolute prim path.
            eye: Position [m]: three numbers, or one row a frame, shape [T, 3].
            target: Point in the middle of the picture [m]: three numbers, or shape [T, 3].
            focal: Focal length for a 36 mm wide picture [mm].
            near: Near clipping distance [m].
            far: Far clipping distance [m].
        """
        from pxr import Gf

        eyes, targets = np.broadcast_arrays(np.asarray(eye, np.float64), np.asarray(target, np.float64))
        look = targets - eyes
        heading = np.arctan2(-look[..., 0], look[..., 1])
        heading = np.unwrap(heading) if look.ndim > 1 else heading
        pitch = np.arctan2(look[..., 2], np.hypot(look[..., 0], look[..., 1]))
        turn = np.stack([90.0 + np.degrees(pitch), np.zeros_like(pitch), np.degrees(heading)], axis=-1)
        spec = self.define(path, "Camera")
        self.set(spec, "focalLength", "float", float(focal))
        self.set(spec, "horizontalAperture", "float", 36.0)
        self.set(spec, "verticalAperture", "float", 20.25)
        self.set(spec, "clippingRange", "float2", Gf.Vec2f(near, far))
        self.set(spec, "projection", "token", "perspective")
        self._place(spec, Placement(at=eye, turn=turn))
        return path

    def light(
        self, path: str, kind: Literal["DistantLight", "DomeLight", "RectLight", "SphereLight", "DiskLight"], *,
        intensity: float, color: Color = (1.0, 1.0, 1.0), placement: Placement | None = None, **inputs: float,
    ) -> str:  # fmt: skip
        """Author a UsdLux light and return its path; ``inputs`` are further float inputs (``angle``, ``radius``)."""
        from pxr import Gf

        spec = self.define(path, kind)
        self.set(spec, "inputs:intensity", "float", float(intensity))
        self.set(spec, "inputs:color", "color3f", Gf.Vec3f(*color))
        for name, value in inputs.items():
            self.set(spec, f"inputs:{name}", "float", float(value))
        self._place(spec, placement)
        return path

    def sky(self, *, sun: float = 3.0, elevation: float = 45.0, azimuth: float = 30.0, dome: float = 1.0) -> None:
        """Author a sun and a sky.

        Args:
            sun: Irradiance of the sun; 0 leaves it out.
            elevation: Angle of the sun above the horizon [deg].
            azimuth: Direction of the sun around Z, counter-clockwise from +X [deg].
            dome: Intensity of the sky.
        """
        turn = (0.0, 90.0 - elevation, azimuth)  # a distant light shines along its -Z
        if sun > 0.0:
            path = self.light(
                "/World/Lights/Sun", "DistantLight", intensity=sun, color=(1.0, 0.95, 0.86), angle=0.53,
                placement=Placement(turn=turn),
            )  # fmt: skip
            spec = self.layer.GetPrimAtPath(path)
            self.set(spec, "inputs:normalize", "bool", True)  # the intensity is what reaches a surface facing the sun
        self.light("/World/Lights/Sky", "DomeLight", intensity=dome, color=(0.78, 0.88, 1.0))

    def finish(self, path: str | os.PathLike[str] | None = None) -> Usd.Stage:
        """Close the layer and open the stage; saved to ``path`` first, when one is given."""
        from pxr import Sdf, Usd

        root = self.layer.pseudoRoot
        root.SetInfo("defaultPrim", "World")
        root.SetInfo("metersPerUnit", 1.0)
        root.SetInfo("kilogramsPerUnit", 1.0)
        root.SetInfo("upAxis", "Z")
        root.SetInfo("timeCodesPerSecond", FPS)
        root.SetInfo("framesPerSecond", FPS)
        root.SetInfo("startTimeCode", 0.0)
        root.SetInfo("endTimeCode", float(self.num_frames - 1))
        self._block.__exit__(None, None, None)
        if path is None:
            return Usd.Stage.Open(self.layer)
        target = os.fspath(path)
        if not self.layer.Export(target):
            raise ConfigError(f"The scene could not be saved as {target}; check that the folder can be written.")
        layer = Sdf.Layer.FindOrOpen(target)
        layer.Reload(True)
        return Usd.Stage.Open(layer)


def open_builder(
    path: str | os.PathLike[str] | None, *, num_frames: int, texture_dir: str | os.PathLike[str] | None = None
) -> StageBuilder:
    """Start a builder whose textures lie where the stage will find them.

    Args:
        path: File that the stage will be saved as (textures go to ``textures/`` beside it), or ``None`` for a stage in
            memory (textures go to ``texture_dir``).
        num_frames: Frames of animation, >= 1.
        texture_dir: Folder for the textures of a stage in memory; ``None`` is a per-user cache.

    Raises:
        ConfigError: If the ending of ``path`` is not one of ``LAYER_FORMATS``, or its folder cannot be made.
    """
    if path is None:
        store = TextureStore(default_texture_dir() if texture_dir is None else Path(texture_dir))
        return StageBuilder(num_frames=num_frames, textures=store)
    target = Path(path)
    if target.suffix not in LAYER_FORMATS:
        raise ConfigError(f"A scene is saved as {', '.join(LAYER_FORMATS)}, got {target.name!r}; change the ending.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"The folder {target.parent} for {target.name} cannot be made: {error.strerror}.") from error
    store = TextureStore(target.parent / "textures", reference="./textures", reuse=False)
    return StageBuilder(num_frames=num_frames, textures=store)


__all__ = [
    "FPS", "LAYER_FORMATS", "MaterialRef", "Placement", "StageBuilder", "linear_color", "open_builder",
]  # fmt: skip
