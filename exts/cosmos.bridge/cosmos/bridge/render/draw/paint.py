"""Draws the colour picture of a frame: samples, slow light, shading, edges, particles, bytes.

Kernels take a while to read: those that few pictures need are imported where they are needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
import warp as wp

from cosmos.bridge.kernels.display import srgb_table
from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.borrow import mix_samples_kernel, put_back_kernel
from cosmos.bridge.render.draw.daylight import plain_sky
from cosmos.bridge.render.draw.edges import Edges, find_edges
from cosmos.bridge.render.draw.gather import MAPS, SIMULATION, TEACHER, Effort, gather_light, grid_step
from cosmos.bridge.render.draw.halo import no_halo
from cosmos.bridge.render.draw.lamp import has_glow
from cosmos.bridge.render.draw.lamp_edges import find_keys
from cosmos.bridge.render.draw.lighting import Lighting, expose_for
from cosmos.bridge.render.draw.picture import (
    average_kernel,
    encode_kernel,
    fill_fine_kernel,
    mark_edges_kernel,
)
from cosmos.bridge.render.draw.shade import shade_kernel
from cosmos.bridge.render.draw.sky import copied_air
from cosmos.bridge.render.draw.sun_edges import find_suns
from cosmos.bridge.render.draw.surface import make_surfaces, read_surfaces_kernel
from cosmos.bridge.render.draw.view import ORTHOGRAPHIC, PINHOLE, make_view
from cosmos.bridge.render.draw.visibility import Visibility
from cosmos.bridge.render.draw.world import World
from cosmos.bridge.render.quality import Reference
from cosmos.bridge.render.scene import Pose, Scene
from cosmos.bridge.types import Camera, LightMaps, Look

if TYPE_CHECKING:
    from cosmos.bridge.render.draw.layers import LayerPainter
    from cosmos.bridge.render.draw.trace import PathTracer
    from cosmos.bridge.types import Progress


_ROOF_DEPTH = 25.0
"""From under a roof, weather is seen only before things farther than this [m]."""


_BROAD_SUN, _BROAD_SUN_RAYS = 0.012, 8
"""A sun above this tangent of its angular radius (the true one has 0.005) has half-shadows that show; rays for it."""


_SIDE, _LENT_SIDE = 2, 4
"""Samples of a pixel along each axis, by which edges are found and mixed; more where they are lent their colours in the
quick picture of a look. The stage's own shall come fast, and through a bent lens each sample needs a ray."""


class _Canvas:
    """Scratch memory of one picture size, used again for each frame."""

    def __init__(self, height: int, width: int, device: Any):
        count = height * width
        self.device = device
        self.home = make_surfaces(count, device)
        image = np.empty((height, width, 2), dtype=np.float32)
        image[..., 0], image[..., 1] = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
        self.home.image = wp.array(image.reshape(-1, 2), dtype=wp.vec2, device=device, copy=False)
        self.colors = wp.empty(count, dtype=wp.vec3, device=device)
        self.marks = wp.empty(count, dtype=wp.uint8, device=device)
        self._size, self._seen = (height, width), dict[int, tuple[wp.array, wp.array]]()
        self._room, self._fine, self._shaded = 0, None, None
        self._arriving: Optional[wp.array] = None

    def show(self, seen: tuple[wp.array, wp.array]) -> None:
        """Let ``home`` show triangles and depths at the pixel centres; it shares their memory."""
        self.home.triangles, self.home.depths = (array.flatten() for array in seen)

    def fine_seen(self, side: int) -> tuple[wp.array, wp.array]:
        """Return room for triangles and depths of ``side`` x ``side`` samples of each pixel."""
        if side not in self._seen:
            size = (side * self._size[0], side * self._size[1])
            triangles, depths = (wp.empty(size, dtype=dtype, device=self.device) for dtype in (wp.int32, wp.float32))
            self._seen[side] = triangles, depths
        return self._seen[side]

    def room_for_light(self, times: int) -> wp.array:
        """Return room for ``times`` as many irradiances as there are pixel centres."""
        count = times * len(self.colors)
        if self._arriving is None or len(self._arriving) < count:
            self._arriving = wp.empty(count, dtype=wp.vec3, device=self.device)
        return self._arriving[:count]

    def fine(self, samples: int) -> tuple[Any, wp.array]:
        """Return room for at least ``samples`` more samples, and for their colours."""
        if samples > self._room:
            self._room = samples + samples // 4
            self._fine = make_surfaces(self._room, self.device)
            self._shaded = wp.empty(self._room, dtype=wp.vec3, device=self.device)
        return self._fine, self._shaded


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Frame:
    """What one picture is drawn from."""

    camera: Camera
    view: Any
    canvas: _Canvas
    effort: Effort
    toned: bool
    world: Any
    air: Any
    lamps: Any
    skin: Any
    """The air as surfaces know it: what it says of wear, wetness and snow."""
    halo: Any
    """How lamps glow in haze, where that is drawn."""


