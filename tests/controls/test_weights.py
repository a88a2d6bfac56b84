import numpy as np
import pytest
import warp as wp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cosmos.bridge.controls import Region, WeightSpec, build_weights, cap_weights, weights_to_tokens
from cosmos.bridge.errors import ControlError
from cosmos.bridge.types import ControlKind, ControlWeights

EDGE, DEPTH, SEG, VIS = list(ControlKind)[:4]
SHAPE = (4, 24, 40)
UNIT = st.floats(0.0, 1.0, width=32)


def map_of(weights, kind):
    return weights[kind].numpy()


def test_the_sentence_of_the_issue(device, make_clip):
    """Edge 1.0 on the robot, seg 0.3 elsewhere, fading in (over 3 frames here)."""
    clip = make_clip(device)
    spec = WeightSpec(seg=0.3, regions=(Region(classes=("robot",), edge=1.0, seg=0.0),), keys=((0, 0.0), (3, 1.0)))
    weights = build_weights(clip, spec)
    robot = np.isin(clip.instance_ids.numpy(), [1, 2])
    fade = (np.arange(4) / 3.0)[:, None, None]
    np.testing.assert_allclose(map_of(weights, EDGE), robot * fade, atol=1e-6)
    np.testing.assert_allclose(map_of(weights, SEG), ~robot * 0.3 * fade, atol=1e-6)
    assert weights.kinds == (EDGE, SEG)
    assert str(weights[EDGE].device) == device


def test_numbers_stay_numbers(make_clip):
    weights = build_weights(make_clip(), WeightSpec(edge=1.0, depth=0.5))
    assert dict(weights.items()) == {kind: {EDGE: 1.0, DEPTH: 0.5}.get(kind, 0.0) for kind in ControlKind}


def test_a_region_leaves_other_kinds_alone(make_clip):
    weights = build_weights(make_clip(), WeightSpec(edge=0.6, depth=0.5, regions=(Region(instances=(3,), edge=1.0),)))
    assert weights[DEPTH] == 0.5
    assert set(np.unique(map_of(weights, EDGE))) == {np.float32(0.6), np.float32(1.0)}


@pytest.mark.parametrize(
    ("selector", "ids"),
    [
        ({"classes": ("robot",)}, [1, 2]),
        ({"classes": ("box",)}, [3]),
        ({"classes": ("wood",)}, [3]),
        ({"classes": ("robot", "crate")}, [1, 2, 3]),
        ({"prims": ("/World/Robot",)}, [1, 2]),
        ({"prims": ("/World/Robot/",)}, [1, 2]),
        ({"prims": ("/World/*/Arm",)}, [1]),
        ({"prims": ("/World/Crates[[]*",)}, [3]),
        ({"prims": ("/World/Crates[3]",)}, [3]),
        ({"prims": ("*Base", "*Crates*")}, [2, 3]),
        ({"instances": (2, 3)}, [2, 3]),
        ({"classes": ("crate",), "instances": (1,)}, [1, 3]),
    ],
)
def test_selectors_find_their_pixels(device, make_clip, selector, ids):
    clip = make_clip(device)
    weights = build_weights(clip, WeightSpec(regions=(Region(vis=0.5, **selector),)))
    np.testing.assert_array_equal(map_of(weights, VIS), np.isin(clip.instance_ids.numpy(), ids) * np.float32(0.5))


@pytest.mark.parametrize("missing", ["semantic_ids", "instance_ids"])
def test_a_class_is_found_in_either_id_buffer(make_clip, missing):
    robot = np.isin(make_clip().instance_ids.numpy(), [1, 2])
    weights = build_weights(
        make_clip(leave_out=(missing,)), WeightSpec(regions=(Region(classes=("robot",), edge=1.0),))
    )
    np.testing.assert_array_equal(map_of(weights, EDGE), robot)


def test_boxes_in_pixels_and_in_fractions_are_equal(make_clip):
    pixels = Region(box=(10.0, 6.0, 30.0, 18.0), edge=1.0)
    fractions = Region(box=(0.25, 0.25, 0.75, 0.75), normalized=True, edge=1.0)
    first, second = (
        map_of(build_weights(make_clip(), WeightSpec(regions=(region,))), EDGE) for region in (pixels, fractions)
    )
    np.testing.assert_array_equal(first, second)
    assert first.sum() == 4 * 20 * 12


