"""What a ray meets: the material of a point on a triangle, after textures; one function for every way of drawing."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.render.draw.atlas import (
    BASE_SLOT,
    COAT_SLOT,
    EMISSIVE_SLOT,
    METALLIC_SLOT,
    NORMAL_SLOT,
    OCCLUSION_SLOT,
    OPACITY_SLOT,
    ROUGHNESS_SLOT,
    SEEN_OPACITY,
    SPECULAR_SLOT,
    sample_slot,
)
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options({"enable_backward": False})

_SEEN_OPACITY = wp.constant(wp.float32(SEEN_OPACITY))


@wp.struct
class Matter:
    """The surface at one point, in world space, on the side from which it was met."""

    geometric: wp.vec3  # unit face normal, against the ray
    normal: wp.vec3  # unit shading normal, after the normal map
    base: wp.vec3  # base colour, in [0, 1]
    f0: wp.vec3  # reflectance of the surface at normal incidence, metal mixed in, in [0, 1]
    specular: wp.vec3  # the same of its dielectric part alone
    emissive: wp.vec3
    roughness: wp.float32  # in [0.03, 1]
    metallic: wp.float32  # in [0, 1]; 0 in the specular workflow
    opacity: wp.float32  # in [0, 1]; 0 or 1 where the material cuts out
    presence: wp.float32  # 1: opacity takes the highlights away too; 0: it takes the body colour only
    transmission: wp.float32  # share of the body that is clear glass, in [0, 1]
    through: wp.vec3  # what that glass multiplies light with
    ior: wp.float32
    coat: wp.float32  # strength of a clear second layer (ior 1.5), in [0, 1]
    coat_roughness: wp.float32
    occlusion: wp.float32  # share of surrounding light that arrives, in [0, 1]
    entering: wp.int32  # 1 where the ray met the side the normals of the triangle point to, 0 from behind


@wp.func
def corner_weights(p: wp.vec3, a: wp.vec3, b: wp.vec3, c: wp.vec3):
    """Barycentric weights of ``p`` in the triangle ``a b c``, in [0, 1]."""
    n = wp.cross(b - a, c - a)
    area = wp.max(wp.dot(n, n), 1.0e-30)
    wa = wp.clamp(wp.dot(n, wp.cross(c - b, p - b)) / area, 0.0, 1.0)
    wb = wp.clamp(wp.dot(n, wp.cross(a - c, p - c)) / area, 0.0, 1.0 - wa)
    return wp.vec3(wa, wb, 1.0 - wa - wb)


@wp.func
def weights_at(world: WorldArrays, f: wp.int32, p: wp.vec3):
    """Barycentric weights of ``p`` on triangle ``f``."""
    a = world.points[world.triangles[3 * f]]
    b = world.points[world.triangles[3 * f + 1]]
    c = world.points[world.triangles[3 * f + 2]]
    return corner_weights(p, a, b, c)


@wp.func
def _color_of_set(world: WorldArrays, s: wp.int32, weights: wp.vec3, k: wp.int32):
    row = s + k * world.corner_normals.shape[0]
    return (
        world.corner_colors[row, 0] * weights[0]
        + world.corner_colors[row, 1] * weights[1]
        + world.corner_colors[row, 2] * weights[2]
    )


@wp.func
def _read(world: WorldArrays, row: wp.int32, slot: wp.int32, s: wp.int32, weights: wp.vec3, span: wp.float32):
    """What a used slot reads; ``span`` is the side of a pixel over the edge of a square of the triangle's area."""
    head = world.atlas.quads[row, slot // 4]
    source = wp.int32(head[0])
    if source < -1:
        color = _color_of_set(world, s, weights, -1 - source)
        scale = world.atlas.quads[row, slot // 4 + 2]
        bias = world.atlas.quads[row, slot // 4 + 3]
        return wp.vec4(color[0] * scale[0] + bias[0], color[1] * scale[1] + bias[1], color[2] * scale[2] + bias[2], 1.0)
    at = s + (wp.int32(head[1]) // 4) * world.corner_normals.shape[0]
    ta = world.corner_uvs[at, 0]
    tb = world.corner_uvs[at, 1] - ta
    tc = world.corner_uvs[at, 2] - ta
    footprint = span * wp.sqrt(wp.abs(tb[0] * tc[1] - tb[1] * tc[0]))
    return sample_slot(world.atlas, row, slot, ta + tb * weights[1] + tc * weights[2], footprint)


@wp.func
def _as_opacity(world: WorldArrays, row: wp.int32, found: wp.float32):
    """Opacity in [0, 1] where ``found`` was read; 0 or 1 where the material cuts out."""
    if world.atlas.rows[row, 24] == 1.0:
        if found < world.atlas.rows[row, 10]:
            return wp.float32(0.0)
        return wp.float32(1.0)
    return wp.clamp(found, 0.0, 1.0)


@wp.func
def opacity_at(world: WorldArrays, f: wp.int32, p: wp.vec3):
    """Opacity of triangle ``f`` at ``p``, in [0, 1], unfiltered; 0 or 1 where its material cuts out."""
    if world.clear == 0:
        return wp.float32(1.0)
    row = world.materials[f]
    if world.atlas.rows[row, 24] == 0.0:
        return wp.float32(1.0)
    if world.atlas.rows[row, 24] == 2.0 and world.atlas.rows[row, OPACITY_SLOT] == -1.0:
        return wp.clamp(world.atlas.rows[row, 9], 0.0, 1.0)
    found = world.atlas.rows[row, 9]
    if world.atlas.rows[row, OPACITY_SLOT] != -1.0:
        read = _read(world, row, OPACITY_SLOT, world.sources[f], weights_at(world, f, p), 0.0)
        found = read[wp.int32(world.atlas.rows[row, OPACITY_SLOT + 1]) % 4]
    return _as_opacity(world, row, found)


@wp.func
def is_seen(world: WorldArrays, f: wp.int32, p: wp.vec3):
    """Whether annotators see triangle ``f`` at ``p``, rather than what lies behind it."""
    return opacity_at(world, f, p) >= _SEEN_OPACITY


@wp.func
def _perturbed(
    world: WorldArrays, row: wp.int32, s: wp.int32, normal: wp.vec3, edge_u: wp.vec3, edge_v: wp.vec3, texel: wp.vec4
):
    """Apply a tangent-space normal (Lengyel's tangent from the triangle's uv gradient)."""
    at = s + (wp.int32(world.atlas.rows[row, NORMAL_SLOT + 1]) // 4) * world.corner_normals.shape[0]
    ta = world.corner_uvs[at, 0]
    duv_u = world.corner_uvs[at, 1] - ta
    duv_v = world.corner_uvs[at, 2] - ta
    det = duv_u[0] * duv_v[1] - duv_u[1] * duv_v[0]
    if wp.abs(det) < 1.0e-12:
        return normal
    tangent = (edge_u * duv_v[1] - edge_v * duv_u[1]) / det
    tangent = wp.normalize(tangent - normal * wp.dot(normal, tangent))
    bitangent = wp.cross(normal, tangent) * wp.sign(det)
    bent = tangent * texel[0] + bitangent * texel[1] + normal * wp.max(texel[2], 0.05)
    return wp.normalize(bent)


@wp.func
def _unit_range(color: wp.vec3):
    return wp.vec3(wp.clamp(color[0], 0.0, 1.0), wp.clamp(color[1], 0.0, 1.0), wp.clamp(color[2], 0.0, 1.0))


@wp.func
def facing_normal(world: WorldArrays, f: wp.int32, weights: wp.vec3, geometric: wp.vec3):
    """Interpolated unit normal in world space, on the side of ``geometric``."""
    s = world.sources[f]
    n = (
        weights[0] * world.corner_normals[s, 0]
        + weights[1] * world.corner_normals[s, 1]
        + weights[2] * world.corner_normals[s, 2]
    )
    n = world.normal_to_world[world.instances[f]] * n
    length = wp.length(n)
    scale = 1.0 / wp.max(length, 1.0e-12)
    instead = wp.float32(0.0)
    if length < 1.0e-12:
        scale = wp.float32(0.0)
        instead = wp.float32(1.0)
    if wp.dot(n, geometric) < 0.0:
        scale = -scale
    return n * scale + geometric * instead


@wp.func
def _authored(world: WorldArrays, f: wp.int32, row: wp.int32, weights: wp.vec3):
    """The constants of a material as they stand, and the colours of the mesh where it asks for them."""
    body = world.atlas.quads[row, 0]  # four of a row at a time; see ``_material_row``
    shine = world.atlas.quads[row, 1]
    edge = world.atlas.quads[row, 2]
    mirror = world.atlas.quads[row, 3]
    layer = world.atlas.quads[row, 4]
    through = world.atlas.quads[row, 5]
    matter = Matter()
    matter.base = wp.vec3(body[0], body[1], body[2])
    if body[3] > 0.0:
        own = world.colors[world.instances[f]]
        matter.base = own
        if own[0] < 0.0:
            matter.base = _color_of_set(world, world.sources[f], weights, 0)
    matter.metallic = shine[0]
    matter.roughness = shine[1]
    matter.emissive = wp.vec3(shine[2], shine[3], edge[0])
    matter.opacity = edge[1]
    matter.ior = edge[3]
    matter.specular = wp.vec3(mirror[0], mirror[1], mirror[2])
    matter.coat = layer[0]
    matter.coat_roughness = layer[1]
    matter.occlusion = layer[2]
    matter.transmission = layer[3]
    matter.through = wp.vec3(through[0], through[1], through[2])
    matter.presence = through[3]
    return matter


@wp.func
def _textured(
    authored: Matter,
    world: WorldArrays,
    f: wp.int32,
    row: wp.int32,
    weights: wp.vec3,
    span: wp.float32,
    u: wp.vec3,
    v: wp.vec3,
):
    """The same after textures; ``u`` and ``v`` are the triangle's edges, ``span`` as for ``_read``.

    One place in the code reads textures, whichever input they are for, and branches write to fields: other vectors that
    branches set go through memory.
    """
    matter = authored
    s = world.sources[f]
    slot = wp.int32(BASE_SLOT)
    used = wp.int32(world.atlas.rows[row, 26])
    while used > 0:
        if used % 2 == 1:
            width = span
            if slot == OPACITY_SLOT and world.atlas.rows[row, 24] == 1.0:
                width = wp.float32(0.0)  # no filter blurs what is cut out
            texel = _read(world, row, slot, s, weights, width)
            value = texel[wp.int32(world.atlas.rows[row, slot + 1]) % 4]
            if slot == BASE_SLOT:
                matter.base = wp.vec3(texel[0], texel[1], texel[2])
            elif slot == ROUGHNESS_SLOT:
                matter.roughness = value
            elif slot == METALLIC_SLOT:
                matter.metallic = value
            elif slot == EMISSIVE_SLOT:
                matter.emissive = wp.vec3(texel[0], texel[1], texel[2])
            elif slot == NORMAL_SLOT:
                matter.normal = _perturbed(world, row, s, matter.normal, u, v, texel)
            elif slot == OPACITY_SLOT:
                matter.opacity = value
            elif slot == SPECULAR_SLOT:
                matter.specular = wp.vec3(texel[0], texel[1], texel[2])
            elif slot == OCCLUSION_SLOT:
                matter.occlusion = value
            elif slot == COAT_SLOT:
                matter.coat = value
            else:
                matter.coat_roughness = value
        used = used // 2
        slot += 16
    return matter


@wp.func
def _in_range(read: Matter, world: WorldArrays, row: wp.int32):
    """A material's inputs in the ranges of ``Matter``, and what follows from them."""
    matter = read
    glow = read.emissive
    matter.base = _unit_range(read.base)
    matter.emissive = wp.vec3(wp.max(glow[0], 0.0), wp.max(glow[1], 0.0), wp.max(glow[2], 0.0))
    matter.metallic = wp.clamp(read.metallic, 0.0, 1.0)
    matter.roughness = wp.clamp(read.roughness, 0.03, 1.0)
    if world.atlas.rows[row, 25] > 0.0:
        matter.ior = wp.max(read.ior, 1.0)
        part = (matter.ior - 1.0) / (matter.ior + 1.0)
        share = part * part
        if world.atlas.rows[row, 15] > 0.0:
            share = wp.float32(1.0)
            matter.metallic = wp.float32(0.0)
        matter.specular = _unit_range(read.specular * share)
        matter.opacity = _as_opacity(world, row, read.opacity)
        matter.coat = wp.clamp(read.coat, 0.0, 1.0)
        matter.coat_roughness = wp.clamp(read.coat_roughness, 0.03, 1.0)
        if matter.coat == 0.0:
            matter.coat_roughness = wp.float32(0.03)
        matter.occlusion = wp.clamp(read.occlusion, 0.0, 1.0)
    else:
        matter.specular = wp.vec3(0.04, 0.04, 0.04)
        matter.opacity = wp.float32(1.0)
        matter.presence = wp.float32(0.0)
        matter.transmission = wp.float32(0.0)
        matter.through = wp.vec3(1.0, 1.0, 1.0)
        matter.ior = wp.float32(1.5)
        matter.coat = wp.float32(0.0)
        matter.coat_roughness = wp.float32(0.03)
        matter.occlusion = wp.float32(1.0)
    matter.f0 = matter.specular * (1.0 - matter.metallic) + matter.base * matter.metallic
    return matter


@wp.func
def surface_at(world: WorldArrays, f: wp.int32, p: wp.vec3, direction: wp.vec3, side: wp.float32):
    """The surface of triangle ``f`` at the world point ``p``, met by a ray along ``direction`` (any length).

    ``side`` is the side of the ray's footprint on the surface [m], over which textures are averaged; 0 reads them
    unfiltered.
    """
    a = world.points[world.triangles[3 * f]]
    edge_u = world.points[world.triangles[3 * f + 1]] - a
    edge_v = world.points[world.triangles[3 * f + 2]] - a
    cross = wp.cross(edge_u, edge_v)
    geometric = wp.normalize(cross)
    front = wp.int32(1)
    if wp.dot(geometric, direction) > 0.0:
        front = wp.int32(0)
    geometric = geometric * wp.float32(2 * front - 1)
    weights = corner_weights(p, a, a + edge_u, a + edge_v)
    row = world.materials[f]
    span = side / wp.sqrt(wp.max(wp.length(cross), 1.0e-20))
    matter = _authored(world, f, row, weights)
    matter.geometric = geometric
    matter.normal = facing_normal(world, f, weights, geometric)
    matter.entering = front
    return _in_range(_textured(matter, world, f, row, weights, span, edge_u, edge_v), world, row)


__all__ = ["Matter", "corner_weights", "facing_normal", "is_seen", "opacity_at", "surface_at", "weights_at"]
