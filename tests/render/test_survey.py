"""The pass over ids judged by NumPy, whatever the number of threads and however odd the size."""

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.render.annotators.survey import survey
from cosmos.bridge.render.draw.bands import Bands

wp.config.quiet = True


def blocks(size, top, seed):
    """Ids in blocks of odd sizes with single pixels strewn in."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, top, (size[0] // 5 + 1, size[1] // 11 + 1))
    ids = np.kron(coarse, np.ones((5, 11), int))[: size[0], : size[1]]
    strewn = rng.random(size) < 0.02
    return np.where(strewn, rng.integers(0, top, size), ids).astype(np.uint32)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("size", [(1, 1), (37, 301), (64, 128), (90, 129)])
def test_a_survey_is_numpy_s(device, size, threads):
    bands = Bands(device, threads)
    ids = blocks(size, 40, seed=threads)
    table = np.random.default_rng(1).integers(0, 12, 40).astype(np.uint32)
    found = survey(bands, wp.array(ids, dtype=wp.uint32, device=device), table, beyond=1, count=13)
    shown = table[ids]
    np.testing.assert_array_equal(found.shown.numpy(), shown)
    assert found.present == tuple(np.unique(ids))
    np.testing.assert_array_equal(found.pixels, np.bincount(shown.ravel(), minlength=13))
    for key in range(13):
        y, x = np.nonzero(shown == key)
        box = [x.min(), y.min(), x.max(), y.max()] if len(x) else [-1] * 4
        np.testing.assert_array_equal(found.boxes[key], box)
    bands.close()


@pytest.mark.parametrize("beyond", [1, -1])
def test_ids_that_nobody_knows_are_named_and_shown_as_asked(device, beyond):
    ids = blocks((33, 70), 9, seed=3)
    ids[5, 7], ids[30, 60] = 4_000_000_000, 9
    found = survey(Bands(device, 1), wp.array(ids, dtype=wp.uint32, device=device), np.arange(9), beyond=beyond)
    assert found.present == (*np.unique(ids[ids < 9]), 9, 4_000_000_000)
    want = ids if beyond < 0 else np.where(ids < 9, ids, beyond)
    np.testing.assert_array_equal(found.shown.numpy(), want)
    assert len(found.pixels) == 0
