import cv2
import numpy as np
import pytest

from cosmos.bridge.critic.consistency import ConsistencyCritic
from cosmos.bridge.critic.papers import blur_ssim, depth_si_rmse, edge_f1
from cosmos.bridge.critic.registry import create


def ssim_numpy(one, other):
    """Wang et al. 2004 with a 7 x 7 window, window by window, in float64."""
    span = float(one.max()) - float(one.min())
    values = []
    for channel in range(3):
        for y in range(3, one.shape[0] - 3):
            for x in range(3, one.shape[1] - 3):
                a, b = (p[y - 3 : y + 4, x - 3 : x + 4, channel].astype(float).ravel() for p in (one, other))
                cov = np.cov(a, b)
                c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
                top = (2 * a.mean() * b.mean() + c1) * (2 * cov[0, 1] + c2)
                values.append(top / ((a.mean() ** 2 + b.mean() ** 2 + c1) * (cov[0, 0] + cov[1, 1] + c2)))
    return np.mean(values)


def test_blur_ssim_is_that_of_numpy_after_the_filter(world):
    source, result = world.rgb[:1, 60:84, 30:60], 255 - world.rgb[:1, 62:86, 31:61]
    soft = [cv2.bilateralFilter(np.ascontiguousarray(video[0]), 30, 150, 100) for video in (source, result)]
    assert blur_ssim(source, result) == pytest.approx(ssim_numpy(*soft), abs=1e-6)
    assert blur_ssim(source, source) == pytest.approx(1.0)


def test_edge_f1_has_no_tolerance(world):
    assert edge_f1(world.rgb, world.rgb) == 1.0
    moved = np.roll(world.rgb, 1, axis=2)
    edges = [np.stack([cv2.Canny(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), 100, 200) > 0 for p in video])
             for video in (world.rgb, moved)]  # fmt: skip
    hit = (edges[0] & edges[1]).sum()
    precision, recall = hit / edges[1].sum(), hit / edges[0].sum()
    assert edge_f1(world.rgb, moved) == pytest.approx(2 * precision * recall / (precision + recall))
    assert np.isnan(edge_f1(np.zeros_like(world.rgb), np.zeros_like(world.rgb)))


def test_depth_si_rmse_takes_the_scale_out():
    truth = np.random.default_rng(0).uniform(1, 9, (2, 8, 9))
    assert depth_si_rmse(truth, 3.0 * truth) == pytest.approx(0.0, abs=1e-12)
    guess = truth.copy()
    guess[0] += np.where(np.arange(9) == 0, 2.0, 0.0)
    expected = np.sqrt(np.mean((guess[0] - truth[0]) ** 2)) / 2.0
    assert depth_si_rmse(truth, guess) == pytest.approx(expected)
    truth[:, 0] = np.inf
    assert np.isfinite(depth_si_rmse(truth, guess))


def test_videos_of_two_shapes_are_refused(world):
    with pytest.raises(ValueError, match=r"of one shape are needed"):
        edge_f1(world.rgb, world.rgb[:-1])
    with pytest.raises(ValueError, match="at least 7 x 7"):
        blur_ssim(world.rgb[:, :5], world.rgb[:, :5])
    with pytest.raises(ValueError, match=r"two videos \[T, H, W\]"):
        depth_si_rmse(np.ones((1, 2, 3)), np.ones((1, 2, 4)))


def test_a_critic_measures_them_only_where_it_is_asked(world):
    small = type(world)(layers=world.layers, rgb=world.rgb[:2], ids=world.ids[:2], depth=world.depth[:2],
                        motion=world.motion[:2])  # fmt: skip
    plain = ConsistencyCritic().judge(small.request(), small.result(small.rgb))
    asked = create("consistency", {"papers": True}).judge(small.request(), small.result(small.rgb))
    extra = {m.check: m.value for m in asked.measurements}
    assert {check for check in extra if check.startswith("paper_")} == {"paper_blur_ssim", "paper_edge_f1"}
    assert extra["paper_blur_ssim"] == pytest.approx(1.0) and extra["paper_edge_f1"] == 1.0
    assert asked.score == plain.score and len(plain.measurements) == len(asked.measurements) - 2
