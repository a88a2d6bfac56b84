"""Small scenes whose every number is known, in the session layer, and a writer that keeps what Replicator hands it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cosmos.bridge.kit import compat
from cosmos.bridge.kit.annotators import wanted_annotators
from cosmos.bridge.kit.pool import is_warp

ROOT = "/CosmosBridgeProbe"
CAMERAS = (f"{ROOT}/Camera", f"{ROOT}/CameraAside")
TICKING = f"{ROOT}/CameraTicking"
"""A camera where the first one is, with a tick rate of its own: half of the stage's."""
SCREENS = f"{ROOT}/CameraOfScreens"
"""The camera of `screen_scene`."""
TEXTURE = "cosmos_bridge_probe"
"""Name of the dynamic texture that a screen shows."""
SIZE = (96, 128)
"""Height and width of the probe's pictures [px]."""
WALL, BOX = 5.0, 3.5
"""Distance of the wall and of the moving box from the camera [m]."""
STEP = (0.05, 0.03)
"""How far the box moves a frame, to the right and up [m]."""
FOCAL, APERTURE = 18.0, 24.0
"""Lens of the probe's camera: focal length and horizontal aperture, in tenths of a stage unit."""
_SCREENS_AT, _SCREENS_FAR = (-1.3, 0.0, 1.3), 4.0
SCREEN_COLUMNS = tuple(round(SIZE[1] * (0.5 + x / _SCREENS_FAR * FOCAL / APERTURE)) for x in _SCREENS_AT)
"""Columns of the middles of the screens [px]: dynamic texture, OmniPBR, UsdPreviewSurface."""
_AWAY = 1000.0
_GLOW = 1000.0


def expected_motion() -> tuple[float, float]:
    """Return previous minus current position [px] of the box, +x moved left and +y moved up."""
    pixels = FOCAL / APERTURE * SIZE[1] / BOX
    return -STEP[0] * pixels, STEP[1] * pixels


@contextmanager
def _own_layer(stage: Any) -> Iterator[tuple[Any, float]]:
    """Put a sublayer into the session layer, with a place far away; yield where to write, and units in a metre."""
    from pxr import Gf, Sdf, Usd, UsdGeom

    session, layer = stage.GetSessionLayer(), Sdf.Layer.CreateAnonymous("cosmos_bridge_probe.usda")
    session.subLayerPaths.insert(0, layer.identifier)
    unit = 1.0 / UsdGeom.GetStageMetersPerUnit(stage)
    up = Gf.Vec3d(0, _AWAY * unit, 0) if str(UsdGeom.GetStageUpAxis(stage)) == "Y" else Gf.Vec3d(0, 0, _AWAY * unit)
    try:
        with Usd.EditContext(stage, layer):
            UsdGeom.Xform.Define(stage, ROOT).AddTranslateOp().Set(up)
        yield layer, unit
    finally:
        session.subLayerPaths.remove(layer.identifier)


def _camera(stage: Any, path: str, aside: float, unit: float) -> Any:
    from pxr import Gf, UsdGeom

    camera = UsdGeom.Camera.Define(stage, path)
    camera.AddTranslateOp().Set(Gf.Vec3d(aside * unit, 0, 0))
    camera.CreateFocalLengthAttr(FOCAL)
    camera.CreateHorizontalApertureAttr(APERTURE)
    camera.CreateVerticalApertureAttr(APERTURE * SIZE[0] / SIZE[1])
    camera.CreateClippingRangeAttr(Gf.Vec2f(0.1 * unit, 100 * unit))
    return camera


