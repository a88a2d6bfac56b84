"""The whole way for each version of Isaac Sim: stage, writer, worker, dataset, layer, and nothing left behind."""

import gc
import hashlib
import os
import sys
import threading
import time

import cv2
import numpy as np
import pytest
import warp as wp

from kit.scene import CAMERAS, SIZE, products_of
from kit.strict import PROFILES

FRAMES = 60


def threads():
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("cosmos-bridge")}


def handles():
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0


def until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


@pytest.mark.parametrize("version", list(PROFILES))
def test_sixty_frames_of_two_cameras_become_a_dataset_and_a_layer(kit, scene, tmp_path, monkeypatch, version):
    on_gpu = version in ("4.5", "6.0")  # the doubles then hand out Warp's arrays, as the real thing does on a GPU
    monkeypatch.setattr(wp, "is_cuda_available", lambda: on_gpu)
    before = hashlib.sha256(scene.read_bytes()).hexdigest()
    standalone = version in ("4.2", "6.2")
    machine = kit(version, standalone=standalone)
    import omni.replicator.core as rep

    machine.enable()
    machine.settings.set("/omni/replicator/captureOnPlay", False)
    writer = rep.WriterRegistry.get("CosmosBridgeWriter")
    writer.initialize(
        output_dir=str(tmp_path / "out"), prompt="light snow", num_frames=FRAMES // 2, transfer="identity", seed=3
    )
    writer.attach(products_of(rep))
    held = handles()
    for _ in range(FRAMES + 1):  # the first is empty
        if standalone:
            rep.orchestrator.step(pause_timeline=False)
        else:
            machine.run(rep.orchestrator.step_async(pause_timeline=False))
    rep.orchestrator.stop()
    summaries = writer.flush(pump=machine.update, timeout=120)
    assert [summary.planned for summary in summaries] == [2, 2] and all(s.complete for s in summaries)
    assert machine.problems() == []
    for take, summary in enumerate(summaries):
        out = tmp_path / "out" / f"take_{take:04d}"
        assert summary.out == out and (out / "report.html").is_file() and (out / "cosmos_bridge_results.usda").is_file()
        for number, camera in enumerate(CAMERAS):
            for index in range(FRAMES // 2):
                shown = cv2.imread(str(out / "frames" / f"clip_{number:04d}" / f"{index:04d}.png"))[..., ::-1]
                step = 2 + take * (FRAMES // 2) + index  # the first step was the empty frame's
                truth = machine.feed.frame(camera, float(step), (SIZE[1], SIZE[0]))["rgb"][..., :3]
                np.testing.assert_array_equal(shown, truth, err_msg=f"{camera} frame {index} of {out.name}")
    writer.detach()
    session = machine.context.get_stage().GetRootLayer()
    assert not session.dirty and hashlib.sha256(scene.read_bytes()).hexdigest() == before
    machine.disable()
    assert until(lambda: not threads()), threads()
    assert machine.alive() == 0
    gc.collect()
    assert handles() <= held
