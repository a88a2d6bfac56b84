import hashlib
import os
import time

import cv2
import numpy as np
import pytest
import warp as wp
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, UsdUtils, UsdValidation  # noqa: TID253

from cosmos.bridge.errors import JobCancelled, SinkError
from cosmos.bridge.render.usd.stage import StageReader
from cosmos.bridge.sinks.base import Sink
from cosmos.bridge.sinks.dataset import DatasetSink
from cosmos.bridge.sinks.screen import (
    Screen,
    author_camera,
    author_screen,
    screen_corners,
    screen_distance,
    screen_grid,
)
from cosmos.bridge.sinks.stage import StageSink
from cosmos.bridge.sinks.stage_facts import StageFacts
from cosmos.bridge.types import Camera, FTheta, OpenCvPinhole, Orthographic


def write_stage(path, *, up="Y", metres=1.0, rate=24.0, camera="/World/Camera"):
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, metres)
    stage.SetTimeCodesPerSecond(rate)
    stage.SetStartTimeCode(1)
    stage.SetEndTimeCode(8)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
    UsdGeom.Cube.Define(stage, "/World/Cube").CreateExtentAttr([(-1, -1, -1), (1, 1, 1)])
    if camera:
        UsdGeom.Camera.Define(stage, camera)
    stage.Save()
    return path


def errors_of(path):
    context = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())
    return [f"{error.GetName()}: {error.GetMessage()}" for error in context.Validate(Usd.Stage.Open(str(path)))]


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "up", "metres", "rate"),
    [("scene.usda", "Y", 1.0, 24.0), ("scene.usdc", "Z", 0.01, 60.0), ("scene.usdz", "Y", 0.0254, 30.0)],
)
def test_results_lie_over_any_stage_and_leave_it_as_it_was(tmp_path, augmentation, clip, name, up, metres, rate):
    if name.endswith("z"):
        write_stage(tmp_path / "inner.usdc", up=up, metres=metres, rate=rate)
        assert UsdUtils.CreateNewUsdzPackage(str(tmp_path / "inner.usdc"), str(tmp_path / name))
    else:
        write_stage(tmp_path / name, up=up, metres=metres, rate=rate)
    before, out = sha(tmp_path / name), tmp_path / "out"
    made = augmentation(clip=clip(5, 35, 63))
    sink, dataset = StageSink(out, stage_path=tmp_path / name), DatasetSink(out, run={})
    sink.write(made)
    dataset.write(made)
    sink.close()
    sink.close()
    dataset.close()
    assert isinstance(sink, Sink) and sha(tmp_path / name) == before
    assert errors_of(out / "stage.usda") == []
    stage = Usd.Stage.Open(str(out / "stage.usda"))
    assert UsdGeom.GetStageUpAxis(stage) == up and UsdGeom.GetStageMetersPerUnit(stage) == pytest.approx(metres)
    assert stage.GetTimeCodesPerSecond() == rate and stage.GetDefaultPrim().GetName() == "World"
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (1, 8)
    camera = stage.GetPrimAtPath("/World/Camera")
    video = camera.GetAttribute("cosmos:augmented:video").Get()
    assert video.path == "./clip_0000/augmented.mp4" and os.path.isfile(video.resolvedPath)
    for prim, attribute in (
        (camera, "cosmos:augmented:frames"),
        (stage.GetPrimAtPath("/CosmosBridge/clip_0000/Material/Texture"), "inputs:file"),
    ):
        frames = prim.GetAttribute(attribute)
        assert frames.GetTimeSamples() == [1.0, 2.0, 3.0, 4.0, 5.0]
        shown = cv2.imread(frames.Get(3).resolvedPath)[..., ::-1]
        np.testing.assert_array_equal(shown, made.result.rgb.numpy()[2])


def test_leaving_the_layer_out_leaves_nothing_of_ours(tmp_path, augmentation):
    source = write_stage(tmp_path / "scene.usda")
    sink = StageSink(tmp_path / "out", stage_path=source)
    sink.write(augmentation())
    layer = Sdf.Layer.OpenAsAnonymous(str(tmp_path / "out" / "stage.usda"))
    layer.subLayerPaths = [str(source)]
    stage = Usd.Stage.Open(layer)
    bare = Usd.Stage.Open(str(source))
    assert [str(prim.GetPath()) for prim in stage.Traverse()] == [str(prim.GetPath()) for prim in bare.Traverse()]
    assert not stage.GetPrimAtPath("/World/Camera").HasAttribute("cosmos:augmented:frames")


