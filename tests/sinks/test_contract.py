"""What every sink promises; a new sink adds a line to SINKS."""

import os

import pytest
from pxr import Usd, UsdGeom  # noqa: TID253

from cosmos.bridge.errors import JobCancelled, SinkError
from cosmos.bridge.sinks.base import Sink
from cosmos.bridge.sinks.dataset import DatasetSink
from cosmos.bridge.sinks.stage import StageSink


def open_dataset(out):
    return DatasetSink(out, run={"planned": 1})


def open_stage(out):
    path = out.parent / "scene.usda"
    if not path.exists():
        stage = Usd.Stage.CreateNew(str(path))
        stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
        UsdGeom.Camera.Define(stage, "/World/Camera")
        stage.Save()
    return StageSink(out, stage_path=path)


SINKS = [pytest.param(open_dataset, id="dataset"), pytest.param(open_stage, id="stage")]


def files_below(out):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.parametrize("open_sink", SINKS)
def test_it_fills_the_seam_and_closes_twice(tmp_path, open_sink):
    sink = open_sink(tmp_path / "out")
    assert isinstance(sink, Sink)
    sink.close()
    sink.close()


@pytest.mark.parametrize("open_sink", SINKS)
def test_progress_counts_up_to_its_total(tmp_path, open_sink, augmentation):
    told = []
    open_sink(tmp_path / "out").write(augmentation(), lambda *step: told.append(step))
    assert told and {step[0] for step in told} <= {"write", "stage"}
    assert [step[1] for step in told] == list(range(1, len(told) + 1)) and {step[2] for step in told} == {len(told)}


@pytest.mark.parametrize("open_sink", SINKS)
@pytest.mark.parametrize("error", [JobCancelled, KeyboardInterrupt])
def test_whatever_stops_a_write_goes_through_and_leaves_no_trace(tmp_path, open_sink, augmentation, error):
    out = tmp_path / "out"
    sink = open_sink(out)
    sink.close()
    before = files_below(out)

    def stop(stage, done, total):
        if done == 2:
            raise error("stop")

    with pytest.raises(error):
        sink.write(augmentation(), stop)
    sink.close()
    assert files_below(out) == before
    sink.write(augmentation())
    assert len(files_below(out)) > len(before)


@pytest.mark.parametrize("open_sink", SINKS)
def test_a_lost_folder_is_a_sink_error(tmp_path, open_sink, augmentation):
    out = tmp_path / "out"
    sink = open_sink(out)
    for name in os.listdir(out):
        (out / name).unlink()
    out.rmdir()
    out.write_text("a file now")
    with pytest.raises(SinkError, match="could not be written"):
        sink.write(augmentation())


@pytest.mark.parametrize("open_sink", SINKS)
def test_pixels_go_in_as_they_are(tmp_path, open_sink, augmentation):
    """A sink borrows: what it was given is the same afterwards."""
    made = augmentation()
    before = made.result.rgb.numpy().copy(), made.request.clip.depth.numpy().copy()
    sink = open_sink(tmp_path / "out")
    sink.write(made)
    sink.close()
    assert (made.result.rgb.numpy() == before[0]).all() and (made.request.clip.depth.numpy() == before[1]).all()
