import numpy as np
import pytest
import warp as wp

from cosmos.bridge.kernels.wipe import wipe_pictures


@pytest.mark.parametrize("size", [(1, 1), (7, 33), (6, 960)])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_left_is_before_and_right_is_after(device, size, share):
    draw = np.random.default_rng(5)
    before, after = (draw.integers(0, 200, (*size, 3), dtype=np.uint8) for _ in range(2))
    made = wipe_pictures(*(wp.array(part, dtype=wp.uint8, device=device) for part in (before, after)), share).numpy()
    columns, cut = np.arange(size[1]), round(share * size[1])
    want = np.where((columns < cut)[None, :, None], before, after)
    line = max(1, size[1] // 480) if 0 < share < 1 else 0
    want[:, (columns >= cut - line) & (columns < cut + line)] = 255
    np.testing.assert_array_equal(made[..., :3], want)
    assert (made[..., 3] == 255).all()


def test_what_does_not_fit_is_refused(device):
    one, other = (wp.zeros((2, width, 3), dtype=wp.uint8, device=device) for width in (2, 3))
    with pytest.raises(ValueError, match=r"\[2, 2, 3\].*\[2, 3, 3\]"):
        wipe_pictures(one, other, 0.5)
    with pytest.raises(ValueError, match=r"share in \[0, 1\]"):
        wipe_pictures(one, one, 1.5)
