"""A person at the panel: looks for widgets by name, fills them in, clicks them, and waits."""

import json
import time
from pathlib import Path
from typing import Any

from kit.scene import CAMERAS, SIZE
from kit.ui import find


class Desk:
    """The panel, opened from its menu, and the hands of a person."""

    def __init__(self, machine: Any, tmp_path: Path, live_shares: bool = False) -> None:
        machine.settings.set("/persistent/exts/cosmos.bridge/panel", json.dumps({"live_shares": live_shares}))
        self.machine, self.tmp_path = machine, tmp_path
        self.open()

    def open(self) -> None:
        self.extension = self.machine.enable()
        self.machine.menu.click("Tools", "Replicator", "Cosmos Bridge")

    model = property(lambda self: self.extension._studio.model)
    studio = property(lambda self: self.extension._studio)
    root = property(lambda self: self.extension._panel.window.frame)

    def widget(self, identifier):
        return find(self.root, identifier)

    def click(self, identifier):
        self.widget(identifier)._click()
        self.machine.update()

    def put(self, identifier, value):
        self.widget(identifier).model.set_value(value)
        self.machine.update()

    def choose(self, identifier, text):
        widget = self.widget(identifier)
        widget.model.get_item_value_model().set_value(widget._items.index(text))
        self.machine.update()

    def text(self, identifier):
        return self.widget(identifier).text

    def words(self):
        return [widget.text for widget in self.root._walk() if hasattr(type(widget), "text")]

    def ready(self, **more):
        """Fill in what a start needs: small pictures of one camera, nothing changed."""
        self.put(f"camera:{CAMERAS[0]}", True)
        self.put("prompt", "a rainy night")
        self.put("output_dir", str(self.tmp_path / "out"))
        self.put("width", SIZE[1])
        self.put("height", SIZE[0])
        self.put("num_frames", 3)
        self.choose("transfer", "identity")
        for name, value in more.items():
            self.put(name, value)

    def wait(self, condition, seconds=90.0):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.words()
            self.machine.update()
            time.sleep(0.005)

    def capture(self):
        count = len(self.studio.queue.runs)
        self.click("start")
        self.wait(lambda: not self.model.busy and not self.studio.queue.pending)
        assert len(self.studio.queue.runs) == count + 1, self.model.message
        self.machine.update(3)
