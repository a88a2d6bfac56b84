"""Holes, glass and half-clear things, judged by rays cut with planes in float64 and by OpenCV's remap."""

import cv2
import numpy as np
import pytest
import warp as wp
from pxr import Gf, Sdf, Usd, UsdGeom, UsdLux, UsdShade  # noqa: TID253

from cosmos.bridge.render.draw.visibility import Visibility, make_view
from cosmos.bridge.render.renderer import Renderer

wp.config.quiet = True

SIZE = (54, 96)
WALL, FENCE = 1, 2
MASK = np.kron((np.indices((4, 4)).sum(0) % 2) * 255, np.ones((16, 16))).astype(np.uint8)


def quad(stage, path, y, half):
    """A square across +Y whose uvs run with x and z."""
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr([(-half, y, -half), (half, y, -half), (half, y, half), (-half, y, half)])
    mesh.CreateFaceVertexCountsAttr([4])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    mesh.CreateSubdivisionSchemeAttr("none")
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "vertex")
    st.Set([(0, 0), (1, 0), (1, 1), (0, 1)])
    return mesh


def paint(mesh, *, mask=None, **inputs):
    stage, name = mesh.GetPrim().GetStage(), f"/Looks{mesh.GetPath()}"
    material = UsdShade.Material.Define(stage, name)
    shader = UsdShade.Shader.Define(stage, f"{name}/S")
    shader.CreateIdAttr("UsdPreviewSurface")
    kinds = {tuple: Sdf.ValueTypeNames.Color3f, float: Sdf.ValueTypeNames.Float, str: Sdf.ValueTypeNames.Token}
    for key, value in inputs.items():
        shader.CreateInput(key, kinds[type(value)]).Set(value)
    if mask is not None:
        node = UsdShade.Shader.Define(stage, f"{name}/T")
        node.CreateIdAttr("UsdUVTexture")
        node.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(str(mask))
        node.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set("raw")
        opacity = shader.CreateInput("opacity", Sdf.ValueTypeNames.Float)
        opacity.ConnectToSource(node.ConnectableAPI(), "r")
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)


