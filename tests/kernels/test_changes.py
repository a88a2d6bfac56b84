"""Median changes along motion, against NumPy's medians of every thing and channel."""

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.kernels.changes import median_changes


def lower_median(values):
    return int(np.sort(values)[(len(values) - 1) // 2])


def told(changes):
    """Median of the channel that changes most, the first of several, and the largest median deviation."""
    middles = [lower_median(channel) for channel in changes.T]
    spreads = [lower_median(np.abs(channel - middle)) for channel, middle in zip(changes.T, middles, strict=True)]
    return max(middles, key=abs), max(spreads)


def clip(shape, step, things, seed):
    rng = np.random.default_rng(seed)
    number, height, width = shape
    thin = (number, -(-height // step), -(-width // step))
    spread = rng.integers(1, 256, (2, 1, 1, 1, 3))
    videos = (rng.integers(0, 256, (2, number + 1, height, width, 3)) % spread).astype(np.uint8)
    before = (rng.integers(0, 256, (2, *thin, 3)) % spread).astype(np.uint8)
    motion = rng.normal(0.0, 4.0, (number, height, width, 2)).astype(np.float32)
    motion[:, ::5, ::3, 0] = np.nan
    owner = rng.integers(0, things, (number, height, width)).astype(np.int32)
    return videos, before, (rng.random(thin) < 0.7).astype(np.uint8), motion, owner


@pytest.mark.parametrize(("shape", "step", "things"), [((1, 1, 1), 1, 1), ((2, 9, 31), 1, 4), ((3, 20, 33), 3, 7)])
def test_median_changes_match_numpy(device, shape, step, things):
    videos, before, seen, motion, owner = clip(shape, step, things, seed=len(shape) + step)

    def array(values):
        return wp.array(values, device=device)

    counts, levels, spreads = (
        got.numpy()
        for got in median_changes(
            [array(video) for video in videos], [array(one) for one in before], seen=array(seen), motion=array(motion),
            things=array(owner), count=things, farthest=6.0, fewest=5, step=step,
        )
    )  # fmt: skip
    for n in range(shape[0]):
        moved = motion[n, ::step, ::step].astype(np.float64)
        here = (seen[n] != 0) & (np.hypot(moved[..., 0], moved[..., 1]) <= 6.0)
        for thing in range(things + 1):
            mine = here & ((owner[n, ::step, ::step] == thing) | (thing == things))
            assert counts[n, thing] == mine.sum()
            for v in range(2):
                change = videos[v, n + 1, ::step, ::step].astype(int) - before[v, n]
                enough = mine.sum() >= (5 if thing < things else 1)
                expected = told(change[mine]) if enough else (0, 0)
                assert abs(levels[n, v, thing]) == abs(expected[0]) and spreads[n, v, thing] == expected[1]
                if enough:
                    assert levels[n, v, thing] in [lower_median(channel) for channel in change[mine].T]


def test_median_changes_read_a_part_of_a_larger_video(device):
    videos, before, seen, motion, owner = clip((4, 12, 18), 2, 3, seed=9)
    arrays = [[wp.array(one, device=device) for one in both] for both in (videos, before)]
    rest = {"farthest": 9.0, "fewest": 4, "count": 3, "step": 2}
    buffers = [wp.array(one, device=device) for one in (seen, motion, owner)]
    names = ("seen", "motion", "things")
    whole = median_changes(*arrays, **dict(zip(names, buffers, strict=True)), **rest)
    part = median_changes(
        [video[1:4] for video in arrays[0]], [one[1:3] for one in arrays[1]],
        **{name: one[1:3] for name, one in zip(names, buffers, strict=True)}, **rest,
    )  # fmt: skip
    for all_pairs, some in zip(whole, part, strict=True):
        np.testing.assert_array_equal(some.numpy(), all_pairs.numpy()[1:3])
    assert whole[2].numpy().any()


def test_median_changes_refuse_what_does_not_fit():
    videos, before, seen, motion, owner = clip((2, 9, 11), 1, 2, seed=3)
    arrays = [[wp.array(one, device="cpu") for one in both] for both in (videos, before)]
    given = {"seen": wp.array(seen, device="cpu"), "motion": wp.array(motion, device="cpu")}
    rest = {"things": wp.array(owner, device="cpu"), "farthest": 6.0, "fewest": 5}
    with pytest.raises(ValueError, match="two videos, count >= 1 and step >= 1"):
        median_changes(*arrays, **given, **rest, count=0)
    with pytest.raises(ValueError, match="needs seen as uint8"):
        median_changes(*arrays, **given, **rest, count=2, step=2)
    with pytest.raises(ValueError, match="needs things as int32"):
        median_changes(*arrays, **given, **{**rest, "things": given["motion"]}, count=2)
