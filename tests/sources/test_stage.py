"""StageSource draws what USD says, and says what it had to add."""

import hashlib
import json

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdLux  # noqa: TID253

from cosmos.bridge.errors import SourceError
from cosmos.bridge.render.annotators import ANNOTATORS, AnnotatorOptions, annotate
from cosmos.bridge.sources import CameraRig, FrameSource, StageSource, open_source, read_clip
from cosmos.bridge.types import Look

SIZE = (18, 32)


def author(path, *, up="Z", unit=1.0, camera=True, frames=(0, 9), suffix=""):
    """A wall 4 m ahead of a camera that slides sideways by 0.1 m a frame."""
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageMetersPerUnit(stage, unit)
    UsdGeom.SetStageUpAxis(stage, up)
    stage.SetTimeCodesPerSecond(12)
    if frames:
        stage.SetStartTimeCode(frames[0])
        stage.SetEndTimeCode(frames[1])
    wall = UsdGeom.Mesh.Define(stage, "/World/Wall")
    wall.CreatePointsAttr([Gf.Vec3f(x * 50 / unit, y * 50 / unit, 0) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
    wall.CreateFaceVertexCountsAttr([4])
    wall.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    UsdLux.DistantLight.Define(stage, "/World/Sun")
    if camera:
        lens = UsdGeom.Camera.Define(stage, "/World/Camera")
        lens.CreateFocalLengthAttr(36.0)
        lens.CreateHorizontalApertureAttr(36.0)
        lens.CreateVerticalApertureAttr(20.25)
        lens.CreateClippingRangeAttr(Gf.Vec2f(0.1, 100000))
        slide = lens.AddTranslateOp()
        for time in range(frames[0] if frames else 0, (frames[1] if frames else 0) + 1):
            slide.Set(Gf.Vec3d(0.1 * time / unit, 0, 4.0 / unit), time)
    stage.GetRootLayer().Save()
    return path


@pytest.mark.parametrize(("up", "unit", "ending"), [("Z", 1.0, "usda"), ("Y", 0.01, "usdc")])
def test_depth_motion_and_camera_are_those_of_the_stage(tmp_path, device, up, unit, ending):
    path = author(tmp_path / f"wall.{ending}", up=up, unit=unit)
    source = open_source(path, camera="/World/Camera", frames=range(2, 5), size=SIZE, device=device)
    assert isinstance(source, FrameSource)
    clip = read_clip(source)
    assert (clip.fps, clip.num_frames, clip.up_axis) == (12.0, 3, up)
    np.testing.assert_array_equal(clip.time_codes, [2, 3, 4])
    np.testing.assert_allclose(clip.depth.numpy(), 4.0, rtol=1e-5)
    focal = clip.cameras[0].intrinsics[0, 0]
    assert focal == pytest.approx(32.0)
    motion = clip.motion.numpy()
    np.testing.assert_allclose(motion[..., 0], focal * 0.1 / 4.0, atol=1e-3)  # the wall came from further right
    np.testing.assert_allclose(motion[..., 1], 0.0, atol=1e-3)
    np.testing.assert_allclose([camera.cam_to_world[0, 3] for camera in clip.cameras], [0.2, 0.3, 0.4], atol=1e-6)
    source.close()


def test_a_frame_of_a_stage_gives_every_annotator(tmp_path, device):
    path = author(tmp_path / "wall.usda", up="Y", unit=0.01)
    source = open_source(path, camera="/World/Camera", frames=range(2, 4), size=SIZE, device=device)
    for frame in source.read():
        given = annotate(frame, ANNOTATORS, AnnotatorOptions(include_unlabelled=True, units="scene"))
        assert set(given) == set(ANNOTATORS)
        params, cloud = given["camera_params"], given["pointcloud"]["data"].astype(np.float64)
        assert params["metersPerSceneUnit"] == 0.01 and len(cloud) == SIZE[0] * SIZE[1]
        np.testing.assert_allclose(cloud[:, 2], 0.0, atol=0.01)  # the wall, in centimetres
        view, projection = (params[name].reshape(4, 4) for name in ("cameraViewTransform", "cameraProjection"))
        clip = np.concatenate([cloud, np.ones((len(cloud), 1))], axis=1) @ view @ projection
        y, x = np.divmod(np.arange(len(cloud)), SIZE[1])
        np.testing.assert_allclose((clip[:, 0] / clip[:, 3] * 0.5 + 0.5) * SIZE[1], x + 0.5, atol=0.01)
        np.testing.assert_allclose((0.5 - clip[:, 1] / clip[:, 3] * 0.5) * SIZE[0], y + 0.5, atol=0.01)
    source.close()


def test_a_look_changes_the_picture_and_is_told(tmp_path):
    path = author(tmp_path / "wall.usda")
    plain, dim = (StageSource(path, size=SIZE, frames=range(2), look=look) for look in (None, Look(exposure=-3.0)))
    assert plain.describe()["look"] is None and dim.describe()["look"]["exposure"] == -3.0
    assert read_clip(dim).rgb.numpy().mean() < 0.8 * read_clip(plain).rgb.numpy().mean()


def test_whole_time_range_is_drawn_and_its_first_frame_stands_still(tmp_path):
    source = StageSource(author(tmp_path / "wall.usda", frames=(5, 8)), size=SIZE)
    clip = read_clip(source)
    np.testing.assert_array_equal(clip.time_codes, [5, 6, 7, 8])
    assert np.abs(clip.motion.numpy()[0]).max() == 0.0
    assert np.abs(clip.motion.numpy()[1]).max() > 0.5


def test_stepping_slows_the_rate_and_lengthens_the_motion(tmp_path):
    source = StageSource(author(tmp_path / "wall.usda"), size=SIZE, frames=range(2, 9, 3))
    assert (source.fps, source.num_frames) == (4.0, 3)
    motion = read_clip(source).motion.numpy()
    # The frame before time code 2 would be -1, which the time range clamps to 0.
    np.testing.assert_allclose(motion[:, 9, 16, 0], [32.0 * 0.2 / 4, 32.0 * 0.3 / 4, 32.0 * 0.3 / 4], atol=1e-3)


def test_stage_without_time_range_gives_still_frames_and_says_so(tmp_path):
    source = StageSource(author(tmp_path / "wall.usda", frames=None), size=SIZE)
    assert source.num_frames == 24
    assert "no time range" in " ".join(source.notes)
    assert StageSource(tmp_path / "wall.usda", size=SIZE, frames=range(100, 103)).num_frames == 3


def test_stage_without_camera_is_framed_and_says_so(tmp_path):
    source = StageSource(author(tmp_path / "wall.usda", camera=False), size=SIZE, frames=range(1))
    assert "no camera" in " ".join(source.notes)
    frame = next(source.read())
    assert np.isfinite(frame.depth.numpy()).mean() > 0.05
    assert source.describe()["camera"] == frame.camera.prim_path


def test_first_of_several_cameras_is_taken_and_named(tmp_path):
    path = author(tmp_path / "wall.usda")
    stage = Usd.Stage.Open(str(path))
    UsdGeom.Camera.Define(stage, "/World/Other")
    stage.Save()
    source = StageSource(path, size=SIZE)
    assert "2 cameras (/World/Camera, /World/Other); /World/Camera was taken" in " ".join(source.notes)


def test_open_stage_in_memory_is_drawn_too():
    from cosmos.bridge import scenes

    source = StageSource(scenes.random(3, num_frames=2), size=(9, 16))
    clip = read_clip(source)
    assert clip.num_frames == 2
    assert len(source.describe()["sha256"]) == 64


def test_description_is_plain_and_hashes_the_root_layer(tmp_path):
    path = author(tmp_path / "wall.usda")
    source = StageSource(path, size=SIZE, frames=range(0, 6, 2))
    told = source.describe()
    assert json.loads(json.dumps(told)) == told
    assert told["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (told["frames"], told["size"], told["camera"]) == ([0.0, 4.0, 2], [18, 32], "/World/Camera")


def test_wrong_requests_are_one_sentence(tmp_path):
    path = author(tmp_path / "wall.usda", frames=(1, 9))
    with pytest.raises(SourceError, match="time range of the stage, which is 1 to 9; ask for frames within 1:10"):
        StageSource(path, frames=range(48), size=SIZE)
    with pytest.raises(SourceError, match="Frames 4:4 hold no frame"):
        StageSource(path, frames=range(4, 4), size=SIZE)
    with pytest.raises(SourceError, match=r"/World/Camrea.*/World/Camera"):
        StageSource(path, camera="/World/Camrea", size=SIZE)
    with pytest.raises(SourceError, match="at least 1 x 1 pixels, got 0 x 32"):
        StageSource(path, size=(0, 32))
    with pytest.raises(SourceError, match="does not exist"):
        StageSource(tmp_path / "none.usda", size=SIZE)


def test_closed_source_says_so(tmp_path):
    source = StageSource(author(tmp_path / "wall.usda"), size=SIZE)
    source.close()
    source.close()
    assert source.fps == 12.0
    with pytest.raises(SourceError, match="is closed"):
        next(source.read())


def test_opener_picks_by_what_the_path_is(tmp_path):
    path = author(tmp_path / "wall.usda")
    assert isinstance(open_source(path, size=SIZE), StageSource)
    (tmp_path / "picture.gif").write_bytes(b"")
    with pytest.raises(SourceError, match=r"\.usd, \.usda, \.usdc, \.usdz, \.mp4, .*, or a folder"):
        open_source(tmp_path / "picture.gif")
    with pytest.raises(SourceError, match="does not exist"):
        open_source(tmp_path / "none.usda")
    with pytest.raises(SourceError, match="is a stage and takes no clip; it takes camera, frames, size, device"):
        open_source(path, clip=1, size=SIZE)


def two_cameras(path):
    """The wall, seen by a second, orthographic camera too."""
    author(path)
    stage = Usd.Stage.Open(str(path))
    top = UsdGeom.Camera.Define(stage, "/World/Flat")
    top.CreateProjectionAttr("orthographic")
    top.CreateClippingRangeAttr(Gf.Vec2f(0.1, 1000))
    top.AddTranslateOp().Set(Gf.Vec3d(0, 0, 7))
    stage.GetRootLayer().Save()
    return path


def test_another_camera_of_the_stage_is_not_loaded_again(tmp_path, monkeypatch):
    import cosmos.bridge.render.renderer as rendering

    made, closed = [], []

    class Counting(rendering.Renderer):
        def __init__(self, *args, **options):
            made.append(self)
            super().__init__(*args, **options)

        def close(self):
            closed.append(self)
            super().close()

    monkeypatch.setattr(rendering, "Renderer", Counting)
    first = StageSource(two_cameras(tmp_path / "two.usda"), frames=range(2), size=SIZE, device="cpu")
    assert isinstance(first, CameraRig) and any("2 cameras" in note for note in first.notes)
    second = first.beside("/World/Flat")
    assert second.describe()["camera"] == "/World/Flat" and not any("was taken" in note for note in second.notes)
    clips = [read_clip(second), read_clip(first)]
    first.close()
    first.close()
    assert len(made) == 1 and not closed
    clips.append(read_clip(second))
    for clip, depth in zip(clips, (7.0, 4.0, 7.0), strict=True):
        np.testing.assert_allclose(clip.depth.numpy(), depth, rtol=1e-5)
    with pytest.raises(SourceError, match="is closed"):
        first.beside("/World/Flat")
    with pytest.raises(SourceError, match="has no camera '/World/Nope'"):
        second.beside("/World/Nope")
    second.close()
    assert not closed  # the clips' light probes still ask it
    for clip in clips:
        clip.close()
    assert closed == made


def test_a_clip_can_ask_its_stage_for_light(tmp_path):
    source = StageSource(author(tmp_path / "wall.usda"), size=SIZE, frames=range(3))
    clip = read_clip(source)
    source.close()  # the probe holds the stage by itself
    bright, dim = (clip.probe.light(2, Look(exposure=value)).relit.numpy().mean() for value in (0.0, -3.0))
    assert dim < 0.6 * bright
    clip.close()
    clip.close()
    with pytest.raises(SourceError, match=r"probe of .* is closed"):
        clip.probe.light(0, Look())


@pytest.mark.parametrize("drawing", [{"look": Look()}, {"quality": "reference", "samples": 1}, {"rgb": False}], ids=str)
def test_only_plain_pictures_can_be_relit(tmp_path, drawing):
    source = StageSource(author(tmp_path / "wall.usda"), size=SIZE, frames=range(1), **drawing)
    assert read_clip(source).probe is None
