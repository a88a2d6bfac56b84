"""Questions of the self-test about pictures in materials: dynamic textures, and pictures that change with time."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np

from cosmos.bridge.kit import compat, probe
from cosmos.bridge.kit.ask_frames import is_empty, renderer_ordinal
from cosmos.bridge.kit.facts import Fact
from cosmos.bridge.kit.live_texture import LiveTexture, upload_pointer

SETTLE = 8
"""Frames that a renderer gets to load a picture."""
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)

Capture = Callable[[int], Awaitable[list[probe.Kept]]]
"""Captures that many frames of the camera of screens."""


async def ask_screens(stage: Any, code: float, capture: Capture) -> tuple[dict[str, Any], list[Fact]]:
    """Ask what materials show.

    Args:
        stage: The open stage; its own layers are not touched.
        code: Time code of the timeline now.
        capture: Captures frames, while the timeline goes on by a code each.

    Returns:
        Settings to keep, and the facts.
    """
    texture = LiveTexture(probe.TEXTURE) if compat.find("omni.ui.DynamicTextureProvider") is not None else None
    with tempfile.TemporaryDirectory() as folder:
        before, after = (_picture_file(Path(folder) / f"{name}.png", color) for name, color in _FILES)
        with probe.screen_scene(stage, code + SETTLE + 1, before, after):
            if texture is not None:
                texture.show_pixels(_plain(GREEN))
            first = [item for item in await capture(SETTLE) if not is_empty(item)]
            if not first:
                return {}, [Fact(name="screens", ok=False, found=f"no picture of them in {SETTLE} frames")]
            ordinal = renderer_ordinal(first[-1])
            if texture is not None and ordinal is not None:
                held = _upload(texture, first[-1])
            then = [item for item in await capture(SETTLE) if not is_empty(item)]
    if not then:
        return {}, [Fact(name="screens", ok=False, found=f"no picture of them in {SETTLE} further frames")]
    seen = [[_color_at(kept[-1], column) for column in probe.SCREEN_COLUMNS] for kept in (first, then)]
    facts = [_follows("OmniPBR", seen[0][1], seen[1][1]), _follows("UsdPreviewSurface", seen[0][2], seen[1][2])]
    if texture is None:
        facts.append(Fact(name=_HOST, ok=None, found="no omni.ui here: no live picture, and none is needed"))
        return {}, facts
    measured: dict[str, Any] = {}
    facts += _textures(seen[0][0], seen[1][0], ordinal, measured)
    if ordinal is not None:
        del held  # Kit reads it later than it is handed over
    texture.close()
    return measured, facts


_HOST = "dynamic texture, from the host"
_POINTER = "dynamic texture, from the GPU"
_FILES = (("before", RED), ("after", BLUE))


def _textures(before: str, after: str, ordinal: Optional[int], measured: dict[str, Any]) -> list[Fact]:
    """Judge what the dynamic texture showed: green from the host, then red by pointer."""
    host = Fact(name=_HOST, ok=before == "green", found=f"green was given, {before} is seen")
    if ordinal is None:
        return [host, Fact(name=_POINTER, ok=None, found="pictures lie on the host here, so uploads go that way")]
    arrived = after == "red"
    measured["renderer_device"] = ordinal if arrived else -1
    found = f"red was given on cuda:{ordinal}, {after} is seen"
    return [host, Fact(name=_POINTER, ok=arrived, found=found if arrived else f"{found}; previews go by the host now")]


def _follows(kind: str, before: str, after: str) -> Fact:
    name = f"time-sampled pictures of {kind}"
    found = f"red, then blue was authored; {before}, then {after} is seen"
    return Fact(name=name, ok=(before, after) == ("red", "blue"), found=found)


def _plain(color: tuple[int, int, int]) -> np.ndarray:
    picture = np.full((16, 16, 4), 255, np.uint8)
    picture[..., :3] = color
    return picture


def _upload(texture: LiveTexture, kept: probe.Kept) -> Any:
    """Hand over a red picture as a pointer to the GPU that renders; return the memory, which must live on."""
    import warp as wp

    from cosmos.bridge.kit.payload import split_payload

    device = split_payload(kept.payload, ("motion_vectors",))[0].readings["motion_vectors"].array.device
    picture = wp.array(_plain(RED), dtype=wp.uint8, device=str(device))
    upload_pointer(texture.provider, picture)
    return picture


def _picture_file(path: Path, color: tuple[int, int, int]) -> Path:
    import cv2

    cv2.imwrite(str(path), _plain(color)[..., 2::-1])
    return path


def _color_at(kept: probe.Kept, column: int) -> str:
    """Name the colour of a patch in the middle row: whatever the exposure, one channel stands out."""
    height, width = probe.SIZE
    rgb = kept.copies["rgb"].reshape(height, width, 4)[..., :3]
    patch = rgb[height // 2 - 4 : height // 2 + 4, column - 4 : column + 4].reshape(-1, 3).mean(0)
    order = np.argsort(patch)
    if patch[order[2]] < 8.0:
        return "black"
    if patch[order[2]] < 1.3 * patch[order[1]]:
        return "grey"
    return ("red", "green", "blue")[int(order[2])]


__all__ = ["SETTLE", "ask_screens"]
