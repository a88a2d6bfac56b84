"""What is at each sample: position, normal and material, after textures, wear and weather."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.render.draw.atlas import (
    BASE_SLOT,
    EMISSIVE_SLOT,
    METALLIC_SLOT,
    NORMAL_SLOT,
    ROUGHNESS_SLOT,
    Atlas,
    channel_of,
    sample_slot,
)
from cosmos.bridge.render.draw.resolve import corner_weights, facing_normal
from cosmos.bridge.render.draw.sky import Air, z_up
from cosmos.bridge.render.draw.visibility import View, pixel_ray
from cosmos.bridge.render.draw.weather import Skin, aged, ground_height, weathered
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options({"enable_backward": False})


@wp.struct
class Surfaces:
    """One entry a sample."""

    image: wp.array(dtype=wp.vec2)  # image point [px]
    triangles: wp.array(dtype=wp.int32)  # -1: sky
    depths: wp.array(dtype=wp.float32)
    positions: wp.array(dtype=wp.vec3)  # world; for the sky the unit direction
    geometric: wp.array(dtype=wp.vec3)  # face normal towards the camera
    normals: wp.array(dtype=wp.vec3)  # shading normal
    base: wp.array(dtype=wp.vec3)
    gloss: wp.array(dtype=wp.vec4)  # roughness, metallic, wetness, pixel footprint [m]
    emissive: wp.array(dtype=wp.vec3)


@wp.func
def _perturbed(normal: wp.vec3, edge_u: wp.vec3, edge_v: wp.vec3, duv_u: wp.vec2, duv_v: wp.vec2, texel: wp.vec4):
    """Apply a tangent-space normal (Lengyel's tangent from the triangle's uv gradient)."""
    det = duv_u[0] * duv_v[1] - duv_u[1] * duv_v[0]
    if wp.abs(det) < 1.0e-12:
        return normal
    tangent = (edge_u * duv_v[1] - edge_v * duv_u[1]) / det
    tangent = wp.normalize(tangent - normal * wp.dot(normal, tangent))
    bitangent = wp.cross(normal, tangent) * wp.sign(det)
    bent = tangent * texel[0] + bitangent * texel[1] + normal * wp.max(texel[2], 0.05)
    return wp.normalize(bent)


@wp.kernel
def read_surfaces_kernel(first: wp.int32, world: WorldArrays, atlas: Atlas, air: Air, view: View, surfaces: Surfaces):
    """Fill every array of ``surfaces`` from its image points, triangles and depths."""
    i = first + wp.tid()
    uv = surfaces.image[i]
    ray = pixel_ray(view, uv[0], uv[1])
    f = surfaces.triangles[i]
    if f < 0:
        surfaces.positions[i] = wp.normalize(wp.transform_vector(view.camera_to_world, ray))
        return
    t = surfaces.depths[i]
    p = wp.transform_point(view.camera_to_world, ray * t)
    toward = wp.transform_vector(view.camera_to_world, ray)
    a = world.points[world.triangles[3 * f]]
    b = world.points[world.triangles[3 * f + 1]]
    c = world.points[world.triangles[3 * f + 2]]
    cross = wp.cross(b - a, c - a)
    geometric = wp.normalize(cross)
    if wp.dot(geometric, toward) > 0.0:
        geometric = -geometric
    weights = corner_weights(p, a, b, c)
    normal = facing_normal(world, f, weights, geometric)
    s = world.sources[f]
    ta = world.corner_uvs[s, 0]
    tb = world.corner_uvs[s, 1]
    tc = world.corner_uvs[s, 2]
    st = ta * weights[0] + tb * weights[1] + tc * weights[2]
    duv_u = tb - ta
    duv_v = tc - ta
    cosine = wp.max(0.05, -wp.dot(geometric, toward) / wp.length(toward))
    side = t / view.fx / wp.sqrt(cosine)
    density = wp.sqrt(wp.abs(duv_u[0] * duv_v[1] - duv_u[1] * duv_v[0]) / wp.max(wp.length(cross), 1.0e-20))
    footprint = side * density
    row = world.materials[f]
    owner = world.instances[f]
    base = wp.vec3(atlas.rows[row, 0], atlas.rows[row, 1], atlas.rows[row, 2])
    if atlas.rows[row, BASE_SLOT] >= 0.0:
        texel = sample_slot(atlas, row, BASE_SLOT, st, footprint)
        base = wp.vec3(texel[0], texel[1], texel[2])
    elif atlas.rows[row, 3] > 0.0:
        base = world.colors[owner]
        if base[0] < 0.0:
            base = (
                world.corner_colors[s, 0] * weights[0]
                + world.corner_colors[s, 1] * weights[1]
                + world.corner_colors[s, 2] * weights[2]
            )
    metallic = atlas.rows[row, 4]
    if atlas.rows[row, METALLIC_SLOT] >= 0.0:
        metallic = channel_of(atlas, row, METALLIC_SLOT, sample_slot(atlas, row, METALLIC_SLOT, st, footprint))
    roughness = atlas.rows[row, 5]
    if atlas.rows[row, ROUGHNESS_SLOT] >= 0.0:
        roughness = channel_of(atlas, row, ROUGHNESS_SLOT, sample_slot(atlas, row, ROUGHNESS_SLOT, st, footprint))
    emissive = wp.vec3(atlas.rows[row, 6], atlas.rows[row, 7], atlas.rows[row, 8])
    if atlas.rows[row, EMISSIVE_SLOT] >= 0.0:
        glow = sample_slot(atlas, row, EMISSIVE_SLOT, st, footprint)
        emissive = wp.vec3(glow[0], glow[1], glow[2])
    if atlas.rows[row, NORMAL_SLOT] >= 0.0:
        texel = sample_slot(atlas, row, NORMAL_SLOT, st, footprint)
        normal = _perturbed(normal, b - a, c - a, duv_u, duv_v, texel)
    skin = Skin()
    skin.base = wp.vec3(wp.clamp(base[0], 0.0, 1.0), wp.clamp(base[1], 0.0, 1.0), wp.clamp(base[2], 0.0, 1.0))
    skin.normal = normal
    skin.roughness = wp.clamp(roughness, 0.03, 1.0)
    skin.metallic = wp.clamp(metallic, 0.0, 1.0)
    skin.wet = wp.float32(0.0)
    if air.detail > 0.0:
        q = wp.transform_point(world.world_to_object[owner], p)
        skin = aged(skin, air, world.seeds[owner], q, z_up(air, geometric)[2], ground_height(air, p), side)
    if air.wet > 0.0 or air.snow > 0.0:
        skin = weathered(skin, world, air, p, geometric, side, 1.0e-3 + 2.0e-4 * t)
    surfaces.positions[i] = p
    surfaces.geometric[i] = geometric
    surfaces.normals[i] = skin.normal
    surfaces.base[i] = skin.base
    surfaces.gloss[i] = wp.vec4(skin.roughness, skin.metallic, skin.wet, side)
    surfaces.emissive[i] = emissive


__all__ = ["Surfaces", "read_surfaces_kernel"]
