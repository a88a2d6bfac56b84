"""New materials and colours under the light that was there, against the published tone curve in float64 NumPy."""

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.kernels.materials import FAMILIES
from cosmos.bridge.kernels.regions import ANY, FIRST_THING, GROUND, NOWHERE, OTHER, WALL, find_regions
from cosmos.bridge.kernels.restyle import Style, estimate_reflectance, restyle_pictures

INPUT = np.array([[0.59719, 0.35458, 0.04823], [0.07600, 0.90834, 0.01566], [0.02840, 0.13383, 0.83777]])
OUTPUT = np.array([[1.60475, -0.53108, -0.07367], [-0.10208, 1.10813, -0.00605], [-0.00327, -0.07276, 1.07602]])
"""S. Hill's fit of ACES, as published."""
H, W = 40, 60
LENS = np.array([[48.0, 0.0, 30.0], [0.0, 48.0, 12.5], [0.0, 0.0, 1.0]])
EYE = np.eye(4)
EYE[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
EYE[2, 3] = 1.6
RED = (0.46, 0.02, 0.018)
LUMA = np.array([0.2126, 0.7152, 0.0722])


def linear(levels):
    v = np.asarray(levels) / 255.0
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def encoded(light):
    v = light @ INPUT.T
    v = (v * (v + 0.0245786) - 0.000090537) / (v * (0.983729 * v + 0.4329510) + 0.238081)
    v = np.clip(v @ OUTPUT.T, 0.0, 1.0)
    return 255.0 * np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1 / 2.4) - 0.055)


def scene(wall=False):
    """A floor seen from 1.6 m, or a wall 3 m away: depth and world normals."""
    y = np.arange(H)[:, None] + 0.5 + np.zeros((1, W))
    fall = (y - LENS[1, 2]) / LENS[1, 1]
    depth = np.full((H, W), 3.0) if wall else np.where(fall > 0.02, 1.6 / np.maximum(fall, 1e-3), np.inf)
    normals = np.where(np.isfinite(depth)[..., None], (0.0, -1.0, 0.0) if wall else (0.0, 0.0, 1.0), 0.0)
    return depth[None].astype(np.float32), normals[None].astype(np.float32)


def restyled(device, styles, *, wall=False, eye=EYE, light=None, amount=1.0, share=None, hints=None, flat=False):
    """Return source and light maps after, with those before, for a region that is all of the scene."""
    depth, normals = scene(wall)
    rng = np.random.default_rng(1)
    source = rng.integers(90, 130, (1, H, W, 3)).astype(np.uint8)
    if flat:
        source[:] = 110
    maps = np.zeros((1, H, W, 14), np.uint8)
    maps[..., 9:12] = 12
    if light is None:
        white, matter = rng.uniform(0.2, 0.6, (1, H, W, 1)) * (1.0, 0.9, 0.8), rng.uniform(0.2, 0.4, (1, H, W, 3))
        air = np.full(3, 0.02)
        maps[..., 3:6], maps[..., 9:12] = encoded(0.8 * white + air) + 0.5, encoded(air[None]) + 0.5
        maps[..., :3] = encoded(white * matter + air) + 0.5

    def array(values, dtype):
        return wp.array(np.ascontiguousarray(values), dtype=dtype, device=device)

    where = np.where(np.isfinite(depth), int(wall), NOWHERE).astype(np.uint8)
    told = None if light == "picture" else array(maps, wp.uint8)
    out, regions = array(source, wp.uint8), array(where, wp.uint8)
    estimates = estimate_reflectance(out, regions, told)
    typical = float(np.median(estimates.numpy()[where != NOWHERE]))
    restyle_pictures(
        out, regions=regions, styles=styles, estimates=estimates, own=np.array([[typical, 1.0, 0.0]]),
        depth=array(depth, wp.float32), normals=array(normals, wp.float32), intrinsics=LENS[None],
        cam_to_world=eye[None], up=(0.0, 0.0, 1.0), maps=told, amount=amount,
        share=None if share is None else array(share, wp.float32),
        hints=None if hints is None else array(hints, wp.float32),
    )  # fmt: skip
    return out.numpy(), None if told is None else told.numpy(), source, maps


def test_a_colour_takes_the_light_and_the_air_that_were_there(device):
    _, maps, _, before = restyled(device, [Style(family="paint", color=RED)])
    seen = np.isfinite(scene()[0])
    rng = np.random.default_rng(1)
    rng.integers(90, 130, (1, H, W, 3))
    white = rng.uniform(0.2, 0.6, (1, H, W, 1)) * (1.0, 0.9, 0.8)
    want = encoded(white * np.array(RED) + 0.02)
    error = np.abs(maps[..., :3] - want)[seen]
    assert error.mean() < 1.0 and error.max() < 5.0  # the ball is given in bytes
    np.testing.assert_array_equal(maps[..., 3:], before[..., 3:])
    np.testing.assert_array_equal(maps[~seen], before[~seen])


def test_the_source_takes_the_colour_and_keeps_its_light(device):
    source, _, before, _ = restyled(device, [Style(family="paint", color=RED)])
    seen = np.isfinite(scene()[0])
    hue = linear(source[seen])
    assert (hue[:, 0] > 4.0 * hue[:, 1]).mean() > 0.99
    source, _, before, _ = restyled(device, [Style(family="paint", color=RED)], light="picture")
    after = linear(source[seen]) @ LUMA
    assert np.corrcoef(after, linear(before[seen]) @ LUMA)[0, 1] > 0.9
    np.testing.assert_array_equal(source[~seen], before[~seen])