@pytest.mark.parametrize("metres", [1.0, 0.01])
def test_the_screen_fills_the_cameras_picture(tmp_path, augmentation, clip, metres):
    source = write_stage(tmp_path / "scene.usda", metres=metres)
    made = augmentation(clip=clip(4, 36, 64))
    StageSink(tmp_path / "out", stage_path=source).write(made)
    stage = Usd.Stage.Open(str(tmp_path / "out" / "stage.usda"))
    prim = stage.GetPrimAtPath("/CosmosBridge/clip_0000/Screen")
    corners_uv = {(0, 0): (0, 36), (1, 0): (64, 36), (1, 1): (64, 0), (0, 1): (0, 0)}
    st = UsdGeom.PrimvarsAPI(prim).GetPrimvar("st").Get()
    for t, camera in enumerate(made.request.clip.cameras):
        to_world = UsdGeom.Imageable(prim).ComputeLocalToWorldTransform(float(t + 1))
        for point, uv in zip(UsdGeom.Mesh(prim).GetPointsAttr().Get(float(t + 1)), st, strict=True):
            world = np.array(to_world.Transform(Gf.Vec3d(point))) * metres
            q = np.linalg.inv(camera.cam_to_world) @ [*world, 1.0]
            u = camera.intrinsics[0, 0] * q[0] / -q[2] + camera.intrinsics[0, 2]
            v = camera.intrinsics[1, 2] - camera.intrinsics[1, 1] * q[1] / -q[2]
            assert (u, v) == pytest.approx(corners_uv[tuple(int(x) for x in uv)], abs=2e-2)
            assert camera.near < -q[2] < 3.0  # before everything that is seen
    material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
    assert material.ComputeSurfaceSource()[0].GetIdAttr().Get() == "UsdPreviewSurface"
    assert UsdGeom.Imageable(prim).ComputePurpose() == "guide"


def test_a_zooming_camera_moves_the_corners(clip):
    base = clip(2).cameras
    lens = base[1].intrinsics.copy()
    lens[0, 0] *= 2
    zoomed = Camera(
        prim_path="/C", height=36, width=64, intrinsics=lens, cam_to_world=base[1].cam_to_world, near=0.1, far=100.0
    )
    layer = Sdf.Layer.CreateAnonymous(".usda")
    screen = Screen(
        path="/A",
        cameras=(base[0], zoomed),
        time_codes=np.array([1.0, 2.0]),
        frames=("a", "b"),
        distance=1.0,
        metres_per_unit=1.0,
        visible=True,
    )
    author_screen(layer, screen)
    author_screen(layer, screen)
    stage = Usd.Stage.Open(layer)
    points = UsdGeom.Mesh(stage.GetPrimAtPath("/A/Screen")).GetPointsAttr()
    np.testing.assert_allclose(points.Get(2.0), screen_corners(zoomed, 1.0), atol=1e-6)
    assert not np.allclose(points.Get(1.0), points.Get(2.0))


LENSES = [
    (Orthographic(), 30.0),
    (OpenCvPinhole(coefficients=(-0.3, 0.1)), 50.0),
    (FTheta(coefficients=(0.0, 0.05), max_theta=1.8), 1.0),
]


def bent(lens, scale, *, turn=0.0):
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    pose[:3, 3] = 1.0, 2.0, 3.0
    lens_matrix = [[scale, 0.0, 33.0], [0.0, scale, 17.0], [0.0, 0.0, 1.0]]
    return Camera(prim_path="/C", height=36, width=64, intrinsics=lens_matrix, cam_to_world=pose, near=0.1, lens=lens)


