"""What ``CosmosBridgeWriter.write()`` costs the main thread at 1280 x 720, beside a bare copy of the same buffers.

    python tools/measure_writer.py [--frames 60] [--products 1]

CPU time of the calling thread, after the buffers of the pool are warm; the converting thread runs beside, as it does
inside Kit. Both alternate frame by frame, so that a busy machine strikes both.
"""

import argparse
import time

import numpy as np

from cosmos.bridge.kit.annotators import Calibration, wanted_annotators
from cosmos.bridge.kit.recorder import SLOTS, Recorder
from cosmos.bridge.kit.take import Surroundings
from cosmos.bridge.sinks.stage_facts import StageFacts

HEIGHT, WIDTH = 720, 1280


def payload(products: int) -> dict:
    """Return one frame of every product as Replicator hands it over."""
    draw = np.random.default_rng(7)
    ids = {"idToLabels": {str(key): {"class": f"thing {key}"} for key in range(60)}}
    paths = {"idToLabels": {str(key): f"/World/Thing_{key}" for key in range(60)}}
    lens = {
        "cameraProjection": np.diag([1.5, 2.7, 0.0, 0.0]).ravel(),
        "cameraViewTransform": np.eye(4).ravel(),
        "renderProductResolution": np.array([WIDTH, HEIGHT]),
        "cameraNearFar": np.array([0.1, 100.0]),
        "metersPerSceneUnit": 1.0,
    }
    entries = {
        "rgb": {"data": draw.integers(1, 255, (HEIGHT, WIDTH, 4), dtype=np.uint8)},
        "distance_to_image_plane": {"data": draw.random((HEIGHT, WIDTH), dtype=np.float32)},
        "normals": {"data": draw.random((HEIGHT, WIDTH, 4), dtype=np.float32)},
        "motion_vectors": {"data": draw.random((HEIGHT, WIDTH, 4), dtype=np.float32)},
        "semantic_segmentation": {"data": draw.integers(2, 60, (HEIGHT, WIDTH)).astype(np.uint32), **ids},
        "instance_id_segmentation": {"data": draw.integers(1, 60, (HEIGHT, WIDTH)).astype(np.uint32), **paths},
        "camera_params": lens,
    }
    names = [f"Replicator_{index}" for index in range(products)]
    return {
        "renderProducts": {
            name: {**entries, "camera": f"/World/{name}", "resolution": (WIDTH, HEIGHT)} for name in names
        },
        "reference_time": (0, 1),
    }


def measure(frames: int, products: int) -> tuple[np.ndarray, np.ndarray]:
    """Return milliseconds of each ``record`` and of each bare copy."""
    facts = StageFacts(
        path="scene.usda", metres_per_unit=1.0, up_axis="Z", time_codes_per_second=24.0, frames_per_second=24.0,
        default_prim="World", roots=frozenset(("World",)),
    )  # fmt: skip
    data = payload(products)
    arrays = [
        entry["data"] for shown in data["renderProducts"].values() for entry in shown.values()
        if isinstance(entry, dict) and "data" in entry
    ]  # fmt: skip
    own = [[array.copy() for array in arrays] for _ in range(SLOTS)]
    recorder = Recorder(
        tuple(request.name for request in wanted_annotators(use_instance_id=True)),
        lambda *_: Surroundings(stage=facts, start_code=0.0),
        calibration=Calibration(),
    )
    spent, bare = [], []
    for index in range(frames + SLOTS):
        data["reference_time"] = (index, 24)
        start = time.thread_time()
        take = recorder.record(data)
        middle = time.thread_time()
        for kept, array in zip(own[index % SLOTS], arrays, strict=True):
            np.copyto(kept, array)
        end = time.thread_time()
        if index >= SLOTS:
            spent.append(1e3 * (middle - start))
            bare.append(1e3 * (end - middle))
        if index % 8 == 7:  # pictures of a long take would fill the memory
            cut = recorder.cut()
            cut.wait()
            cut.forget()
    assert take is not None and take.fault is None
    recorder.close()
    return np.array(spent), np.array(bare)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=60, help="frames to measure")
    parser.add_argument("--products", type=int, default=1, help="render products in each")
    args = parser.parse_args()
    spent, bare = measure(args.frames, args.products)
    for name, values in (("write()", spent), ("bare copy", bare)):
        median, high = np.percentile(values, [50, 99])
        print(f"{name:10} median {median:6.2f} ms, p99 {high:6.2f} ms of main-thread CPU time")


if __name__ == "__main__":
    main()
