import numpy as np
import pytest
import warp as wp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cosmos.bridge.kernels.weights import (
    blend_weights,
    cap_stack,
    fade_weights,
    inspect_weights,
    limit_to_box,
    limit_to_mask,
    select_ids,
    weights_to_tokens,
)

UNIT = st.floats(0.0, 1.0, width=32)


def to_warp(array, device="cpu"):
    return wp.array(array, dtype=wp.float32, device=device)


def random_map(shape, seed=0):
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def tokens_with_torch(weights, grid):
    torch = pytest.importorskip("torch")
    planes = torch.from_numpy(weights)[None, None]
    kept = {"mode": "trilinear", "align_corners": False}
    parts = [torch.nn.functional.interpolate(planes[:, :, :1], size=(1, *grid[1:]), **kept)]
    if grid[0] > 1:
        parts.append(torch.nn.functional.interpolate(planes[:, :, 1:], size=(grid[0] - 1, *grid[1:]), **kept))
    return torch.cat(parts, dim=2)[0, 0].numpy()


@pytest.mark.parametrize(
    ("shape", "grid"),
    [
        ((9, 33, 57), (3, 5, 7)),
        ((1, 1, 1), (1, 3, 2)),
        ((1, 9, 4), (1, 2, 2)),
        ((2, 5, 5), (6, 9, 1)),
        ((13, 22, 40), (4, 11, 20)),
        ((24, 18, 32), (7, 9, 16)),
    ],
)
def test_tokens_match_torch_with_frame_0_on_its_own(device, shape, grid):
    weights = random_map(shape)
    tokens = weights_to_tokens(to_warp(weights, device), grid).numpy()
    np.testing.assert_allclose(tokens, tokens_with_torch(weights, grid), atol=2e-6)


@given(weights=hnp.arrays(np.float32, hnp.array_shapes(min_dims=4, max_dims=4, max_side=5), elements=UNIT))
@settings(deadline=None, max_examples=80)
def test_capped_weights_never_sum_above_one(weights):
    stack = cap_stack(to_warp(weights)).numpy()
    total = weights.astype(np.float64).sum(axis=0)
    assert (stack.sum(axis=0) <= 1.0 + 1e-6).all()
    np.testing.assert_allclose(stack, weights / np.maximum(total, 1.0), atol=1e-6)


def test_blending_matches_numpy(device):
    weights, coverage = random_map((3, 5, 4)), random_map((3, 5, 4), seed=1)
    strengths = [0.0, 0.5, 1.0]
    share = coverage * np.array(strengths)[:, None, None]
    blended = blend_weights(to_warp(weights, device), to_warp(coverage, device), strengths, 0.8).numpy()
    np.testing.assert_allclose(blended, weights + share * (0.8 - weights), atol=1e-6)
    np.testing.assert_array_equal(blended[0], weights[0])


def test_a_full_blend_is_exactly_its_target(device):
    full = to_warp(np.ones((1, 2, 2), np.float32), device)
    assert (blend_weights(to_warp(random_map((1, 2, 2)), device), full, [1.0], 0.3).numpy() == np.float32(0.3)).all()


def test_fading_multiplies_each_frame(device):
    weights = random_map((3, 2, 5))
    faded = fade_weights(to_warp(weights, device), [0.0, 0.25, 1.0]).numpy()
    np.testing.assert_allclose(faded, weights * np.array([0.0, 0.25, 1.0])[:, None, None], atol=1e-7)


def test_a_box_holds_the_pixels_whose_centre_it_holds(device):
    coverage = limit_to_box(to_warp(np.ones((2, 4, 6), np.float32), device), (1.0, 0.5, 4.4, 3.0)).numpy()
    wanted = np.zeros((2, 4, 6), np.float32)
    wanted[:, 0:3, 1:4] = 1.0
    np.testing.assert_array_equal(coverage, wanted)


def test_ids_and_masks_select(device):
    ids = np.array([[[1, 2, 3], [4, 2**32 - 1, 0]]], np.uint32)
    coverage = wp.zeros((1, 2, 3), dtype=wp.float32, device=device)
    select_ids(wp.array(ids, dtype=wp.uint32, device=device), [4, 2, 2**32 - 1], out=coverage)
    np.testing.assert_array_equal(coverage.numpy(), [[[0, 1, 0], [1, 1, 0]]])
    mask = np.array([[[1.0, 0.5, 1.0], [0.25, 0.0, 1.0]]], np.float32)
    np.testing.assert_array_equal(limit_to_mask(coverage, to_warp(mask, device)).numpy(), [[[0, 0.5, 0], [0.25, 0, 0]]])


def test_a_still_mask_holds_in_every_frame(device):
    coverage = to_warp(np.ones((3, 2, 2), np.float32), device)
    mask = random_map((1, 2, 2))
    np.testing.assert_array_equal(limit_to_mask(coverage, to_warp(mask, device)).numpy(), mask.repeat(3, axis=0))


@pytest.mark.parametrize(
    ("value", "flags"),
    [(0.0, (False, False)), (0.5, (True, False)), (np.nan, (False, True)), (1.5, (False, True)), (-0.1, (False, True))],
)
def test_inspection_sees_one_value(device, value, flags):
    weights = np.zeros((2, 3, 3), np.float32)
    weights[1, 2, 1] = value
    assert inspect_weights(to_warp(weights, device)) == flags


def test_others_are_refused(device):
    weights = wp.zeros((3, 2, 2), dtype=wp.float32, device=device)
    other = wp.zeros((3, 2, 3), dtype=wp.float32, device=device)
    with pytest.raises(ValueError, match="t > 1 exactly where T > 1"):
        weights_to_tokens(weights, (1, 2, 2))
    with pytest.raises(ValueError, match="at least 1 x 1 x 1"):
        weights_to_tokens(weights, (2, 0, 2))
    with pytest.raises(ValueError, match="one shape"):
        blend_weights(weights, other, [1.0] * 3, 1.0)
    with pytest.raises(ValueError, match="one strength a frame, 3"):
        fade_weights(weights, [1.0])
    with pytest.raises(ValueError, match="or one frame of it"):
        limit_to_mask(weights, other)
    with pytest.raises(ValueError, match="got float64"):
        inspect_weights(wp.zeros((1, 2, 2), dtype=wp.float64, device=device))
    with pytest.raises(ValueError, match="needs ids as uint32 or int32"):
        select_ids(weights, [1], out=weights)
    with pytest.raises(ValueError, match=r"\[T, H, W, C\]"):
        cap_stack(weights)
