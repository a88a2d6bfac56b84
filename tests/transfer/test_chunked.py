"""From the pictures of chunks to the clip."""

import numpy as np
import pytest
import torch  # noqa: TID253

from cosmos.bridge.errors import ModelError
from cosmos.bridge.transfer.chunked import count_steps, join_chunks
from cosmos.models.chunks import plan_chunks
from fake_clips import make_clip


def painted(chunks, level):
    """Pictures of 48 x 64, each frame in the level of its source, and a bit more in every later chunk."""
    for chunk in chunks:
        levels = torch.tensor([level(source) + chunk.index for source in chunk.sources]) / 127.5 - 1.0
        yield levels[None, None, :, None, None].expand(1, 3, -1, 48, 64)


def test_each_frame_comes_from_the_chunk_that_keeps_it_and_seams_are_in_levels():
    clip, chunks = make_clip((36, 50), 11), plan_chunks(11, chunk=5, overlap=1)
    rgb, seams = join_chunks("x", clip, chunks, painted(chunks, lambda source: 10 * source))
    wanted = [0, 10, 20, 30, 40, 51, 61, 71, 81, 92, 102]
    np.testing.assert_array_equal(
        rgb.numpy(), np.array(wanted)[:, None, None, None].repeat(36, 1).repeat(50, 2).repeat(3, 3)
    )
    assert seams == [1.0, 1.0]


def test_pictures_that_are_no_numbers_are_refused():
    clip, chunks = make_clip((36, 50), 3), plan_chunks(3, chunk=5, overlap=1)
    with pytest.raises(ModelError, match=r"x failed on this clip: .*NaN"):
        join_chunks("x", clip, chunks, iter([torch.full((1, 3, 5, 48, 64), torch.nan)]))


def test_steps_count_on_over_the_chunks():
    told = []
    tell = count_steps(lambda *step: told.append(step), 3, 4)
    tell(0, 1)
    tell(2, 4)
    assert told == [("transfer (chunk 1 of 3)", 1, 12), ("transfer (chunk 3 of 3)", 12, 12)]
    count_steps(lambda *step: told.append(step), 1, 4)(0, 3)
    assert told[-1] == ("transfer", 3, 4)
    count_steps(None, 3, 4)(0, 1)
