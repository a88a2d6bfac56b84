"""Shapes, sizes and times that Replicator may give, held against NumPy."""

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.errors import SourceError
from cosmos.bridge.kit.annotators import Calibration, copies_of, is_empty
from cosmos.bridge.kit.payload import ProductPayload, Reading
from cosmos.bridge.kit.recorder import Recorder
from cosmos.bridge.kit.settings import KitSettings
from cosmos.bridge.kit.take import Surroundings
from cosmos.bridge.sinks.stage_facts import StageFacts
from cosmos.bridge.sources.base import ClipHolder, FrameSource
from cosmos.bridge.types import gather

HEIGHT, WIDTH = 3, 5
RGB = np.random.default_rng(3).integers(1, 255, (HEIGHT, WIDTH, 4), dtype=np.uint8)
DEPTH = np.random.default_rng(4).random((HEIGHT, WIDTH), dtype=np.float32)
LENS = {
    "cameraProjection": np.diag([1.5, 2.5, 0.0, 0.0]).ravel(),
    "cameraViewTransform": np.eye(4).ravel(),
    "renderProductResolution": np.array([WIDTH, HEIGHT]),
    "metersPerSceneUnit": 1.0,
}


def product(rgb=RGB, depth=DEPTH, resolution=(HEIGHT, WIDTH), lens=LENS):
    readings = {"rgb": Reading(array=rgb), "distance_to_image_plane": Reading(array=depth)}
    if lens is not None:
        readings["camera_params"] = Reading(info=lens)
    return ProductPayload(name="P", camera="/C", resolution=resolution, readings=readings)


@pytest.mark.parametrize("how", ["flat", "squeezed", "warp", "strided"])
def test_pictures_get_their_true_shape(how):
    rgb, depth = {
        "flat": lambda: (RGB.ravel(), DEPTH.ravel()),
        "squeezed": lambda: (RGB, DEPTH[None, ..., None]),
        "warp": lambda: tuple(wp.array(array.ravel(), device="cpu") for array in (RGB, DEPTH)),
        "strided": lambda: (RGB, wp.array(np.repeat(DEPTH, 2, 1), device="cpu")[:, ::2]),
    }[how]()
    size, pictures = copies_of(product(rgb, depth))
    assert size == (HEIGHT, WIDTH) and not is_empty(product(rgb, depth))
    for name, want in (("rgb", RGB), ("distance_to_image_plane", DEPTH)):
        array = pictures[name].numpy() if how in ("warp", "strided") and name != "rgb" else pictures[name]
        got = array.numpy() if isinstance(array, wp.array) else np.asarray(array)
        np.testing.assert_array_equal(got, want)


def test_the_size_comes_from_whoever_knows_it():
    assert copies_of(product(RGB.ravel(), resolution=None))[0] == (HEIGHT, WIDTH)  # the camera knows
    assert copies_of(product(resolution=None, lens=None))[0] == (HEIGHT, WIDTH)  # the picture knows
    with pytest.raises(SourceError, match="came flat and without its size"):
        copies_of(product(RGB.ravel(), resolution=None, lens=None))
    with pytest.raises(SourceError, match=r"distance_to_image_plane should have shape \[3, 5\], but \[2, 5\] came"):
        copies_of(product(depth=DEPTH[:2]))
    with pytest.raises(SourceError, match="holds no rgb"):
        is_empty(ProductPayload(name="P", readings={}))


def test_transparent_and_missing_pictures_are_empty():
    assert (
        is_empty(product(np.zeros((0,), np.uint8)))
        and is_empty(product(np.zeros_like(RGB)))
        and is_empty(product(None))
    )


