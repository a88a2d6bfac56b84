"""Enabled, used in every way, disabled and reloaded fifty times: nothing stays, whether its work was done or amid."""

import asyncio
import gc
import os
import sys
import threading
import time

import warp as wp

from kit.desk import Desk
from kit.scene import CAMERAS, products_of
from kit.ui import DynamicTextureProvider, Window

ROUNDS = 50


def held(machine):
    """Return what is alive now, by kind."""
    gc.collect()
    arrays = [item for item in gc.get_objects() if type(item) is wp.array and item.device is not None]
    kinds = [
        item for item in gc.get_objects() if issubclass(type(item), type)
    ]  # some objects warn when asked for __class__
    return {
        "threads": sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("cosmos-bridge")),
        "tasks": len(asyncio.all_tasks(machine.app._loop)),
        "subscriptions": machine.alive(),
        "windows": len(Window.opened),
        "overlays": sum(len(frame._children) for frame in machine.viewport._frames.values()),
        "textures": sorted(DynamicTextureProvider.alive),
        "menus": sum(map(len, machine.menu.items.values())) + len(machine.menu.actions),
        "commands": len(machine.commands.known),
        "writers": sorted(sys.modules["omni.replicator.core"].WriterRegistry.get_writers()),
        "attached": len(machine.replicator.attached) + len(machine.replicator.polled) + len(machine.replicator.queue),
        "products": sorted(machine.replicator.products),
        "classes of writers": sum(kind.__name__.startswith("CosmosBridge") for kind in kinds),
        "bytes of pictures": sum(array.capacity for array in arrays),
        "files": len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0,
        "layers": len(machine.context.get_stage().GetLayerStack()),
    }


def write(machine, out, *, steps):
    """Capture as a script does, of its own render product."""
    import omni.replicator.core as rep

    (product,) = products_of(rep, CAMERAS[:1])
    writer = rep.WriterRegistry.get("CosmosBridgeWriter")
    writer.initialize(output_dir=str(out), prompt="rain", transfer="identity", num_frames=2, sinks=["dataset"])
    writer.attach([product])
    for _ in range(steps):
        machine.run(rep.orchestrator.step_async(pause_timeline=False))
    return writer, product


def use_to_the_end(machine, tmp_path, number):
    """Preview, overlay, results on the stage and a script's take, all done before the extension goes."""
    it = Desk(machine, tmp_path / str(number), live_shares=True)
    it.ready(num_frames=1)
    it.click("preview")
    it.wait(lambda: it.model.verdict)
    it.click("overlay")
    writer, product = write(machine, tmp_path / f"script_{number}", steps=3)
    assert [summary.accepted for summary in machine.run(writer.flush_async())] == [1]
    writer.detach()
    product.destroy()


def leave_amid(machine, tmp_path, number):
    """Go while a capture steps, classes are counted, a preview is at work and a script's writer is attached."""
    it = Desk(machine, tmp_path / str(number), live_shares=True)
    it.ready(num_frames=50)
    it.click("preview")
    it.wait(lambda: not it.model.busy and (it.studio._preview is not None or it.model.verdict))  # it may be quick
    _, product = write(machine, tmp_path / f"script_{number}", steps=3)
    it.click("start")
    it.wait(lambda: "of 50" in it.model.busy)
    machine.update(3)
    product.destroy()  # it is the script's own


def test_fifty_times_on_and_off_leave_nothing(kit, tmp_path):
    machine = kit("6.0", ui=True)
    machine.settings.set("/omni/replicator/captureOnPlay", False)
    before = held(machine)
    steady = {}
    for number in range(ROUNDS):
        machine.timeline.stop()  # or the doubles keep a picture of each further moment
        (leave_amid if number % 2 else use_to_the_end)(machine, tmp_path, number)
        machine.disable()
        machine.update(3)
        deadline = time.monotonic() + 20.0
        while any(thread.name.startswith("cosmos-bridge") for thread in threading.enumerate()):
            assert time.monotonic() < deadline, threading.enumerate()
            time.sleep(0.01)
        if number in (10, 11, ROUNDS - 2, ROUNDS - 1):
            now = held(machine)
            grown = {kind: (before[kind], now[kind]) for kind in now if now[kind] != before[kind]}
            once = {kind: grown.pop(kind, None) for kind in ("bytes of pictures", "files")}  # made once, by the doubles
            assert once == steady.setdefault(number % 2, once) and grown == {}
    told = [line for line in machine.problems() if "Closed before they were written" not in line]
    assert told == [] and not machine.context.get_stage().GetRootLayer().dirty


def test_on_and_off_without_a_window_leave_nothing(kit):
    machine = kit("5.1")
    threads, alive = threading.active_count(), machine.alive()
    for _ in range(ROUNDS):
        machine.enable()
        machine.disable()
        assert (threading.active_count(), machine.alive()) == (threads, alive)
    assert machine.problems() == []
