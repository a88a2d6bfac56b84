"""Light arriving at surfaces: sun and lamps with shadow rays, and what is gathered along paths of a few bounces."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.kernels.display import luma
from cosmos.bridge.render.draw.atlas import Atlas
from cosmos.bridge.render.draw.gloss import glance_weight, glanced
from cosmos.bridge.render.draw.lamp import Lamps, lamp_irradiance
from cosmos.bridge.render.draw.rays import hit_along, light_along
from cosmos.bridge.render.draw.sky import Air, haze_between, sky_radiance, through_haze, z_up
from cosmos.bridge.render.draw.surface import Surfaces
from cosmos.bridge.render.draw.view import View, pixel_start
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options({"enable_backward": False})

PI = wp.constant(wp.float32(3.14159265))
_FAR = wp.constant(wp.float32(60.0))
"""How far light is looked for [m]; beyond lies the sky."""
_BOUNCES = wp.constant(2)
"""How often light may have been sent back before it comes to what a gathered ray meets."""
_OFF = wp.constant(wp.float32(2.0e-3))
"""How far off a surface that rays have met others start from it [m]."""
_GLOW = wp.constant(wp.float32(0.03))
"""Share of what emits that counts as light on others: its lamps are there already."""


@wp.func
def blocked(world: WorldArrays, start: wp.vec3, direction: wp.vec3, distance: wp.float32):
    """Whether something that stops most of the light lies within ``distance`` [m]."""
    return light_along(world, start, direction, distance) < 0.5


@wp.func
def sun_along(world: WorldArrays, air: Air, start: wp.vec3, direction: wp.vec3):
    """Share of the sun's light that comes along a direction towards it; all where it casts no shadows."""
    if air.sun_shadow == 0:
        return wp.float32(1.0)
    return light_along(world, start, direction, 1.0e5)


@wp.func
def frame_x(n: wp.vec3):
    """A unit vector across ``n`` (Duff et al. 2017)."""
    s = wp.float32(1.0)
    if n[2] < 0.0:
        s = wp.float32(-1.0)
    a = -1.0 / (s + n[2])
    return wp.vec3(1.0 + s * n[0] * n[0] * a, s * n[0] * n[1] * a, -s * n[0])


@wp.func
def by_cosine(n: wp.vec3, across: wp.vec3, s: wp.float32, angle: wp.float32):
    """A unit vector around ``n``, by the cosine to it where ``s`` in [0, 1) and ``angle`` [rad] are even.

    ``across`` is ``frame_x`` of ``n``.
    """
    radius = wp.sqrt(s)
    down = wp.cross(n, across)
    return across * (radius * wp.cos(angle)) + down * (radius * wp.sin(angle)) + n * wp.sqrt(1.0 - s)


@wp.func
def lifted(d: wp.vec3, g: wp.vec3):
    """The unit vector ``d``, turned towards ``g`` where it would hardly leave a facet of that normal, or go below."""
    if wp.dot(d, g) < 0.02:
        return wp.normalize(d + g * (0.04 - wp.dot(d, g)))
    return d


@wp.func
def flat_albedo(world: WorldArrays, atlas: Atlas, f: wp.int32):
    """Mean base colour of triangle ``f``."""
    color = atlas.flat_colors[world.materials[f]]
    if color[0] < 0.0:
        color = world.colors[world.instances[f]]
        if color[0] < 0.0:
            color = world.corner_colors[world.sources[f], 0]
    return color


@wp.func
def _snowed_albedo(world: WorldArrays, atlas: Atlas, air: Air, f: wp.int32, n: wp.vec3):
    """Mean base colour of triangle ``f``, whose normal is ``n``, under the snow that lies there."""
    albedo = flat_albedo(world, atlas, f)
    if air.snow > 0.0:
        cover = air.snow * air.open * wp.clamp(z_up(air, n)[2] * 1.5 - 0.3, 0.0, 1.0)
        albedo = albedo * (1.0 - cover) + wp.vec3(0.85, 0.88, 0.92) * cover
    return albedo


