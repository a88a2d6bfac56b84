"""Edges of things and of shadows cover as much of each pixel as exact geometry says."""

import numpy as np
import pytest
import warp as wp
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade  # noqa: TID253

from cosmos.bridge.kernels.mixed_edges import mix_edges
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.srgb import srgb_to_linear
from cosmos.bridge.types import Camera, Look
from tone import untoned

SIZE = (48, 64)
FOCAL = 40.0
ANGLES = (3.0, 17.0, 44.0, 61.0, 88.0)
"""Of an edge against the rows [deg]; along them or across, one place of the edge would decide all."""


def stage_of():
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, "Z")
    return stage


def sheet(stage, name, corners, **inputs):
    """A polygon with a UsdPreviewSurface."""
    mesh = UsdGeom.Mesh.Define(stage, f"/World/{name}")
    mesh.CreatePointsAttr([Gf.Vec3f(*map(float, corner)) for corner in corners])
    mesh.CreateFaceVertexCountsAttr([len(corners)])
    mesh.CreateFaceVertexIndicesAttr(list(range(len(corners))))
    mesh.CreateDoubleSidedAttr(True)
    material = UsdShade.Material.Define(stage, f"/Looks/{name}")
    shader = UsdShade.Shader.Define(stage, f"/Looks/{name}/Surface")
    shader.CreateIdAttr("UsdPreviewSurface")
    for key, value in {"roughness": 1.0, "useSpecularWorkflow": 1, "specularColor": (0.0,) * 3, **inputs}.items():
        kind = {tuple: "Color3f", float: "Float", int: "Int"}[type(value)]
        shader.CreateInput(key, getattr(Sdf.ValueTypeNames, kind)).Set(Gf.Vec3f(*value) if kind == "Color3f" else value)
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)


def half_plane(angle, offset, height):
    """Corners of a sheet at a height, whose edge lies ``offset`` from the origin, turned by ``angle`` [deg]."""
    along, away = (np.array([np.cos(a), np.sin(a)]) for a in np.radians((angle, angle + 90.0)))
    ends = [away * offset - along * 400.0, away * offset + along * 400.0]
    return [(*end, height) for end in (*ends, ends[1] + away * 400.0, ends[0] + away * 400.0)]


def looking_down(height):
    """A camera above the origin: columns go along +X, rows along -Y."""
    pose = np.eye(4)
    pose[2, 3] = height
    lens = np.array([[FOCAL, 0, SIZE[1] / 2], [0, FOCAL, SIZE[0] / 2], [0, 0, 1.0]])
    return Camera(prim_path="/Eye", height=SIZE[0], width=SIZE[1], intrinsics=lens, cam_to_world=pose)


def covered(angle, offset, distance, fine=64):
    """Share of each pixel that a half plane at a distance from the eye covers, float64, from fine x fine points."""
    y, x = (np.arange(n * fine) + 0.5 for n in SIZE)
    px = (x / fine - SIZE[1] / 2) / FOCAL * distance
    py = (SIZE[0] / 2 - y / fine) / FOCAL * distance
    away = np.radians(angle + 90.0)
    inside = px[None, :] * np.cos(away) + py[:, None] * np.sin(away) > offset
    return inside.reshape(SIZE[0], fine, SIZE[1], fine).mean(axis=(1, 3))


@pytest.mark.parametrize("angle", ANGLES)
def test_an_edge_covers_as_much_of_each_pixel_as_it_should(device, angle):
    """Samples are mixed as they are displayed; 2 x 2 of them are off by an eighth on average along rows."""
    look = Look(detail=0.0, vignette=0.0)
    stage = stage_of()
    sheet(stage, "Far", half_plane(0.0, -300.0, 0.0), diffuseColor=(0.02,) * 3)
    sheet(stage, "Near", half_plane(angle, 0.013, 1.0), diffuseColor=(0.5,) * 3)
    renderer = Renderer(stage, device=device, threads=1)
    picture = renderer.light(looking_down(5.0), 0.0, look).relit.numpy()
    renderer.close()
    share, levels = covered(angle, 0.013, 4.0), srgb_to_linear(picture / 255.0).mean(axis=-1)
    edge = (share > 0.02) & (share < 0.98)
    low, high = np.median(levels[share == 0.0]), np.median(levels[share == 1.0])
    assert edge.sum() > 30 and high > 4.0 * low
    off = np.abs(shown_share(levels, low, high) - share)[edge]
    assert off.mean() < 0.06 and off.max() < 0.15, (off.mean(), off.max())


@pytest.mark.parametrize("angle", ANGLES)
def test_what_is_painted_on_one_side_of_an_edge_ends_within_pixels_as_it_should(device, angle):
    """Snow painted on the near sheet pixel by pixel: by centres alone it is off by a quarter on average."""
    stage = stage_of()
    sheet(stage, "Far", half_plane(0.0, -300.0, 0.0), diffuseColor=(0.2,) * 3)
    sheet(stage, "Near", half_plane(angle, 0.013, 1.0), diffuseColor=(0.2,) * 3)
    renderer = Renderer(stage, device=device, threads=1)
    near = renderer.render(looking_down(5.0), 0.0).depth.numpy() < 4.5
    edges = renderer.light(looking_down(5.0), 0.0, Look()).edges
    picture = wp.array(np.repeat(np.where(near, 255, 10)[..., None], 3, axis=-1), dtype=wp.uint8, device=device)
    mix_edges(picture, wp.full((*SIZE, 3), 10, dtype=wp.uint8, device=device), edges)
    renderer.close()
    share, levels = covered(angle, 0.013, 4.0), srgb_to_linear(picture.numpy() / 255.0).mean(axis=-1)
    edge = (share > 0.02) & (share < 0.98)
    off = np.abs(shown_share(levels, *srgb_to_linear(np.array([10, 255]) / 255.0)) - share)
    assert edge.sum() > 30 and off[~edge].max() < 0.03
    assert off[edge].mean() < 0.06 and off.max() < 0.15, (off[edge].mean(), off.max())


def shown_share(levels, low, high):
    """What share of a pixel is bright, by its light."""
    return (levels - low) / (high - low)


@pytest.mark.parametrize("angle", ANGLES)
def test_a_shadow_of_the_sun_ends_within_pixels_as_it_should(device, angle):
    """One ray a pixel is off by a quarter on average."""
    stage, high = stage_of(), 2.2
    sheet(stage, "Ground", half_plane(0.0, -300.0, 0.0), diffuseColor=(0.5,) * 3)
    look = Look(detail=0.0, vignette=0.0, sun_elevation=45.0, sun_azimuth=angle + 90.0)
    sheet(stage, "Roof", half_plane(angle, high + 0.013, high), diffuseColor=(0.5,) * 3)
    renderer = Renderer(stage, device=device, threads=1)
    white = untoned(renderer.light(looking_down(2.0), 0.0, look).white.numpy()).mean(axis=-1)
    renderer.close()
    share = covered(angle, 0.013, 2.0)  # the shadow lies where the roof is, moved by its height
    edge = (share > 0.02) & (share < 0.98)
    low, top = white[share == 1.0].max(), white[share == 0.0].min()
    assert edge.sum() > 30 and top > 2.0 * low
    off = np.abs(1.0 - shown_share(white, low, top) - share)[edge]
    assert off.mean() < 0.12 and off.max() < 0.4, (off.mean(), off.max())
