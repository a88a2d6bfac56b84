"""The self-test finds on a machine of doubles what that machine was made to be."""

import hashlib
import json

import numpy as np
import pytest

from cosmos.bridge.kit.probe import BOX, CAMERAS, SIZE, WALL, expected_motion, probe_scene

OPEN = {
    "unit of distance_to_*": {"unit of depth", "depth of the background"},
    "motion: sign, scale, background": {"motion vectors", "motion of the background"},
    "time-sampled pictures on MDL": {"time-sampled pictures of OmniPBR", "time-sampled pictures of UsdPreviewSurface"},
    "omni.usd.schema.playback": {"omni.usd.schema.playback"},
    "ordinals, GPU upload": {
        "the renderer's GPU is torch's", "dynamic texture, from the host", "dynamic texture, from the GPU",
    },
    "versions": {f"version of {name}" for name in ("torch", "Warp", "numpy", "Replicator", "application")},
    "Kit 106": {"menu helpers of Kit 107", "update events"},
    "signatures": {
        f"signature of {name}" for name in ("Writer.attach", "Writer.detach", "Writer.write", "Annotator.get_data")
    },
    "buffers under multi-tick": {
        "buffers under multi-tick rendering", "buffers last while write() runs", "buffers are written over",
    },
}  # fmt: skip
"""Each open point of the fact sheet [12] -> the rows that answer it."""


def facts(report):
    return {fact.name: fact for fact in report.facts}


def failed(machine):
    """Run the self-test on a new stage of centimetres; return what failed by name, and what was measured."""
    from cosmos.bridge.kit import selftest

    report = selftest._drive(machine.update, 0.01)
    return {fact.name: fact.found for fact in report.failed}, report.calibration


@pytest.mark.parametrize("version", ["4.2", "5.1", "6.2"])
def test_a_sound_machine_passes(kit, version, scene):
    machine = kit(version, ui=True)
    machine.enable()
    from cosmos.bridge.kit.selftest import run_selftest

    before = hashlib.sha256(scene.read_bytes()).hexdigest()
    report = machine.run(run_selftest(), seconds=600)  # a cold cache compiles every kernel
    found = facts(report)
    assert report.failed == () and machine.problems() == []
    assert found["unit of depth"].ok is None  # a stage of 1 m a unit cannot tell
    assert found["empty frames come first only"].found == "[0] of 6"
    assert found["buffers are written over"].found.startswith("yes")
    assert found["step_async knows wait_for_render"].found == "no"  # the doubles take it as **more
    assert found["version of Replicator"].found == machine.profile.replicator
    assert set().union(*OPEN.values()) <= set(found)
    repeats, young = found["buffers under multi-tick rendering"].found.startswith("5 of 11"), version >= "6.0"
    assert repeats == young and (found["menu helpers of Kit 107"].found == "there") == (version >= "5.0")
    assert found["update events"].found.endswith("Events 2.0" if version >= "5.0" else "Events 1.0")
    assert "1 clip judged, 0 failed" in found["the writer, end to end"].found
    stage = machine.context.get_stage()
    assert list(stage.GetSessionLayer().subLayerPaths) == [] and not stage.GetPrimAtPath("/CosmosBridgeProbe")
    assert not stage.GetRootLayer().dirty and hashlib.sha256(scene.read_bytes()).hexdigest() == before
    assert machine.replicator.products == {} and machine.replicator.attached == {}


@pytest.mark.parametrize(("units", "motion"), [("scene", (1.0, 1.0)), ("metres", (-1.0, 1.0)), ("metres", (0.5, -0.5))])
def test_depth_and_motion_are_calibrated(kit, units, motion):
    machine = kit("5.1", stage=None, units=units, motion=motion)
    from cosmos.bridge.kit import selftest, settings

    report = selftest._drive(machine.update, 0.01)
    assert report.failed == (), report.table()
    calibration = settings.read_settings().calibration
    assert calibration.depth_in_scene_units == (units == "scene")
    np.testing.assert_allclose(calibration.motion_scale, 1.0 / np.array(motion), rtol=0.02)
    assert settings.read_settings().calibrated_on == "5.1.0"


def test_what_was_measured_makes_the_writers_frames_right(kit, tmp_path):
    from cosmos.bridge.render.renderer import Renderer

    machine = kit("5.1", stage=None, units="scene", motion=(-1.0, 1.0), void_motion=-1.0)
    bad, measured = failed(machine)
    assert bad == {} and measured["motion_void_is_filler"] is True
    machine.context.new_stage()
    stage = machine.context.get_stage()
    from pxr import UsdGeom

    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    import omni.replicator.core as rep

    takes = []
    first = machine.timeline._steps
    with probe_scene(stage, float(first), 12):
        writer = rep.WriterRegistry.get("CosmosBridgeWriter")
        writer.initialize(output_dir=str(tmp_path), prompt="x", transfer="identity", on_take=takes.append)
        writer.attach([rep.create.render_product(CAMERAS[0], (SIZE[1], SIZE[0]))])
        for _ in range(4):
            machine.run(rep.orchestrator.step_async(pause_timeline=False))
        writer.next_clip()
        clip = takes[0].clip(CAMERAS[0])
        renderer = Renderer(stage, device="cpu", threads=1)
        code = float(first + 2)
        before = renderer.camera(CAMERAS[0], code - 1, size=SIZE), code - 1
        truth = renderer.render(CAMERAS[0], code, size=SIZE, previous=before)
        np.testing.assert_allclose(clip.depth.numpy()[0], truth.depth.numpy(), rtol=1e-5)
        assert np.isinf(truth.depth.numpy()).any()  # there the filler must be gone
        np.testing.assert_allclose(clip.motion.numpy()[0], truth.motion.numpy(), atol=1e-5)
        renderer.close()
    writer.close()


def test_the_probe_is_what_it_says(kit):
    """The numbers the self-test holds Replicator against, computed by hand from the geometry."""
    from cosmos.bridge.render.renderer import Renderer

    machine = kit("5.1", stage=None)
    machine.context.new_stage()
    stage = machine.context.get_stage()
    with probe_scene(stage, 0.0, 6):
        renderer = Renderer(stage, device="cpu", threads=1)
        before = renderer.camera(CAMERAS[0], 1.0, size=SIZE), 1.0
        frame = renderer.render(CAMERAS[0], 2.0, size=SIZE, previous=before)
        depth = frame.depth.numpy()
        assert depth.min() == pytest.approx(BOX, rel=1e-4) and np.isinf(depth[0, 0])
        assert np.isclose(depth, WALL, rtol=1e-4).sum() > 100
        box = np.isclose(depth, BOX, rtol=1e-4)
        np.testing.assert_allclose(np.median(frame.motion.numpy()[box], axis=0), expected_motion(), rtol=0.01)
        renderer.close()


@pytest.mark.parametrize("version", ["4.2", "6.0"])
def test_the_command_prints_a_table_and_writes_json(kit, tmp_path, capsys, version):
    kit(version, stage=None, standalone=True)
    from cosmos.bridge.kit import selftest

    file = tmp_path / "report.json"
    assert selftest.main(["--json", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "ok    unit of depth" in printed and "0 failed; written to" in printed
    written = json.loads(file.read_text())
    assert written["calibration"]["depth_in_scene_units"] is True
    assert len(written["facts"]) == len([line for line in printed.splitlines() if line[:4] in ("ok  ", "info", "FAIL")])


def test_outside_isaac_sim_the_command_says_where_to_run_it(capsys):
    from cosmos.bridge.kit import selftest

    assert selftest.main([]) == 2
    assert "python.sh of Isaac Sim" in capsys.readouterr().err
