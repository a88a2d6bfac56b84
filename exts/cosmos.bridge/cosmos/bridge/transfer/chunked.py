"""From the pictures of a clip's chunks to the clip, and how well the chunks meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.errors import ModelError
from cosmos.bridge.transfer.kept import KeptChunk, KeptChunks, key_of
from cosmos.bridge.types import Clip, Progress, TransferRequest

if TYPE_CHECKING:
    import torch
    import warp as wp

    from cosmos.bridge.transfer.published import ChunkOptions
    from cosmos.models.chunks import Chunk


Tell = Callable[[int, int], None]
Paint = Callable[[tuple["Chunk", ...], Tell, Optional["torch.Tensor"]], Iterator["torch.Tensor"]]


def paint_chunks(
    name: str,
    request: TransferRequest,
    options: ChunkOptions,
    paint: Paint,
    *,
    num_steps: int,
    progress: Optional[Progress],
    model: Mapping[str, Any],
) -> tuple[wp.array, dict[str, Any], tuple[str, ...]]:
    """Paint a clip chunk after chunk; of one that was stopped, only the chunks that are not there yet.

    Args:
        name: Name of the backend, for errors.
        request: The request; its overlap wins over that of the options.
        options: How long chunks are, how they overlap, and whether they are kept until the clip is done.
        paint: Given chunks, what to tell chunk and step, and the pictures of the chunk before them, if there is one,
            paints one after the other.
        num_steps: Steps of a chunk.
        progress: Told the steps done of all.
        model: What decides the pictures besides request and options, as plain values.

    Returns:
        The pictures as `join_chunks` gives them, the settings as used, with the seams, and what the user should know.
    """
    from cosmos.models.chunks import plan_chunks
    from cosmos.models.places import chunk_folder

    clip, overlap = request.clip, request.overlap or options.overlap
    if overlap >= options.chunk_frames:
        raise ModelError(
            f"{name} paints {options.chunk_frames} frames a chunk, so they share at most {options.chunk_frames - 1}, "
            f"got an overlap of {overlap}."
        )
    chunks = plan_chunks(clip.num_frames, chunk=options.chunk_frames, overlap=overlap)
    tell = count_steps(progress, len(chunks), num_steps)
    kept, done = None, []
    if options.keep_chunks and len(chunks) > 1:
        settings = {**asdict(options), **model, "overlap": overlap, "weights": ""}
        kept = KeptChunks(chunk_folder(name), key_of(request, settings))
        done = kept.read(chunks)
    last = _previous(done[-1].tail, options.chunk_frames) if done else None
    rgb, seams = join_chunks(name, clip, chunks, paint(chunks[len(done) :], tell, last), kept=kept, done=done)
    notes: tuple[str, ...] = ()
    if kept is not None:
        kept.drop()
        notes = kept.notes(len(done), len(chunks), "chunks")
    return rgb, {"chunk_frames": len(chunks[0].sources), "overlap": overlap, "seams": seams}, notes


def _previous(tail: torch.Tensor, frames: int) -> torch.Tensor:
    """Return pictures of a chunk of which only the last frames matter."""
    whole = tail.new_zeros((*tail.shape[:2], frames, *tail.shape[3:]))
    whole[:, :, -tail.shape[2] :] = tail
    return whole


def count_steps(progress: Optional[Progress], chunks: int, steps: int) -> Callable[[int, int], None]:
    """Return what a sampler tells its chunk and step, as progress over all steps of a clip; it names the chunk."""

    def tell(index: int, done: int) -> None:
        if progress is not None:
            place = f" (chunk {index + 1} of {chunks})" if chunks > 1 else ""
            progress(f"transfer{place}", index * steps + done, chunks * steps)

    return tell


def join_chunks(
    name: str,
    clip: Clip,
    chunks: tuple[Chunk, ...],
    painted: Iterator[torch.Tensor],
    *,
    kept: Optional[KeptChunks] = None,
    done: Sequence[KeptChunk] = (),
) -> tuple[wp.array, list[float]]:
    """Cut the pictures of each chunk to the clip and join them.

    Args:
        name: Name of the backend, for errors.
        clip: The clip, whose size and device the pictures take.
        chunks: Its chunks.
        painted: Pictures of each that is not done, around [-1, 1], shape [1, 3, T, H', W']; asked for one at a time.
        kept: Where finished chunks are kept; ``None`` keeps none.
        done: Chunks that are finished already.

    Returns:
        The pictures, sRGB, uint8, shape [T, H, W, 3], and for each pair of chunks the mean difference of the frames
        that both painted [8-bit levels].

    Raises:
        ModelError: If the model gave NaN or inf.
    """
    import warp as wp

    from cosmos.bridge.kernels.layout import tensor_to_video

    rgb, seams, before = wp.empty_like(clip.rgb), [], None
    for chunk, finished in zip(chunks, done, strict=False):
        wp.copy(rgb[chunk.first : chunk.first + chunk.kept], wp.from_torch(finished.frames))
        seams.append(finished.seam)
        before = finished.tail
    for chunk, pictures in zip(chunks[len(done) :], painted, strict=True):
        seam = 0.0 if before is None else round(_seam(before, pictures, chunk.overlap), 3)
        seams.append(seam)
        before = pictures
        cut = pictures[:, :, chunk.places, : clip.height, : clip.width].to(wp.device_to_torch(rgb.device))
        try:
            video = tensor_to_video(cut)
        except ValueError as error:
            raise ModelError(f"{name} failed on this clip: {error}") from error
        wp.copy(rgb[chunk.first : chunk.first + chunk.kept], video)
        if kept is not None:
            shared = max(next_chunk.overlap for next_chunk in chunks)
            frames = wp.to_torch(video).cpu()
            kept.keep(chunk.index, KeptChunk(frames=frames, tail=pictures[:, :, -shared:], seam=seam))
    return rgb, seams[1:]


def _seam(before: torch.Tensor, after: torch.Tensor, overlap: int) -> float:
    end = before[:, :, -overlap:].to(after.device).clamp(-1.0, 1.0)
    start = after[:, :, :overlap].clamp(-1.0, 1.0)
    return float((end - start).abs().mean() * 127.5)


__all__ = ["count_steps", "join_chunks", "paint_chunks"]
