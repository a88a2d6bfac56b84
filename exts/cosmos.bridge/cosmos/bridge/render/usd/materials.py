"""Materials: the surfaces that are known by their inputs' names; everything else is clear grey, and said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.render.scene import NO_TEXTURE, Material, TextureSlot
from cosmos.bridge.render.usd.mtlx import material_at
from cosmos.bridge.render.usd.network import Color, Network
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.omnipbr import read_mdl
from cosmos.bridge.render.usd.surfaces import READERS
from cosmos.bridge.render.usd.textures import TextureLibrary

if TYPE_CHECKING:
    from pxr import Usd, UsdShade

DISPLAY_COLOR = Material(name="displayColor", use_display_color=True, roughness=0.6)
"""What a prim without a material is made of."""
CLEAR_GREY = (0.5, 0.5, 0.5)
"""Base colour of a material that cannot be read."""
_VARYING_OPACITY = "displayOpacity"


class MaterialLibrary:
    """Reads each material once and hands out indices into ``Scene.materials``; index 0 is ``DISPLAY_COLOR``."""

    def __init__(self, time: Usd.TimeCode, textures: TextureLibrary, notes: Notes) -> None:
        self._time, self._textures, self._notes = time, textures, notes
        self._materials: list[Material] = [DISPLAY_COLOR]
        self._uv_names: list[tuple[str, ...]] = [("st",)]
        self._colors: list[tuple[tuple[str, Color], ...]] = [()]
        self._index: dict[Any, int] = {1.0: 0}

    @property
    def materials(self) -> tuple[Material, ...]:
        """All materials that were asked for, in index order."""
        return tuple(self._materials)

    def uv_names(self, index: int) -> tuple[str, ...]:
        """Return the primvar of each uv set that a material reads."""
        return self._uv_names[index]

    def colors(self, index: int) -> tuple[tuple[str, Color], ...]:
        """Return (primvar, fallback) of each further colour that a material reads of its mesh."""
        return self._colors[index]

    def unbound(self, opacity: Optional[float] = 1.0) -> int:
        """Return the index of the material of a prim that binds none.

        Args:
            opacity: Its displayOpacity; ``None`` where that varies over the prim.
        """
        if opacity is None:
            if _VARYING_OPACITY not in self._index:
                read = replace(
                    DISPLAY_COLOR, name=_VARYING_OPACITY, opacity_slot=TextureSlot(color_set=1), presence=True
                )
                self._keep(_VARYING_OPACITY, read, ("st",), ((_VARYING_OPACITY, (1.0, 1.0, 1.0)),))
            return self._index[_VARYING_OPACITY]
        opacity = min(max(opacity, 0.0), 1.0)
        if opacity not in self._index:
            read = replace(DISPLAY_COLOR, name=f"displayColor {opacity:g}", opacity=opacity, presence=True)
            self._keep(opacity, read, ("st",), ())
        return self._index[opacity]

    def begin(self, bound: Iterable[Any]) -> None:
        """Begin to decode the images of materials that will be added, while other things are read.

        Args:
            bound: UsdShade.Material of prims, invalid ones where they have none.
        """
        from pxr import Usd

        predicate = Usd.TraverseInstanceProxies(Usd.PrimDefaultPredicate)
        distinct = {material.GetPath(): material for material in bound if material}
        for material in distinct.values():
            for prim in Usd.PrimRange(material.GetPrim(), predicate):
                file = prim.GetAttribute("inputs:file")
                asset = file.Get(self._time) if file else None
                if asset is not None:
                    self._textures.begin(getattr(asset, "resolvedPath", ""))

    def add(self, material: UsdShade.Material) -> int:
        """Return the index of a bound material."""
        prim = material.GetPrim()
        if prim.IsInstanceProxy():
            prim = prim.GetPrimInPrototype()
        key = (prim.GetStage().GetRootLayer().identifier, str(prim.GetPath()))
        if key not in self._index:
            network = Network(self._time, self._textures, self._notes)
            own = type(material)(prim)
            if not _has_surface(own):
                own = material_at(prim.GetStage(), prim.GetPath()) or own
            read = self._solid(self._read(own, str(material.GetPath()), network))
            self._keep(key, read, network.uv_names, network.colors)
        return self._index[key]

    def _solid(self, material: Material) -> Material:
        """Return a material without its opacity image where that is solid all over, as exporters like to write it."""
        slot = material.opacity_slot
        if slot.texture < 0:
            return material
        texture = self._textures.textures[slot.texture]
        if (texture.srgb and slot.channel < 3) or "black" in (texture.wrap_s, texture.wrap_t):
            return material
        least = float(texture.texels[..., slot.channel].min()) / 255.0
        most = float(texture.texels[..., slot.channel].max()) / 255.0
        values = [slot.scale[slot.channel] * value + slot.bias[slot.channel] for value in (least, most)]
        needed = material.opacity_threshold if material.opacity_threshold > 0.0 else 1.0
        return replace(material, opacity=1.0, opacity_slot=NO_TEXTURE) if min(values) >= needed else material

    def _keep(
        self, key: Any, material: Material, uv_names: tuple[str, ...], colors: tuple[tuple[str, Color], ...]
    ) -> None:
        self._index[key] = len(self._materials)
        self._materials.append(material)
        self._uv_names.append(uv_names)
        self._colors.append(colors)

    def _read(self, material: UsdShade.Material, name: str, network: Network) -> Material:
        universal, mtlx = _surface_shader(material, ""), _surface_shader(material, "mtlx")
        for shader in (universal, mtlx):
            reader = READERS.get(str(shader.GetIdAttr().Get())) if shader is not None else None
            if reader is not None:
                return reader(shader, name, network)
        mdl = _surface_shader(material, "mdl")
        for shader in (mdl, universal):
            read = read_mdl(shader, name, network) if shader is not None else None
            if read is not None:
                return read
        self._notes.add(f"Materials of {_kind_of(mdl or mtlx or universal)} are drawn clear grey", name)
        return Material(name=name, base_color=CLEAR_GREY)


def _has_surface(material: UsdShade.Material) -> bool:
    """Whether a material has any surface output that is connected."""
    return any(output.HasConnectedSource() for output in material.GetSurfaceOutputs())


def _kind_of(shader: Optional[UsdShade.Shader]) -> str:
    """Say what a shader is that cannot be read."""
    if shader is None:
        return "no surface shader that is read here"
    mdl = shader.GetPrim().GetAttribute("info:mdl:sourceAsset:subIdentifier")
    kind = (mdl.Get() if mdl else "") or shader.GetIdAttr().Get() or "an unnamed kind"
    return f"the kind {kind}"


def _surface_shader(material: UsdShade.Material, context: str) -> Optional[UsdShade.Shader]:
    """Return the shader behind a material's surface output of exactly this render context, or ``None``."""
    output = material.GetSurfaceOutput(context) if context else material.GetSurfaceOutput()
    if not output or not output.HasConnectedSource():
        return None
    shader = material.ComputeSurfaceSource(context)[0]
    return shader if shader else None


__all__ = ["CLEAR_GREY", "DISPLAY_COLOR", "MaterialLibrary"]