def test_nothing_changes_where_nothing_may(device):
    for settings in ({"amount": 0.0}, {"share": np.zeros((1, H, W))}):
        source, maps, source_before, maps_before = restyled(device, [Style(family="brick")], **settings)
        np.testing.assert_array_equal(source, source_before)
        np.testing.assert_array_equal(maps, maps_before)
    source, _, before, _ = restyled(device, [None])
    np.testing.assert_array_equal(source, before)
    half = np.zeros((1, H, W), np.float32)
    half[:, :, 30:] = 1.0
    source, _, before, _ = restyled(device, [Style(family="brick")], share=half)
    np.testing.assert_array_equal(source[:, :, :30], before[:, :, :30])
    assert (source[:, 20:, 30:] != before[:, 20:, 30:]).mean() > 0.9


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "paint"])
@pytest.mark.parametrize("wall", [False, True])
def test_a_family_has_the_reflectance_that_it_says(device, family, wall):
    """What is made of it, shown under an even light, is on average within half of its reflectance, and no even grey."""
    source, _, _, _ = restyled(device, [Style(family=family)] * 2, wall=wall, light="picture")
    seen = np.isfinite(scene(wall)[0])
    flat, _, _, _ = restyled(device, [Style(family="paint", color=FAMILIES[family][1])] * 2, wall=wall, light="picture")
    got, want = linear(source[seen]).mean(0) @ LUMA, linear(flat[seen]).mean(0) @ LUMA
    assert 0.5 < got / want < 1.6
    assert np.abs(source[seen].astype(int) - flat[seen]).mean() > 1.0


def test_materials_stick_to_the_world(device):
    settings = {"wall": True, "light": "picture", "flat": True}
    here = restyled(device, [Style(family="brick")] * 2, **settings)[0][0].astype(float)
    moved = EYE.copy()
    moved[0, 3] += 3.0 / 48.0 * 6  # six pixels of the wall
    there = restyled(device, [Style(family="brick")] * 2, eye=moved, **settings)[0][0].astype(float)
    np.testing.assert_allclose(here[:, 6:], there[:, :-6], atol=2.0)
    assert np.abs(here[:, :-6] - there[:, :-6]).mean() > 5.0


def test_materials_are_laid_in_metres(device):
    """The panels of a concrete wall are 1.2 m high from the ground: joints lie where they must be seen."""
    shown = restyled(device, [Style(family="concrete")] * 2, wall=True, light="picture", flat=True)[0][0]
    rows = shown.mean(axis=(1, 2))
    joints = [LENS[1, 2] + (1.6 - height) / 3.0 * 48.0 for height in (2.4, 1.2, 0.0)]
    for joint in (int(joint) for joint in joints if joint > 3):
        assert rows[joint - 1 : joint + 2].min() < rows[joint - 3] - 2.0


def test_soil_lies_where_the_hints_show_stains(device):
    hints = np.zeros((1, H, W, 22), np.float32)
    hints[..., 16] = -1.0
    hints[:, :, 30:, 16] = 1.0
    hints[..., 17:19] = -1.0
    _, maps, _, before = restyled(device, [Style(soiled=0.8)], hints=hints)
    np.testing.assert_array_equal(maps[:, :, :30], before[:, :, :30])
    assert maps[:, 20:, 30:, :3].mean() < before[:, 20:, 30:, :3].mean() - 10.0


def test_bad_input_gets_a_sentence(device):
    with pytest.raises(ValueError, match="knows the families paint, asphalt"):
        restyled(device, [Style(family="velvet")])


def test_regions_are_told_by_labels_and_by_geometry(device):
    depth, normals = scene()
    ids = np.zeros((1, H, W), np.uint32)
    ids[:, :, 10:20], ids[:, :, 20:30], ids[:, :, 30:40], ids[:, :, 40:50], ids[:, :, 50:] = 1, 2, 3, 4, 5
    normals[:, :, 20:30] = (0.0, -1.0, 0.0)

    def regions(kinds, **settings):
        arrays = {"normals": (normals, wp.float32), "instance_ids": (ids, wp.uint32)}
        given = {name: wp.array(values, dtype=dtype, device=device) for name, (values, dtype) in arrays.items()}
        told = {"ground": 0.0, "up": (0.0, 0.0, 1.0), **given, **settings}
        place = {"intrinsics": LENS[None], "cam_to_world": EYE[None]}
        array = wp.array(depth, dtype=wp.float32, device=device)
        return find_regions(array, kinds=np.array(kinds), **place, **told).numpy()[0]

    found = regions([OTHER, GROUND, WALL, WALL, ANY, FIRST_THING + 1])
    low = found[30]
    assert (low[:10] == NOWHERE).all() and (low[10:20] == 0).all() and (low[20:30] == 1).all()
    assert (low[30:40] == NOWHERE).all() and (low[40:50] == 0).all() and (low[50:] == 3).all()
    assert (found[0, :50] == NOWHERE).all()
    assert (regions([ANY] * 6, ground=1.0)[30, :10] == NOWHERE).all()
    assert (regions([OTHER] * 6, rest=7)[30] == 7).all() and (regions([OTHER] * 6, rest=7)[0] == NOWHERE).all()
    assert (regions([ANY] * 6, instance_ids=None)[30, :10] == 0).all()
