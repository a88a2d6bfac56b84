"""Streams of the embedded model: any pieces give the whole clip to the bit, many views at once give each alone."""

import gc
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch  # noqa: TID253
import warp as wp

from cosmos.bridge.config import OffloadPolicy
from cosmos.bridge.controls import DepthSpec, EdgeSpec, derive_controls
from cosmos.bridge.errors import ModelError
from cosmos.bridge.transfer.embedded import EmbeddedTransfer
from cosmos.bridge.transfer.registry import create
from cosmos.bridge.types import BUFFERS, ControlKind, ControlWeights, LightMaps, TransferRequest, gather
from cosmos.bridge.types.control import ControlSignals
from cosmos.bridge.types.probe import FALLING_SHAPE
from fake_clips import make_clip, make_controls
from heard import heard_as

FRAMES = 7
WEIGHTS = ControlWeights(edge=0.4, depth=0.4)


@pytest.fixture(scope="module")
def model(tiny_folder):
    model = EmbeddedTransfer(tiny_folder)
    model.load("cpu")
    yield model
    model.unload()


@pytest.fixture(autouse=True)
def snowy(monkeypatch):
    """Tiny random weights read every prompt alike, so the reader answers for a trained one: snow, rain, grain."""
    from cosmos.models.embedded import text

    def encode(self, words):
        return heard_as(0.1, noise=0.7, **{name: 0.7 * (name in words) for name in ("rain", "snow")})

    monkeypatch.setattr(text.PromptReader, "_encode", encode)


class Lamp:
    """A probe whose light is another in each frame of the whole clip."""

    def __init__(self, clip, first=0):
        self.size, self.first = (clip.height, clip.width), first

    def light(self, frame, look):
        rng = np.random.default_rng(self.first + frame)
        maps = {
            name: wp.array(rng.integers(0, 256, (*self.size, c), dtype=np.uint8), dtype=wp.uint8, device="cpu")
            for name, c in (("relit", 3), ("white", 3), ("mirror", 3), ("air", 4), ("glow", 3))
        }
        maps["falling"] = wp.array(rng.integers(0, 256, FALLING_SHAPE, dtype=np.uint8), device="cpu")
        return LightMaps(**maps, open=wp.full(self.size, 200, dtype=wp.uint8, device="cpu"))

    def close(self):
        pass


def indoors_first():
    """A clip that sees no sky in its first frames, a little in the next, all of it later; the camera moves."""
    clip = make_clip((36, 50), FRAMES)
    depth = clip.depth.numpy()
    for frame, rows in ((0, 36), (1, 36), (2, 0)):
        depth[frame, :rows] = np.where(np.isfinite(depth[frame, :rows]), depth[frame, :rows], 30.0)
    depth[2][~np.isfinite(depth[2])] = 30.0
    depth[2, 0, :9] = np.inf  # half a percent: some of the flakes
    cameras = []
    for frame, camera in enumerate(clip.cameras):
        moved = camera.cam_to_world.copy()
        moved[0, 3] += 0.2 * frame
        cameras.append(replace(camera, cam_to_world=moved))
    motion = wp.array(np.full((*depth.shape, 2), (1.3, -0.4)), dtype=wp.float32, device="cpu")
    depth = wp.array(depth, dtype=wp.float32, device="cpu")
    clip = replace(clip, depth=depth, motion=motion, cameras=tuple(cameras))
    return replace(clip, probe=Lamp(clip))


def piece(clip, controls, first, stop):
    """Frames of a clip as a clip of their own, in memory of their own."""
    names = [name for name in BUFFERS if getattr(clip, name) is not None]
    part = replace(
        clip,
        cameras=clip.cameras[first:stop],
        time_codes=clip.time_codes[first:stop],
        poses={key: pose[first:stop] for key, pose in clip.poses.items()},
        probe=None if clip.probe is None else Lamp(clip, first),
        **{name: wp.clone(getattr(clip, name)[first:stop]) for name in names},
    )
    signals = tuple(replace(signal, video=wp.clone(signal.video[first:stop])) for signal in controls)
    return part, ControlSignals(signals=signals)


def whole(model, clip, controls, **named):
    request = TransferRequest(clip=clip, controls=controls, **{"weights": WEIGHTS, "prompt": "snow", **named})
    return model.transfer(request).rgb.numpy()


@pytest.mark.parametrize("sizes", [(1,) * FRAMES, (3, 1, 3), (2, 5), (FRAMES,)], ids=str)
def test_pieces_of_any_length_give_the_whole_clip_to_the_bit(model, sizes):
    clip = indoors_first()
    controls = make_controls(clip)
    stream, first, got = model.open("snow", weights=WEIGHTS, seed=3, fps=clip.fps), 0, []
    for size in sizes:
        got.append(stream.push(*piece(clip, controls, first, first + size)).numpy())
        first += size
    want = whole(model, clip, controls, seed=3)
    np.testing.assert_array_equal(np.concatenate(got), want)
    assert stream.finish().shape == (0, 36, 50, 3)
    later, fields = piece(clip, controls, 4, FRAMES)
    fresh = model.open("snow", weights=WEIGHTS, seed=3, fps=clip.fps).push(later, fields).numpy()
    assert (fresh != want[4:]).mean() > 0.01  # so something is carried


