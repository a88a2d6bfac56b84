"""What Replicator's annotators cost as NumPy arrays, on top of drawing a frame of the warehouse."""

import time

import bars
from bars import Bar
from bench_render import CAMERA, LARGE, SMALL, renderer

from cosmos.bridge.render.annotators import ANNOTATORS, annotate

PICTURES = ("rgb", "HdrColor")
DRIVING = ("lidar", "hdmap")
SHADED = tuple(name for name in ANNOTATORS if name.startswith("shaded_"))
PLAIN = tuple(name for name in ANNOTATORS if name not in (*PICTURES, *DRIVING, *SHADED))


class _Annotators(Bar):
    """Frames a second with a set of annotators, boxes, occlusion and point cloud included."""

    unit = "frames/s"
    size = LARGE
    names: tuple = PLAIN

    def measure(self):
        drawn = renderer(bars.DEVICE)
        first = int(drawn.scene.start_time)
        count = max(1, int(drawn.scene.end_time) - first)
        cameras = {now: drawn.camera(CAMERA, float(now), size=self.size) for now in range(first, first + count + 1)}
        shares = []

        def draw(index):
            now = first + index % count + 1
            frame = drawn.render(cameras[now], float(now), previous=(cameras[now - 1], float(now - 1)), rgb=False)
            spent = time.process_time()
            annotate(frame, self.names)
            shares.append(time.process_time() - spent)

        draw(0)
        wall, cost = bars.best_seconds(draw, budget=self.budget)
        return 1.0 / wall, f"{1e3 * cost:.0f} ms of CPU, {1e3 * min(shares):.0f} of them on top of the buffers"


class ArraysLarge(_Annotators):
    """Everything but pictures, shaded segmentations, LiDAR and map at 1280x704."""

    title, bar = f"{len(PLAIN)} annotators as arrays, 1280x704", 12.0


class ArraysSmall(_Annotators):
    """The same at 640x352."""

    title, bar, size = f"{len(PLAIN)} annotators as arrays, 640x352", 40.0, SMALL


class LidarTurn(_Annotators):
    """One turn of 64 x 1800 beams with its picture."""

    title, names = "lidar, 64 x 1800 beams, with its picture", ("lidar",)


class MapPicture(_Annotators):
    """The HD map at 1280x704."""

    title, names = "hdmap, 1280x704", ("hdmap",)


BARS = (ArraysLarge, ArraysSmall, LidarTurn, MapPicture)
