"""The writer against the traps of the real thing, one by one."""

import json
import sys
import threading
import time

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.errors import ConfigError, ModelError, SourceError
from cosmos.bridge.jobs import JobState
from cosmos.bridge.sinks.manifest import read_manifest
from kit.scene import CAMERAS, SIZE, products_of


@pytest.fixture
def capture(kit, tmp_path):
    """Start an application with a writer; give machine, replicator and writer."""

    def start(version="5.1", cameras=CAMERAS[:1], stage=None, **keywords):
        machine = kit(version, **({"stage": stage} if stage is not None else {}))
        import omni.replicator.core as rep

        machine.enable()
        rep.orchestrator.set_capture_on_play(False)
        writer = rep.WriterRegistry.get("CosmosBridgeWriter")
        keywords = {"output_dir": str(tmp_path / "out"), "prompt": "rain", "transfer": "identity", **keywords}
        writer.initialize(**keywords)
        writer.attach(products_of(rep, cameras))
        return machine, rep, writer

    return start


def steps(machine, rep, count):
    for _ in range(count):
        machine.run(rep.orchestrator.step_async(pause_timeline=False))


def keep_pictures(monkeypatch):
    """Let takes keep their pictures after their run, for the test to look at."""
    monkeypatch.setattr("cosmos.bridge.kit.take.Take.forget", lambda self: None)


def clip_of(writer, run):
    """Return the clip that a run was made of: what its source hands to the line."""
    (take,) = (cell.cell_contents for cell in run._work.__closure__ if type(cell.cell_contents).__name__ == "Take")
    return take.clip(take.cameras[0])


@pytest.mark.parametrize("structure", ["legacy", "annotator", "renderProduct"])
@pytest.mark.parametrize("gpu", [False, True])
def test_every_frame_is_the_one_that_was_shown(kit, capture, monkeypatch, structure, gpu):
    monkeypatch.setattr(wp, "is_cuda_available", lambda: gpu)  # the double then hands out Warp's arrays, int32 ids
    machine, rep, writer = capture(device=None if gpu else "cpu")
    writer.detach()
    writer.data_structure = structure
    writer.attach(products_of(rep, CAMERAS[:1]))
    keep_pictures(monkeypatch)
    steps(machine, rep, 6)
    writer.flush(machine.update)
    clip = clip_of(writer, writer.runs[0])
    drawn = [machine.feed.frame(CAMERAS[0], float(2 + i), (SIZE[1], SIZE[0])) for i in range(5)]
    np.testing.assert_array_equal(clip.rgb.numpy(), [frame["rgb"][..., :3] for frame in drawn])
    np.testing.assert_array_equal(clip.depth.numpy(), [frame["distance_to_image_plane"] for frame in drawn])
    np.testing.assert_array_equal(clip.normals.numpy(), [frame["normals"][..., :3] for frame in drawn])
    np.testing.assert_array_equal(clip.motion.numpy(), [frame["motion_vectors"][..., :2] for frame in drawn])
    names = {key: instance.prim_path for key, instance in clip.instances.items()}
    for ids, frame in zip(clip.instance_ids.numpy().view(np.uint32), drawn, strict=True):
        told = frame["instance_id_segmentation"]
        paths = {int(key): path for key, path in told["info"]["idToLabels"].items()}
        want = np.vectorize(lambda key, paths=paths: paths[key])(told["data"])
        np.testing.assert_array_equal(np.vectorize(lambda key: names.get(key, "BACKGROUND"))(ids), want)
    crate = next(instance for instance in clip.instances.values() if instance.prim_path == "/World/Crate")
    assert crate.labels == {"class": "crate"} and clip.labels[crate.semantic_id] == {"class": "crate"}
    barrel = next(instance for instance in clip.instances.values() if instance.prim_path == "/World/Barrel")
    assert barrel.labels == {} and barrel.semantic_id == 1
    assert machine.problems() == []


