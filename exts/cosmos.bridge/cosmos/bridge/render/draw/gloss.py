"""Highlights of four lights at once: roots and quotients of four numbers cost a processor as much as those of one."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

wp.set_module_options({"enable_backward": False})

_HALF_OVER_PI = wp.constant(wp.float32(0.15915494))


@wp.func
def _roots(x: wp.vec4):
    return wp.vec4(wp.sqrt(x[0]), wp.sqrt(x[1]), wp.sqrt(x[2]), wp.sqrt(x[3]))


@wp.func
def _at_least(x: wp.vec4, low: wp.float32):
    return wp.vec4(wp.max(x[0], low), wp.max(x[1], low), wp.max(x[2], low), wp.max(x[3], low))


@wp.func
def _plus(x: wp.vec4, y: wp.float32):
    return wp.vec4(x[0] + y, x[1] + y, x[2] + y, x[3] + y)


@wp.func
def schlick(ahead: wp.vec4):
    """Schlick's Fresnel weight of white, of four lights by the cosines between the ways to eye and light."""
    off = _at_least(_plus(_roots(_at_least(_plus(ahead, 1.0) * 0.5, 0.0)) * -1.0, 1.0), 0.0)
    square = wp.cw_mul(off, off)
    return wp.cw_mul(wp.cw_mul(square, square), off)


@wp.func
def lobes(nv: wp.float32, facing: wp.vec4, ahead: wp.vec4, roughness: wp.vec4):
    """GGX distribution times height-correlated visibility (Heitz 2014) of four lights; multiply by Fresnel and n.l.

    ``nv`` is the cosine of the normal to the eye, ``facing`` are those to the lights, ``ahead`` as for ``schlick``. The
    half vector is never made: its length squared is ``2 + 2 ahead``, and the quotient is multiplied by it.
    """
    alpha = wp.cw_mul(roughness, roughness)
    a2 = _at_least(wp.cw_mul(alpha, alpha), 1.0e-5)
    rest = _plus(a2 * -1.0, 1.0)
    square = _at_least(_plus(ahead, 1.0) * 2.0, 1.0e-12)
    nh = _at_least(_plus(facing, nv), 0.0)
    spread = square - wp.cw_mul(wp.cw_mul(nh, nh), rest)
    v = wp.max(nv, 1.0e-3)
    l = _at_least(facing, 1.0e-4)  # noqa: E741
    eye = wp.cw_mul(l, _roots(rest * (v * v) + a2))
    light = _roots(wp.cw_mul(wp.cw_mul(l, l), rest) + a2) * v
    below = wp.cw_mul(wp.cw_mul(spread, spread), _at_least(eye + light, 1.0e-5))
    return wp.cw_div(wp.cw_mul(a2, wp.cw_mul(square, square)) * _HALF_OVER_PI, below)


@wp.func
def lobe_share(roughness: wp.float32, nv: wp.float32):
    """Share of a lobe that leaves where all is reflected, and how much of it is there where nothing is, at the rim.

    The first is fitted to the albedo of GGX with height-correlated shadowing (Heitz 2014), within 0.02 on average; the
    second is Karis's (2014).
    """
    lost = 1.535 - 0.213 * nv + roughness * (nv * (1.563 - 0.719 * nv) - 1.473)
    whole = 1.0 - lost * roughness * roughness * roughness
    r0 = 1.0 - roughness
    rim = wp.min(r0 * r0, wp.exp(-6.4324 * nv)) * r0 + 0.0425 - 0.0275 * roughness
    return whole, wp.max(1.04 * rim + 0.022 * roughness - 0.04, 0.0)


@wp.func
def glanced(n: wp.vec3, to_eye: wp.vec3, across: wp.vec3, roughness: wp.float32, u: wp.float32, v: wp.float32):
    """A way that what a GGX highlight mirrors comes from, by its visible facets (Dupuy and Benyoub 2023).

    ``across`` is a unit vector across ``n``; ``u`` and ``v`` in [0, 1) choose. It may lead below the surface.
    """
    alpha = wp.max(roughness * roughness, 1.0e-3)
    down = wp.cross(n, across)
    x, y, z = wp.dot(to_eye, across) * alpha, wp.dot(to_eye, down) * alpha, wp.max(wp.dot(to_eye, n), 1.0e-3)
    length = wp.sqrt(x * x + y * y + z * z)
    x, y, z = x / length, y / length, z / length
    high = (1.0 - v) * (1.0 + z) - z
    wide = wp.sqrt(wp.max(1.0 - high * high, 0.0))
    turn = 6.2831853 * u
    x, y, z = (x + wide * wp.cos(turn)) * alpha, (y + wide * wp.sin(turn)) * alpha, wp.max(z + high, 1.0e-6)
    facet = wp.normalize(across * x + down * y + n * z)
    return wp.normalize(facet * (2.0 * wp.dot(facet, to_eye)) - to_eye)


@wp.func
def glance_weight(n: wp.vec3, to_eye: wp.vec3, d: wp.vec3, roughness: wp.float32, f0: wp.float32):
    """How much a way ``d`` of ``glanced`` counts: Fresnel's share times shadowing, over those of the whole lobe.

    Its mean over all ways, times what ``lobe_share`` says, is what the lobe mirrors, also where that fit is poor: rough
    things at the rim. It is 0 below the surface; ``f0`` is what is mirrored head on, in [0, 1].
    """
    nl = wp.dot(n, d)
    if nl <= 0.0:
        return wp.float32(0.0)
    nv = wp.max(wp.dot(n, to_eye), 1.0e-3)
    a2 = wp.max(roughness * roughness, 1.0e-3)
    a2 = a2 * a2
    root_v = wp.sqrt(a2 + (1.0 - a2) * nv * nv)
    root_l = wp.sqrt(a2 + (1.0 - a2) * nl * nl)
    seen = nl * (nv + root_v) / (nl * root_v + nv * root_l)  # height-correlated over that of the eye alone (Heitz 2014)
    off = 1.0 - wp.sqrt(wp.max(0.5 + 0.5 * wp.dot(to_eye, d), 0.0))
    fresnel = f0 + (1.0 - f0) * off * off * off * off * off
    whole, rim = lobe_share(roughness, nv)
    return seen * fresnel / wp.max(f0 * (whole - rim) + rim, 1.0e-4)


__all__ = ["glance_weight", "glanced", "lobe_share", "lobes", "schlick"]
