"""Shader networks: what feeds a surface's input, as a constant, a texture or a primvar, in any node dialect."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.render.scene import NO_TEXTURE, TextureSlot
from cosmos.bridge.render.usd import authored
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.textures import TextureLibrary

if TYPE_CHECKING:
    from pxr import Sdf, Usd, UsdShade

Color = tuple[float, float, float]

_DEPTH = 16
"""Nodes that are followed at most; a longer chain is a cycle."""
_CHANNELS = {"r": 0, "g": 1, "b": 2, "a": 3, "x": 0, "y": 1, "z": 2, "w": 3}
_UNASKED = object()
"""Stands for what gives an authored input its value, until somebody asks."""
_ADDRESS = {"periodic": "repeat", "clamp": "clamp", "mirror": "mirror", "constant": "black"}
_COLOR_SPACES = {
    "sRGB": "sRGB",
    "srgb": "sRGB",
    "srgb_texture": "sRGB",
    "srgb_rec709_scene": "sRGB",
    "raw": "raw",
    "linear": "raw",
    "lin_rec709": "raw",
    "lin_rec709_scene": "raw",
    "data": "raw",
}


class Network:
    """Reads one material's network; remembers which primvars it asks of a mesh."""

    def __init__(self, time: Usd.TimeCode, textures: TextureLibrary, notes: Notes) -> None:
        self.time, self.notes = time, notes
        self._textures = textures
        self._uv_names: list[str] = []
        self._colors: list[tuple[str, Color]] = []
        self._inputs: dict[Sdf.Path, dict[str, Any]] = {}

    @property
    def uv_names(self) -> tuple[str, ...]:
        """Primvar of each uv set, in the order of ``TextureSlot.uv_set``."""
        return tuple(self._uv_names) or ("st",)

    @property
    def colors(self) -> tuple[tuple[str, Color], ...]:
        """Primvar of each entry of ``Mesh.more_colors``, and what holds where a mesh lacks it."""
        return tuple(self._colors)

    def constant(self, shader: UsdShade.Shader, name: str) -> Any:
        """Return the constant value of an input, through interfaces and constant nodes; ``None`` where it has none."""
        for _ in range(_DEPTH):
            attribute = self._source(shader, name)
            if attribute is None:
                return None
            if not _is_output(attribute):
                return attribute.Get(self.time)
            shader, kind = _shader_of(attribute), _kind(_shader_of(attribute))
            if kind.startswith("ND_constant"):
                name = "value"
            elif kind.startswith(("ND_convert", "ND_dot_")):
                name = "in"
            else:
                return None
        return None

    def _source(self, shader: UsdShade.Shader, name: str) -> Any:
        """Return the attribute that gives an input its value, through any interface; ``None`` where unauthored."""
        from pxr import UsdShade

        path = shader.GetPath()
        inputs = self._inputs.get(path)
        if inputs is None:
            inputs = self._inputs[path] = dict.fromkeys(shader.GetPrim().GetAuthoredPropertyNames(), _UNASKED)
        found = inputs.get(f"inputs:{name}")
        if found is _UNASKED:
            attributes = UsdShade.Utils.GetValueProducingAttributes(shader.GetInput(name))
            found = inputs[f"inputs:{name}"] = attributes[0] if attributes else None
        return found

    def color(self, shader: UsdShade.Shader, name: str, default: Color) -> tuple[Color, TextureSlot, bool]:
        """Return a colour input as (constant, slot, whether it is the mesh's displayColor)."""
        path = str(shader.GetPath())
        color = authored.color(self.constant(shader, name), default, self.notes, path)
        slot, fallback = self._follow(shader, name, 0)
        if slot is not None and slot.color_set == 0:
            return color, NO_TEXTURE, True
        return fallback or color, slot or NO_TEXTURE, False

    def number(self, shader: UsdShade.Shader, name: str, default: float) -> tuple[float, TextureSlot]:
        """Return a scalar input as (constant, slot); of an authored colour the mean counts."""
        value = self.constant(shader, name)
        parts = tuple(value)[:3] if hasattr(value, "__len__") and not isinstance(value, str) else ()
        if len(parts) == 3 and all(isinstance(part, (int, float)) for part in parts):
            value = sum(parts) / 3.0
        slot, fallback = self._follow(shader, name, 0)
        number = authored.number(value, default, self.notes, str(shader.GetPath()))
        if slot is not None and slot.color_set == 0:
            slot = self._primvar("displayColor", (default,) * 3)
        return (fallback[0] if fallback else number), slot or NO_TEXTURE

    def normal(self, shader: UsdShade.Shader, name: str) -> TextureSlot:
        """Return the slot of a normal map, scaled to [-1, 1]."""
        attribute = self._source(shader, name)
        if attribute is None or not _is_output(attribute):
            return NO_TEXTURE
        node, strength = _shader_of(attribute), 1.0
        if _kind(node).startswith("ND_normalmap"):
            strength = authored.number(self.constant(node, "scale"), 1.0, self.notes, str(node.GetPath()))
            slot, _ = self._follow(node, "in", 0, data=True)
        else:
            slot, _ = self._follow(shader, name, 0, data=True)
        if slot is None or slot.texture < 0:
            return NO_TEXTURE
        if slot.scale == (1.0, 1.0, 1.0, 1.0) and slot.bias == (0.0, 0.0, 0.0, 0.0):
            slot = replace(slot, scale=(2.0, 2.0, 2.0, 1.0), bias=(-1.0, -1.0, -1.0, 0.0))
        if strength != 1.0:
            x, y, z, w = slot.scale
            u, v, n, o = slot.bias
            slot = replace(slot, scale=(x * strength, y * strength, z, w), bias=(u * strength, v * strength, n, o))
        return slot

    def image(self, asset: Any, attribute: Any, **options: Any) -> Optional[tuple[int, float]]:
        """Return (texture, gain) of an authored file; ``None`` where there is none."""
        if not getattr(asset, "path", ""):
            return None
        return self._textures.add(asset, layer=_layer(attribute), **options)

    def _follow(
        self, shader: UsdShade.Shader, name: str, depth: int, *, data: bool = False
    ) -> tuple[Optional[TextureSlot], Optional[Color]]:
        """Return (slot, constant) of whatever node feeds an input; ``None`` for what it is not."""
        attribute = self._source(shader, name)
        if attribute is None or not _is_output(attribute) or depth >= _DEPTH:
            return None, None
        node, output = _shader_of(attribute), attribute.GetName().split(":")[-1]
        kind = _kind(node)
        if kind == "UsdUVTexture" or kind.startswith("ND_UsdUVTexture"):
            return self._uv_texture(node, output, data)
        if kind.startswith(("ND_image", "ND_tiledimage", "ND_gltf_image", "ND_gltf_colorimage")):
            return self._image_node(node, kind, output, data)
        if kind.startswith(("UsdPrimvarReader", "ND_UsdPrimvarReader", "ND_geompropvalue", "ND_geomcolor")):
            return self._reader(node, kind)
        if kind.startswith("ND_"):
            return self._operation(node, kind, output, depth, data)
        self.notes.add("Shader nodes other than textures and primvar readers are left out", str(node.GetPath()))
        return None, None

    def _operation(
        self, node: UsdShade.Shader, kind: str, output: str, depth: int, data: bool
    ) -> tuple[Optional[TextureSlot], Optional[Color]]:
        """Follow the MaterialX nodes that pass one value on, scaled or by channel."""
        if kind.startswith(("ND_convert", "ND_dot_", "ND_normalmap", "ND_constant")):
            return self._follow(node, "in", depth + 1, data=data)
        if kind.startswith(("ND_extract", "ND_separate", "ND_swizzle")):
            slot, value = self._follow(node, "in", depth + 1, data=data)
            channel = self.constant(node, "index") if kind.startswith("ND_extract") else None
            if channel is None:
                letter = output.replace("out", "") or str(self.constant(node, "channels") or "r")
                channel = _CHANNELS.get(letter[:1], 0)
            channel = int(authored.number(channel, 0.0, self.notes, str(node.GetPath())))
            return (None if slot is None else replace(slot, channel=min(max(channel, 0), 3))), value
        if kind.startswith("ND_multiply"):
            for image, factor in (("in1", "in2"), ("in2", "in1")):
                slot, value = self._follow(node, image, depth + 1, data=data)
                by = self.constant(node, factor)
                if slot is not None and by is not None:
                    return _scaled(slot, by if isinstance(by, (int, float)) else self._values(by, node)), value
        if kind.startswith("ND_invert"):
            slot, _ = self._follow(node, "in", depth + 1, data=data)
            if slot is not None:
                x, y, z, w = slot.scale
                u, v, n, o = slot.bias
                return replace(slot, scale=(-x, -y, -z, -w), bias=(1.0 - u, 1.0 - v, 1.0 - n, 1.0 - o)), None
        self.notes.add("Shader nodes that compute more than one texture or primvar are left out", str(node.GetPath()))
        return None, None

    def _uv_texture(
        self, node: UsdShade.Shader, output: str, data: bool
    ) -> tuple[Optional[TextureSlot], Optional[Color]]:
        attribute = self._source(node, "file")
        space = str(self.constant(node, "sourceColorSpace") or "auto")
        found = self.image(
            self.constant(node, "file"),
            attribute,
            color_space="raw" if data and space == "auto" else space,
            wrap_s=str(self.constant(node, "wrapS") or "repeat"),
            wrap_t=str(self.constant(node, "wrapT") or "repeat"),
        )
        channel = _CHANNELS.get(output, 0)
        if found is None:
            self.notes.add("Texture nodes without a file are drawn with their fallback", str(node.GetPath()))
            fallback = self.constant(node, "fallback")
            if fallback is None:
                return None, None
            values = authored.vector(fallback, (0.0, 0.0, 0.0, 1.0), self.notes, str(node.GetPath()))
            return None, ((values[channel],) * 3 if output in _CHANNELS else (values[0], values[1], values[2]))
        texture, gain = found
        path = str(node.GetPath())
        x, y, z, w = authored.vector(self.constant(node, "scale"), (1.0,) * 4, self.notes, path)
        bias = authored.vector(self.constant(node, "bias"), (0.0,) * 4, self.notes, path)
        placement = self._placement(node, "st")
        return (
            TextureSlot(
                texture=texture,
                scale=(x * gain, y * gain, z * gain, w),
                bias=(bias[0], bias[1], bias[2], bias[3]),
                channel=channel,
                **placement,
            ),
            None,
        )

    def _image_node(
        self, node: UsdShade.Shader, kind: str, output: str, data: bool
    ) -> tuple[Optional[TextureSlot], Optional[Color]]:
        """A MaterialX image: linear unless its file says otherwise."""
        attribute = self._source(node, "file")
        space = attribute.GetColorSpace() if attribute is not None else ""
        found = self.image(
            self.constant(node, "file"),
            attribute,
            color_space=_COLOR_SPACES.get(space, "raw"),
            wrap_s=_ADDRESS.get(str(self.constant(node, "uaddressmode") or "periodic"), "repeat"),
            wrap_t=_ADDRESS.get(str(self.constant(node, "vaddressmode") or "periodic"), "repeat"),
        )
        if found is None:
            value = self.constant(node, "default")
            if value is None:
                return None, None
            return None, self._values(value, node)
        texture, gain = found
        placement = self._placement(node, "texcoord")
        if kind.startswith("ND_tiledimage"):
            size = self._pair(node, "realworldimagesize", (1.0, 1.0))
            tile = self._pair(node, "realworldtilesize", (1.0, 1.0))
            by = tuple(b / (a or 1.0) for a, b in zip(size, tile, strict=True))
            tiling, shift = self._pair(node, "uvtiling", (1.0, 1.0)), self._pair(node, "uvoffset", (0.0, 0.0))
            own, old = placement.get("uv_scale", (1.0, 1.0)), placement.get("uv_offset", (0.0, 0.0))
            placement["uv_scale"] = tuple(own[k] * tiling[k] * by[k] for k in (0, 1))
            placement["uv_offset"] = tuple((old[k] * tiling[k] - shift[k]) * by[k] for k in (0, 1))
        channel = _CHANNELS.get(output.replace("out", ""), 0)
        return TextureSlot(texture=texture, scale=(gain, gain, gain, 1.0), channel=channel, **placement), None

    def _pair(self, node: UsdShade.Shader, name: str, default: tuple[float, float]) -> tuple[float, float]:
        pair = authored.vector(self.constant(node, name), default, self.notes, str(node.GetPath()))
        return pair[0], pair[1]

    def _number(self, node: UsdShade.Shader, name: str, default: float) -> float:
        return authored.number(self.constant(node, name), default, self.notes, str(node.GetPath()))

    def _values(self, value: Any, node: UsdShade.Shader) -> Color:
        """Return an authored number, pair or colour as a colour; black where it is none of them."""
        if isinstance(value, (bool, int, float)):
            value = (value,) * 3
        elif hasattr(value, "__len__") and not isinstance(value, str) and len(value) == 2:
            value = (*value, 0.0)
        return authored.color(value, (0.0, 0.0, 0.0), self.notes, str(node.GetPath()))

    def _placement(self, node: UsdShade.Shader, name: str) -> dict[str, Any]:
        """Return the uv transform of a texture node and its uv set."""
        placed: dict[str, Any] = {}
        attribute = self._source(node, name)
        source = _shader_of(attribute) if attribute is not None and _is_output(attribute) else None
        if source is not None and _kind(source) in ("UsdTransform2d", "ND_UsdTransform2d"):
            placed["uv_scale"] = self._pair(source, "scale", (1.0, 1.0))
            placed["uv_offset"] = self._pair(source, "translation", (0.0, 0.0))
            placed["uv_rotation"] = self._number(source, "rotation", 0.0)
            attribute = self._source(source, "in")
            source = _shader_of(attribute) if attribute is not None and _is_output(attribute) else None
        elif source is not None and _kind(source).startswith("ND_place2d"):
            placed.update(self._place2d(source))
            attribute = self._source(source, "texcoord")
            source = _shader_of(attribute) if attribute is not None and _is_output(attribute) else None
        uv_name = "st"
        if source is not None:
            kind = _kind(source)
            if kind.startswith(("UsdPrimvarReader", "ND_UsdPrimvarReader")):
                uv_name = str(self.constant(source, "varname") or "st")
            elif kind.startswith("ND_geompropvalue"):
                uv_name = str(self.constant(source, "geomprop") or "st")
            elif kind.startswith("ND_texcoord"):
                index = int(self._number(source, "index", 0.0))
                uv_name = f"st{index}" if index else "st"
            else:
                self.notes.add("Computed texture coordinates are left out", str(source.GetPath()))
        if uv_name not in self._uv_names:
            self._uv_names.append(uv_name)
        placed["uv_set"] = self._uv_names.index(uv_name)
        return placed

    def _place2d(self, node: UsdShade.Shader) -> dict[str, Any]:
        """MaterialX place2d (SRT order): uv' = R(-rotate) * (uv / scale) - offset, about a pivot."""
        pivot = self._pair(node, "pivot", (0.0, 0.0))
        size = tuple(part or 1.0 for part in self._pair(node, "scale", (1.0, 1.0)))
        offset = self._pair(node, "offset", (0.0, 0.0))
        turn = self._number(node, "rotate", 0.0)
        if pivot != (0.0, 0.0) and (turn or size != (1.0, 1.0)):
            self.notes.add("The pivot of texture placements is taken as the origin", str(node.GetPath()))
        return {
            "uv_scale": (1.0 / size[0], 1.0 / size[1]),
            "uv_rotation": -turn,
            "uv_offset": (-offset[0], -offset[1]),
        }

    def _reader(self, node: UsdShade.Shader, kind: str) -> tuple[TextureSlot, Optional[Color]]:
        """Return (slot, fallback) of a primvar; colour set 0 stands for displayColor."""
        if kind.startswith("ND_geomcolor"):
            name = "displayColor"
        else:
            key = "geomprop" if kind.startswith("ND_geompropvalue") else "varname"
            name = str(self.constant(node, key) or "")
        if name == "displayColor":
            return TextureSlot(color_set=0), None
        fallback = self.constant(node, "default" if kind.startswith("ND_geomprop") else "fallback")
        values = (0.0, 0.0, 0.0) if fallback is None else self._values(fallback, node)
        return self._primvar(name, values), values

    def _primvar(self, name: str, fallback: Color) -> TextureSlot:
        if (name, fallback) not in self._colors:
            self._colors.append((name, fallback))
        return TextureSlot(color_set=1 + self._colors.index((name, fallback)))


