"""Lights of UsdLux, with intensity, exposure and colour temperature worked into one colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.render.scene import Light
from cosmos.bridge.render.usd.light_images import add_dome_image, add_rect_image
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
_CHANGING = (
    *("color", "intensity", "exposure", "enableColorTemperature", "colorTemperature"),
    *("angle", "width", "height", "radius", "length"),
    *("shaping:focus", "shaping:focusTint", "shaping:cone:angle", "shaping:cone:softness"),
)
"""Inputs that are followed over time."""
_IGNORED = {
    "diffuse": (1.0, "Diffuse multipliers of lights are ignored"),
    "specular": (1.0, "Specular multipliers of lights are ignored"),
    "shadow:distance": (-1.0, "Shadow distances of lights are ignored"),
    "shadow:falloff": (-1.0, "Shadow falloffs of lights are ignored"),
}
_MOST_SAMPLES = 256
"""Time samples of a light that are looked at for its brightest."""
_FAINT = 0.01
"""A sun below this share of its sky's irradiance is taken to be given as irradiance."""


def is_light(kind: str) -> bool:
    """Whether ``read_light`` has something to say about prims of a type."""
    return kind in _KINDS or kind in ("PortalLight", "GeometryLight", "PluginLight")


def read_light(
    prim: Usd.Prim, time: Usd.TimeCode, scale: float, textures: TextureLibrary, notes: Notes
) -> Optional[Light]:
    """Read one light.

    Args:
        prim: A prim for whose type ``is_light`` holds.
        time: When its inputs are read.
        scale: Metres per stage unit.
        textures: Where the image of a dome or rect is kept.
        notes: Told about lights and inputs that are left out.

    Returns:
        The light, as bright as it ever gets, or ``None`` for a kind that is not drawn.
    """
    path = str(prim.GetPath())
    kind = _KINDS.get(str(prim.GetTypeName()))
    if kind is None:
        notes.add(f"Lights of type {prim.GetTypeName()} are left out", path)
        return None
    _note_the_ignored(prim, time, kind, notes)
    read = _reader(prim, time)
    texture, asset = -1, read("texture:file", None)
    if asset is not None and asset.path:
        if kind == "dome":
            texture = add_dome_image(asset, str(read("texture:format", "automatic")), textures, notes)
        elif kind == "rect":
            texture = add_rect_image(asset, textures, notes)
    light = Light(
        kind=kind,  # type: ignore[arg-type]
        prim_path=path,
        color=(0.0, 0.0, 0.0),
        texture=texture,
        shadow=bool(read("shadow:enable", True)),
        normalize=bool(read("normalize", False)),
        pole=_pole(prim, read),
    )
    return max((light_at(light, prim, moment, scale) for moment in _moments(prim, time)), key=lambda it: max(it.color))


def light_at(light: Light, prim: Usd.Prim, time: Usd.TimeCode, scale: float) -> Light:
    """Return a light with what its prim says at a time: colour, size and shaping."""
    read = _reader(prim, time)
    tint = read("shaping:focusTint", (0.0, 0.0, 0.0))
    shaped = prim.HasAttribute("inputs:shaping:cone:angle")
    return replace(
        light,
        color=_color(read),
        size=_size(light.kind, read, scale),
        focus=max(0.0, _finite(read("shaping:focus", 0.0), 0.0)),
        focus_tint=(float(tint[0]), float(tint[1]), float(tint[2])),
        cone_angle=_finite(read("shaping:cone:angle", 180.0), 180.0) if shaped else 180.0,
        cone_softness=min(1.0, max(0.0, _finite(read("shaping:cone:softness", 0.0), 0.0))),
    )


def changes(prim: Usd.Prim) -> bool:
    """Whether what ``light_at`` reads may change with time."""
    attributes = (prim.GetAttribute(f"inputs:{name}") for name in _CHANGING)
    return any(attribute and attribute.ValueMightBeTimeVarying() for attribute in attributes)


def settle_suns(lights: Sequence[Light], notes: Notes) -> tuple[Light, ...]:
    """Settle what the intensity of each distant light means.

    UsdLux has it as radiance, which its fallback of 50000 fits; Omniverse writes it as the irradiance, whatever the
    angle. Read as radiance, such a sun is thousands of times too faint beside its sky; one that faint is taken as
    irradiance, and said.
    """
    sky = math.pi * sum(max(light.color) for light in lights if light.kind == "dome")
    settled = []
    for light in lights:
        if light.kind == "distant" and not light.normalize and 0.0 < max(light.irradiance) < _FAINT * sky:
            notes.add("Distant lights too faint beside their dome are read as irradiance, as Omniverse writes them",
                      light.prim_path)  # fmt: skip
            light = replace(light, normalize=True)
        settled.append(light)
    return tuple(settled)