def test_light_is_averaged_where_motion_is_known(model):
    clip = indoors_first()
    controls = make_controls(clip)
    unknown = replace(clip, motion=None)
    steady, raw = (whole(model, each, controls, seed=3).astype(int) for each in (clip, unknown))
    np.testing.assert_array_equal(steady[0], raw[0])
    assert (np.abs(steady[1:] - raw[1:]) > 0).mean() > 0.1


def test_controls_may_be_derived_piece_by_piece(model):
    """With a fixed range of depth; the range of each piece alone would be another."""
    clip = indoors_first()
    nearer = clip.depth.numpy()
    nearer[4:] *= 0.3
    clip = replace(clip, depth=wp.array(nearer, dtype=wp.float32, device="cpu"))
    specs = (EdgeSpec(), DepthSpec(near=0.5, far=60.0))
    stream, got = model.open("snow", weights=WEIGHTS, fps=clip.fps), []
    for first, stop in ((0, 2), (2, FRAMES)):
        part, _ = piece(clip, make_controls(clip), first, stop)
        got.append(stream.push(part, derive_controls(part, specs)).numpy())
    np.testing.assert_array_equal(np.concatenate(got), whole(model, clip, derive_controls(clip, specs)))
    late, _ = piece(clip, make_controls(clip), 0, 1)
    ranges = [derive_controls(each)[ControlKind.DEPTH].video.numpy()[0] for each in (late, clip)]
    assert (ranges[0] != ranges[1]).any()


def test_flakes_come_with_the_sky_and_stay(model):
    clip = indoors_first()
    controls = make_controls(clip)
    snow, dry = (whole(model, clip, controls, prompt=prompt).astype(int) for prompt in ("snow", "day"))
    closed, little, rest = (whole(model, replace(clip, depth=depth), controls) for depth in _depths(clip))
    assert (snow[:2] == closed[:2]).all() and (snow[3:] == rest[3:]).all()
    assert (snow[2] != closed[2]).any() and (snow[2] != rest[2]).any() and (snow[2] == little[2]).all()
    assert (snow != dry).any()


def _depths(clip):
    """The clip's depth without sky, with the little that its third frame shows, and with sky from the start."""
    depth = clip.depth.numpy()
    inside = np.where(np.isfinite(depth), depth, 30.0)
    for show in (None, (2, slice(0, 1), slice(0, 9)), (slice(None), slice(0, 12))):
        shown = inside.copy()
        if show is not None:
            shown[show] = np.inf
        for frame in (2, 3, 4, 5, 6):
            if show is not None and show[0] != 2:
                shown[frame] = depth[frame] if frame > 2 else shown[frame]
        yield wp.array(shown.astype(np.float32), dtype=wp.float32, device="cpu")


def test_weights_may_be_another_in_each_push(model):
    clip = make_clip(frames=2)
    controls = make_controls(clip)
    maps = np.zeros(clip.depth.shape, np.float32)
    maps[1] = 0.7
    flat = wp.array(maps, dtype=wp.float32, device="cpu")
    want = whole(model, clip, controls, weights=ControlWeights(depth=0.3, edge=flat))
    stream = model.open("snow", weights=ControlWeights(depth=0.3, edge=1e-9), fps=24.0)
    first = stream.push(*piece(clip, controls, 0, 1)).numpy()
    second = stream.push(*piece(clip, controls, 1, 2), ControlWeights(depth=0.3, edge=0.7)).numpy()
    np.testing.assert_array_equal(np.concatenate([first, second]), want)


def test_many_views_at_once_give_each_alone(model):
    """Other looks, seeds, sizes, lengths and controls, with and without a stage to ask."""
    views = []
    for index, (size, frames, prompt, lit) in enumerate(
        [((36, 50), 2, "snow", True), ((36, 50), 1, "rain", True), ((20, 30), 3, "snow", True),
         ((36, 50), 2, "day", False), ((36, 50), 1, "snow", True)]
    ):  # fmt: skip
        clip = make_clip(size, frames)
        clip = replace(clip, probe=Lamp(clip, 50 * index)) if lit else clip
        weights = ControlWeights(seg=0.5, depth=0.5) if index == 4 else WEIGHTS
        views.append((clip, make_controls(clip, seed=index), prompt, weights))
    for turn in range(2):
        if turn == 0:
            together = [model.open(p, weights=w, seed=i, fps=24.0) for i, (_, _, p, w) in enumerate(views)]
            alone = [model.open(p, weights=w, seed=i, fps=24.0) for i, (_, _, p, w) in enumerate(views)]
        got = model.push_all([(s, c, k, None) for s, (c, k, _, _) in zip(together, views, strict=True)])
        for pictures, stream, (clip, controls, _, _) in zip(got, alone, views, strict=True):
            np.testing.assert_array_equal(pictures.numpy(), stream.push(clip, controls).numpy())


