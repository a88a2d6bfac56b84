"""A yard of labelled things that hide each other, for annotators."""

from pxr import Gf, Sdf, Usd, UsdGeom, UsdSemantics  # noqa: TID253

SIZE = (72, 96)


def _label(prim, text):
    UsdSemantics.LabelsAPI.Apply(prim, "class").CreateLabelsAttr([text])


def author():
    """A yard in centimetres: crates that hide each other, a robot of two parts, bolts of an instancer, a bare wall."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    stage.SetStartTimeCode(0.0)
    stage.SetEndTimeCode(10.0)

    def cube(path, at, size, text=None, turn=0.0):
        prim = UsdGeom.Cube.Define(stage, path)
        prim.CreateSizeAttr(2.0)
        prim.CreateExtentAttr([(-1, -1, -1), (1, 1, 1)])
        prim.AddTranslateOp().Set(Gf.Vec3d(*at))
        prim.AddRotateZOp().Set(turn)
        prim.AddScaleOp().Set(Gf.Vec3f(*size))
        if text:
            _label(prim.GetPrim(), text)
        return prim

    cube("/World/Wall", (0, 300, 100), (400, 10, 100))
    cube("/World/Near", (0, 0, 50), (50, 50, 50), "crate", turn=20)
    cube("/World/Far", (60, 160, 60), (60, 60, 60), "crate", turn=-30)
    cube("/World/Hidden", (5, 130, 30), (12, 12, 12), "crate")
    cube("/World/Behind", (0, -2000, 0), (10, 10, 10), "crate")
    robot = UsdGeom.Xform.Define(stage, "/World/Robot")
    robot.AddTranslateOp().Set(Gf.Vec3d(-130, 40, 0))
    robot.AddRotateZOp().Set(35.0)
    _label(robot.GetPrim(), "robot")
    cube("/World/Robot/Base", (0, 0, 20), (40, 25, 20))
    cube("/World/Robot/Mast", (20, 0, 80), (8, 8, 50), turn=15)
    bolts = UsdGeom.PointInstancer.Define(stage, "/World/Bolts")
    ball = UsdGeom.Sphere.Define(stage, "/World/Bolts/Ball")
    ball.CreateRadiusAttr(12.0)
    _label(ball.GetPrim(), "bolt")
    bolts.CreatePrototypesRel().SetTargets([Sdf.Path("/World/Bolts/Ball")])
    bolts.CreateProtoIndicesAttr([0, 0])
    bolts.CreatePositionsAttr([(100, -60, 12), (115, -30, 12)])
    camera = UsdGeom.Camera.Define(stage, "/World/Camera")
    camera.CreateFocalLengthAttr(20.0)
    camera.CreateHorizontalApertureAttr(30.0)
    camera.CreateVerticalApertureAttr(22.5)
    camera.CreateHorizontalApertureOffsetAttr(1.5)
    camera.CreateFocusDistanceAttr(400.0)
    camera.CreateFStopAttr(2.8)
    camera.CreateClippingRangeAttr(Gf.Vec2f(5, 100000))
    eye = Gf.Matrix4d().SetLookAt(Gf.Vec3d(60, -420, 190), Gf.Vec3d(0, 40, 40), Gf.Vec3d(0, 0, 1)).GetInverse()
    camera.AddTransformOp().Set(eye)
    flag = UsdGeom.Mesh.Define(stage, "/World/Flag")
    flag.CreateFaceVertexCountsAttr([4])
    flag.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    for time, out in ((0.0, 0), (10.0, 30)):
        points = [(-90, -90, 100), (-60, -90, 100), (-60, -90 - out, 130), (-90, -90 - out, 130)]
        flag.CreatePointsAttr().Set(points, time)
        flag.CreateExtentAttr().Set([(-90, -90 - out, 100), (-60, -90, 130)], time)
    _label(flag.GetPrim(), "flag")
    slide = UsdGeom.Xformable(stage.GetPrimAtPath("/World/Near")).GetOrderedXformOps()[0]
    slide.Set(Gf.Vec3d(0, 0, 50), 0.0)
    slide.Set(Gf.Vec3d(20, 0, 50), 10.0)
    return stage
