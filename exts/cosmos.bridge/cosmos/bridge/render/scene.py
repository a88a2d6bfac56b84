"""What a loaded stage is made of: plain arrays between the USD readers and the kernels.

``usd`` fills these types; ``draw`` reads nothing else and never sees USD. All lengths are metres:
``metersPerUnit`` is applied on reading. World axes stay those of the stage (``up_axis``). Matrices take column vectors.
Colours are linear Rec. 709 unless said.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from cosmos.bridge.types import Instance, UpAxis

Wrap = Literal["repeat", "clamp", "mirror", "black"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Texture:
    """One decoded image."""

    path: str
    """Resolved path, or a name for a made one."""
    texels: np.ndarray
    """uint8, shape [H, W, 4], or linear float32, shape [H, W, 3], without a bound; row 0 is the image's top (v = 1)."""
    srgb: bool
    """Whether RGB is sRGB-encoded and must be linearised on sampling."""
    wrap_s: Wrap = "repeat"
    """Wrap in u."""
    wrap_t: Wrap = "repeat"
    """Wrap in v."""
    tiles: tuple[int, int, int, int] = (0, 0, 1, 1)
    """First column and row of a board of UDIM tiles, and how many columns and rows it has; one image covers it all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextureSlot:
    """One texture, or one primvar, read by a material input.

    ``value = scale * texel + bias``, sampled at ``uv' = R(rotation) * (uv * uv_scale) + uv_offset``.
    """

    texture: int = -1
    """Index into Scene.textures; -1 for none."""
    color_set: int = -1
    """Read this entry of ``Mesh.more_colors`` instead of a texture; -1 for none."""
    uv_set: int = 0
    """0 reads ``Mesh.uvs``, k > 0 reads ``Mesh.more_uvs[k - 1]``."""
    scale: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    bias: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    channel: int = 0
    """First channel read (scalar inputs read one)."""
    uv_scale: tuple[float, float] = (1.0, 1.0)
    uv_rotation: float = 0.0
    """[deg], counter-clockwise."""
    uv_offset: tuple[float, float] = (0.0, 0.0)

    @property
    def used(self) -> bool:
        """Whether the input is read here rather than constant."""
        return self.texture >= 0 or self.color_set >= 0


NO_TEXTURE = TextureSlot()
"""The slot of an input that is constant."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """The inputs of a UsdPreviewSurface, and how light passes; a slot that is used replaces the constant beside it."""

    name: str
    base_color: tuple[float, float, float] = (0.18, 0.18, 0.18)
    use_display_color: bool = False
    """Take the base colour from the mesh's colours (displayColor) instead."""
    metallic: float = 0.0
    roughness: float = 0.5
    emissive: tuple[float, float, float] = (0.0, 0.0, 0.0)
    opacity: float = 1.0
    opacity_threshold: float = 0.0
    """Above 0: solid where the opacity reaches it, a hole elsewhere. 0: blended by the opacity."""
    presence: bool = False
    """Whether opacity takes the highlights away too (opacityMode ``presence``), rather than the body colour only."""
    specular_workflow: bool = False
    """Whether ``specular`` is the reflectance at normal incidence, and ``metallic`` and ``ior`` are not used for it."""
    specular: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Reflectance at normal incidence in the specular workflow, else a factor on what ``ior`` gives."""
    ior: float = 1.5
    """Index of refraction."""
    clearcoat: float = 0.0
    """Strength of a second, clear layer, in [0, 1]."""
    clearcoat_roughness: float = 0.01
    occlusion: float = 1.0
    """Share of surrounding light that reaches the surface, in [0, 1]."""
    transmission: float = 0.0
    """Share of the body that is clear glass, in [0, 1]; unlike low opacity, annotators see such a surface."""
    transmission_color: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """What light is multiplied with on its way through."""
    base_color_slot: TextureSlot = NO_TEXTURE
    roughness_slot: TextureSlot = NO_TEXTURE
    metallic_slot: TextureSlot = NO_TEXTURE
    emissive_slot: TextureSlot = NO_TEXTURE
    opacity_slot: TextureSlot = NO_TEXTURE
    normal_slot: TextureSlot = NO_TEXTURE
    specular_slot: TextureSlot = NO_TEXTURE
    occlusion_slot: TextureSlot = NO_TEXTURE
    clearcoat_slot: TextureSlot = NO_TEXTURE
    clearcoat_roughness_slot: TextureSlot = NO_TEXTURE

    @property
    def cut_out(self) -> bool:
        """Whether it may have holes, and nothing half clear."""
        return self.opacity_threshold > 0.0 and (self.opacity_slot.used or self.opacity < self.opacity_threshold)

    @property
    def blended(self) -> bool:
        """Whether what lies behind may shine through."""
        clear = self.opacity_threshold <= 0.0 and (self.opacity_slot.used or self.opacity < 1.0)
        return clear or self.transmission > 0.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Mesh:
    """One unique triangulated geometry in its own space [m]. Front faces are counter-clockwise."""

    points: np.ndarray
    """float32 [V, 3] [m]."""
    triangles: np.ndarray
    """int32 [F, 3], indices into points."""
    normals: np.ndarray
    """float32 [F, 3, 3], unit shading normal of each corner."""
    uvs: np.ndarray
    """float32 [F, 3, 2]; zeros where the mesh has none."""
    colors: np.ndarray
    """float32 [F, 3, 3], displayColor of each corner; 0.5 grey where the mesh has none."""
    more_uvs: tuple[np.ndarray, ...] = ()
    """Further uvs that its materials read, each float32 [F, 3, 2]."""
    more_colors: tuple[np.ndarray, ...] = ()
    """Further primvars that its materials read as colours, each float32 [F, 3, 3]."""
    materials: np.ndarray
    """int32 [F], index into Scene.materials (GeomSubsets resolved)."""
    double_sided: bool = True
    """Whether back faces are drawn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """One light; radiometry is relative: ``color`` already holds intensity, exposure and colour temperature."""

    kind: Literal["distant", "dome", "rect", "disk", "sphere", "cylinder"]
    prim_path: str
    color: tuple[float, float, float]
    """Radiance, before ``normalize``; in ``Scene.lights`` that of the moment at which it is brightest."""
    size: tuple[float, float] = (0.0, 0.0)
    """rect: width, height; disk, sphere: radius, 0; cylinder: radius, length [m]; distant: angle [deg], 0."""
    texture: int = -1
    """Lat-long image of a dome, or image of a rect, index into Scene.textures; -1 for none."""
    shadow: bool = True
    normalize: bool = False
    """UsdLux inputs:normalize: power does not grow with size."""
    focus: float = 0.0
    """Power of the cosine to the light's surface by which it narrows; 0 for none."""
    focus_tint: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Colour that light off the axis takes on by ``focus``."""
    cone_angle: float = 180.0
    """Angle off the light's -Z beyond which it is dark [deg]."""
    cone_softness: float = 0.0
    """Share of ``cone_angle`` over which light fades, in [0, 1]."""
    pole: UpAxis = "Y"
    """Axis of a dome's own space at the top of its image."""

    @property
    def irradiance(self) -> tuple[float, float, float]:
        """What a distant light brings to a surface facing it: radiance times pi sin^2 of half its angle (UsdLux)."""
        half = math.radians(min(90.0, 0.5 * self.size[0]))
        factor = 1.0 if self.normalize or half == 0.0 else math.pi * math.sin(half) ** 2
        return (self.color[0] * factor, self.color[1] * factor, self.color[2] * factor)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scene:
    """Everything about a stage that does not change with time."""

    path: str
    up_axis: UpAxis
    fps: float
    """timeCodesPerSecond of the stage."""
    start_time: float
    end_time: float
    """Time-code range of the stage; equal where it has none."""
    meshes: tuple[Mesh, ...]
    materials: tuple[Material, ...]
    textures: tuple[Texture, ...]
    drawn: tuple[Instance, ...]
    """Drawn instances in id order: ``drawn[i].id == i + 1``."""
    mesh_of: np.ndarray
    """int32 [N], index into meshes for each drawn instance."""
    material_of: np.ndarray
    """int32 [N], material that replaces the mesh's own for each drawn instance; -1 for none."""
    color_of: np.ndarray
    """float32 [N, 3], constant displayColor of each drawn instance; NaN where the mesh's colours hold."""
    lights: tuple[Light, ...]
    labels: Mapping[int, Mapping[str, str]]
    """Semantic id -> {taxonomy: label}; 0 BACKGROUND, 1 UNLABELLED, as Replicator has it."""
    camera_paths: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What was assumed or left out on reading, one sentence each."""
    meters_per_unit: float = 1.0
    """metersPerUnit of the stage; lengths here are metres already."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pose:
    """Everything about a stage that changes with time, at one time code."""

    time_code: float
    local_to_world: np.ndarray
    """float64 [N, 4, 4], mesh space to world [m], for each drawn instance."""
    visible: np.ndarray
    """bool [N]."""
    light_to_world: np.ndarray
    """float64 [L, 4, 4]; UsdLux conventions: rect, disk and distant lights shine along their own -Z."""
    points: Mapping[int, np.ndarray] = field(default_factory=dict)
    """Mesh index -> float32 [V, 3], for meshes whose points move."""
    lights: tuple[Light, ...] = ()
    """The lights as they are at this time, dark where they are not visible; empty where all are as in the scene."""


class RowsById(Mapping[int, np.ndarray]):
    """Rows of an array by instance id, in place of a dictionary that would be made anew for each frame."""

    __slots__ = ("_rows",)

    def __init__(self, rows: np.ndarray) -> None:
        """Take an array [N, ...] whose row i belongs to the instance with id i + 1."""
        self._rows = rows

    def __getitem__(self, key: int) -> np.ndarray:
        if not isinstance(key, (int, np.integer)) or not 1 <= key <= len(self._rows):
            raise KeyError(key)
        return np.asarray(self._rows[key - 1])

    def __iter__(self) -> Iterator[int]:
        return iter(range(1, len(self._rows) + 1))

    def __len__(self) -> int:
        return len(self._rows)


__all__ = ["NO_TEXTURE", "Light", "Material", "Mesh", "Pose", "RowsById", "Scene", "Texture", "TextureSlot", "Wrap"]
