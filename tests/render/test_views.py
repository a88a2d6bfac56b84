"""What each lens sees and how it moves, judged by Embree and by float64, on a stage that surrounds the camera."""

from dataclasses import replace

import embreex.mesh_construction
import embreex.rtcore_scene
import numpy as np
import pytest
import warp as wp
from pxr import Gf, Sdf, Usd, UsdGeom, UsdLux, UsdShade, Vt  # noqa: TID253

from cosmos.bridge.render.draw.parallel import as_pinhole
from cosmos.bridge.render.draw.view import make_view
from cosmos.bridge.render.draw.visibility import Visibility
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import BUFFERS, Camera, FTheta, Look, OpenCvFisheye, OpenCvPinhole, Orthographic, Pinhole

SIZE = (66, 88)
FISHEYE = [[30.0, 0.0, 45.0], [0.0, 29.0, 32.5], [0.0, 0.0, 1.0]]
LENSES = {
    "pinhole": (Pinhole(), [[60.0, 0.0, 45.0], [0.0, 60.0, 32.0], [0.0, 0.0, 1.0]]),
    "orthographic": (Orthographic(), [[9.0, 0.0, 45.0], [0.0, 9.0, 32.0], [0.0, 0.0, 1.0]]),
    "distorted": (
        OpenCvPinhole(coefficients=(-0.3, 0.1, 0.002, -0.001, -0.02)),
        [[55.0, 0.0, 45.0], [0.0, 55.0, 32.0], [0.0, 0.0, 1.0]],
    ),
    "fisheye": (OpenCvFisheye(coefficients=(0.02, -0.004), max_theta=np.radians(85)), FISHEYE),
    "wide fisheye": (
        FTheta(coefficients=(0.0, 0.04, 1e-4), max_theta=np.radians(110)),
        [[1.0, 0.0, 44.0], [0.0, 1.0, 32.0], [0.0, 0.0, 1.0]],
    ),
}


