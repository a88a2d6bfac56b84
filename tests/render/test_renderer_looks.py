"""The colour picture: what light, weather and seed do to it, and what they must leave alone."""

import numpy as np
import pytest
import warp as wp
from pxr import Gf, Sdf, Usd, UsdGeom, UsdLux, UsdShade  # noqa: TID253

from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import Look

wp.config.quiet = True

SIZE = (72, 128)


def author(*, lights=True, roof=False, up="Z", lamp=False):
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)

    def at(x, y, z):
        return Gf.Vec3d(x, y, z) if up == "Z" else Gf.Vec3d(x, z, -y)

    def scaled(x, y, z):
        return Gf.Vec3f(x, y, z) if up == "Z" else Gf.Vec3f(x, z, y)

    def cube(name, place, scale, color):
        shape = UsdGeom.Cube.Define(stage, f"/World/{name}")
        shape.CreateSizeAttr(1.0)
        shape.AddTranslateOp().Set(at(*place))
        shape.AddScaleOp().Set(scaled(*scale))
        material = UsdShade.Material.Define(stage, f"/World/Looks/{name}")
        shader = UsdShade.Shader.Define(stage, f"/World/Looks/{name}/Surface")
        shader.CreateIdAttr("UsdPreviewSurface")
        shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(*color))
        shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(0.7)
        material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
        UsdShade.MaterialBindingAPI.Apply(shape.GetPrim()).Bind(material)

    cube("Ground", (0, 0, -0.5), (120, 120, 1), (0.35, 0.35, 0.33))
    cube("Crate", (0.0, 0.0, 0.6), (1.2, 1.2, 1.2), (0.6, 0.3, 0.15))
    cube("Far", (-6.0, 30.0, 3.0), (8, 2, 6), (0.5, 0.5, 0.55))
    if roof:
        cube("Roof", (0, 0, 4.5), (120, 120, 0.4), (0.5, 0.5, 0.5))
    if lights:
        sun = UsdLux.DistantLight.Define(stage, "/World/Sun")
        sun.CreateIntensityAttr(3.0)
        tilt = (50.0, 0.0, 30.0) if up == "Z" else (-40.0, 30.0, 0.0)
        UsdGeom.Xformable(sun).AddRotateXYZOp().Set(Gf.Vec3f(*tilt))
        UsdLux.DomeLight.Define(stage, "/World/Dome").CreateIntensityAttr(0.6)
    if lamp:
        rect = UsdLux.RectLight.Define(stage, "/World/Lamp")
        rect.CreateIntensityAttr(40.0)
        rect.CreateWidthAttr(1.0)
        rect.CreateHeightAttr(1.0)
        UsdGeom.Xformable(rect).AddTranslateOp().Set(at(1.5, -1.5, 4.0))
        if up == "Y":
            UsdGeom.Xformable(rect).AddRotateXOp().Set(-90.0)
    camera = UsdGeom.Camera.Define(stage, "/World/Camera")
    camera.CreateFocalLengthAttr(24.0)
    camera.AddTranslateOp().Set(at(2.5, -9.0, 2.0))
    camera.AddRotateXYZOp().Set(Gf.Vec3f(82.0, 0.0, 12.0) if up == "Z" else Gf.Vec3f(-8.0, 12.0, 0.0))
    return stage


@pytest.fixture(scope="module")
def renderer():
    made = Renderer(author(), device="cpu")
    yield made
    made.close()


def picture(renderer, look=None, time_code=0.0, **options):
    return renderer.render("/World/Camera", time_code, size=SIZE, look=look, **options).rgb.numpy().copy()


def luma(rgb):
    return rgb.astype(np.float64) @ (0.2126, 0.7152, 0.0722)


def test_a_look_changes_the_picture_and_nothing_else(renderer):
    plain = renderer.render("/World/Camera", 0.0, size=SIZE)
    kept = {name: getattr(plain, name).numpy().copy() for name in ("depth", "normals", "instance_ids", "semantic_ids")}
    rgb = plain.rgb.numpy().copy()
    for look in (Look(), Look(sun_elevation=-12.0), Look(fog=0.6), Look(snow=0.9), Look(rain=0.9), Look(dust=0.8)):
        frame = renderer.render("/World/Camera", 0.0, size=SIZE, look=look)
        assert np.abs(frame.rgb.numpy().astype(int) - rgb).mean() > 4.0
        for name, values in kept.items():
            np.testing.assert_array_equal(getattr(frame, name).numpy(), values)


