"""Materials: UsdPreviewSurface and OmniPBR to metallic-roughness; everything else is clear grey, and said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.render.scene import Material, TextureSlot
from cosmos.bridge.render.usd import authored
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.omnipbr import read_omni_pbr
from cosmos.bridge.render.usd.textures import TextureLibrary

if TYPE_CHECKING:
    from pxr import Usd, UsdShade

DISPLAY_COLOR = Material(name="displayColor", use_display_color=True, roughness=0.6)
"""What a prim without a material is made of."""
CLEAR_GREY = (0.5, 0.5, 0.5)
"""Base colour of a material that cannot be read."""


class MaterialLibrary:
    """Reads each material once and hands out indices into ``Scene.materials``; index 0 is ``DISPLAY_COLOR``."""

    def __init__(self, time: Usd.TimeCode, textures: TextureLibrary, notes: Notes) -> None:
        self._time, self._textures, self._notes = time, textures, notes
        self._materials: list[Material] = [DISPLAY_COLOR]
        self._uv_names: list[str] = ["st"]
        self._index: dict[Any, int] = {1.0: 0}

    @property
    def materials(self) -> tuple[Material, ...]:
        """All materials that were asked for, in index order."""
        return tuple(self._materials)

    def uv_name(self, index: int) -> str:
        """Return the primvar that the textures of a material read."""
        return self._uv_names[index]

    def unbound(self, opacity: float = 1.0) -> int:
        """Return the index of the material of a prim that binds none and has this displayOpacity."""
        opacity = min(max(opacity, 0.0), 1.0)
        if opacity not in self._index:
            self._keep(opacity, replace(DISPLAY_COLOR, name=f"displayColor {opacity:g}", opacity=opacity), "st")
        return self._index[opacity]

    def add(self, material: UsdShade.Material) -> int:
        """Return the index of a bound material."""
        prim = material.GetPrim()
        if prim.IsInstanceProxy():
            prim = prim.GetPrimInPrototype()
        path = str(prim.GetPath())
        if path not in self._index:
            read, uv_name = self._read(type(material)(prim), str(material.GetPath()))
            self._keep(path, read, uv_name)
        return self._index[path]

    def _keep(self, key: Any, material: Material, uv_name: str) -> None:
        self._index[key] = len(self._materials)
        self._materials.append(material)
        self._uv_names.append(uv_name)

    def _read(self, material: UsdShade.Material, name: str) -> tuple[Material, str]:
        universal = _surface_shader(material, "")
        if universal is not None and universal.GetIdAttr().Get() == "UsdPreviewSurface":
            return _PreviewSurface(universal, self._time, self._textures, self._notes).read(name)
        mdl = _surface_shader(material, "mdl")
        if mdl is not None:
            read = read_omni_pbr(mdl, name, self._time, self._textures, self._notes)
            if read is not None:
                return read, "st"
        self._notes.add("Materials that are neither UsdPreviewSurface nor OmniPBR are drawn clear grey", name)
        return Material(name=name, base_color=CLEAR_GREY), "st"


def _surface_shader(material: UsdShade.Material, context: str) -> Optional[UsdShade.Shader]:
    """Return the shader behind a material's surface output of exactly this render context, or ``None``."""
    output = material.GetSurfaceOutput(context) if context else material.GetSurfaceOutput()
    if not output or not output.HasConnectedSource():
        return None
    shader = material.ComputeSurfaceSource(context)[0]
    return shader if shader else None