def test_cameras_time_and_rate_are_those_of_the_stage(capture, monkeypatch):
    from cosmos.bridge.render.renderer import Renderer

    machine, rep, writer = capture()
    keep_pictures(monkeypatch)
    for _ in range(5):  # every third step is captured, so the rate is 8, not the timeline's 24
        machine.timeline._advance()
        machine.timeline._advance()
        machine.replicator.clock += 2 * (machine.replicator.clock.__class__(1, 24))
        steps(machine, rep, 1)
    (summary,) = writer.flush(machine.update)
    clip = clip_of(writer, writer.runs[0])
    assert clip.fps == pytest.approx(8.0) and np.diff(clip.time_codes) == pytest.approx([3.0] * 3)
    renderer = Renderer(str(machine._stage), device="cpu", threads=1)
    truth = renderer.camera(CAMERAS[0], 6.0, size=SIZE)
    np.testing.assert_allclose(clip.cameras[0].cam_to_world, truth.cam_to_world, atol=1e-6)
    np.testing.assert_allclose(clip.cameras[0].intrinsics, truth.intrinsics, rtol=1e-6)
    renderer.close()
    manifest = json.loads((summary.out / "clip_0000" / "clip.json").read_text())
    assert manifest["clip"]["fps"] == pytest.approx(8.0)
    source = read_manifest(summary.out)["run"]["source"][CAMERAS[0]]
    assert source["kind"] == "replicator" and source["reference_times"][:2] == [[1, 4], [3, 8]]


def test_labelled_prims_count_as_instances_where_asked_and_bring_boxes(capture, monkeypatch):
    machine, rep, writer = capture(use_instance_id=False)
    keep_pictures(monkeypatch)
    steps(machine, rep, 4)
    writer.flush(machine.update)
    clip = clip_of(writer, writer.runs[0])
    crate = next(instance for instance in clip.instances.values() if instance.prim_path == "/World/Crate")
    np.testing.assert_allclose(crate.bounds, [[-0.5] * 3, [0.5] * 3], atol=1e-6)
    stage = machine.context.get_stage()
    from pxr import UsdGeom

    for index, step in enumerate((2, 3, 4)):
        world = UsdGeom.Xformable(stage.GetPrimAtPath("/World/Crate")).ComputeLocalToWorldTransform(float(step))
        np.testing.assert_allclose(clip.poses[crate.id][index], np.array(world).T, atol=1e-5)
    assert not any(instance.prim_path == "/World/Barrel" for instance in clip.instances.values())


def test_a_mapping_colours_classes(capture):
    machine, rep, writer = capture(
        segmentation_mapping={"crate": (255, 36, 66, 255), "class:floor": 0x0000FF00}, weights={"seg": 1.0}
    )
    steps(machine, rep, 3)
    (summary,) = writer.flush(machine.update)
    from cosmos.bridge.sources.video import VideoClip

    (shown,) = VideoClip(summary.out / "clip_0000" / "control_seg.mp4").read((0,))
    colors = {tuple(color) for color in shown.buffers["rgb"].reshape(-1, 3).tolist()}
    assert (255, 36, 66) in colors and (0, 255, 0) in colors and len(colors) == 3  # and black


def test_canny_thresholds_and_weights_reach_the_controls(capture):
    machine, rep, writer = capture(canny_threshold_low=30, canny_threshold_high=90, weights={"edge": 0.7})
    steps(machine, rep, 3)
    (summary,) = writer.flush(machine.update)
    controls = json.loads((summary.out / "clip_0000" / "clip.json").read_text())["controls"]
    assert controls["edge"]["settings"]["low"] == 30 and controls["edge"]["settings"]["high"] == 90


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"prompt": None}, "needs prompt"),
        ({"output_dir": None}, "needs output_dir"),
        ({"prompts": ["a"], "size": "64x96"}, "takes no size"),
        ({"wieghts": {}}, "'wieghts' is no setting.*'weights'"),
        ({"num_frames": 0}, "num_frames must be at least 1"),
        ({"fps": float("nan")}, "fps must be a positive"),
        ({"max_pending": 0}, "max_pending must be at least 1"),
        ({"offload": {"placement": "batch"}}, "captured live are gone by then; take 'here' or 'worker'"),
        ({"canny_threshold_low": 10}, "go together"),
        ({"segmentation_mapping": {"car": "red"}}, "must be an id or"),
    ],
)
def test_wrong_keywords_are_refused_before_anything_is_captured(capture, keywords, words):
    with pytest.raises(ConfigError, match=words):
        capture(**keywords)


def test_a_backend_gives_the_folder_and_gets_the_metadata(capture, tmp_path):
    class DiskBackend:
        output_dir = str(tmp_path / "disk")

    machine, rep, writer = capture(output_dir=None, backend=DiskBackend())
    steps(machine, rep, 2)
    writer.flush(machine.update)
    assert (tmp_path / "disk" / "take_0000" / "manifest.json").is_file()
    backend, metadata = machine.replicator.metadata[0]
    assert isinstance(backend, DiskBackend) and metadata["version"] != "0.0.0"


