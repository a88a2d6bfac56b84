"""Gathers the light that varies slowly, on a grid over the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.frugal import (
    LAMP_MARK,
    LIGHT_MARK,
    SUN_MARK,
    agree_on_sun_kernel,
    find_sun_kernel,
    gather_frugally_kernel,
    spread_light_kernel,
)
from cosmos.bridge.render.draw.light_grid import Gathered, LightGrid, pack_cells, smooth_light_kernel
from cosmos.bridge.render.draw.lighting import ROOFED

_SMALL, _MIDDLE = 100_000, 500_000
"""Pixels up to which a picture is small, and up to which it is not large."""
_STRIDE = 2
"""Side of a block of cells, of which one is lit at first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """How many rays are spent, and how sparsely slow light is gathered in large pictures."""

    gather: int
    """Directions of a cell, outdoors."""
    lamp: int
    """Rays to each lamp, where not frugal."""
    sun: int
    """Rays to the sun of a sample."""
    coarsest: int
    """Side of a cell in large pictures [px]."""
    finest: int = 1
    """Side of a cell in small pictures [px]."""
    middle: int = 2
    """Side of a cell in pictures between [px]."""
    rim: bool = False
    """Let three points of a broad sun's rim decide where they agree."""
    frugal: bool = False
    """Share rays between cells, and colours between samples."""
    keyed: bool = False
    """Whether samples look for key lamps themselves, and frugal cells of small surfaces each for the others: a few of
    them would not agree from frame to frame."""


SIMULATION = Effort(gather=1, lamp=1, sun=1, coarsest=3, frugal=True)
TEACHER = Effort(gather=6, lamp=1, sun=4, coarsest=2)
MAPS = Effort(gather=2, lamp=1, sun=1, coarsest=4, middle=3, finest=2, rim=True, frugal=True, keyed=True)


def grid_step(effort: Effort, size: tuple[int, int]) -> int:
    """Return the side of a cell [px] in a picture of some height and width."""
    pixels = size[0] * size[1]
    return effort.finest if pixels <= _SMALL else effort.middle if pixels <= _MIDDLE else effort.coarsest