class _PreviewSurface:
    """Reads one UsdPreviewSurface network."""

    def __init__(self, shader: UsdShade.Shader, time: Usd.TimeCode, textures: TextureLibrary, notes: Notes) -> None:
        self._shader, self._time, self._textures, self._notes = shader, time, textures, notes
        self._uv_name = "st"

    def read(self, name: str) -> tuple[Material, str]:
        """Return the material and the primvar its textures read."""
        base, base_slot, display = self._color("diffuseColor", (0.18, 0.18, 0.18))
        emissive, emissive_slot, _ = self._color("emissiveColor", (0.0, 0.0, 0.0))
        metallic, metallic_slot = self._scalar("metallic", 0.0)
        roughness, roughness_slot = self._scalar("roughness", 0.5)
        opacity, opacity_slot = self._scalar("opacity", 1.0)
        threshold, _ = self._scalar("opacityThreshold", 0.0)
        if self._scalar("useSpecularWorkflow", 0.0)[0]:
            self._notes.add("Materials of the specular workflow are drawn without metal", name)
            metallic, metallic_slot = 0.0, TextureSlot()
        return (
            Material(
                name=name,
                base_color=base,
                use_display_color=display,
                metallic=metallic,
                roughness=roughness,
                emissive=emissive,
                opacity=opacity,
                opacity_threshold=threshold,
                base_color_slot=base_slot,
                roughness_slot=roughness_slot,
                metallic_slot=metallic_slot,
                emissive_slot=emissive_slot,
                opacity_slot=opacity_slot,
                normal_slot=self._slot("normal", normal=True),
            ),
            self._uv_name,
        )

    def _source(self, shader: UsdShade.Shader, name: str) -> Any:
        """Return the attribute that gives an input its value, through any interface; ``None`` where unauthored."""
        from pxr import UsdShade

        shader_input = shader.GetInput(name)
        if not shader_input:
            return None
        attributes = UsdShade.Utils.GetValueProducingAttributes(shader_input)
        return attributes[0] if attributes else None

    def _node(self, shader: UsdShade.Shader, name: str) -> tuple[Optional[UsdShade.Shader], str]:
        """Return the shader that feeds an input, and the name of the output it comes from."""
        from pxr import UsdShade

        attribute = self._source(shader, name)
        if attribute is None or not UsdShade.Output.IsOutput(attribute):
            return None, ""
        return UsdShade.Shader(attribute.GetPrim()), UsdShade.Output(attribute).GetBaseName()

    def _constant(self, shader: UsdShade.Shader, name: str) -> Any:
        """Return the constant value of an input, or ``None``."""
        from pxr import UsdShade

        attribute = self._source(shader, name)
        return None if attribute is None or UsdShade.Output.IsOutput(attribute) else attribute.Get(self._time)

    def _color(
        self, name: str, default: tuple[float, float, float]
    ) -> tuple[tuple[float, float, float], TextureSlot, bool]:
        """Return a colour input as (constant, slot, whether it reads displayColor)."""
        color = authored.color(self._constant(self._shader, name), default, self._notes, self._path())
        node, _ = self._node(self._shader, name)
        if node is not None and str(node.GetIdAttr().Get()).startswith("UsdPrimvarReader"):
            primvar = str(self._constant(node, "varname") or "")
            if primvar != "displayColor":
                self._notes.add(
                    f"Colours read from the primvar {primvar!r} are drawn with their fallback", self._path()
                )
                fallback = self._constant(node, "fallback")
                color = authored.color(fallback, default, self._notes, self._path())
            return color, TextureSlot(), primvar == "displayColor"
        return color, self._slot(name), False

    def _scalar(self, name: str, default: float) -> tuple[float, TextureSlot]:
        """Return a scalar input as (constant, slot)."""
        value = authored.number(self._constant(self._shader, name), default, self._notes, self._path())
        return value, self._slot(name)

    def _path(self) -> str:
        return str(self._shader.GetPath())

    def _slot(self, name: str, *, normal: bool = False) -> TextureSlot:
        """Return the texture behind an input; an empty slot where there is none."""
        node, output = self._node(self._shader, name)
        if node is None:
            return TextureSlot()
        if node.GetIdAttr().Get() != "UsdUVTexture":
            if not str(node.GetIdAttr().Get()).startswith("UsdPrimvarReader"):
                self._notes.add("Shader nodes other than UsdUVTexture are left out", str(node.GetPath()))
            return TextureSlot()
        asset = self._constant(node, "file")
        if not getattr(asset, "path", ""):
            self._notes.add("Texture nodes without a file are left out", str(node.GetPath()))
            return TextureSlot()
        space = str(self._constant(node, "sourceColorSpace") or "auto")
        texture, gain = self._textures.add(
            asset,
            color_space="raw" if normal and space == "auto" else space,  # type: ignore[arg-type]
            wrap_s=str(self._constant(node, "wrapS") or "repeat"),
            wrap_t=str(self._constant(node, "wrapT") or "repeat"),
        )
        scale, bias = self._constant(node, "scale"), self._constant(node, "bias")
        if normal and scale is None and bias is None:
            scale, bias = (2.0, 2.0, 2.0, 1.0), (-1.0, -1.0, -1.0, 0.0)
        x, y, z, w = scale or (1.0, 1.0, 1.0, 1.0)
        return TextureSlot(
            texture=texture,
            scale=(x * gain, y * gain, z * gain, w),
            bias=tuple(float(v) for v in (bias or (0.0, 0.0, 0.0, 0.0))),  # type: ignore[arg-type]
            channel={"r": 0, "rgb": 0, "g": 1, "b": 2, "a": 3}.get(output, 0),
            **self._placement(node),
        )

    def _placement(self, node: UsdShade.Shader) -> dict[str, Any]:
        """Return the uv transform of a texture node, and remember which primvar it reads."""
        placed: dict[str, Any] = {}
        source, _ = self._node(node, "st")
        if source is not None and source.GetIdAttr().Get() == "UsdTransform2d":
            scale, offset = self._constant(source, "scale"), self._constant(source, "translation")
            placed["uv_scale"] = (1.0, 1.0) if scale is None else (float(scale[0]), float(scale[1]))
            placed["uv_offset"] = (0.0, 0.0) if offset is None else (float(offset[0]), float(offset[1]))
            placed["uv_rotation"] = float(self._constant(source, "rotation") or 0.0)
            source, _ = self._node(source, "in")
        if source is not None and str(source.GetIdAttr().Get()).startswith("UsdPrimvarReader"):
            self._uv_name = str(self._constant(source, "varname") or "st")
        return placed


__all__ = ["CLEAR_GREY", "DISPLAY_COLOR", "MaterialLibrary"]