def test_the_same_look_gives_the_same_pixels_whatever_was_drawn_before(renderer):
    look = Look(snow=0.4, noise=0.5, seed=11)
    first = picture(renderer, look, 3.0)
    picture(renderer, Look(sun_elevation=5.0), 1.0)
    np.testing.assert_array_equal(picture(renderer, look, 3.0), first)
    fresh = Renderer(author(), device="cpu")
    np.testing.assert_array_equal(picture(fresh, look, 3.0), first)
    fresh.close()


def test_night_is_darker_than_dusk_and_dusk_than_day(renderer):
    means = [luma(picture(renderer, Look(sun_elevation=e))).mean() for e in (-15.0, -4.0, 40.0)]
    assert means[0] < 0.85 * means[1]
    assert means[0] < 0.8 * means[2]
    assert 60.0 < means[2] < 190.0


def test_low_sun_is_warm_and_the_day_sky_is_blue(renderer):
    sky = renderer.render("/World/Camera", 0.0, size=SIZE).instance_ids.numpy() == 0
    low = picture(renderer, Look(sun_elevation=3.0, sun_azimuth=100.0))[sky].mean(axis=0)
    high = picture(renderer, Look(sun_elevation=50.0))[sky].mean(axis=0)
    assert low[0] > low[2] + 5.0
    assert high[2] > high[0] + 20.0


def test_shadow_falls_away_from_the_sun(renderer):
    frame = renderer.render("/World/Camera", 0.0, size=SIZE)
    ids, depth, camera = frame.instance_ids.numpy(), frame.depth.numpy(), frame.camera
    k = camera.intrinsics
    u, v = np.meshgrid(np.arange(SIZE[1]) + 0.5, np.arange(SIZE[0]) + 0.5)
    local = np.stack([(u - k[0, 2]) / k[0, 0], (k[1, 2] - v) / k[1, 1], -np.ones_like(u)], axis=-1)
    local = local * np.where(np.isfinite(depth), depth, 0.0)[..., None]
    world = local @ camera.cam_to_world[:3, :3].T + camera.cam_to_world[:3, 3]
    ground = ids == 1
    for azimuth in (0.0, 180.0):
        image = luma(picture(renderer, Look(sun_elevation=40.0, sun_azimuth=azimuth, detail=0.0)))
        side = 1.0 if azimuth == 0.0 else -1.0
        strip = ground & (np.abs(world[..., 1]) < 0.45)
        shaded = strip & (side * world[..., 0] < -0.75) & (side * world[..., 0] > -1.3)
        sunny = strip & (side * world[..., 0] > 0.75) & (side * world[..., 0] < 1.3)
        assert shaded.sum() > 3 and sunny.sum() > 3
        assert image[shaded].mean() < 0.7 * image[sunny].mean()


def test_fog_hides_the_far_and_spares_the_near(renderer):
    ids = renderer.render("/World/Camera", 0.0, size=SIZE).instance_ids.numpy()

    def contrast(look):
        image = luma(picture(renderer, look))
        return [abs(image[ids == part].mean() - image[ids == 0].mean()) for part in (2, 3)]

    clear, thick = contrast(Look(overcast=0.8)), contrast(Look(overcast=0.8, fog=0.6))
    assert thick[1] < 0.25 * clear[1]
    assert thick[0] > thick[1]


def test_snow_lies_on_upward_faces_only(renderer):
    frame = renderer.render("/World/Camera", 0.0, size=SIZE)
    ids, up = frame.instance_ids.numpy(), frame.normals.numpy()[..., 2]
    bare = luma(picture(renderer, Look(overcast=0.9), particles=False))
    white = picture(renderer, Look(overcast=0.9, snow=1.0), particles=False)
    top, side = (ids == 2) & (up > 0.9), (ids == 2) & (np.abs(up) < 0.1)
    traced = picture(renderer, Look(overcast=0.9, snow=1.0), particles=False, quality="reference", samples=16)
    assert luma(white)[top].mean() > bare[top].mean() + 12.0
    assert abs(luma(white)[top].mean() - luma(traced)[top].mean()) < 6.0
    spread = white[side].astype(int).max(axis=1) - white[side].astype(int).min(axis=1)
    assert spread.mean() > 15.0  # still the colour of wood


def test_snow_does_not_fall_through_a_roof():
    covered = Renderer(author(roof=True, lamp=True), device="cpu")
    with_snow, without = (picture(covered, Look(overcast=0.5, snow=s)) for s in (1.0, 0.0))
    crate = covered.render("/World/Camera", 0.0, size=SIZE).instance_ids.numpy() == 2
    assert np.abs(with_snow[crate].astype(int) - without[crate]).mean() < 12.0
    covered.close()


