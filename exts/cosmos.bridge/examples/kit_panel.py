"""The panel, step by step, driven by a script: what a person clicks, in the same order.

Enable cosmos.bridge in Isaac Sim, open a stage with a camera, and run this in the Script Editor.
"""

import asyncio

import omni.kit.app

from cosmos.bridge.kit.studio import Studio
from cosmos.bridge.kit.ui.model import PanelModel
from cosmos.bridge.kit.ui.panel import Panel


async def walk_through(out="out", frames=24, size=(352, 640), transfer="embedded"):
    """Open the panel, choose, preview, start, wait, and show the results on the stage."""
    studio = Studio(PanelModel())
    panel, model = Panel(studio), studio.model
    print(model.why_not())  # what is missing: Choose at least one camera, or the next thing
    model.set(cameras=model.stage.cameras[:1])
    model.set(height=size[0], width=size[1], num_frames=frames, transfer=transfer)
    model.set(prompt="a warehouse yard", weather="snow", output_dir=out)
    for row in model.stage.classes[:1]:
        model.set_class(row.label, "vis", 1.0)  # this class keeps its looks
    studio.preview()
    await _until(lambda: studio.num_previews or model.message)
    print(model.verdict)
    print(model.script())  # Copy as Python
    studio.start()
    await _until(lambda: studio.queue.runs and not studio.queue.pending and not model.busy)
    (run,) = studio.queue.runs
    print(model.rows([run])[0].text)
    if run.summary is not None and run.summary.accepted:
        studio.show(run)
    panel.close()
    studio.close()
    return run


async def _until(condition):
    while not condition():
        await omni.kit.app.get_app().next_update_async()


if __name__ == "__main__":
    task = asyncio.ensure_future(walk_through())
