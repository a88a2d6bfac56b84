"""Light arriving at surfaces: sun and lamps with shadow rays, and one gathered bounce."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.kernels.display import luma
from cosmos.bridge.render.draw.atlas import Atlas
from cosmos.bridge.render.draw.gloss import glanced
from cosmos.bridge.render.draw.lamp import Lamps, lamp_irradiance
from cosmos.bridge.render.draw.rays import hit_along, light_along
from cosmos.bridge.render.draw.sky import Air, sky_radiance, z_up
from cosmos.bridge.render.draw.surface import Surfaces
from cosmos.bridge.render.draw.view import View, pixel_start
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options({"enable_backward": False})

PI = wp.constant(wp.float32(3.14159265))


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
def flat_albedo(world: WorldArrays, atlas: Atlas, f: wp.int32):
    """Mean base colour of triangle ``f``."""
    color = atlas.flat_colors[world.materials[f]]
    if color[0] < 0.0:
        color = world.colors[world.instances[f]]
        if color[0] < 0.0:
            color = world.corner_colors[world.sources[f], 0]
    return color


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
def bounced(
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    f: wp.int32,
    p: wp.vec3,
    direction: wp.vec3,
    glow: wp.float32,
):
    """Radiance that triangle ``f`` sends back along a ray that met it at ``p``: shadowed sun, lamps, flat sky."""
    n = face_normal(world, f, direction)
    albedo = flat_albedo(world, atlas, f)
    if air.snow > 0.0:
        cover = air.snow * air.open * wp.clamp(z_up(air, n)[2] * 1.5 - 0.3, 0.0, 1.0)
        albedo = albedo * (1.0 - cover) + wp.vec3(0.85, 0.88, 0.92) * cover
    arriving = air.sky_light * (PI * (0.25 + 0.75 * air.open) * (0.35 + 0.25 * z_up(air, n)[2]))
    arriving += air.fill
    facing = wp.dot(n, air.sun)
    lit = facing > 0.0 and air.sun_color[0] + air.sun_color[2] > 0.0
    if lit:
        arriving += air.sun_color * (facing * sun_along(world, air, p + n * 2.0e-3, air.sun))
    for k in range(lamps.count):
        arriving += lamp_irradiance(lamps, k, p, n) * 0.8
    return wp.cw_mul(albedo, arriving) * (1.0 / PI) + atlas.flat_emissive[world.materials[f]] * (glow * air.emission)


@wp.func
def radiance_along(world: WorldArrays, atlas: Atlas, air: Air, lamps: Lamps, p: wp.vec3, d: wp.vec3):
    """Radiance that comes to ``p`` against the unit direction ``d``, and the way to what sends it [m], 1e9 for the sky.

    Without bounces, things send back a flat ambient, less of it where they are close.
    """
    face, far = hit_along(world, p, d, 60.0)
    if face < 0:
        return sky_radiance(air, atlas, d, 0.0), wp.float32(1.0e9)
    if air.bounce > 0.0:
        back = bounced(world, atlas, air, lamps, face, p + d * (far * 0.999), d, 0.03)
        strongest = wp.max(back[0], wp.max(back[1], back[2]))
        return back * wp.min(1.0, air.limit / wp.max(strongest, 1.0e-9)), far
    ambient = air.sky_light * (0.55 * air.open) + air.fill * (1.0 / PI)
    return wp.cw_mul(flat_albedo(world, atlas, face), ambient) * wp.min(1.0, 0.2 + far), far


@wp.func
def mirrored_luma(
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
    """Luma of what the highlight of sample ``i`` mirrors along one way, which ``u`` and ``v`` in [0, 1) choose."""
    uv = surfaces.image[i]
    eye = wp.transform_point(view.camera_to_world, pixel_start(view, uv[0], uv[1]))
    g, finish = surfaces.geometric[i], surfaces.finish[i]
    roughness = wp.lerp(surfaces.gloss[i][0], wp.min(surfaces.gloss[i][0], finish[1]), finish[0])
    d = glanced(n, wp.normalize(eye - p), frame_x(n), roughness, u, v)
    if wp.dot(d, g) < 0.02:
        d = wp.normalize(d + g * (0.04 - wp.dot(d, g)))
    light, _far = radiance_along(world, atlas, air, lamps, p, d)
    return luma(light)


__all__ = [
    "PI",
    "blocked",
    "bounced",
    "frame_x",
    "mirrored_luma",
    "radiance_along",
    "sun_along",
]
