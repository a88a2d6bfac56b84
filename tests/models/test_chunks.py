"""Long clips in parts: every frame once, every part whole."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos.models.chunks import latent_frames, plan_chunks, reflect


@pytest.mark.parametrize(("chunk", "overlap"), [(93, 1), (93, 2), (5, 1), (9, 5)])
def test_every_length_up_to_400_is_covered_once_and_in_order(chunk, overlap):
    for length in range(1, 401):
        kept = []
        for part in plan_chunks(length, chunk=chunk, overlap=overlap):
            assert part.first == len(kept)
            kept += part.sources[part.places]
            assert len(part.sources) == (1 if length == 1 else chunk)
        assert kept == list(range(length))


@given(st.integers(2, 400), st.sampled_from([5, 9, 29, 93]), st.integers(1, 4))
def test_each_part_starts_with_the_end_of_the_one_before(length, chunk, overlap):
    parts = plan_chunks(length, chunk=chunk, overlap=overlap)
    for before, part in pairwise(parts):
        assert part.sources[:overlap] == before.sources[-overlap:]
        assert before.kept == chunk - before.overlap  # only the last part is padded


def test_what_lies_beyond_the_end_is_the_clip_run_backwards():
    assert plan_chunks(3, chunk=9, overlap=1)[0].sources == (0, 1, 2, 1, 0, 1, 2, 1, 0)
    assert [reflect(frame, 1) for frame in range(4)] == [0, 0, 0, 0]


@pytest.mark.parametrize(("frames", "latents"), [(1, 1), (2, 1), (5, 2), (93, 24)])
def test_latent_frames(frames, latents):
    assert latent_frames(frames) == latents


@pytest.mark.parametrize(
    ("frames", "chunk", "overlap", "sentence"),
    [
        (0, 93, 1, "a frame or more"),
        (10, 92, 1, r"4k \+ 1 frames, at least 5, got 92; take 89 or 93"),
        (10, 1, 1, "got 1; take 5 or 9"),
        (10, 9, 9, r"overlap must lie in \[1, 8\]"),
        (10, 9, 0, "overlap"),
    ],
)
def test_what_cannot_be_split_gets_a_sentence(frames, chunk, overlap, sentence):
    with pytest.raises(ValueError, match=sentence):
        plan_chunks(frames, chunk=chunk, overlap=overlap)
