"""Folders of other tools come back as the truth that went into them."""

import json

import av  # noqa: TID253
import cv2
import numpy as np
import pytest

from cosmos.bridge.errors import SourceError
from cosmos.bridge.sources import FolderSource, FrameSource, open_source, read_clip


def names_in(clip):
    """The class of each pixel, through ids and labels."""
    ids = clip.semantic_ids.numpy()
    table = {number: label["class"] for number, label in clip.labels.items()}
    return np.vectorize(table.get)(ids)


@pytest.mark.parametrize("colorize", [True, False])
@pytest.mark.parametrize("nested", [True, False])
def test_basic_writer_comes_back(basic, device, colorize, nested):
    truth = basic(colorize=colorize, nested=nested)
    source = open_source(truth.folder, device=device)
    assert isinstance(source, FrameSource) and source.num_frames == 3
    clip = read_clip(source)
    np.testing.assert_array_equal(clip.rgb.numpy(), truth.rgb)
    np.testing.assert_array_equal(clip.depth.numpy(), truth.depth)
    np.testing.assert_array_equal(names_in(clip), truth.classes)
    np.testing.assert_allclose(clip.normals.numpy()[-1], truth.normals, atol=0.02)
    np.testing.assert_array_equal(clip.motion.numpy()[-1], truth.motion[..., :2])
    np.testing.assert_array_equal(clip.semantic_ids.numpy() == 0, np.array(truth.classes) == "BACKGROUND")


def test_instances_keep_one_small_id_with_path_and_class(basic):
    truth = basic()
    clip = read_clip(FolderSource(truth.folder))
    ids = clip.instance_ids.numpy()
    for name, path in (("box", "/World/Box"), ("person", "/World/Person")):
        (number,) = set(ids[np.array(truth.classes) == name])
        assert clip.instances[number].prim_path == path
        assert clip.instances[number].labels == {"class": name}
        assert clip.labels[clip.instances[number].semantic_id] == {"class": name}
    assert set(np.unique(ids)) == {0, 1, 2}


def test_rtx_keys_with_plain_ids_are_little_endian_bytes(basic):
    truth = basic(colorize=False)
    for number in range(3):
        file = truth.folder / f"semantic_segmentation_labels_{number:04d}.json"
        bytes_of = {"0": (0, 0, 0, 0), "300": (44, 1, 0, 0), "7": (7, 0, 0, 0)}
        labels = {str(bytes_of[key]): label for key, label in json.loads(file.read_text()).items()}
        file.write_text(json.dumps(labels))
    np.testing.assert_array_equal(names_in(read_clip(FolderSource(truth.folder))), truth.classes)


def test_camera_params_become_a_camera_in_metres(basic):
    truth = basic()
    camera = read_clip(FolderSource(truth.folder)).cameras[0]
    expected = truth.pose.copy()
    expected[:3, 3] *= 0.01
    np.testing.assert_allclose(camera.cam_to_world, expected, atol=1e-12)
    assert camera.intrinsics[0, 0] == pytest.approx(18.0 / 20.955 * 16)
    assert (camera.near, camera.far) == pytest.approx((0.05, 1000.0))


def test_projection_with_an_offset_centre_agrees_with_usd(basic):
    from pxr import Gf

    truth = basic()
    lens = Gf.Camera(focalLength=18.0, horizontalAperture=20.0, verticalAperture=15.0)
    lens.horizontalApertureOffset, lens.verticalApertureOffset = 2.0, -1.0
    params = truth.camera_params() | {
        "cameraProjection": np.array(lens.frustum.ComputeProjectionMatrix()).ravel().tolist()
    }
    for number in range(3):
        (truth.folder / f"camera_params_{number:04d}.json").write_text(json.dumps(params))
    intrinsics = read_clip(FolderSource(truth.folder)).cameras[0].intrinsics
    point = np.array([0.3, -0.2, -2.0])
    seen = lens.frustum.ComputeProjectionMatrix().Transform(Gf.Vec3d(*point))
    u = intrinsics[0, 0] * point[0] / -point[2] + intrinsics[0, 2]
    v = intrinsics[1, 2] - intrinsics[1, 1] * point[1] / -point[2]
    assert (u, v) == pytest.approx(((seen[0] + 1) / 2 * 16, (1 - seen[1]) / 2 * 12))


