"""BasicWriter with pictures in a new look and its own labels: a training set that other tools read as they always did.

In the Script Editor, with cosmos.bridge enabled and a stage with a camera open.
"""

import asyncio

import omni.kit.app
import omni.replicator.core as rep

BASIC = {"output_dir": "basic", "rgb": True, "bounding_box_2d_tight": True, "semantic_segmentation": True}


async def capture(camera="/World/Camera", frames=48, size=(1280, 704), writer="BasicWriter", params=None, **settings):
    """Capture, let the line run, and hand every accepted frame to the other writer; return how many it got."""
    rep.orchestrator.set_capture_on_play(False)
    augmented = rep.WriterRegistry.get("CosmosBridgeAugmentedWriter")
    settings = {"output_dir": "out", "prompt": ["rain at dusk", "light snow"], **settings}
    augmented.initialize(writer=writer, writer_params=params or BASIC, num_frames=frames, **settings)
    product = rep.create.render_product(camera, size)
    augmented.attach(product)
    while augmented.source.num_captured < frames:
        await rep.orchestrator.step_async(delta_time=None, pause_timeline=False)
    augmented.detach()
    product.destroy()
    while any(not run.over for run in augmented.source.runs):
        await omni.kit.app.get_app().next_update_async()
    summaries = augmented.flush()
    print(sum(summary.accepted for summary in summaries), "looks accepted;", augmented.withheld, "frames withheld")
    augmented.close()
    return summaries


if __name__ == "__main__":
    task = asyncio.ensure_future(capture())
