"""Bars of the embedded renderer on the warehouse: annotators, the interactive picture, visibility, the first frame."""

import functools
import os
import resource
import subprocess
import sys
import tempfile
import time

import bars
import embreex.mesh_construction
import embreex.rtcore_scene
import numpy as np
import warp as wp
from bars import Bar, best_seconds

from cosmos.bridge import scenes
from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.visibility import Visibility, make_view
from cosmos.bridge.render.draw.world import World
from cosmos.bridge.render.renderer import Renderer

CAMERA = "/World/Camera"
LARGE, SMALL = (704, 1280), (352, 640)


@functools.lru_cache(maxsize=1)
def warehouse() -> str:
    """Path of the warehouse on disk; kept until the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="bench-warehouse-")
    path = os.path.join(folder.name, "warehouse.usdc")
    scenes.warehouse(path)
    warehouse.folder = folder  # held: the stage and its textures go with it
    return path


@functools.lru_cache(maxsize=1)
def renderer(device: str) -> Renderer:
    """The renderer that all bars draw with."""
    return Renderer(warehouse(), device=device)


class _Frames(Bar):
    """Frames a second of the moving warehouse: time goes on and motion vectors are asked for with each frame."""

    unit = "frames/s"
    size = SMALL
    rgb = True

    def measure(self):
        drawn = renderer(bars.DEVICE)
        first = int(drawn.scene.start_time)
        count = max(1, int(drawn.scene.end_time) - first)
        cameras = {time: drawn.camera(CAMERA, float(time), size=self.size) for time in range(first, first + count + 1)}

        def draw(index):
            now = first + index % count + 1
            drawn.render(cameras[now], float(now), previous=(cameras[now - 1], float(now - 1)), rgb=self.rgb)
            wp.synchronize_device(bars.DEVICE)

        draw(0)
        wall, cost = best_seconds(draw, budget=self.budget)
        return 1.0 / wall, f"{1e3 * wall:.1f} ms, {1e3 * cost:.1f} ms of CPU on {drawn.threads} threads"


class AnnotatorsLarge(_Frames):
    """Depth, normals, ids and motion at 1280x704."""

    title, bar, size, rgb = "annotators but rgb, 1280x704", 12.0, LARGE, False


class AnnotatorsSmall(_Frames):
    """The same at 640x352."""

    title, bar, size, rgb = "annotators but rgb, 640x352", 40.0, SMALL, False


class PictureLarge(_Frames):
    """All annotators with the interactive picture at 1280x704."""

    title, bar, size, budget = "rgb interactive, 1280x704", 3.0, LARGE, 4.0


class PictureSmall(_Frames):
    """The same at 640x352."""

    title, bar, size = "rgb interactive, 640x352", 12.0, SMALL


class AgainstEmbree(Bar):
    """Primary visibility on one thread each: the same rays, triangles in the same place; agreement is checked first."""

    title, unit, bar = "visibility against Embree, per core", "x Embree", 4.0

    def measure(self):
        drawn = renderer(bars.DEVICE)
        camera, pose = drawn.camera(CAMERA, 0.0, size=LARGE), drawn._pose(0.0)
        bands = Bands("cpu", 1)
        world = World(drawn.scene, pose, bands)
        view = make_view(camera, world.origin)
        found = Visibility(world, bands, rays=False)
        depths = wp.empty(LARGE, dtype=wp.float32, device="cpu")
        triangles = wp.empty(LARGE, dtype=wp.int32, device="cpu")
        found.find(view, depths, triangles)
        _, ours = best_seconds(lambda _: found.find(view, depths, triangles), budget=self.budget)
        rays = camera_rays(camera)
        scene = embreex.rtcore_scene.EmbreeScene()
        corners = world.arrays.points.numpy()[world.arrays.triangles.numpy()].reshape(-1, 3, 3)
        embreex.mesh_construction.TriangleMesh(scene, np.ascontiguousarray(corners, dtype=np.float32))
        eye = (np.array(camera.cam_to_world)[:3, 3] - world.origin).astype(np.float32)
        starts = np.repeat(eye[None], len(rays), axis=0)
        primitives = scene.run(starts, rays)
        same = float(np.mean(primitives.reshape(LARGE) == triangles.numpy()))
        if same < 0.99:
            raise SystemExit(f"{self.title}: only {100 * same:.2f} % of the triangles are Embree's.")
        _, theirs = best_seconds(lambda _: scene.run(starts, rays), budget=self.budget)
        mega = len(rays) / 1e6
        return theirs / ours, f"{mega / ours:.1f} against {mega / theirs:.1f} M rays/s; {100 * same:.2f} % equal"


def camera_rays(camera) -> np.ndarray:
    """Unit directions of the pixel centres, world axes, float32, shape [H W, 3]."""
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    k = camera.intrinsics
    rays = np.stack([(u - k[0, 2]) / k[0, 0], (k[1, 2] - v) / k[1, 1], -np.ones_like(u)], axis=-1)
    rays = rays.reshape(-1, 3) @ np.array(camera.cam_to_world)[:3, :3].T
    return np.ascontiguousarray(rays / np.linalg.norm(rays, axis=1, keepdims=True), dtype=np.float32)


FIRST_FRAME = """
import sys
import warp as wp
wp.config.quiet = True
from cosmos.bridge.render.renderer import Renderer
renderer = Renderer(sys.argv[1], device=sys.argv[2])
renderer.render({camera!r}, 0.0, size={size}, rgb={rgb}).depth.numpy()
print("drawn", flush=True)
"""


class _FirstFrame(Bar):
    """A new process, kernels compiled before: from its start to the first frame of the warehouse, imports included."""

    unit, bar, more_is_better = "s", 1.0, False
    rgb = True

    def measure(self):
        code = FIRST_FRAME.format(camera=CAMERA, size=SMALL, rgb=self.rgb)
        command = [sys.executable, "-c", code, warehouse(), bars.DEVICE]
        # As a user's second run: Python may keep its bytecode, and the kernels are compiled.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        walls, costs = [], []
        for _ in range(5):
            start, spent = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
            ) as child:
                drawn = any(line.strip() == "drawn" for line in child.stdout)
                walls.append(time.perf_counter() - start)
            if not drawn or child.returncode:
                raise RuntimeError(f"The new process drew no frame and ended with {child.returncode}.")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            costs.append(after.ru_utime + after.ru_stime - spent.ru_utime - spent.ru_stime)
        return min(walls), f"{min(costs):.2f} s of CPU, its end included"


class FirstPicture(_FirstFrame):
    """With the picture."""

    title = "first frame with rgb, 640x352, new process"


class FirstAnnotators(_FirstFrame):
    """Without the picture."""

    title, rgb = "first frame without rgb, 640x352, new process", False


BARS = (AnnotatorsLarge, AnnotatorsSmall, PictureLarge, PictureSmall, AgainstEmbree, FirstPicture, FirstAnnotators)
