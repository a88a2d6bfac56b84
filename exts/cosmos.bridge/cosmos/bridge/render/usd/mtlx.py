"""MaterialX files: their materials as UsdShade networks, where USD was built without its MaterialX plugin.

USD then cannot compose a reference to a ``.mtlx`` file, and what it would have brought is missing from the stage. Here
the target of a material binding is followed to such a reference by hand, and the file is read into a stage of its own.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Optional
from xml.etree import ElementTree

if TYPE_CHECKING:
    from pxr import Sdf, Usd, UsdShade

_MOST_BYTES = 16 << 20
_SCOPE = "/MaterialX/Materials"
_TYPES = {
    "float": "Float",
    "integer": "Int",
    "boolean": "Bool",
    "string": "String",
    "filename": "Asset",
    "color3": "Color3f",
    "color4": "Color4f",
    "vector2": "Float2",
    "vector3": "Float3",
    "vector4": "Float4",
}
_NO_NODES = ("input", "output", "nodegraph", "surfacematerial", "look", "nodedef", "implementation", "typedef")


def parse_mtlx(path: str) -> Optional[ElementTree.Element]:
    """Return the root element of a MaterialX file; ``None`` where it is missing, huge, or no MaterialX."""
    try:
        if os.path.getsize(path) > _MOST_BYTES:
            return None
        with open(path, "rb") as file:
            text = file.read()
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            return None
        root = ElementTree.fromstring(text)
    except (OSError, ElementTree.ParseError, ValueError):
        return None
    return root if root.tag == "materialx" else None


def file_values(root: ElementTree.Element) -> list[str]:
    """Return every file that a MaterialX document names, prefixes applied, includes among them."""
    found, pending = [], [(root, "")]
    while pending:
        element, above = pending.pop()
        prefix = element.get("fileprefix", above)
        if element.get("type") == "filename" and element.get("value"):
            found.append(prefix + str(element.get("value")))
        if element.get("href"):
            found.append(str(element.get("href")))
        pending += [(child, prefix) for child in element]
    return found


def material_at(stage: Usd.Stage, path: Sdf.Path) -> Optional[UsdShade.Material]:
    """Return the material of a MaterialX file that a reference at or above a prim path should have brought.

    Args:
        stage: Where the reference is.
        path: Path of the material that is missing, or has nothing in it.
    """
    from pxr import Sdf, UsdShade

    above = path
    while above != Sdf.Path.absoluteRootPath and above.IsAbsolutePath():
        prim = stage.GetPrimAtPath(above)
        if prim:
            for file, target in _references(prim):
                inside = path.ReplacePrefix(above, target)
                converted = _converted(file, os.path.getmtime(file)) if os.path.exists(file) else None
                material = UsdShade.Material.Get(converted, inside) if converted is not None else None
                if material:
                    return material
        above = above.GetParentPath()
    return None


def _references(prim: Usd.Prim) -> list[tuple[str, Sdf.Path]]:
    """Return (file, prim path in it) of each reference or payload of a prim to a MaterialX file."""
    from pxr import Sdf

    found = []
    for spec in prim.GetPrimStack():
        for arcs in (spec.referenceList, spec.payloadList):
            for arc in (*arcs.explicitItems, *arcs.prependedItems, *arcs.addedItems, *arcs.appendedItems):
                if arc.assetPath.lower().endswith(".mtlx"):
                    file = spec.layer.ComputeAbsolutePath(arc.assetPath)
                    found.append((file, arc.primPath or Sdf.Path("/MaterialX")))
    return found


@lru_cache(maxsize=64)
def _converted(file: str, _changed: float) -> Optional[Usd.Stage]:
    """Return a stage with the materials of a MaterialX file below ``/MaterialX/Materials``."""
    from pxr import Usd

    root = parse_mtlx(file)
    if root is None:
        return None
    stage = Usd.Stage.CreateInMemory()
    _Document(root, stage, os.path.dirname(file)).convert()
    return stage


class _Document:
    """Turns one document into shaders: nodes of the document and of its node graphs, each a prim."""

    def __init__(self, root: ElementTree.Element, stage: Usd.Stage, folder: str) -> None:
        self._root, self._stage, self._folder = root, stage, folder
        self._graphs = {str(graph.get("name")): graph for graph in root.iter("nodegraph")}

    def convert(self) -> None:
        """Write every node, then every material."""
        from pxr import UsdShade

        for scope in (self._root, *self._graphs.values()):
            for element in scope:
                if element.tag not in _NO_NODES and element.get("name"):
                    self._node(scope, element)
        for element in self._root.iter("surfacematerial"):
            material = UsdShade.Material.Define(self._stage, f"{_SCOPE}/{_plain(element.get('name'))}")
            for surface in element.findall("input"):
                source = self._source(self._root, surface)
                if surface.get("name") == "surfaceshader" and source is not None:
                    material.CreateSurfaceOutput("mtlx").ConnectToSource(source)

    def _path(self, scope: ElementTree.Element, name: Any) -> str:
        graph = "" if scope is self._root else f"{_plain(scope.get('name'))}/"
        return f"/MaterialX/Nodes/{graph}{_plain(name)}"

    def _node(self, scope: ElementTree.Element, element: ElementTree.Element) -> None:
        from pxr import Sdf, UsdShade

        shader = UsdShade.Shader.Define(self._stage, self._path(scope, element.get("name")))
        shader.CreateIdAttr(f"ND_{element.tag}_{element.get('type', '')}")
        for given in element.findall("input"):
            kind = getattr(Sdf.ValueTypeNames, _TYPES.get(str(given.get("type")), ""), None)
            if kind is None:
                continue
            made = shader.CreateInput(_plain(given.get("name")), kind)
            authored = self._interface(scope, given)
            source = self._source(self._root if authored is not given and scope is self._root else scope, authored)
            if source is not None:
                made.ConnectToSource(source)
                continue
            value = self._value(scope, element, authored)
            if value is not None:
                made.Set(value)
            space = authored.get("colorspace") or scope.get("colorspace") or self._root.get("colorspace")
            if authored.get("type") == "filename" and space:
                made.GetAttr().SetColorSpace(space)

    def _interface(self, scope: ElementTree.Element, given: ElementTree.Element) -> ElementTree.Element:
        """Return the input of the node graph that an input is an alias of, or the input itself."""
        name = given.get("interfacename")
        for other in scope.findall("input"):
            if name is not None and other.get("name") == name:
                return other
        return given

    def _source(self, scope: ElementTree.Element, given: ElementTree.Element) -> Any:
        """Return the output that an input is connected to, through a node graph's output, or ``None``."""
        graph = self._graphs.get(str(given.get("nodegraph")))
        if graph is None:
            return self._output(scope, given)
        name = given.get("output")
        wanted = [item for item in graph.findall("output") if name is None or item.get("name") == name]
        return self._output(graph, wanted[0]) if wanted else None

    def _output(self, scope: ElementTree.Element, given: ElementTree.Element) -> Any:
        """Return the output of the node that an element names, in its scope or the document, or ``None``."""
        from pxr import Sdf, UsdShade

        if not given.get("nodename"):
            return None
        inside = any(item.get("name") == given.get("nodename") for item in scope)
        shader = UsdShade.Shader.Define(self._stage, self._path(scope if inside else self._root, given.get("nodename")))
        kind = getattr(Sdf.ValueTypeNames, _TYPES.get(str(given.get("type")), ""), Sdf.ValueTypeNames.Token)
        return shader.CreateOutput(_plain(given.get("output") or "out"), kind)

    def _value(self, scope: ElementTree.Element, element: ElementTree.Element, given: ElementTree.Element) -> Any:
        """Return the value of an input as USD has it; ``None`` where it has none or it cannot be read."""
        from pxr import Gf, Sdf

        text, kind = given.get("value"), str(given.get("type"))
        if text is None:
            return None
        if kind == "filename":
            prefix = element.get("fileprefix") or scope.get("fileprefix") or self._root.get("fileprefix") or ""
            return Sdf.AssetPath(os.path.normpath(os.path.join(self._folder, prefix + text)))
        if kind == "string":
            return text
        if kind == "boolean":
            return text.strip().lower() == "true"
        try:
            numbers = [float(part) for part in text.replace(",", " ").split()]
            if kind == "integer":
                return int(numbers[0])
            if kind == "float":
                return numbers[0]
            count = int(kind[-1])
            return {2: Gf.Vec2f, 3: Gf.Vec3f, 4: Gf.Vec4f}[count](*numbers) if len(numbers) == count else None
        except (ValueError, IndexError, KeyError, OverflowError):
            return None


def _plain(name: Any) -> str:
    """Return a name that a prim may have."""
    from pxr import Tf

    return str(Tf.MakeValidIdentifier(str(name)))


__all__ = ["file_values", "material_at", "parse_mtlx"]