@contextmanager
def probe_scene(stage: Any, first_code: float, num_frames: int) -> Iterator[None]:
    """Put a wall, a box that moves and three cameras far above the stage; they go again.

    Args:
        stage: The open stage; its own layers are not touched.
        first_code: Time code at which the box begins to move.
        num_frames: For how many frames it moves.
    """
    from pxr import Gf, Sdf, Usd, UsdGeom

    with _own_layer(stage) as (layer, unit):
        with Usd.EditContext(stage, layer):
            for path, aside in zip(CAMERAS, (0.0, 0.5), strict=True):
                _camera(stage, path, aside, unit)
            ticking = _camera(stage, TICKING, 0.0, unit).GetPrim()
            rate = ticking.GetAttribute("omni:sensor:tickRate")
            rate = rate or ticking.CreateAttribute("omni:sensor:tickRate", Sdf.ValueTypeNames.Float)
            rate.Set(stage.GetTimeCodesPerSecond() / 2.0)
            for name, size, place in (("Wall", (3.0, 3.0, 0.1), -WALL - 0.05), ("Box", (1.0, 1.0, 0.1), -BOX - 0.05)):
                cube = UsdGeom.Cube.Define(stage, f"{ROOT}/{name}")
                cube.CreateSizeAttr(1.0)
                move = cube.AddTranslateOp()
                cube.AddScaleOp().Set(Gf.Vec3f(*size) * unit)
                move.Set(Gf.Vec3d(0, 0, place * unit))
                for frame in range(-1, num_frames + 2) if name == "Box" else ():
                    shift = Gf.Vec3d(STEP[0] * frame * unit, STEP[1] * frame * unit, place * unit)
                    move.Set(shift, first_code + frame)
        yield


@contextmanager
def screen_scene(stage: Any, switch_code: float, before: Path, after: Path) -> Iterator[None]:
    """Put three glowing screens before a camera far above the stage: their order is that of `SCREEN_COLUMNS`.

    The first shows ``dynamic://`` `TEXTURE`, the others a picture until a time code and another one from then on.

    Args:
        stage: The open stage; its own layers are not touched.
        switch_code: Time code from which the second picture is to be seen.
        before: First picture.
        after: Second picture.
    """
    from pxr import Sdf, Usd

    with _own_layer(stage) as (layer, unit):
        with Usd.EditContext(stage, layer):
            _camera(stage, SCREENS, 0.0, unit)
            for name, x in zip(("Dynamic", "Mdl", "Preview"), _SCREENS_AT, strict=True):
                mesh = _screen(stage, f"{ROOT}/{name}", x, unit)
                picture = (_preview_glow if name == "Preview" else _mdl_glow)(stage, mesh)
                if name == "Dynamic":
                    picture.Set(Sdf.AssetPath(f"dynamic://{TEXTURE}"))
                else:
                    picture.Set(Sdf.AssetPath(before.as_posix()))
                    picture.Set(Sdf.AssetPath(before.as_posix()), switch_code - 1.0)
                    picture.Set(Sdf.AssetPath(after.as_posix()), switch_code)
        yield


def _screen(stage: Any, path: str, x: float, unit: float) -> Any:
    """Make a square of a metre, x metres to the right."""
    from pxr import Gf, Sdf, UsdGeom

    mesh = UsdGeom.Mesh.Define(stage, path)
    corners = [(x - 0.5, -0.5), (x + 0.5, -0.5), (x + 0.5, 0.5), (x - 0.5, 0.5)]
    points = [Gf.Vec3f(px * unit, py * unit, -_SCREENS_FAR * unit) for px, py in corners]
    mesh.CreatePointsAttr(points)
    mesh.CreateFaceVertexCountsAttr([4])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    mesh.CreateExtentAttr([points[0], points[2]])  # or it is culled
    mesh.CreateSubdivisionSchemeAttr("none")
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "vertex")
    st.Set([(0, 0), (1, 0), (1, 1), (0, 1)])
    return mesh


def _mdl_glow(stage: Any, mesh: Any) -> Any:
    """Give a mesh an OmniPBR material that only glows; return the attribute of its picture."""
    from pxr import Sdf, UsdShade

    material = UsdShade.Material.Define(stage, f"{mesh.GetPath()}/Look")
    shader = UsdShade.Shader.Define(stage, f"{mesh.GetPath()}/Look/Shader")
    shader.SetSourceAsset(Sdf.AssetPath("OmniPBR.mdl"), "mdl")
    shader.SetSourceAssetSubIdentifier("OmniPBR", "mdl")
    types = Sdf.ValueTypeNames
    for name, kind, value in (
        ("diffuse_color_constant", types.Color3f, (0, 0, 0)),
        ("specular_level", types.Float, 0.0),
        ("enable_emission", types.Bool, True),
        ("emissive_color", types.Color3f, (1, 1, 1)),
        ("emissive_intensity", types.Float, _GLOW),
    ):
        shader.CreateInput(name, kind).Set(value)
    picture = shader.CreateInput("emissive_color_texture", types.Asset).GetAttr()
    picture.SetColorSpace("sRGB")
    material.CreateSurfaceOutput("mdl").ConnectToSource(shader.ConnectableAPI(), "out")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
    return picture