def author(tmp_path=None, *, sun=(0.0, 0.0, 0.0), white=(0.8, 0.8, 0.8), **fence):
    """A wall at y = 6, a fence before it at y = 3, and a camera at the origin that looks along +Y."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, "Z")
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    paint(quad(stage, "/Wall", 6.0, 9.0), diffuseColor=white, roughness=1.0)
    if tmp_path is not None:
        cv2.imwrite(str(tmp_path / "mask.png"), MASK)
        fence["mask"] = tmp_path / "mask.png"
    paint(quad(stage, "/Wire", 3.0, 1.0), **fence)
    light = UsdLux.DistantLight.Define(stage, "/Sun")
    light.CreateIntensityAttr(3.0)
    light.CreateAngleAttr(0.0)
    UsdGeom.Xformable(light).AddRotateXYZOp().Set(Gf.Vec3f(90.0 + sun[0], sun[1], sun[2]))
    camera = UsdGeom.Camera.Define(stage, "/Camera")
    camera.AddRotateXOp().Set(90.0)
    camera.CreateFocalLengthAttr(12.0)
    camera.CreateClippingRangeAttr((0.01, 1000.0))
    return stage


def mask_at(x, z):
    """The mask at points of the fence's plane, bilinear as cv2 has it, 0 to 1; NaN outside the fence."""
    u, v = (np.asarray(x) + 1.0) / 2.0, (np.asarray(z) + 1.0) / 2.0
    columns, rows = u * 64.0 - 0.5, (1.0 - v) * 64.0 - 0.5
    read = cv2.remap(
        MASK.astype(np.float32) / 255.0,
        columns.astype(np.float32),
        rows.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    return np.where((np.abs(x) < 1.0) & (np.abs(z) < 1.0), read, np.nan)


def rays(camera):
    """Slopes dx/dy and dz/dy of the pixel centres' rays; the camera stands at the origin."""
    k = camera.intrinsics
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    return (u - k[0, 2]) / k[0, 0], (k[1, 2] - v) / k[1, 1]


def draw(stage, *, threads=1, device="cpu"):
    renderer = Renderer(stage, device=device, threads=threads)
    frame = renderer.render("/Camera", 0.0, size=SIZE)
    ids, depth, rgb = frame.instance_ids.numpy(), frame.depth.numpy(), frame.rgb.numpy()
    return renderer, frame.camera, ids, depth, rgb


def test_holes_are_looked_through_where_the_mask_is_below_the_threshold(tmp_path, device):
    stage = author(tmp_path, opacityThreshold=0.5, diffuseColor=(0.1, 0.5, 0.1))
    _, camera, ids, depth, _ = draw(stage, device=device)
    x, z = rays(camera)
    mask = mask_at(3.0 * x, 3.0 * z)
    sure = np.isnan(mask) | (np.abs(mask - 0.5) > 0.05)
    solid = np.nan_to_num(mask) >= 0.5
    assert solid.sum() > 300 and (~solid & ~np.isnan(mask)).sum() > 300
    np.testing.assert_array_equal(ids[sure], np.where(solid, FENCE, WALL)[sure])
    np.testing.assert_allclose(depth[sure], np.where(solid, 3.0, 6.0)[sure], rtol=1e-5)


def test_rays_and_rasteriser_agree_about_holes(tmp_path):
    stage = author(tmp_path, opacityThreshold=0.5)
    renderer = Renderer(stage, device="cpu", threads=2)
    view = make_view(renderer.camera("/Camera", 0.0, size=SIZE), renderer._world.origin)
    found = []
    for cast in (False, True):
        seen = wp.empty(SIZE, dtype=wp.float32, device="cpu"), wp.empty(SIZE, dtype=wp.int32, device="cpu")
        Visibility(renderer._world, renderer._bands, rays=cast).find(view, *seen)
        found.append([item.numpy() for item in seen])
    assert (found[0][1] != found[1][1]).mean() < 0.002
    same = found[0][1] == found[1][1]
    np.testing.assert_allclose(found[0][0][same], found[1][0][same], rtol=1e-5)


@pytest.mark.parametrize(("opacity", "seen"), [(0.3, WALL), (0.7, FENCE), (1.0, FENCE)])
def test_annotators_see_a_blended_surface_from_half_opacity_on(opacity, seen):
    _, camera, ids, _, _ = draw(author(opacity=opacity))
    x, z = rays(camera)
    inside = (np.abs(3.0 * x) < 0.98) & (np.abs(3.0 * z) < 0.98)
    assert (ids[inside] == seen).all()


def test_a_solid_mask_changes_nothing(tmp_path):
    plain = draw(author(diffuseColor=(0.4, 0.2, 0.1)))
    kept = draw(author(diffuseColor=(0.4, 0.2, 0.1), opacity=0.8, opacityThreshold=0.5))
    for a, b in zip(plain[2:], kept[2:], strict=True):
        np.testing.assert_array_equal(a, b)


def test_sun_falls_through_holes(tmp_path):
    # The sun shines along +Y and as much along +X, so that the shadow on the wall is seen beside the fence.
    stage = author(tmp_path, opacityThreshold=0.5, sun=(0.0, 0.0, -45.0))
    _, camera, ids, _, rgb = draw(stage)
    x, z = rays(camera)
    mask = mask_at(6.0 * x - 3.0, 6.0 * z)
    wall = ids == WALL
    near = cv2.dilate((~wall).astype(np.uint8), np.ones((3, 3))) > 0
    for shade, want in ((mask > 0.95, "dark"), (mask < 0.05, "bright")):
        patch = cv2.erode((shade & wall & ~near).astype(np.uint8), np.ones((3, 3))) > 0
        assert patch.sum() > 30
        level = rgb[patch].mean()
        free = rgb[wall & np.isnan(mask) & ~near].mean()
        assert level < 0.75 * free if want == "dark" else level > 0.9 * free


def test_bands_and_threads_do_not_change_a_pixel(tmp_path):
    stage = author(tmp_path, opacityThreshold=0.5)
    one, five = draw(stage, threads=1), draw(stage, threads=5)
    for a, b in zip(one[2:], five[2:], strict=True):
        np.testing.assert_array_equal(a, b)
