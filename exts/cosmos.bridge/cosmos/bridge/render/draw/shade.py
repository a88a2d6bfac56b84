"""The colour of each sample: sun, lamps, gathered light, gloss, emission and the air in between."""

from __future__ import annotations

import warp as wp

from cosmos.bridge.kernels.surface_noise import smooth_step
from cosmos.bridge.render.draw.atlas import Atlas
from cosmos.bridge.render.draw.fast import fast_options
from cosmos.bridge.render.draw.glow import lamp_glow
from cosmos.bridge.render.draw.lamp import Lamps, lamp_irradiance, lamp_vector
from cosmos.bridge.render.draw.light import PI, bounced, frame_x, sun_along
from cosmos.bridge.render.draw.rays import hit_along
from cosmos.bridge.render.draw.sky import Air, sky_radiance, through_haze
from cosmos.bridge.render.draw.surface import Surfaces
from cosmos.bridge.render.draw.terminator import lift_of
from cosmos.bridge.render.draw.tone import aces
from cosmos.bridge.render.draw.view import View, pixel_start
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options(fast_options())


@wp.struct
class LightGrid:
    """Slow light of every ``step``-th pixel."""

    step: wp.int32
    columns: wp.int32
    rows: wp.int32
    width: wp.int32  # of the image [px]
    lit: wp.array(dtype=wp.vec3)
    gathered: wp.array(dtype=wp.vec4)
    frugal: wp.int32  # 1: the following hold, and spare rays and lamps at each sample
    picks: wp.array(dtype=wp.vec2i)  # the two strongest lamps, -1 for none
    rest: wp.array(dtype=wp.float32)  # light of all lamps over that of these
    sun: wp.array(dtype=wp.float32)  # share of the sun that all around agree on; -1 where they do not


@wp.func
def _ggx(n: wp.vec3, v: wp.vec3, l: wp.vec3, roughness: wp.float32):  # noqa: E741
    """GGX distribution times height-correlated visibility (Heitz 2014); multiply by Fresnel and n.l."""
    h = wp.normalize(v + l)
    nl = wp.max(wp.dot(n, l), 1.0e-4)
    nv = wp.max(wp.dot(n, v), 1.0e-3)
    nh = wp.max(wp.dot(n, h), 0.0)
    alpha = roughness * roughness
    a2 = wp.max(alpha * alpha, 1.0e-5)
    d = nh * nh * (a2 - 1.0) + 1.0
    lambda_v = nl * wp.sqrt(nv * nv * (1.0 - a2) + a2)
    lambda_l = nv * wp.sqrt(nl * nl * (1.0 - a2) + a2)
    return a2 / (PI * d * d) * 0.5 / wp.max(lambda_v + lambda_l, 1.0e-5)


@wp.func
def _fresnel(f0: wp.vec3, cosine: wp.float32):
    """Schlick's approximation."""
    k = wp.pow(1.0 - wp.clamp(cosine, 0.0, 1.0), 5.0)
    return f0 * (1.0 - k) + wp.vec3(k, k, k)


@wp.func
def _mirror_share(f0: wp.vec3, roughness: wp.float32, nv: wp.float32):
    """Reflectance of the whole lobe (Karis 2014, analytic environment BRDF)."""
    r0 = 1.0 - roughness
    r1 = 0.0425 - 0.0275 * roughness
    r2 = 1.04 - 0.572 * roughness
    r3 = 0.022 * roughness - 0.04
    a004 = wp.min(r0 * r0, wp.exp(-6.4324 * nv)) * r0 + r1
    scale = -1.04 * a004 + r2
    shift = 1.04 * a004 + r3
    return f0 * scale + wp.vec3(shift, shift, shift)


@wp.func
def _coated(shine: wp.vec3, finish: wp.vec4, n: wp.vec3, v: wp.vec3, l: wp.vec3):  # noqa: E741
    """A highlight under and on a clear coat (UsdPreviewSurface: the coat's reflection is lost to what lies below)."""
    met = _fresnel(wp.vec3(0.04, 0.04, 0.04), wp.dot(v, wp.normalize(v + l)))[0] * finish[0]
    top = met * _ggx(n, v, l, wp.max(finish[1], 0.08))
    return shine * (1.0 - met) + wp.vec3(top, top, top)


