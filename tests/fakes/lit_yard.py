"""A yard with a block on it, its camera and its light maps, for tests of these."""

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade  # noqa: TID253

from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import Camera, Look

SIZE = (36, 64)
PLAIN = Look(detail=0.0, vignette=0.0, sun_elevation=40.0, sun_azimuth=200.0)


def paint(stage, prim, **inputs):
    """Give a prim a UsdPreviewSurface."""
    path = f"/Looks/{prim.GetName()}"
    material = UsdShade.Material.Define(stage, path)
    shader = UsdShade.Shader.Define(stage, f"{path}/Surface")
    shader.CreateIdAttr("UsdPreviewSurface")
    for name, value in inputs.items():
        kind = "Color3f" if isinstance(value, tuple) else "Float"
        shader.CreateInput(name, getattr(Sdf.ValueTypeNames, kind)).Set(
            Gf.Vec3f(*value) if kind == "Color3f" else value
        )
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(prim).Bind(material)


def slab(stage, name, low, high):
    """A box between two corners."""
    cube = UsdGeom.Cube.Define(stage, f"/World/{name}")
    cube.CreateSizeAttr(1.0)
    low, high = np.array(low, float), np.array(high, float)
    cube.AddTranslateOp().Set(Gf.Vec3d(*((low + high) / 2.0)))
    cube.AddScaleOp().Set(Gf.Vec3f(*(high - low)))
    return cube.GetPrim()


def make_yard():
    """A matt ground of albedo 0.8 with a red block on it."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, "Z")
    ground = slab(stage, "Ground", (-60, -60, -1), (60, 60, 0))
    paint(
        stage, ground, diffuseColor=(0.8, 0.8, 0.8), roughness=1.0, specularColor=(0.0, 0.0, 0.0), useSpecularWorkflow=1
    )
    paint(stage, slab(stage, "Block", (-1, 3, 0), (1, 5, 2)), diffuseColor=(0.7, 0.05, 0.05), roughness=1.0)
    return stage


def camera(height=1.6):
    view = np.eye(4)
    view[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]  # along +Y, Z up
    view[:3, 3] = (0.0, -4.0, height)
    lens = np.array([[60.0, 0, SIZE[1] / 2], [0, 60.0, SIZE[0] / 2], [0, 0, 1]])
    return Camera(prim_path="/Eye", height=SIZE[0], width=SIZE[1], intrinsics=lens, cam_to_world=view)


def draw(stage, device, look):
    renderer = Renderer(stage, device=device, threads=1)
    frame = renderer.render(camera(), 0.0)
    depth, ids = frame.depth.numpy().copy(), frame.instance_ids.numpy().copy()
    names = {i: item.prim_path for i, item in frame.instances.items()}
    maps = {name: values.astype(int) for name, values in kept(renderer.light(camera(), 0.0, look)).items()}
    ground = np.isin(ids, [i for i, path in names.items() if path.endswith("Ground")])
    return renderer, depth, ground, maps


def kept(maps):
    """A copy of light maps."""
    return {
        name: getattr(maps, name).numpy().copy()
        for name in ("relit", "white", "mirror", "air", "glow", "open", "falling")
    }


def inner(mask):
    """Pixels whose neighbours are in the mask as well: no anti-aliased rim."""
    out = mask.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            out &= np.roll(mask, step, axis)
    out[[0, -1]] = out[:, [0, -1]] = False
    return out