def test_frames_of_a_renderer_may_be_pushed_as_they_come(model, clip):
    from cosmos.bridge.types import Frame

    frame = Frame(camera=clip.cameras[0], time_code=0.0, sim_time=0.0, rgb=clip.rgb[0], depth=clip.depth[0])
    one = gather([frame], fps=30.0, num_frames=1)
    assert model.open("snow", fps=30.0).push(one, make_controls(one)).shape == one.rgb.shape


def test_memory_does_not_grow_with_the_frames(model):
    clip = make_clip(frames=1)
    controls = make_controls(clip)
    stream = model.open("snow", fps=24.0)

    def held(pushes):
        for _ in range(pushes):
            stream.push(clip, controls)
        gc.collect()
        arrays = sum(issubclass(type(thing), (wp.array, torch.Tensor, np.ndarray)) for thing in gc.get_objects())
        return arrays, tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        held(5)
        (arrays, size), (later, grown) = held(5), held(60)
    finally:
        tracemalloc.stop()
    assert later <= arrays and grown - size < 60 * 1000  # a frame's picture alone has 5,400 bytes


def test_what_was_not_understood_is_told_when_it_is_opened(model):
    assert model.open("snow, cyberpunk").notes == ("Not understood: 'cyberpunk'.",)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"prompt": "  "}, "needs a prompt, a seed >= 0 and fps > 0"),
        ({"seed": -1}, "needs a prompt, a seed >= 0 and fps > 0"),
        ({"fps": 0.0}, "needs a prompt, a seed >= 0 and fps > 0"),
        ({"fps": float("nan")}, "needs a prompt, a seed >= 0 and fps > 0"),
        ({"guidance": 9.0}, r"guidance in \[0, 3\], got 9"),
        ({"weights": ControlWeights()}, "all weights are 0"),
        ({"weights": ControlWeights(lidar=1.0)}, "does not know the control lidar"),
    ],
    ids=str,
)
def test_a_stream_that_cannot_be_is_refused_when_it_is_opened(model, given, sentence):
    with pytest.raises(ModelError, match=sentence):
        model.open(**{"prompt": "snow", **given})


def test_frames_of_another_view_are_refused(model):
    clip = make_clip(frames=1)
    controls = make_controls(clip)
    stream = model.open("snow", fps=24.0)
    with pytest.raises(ModelError, match=r"got no frame"):
        stream.finish()
    stream.push(clip, controls)
    small = make_clip((20, 30), 1)
    other = replace(clip, cameras=(replace(clip.cameras[0], prim_path="/World/Other"),))
    for wrong, sentence in (
        (small, r"paints size \[H, W\] \(36, 50\), got \(20, 30\)"),
        (other, r"paints camera /World/Camera, got /World/Other"),
        (replace(clip, up_axis="Y"), r"paints up axis Z, got Y"),
        (replace(clip, fps=30.0), r"runs at 24 frames/s, got a clip of 30"),
    ):
        with pytest.raises(ModelError, match=sentence):
            stream.push(wrong, make_controls(wrong))
    with pytest.raises(ModelError, match="cannot be painted: TransferRequest weighs"):
        stream.push(clip, make_controls(clip, kinds=(ControlKind.SEG,)))
    with pytest.raises(ModelError, match="got two for one"):
        model.push_all([(stream, clip, controls, None), (stream, clip, controls, None)])


def test_a_stream_in_a_worker_gives_the_same(tiny_folder, monkeypatch):
    monkeypatch.undo()  # the worker reads prompts by itself
    torch.set_num_threads(1)
    clip = make_clip(frames=3)
    clip = replace(clip, probe=Lamp(clip))
    controls = make_controls(clip)
    parts = [piece(clip, controls, 0, 2), piece(clip, controls, 2, 3)]
    got = []
    for policy in (OffloadPolicy(), OffloadPolicy(placement="worker")):
        model = create("embedded", {"weights": str(tiny_folder)}, policy)
        model.load("cpu")
        stream = model.open("snow", weights=WEIGHTS, seed=5, fps=24.0)
        told = []
        got.append([stream.push(*part, progress=lambda *step, to=told: to.append(step)).numpy() for part in parts])
        got[-1].append(stream.finish().numpy())
        assert told == [("transfer", 2, 2), ("transfer", 1, 1)]
        model.unload()
    for here, there in zip(*got, strict=True):
        np.testing.assert_array_equal(here, there)


def test_frames_are_told_as_they_are_done(model, monkeypatch):
    monkeypatch.setattr("cosmos.bridge.transfer.embedded._PIXELS_AT_ONCE", 1)
    clip, told = make_clip(frames=2), []
    controls = make_controls(clip)
    streams = [model.open("snow", seed=seed, fps=24.0) for seed in range(2)]
    model.push_all([(stream, clip, controls, None) for stream in streams], lambda *step: told.append(step))
    assert told == [("transfer", done, 4) for done in (1, 2, 3, 4)]
    streams[0].push(clip, controls, progress=lambda *step: told.append(step))
    assert told[4:] == [("transfer", 1, 2), ("transfer", 2, 2)]
    assert streams[0].finish(lambda *step: told.append(step)).shape[0] == 0 and len(told) == 6