@pytest.mark.parametrize(("lens", "scale"), LENSES, ids=lambda value: getattr(value, "name", ""))
def test_the_screen_of_every_lens_covers_its_picture(lens, scale):
    camera, layer = bent(lens, scale, turn=0.4), Sdf.Layer.CreateAnonymous(".usda")
    screen = Screen(
        path="/A",
        cameras=(camera,),
        time_codes=np.array([1.0]),
        frames=("a",),
        distance=0.7,
        metres_per_unit=0.01,
        visible=True,
    )
    author_screen(layer, screen)
    stage = Usd.Stage.Open(layer)
    prim = stage.GetPrimAtPath("/A/Screen")
    mesh, to_world = UsdGeom.Mesh(prim), UsdGeom.Imageable(prim).ComputeLocalToWorldTransform(1.0)
    world = np.array([to_world.Transform(Gf.Vec3d(point)) for point in mesh.GetPointsAttr().Get()]) * 0.01
    used = np.unique(mesh.GetFaceVertexIndicesAttr().Get())
    st = np.array(UsdGeom.PrimvarsAPI(prim).GetPrimvar("st").Get())
    want = np.stack([st[:, 0] * 64, (1.0 - st[:, 1]) * 36], axis=1)
    np.testing.assert_allclose(camera.project(world)[used], want[used], atol=2e-3)
    covered = len(mesh.GetFaceVertexCountsAttr().Get()) / len(screen_grid(camera)[1])
    assert covered == 1.0 if not isinstance(lens, FTheta) else 0.3 < covered < 1.0
    assert UsdGeom.Mesh.ValidateTopology(
        mesh.GetFaceVertexIndicesAttr().Get(), mesh.GetFaceVertexCountsAttr().Get(), len(world)
    )[0]


def test_an_added_camera_keeps_its_lens_or_is_refused():
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    UsdGeom.Cube.Define(stage, "/Cube")
    camera = bent(Orthographic(), 30.0, turn=0.4)
    author_camera(stage.GetRootLayer(), "/C", (camera,), np.array([0.0]), 0.01)
    read = StageReader(stage).camera("/C", 0.0, size=(36, 64))
    assert read.lens == Orthographic()
    np.testing.assert_allclose(read.intrinsics, camera.intrinsics, rtol=1e-6)
    np.testing.assert_allclose(read.cam_to_world, camera.cam_to_world, atol=1e-9)
    with pytest.raises(SinkError, match="has the lens f-theta fisheye, which no USD schema describes"):
        author_camera(stage.GetRootLayer(), "/D", (bent(FTheta(coefficients=(0, 0.05)), 1.0),), np.array([0.0]), 0.01)
    assert not stage.GetPrimAtPath("/D")


@pytest.mark.parametrize(("nearest", "want"), [(None, 1.0), (np.inf, 1.0), (0.8, 0.4), (0.1, 0.101), (50.0, 1.0)])
def test_the_screen_stands_past_the_near_plane_and_before_the_scene(clip, nearest, want):
    assert screen_distance(clip(1).cameras[0], nearest) == pytest.approx(want)


def test_only_one_screen_a_camera_is_visible(tmp_path, augmentation, clip, controls):
    source, footage = write_stage(tmp_path / "scene.usda"), clip()
    sink = StageSink(tmp_path / "out", stage_path=source)
    for index, look in enumerate(("day", "night", "fog")):
        sink.write(augmentation(f"clip_000{index}", clip=footage, look=look, accepted=look != "day"))
    stage = Usd.Stage.Open(str(tmp_path / "out" / "stage.usda"))
    seen = [stage.GetPrimAtPath(f"/CosmosBridge/clip_000{index}") for index in range(3)]
    assert not seen[0]  # rejected clips never reach the stage
    assert [UsdGeom.Imageable(prim).ComputeVisibility() for prim in seen[1:]] == ["inherited", "invisible"]
    frames = stage.GetPrimAtPath("/World/Camera").GetAttribute("cosmos:augmented:frames").Get()
    assert frames.path == "./frames/clip_0001/0000.png"
    assert seen[1].GetRelationship("cosmos:camera").GetTargets() == [Sdf.Path("/World/Camera")]


def test_a_camera_that_the_stage_lacks_is_added(tmp_path, augmentation, clip):
    source = write_stage(tmp_path / "scene.usda", metres=0.01, camera=None)
    base = clip(3)
    cameras = tuple(
        Camera(
            prim_path="/cosmos_bridge/auto_camera",
            height=36,
            width=64,
            intrinsics=camera.intrinsics,
            cam_to_world=camera.cam_to_world,
            near=0.1,
            far=100.0,
        )
        for camera in base.cameras
    )
    StageSink(tmp_path / "out", stage_path=source).write(augmentation(clip=clip(3, cameras=cameras)))
    assert errors_of(tmp_path / "out" / "stage.usda") == []
    stage = Usd.Stage.Open(str(tmp_path / "out" / "stage.usda"))
    prim = UsdGeom.Camera(stage.GetPrimAtPath("/cosmos_bridge/auto_camera"))
    frustum = prim.GetCamera(2.0).frustum
    window, lens = frustum.GetWindow(), cameras[1].intrinsics
    assert window.min[0] == pytest.approx(-lens[0, 2] / lens[0, 0], abs=1e-5)
    assert window.max[0] == pytest.approx((64 - lens[0, 2]) / lens[0, 0], abs=1e-5)
    assert window.max[1] == pytest.approx(lens[1, 2] / lens[1, 1], abs=1e-5)
    assert window.min[1] == pytest.approx((lens[1, 2] - 36) / lens[1, 1], abs=1e-5)
    assert frustum.position == Gf.Vec3d(2.0, 140.0, 600.0)
    assert prim.GetClippingRangeAttr().Get() == Gf.Vec2f(10.0, 10000.0)