def test_final_frames_once_a_product_cut_once(capture):
    machine, rep, writer = capture(cameras=CAMERAS)
    steps(machine, rep, 4)
    rep.orchestrator.stop()
    rep.orchestrator.stop()
    assert len(writer.runs) == 1
    steps(machine, rep, 2)
    assert writer.next_clip() is not None and writer.next_clip() is None
    assert len(writer.flush(machine.update)) == 2 and machine.problems() == []


def test_write_waits_for_no_model_and_capture_pauses_until_it_has_caught_up(capture, monkeypatch):
    from cosmos.bridge.transfer.identity import IdentityTransfer

    go = threading.Event()
    plain = IdentityTransfer.transfer

    def slow(self, request, progress=None):
        go.wait(30)
        return plain(self, request, progress)

    monkeypatch.setattr(IdentityTransfer, "transfer", slow)
    machine, rep, writer = capture(num_frames=4, max_pending=2)
    rep.orchestrator.set_capture_on_play(True)
    machine.timeline.play()
    start = time.thread_time()
    machine.update(40)
    spent = time.thread_time() - start
    assert not machine.timeline.is_playing() and not writer.ready  # after two takes
    assert len(writer.runs) == 2 and writer._session.num_open <= 2 and spent < 5.0
    go.set()
    deadline = time.monotonic() + 30
    while not machine.timeline.is_playing() and time.monotonic() < deadline:
        machine.update()
        time.sleep(0.01)
    assert machine.timeline.is_playing()
    machine.update(6)
    machine.timeline.pause()
    machine.update(2)
    summaries = writer.flush(machine.update)
    references = [
        moment
        for summary in summaries
        for moment in read_manifest(summary.out)["run"]["source"][CAMERAS[0]]["reference_times"]
    ]
    seconds = [numerator / denominator for numerator, denominator in references]
    assert len(seconds) >= 10
    np.testing.assert_allclose(np.diff(seconds), 1 / 24, atol=1e-9)  # none dropped, none twice


def test_a_timeline_that_was_stopped_meanwhile_stays_stopped(capture, monkeypatch):
    from cosmos.bridge.transfer.identity import IdentityTransfer

    go, plain = threading.Event(), IdentityTransfer.transfer
    monkeypatch.setattr(IdentityTransfer, "transfer", lambda *a, **k: go.wait(30) and plain(*a, **k))
    machine, rep, writer = capture(num_frames=4, max_pending=1)
    rep.orchestrator.set_capture_on_play(True)
    machine.timeline.play()
    machine.update(20)
    assert not machine.timeline.is_playing() and writer._session.held
    machine.timeline.stop()
    go.set()
    writer.flush(machine.update)
    assert not writer._session.held and not machine.timeline.is_playing()


@pytest.mark.parametrize("place", ["cosmos.bridge.kit.take.to_frame", "cosmos.bridge.kit.recorder.copy_into"])
def test_an_unforeseen_error_in_one_frame_fails_the_take_whole(capture, monkeypatch, place):
    machine, rep, writer = capture()
    steps(machine, rep, 3)
    module, _, name = place.rpartition(".")
    plain, calls = getattr(sys.modules[module], name), []

    def sometimes(*arguments, **named):
        calls.append(1)
        if len(calls) == 2:
            raise KeyError("surprise")
        return plain(*arguments, **named)

    monkeypatch.setattr(place, sometimes)
    steps(machine, rep, 4)
    with pytest.raises(SourceError, match="KeyError: 'surprise'"):
        writer.flush(machine.update)
    steps(machine, rep, 2)
    writer.next_clip()  # the next take is sound again
    writer._session.queue.wait(60)
    assert writer.runs[-1].summary.accepted == 1


def test_a_script_that_steps_on_is_told_instead_of_losing_frames(capture, monkeypatch):
    go = threading.Event()
    machine, rep, writer = capture(num_frames=4, max_pending=1)
    monkeypatch.setattr("cosmos.bridge.kit.session.PATIENCE", 0.05)
    monkeypatch.setattr("cosmos.bridge.kit.session.GRACE", 2)
    from cosmos.bridge.transfer.identity import IdentityTransfer

    plain = IdentityTransfer.transfer
    monkeypatch.setattr(IdentityTransfer, "transfer", lambda *a, **k: go.wait(30) and plain(*a, **k))
    steps(machine, rep, 8)
    assert any("step no further until writer.ready" in text for text in machine.problems())
    go.set()
    writer.wait_until_ready(machine.update)
    with pytest.raises(SourceError, match="take_0001 is not whole"):
        writer.flush(machine.update)
    assert writer.runs[0].state is JobState.DONE and writer.runs[1].state is JobState.FAILED
    assert not (writer.runs[1].out / "manifest.json").exists()


