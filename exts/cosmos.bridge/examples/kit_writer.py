"""The writer in the Script Editor: two clips of one camera, while Isaac Sim goes on.

Open a stage with a camera, enable cosmos.bridge, paste this into Window > Script Editor and run it.
"""

import asyncio

import omni.replicator.core as rep

CAMERA, OUT, FRAMES, SIZE = "/World/Camera", "out", 93, (1280, 704)


async def capture(camera=CAMERA, out=OUT, frames=FRAMES, size=SIZE, **settings):
    """Capture two takes with a cut between, wait for both, and lay the first one's results over the stage."""
    from cosmos.bridge.kit.write_back import show_results

    rep.orchestrator.set_capture_on_play(False)
    writer = rep.WriterRegistry.get("CosmosBridgeWriter")
    writer.initialize(output_dir=out, prompt="heavy rain, wet ground", **settings)
    product = rep.create.render_product(camera, size)
    writer.attach(product)
    for take in (1, 2):
        while writer.num_captured < take * frames:
            await rep.orchestrator.step_async(delta_time=None, pause_timeline=False)
        writer.next_clip()
    writer.detach()
    product.destroy()
    summaries = await writer.flush_async()
    for summary in summaries:
        print(f"{summary.accepted} of {summary.planned} accepted; {summary.report}")
    if summaries[0].stage is not None:
        show_results(summaries[0].out / "cosmos_bridge_results.usda")  # Ctrl+Z takes it away
    writer.close()
    return summaries


if __name__ == "__main__":
    task = asyncio.ensure_future(capture())
