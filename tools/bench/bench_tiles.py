"""Many small cameras at once: 64x64 depth and ids of 256 cameras of the warehouse, as reinforcement learning asks."""

from dataclasses import replace

import bars
import numpy as np
import warp as wp
from bars import Bar, best_seconds
from bench_render import CAMERA, renderer

TILES, SIZE = 256, (64, 64)


class _Tiles(Bar):
    """Tiles a second of ``render_tiles``; the kernels' own launch, all tiles together."""

    unit = "tiles/s"
    annotators = ("depth", "instance_ids")

    def measure(self):
        drawn = renderer(bars.DEVICE)
        cameras = fleet(drawn)

        def draw(_):
            drawn.render_tiles(cameras, 0.0, annotators=self.annotators)
            wp.synchronize_device(bars.DEVICE)

        draw(0)
        wall, cost = best_seconds(draw, budget=self.budget)
        rays = TILES * SIZE[0] * SIZE[1]
        return (
            TILES / wall,
            f"{1e3 * wall:.0f} ms a step, {1e3 * cost:.0f} ms of CPU, {1e-6 * rays / cost:.1f} M rays/s",
        )


class TilesDepthIds(_Tiles):
    """Depth and instance ids."""

    title = "256 tiles of 64x64, depth and ids"


class TilesAll(_Tiles):
    """Depth, normals and both kinds of ids."""

    title = "256 tiles of 64x64, with normals too"
    annotators = ("depth", "normals", "semantic_ids", "instance_ids")


def fleet(drawn):
    """Cameras on a grid over the floor, each turned its own way."""
    base = drawn.camera(CAMERA, 0.0, size=SIZE)
    cameras = []
    for index in range(TILES):
        turn, pose = 2.4 * index, np.array(base.cam_to_world)
        spin = np.array([[np.cos(turn), -np.sin(turn), 0.0], [np.sin(turn), np.cos(turn), 0.0], [0.0, 0.0, 1.0]])
        pose[:3, :3] = spin @ pose[:3, :3]
        pose[:3, 3] += (1.5 * (index % 16 - 8), 1.5 * (index // 16 - 8), 0.0)
        cameras.append(replace(base, prim_path=f"/Fleet/Camera{index}", cam_to_world=pose))
    return cameras


BARS = (TilesDepthIds, TilesAll)
