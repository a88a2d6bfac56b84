"""The light of a captured clip under another look: its stage, read again by the embedded renderer, in a worker."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Optional

import numpy as np

from cosmos.bridge.errors import SourceError
from cosmos.bridge.types import Clip, LightMaps, Look

LOADING = 120.0
"""Longest that a stage is read before it is given up [s]."""
_APART, _SHARE = 0.02, 0.05
_SUFFIXES = (".usd", ".usda", ".usdc")


class StageLight:
    """Tells the light of a clip's frames from a stage of its own, which the application does not know of."""

    def __init__(self, clip: Clip, path: str) -> None:
        """Read a stage.

        Args:
            clip: Frames whose cameras and time codes count.
            path: File of the stage.

        Raises:
            SourceError: If it cannot be read, or not in time, or shows something else than the clip.
        """
        _check_warp()
        from cosmos.bridge.render.renderer import Renderer

        self._cameras, self._times = clip.cameras, clip.time_codes
        self._renderer: Any = None
        deadline = time.monotonic() + LOADING

        def in_time(*_: object) -> None:
            if time.monotonic() > deadline:
                raise SourceError(f"{path} is not read in {LOADING:g} s")

        self._layers: list[Any] = []
        self._renderer = Renderer(self._open(path), device=str(clip.rgb.device), progress=in_time)
        try:
            self._compare(clip)
        except SourceError:
            self.close()
            raise

    def light(self, frame: int, look: Look) -> LightMaps:
        """Return the maps of a frame."""
        if self._renderer is None:
            raise SourceError("The light probe of the take is closed; read its clip again.")
        maps: LightMaps = self._renderer.light(self._cameras[frame], float(self._times[frame]), look)
        return maps

    def close(self) -> None:
        """Free the renderer; safe to call twice."""
        renderer, self._renderer = self._renderer, None
        self._layers = []
        if renderer is not None:
            renderer.close()

    def _open(self, path: str) -> Any:
        """Open the file apart from the application's own stage, whose layers may change at any time."""
        from pxr import Tf, Usd

        if "://" in path or Path(path).suffix.lower() not in _SUFFIXES:
            raise SourceError(f"{path} is no {', '.join(_SUFFIXES)} file of a local disk")
        try:
            return Usd.Stage.Open(self._copy(path))
        except Tf.ErrorException as error:
            raise SourceError(f"{path} cannot be read") from error

    def _copy(self, path: str) -> Any:
        """Return an unregistered copy of a layer and its sublayers; what it refers to is found as before."""
        from pxr import Sdf, UsdUtils

        layer, folder = Sdf.Layer.OpenAsAnonymous(path), os.path.dirname(os.path.abspath(path))
        if not layer:
            raise SourceError(f"{path} cannot be read")
        self._layers.append(layer)
        UsdUtils.ModifyAssetPaths(layer, lambda asset: _absolute(asset, folder))
        for index, sublayer in enumerate(list(layer.subLayerPaths)):
            if os.path.isfile(sublayer):
                layer.subLayerPaths[index] = self._copy(sublayer).identifier
        return layer

    def _compare(self, clip: Clip) -> None:
        """Hold the first and the last frame against the stage: physics and unsaved edits are not in its file."""
        if clip.depth is None:
            raise SourceError("the clip has no depth, so the stage cannot be held against it")
        for index in sorted({0, clip.num_frames - 1}):
            frame = self._renderer.render(self._cameras[index], float(self._times[index]))
            seen, drawn = clip.depth[index].numpy(), frame.depth.numpy()
            with np.errstate(invalid="ignore"):
                near = np.abs(seen - drawn) <= _APART * seen
            other = float(1.0 - (near | (np.isinf(seen) & np.isinf(drawn))).mean())
            if other > _SHARE:
                raise SourceError(f"the saved stage has other depths in {other:.0%} of frame {index}")


def _check_warp() -> None:
    """Refuse a Warp that cannot read the renderer's kernels, as one of the two that Isaac Sim 4.2 may have."""
    import warp as wp

    version = str(wp.config.version)
    if tuple(int(part) for part in version.split(".")[:2]) < (1, 3):
        raise SourceError(f"the embedded renderer needs Warp 1.3, and this application brings {version}")


def stage_light(clip: Clip, path: str, *, saved: bool, changed: bool) -> tuple[Optional[StageLight], str]:
    """Return the light of a clip's stage, or ``None`` and why it cannot be had.

    Args:
        clip: Frames that were captured.
        path: File of the stage.
        saved: Whether there is such a file.
        changed: Whether the open stage has changes that are not saved.
    """
    if not saved or changed:
        why = "the stage has changes that are not saved" if saved else "the stage was never saved"
    else:
        try:
            return StageLight(clip, path), ""
        except SourceError as error:
            why = str(error)
    return None, f"Nothing is relit by the stage's own light, since {why.rstrip('.')}."


def _absolute(asset: str, folder: str) -> str:
    """Return where a path that is relative to a layer leads; others are found by search paths, so they stay."""
    if not asset or "://" in asset or os.path.isabs(asset):
        return asset
    path = os.path.normpath(os.path.join(folder, asset))
    ours = asset.startswith(".") or os.path.exists(path) or "<UDIM>" in asset
    return Path(path).as_posix() if ours else asset


__all__ = ["LOADING", "StageLight", "stage_light"]
