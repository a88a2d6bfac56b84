"""Numbers for the path tracer: well spread over samples, the same for a pixel, sample and seed on every device."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.kernels.surface_noise import mix_bits, unit_of

wp.set_module_options({"enable_backward": False})

_LK_A = wp.constant(wp.uint32(0x6C50B47C))
_LK_B = wp.constant(wp.uint32(0xB82F1E52))
_LK_C = wp.constant(wp.uint32(0xC7AFE638))
_LK_D = wp.constant(wp.uint32(0x8D22F6E6))
_ODD_1 = wp.constant(wp.uint32(0xAAAAAAAA))
_ODD_2 = wp.constant(wp.uint32(0xCCCCCCCC))
_ODD_4 = wp.constant(wp.uint32(0xF0F0F0F0))
_ODD_8 = wp.constant(wp.uint32(0xFF00FF00))
_GOLDEN = wp.constant(wp.uint32(0x9E3779B9))


@wp.func
def _reversed(x: wp.uint32):
    v = ((x & _ODD_1) >> wp.uint32(1)) | ((x << wp.uint32(1)) & _ODD_1)
    v = ((v & _ODD_2) >> wp.uint32(2)) | ((v << wp.uint32(2)) & _ODD_2)
    v = ((v & _ODD_4) >> wp.uint32(4)) | ((v << wp.uint32(4)) & _ODD_4)
    v = ((v & _ODD_8) >> wp.uint32(8)) | ((v << wp.uint32(8)) & _ODD_8)
    return (v >> wp.uint32(16)) | (v << wp.uint32(16))


@wp.func
def _permuted(x: wp.uint32, seed: wp.uint32):
    """A permutation in which each bit depends on the lower ones only (Laine, Karras 2011; constants: Burley 2020)."""
    v = x + seed
    v = v ^ (v * _LK_A)
    v = v ^ (v * _LK_B)
    v = v ^ (v * _LK_C)
    return v ^ (v * _LK_D)


@wp.func
def draw_pair(sample: wp.uint32, pixel: wp.uint32, dimension: wp.int32):
    """Two numbers in [0, 1): a Sobol (0, 2)-sequence over samples, shuffled and scrambled a pixel and dimension.

    Burley 2020: Practical Hash-based Owen Scrambling.
    """
    key = mix_bits(pixel + wp.uint32(dimension) * _GOLDEN)
    index = _reversed(_permuted(_reversed(sample), key))
    # The second axis multiplies by Pascal's triangle modulo 2 (Lucas: bit by bit, five butterflies).
    other = index ^ ((index & _ODD_1) >> wp.uint32(1))
    other = other ^ ((other & _ODD_2) >> wp.uint32(2))
    other = other ^ ((other & _ODD_4) >> wp.uint32(4))
    other = other ^ ((other & _ODD_8) >> wp.uint32(8))
    other = other ^ (other >> wp.uint32(16))
    a = _reversed(_permuted(index, mix_bits(key ^ wp.uint32(0x68E31DA4))))
    b = _reversed(_permuted(other, mix_bits(key ^ wp.uint32(0x35297A4D))))
    return wp.vec2(unit_of(a), unit_of(b))


__all__ = ["draw_pair"]
