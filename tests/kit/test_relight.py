"""Light of captured takes: what the saved stage's own renderer gives, or nothing and why."""

import numpy as np
import pytest

from cosmos.bridge.types import Look
from kit.scene import CAMERAS, SIZE, products_of, write_scene


def capture(machine, tmp_path, *, steps=4, **more):
    """Return the take of a few frames of one camera."""
    import omni.replicator.core as rep

    machine.enable()
    rep.orchestrator.set_capture_on_play(False)
    takes = []
    writer = rep.WriterRegistry.get("CosmosBridgeWriter")
    keywords = {"transfer": "embedded", **more}
    writer.initialize(output_dir=str(tmp_path / "out"), prompt="night", on_take=takes.append, **keywords)
    writer.attach(products_of(rep, CAMERAS[:1]))
    for _ in range(steps):
        machine.run(rep.orchestrator.step_async(pause_timeline=False))
    writer.next_clip()
    writer.detach()
    takes[0].wait(20.0)
    return takes[0]


def nested(tmp_path):
    """A stage whose things come from a sublayer and a reference, both named relative to it."""
    from pxr import Sdf, Usd

    inner = write_scene(tmp_path / "parts" / "scene.usda", frames=8)
    root = Sdf.Layer.CreateNew(str(tmp_path / "root.usda"))
    root.subLayerPaths = ["./parts/scene.usda"]
    stage = Usd.Stage.Open(root)
    for name, value in (("SetStartTimeCode", 0), ("SetEndTimeCode", 8), ("SetTimeCodesPerSecond", 24.0)):
        getattr(stage, name)(value)
    for name in ("upAxis", "metersPerUnit"):
        stage.SetMetadata(name, {"upAxis": "Z", "metersPerUnit": 1.0}[name])
    stage.OverridePrim("/World/Twin").GetReferences().AddReference("parts/scene.usda", "/World/Crate")
    root.Save()
    assert stage.GetPrimAtPath("/World/Twin").GetTypeName() == "Cube" and inner.is_file()
    return tmp_path / "root.usda"


@pytest.mark.parametrize("make", [lambda path: write_scene(path / "own.usda", frames=8), nested])
def test_a_take_is_lit_as_its_stage_is(kit, tmp_path, make):
    from pxr import Sdf

    from cosmos.bridge.render.renderer import Renderer

    path = make(tmp_path)
    take = capture(kit("5.1", stage=path), tmp_path)
    source = take.source(CAMERAS[0])
    assert source.notes == ()
    clip, look = source.clip(), Look(sun_elevation=20.0, rain=0.5)
    truth = Renderer(str(path), device="cpu", threads=1)
    for frame in (0, clip.num_frames - 1):
        want = truth.light(CAMERAS[0], float(clip.time_codes[frame]), look, size=SIZE)
        made = clip.probe.light(frame, look)
        for name in ("relit", "white", "open"):
            seen, true = getattr(made, name).numpy().astype(int), getattr(want, name).numpy().astype(int)
            assert true.any() and np.abs(seen - true).mean() < 0.5, name
    truth.close()
    loaded = {layer.identifier for layer in Sdf.Layer.GetLoadedLayers()}
    assert all(not layer.dirty for layer in map(Sdf.Layer.Find, loaded) if layer and not layer.anonymous)
    probe = clip.probe
    take.put_out()
    with pytest.raises(Exception, match="closed"):
        probe.light(0, look)
    assert source.clip().probe.light(0, look) is not None  # read again, as a run that is tried again does
    take.forget()


def test_a_stage_that_shows_something_else_lights_nothing(kit, tmp_path, monkeypatch):
    from pxr import Gf, Usd

    path = write_scene(tmp_path / "own.usda", frames=8)
    machine = kit("5.1", stage=path)
    take = capture(machine, tmp_path)
    other = Usd.Stage.Open(str(path))
    other.GetPrimAtPath("/World/Floor").GetAttribute("xformOp:translate").Set(Gf.Vec3d(0, 0, -2))
    other.GetRootLayer().Export(str(tmp_path / "moved.usda"))
    other.GetRootLayer().Reload(True)
    path.write_bytes((tmp_path / "moved.usda").read_bytes())  # saved anew by somebody, after the capture
    source = take.source(CAMERAS[0])
    assert source.clip().probe is None
    (note,) = source.notes
    assert note.startswith("Nothing is relit by the stage's own light, since the saved stage has other depths in ")


def test_unsaved_changes_and_stages_light_nothing(kit, tmp_path):
    path = write_scene(tmp_path / "own.usda", frames=8)
    machine = kit("5.1", stage=path)
    machine.context.get_stage().GetRootLayer().customLayerData = {"changed": 1}
    source = capture(machine, tmp_path).source(CAMERAS[0])
    assert source.clip().probe is None and "changes that are not saved" in source.notes[0]


def test_a_warp_that_is_too_old_lights_nothing_and_says_so(kit, tmp_path, monkeypatch):
    import warp as wp

    take = capture(kit("4.2", stage=write_scene(tmp_path / "own.usda", frames=8)), tmp_path)
    monkeypatch.setattr(wp.config, "version", "1.2.1")
    source = take.source(CAMERAS[0])
    assert source.clip().probe is None and "needs Warp 1.3, and this application brings 1.2.1" in source.notes[0]


@pytest.mark.parametrize("more", [{"transfer": "identity"}, {"relight": False}])
def test_nobody_reads_a_stage_whose_light_is_not_used(kit, tmp_path, monkeypatch, more):
    from cosmos.bridge.kit import relight

    monkeypatch.setattr(relight.StageLight, "__init__", lambda *_: pytest.fail("the stage was read"))
    source = capture(kit("5.1"), tmp_path, **more).source(CAMERAS[0])
    assert source.clip().probe is None and source.notes == ()


def test_the_main_thread_reads_no_stage(kit, tmp_path, monkeypatch):
    import threading

    machine = kit("5.1", stage=write_scene(tmp_path / "own.usda", frames=8))
    from cosmos.bridge.kit import relight, take

    asked = []

    def stage_light(*arguments, **keywords):
        asked.append(threading.current_thread())
        return relight.stage_light(*arguments, **keywords)

    monkeypatch.setattr(take, "stage_light", stage_light)
    import omni.replicator.core as rep

    machine.enable()
    rep.orchestrator.set_capture_on_play(False)
    writer = rep.WriterRegistry.get("CosmosBridgeWriter")
    monkeypatch.setattr("cosmos.bridge.kit.session.relights", lambda name: True)
    writer.initialize(output_dir=str(tmp_path / "out"), prompt="night", transfer="identity", sinks=["dataset"])
    writer.attach(products_of(rep, CAMERAS[:1]))
    for _ in range(3):
        machine.run(rep.orchestrator.step_async(pause_timeline=False))
    machine.run(writer.flush_async())
    assert asked and threading.main_thread() not in asked
    writer.detach()
    machine.disable()
    machine.update(2)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cosmos-bridge")]
