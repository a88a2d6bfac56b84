"""A headless batch: a stage, all its cameras, several looks, no window.

With the Python of Isaac Sim::

    python.sh exts/cosmos.bridge/examples/kit_headless.py scene.usd out --prompt "rain at dusk" --prompt "light snow"
"""

import argparse

from isaacsim import SimulationApp


def capture(app, stage_path, out, prompts, frames, size, transfer):
    """Capture one take of every camera and run it; return what each run did."""
    import omni.replicator.core as rep
    import omni.usd
    from pxr import UsdGeom

    from cosmos.bridge.kit.writer import CosmosBridgeWriter

    rep.WriterRegistry.register(CosmosBridgeWriter)  # the extension does this where it is enabled
    omni.usd.get_context().open_stage(stage_path)
    app.update()
    stage = omni.usd.get_context().get_stage()
    cameras = [str(prim.GetPath()) for prim in stage.Traverse() if prim.IsA(UsdGeom.Camera)]
    products = [rep.create.render_product(camera, (size[1], size[0])) for camera in cameras]
    rep.orchestrator.set_capture_on_play(False)
    writer = rep.WriterRegistry.get("CosmosBridgeWriter")
    writer.initialize(output_dir=out, prompt=prompts, num_frames=frames, transfer=transfer)
    writer.attach(products)
    while writer.num_captured < frames:  # the first frame after attaching is empty and is not counted
        rep.orchestrator.step(delta_time=None, pause_timeline=False)
    summaries = writer.flush(pump=app.update)  # Kit ends without a goodbye, so wait for the model here
    writer.detach()
    writer.close()
    return summaries


def main(arguments=None):
    """Start, capture, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage")
    parser.add_argument("out")
    parser.add_argument("--prompt", action="append", required=True)
    parser.add_argument("--frames", type=int, default=93)
    parser.add_argument("--size", default="704x1280", help="HEIGHTxWIDTH")
    parser.add_argument("--transfer", default="embedded")
    args = parser.parse_args(arguments)
    height, width = (int(side) for side in args.size.split("x"))
    app = SimulationApp({"headless": True})
    summaries = capture(app, args.stage, args.out, args.prompt, args.frames, (height, width), args.transfer)
    for summary in summaries:
        print(f"{summary.accepted} of {summary.planned} accepted; {summary.report}")
    app.close()
    return summaries


if __name__ == "__main__":
    main()
