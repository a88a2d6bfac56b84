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
    squares = [
        np.where(triangles < 0, -1, triangles // 2) for _, triangles in found
    ]  # on its diagonal a pixel is both's
    np.testing.assert_array_equal(*squares)
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)


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


def exposed(stage):
    """The picture before tone mapping, float64 [H, W, 3], and its camera."""
    renderer = Renderer(stage, device="cpu", threads=1)
    picture = renderer.annotate("/Camera", 0.0, ["HdrColor"], size=SIZE)["HdrColor"]
    return np.asarray(picture)[..., :3].astype(float), renderer.camera("/Camera", 0.0, size=SIZE)


def behind(camera, *, margin=0.9):
    """Pixels that look through the middle of the fence."""
    x, z = rays(camera)
    return (np.abs(3.0 * x) < margin) & (np.abs(3.0 * z) < margin)


BLACK = {
    "diffuseColor": (0.0, 0.0, 0.0),
    "useSpecularWorkflow": 1.0,
    "specularColor": (0.0, 0.0, 0.0),
    "roughness": 1.0,
}
ASIDE = (0.0, 0.0, -45.0)


@pytest.mark.parametrize("opacity", [0.25, 0.75])
def test_black_veils_dim_what_lies_behind_by_their_opacity(opacity):
    clear, camera = exposed(author(sun=ASIDE, opacity=0.0, opacityMode="presence", **BLACK))
    veiled, _ = exposed(author(sun=ASIDE, opacity=opacity, opacityMode="presence", **BLACK))
    inside = behind(camera)
    rest = ~behind(camera, margin=1.1)
    ratio = veiled[inside].mean() / clear[inside].mean()
    scale = veiled[rest].mean() / clear[rest].mean()  # the meter may expose a solid veil otherwise
    assert ratio / scale == pytest.approx(1.0 - opacity, abs=0.04)


def test_layers_multiply():
    def two(first, second):
        stage = author(sun=ASIDE, opacity=first, opacityMode="presence", **BLACK)
        paint(quad(stage, "/More", 2.0, 1.0), opacity=second, opacityMode="presence", **BLACK)
        return exposed(stage)

    clear, camera = two(0.0, 0.0)
    both, _ = two(0.4, 0.3)
    inside = behind(camera)
    assert both[inside].mean() / clear[inside].mean() == pytest.approx(0.6 * 0.7, abs=0.03)


def test_glass_tints_but_annotators_see_it():
    stage = author(sun=ASIDE)
    shader = UsdShade.Shader.Get(stage, "/Looks/Wire/S")
    shader.GetIdAttr().Set("ND_open_pbr_surface_surfaceshader")
    for key, kind, value in (
        ("transmission_weight", Sdf.ValueTypeNames.Float, 1.0),
        ("transmission_color", Sdf.ValueTypeNames.Color3f, (1.0, 0.5, 0.25)),
        ("specular_weight", Sdf.ValueTypeNames.Float, 0.0),
        ("specular_roughness", Sdf.ValueTypeNames.Float, 1.0),
    ):
        shader.CreateInput(key, kind).Set(value)
    tinted, camera = exposed(stage)
    _, _, ids, depth, _ = draw(stage)
    inside = behind(camera)
    assert (ids[inside] == FENCE).all()
    np.testing.assert_allclose(depth[inside], 3.0, rtol=1e-4)
    red, green, blue = tinted[inside].mean(axis=0)
    assert green / red == pytest.approx(0.5, abs=0.05)
    assert blue / red == pytest.approx(0.25, abs=0.05)


def test_a_clear_pane_keeps_its_highlight_unless_it_is_absent():
    """The sun stands behind the camera: its mirror image lies in the middle of a smooth pane."""
    shiny = {"diffuseColor": (0.0, 0.0, 0.0), "roughness": 0.1, "opacity": 0.0}
    bright, camera = exposed(author(opacityMode="transparent", **shiny))
    without, _ = exposed(author(opacityMode="presence", **shiny))
    middle = behind(camera, margin=0.1)
    assert bright[middle].max() > 1.5 * without[middle].max()


