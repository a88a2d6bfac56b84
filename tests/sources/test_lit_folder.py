"""Recorded frames lit by the stage that they show, which tells the same light as to frames drawn of it."""

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom  # noqa: TID253

from cosmos.bridge.cli.main import main
from cosmos.bridge.errors import SourceError
from cosmos.bridge.sources import FolderSource, StageSource, open_source, read_clip
from cosmos.bridge.types import Look
from kit.scene import CAMERAS, write_scene

SIZE = (64, 96)


@pytest.fixture(params=[("Z", 1.0), ("Z", 0.01), ("Y", 1.0)], ids=["metres", "centimetres", "Y up"])
def stage(request, tmp_path):
    axis, metres = request.param
    path = write_scene(tmp_path / "scene.usda", frames=8, metres=metres)
    if axis == "Y":
        usd = Usd.Stage.Open(str(path))
        UsdGeom.SetStageUpAxis(usd, UsdGeom.Tokens.y)
        UsdGeom.Xformable(usd.GetPrimAtPath("/World")).AddRotateXOp().Set(-90.0)
        usd.Save()
    return path


@pytest.fixture
def recorded(stage, tmp_path, capsys):
    out = tmp_path / "recorded"
    asked = ["render", str(stage), "--out", str(out), "--camera", CAMERAS[0], "--frames", "2:5"]
    assert main([*asked, "--size", f"{SIZE[0]}x{SIZE[1]}", "--device", "cpu"]) == 0
    return out


def test_a_recording_has_the_light_of_its_stage(stage, recorded, device):
    source = open_source(recorded, lit_by=str(stage), device=device)
    clip = read_clip(source)
    truth = read_clip(StageSource(stage, camera=CAMERAS[0], frames=range(2, 5), size=SIZE, device=device))
    assert clip.up_axis == truth.up_axis and source.describe()["lit_by"] == str(stage)
    look = Look(sun_elevation=25.0, snow=0.5)
    for frame in range(3):
        seen, want = (c.probe.light(frame, look).relit.numpy().astype(int).copy() for c in (clip, truth))
        assert want.std() > 10.0 and np.abs(seen - want).mean() < 1.0
    for c in (clip, truth):
        c.close()


def test_without_a_stage_a_recording_has_no_light_of_its_own(recorded):
    assert read_clip(FolderSource(recorded, device="cpu")).probe is None


@pytest.mark.parametrize("stage", [("Z", 1.0)], indirect=True)
def test_another_stage_is_refused(stage, recorded, tmp_path):
    other = Usd.Stage.Open(str(stage))
    other.GetPrimAtPath("/World/Floor").GetAttribute("xformOp:translate").Set(Gf.Vec3d(0, 0, -2))
    other.GetRootLayer().Export(str(tmp_path / "other.usda"))
    with pytest.raises(
        SourceError, match=r"is not lit by .*other.usda, since the stage has other depths in .* of frame"
    ):
        read_clip(FolderSource(recorded, lit_by=tmp_path / "other.usda", device="cpu"))


@pytest.mark.parametrize("stage", [("Z", 1.0)], indirect=True)
def test_what_is_no_stage_is_refused_at_once(stage, recorded, tmp_path):
    with pytest.raises(SourceError, match=r"The stage .*gone.usd of lit_by does not exist"):
        FolderSource(recorded, lit_by=tmp_path / "gone.usd")
    (tmp_path / "text.usda").write_text("no stage")
    with pytest.raises(SourceError, match=r"The stage .*text.usda of lit_by cannot be read"):
        FolderSource(recorded, lit_by=tmp_path / "text.usda")
    for file in recorded.glob("distance_*"):
        file.unlink()
    with pytest.raises(SourceError, match="has no depth, so the stage cannot be held against it"):
        read_clip(FolderSource(recorded, lit_by=stage, device="cpu"))
    with pytest.raises(SourceError, match="is a stage and takes no lit_by"):
        open_source(stage, lit_by=str(stage))