def make_stage():
    """A room around the camera: a turning box, a falling ball, spinning point instances, and walls."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, "Z")
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(10)
    room = UsdGeom.Cube.Define(stage, "/World/Room")
    room.AddTranslateOp().Set((0.3, 0.2, 2.0))
    room.AddScaleOp().Set((6.0, 5.0, 3.0))
    box = UsdGeom.Cube.Define(stage, "/World/Box")
    box.AddTranslateOp().Set((1.5, 2.5, 0.8))
    turn = box.AddRotateZOp()
    turn.Set(10.0, 0)
    turn.Set(60.0, 10)
    box.AddScaleOp().Set((0.6, 0.4, 0.7))
    ball = UsdGeom.Sphere.Define(stage, "/World/Ball")
    fall = ball.AddTranslateOp()
    fall.Set((-1.4, 2.0, 3.0), 0)
    fall.Set((-1.4, 2.4, 1.0), 10)
    instancer = UsdGeom.PointInstancer.Define(stage, "/World/Points")
    UsdGeom.Cube.Define(stage, "/World/Points/Proto").CreateSizeAttr(0.7)
    instancer.CreatePrototypesRel().AddTarget("/World/Points/Proto")
    instancer.CreateProtoIndicesAttr([0, 0, 0])
    places = instancer.CreatePositionsAttr()
    spins = instancer.CreateOrientationsAttr()
    for time in (0, 10):
        places.Set([Gf.Vec3f(x, -2.0 - 0.05 * time, 1.0 + 0.07 * x * time) for x in (-2.0, 0.0, 2.0)], time)
        half = 0.02 * time
        spins.Set(Vt.QuathArray([Gf.Quath(float(np.cos(half)), 0.0, float(np.sin(half)), 0.0)] * 3), time)
    return stage


@pytest.fixture(scope="module")
def stage():
    return make_stage()


def camera_of(name, time=5.0, size=SIZE):
    """A camera in the middle of the room that turns and moves with time."""
    lens, intrinsics = LENSES[name]
    yaw, pitch = 0.1 + 0.02 * time, -0.1 + 0.01 * time
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    pose = np.eye(4)
    pose[:3, :3] = turn @ tilt @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    pose[:3, 3] = 0.05 * time, -0.5, 1.7 + 0.01 * time
    return Camera(
        prim_path="/Camera",
        height=size[0],
        width=size[1],
        intrinsics=intrinsics,
        cam_to_world=pose,
        lens=lens,
        far=500.0,
    )


def embree(renderer, camera, time):
    """Distance along the ray, id and point of each pixel, by Embree."""
    scene, pose = renderer.scene, renderer._pose(time)
    triangles, owners = [], []
    for row, mesh in enumerate(scene.mesh_of):
        matrix = pose.local_to_world[row]
        points = scene.meshes[mesh].points.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
        triangles.append(points[scene.meshes[mesh].triangles])
        owners.append(np.full(len(triangles[-1]), row + 1))
    triangles, owners = np.concatenate(triangles), np.concatenate(owners)
    starts, rays = camera.rays()
    lit = np.isfinite(rays).all(axis=-1)
    tracer = embreex.rtcore_scene.EmbreeScene()
    embreex.mesh_construction.TriangleMesh(tracer, triangles.astype(np.float32))
    hits = tracer.run(starts[lit].astype(np.float32), rays[lit].astype(np.float32), output=True)
    found = hits["primID"] >= 0
    distance, ids = np.full(lit.shape, np.inf), np.zeros(lit.shape, dtype=int)
    distance[lit] = np.where(found, hits["tfar"], np.inf)
    ids[lit] = np.where(found, owners[np.maximum(hits["primID"], 0)], 0)
    return distance, ids, lit


def interior(ids):
    """Pixels whose eight neighbours show the same instance."""
    padded, same = np.pad(ids, 1, mode="edge"), np.ones(ids.shape, dtype=bool)
    for dy in range(3):
        for dx in range(3):
            same &= padded[dy : dy + ids.shape[0], dx : dx + ids.shape[1]] == ids
    return same


@pytest.mark.parametrize("name", LENSES)
def test_every_lens_sees_what_embree_sees(stage, device, name):
    renderer = Renderer(stage, device=device)
    camera = camera_of(name)
    frame = renderer.render(camera, 5.0)
    distance, ids, lit = embree(renderer, camera, 5.0)
    got = frame.instance_ids.numpy().astype(int)
    inside = interior(ids) & interior(lit.astype(int))
    assert len(np.unique(ids)) >= 3 and inside.mean() > 0.3
    np.testing.assert_array_equal(got[inside], ids[inside])
    forward = -(camera.rays()[1] @ camera.cam_to_world[:3, 2])
    seen = inside & lit & np.isfinite(distance)
    np.testing.assert_allclose(frame.depth.numpy()[seen], (distance * forward)[seen], rtol=2e-5, atol=2e-5)
    assert name != "wide fisheye" or (frame.depth.numpy() < 0.0).any()
    renderer.close()


@pytest.mark.parametrize("name", ["fisheye", "wide fisheye"])
def test_outside_the_image_circle_is_background(stage, name):
    renderer = Renderer(stage, device="cpu")
    camera = camera_of(name)
    frame = renderer.render(camera, 5.0, look=Look(fog=0.4, vignette=0.0))
    dark = ~np.isfinite(camera.rays()[1]).all(axis=-1)
    inner = interior(dark.astype(int)) & dark
    assert 0.05 < dark.mean() < 0.7
    assert np.isinf(frame.depth.numpy()[inner]).all()
    assert not frame.instance_ids.numpy()[inner].any() and not frame.rgb.numpy()[inner].any()
    assert not frame.normals.numpy()[inner].any() and not frame.motion.numpy()[inner].any()
    assert frame.rgb.numpy()[~dark].mean() > 20
    renderer.close()


def test_no_snow_falls_outside_the_image_circle():
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.Cube.Define(stage, "/World/Cube").AddTranslateOp().Set((0.0, 0.0, -400.0))
    renderer, camera = Renderer(stage, device="cpu"), camera_of("fisheye")
    dark = ~np.isfinite(camera.rays()[1]).all(axis=-1)
    look = Look(snow=1.0, rain=1.0, vignette=0.0)
    rgb = {on: renderer.render(camera, 0.0, look=look, particles=on).rgb.numpy().copy() for on in (False, True)}
    assert (rgb[True] != rgb[False])[~dark].mean() > 0.05
    assert not rgb[True][interior(dark.astype(int)) & dark].any()
    renderer.close()


@pytest.mark.parametrize("name", LENSES)
def test_motion_is_within_a_hundredth_of_a_pixel_for_every_lens(stage, name):
    renderer = Renderer(stage, device="cpu")
    now, before = camera_of(name, 5.0), camera_of(name, 4.0)
    frame = renderer.render(now, 5.0, previous=(before, 4.0))
    ids, motion = frame.instance_ids.numpy(), frame.motion.numpy().astype(np.float64)
    distance, _, lit = embree(renderer, now, 5.0)
    starts, rays = now.rays()
    centres = np.stack(np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0])), axis=-1) + 0.5
    checked = set()
    for row in range(len(renderer.scene.drawn)):
        mask = (ids == row + 1) & interior(ids.astype(int)) & lit
        if not mask.any():
            continue
        then, here = (renderer._pose(time).local_to_world[row] for time in (4.0, 5.0))
        move = then @ np.linalg.inv(here)
        points = (starts + rays * distance[..., None])[mask]
        want = before.project(points @ move[:3, :3].T + move[:3, 3]) - centres[mask]
        known = np.isfinite(want).all(axis=1)  # what came into view is left out
        assert known.mean() > 0.8
        np.testing.assert_allclose(motion[mask][known], want[known], atol=0.01)
        assert np.abs(want[known]).max() > 0.05
        checked.add(renderer.scene.drawn[row].prim_path)
    assert len(checked) >= 3
    renderer.close()


def test_motion_of_the_sky_follows_the_lens():
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.Cube.Define(stage, "/World/Cube").AddTranslateOp().Set((0.0, 0.0, -400.0))
    renderer = Renderer(stage, device="cpu")
    for name in LENSES:
        now, before = camera_of(name, 5.0), camera_of(name, 3.0)
        motion = renderer.render(now, 0.0, previous=(before, 0.0)).motion.numpy()
        rays = now.rays()[1]
        want = before.project(before.cam_to_world[:3, 3] + 1e7 * rays) - (
            np.stack(np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0])), axis=-1) + 0.5)  # fmt: skip
        known = np.isfinite(want).all(axis=-1)
        if name == "orthographic":  # all parallel rays end in one point of the sky
            want, known = np.zeros_like(want), np.ones_like(known)
        assert known.mean() > 0.3
        np.testing.assert_allclose(motion[known], want[known], atol=0.01)
    renderer.close()


@pytest.mark.parametrize("name", ["orthographic", "wide fisheye"])
def test_bands_do_not_change_a_bit(stage, name):
    frames = []
    for threads in (1, 3):
        renderer = Renderer(stage, device="cpu", threads=threads)
        frame = renderer.render(camera_of(name, 5.0), 5.0, previous=(camera_of(name, 4.0), 4.0))
        frames.append({buffer: getattr(frame, buffer).numpy().copy() for buffer in BUFFERS})
        renderer.close()
    for buffer in BUFFERS:
        np.testing.assert_array_equal(frames[0][buffer], frames[1][buffer], err_msg=buffer)


def rig(time, size=(24, 32), count=5):
    """Small cameras of every lens in one place, turned apart."""
    made = []
    for index in range(count):
        name = list(LENSES)[index % len(LENSES)]
        camera = camera_of(name, time + index, size)
        k = np.array(camera.intrinsics)
        k[0] *= size[1] / SIZE[1]
        k[1] *= size[0] / SIZE[0]
        made.append(replace(camera, prim_path=f"/Rig{index}", intrinsics=k))
    return made


def test_tiles_equal_single_pictures(stage, device):
    renderer = Renderer(stage, device=device)
    cameras = rig(5.0)
    tiles = renderer.render_tiles(cameras, 5.0, annotators=("depth", "normals", "semantic_ids", "instance_ids", "rgb"))
    got = {name: tiles[name].numpy().copy() for name in tiles}
    for index, camera in enumerate(cameras):
        frame = renderer.render(camera, 5.0)
        ids = frame.instance_ids.numpy()
        assert len(np.unique(ids)) >= 2
        inside = interior(ids.astype(int))
        for name in ("instance_ids", "semantic_ids"):
            np.testing.assert_array_equal(got[name][index][inside], getattr(frame, name).numpy()[inside])
        turned = 1.0 - np.sum(got["normals"][index] * frame.normals.numpy(), axis=-1)[inside & (ids > 0)]
        assert np.mean(turned < 1e-5) > 0.97  # a ray beside an edge may meet the other face
        np.testing.assert_allclose(got["depth"][index][inside], frame.depth.numpy()[inside], rtol=1e-5, atol=1e-5)
        off = np.abs(got["rgb"][index].astype(int) - frame.rgb.numpy())
        assert np.percentile(off, 90) <= 2
    renderer.close()


def test_tiles_match_embree_and_follow_time(stage):
    renderer = Renderer(stage, device="cpu")
    for time in (0.0, 10.0):
        cameras = rig(time)
        length = renderer.render_tiles(cameras, time, annotators=("distance_to_camera",))["distance_to_camera"].numpy()
        tiles = renderer.render_tiles(cameras, time)
        assert list(tiles) == ["depth", "instance_ids"]
        depth, got = tiles["depth"].numpy(), tiles["instance_ids"].numpy()
        assert depth.shape == got.shape == (5, 24, 32)
        for index, camera in enumerate(cameras):
            distance, ids, lit = embree(renderer, camera, time)
            inside = interior(ids) & interior(lit.astype(int))
            np.testing.assert_array_equal(got[index][inside], ids[inside])
            seen = inside & lit & np.isfinite(distance)
            forward = -(camera.rays()[1] @ camera.cam_to_world[:3, 2])
            np.testing.assert_allclose(depth[index][seen], (distance * forward)[seen], rtol=2e-5, atol=2e-5)
            starts, rays = camera.rays()
            away = np.linalg.norm((starts + rays * distance[..., None])[seen] - camera.cam_to_world[:3, 3], axis=-1)
            np.testing.assert_allclose(length[index][seen], away, rtol=2e-5, atol=2e-5)
    renderer.close()


def test_tiles_are_one_array_that_torch_reads_in_place(stage):
    torch = pytest.importorskip("torch")
    renderer = Renderer(stage, device="cpu")
    tiles = renderer.render_tiles(rig(0.0), 0.0)
    tensor = wp.to_torch(tiles["depth"])
    assert tensor.data_ptr() == tiles["depth"].ptr and tensor.shape == torch.Size([5, 24, 32])
    again = renderer.render_tiles(rig(3.0), 3.0)
    assert again["depth"].ptr == tiles["depth"].ptr
    renderer.close()


def test_tiles_refuse_what_they_cannot_draw(stage):
    renderer = Renderer(stage, device="cpu")
    with pytest.raises(ValueError, match="instance_ids, distance_to_camera and rgb, got 5 cameras and motion"):
        renderer.render_tiles(rig(0.0), 0.0, annotators=("depth", "motion"))
    with pytest.raises(ValueError, match="got 0 cameras"):
        renderer.render_tiles([], 0.0)
    with pytest.raises(ValueError, match="cameras of one size"):
        renderer.render_tiles([*rig(0.0), camera_of("pinhole")], 0.0)
    with pytest.raises(ValueError, match="needs size"):
        renderer.render_tiles(["/World/Camera"], 0.0)
    renderer.close()


def test_views_of_one_step_live_side_by_side(stage):
    renderer = Renderer(stage, device="cpu")
    now, before = rig(5.0, count=3), rig(4.0, count=3)
    frames = renderer.render_views(now, 5.0, previous=(before, 4.0))
    kept = [{name: getattr(frame, name).numpy().copy() for name in BUFFERS} for frame in frames]
    for index in range(3):
        alone = renderer.render(now[index], 5.0, previous=(before[index], 4.0))
        for name in BUFFERS:
            np.testing.assert_array_equal(kept[index][name], getattr(alone, name).numpy(), err_msg=name)
    with pytest.raises(ValueError, match="one for each of the 3, got 2"):
        renderer.render_views(now, 5.0, previous=(before[:2], 4.0))
    renderer.close()


def test_stereo_disparity_is_focal_length_times_baseline_over_depth(stage):
    renderer = Renderer(stage, device="cpu")
    left = camera_of("pinhole")
    pose = np.array(left.cam_to_world)
    pose[:3, 3] += 0.12 * pose[:3, 0]
    right = replace(left, prim_path="/Right", cam_to_world=pose)
    first, second = renderer.render_views([left, right], 5.0, one_exposure=True)
    assert [frame.camera.prim_path for frame in (first, second)] == ["/Camera", "/Right"]
    depth = first.depth.numpy().astype(np.float64)
    disparity = 60.0 * 0.12 / depth
    rows, columns = np.nonzero(interior(first.instance_ids.numpy().astype(int)))
    there = np.rint(columns + 0.5 - disparity[rows, columns] - 0.5).astype(int)
    inside = there >= 1
    ids = second.instance_ids.numpy()[rows[inside], there[inside]]
    assert np.mean(ids == first.instance_ids.numpy()[rows[inside], columns[inside]]) > 0.97
    renderer.close()


def test_one_exposure_makes_a_pair_match(stage):
    renderer = Renderer(stage, device="cpu")
    wide = camera_of("pinhole")
    k = np.array(wide.intrinsics)
    k[0, 0] = k[1, 1] = 600.0
    tele = replace(wide, prim_path="/Tele", intrinsics=k)
    centre = (slice(30, 34), slice(43, 47))  # both see the same wall there

    def difference(one_exposure):
        frames = renderer.render_views([wide, tele], 5.0, look=look, one_exposure=one_exposure)
        here, there = (frame.rgb.numpy()[centre].mean() for frame in frames)
        return abs(here - there)

    look = Look(sun_elevation=50.0, vignette=0.0, detail=0.0)
    assert difference(True) < 2.0 < difference(False)
    renderer.close()


def test_a_camera_brightens_what_was_metered_and_scale_replaces_the_meter():
    stage = make_stage()
    lamp = UsdLux.SphereLight.Define(stage, "/World/Lamp")
    lamp.AddTranslateOp().Set((0.0, 1.0, 4.0))
    lamp.CreateIntensityAttr(20.0)
    renderer = Renderer(stage, device="cpu")
    camera = camera_of("pinhole")
    linear = [
        renderer.render(replace(camera, exposure=ev, exposure_scale=scale), 5.0).details.linear().numpy().astype(float)
        for ev, scale in ((0.0, None), (1.0, None), (0.0, 0.25), (3.0, 0.5))
    ]
    lit = (linear[0] > 0.01) & (linear[1] < 60.0)
    assert lit.mean() > 0.5
    np.testing.assert_allclose(linear[1][lit], 2.0 * linear[0][lit], rtol=0.01)
    np.testing.assert_allclose(linear[3][lit], 2.0 * linear[2][lit], rtol=0.01)
    renderer.close()


@pytest.mark.parametrize(("near", "far"), [(0.01, 500.0), (1.2, 500.0), (0.01, 2.9), (40.0, 60.0)])
def test_parallel_rays_and_the_rasteriser_see_the_same(device, near, far):
    stage = make_stage()
    UsdGeom.Gprim.Get(stage, "/World/Box").CreateDoubleSidedAttr(False)
    holes = UsdGeom.Mesh.Define(stage, "/World/Net")  # cut out by its opacity: half of it can be looked through
    holes.CreatePointsAttr([(-2, 0.6, 1), (2, 0.6, 1), (2, 0.6, 3), (-2, 0.6, 3)])
    holes.CreateFaceVertexCountsAttr([3, 3])
    holes.CreateFaceVertexIndicesAttr([0, 1, 2, 0, 2, 3])
    material = UsdShade.Material.Define(stage, "/World/Cut")
    surface = UsdShade.Shader.Define(stage, "/World/Cut/Surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("opacity", Sdf.ValueTypeNames.Float).Set(0.2)
    surface.CreateInput("opacityThreshold", Sdf.ValueTypeNames.Float).Set(0.5)
    material.CreateSurfaceOutput().ConnectToSource(surface.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(holes.GetPrim()).Bind(material)
    renderer = Renderer(stage, device=device)
    world = renderer._world
    camera = replace(camera_of("orthographic"), near=near, far=far)
    found = []
    for rays in (False, True):
        depths = wp.empty(SIZE, dtype=wp.float32, device=device)
        triangles = wp.empty(SIZE, dtype=wp.int32, device=device)
        Visibility(world, world.bands, rays=rays).find(make_view(camera, world.origin), depths, triangles)
        found.append((depths.numpy(), triangles.numpy()))
    same = found[0][1] == found[1][1]
    assert same.mean() > 0.995  # ties on shared edges may fall either way
    np.testing.assert_allclose(found[0][0][same], found[1][0][same], rtol=1e-5)
    assert far == 60.0 or (found[0][1] >= 0).mean() > 0.1
    renderer.close()


def test_a_world_too_deep_for_the_map_is_seen_by_rays(stage):
    renderer = Renderer(stage, device="cpu")
    view = make_view(camera_of("orthographic"), renderer._world.origin)
    assert as_pinhole(view, renderer._world).limit > 4.0
    deep = make_stage()
    UsdGeom.Cube.Define(deep, "/World/Far").AddTranslateOp().Set((0.0, 900.0, 0.0))
    other = Renderer(deep, device="cpu")
    assert as_pinhole(make_view(camera_of("orthographic"), other._world.origin), other._world) is None
    for made in (renderer, other):
        made.close()
