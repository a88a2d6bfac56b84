"""Surface shaders by their inputs' names: UsdPreviewSurface, and MaterialX's standard surface, OpenPBR and glTF PBR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from cosmos.bridge.render.scene import NO_TEXTURE, Material, TextureSlot
from cosmos.bridge.render.usd.network import Color, Network, scaled

if TYPE_CHECKING:
    from pxr import UsdShade

EMISSION_UNIT = 1000.0
"""Luminance [nit] that is drawn as bright as an emissive colour of 1 in UsdPreviewSurface."""


def read_preview(shader: UsdShade.Shader, name: str, network: Network) -> Material:
    """Read a UsdPreviewSurface (specification 2.6); ``name`` is that of the material."""
    base, base_slot, display = network.color(shader, "diffuseColor", (0.18, 0.18, 0.18))
    emissive, emissive_slot, _ = network.color(shader, "emissiveColor", (0.0, 0.0, 0.0))
    metallic, metallic_slot = network.number(shader, "metallic", 0.0)
    roughness, roughness_slot = network.number(shader, "roughness", 0.5)
    opacity, opacity_slot = network.number(shader, "opacity", 1.0)
    threshold, _ = network.number(shader, "opacityThreshold", 0.0)
    coat, coat_slot = network.number(shader, "clearcoat", 0.0)
    coat_roughness, coat_roughness_slot = network.number(shader, "clearcoatRoughness", 0.01)
    occlusion, occlusion_slot = network.number(shader, "occlusion", 1.0)
    ior, ior_slot = network.number(shader, "ior", 1.5)
    if ior_slot.used:
        network.notes.add("Textured indices of refraction are drawn with their constant", name)
    by_specular = bool(network.number(shader, "useSpecularWorkflow", 0.0)[0])
    specular, specular_slot = (1.0, 1.0, 1.0), NO_TEXTURE
    if by_specular:
        specular, specular_slot, _ = network.color(shader, "specularColor", (0.0, 0.0, 0.0))
        metallic, metallic_slot = 0.0, NO_TEXTURE
    if shader.GetInput("displacement") and shader.GetInput("displacement").HasConnectedSource():
        network.notes.add("Displacement of surfaces is not drawn", name)
    return Material(
        name=name,
        base_color=base,
        use_display_color=display,
        metallic=metallic,
        roughness=roughness,
        emissive=emissive,
        opacity=opacity,
        opacity_threshold=threshold,
        presence=str(network.constant(shader, "opacityMode") or "transparent") == "presence",
        specular_workflow=by_specular,
        specular=specular,
        ior=ior if ior >= 1.0 else 1.0,
        clearcoat=coat,
        clearcoat_roughness=coat_roughness,
        occlusion=occlusion,
        base_color_slot=base_slot,
        roughness_slot=roughness_slot,
        metallic_slot=metallic_slot,
        emissive_slot=emissive_slot,
        opacity_slot=opacity_slot,
        normal_slot=network.normal(shader, "normal"),
        specular_slot=specular_slot,
        occlusion_slot=occlusion_slot,
        clearcoat_slot=coat_slot,
        clearcoat_roughness_slot=coat_roughness_slot,
    )


def _base(
    shader: UsdShade.Shader, name: str, network: Network, over: tuple[str, str], under: tuple[str, str, float]
) -> tuple[Color, float, TextureSlot, bool]:
    """Return colour, weight, texture and whether displayColor holds, with what lies under the base mixed in.

    Args:
        shader: The shader.
        name: The material's name.
        network: Reads its inputs.
        over: Inputs of weight and colour of the base.
        under: Inputs of weight and colour of the subsurface, and the grey of a colour that is not authored.
    """
    weight, _ = network.number(shader, over[0], 1.0)
    base, slot, display = network.color(shader, over[1], (0.8, 0.8, 0.8))
    share, _ = network.number(shader, under[0], 0.0)
    if share > 0.0:
        network.notes.add("Subsurface scattering is drawn as a matt surface", name)
        color, color_slot, _ = network.color(shader, under[1], (under[2],) * 3)
        if share >= 0.5 and color_slot.used:
            slot, weight = color_slot, 1.0
        elif not slot.used:
            base, weight = _mixed(_times(base, weight), color, share), 1.0
    return base, weight, slot, display


def read_standard_surface(shader: UsdShade.Shader, name: str, network: Network) -> Material:
    """Read a MaterialX standard_surface: base, metal, specular, coat, transmission, emission and opacity."""
    base = _base(shader, name, network, ("base", "base_color"), ("subsurface", "subsurface_color", 1.0))
    return _layered(
        shader,
        name,
        network,
        base=base,
        metallic="metalness",
        roughness=("specular_roughness", 0.2),
        specular=("specular", "specular_color"),
        ior="specular_IOR",
        transmission=("transmission", "transmission_color"),
        coat=("coat", "coat_roughness", 0.1),
        emission=("emission", "emission_color", 1.0),
        opacity="opacity",
        normal="normal",
    )


def read_open_pbr(shader: UsdShade.Shader, name: str, network: Network) -> Material:
    """Read an OpenPBR surface, as ``read_standard_surface`` does."""
    under = ("subsurface_weight", "subsurface_color", 0.8)
    base = _base(shader, name, network, ("base_weight", "base_color"), under)
    return _layered(
        shader,
        name,
        network,
        base=base,
        metallic="base_metalness",
        roughness=("specular_roughness", 0.3),
        specular=("specular_weight", "specular_color"),
        ior="specular_ior",
        transmission=("transmission_weight", "transmission_color"),
        coat=("coat_weight", "coat_roughness", 0.0),
        emission=("emission_luminance", "emission_color", 1.0 / EMISSION_UNIT),
        opacity="geometry_opacity",
        normal="geometry_normal",
    )


def read_gltf_pbr(shader: UsdShade.Shader, name: str, network: Network) -> Material:
    """Read a MaterialX gltf_pbr surface."""
    base, base_slot, display = network.color(shader, "base_color", (1.0, 1.0, 1.0))
    made = _layered(
        shader,
        name,
        network,
        base=(base, 1.0, base_slot, display),
        metallic="metallic",
        metallic_default=1.0,
        roughness=("roughness", 1.0),
        specular=("specular", "specular_color"),
        ior="ior",
        transmission=("transmission", "attenuation_color"),
        coat=("clearcoat", "clearcoat_roughness", 0.0),
        emission=("emissive_strength", "emissive", 1.0),
        opacity="alpha",
        normal="normal",
        emission_defaults=(1.0, (0.0, 0.0, 0.0)),
    )
    occlusion, occlusion_slot = network.number(shader, "occlusion", 1.0)
    made = replace(made, occlusion=occlusion, occlusion_slot=occlusion_slot, transmission_color=base)
    mode = int(network.number(shader, "alpha_mode", 0.0)[0])
    if mode == 0:
        return replace(made, opacity=1.0, opacity_slot=NO_TEXTURE)
    cutoff = network.number(shader, "alpha_cutoff", 0.5)[0] if mode == 1 else 0.0
    return replace(made, opacity_threshold=cutoff, presence=True)


def _layered(
    shader: UsdShade.Shader,
    name: str,
    network: Network,
    *,
    base: tuple[Color, float, TextureSlot, bool],
    metallic: str,
    roughness: tuple[str, float],
    specular: tuple[str, str],
    ior: str,
    transmission: tuple[str, str],
    coat: tuple[str, str, float],
    emission: tuple[str, str, float],
    opacity: str,
    normal: str,
    metallic_default: float = 0.0,
    emission_defaults: tuple[float, Color] = (0.0, (1.0, 1.0, 1.0)),
) -> Material:
    """Read the layers that the MaterialX surfaces have in common, each by the names that one gives them."""
    color, weight, base_slot, display = base
    metal, metallic_slot = network.number(shader, metallic, metallic_default)
    rough, roughness_slot = network.number(shader, *roughness)
    amount, _ = network.number(shader, specular[0], 1.0)
    tint, _, _ = network.color(shader, specular[1], (1.0, 1.0, 1.0))
    clear, clear_slot = network.number(shader, transmission[0], 0.0)
    if clear_slot.used:
        network.notes.add("Textured transmission is drawn with its constant", name)
    through, _, _ = network.color(shader, transmission[1], (1.0, 1.0, 1.0))
    clearcoat, clearcoat_slot = network.number(shader, coat[0], 0.0)
    coat_rough, coat_rough_slot = network.number(shader, coat[1], coat[2])
    if clearcoat > 0.0:
        color, base_slot = _under_coat(shader, name, network, color, base_slot, clearcoat)
    strength, _ = network.number(shader, emission[0], emission_defaults[0])
    glow, glow_slot, _ = network.color(shader, emission[1], emission_defaults[1])
    solid, solid_slot = network.number(shader, opacity, 1.0)
    strength *= emission[2]
    return Material(
        name=name,
        base_color=_times(color, weight),
        use_display_color=display,
        metallic=metal,
        roughness=rough,
        emissive=_times(glow, strength),
        opacity=solid,
        presence=True,
        specular=_times(tint, amount),
        ior=max(network.number(shader, ior, 1.5)[0], 1.0),
        clearcoat=clearcoat,
        clearcoat_roughness=coat_rough,
        transmission=min(max(clear, 0.0), 1.0) * (1.0 - min(max(metal, 0.0), 1.0)),
        transmission_color=through,
        base_color_slot=scaled(base_slot, weight) if weight != 1.0 else base_slot,
        roughness_slot=roughness_slot,
        metallic_slot=metallic_slot,
        emissive_slot=scaled(glow_slot, strength) if strength > 0.0 else NO_TEXTURE,
        opacity_slot=solid_slot,
        normal_slot=network.normal(shader, normal),
        clearcoat_slot=clearcoat_slot,
        clearcoat_roughness_slot=coat_rough_slot,
    )


def _under_coat(
    shader: UsdShade.Shader, name: str, network: Network, color: Color, slot: TextureSlot, weight: float
) -> tuple[Color, TextureSlot]:
    """Return the base colour, constant and textured, as the tint of a coat of this weight lets it through."""
    tint, tint_slot, _ = network.color(shader, "coat_color", (1.0, 1.0, 1.0))
    if tint_slot.used and not slot.used and weight >= 0.5:
        return color, scaled(tint_slot, color)
    if tint_slot.used:
        network.notes.add("Textured tints of a clear coat over a textured base are left out", name)
        return color, slot
    share = _mixed((1.0, 1.0, 1.0), tint, weight)
    product = (color[0] * share[0], color[1] * share[1], color[2] * share[2])
    return product, scaled(slot, share) if share != (1.0, 1.0, 1.0) else slot


def _times(color: Color, factor: float) -> Color:
    return (color[0] * factor, color[1] * factor, color[2] * factor)


def _mixed(first: Color, second: Color, share: float) -> Color:
    kept = 1.0 - min(max(share, 0.0), 1.0)
    return tuple(kept * a + (1.0 - kept) * b for a, b in zip(first, second, strict=True))  # type: ignore[return-value]


READERS: dict[str, Callable[[UsdShade.Shader, str, Network], Material]] = {
    "UsdPreviewSurface": read_preview,
    "ND_UsdPreviewSurface_surfaceshader": read_preview,
    "ND_standard_surface_surfaceshader": read_standard_surface,
    "ND_open_pbr_surface_surfaceshader": read_open_pbr,
    "ND_gltf_pbr_surfaceshader": read_gltf_pbr,
}
"""Shader id -> how its inputs become a material."""


__all__ = ["EMISSION_UNIT", "READERS", "read_gltf_pbr", "read_open_pbr", "read_preview", "read_standard_surface"]