def test_provenance_is_in_the_layer(tmp_path, augmentation):
    sink = StageSink(tmp_path / "out", stage_path=write_stage(tmp_path / "scene.usda"))
    sink.write(augmentation("a-b.c", prompt='day "quoted" </script> ünï', seed=2**70))
    layer = Sdf.Layer.OpenAsAnonymous(str(tmp_path / "out" / "cosmos_bridge_results.usda"))
    entry = layer.customLayerData["cosmosBridge"]["clips"]["a-b.c"]
    assert entry["prompt"] == 'day "quoted" </script> ünï' and entry["seed"] == str(2**70)
    assert entry["model"] == "embedded" and entry["weights"]["edge"] == 1.0
    assert layer.GetPrimAtPath(entry["screen"]) and errors_of(tmp_path / "out" / "stage.usda") == []


def test_a_run_is_continued_and_a_clip_replaced(tmp_path, augmentation, clip):
    source, out = write_stage(tmp_path / "scene.usda"), tmp_path / "out"
    StageSink(out, stage_path=source).write(augmentation(clip=clip(4)))
    (out / "frames" / "clip_0001.cosmos-partial").mkdir()
    again = StageSink(out, stage_path=source)
    again.write(augmentation("clip_0001", look="night"))
    again.write(augmentation(clip=clip(2), look="snow"))
    stage = Usd.Stage.Open(Sdf.Layer.OpenAsAnonymous(str(out / "cosmos_bridge_results.usda")))
    clips = [prim.GetName() for prim in stage.GetPrimAtPath("/CosmosBridge").GetChildren()]
    assert clips == ["clip_0001", "clip_0000"] or clips == ["clip_0000", "clip_0001"]
    texture = stage.GetPrimAtPath("/CosmosBridge/clip_0000/Material/Texture").GetAttribute("inputs:file")
    assert texture.GetTimeSamples() == [1.0, 2.0]
    assert sorted(os.listdir(out / "frames" / "clip_0000")) == ["0000.png", "0001.png"]
    frames = stage.GetPrimAtPath("/World/Camera").GetAttribute("cosmos:augmented:frames")
    assert frames.GetTimeSamples() == [1.0, 2.0] and not list((out / "frames").glob("*partial"))


def test_a_stage_that_has_results_already_gets_a_second_scope(tmp_path, augmentation):
    source = write_stage(tmp_path / "scene.usda")
    StageSink(tmp_path / "one", stage_path=source).write(augmentation())
    StageSink(tmp_path / "two", stage_path=tmp_path / "one" / "stage.usda").write(augmentation(look="night"))
    stage = Usd.Stage.Open(str(tmp_path / "two" / "stage.usda"))
    assert stage.GetPrimAtPath("/CosmosBridge/clip_0000") and stage.GetPrimAtPath("/CosmosBridge_2/clip_0000")
    assert errors_of(tmp_path / "two" / "stage.usda") == []


def test_a_cancelled_write_leaves_the_layer_as_it_was(tmp_path, augmentation):
    out = tmp_path / "out"
    sink = StageSink(out, stage_path=write_stage(tmp_path / "scene.usda"))
    sink.write(augmentation())
    before = sha(out / "cosmos_bridge_results.usda")

    def cancel(stage, done, total):
        raise JobCancelled("stop")

    with pytest.raises(JobCancelled):
        sink.write(augmentation("clip_0001"), cancel)
    sink.close()
    assert sha(out / "cosmos_bridge_results.usda") == before and os.listdir(out / "frames") == ["clip_0000"]


def test_a_failed_save_leaves_the_layer_as_it_was(tmp_path, augmentation, monkeypatch):
    import cosmos.bridge.sinks.stage as module

    out = tmp_path / "out"
    sink = StageSink(out, stage_path=write_stage(tmp_path / "scene.usda"))
    sink.write(augmentation())
    before = sha(out / "cosmos_bridge_results.usda")

    def refuse(path, content):
        raise SinkError("No space left on device.")

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_bytes", refuse)
        with pytest.raises(SinkError, match="No space left"):
            sink.write(augmentation("clip_0001"))
    sink.close()
    assert sha(out / "cosmos_bridge_results.usda") == before