@wp.func
def face_normal(world: WorldArrays, f: wp.int32, direction: wp.vec3):
    """Unit normal of triangle ``f`` against ``direction``."""
    a = world.points[world.triangles[3 * f]]
    b = world.points[world.triangles[3 * f + 1]]
    c = world.points[world.triangles[3 * f + 2]]
    n = wp.normalize(wp.cross(b - a, c - a))
    if wp.dot(n, direction) > 0.0:
        n = -n
    return n


@wp.func
def _flat_light(air: Air, n: wp.vec3):
    """Irradiance of a face by the sky of the whole stage, wherever the face is, and by what has bounced twice."""
    return air.sky_light * (PI * (0.25 + 0.75 * air.open) * (0.35 + 0.25 * z_up(air, n)[2])) + air.fill


@wp.func
def _bounced(
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    f: wp.int32,
    p: wp.vec3,
    n: wp.vec3,
    around: wp.vec3,
    glow: wp.float32,
):
    """Radiance that triangle ``f`` sends back from ``p``, a little off it on the side of its normal ``n``.

    That of the sun with a shadow, of the lamps without, and of ``around``: irradiance from sky and surroundings. What
    emits adds the share ``glow`` of it.
    """
    arriving = around
    facing = wp.dot(n, air.sun)
    lit = facing > 0.0 and air.sun_color[0] + air.sun_color[2] > 0.0
    if lit:
        arriving += air.sun_color * (facing * sun_along(world, air, p, air.sun))
    for k in range(lamps.count):
        arriving += lamp_irradiance(lamps, k, p, n) * 0.8
    sent = wp.cw_mul(_snowed_albedo(world, atlas, air, f, n), arriving) * (1.0 / PI)
    return sent + atlas.flat_emissive[world.materials[f]] * (glow * air.emission)


@wp.func
def _sky_behind_air(air: Air, atlas: Atlas, p: wp.vec3, d: wp.vec3):
    """Radiance that comes to ``p`` from the sky, behind all the air there is (as in trace_path)."""
    sky = sky_radiance(air, atlas, d, 0.0)
    if air.haze > 0.0:
        veil, clear = haze_between(air, p, d, 1.0e5)
        sky = sky * clear + veil / (0.25 + 0.75 * air.open)  # that between walls is dimmer, but this lies outside
    return sky


@wp.func
def _around(
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    p: wp.vec3,
    n: wp.vec3,
    u: wp.float32,
    v: wp.float32,
):
    """Irradiance at ``p`` from sky and surroundings along one path, whose ways ``u`` and ``v`` in [0, 1) choose.

    A room in an open stage gets its light through its door: what the whole stage gets of the sky says nothing about it,
    and counts only, a little of it, where the path has not found the sky after _BOUNCES.
    """
    light = wp.vec3(0.0, 0.0, 0.0)
    share = wp.vec3(PI, PI, PI)
    start = p
    normal = n
    a = u
    b = v
    for _bounce in range(_BOUNCES):
        d = by_cosine(normal, frame_x(normal), a, 6.2831853 * b)
        face, far = hit_along(world, start, d, _FAR)
        if face < 0:
            return light + wp.cw_mul(share, _sky_behind_air(air, atlas, start, d))
        normal = face_normal(world, face, d)
        start = start + d * far + normal * _OFF
        none = wp.vec3(0.0, 0.0, 0.0)
        light += wp.cw_mul(share, _bounced(world, atlas, air, lamps, face, start, normal, none, _GLOW))
        share = wp.cw_mul(share, _snowed_albedo(world, atlas, air, face, normal))
        a = a + 0.75487767
        b = b + 0.56984029
        a = a - wp.floor(a)
        b = b - wp.floor(b)
    return light + wp.cw_mul(share, air.sky_light * (0.15 * air.open) + air.fill * (1.0 / PI))


