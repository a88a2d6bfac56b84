"""Whether a stage from somebody else stays in its own folder: asset paths are judged before any of them is resolved.

Each layer is parsed on its own, uncomposed. What it names (sublayers, references, payloads, value clips, textures and
every other asset value, in each variant and at each time) must be a plain relative path that stays at or below the
folder of the stage, on disk too, where a link could lead out of it. Layers that pass are looked into in turn.
"""

from __future__ import annotations

import glob
import os
import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.errors import SourceError
from cosmos.bridge.render.usd.mtlx import file_values, parse_mtlx

if TYPE_CHECKING:
    from pxr import Sdf

_LAYERS = (".usd", ".usda", ".usdc", ".usdz")
_MATERIALX = ".mtlx"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_PACKAGED = re.compile(r"(?P<package>[^\[\]]+)\[(?P<inside>.*)\]\Z", re.DOTALL)
_ARGUMENTS = ":SDF_FORMAT_ARGS:"
_CLIP_PATHS = ("templateAssetPath", "manifestAssetPath")
_MOST_LAYERS = 100_000
"""Layers that are looked into; a stage of more is refused."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where a layer lies: a file, or inside a package."""

    file: str
    """Path of the file or package as USD anchors to it: absolute, links not followed."""
    inside: str = ""
    """Path of the layer in the package; empty for a plain file."""

    @property
    def identifier(self) -> str:
        """What USD opens it by."""
        return f"{self.file}[{self.inside}]" if self.inside else self.file


def check_trust(path: str) -> None:
    """Refuse a stage that names anything outside its own folder.

    A path is refused if it is absolute, climbs above the folder of the stage, has a URL scheme, is an expression, or
    leads out of the folder by a symbolic link; so is one that USD would look for elsewhere because it neither starts
    with ``./`` nor lies where it says. In a usdz package the package is the folder.

    Args:
        path: A usd, usda, usdc or usdz file. Where it lies itself is not judged.

    Raises:
        SourceError: If something is refused; the sentence names the first such path, its layer and the reason.
    """
    start = os.path.abspath(path)
    root = os.path.dirname(start)
    if start.lower().endswith(".usdz"):
        pending = [_Place(file=start, inside=name) for name in _layers_in(start)]
    else:
        pending = [_Place(file=start)]
    seen = set(pending)
    while pending:
        place = pending.pop()
        for authored in _authored_paths(place):
            for found in _judge(authored, place, root):
                if found not in seen:
                    seen.add(found)
                    pending.append(found)
        if len(seen) > _MOST_LAYERS:
            raise SourceError(f"Stage {path} is made of more than {_MOST_LAYERS} layers; it is not trusted.")


def _refuse(authored: str, place: _Place, reason: str) -> SourceError:
    return SourceError(
        f"The asset path {authored!r} in {place.identifier} is refused because it {reason}; "
        "leave out --untrusted if you trust this stage."
    )


def _judge(authored: str, place: _Place, root: str) -> list[_Place]:
    """Return the layers that an authored path leads to; raise for one that is refused."""
    text = authored.split(_ARGUMENTS)[0]
    if not text:
        return []
    if text.startswith("`") or "\0" in text:
        raise _refuse(authored, place, "is not a plain path")
    plain = text.replace("\\", "/")
    if _SCHEME.match(plain):
        raise _refuse(authored, place, "has a URL scheme or a drive")
    if plain.startswith(("/", "~")):
        raise _refuse(authored, place, "is absolute")
    packaged = _PACKAGED.match(plain)
    outer, inside = (packaged["package"], packaged["inside"]) if packaged else (plain, "")
    if inside and posixpath.normpath(inside).startswith(("..", "/")):
        raise _refuse(authored, place, "climbs out of its package")
    if place.inside:
        return _judge_packaged(outer, authored, place)
    return _judge_file(outer, authored, place, root)