def test_distance_to_camera_becomes_depth_through_the_lens(basic):
    truth = basic(frames=1)
    (truth.folder / "distance_to_image_plane_0000.npy").unlink()
    focal = 18.0 / 20.955 * 16
    across, down = np.meshgrid(np.arange(16) + 0.5 - 8, np.arange(12) + 0.5 - 6)
    slant = np.sqrt(1 + (across / focal) ** 2 + (down / focal) ** 2)
    np.save(truth.folder / "distance_to_camera_0000.npy", np.full((12, 16), 5.0, np.float32))
    source = FolderSource(truth.folder)
    np.testing.assert_allclose(read_clip(source).depth.numpy()[0], 5.0 / slant, rtol=1e-6)
    assert "distance_to_camera" in " ".join(source.notes)


def test_missing_annotators_are_none_and_an_assumed_lens_is_said(basic):
    truth = basic(camera=False)
    for file in truth.folder.iterdir():
        if not file.name.startswith("rgb"):
            file.unlink()
    source = FolderSource(truth.folder)
    clip = read_clip(source)
    assert clip.depth is None and clip.normals is None and clip.motion is None
    assert clip.semantic_ids is None and clip.instance_ids is None
    assert "no camera" in " ".join(source.notes) and "24 frames a second" in " ".join(source.notes)


def test_cosmos_writer_comes_back(cosmos):
    truth = cosmos()
    source = FolderSource(truth.folder, fps=30)
    clip = read_clip(source)
    np.testing.assert_array_equal(clip.rgb.numpy(), truth.rgb)
    camera = clip.cameras[0]
    across, down = np.meshgrid(np.arange(14) + 0.5 - 7, np.arange(10) + 0.5 - 5)
    slant = np.sqrt(1 + (across / camera.intrinsics[0, 0]) ** 2 + (down / camera.intrinsics[0, 0]) ** 2)
    np.testing.assert_allclose(clip.depth.numpy() * slant, truth.distance, rtol=0.0137)  # half of a 2.7 % step
    ids, objects = clip.instance_ids.numpy(), np.array(truth.objects)
    for number in range(3):
        assert len(set(ids[objects == number])) == 1
    assert (ids[objects == 0] == 0).all() and clip.semantic_ids is None
    assert "8 bits" in " ".join(source.notes) and source.fps == 30


def test_one_of_several_clips_is_chosen_by_name_or_number(cosmos, tmp_path):
    cosmos("clip_0000")
    second = cosmos("clip_0001", frames=1)
    assert FolderSource(tmp_path, clip=1).num_frames == FolderSource(tmp_path, clip="clip_0001").num_frames == 1
    assert "2 parts (clip_0000, clip_0001); clip_0000" in FolderSource(tmp_path).notes[0]
    with pytest.raises(SourceError, match="no part 'clip_0007'; it has clip_0000, clip_0001"):
        FolderSource(tmp_path, clip=7)
    with pytest.raises(SourceError, match="is one clip itself"):
        FolderSource(second.folder, clip=1)


def test_one_of_several_cameras_is_chosen_by_name(basic, tmp_path):
    basic("Front")
    basic("Rear", frames=2)
    assert FolderSource(tmp_path, camera="Rear").num_frames == 2
    with pytest.raises(SourceError, match="no part 'Top'; it has Front, Rear"):
        FolderSource(tmp_path, camera="Top")


def test_frames_are_numbers_of_files(basic):
    truth = basic()
    clip = read_clip(FolderSource(truth.folder, frames=range(0, 3, 2), fps=24))
    np.testing.assert_array_equal(clip.time_codes, [0, 2])
    np.testing.assert_array_equal(clip.rgb.numpy()[1], truth.rgb[2])
    assert clip.fps == 12
    with pytest.raises(SourceError, match="which has 0 to 2; ask for frames within 0:3"):
        FolderSource(truth.folder, frames=range(5))
    with pytest.raises(SourceError, match="hold no frame"):
        FolderSource(truth.folder, frames=range(2, 2))


