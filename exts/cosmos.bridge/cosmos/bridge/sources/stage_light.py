"""The light of a captured or recorded clip under another look: its stage, read by the embedded renderer.

A stage that is on disk as it stood is read from there, another from copies of its layers. Where things were moved by
what no layer tells, as by physics, they are put where the clip saw them.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from cosmos.bridge.errors import SourceError
from cosmos.bridge.sources.open_layers import OpenLayers, placed_at_rest
from cosmos.bridge.types import Clip, LightMaps, Look

LOADING = 120.0
"""Longest that an application's stage is read before it is given up [s]."""
_APART, _SHARE = 0.02, 0.05
_SUFFIXES = (".usd", ".usda", ".usdc")


class StageLight:
    """Tells the light of a clip's frames from a stage that it opens for itself, apart from an application's."""

    def __init__(self, clip: Clip, stage: Union[str, OpenLayers], *, patience: float = LOADING) -> None:
        """Read a stage.

        Args:
            clip: Frames whose cameras, poses and time codes count.
            stage: Its file, or its layers where no file holds it as it stands.
            patience: Longest that it is read before it is given up [s].

        Raises:
            SourceError: If it cannot be read, or not in time, or shows something else than the clip.
        """
        _check_warp()
        self._cameras, self._times = clip.cameras, clip.time_codes
        self._renderer: Any = None
        self._layers: list[Any] = []
        self._patience, self._deadline = patience, time.monotonic() + patience
        opened = self._open(stage)
        try:
            self._read(opened, clip)
            if (other := self._other(clip)) is not None and _place(opened, clip):
                self._read(opened, clip)
                other = self._other(clip)
            if other is not None:
                raise SourceError(f"the stage has other depths in {other[1]:.0%} of frame {other[0]}")
        except SourceError:
            self.close()
            raise

    def _read(self, stage: Any, clip: Clip) -> None:
        from cosmos.bridge.render.renderer import Renderer

        def in_time(*_: object) -> None:
            if time.monotonic() > self._deadline:
                raise SourceError(f"the stage is not read in {self._patience:g} s")

        if self._renderer is not None:
            self._renderer.close()
        self._renderer = Renderer(stage, device=str(clip.rgb.device), progress=in_time)

    def light(self, frame: int, look: Look) -> LightMaps:
        """Return the maps of a frame."""
        if self._renderer is None:
            raise SourceError("The light probe of the stage is closed; read the clip again.")
        maps: LightMaps = self._renderer.light(self._cameras[frame], float(self._times[frame]), look)
        return maps

    def close(self) -> None:
        """Free the renderer; safe to call twice."""
        renderer, self._renderer = self._renderer, None
        self._layers = []
        if renderer is not None:
            renderer.close()

    def _open(self, stage: Union[str, OpenLayers]) -> Any:
        """Open a stage apart from the application's own, whose layers may change at any time."""
        from pxr import Sdf, Tf, Usd

        try:
            if isinstance(stage, OpenLayers):
                session = Sdf.Layer.CreateAnonymous()
                session.TransferContent(stage.session)
                return Usd.Stage.Open(self._copy_of(stage, stage.root.identifier), session)
            if "://" in stage or Path(stage).suffix.lower() not in _SUFFIXES:
                raise SourceError(f"{stage} is no {', '.join(_SUFFIXES)} file of a local disk")
            return Usd.Stage.Open(self._copy(stage))
        except Tf.ErrorException as error:
            raise SourceError(f"{stage if isinstance(stage, str) else 'the open stage'} cannot be read") from error

    def _copy(self, path: str) -> Any:
        """Return an unregistered copy of a layer and its sublayers; what it refers to is found as before."""
        from pxr import Sdf

        layer = Sdf.Layer.OpenAsAnonymous(path)
        if not layer:
            raise SourceError(f"{path} cannot be read")
        self._layers.append(layer)
        placed_at_rest(layer, os.path.dirname(os.path.abspath(path)), self._below)
        return layer

    def _copy_of(self, layers: OpenLayers, identifier: str) -> Any:
        """Return a copy of a copied layer; the take keeps its own, to be read again."""
        from pxr import Sdf

        layer = Sdf.Layer.CreateAnonymous()
        layer.TransferContent(Sdf.Layer.Find(identifier))
        self._layers.append(layer)

        def below(path: str) -> str:
            return str(self._copy_of(layers, path).identifier) if path in layers.folders else self._below(path)

        placed_at_rest(layer, layers.folders[identifier], below)
        return layer

    def _below(self, path: str) -> str:
        return str(self._copy(path).identifier) if os.path.isfile(path) else path

    def _other(self, clip: Clip) -> Optional[tuple[int, float]]:
        """Hold the first and the last frame against the stage; return which shows something else, and its share."""
        if clip.depth is None:
            raise SourceError("the clip has no depth, so the stage cannot be held against it")
        for index in sorted({0, clip.num_frames - 1}):
            frame = self._renderer.render(self._cameras[index], float(self._times[index]))
            seen, drawn = clip.depth[index].numpy(), frame.depth.numpy()
            with np.errstate(invalid="ignore"):
                near = np.abs(seen - drawn) <= _APART * seen
            other = float(1.0 - (near | (np.isinf(seen) & np.isinf(drawn))).mean())
            if other > _SHARE:
                return index, other
        return None


def _place(stage: Any, clip: Clip) -> bool:
    """Put things where a clip saw them, by time samples in the stage's session layer; return whether any was."""
    from pxr import Gf, Sdf, Usd, UsdGeom

    unit, placed = UsdGeom.GetStageMetersPerUnit(stage), False
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        for key, poses in clip.poses.items():
            path = clip.instances[key].prim_path if key in clip.instances else ""
            prim = _own_prim(stage, path) if Sdf.Path.IsValidPathString(path) else None
            if not prim or not prim.IsA(UsdGeom.Xformable):
                continue
            moved = prim.CreateAttribute("xformOp:transform:captured", Sdf.ValueTypeNames.Matrix4d, custom=False)
            for code, pose in zip(clip.time_codes, poses, strict=True):
                if np.isfinite(pose).all():
                    matrix = np.array(pose, np.float64)
                    matrix[:3, 3] /= unit
                    moved.Set(Gf.Matrix4d(matrix.T.tolist()), float(code))
            order = [UsdGeom.XformOpTypes.resetXformStack, moved.GetName()]
            UsdGeom.Xformable(prim).CreateXformOpOrderAttr().Set(order)
            placed = True
    return placed


def _own_prim(stage: Any, path: str) -> Any:
    """Return the prim at a path, its instances made prims of their own; invalid where there is none."""
    prim = stage.GetPrimAtPath(path)
    while prim and prim.IsInstanceProxy():
        shared = prim
        while shared.IsInstanceProxy():
            shared = shared.GetParent()
        shared.SetInstanceable(False)
        prim = stage.GetPrimAtPath(path)
    return prim


def _check_warp() -> None:
    """Refuse a Warp that cannot read the renderer's kernels, as one of the two that Isaac Sim 4.2 may have."""
    import warp as wp

    version = str(wp.config.version)
    if tuple(int(part) for part in version.split(".")[:2]) < (1, 3):
        raise SourceError(f"the embedded renderer needs Warp 1.3, and this application brings {version}")


__all__ = ["LOADING", "StageLight"]