@wp.func
def _sun_share(world: WorldArrays, air: Air, p: wp.vec3, g: wp.vec3, rays: wp.int32):
    """Share of the sun's disk that is seen from ``p``."""
    if rays <= 1:
        return sun_along(world, air, p, air.sun)
    tx = frame_x(air.sun)
    ty = wp.cross(air.sun, tx)
    seen = wp.float32(0.0)
    for r in range(rays):
        radius = air.sun_radius * wp.sqrt((wp.float32(r) + 0.5) / wp.float32(rays))
        angle = 2.3999632 * wp.float32(r)
        d = wp.normalize(air.sun + tx * (radius * wp.cos(angle)) + ty * (radius * wp.sin(angle)))
        if wp.dot(d, g) > 0.0:
            seen += sun_along(world, air, p, d)
    return seen / wp.float32(rays)


@wp.func
def _grid_sample(grid: LightGrid, surfaces: Surfaces, home: Surfaces, i: wp.int32):
    """Slow light at sample ``i``: lamps' irradiance, gathered irradiance with openness, share of cells that fit.

    Taken from the cells around it, by how well each lies on the same surface.
    """
    uv = surfaces.image[i]
    p = surfaces.positions[i]
    n = surfaces.normals[i]
    step = wp.float32(grid.step)
    gx = (uv[0] - 0.5 - wp.float32(grid.step // 2)) / step
    gy = (uv[1] - 0.5 - wp.float32(grid.step // 2)) / step
    c0 = wp.int32(wp.floor(gx))
    r0 = wp.int32(wp.floor(gy))
    height = home.triangles.shape[0] // grid.width
    tolerance = 1.0 / (0.02 + 4.0 * surfaces.gloss[i][3] * step)
    sum_lit = wp.vec3(0.0, 0.0, 0.0)
    sum_gathered = wp.vec4(0.0, 0.0, 0.0, 0.0)
    total = wp.float32(0.0)
    close = wp.float32(0.0)
    for ring in range(2):  # the four cells around; twelve more where none of them lies on this surface
        if ring == 0 or total < 0.02:
            for dr in range(-ring, 2 + ring):
                for dc in range(-ring, 2 + ring):
                    row = wp.clamp(r0 + dr, 0, grid.rows - 1)
                    column = wp.clamp(c0 + dc, 0, grid.columns - 1)
                    ax = wp.abs(gx - wp.float32(c0 + dc))
                    ay = wp.abs(gy - wp.float32(r0 + dr))
                    near = wp.max(0.0, 1.0 - ax) * wp.max(0.0, 1.0 - ay) + 1.0e-3
                    y = wp.min(row * grid.step + grid.step // 2, height - 1)
                    x = wp.min(column * grid.step + grid.step // 2, grid.width - 1)
                    j = y * grid.width + x
                    if home.triangles[j] >= 0:
                        off = wp.abs(wp.dot(n, home.positions[j] - p)) * tolerance
                        alike = wp.max(0.0, wp.dot(n, home.normals[j]))
                        alike = alike * alike
                        weight = near * (wp.exp(-off * off) * alike * alike + 1.0e-5)
                        cell = row * grid.columns + column
                        sum_lit += grid.lit[cell] * weight
                        sum_gathered += grid.gathered[cell] * weight
                        total += weight
        if ring == 0:
            close = total
    total = wp.max(total, 1.0e-12)
    return sum_lit / total, sum_gathered / total, close


@wp.func
def _cell_of(grid: LightGrid, uv: wp.vec2):
    """The cell whose middle is nearest to an image point."""
    step = wp.float32(grid.step)
    column = wp.int32(wp.floor((uv[0] - 0.5 - wp.float32(grid.step // 2)) / step + 0.5))
    row = wp.int32(wp.floor((uv[1] - 0.5 - wp.float32(grid.step // 2)) / step + 0.5))
    return wp.clamp(row, 0, grid.rows - 1) * grid.columns + wp.clamp(column, 0, grid.columns - 1)


@wp.kernel
def shade_kernel(
    first: wp.int32,
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    view: View,
    grid: LightGrid,
    home: Surfaces,
    surfaces: Surfaces,
    sun_rays: wp.int32,
    layer: wp.int32,
    toned: wp.int32,
    color_out: wp.array(dtype=wp.vec3),
):
    """Display-linear colour in [0, 1] of each sample; ``home`` holds the pixel centres that the grid belongs to.

    With ``layer`` 1 the sample is one of several along its ray: its share of the exposed light, before tone mapping.
    With ``toned`` 0 every sample stays exposed light.
    """
    i = first + wp.tid()
    uv = surfaces.image[i]
    eye = wp.transform_point(view.camera_to_world, pixel_start(view, uv[0], uv[1]))
    p = surfaces.positions[i]
    if surfaces.triangles[i] < 0 and wp.length_sq(p) == 0.0:  # outside the image circle of a fisheye
        color_out[i] = wp.vec3(0.0, 0.0, 0.0)
        return
    direction = p
    distance = wp.float32(1.0e5)
    color = wp.vec3(0.0, 0.0, 0.0)
    if surfaces.triangles[i] < 0:
        color = sky_radiance(air, atlas, direction, 1.0)
    else:
        distance = wp.length(p - eye)
        direction = (p - eye) / wp.max(distance, 1.0e-9)
        toward = -direction
        n = surfaces.normals[i]
        g = surfaces.geometric[i]
        nv = wp.max(wp.dot(n, toward), 0.02)
        gloss = surfaces.gloss[i]
        roughness = gloss[0]
        metallic = gloss[1]
        base = surfaces.base[i]
        finish = surfaces.finish[i]
        f0 = surfaces.specular[i] * (1.0 - metallic) + base * metallic
        diffuse = base * ((1.0 - metallic) * finish[3] / PI)
        start = p + g * (1.0e-3 + 2.0e-4 * surfaces.depths[i])
        lit, gathered, close = _grid_sample(grid, surfaces, home, i)
        cell = _cell_of(grid, uv)
        around = wp.vec3(gathered[0], gathered[1], gathered[2]) * finish[2]
        color = surfaces.emissive[i] * air.emission + wp.cw_mul(diffuse, lit + around)
        facing = wp.dot(n, air.sun)
        if facing > 0.0 and air.sun_color[0] + air.sun_color[2] > 0.0:
            share = wp.float32(-1.0)
            if grid.frugal == 1 and sun_rays == 1 and layer == 0 and close > 0.25 and wp.dot(g, air.sun) > 0.0:
                share = grid.sun[cell]
            if share < 0.0:
                lift = lift_of(world, surfaces.triangles[i], p, g)
                guard = g
                if wp.dot(lift, lift) > 1.0e-12:  # a polygon of a round thing may turn away from what its shading faces
                    guard = n
                share = wp.float32(0.0)
                if wp.dot(guard, air.sun) > 0.0:
                    share = _sun_share(world, air, start + lift, guard, sun_rays)
            if share > 0.0:
                soft = wp.max(roughness, 0.08)
                shine = _fresnel(f0, wp.dot(toward, wp.normalize(toward + air.sun))) * _ggx(n, toward, air.sun, soft)
                if finish[0] > 0.0:
                    shine = _coated(shine, finish, n, toward, air.sun)
                color += wp.cw_mul(diffuse + shine, air.sun_color) * (facing * share)
        if lamps.count > 0:
            full = wp.vec3(0.0, 0.0, 0.0)
            glint = wp.vec3(0.0, 0.0, 0.0)
            # Sharp glints may come from any lamp.
            few = grid.frugal == 1 and layer == 0 and roughness > 0.3 and finish[0] == 0.0
            count = lamps.count
            if few:
                count = wp.min(count, 2)
            for m in range(count):
                k = m
                if few:
                    k = wp.max(grid.picks[cell][m], 0)
                part = lamp_irradiance(lamps, k, p, n)
                if few and grid.picks[cell][m] < 0:
                    part = wp.vec3(0.0, 0.0, 0.0)
                full += part
                if part[0] + part[1] + part[2] > 1.0e-4:
                    to = lamp_vector(lamps, k, p)
                    far = wp.length(to)
                    w = to / far
                    soft = wp.clamp(roughness + 0.25 * wp.sqrt(lamps.areas[k]) / far, 0.08, 1.0)
                    shine = _fresnel(f0, wp.dot(toward, wp.normalize(toward + w))) * _ggx(n, toward, w, soft)
                    if finish[0] > 0.0:
                        shine = _coated(shine, finish, n, toward, w)
                    glint += wp.cw_mul(shine, part)
            bright = full[0] + full[1] + full[2]
            if few:
                bright = bright * grid.rest[cell]
                glint = glint * grid.rest[cell]
            color += glint * wp.clamp((lit[0] + lit[1] + lit[2]) / wp.max(bright, 1.0e-6), 0.0, 1.0)
        if air.headlight > 0.0:
            # Two lamps a little below the camera, aimed along it: a cone with a soft rim.
            axis = wp.transform_vector(view.camera_to_world, wp.vec3(0.0, -0.06, -1.0))
            inside = wp.dot(direction, wp.normalize(axis))
            cone = wp.clamp((inside - 0.62) / 0.33, 0.0, 1.0)
            power = air.headlight * cone * cone / (distance * distance + 9.0)
            beam = wp.vec3(1.0, 0.93, 0.82) * (power * nv)
            color += wp.cw_mul(diffuse + _fresnel(f0, 1.0) * _ggx(n, toward, toward, wp.max(roughness, 0.15)), beam)
        mirrored = wp.normalize(direction + n * (2.0 * nv))
        gleam = _mirror_share(f0, roughness, nv)
        if finish[0] > 0.0:
            coat = _mirror_share(wp.vec3(0.04, 0.04, 0.04), finish[1], nv) * finish[0]
            gleam = coat + wp.cw_mul(wp.vec3(1.0, 1.0, 1.0) - coat, gleam)
            roughness = wp.lerp(roughness, wp.min(roughness, finish[1]), finish[0])
        open = gathered[3] * gathered[3]
        met = sky_radiance(air, atlas, mirrored, 0.0) * (open * air.open) + around * ((1.0 - open * air.open) / PI)
        sharp = (1.0 - smooth_step(0.10, 0.36, roughness)) * air.bounce
        if sharp > 0.02:
            if wp.dot(mirrored, g) < 0.02:
                mirrored = wp.normalize(mirrored + g * (0.05 - wp.dot(mirrored, g)))
            face, far = hit_along(world, start, mirrored, 200.0)
            seen = sky_radiance(air, atlas, mirrored, 0.0)
            if face >= 0:
                seen = bounced(world, atlas, air, lamps, face, start + mirrored * (far * 0.999), mirrored, 1.0)
                strongest = wp.max(seen[0], wp.max(seen[1], seen[2]))
                seen = seen * wp.min(1.0, 4.0 * air.limit / wp.max(strongest, 1.0e-9))
                seen = through_haze(air, seen, start, mirrored, far)
            met = met * (1.0 - sharp) + seen * sharp
        color += wp.cw_mul(gleam, met)
    glow = wp.vec3(0.0, 0.0, 0.0)
    if air.haze > 2.0e-3 and lamps.count > 0:
        glow = lamp_glow(world, air, lamps, eye, direction, distance)
    if layer == 1 and surfaces.triangles[i] >= 0:
        # The air in front of a clear thing counts with what lies behind it.
        veil = surfaces.veil[i]
        airlight = through_haze(air, wp.vec3(0.0, 0.0, 0.0), eye, direction, distance) + glow
        color = through_haze(air, color * veil[3], eye, direction, distance) + glow
        color = color - wp.cw_mul(airlight, wp.vec3(veil[0], veil[1], veil[2]))
    else:
        color = through_haze(air, color, eye, direction, distance) + glow
    ox = uv[0] / wp.float32(view.width) - 0.5
    oy = uv[1] / wp.float32(view.height) - 0.5
    rim = wp.max(0.0, 1.0 - air.vignette * 1.6 * (ox * ox + oy * oy))
    color = color * (air.exposure * rim)
    if layer == 0 and toned == 1:
        color = aces(color)
    color_out[i] = color


__all__ = ["LightGrid", "shade_kernel"]
