"""Draw the panel in each of its states from the recorded widgets, for review and for the documentation.

    python tools/make_panel_pictures.py exts/cosmos.bridge/docs/images/panel.png

It drives the real panel against the doubles of Kit in ``tests/fakes/kit``; how omni.ui draws it, only Kit shows.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "fakes"))

from kit.draw import draw_window
from kit.machine import Machine
from kit.ui import find

SIZE = (144, 256)


class Person:
    """Somebody who fills in the panel."""

    def __init__(self, machine, out: Path) -> None:
        self.machine, self.out = machine, out
        self.extension = machine.enable()
        machine.menu.click("Tools", "Replicator", "Cosmos Bridge")

    def find(self, name: str):
        return find(self.extension._panel.window.frame, name)

    def put(self, name: str, value) -> None:
        self.find(name).model.set_value(value)

    def fill(self) -> None:
        self.put("camera:/World/Camera", True)
        self.put("prompt", "a warehouse yard")
        self.put("output_dir", str(self.out))
        for name, value in (("width", SIZE[1]), ("height", SIZE[0]), ("num_frames", 4), ("max_attempts", 1)):
            self.put(name, value)
        for name, index in (("weather", 5), ("transfer", 0)):
            self.find(name).model.get_item_value_model().set_value(index)
        self.put("class:person", True)
        self.put("class:person:vis", 1.0)

    def wait(self, condition) -> None:
        deadline = time.monotonic() + 300.0
        while not condition() and time.monotonic() < deadline:
            self.machine.update()
            time.sleep(0.01)

    def picture(self) -> np.ndarray:
        return draw_window(self.extension._panel.window)


def draw_states(scene: Path, bare: Path) -> dict[str, np.ndarray]:
    """Return state -> picture."""
    made: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with Machine("5.1", None, ui=True) as machine:
            machine.context.new_stage()
            made["empty stage"] = Person(machine, Path(folder)).picture()
        with Machine("5.1", bare, ui=True) as machine:
            person = Person(machine, Path(folder) / "bare")
            person.put("prompt", "a foggy morning")
            made["no semantics"] = person.picture()
        with Machine("5.1", scene, ui=True) as machine:
            person = Person(machine, Path("out"))
            person.fill()
            studio = person.extension._studio
            person.find("preview")._click()
            person.wait(lambda: studio.num_previews)
            person.find("start")._click()
            person.wait(lambda: studio.queue.runs and studio.queue.runs[0].progress.stage == "transfer")
            studio.model.changed()
            made["running"] = person.picture()
            person.wait(lambda: not studio.queue.pending)
            from cosmos.bridge.errors import ModelMemoryError
            from cosmos.bridge.transfer.identity import IdentityTransfer

            plain = IdentityTransfer.transfer

            def blank(self, request, progress=None):
                result = plain(self, request, progress)
                result.rgb.zero_()
                return result

            IdentityTransfer.transfer = blank
            person.find("transfer").model.get_item_value_model().set_value(1)
            person.put("output_dir", "again")
            studio.queue.remove(studio.queue.runs[0])
            person.find("start")._click()
            person.wait(lambda: studio.queue.runs and not studio.queue.pending and not studio.model.busy)
            person.wait(lambda: "1 rejected" in person.find("run:0:text").text)
            person.find("run:0:picture:clip_0000")._click()
            made["rejected"] = person.picture()

            def too_large(self, request, progress=None):
                raise ModelMemoryError("The clip needs more memory than the device has free; ask for fewer frames.")

            IdentityTransfer.transfer = too_large
            studio.queue.remove(studio.queue.runs[0])
            person.put("output_dir", "third")
            person.find("start")._click()
            person.wait(lambda: studio.queue.runs and not studio.queue.pending and not studio.model.busy)
            machine.update(5)
            studio.model.changed()
            made["error"] = person.picture()
            IdentityTransfer.transfer = plain
        os.chdir("/")
    return made


def sheet(states: dict[str, np.ndarray]) -> np.ndarray:
    """Put the states side by side under their names."""
    tall = max(picture.shape[0] for picture in states.values()) + 40
    columns = []
    for name, picture in states.items():
        column = np.full((tall, picture.shape[1] + 16, 3), 250, np.uint8)
        cv2.putText(column, name, (10, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (40, 40, 40), 2, cv2.LINE_AA)
        column[40 : 40 + picture.shape[0], 8 : 8 + picture.shape[1]] = picture
        columns.append(column)
    return np.concatenate(columns, axis=1)


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="PNG to write")
    out = parser.parse_args().out.absolute()
    from pxr import Usd

    from cosmos.bridge import scenes

    with tempfile.TemporaryDirectory() as folder:
        scene, bare = Path(folder) / "warehouse.usda", Path(folder) / "bare.usda"
        scenes.warehouse(scene, num_frames=12)
        stage = Usd.Stage.Open(str(scene))
        for prim in stage.Traverse():
            for schema in [name for name in prim.GetAppliedSchemas() if str(name).startswith("Semantics")]:
                prim.RemoveAppliedSchema(schema)
        stage.GetRootLayer().Export(str(bare))
        del stage
        picture = sheet(draw_states(scene, bare))
    cv2.imwrite(str(out), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"{out}: {picture.shape[1]} x {picture.shape[0]}")


if __name__ == "__main__":
    main()
