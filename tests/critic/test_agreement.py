import cv2
import numpy as np
import pytest

from cosmos.bridge.critic.checks.agreement import agree, shift_gains
from cosmos.bridge.critic.limits import Limits

LIMITS = Limits()


def scores_of(edges, outline):
    """How many outline pixels find an edge under each shift of up to 6 px ``[down, right]``, by cv2."""
    wide = cv2.copyMakeBorder(edges.astype(np.float32), 6, 6, 6, 6, cv2.BORDER_CONSTANT)
    return cv2.matchTemplate(wide, outline.astype(np.float32), cv2.TM_CCORR)


def ring(height=15, width=19):
    edges = np.zeros((80, 96), np.uint8)
    cv2.rectangle(edges, (30, 25), (30 + width, 25 + height), 1, 1)
    cv2.circle(edges, (40, 33), 4, 1, 1)
    return edges


@pytest.mark.parametrize("by", [(0, 4), (-3, 2), (5, -3)])
def test_an_outline_gains_where_it_went_and_nowhere_while_it_stays(by):
    outline = ring()
    down, right = by
    gone = np.roll(outline, by, axis=(0, 1))
    source = scores_of(outline, outline)[None]
    result = np.stack([scores_of(gone, outline), scores_of(outline, outline)])
    gains, own = shift_gains(np.repeat(source, 2, axis=0), result, limits=LIMITS, near=1.0)
    assert np.unravel_index(gains[0].argmax(), gains[0].shape) == (6 + down, 6 + right)
    assert gains[0, 6 + down, 6 + right] > 0.6 and own == pytest.approx(outline.sum())
    offset = np.hypot(*np.meshgrid(np.arange(-6, 7), np.arange(-6, 7)))
    assert gains[1][offset >= 2.5].max() < -0.3


def test_gains_match_the_formula_in_float64():
    rng = np.random.default_rng(5)
    source, result = rng.uniform(0, 30, (2, 4, 13, 13))
    source[:, 6, 6] = 60.0
    gains, own = shift_gains(source, result, limits=LIMITS, near=1.0)
    length = np.hypot(*np.meshgrid(np.arange(-6, 7), np.arange(-6, 7)))
    far, here = (length >= LIMITS.chance_shift) & (length <= 6.5), length <= 1.0
    for was, now, gain in zip(source, result, gains, strict=True):
        scale = was[here].max() - was[far].mean()
        own_at, at = (was - was[far].mean()) / scale, (now - now[far].mean()) / scale
        want = (at - at[here].max()) / (1.0 - np.clip(own_at, -1.0, 1.0) + 0.3)
        np.testing.assert_allclose(gain, want, rtol=1e-9)
    np.testing.assert_allclose(own, 60.0)
    presence = agree(source, result, limits=LIMITS, near=1.0, away=2.3).presence
    np.testing.assert_allclose(
        presence[0], (result[0][here].max() - result[0][far].mean()) / (60 - source[0][far].mean())
    )


def test_an_outline_that_repeats_still_tells_where_it_went():
    outline = np.zeros((80, 120), np.uint8)
    outline[30, 20:100] = outline[44, 20:100] = 1  # two long lines: 4 px along them all but repeat
    outline[31:44, 20:100:39] = 1
    gone = np.roll(outline, 4, axis=1)
    source, result = scores_of(outline, outline)[None], scores_of(gone, outline)[None]
    assert agree(source, result, limits=LIMITS, near=1.0, away=2.3).margin[0] == -1.0
    gains, _ = shift_gains(source, result, limits=LIMITS, near=1.0)
    assert gains[0, 6, 10] > 0.4
    assert shift_gains(source, source, limits=LIMITS, near=1.0)[0][0, 6, 10] < -0.3
