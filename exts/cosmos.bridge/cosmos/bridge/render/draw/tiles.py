"""Many small pictures at once: every pixel of every camera is one ray of one launch."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import warp as wp

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.cast import first_seen
from cosmos.bridge.render.draw.matter import corner_weights
from cosmos.bridge.render.draw.resolve import facing_normal
from cosmos.bridge.render.draw.view import View, pixel_ray, pixel_start
from cosmos.bridge.render.draw.world import World, WorldArrays

wp.set_module_options({"enable_backward": False})

TILE_BUFFERS = ("depth", "normals", "semantic_ids", "instance_ids", "distance_to_camera")
"""What a tile may hold besides its picture: names of Frame, and Replicator's distance to the camera."""

_LENGTHS = ("depth", "distance_to_camera")


@wp.kernel
def _tiles_kernel(
    first: wp.int32,
    world: WorldArrays,
    views: wp.array(dtype=View),
    width: wp.int32,
    pixels: wp.int32,  # of one tile
    wanted: wp.int32,  # bits, in the order of TILE_BUFFERS
    keep: wp.int32,
    depth_out: wp.array3d(dtype=wp.float32),
    normals_out: wp.array4d(dtype=wp.float32),
    semantics_out: wp.array3d(dtype=wp.uint32),
    instances_out: wp.array3d(dtype=wp.uint32),
    distance_out: wp.array3d(dtype=wp.float32),
    triangles_out: wp.array3d(dtype=wp.int32),
    lengths_out: wp.array3d(dtype=wp.float32),
):
    item = first + wp.tid()
    n = item // pixels
    y = (item - n * pixels) // width
    x = item - n * pixels - y * width
    view = views[n]
    u = wp.float32(x) + 0.5
    v = wp.float32(y) + 0.5
    hit = first_seen(world, view, u, v)
    f = hit.triangle
    if keep == 1:
        triangles_out[n, y, x] = f
        lengths_out[n, y, x] = hit.t
    if f < 0:
        if wanted & 1 != 0:
            depth_out[n, y, x] = wp.float32(wp.inf)
        if wanted & 2 != 0:
            for axis in range(3):
                normals_out[n, y, x, axis] = wp.float32(0.0)
        if wanted & 4 != 0:
            semantics_out[n, y, x] = wp.uint32(0)
        if wanted & 8 != 0:
            instances_out[n, y, x] = wp.uint32(0)
        if wanted & 16 != 0:
            distance_out[n, y, x] = wp.float32(wp.inf)
        return
    owner = world.instances[f]
    ray = pixel_ray(view, u, v)
    here = pixel_start(view, u, v) + ray * hit.t
    if wanted & 1 != 0:
        depth_out[n, y, x] = -ray[2] * hit.t
    if wanted & 4 != 0:
        semantics_out[n, y, x] = world.semantics[owner]
    if wanted & 8 != 0:
        instances_out[n, y, x] = wp.uint32(owner + 1)
    if wanted & 16 != 0:
        distance_out[n, y, x] = wp.length(here)
    if wanted & 2 != 0:
        p = wp.transform_point(view.camera_to_world, here)
        a = world.points[world.triangles[3 * f]]
        b = world.points[world.triangles[3 * f + 1]]
        c = world.points[world.triangles[3 * f + 2]]
        geometric = wp.normalize(wp.cross(b - a, c - a))
        if wp.dot(geometric, wp.transform_vector(view.camera_to_world, ray)) > 0.0:
            geometric = -geometric
        normal = facing_normal(world, f, corner_weights(p, a, b, c), geometric)
        for axis in range(3):
            normals_out[n, y, x, axis] = normal[axis]


class Tiles:
    """Memory of ``count`` tiles of one size, used again for each step."""

    def __init__(self, count: int, size: tuple[int, int], names: tuple[str, ...], device: Any):
        """Make room.

        Args:
            count: Number of tiles.
            size: Height and width of each [px].
            names: Of TILE_BUFFERS, and ``rgb``.
            device: Warp device.
        """
        self.count, self.size = count, size
        shape, none = (count, *size), (0, 0, 0)
        kinds = {name: wp.float32 if name in _LENGTHS else wp.uint32 for name in TILE_BUFFERS if name != "normals"}
        self._all = {
            name: wp.empty(shape if name in names else none, dtype=kind, device=device) for name, kind in kinds.items()
        }
        self._all["normals"] = wp.empty((*(shape if "normals" in names else none), 3), dtype=wp.float32, device=device)
        self._wanted = sum(1 << bit for bit, name in enumerate(TILE_BUFFERS) if name in names)
        self._keep = "rgb" in names
        kept = shape if self._keep else none
        self.triangles = wp.empty(kept, dtype=wp.int32, device=device)
        self.lengths = wp.empty(kept, dtype=wp.float32, device=device)
        if self._keep:
            self._all["rgb"] = wp.empty((*shape, 3), dtype=wp.uint8, device=device)
        self.buffers: Mapping[str, wp.array] = {name: self._all[name] for name in names}

    def draw(self, bands: Bands, world: World, views: list[Any]) -> None:
        """Fill every buffer but ``rgb``; ``views`` holds one View a tile."""
        height, width = self.size
        seen_by = wp.array(views, dtype=View, device=bands.device)
        inputs = [world.ray_ready(), seen_by, width, height * width, self._wanted, int(self._keep)]
        outputs = [self._all[name] for name in TILE_BUFFERS]
        bands.launch(
            _tiles_kernel, self.count * height * width, [*inputs, *outputs, self.triangles, self.lengths], chunk=4096
        )


__all__ = ["TILE_BUFFERS", "Tiles"]
