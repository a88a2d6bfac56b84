"""What is at each sample: position, normal and material, after textures, wear and weather."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.fast import fast_options
from cosmos.bridge.render.draw.matter import Matter, surface_at
from cosmos.bridge.render.draw.sky import Air, z_up
from cosmos.bridge.render.draw.view import View, pixel_ray, pixel_side, pixel_start
from cosmos.bridge.render.draw.weather import Skin, aged, ground_height, weathered
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options(fast_options())


@wp.struct
class Surfaces:
    """One entry a sample."""

    image: wp.array(dtype=wp.vec2)  # image point [px]
    triangles: wp.array(dtype=wp.int32)  # -1: sky
    depths: wp.array(dtype=wp.float32)
    positions: wp.array(dtype=wp.vec3)  # world; for the sky the unit direction, zero where the lens is dark
    geometric: wp.array(dtype=wp.vec3)  # face normal towards the camera
    normals: wp.array(dtype=wp.vec3)  # shading normal
    base: wp.array(dtype=wp.vec3)
    gloss: wp.array(dtype=wp.vec4)  # roughness, metallic, wetness, pixel footprint [m]
    emissive: wp.array(dtype=wp.vec3)
    specular: wp.array(dtype=wp.vec3)  # reflectance of what is not metal, at normal incidence
    finish: wp.array(dtype=wp.vec4)  # clear coat, its roughness, occlusion, share of the body that scatters light
    veil: wp.array(dtype=wp.vec4)  # what light from behind is multiplied with, and how much of the rest is there


def make_surfaces(count: int, device: Any) -> Any:
    """Return room for the surfaces of ``count`` samples."""
    surfaces = Surfaces()
    surfaces.image = wp.empty(count, dtype=wp.vec2, device=device)
    surfaces.triangles = wp.empty(count, dtype=wp.int32, device=device)
    surfaces.depths = wp.empty(count, dtype=wp.float32, device=device)
    for name in ("positions", "geometric", "normals", "base", "emissive", "specular"):
        setattr(surfaces, name, wp.array(_zeros(count, 3), dtype=wp.vec3, device=device, copy=False))
    for name in ("gloss", "finish", "veil"):
        setattr(surfaces, name, wp.array(_zeros(count, 4), dtype=wp.vec4, device=device, copy=False))
    return surfaces


def _zeros(count: int, width: int) -> np.ndarray:
    """Return zeros whose memory the system gives when they are first written to, on whichever thread that is."""
    return np.zeros((count, width), dtype=np.float32)


@wp.func
def bare_skin(matter: Matter):
    """The matter where neither age nor weather act on it."""
    skin = Skin()
    skin.base = matter.base
    skin.normal = matter.normal
    skin.roughness = matter.roughness
    skin.metallic = matter.metallic
    skin.wet = wp.float32(0.0)
    return skin


@wp.func
def skin_of(world: WorldArrays, air: Air, f: wp.int32, matter: Matter, p: wp.vec3, side: wp.float32, lift: wp.float32):
    """What age and weather leave of the matter at ``p``; ``side`` and ``lift`` as for ``aged`` and ``weathered``."""
    skin = bare_skin(matter)
    if air.detail > 0.0:
        owner = world.instances[f]
        q = wp.transform_point(world.world_to_object[owner], p)
        skin = aged(skin, air, world.seeds[owner], q, z_up(air, matter.geometric)[2], ground_height(air, p), side)
    if air.wet > 0.0 or air.snow > 0.0:
        skin = weathered(skin, world, air, p, matter.normal, matter.geometric, side, lift)
    return skin


@wp.func
def _put_skin(surfaces: Surfaces, i: wp.int32, skin: Skin, side: wp.float32):
    surfaces.normals[i] = skin.normal
    surfaces.base[i] = skin.base
    surfaces.gloss[i] = wp.vec4(skin.roughness, skin.metallic, skin.wet, side)


@wp.func
def _read_sample(i: wp.int32, world: WorldArrays, air: Air, view: View, surfaces: Surfaces):
    uv = surfaces.image[i]
    ray = pixel_ray(view, uv[0], uv[1])
    toward = wp.transform_vector(view.camera_to_world, ray)
    f = surfaces.triangles[i]
    if f < 0:
        surfaces.positions[i] = wp.normalize(toward)
        return
    t = surfaces.depths[i]
    p = wp.transform_point(view.camera_to_world, pixel_start(view, uv[0], uv[1]) + ray * t)
    a = world.points[world.triangles[3 * f]]
    b = world.points[world.triangles[3 * f + 1]]
    c = world.points[world.triangles[3 * f + 2]]
    facing = wp.abs(wp.dot(wp.normalize(wp.cross(b - a, c - a)), toward))
    side = pixel_side(view, t) / wp.sqrt(wp.max(0.05, facing / wp.length(toward)))
    matter = surface_at(world, f, p, toward, side)
    surfaces.positions[i] = p
    surfaces.geometric[i] = matter.geometric
    surfaces.emissive[i] = matter.emissive
    surfaces.specular[i] = matter.specular
    # Stored in each branch: what comes together after branches goes through memory.
    if air.detail > 0.0 or air.wet > 0.0 or air.snow > 0.0:
        _put_skin(surfaces, i, skin_of(world, air, f, matter, p, side, 1.0e-3 + 2.0e-4 * t), side)
    else:
        _put_skin(surfaces, i, bare_skin(matter), side)
    body = 1.0 - matter.transmission
    if matter.opacity < 1.0 or matter.transmission > 0.0:
        cosine = wp.clamp(-wp.dot(surfaces.normals[i], toward) / wp.length(toward), 0.0, 1.0)
        mirrored = matter.specular + (wp.vec3(1.0, 1.0, 1.0) - matter.specular) * wp.pow(1.0 - cosine, 5.0)
        clear = matter.through * (matter.opacity * matter.transmission)
        clear += wp.vec3(1.0, 1.0, 1.0) * (1.0 - matter.opacity)
        cover = wp.float32(1.0)
        if matter.presence > 0.0:
            cover = matter.opacity
        else:
            body = body * matter.opacity
        veil = wp.cw_mul(clear, wp.vec3(1.0, 1.0, 1.0) - mirrored * cover)
        surfaces.veil[i] = wp.vec4(veil[0], veil[1], veil[2], cover)
    else:
        surfaces.veil[i] = wp.vec4(0.0, 0.0, 0.0, 1.0)
    surfaces.finish[i] = wp.vec4(matter.coat, matter.coat_roughness, matter.occlusion, body)


@wp.kernel
def read_surfaces_kernel(
    first: wp.int32, run: wp.int32, count: wp.int32, world: WorldArrays, air: Air, view: View, surfaces: Surfaces
):
    """Fill every array of ``surfaces`` from its image points, triangles and depths, a run of samples a thread."""
    begin = (first + wp.tid()) * run
    for i in range(begin, wp.min(begin + run, count)):
        _read_sample(i, world, air, view, surfaces)


__all__ = ["Surfaces", "make_surfaces", "read_surfaces_kernel", "skin_of"]
