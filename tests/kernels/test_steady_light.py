"""Light maps are averaged along motion where a surface was seen before; judged by NumPy in float64."""

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.kernels.steady_light import SteadyLight

wp.config.quiet = True


def averaged_numpy(frames):
    """The relit picture and white ball of each frame, float64, from (maps, motion, depth, ids) of each."""
    before, told = None, []
    for maps, motion, depth, ids in frames:
        height, width = depth.shape
        white, age = maps[..., 3:6].astype(float), np.where(np.isfinite(depth) & (depth > 0.0), 1.0, 0.0)
        out = maps[..., :6].astype(float)
        for y, x in np.ndindex(height, width):
            u, v = x + motion[y, x, 0], y + motion[y, x, 1]
            inside = np.isfinite([u, v]).all() and 0.0 <= u <= width - 1 and 0.0 <= v <= height - 1
            if before is None or age[y, x] == 0.0 or not inside:
                continue
            old, old_age, total = np.zeros(3), 0.0, 0.0
            for row in {int(v), min(int(v) + 1, height - 1)}:
                for column in {int(u), min(int(u) + 1, width - 1)}:
                    near = max(0.0, 1.0 - abs(v - row)) * max(0.0, 1.0 - abs(u - column))
                    same = before[3][row, column] == ids[y, x] and before[1][row, column] > 0.0
                    if same and abs(before[2][row, column] - depth[y, x]) < 0.1 * depth[y, x]:
                        old += before[0][row, column] * near
                        old_age += before[1][row, column] * near
                        total += near
            if total < 0.1:
                continue
            new, count = white[y, x].copy(), old_age / total
            share = 1.0 - (1.0 - max(1.0 / (count + 1.0), 0.15)) * maps[y, x, 12] / 255.0
            kept = np.clip(old / total, new - 12.0, new + 12.0)
            white[y, x] = kept + (new - kept) * share
            out[y, x, :3] = np.minimum(out[y, x, :3] * (white[y, x] + 2.0) / (new + 2.0), 255.0)
            out[y, x, 3:6] = white[y, x]
            age[y, x] = min(count + 1.0, 8.0)
        before = (white, age, depth, ids)
        told.append(out)
    return told


def steadied(frames, device):
    """The same by the kernel, uint8."""
    steady, told = SteadyLight(), []
    for maps, motion, depth, ids in frames:
        joined = wp.array(maps, dtype=wp.uint8, device=device)
        steady.add(
            joined,
            motion=wp.array(motion, dtype=wp.float32, device=device),
            depth=wp.array(depth, dtype=wp.float32, device=device),
            instance_ids=wp.array(ids, dtype=wp.uint32, device=device),
        )
        told.append(joined.numpy().copy())
    return told


@pytest.fixture
def noisy_frames():
    """Five frames of two things before the sky, that move by parts of pixels; some motion unknown or far outside."""
    rng = np.random.default_rng(3)
    frames = []
    for _ in range(5):
        maps = rng.integers(0, 256, (9, 13, 14)).astype(np.uint8)
        maps[..., 3:6] = rng.integers(90, 130, (9, 13, 1))
        ids = np.where(np.arange(13) < 6, 3, 4_000_000_000) * np.ones((9, 1))
        depth = np.where(np.arange(13) < 6, 2.0, 9.0) * rng.uniform(0.93, 1.07, (9, 13))
        depth[0], depth[1, ::4] = np.inf, 0.0
        motion = rng.uniform(-1.5, 1.5, (9, 13, 2))
        motion[2, 3], motion[5, 5] = np.nan, 400.0
        motion[4] = 0.0
        frames.append((maps, motion.astype(np.float32), depth.astype(np.float32), ids.astype(np.uint32)))
    return frames


def test_light_is_averaged_along_motion_as_numpy_does(device, noisy_frames):
    for got, want in zip(steadied(noisy_frames, device), averaged_numpy(noisy_frames), strict=True):
        np.testing.assert_allclose(got[..., :6].astype(float), want, atol=0.51)


def test_other_channels_and_what_is_new_stay(device, noisy_frames):
    for (maps, *_), got in zip(noisy_frames, steadied(noisy_frames, device), strict=True):
        np.testing.assert_array_equal(got[..., 6:], maps[..., 6:])
        off = got[..., 3:6].astype(int) - maps[..., 3:6]
        assert np.abs(off).max() <= 12 * 0.85 + 0.5
        np.testing.assert_array_equal(got[0], maps[0])  # the sky
    np.testing.assert_array_equal(steadied(noisy_frames, device)[0], noisy_frames[0][0])


def test_noise_on_what_holds_still_fades(device):
    rng = np.random.default_rng(8)
    still = np.zeros((16, 16, 2), np.float32), np.full((16, 16), 3.0, np.float32), np.ones((16, 16), np.uint32)
    frames = []
    for _ in range(12):
        maps = np.full((16, 16, 14), 255, np.uint8)
        maps[..., :6] = np.clip(rng.normal(120.0, 6.0, (16, 16, 1)), 0, 255)
        frames.append((maps, *still))
    told = np.stack(steadied(frames, device)).astype(float)
    raw = np.stack([maps for maps, *_ in frames]).astype(float)
    changes = [np.abs(np.diff(series[6:, ..., :6], axis=0)).mean() for series in (told, raw)]
    assert changes[0] < 0.2 * changes[1]
    assert abs(told[6:, ..., :6].mean() - 120.0) < 1.5
