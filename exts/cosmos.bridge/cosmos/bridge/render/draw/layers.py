"""Blending: what shines through clear things, layer by layer from the front, in the pixels that hold any.

Every sample there is followed along its straight ray from one surface to the next until one lets nothing through. Each
layer is lit and shaded like the front one, in its own light, and they are added before tone mapping.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.kernels.display import aces
from cosmos.bridge.render.draw.atlas import OPACITY_SLOT
from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.light_grid import LightGrid, pack_cells, pixel_of
from cosmos.bridge.render.draw.matter import is_seen, opacity_at
from cosmos.bridge.render.draw.rays import step_past
from cosmos.bridge.render.draw.surface import Surfaces, make_surfaces
from cosmos.bridge.render.draw.view import View, pixel_ray, pixel_start
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options({"enable_backward": False})

MAX_LAYERS = 8
"""Clear surfaces that are looked through at most; the next one that annotators would see ends the ray."""
_FAINT = wp.constant(wp.float32(0.008))
"""Opacity read from a texture below which there is nothing at all: not even the reflection of clear glass."""


@wp.struct
class Chains:
    """Samples on their way through clear things."""

    image: wp.array(dtype=wp.vec2)  # image point [px]
    targets: wp.array(dtype=wp.int32)  # pixel of the picture, or -1 - number of the finer sample
    depths: wp.array(dtype=wp.float32)  # how far it has come, in lengths of pixel_ray
    passed: wp.array(dtype=wp.vec3)  # share of light from there on that arrives
    colors: wp.array(dtype=wp.vec3)  # gathered so far
    live: wp.array(dtype=wp.int32)


@wp.kernel
def _mark_pixels_kernel(
    first: wp.int32,
    width: wp.int32,
    side: wp.int32,
    fine: wp.array2d(dtype=wp.uint8),
    layered_out: wp.array(dtype=wp.uint8),
    edges_out: wp.array(dtype=wp.uint8),
):
    """A pixel is layered where any of its finer samples is, and holds an edge too where not all are."""
    i = first + wp.tid()
    y = i // width
    x = i - y * width
    count = wp.int32(0)
    for k in range(side * side):
        count += wp.int32(fine[side * y + k // side, side * x + k % side])
    layered_out[i] = wp.uint8(0)
    if count > 0:
        layered_out[i] = wp.uint8(1)
        if count < side * side:
            edges_out[i] = wp.uint8(1)


@wp.kernel
def _start_kernel(first: wp.int32, picture: Surfaces, fine: Surfaces, near: wp.float32, chains: Chains):
    i = first + wp.tid()
    target = chains.targets[i]
    if target >= 0:
        chains.image[i] = picture.image[target]
    else:
        chains.image[i] = fine.image[-1 - target]
    chains.depths[i] = near
    chains.passed[i] = wp.vec3(1.0, 1.0, 1.0)
    chains.colors[i] = wp.vec3(0.0, 0.0, 0.0)
    chains.live[i] = 1


@wp.func
def _stops(world: WorldArrays, f: wp.int32, p: wp.vec3, last: wp.int32):
    """Whether a ray stops at triangle ``f``, to be shaded there."""
    row = world.materials[f]
    kind = world.atlas.rows[row, 24]
    if kind == 0.0:
        return True
    if kind == 1.0 or last == 1:
        return is_seen(world, f, p)
    if world.atlas.rows[row, OPACITY_SLOT] == -1.0 and world.atlas.rows[row, 23] == 0.0:
        return True
    return opacity_at(world, f, p) >= _FAINT


@wp.kernel
def _walk_kernel(
    first: wp.int32,
    world: WorldArrays,
    view: View,
    items: wp.array(dtype=wp.int32),
    last: wp.int32,
    chains: Chains,
    surfaces: Surfaces,
):
    """Follow each chain to the next surface on its ray."""
    j = first + wp.tid()
    i = items[j]
    uv = chains.image[i]
    surfaces.image[j] = uv
    surfaces.triangles[j] = -1
    surfaces.depths[j] = 0.0
    ray = pixel_ray(view, uv[0], uv[1])
    length = wp.length(ray)
    if length == 0.0:
        return
    direction = wp.normalize(wp.transform_vector(view.camera_to_world, ray))
    start = wp.transform_point(view.camera_to_world, pixel_start(view, uv[0], uv[1]))
    travelled = chains.depths[i] * length
    for _layer in range(256):
        query = wp.mesh_query_ray(world.mesh, start + direction * travelled, direction, view.far * length - travelled)
        if not query.result:
            return
        f = query.face
        t = travelled + query.t
        travelled = step_past(t)
        side = world.sides[world.instances[f]]
        a = world.points[world.triangles[3 * f]]
        b = world.points[world.triangles[3 * f + 1]]
        c = world.points[world.triangles[3 * f + 2]]
        facing = wp.dot(wp.cross(b - a, c - a), direction)
        if side == 0 or wp.float32(side) * facing < 0.0:
            stops = _stops(world, f, start + direction * t, last)
            if stops:
                surfaces.triangles[j] = f
                surfaces.depths[j] = t / length
                chains.depths[i] = travelled / length
                return


@wp.kernel
def _place_kernel(
    first: wp.int32, items: wp.array(dtype=wp.int32), chains: Chains, found: Surfaces, home: Surfaces, picture: Surfaces
):
    """Lay the surfaces that pixel centres came to, and the front picture does not show, into a picture."""
    j = first + wp.tid()
    pixel = chains.targets[items[j]]
    if pixel < 0:
        return
    if found.triangles[j] != home.triangles[pixel]:
        picture.triangles[pixel] = found.triangles[j]
        picture.depths[pixel] = found.depths[j]


@wp.kernel
def _merge_light_kernel(first: wp.int32, height: wp.int32, front: LightGrid, picture: Surfaces, light: LightGrid):
    """Take the front picture's light where the layer shows nothing of its own."""
    cell = first + wp.tid()
    row = cell // light.columns
    column = cell - row * light.columns
    if picture.triangles[pixel_of(row, column, light.step, light.width, height)] < 0:
        light.lit[cell] = front.lit[cell]
        light.gathered[cell] = front.gathered[cell]
        if light.frugal == 1:
            light.picks[cell] = front.picks[cell]
            light.rest[cell] = front.rest[cell]
            light.sun[cell] = front.sun[cell]


