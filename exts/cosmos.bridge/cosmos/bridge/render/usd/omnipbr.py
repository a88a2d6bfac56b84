"""OmniPBR: the inputs of NVIDIA's MDL material by name, read without an MDL compiler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.render.scene import Material, TextureSlot
from cosmos.bridge.render.usd import authored
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.textures import TextureLibrary

if TYPE_CHECKING:
    from pxr import Usd, UsdShade

EMISSION_UNIT = 1000.0
"""``emissive_intensity`` [nit] that is drawn as bright as an emissive colour of 1 in UsdPreviewSurface."""
_KNOWN = ("OmniPBR", "OmniPBR_Opacity", "OmniPBR_ClearCoat", "OmniPBRBase", "OmniSurfaceLite")


def read_omni_pbr(
    shader: UsdShade.Shader, name: str, time: Usd.TimeCode, textures: TextureLibrary, notes: Notes
) -> Optional[Material]:
    """Read an OmniPBR material, or any MDL material that uses its input names.

    Args:
        shader: The MDL shader.
        name: Name of the material.
        time: When.
        textures: Where images are kept.
        notes: Told what cannot be drawn.

    Returns:
        The material, or ``None`` where the shader is of another kind.
    """
    kind = str(shader.GetPrim().GetAttribute("info:mdl:sourceAsset:subIdentifier").Get() or "")
    values = _Inputs(shader, time, textures, notes)
    if kind not in _KNOWN and not values.has_any("diffuse_color_constant", "diffuse_texture"):
        return None
    if values.flag("project_uvw"):
        notes.add("Textures projected along the world axes are drawn with the mesh's own uvs", name)
    tint = values.color("diffuse_tint", (1.0, 1.0, 1.0))
    bright = values.number("albedo_brightness", 1.0)
    factor = (tint[0] * bright, tint[1] * bright, tint[2] * bright)
    add = values.number("albedo_add", 0.0)
    base = values.color("diffuse_color_constant", (0.2, 0.2, 0.2))
    emission = values.number("emissive_intensity", 40.0) / EMISSION_UNIT if values.flag("enable_emission") else 0.0
    glow = values.color("emissive_color", (1.0, 0.1, 0.1))
    roughness, roughness_slot = values.influenced(
        "reflection_roughness_constant", 0.5, "reflectionroughness_texture", "reflection_roughness_texture_influence", 1
    )
    metallic, metallic_slot = values.influenced(
        "metallic_constant", 0.0, "metallic_texture", "metallic_texture_influence", 2
    )
    see_through = values.flag("enable_opacity")
    opacity_image = see_through and values.flag("enable_opacity_texture")
    return Material(
        name=name,
        base_color=(base[0] * factor[0] + add, base[1] * factor[1] + add, base[2] * factor[2] + add),
        metallic=metallic,
        roughness=roughness,
        emissive=(glow[0] * emission, glow[1] * emission, glow[2] * emission),
        opacity=values.number("opacity_constant", 1.0) if see_through else 1.0,
        opacity_threshold=values.number("opacity_threshold", 0.0) if see_through else 0.0,
        base_color_slot=values.slot("diffuse_texture", "sRGB", scale=(*factor, 1.0), bias=(add, add, add, 0.0)),
        roughness_slot=roughness_slot,
        metallic_slot=metallic_slot,
        emissive_slot=values.slot("emissive_mask_texture", "raw", scale=tuple(c * emission for c in (*glow, 1.0)))
        if values.flag("enable_emission")
        else TextureSlot(),
        opacity_slot=values.slot("opacity_texture", "raw") if opacity_image else TextureSlot(),
        normal_slot=_normal_slot(values),
    )


def _normal_slot(values: _Inputs) -> TextureSlot:
    bump = values.number("bump_factor", 1.0)
    # flip_tangent_v is on by default: OmniPBR's normal maps have green pointing down in v unless it is.
    green = 1.0 if values.flag("flip_tangent_v", True) else -1.0
    return values.slot(
        "normalmap_texture",
        "raw",
        scale=(2.0 * bump, 2.0 * bump * green, 2.0, 1.0),
        bias=(-bump, -bump * green, -1.0, 0.0),
    )


class _Inputs:
    """The inputs of an MDL shader by name."""

    def __init__(self, shader: UsdShade.Shader, time: Usd.TimeCode, textures: TextureLibrary, notes: Notes) -> None:
        self._shader, self._time, self._textures, self._notes = shader, time, textures, notes

    def _attribute(self, name: str) -> Any:
        from pxr import UsdShade

        shader_input = self._shader.GetInput(name)
        if not shader_input:
            return None
        attributes = UsdShade.Utils.GetValueProducingAttributes(shader_input)
        return attributes[0] if attributes and not UsdShade.Output.IsOutput(attributes[0]) else None

    def _value(self, name: str) -> Any:
        attribute = self._attribute(name)
        return None if attribute is None else attribute.Get(self._time)

    def has_any(self, *names: str) -> bool:
        return any(self._value(name) is not None for name in names)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self._value(name)
        return default if value is None else bool(value)

    def number(self, name: str, default: float) -> float:
        return authored.number(self._value(name), default, self._notes, str(self._shader.GetPath()))

    def color(self, name: str, default: tuple[float, float, float]) -> tuple[float, float, float]:
        return authored.color(self._value(name), default, self._notes, str(self._shader.GetPath()))

    def pair(self, name: str, default: tuple[float, float]) -> tuple[float, float]:
        value = self._value(name)
        return default if value is None else (float(value[0]), float(value[1]))

    def influenced(
        self, constant_name: str, default: float, image_name: str, influence_name: str, orm_channel: int
    ) -> tuple[float, TextureSlot]:
        """Return (constant, slot) of an input that mixes a constant with an image or a channel of the ORM image."""
        constant = self.number(constant_name, default)
        if self.flag("enable_ORM_texture"):
            share, slot_name, channel = self.number(influence_name, 1.0), "ORM_texture", orm_channel
        else:
            share, slot_name, channel = self.number(influence_name, 0.0), image_name, 0
        if share <= 0.0:
            return constant, TextureSlot()
        rest = constant * (1.0 - share)
        return constant, self.slot(slot_name, "raw", scale=(share,) * 4, bias=(rest,) * 4, channel=channel)

    def slot(
        self,
        name: str,
        color_space: str,
        *,
        scale: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0),
        bias: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0),
        channel: int = 0,
    ) -> TextureSlot:
        """Return an image input; ``color_space`` holds where the file's own says auto."""
        attribute = self._attribute(name)
        asset = None if attribute is None else attribute.Get(self._time)
        if not getattr(asset, "path", ""):
            return TextureSlot()
        authored = {"sRGB": "sRGB", "srgb": "sRGB", "raw": "raw", "linear": "raw"}.get(attribute.GetColorSpace())
        texture, gain = self._textures.add(asset, color_space=authored or color_space)  # type: ignore[arg-type]
        return TextureSlot(
            texture=texture,
            scale=(scale[0] * gain, scale[1] * gain, scale[2] * gain, scale[3]),
            bias=(bias[0], bias[1], bias[2], bias[3]),
            channel=channel,
            uv_scale=self.pair("texture_scale", (1.0, 1.0)),
            uv_rotation=self.number("texture_rotate", 0.0),
            uv_offset=self.pair("texture_translate", (0.0, 0.0)),
        )


__all__ = ["EMISSION_UNIT", "read_omni_pbr"]