def test_box_and_mask_cut_away_from_the_class(make_clip):
    mask = np.zeros((24, 40), np.uint8)
    mask[:16] = 255
    region = Region(classes=("robot",), box=(0.0, 0.0, 5.0, 24.0), mask_array=mask, edge=1.0)
    weights = map_of(build_weights(make_clip(), WeightSpec(regions=(region,))), EDGE)
    assert weights[0].sum() == 5 * 8
    assert weights[0, 8:16, :5].all()


def test_a_grey_mask_blends(make_clip):
    region = Region(mask_array=np.full((24, 40), 0.25, np.float32), edge=1.0)
    weights = map_of(build_weights(make_clip(), WeightSpec(edge=0.2, regions=(region,))), EDGE)
    np.testing.assert_allclose(weights, 0.75 * 0.2 + 0.25, atol=1e-6)


def test_a_later_region_lies_on_top(make_clip):
    regions = (Region(classes=("robot",), edge=0.5), Region(prims=("*Arm",), edge=0.9))
    clip = make_clip()
    weights = map_of(build_weights(clip, WeightSpec(regions=regions)), EDGE)
    ids = clip.instance_ids.numpy()
    assert (weights[ids == 1] == np.float32(0.9)).all()
    assert (weights[ids == 2] == np.float32(0.5)).all()


def test_keys_of_a_region_are_linear_and_constant_outside(make_clip):
    region = Region(instances=(3,), edge=1.0, keys=((1, 0.2), (2, 0.8)))
    clip = make_clip()
    weights = map_of(build_weights(clip, WeightSpec(regions=(region,))), EDGE)
    levels = [weights[frame][clip.instance_ids.numpy()[frame] == 3].mean() for frame in range(4)]
    np.testing.assert_allclose(levels, [0.2, 0.2, 0.8, 0.8], atol=1e-6)


@pytest.mark.parametrize(
    ("region", "match"),
    [
        (
            Region(classes=("dragon",), edge=1.0),
            "'dragon', which never occurs; classes that do: box, crate, robot, wood",
        ),
        (Region(classes=("person",), edge=1.0), "'person', which never occurs"),
        (Region(prims=("/World/Dragon*",), edge=1.0), "'/World/Dragon.*never occurs; prims that do: /World/Crates"),
        (Region(prims=("/World/Hidden",), edge=1.0), "'/World/Hidden', which never occurs"),
        (Region(prims=("/World/Rob",), edge=1.0), "never occurs"),
        (Region(instances=(1, 7), edge=1.0), r"instances \[7\], which never occur; instances that do: 1, 2, 3\."),
        (Region(box=(100.0, 0.0, 110.0, 5.0), edge=1.0), "Region 0 of the weights covers no pixel"),
        (Region(classes=("crate",), box=(0.0, 0.0, 5.0, 5.0), edge=1.0), "covers no pixel"),
        (Region(mask_array=np.zeros((24, 40), bool), edge=1.0), "covers no pixel"),
        (Region(instances=(3,), edge=1.0, keys=((0, 0.0),)), "weight of edge is zero in every pixel"),
    ],
)
def test_what_never_occurs_is_an_error_that_lists_what_does(make_clip, region, match):
    with pytest.raises(ControlError, match=match):
        build_weights(make_clip(), WeightSpec(regions=(region,)))


def test_long_lists_are_cut(make_clip):
    from cosmos.bridge.types import Instance

    ids = np.arange(24 * 40, dtype=np.uint32).reshape(1, 24, 40).repeat(4, axis=0) % 60
    instances = {key: Instance(id=key, prim_path=f"/World/T{key}") for key in range(1, 60)}
    clip = make_clip(instance_ids=wp.array(ids, dtype=wp.uint32, device="cpu"), instances=instances)
    with pytest.raises(ControlError, match="and 39 more"):
        build_weights(clip, WeightSpec(regions=(Region(prims=("/X",), edge=1.0),)))


def test_a_clip_without_ids_says_what_to_do(make_clip):
    bare = make_clip(leave_out=("instance_ids", "semantic_ids"))
    with pytest.raises(ControlError, match=r"selects by classes.*semantic_ids.*box or a mask"):
        build_weights(bare, WeightSpec(regions=(Region(classes=("robot",), edge=1.0),)))
    with pytest.raises(ControlError, match=r"selects by prims and instances.*instance_ids"):
        build_weights(bare, WeightSpec(regions=(Region(prims=("*",), edge=1.0),)))
    unnamed = make_clip(instances={}, labels={})
    with pytest.raises(ControlError, match="no classes occur in this clip at all"):
        build_weights(unnamed, WeightSpec(regions=(Region(classes=("robot",), edge=1.0),)))