def test_resizing_keeps_truth_exact_and_moves_the_lens(basic):
    truth = basic(frames=1)
    clip = read_clip(FolderSource(truth.folder, size=(6, 8)))
    assert (clip.height, clip.width) == (6, 8)
    np.testing.assert_array_equal(clip.depth.numpy()[0], truth.depth[0][1::2, 1::2])
    np.testing.assert_array_equal(clip.motion.numpy()[0], truth.motion[1::2, 1::2, :2] / 2)
    expected = cv2.resize(truth.rgb[0], (8, 6), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(clip.rgb.numpy()[0], expected)
    assert clip.cameras[0].intrinsics[0, 0] == pytest.approx(18.0 / 20.955 * 8)
    assert clip.cameras[0].intrinsics[0, 2] == pytest.approx(4.0)


def test_another_shape_is_refused_with_the_nearest_size(basic):
    truth = basic()
    with pytest.raises(SourceError, match=r"12 x 16 and cannot become 8 x 8 .* the nearest size is 6 x 8"):
        FolderSource(truth.folder, size=(8, 8))
    FolderSource(truth.folder, size=(7, 8))  # one pixel off is allowed
    with pytest.raises(SourceError, match="at least 1 x 1"):
        FolderSource(truth.folder, size=(0, 8))


def write_video(path, frames, rate=12):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.options = "yuv444p", {"qp": "0"}
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def test_video_gives_colour_and_its_rate(tmp_path):
    frames = [np.full((32, 48, 3), level, np.uint8) for level in (20, 90, 160, 230)]
    write_video(tmp_path / "clip.mp4", frames)
    source = open_source(tmp_path / "clip.mp4", frames=range(1, 4, 2))
    clip = read_clip(source)
    assert source.fps == 6 and clip.depth is None
    np.testing.assert_allclose(clip.rgb.numpy().mean(axis=(1, 2, 3)), [90, 230], atol=3)
    np.testing.assert_array_equal(clip.time_codes, [1, 3])


@pytest.mark.parametrize("ending", ["avi", "mkv", "mov", "m4v", "MOV"])
def test_other_containers_are_videos_as_well(tmp_path, ending):
    write_video(tmp_path / f"clip.{ending}", [np.full((32, 48, 3), level, np.uint8) for level in (20, 90, 160)])
    source = open_source(tmp_path / f"clip.{ending}")
    np.testing.assert_allclose(read_clip(source).rgb.numpy().mean(axis=(1, 2, 3)), [20, 90, 160], atol=3)
    assert source.fps == 12


def test_damaged_inputs_are_one_sentence(basic, cosmos, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no frames"):
        FolderSource(tmp_path / "empty")
    with pytest.raises(SourceError, match="does not exist"):
        FolderSource(tmp_path / "nowhere")
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(SourceError, match="cannot be opened"):
        FolderSource(tmp_path / "bad.mp4")
    truth = basic("gap")
    (truth.folder / "rgb_0001.png").unlink()
    with pytest.raises(SourceError, match="jumps from frame 0 to frame 2"):
        FolderSource(truth.folder)
    truth = basic("hole")
    (truth.folder / "normals_0002.png").unlink()
    with pytest.raises(SourceError, match=r"normals_0002 is missing \(1 of normals in all\)"):
        FolderSource(truth.folder)
    truth = cosmos("clip_0004")
    (truth.folder / "depth" / "depth_0001.png").unlink()
    with pytest.raises(SourceError, match="depth_0001 is missing"):
        FolderSource(truth.folder)


def test_damaged_files_are_found_on_reading(basic):
    truth = basic("torn")
    (truth.folder / "rgb_0001.png").write_bytes(b"\x89PNG torn")
    with pytest.raises(SourceError, match=r"rgb_0001.png cannot be decoded \(9 bytes\)"):
        read_clip(FolderSource(truth.folder))
    truth = basic("mixed")
    cv2.imwrite(str(truth.folder / "rgb_0001.png"), np.zeros((6, 8, 3), np.uint8))
    with pytest.raises(SourceError, match=r"share one size.*6 x 8 and the first is 12 x 16"):
        read_clip(FolderSource(truth.folder))
    truth = basic("array")
    (truth.folder / "distance_to_image_plane_0000.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(SourceError, match="cannot be read"):
        read_clip(FolderSource(truth.folder))
    truth = basic("camera")
    (truth.folder / "camera_params_0000.json").write_text('{"cameraAperture": 1}')
    with pytest.raises(
        SourceError, match=r"camera_params_0000\.json lacks cameraViewTransform, which BasicWriter writes"
    ):
        read_clip(FolderSource(truth.folder))
    truth = basic("labels")
    (truth.folder / "semantic_segmentation_labels_0000.json").write_text("{")
    with pytest.raises(SourceError, match="cannot be read as JSON"):
        read_clip(FolderSource(truth.folder))


def test_description_is_plain_and_its_hash_follows_the_files(basic):
    truth = basic()
    source = FolderSource(truth.folder)
    first = source.describe()
    assert json.loads(json.dumps(first)) == first and first["kind"] == "basic_writer"
    (truth.folder / "rgb_0003.png").write_bytes((truth.folder / "rgb_0002.png").read_bytes())
    assert source.describe()["sha256"] != first["sha256"]
    source.close()
    source.close()
