"""Value noise that sticks to surfaces, for kernels: one point gives one value, on every device and in every run.

The renderer's wear and weather and the embedded Transfer model's hints are made of it, so the model learned to paint
the very stains that the hints show.
"""

from collections.abc import Sequence

import numpy as np
import warp as wp

wp.set_module_options({"enable_backward": False})

STAIN = wp.constant(0.4)
"""Share that is used of the contrast of the noise that stains follow: all of it blotches what is large and plain."""
YOUNG = wp.constant(0.12)
"""Wear of the newest thing over that of the oldest."""


@wp.func
def mix_bits(x: wp.uint32) -> wp.uint32:
    """Mix 32 bits (an xorshift-multiply finaliser)."""
    h = x
    h = h ^ (h >> wp.uint32(16))
    h = h * wp.uint32(2146121005)
    h = h ^ (h >> wp.uint32(15))
    h = h * wp.uint32(73244475)
    return h ^ (h >> wp.uint32(16))


@wp.func
def unit_of(h: wp.uint32) -> wp.float32:
    """Bits to [0, 1)."""
    return wp.float32(h >> wp.uint32(8)) * 5.9604645e-8


@wp.func
def lattice(x: wp.int32, y: wp.int32, z: wp.int32, seed: wp.uint32) -> wp.float32:
    """Value of a lattice point, in [0, 1)."""
    h = wp.uint32(x) * wp.uint32(73856093) + wp.uint32(y) * wp.uint32(19349663) + wp.uint32(z) * wp.uint32(83492791)
    return unit_of(mix_bits(h ^ seed))


@wp.func
def value_noise(p: wp.vec3, seed: wp.uint32) -> wp.float32:
    """Smooth noise in [0, 1], one feature a unit."""
    fx = wp.floor(p[0])
    fy = wp.floor(p[1])
    fz = wp.floor(p[2])
    x = wp.int32(fx)
    y = wp.int32(fy)
    z = wp.int32(fz)
    u = p[0] - fx
    v = p[1] - fy
    w = p[2] - fz
    u = u * u * (3.0 - 2.0 * u)
    v = v * v * (3.0 - 2.0 * v)
    w = w * w * (3.0 - 2.0 * w)
    a = wp.lerp(lattice(x, y, z, seed), lattice(x + 1, y, z, seed), u)
    b = wp.lerp(lattice(x, y + 1, z, seed), lattice(x + 1, y + 1, z, seed), u)
    c = wp.lerp(lattice(x, y, z + 1, seed), lattice(x + 1, y, z + 1, seed), u)
    d = wp.lerp(lattice(x, y + 1, z + 1, seed), lattice(x + 1, y + 1, z + 1, seed), u)
    return wp.lerp(wp.lerp(a, b, v), wp.lerp(c, d, v), w)


@wp.func
def octaves_of_noise(p: wp.vec3, footprint: wp.float32, octaves: wp.int32, seed: wp.uint32) -> wp.float32:
    """Sum of octaves in [0, 1], mean 0.5; octaves finer than ``footprint`` (in units of ``p``) fade to their mean."""
    total = wp.float32(0.0)
    weight = wp.float32(0.5)
    norm = wp.float32(0.0)
    frequency = wp.float32(1.0)
    for octave in range(octaves):
        fade = wp.clamp(1.5 - 2.0 * footprint * frequency, 0.0, 1.0)
        level = wp.float32(0.5)
        if fade > 0.0:
            level = 0.5 + fade * (value_noise(p * frequency, seed + wp.uint32(octave) * wp.uint32(1013)) - 0.5)
        total = total + weight * level
        norm = norm + weight
        weight = weight * 0.5
        frequency = frequency * 2.03
    return total / norm


@wp.func
def smooth_step(low: wp.float32, high: wp.float32, x: wp.float32) -> wp.float32:
    """Hermite step from 0 at ``low`` to 1 at ``high``."""
    t = wp.clamp((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@wp.func
def age_of(luck: wp.float32) -> wp.float32:
    """How worn a thing is, in [YOUNG, 1], by its ``luck`` in [0, 1]: few are as worn as can be, and those are dark."""
    old = 1.0 - luck
    return YOUNG + (1.0 - YOUNG) * old * old


def path_tag(path: str) -> int:
    """Return a 32-bit hash of a prim path that is the same in every run (FNV-1a)."""
    return int(path_tags([path])[0])


def path_tags(paths: Sequence[str]) -> np.ndarray:
    """Return the ``path_tag`` of each path, uint32, shape [N]."""
    encoded = [path.encode() for path in paths]
    lengths = np.array([len(path) for path in encoded], dtype=np.int64)
    values = np.full(len(paths), 2166136261, dtype=np.uint32)
    longest = max(1, int(lengths.max(initial=0)))
    letters_of = np.array(encoded, dtype=f"S{longest}").view(np.uint8).reshape(len(paths), longest)
    for column, letters in enumerate(letters_of.T):
        values = np.where(column < lengths, (values ^ letters) * np.uint32(16777619), values)
    return values


__all__ = [
    "STAIN",
    "YOUNG",
    "age_of",
    "lattice",
    "mix_bits",
    "octaves_of_noise",
    "path_tag",
    "path_tags",
    "smooth_step",
    "unit_of",
    "value_noise",
]
