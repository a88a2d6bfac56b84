"""The embedded Transfer model: frames a second of whole transfers of the warehouse, light maps and hints included."""

import functools

import bars
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


def request(size, prompt=PROMPT):
    """Some frames of the warehouse with their controls."""
    from cosmos.bridge.bridge import default_weights
    from cosmos.bridge.controls import derive_controls
    from cosmos.bridge.sources import StageSource, read_clip
    from cosmos.bridge.types import TransferRequest

    source = StageSource(warehouse(), camera=CAMERA, frames=range(FRAMES), size=size, device=bars.DEVICE)
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
    lit = True

    def measure(self):
        from dataclasses import replace

        asked = request(self.size)
        if not self.lit:
            asked.clip.close()
            asked = replace(asked, clip=replace(asked.clip, probe=None))
        model().transfer(asked)
        results = []
        wall, cost = best_seconds(lambda _: results.append(model().transfer(asked)), budget=self.budget)
        asked.clip.close()
        peak = results[-1].provenance.peak_bytes / 2**30
        return FRAMES / wall, f"{1e3 * cost / FRAMES:.0f} ms of CPU a frame; the process held {peak:.2f} GiB at most"


class Transfer256(_Transfer):
    """256x144."""

    title, bar = "embedded transfer, 256x144", 15


class Transfer640(_Transfer):
    """640x352."""

    title, bar, size = "embedded transfer, 640x352", 4, (352, 640)


class Transfer1280(_Transfer):
    """1280x704."""

    title, bar, size = "embedded transfer, 1280x704", 1, (704, 1280)


class TransferAlone(_Transfer):
    """1280x704 of a clip without a stage."""

    title, size, lit = "embedded transfer, 1280x704, no stage to ask", (704, 1280), False


BARS = (Transfer256, Transfer640, Transfer1280, TransferAlone)
