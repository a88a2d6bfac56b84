"""Lights of UsdLux, with intensity, exposure and colour temperature worked into one colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.render.scene import Light
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.textures import TextureLibrary

if TYPE_CHECKING:
    from pxr import Usd

_KINDS = {
    "DistantLight": "distant",
    "DomeLight": "dome",
    "DomeLight_1": "dome",
    "RectLight": "rect",
    "DiskLight": "disk",
    "SphereLight": "sphere",
    "CylinderLight": "cylinder",
}


def is_light(prim: Usd.Prim) -> bool:
    """Whether ``read_light`` has something to say about a prim."""
    name = str(prim.GetTypeName())
    return name in _KINDS or name in ("PortalLight", "GeometryLight", "PluginLight")


def read_light(
    prim: Usd.Prim, time: Usd.TimeCode, scale: float, textures: TextureLibrary, notes: Notes
) -> Optional[Light]:
    """Read one light.

    Args:
        prim: A prim for which ``is_light`` holds.
        time: When its inputs are read.
        scale: Metres per stage unit.
        textures: Where the image of a dome is kept.
        notes: Told about lights and inputs that are left out.

    Returns:
        The light, or ``None`` for a kind that is not drawn.
    """
    path = str(prim.GetPath())
    kind = _KINDS.get(str(prim.GetTypeName()))
    if kind is None:
        notes.add(f"Lights of type {prim.GetTypeName()} are left out", path)
        return None

    def read(name: str, default: Any) -> Any:
        attribute = prim.GetAttribute(f"inputs:{name}")  # which ones there are differs between versions of UsdLux
        value = attribute.Get(time) if attribute else None
        return default if value is None else value

    if any(
        prim.GetAttribute(f"inputs:{name}").ValueMightBeTimeVarying() for name in ("intensity", "exposure", "color")
    ):
        notes.add("Lights whose brightness changes with time keep that of the first frame", path)
    color = _color(read)
    texture = -1
    if kind == "dome":
        asset = read("texture:file", None)
        if asset is not None and asset.path:
            found = textures.add_if_readable(asset, wrap_s="repeat", wrap_t="clamp")
            texture, gain = found or (-1, 1.0)
            color = (color[0] * gain, color[1] * gain, color[2] * gain)
            if str(read("texture:format", "automatic")) not in ("automatic", "latlong"):
                notes.add("Dome images are read as latitude-longitude", path)
    elif kind == "rect" and read("texture:file", None):
        notes.add("Images on rect lights are left out", path)
    return Light(
        kind=kind,  # type: ignore[arg-type]
        prim_path=path,
        color=color,
        size=_size(kind, read, scale),
        texture=texture,
        shadow=bool(read("shadow:enable", True)),
        normalize=bool(read("normalize", False)),
    )


def _color(read: Any) -> tuple[float, float, float]:
    """Return color * intensity * 2 ^ exposure, times the black body's colour where that is enabled."""
    from pxr import Gf, UsdLux

    color = Gf.Vec3f(read("color", Gf.Vec3f(1.0)))
    if read("enableColorTemperature", False):
        color = Gf.CompMult(color, UsdLux.BlackbodyTemperatureAsRgb(float(read("colorTemperature", 6500.0))))
    power = float(read("intensity", 1.0)) * 2.0 ** float(read("exposure", 0.0))
    return (color[0] * power, color[1] * power, color[2] * power)


def _size(kind: str, read: Any, scale: float) -> tuple[float, float]:
    """Return the size as ``Light.size`` has it."""
    if kind == "distant":
        return (float(read("angle", 0.53)), 0.0)
    if kind == "rect":
        return (float(read("width", 1.0)) * scale, float(read("height", 1.0)) * scale)
    if kind == "cylinder":
        return (float(read("radius", 0.5)) * scale, float(read("length", 1.0)) * scale)
    if kind in ("disk", "sphere"):
        radius = 0.0 if kind == "sphere" and read("treatAsPoint", False) else float(read("radius", 0.5)) * scale
        return (radius, 0.0)
    return (0.0, 0.0)


__all__ = ["is_light", "read_light"]
