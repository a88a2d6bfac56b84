import av  # noqa: TID253
import cv2
import numpy as np
import pytest

from cosmos.bridge.controls import Region, WeightSpec, build_weights
from cosmos.bridge.controls.masks import mask_to_float, read_mask
from cosmos.bridge.errors import ControlError
from cosmos.bridge.types import ControlKind

SHAPE = (4, 24, 40)


def half():
    mask = np.zeros(SHAPE[1:], np.uint8)
    mask[:, 20:] = 255
    return mask


def write_video(path, frames):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"qp": "0"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.repeat(frame[..., None], 3, -1), format="rgb24")))
        container.mux(stream.encode())


def test_pictures_arrays_and_videos_mean_the_same(tmp_path, make_clip):
    np.save(tmp_path / "mask.npy", half())
    cv2.imwrite(str(tmp_path / "mask.png"), half())
    cv2.imwrite(str(tmp_path / "deep.png"), half().astype(np.uint16) * 257)
    write_video(tmp_path / "mask.mp4", np.stack([half()] * 4))
    for name in ("mask.npy", "mask.png", "deep.png", "mask.mp4"):
        spec = WeightSpec(regions=(Region(mask=str(tmp_path / name), edge=1.0),))
        weights = build_weights(make_clip(), spec)[ControlKind.EDGE].numpy()
        np.testing.assert_allclose(weights, np.stack([half() / 255.0] * 4), atol=0.02, err_msg=name)


def test_a_video_mask_moves(tmp_path):
    frames = np.zeros(SHAPE, np.uint8)
    for index in range(4):
        frames[index, :, index * 8 : index * 8 + 8] = 255
    write_video(tmp_path / "mask.mp4", frames)
    stored = read_mask(tmp_path / "mask.mp4")
    assert stored.shape == SHAPE
    assert (np.abs(stored.astype(int) - frames) < 8).all()


@pytest.mark.parametrize(
    ("mask", "top"),
    [
        (np.ones((24, 40), bool), 1.0),
        (np.full((1, 24, 40), 255, np.uint8), 1.0),
        (np.full(SHAPE, 65535, np.uint16), 1.0),
        (np.full(SHAPE, 0.5, np.float64), 0.5),
        (np.full((24, 40), 51, np.uint8), 0.2),
    ],
)
def test_each_dtype_is_scaled_by_its_range(mask, top):
    scaled = mask_to_float(mask, SHAPE, "m")
    assert scaled.dtype == np.float32
    assert scaled.ndim == 3
    np.testing.assert_allclose(scaled, top, atol=1e-6)


@pytest.mark.parametrize(
    ("mask", "match"),
    [
        (np.ones((24, 41), bool), r"clip's size \[4, 24, 40\] .* got \[1, 24, 41\]; resize it"),
        (np.ones((3, 24, 40), bool), "or one frame of it"),
        (np.ones((4, 24, 40, 3), bool), "clip's size"),
        (np.ones((24,), bool), "clip's size"),
        (np.ones((24, 40), np.int64), "must be bool, uint8, uint16 or float, got int64"),
        (np.ones((24, 40), np.uint32), "got uint32"),
        (np.full((24, 40), 1.5), r"must lie in \[0, 1\]"),
        (np.full((24, 40), np.nan), r"must lie in \[0, 1\]"),
    ],
)
def test_other_masks_are_refused(mask, match):
    with pytest.raises(ControlError, match=match):
        mask_to_float(mask, SHAPE, "m")


@pytest.mark.parametrize("name", ["gone.png", "mask.gif", "mask.npy", "mask.png", "mask.mp4"])
def test_broken_files_are_named(tmp_path, name):
    if name != "gone.png":
        (tmp_path / name).write_bytes(b"this is no mask")
    with pytest.raises(ControlError, match=name.split(".")[0]):
        read_mask(tmp_path / name)


@pytest.mark.parametrize(("package", "name"), [("cv2", "mask.png"), ("av", "mask.mp4")])
def test_a_missing_reader_names_the_cure(tmp_path, monkeypatch, package, name):
    (tmp_path / name).write_bytes(b"x")
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ControlError, match="pip install"):
        read_mask(tmp_path / name)
