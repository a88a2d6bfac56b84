import numpy as np
import pytest
import warp as wp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cosmos.bridge.kernels.segmentation import count_ids, ids_to_control, shade_control

IDS = st.one_of(st.integers(0, 6), st.sampled_from([2**31 - 1, 2**31, 2**32 - 1]))
FEW = {1: (10, 20, 30), 3: (255, 0, 7)}
COLORS = {**FEW, 2**32 - 1: (1, 2, 3)}  # one id beyond the table: all are searched


def paint_with_numpy(ids, colors):
    video = np.zeros((*ids.shape, 3), np.uint8)
    for key, color in colors.items():
        video[ids == key] = color
    return video


@given(ids=hnp.arrays(np.uint32, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6), elements=IDS))
@settings(deadline=None, max_examples=60)
def test_each_id_has_its_colour_and_the_rest_is_black(ids):
    for colors in (COLORS, FEW):
        control = ids_to_control(wp.array(ids, dtype=wp.uint32, device="cpu"), colors)
        np.testing.assert_array_equal(control.numpy(), paint_with_numpy(ids, colors))


@pytest.mark.parametrize("shape", [(2, 7, 5), (1, 1, 1), (3, 1, 8)])
def test_int32_ids_are_the_same_bits(device, shape):
    ids = np.resize(np.array([0, 1, 3, 2**32 - 1, 5], np.uint32), shape)
    signed = wp.array(ids.view(np.int32), dtype=wp.int32, device=device)
    np.testing.assert_array_equal(ids_to_control(signed, COLORS).numpy(), paint_with_numpy(ids, COLORS))


def test_an_id_nobody_named_has_a_fixed_spare_colour_and_background_never(device):
    ids = np.array([[[0, 1, 9, 9, 11]]], np.uint32)
    spare = np.arange(1, 31, dtype=np.uint8).reshape(10, 3)
    first, second = (
        ids_to_control(wp.array(ids, dtype=wp.uint32, device=device), {1: (200, 201, 202)}, others=spare).numpy()[0, 0]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert not first[0].any()
    assert tuple(first[1]) == (200, 201, 202)
    assert any((first[2] == color).all() for color in spare)
    np.testing.assert_array_equal(first[2], first[3])


def test_no_colours_at_all_is_black(device):
    ids = wp.array(np.ones((1, 2, 3), np.uint32), dtype=wp.uint32, device=device)
    assert not ids_to_control(ids, {}).numpy().any()


def test_strided_ids_are_read_as_they_are(device):
    ids = np.random.default_rng(0).integers(0, 4, (3, 8, 9)).astype(np.uint32)
    cut = wp.array(ids, dtype=wp.uint32, device=device)[:, 2:, 1:6]
    assert not cut.is_contiguous
    np.testing.assert_array_equal(ids_to_control(cut, COLORS).numpy(), paint_with_numpy(ids[:, 2:, 1:6], COLORS))
    np.testing.assert_array_equal(count_ids(cut, [1])[:, 0], (ids[:, 2:, 1:6] == 1).sum(axis=(1, 2)))
    signed = wp.array(ids.view(np.int32), dtype=wp.int32, device=device)[:, 2:, 1:6]
    np.testing.assert_array_equal(ids_to_control(signed, COLORS).numpy(), paint_with_numpy(ids[:, 2:, 1:6], COLORS))


@given(ids=hnp.arrays(np.uint32, hnp.array_shapes(min_dims=3, max_dims=3, max_side=7), elements=IDS))
@settings(deadline=None, max_examples=60)
def test_counts_match_numpy_and_add_up(ids):
    known = [0, 2, 3, 2**32 - 1]
    counts = count_ids(wp.array(ids, dtype=wp.uint32, device="cpu"), known)
    wanted = np.stack([(ids == key).sum(axis=(1, 2)) for key in known], axis=1)
    np.testing.assert_array_equal(counts[:, :-1], wanted)
    assert (counts.sum(axis=1) == ids[0].size).all()


def test_counting_on_each_device(device):
    ids = np.random.default_rng(1).integers(0, 9, (3, 13, 200)).astype(np.uint32)
    counts = count_ids(wp.array(ids, dtype=wp.uint32, device=device), [1, 5, 8])
    np.testing.assert_array_equal(counts[:, 1], (ids == 5).sum(axis=(1, 2)))
    assert counts.sum() == ids.size


def test_shading_matches_numpy_and_stays_between_a_half_and_one(device):
    rng = np.random.default_rng(2)
    normals = rng.normal(size=(2, 5, 7, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    normals[0, 0, 0] = 0.0
    normals[0, 0, 1] = np.nan
    light = np.array([1.0, 2.0, 2.0])
    control = wp.full((2, 5, 7, 3), 200, dtype=wp.uint8, device=device)
    shaded = shade_control(control, wp.array(normals, dtype=wp.float32, device=device), light=light)
    assert shaded is control
    factor = 0.75 + 0.25 * np.nan_to_num(normals @ (light / 3.0))
    np.testing.assert_allclose(shaded.numpy()[..., 0].astype(int), np.floor(200 * factor + 0.5), atol=1)
    assert shaded.numpy().min() >= 100
    assert shaded.numpy().max() <= 200


def test_other_arrays_are_refused(device):
    ids = wp.zeros((1, 2, 2), dtype=wp.uint32, device=device)
    video = wp.zeros((1, 2, 2, 3), dtype=wp.uint8, device=device)
    normals = wp.zeros((1, 2, 2, 3), dtype=wp.float32, device=device)
    with pytest.raises(ValueError, match="uint32 or int32"):
        ids_to_control(wp.zeros((1, 2, 2), dtype=wp.int64, device=device), {})
    with pytest.raises(ValueError, match=r"colours .* in 0..255"):
        ids_to_control(ids, {1: (256, 0, 0)})
    with pytest.raises(ValueError, match="others as uint8"):
        ids_to_control(ids, {}, others=np.zeros((4,), np.uint8))
    with pytest.raises(ValueError, match="needs out as"):
        ids_to_control(ids, {}, out=normals)
    with pytest.raises(ValueError, match="ascending"):
        count_ids(ids, [3, 1])
    with pytest.raises(ValueError, match="one shape"):
        shade_control(video, wp.zeros((1, 2, 3, 3), dtype=wp.float32, device=device), light=(0, 0, 1))
    with pytest.raises(ValueError, match="light as a direction"):
        shade_control(video, normals, light=(0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="needs normals as float32"):
        shade_control(video, video, light=(0, 0, 1))
