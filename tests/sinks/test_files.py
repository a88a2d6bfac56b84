import json
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos.bridge.errors import JobCancelled, SinkError
from cosmos.bridge.sinks.files import check_name, link_or_copy, new_folder, plain, to_json, write_bytes, write_json


class Kind(str, Enum):
    EDGE = "edge"


@dataclass
class Sample:
    kind: Kind
    values: np.ndarray


def test_plain_holds_only_what_json_holds():
    sample = Sample(kind=Kind.EDGE, values=np.array([[1.5, np.nan], [np.inf, 2]]))
    assert plain(sample) == {"kind": "edge", "values": [[1.5, None], ["inf", 2.0]]}
    assert plain({1: np.uint8(3), "b": {2, 1}, "c": np.bool_(True), "d": Path("a")}) == {
        "1": 3,
        "b": [1, 2],
        "c": True,
        "d": "a",
    }
    with pytest.raises(TypeError, match="no plain form"):
        plain(object())


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20))
def test_json_reads_back_as_it_was(value):
    assert json.loads(to_json(value)) == value


def test_rows_of_numbers_stay_on_one_line():
    text = to_json({"m": np.eye(4) * -1.5e-7, "text": "[\n1,\n2]"})
    assert "[-1.5e-07, -0.0, -0.0, -0.0]" in text and json.loads(text)["text"] == "[\n1,\n2]"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\x00", "clip 1", "a.cosmos-partial", "-a", "a" * 121, "é"]
)
def test_unsafe_names_are_refused(name):
    with pytest.raises(SinkError, match="clip name"):
        check_name(name)


def test_a_folder_is_whole_or_absent(tmp_path):
    with new_folder(tmp_path / "a") as partial:
        (partial / "x").write_text("1")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a" / "x").read_text() == "1"
    for error, raised in ((JobCancelled("stop"), JobCancelled), (KeyboardInterrupt(), KeyboardInterrupt)):
        with pytest.raises(raised), new_folder(tmp_path / "b") as partial:
            (partial / "x").write_text("1")
            raise error
    with pytest.raises(SinkError, match=r"No space left on device.*make room"), new_folder(tmp_path / "b") as partial:
        raise OSError(28, "No space left on device")
    assert [item.name for item in tmp_path.iterdir()] == ["a"]


def test_what_a_killed_run_left_under_the_temporary_name_is_cleared(tmp_path):
    (tmp_path / "a.cosmos-partial").mkdir()
    (tmp_path / "a.cosmos-partial" / "old").write_text("")
    with new_folder(tmp_path / "a"):
        pass
    assert list((tmp_path / "a").iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    write_json(tmp_path / "a.json", {"a": 1})
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(SinkError, match="No space left"):
        write_bytes(tmp_path / "a.json", b"{}")
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_link_or_copy_shares_or_copies(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("1")
    link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b" / "x").stat().st_ino == (tmp_path / "a" / "x").stat().st_ino

    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    link_or_copy(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "c" / "x").read_text() == "1"
    assert (tmp_path / "c" / "x").stat().st_ino != (tmp_path / "a" / "x").stat().st_ino
