"""The out folder of a run: what may lie in it, and what may not."""

from pathlib import Path

import pytest

from cosmos.bridge.errors import SinkError
from cosmos.bridge.runs.folder import check_out


def test_a_source_within_the_folder_does_not_fill_it_however_paths_are_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stage = tmp_path / "out" / "scene" / "stage.usda"
    stage.parent.mkdir(parents=True)
    stage.write_text("#usda 1.0\n")
    check_out(Path("out"), stage)
    check_out(tmp_path / "out", Path("out/scene/stage.usda"))
    (tmp_path / "out" / "other.txt").write_text("")
    with pytest.raises(SinkError, match="not empty"):
        check_out(Path("out"), stage)