def _reader(prim: Usd.Prim, time: Usd.TimeCode) -> Any:
    def read(name: str, default: Any) -> Any:
        attribute = prim.GetAttribute(f"inputs:{name}")  # which ones there are differs between versions of UsdLux
        if not (attribute and attribute.HasAuthoredValue()):
            older = prim.GetAttribute(name)  # before USD 21.02 inputs had no prefix
            attribute = older if older and older.HasAuthoredValue() else attribute
        value = attribute.Get(time) if attribute else None
        return default if value is None else value

    return read


def _moments(prim: Usd.Prim, time: Usd.TimeCode) -> list[Any]:
    """Return the times at which a light must be looked at to know its brightest."""
    from pxr import Usd

    attributes = [prim.GetAttribute(f"inputs:{name}") for name in _CHANGING]
    times = sorted({t for attribute in attributes if attribute for t in attribute.GetTimeSamples()})
    step = max(1, len(times) // _MOST_SAMPLES)
    return [time, *(Usd.TimeCode(t) for t in times[::step])]


def _finite(value: Any, default: float) -> float:
    return float(value) if math.isfinite(float(value)) else default


def _color(read: Any) -> tuple[float, float, float]:
    """Return color * intensity * 2 ^ exposure, times the black body's colour where that is enabled."""
    from pxr import Gf, UsdLux

    color = Gf.Vec3f(read("color", Gf.Vec3f(1.0)))
    if read("enableColorTemperature", False):
        kelvin = min(10000.0, max(1000.0, _finite(read("colorTemperature", 6500.0), 6500.0)))
        color = Gf.CompMult(color, UsdLux.BlackbodyTemperatureAsRgb(kelvin))
    power = _finite(read("intensity", 1.0), 0.0) * 2.0 ** min(64.0, _finite(read("exposure", 0.0), 0.0))
    red, green, blue = (max(0.0, _finite(color[channel] * power, 0.0)) for channel in range(3))
    return (red, green, blue)


def _size(kind: str, read: Any, scale: float) -> tuple[float, float]:
    """Return the size as ``Light.size`` has it."""

    def length(name: str, default: float) -> float:
        return abs(_finite(read(name, default), default)) * scale

    if kind == "distant":
        return (min(360.0, max(0.0, _finite(read("angle", 0.53), 0.53))), 0.0)
    if kind == "rect":
        return (length("width", 1.0), length("height", 1.0))
    if kind == "cylinder":
        return (length("radius", 0.5), length("length", 1.0))
    if kind in ("disk", "sphere"):
        return (length("radius", 0.5), 0.0)
    return (0.0, 0.0)


def _pole(prim: Usd.Prim, read: Any) -> Any:
    """Return the axis of a dome's own space that its image's top lies on: ``poleAxis`` of DomeLight_1, else +Y."""
    from pxr import UsdGeom

    if str(prim.GetTypeName()) != "DomeLight_1":
        return "Y"
    axis = str(prim.GetAttribute("poleAxis").Get() or "scene")
    if axis == "scene":
        axis = str(UsdGeom.GetStageUpAxis(prim.GetStage()))
    return "Z" if axis == "Z" else "Y"


def _note_the_ignored(prim: Usd.Prim, time: Usd.TimeCode, kind: str, notes: Notes) -> None:
    """Say which inputs have no effect."""
    path, read = str(prim.GetPath()), _reader(prim, time)
    for name in ("lightLink", "shadowLink"):
        root = prim.GetAttribute(f"collection:{name}:includeRoot")
        targets = [prim.GetRelationship(f"collection:{name}:{side}") for side in ("includes", "excludes")]
        linked = any(target and target.HasAuthoredTargets() for target in targets)
        if linked or (root and root.HasAuthoredValue() and not root.Get()):
            notes.add("Light linking is ignored; every light reaches everything", path)
    for name, (default, sentence) in _IGNORED.items():
        value = read(name, default)
        if name.startswith("shadow:") and float(value) < 0.0:
            continue
        if float(value) != default:
            notes.add(sentence, path)
    if max(read("shadow:color", (0.0, 0.0, 0.0))) > 0.0:
        notes.add("Shadow colours of lights are ignored; shadows are dark", path)
    if read("shaping:ies:file", None):
        notes.add("IES profiles of lights are ignored; cone and focus are followed", path)
    if kind == "dome" and not read("shadow:enable", True):
        notes.add("Domes cast shadows also where shadows are switched off", path)
    filters, portals = prim.GetRelationship("light:filters"), prim.GetRelationship("portals")
    if filters and filters.HasAuthoredTargets():
        notes.add("Light filters are ignored", path)
    if portals and portals.HasAuthoredTargets():
        notes.add("Portals of domes are ignored; the dome itself lights through openings", path)


__all__ = ["changes", "is_light", "light_at", "read_light", "settle_suns"]
