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
    """A natural-looking picture: things with hard borders, shades and grain."""
    rng = np.random.default_rng(3)
    shown = cv2.resize(rng.integers(90, 170, (4, 5, 3)).astype(np.float32), (WIDTH, HEIGHT))
    for row, column in rng.integers(0, (HEIGHT - 14, WIDTH - 14), (7, 2)):
        shown[row : row + 12, column : column + 10] += rng.uniform(-80.0, 80.0)
    return np.clip(shown + rng.normal(0.0, 5.0, shown.shape), 0, 255).astype(np.uint8)


def depth():
    """A floor that runs away, with a box."""
    level = np.repeat(np.linspace(20, 235, HEIGHT).astype(np.uint8)[:, None], WIDTH, 1)
    level[10:20, 20:40] = 180
    return np.repeat(level[..., None], 3, -1)


def seg():
    """Five instances in flat colours on a floor and a wall."""
    ids = np.full((HEIGHT, WIDTH, 3), (70, 20, 110), np.uint8)
    ids[:14] = (120, 235, 220)
    for index, color in enumerate([(250, 30, 40), (20, 200, 60), (40, 60, 220), (200, 200, 20), (150, 20, 160)]):
        ids[4 + index * 8 : 10 + index * 8, 6 + index * 9 : 24 + index * 9] = color
    return ids


def edge():
    return np.repeat(cv2.Canny(seg(), 100, 200)[..., None], 3, -1)


def road():
    """Lanes and a box on black."""
    lines = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for column, color in ((10, (60, 200, 90)), (30, (220, 180, 40)), (56, (80, 90, 230))):
        cv2.line(lines, (column, HEIGHT - 1), (32, 8), color, 1)
    cv2.rectangle(lines, (40, 20), (52, 30), (200, 60, 60), -1)
    return lines


def lossy(frame):
    done, coded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert done
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


RIGHT = {
    "edge": edge(),
    "depth": depth(),
    "seg": seg(),
    "vis": cv2.GaussianBlur(picture(), (0, 0), 3),
    "hdmap": road(),
}


def signal(kind, frame, frames=4):
    return ControlSignal(kind=ControlKind(kind), video=wp.array(np.repeat(frame[None], frames, 0), device="cpu"))


@pytest.mark.parametrize("kind", RIGHT)
def test_the_right_pixels_pass(kind):
    check_pixels(signal(kind, RIGHT[kind]))


@pytest.mark.parametrize("kind", RIGHT)
def test_black_frames_pass(kind):
    check_pixels(signal(kind, np.zeros((HEIGHT, WIDTH, 3), np.uint8)))


@pytest.mark.parametrize("kind", RIGHT)
def test_the_right_pixels_pass_after_a_lossy_codec(kind):
    check_pixels(signal(kind, lossy(RIGHT[kind])))


LINES, HARD = "is thin white lines on black, as edges are", "vis is a blurred picture"
MIXED_UP = {
    "edge": {
        "depth": "has grey areas, as depth has, but edges are white lines on black",
        "seg": "has colours, but edges are white on black",
        "vis": "has colours",
        "hdmap": "has colours",
        "picture": "has colours",
    },
    "depth": {
        "edge": LINES,
        "seg": "has colours, but depth is grey",
        "vis": "has colours",
        "hdmap": "has colours",
        "picture": "depth is grey",
    },
    "seg": {
        "edge": LINES,
        "depth": "is a grey gradient, as depth is, but instances have colours; give the video",
        "vis": r"is smooth in \d+ colours, as a blurred picture is",
        "picture": r"has \d+ colours and few flat areas",
    },
    "vis": {
        "edge": f"{LINES}, but {HARD}",
        "depth": f"is grey with hard borders, as depth is, but {HARD}",
        "seg": f"is sharp, as instances and plain pictures are, but {HARD}",
        "hdmap": HARD,
        "picture": HARD,
    },
    "hdmap": {
        "edge": LINES,
        "depth": "is a grey gradient, as depth is, but a map has colours",
        "seg": "fills the picture, but a map is lines and boxes on black",
        "vis": "fills the picture",
        "picture": "fills the picture",
    },
}
"""Name given -> what is shown -> sentence; only a map passes for instances, which pixels cannot tell."""


@pytest.mark.parametrize("kind", MIXED_UP)
@pytest.mark.parametrize("coded", [False, True], ids=["exact", "lossy"])
def test_every_kind_under_the_name_of_another_is_refused(kind, coded):
    for shown, sentence in MIXED_UP[kind].items():
        frame = picture() if shown == "picture" else RIGHT[shown]
        with pytest.raises(ModelError, match=f"^The {kind} control .*{sentence}"):
            check_pixels(signal(kind, lossy(frame) if coded else frame))


def test_every_pair_is_listed():
    pairs = {(kind, shown) for kind, table in MIXED_UP.items() for shown in table}
    assert pairs == {(kind, shown) for kind in RIGHT for shown in (*RIGHT, "picture") if kind != shown} - {
        ("seg", "hdmap")
    }


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_wrong_frame_of_a_depth_clip_is_found(place):
    frames = np.stack([depth()] * 3)
    frames[place] = seg()
    with pytest.raises(ModelError, match="The depth control has colours"):
        check_pixels(ControlSignal(kind=ControlKind.DEPTH, video=wp.array(frames, device="cpu")))


def test_shaded_instances_pass():
    light = np.linspace(0.5, 1.0, WIDTH)[None, :, None]
    check_pixels(signal("seg", (seg() * light).astype(np.uint8)))
