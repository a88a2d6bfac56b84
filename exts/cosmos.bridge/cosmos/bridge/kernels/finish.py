"""The last pass over a painted picture: falling snow and rain, grain, vignette, and what is to stay as it was.

Flakes and streaks are random, so a net that is trained on them learns their mean, a veil. They are drawn here instead,
seeded, falling over time, and hidden behind what is nearer than they are.
"""

# mypy: disable-error-code="misc,operator"
# (wp.tid() gives as many indices as the launch has axes; Warp vectors take scalars)

from dataclasses import dataclass
from typing import Optional

import numpy as np
import warp as wp

from cosmos.bridge.kernels.finish_pixels import finish_pixels
from cosmos.bridge.kernels.runs import launch_runs, quick_options
from cosmos.bridge.types.probe import FALLING_FIRST, FALLING_RATIO

wp.set_module_options(quick_options())


@dataclass(frozen=True, kw_only=True)
class Finish:
    """What the last pass adds; each strength lies in [0, 1]."""

    snow: float = 0.0
    """Density of flakes."""
    rain: float = 0.0
    """Density of streaks."""
    light: float = 1.0
    """How bright a flake is at least, sRGB level; before brighter things, lamp-lit ground or lying snow, it is a little
    brighter than they are."""
    noise: float = 0.0
    """Grain of the sensor."""
    vignette: float = 0.0
    """Darkening of the corners."""
    seed: int = 0
    """Decides flakes, streaks and grain."""


@wp.kernel
def _finish_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    source: wp.array(dtype=wp.uint8, ndim=4),
    depth: wp.array(dtype=wp.float32, ndim=3),
    kept: wp.array(dtype=wp.float32, ndim=3),
    falling: wp.array(dtype=wp.uint8, ndim=4),
    has_depth: wp.int32,
    has_kept: wp.int32,
    times: wp.array(dtype=wp.float32, ndim=1),
    first_frame: wp.int32,
    strengths: wp.array(dtype=wp.float32, ndim=1),
    seed: wp.uint32,
    # in and out
    picture_out: wp.array(dtype=wp.uint8, ndim=4),
):
    begin = (first + wp.tid()) * run
    finish_pixels(
        begin,
        wp.min(begin + run, count),
        source,
        depth,
        kept,
        falling,
        has_depth,
        has_kept,
        times,
        first_frame,
        strengths,
        seed,
        FALLING_FIRST,
        FALLING_RATIO,
        picture_out,
    )


def finish_pictures(
    pictures: wp.array,
    *,
    source: wp.array,
    finish: Finish,
    times: np.ndarray,
    first_frame: int,
    depth: Optional[wp.array] = None,
    kept: Optional[wp.array] = None,
    falling: Optional[wp.array] = None,
) -> None:
    """Draw the last pass onto pictures, in place.

    Args:
        pictures: Painted sRGB, uint8, shape [F, H, W, 3], contiguous.
        source: The clip's own sRGB, of the same shape.
        finish: What to add.
        times: Of each frame [s], shape [F].
        first_frame: Number of the first frame in its clip; decides the grain.
        depth: Distance to the image plane [m], float32, shape [F, H, W]; flakes fall before all of it where ``None``.
        kept: How much of the source stays at each pixel, float32 in [0, 1], shape [F, H, W].
        falling: Where in the air rain and snow fall, `LightMaps.falling` of each frame, uint8, shape [F, S, h, w];
            everywhere where ``None``.

    Raises:
        ValueError: If shapes do not go together.
    """
    shape = tuple(pictures.shape)
    fits = len(shape) == 4 and shape[3] == 3 and pictures.dtype == source.dtype == wp.uint8 and pictures.is_contiguous
    if not fits or tuple(source.shape) != shape:
        raise ValueError(
            f"finish_pictures needs pictures and source as uint8 [F, H, W, 3], pictures contiguous, got {list(shape)} "
            f"and {list(source.shape)}."
        )
    for name, array in (("depth", depth), ("kept", kept)):
        if array is not None and tuple(array.shape) != shape[:3]:
            raise ValueError(f"finish_pictures needs {name} {list(shape[:3])}, got {list(array.shape)}.")
    if falling is not None and (len(falling.shape) != 4 or falling.shape[0] != shape[0] or falling.size == 0):
        raise ValueError(
            f"finish_pictures needs falling as uint8 [{shape[0]}, S, h, w], got {list(falling.shape)} for "
            f"{shape[0]} frames."
        )
    if np.shape(times) != shape[:1]:
        raise ValueError(f"finish_pictures needs a time a frame, got {np.shape(times)} for {shape[0]} frames.")
    device = pictures.device
    nothing = wp.empty((0, 0, 0), dtype=wp.float32, device=device)
    nowhere = wp.empty((0, 0, 0, 0), dtype=wp.uint8, device=device)
    strengths = np.array([finish.snow, finish.rain, finish.light, finish.noise, finish.vignette], dtype=np.float32)
    launch_runs(
        _finish_kernel,
        shape[0] * shape[1] * shape[2],
        [
            source.contiguous(),
            nothing if depth is None else depth.contiguous(),
            nothing if kept is None else kept.contiguous(),
            nowhere if falling is None else falling,
            int(depth is not None),
            int(kept is not None),
            wp.array(np.asarray(times, dtype=np.float32), dtype=wp.float32, device=device),
            first_frame,
            wp.array(strengths, dtype=wp.float32, device=device),
            wp.uint32(finish.seed & 0xFFFFFFFF),
            pictures,
        ],
        device=device,
    )


def vignette_shade(size: tuple[int, int], strength: float) -> np.ndarray:
    """Return what the last pass multiplies each pixel by for a vignette, float32 in (0, 1], shape [H, W].

    Args:
        size: Height and width [px].
        strength: ``Finish.vignette``.
    """
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float64)
    rim = ((2.0 * x + 1.0 - width) ** 2 + (2.0 * y + 1.0 - height) ** 2) / (width**2 + height**2)
    shade: np.ndarray = (1.0 - 0.6 * strength * rim**2).astype(np.float32)
    return shade


__all__ = ["Finish", "finish_pictures", "vignette_shade"]
