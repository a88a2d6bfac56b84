"""Wishes on a stage: each reaches its own pixels, as it says, and no others; with the shipped weights."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import warp as wp

from cosmos.bridge.controls import DepthSpec, EdgeSpec, VisSpec, derive_controls
from cosmos.bridge.sources import StageSource, read_clip
from cosmos.bridge.transfer.dressing import Dressing
from cosmos.bridge.transfer.embedded import EmbeddedTransfer
from cosmos.bridge.transfer.embedded_view import View
from cosmos.bridge.types import ControlWeights, TransferRequest
from cosmos.models.embedded.conditions import Conditions
from cosmos.models.embedded.wish_reading import read_wishes

SIZE = (96, 160)
FRAMES = 3
SPECS = (EdgeSpec(), DepthSpec(near=1.0, far=30.0))
STAGE = """#usda 1.0
( upAxis = "Z"
  metersPerUnit = 1 )
def Xform "World" {
    def Mesh "Ground" ( prepend apiSchemas = ["SemanticsLabelsAPI:class"] ) {
        token[] semantics:labels:class = ["floor"]
        point3f[] points = [(-20, -20, 0), (20, -20, 0), (20, 20, 0), (-20, 20, 0)]
        int[] faceVertexCounts = [4]
        int[] faceVertexIndices = [0, 1, 2, 3]
        color3f[] primvars:displayColor = [(0.3, 0.3, 0.3)]
    }
    def Cube "Back" ( prepend apiSchemas = ["SemanticsLabelsAPI:class"] ) {
        token[] semantics:labels:class = ["wall"]
        double size = 1
        double3 xformOp:translate = (0, 8, 2)
        double3 xformOp:scale = (14, 0.3, 4)
        uniform token[] xformOpOrder = ["xformOp:translate", "xformOp:scale"]
        color3f[] primvars:displayColor = [(0.5, 0.5, 0.45)]
    }
    def Cube "Car" ( prepend apiSchemas = ["SemanticsLabelsAPI:class"] ) {
        token[] semantics:labels:class = ["car"]
        double size = 1.6
        double3 xformOp:translate.timeSamples = { 0: (-1.4, 3, 0.8), 8: (0.2, 3, 0.8) }
        uniform token[] xformOpOrder = ["xformOp:translate"]
        color3f[] primvars:displayColor = [(0.1, 0.2, 0.5)]
    }
    def Cube "Box" ( prepend apiSchemas = ["SemanticsLabelsAPI:class"] ) {
        token[] semantics:labels:class = ["box"]
        double size = 1.2
        double3 xformOp:translate = (2.2, 2.5, 0.6)
        uniform token[] xformOpOrder = ["xformOp:translate"]
        color3f[] primvars:displayColor = [(0.5, 0.35, 0.15)]
    }
    def SphereLight "Lamp" {
        float inputs:radius = 0.15
        float inputs:intensity = 4000
        double3 xformOp:translate = (0, 2, 3.6)
        uniform token[] xformOpOrder = ["xformOp:translate"]
    }
    def Camera "Camera" {
        float focalLength = 18
        float horizontalAperture = 20.955
        float2 clippingRange = (0.1, 1000)
        double3 xformOp:translate = (0, -3, 1.7)
        double xformOp:rotateX = 85
        uniform token[] xformOpOrder = ["xformOp:translate", "xformOp:rotateX"]
    }
    def Camera "Other" {
        float focalLength = 18
        float horizontalAperture = 20.955
        float2 clippingRange = (0.1, 1000)
        double3 xformOp:translate = (0.8, -2, 1.5)
        double xformOp:rotateX = 85
        uniform token[] xformOpOrder = ["xformOp:translate", "xformOp:rotateX"]
    }
}
"""


def seen_by(camera):
    from pxr import Sdf, Usd

    layer = Sdf.Layer.CreateAnonymous(".usda")
    assert layer.ImportFromString(STAGE)
    source = StageSource(Usd.Stage.Open(layer), camera=f"/World/{camera}", frames=range(FRAMES), size=SIZE)
    yield read_clip(source)
    source.close()


@pytest.fixture(scope="module")
def clip():
    yield from seen_by("Camera")


@pytest.fixture(scope="module")
def other():
    yield from seen_by("Other")


@pytest.fixture(scope="module")
def controls(clip):
    return derive_controls(clip, specs=SPECS)


@pytest.fixture(scope="module")
def model():
    import torch

    torch.set_num_threads(1)
    model = EmbeddedTransfer()
    model.load("cpu")
    yield model
    model.unload()


@pytest.fixture(scope="module")
def paint(model, clip, controls):
    done = {}

    def run(prompt, **changes):
        key = (prompt, *map(str, sorted(changes)))
        if key not in done:
            weights = changes.pop("weights", ControlWeights(edge=0.5, depth=0.5))
            asked = TransferRequest(
                clip=changes.pop("clip", clip), controls=controls, weights=weights, prompt=prompt, seed=2, **changes
            )
            result = model.transfer(asked)
            done[key] = result.rgb.numpy().astype(float), result.provenance
        return done[key]

    return run


def where(clip, name):
    """Pixels of an instance, away from its rim, shape [F, H, W]."""
    key = next(key for key, thing in clip.instances.items() if thing.prim_path == f"/World/{name}")
    inside = (clip.instance_ids.numpy() == key).astype(np.uint8)
    return np.stack([cv2.erode(frame, np.ones((5, 5), np.uint8)) for frame in inside]) > 0


def away_from(clip, name):
    key = next(key for key, thing in clip.instances.items() if thing.prim_path == f"/World/{name}")
    inside = (clip.instance_ids.numpy() == key).astype(np.uint8)
    return np.stack([cv2.dilate(frame, np.ones((25, 25), np.uint8)) for frame in inside]) == 0


def redness(pixels):
    return (pixels[..., 0] - pixels[..., 2]).mean()


def test_a_colour_reaches_its_things_and_no_others(clip, paint):
    plain, red = paint("clear day")[0], paint("clear day, red cars")[0]
    car = where(clip, "Car")
    assert car.sum() > 300 and redness(plain[car]) < 0.0 and redness(red[car]) > 40.0
    assert np.abs(red - plain)[away_from(clip, "Car")].mean() < 1.5
    said = paint("clear day, red cars")[1].effective["wishes"]
    key = next(key for key, thing in clip.instances.items() if thing.prim_path == "/World/Car")
    assert said["shares"]["car"] == pytest.approx((clip.instance_ids.numpy() == key).mean(), abs=1e-4)
    assert said["surfaces"][0]["said"] == "red cars"


def test_a_material_reaches_its_surface_with_its_reflectance(clip, paint):
    plain, brick, grass = (paint(p)[0] for p in ("clear day", "clear day, brick walls", "clear day, grass floor"))
    wall, floor = where(clip, "Back"), where(clip, "Ground")
    assert redness(brick[wall]) > redness(plain[wall]) + 20.0 and brick[wall].std() > 1.3 * plain[wall].std()
    assert np.abs(brick - plain)[floor].mean() < 2.5
    green = grass[floor] - plain[floor]
    assert (green[:, 1] - green[:, [0, 2]].mean(1)).mean() > 15.0
    assert np.abs(grass - plain)[away_from(clip, "Ground")].mean() < 3.0


def test_without_a_stage_the_picture_tells_the_light(clip, paint):
    flat = replace(clip, probe=None)
    plain, red = paint("clear day", clip=flat)[0], paint("clear day, red cars, brick walls", clip=flat)[0]
    for name in ("Car", "Back"):
        assert redness(red[where(clip, name)]) > redness(plain[where(clip, name)]) + 15.0
    assert np.abs(red - plain)[where(clip, "Box")].mean() < 4.0


def test_wear_grows_with_its_word_and_keeps_to_its_thing(clip, paint):
    floor = where(clip, "Ground")
    plain, new, worn, dirty = (
        paint(p)[0] for p in ("clear day", "clear day, spotless", "clear day, worn", "clear day, very dirty")
    )
    faint, strong = ((picture[floor].astype(float) - new[floor]).std() for picture in (plain, worn))
    assert 1.0 < faint < 0.8 * strong
    assert dirty[floor].mean() < worn[floor].mean() - 3.0 < plain[floor].mean() - 6.0
    only = paint("clear day, very dirty boxes")[0]
    assert only[where(clip, "Box")].mean() < plain[where(clip, "Box")].mean() - 8.0
    assert np.abs(only - plain)[away_from(clip, "Box")].mean() < 1.5


def test_blur_takes_the_gradients_and_dirt_the_light(clip, paint):
    def sharpness(pictures):
        return np.mean([cv2.Laplacian(frame.astype(np.float32), cv2.CV_32F).var() for frame in pictures])

    plain = paint("clear day")[0]
    levels = [sharpness(paint(p)[0]) for p in ("clear day, very blurry", "clear day, slightly blurry", "clear day")]
    assert levels == sorted(levels) and levels[0] < 0.3 * levels[2]
    dirty = paint("clear day, dirty lens")[0]
    assert np.abs(dirty - plain).mean() > 1.0 and dirty.max() <= plain.max() + 1.0
    drops = paint("clear day, raindrops on the lens")[0]
    assert 0.01 < (np.abs(drops - plain).max(-1) > 8.0).mean() < 0.5


def test_motion_blurs_what_moves_only(clip, paint):
    plain, moved = paint("clear day")[0], paint("clear day, very strong motion blur")[0]
    motion = np.abs(clip.motion.numpy()).max(-1)
    assert motion.max() > 2.0
    changed = np.abs(moved - plain).max(-1) > 3.0
    assert changed[1:][motion[1:] > 1.0].mean() > 0.05 and not changed[motion == 0.0].any()


def test_lamps_are_dimmed_and_warmed_at_night_and_not_by_day(clip, paint):
    floor = where(clip, "Ground")
    night, off, dim, warm, cold = (
        paint(p)[0][floor]
        for p in ("night", "night, lamps off", "night, dim lamps", "night, warm lamps", "night, cold neon light")
    )
    assert off.mean() < dim.mean() - 2.0 < night.mean() - 4.0
    assert redness(warm) > redness(night) + 5.0 > redness(cold) + 7.0
    np.testing.assert_array_equal(paint("clear day, lamps off")[0], paint("clear day")[0])


def test_wishes_go_together(clip, paint):
    both = paint("clear day, brick walls, red cars, dirty lens")[0]
    plain = paint("clear day")[0]
    for name in ("Back", "Car"):
        assert redness(both[where(clip, name)]) > redness(plain[where(clip, name)]) + 10.0


def test_what_meets_nothing_is_said(paint, clip):
    notes = " ".join(paint("clear day, green ships, rusty trains")[1].notes)
    assert "Nothing here is a 'ship', so it was not made green" in notes and "'rusty trains' changed nothing" in notes
    assert "Not understood: 'marble floor'" in " ".join(paint("marble floor")[1].notes)
    assert paint("clear day")[1].effective["wishes"] == {} and not paint("clear day, red cars")[1].notes
    still = replace(clip, motion=None, probe=None)
    notes = " ".join(paint("warm lamps, motion blur", clip=still)[1].notes)
    assert "no motion vectors" in notes and "lamps stay as they are" in notes
    assert "no light of lamps" in " ".join(paint("clear day, lamps off")[1].notes)
    assert not paint("night, lamps off")[1].notes
    flat = Dressing(read_wishes(["worn", ",", "brick", "walls"], nearest=lambda *_: None).wishes, seed=1)
    flat.prepare(replace(clip, depth=None), range(1), ground=0.0, kept=None, hints=None, maps=None)
    notes = " ".join(flat.notes())
    assert "no depth, so wear stays" in notes and "No wall was seen here, so it was not made brick" in notes


def test_hundreds_of_nouns_and_strange_ids_are_borne(clip):
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [part for a in letters for b in letters[:12] for part in ("red", f"q{a}{b}x", ",")]
    wishes = read_wishes([*words, "worn"], nearest=lambda *_: None).wishes
    assert len(wishes.surfaces) == 312
    ids = clip.instance_ids.numpy().astype(np.int64)
    ids[:, :4], ids[:, 4:8] = 2**32 - 1, 5_000_000
    strange = replace(clip, instance_ids=wp.array(ids.astype(np.uint32), dtype=wp.uint32, device="cpu"))
    dressed = Dressing(wishes, seed=1)
    changed = dressed.prepare(strange, range(2), ground=0.0, kept=None, hints=None, maps=None)
    assert changed.shape == (2, *SIZE, 3)
    notes = dressed.notes()
    assert sum("200 kinds of things" in note for note in notes) == 112 and "Nothing here is a 'qaax'" in notes[0]


def test_what_is_protected_stays_to_the_bit(clip, controls, model):
    kept = where(clip, "Car").astype(np.float32)
    weights = ControlWeights(
        vis=wp.array(kept, dtype=wp.float32, device="cpu"),
        depth=wp.array(0.5 * (1.0 - kept), dtype=wp.float32, device="cpu"),
    )
    told = derive_controls(clip, specs=(VisSpec(), SPECS[1]))
    asked = TransferRequest(
        clip=clip, controls=told, weights=weights, prompt="red cars, very dirty, blurry, dirty lens", seed=2
    )
    painted = model.transfer(asked).rgb.numpy()
    np.testing.assert_array_equal(painted[kept > 0], clip.rgb.numpy()[kept > 0])
    assert (painted != clip.rgb.numpy())[kept == 0].mean() > 0.5
    wishes = read_wishes(["red", "cars", ",", "very", "dirty"], nearest=lambda *_: None).wishes
    told = View(Conditions(), seed=2, fps=24.0, wishes=wishes).prepare(asked, range(FRAMES), "cpu").inputs
    for pictures in (told.rgb, told.maps[:, :3]):
        plain = View(Conditions(), seed=2, fps=24.0).prepare(asked, range(FRAMES), "cpu").inputs
        before = (plain.rgb if pictures is told.rgb else plain.maps[:, :3])[0].permute(1, 2, 3, 0).numpy()
        after = pictures[0].permute(1, 2, 3, 0).numpy()
        np.testing.assert_array_equal(after[kept > 0], before[kept > 0])
        assert (after != before)[kept == 0].mean() > 0.2


def test_a_stream_and_two_views_are_the_whole_clip(clip, model, paint):
    prompt = "brick walls, red cars, worn, motion blur, dirty lens, cobblestone floor"
    whole = paint(prompt)[0]

    def piece(first, last):
        cut = slice(first, last)
        names = ("rgb", "depth", "normals", "semantic_ids", "instance_ids", "motion")
        poses = {key: pose[cut] for key, pose in clip.poses.items()}
        part = {name: getattr(clip, name)[cut] for name in names}
        times = {"cameras": clip.cameras[cut], "time_codes": clip.time_codes[cut]}
        return replace(clip, **part, **times, poses=poses, probe=_From(clip.probe, first))

    def told(part):
        return derive_controls(part, specs=SPECS)

    weights = ControlWeights(edge=0.5, depth=0.5)
    streams = [model.open(prompt, weights=weights, seed=2, fps=clip.fps) for _ in range(2)]
    painted = [[], []]
    for first, last in ((0, 1), (1, FRAMES)):
        part = piece(first, last)
        pushed = model.push_all([(stream, part, told(part), None) for stream in streams])
        for pictures, rgb in zip(painted, pushed, strict=True):
            pictures.append(rgb.numpy())
    for pictures in painted:
        np.testing.assert_array_equal(np.concatenate(pictures), whole)


def test_two_cameras_together_are_each_alone(clip, other, model):
    prompt, weights = "brick walls, red cars, worn, dirty lens", ControlWeights(edge=0.5, depth=0.5)
    told = [derive_controls(each, specs=SPECS) for each in (clip, other)]
    alone = [
        model.transfer(
            TransferRequest(clip=each, controls=controls, weights=weights, prompt=prompt, seed=2)
        ).rgb.numpy()
        for each, controls in zip((clip, other), told, strict=True)
    ]
    streams = [model.open(prompt, weights=weights, seed=2, fps=clip.fps) for _ in range(2)]
    pushed = model.push_all(
        [(stream, each, controls, None) for stream, each, controls in zip(streams, (clip, other), told, strict=True)]
    )
    for together, picture in zip(pushed, alone, strict=True):
        np.testing.assert_array_equal(together.numpy(), picture)
    assert (alone[0] != alone[1]).mean() > 0.5


class _From:
    """A probe that counts its frames from another one of the clip."""

    def __init__(self, probe, first):
        self._probe, self._first = probe, first

    def light(self, frame, look):
        return self._probe.light(self._first + frame, look)

    def close(self):
        pass


def test_nothing_wished_costs_and_changes_nothing(clip, controls, monkeypatch):
    view = View(Conditions(), seed=1, fps=24.0)
    assert not view.dressing.wishes.any and view.dressing.effective() == {} and view.dressing.notes() == []
    same = Dressing(None, seed=1).prepare(clip, range(2), ground=0.0, kept=None, hints=None, maps=None)
    assert same.ptr == clip.rgb.ptr
    pictures = wp.clone(clip.rgb)
    monkeypatch.setattr("cosmos.bridge.kernels.optics.see_through", None)
    Dressing(None, seed=1).finish(clip, range(2), pictures, np.zeros(2))
    np.testing.assert_array_equal(pictures.numpy(), clip.rgb.numpy())
