"""The glow of lamps in haze, laid over a painted picture as light: tone curve undone, added, toned again."""

# mypy: disable-error-code="misc,operator"
# (wp.tid() gives as many indices as the launch has axes; Warp vectors take scalars)

import warp as wp

from cosmos.bridge.kernels.display import aces, aces_inverse, display_tables, srgb_looked_up
from cosmos.bridge.kernels.runs import launch_runs, quick_options

wp.set_module_options(quick_options())


@wp.func
def _radiance(levels: wp.array(dtype=wp.float32, ndim=1), level: wp.uint8) -> wp.float32:
    """Radiance for a level of `LightMaps.glow`."""
    share = levels[wp.int32(level)]
    return share / wp.max(1.0 - share, 1.0e-3)


@wp.kernel
def _lay_glow_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    glow: wp.array(dtype=wp.uint8, ndim=2),
    levels: wp.array(dtype=wp.float32, ndim=1),
    curve: wp.array(dtype=wp.float32, ndim=1),
    # in and out
    picture_out: wp.array(dtype=wp.uint8, ndim=2),
):
    begin = (first + wp.tid()) * run
    for i in range(begin, wp.min(begin + run, count)):
        if wp.int32(glow[i, 0]) + wp.int32(glow[i, 1]) + wp.int32(glow[i, 2]) > 0:
            shown = wp.vec3(
                levels[wp.int32(picture_out[i, 0])],
                levels[wp.int32(picture_out[i, 1])],
                levels[wp.int32(picture_out[i, 2])],
            )
            added = wp.vec3(_radiance(levels, glow[i, 0]), _radiance(levels, glow[i, 1]), _radiance(levels, glow[i, 2]))
            toned = aces(aces_inverse(shown) + added)
            for c in range(3):
                picture_out[i, c] = wp.uint8(srgb_looked_up(curve, toned[c]) * 255.0 + 0.5)


def lay_glow(pictures: wp.array, glow: wp.array) -> None:
    """Add the glow of lamps to pictures that were painted without it, in place.

    Args:
        pictures: Tone-mapped sRGB, uint8, shape [F, H, W, 3].
        glow: `LightMaps.glow` of each, of the same shape.

    Raises:
        ValueError: If the shapes differ, or are no pictures.
    """
    shape = tuple(pictures.shape)
    if len(shape) != 4 or shape[3] != 3 or tuple(glow.shape) != shape:
        raise ValueError(
            f"lay_glow needs pictures and glow as uint8 [F, H, W, 3], got {list(shape)} and {list(glow.shape)}."
        )
    if pictures.size == 0:
        return
    flat = [array.contiguous().reshape((-1, 3)) for array in (glow, pictures)]
    inputs = [flat[0], *display_tables(str(pictures.device)), flat[1]]
    launch_runs(_lay_glow_kernel, shape[0] * shape[1] * shape[2], inputs, device=pictures.device)
    if not pictures.is_contiguous:
        wp.copy(pictures, flat[1].reshape(shape))


__all__ = ["lay_glow"]
