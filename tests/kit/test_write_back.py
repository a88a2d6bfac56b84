import hashlib

import pytest

from cosmos.bridge.errors import SinkError
from kit.scene import CAMERAS, products_of, write_scene


@pytest.fixture
def results(kit, tmp_path):
    """An application with a run's results layer for its stage."""
    scene = write_scene(tmp_path / "user" / "scene.usda", frames=4)
    machine = kit("5.1", stage=scene, ui=True)
    import omni.replicator.core as rep

    machine.enable()
    rep.orchestrator.set_capture_on_play(False)
    writer = rep.WriterRegistry.get("CosmosBridgeWriter")
    writer.initialize(output_dir=str(tmp_path / "out"), prompt="rain", transfer="identity")
    writer.attach(products_of(rep, CAMERAS[:1]))
    for _ in range(3):
        machine.run(rep.orchestrator.step_async(pause_timeline=False))
    (summary,) = writer.flush(machine.update)
    writer.detach()
    return machine, scene, summary.out / "cosmos_bridge_results.usda"


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_results_show_without_touching_what_is_the_users_and_undo_takes_them_away(results):
    machine, scene, layer = results
    from cosmos.bridge.kit.write_back import show_results

    stage, before = machine.context.get_stage(), sha(scene)
    assert not stage.GetPrimAtPath("/CosmosBridge")
    show_results(layer)
    show_results(layer)
    assert stage.GetPrimAtPath("/CosmosBridge/clip_0000")
    assert stage.GetPrimAtPath(CAMERAS[0]).GetAttribute("cosmos:augmented:frames").GetTimeSamples()
    assert not stage.GetRootLayer().dirty and sha(scene) == before
    assert len(stage.GetSessionLayer().subLayerPaths) == 1
    machine.commands.undo()
    assert stage.GetPrimAtPath("/CosmosBridge/clip_0000")  # the second call did nothing, so its undo does nothing
    machine.commands.undo()
    assert not stage.GetPrimAtPath("/CosmosBridge") and list(stage.GetSessionLayer().subLayerPaths) == []


def test_baking_writes_a_layer_of_its_own_whose_pictures_are_still_found(results, tmp_path):
    machine, scene, layer = results
    from cosmos.bridge.kit.write_back import bake_results

    stage, before, target = machine.context.get_stage(), sha(scene), tmp_path / "elsewhere" / "deep" / "baked.usda"
    bake_results(layer, target)
    frames = stage.GetPrimAtPath(CAMERAS[0]).GetAttribute("cosmos:augmented:frames")
    for time in frames.GetTimeSamples():
        from pathlib import Path

        assert Path(frames.Get(time).resolvedPath).is_file()
    assert stage.GetRootLayer().dirty and sha(scene) == before  # changed, not saved
    with pytest.raises(SinkError, match="there already"):
        bake_results(layer, target)
    machine.commands.undo()
    assert not stage.GetPrimAtPath("/CosmosBridge") and target.is_file()


@pytest.mark.parametrize(("name", "words"), [("x.txt", "must end in"), ("/proc/no/x.usda", "cannot be written")])
def test_what_cannot_be_baked_is_refused(results, tmp_path, name, words):
    from cosmos.bridge.kit.write_back import bake_results

    with pytest.raises(SinkError, match=words):
        bake_results(results[2], tmp_path / name)


def test_missing_layers_and_unsaved_stages_are_refused(results, tmp_path):
    from cosmos.bridge.kit.write_back import bake_results, show_results

    machine, _, layer = results
    with pytest.raises(SinkError, match="is not there"):
        show_results(tmp_path / "none.usda")
    machine.context.new_stage()
    with pytest.raises(SinkError, match="never saved"):
        bake_results(layer, tmp_path / "baked.usda")


def test_commands_go_with_the_extension(results):
    machine, _, _ = results
    assert set(machine.commands.known) == {"CosmosBridgeShowResults", "CosmosBridgeBakeResults"}
    machine.disable()
    assert machine.commands.known == {}
