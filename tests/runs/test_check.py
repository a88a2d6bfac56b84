import pytest

from cosmos.bridge.errors import SourceError
from cosmos.bridge.runs.check import check_run


@pytest.fixture
def run(config, make_bridge):
    return make_bridge(config).augment().out


def test_a_whole_run_has_no_problem(run):
    checked = check_run(run)
    assert checked.problems == ()
    assert checked.num_files > 10


def test_a_changed_byte_is_found(run):
    path = run / "clip_0001" / "augmented.mp4"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert any("clip_0001" in problem and "augmented.mp4" in problem for problem in check_run(run).problems)


def test_a_missing_file_is_found(run):
    (run / "clip_0000" / "boxes.json").unlink()
    assert any("boxes.json" in problem for problem in check_run(run).problems)


def test_a_ledger_that_knows_more_than_the_manifest_is_found(run):
    with open(run / "ledger.jsonl", "a") as ledger:
        ledger.write('{"event": "settled", "clip": "clip_0009", "outcome": "accepted"}\n')
    assert any("clip_0009 was accepted, the manifest says nothing" in problem for problem in check_run(run).problems)


def test_a_folder_without_a_run_is_one_sentence(tmp_path):
    with pytest.raises(SourceError, match="no ledger"):
        check_run(tmp_path)
