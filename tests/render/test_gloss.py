"""Highlights of four lights at once, against the microfacet formulas in float64."""

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.render.draw.gloss import glanced, lobes, schlick

wp.config.quiet = True


@wp.kernel
def _shine_kernel(
    normals: wp.array(dtype=wp.vec3),
    eyes: wp.array(dtype=wp.vec3),
    lights: wp.array2d(dtype=wp.vec3),
    roughness: wp.array(dtype=wp.vec4),
    lobes_out: wp.array(dtype=wp.vec4),
    fresnel_out: wp.array(dtype=wp.vec4),
):
    i = wp.tid()
    n = normals[i]
    v = eyes[i]
    a = lights[i, 0]
    b = lights[i, 1]
    c = lights[i, 2]
    d = lights[i, 3]
    facing = wp.vec4(wp.dot(n, a), wp.dot(n, b), wp.dot(n, c), wp.dot(n, d))
    ahead = wp.vec4(wp.dot(v, a), wp.dot(v, b), wp.dot(v, c), wp.dot(v, d))
    lobes_out[i] = lobes(wp.dot(n, v), facing, ahead, roughness[i])
    fresnel_out[i] = schlick(ahead)


def _unit(rng, shape):
    vectors = rng.normal(size=(*shape, 3))
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def directions():
    rng = np.random.default_rng(5)
    normals, eyes, lights = _unit(rng, (4000,)), _unit(rng, (4000,)), _unit(rng, (4000, 4))
    eyes *= np.where((normals * eyes).sum(-1) < 0.0, -1.0, 1.0)[:, None]
    lights *= np.where((normals[:, None] * lights).sum(-1) < 0.0, -1.0, 1.0)[..., None]
    return normals, eyes, lights, rng.uniform(0.15, 1.0, (4000, 4))


def test_four_highlights_are_those_of_the_formula_with_a_half_vector(directions, device):
    normals, eyes, lights, roughness = directions
    count = len(normals)
    found, fresnel = (wp.empty(count, dtype=wp.vec4, device=device) for _ in range(2))
    vectors = [wp.array(value.astype(np.float32), dtype=wp.vec3, device=device) for value in (normals, eyes, lights)]
    rough = wp.array(roughness.astype(np.float32), dtype=wp.vec4, device=device)
    wp.launch(_shine_kernel, dim=count, inputs=[*vectors, rough, found, fresnel], device=device)
    half = lights + eyes[:, None]
    half /= np.linalg.norm(half, axis=-1, keepdims=True)
    nv = np.maximum((normals * eyes).sum(-1), 1e-3)[:, None]
    nl = np.maximum((normals[:, None] * lights).sum(-1), 1e-4)
    nh = (normals[:, None] * half).sum(-1)
    a2 = roughness**4
    spread = a2 / (np.pi * (nh**2 * (a2 - 1.0) + 1.0) ** 2)
    seen = 0.5 / (nl * np.sqrt(nv**2 * (1.0 - a2) + a2) + nv * np.sqrt(nl**2 * (1.0 - a2) + a2))
    np.testing.assert_allclose(found.numpy(), spread * seen, rtol=2e-3)
    expected = (1.0 - (eyes[:, None] * half).sum(-1)) ** 5
    np.testing.assert_allclose(fresnel.numpy(), expected, atol=2e-6)


@wp.kernel
def _glance_kernel(eye: wp.vec3, roughness: wp.float32, places: wp.array(dtype=wp.vec2), out: wp.array(dtype=wp.vec3)):
    i = wp.tid()
    out[i] = glanced(wp.vec3(0.0, 0.0, 1.0), eye, wp.vec3(1.0, 0.0, 0.0), roughness, places[i][0], places[i][1])


@pytest.mark.parametrize("cosine", [0.15, 0.5, 0.95])
@pytest.mark.parametrize("roughness", [0.3, 0.6, 0.9])
def test_highlights_look_along_the_mirrors_of_visible_facets(cosine, roughness, device):
    """The mean way, against an integral over all facets by how much of each is seen (Heitz 2014)."""
    eye = np.array([np.sqrt(1.0 - cosine**2), 0.0, cosine])
    grid = (np.arange(96) + 0.5) / 96
    places = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2).astype(np.float32)
    ways = wp.empty(len(places), dtype=wp.vec3, device=device)
    inputs = [wp.vec3(*eye), roughness, wp.array(places, dtype=wp.vec2, device=device), ways]
    wp.launch(_glance_kernel, dim=len(places), inputs=inputs, device=device)
    z, turn = np.meshgrid((np.arange(2000) + 0.5) / 2000, 2 * np.pi * (np.arange(400) + 0.5) / 400)
    flat = np.sqrt(1.0 - z**2)
    facets = np.stack([flat * np.cos(turn), flat * np.sin(turn), z], axis=-1)
    a2 = roughness**4
    facing = np.maximum(facets @ eye, 0.0)
    share = a2 / (np.pi * (z**2 * (a2 - 1.0) + 1.0) ** 2) * facing  # the masking is the same for all
    expected = (share[..., None] * (2.0 * facing[..., None] * facets - eye)).sum((0, 1)) / share.sum()
    np.testing.assert_allclose(ways.numpy().mean(axis=0), expected, atol=0.005)


@pytest.mark.parametrize("roughness", [0.2, 0.5, 0.8, 1.0])
def test_a_white_metal_vanishes_in_a_white_furnace(roughness, device, tmp_path):
    """What reflects all light looks like what surrounds it, however rough: light that meets it twice counts too."""
    import cv2
    from pxr import Gf, Sdf, Usd, UsdGeom, UsdLux, UsdShade

    from cosmos.bridge.render.renderer import Renderer

    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    ball = UsdGeom.Sphere.Define(stage, "/Ball")
    material = UsdShade.Material.Define(stage, "/White")
    shader = UsdShade.Shader.Define(stage, "/White/Shader")
    shader.CreateIdAttr("UsdPreviewSurface")
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set((1.0, 1.0, 1.0))
    shader.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(1.0)
    shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(roughness)
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(ball.GetPrim()).Bind(material)
    cv2.imwrite(str(tmp_path / "white.hdr"), np.full((8, 16, 3), 0.7, np.float32))
    UsdLux.DomeLight.Define(stage, "/Sky").CreateTextureFileAttr(str(tmp_path / "white.hdr"))
    camera = UsdGeom.Camera.Define(stage, "/Camera")
    camera.AddTranslateOp().Set(Gf.Vec3d(0.0, 0.0, 6.0))
    renderer = Renderer(stage, device=device)
    found = renderer.annotate("/Camera", 0.0, ("HdrColor", "instance_id_segmentation"), size=(64, 96))
    renderer.close()
    on = found["instance_id_segmentation"]["data"] > 0
    light = found["HdrColor"][..., 1].astype(np.float64)
    assert on.sum() > 200
    assert light[on].mean() == pytest.approx(light[~on].mean(), rel=0.03)
