import av  # noqa: TID253
import numpy as np
import pytest

from cosmos.bridge.errors import SinkError
from cosmos.bridge.sinks.video import write_video


def decode(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pictures = [(picture.to_ndarray(format="rgb24"), float(picture.time)) for picture in container.decode(video=0)]
        return np.stack([image for image, _ in pictures]), [time for _, time in pictures], stream.codec_context.pix_fmt


def gradient(num_frames, height, width):
    rows, columns = np.mgrid[:height, :width]
    frames = [
        np.stack([(columns * 3 + 9 * t) % 256, rows * 255 // max(1, height), 128 + 0 * rows], axis=-1)
        for t in range(num_frames)
    ]
    return np.stack(frames).astype(np.uint8)


def test_write_video_is_watchable_and_close_to_what_went_in(tmp_path):
    frames = gradient(5, 48, 64)
    facts = write_video(tmp_path / "a.mp4", frames, fps=24.0)
    decoded, times, pix_fmt = decode(tmp_path / "a.mp4")
    assert pix_fmt == "yuv420p" and facts["padding"] == [0, 0] and facts["frames"] == 5
    assert times == pytest.approx([i / 24.0 for i in range(5)], abs=1e-3)
    smooth = np.abs(decoded.astype(int) - frames.astype(int))[:, :, 4:60]
    assert np.median(smooth) <= 3  # colours survive: a wrong matrix would be off by 7 and more


@pytest.mark.parametrize(("height", "width"), [(35, 63), (1, 1), (36, 63), (35, 64)])
def test_odd_sizes_are_padded_at_the_bottom_and_right_only(tmp_path, height, width):
    frames = np.full((2, height, width, 3), (200, 60, 30), np.uint8)
    frames[:, 0, 0] = (20, 20, 20)
    facts = write_video(tmp_path / "a.mp4", frames, fps=30.0)
    decoded, _, _ = decode(tmp_path / "a.mp4")
    assert facts["padding"] == [height % 2, width % 2]
    assert decoded.shape == (2, height + height % 2, width + width % 2, 3)
    if min(height, width) > 8:
        np.testing.assert_allclose(decoded[:, height // 2, width // 2], [[200, 60, 30]] * 2, atol=4)
        assert decoded[0, -1, -1, 0] == pytest.approx(200, abs=4)
        assert decoded[0, 0, 0, 0] < 120


@pytest.mark.parametrize("size", [(35, 63), (2, 2), (1, 5)])
def test_lossless_gives_the_same_bytes(tmp_path, size):
    frames = np.random.default_rng(7).integers(0, 256, (3, *size, 3), dtype=np.uint8)
    facts = write_video(tmp_path / "a.mp4", frames, fps=12.5, lossless=True)
    decoded, times, _ = decode(tmp_path / "a.mp4")
    np.testing.assert_array_equal(decoded, frames)
    assert facts["lossless"] and times == pytest.approx([0.0, 0.08, 0.16], abs=1e-4)


def test_film_rates_are_kept(tmp_path):
    facts = write_video(tmp_path / "a.mp4", gradient(3, 16, 16), fps=30000 / 1001)
    assert facts["fps"] == pytest.approx(30000 / 1001)
    assert decode(tmp_path / "a.mp4")[1] == pytest.approx([0, 1001 / 30000, 2002 / 30000], abs=1e-4)


def test_a_missing_folder_is_one_sentence(tmp_path):
    with pytest.raises(SinkError, match=r"could not be written.*choose another output folder"):
        write_video(tmp_path / "absent" / "a.mp4", gradient(1, 16, 16), fps=24.0)


def test_a_rate_of_zero_is_refused(tmp_path):
    with pytest.raises(SinkError, match="frame rate"):
        write_video(tmp_path / "a.mp4", gradient(1, 16, 16), fps=1e-9)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda frames: frames[:-1], "should hold 2 frames, but 3 read back"),
        (lambda frames: np.concatenate([frames, frames[:1]]), "should hold 4 frames, but 3 read back"),
        (lambda frames: frames[:, :-2], "differs"),
        (lambda frames: 255 - frames, "other pixels"),
    ],
)
def test_reading_back_finds_what_is_not_what_went_in(tmp_path, wrong, match):
    from fractions import Fraction

    from cosmos.bridge.sinks.video import _check_video

    frames, path = gradient(3, 16, 16), tmp_path / "a.mp4"
    write_video(path, frames, fps=24.0, lossless=True)
    with pytest.raises(SinkError, match=match):
        _check_video(path, wrong(frames), rate=Fraction(24), padding=(0, 0), lossless=True)
    with pytest.raises(SinkError, match=r"shows frame 1 at"):
        _check_video(path, frames, rate=Fraction(12), padding=(0, 0), lossless=True)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SinkError, match="cannot be read back"):
        _check_video(path, frames, rate=Fraction(24), padding=(0, 0), lossless=True)
