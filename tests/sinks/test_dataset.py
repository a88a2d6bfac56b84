import json
import os
import subprocess
import sys
import textwrap

import av  # noqa: TID253
import cv2
import numpy as np
import OpenEXR  # noqa: TID253
import pytest
import warp as wp

from cosmos.bridge.errors import JobCancelled, SinkError
from cosmos.bridge.sinks.base import Sink
from cosmos.bridge.sinks.dataset import DatasetSink
from cosmos.bridge.sinks.manifest import read_clip_record, read_manifest, verify
from cosmos.bridge.types import ControlKind, ControlWeights


def decode(path):
    with av.open(str(path)) as container:
        return np.stack([picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)])


def names_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def sink(tmp_path):
    return DatasetSink(tmp_path / "out", run={"planned": 2, "command": "cosmos-bridge augment a.usda"})


def test_it_is_a_sink(sink):
    assert isinstance(sink, Sink)


def test_an_accepted_clip_holds_pictures_truth_and_story(tmp_path, sink, augmentation, clip):
    made = augmentation(clip=clip(5, 35, 63))
    told = []
    sink.write(made, lambda *step: told.append(step))
    sink.close()
    sink.close()
    folder = tmp_path / "out" / "clip_0000"
    tops = {name.split("/")[0] for name in names_below(folder)}
    assert tops == {
        *("source.mp4", "augmented.mp4", "control_edge.mp4", "control_depth.mp4", "control_seg.mp4"),
        *("depth", "instance_ids", "semantic_ids", "preview", "preview.jpg"),
        *("labels.json", "boxes.json", "cameras.json", "carry_over.json", "clip.json"),
    }
    source = made.request.clip
    np.testing.assert_array_equal(
        decode(folder / "control_seg.mp4"), made.request.controls[ControlKind.SEG].video.numpy()
    )
    assert decode(folder / "source.mp4").shape == (5, 36, 64, 3)
    assert np.abs(decode(folder / "augmented.mp4")[:, :35, :63].astype(int) - made.result.rgb.numpy()).mean() < 4
    for t in range(5):
        with OpenEXR.File(str(folder / "depth" / f"{t:04d}.exr")) as image:
            np.testing.assert_array_equal(image.channels()["Z"].pixels, source.depth.numpy()[t])
        ids = cv2.imread(str(folder / "instance_ids" / f"{t:04d}.png"), cv2.IMREAD_UNCHANGED)
        assert ids.dtype == np.uint16
        np.testing.assert_array_equal(ids, source.instance_ids.numpy()[t])
    record = read_clip_record(folder)
    assert record["request"]["seed"] == 7 and record["request"]["weights"]["depth"] == 0.5
    assert record["clip"]["time_codes"] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert record["provenance"]["requested"] != record["provenance"]["effective"]
    assert record["videos"]["source"]["padding"] == [1, 1]
    assert record["verdict"]["measurements"][3]["value"] is None
    assert set(record["files"]) == set(names_below(folder)) - {"clip.json"}
    assert told[-1][1] == told[-1][2] == len(told) and told[0][0] == "write"


def test_rejected_attempts_are_kept_apart_and_counted(tmp_path, sink, augmentation, clip, controls):
    source = clip()
    signals = controls(source)
    sink.write(augmentation(clip=source, controls=signals, accepted=False))
    assert sink.counts()["rejected"] == 1
    sink.write(augmentation(clip=source, controls=signals, attempt=2))
    sink.write(augmentation("clip_0001", clip=source, controls=signals, accepted=False))
    out = tmp_path / "out"
    assert (out / "rejected" / "clip_0000_attempt1" / "augmented.mp4").is_file()
    assert (out / "clip_0000").is_dir() and not (out / "clip_0001").exists()
    counts = read_manifest(out)["counts"]
    assert counts == {
        "planned": 2,
        "accepted": 1,
        "rejected": 1,
        "refused": 0,
        "failed": 0,
        "pending": 0,
        "attempts": 3,
        "rejected_attempts": 2,
    }
    assert [entry["reason"] for entry in read_manifest(out)["clips"][0]["attempts"]] == [
        "The forklift moved by 4.2 px; the bar is 2 px.",
        "",
    ]


def test_what_attempts_share_is_written_once(tmp_path, sink, augmentation, clip, controls):
    source = clip()
    signals = controls(source)
    sink.write(augmentation(clip=source, controls=signals))
    sink.write(augmentation("clip_0001", clip=source, controls=signals, look="night"))
    sink.write(augmentation("clip_0002", clip=clip()))
    out = tmp_path / "out"
    for name in ("source.mp4", "depth/0001.exr", "instance_ids/0003.png", "control_edge.mp4"):
        assert (out / "clip_0000" / name).stat().st_ino == (out / "clip_0001" / name).stat().st_ino
        assert (out / "clip_0000" / name).stat().st_ino != (out / "clip_0002" / name).stat().st_ino
    assert (out / "clip_0000/augmented.mp4").read_bytes() != (out / "clip_0001/augmented.mp4").read_bytes()
    assert verify(out) == []


def test_clips_without_truth_are_kept_without_it(tmp_path, sink, augmentation, clip, controls):
    full = clip()
    bare = clip(depth=None, instance_ids=None, semantic_ids=None, labels={}, instances={}, poses={})
    sink.write(augmentation(clip=bare, controls=controls(full)))
    tops = {name.split("/")[0] for name in names_below(tmp_path / "out" / "clip_0000")}
    assert not tops & {"depth", "instance_ids", "semantic_ids"} and "boxes.json" in tops
    assert verify(tmp_path / "out") == []


