"""Compare what the renderer sees with Embree, on the authored scenes and on random ones.

    python tools/check_visibility.py                 the three authored scenes and 200 random ones
    python tools/check_visibility.py --seeds 24      fewer

Both ways of seeing are checked on the CPU, the rasteriser and the rays, against Embree on triangles placed in float64.
Away from silhouettes there must be no hit or miss that differs and no other id, and the depths of all pictures must
agree to 1e-5 at the 99.9th percentile. Exits with 1 if not. Away from silhouettes is a pixel whose eight neighbours
show the same instance in Embree's picture, and which still shows it when looked at a hundredth of a pixel beside.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import embreex.mesh_construction
import embreex.rtcore_scene
import numpy as np
import warp as wp

from cosmos.bridge import scenes
from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.visibility import FAR_AWAY, Visibility, make_view
from cosmos.bridge.render.draw.world import World
from cosmos.bridge.render.scene import Pose, Scene
from cosmos.bridge.render.usd.stage import StageReader
from cosmos.bridge.types import Camera

SIZE = (64, 96)
AUTHORED = ("warehouse", "tabletop", "street")
MOST_DEPTH = 1e-5
MOST_LAYERS = 64


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one way of seeing got right on one picture."""

    name: str
    way: str
    pixels: int
    """Away from silhouettes."""
    hits: int
    """Pixels where one sees something and the other nothing."""
    ids: int
    """Pixels that show another instance."""
    apart: np.ndarray
    """Relative differences of the depths."""

    @property
    def depth(self) -> float:
        """Relative difference of the depths at the 99.9th percentile."""
        return percentile([self])

    @property
    def sound(self) -> bool:
        return self.hits == 0 and self.ids == 0

    def __str__(self) -> str:
        said = f"{self.name} by {self.way}: {self.pixels} pixels, {self.hits} other hits, {self.ids} other ids"
        return f"{said}, depth p99.9 {self.depth:.1e}" + ("" if self.sound else "  WRONG")


def percentile(found: list[Found]) -> float:
    """Relative difference of the depths of some pictures at the 99.9th percentile."""
    apart = np.concatenate([item.apart for item in found])
    return float(np.percentile(apart, 99.9)) if len(apart) else 0.0