def test_bad_input_is_one_sentence(tmp_path, augmentation, clip):
    source = write_stage(tmp_path / "scene.usda")
    with pytest.raises(SinkError, match="cannot be opened as a USD stage"):
        StageSink(tmp_path / "out", stage_path=tmp_path / "absent.usda")
    with pytest.raises(SinkError, match="written over by its own results"):
        StageSink(tmp_path, stage_path=tmp_path / "stage.usda")
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="could not be written"):
        StageSink(tmp_path / "file", stage_path=source)
    for text in ("#usda 1.0\n", "no usd at all"):
        (tmp_path / "cosmos_bridge_results.usda").write_text(text)
        with pytest.raises(SinkError, match="move it away"):
            StageSink(tmp_path, stage_path=source)
    base = clip(1).cameras[0]
    front = Camera(
        prim_path="front view", height=36, width=64, intrinsics=base.intrinsics, cam_to_world=base.cam_to_world
    )
    sink = StageSink(tmp_path / "out", stage_path=source)
    with pytest.raises(SinkError, match="no prim path"):
        sink.write(augmentation(clip=clip(1, cameras=(front,))))
    with pytest.raises(SinkError, match="time codes"):
        sink.write(augmentation(clip=clip(2), result_rgb=np.zeros((1, 36, 64, 3), np.uint8)))


def test_a_run_without_accepted_clips_still_gives_a_valid_stage(tmp_path, augmentation):
    sink = StageSink(tmp_path / "out", stage_path=write_stage(tmp_path / "scene.usda"))
    sink.write(augmentation(accepted=False))
    sink.close()
    assert errors_of(tmp_path / "out" / "stage.usda") == []


def test_two_thousand_frames_are_authored_within_a_second(tmp_path, augmentation, clip):
    """The layer alone, by CPU time: 2,000 frames of a moving camera, screen and camera attributes."""
    count = 2000
    base = clip(1).cameras[0]
    cameras = []
    for t in range(count):
        pose = base.cam_to_world.copy()
        pose[0, 3] = t * 0.01
        cameras.append(
            Camera(prim_path="/World/Camera", height=1, width=1, intrinsics=base.intrinsics, cam_to_world=pose)
        )
    rgb = wp.zeros((count, 1, 1, 3), dtype=wp.uint8, device="cpu")
    from cosmos.bridge.types import Clip, ControlSignal, ControlSignals

    long = Clip(cameras=tuple(cameras), fps=24.0, time_codes=np.arange(count, dtype=np.float64), rgb=rgb)
    signals = ControlSignals(
        signals=tuple(ControlSignal(kind=signal.kind, video=rgb) for signal in augmentation().request.controls)
    )
    made = augmentation(clip=long, controls=signals)
    sink = StageSink(tmp_path / "out", stage_path=write_stage(tmp_path / "scene.usda"))
    frames = tuple(f"./frames/clip_0000/{index:04d}.png" for index in range(count))
    start = time.process_time()
    with Sdf.ChangeBlock():
        sink._author(made, frames)
    sink.close()
    assert time.process_time() - start < 1.0
    stage = Usd.Stage.Open(str(tmp_path / "out" / "stage.usda"))
    assert len(stage.GetPrimAtPath("/World/Camera").GetAttribute("cosmos:augmented:frames").GetTimeSamples()) == count


def test_a_stage_that_is_open_elsewhere_needs_not_be_opened_again(tmp_path, augmentation, clip):
    scene = write_stage(tmp_path / "scene.usda", up="Y", metres=0.01, rate=30.0)
    made = augmentation(clip=clip(5, 35, 63))
    facts = StageFacts.of(Usd.Stage.Open(str(scene)), str(scene), ["/World/Camera", "no path"])
    assert facts.cameras == {"/World/Camera": "prim", "no path": "missing"}
    StageSink(tmp_path / "opened", stage_path=scene).write(made)
    scene.unlink()  # the facts must do
    StageSink(tmp_path / "told", stage_path=facts).write(made)
    for name in ("cosmos_bridge_results.usda", "stage.usda"):
        assert (tmp_path / "told" / name).read_bytes() == (tmp_path / "opened" / name).read_bytes()