@wp.kernel
def _merge_surfaces_kernel(first: wp.int32, home: Surfaces, picture: Surfaces):
    """Take what shading asks of its neighbours from the front picture where the layer shows nothing of its own."""
    i = first + wp.tid()
    if picture.triangles[i] < 0:
        picture.triangles[i] = home.triangles[i]
        picture.depths[i] = home.depths[i]
        picture.positions[i] = home.positions[i]
        picture.geometric[i] = home.geometric[i]
        picture.normals[i] = home.normals[i]
        picture.gloss[i] = home.gloss[i]


@wp.kernel
def _add_kernel(
    first: wp.int32,
    items: wp.array(dtype=wp.int32),
    surfaces: Surfaces,
    shaded: wp.array(dtype=wp.vec3),
    chains: Chains,
):
    """Add a layer, and end the chains through which hardly any more light comes."""
    j = first + wp.tid()
    i = items[j]
    passed = chains.passed[i]
    chains.colors[i] = chains.colors[i] + wp.cw_mul(passed, shaded[j])
    veil = surfaces.veil[j]
    passed = wp.cw_mul(passed, wp.vec3(veil[0], veil[1], veil[2]))
    if surfaces.triangles[j] < 0 or wp.max(passed[0], wp.max(passed[1], passed[2])) < 0.004:
        chains.live[i] = 0
    chains.passed[i] = passed


@wp.kernel
def _finish_kernel(
    first: wp.int32,
    chains: Chains,
    toned: wp.int32,
    colors_out: wp.array(dtype=wp.vec3),
    fine_out: wp.array(dtype=wp.vec3),
):
    i = first + wp.tid()
    target = chains.targets[i]
    color = chains.colors[i]
    if toned == 1:
        color = aces(color)
    if target >= 0:
        colors_out[target] = color
    else:
        fine_out[-1 - target] = color


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LayerPainter:
    """What layers need of the painter of one frame."""

    bands: Bands
    world: Any
    view: Any
    home: Any
    """Surfaces at the pixel centres of the front picture."""
    light: Any
    """LightGrid of the front picture."""
    toned: bool
    """Whether colours are tone-mapped."""
    read: Callable[[Any, int], None]
    """Fills surfaces: (surfaces, count)."""
    gather: Callable[[Any], Any]
    """Returns the LightGrid of a picture of surfaces."""
    shade: Callable[[Any, Any, int, wp.array], None]
    """Shades: (light, surfaces, count, colours)."""


