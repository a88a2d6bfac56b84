"""Draw the panel in each of its states from the recorded widgets, for review and for the documentation.

    python tools/make_panel_pictures.py exts/cosmos.bridge/docs/images

It drives the real panel, on a real stage and with the shipped model, against the doubles of Kit in ``tests/fakes/kit``;
how omni.ui draws it, only Kit shows.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "fakes"))

from kit.draw import draw_window
from kit.machine import Machine
from kit.ui import find

SIZE = (176, 320)
WIDTH = 480
CAMERA = "/World/Camera"


class Person:
    """Somebody who fills in the panel."""

    def __init__(self, machine) -> None:
        self.machine = machine
        self.extension = machine.enable()
        machine.menu.click("Tools", "Replicator", "Cosmos Bridge")
        self.studio, self.root = self.extension._studio, self.extension._panel.window.frame

    def find(self, name: str):
        return find(self.root, name)

    def put(self, **values) -> None:
        for name, value in values.items():
            self.find(name).model.set_value(value)
            self.machine.update()

    def choose(self, name: str, text: str) -> None:
        widget = self.find(name)
        widget.model.get_item_value_model().set_value(widget._items.index(text))
        self.machine.update()

    def click(self, name: str) -> None:
        self.find(name)._click()
        self.machine.update()

    def fill(self) -> None:
        self.put(**{f"camera:{CAMERA}": True, "class:person": True, "class:person:vis": 1.0})
        self.put(prompt="a loading yard with people and forklifts", output_dir="renders/yard", min_score=0.6)
        self.put(width=SIZE[1], height=SIZE[0], num_frames=8, max_attempts=1)
        self.choose("weather", "overcast")
        self.choose("light", "dusk")
        self.machine.update(40)

    def wait(self, condition) -> None:
        deadline = time.monotonic() + 300.0
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("The panel did not come to the state that was to be drawn.")
            self.machine.update()
            time.sleep(0.01)

    def run_to_the_end(self) -> None:
        self.click("start")
        self.wait(lambda: self.studio.queue.runs and not self.studio.queue.pending and not self.studio.model.busy)
        self.machine.update(5)

    def picture(self) -> np.ndarray:
        stage = self.find("stage")
        stage.text = stage.text.replace(str(Path.cwd()), "/projects")  # not where this happened to be drawn
        return draw_window(self.extension._panel.window, WIDTH)


def draw_states(scene: Path, bare: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield state and picture, in the order in which a person comes by them."""
    with Machine("5.1", None, ui=True) as machine:
        machine.context.new_stage()
        yield "empty_stage", Person(machine).picture()
    with Machine("5.1", bare, ui=True) as machine:
        person = Person(machine)
        person.put(**{f"camera:{CAMERA}": True, "prompt": "a foggy morning in a yard", "output_dir": "renders/yard"})
        yield "no_semantics", person.picture()
    with Machine("5.1", scene, ui=True) as machine:
        person = Person(machine)
        person.fill()
        yield "ready", person.picture()
        person.click("preview")
        person.wait(lambda: person.studio.num_previews)
        person.click("start")
        person.wait(lambda: person.studio.queue.runs and person.studio.queue.runs[0].progress.stage == "transfer")
        person.wait(lambda: any(row.left for row in person.studio.model.rows(person.studio.queue.runs)))
        person.studio.model.changed()
        machine.update()
        yield "running", person.picture()
        person.wait(lambda: not person.studio.queue.pending)
        machine.update(5)
        yield "accepted", person.picture()
        person.click("clear")
        yield "rejected", draw_rejected(person)
        person.click("clear")
        yield "error", draw_failed(person)


def draw_rejected(person: Person) -> np.ndarray:
    """Run with a model that moves everything aside, so that no label fits any more."""
    from cosmos.bridge.transfer.identity import IdentityTransfer

    plain = IdentityTransfer.transfer

    def careless(self, request, progress=None):
        result = plain(self, request, progress)
        pixels = result.rgb.numpy().copy()
        pixels[:, :, 6:] = pixels[:, :, :-6]
        result.rgb.assign(pixels)
        return result

    return draw_with(person, careless)


def draw_failed(person: Person) -> np.ndarray:
    """Run with a model that finds no memory."""
    from cosmos.bridge.errors import ModelMemoryError

    def starved(self, request, progress=None):
        raise ModelMemoryError("The clip does not fit the 24 GB of cuda:0; ask for fewer frames or a smaller size.")

    return draw_with(person, starved)


def draw_with(person: Person, transfer) -> np.ndarray:
    """Run with another model in the place of ``identity``."""
    from cosmos.bridge.transfer.identity import IdentityTransfer

    plain, IdentityTransfer.transfer = IdentityTransfer.transfer, transfer
    try:
        person.choose("transfer", "identity")
        person.run_to_the_end()
    finally:
        IdentityTransfer.transfer = plain
    return person.picture()


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the pictures, panel_<state>.png")
    out = parser.parse_args().out.absolute()
    from pxr import Usd

    from cosmos.bridge import scenes

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("yard").mkdir()
        scene, bare = Path("yard/yard.usda"), Path("yard/unlabelled.usda")
        scenes.warehouse(scene, num_frames=12)
        stage = Usd.Stage.Open(str(scene))
        for prim in stage.Traverse():
            for schema in [name for name in prim.GetAppliedSchemas() if str(name).startswith("Semantics")]:
                prim.RemoveAppliedSchema(schema)
        stage.GetRootLayer().Export(str(bare))
        del stage
        for name, picture in draw_states(scene, bare):
            path = out / f"panel_{name}.png"
            cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
            print(f"{path}: {picture.shape[1]} x {picture.shape[0]}", flush=True)
        os.chdir("/")


if __name__ == "__main__":
    main()