@given(
    numbers=st.lists(UNIT, min_size=2, max_size=2),
    maps=hnp.arrays(np.float32, (2, 2, 3, 4), elements=st.floats(2.0**-9, 1.0, width=32)),
)
@settings(deadline=None, max_examples=60)
def test_capped_weights_sum_to_one_at_most_and_keep_their_ratio(numbers, maps):
    edge, depth = (wp.array(values, dtype=wp.float32, device="cpu") for values in maps)
    weights = ControlWeights(edge=edge, depth=depth, seg=numbers[0], vis=numbers[1])
    capped = {kind: array.numpy() for kind, array in cap_weights(weights, (2, 3, 4)).items()}
    assert tuple(capped) == weights.kinds
    total = maps.astype(np.float64).sum(axis=0) + numbers[0] + numbers[1]
    assert (sum(capped.values()) <= 1.0 + 1e-6).all()
    np.testing.assert_allclose(capped[EDGE], maps[0] / np.maximum(total, 1.0), atol=1e-6)
    if numbers[0] > 0.0:
        np.testing.assert_allclose(capped[SEG], numbers[0] / np.maximum(total, 1.0), atol=1e-6)


def test_numbers_become_maps_on_the_asked_device(device):
    capped = cap_weights(ControlWeights(edge=1.0, depth=1.0), (2, 3, 4), device=device)
    assert {str(array.device) for array in capped.values()} == {device}
    assert all((array.numpy() == 0.5).all() for array in capped.values())
    assert cap_weights(ControlWeights(), (2, 3, 4), device=device) == {}
    assert cap_weights(ControlWeights(vis=0.25), (1, 1, 1))[VIS].numpy().item() == 0.25


def test_capping_leaves_the_given_maps_alone(device):
    edge = wp.full((1, 2, 2), 0.9, dtype=wp.float32, device=device)
    cap_weights(ControlWeights(edge=edge, depth=0.9), (1, 2, 2))
    np.testing.assert_array_equal(edge.numpy(), np.float32(0.9))


@pytest.mark.parametrize(
    ("value", "shape", "match"),
    [
        (0.0, (2, 3, 4), "edge is zero everywhere"),
        (np.nan, (2, 3, 4), "must lie in"),
        (1.2, (2, 3, 4), "must lie in"),
        (0.5, (2, 3, 5), r"is \[2, 3, 5\] \[T, H, W\], the clip \[2, 3, 4\]"),
    ],
)
def test_maps_that_cannot_be_meant_are_refused(value, shape, match):
    weights = ControlWeights(edge=wp.full(shape, value, dtype=wp.float32, device="cpu"))
    with pytest.raises(ControlError, match=match):
        cap_weights(weights, (2, 3, 4))


def test_tokens_of_capped_maps_stay_capped(make_clip):
    spec = WeightSpec(edge=0.8, seg=0.7, regions=(Region(classes=("robot",), edge=1.0),))
    capped = cap_weights(build_weights(make_clip(), spec), SHAPE)
    tokens = [weights_to_tokens(array, (2, 6, 10)).numpy() for array in capped.values()]
    assert tokens[0].shape == (2, 6, 10)
    assert (sum(tokens) <= 1.0 + 1e-6).all()


def test_on_a_token_grid_maps_are_resampled_before_they_are_capped():
    """Half the picture sums to 1.8, half to 0.8: a token on the border must cap the mean, not average capped sites."""
    edge = np.zeros((1, 4, 4), np.float32)
    edge[:, :, :2] = 1.0
    weights = ControlWeights(edge=wp.array(edge, dtype=wp.float32, device="cpu"), seg=0.8)
    tokens = {kind: array.numpy() for kind, array in cap_weights(weights, (1, 4, 4), grid=(1, 1, 1)).items()}
    np.testing.assert_allclose([tokens[EDGE].item(), tokens[SEG].item()], [0.5 / 1.3, 0.8 / 1.3], atol=1e-6)
    numbers = cap_weights(ControlWeights(edge=1.0, seg=1.0), (9, 32, 32), grid=(3, 2, 2))
    assert (numbers[EDGE].numpy() == np.full((3, 2, 2), 0.5)).all()


def test_a_grid_that_does_not_fit_is_refused():
    with pytest.raises(ControlError, match="cannot be brought to tokens"):
        weights_to_tokens(wp.ones((4, 2, 2), dtype=wp.float32, device="cpu"), (1, 2, 2))
