"""From the pictures of a clip's chunks to the clip, and how well the chunks meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.errors import ModelError
from cosmos.bridge.types import Clip, Progress, TransferRequest

if TYPE_CHECKING:
    import torch
    import warp as wp

    from cosmos.bridge.transfer.published import ChunkOptions
    from cosmos.models.chunks import Chunk


def paint_chunks(
    name: str,
    request: TransferRequest,
    options: ChunkOptions,
    paint: Callable[[tuple[Chunk, ...], Callable[[int, int], None]], Iterator[torch.Tensor]],
    *,
    num_steps: int,
    progress: Optional[Progress],
) -> tuple[wp.array, dict[str, Any]]:
    """Paint a clip chunk after chunk.

    Args:
        name: Name of the backend, for errors.
        request: The request; its overlap wins over that of the options.
        options: How long chunks are, and how they overlap.
        paint: Given the chunks and what to tell chunk and step, paints one after the other.
        num_steps: Steps of a chunk.
        progress: Told the steps done of all.

    Returns:
        The pictures as `join_chunks` gives them, and the settings as used, with the seams.
    """
    from cosmos.models.chunks import plan_chunks

    clip, overlap = request.clip, request.overlap or options.overlap
    if overlap >= options.chunk_frames:
        raise ModelError(
            f"{name} paints {options.chunk_frames} frames a chunk, so they share at most {options.chunk_frames - 1}, "
            f"got an overlap of {overlap}."
        )
    chunks = plan_chunks(clip.num_frames, chunk=options.chunk_frames, overlap=overlap)
    rgb, seams = join_chunks(name, clip, chunks, paint(chunks, count_steps(progress, len(chunks), num_steps)))
    return rgb, {"chunk_frames": len(chunks[0].sources), "overlap": overlap, "seams": seams}


def count_steps(progress: Optional[Progress], chunks: int, steps: int) -> Callable[[int, int], None]:
    """Return what a sampler tells its chunk and step, as progress over all steps of a clip; it names the chunk."""

    def tell(index: int, done: int) -> None:
        if progress is not None:
            place = f" (chunk {index + 1} of {chunks})" if chunks > 1 else ""
            progress(f"transfer{place}", index * steps + done, chunks * steps)

    return tell


def join_chunks(
    name: str, clip: Clip, chunks: tuple[Chunk, ...], painted: Iterator[torch.Tensor]
) -> tuple[wp.array, list[float]]:
    """Cut the pictures of each chunk to the clip and join them.

    Args:
        name: Name of the backend, for errors.
        clip: The clip, whose size and device the pictures take.
        chunks: Its chunks.
        painted: Pictures of each, around [-1, 1], shape [1, 3, T, H', W']; asked for one at a time.

    Returns:
        The pictures, sRGB, uint8, shape [T, H, W, 3], and for each pair of chunks the mean difference of the frames
        that both painted [8-bit levels].

    Raises:
        ModelError: If the model gave NaN or inf.
    """
    import warp as wp

    from cosmos.bridge.kernels.layout import tensor_to_video

    rgb, seams, before = wp.empty_like(clip.rgb), [], None
    for chunk, pictures in zip(chunks, painted, strict=True):
        if before is not None:
            seams.append(round(_seam(before, pictures, chunk.overlap), 3))
        before = pictures
        kept = pictures[:, :, chunk.places, : clip.height, : clip.width].to(wp.device_to_torch(rgb.device))
        try:
            video = tensor_to_video(kept)
        except ValueError as error:
            raise ModelError(f"{name} failed on this clip: {error}") from error
        wp.copy(rgb[chunk.first : chunk.first + chunk.kept], video)
    return rgb, seams


def _seam(before: torch.Tensor, after: torch.Tensor, overlap: int) -> float:
    end, start = before[:, :, -overlap:].clamp(-1.0, 1.0), after[:, :, :overlap].clamp(-1.0, 1.0)
    return float((end - start).abs().mean() * 127.5)


__all__ = ["count_steps", "join_chunks", "paint_chunks"]