def test_rain_makes_the_ground_mirror(renderer):
    ids = renderer.render("/World/Camera", 0.0, size=SIZE).instance_ids.numpy()
    dry = luma(picture(renderer, Look(overcast=0.9, detail=0.0), particles=False))
    wet = luma(picture(renderer, Look(overcast=0.9, rain=1.0, detail=0.0), particles=False))
    ground = ids == 1
    assert wet[ground].std() > 1.5 * dry[ground].std()


def test_particles_can_be_left_out_and_move_with_time(renderer):
    look = Look(snow=0.8, overcast=0.5)
    without = picture(renderer, look, 0.0, particles=False)
    np.testing.assert_array_equal(picture(renderer, look, 1.0, particles=False), without)
    first, later = picture(renderer, look, 0.0), picture(renderer, look, 1.0)
    assert np.abs(first.astype(int) - without).max() > 15
    assert np.abs(first.astype(int) - later).max() > 15


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("overcast", 1.0),
        ("detail", 0.0),
        ("exposure", 1.0),
        ("noise", 1.0),
        ("vignette", 1.0),
        ("lens_dirt", 1.0),
        ("seed", 5),
    ],
)
def test_every_other_setting_reaches_the_picture(renderer, name, value):
    base = picture(renderer, Look())
    changed = picture(renderer, Look(**{name: value}))
    assert np.abs(changed.astype(int) - base).mean() > 0.5


def test_exposure_is_in_stops(renderer):
    means = [luma(picture(renderer, Look(exposure=ev))).mean() for ev in (-2.0, 0.0, 1.0)]
    assert means[0] < 0.65 * means[1] and means[1] < means[2]


def test_detail_stays_on_its_surface(renderer):
    """A camera that shifts sees the same grain at the same place of the crate."""
    look = Look(noise=0.0, vignette=0.0)
    frame = renderer.render("/World/Camera", 0.0, size=(144, 256), look=look)
    ids, image = frame.instance_ids.numpy().copy(), luma(frame.rgb.numpy())
    depth = frame.depth.numpy().copy()
    camera = frame.camera
    moved = camera.cam_to_world.copy()
    moved[:3, 3] += moved[:3, 0] * 0.35
    other = type(camera)(
        prim_path=camera.prim_path,
        height=144,
        width=256,
        intrinsics=camera.intrinsics,
        cam_to_world=moved,
        near=camera.near,
        far=camera.far,
    )
    second = renderer.render(other, 0.0, look=look, previous=(camera, 0.0))
    motion, ids2, image2 = second.motion.numpy(), second.instance_ids.numpy(), luma(second.rgb.numpy())
    assert np.isfinite(depth[ids == 2]).all()
    y, x = np.nonzero((ids2 == 2) & (np.abs(second.normals.numpy()[..., 2]) < 0.1))
    px, py = (x + 0.5 + motion[y, x, 0]).astype(int), (y + 0.5 + motion[y, x, 1]).astype(int)
    keep = (px >= 0) & (px < 256) & (py >= 0) & (py < 144)
    keep[keep] &= ids[py[keep], px[keep]] == 2
    here, there = image2[y[keep], x[keep]], image[py[keep], px[keep]]
    still = image[y[keep], x[keep]]
    assert np.abs(here - there).mean() < np.abs(here - still).mean()
    assert np.corrcoef(here, there)[0, 1] > 0.8


def test_a_stage_without_lights_gets_a_sky_and_says_so(renderer):
    assert not any("no light" in note for note in renderer.notes)
    dark = Renderer(author(lights=False), device="cpu")
    assert any("sky and a sun were added" in note for note in dark.notes)
    image = luma(picture(dark))
    assert 50.0 < image.mean() < 210.0
    dark.close()


def test_the_lamp_of_the_stage_lights_its_surroundings():
    lit = Renderer(author(roof=True, lights=False, lamp=True), device="cpu")
    ids = lit.render("/World/Camera", 0.0, size=SIZE).instance_ids.numpy()
    for look in (None, Look(sun_elevation=-12.0)):
        image = luma(picture(lit, look))
        near, far = image[(ids == 2)].mean(), image[(ids == 3)].mean()
        assert near > 1.5 * far
    lit.close()


def test_both_up_axes_draw_the_same_picture(renderer):
    turned = Renderer(author(up="Y"), device="cpu")
    for look in (Look(sun_elevation=30.0, sun_azimuth=70.0, detail=0.0, vignette=0.0), Look(fog=0.5, detail=0.0)):
        a, b = picture(renderer, look).astype(int), picture(turned, look).astype(int)
        assert np.abs(a - b).mean() < 2.0
    turned.close()


