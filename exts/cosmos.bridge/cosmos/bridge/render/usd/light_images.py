"""Images that lights shine through: the sky of a dome, unrolled to latitude and longitude, and the picture of a rect.

They keep their full range as float32, whatever their file holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.textures import TextureLibrary

if TYPE_CHECKING:
    from pxr import Sdf

MOST_COLUMNS = 4096
"""Width [px] that larger images of lights are brought down to."""
_FORMATS = ("latlong", "mirroredBall", "angular", "cubeMapVerticalCross")


def add_dome_image(asset: Sdf.AssetPath, layout: str, textures: TextureLibrary, notes: Notes) -> int:
    """Return the index of a dome's image as latitude-longitude; -1 where it cannot be read.

    Args:
        asset: The image.
        layout: ``texture:format`` of UsdLux; ``automatic`` goes by the shape of the image.
        textures: Where it is kept.
        notes: Told about an image that is missing or made smaller.
    """
    image = textures.radiance(asset)
    if image is None:
        notes.add("Sky images that cannot be read are left out", asset.path)
        return -1
    if layout == "automatic":
        height, width = image.shape[:2]
        layout = "cubeMapVerticalCross" if height * 3 == width * 4 else "latlong"
    if layout not in _FORMATS:
        notes.add(f"Dome images of the unknown format {layout} are read as latitude-longitude", asset.path)
        layout = "latlong"
    texels = _bounded(unrolled(image, layout), asset.path, notes)
    return textures.add_made(f"{asset.resolvedPath or asset.path} ({layout})", texels, wrap_s="repeat", wrap_t="clamp")


def add_rect_image(asset: Sdf.AssetPath, textures: TextureLibrary, notes: Notes) -> int:
    """Return the index of a rect light's image; -1 where it cannot be read."""
    image = textures.radiance(asset)
    if image is None:
        notes.add("Images of lights that cannot be read are left out", asset.path)
        return -1
    texels = _bounded(image, asset.path, notes)
    return textures.add_made(f"{asset.resolvedPath or asset.path} (light)", texels, wrap_s="clamp", wrap_t="clamp")


def latlong_directions(height: int, width: int) -> np.ndarray:
    """Return the direction of each texel of a latitude-longitude image: +Y is its top, +Z its middle (OpenEXR).

    Returns:
        Unit vectors, float64, shape [H, W, 3].
    """
    latitude = np.pi * (0.5 - (np.arange(height) + 0.5) / height)[:, None]
    longitude = np.pi * (1.0 - 2.0 * (np.arange(width) + 0.5) / width)[None, :]
    x, z = np.cos(latitude) * np.sin(longitude), np.cos(latitude) * np.cos(longitude)
    return np.stack([x, np.broadcast_to(np.sin(latitude), x.shape), z], axis=-1)


def unrolled(image: np.ndarray, layout: str) -> np.ndarray:
    """Bring a picture of all directions to latitude and longitude.

    Args:
        image: float32, shape [H, W, 3].
        layout: ``latlong``, ``mirroredBall``, ``angular`` or ``cubeMapVerticalCross``; the first is returned as it is.

    Returns:
        float32, shape [H', 2 H', 3] for the last three.
    """
    if layout == "latlong":
        return image
    import cv2

    height = max(16, image.shape[1] if layout == "cubeMapVerticalCross" else image.shape[0])
    directions = latlong_directions(height, 2 * height)
    x, y = (
        _cross_place(directions, image.shape[1] // 3)
        if layout == "cubeMapVerticalCross"
        else _ball_place(directions, layout)
    )
    columns, rows = x * image.shape[1] - 0.5, y * image.shape[0] - 0.5
    maps = (columns.astype(np.float32), rows.astype(np.float32))
    return np.asarray(cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _ball_place(d: np.ndarray, layout: str) -> tuple[np.ndarray, np.ndarray]:
    """Return where a direction lies in the image of a mirrored ball or of an angular map, in [0, 1], top left first.

    The middle is +Z and the rim -Z (P. Debevec, light probes). The ball is a photograph of its front, so +X is right;
    the angular map is seen from inside, as latitude-longitude is, so -X is right.
    """
    across = np.hypot(d[..., 0], d[..., 1])
    away = np.arctan2(across, d[..., 2])
    radius = np.sin(away / 2.0) if layout == "mirroredBall" else away / np.pi
    turn = radius / np.maximum(across, 1e-12)
    side = 0.5 if layout == "mirroredBall" else -0.5
    return 0.5 + side * d[..., 0] * turn, 0.5 - 0.5 * d[..., 1] * turn


def _cross_place(d: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where a direction lies in a vertical cross of 3 x 4 squares of ``side`` texels.

    Top +Y, then -X, +Z and +X side by side, -Y below them, and -Z upside down at the bottom (OpenEXR's cube axes).
    """
    x, y, z = d[..., 0], d[..., 1], d[..., 2]
    # For each face: axis seen, direction to the right, direction up, and the square's column and row.
    faces = (
        (z, -x, y, 1, 1),
        (x, z, y, 0, 1),
        (-x, -z, y, 2, 1),
        (y, -x, -z, 1, 0),
        (-y, -x, z, 1, 2),
        (-z, -x, -y, 1, 3),
    )
    depth = np.stack([face[0] for face in faces])
    best = depth.argmax(axis=0)
    column, row = np.zeros(best.shape), np.zeros(best.shape)
    inside = 1.0 - 1.0 / side  # half a texel off the rim, so that no neighbour's texels are blended in
    for index, (ahead, right, up, left, top) in enumerate(faces):
        here = best == index
        safe = np.where(here, ahead, 1.0)
        across, over = (np.clip(part / safe, -inside, inside) for part in (right, up))
        column = np.where(here, (left + 0.5 + 0.5 * across) / 3.0, column)
        row = np.where(here, (top + 0.5 - 0.5 * over) / 4.0, row)
    return column, row


def _bounded(image: np.ndarray, path: str, notes: Notes) -> np.ndarray:
    """Return an image no wider than ``MOST_COLUMNS``, averaged down so that its light stays."""
    height, width = image.shape[:2]
    if max(height, width) <= MOST_COLUMNS:
        return image
    import cv2

    share = MOST_COLUMNS / max(height, width)
    notes.add(f"Images of lights larger than {MOST_COLUMNS} pixels are made smaller", path)
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)


__all__ = ["MOST_COLUMNS", "add_dome_image", "add_rect_image", "latlong_directions", "unrolled"]
