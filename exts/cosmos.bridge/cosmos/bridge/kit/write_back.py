"""Results on the open stage: a sublayer of the session layer, which is never saved, or baked into a layer by wish."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cosmos.bridge.errors import SinkError
from cosmos.bridge.kit import compat

SHOW = "CosmosBridgeShowResults"
BAKE = "CosmosBridgeBakeResults"


def show_results(layer: str | Path) -> None:
    """Put a results layer under the session layer of the open stage, as a step that can be undone.

    The user's own layers stay as they are; closing the stage, or undo, takes it away.

    Args:
        layer: ``cosmos_bridge_results.usda`` of a run.

    Raises:
        KitError: If no stage is open.
        SinkError: If there is no such layer.
    """
    _execute(SHOW, str(_existing(layer)))


def bake_results(layer: str | Path, target: str | Path) -> None:
    """Write a results layer to a file of the user's choice and put that under the root layer, as an undoable step.

    The root layer is changed but not saved; undo takes the sublayer away and leaves the file.

    Args:
        layer: ``cosmos_bridge_results.usda`` of a run.
        target: File ending in .usda or .usdc that is not there yet.

    Raises:
        KitError: If no stage is open.
        SinkError: If the layer is missing, the file is there, or it cannot be written.
    """
    source, wanted = _existing(layer), Path(target)
    if wanted.suffix.lower() not in (".usda", ".usdc", ".usd"):
        raise SinkError(f"{wanted} must end in .usda, .usdc or .usd.")
    if wanted.exists():
        raise SinkError(f"{wanted} is there already; nothing is written over, choose another name.")
    stage = compat.open_stage()
    if stage.GetRootLayer().anonymous:
        raise SinkError("The open stage was never saved, so no layer can lie beside it; save it first.")
    copy_layer(source, wanted)
    _execute(BAKE, str(wanted.resolve()))


def copy_layer(source: Path, target: Path) -> None:
    """Copy a layer to another folder; relative paths in it still lead to the same files.

    Raises:
        SinkError: If it cannot be read or written.
    """
    from pxr import Sdf, Tf, UsdUtils

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        layer, copy = Sdf.Layer.FindOrOpen(str(source)), Sdf.Layer.CreateNew(str(target))
        copy.TransferContent(layer)
        UsdUtils.ModifyAssetPaths(copy, lambda path: _moved(path, source.parent, target.parent))
        copy.Save()
    except (OSError, Tf.ErrorException) as error:
        raise SinkError(f"{target} cannot be written ({error}); choose another folder.") from error


def _moved(path: str, old: Path, new: Path) -> str:
    if not path.startswith("."):
        return path
    return "./" + Path(os.path.relpath((old / path).resolve(), new.resolve())).as_posix()


def _existing(layer: str | Path) -> Path:
    path = Path(layer)
    if not path.is_file():
        raise SinkError(f"{path} is not there; results lie on a stage only where the source is a saved stage.")
    return path.resolve()


def _insert(target: Any, layer: str) -> bool:
    """Put a sublayer on top of a layer; return whether it was not there."""
    if layer in list(target.subLayerPaths):
        return False
    target.subLayerPaths.insert(0, layer)
    return True


def _execute(name: str, layer: str) -> None:
    run = compat.need("omni.kit.commands.execute")
    done, _ = run(name, layer=layer)
    if not done:
        raise SinkError(f"{layer} could not be put on the stage; Kit's log says why.")


def command_classes() -> tuple[type, type]:
    """Return the undoable commands, which the extension registers."""
    base = compat.need("omni.kit.commands.Command")

    def target_of(session: bool) -> Any:
        stage = compat.open_stage()
        return stage.GetSessionLayer() if session else stage.GetRootLayer()

    def make(name: str, session: bool, text: str) -> type:
        class LayerCommand(base):  # type: ignore[misc, valid-type]
            __doc__ = text

            def __init__(self, layer: str) -> None:
                self._layer, self._done, self._target = layer, False, None

            def do(self) -> None:
                self._target = target_of(session)
                self._done = _insert(self._target, self._layer)

            def undo(self) -> None:
                if self._done and self._target:
                    self._target.subLayerPaths.remove(self._layer)

        LayerCommand.__name__ = LayerCommand.__qualname__ = name
        return LayerCommand

    return (
        make(SHOW, True, "Show a results layer of cosmos.bridge on the open stage."),
        make(BAKE, False, "Put a baked results layer of cosmos.bridge under the root layer."),
    )


__all__ = ["BAKE", "SHOW", "bake_results", "command_classes", "copy_layer", "show_results"]