def test_wide_ids_are_split_over_four_channels(tmp_path, sink, augmentation, clip, controls):
    source = clip()
    ids = source.instance_ids.numpy().copy()
    ids[ids == 4] = 70_000
    wide = clip(instance_ids=wp.array(ids, dtype=wp.uint32, device="cpu"))
    sink.write(augmentation(clip=wide, controls=controls(source)))
    folder = tmp_path / "out" / "clip_0000"
    bgra = cv2.imread(str(folder / "instance_ids" / "0002.png"), cv2.IMREAD_UNCHANGED).astype(np.uint32)
    np.testing.assert_array_equal(bgra[..., 2] + 256 * bgra[..., 1] + 65536 * bgra[..., 0], ids[2])
    assert json.loads((folder / "labels.json").read_text())["encodings"] == {
        "instance_ids": "uint32_rgba",
        "semantic_ids": "uint16",
    }


def test_weight_maps_are_summed_up(tmp_path, sink, augmentation, clip):
    source = clip()
    values = np.zeros((4, 36, 64), np.float32)
    values[:, :18] = 0.5
    weights = ControlWeights(edge=wp.array(values, dtype=wp.float32, device="cpu"))
    sink.write(augmentation(clip=source, weights=weights))
    edge = read_clip_record(tmp_path / "out" / "clip_0000")["request"]["weights"]["edge"]
    assert edge == {"map": [4, 36, 64], "min": 0.0, "mean": 0.25, "max": 0.5}


def test_other_frames_than_went_in_are_refused(tmp_path, sink, augmentation, clip):
    source = clip()
    with pytest.raises(SinkError, match="going in"):
        sink.write(augmentation(clip=source, result_rgb=source.rgb.numpy()[:-1]))
    assert os.listdir(tmp_path / "out") == ["manifest.json"]


def test_the_same_attempt_twice_is_refused(sink, augmentation):
    sink.write(augmentation())
    with pytest.raises(SinkError, match="written already"):
        sink.write(augmentation())


def test_a_cancelled_write_leaves_nothing(tmp_path, sink, augmentation):
    def cancel(stage, done, total):
        if done == 4:
            raise JobCancelled("stop")

    with pytest.raises(JobCancelled):
        sink.write(augmentation(), cancel)
    assert os.listdir(tmp_path / "out") == ["manifest.json"]
    sink.write(augmentation())
    assert verify(tmp_path / "out") == []


def test_a_killed_run_is_continued(tmp_path, sink, augmentation):
    out = tmp_path / "out"
    sink.write(augmentation())
    before = (out / "manifest.json").read_bytes()
    sink.write(augmentation("clip_0001"))
    (out / "manifest.json").write_bytes(before)  # killed between the rename and the manifest
    (out / "clip_0002.cosmos-partial").mkdir()
    again = DatasetSink(out, run={"planned": 3})
    assert again.counts()["accepted"] == 1
    again.write(augmentation("clip_0001"))
    again.write(augmentation("clip_0002", accepted=False))
    assert again.counts() == read_manifest(out)["counts"] and again.counts()["accepted"] == 2
    assert verify(out) == [] and not list(out.glob("*.cosmos-partial"))


def test_a_folder_of_somebody_else_is_never_removed(tmp_path, sink, augmentation):
    (tmp_path / "out" / "clip_0000").mkdir()
    (tmp_path / "out" / "clip_0000" / "thesis.txt").write_text("mine")
    with pytest.raises(SinkError, match="no clip of ours"):
        sink.write(augmentation())
    assert (tmp_path / "out" / "clip_0000" / "thesis.txt").read_text() == "mine"


def test_clips_without_pixels_are_counted(tmp_path, sink):
    sink.record("clip_0000", "refused", "The prompt names a person.")
    sink.record("clip_0001", "failed", "The model ran out of memory.", tags={"variant": "1"})
    manifest = read_manifest(tmp_path / "out")
    assert [clip["status"] for clip in manifest["clips"]] == ["refused", "failed"]
    assert manifest["clips"][1]["reason"] == "The model ran out of memory." and manifest["counts"]["pending"] == 0


def test_a_failed_clip_that_is_made_later_is_accepted(sink, augmentation):
    sink.record("clip_0000", "failed", "Out of memory.")
    sink.write(augmentation())
    sink.record("clip_0000", "failed", "Late.")
    assert sink.counts()["accepted"] == 1 and sink.counts()["failed"] == 0


def test_a_file_in_place_of_the_folder_is_one_sentence(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(SinkError, match="could not be written"):
        DatasetSink(tmp_path / "out", run={})


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    """A real limit of the system, in a process of its own: no file may grow past 2,000 bytes."""
    script = textwrap.dedent(
        f"""
        import importlib.util, resource, signal, sys
        spec = importlib.util.spec_from_file_location("world", {str(__file__).replace("test_dataset", "conftest")!r})
        world = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(world)
        from cosmos.bridge.errors import SinkError
        from cosmos.bridge.sinks.dataset import DatasetSink
        sink = DatasetSink({str(tmp_path / "out")!r}, run={{}})
        attempt = world.make_augmentation(clip=world.make_clip(4, 120, 200))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        try:
            sink.write(attempt)
        except SinkError as error:
            print("SINKERROR", error)
        """
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert "SINKERROR" in done.stdout, done.stdout + done.stderr
    assert os.listdir(tmp_path / "out") == ["manifest.json"]
    assert verify(tmp_path / "out") == []
