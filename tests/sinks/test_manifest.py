import json

import pytest

from cosmos.bridge.errors import SinkError
from cosmos.bridge.sinks.dataset import DatasetSink
from cosmos.bridge.sinks.manifest import OUTCOMES, Manifest, read_clip_record, read_manifest, verify


@pytest.fixture
def out(tmp_path, augmentation):
    sink = DatasetSink(tmp_path, run={"planned": 3, "config": {"seed": 7}})
    sink.write(augmentation())
    sink.write(augmentation("clip_0001", accepted=False))
    sink.close()
    return tmp_path


def test_an_untouched_folder_verifies(out):
    assert verify(out) == []


@pytest.mark.parametrize(
    "name", ["clip_0000/augmented.mp4", "clip_0000/depth/0002.exr", "clip_0000/clip.json", "clip_0000/preview.jpg"]
)
def test_one_changed_byte_anywhere_shows(out, name):
    content = bytearray((out / name).read_bytes())
    content[len(content) // 2] ^= 1
    (out / name).write_bytes(content)
    problems = verify(out)
    assert len(problems) == 1 and name in problems[0] and "changed" in problems[0]


def test_missing_files_show(out):
    (out / "rejected/clip_0001_attempt1/boxes.json").unlink()
    (out / "clip_0000/instance_ids/0001.png").unlink()
    problems = verify(out)
    assert len(problems) == 2 and all("is missing" in problem for problem in problems)


def test_a_missing_record_shows(out):
    (out / "clip_0000/clip.json").unlink()
    assert any("clip.json is missing" in problem for problem in verify(out))


def test_edited_counts_show(out):
    manifest = read_manifest(out)
    manifest["counts"]["accepted"] = 2
    (out / "manifest.json").write_text(json.dumps(manifest))
    problems = verify(out)
    assert any("counts 2 accepted clips, but lists 1" in problem for problem in problems)
    assert any("do not add up" in problem for problem in problems)


def test_counts_always_add_up(tmp_path):
    manifest = Manifest(tmp_path, {"planned": 2})
    for index, status in enumerate(("failed", "refused", "failed", "refused")):
        manifest.add_outcome(f"clip_{index:04d}", status, "why", tags={})
        counts = manifest.counts()
        assert counts["planned"] == sum(counts[key] for key in (*OUTCOMES, "pending")) == max(2, index + 1)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": 99, "run": {}, "counts": {}, "clips": []}'])
def test_a_damaged_manifest_is_one_sentence(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(SinkError, match=r"manifest\.json (cannot be read|is no version 1)"):
        read_manifest(tmp_path)


def test_a_missing_manifest_says_what_to_give(tmp_path):
    with pytest.raises(SinkError, match="does not exist; give the output folder"):
        verify(tmp_path)
    with pytest.raises(SinkError, match="does not exist"):
        read_clip_record(tmp_path)