def _outdoors(air: Any) -> float:
    """Return how much falling weather there is where the light meter looked, in [0, 1]."""
    return float(np.interp(air.open, (0.25, 0.5), (0.0, 1.0)))


def _sun_rays(frame: _Frame) -> int:
    """Return how many rays a sample sends towards the sun."""
    return max(frame.effort.sun, _BROAD_SUN_RAYS if frame.air.sun_radius > _BROAD_SUN else 1)


class Painter:
    """Colours what Visibility found; keeps scratch memory and light-meter readings between frames."""

    def __init__(self, scene: Scene, start: Pose, world: World, visibility: Visibility, bands: Bands):
        """Prepare for one scene; the light meter reads at the pose ``start``."""
        self._scene, self._world, self._visibility, self._bands = scene, world, visibility, bands
        self._atlas = world.atlas
        self._lighting = Lighting(scene, start, world)
        self._tracer: Optional[PathTracer] = None
        self._traced: Optional[tuple[tuple[Any, ...], wp.array]] = None
        self._canvases: dict[tuple[int, int], _Canvas] = {}
        self._curve = srgb_table(bands.device)
        self._dark = no_halo(bands.device)

    def paint(
        self,
        camera: Camera,
        seen: tuple[wp.array, wp.array],
        pose: Pose,
        look: Optional[Look],
        cameras: list[Camera],
        *,
        rgb: wp.array,
        particles: bool,
        linear: bool = False,
        reference: Optional[Reference] = None,
        progress: Optional[Progress] = None,
    ) -> None:
        """Fill ``rgb``.

        Args:
            camera: Camera of the frame.
            seen: Triangles and depths at pixel centres.
            pose: Where lights are.
            look: Look, or ``None`` for the stage's own light.
            cameras: Where the light meter looks from.
            rgb: uint8, shape [H, W, 3]; float32 where ``linear``.
            particles: Whether flakes and streaks are drawn.
            reference: How paths are traced; quick shading when ``None``.
            progress: Told of samples done, where paths are traced.
            linear: Give exposed light as it is before tone mapping, particles, dirt of the lens and sensor noise.
        """
        frame = self._frame(camera, pose, look, cameras, toned=not linear)
        count, canvas = camera.width * camera.height, frame.canvas
        if reference is None:
            self._show(frame, seen)
            if has_glow(frame.air, frame.lamps):
                frame = replace(frame, halo=self._find_halo(frame))
            self._draw(frame)
        else:
            self._trace(frame, seen, pose, look, reference, progress)
        if linear:
            flat = wp.array(ptr=rgb.ptr, shape=(count,), dtype=wp.vec3, device=rgb.device, copy=False)
            wp.copy(flat, canvas.colors)
            return
        if look is not None and particles:
            self._draw_particles(frame, pose, look, seen[1])
        colors = canvas.colors
        if look is not None and look.lens_dirt > 0.0:
            colors = self._dirty(frame, pose, look)
        noise, seed = (0.0, 0) if look is None else (look.noise, look.seed & 0x7FFFFFFF)
        moment = round(pose.time_code * 8.0) & 0xFFFFF
        self._encode(camera, [colors, noise, seed, moment], rgb)

    def light(
        self,
        camera: Camera,
        seen: tuple[wp.array, wp.array],
        pose: Pose,
        look: Look,
        cameras: list[Camera],
        maps: LightMaps,
        edges: Optional[Edges] = None,
    ) -> Optional[Edges]:
        """Fill the light maps of a frame, and return its edges where its next light will have the same.

        Arguments are as for ``paint``, and the edges where they are known.
        """
        from cosmos.bridge.render.draw.balls import fill_balls

        frame = self._frame(camera, pose, look, cameras, bare=True)
        rain, snow = look.rain > 0.0, look.snow > 0.0
        arriving = frame.canvas.room_for_light(2 if snow else 1)
        self._show(frame, seen)
        grid, edges = self._draw(frame, arriving, edges)
        self._encode(camera, [frame.canvas.colors, 0.0, 0, 0], maps.relit)
        scene = [frame.world, frame.air, frame.lamps, frame.view, grid, frame.canvas.home]
        fill_balls(self._bands, scene, arriving, self._curve, maps, rain=rain, snow=snow)
        if has_glow(frame.air, frame.lamps):
            from cosmos.bridge.render.draw.halos import show_halo

            show_halo(self._bands, self._around(frame), self._find_halo(frame), self._curve, maps.glow)
        else:
            maps.glow.zero_()
        if rain or snow:
            from cosmos.bridge.render.draw.falling import find_falling

            find_falling(self._bands, frame.world, frame.view, seen[1], maps.falling, y_up=self._scene.up_axis == "Y")
        else:
            maps.falling.zero_()
        return edges

    def _frame(
        self,
        camera: Camera,
        pose: Pose,
        look: Optional[Look],
        cameras: list[Camera],
        *,
        toned: bool = True,
        bare: bool = False,
    ) -> _Frame:
        """Light a frame; on ``bare`` surfaces age and weather leave nothing."""
        key = (camera.height, camera.width)
        if key not in self._canvases:
            self._canvases[key] = _Canvas(*key, self._bands.device)
        air, lamps = self._lighting.decide(look, pose, cameras)
        expose_for(air, camera, look)
        skin = air
        if bare:
            skin = copied_air(air)
            skin.detail = skin.wet = skin.snow = 0.0
        return _Frame(
            camera=camera,
            view=make_view(camera, self._world.origin),
            canvas=self._canvases[key],
            effort=MAPS if bare else SIMULATION if look is None else TEACHER,
            toned=toned,
            world=self._world.ray_ready(),
            air=air,
            lamps=lamps,
            skin=skin,
            halo=self._dark,
        )

    def _show(self, frame: _Frame, seen: tuple[wp.array, wp.array]) -> None:
        """Read the surfaces at the pixel centres."""
        frame.canvas.show(seen)
        self._read(frame, frame.canvas.home, frame.camera.width * frame.camera.height)

    def _around(self, frame: _Frame) -> list[Any]:
        """Return what a halo is found in."""
        return [frame.world, frame.air, frame.lamps, frame.view, frame.canvas.home]

    def _find_halo(self, frame: _Frame) -> Any:
        """Return how lamps glow in haze, by what the canvas shows."""
        from cosmos.bridge.render.draw.halos import find_halo

        side = 2 * grid_step(frame.effort, (frame.camera.height, frame.camera.width))
        return find_halo(self._bands, self._around(frame), side)

    def _draw(
        self,
        frame: _Frame,
        arriving: Optional[wp.array] = None,
        edges: Optional[Edges] = None,
    ) -> tuple[Any, Optional[Edges]]:
        """Fill the canvas, which shows surfaces, by quick shading; return the slow light, and the edges.

        Args:
            frame: What to draw.
            arriving: Irradiance at the pixel centres to fill, if wanted, and after it that of snow, if there is room;
                where the sky is seen, its radiance.
            edges: Those of the frame; found where ``None``.
        """
        count, canvas = frame.camera.width * frame.camera.height, frame.canvas
        grid = self._gather(frame, canvas.home)
        suns = None
        if frame.air.bounce > 0.0 and grid.frugal and _sun_rays(frame) == 1:
            suns = find_suns(self._bands, (frame.world, frame.air, frame.view, canvas.home), grid)
        keys = None
        if grid.keyed:
            keys = find_keys(self._bands, (frame.world, frame.lamps, frame.view, canvas.home), grid)
        self._shade(frame, grid, canvas.home, count, canvas.colors, arriving=arriving, known=(suns, keys))
        return grid, self._refine_edges(frame, grid, edges)

    def _encode(self, camera: Camera, inputs: list, rgb: wp.array) -> None:
        """Turn colours into bytes; ``inputs`` are colours, noise, its seed and moment."""
        count = camera.width * camera.height
        self._bands.launch_runs(encode_kernel, count, [camera.width, self._curve, *inputs, rgb], chunk=4096)

    def _trace(
        self,
        frame: _Frame,
        seen: tuple[wp.array, wp.array],
        pose: Pose,
        look: Optional[Look],
        reference: Reference,
        progress: Optional[Progress],
    ) -> None:
        """Fill the canvas by tracing paths; what was traced last is kept, for its linear picture."""
        from cosmos.bridge.render.draw.trace import PathTracer

        if self._tracer is None:
            self._tracer = PathTracer(self._scene, self._bands)
        air, view = frame.air, frame.view
        if look is None:
            plain_sky(air, pose.lights or self._scene.lights)
        asked = (frame.camera, pose, look, reference)
        if self._traced is None or any(a is not b for a, b in zip(self._traced[0], asked, strict=True)):
            scene = (frame.world, self._atlas, air, frame.lamps, view)
            sums = self._tracer.trace(*scene, samples=reference.samples, seed=reference.seed, progress=progress)
            total = sums[0]
            if reference.denoise:
                from cosmos.bridge.render.draw.denoise import denoise

                frame.canvas.show(seen)
                self._read(frame, frame.canvas.home, view.width * view.height)
                total = denoise(self._bands, view.width, reference.samples, sums, frame.canvas.home)
            self._traced = (asked, total)
        self._tracer.expose(air, view, self._traced[1], reference.samples, frame.canvas.colors, toned=frame.toned)

    def _read(self, frame: _Frame, surfaces: Any, count: int) -> None:
        inputs = [frame.world, frame.skin, frame.view, surfaces]
        self._bands.launch_runs(read_surfaces_kernel, count, inputs, chunk=1024)

    def _shade(
        self,
        frame: _Frame,
        grid: Any,
        surfaces: Any,
        count: int,
        colors: wp.array,
        *,
        layer: bool = False,
        arriving: Optional[wp.array] = None,
        known: tuple[Optional[wp.array], Optional[wp.array]] = (None, None),
    ) -> None:
        scene = [frame.world, frame.air, frame.lamps, frame.view, grid]
        light = wp.empty(0, dtype=wp.vec3, device=self._bands.device) if arriving is None else arriving
        suns, keys = (
            wp.empty(0, dtype=dtype, device=self._bands.device) if told is None else told
            for told, dtype in zip(known, (wp.float32, wp.vec2), strict=True)
        )
        how = [_sun_rays(frame), int(frame.effort.rim), int(layer), int(frame.toned)]
        inputs = [*scene, surfaces, *how, frame.halo, suns, keys, colors, light]
        self._bands.launch_runs(shade_kernel, count, inputs, chunk=512)

    def _gather(self, frame: _Frame, home: Any) -> Any:
        """Return the slow light on the surfaces at the pixel centres, on its grid."""
        size, effort = (frame.camera.height, frame.camera.width), frame.effort
        scene = (frame.world, self._atlas, frame.air, frame.lamps, frame.view, home)
        return gather_light(self._bands, scene, size, effort)

    def _refine_edges(self, frame: _Frame, grid: Any, edges: Optional[Edges] = None) -> Optional[Edges]:
        """Mix each pixel that holds an edge from several samples; return the edges that may be given next time."""
        if edges is not None:
            self._borrow(frame, grid, edges)
            return edges
        bands, canvas, width = self._bands, frame.canvas, frame.camera.width
        count = width * frame.camera.height
        straight = frame.view.lens in (int(PINHOLE), int(ORTHOGRAPHIC))
        side = _LENT_SIDE if frame.effort.frugal and frame.air.bounce > 0.0 and straight else _SIDE
        fine_seen = canvas.fine_seen(side)
        fine_view = make_view(frame.camera, self._world.origin, scale=side)
        self._visibility.find(fine_view, fine_seen[1], fine_seen[0])
        inputs = [width, side, *fine_seen, self._world.arrays.instances, canvas.home, canvas.marks]
        bands.launch_runs(mark_edges_kernel, count, inputs, chunk=4096)
        layered = self._find_layered(frame, fine_view, fine_seen[1])
        marked = np.flatnonzero(canvas.marks.numpy().view(np.bool_)).astype(np.int32)
        if frame.effort.frugal and layered is None:
            scene = (*fine_seen, frame.world, canvas.home)
            found = find_edges(bands, scene, width, side, marked, lambda samples: canvas.fine(samples)[0])
            self._borrow(frame, grid, found)
            return found
        if not len(marked) and layered is None:
            return None
        pixels = wp.array(marked, dtype=wp.int32, device=bands.device, copy=False)
        samples = 4 * len(marked)
        fine, shaded = canvas.fine(samples)
        bands.launch(fill_fine_kernel, samples, [width, side, pixels, *fine_seen, fine], chunk=4096)
        self._read(frame, fine, samples)
        self._shade(frame, grid, fine, samples, shaded)
        if layered is not None:
            from cosmos.bridge.render.draw.layers import draw_layers

            painter = self._layer_painter(frame, grid)
            draw_layers(painter, layered, marked, fine, canvas.colors, shaded)
        bands.launch(average_kernel, len(marked), [pixels, shaded, canvas.colors], chunk=4096)
        return None

    def _borrow(self, frame: _Frame, grid: Any, edges: Edges) -> None:
        """Mix each pixel of an edge from colours of its neighbours; shade only the samples that no centre shows."""
        bands, canvas, count, samples = self._bands, frame.canvas, len(edges.pixels), len(edges.triangles)
        if not count:
            return
        fine, shaded = canvas.fine(max(1, samples))
        if samples:
            for name in ("image", "triangles", "depths"):
                wp.copy(getattr(fine, name), getattr(edges, name), count=samples)
            self._read(frame, fine, samples)
            self._shade(frame, grid, fine, samples, shaded)
        mixed = wp.empty(count, dtype=wp.vec3, device=bands.device)
        inputs = [len(edges.lenders) // count, edges.lenders, edges.slots, canvas.colors, shaded, mixed]
        bands.launch(mix_samples_kernel, count, inputs, chunk=4096)
        bands.launch(put_back_kernel, count, [edges.pixels, mixed, canvas.colors], chunk=4096)

    def _find_layered(self, frame: _Frame, fine_view: Any, fine_depths: wp.array) -> Optional[np.ndarray]:
        """Return which pixels hold clear things, bool [H W], their rims marked as edges; ``None`` where none does."""
        if self._world.blended is None:
            return None
        from cosmos.bridge.render.draw.layers import mark_layered

        marks = wp.empty(fine_depths.shape, dtype=wp.uint8, device=self._bands.device)
        self._visibility.mark_blended(fine_view, fine_depths, marks)
        layered = mark_layered(self._bands, frame.camera.width, marks, frame.canvas.marks)
        return layered if layered.any() else None

    def _layer_painter(self, frame: _Frame, grid: Any) -> LayerPainter:
        from cosmos.bridge.render.draw.layers import LayerPainter

        return LayerPainter(
            bands=self._bands,
            world=frame.world,
            view=frame.view,
            home=frame.canvas.home,
            light=grid,
            toned=frame.toned,
            read=partial(self._read, frame),
            gather=partial(self._gather, frame),
            shade=partial(self._shade, frame, layer=True),
        )

    def _draw_particles(self, frame: _Frame, pose: Pose, look: Look, depths: wp.array) -> None:
        """Lay falling snow and rain over the picture, where the stage is open to the sky."""
        air, camera = frame.air, frame.camera
        outdoors = _outdoors(air)
        snow, rain = look.snow * outdoors, look.rain * outdoors
        if snow <= 0.0 and rain <= 0.0:
            return
        from cosmos.bridge.render.draw.particles import draw_particles_kernel

        nearest = _ROOF_DEPTH if self._sheltered(camera) else 0.0
        glow = 0.03 * air.headlight
        light = [(air.haze_color[axis] + 0.5 * air.sky_light[axis] + glow) * 0.8 * air.exposure for axis in range(3)]
        time = pose.time_code / self._scene.fps
        weather = [nearest, time, snow, rain, look.seed & 0x7FFFFFFF, wp.vec3(*light)]
        inputs = [camera.width, camera.height, depths, *weather, frame.canvas.colors]
        self._bands.launch(draw_particles_kernel, camera.width * camera.height, inputs, chunk=1024)

    def _dirty(self, frame: _Frame, pose: Pose, look: Look) -> wp.array:
        """Return the picture through the dirt of the look's lens; rain leaves drops on one under the open sky."""
        from cosmos.bridge.kernels.lens_dirt import dirty_lens

        camera = frame.camera
        drops = look.lens_dirt * look.rain * _outdoors(frame.air)
        if drops > 0.0 and self._sheltered(camera):
            drops = 0.0
        return dirty_lens(
            self._bands,
            (camera.height, camera.width),
            frame.canvas.colors,
            dirt=look.lens_dirt,
            drops=drops,
            time=pose.time_code / self._scene.fps,
            seed=look.seed,
        )

    def _sheltered(self, camera: Camera) -> bool:
        """Return whether the camera stands under a roof."""
        from cosmos.bridge.render.draw.particles import roof_kernel

        eye = np.asarray(camera.cam_to_world)[:3, 3] - self._world.origin
        roof = wp.zeros(1, dtype=wp.int32, device=self._bands.device)
        up = wp.vec3(0.0, 1.0, 0.0) if self._scene.up_axis == "Y" else wp.vec3(0.0, 0.0, 1.0)
        inputs = [self._world.ray_ready(), wp.vec3(*eye.tolist()), up, roof]
        wp.launch(roof_kernel, dim=1, inputs=inputs, device=self._bands.device)
        return bool(roof.numpy()[0])


__all__ = ["Painter"]
