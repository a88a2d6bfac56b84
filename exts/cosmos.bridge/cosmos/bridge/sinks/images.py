"""Stills: depth as EXR, ids as PNG, previews as JPEG."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from cosmos.bridge.errors import SinkError
from cosmos.bridge.sinks.files import cannot_write

IdEncoding = Literal["uint16", "uint32_rgba"]


def write_depth_exr(path: Path, depth: np.ndarray) -> None:
    """Write metric depth without loss, one channel ``Z``, float32, ZIP; ``inf`` stays ``inf``.

    Args:
        path: File to write.
        depth: Distance to the image plane [m], float32, shape [H, W].

    Raises:
        SinkError: If it cannot be written.
    """
    import OpenEXR

    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    try:
        with OpenEXR.File(header, {"Z": np.ascontiguousarray(depth, dtype=np.float32)}) as image:
            image.write(str(path))
    except (OSError, RuntimeError) as error:
        raise cannot_write(path, error) from error


def id_encoding(ids: np.ndarray) -> IdEncoding:
    """Return how a clip of ids is stored: 16-bit grey where every id fits, else 32 bits in four channels."""
    return "uint16" if not ids.size or int(ids.view(np.uint32).max()) <= 0xFFFF else "uint32_rgba"


def encode_ids(ids: np.ndarray, encoding: IdEncoding) -> bytes:
    """Return ids as PNG; in ``uint32_rgba`` an id is ``R + 256 G + 65536 B + 16777216 A``, as Replicator has it.

    Args:
        ids: uint32 (int32 accepted, same bits), shape [H, W].
        encoding: As ``id_encoding`` says for the whole clip.

    Raises:
        SinkError: If an id does not fit the encoding.
    """
    values = np.ascontiguousarray(ids).view(np.uint32)
    if encoding == "uint16":
        if values.size and int(values.max()) > 0xFFFF:
            raise SinkError(f"An id of {int(values.max())} does not fit 16 bits; store the clip as uint32_rgba.")
        return encode_png(values.astype(np.uint16))
    rgba = values.astype("<u4").view(np.uint8).reshape(*values.shape, 4)
    return encode_png(rgba[..., [2, 1, 0, 3]])  # OpenCV wants BGRA


def encode_png(pixels: np.ndarray) -> bytes:
    """Return pixels in OpenCV's channel order as PNG.

    Raises:
        SinkError: If OpenCV refuses the picture.
    """
    import cv2

    done, content = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise SinkError(f"A picture of shape {list(pixels.shape)} and type {pixels.dtype} could not be encoded as PNG.")
    return content.tobytes()


def encode_jpeg(rgb: np.ndarray, *, width: int, quality: int = 84) -> bytes:
    """Return a picture as JPEG, shrunk (never enlarged) to a width.

    Args:
        rgb: sRGB, uint8, shape [H, W, 3].
        width: Most columns [px].
        quality: JPEG quality, 0 to 100.

    Raises:
        SinkError: If OpenCV refuses the picture.
    """
    import cv2

    if rgb.shape[1] > width:
        size = (width, max(1, round(rgb.shape[0] * width / rgb.shape[1])))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    done, content = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise SinkError(f"A picture of shape {list(rgb.shape)} could not be encoded as JPEG.")
    return content.tobytes()


def side_by_side(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return before | after with a white line between, uint8, shape [H, W + W + line, 3]."""
    line = np.full((before.shape[0], max(2, before.shape[1] // 160), 3), 255, dtype=np.uint8)
    return np.concatenate([before, line, after], axis=1)


__all__ = ["IdEncoding", "encode_ids", "encode_jpeg", "encode_png", "id_encoding", "side_by_side", "write_depth_exr"]