def _preview_glow(stage: Any, mesh: Any) -> Any:
    """Give a mesh a UsdPreviewSurface that only glows, as screens of results layers have; return its picture."""
    from pxr import Sdf, UsdShade

    material = UsdShade.Material.Define(stage, f"{mesh.GetPath()}/Look")
    surface, texture, reader = (
        UsdShade.Shader.Define(stage, f"{mesh.GetPath()}/Look/{name}") for name in ("Surface", "Texture", "Reader")
    )
    types = Sdf.ValueTypeNames
    for shader, kind in (
        (surface, "UsdPreviewSurface"), (texture, "UsdUVTexture"), (reader, "UsdPrimvarReader_float2"),
    ):  # fmt: skip
        shader.CreateIdAttr(kind)
    reader.CreateInput("varname", types.String).Set("st")
    texture.CreateInput("st", types.Float2).ConnectToSource(reader.ConnectableAPI(), "result")
    texture.CreateInput("sourceColorSpace", types.Token).Set("sRGB")
    surface.CreateInput("diffuseColor", types.Color3f).Set((0, 0, 0))
    surface.CreateInput("emissiveColor", types.Color3f).ConnectToSource(texture.ConnectableAPI(), "rgb")
    material.CreateSurfaceOutput().ConnectToSource(surface.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
    return texture.CreateInput("file", types.Asset).GetAttr()


@dataclass(kw_only=True)
class Kept:
    """One payload as it was handed over."""

    payload: Mapping[str, Any]
    """The payload, with arrays that Replicator owns."""
    copies: dict[str, np.ndarray] = field(default_factory=dict)
    """Copies of the first product's arrays, made at once."""
    steady: bool = True
    """Whether the arrays were the same when ``write()`` was about to return."""


def make_probe_writer() -> type:
    """Return a writer class that keeps payloads, for Replicator's registry."""
    base = compat.need("omni.replicator.core.Writer")

    class CosmosBridgeProbeWriter(base):  # type: ignore[misc, valid-type]
        def __init__(self, structure: str = "renderProduct", device: str = "cpu") -> None:
            self.version, self.backend = "1", None
            self.data_structure = structure
            self.kept: list[Kept] = []
            self.annotators = compat.get_annotators(wanted_annotators(use_instance_id=True), device)

        def write(self, data: Mapping[str, Any]) -> None:
            from cosmos.bridge.kit.payload import split_payload

            names = tuple(request.name for request in wanted_annotators(use_instance_id=True))
            arrays = {name: reading.array for name, reading in split_payload(data, names)[0].readings.items()}
            copies = {name: np.array(host_of(array)) for name, array in arrays.items() if array is not None}
            steady = all(np.array_equal(copy, host_of(arrays[name]), equal_nan=copy.dtype.kind == "f")
                         for name, copy in copies.items())  # fmt: skip
            self.kept.append(Kept(payload=data, copies=copies, steady=steady))

    return CosmosBridgeProbeWriter


def host_of(array: Any) -> np.ndarray:
    """Return an array of Replicator on the host."""
    return np.asarray(array.numpy() if is_warp(array) else array)


__all__ = [
    "BOX",
    "CAMERAS",
    "SCREENS",
    "SCREEN_COLUMNS",
    "SIZE",
    "TEXTURE",
    "TICKING",
    "WALL",
    "Kept",
    "expected_motion",
    "host_of",
    "make_probe_writer",
    "probe_scene",
    "screen_scene",
]