def test_edges_are_smoother_than_the_id_picture(renderer):
    """Along the crate's silhouette against what lies behind, colours between the two occur."""
    frame = renderer.render("/World/Camera", 0.0, size=SIZE, look=Look(detail=0.0, overcast=1.0))
    ids, image = frame.instance_ids.numpy(), luma(frame.rgb.numpy())
    sky, far = image[(ids == 0)].mean(), np.median(image[ids == 3])
    rows, columns = np.nonzero((ids[:, 1:] != ids[:, :-1]) & np.isin(ids[:, 1:] + ids[:, :-1], (3,)))
    border = np.concatenate([image[rows, columns], image[rows, columns + 1]])
    low, high = min(sky, far), max(sky, far)
    between = (border > low + 0.15 * (high - low)) & (border < high - 0.15 * (high - low))
    assert len(border) > 10 and between.mean() > 0.05


@pytest.mark.parametrize("name", ["overcast", "fog", "rain", "snow", "dust", "noise", "vignette", "lens_dirt"])
def test_every_strength_starts_from_nothing(renderer, name):
    """A thousandth of an effect is next to none: no effect jumps in."""
    none, hint = (picture(renderer, Look(**{"vignette": 0.0, name: s}), particles=False) for s in (0.0, 1e-3))
    assert np.percentile(np.abs(hint.astype(int) - none), 99.9) <= 6  # a shadow may move by a ray
    assert np.abs(hint.astype(int) - none).mean() < 0.7


def test_fog_is_neither_white_nor_flat(renderer):
    """Thick fog is a middle grey, lighter towards the sun."""
    for fog in (0.3, 0.6, 0.9):
        assert 105.0 < luma(picture(renderer, Look(fog=fog, overcast=0.3))).mean() < 190.0
    sky = renderer.render("/World/Camera", 0.0, size=SIZE).instance_ids.numpy() == 0
    ahead, behind = (
        luma(picture(renderer, Look(fog=0.2, sun_elevation=15.0, sun_azimuth=azimuth, vignette=0.0)))[sky].mean()
        for azimuth in (102.0, 282.0)
    )
    assert ahead > 1.15 * behind


def test_headlights_do_not_burn_out_what_is_near():
    wall = author(lights=False)
    UsdGeom.Cube.Define(wall, "/World/Near").AddTranslateOp().Set(Gf.Vec3d(2.5, -3.5, 2.0))
    close = Renderer(wall, device="cpu")
    assert luma(picture(close, Look(sun_elevation=-15.0))).mean() < 150.0
    close.close()


def test_light_through_a_door_fades_without_steps():
    """On the wall of a dark hall that is open at one end, neighbouring pixels differ little."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, "Z")
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    parts = {"Floor": ((0, 10, -0.1), (8, 30, 0.2)), "Roof": ((0, 10, 4.1), (8, 30, 0.2)),
             "Left": ((-4, 10, 2), (0.2, 30, 4)), "Right": ((4, 10, 2), (0.2, 30, 4)),
             "End": ((0, 25, 2), (8, 0.2, 4))}  # fmt: skip
    for name, (place, scale) in parts.items():
        cube = UsdGeom.Cube.Define(stage, f"/World/{name}")
        cube.CreateSizeAttr(1.0)
        cube.AddTranslateOp().Set(Gf.Vec3d(*place))
        cube.AddScaleOp().Set(Gf.Vec3f(*scale))
    UsdLux.DomeLight.Define(stage, "/World/Dome").CreateIntensityAttr(1.0)
    camera = UsdGeom.Camera.Define(stage, "/World/Camera")
    camera.AddTranslateOp().Set(Gf.Vec3d(2.5, -3.0, 2.0))
    camera.AddRotateXYZOp().Set(Gf.Vec3f(90.0, 0.0, 22.0))
    hall = Renderer(stage, device="cpu")
    frame = hall.render("/World/Camera", 0.0, size=(544, 960))
    names = {instance.id: instance.prim_path for instance in hall.scene.drawn}
    wall = frame.instance_ids.numpy() == next(key for key, path in names.items() if path.endswith("Left"))
    image = luma(frame.rgb.numpy())
    steps = np.abs(np.diff(image, axis=1))[wall[:, 1:] & wall[:, :-1]]
    assert np.ptp(image[wall]) > 25.0  # it does fade
    assert np.percentile(steps, 99.9) < 6.5
    hall.close()
