"""How a surface scatters light in the path tracer: diffuse, GGX with its lost energy given back, coat, clear share.

The same metallic-roughness surface as the interactive picture, with two things that a closed balance needs: what the
highlight reflects is missing from the diffuse part, and rough highlights keep the light that bounces between facets.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import functools

import numpy as np
import warp as wp

from cosmos.bridge.kernels.display import luma
from cosmos.bridge.render.draw.light import PI, by_cosine, frame_x

wp.set_module_options({"enable_backward": False})

_COLUMNS, _ROWS = 32, 32
_LEAST_ALPHA = 0.002
_LAST = wp.constant(wp.float32(_COLUMNS - 1))
_LAST_CELL = wp.constant(_COLUMNS - 2)


@wp.struct
class Body:
    """A surface at one point as the path tracer scatters from it; every colour is what remains of white light."""

    normal: wp.vec3
    geometric: wp.vec3
    diffuse: wp.vec3  # albedo
    f0: wp.vec3  # reflectance at normal incidence, mean of metal and the rest
    f0_square: wp.vec3  # mean of its square
    lost: wp.float32  # what facets keep of a white highlight, over what they let go
    alpha: wp.float32
    shine: wp.vec3  # albedo of the highlight, below the coat
    coat: wp.float32  # strength of the coat
    coat_alpha: wp.float32
    coat_albedo: wp.float32  # of the coat at this angle, its strength included
    clear: wp.vec3  # passes straight through
    pick_shine: wp.float32  # chances of being drawn; the rest is diffuse
    pick_coat: wp.float32
    pick_clear: wp.float32


@wp.struct
class Scatter:
    """A direction drawn from a Body."""

    direction: wp.vec3
    weight: wp.vec3  # scattering times cosine over density
    density: wp.float32  # [1/sr]; 0 for straight through
    kind: wp.int32  # -1 absorbed, 0 scattered, 1 straight through


@functools.cache
def highlight_table() -> np.ndarray:
    """Return the albedo of a GGX highlight by cosine and roughness, float32 [32, 32, 2].

    Row: roughness from 0 to 1; column: cosine to the view from 0 to 1. The albedo is ``f0 * a + b`` (B. Karis 2013),
    here integrated over visible normals (E. Heitz 2018) on a fixed lattice.
    """
    count = 24
    grid = (np.arange(count) + 0.5) / count
    u, v = (part.reshape(-1) for part in np.meshgrid(grid, grid))
    nv = np.maximum(np.linspace(0.0, 1.0, _COLUMNS), 1e-3)[None, :, None]
    alpha = np.maximum(np.linspace(0.0, 1.0, _ROWS) ** 2, _LEAST_ALPHA)[:, None, None]
    stretched = np.stack(np.broadcast_arrays(alpha * np.sqrt(1.0 - nv**2), 0.0, nv), axis=-1)
    stretched = stretched / np.linalg.norm(stretched, axis=-1, keepdims=True)
    # A point on the visible spherical cap (J. Dupuy, A. Benyoub 2023).
    z = (1.0 - v) * (1.0 + stretched[..., 2]) - stretched[..., 2]
    s = np.sqrt(np.clip(1.0 - z**2, 0.0, 1.0))
    h = np.stack([s * np.cos(2 * np.pi * u), s * np.sin(2 * np.pi * u), z], axis=-1) + stretched
    h = np.stack([alpha * h[..., 0], alpha * h[..., 1], np.maximum(h[..., 2], 0.0)], axis=-1)
    h /= np.maximum(np.linalg.norm(h, axis=-1, keepdims=True), 1e-12)
    vh = np.sqrt(1.0 - nv**2) * h[..., 0] + nv * h[..., 2]
    nl = 2.0 * vh * h[..., 2] - nv
    a2 = alpha**2
    lit = nl > 0.0
    nl = np.maximum(nl, 1e-9)
    root_v, root_l = np.sqrt(a2 + (1.0 - a2) * nv**2), np.sqrt(a2 + (1.0 - a2) * nl**2)
    share = np.where(lit, nl * (nv + root_v) / (nl * root_v + nv * root_l), 0.0)  # G2 / G1
    k = (1.0 - np.clip(vh, 0.0, 1.0)) ** 5
    table = np.stack([(share * (1.0 - k)).mean(-1), (share * k).mean(-1)], axis=-1)
    return np.asarray(table, dtype=np.float32)


@wp.func
def _looked_up(table: wp.array2d(dtype=wp.vec2), roughness: wp.float32, cosine: wp.float32):
    y = wp.clamp(roughness, 0.0, 1.0) * _LAST
    x = wp.clamp(cosine, 0.0, 1.0) * _LAST
    row = wp.min(wp.int32(y), _LAST_CELL)
    column = wp.min(wp.int32(x), _LAST_CELL)
    fy = y - wp.float32(row)
    fx = x - wp.float32(column)
    top = table[row, column] * (1.0 - fx) + table[row, column + 1] * fx
    low = table[row + 1, column] * (1.0 - fx) + table[row + 1, column + 1] * fx
    return top * (1.0 - fy) + low * fy


@wp.func
def _grown(f0: wp.vec3, f0_square: wp.vec3, a: wp.float32, b: wp.float32, lost: wp.float32):
    """Mean of ``(f0 a + b) (1 + f0 lost)``."""
    return f0 * (a + lost * b) + f0_square * (lost * a) + wp.vec3(b, b, b)


@wp.func
def _below_one(color: wp.vec3):
    return wp.vec3(wp.min(color[0], 1.0), wp.min(color[1], 1.0), wp.min(color[2], 1.0))


@wp.func
def make_body(
    table: wp.array2d(dtype=wp.vec2),
    geometric: wp.vec3,
    normal: wp.vec3,
    toward: wp.vec3,
    base: wp.vec3,
    specular: wp.vec3,
    metallic: wp.float32,
    roughness: wp.float32,
    coat: wp.float32,
    coat_roughness: wp.float32,
    opacity: wp.float32,
    transmission: wp.float32,
    through: wp.vec3,
):
    """The scattering of a surface that is seen along ``-toward``; ``opacity`` here takes the body colour only.

    Metal and the rest (of reflectance ``specular``) lie side by side. A highlight ``F`` grows to ``F (1 + f0 lost)``
    (E. Turquin 2019), which is exactly white for white metal.
    """
    body = Body()
    n = normal
    facing = wp.dot(n, toward)
    if facing < 0.02:
        n = wp.normalize(n + toward * (0.02 - facing))
    nv = wp.max(wp.dot(n, toward), 1.0e-3)
    body.normal = n
    body.geometric = geometric
    body.f0 = specular * (1.0 - metallic) + base * metallic
    body.f0_square = wp.cw_mul(specular, specular) * (1.0 - metallic) + wp.cw_mul(base, base) * metallic
    body.alpha = wp.max(roughness * roughness, _LEAST_ALPHA)
    ab = _looked_up(table, roughness, nv)
    whole = wp.clamp(ab[0] + ab[1], 0.05, 1.0)
    one = wp.vec3(1.0, 1.0, 1.0)
    body.lost = 1.0 / whole - 1.0
    body.shine = _below_one(_grown(body.f0, body.f0_square, ab[0], ab[1], body.lost))
    body.coat = coat
    body.coat_alpha = wp.max(coat_roughness * coat_roughness, _LEAST_ALPHA)
    body.coat_albedo = wp.float32(0.0)
    if coat > 0.0:
        over = _looked_up(table, coat_roughness, nv)
        body.coat_albedo = wp.min(1.0, coat * (0.04 * over[0] + over[1]))
    under = 1.0 - body.coat_albedo
    gleam = _below_one(_grown(specular, wp.cw_mul(specular, specular), ab[0], ab[1], body.lost))
    inside = (one - gleam) * (under * (1.0 - metallic))
    body.shine = body.shine * under
    body.diffuse = wp.cw_mul(inside, base) * (opacity * (1.0 - transmission))
    body.clear = wp.cw_mul(inside, one * (1.0 - opacity) + through * (opacity * transmission))
    a = luma(body.shine)
    b = luma(body.diffuse)
    c = luma(body.clear)
    total = wp.max(a + b + c + body.coat_albedo, 1.0e-6)
    body.pick_shine = a / total
    body.pick_coat = body.coat_albedo / total
    body.pick_clear = c / total
    return body


@wp.func
def _density_of_normals(nh: wp.float32, alpha: wp.float32):
    """GGX."""
    a2 = alpha * alpha
    d = nh * nh * (a2 - 1.0) + 1.0
    return a2 / wp.max(PI * d * d, 1.0e-12)


@wp.func
def _root(cosine: wp.float32, alpha: wp.float32):
    a2 = alpha * alpha
    return wp.sqrt(a2 + (1.0 - a2) * cosine * cosine)


@wp.func
def _fifth(cosine: wp.float32):
    k = 1.0 - wp.clamp(cosine, 0.0, 1.0)
    return k * k * k * k * k


@wp.func
def scattered(body: Body, toward: wp.vec3, direction: wp.vec3):
    """Scattering times cosine for light from ``direction`` (all but the clear share), and its density [1/sr]."""
    none = wp.vec4(0.0, 0.0, 0.0, 0.0)
    n = body.normal
    nl = wp.dot(n, direction)
    if nl <= 1.0e-5 or wp.dot(body.geometric, direction) <= 0.0:
        return none
    nv = wp.max(wp.dot(n, toward), 1.0e-3)
    h = wp.normalize(toward + direction)
    nh = wp.clamp(wp.dot(n, h), 0.0, 1.0)
    k = _fifth(wp.dot(toward, h))
    one = wp.vec3(1.0, 1.0, 1.0)
    root_v = _root(nv, body.alpha)
    d = _density_of_normals(nh, body.alpha)
    seen = 0.5 / wp.max(nl * root_v + nv * _root(nl, body.alpha), 1.0e-9)
    value = _grown(body.f0, body.f0_square, 1.0 - k, k, body.lost) * (
        d * seen * nl * (1.0 - body.coat_albedo)
    ) + body.diffuse * (nl / PI)
    # Density of visible normals, as a density of reflected directions: D G1 / (4 nv).
    density = body.pick_shine * d * 0.5 / (nv + root_v)
    if body.coat > 0.0:
        root_c = _root(nv, body.coat_alpha)
        dc = _density_of_normals(nh, body.coat_alpha)
        seen_c = 0.5 / wp.max(nl * root_c + nv * _root(nl, body.coat_alpha), 1.0e-9)
        value += one * (body.coat * (0.04 * (1.0 - k) + k) * dc * seen_c * nl)
        density += body.pick_coat * dc * 0.5 / (nv + root_c)
    density += (1.0 - body.pick_shine - body.pick_coat - body.pick_clear) * nl / PI
    return wp.vec4(value[0], value[1], value[2], density)


@wp.func
def _visible_normal(n: wp.vec3, toward: wp.vec3, alpha: wp.float32, u: wp.vec2):
    """A facet normal in proportion to how it is seen (J. Dupuy, A. Benyoub 2023)."""
    tx = frame_x(n)
    ty = wp.cross(n, tx)
    flat = wp.normalize(wp.vec3(alpha * wp.dot(toward, tx), alpha * wp.dot(toward, ty), wp.dot(toward, n)))
    z = (1.0 - u[1]) * (1.0 + flat[2]) - flat[2]
    s = wp.sqrt(wp.clamp(1.0 - z * z, 0.0, 1.0))
    turn = 6.2831853 * u[0]
    c = wp.vec3(s * wp.cos(turn), s * wp.sin(turn), z) + flat
    return wp.normalize(tx * (alpha * c[0]) + ty * (alpha * c[1]) + n * wp.max(c[2], 1.0e-6))


@wp.func
def scatter(body: Body, toward: wp.vec3, incoming: wp.vec3, u: wp.vec2, pick: wp.float32):
    """Draw where a path that came along ``incoming`` goes on."""
    out = Scatter()
    out.kind = wp.int32(-1)
    out.density = wp.float32(0.0)
    out.weight = wp.vec3(0.0, 0.0, 0.0)
    out.direction = incoming
    if pick < body.pick_clear:
        out.kind = wp.int32(1)
        out.weight = body.clear / wp.max(body.pick_clear, 1.0e-6)
        return out
    n = body.normal
    direction = n
    if pick < body.pick_clear + body.pick_shine + body.pick_coat:
        alpha = body.alpha
        if pick >= body.pick_clear + body.pick_shine:
            alpha = body.coat_alpha
        h = _visible_normal(n, toward, alpha, u)
        direction = wp.normalize(h * (2.0 * wp.dot(toward, h)) - toward)
    else:
        direction = wp.normalize(by_cosine(n, frame_x(n), u[0], 6.2831853 * u[1]))
    found = scattered(body, toward, direction)
    if found[3] <= 1.0e-9:
        return out
    out.kind = wp.int32(0)
    out.direction = direction
    out.density = found[3]
    out.weight = wp.vec3(found[0], found[1], found[2]) / found[3]
    return out


__all__ = ["Body", "Scatter", "highlight_table", "make_body", "scatter", "scattered"]