def _make_chains(targets: np.ndarray, device: Any) -> Any:
    chains, count = Chains(), len(targets)
    chains.targets = wp.array(targets.astype(np.int32), dtype=wp.int32, device=device)
    chains.image = wp.empty(count, dtype=wp.vec2, device=device)
    chains.depths = wp.empty(count, dtype=wp.float32, device=device)
    chains.passed = wp.empty(count, dtype=wp.vec3, device=device)
    chains.colors = wp.empty(count, dtype=wp.vec3, device=device)
    chains.live = wp.empty(count, dtype=wp.int32, device=device)
    return chains


def mark_layered(bands: Bands, width: int, fine_marks: wp.array, edges: wp.array) -> np.ndarray:
    """Return which pixels hold clear things, bool [H W], and mark those of them that hold the rim of one.

    Args:
        bands: Where to launch.
        width: Width of the picture [px].
        fine_marks: uint8 [S H, S W], 1 where a finer sample meets a clear thing.
        edges: uint8 [H W], set to 1 at rims.
    """
    layered = wp.empty(len(edges), dtype=wp.uint8, device=bands.device)
    side = fine_marks.shape[1] // width
    bands.launch(_mark_pixels_kernel, len(edges), [width, side, fine_marks, layered, edges], chunk=4096)
    return np.asarray(layered.numpy() > 0)


def draw_layers(
    painter: LayerPainter, layered: np.ndarray, edges: np.ndarray, fine: Any, colors: wp.array, fine_colors: wp.array
) -> None:
    """Colour what lies in and behind clear things.

    Args:
        painter: How the frame is drawn.
        layered: Which pixels hold clear things, bool [H W].
        edges: Pixels that finer samples are drawn of, int32 [K], four samples each in this order.
        fine: Surfaces of those samples.
        colors: Display-linear colours of the pixels; those of layered ones are replaced.
        fine_colors: Display-linear colours of the samples; likewise.
    """
    bands, home, count = painter.bands, painter.home, len(layered)
    samples = np.nonzero(np.repeat(layered[edges], 4))[0]
    targets = np.concatenate([np.nonzero(layered)[0], -1 - samples])
    if not len(targets):
        return
    chains = _make_chains(targets, bands.device)
    near = float(painter.view.near)
    bands.launch(_start_kernel, len(targets), [home, fine, near, chains], chunk=4096)
    picture = make_surfaces(count, bands.device)
    wp.copy(picture.image, home.image)
    for depth in range(MAX_LAYERS + 1):
        items = np.nonzero(chains.live.numpy())[0].astype(np.int32)
        if not len(items):
            break
        last = int(depth == MAX_LAYERS)
        _draw_layer(painter, chains, wp.array(items, dtype=wp.int32, device=bands.device), picture, last)
    bands.launch(_finish_kernel, len(targets), [chains, int(painter.toned), colors, fine_colors], chunk=4096)


def _draw_layer(painter: LayerPainter, chains: Any, items: wp.array, picture: Any, last: int) -> None:
    bands, home, front = painter.bands, painter.home, painter.light
    found = make_surfaces(len(items), bands.device)
    shaded = wp.empty(len(items), dtype=wp.vec3, device=bands.device)
    bands.launch(_walk_kernel, len(items), [painter.world, painter.view, items, last, chains, found], chunk=512)
    picture.triangles.fill_(-1)
    bands.launch(_place_kernel, len(items), [items, chains, found, home, picture], chunk=4096)
    light, count = front, len(picture.triangles)
    if (picture.triangles.numpy() >= 0).any():
        painter.read(picture, count)
        light = painter.gather(picture)
        merging = [count // front.width, front, picture, light]
        bands.launch(_merge_light_kernel, light.columns * light.rows, merging, chunk=4096)
        bands.launch(_merge_surfaces_kernel, count, [home, picture], chunk=4096)
        pack_cells(bands, light, picture)
    painter.read(found, len(items))
    painter.shade(light, found, len(items), shaded)
    bands.launch(_add_kernel, len(items), [items, found, shaded, chains], chunk=4096)


__all__ = ["MAX_LAYERS", "LayerPainter", "draw_layers", "mark_layered"]