def test_products_that_come_and_go_within_a_take_fail_it_whole(capture):
    machine, rep, writer = capture()
    steps(machine, rep, 3)
    products = list(machine.replicator.products.values())
    writer._engine.detach(writer)  # as another script would, behind the writer's back
    machine.replicator.warm_up = 0
    super(type(writer), writer).attach([*products, *products_of(rep, CAMERAS[1:])])
    steps(machine, rep, 1)
    assert any("call next_clip() before render products" in text for text in machine.problems())
    with pytest.raises(SourceError, match="not whole"):
        writer.flush(machine.update)


def test_an_empty_frame_amid_a_take_fails_it_whole(capture):
    machine, rep, writer = capture()
    steps(machine, rep, 3)
    machine.replicator.warm_up = 99
    steps(machine, rep, 1)
    assert any("empty frame" in text for text in machine.problems())
    with pytest.raises(SourceError, match="disturbed"):
        writer.flush(machine.update)


def test_a_failed_run_tells_why_and_can_be_tried_again(capture, monkeypatch):
    from cosmos.bridge.transfer.identity import IdentityTransfer

    plain = IdentityTransfer.transfer

    def broken(self, request, progress=None):
        raise ModelError("identity is out of order; try again.")

    told = []
    machine, rep, writer = capture(on_run=told.append)
    monkeypatch.setattr(IdentityTransfer, "transfer", broken)
    steps(machine, rep, 3)
    (summary,) = writer.flush(machine.update)
    assert summary.failed == 1 and told == list(writer.runs)
    monkeypatch.setattr(IdentityTransfer, "transfer", plain)
    again = writer._queue.retry(writer.runs[0])
    assert again.job.result(30).accepted == 1


def test_initialising_again_and_closing_end_what_was(capture, tmp_path):
    machine, rep, writer = capture()
    held = machine.alive()
    steps(machine, rep, 3)
    writer.initialize(output_dir=str(tmp_path / "other"), prompt="snow", transfer="identity")
    assert machine.alive() == held
    steps(machine, rep, 3)
    (summary,) = writer.flush(machine.update)
    assert summary.out.parent.name == "other"
    writer.close()
    writer.close()
    assert machine.alive() == held - 2


def test_a_closing_stage_cuts_the_take_and_the_run_goes_on(capture):
    machine, rep, writer = capture()
    steps(machine, rep, 4)
    machine.context.close_stage()
    assert len(writer.runs) == 1
    (summary,) = writer.flush(machine.update)
    assert summary.accepted == 1


def test_a_stage_that_was_never_saved_gives_a_dataset_without_a_layer(capture, kit, scene):
    machine, rep, writer = capture()
    from pxr import Sdf, Usd

    layer = Sdf.Layer.CreateAnonymous()
    layer.TransferContent(machine.context.get_stage().GetRootLayer())
    machine.context._stage = Usd.Stage.Open(layer)
    steps(machine, rep, 3)
    (summary,) = writer.flush(machine.update)
    assert summary.accepted == 1 and summary.stage is None and summary.report.is_file()


def test_what_was_captured_live_is_not_drawn_again_by_resume(capture):
    from cosmos.bridge import resume

    machine, rep, writer = capture()
    steps(machine, rep, 3)
    (summary,) = writer.flush(machine.update)
    with pytest.raises(SourceError, match="captured live inside Kit"):
        resume(summary.out)


def test_flush_async_waits_without_stopping_the_application(capture):
    machine, rep, writer = capture()
    steps(machine, rep, 3)
    (summary,) = machine.run(writer.flush_async())
    assert summary.accepted == 1


def test_disabling_with_work_in_hand_ends_every_thread_and_says_what_is_lost(capture, monkeypatch):
    from cosmos.bridge.transfer.identity import IdentityTransfer

    plain = IdentityTransfer.transfer

    def slow(self, request, progress=None):
        for step in range(500):
            time.sleep(0.01)
            progress("transfer", step, 500)
        return plain(self, request, progress)

    monkeypatch.setattr(IdentityTransfer, "transfer", slow)
    machine, rep, _ = capture(num_frames=2)
    steps(machine, rep, 6)
    machine.disable()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cosmos-bridge")]
    assert any("take_0001" in text and "flush()" in text for text in machine.problems())