def test_rasteriser_and_rays_mark_the_same_pixels():
    renderer = Renderer(author(opacity=0.3), device="cpu", threads=2)
    view = make_view(renderer.camera("/Camera", 0.0, size=SIZE), renderer._world.origin)
    found = []
    for cast in (False, True):
        visibility = Visibility(renderer._world, renderer._bands, rays=cast)
        depths, triangles = (wp.empty(SIZE, dtype=kind, device="cpu") for kind in (wp.float32, wp.int32))
        marks = wp.empty(SIZE, dtype=wp.uint8, device="cpu")
        visibility.find(view, depths, triangles)
        visibility.mark_blended(view, depths, marks)
        found.append(marks.numpy())
    assert found[0].sum() > 300
    assert (found[0] != found[1]).mean() < 0.002


def test_bands_do_not_change_a_blended_pixel():
    stage = author(opacity=0.3, sun=ASIDE)
    one, five = draw(stage, threads=1), draw(stage, threads=5)
    for a, b in zip(one[2:], five[2:], strict=True):
        np.testing.assert_array_equal(a, b)


def middle_of(**fence):
    picture, camera = exposed(author(**fence))
    return picture[behind(camera, margin=0.15)].mean()


def test_highlights_grow_with_the_specular_colour():
    """Schlick's Fresnel is linear in the reflectance at normal incidence, and so is every highlight."""
    matt = {"diffuseColor": (0.0, 0.0, 0.0), "useSpecularWorkflow": 1.0, "roughness": 0.4}
    levels = [middle_of(specularColor=(s, s, s), **matt) for s in (0.0, 0.2, 0.4)]
    assert (levels[2] - levels[0]) / (levels[1] - levels[0]) == pytest.approx(2.0, rel=0.02)


def test_ior_sets_the_highlight_as_its_reflectance_does():
    """An ior of 2 reflects ((2 - 1) / (2 + 1))^2 at normal incidence."""
    matt = {"diffuseColor": (0.0, 0.0, 0.0), "roughness": 0.4}
    by_ior = middle_of(ior=2.0, **matt)
    by_color = middle_of(useSpecularWorkflow=1.0, specularColor=(1.0 / 9.0,) * 3, **matt)
    assert by_ior == pytest.approx(by_color, rel=1e-3)


def test_a_clear_coat_shines_on_its_own_and_takes_from_below():
    matt = {"diffuseColor": (0.0, 0.0, 0.0), "useSpecularWorkflow": 1.0, "roughness": 1.0}
    bare = middle_of(specularColor=(0.0, 0.0, 0.0), **matt)
    coats = [middle_of(specularColor=(0.0, 0.0, 0.0), clearcoat=c, clearcoatRoughness=0.4, **matt) for c in (0.5, 1.0)]
    smooth = {"diffuseColor": (0.0, 0.0, 0.0), "useSpecularWorkflow": 1.0, "roughness": 0.4}
    same = middle_of(specularColor=(0.04, 0.04, 0.04), **smooth)
    assert coats[1] - bare == pytest.approx(2.0 * (coats[0] - bare), rel=0.05)
    assert coats[1] - bare == pytest.approx(same, rel=0.15)


def test_occlusion_takes_from_surrounding_light_only():
    matt = {"diffuseColor": (0.6, 0.6, 0.6), "useSpecularWorkflow": 1.0, "specularColor": (0.0,) * 3, "roughness": 1.0}

    def level(occlusion, dome):
        stage = author(occlusion=occlusion, **matt)
        if dome:
            stage.RemovePrim("/Sun")
            UsdLux.DomeLight.Define(stage, "/Dome").CreateIntensityAttr(1.0)
        picture, camera = exposed(stage)
        return picture[behind(camera, margin=0.15)].mean()

    assert level(0.5, True) / level(1.0, True) == pytest.approx(0.5, abs=0.03)
    assert level(0.5, False) / level(1.0, False) > 0.85
