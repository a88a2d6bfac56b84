"""A small labelled stage with two cameras, and render products of them."""

from pathlib import Path

CAMERAS = ("/World/Front", "/World/Side")
SIZE = (64, 96)


def write_scene(path: Path, *, frames: int = 80, metres: float = 1.0) -> Path:
    """Author a floor, a crate that slides, a barrel without labels, two cameras and a sun."""
    from pxr import Gf, Sdf, Usd, UsdGeom, UsdLux

    path.parent.mkdir(parents=True, exist_ok=True)
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, "Z")
    UsdGeom.SetStageMetersPerUnit(stage, metres)
    stage.SetTimeCodesPerSecond(24.0)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(frames)
    unit = 1.0 / metres
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())

    def box(name, size, place, color, label=None):
        cube = UsdGeom.Cube.Define(stage, f"/World/{name}")
        cube.CreateSizeAttr(1.0)
        cube.CreateDisplayColorAttr([color])
        cube.AddTranslateOp().Set(Gf.Vec3d(*place) * unit)
        cube.AddScaleOp().Set(Gf.Vec3f(*size) * unit)
        if label:
            cube.GetPrim().AddAppliedSchema("SemanticsLabelsAPI:class")  # UsdSemantics is not in every USD
            names = cube.GetPrim().CreateAttribute("semantics:labels:class", Sdf.ValueTypeNames.TokenArray)
            names.Set([label])
        return cube

    box("Floor", (8, 8, 0.2), (0, 0, -0.1), (0.5, 0.5, 0.48), "floor")
    crate = box("Crate", (0.8, 0.8, 0.8), (-1.2, 0.2, 0.4), (0.75, 0.35, 0.15), "crate")
    slide = crate.GetOrderedXformOps()[0]
    for time in range(frames + 1):
        slide.Set(Gf.Vec3d(-1.2 + 0.03 * time, 0.2, 0.4) * unit, float(time))
    box("Barrel", (0.5, 0.5, 1.2), (0.9, 1.2, 0.6), (0.1, 0.3, 0.6))
    for name, place, turn in (("Front", (0, -4.5, 1.6), (75, 0, 0)), ("Side", (4.2, 0.5, 1.8), (72, 0, 85))):
        camera = UsdGeom.Camera.Define(stage, f"/World/{name}")
        camera.AddTranslateOp().Set(Gf.Vec3d(*place) * unit)
        camera.AddRotateXYZOp().Set(Gf.Vec3f(*turn))
        camera.CreateFocalLengthAttr(18.0)
        camera.CreateClippingRangeAttr(Gf.Vec2f(0.05 * unit, 100 * unit))
    sun = UsdLux.DistantLight.Define(stage, "/World/Sun")
    sun.CreateIntensityAttr(3.0)
    sun.AddRotateXYZOp().Set(Gf.Vec3f(-35, 20, 0))
    stage.Save()
    return path


def products_of(rep, cameras=CAMERAS, size=SIZE):
    """Make a render product a camera; Replicator takes width and height."""
    return [rep.create.render_product(camera, (size[1], size[0])) for camera in cameras]
