import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosmos.bridge.errors import SinkError, SourceError
from cosmos.bridge.runs.ledger import Ledger, read_ledger


def test_what_is_appended_is_read_again(tmp_path):
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        ledger.append("started", "clip_0000", seed=7)
        ledger.settle("clip_0000", "accepted")
        assert ledger.settled() == {"clip_0000": "accepted"}
    entries = read_ledger(tmp_path / "ledger.jsonl")
    assert entries[0] == {"event": "started", "clip": "clip_0000", "seed": 7}
    assert entries[1]["outcome"] == "accepted"


def test_the_later_outcome_holds(tmp_path):
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        ledger.settle("clip_0000", "failed", why="no memory")
        ledger.settle("clip_0000", "accepted")
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        assert ledger.settled() == {"clip_0000": "accepted"}


@given(st.integers(0, 400), st.lists(st.text(max_size=8), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_kill_at_any_byte_loses_at_most_the_last_entry(tmp_path, cut, names):
    path = tmp_path / "ledger.jsonl"
    path.unlink(missing_ok=True)
    with Ledger(path) as ledger:
        for name in names:
            ledger.settle(name, "accepted")
    content = path.read_bytes()
    path.write_bytes(content[: min(cut, len(content))])
    whole = content[: min(cut, len(content))].count(b"\n")
    with Ledger(path) as ledger:
        assert [entry["clip"] for entry in ledger.entries] == names[:whole]
        ledger.settle("after", "rejected")
    assert [entry["clip"] for entry in read_ledger(path)] == [*names[:whole], "after"]


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"event": "started", "clip": "a"}\n{"ev\n{"event": "started", "clip": "b"}\n')
    with pytest.raises(SinkError, match="Line 2"):
        Ledger(path)


@pytest.mark.parametrize("line", ["[]", "3", '{"event": 1, "clip": "a"}', "{}"])
def test_a_line_of_another_shape_is_refused(tmp_path, line):
    path = tmp_path / "ledger.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(SinkError, match="Line 1"):
        Ledger(path)


def test_a_missing_ledger_is_one_sentence(tmp_path):
    with pytest.raises(SourceError, match="There is no ledger"):
        read_ledger(tmp_path / "ledger.jsonl")


def test_a_folder_that_cannot_be_opened_is_one_sentence(tmp_path):
    with pytest.raises(SinkError, match="cannot be opened"):
        Ledger(tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_sentence_and_leaves_whole_lines(tmp_path, monkeypatch):
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.settle("clip_0000", "accepted")

        def no_space(fileno):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("cosmos.bridge.runs.ledger.os.fsync", no_space)
        with pytest.raises(SinkError, match="No space left"):
            ledger.settle("clip_0001", "accepted")
    lines = path.read_bytes().splitlines()
    assert [json.loads(line)["clip"] for line in lines] == ["clip_0000"]
