"""Recorded frames lit by the stage that they show, which tells the same light as to frames drawn of it."""

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom  # noqa: TID253

from cosmos.bridge.cli.main import main
from cosmos.bridge.cli.pairs import Recipe, read_pairs
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


def moved(stage, folder, name, place, size):
    """The stage, exported with a thing elsewhere."""
    other = Usd.Stage.Open(str(stage))
    unit = 1.0 / UsdGeom.GetStageMetersPerUnit(other)
    for attribute, value in (("translate", Gf.Vec3d(*place)), ("scale", Gf.Vec3f(*size))):
        other.GetPrimAtPath(f"/World/{name}").GetAttribute(f"xformOp:{attribute}").Set(value * unit)
    other.GetRootLayer().Export(str(folder / "other.usda"))
    return folder / "other.usda"


def test_what_physics_moved_is_lit_where_the_boxes_saw_it(stage, recorded, tmp_path):
    other = moved(stage, tmp_path, "Floor", (0, 0, -2), (8, 8, 0.2))
    with pytest.raises(SourceError, match="the stage has other depths"):
        read_clip(FolderSource(recorded, lit_by=other, device="cpu"))
    boxed = tmp_path / "boxed"
    asked = ["render", str(stage), "--out", str(boxed), "--camera", CAMERAS[0], "--frames", "2:5", "--device", "cpu"]
    names = "rgb,distance_to_image_plane,instance_id_segmentation,bounding_box_3d,camera_params"
    assert main([*asked, "--size", f"{SIZE[0]}x{SIZE[1]}", "--annotators", names]) == 0
    clip = read_clip(FolderSource(boxed, lit_by=other, device="cpu"))
    truth = read_clip(StageSource(stage, camera=CAMERAS[0], frames=range(2, 5), size=SIZE, device="cpu"))
    paths = {clip.instances[key].prim_path: key for key in clip.poses}
    assert {"/World/Floor", "/World/Crate"} <= set(paths)
    for key, instance in truth.instances.items():
        if instance.prim_path in paths:
            np.testing.assert_allclose(clip.poses[paths[instance.prim_path]], truth.poses[key], atol=1e-5)
    look = Look(sun_elevation=25.0)
    for frame in (0, 2):
        seen, want = (c.probe.light(frame, look).relit.numpy().astype(int).copy() for c in (clip, truth))
        assert np.abs(seen - want).mean() < 1.0


@pytest.mark.parametrize("stage", [("Z", 1.0)], indirect=True)
def test_boxes_that_are_none_are_refused(stage, recorded):
    for number in range(3):
        np.save(recorded / f"bounding_box_3d_{number:04d}.npy", np.zeros(2))
        (recorded / f"bounding_box_3d_prim_paths_{number:04d}.json").write_text('["/World/Floor", "/World/Crate"]')
    with pytest.raises(SourceError, match=r"Array .*bounding_box_3d_0000.npy is no bounding_box_3d of BasicWriter"):
        read_clip(FolderSource(recorded, device="cpu"))


@pytest.mark.parametrize("stage", [("Z", 1.0)], indirect=True)
def test_a_pair_to_learn_from_may_name_its_stage(stage, recorded, tmp_path):
    (tmp_path / "pairs.toml").write_text(
        '[[pairs]]\nsource = "recorded"\nlit_by = "scene.usda"\ntarget = "recorded"\nprompt = "a dull day"\n'
    )
    listed = read_pairs(tmp_path)
    recipe = Recipe(folder=tmp_path, listed=listed, kinds=("edge",), needed=None, every=1, device="cpu")
    source, target = recipe.open(listed.pairs[0])
    clip = read_clip(source)
    assert clip.probe is not None and read_clip(target).probe is None
    clip.close()


@pytest.mark.parametrize("stage", [("Z", 1.0)], indirect=True)
def test_another_stage_is_refused(stage, recorded, tmp_path):
    moved(stage, tmp_path, "Floor", (0, 0, -2), (8, 8, 0.2))
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