def captured(times, *, fps=None, depth_unit=False, unit=1.0, cameras=("/C",)):
    facts = StageFacts(
        path="s.usda", metres_per_unit=unit, up_axis="Y", time_codes_per_second=30.0, frames_per_second=30.0,
        default_prim="", roots=frozenset(),
    )  # fmt: skip
    recorder = Recorder(
        ("rgb", "distance_to_image_plane", "camera_params"),
        lambda *_: Surroundings(stage=facts, start_code=7.0),
        calibration=Calibration(depth_in_scene_units=depth_unit),
        fps=fps,
    )
    for index, time in enumerate(times):
        shown = {"rgb": RGB // (index + 1) | 1, "distance_to_image_plane": DEPTH + index}
        entry = {**shown, "camera_params": {**LENS, "metersPerSceneUnit": unit}, "resolution": (WIDTH, HEIGHT)}
        payload = {"renderProducts": {name: {**entry, "camera": name} for name in cameras}}
        recorder.record({**payload, "reference_time": time} if time is not None else payload)
    take = recorder.cut()
    assert take.wait(30)
    recorder.close()
    return take


@pytest.mark.parametrize(
    ("times", "rate", "words"),
    [
        ([(0, 1), (1, 12), (2, 12)], 12.0, []),
        ([(0, 1), (1001, 30000), (2002, 30000)], 30000 / 1001, []),
        ([(0, 1), (0, 1), (0, 1)], 30.0, ["stood still"]),
        ([(0, 1), (1, 12), (1, 12), (2, 12)], 12.0, ["1 of 4 frames repeat"]),
        ([(0, 1), (1, 12), (2, 12), (4, 12)], 12.0, ["not evenly spaced"]),
        ([None, None], 30.0, []),
    ],
)
def test_the_rate_is_that_of_the_capture_and_oddities_are_told(times, rate, words):
    take = captured(times)
    got, notes = take.rate()
    assert got == pytest.approx(rate, rel=1e-9) and len(notes) == len(words)
    assert all(word in note for word, note in zip(words, notes, strict=True))


def test_a_rate_that_is_given_wins():
    assert captured([(0, 1), (1, 12)], fps=24.0).rate() == (24.0, ())


def test_a_source_yields_the_frames_of_its_clip():
    take = captured([(0, 1), (1, 30), (2, 30)])
    source = take.source(None)
    assert isinstance(source, FrameSource) and isinstance(source, ClipHolder)
    clip, again = source.clip(), gather(source.read(), fps=source.fps, num_frames=source.num_frames)
    np.testing.assert_array_equal(again.rgb.numpy(), clip.rgb.numpy())
    np.testing.assert_array_equal(clip.depth.numpy(), [DEPTH, DEPTH + 1, DEPTH + 2])
    np.testing.assert_allclose(clip.time_codes, [7.0, 8.0, 9.0])
    assert clip.up_axis == "Y" and source.clip() is clip
    source.close()
    with pytest.raises(SourceError, match="has no camera /D; it has /C"):
        take.source("/D")
    take.forget()
    with pytest.raises(SourceError, match="holds no frame"):
        take.clip("/C")


def test_lengths_become_metres_where_the_calibration_says_so():
    np.testing.assert_allclose(captured([None], depth_unit=True, unit=0.01).clip("/C").depth.numpy()[0], DEPTH * 0.01)
    np.testing.assert_allclose(captured([None], depth_unit=False, unit=0.01).clip("/C").depth.numpy()[0], DEPTH)


def test_two_products_of_one_camera_are_refused():
    recorder = Recorder(("rgb", "camera_params"), lambda _: None, calibration=Calibration())
    entry = {"rgb": RGB, "camera_params": LENS, "camera": "/C", "resolution": (WIDTH, HEIGHT)}
    with pytest.raises(SourceError, match="2 render products show /C"):
        recorder.record({"renderProducts": {"A": entry, "B": entry}})
    recorder.close()


def test_an_id_table_that_cannot_be_read_is_told():
    entry = {"rgb": RGB, "camera_params": LENS, "camera": "/C", "resolution": (WIDTH, HEIGHT)}
    ids = {"data": np.ones((HEIGHT, WIDTH), np.uint32), "idToLabels": {"one": {"class": "a"}}}
    facts = StageFacts(
        path="s.usda", metres_per_unit=1.0, up_axis="Z", time_codes_per_second=24.0, frames_per_second=24.0,
        default_prim="", roots=frozenset(),
    )  # fmt: skip
    recorder = Recorder(
        ("rgb", "camera_params", "semantic_segmentation"),
        lambda *_: Surroundings(stage=facts, start_code=0.0),
        calibration=Calibration(),
    )
    recorder.record({"renderProducts": {"A": {**entry, "semantic_segmentation": ids}}, "reference_time": (0, 1)})
    take = recorder.cut()
    take.wait(30)
    recorder.close()
    assert "has the key 'one', which is no id" in take.fault


def test_calibration_comes_from_the_settings():
    settings = KitSettings(depth_in_scene_units=True, motion_scale_x=-1.0)
    assert settings.calibration == Calibration(depth_in_scene_units=True, motion_scale=(-1.0, 1.0))