def _scaled(slot: TextureSlot, by: Any) -> TextureSlot:
    factors = [float(by)] * 4 if isinstance(by, (int, float)) else [float(v) for v in by]
    factors = (factors + [1.0] * 4)[:4] if len(factors) > 1 else factors * 4
    scale = [a * b for a, b in zip(slot.scale, factors, strict=True)]
    bias = [a * b for a, b in zip(slot.bias, factors, strict=True)]
    return replace(slot, scale=tuple(scale), bias=tuple(bias))  # type: ignore[arg-type]


def scaled(slot: TextureSlot, by: Any) -> TextureSlot:
    """Return a slot whose value is multiplied by a number or a colour; an unused one as it is."""
    return _scaled(slot, by) if slot.used else slot


def _kind(shader: UsdShade.Shader) -> str:
    return str(shader.GetIdAttr().Get() or "")


def _is_output(attribute: Any) -> bool:
    from pxr import UsdShade

    return bool(UsdShade.Output.IsOutput(attribute))


def _shader_of(attribute: Any) -> UsdShade.Shader:
    from pxr import UsdShade

    return UsdShade.Shader(attribute.GetPrim())


def _layer(attribute: Any) -> Any:
    """Return the layer whose opinion an attribute's value is, for paths that are relative to it."""
    from pxr import Usd

    if attribute is None:
        return None
    specs = attribute.GetPropertyStack(Usd.TimeCode.Default())
    return specs[0].layer if specs else None


__all__ = ["Color", "Network", "scaled"]
