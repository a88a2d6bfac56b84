"""OmniPBR, OmniGlass and OmniSurface: the inputs of NVIDIA's MDL materials by name, read without an MDL compiler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.render.scene import NO_TEXTURE, Material, TextureSlot
from cosmos.bridge.render.usd import authored
from cosmos.bridge.render.usd.network import Network
from cosmos.bridge.render.usd.surfaces import EMISSION_UNIT

if TYPE_CHECKING:
    from pxr import UsdShade


def read_mdl(shader: UsdShade.Shader, name: str, network: Network) -> Optional[Material]:
    """Read OmniPBR, OmniGlass or OmniSurface, or any MDL material that uses the input names of OmniPBR.

    Args:
        shader: The MDL shader.
        name: Name of the material.
        network: What it is part of.

    Returns:
        The material, or ``None`` where the shader is of another kind.
    """
    kind = str(shader.GetPrim().GetAttribute("info:mdl:sourceAsset:subIdentifier").Get() or "")
    values = _Inputs(shader, network)
    if kind.startswith("OmniGlass"):
        return _read_glass(values, name, network)
    if kind.startswith("OmniSurface"):
        return _read_surface(values, name, network)
    if kind.startswith("OmniPBR") or values.has_any("diffuse_color_constant", "diffuse_texture"):
        return _read_pbr(values, name, network)
    return None


def _read_pbr(values: _Inputs, name: str, network: Network) -> Material:
    if values.flag("project_uvw"):
        network.notes.add("Textures projected along the world axes are drawn with the mesh's own uvs", name)
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
    ambient, ambient_slot = _occlusion(values)
    coated = values.flag("enable_clearcoat")
    shine = 2.0 * values.number("specular_level", 0.5)
    see_through = values.flag("enable_opacity")
    mask = 3 if values.number("opacity_mode", 1.0) == 0.0 else 0
    opacity_image = see_through and values.flag("enable_opacity_texture")
    return Material(
        name=name,
        base_color=(base[0] * factor[0] + add, base[1] * factor[1] + add, base[2] * factor[2] + add),
        metallic=metallic,
        roughness=roughness,
        emissive=(glow[0] * emission, glow[1] * emission, glow[2] * emission),
        specular=(shine, shine, shine),
        clearcoat=values.number("clearcoat_weight", 1.0) if coated else 0.0,
        clearcoat_roughness=values.number("clearcoat_reflection_roughness", 0.0),
        occlusion=ambient,
        occlusion_slot=ambient_slot,
        presence=True,
        opacity=values.number("opacity_constant", 1.0) if see_through else 1.0,
        opacity_threshold=values.number("opacity_threshold", 0.0) if see_through else 0.0,
        base_color_slot=values.slot("diffuse_texture", "sRGB", scale=(*factor, 1.0), bias=(add, add, add, 0.0)),
        roughness_slot=roughness_slot,
        metallic_slot=metallic_slot,
        emissive_slot=_glow_slot(values, glow, emission),
        opacity_slot=values.slot("opacity_texture", "raw", channel=mask) if opacity_image else NO_TEXTURE,
        normal_slot=_normal_slot(values, "normalmap_texture", "bump_factor"),
    )


def _glow_slot(values: _Inputs, glow: tuple[float, float, float], emission: float) -> TextureSlot:
    """Return what glows: the colour texture where there is one, as it takes the place of the colour, else the mask."""
    if not values.flag("enable_emission"):
        return NO_TEXTURE
    colored = values.slot("emissive_color_texture", "sRGB", scale=(emission, emission, emission, 1.0))
    if colored is not NO_TEXTURE:
        return colored
    return values.slot("emissive_mask_texture", "raw", scale=tuple(c * emission for c in (*glow, 1.0)))


def _occlusion(values: _Inputs) -> tuple[float, TextureSlot]:
    """Return (constant, slot) of the ambient occlusion, as far as it is to darken the base colour."""
    share = values.number("ao_to_diffuse", 0.0)
    if share <= 0.0:
        return 1.0, NO_TEXTURE
    name = "ORM_texture" if values.flag("enable_ORM_texture") else "ao_texture"
    return 1.0, values.slot(name, "raw", scale=(share,) * 4, bias=(1.0 - share,) * 4)


def _read_glass(values: _Inputs, name: str, network: Network) -> Material:
    """OmniGlass: clear through and through; its colour tints what is seen through it."""
    tint = values.color("glass_color", (1.0, 1.0, 1.0))
    image = values.slot("glass_color_texture", "auto")
    if image.used:
        network.notes.add("Textured glass colours are drawn with their constant", name)
    rough = values.number("frosting_roughness", 0.0)
    cut = values.flag("enable_opacity")
    return Material(
        name=name,
        base_color=tint,
        roughness=rough,
        ior=max(values.number("glass_ior", 1.491), 1.0),
        transmission=1.0,
        transmission_color=tint,
        presence=True,
        opacity=values.number("cutout_opacity", 1.0) if cut else 1.0,
        opacity_threshold=values.number("opacity_threshold", 0.0) if cut else 0.0,
        opacity_slot=values.slot("cutout_opacity_texture", "raw") if cut else NO_TEXTURE,
        normal_slot=_normal_slot(values, "normal_map_texture", "normal_map_strength"),
    )


def _read_surface(values: _Inputs, name: str, network: Network) -> Material:
    """OmniSurface and its Base and Lite kinds: the layers they share with a standard surface."""
    weight = values.number("diffuse_reflection_weight", 0.8)
    base = values.color("diffuse_reflection_color", (1.0, 1.0, 1.0))
    shine, tint = (
        values.number("specular_reflection_weight", 1.0),
        values.color("specular_reflection_color", (1.0,) * 3),
    )
    clear = 0.0
    if values.flag("enable_specular_transmission"):
        clear = min(max(values.number("specular_transmission_weight", 0.0), 0.0), 1.0)
    if values.flag("enable_diffuse_transmission"):
        network.notes.add("Subsurface scattering is drawn as a matt surface", name)
    glow = values.number("emission_weight", 0.0) * values.number("emission_intensity", 1.0)
    color = values.color("emission_color", (1.0, 1.0, 1.0))
    cut = values.flag("enable_opacity")
    return Material(
        name=name,
        base_color=(base[0] * weight, base[1] * weight, base[2] * weight),
        metallic=values.number("metalness", 0.0),
        roughness=values.number("specular_reflection_roughness", 0.2),
        emissive=(color[0] * glow, color[1] * glow, color[2] * glow),
        specular=(tint[0] * shine, tint[1] * shine, tint[2] * shine),
        ior=max(values.number("specular_reflection_ior", 1.5), 1.0),
        clearcoat=values.number("coat_weight", 0.0),
        clearcoat_roughness=values.number("coat_roughness", 0.1),
        transmission=clear,
        transmission_color=values.color("specular_transmission_color", (1.0, 1.0, 1.0)),
        presence=True,
        opacity=values.number("geometry_opacity", 1.0) if cut else 1.0,
        opacity_threshold=values.number("geometry_opacity_threshold", 0.0) if cut else 0.0,
        base_color_slot=values.slot("diffuse_reflection_color_image", "auto", scale=(weight, weight, weight, 1.0)),
        roughness_slot=values.slot("specular_reflection_roughness_image", "raw"),
        metallic_slot=values.slot("metalness_image", "raw"),
        emissive_slot=values.slot("emission_color_image", "auto", scale=(glow, glow, glow, 1.0))
        if glow > 0.0
        else NO_TEXTURE,
        opacity_slot=values.slot("geometry_opacity_image", "raw") if cut else NO_TEXTURE,
        clearcoat_slot=values.slot("coat_weight_image", "raw"),
        clearcoat_roughness_slot=values.slot("coat_roughness_image", "raw"),
        normal_slot=_normal_slot(values, "geometry_normal_image", "geometry_normal_strength"),
    )


def _normal_slot(values: _Inputs, image: str, strength: str) -> TextureSlot:
    bump = values.number(strength, 1.0)
    # flip_tangent_v is on by default: OmniPBR's normal maps have green pointing down in v unless it is.
    green = 1.0 if values.flag("flip_tangent_v", True) else -1.0
    return values.slot(
        image, "raw", scale=(2.0 * bump, 2.0 * bump * green, 2.0, 1.0), bias=(-bump, -bump * green, -1.0, 0.0)
    )


class _Inputs:
    """The inputs of an MDL shader by name."""

    def __init__(self, shader: UsdShade.Shader, network: Network) -> None:
        self._shader, self._network = shader, network
        self._time, self._notes = network.time, network.notes

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
        pair = authored.vector(self._value(name), default, self._notes, str(self._shader.GetPath()))
        return pair[0], pair[1]

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
            return constant, NO_TEXTURE
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
        authored = {"sRGB": "sRGB", "srgb": "sRGB", "raw": "raw", "linear": "raw"}
        space = color_space if attribute is None else authored.get(attribute.GetColorSpace(), color_space)
        found = None
        if attribute is not None:
            found = self._network.image(attribute.Get(self._time), attribute, color_space=space)
        if found is None:
            return NO_TEXTURE
        texture, gain = found
        return TextureSlot(
            texture=texture,
            scale=(scale[0] * gain, scale[1] * gain, scale[2] * gain, scale[3]),
            bias=(bias[0], bias[1], bias[2], bias[3]),
            channel=channel,
            uv_scale=self.pair("texture_scale", (1.0, 1.0)),
            uv_rotation=self.number("texture_rotate", 0.0),
            uv_offset=self.pair("texture_translate", (0.0, 0.0)),
        )


__all__ = ["read_mdl"]
