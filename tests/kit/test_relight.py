"""Light of captured takes: what the embedded renderer makes of their stage as it was open, or nothing and why."""

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


def assert_lit_as(stage, clip):
    """The clip's light is that of a stage which is open."""
    from pxr import Usd

    from cosmos.bridge.render.renderer import Renderer

    truth = Renderer(Usd.Stage.Open(stage.Flatten()), device="cpu", threads=1)
    look = Look(sun_elevation=20.0, rain=0.5)
    for frame in (0, clip.num_frames - 1):
        want = truth.light(CAMERAS[0], float(clip.time_codes[frame]), look, size=SIZE)
        made = clip.probe.light(frame, look)
        for name in ("relit", "white"):
            seen, true = getattr(made, name).numpy().astype(int), getattr(want, name).numpy().astype(int)
            assert true.any() and np.abs(seen - true).mean() < 0.5, name
    truth.close()


def color_of(stage, path, color):
    stage.GetPrimAtPath(path).GetAttribute("primvars:displayColor").Set([color])


def test_a_stage_that_was_never_saved_lights_its_take(kit, tmp_path):
    """Also as its session layer has it, and as it was at the capture."""
    from pxr import Sdf, Usd, UsdGeom

    machine = kit("5.1", stage=None)
    machine.context.new_stage()
    stage = machine.context.get_stage()
    stage.GetRootLayer().TransferContent(Sdf.Layer.FindOrOpen(str(write_scene(tmp_path / "own.usda", frames=8))))
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        UsdGeom.Imageable(stage.GetPrimAtPath("/World/Barrel")).MakeInvisible()
    take = capture(machine, tmp_path)
    before = Usd.Stage.Open(stage.Flatten())
    color_of(stage, "/World/Floor", (1.0, 0.0, 0.0))  # after the capture
    source = take.source(CAMERAS[0])
    assert source.notes == ()
    assert_lit_as(before, source.clip())
    take.put_out()
    assert_lit_as(before, source.clip())  # read again, as a run that is tried again does


def test_unsaved_changes_light_their_take_and_stay_unsaved(kit, tmp_path):
    from pxr import Gf, Sdf, Usd

    path = nested(tmp_path)
    machine = kit("5.1", stage=None)
    machine.context.open_stage(str(path))
    stage = machine.context.get_stage()
    lower = Sdf.Layer.Find(str(tmp_path / "parts" / "scene.usda"))
    with Usd.EditContext(stage, lower):
        color_of(stage, "/World/Floor", (0.9, 0.2, 0.1))
        stage.GetPrimAtPath("/World/Barrel").GetAttribute("xformOp:translate").Set(Gf.Vec3d(0.2, -1.0, 0.6))
    source = capture(machine, tmp_path).source(CAMERAS[0])
    assert source.notes == ()
    assert_lit_as(stage, source.clip())
    assert lower.dirty and not stage.GetRootLayer().dirty


def save_moved(path, tmp_path, **moved):
    """Give a file other places of things, as if somebody else had moved these while they were captured."""
    from pxr import Gf, Usd

    other = Usd.Stage.Open(str(path))
    for name, (place, size) in moved.items():
        prim = other.GetPrimAtPath(f"/World/{name}")
        prim.GetAttribute("xformOp:translate").Set(Gf.Vec3d(*place))
        prim.GetAttribute("xformOp:scale").Set(Gf.Vec3f(*size))
    other.GetRootLayer().Export(str(tmp_path / "moved.usda"))
    other.GetRootLayer().Reload(True)
    path.write_bytes((tmp_path / "moved.usda").read_bytes())


@pytest.mark.parametrize("metres", [1.0, 0.01])
def test_what_physics_moved_is_lit_where_the_capture_saw_it(kit, tmp_path, metres):
    from pxr import Usd

    path = write_scene(tmp_path / "own.usda", frames=8, metres=metres)
    before = Usd.Stage.Open(Usd.Stage.Open(str(path)).Flatten())
    take = capture(kit("5.1", stage=path, units="metres"), tmp_path)
    save_moved(path, tmp_path, Floor=((0, 0, -2 / metres), (8 / metres, 8 / metres, 1.0)))
    source = take.source(CAMERAS[0])
    assert source.notes == ()
    assert_lit_as(before, source.clip())


def test_a_stage_that_shows_something_else_lights_nothing(kit, tmp_path):
    path = write_scene(tmp_path / "own.usda", frames=8)
    take = capture(kit("5.1", stage=path), tmp_path)
    save_moved(path, tmp_path, Barrel=((0, -1, 1), (4, 0.2, 4)))  # nobody labelled it, so nobody knows where it was
    source = take.source(CAMERAS[0])
    assert source.clip().probe is None
    (note,) = source.notes
    assert note.startswith("Nothing is relit by the stage's own light, since the stage has other depths in ")


def test_a_warp_that_is_too_old_lights_nothing_and_says_so(kit, tmp_path, monkeypatch):
    import warp as wp

    take = capture(kit("4.2", stage=write_scene(tmp_path / "own.usda", frames=8)), tmp_path)
    monkeypatch.setattr(wp.config, "version", "1.2.1")
    source = take.source(CAMERAS[0])
    assert source.clip().probe is None and "needs Warp 1.3, and this application brings 1.2.1" in source.notes[0]


@pytest.mark.parametrize("more", [{"transfer": "identity"}, {"relight": False}])
def test_nobody_reads_a_stage_whose_light_is_not_used(kit, tmp_path, monkeypatch, more):
    from cosmos.bridge.sources import stage_light

    monkeypatch.setattr(stage_light.StageLight, "__init__", lambda *_: pytest.fail("the stage was read"))
    source = capture(kit("5.1"), tmp_path, **more).source(CAMERAS[0])
    assert source.clip().probe is None and source.notes == ()


def test_the_main_thread_reads_no_stage(kit, tmp_path, monkeypatch):
    import threading

    machine = kit("5.1", stage=write_scene(tmp_path / "own.usda", frames=8))
    from cosmos.bridge.kit import take

    asked = []

    def stage_light(*arguments, **keywords):
        asked.append(threading.current_thread())
        return before(*arguments, **keywords)

    before = take.stage_light
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