class _Gathering:
    """Fills one LightGrid."""

    def __init__(self, bands: Bands, scene: tuple[Any, ...], size: tuple[int, int], effort: Effort):
        """Lay the grid out; arguments as of ``gather_light``."""
        width, step = size[1], grid_step(effort, size)
        self.bands, self.scene, self.effort, self.home = bands, scene, effort, scene[5]
        self.grid = LightGrid()
        self.grid.step, self.grid.width = step, width
        self.grid.columns, self.grid.rows = math.ceil(width / step), math.ceil(size[0] / step)
        self.grid.frugal, self.grid.keyed = int(effort.frugal), int(effort.keyed and scene[3].count > 0)
        self.layout = [width, step, self.grid.columns]
        self.cells = np.arange(self.grid.columns * self.grid.rows, dtype=np.int32)
        self.roofed = scene[2].open < ROOFED
        self.rays = effort.gather * (4 if self.roofed else 1)

    def empty(self, *dtypes: Any) -> tuple[wp.array, ...]:
        """Return arrays of one value a cell."""
        return tuple(wp.empty(len(self.cells), dtype=dtype, device=self.bands.device) for dtype in dtypes)

    def array(self, cells: np.ndarray) -> wp.array:
        """Return numbers of cells on the device."""
        return wp.array(cells.astype(np.int32, copy=False), dtype=wp.int32, device=self.bands.device, copy=False)

    def smooth(self, cells: wp.array, spread: int, light: Sequence[wp.array], out: Sequence[wp.array]) -> None:
        """Average the light of ``cells`` with that of their neighbours ``spread`` cells apart."""
        inputs = [cells, self.home, *self.layout, self.grid.rows, spread, *light, *out]
        self.bands.launch_runs(smooth_light_kernel, len(cells), inputs, chunk=512)

    def finish(self, cells: wp.array, rest: wp.array, raw: Sequence[wp.array], done: Sequence[wp.array]) -> None:
        """Smooth ``raw`` into the grid, whose other cells both hold; ``done`` is room for as much.

        Under a roof ``rest`` is smoothed again: edges of what comes in through single directions would show as steps.
        """
        self.smooth(cells, 1, raw, done)
        if self.roofed:
            again = [wp.clone(light) for light in done]
            self.smooth(rest, 2, done, again)
            done = again
        self.grid.lit, self.grid.gathered = done

    def fully(self) -> Any:
        """Light every cell with all its rays; return the grid."""
        from cosmos.bridge.render.draw.thorough import gather_light_kernel  # takes a while to read

        raw, cells = self.empty(wp.vec3, Gathered), self.array(self.cells)
        inputs = [*self.scene, *self.layout, self.rays, self.effort.lamp, *raw]
        self.bands.launch(gather_light_kernel, len(cells), inputs, chunk=512)
        self.finish(cells, cells, raw, self.empty(wp.vec3, Gathered))
        return self.grid

    def frugally(self) -> Any:
        """Light one cell of every block, and those for which that does not do; return the grid."""
        grid = self.grid
        raw, done = self.empty(wp.vec3, Gathered), self.empty(wp.vec3, Gathered)
        grid.picks, grid.rest, grid.sun, grid.tested = self.empty(wp.vec2i, wp.float32, wp.float32, wp.float32)
        (small,) = self.empty(wp.uint8)
        lamps = [grid.picks, grid.rest, small]
        cells = alone = sunned = rest = self.array(self.cells)
        if grid.step > 1:
            stride = _STRIDE
            every = self.array(self.cells.reshape(grid.rows, grid.columns)[::stride, ::stride].reshape(-1))
            self._light(every, stride, [*raw, *lamps])
            self._find_sun(every, stride, grid.tested)
            self.smooth(every, stride, raw, done)
            (marks,) = self.empty(wp.uint8)
            inputs = [self.home, *self.layout, grid.rows, stride, *done, *lamps, grid.tested, *raw, grid.sun, marks]
            self.bands.launch_runs(spread_light_kernel, len(every), inputs)
            marked = marks.numpy()
            alone, lamplit, sunned = (
                self.array(np.flatnonzero((marked & int(mark)) != 0)) for mark in (LIGHT_MARK, LAMP_MARK, SUN_MARK)
            )
            own = (marked & int(LIGHT_MARK)) != 0
            if grid.keyed:
                self._light(lamplit, 1, [*raw, *lamps], lamps_only=True)
                own |= (marked & int(LAMP_MARK)) != 0
            cells, rest = self.array(np.flatnonzero(own)), self.array(np.flatnonzero(~own))
        self._light(alone, 1, [*raw, *lamps])
        self._find_sun(sunned, 1, grid.tested)
        self.bands.launch(agree_on_sun_kernel, len(sunned), [sunned, grid.columns, grid.rows, grid.tested, grid.sun])
        self.finish(cells, rest, raw, done)
        return grid

    def _light(self, cells: wp.array, stride: int, out: list[wp.array], *, lamps_only: bool = False) -> None:
        rays = self.rays * max(1, stride * self.grid.step // 2)  # the larger what a cell stands for, the more
        inputs = [
            cells,
            *self.scene,
            *self.layout,
            self.grid.rows,
            stride,
            rays,
            self.grid.keyed,
            int(lamps_only),
            *out,
        ]
        self.bands.launch_runs(gather_frugally_kernel, len(cells), inputs, chunk=128)

    def _find_sun(self, cells: wp.array, stride: int, out: wp.array) -> None:
        world, _, air, _, _, home = self.scene
        self.bands.launch_runs(find_sun_kernel, len(cells), [cells, world, air, home, *self.layout, stride, out])


def gather_light(bands: Bands, scene: tuple[Any, ...], size: tuple[int, int], effort: Effort) -> Any:
    """Return a LightGrid over a picture.

    Args:
        bands: Where to launch.
        scene: World, atlas, air, lamps, view and surfaces at the pixel centres.
        size: Height and width [px].
        effort: How many rays are spent.
    """
    gathering = _Gathering(bands, scene, size, effort)
    grid = gathering.frugally() if effort.frugal else gathering.fully()
    pack_cells(bands, grid, scene[5])
    return grid


__all__ = ["MAPS", "SIMULATION", "TEACHER", "Effort", "gather_light", "grid_step"]
