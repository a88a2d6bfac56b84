"""The embedded Transfer model: frames a second of whole transfers of the warehouse, light maps and hints included.

What is timed is ``EmbeddedTransfer.transfer`` of a clip that was read before: prompt, light maps of the renderer,
hints, net and last pass. The clips are so long that how they begin and end, when one core waits for the first light and
the last picture, counts little, as in a clip of use; each is transferred before, and the best of several is told. The
memory is the most that a process of its own ever held: the stage, the renderer, the clip with its controls, torch and
the model.
"""

import functools
import os
import subprocess
import sys
from pathlib import Path

import bars
import warp as wp
from bars import Bar, best_seconds
from bench_render import CAMERA, warehouse

FRAMES = 4
PROMPT = "rain at dusk, wet ground"


@functools.lru_cache(maxsize=1)
def model():
    """The shipped weights, loaded."""
    from cosmos.bridge.transfer.embedded import EmbeddedTransfer

    made = EmbeddedTransfer()
    made.load("cuda:0" if bars.DEVICE.startswith("cuda") else "cpu")
    return made


def request(size, prompt=PROMPT, frames=FRAMES):
    """Some frames of the warehouse with their controls."""
    from cosmos.bridge.bridge import default_weights
    from cosmos.bridge.controls import derive_controls
    from cosmos.bridge.sources import StageSource, read_clip
    from cosmos.bridge.types import TransferRequest

    source = StageSource(warehouse(), camera=CAMERA, frames=range(frames), size=size, device=bars.DEVICE)
    clip = read_clip(source)
    source.close()
    weights = default_weights(clip)
    return TransferRequest(
        clip=clip, controls=derive_controls(clip, kinds=weights.kinds), weights=weights, prompt=prompt
    )


class _Transfer(Bar):
    """Frames a second, one step."""

    unit = "frames/s"
    size = (144, 256)
    frames = 12
    lit = True
    budget = 5.0

    def measure(self):
        from dataclasses import replace

        asked = request(self.size, frames=self.frames)
        if not self.lit:
            asked.clip.close()
            asked = replace(asked, clip=replace(asked.clip, probe=None))
        model().transfer(asked)
        wall, cost = best_seconds(lambda _: finished(model().transfer(asked)), budget=self.budget)
        asked.clip.close()
        return self.frames / wall, f"{1e3 * cost / self.frames:.0f} ms of CPU a frame, {self.frames} frames"


class Transfer256(_Transfer):
    """256x144."""

    title, bar = "embedded transfer, 256x144", 15


class Transfer640(_Transfer):
    """640x352."""

    title, bar, size, frames = "embedded transfer, 640x352", 4, (352, 640), 8


class Transfer1280(_Transfer):
    """1280x704."""

    title, bar, size, frames = "embedded transfer, 1280x704", 1, (704, 1280), FRAMES


class TransferMemory(Bar):
    """Peak memory of a process that reads a clip of 1280x704 from its stage and transfers it."""

    title, unit, bar, more_is_better = "embedded transfer, 1280x704, memory", "GiB", 2, False

    def measure(self):
        code = (
            "import bars, bench_transfer as b; "
            f"bars.DEVICE = {bars.DEVICE!r}; "
            "print(b.model().transfer(b.request((704, 1280))).provenance.peak_bytes)"
        )
        here = Path(__file__).parent
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), *sys.path])}
        told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment, text=True)
        return int(told.stdout.split()[-1]) / 2**30, f"{FRAMES} frames, renderer and clip included"


class TransferAlone(_Transfer):
    """1280x704 of a clip without a stage."""

    title, size, frames, lit = "embedded transfer, 1280x704, no stage to ask", (704, 1280), FRAMES, False


class TransferCameras(Bar):
    """Many cameras of 256x144 in one call, each with a look of its own, as for reinforcement learning."""

    title, unit = "embedded transfer, many cameras of 256x144, no stage to ask", "frames/s"

    def __init__(self):
        self.cameras, self.bar = (256, 3000) if bars.DEVICE.startswith("cuda") else (16, None)

    def measure(self):
        from cosmos.bridge.controls import derive_controls

        asked = request((144, 256))
        asked.clip.close()
        clip = first_frame(asked.clip)
        controls = derive_controls(clip, kinds=asked.weights.kinds)
        streams = [model().open(PROMPT, weights=asked.weights, seed=seed, fps=clip.fps) for seed in range(self.cameras)]
        pushes = [(stream, clip, controls, None) for stream in streams]
        wall, cost = best_seconds(lambda _: finished(model().push_all(pushes)), budget=self.budget)
        return self.cameras / wall, f"{1e3 * cost / self.cameras:.0f} ms of CPU a frame, {self.cameras} a call"


def finished(made):
    """What was made, once it is there: a GPU is asked for more than it has done."""
    wp.synchronize_device(bars.DEVICE)
    return made


def first_frame(clip):
    """The first frame of a clip, without its stage."""
    from dataclasses import replace

    from cosmos.bridge.types import BUFFERS

    buffers = {name: getattr(clip, name)[:1] for name in BUFFERS if getattr(clip, name) is not None}
    poses = {key: pose[:1] for key, pose in clip.poses.items()}
    few = replace(clip, cameras=clip.cameras[:1], time_codes=clip.time_codes[:1], poses=poses, **buffers)
    return replace(few, probe=None)


BARS = (Transfer256, Transfer640, Transfer1280, TransferMemory, TransferAlone, TransferCameras)