def placed_triangles(scene: Scene, pose: Pose, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corners relative to ``origin`` in float64 [F, 3, 3], instance id [F], and the side that is drawn [F] (0 both)."""
    corners, owners, sides = [], [], []
    for row, index in enumerate(scene.mesh_of):
        if not pose.visible[row]:
            continue
        mesh, matrix = scene.meshes[index], pose.local_to_world[row]
        points = np.asarray(pose.points.get(int(index), mesh.points), dtype=np.float64)
        world = points @ matrix[:3, :3].T + matrix[:3, 3] - origin
        corners.append(world[mesh.triangles])
        owners.append(np.full(len(mesh.triangles), row + 1))
        side = 0 if mesh.double_sided else (-1 if np.linalg.det(matrix[:3, :3]) < 0.0 else 1)
        sides.append(np.full(len(mesh.triangles), side))
    return np.concatenate(corners), np.concatenate(owners), np.concatenate(sides)


def pixel_rays(camera: Camera) -> np.ndarray:
    """Directions through the pixel centres, one metre deep, world axes, float64 [H W, 3]."""
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    k = camera.intrinsics
    local = np.stack([(u - k[0, 2]) / k[0, 0], (k[1, 2] - v) / k[1, 1], -np.ones_like(u)], axis=-1)
    return local.reshape(-1, 3) @ np.asarray(camera.cam_to_world)[:3, :3].T


def embree(scene: Scene, pose: Pose, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Depth and instance id of each pixel by Embree, which looks through the back faces of single-sided meshes."""
    eye = np.asarray(camera.cam_to_world)[:3, 3]
    corners, owners, sides = placed_triangles(scene, pose, eye)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    built = embreex.rtcore_scene.EmbreeScene()
    embreex.mesh_construction.TriangleMesh(built, np.ascontiguousarray(corners, dtype=np.float32))
    rays = pixel_rays(camera)
    lengths = np.linalg.norm(rays, axis=1)
    unit = rays / lengths[:, None]
    travelled = camera.near * lengths
    depth, ids = np.full(len(rays), np.inf), np.zeros(len(rays), dtype=np.int64)
    left = np.arange(len(rays))
    for _ in range(MOST_LAYERS):
        starts = (unit[left] * travelled[left, None]).astype(np.float32)
        hit = built.run(starts, unit[left].astype(np.float32), output=True)
        face = hit["primID"]
        left, face, way = left[face >= 0], face[face >= 0], hit["tfar"][face >= 0]
        travelled[left] += way
        front = sides[face] * np.sum(normals[face] * unit[left], axis=1) <= 0.0
        seen = left[front]
        depth[seen], ids[seen] = travelled[seen] / lengths[seen], owners[face[front]]
        left = left[~front]
        travelled[left] += 1e-5 * (1.0 + travelled[left])
        if not len(left):
            break
    beyond = depth > camera.far
    depth[beyond], ids[beyond] = np.inf, 0
    shape = (camera.height, camera.width)
    return depth.reshape(shape), ids.reshape(shape)


def interior(ids: np.ndarray) -> np.ndarray:
    """Pixels whose eight neighbours show the same instance; those at the border of the picture are none."""
    inside = np.zeros(ids.shape, dtype=bool)
    inside[1:-1, 1:-1] = True
    height, width = ids.shape
    for dy in range(3):
        for dx in range(3):
            inside[1:-1, 1:-1] &= ids[dy : dy + height - 2, dx : dx + width - 2] == ids[1:-1, 1:-1]
    return inside


def beside(scene: Scene, pose: Pose, camera: Camera, ids: np.ndarray) -> np.ndarray:
    """Pixels that still show ``ids`` when looked at a hundredth of a pixel to each side."""
    still = np.ones(ids.shape, dtype=bool)
    for dy, dx in ((0.01, 0.01), (0.01, -0.01), (-0.01, 0.01), (-0.01, -0.01)):
        lens = np.array(camera.intrinsics)
        lens[:2, 2] += dx, dy
        still &= embree(scene, pose, replace(camera, intrinsics=lens))[1] == ids
    return still


def compare(name: str, scene: Scene, pose: Pose, camera: Camera) -> Iterator[Found]:
    """Yield what each way of seeing found on one picture."""
    depth, ids = embree(scene, pose, camera)
    inside = interior(ids)
    bands = Bands("cpu", 2)
    world = World(scene, pose, bands)
    instances = world.arrays.instances.numpy()
    for way, rays in (("raster", False), ("rays", True)):
        depths = wp.empty((camera.height, camera.width), dtype=wp.float32, device="cpu")
        triangles = wp.empty((camera.height, camera.width), dtype=wp.int32, device="cpu")
        Visibility(world, bands, rays=rays).find(make_view(camera, world.origin), depths, triangles)
        found, ours = triangles.numpy(), depths.numpy().astype(np.float64)
        own = np.where(found >= 0, instances[np.maximum(found, 0)] + 1, 0)
        if np.any(inside & (own != ids)):
            inside &= beside(scene, pose, camera, ids)
        both = inside & (own == ids) & (ids > 0) & (ours < float(FAR_AWAY))
        yield Found(
            name=name,
            way=way,
            pixels=int(inside.sum()),
            hits=int(np.sum(inside & ((own > 0) != (ids > 0)))),
            ids=int(np.sum(inside & (own > 0) & (ids > 0) & (own != ids))),
            apart=np.abs(ours[both] - depth[both]) / depth[both],
        )
    bands.close()


def check(name: str, stage: object, *, times: tuple[float, ...] = (0.0,), size: tuple[int, int] = SIZE) -> list[Found]:
    """Compare each camera of a stage at ``times``; returns one Found for each way, camera and time."""
    reader = StageReader(stage)
    found = []
    for path in reader.scene.camera_paths:
        for time_code in times:
            camera = reader.camera(path, time_code, size=size)
            found += compare(f"{name}{path}@{time_code:g}", reader.scene, reader.pose(time_code), camera)
    reader.close()
    return found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200, help="random scenes (default 200)")
    parser.add_argument("--first", type=int, default=0, help="first seed (default 0)")
    options = parser.parse_args(arguments)
    wp.config.quiet = True
    start, pictures = time.process_time(), []
    named = [(name, getattr(scenes, name)) for name in AUTHORED]
    seeds = range(options.first, options.first + options.seeds)
    for name, make in [*named, *((f"random {seed}", lambda seed=seed: scenes.random(seed)) for seed in seeds)]:
        for found in check(name, make(), times=(0.0, 7.0)):
            pictures.append(found)
            if not found.sound or found.depth > MOST_DEPTH:
                print(found, flush=True)
    wrong = sum(not found.sound for found in pictures)
    for way in ("raster", "rays"):
        mine = [found for found in pictures if found.way == way]
        wrong += percentile(mine) > MOST_DEPTH
        print(
            f"{way}: {len(mine)} pictures, {sum(item.pixels for item in mine)} pixels away from silhouettes, "
            f"{sum(item.hits for item in mine)} other hits, {sum(item.ids for item in mine)} other ids, "
            f"depth p99.9 {percentile(mine):.1e}, of the worst picture {max(item.depth for item in mine):.1e}"
        )
    print(f"{wrong} of {len(pictures)} comparisons wrong; {time.process_time() - start:.0f} s of CPU")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