def _judge_packaged(outer: str, authored: str, place: _Place) -> list[_Place]:
    """Judge a path that is authored in a package; all layers of that are looked into anyway."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(place.inside), outer))
    if target == ".." or target.startswith("../"):
        raise _refuse(authored, place, "climbs out of its package")
    if _is_searched(outer) and target not in _names_in(place.file) and outer not in _names_in(place.file):
        raise _refuse(authored, place, "is not in its package, so that it would be looked for elsewhere")
    return []


def _judge_file(outer: str, authored: str, place: _Place, root: str) -> list[_Place]:
    """Judge a path that is authored in a file of the folder ``root``."""
    anchored = os.path.normpath(os.path.join(os.path.dirname(place.file), outer))
    if not _is_below(anchored, root):
        raise _refuse(authored, place, "climbs above the folder of the stage")
    there = _files_of(anchored)
    if not there and _is_searched(outer):
        there = _files_of(os.path.normpath(os.path.join(root, outer)))
        if not there:
            raise _refuse(
                authored, place, "is not in the folder of the stage, so that it would be looked for elsewhere"
            )
    found = []
    for file in there:
        if not _is_below(os.path.realpath(file), os.path.realpath(root)):
            raise _refuse(authored, place, "is a link out of the folder of the stage")
        if file.lower().endswith(".usdz"):
            found += [_Place(file=file, inside=name) for name in _layers_in(file)]
        elif file.lower().endswith((*_LAYERS, _MATERIALX)):
            found.append(_Place(file=file))
    return found


def _is_searched(outer: str) -> bool:
    """Whether USD looks for a path in other places too; MDL modules, which are never opened here, do not count."""
    return not outer.startswith(("./", "../")) and not outer.lower().endswith(".mdl")


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def _files_of(path: str) -> list[str]:
    """Return the files that a path stands for: itself, or the tiles or clips that a pattern in its name stands for."""
    folder, name = os.path.split(path)
    if "<UDIM>" in name or "#" in name:
        parts = re.split(r"<UDIM>|#+(?:\.#+)?", name)
        return sorted(glob.glob(os.path.join(glob.escape(folder), "*".join(glob.escape(part) for part in parts))))
    return [path] if os.path.lexists(path) else []


def _names_in(package: str) -> frozenset[str]:
    """Return the names of the files in a package; none where it cannot be read, which composing says."""
    try:
        with zipfile.ZipFile(package) as opened:
            return frozenset(opened.namelist())
    except (OSError, zipfile.BadZipFile):
        return frozenset()


def _layers_in(package: str) -> list[str]:
    return sorted(name for name in _names_in(package) if name.lower().endswith(_LAYERS))


def _authored_paths(place: _Place) -> Iterator[str]:
    """Yield every asset path that a layer holds; none where it cannot be parsed, which composing says."""
    from pxr import Sdf, Tf

    if place.file.lower().endswith(_MATERIALX):
        root = parse_mtlx(place.file)
        yield from () if root is None else file_values(root)
        return
    try:
        layer: Optional[Sdf.Layer] = Sdf.Layer.OpenAsAnonymous(place.identifier)
    except Tf.ErrorException:
        return
    if layer is None:
        return
    yield from layer.subLayerPaths
    paths: list[Sdf.Path] = []
    layer.Traverse(Sdf.Path.absoluteRootPath, paths.append)
    for path in paths:
        spec = layer.GetObjectAtPath(path)
        if spec is None:
            continue
        values = not isinstance(spec, Sdf.AttributeSpec) or spec.typeName.scalarType == Sdf.ValueTypeNames.Asset
        for key in spec.ListInfoKeys():
            if values or key not in ("default", "timeSamples"):
                yield from _paths_in(_info(spec, key), key)
        if values and isinstance(spec, Sdf.AttributeSpec):
            for time in layer.ListTimeSamplesForPath(path):
                yield from _paths_in(layer.QueryTimeSample(path, time), "timeSamples")


def _info(spec: Any, key: str) -> Any:
    """Return a field of a spec; ``None`` for one whose type Python does not know, which holds no paths."""
    try:
        return spec.GetInfo(key)
    except TypeError:
        return None


def _paths_in(value: Any, key: str) -> Iterator[str]:
    """Yield the asset paths in a value of any type."""
    from pxr import Sdf

    if isinstance(value, Sdf.AssetPath):
        yield value.path
    elif isinstance(value, (Sdf.Reference, Sdf.Payload)):
        yield value.assetPath
    elif isinstance(value, (Sdf.ReferenceListOp, Sdf.PayloadListOp)):
        for items in (
            value.explicitItems,
            value.addedItems,
            value.prependedItems,
            value.appendedItems,
            value.deletedItems,
            value.orderedItems,
        ):
            yield from (item.assetPath for item in items)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, str) and name in _CLIP_PATHS and key == "clips":
                yield inner
            yield from _paths_in(inner, key)
    elif isinstance(value, str):
        if key == "clipTemplateAssetPath":
            yield value
    elif isinstance(value, (list, tuple, Sdf.AssetPathArray)):
        for inner in value:
            yield from _paths_in(inner, key)


__all__ = ["check_trust"]
