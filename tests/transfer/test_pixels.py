"""A control whose pixels are not what its name says is refused."""

import cv2
import numpy as np
import pytest
import warp as wp

from cosmos.bridge.errors import ModelError
from cosmos.bridge.transfer.pixels import check_pixels
from cosmos.bridge.types import ControlKind, ControlSignal

HEIGHT, WIDTH = 48, 64


def picture():
    """A natural-looking picture: smooth noise with colours."""
    small = np.random.default_rng(3).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    noise = np.random.default_rng(4).normal(0.0, 6.0, (HEIGHT, WIDTH, 3))
    return np.clip(cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) + noise, 0, 255).astype(np.uint8)


def depth():
    """A floor that runs away, with a box."""
    level = np.repeat(np.linspace(20, 235, HEIGHT).astype(np.uint8)[:, None], WIDTH, 1)
    level[10:20, 20:40] = 180
    return np.repeat(level[..., None], 3, -1)


def seg():
    """Five instances in flat colours on black."""
    ids = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for index, color in enumerate([(250, 30, 40), (20, 200, 60), (40, 60, 220), (200, 200, 20), (150, 20, 160)]):
        ids[4 + index * 8 : 10 + index * 8, 6 + index * 9 : 24 + index * 9] = color
    return ids


def edge():
    return np.repeat(cv2.Canny(seg(), 100, 200)[..., None], 3, -1)


RIGHT = {"edge": edge(), "depth": depth(), "seg": seg(), "vis": cv2.GaussianBlur(picture(), (0, 0), 3)}


def signal(kind, frame, frames=4):
    return ControlSignal(kind=ControlKind(kind), video=wp.array(np.repeat(frame[None], frames, 0), device="cpu"))


@pytest.mark.parametrize("kind", RIGHT)
def test_the_right_pixels_pass(kind):
    check_pixels(signal(kind, RIGHT[kind]))


@pytest.mark.parametrize("kind", ["edge", "depth", "seg"])
def test_black_frames_pass(kind):
    check_pixels(signal(kind, np.zeros((HEIGHT, WIDTH, 3), np.uint8)))


@pytest.mark.parametrize("kind", RIGHT)
def test_the_right_pixels_pass_after_a_lossy_codec(kind):
    done, coded = cv2.imencode(".jpg", RIGHT[kind], [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert done
    check_pixels(signal(kind, cv2.imdecode(coded, cv2.IMREAD_COLOR)))


@pytest.mark.parametrize(
    ("kind", "shown", "sentence"),
    [
        ("seg", "depth", "The seg control is a grey gradient, as depth is, but instances have colours; give the video"),
        ("seg", "picture", r"The seg control has \d+ colours and few flat areas"),
        ("depth", "seg", "The depth control has colours, but depth is grey"),
        ("depth", "picture", "depth is grey"),
        ("edge", "depth", "The edge control has grey areas, as depth has"),
        ("edge", "seg", "The edge control has colours"),
        ("edge", "picture", "The edge control has colours"),
    ],
)
def test_the_wrong_pixels_are_refused(kind, shown, sentence):
    frame = picture() if shown == "picture" else RIGHT[shown]
    with pytest.raises(ModelError, match=sentence):
        check_pixels(signal(kind, frame))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_wrong_frame_of_a_depth_clip_is_found(place):
    frames = np.stack([depth()] * 3)
    frames[place] = seg()
    with pytest.raises(ModelError, match="The depth control has colours"):
        check_pixels(ControlSignal(kind=ControlKind.DEPTH, video=wp.array(frames, device="cpu")))


def test_shaded_instances_pass():
    light = np.linspace(0.5, 1.0, WIDTH)[None, :, None]
    check_pixels(signal("seg", (seg() * light).astype(np.uint8)))