@wp.func
def radiance_along(
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    p: wp.vec3,
    d: wp.vec3,
    u: wp.float32,
    v: wp.float32,
):
    """Radiance that comes to ``p`` against the unit direction ``d``, and the way to what sends it [m], 1e9 for the sky.

    ``u`` and ``v`` in [0, 1) choose the one path along which sky and surroundings light what sends it. Without bounces,
    things send back a flat ambient, less of it where they are close.
    """
    face, far = hit_along(world, p, d, _FAR)
    if face < 0:
        return _sky_behind_air(air, atlas, p, d), wp.float32(1.0e9)
    if air.bounce > 0.0:
        n = face_normal(world, face, d)
        q = p + d * far + n * _OFF
        back = _bounced(world, atlas, air, lamps, face, q, n, _around(world, atlas, air, lamps, q, n, u, v), _GLOW)
        strongest = wp.max(back[0], wp.max(back[1], back[2]))
        return through_haze(air, back * wp.min(1.0, air.limit / wp.max(strongest, 1.0e-9)), p, d, far), far
    ambient = air.sky_light * (0.55 * air.open) + air.fill * (1.0 / PI)
    return wp.cw_mul(flat_albedo(world, atlas, face), ambient) * wp.min(1.0, 0.2 + far), far


@wp.func
def mirrored_along(
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    p: wp.vec3,
    d: wp.vec3,
    distance: wp.float32,
    limit: wp.float32,
    glow: wp.float32,
):
    """Radiance that comes to ``p`` against the unit direction ``d``, of things that the whole stage's sky lights.

    Things are looked for up to ``distance`` [m]; ``limit`` is the most of their radiance, ``glow`` as in ``_bounced``.
    """
    face, far = hit_along(world, p, d, distance)
    if face < 0:
        return _sky_behind_air(air, atlas, p, d)
    n = face_normal(world, face, d)
    seen = _bounced(world, atlas, air, lamps, face, p + d * far + n * _OFF, n, _flat_light(air, n), glow)
    strongest = wp.max(seen[0], wp.max(seen[1], seen[2]))
    return through_haze(air, seen * wp.min(1.0, limit / wp.max(strongest, 1.0e-9)), p, d, far)


@wp.func
def mirrored_by_highlight(
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    view: View,
    surfaces: Surfaces,
    i: wp.int32,
    p: wp.vec3,
    n: wp.vec3,
    u: wp.float32,
    v: wp.float32,
):
    """Radiance that the highlight of sample ``i`` mirrors along one way, which ``u`` and ``v`` in [0, 1) choose.

    It is weighed by how much of it is mirrored against the highlight's whole share: the mean over all ways is to be
    multiplied by that.
    """
    uv = surfaces.image[i]
    eye = wp.transform_point(view.camera_to_world, pixel_start(view, uv[0], uv[1]))
    to_eye = wp.normalize(eye - p)
    gloss, finish = surfaces.gloss[i], surfaces.finish[i]
    roughness = wp.lerp(gloss[0], wp.min(gloss[0], finish[1]), finish[0])
    f0 = wp.lerp(luma(surfaces.specular[i]), luma(surfaces.base[i]), gloss[1])
    d = glanced(n, to_eye, frame_x(n), roughness, u, v)
    weight = glance_weight(n, to_eye, d, roughness, wp.lerp(f0, 0.04, finish[0]))
    if weight <= 0.0:
        return wp.vec3(0.0, 0.0, 0.0)
    d = lifted(d, surfaces.geometric[i])
    return mirrored_along(world, atlas, air, lamps, p, d, _FAR, air.limit, _GLOW) * weight


__all__ = [
    "PI",
    "blocked",
    "by_cosine",
    "frame_x",
    "lifted",
    "mirrored_along",
    "mirrored_by_highlight",
    "radiance_along",
    "sun_along",
]
