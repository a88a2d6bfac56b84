"""The open stage as it stands, unsaved edits included: copies of its layers that nobody else changes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OpenLayers:
    """Copies of the layers of a stage that are not on disk as they stand; a stage may be opened of them on any thread.

    The session layer comes along, for what it hides or moves was captured, but not what lies under it: results.
    """

    root: Any
    """Copy of the root layer, whose edited sublayers are copies too, by identifier."""
    session: Any
    """Copy of the session layer without its sublayers."""
    folders: Mapping[str, str]
    """Identifier of each copy -> folder that its relative paths start at; empty for a layer that was never saved."""
    held: tuple[Any, ...]
    """All copies; USD keeps a layer for as long as somebody holds it."""

    @classmethod
    def of(cls, stage: Any) -> OpenLayers:
        """Copy the layers of an open stage, on the thread that may edit it."""
        folders: dict[str, str] = {}
        held: list[Any] = []
        root = _copied(stage.GetRootLayer(), folders, held)
        session = _copied(stage.GetSessionLayer(), folders, held, below=False)
        return cls(root=root, session=session, folders=folders, held=tuple(held))


def _copied(layer: Any, folders: dict[str, str], held: list[Any], *, below: bool = True) -> Any:
    from pxr import Sdf

    made = Sdf.Layer.CreateAnonymous(".usdc")  # three times as fast to fill as a text layer
    held.append(made)
    made.TransferContent(layer)
    folders[made.identifier] = os.path.dirname(layer.realPath)
    if not below:
        made.subLayerPaths.clear()
    for index, path in enumerate(list(made.subLayerPaths)):
        lower = Sdf.Layer.FindRelativeToLayer(layer, path)
        if lower and _is_edited(lower):
            made.subLayerPaths[index] = _copied(lower, folders, held).identifier
    return made


def _is_edited(layer: Any) -> bool:
    """Return whether a layer, or one below it, is not on disk as it stands."""
    from pxr import Sdf

    lower = [Sdf.Layer.FindRelativeToLayer(layer, path) for path in layer.subLayerPaths]
    return layer.dirty or layer.anonymous or any(_is_edited(other) for other in lower if other)


def placed_at_rest(layer: Any, folder: str, copy: Any) -> None:
    """Make paths of a layer absolute, in place, and replace its sublayers by what ``copy`` makes of each path."""
    from pxr import UsdUtils

    if folder:
        UsdUtils.ModifyAssetPaths(layer, lambda asset: _absolute(asset, folder))
    for index, path in enumerate(list(layer.subLayerPaths)):
        layer.subLayerPaths[index] = copy(path)


def _absolute(asset: str, folder: str) -> str:
    """Return where a path that is relative to a layer leads; others are found by search paths, so they stay."""
    if not asset or "://" in asset or os.path.isabs(asset):
        return asset
    path = os.path.normpath(os.path.join(folder, asset))
    ours = asset.startswith(".") or os.path.exists(path) or "<UDIM>" in asset
    return Path(path).as_posix() if ours else asset


__all__ = ["OpenLayers", "placed_at_rest"]
