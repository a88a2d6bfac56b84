"""Long clips in parts of one fixed length, each part begun with the last frames of the part before."""

from __future__ import annotations

from dataclasses import dataclass

TEMPORAL_STRIDE = 4
"""Frames that a video VAE folds into one latent frame, after the first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """One part of a clip."""

    index: int
    """Number of the part, from 0."""
    sources: tuple[int, ...]
    """Frame of the clip at each place of the part; beyond the clip's end it runs backwards (reflection)."""
    overlap: int
    """Places at the start that the part before made already; they condition this part and are cut from it."""
    first: int
    """Frame of the clip at place ``overlap``."""
    kept: int
    """Frames of the clip that this part makes, from ``first`` on."""

    @property
    def places(self) -> slice:
        """Places of the kept frames."""
        return slice(self.overlap, self.overlap + self.kept)


def plan_chunks(num_frames: int, *, chunk: int, overlap: int) -> tuple[Chunk, ...]:
    """Split a clip; every frame is kept once, every part has ``chunk`` frames, a still has one.

    Args:
        num_frames: Frames of the clip, >= 1.
        chunk: Frames of a part, 4k + 1 and at least 5.
        overlap: Frames that a part shares with the one before, in [1, chunk - 1].

    Raises:
        ValueError: If a number is out of range.
    """
    if num_frames < 1:
        raise ValueError(f"plan_chunks needs a frame or more, got {num_frames}.")
    if chunk < TEMPORAL_STRIDE + 1 or (chunk - 1) % TEMPORAL_STRIDE:
        near = max(5, (chunk - 1) // TEMPORAL_STRIDE * TEMPORAL_STRIDE + 1)
        raise ValueError(f"A chunk must have 4k + 1 frames, at least 5, got {chunk}; take {near} or {near + 4}.")
    if not 1 <= overlap < chunk:
        raise ValueError(f"The overlap must lie in [1, {chunk - 1}] for chunks of {chunk} frames, got {overlap}.")
    if num_frames == 1:
        return (Chunk(index=0, sources=(0,), overlap=0, first=0, kept=1),)
    chunks: list[Chunk] = []
    done = 0
    while done < num_frames:
        shared = overlap if chunks else 0
        start = done - shared
        kept = min(chunk - shared, num_frames - done)
        sources = tuple(reflect(place, num_frames) for place in range(start, start + chunk))
        chunks.append(Chunk(index=len(chunks), sources=sources, overlap=shared, first=done, kept=kept))
        done += kept
    return tuple(chunks)


def reflect(frame: int, num_frames: int) -> int:
    """Fold a frame number beyond the end back into the clip: 0 1 2 3 2 1 0 1 ..."""
    if num_frames == 1:
        return 0
    period = 2 * (num_frames - 1)
    place = frame % period
    return min(place, period - place)


def latent_frames(num_frames: int) -> int:
    """Return how many latent frames hold so many frames."""
    return (num_frames - 1) // TEMPORAL_STRIDE + 1


__all__ = ["TEMPORAL_STRIDE", "Chunk", "latent_frames", "plan_chunks", "reflect"]
