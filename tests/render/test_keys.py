"""Prims that go straight between a few keys, and prims that do not, are where USD computes them to be at any time."""

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom  # noqa: TID253

from cosmos.bridge.render.usd import keys as keys_module
from cosmos.bridge.render.usd.stage import StageReader

TIMES = (0.0, 1.0, 2.5, 4.0, 4.5, 7.75, 9.0, 10.0, 12.0, -3.0)


def vector(rng):
    return rng.uniform(-5.0, 5.0, 3).tolist()


def add_ops(cube, kind, rng):
    times = sorted({0.0, 10.0, *rng.uniform(0.0, 10.0, int(rng.integers(0, 4))).round(2).tolist()})
    if kind == "turn":
        op = cube.AddRotateXYZOp()
        for time in times:
            op.Set(Gf.Vec3f(*rng.uniform(-180.0, 180.0, 3).tolist()), time)
    elif kind == "matrix":
        op = cube.AddTransformOp()
        for time in times:
            op.Set(Gf.Matrix4d(*(np.eye(4) + 0.3 * rng.normal(size=(4, 4)) * [1, 1, 1, 0]).ravel().tolist()), time)
    else:
        cube.AddRotateYOp().Set(float(rng.uniform(-90, 90)))
        single = kind == "single"
        op = cube.AddTranslateOp(UsdGeom.XformOp.PrecisionFloat if single else UsdGeom.XformOp.PrecisionDouble)
        if kind == "dense":
            times = np.linspace(0.0, 10.0, 41).tolist()
        for time in times:
            op.Set(Gf.Vec3f(*vector(rng)) if single else Gf.Vec3d(*vector(rng)), time)
        if kind == "blocked":
            op.GetAttr().Set(Sdf.ValueBlock(), 5.0)
        if kind == "pivot":
            cube.AddTranslateOp(opSuffix="pivot").Set(Gf.Vec3d(*vector(rng)))
            cube.AddScaleOp().Set((1.0, 2.0, 0.5))
            cube.AddTranslateOp(opSuffix="pivot", isInverseOp=True)
        if kind == "two":
            scale = cube.AddScaleOp()
            scale.Set((1.0, 1.0, 1.0), 0.0)
            scale.Set((3.0, 1.0, 2.0), 10.0)
        if kind == "reset":
            cube.SetResetXformStack(True)


def many(seed):
    stage, rng = Usd.Stage.CreateInMemory(), np.random.default_rng(seed)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(10)
    for name in ("Still", "Moving"):
        group = UsdGeom.Xform.Define(stage, f"/{name}")
        group.AddRotateXYZOp().Set((20.0, 30.0, 40.0))
        shift = group.AddTranslateOp()
        shift.Set((1.0, 2.0, 3.0), 0.0)
        if name == "Moving":
            shift.Set((4.0, 2.0, 3.0), 10.0)
        for kind in ("shift", "single", "dense", "blocked", "pivot", "two", "reset", "turn", "matrix"):
            for index in range(2):
                add_ops(UsdGeom.Cube.Define(stage, f"/{name}/{kind}{index}"), kind, rng)
    return stage


def check(reader, stage, times=TIMES):
    for time in times:
        pose = reader.pose(time)
        for row, instance in enumerate(reader.scene.drawn):
            cube = UsdGeom.Imageable(stage.GetPrimAtPath(instance.prim_path))
            expected = np.array(cube.ComputeLocalToWorldTransform(time)).T
            np.testing.assert_allclose(pose.local_to_world[row], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("held", [False, True])
def test_every_prim_is_where_usd_says(held):
    stage = many(int(held))
    if held:
        stage.SetInterpolationType(Usd.InterpolationTypeHeld)
    reader = StageReader(stage)
    check(reader, stage)
    straight = {reader._tracks.moving.prims[row] for keys in reader._tracks.courses._keys for row in keys.rows}
    names = {str(prim.GetPath()).rstrip("01") for prim in straight}
    assert names == (set() if held else {"/Still/shift", "/Still/pivot", "/Still/matrix", "/Still/reset"})


def test_an_edit_is_followed():
    stage = many(3)
    reader = StageReader(stage)
    check(reader, stage)
    stage.GetPrimAtPath("/Still/shift0").GetAttribute("xformOp:translate").Set(Gf.Vec3d(7.0, 8.0, 9.0), 10.0)
    check(reader, stage)
    UsdGeom.Xformable(stage.GetPrimAtPath("/Still")).GetOrderedXformOps()[1].Set(Gf.Vec3d(0.0, 0.0, 50.0), 5.0)
    check(reader, stage)


def test_usd_is_not_asked_for_what_goes_straight(monkeypatch):
    stage = many(0)
    reader, asked = StageReader(stage), []
    rows = keys_module.world_rows
    monkeypatch.setattr(keys_module, "world_rows", lambda cache, prims: asked.append(len(prims)) or rows(cache, prims))
    check(reader, stage)
    assert asked == [36, 36, *[28] * 8]
