"""H.264 in MP4 through PyAV: one for browsers, one without loss; both read back before they count."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from cosmos.bridge.errors import SinkError
from cosmos.bridge.sinks.files import cannot_write

CRF = "16"
"""x264 rate factor of the videos made to be watched; 0 is lossless, 18 is called visually lossless."""


def write_video(path: Path, frames: np.ndarray, *, fps: float, lossless: bool = False) -> Mapping[str, Any]:
    """Encode a clip and read it back.

    The watchable form is yuv420p, which every browser plays; it needs even sizes, so an odd height or width gets its
    last row or column repeated once, at the bottom or right, and pixel (0, 0) stays where it is. The lossless form is
    RGB 4:4:4 with quantiser 0: bit-exact, for players built on FFmpeg.

    Args:
        path: File to write.
        frames: sRGB, uint8, shape [T, H, W, 3].
        fps: Frames a second.
        lossless: Whether decoding must give the same bytes.

    Returns:
        Plain values for the manifest: codec, pix_fmt, crf, frames, fps, coded size, padding [bottom, right] [px].

    Raises:
        SinkError: If it cannot be written, or reads back with other frames, times, sizes or (lossless) pixels.
    """
    import av

    _, height, width, _ = frames.shape
    padding = (0, 0) if lossless else (height % 2, width % 2)
    rate = Fraction(fps).limit_denominator(1001)
    if rate <= 0:
        raise SinkError(f"{path.name} needs a frame rate above 0.001 [1/s], got {fps!r}.")
    codec, pix_fmt = ("libx264rgb", "rgb24") if lossless else ("libx264", "yuv420p")
    quality = {"qp": "0"} if lossless else {"crf": CRF}
    try:
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream(codec, rate=rate, options={"preset": "veryfast", **quality})
            stream.height, stream.width, stream.pix_fmt = height + padding[0], width + padding[1], pix_fmt
            if not lossless:
                context = stream.codec_context
                context.color_primaries = context.color_trc = context.colorspace = context.color_range = 1  # BT.709, tv
            for index, image in enumerate(frames):
                if any(padding):
                    image = np.pad(image, ((0, padding[0]), (0, padding[1]), (0, 0)), mode="edge")
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
                if not lossless:
                    picture = picture.reformat(format=pix_fmt, dst_colorspace="ITU709")
                picture.pts, picture.time_base = index, 1 / rate
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
    except (OSError, av.FFmpegError) as error:
        raise cannot_write(path, error) from error
    _check_video(path, frames, rate=rate, padding=padding, lossless=lossless)
    return {
        "codec": codec,
        "pix_fmt": pix_fmt,
        "crf": 0 if lossless else int(CRF),
        "lossless": lossless,
        "frames": len(frames),
        "fps": float(rate),
        "height": height + padding[0],
        "width": width + padding[1],
        "padding": list(padding),
    }


def _check_video(path: Path, frames: np.ndarray, *, rate: Fraction, padding: tuple[int, int], lossless: bool) -> None:
    """Decode what was written and hold it against what went in."""
    import av

    want = (frames.shape[1] + padding[0], frames.shape[2] + padding[1])
    count = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise SinkError(f"{path} was written but cannot be read back: it holds no video; check the disk.")
            for picture in container.decode(video=0):
                if (picture.height, picture.width) != want:
                    raise SinkError(f"{path} should hold frames of {want} [H, W], but frame {count} differs; retry.")
                if abs(float(picture.time) - float(count / rate)) > 0.25 / float(rate):
                    raise SinkError(f"{path} shows frame {count} at {picture.time} s, not {float(count / rate)} s.")
                exact = not lossless or count >= len(frames)
                if not exact and not np.array_equal(picture.to_ndarray(format="rgb24"), frames[count]):
                    raise SinkError(f"{path} should be lossless, but frame {count} reads back with other pixels.")
                count += 1
    except (OSError, av.FFmpegError) as error:
        raise SinkError(f"{path} was written but cannot be read back: {error}; check the disk and retry.") from error
    if count != len(frames):
        raise SinkError(f"{path} should hold {len(frames)} frames, but {count} read back; check the disk and retry.")


__all__ = ["CRF", "write_video"]
