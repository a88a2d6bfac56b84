"""LiDAR judged by Embree, HD map by a camera of its own in float64."""

from dataclasses import replace

import embreex.mesh_construction
import embreex.rtcore_scene
import numpy as np
import pytest
import warp as wp
from pxr import Gf, Usd, UsdGeom, UsdSemantics  # noqa: TID253

from cosmos.bridge.errors import ConfigError, SourceError
from cosmos.bridge.render.annotators import AnnotatorOptions, annotate
from cosmos.bridge.render.lidar import Lidar, parse_lidar, shown
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.render.roadmap import MAP_CLASSES, MapStyle
from cosmos.bridge.render.usd.roadmap import rims
from cosmos.bridge.types import FTheta

wp.config.quiet = True
SIZE = (180, 320)
COLOR = {item.name: np.array(item.color) for item in MAP_CLASSES}


def label(prim, text):
    UsdSemantics.LabelsAPI.Apply(prim, "class").CreateLabelsAttr([text])


def author():
    """A road in centimetres: lines, a car that drives, a pole with an arm, a wall that hides, and a bare ground."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    stage.SetStartTimeCode(0.0)
    stage.SetEndTimeCode(10.0)

    def cube(path, at, size, text=None):
        prim = UsdGeom.Cube.Define(stage, path)
        prim.CreateSizeAttr(2.0)
        prim.CreateExtentAttr([(-1, -1, -1), (1, 1, 1)])
        prim.AddTranslateOp().Set(Gf.Vec3d(*at))
        prim.AddScaleOp().Set(Gf.Vec3f(*size))
        prim.CreateDisplayColorAttr([(0.5, 0.5, 0.5)])
        if text:
            label(prim.GetPrim(), text)
        return prim

    def curve(path, points, text, kind="linear", basis=None):
        prim = UsdGeom.BasisCurves.Define(stage, path)
        prim.CreateTypeAttr(kind)
        if basis:
            prim.CreateBasisAttr(basis)
        prim.CreatePointsAttr([Gf.Vec3f(*point) for point in points])
        prim.CreateCurveVertexCountsAttr([len(points)])
        prim.CreatePurposeAttr("guide")
        label(prim.GetPrim(), text)

    cube("/World/Ground", (0, 3000, -10), (5000, 5000, 10))
    cube("/World/Car", (200, 1200, 75), (200, 90, 75), "car")
    drive = UsdGeom.Xformable(stage.GetPrimAtPath("/World/Car")).GetOrderedXformOps()[0]
    drive.Set(Gf.Vec3d(200, 1200, 75), 0.0)
    drive.Set(Gf.Vec3d(300, 1200, 75), 10.0)
    pole = UsdGeom.Xform.Define(stage, "/World/Pole")
    label(pole.GetPrim(), "street light")
    cube("/World/Pole/Post", (-400, 1500, 300), (6, 6, 300))
    cube("/World/Pole/Arm", (-300, 1500, 600), (110, 6, 6))
    cube("/World/Wall", (600, 1500, 300), (150, 20, 300))
    curve("/World/Map/Lane", [(-150, 300, 1), (-150, 6000, 1)], "lane-line")
    curve("/World/Map/Hidden", [(800, 1700, 100), (800, 2600, 100)], "wait line")
    curve(
        "/World/Map/Bend",
        [(0, 400, 1), (0, 900, 1), (100, 1400, 1), (400, 1400, 1)],
        "road boundary",
        "cubic",
        "bezier",
    )
    quad = UsdGeom.Mesh.Define(stage, "/World/Map/Crossing")
    quad.CreatePointsAttr([(-300, 500, 1), (-200, 500, 1), (-200, 900, 1), (-300, 900, 1)])
    quad.CreateFaceVertexCountsAttr([4])
    quad.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    label(quad.GetPrim(), "crosswalk")
    camera = UsdGeom.Camera.Define(stage, "/World/Camera")
    camera.CreateFocalLengthAttr(18.0)
    camera.CreateHorizontalApertureAttr(24.0)
    camera.CreateClippingRangeAttr(Gf.Vec2f(5, 100000))
    eye = Gf.Matrix4d().SetLookAt(Gf.Vec3d(0, -200, 160), Gf.Vec3d(0, 1200, 120), Gf.Vec3d(0, 0, 1)).GetInverse()
    camera.AddTransformOp().Set(eye)
    return stage


@pytest.fixture(scope="module")
def renderer(device):
    renderer = Renderer(author(), device=device, threads=2)
    yield renderer
    renderer.close()


@pytest.fixture
def frame(renderer):
    return renderer.render("/World/Camera", 0.0, size=SIZE, rgb=False)


def world_triangles(renderer, time):
    pose, triangles, owners = renderer._pose(time), [], []
    for row, mesh_index in enumerate(renderer.scene.mesh_of):
        mesh, matrix = renderer.scene.meshes[mesh_index], pose.local_to_world[row]
        triangles.append((mesh.points.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3])[mesh.triangles])
        owners.append(np.full(len(mesh.triangles), row + 1))
    return np.concatenate(triangles), np.concatenate(owners)


@pytest.mark.parametrize("mount", [None, "/World/Camera", "/World/Car"])
def test_ranges_and_ids_are_embree_s(renderer, frame, mount):
    sensor = Lidar(mount=mount, channels=24, steps=180, top=12.0, bottom=-35.0, offset=(0.1, 0.2, 1.6), max_range=40.0)
    scan = frame.details.lidar(sensor)
    pose = scan.sensor_to_world
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
    triangles, owners = world_triangles(renderer, 0.0)
    scene = embreex.rtcore_scene.EmbreeScene()
    embreex.mesh_construction.TriangleMesh(scene, (triangles - pose[:3, 3]).astype(np.float32))
    rays = (sensor.directions.reshape(-1, 3) @ pose[:3, :3].T).astype(np.float32)
    near = (rays * np.float32(sensor.min_range)).astype(np.float32)
    hits = scene.run(near, rays, output=True)
    away = hits["tfar"] + sensor.min_range
    back = (hits["primID"] >= 0) & (away <= sensor.max_range)
    ranges, ids = scan.ranges.reshape(-1), scan.instance_ids.reshape(-1)
    edge = np.abs(away - sensor.max_range) < 1e-3
    np.testing.assert_array_equal(np.isfinite(ranges)[~edge], back[~edge])
    assert 0.3 < back.mean() < 0.99
    both = back & np.isfinite(ranges)
    same = ids[both] == owners[np.maximum(hits["primID"], 0)][both]
    assert same.mean() > 0.999
    close = np.abs(ranges[both] - away[both]) <= 1e-4 * away[both] + 1e-4
    assert close.mean() > 0.999
    semantic = np.array([0] + [instance.semantic_id for instance in renderer.scene.drawn])
    np.testing.assert_array_equal(scan.semantic_ids.reshape(-1), semantic[ids])
    assert np.isinf(ranges[~back & ~edge]).all() and (ids[np.isinf(ranges)] == 0).all()


def test_intensity_is_albedo_times_cosine(renderer, frame):
    scan = frame.details.lidar(Lidar(channels=8, steps=90, top=-5.0, bottom=-40.0, offset=(0.0, 0.0, 0.5)))
    ground = scan.instance_ids == next(i.id for i in renderer.scene.drawn if i.prim_path == "/World/Ground")
    cosine = np.sin(-scan.sensor.elevation_table)[:, None] * np.ones((1, 90))
    assert ground.sum() > 200
    np.testing.assert_allclose(scan.intensities[ground], 0.5 * cosine[ground], rtol=2e-3)


def test_forward_is_the_middle_column_and_left_comes_first(frame):
    sensor = Lidar(channels=1, elevations=(0.0,), steps=4)
    forward = frame.camera.cam_to_world[:3, :3] @ (0.0, 0.0, -1.0)
    scan = frame.details.lidar(sensor)
    level = scan.sensor_to_world[:3, 0]
    assert level[2] == pytest.approx(0.0, abs=1e-12) and level @ forward > 0.99
    np.testing.assert_allclose(np.degrees(sensor.azimuth_table), (135.0, 45.0, -45.0, -135.0))
    left = scan.sensor_to_world[:3, :3] @ sensor.directions[0, 1]
    assert left @ scan.sensor_to_world[:3, 1] > 0.7
    on_camera = frame.details.lidar(replace(sensor, mount="/World/Camera")).sensor_to_world
    np.testing.assert_allclose(on_camera[:3, 0], forward, atol=1e-12)
    on_car = frame.details.lidar(replace(sensor, mount="/World/Car", offset=(0.0, 0.0, 2.0))).sensor_to_world
    np.testing.assert_allclose(on_car[:3], [[1, 0, 0, 2.0], [0, 1, 0, 12.0], [0, 0, 1, 2.75]], atol=1e-9)


def test_points_fall_on_what_the_camera_sees(renderer, frame):
    sensor = Lidar(mount="/World/Car", offset=(-3.0, 0.0, 1.0), channels=32, steps=720)
    scan = frame.details.lidar(sensor)
    picture = shown(scan, frame.camera, frame.depth.numpy())
    spots = frame.camera.project(scan.points)
    deep = -(scan.points - frame.camera.cam_to_world[:3, 3]) @ frame.camera.cam_to_world[:3, 2]
    depth = frame.depth.numpy()
    inside = np.isfinite(spots).all(1) & (np.floor(spots) >= 0).all(1) & (np.floor(spots) < SIZE[::-1]).all(1)
    x, y = np.floor(spots[inside]).astype(int).T
    seen = deep[inside] <= depth[y, x] * 1.02 + 0.05
    assert seen.sum() > 300 and (~seen).sum() > 30  # the wall hides some of what the sensor met
    assert picture[y[seen], x[seen]].any(axis=1).all()
    everything = shown(scan, frame.camera)
    assert everything.any(axis=-1).sum() > picture.any(axis=-1).sum()


def test_the_annotator_gives_ranges_and_all_that_belongs_to_them(frame):
    options = AnnotatorOptions(units="scene", lidar=Lidar(channels=4, steps=60))
    given = annotate(frame, ["lidar"], options)["lidar"]
    scan = frame.details.lidar(options.lidar)
    np.testing.assert_allclose(given["data"], scan.ranges * 100.0, rtol=1e-6)
    assert given["data"].dtype == np.float32 and given["info"]["picture"].shape == (*SIZE, 3)
    np.testing.assert_allclose(given["info"]["points"], scan.points * 100.0, rtol=1e-5, atol=1e-2)
    np.testing.assert_allclose(given["info"]["transform"][3, :3], scan.sensor_to_world[:3, 3] * 100.0)


def test_a_lidar_s_settings_are_checked(frame):
    assert parse_lidar("channels=32,top=5,offset=0/0/1.7,mount=/World/Car") == Lidar(
        channels=32, top=5.0, offset=(0.0, 0.0, 1.7), mount="/World/Car"
    )
    assert parse_lidar("") == Lidar() and parse_lidar("elevations=3/0/-3").elevations == (3.0, 0.0, -3.0)
    for text, words in (
        ("rays=3", "no 'rays'; it has mount, offset"),
        ("channels=many", "channels must be a number"),
        ("channels=0", "at least 1 channel"),
        ("offset=1/2", "offset must be forward/left/up"),
        ("min_range=9,max_range=3", "min_range < max_range"),
        ("top=120", "elevations in"),
    ):
        with pytest.raises(ConfigError, match=words):
            parse_lidar(text)
    with pytest.raises(SourceError, match="has no prim /World/Nothing that a lidar can sit on"):
        frame.details.lidar(Lidar(mount="/World/Nothing"))


def drawn(frame, **style):
    style = {"line_width": 0.03, **style}
    return annotate(frame, ["hdmap"], AnnotatorOptions(hdmap=MapStyle(**style)))["hdmap"]


def color_at(picture, camera, point):
    x, y = np.floor(camera.project(np.array(point, np.float64))).astype(int)
    return picture[y, x].astype(int)


def test_lines_lie_where_float64_projects_them(frame):
    picture = drawn(frame)
    assert picture.dtype == np.uint8 and picture.shape == (*SIZE, 3)
    for share in (0.0, 0.3, 0.9):
        spot = (-1.5, 4.0 + 20.0 * share, 0.01)
        np.testing.assert_allclose(color_at(picture, frame.camera, spot), COLOR["lane_line"], atol=3)
    t = 0.5
    ends = np.array([(0, 400, 1), (0, 900, 1), (100, 1400, 1), (400, 1400, 1)]) / 100.0
    middle = (1 - t) ** 3 * ends[0] + 3 * t * (1 - t) ** 2 * ends[1] + 3 * t**2 * (1 - t) * ends[2] + t**3 * ends[3]
    np.testing.assert_allclose(color_at(picture, frame.camera, middle), COLOR["road_boundary"], atol=3)
    np.testing.assert_allclose(color_at(picture, frame.camera, (-2.5, 5.0, 0.01)), COLOR["crosswalk"], atol=3)
    assert not color_at(picture, frame.camera, (-2.5, 6.5, 0.01)).any()  # the rim, not the area
    np.testing.assert_allclose(color_at(picture, frame.camera, (-4.0, 15.0, 3.0)), COLOR["pole"], atol=3)
    away = np.linalg.norm(picture.astype(int) - COLOR["lane_line"], axis=-1)
    assert 0 < (away < 4).sum() < 0.05 * away.size


def test_boxes_are_where_usd_has_them_and_turn_their_front(renderer, frame):
    picture = drawn(frame)
    # The camera sees the car's -Y side, which is drawn at 0.7 of the class colour.
    np.testing.assert_allclose(color_at(picture, frame.camera, (2.0, 11.1, 0.75)), COLOR["car"] * 0.7, atol=3)
    moved = renderer.render("/World/Camera", 10.0, size=SIZE, rgb=False)
    later = drawn(moved)
    np.testing.assert_allclose(color_at(later, frame.camera, (4.9, 11.1, 0.75)), COLOR["car"] * 0.7, atol=3)
    assert not color_at(later, frame.camera, (0.3, 11.1, 1.4)).any()


def test_depth_test_hides_what_the_scene_hides(frame):
    spot = (8.0, 20.0, 1.0)
    np.testing.assert_allclose(color_at(drawn(frame), frame.camera, spot), COLOR["wait_line"], atol=3)
    assert not color_at(drawn(frame, depth_test=True), frame.camera, spot).any()
    np.testing.assert_allclose(
        color_at(drawn(frame, depth_test=True), frame.camera, (-1.5, 8.0, 0.01)), COLOR["lane_line"], atol=3
    )


def test_distance_width_and_classes_are_obeyed(frame):
    near, wide = drawn(frame, max_distance=9.0), drawn(frame, line_width=0.06)
    assert not color_at(near, frame.camera, (-1.5, 20.0, 0.01)).any()
    assert color_at(near, frame.camera, (-1.5, 5.0, 0.01)).any()
    assert wide.any(axis=-1).sum() > 1.3 * drawn(frame).any(axis=-1).sum()
    only = drawn(frame, classes=tuple(item for item in MAP_CLASSES if item.name == "lane_line"))
    assert not color_at(only, frame.camera, (2.0, 11.1, 0.75)).any()
    with pytest.raises(ValueError, match="line_width in"):
        MapStyle(line_width=0.0)


def test_a_fisheye_bends_the_map(renderer):
    plain = renderer.camera("/World/Camera", 0.0, size=SIZE)
    matrix = np.array([[1.0, 0.0, 160.0], [0.0, 1.0, 90.0], [0.0, 0.0, 1.0]])
    camera = replace(plain, lens=FTheta(coefficients=(0.0, 0.008)), intrinsics=matrix)
    picture = drawn(renderer.render(camera, 0.0, rgb=False))
    for along in (4.0, 9.0, 24.0):
        np.testing.assert_allclose(color_at(picture, camera, (-1.5, along, 0.01)), COLOR["lane_line"], atol=3)


def test_with_y_up_a_prim_looks_along_minus_z():
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    floor = UsdGeom.Cube.Define(stage, "/World/Floor")
    floor.AddTranslateOp().Set(Gf.Vec3d(0, -1, 0))
    floor.AddScaleOp().Set(Gf.Vec3f(50, 1, 50))
    mark = UsdGeom.Cube.Define(stage, "/World/Ahead")
    mark.AddTranslateOp().Set(Gf.Vec3d(0, 1, -10))
    car = UsdGeom.Xform.Define(stage, "/World/Car")
    car.AddScaleOp().Set(Gf.Vec3f(2, 2, 2))
    renderer = Renderer(stage, device="cpu", threads=1)
    frame = renderer.render(renderer.frame_camera((9, 16)), 0.0, rgb=False)
    for mount in ("/World/Car", None):
        scan = frame.details.lidar(
            Lidar(mount=mount, offset=(0.0, 0.0, 1.0), channels=3, top=0.0, bottom=-30.0, steps=90)
        )
        pose = scan.sensor_to_world
        np.testing.assert_allclose(pose[:3, 2], (0.0, 1.0, 0.0), atol=1e-9)
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
        if mount:
            np.testing.assert_allclose(pose[:3, 0], (0.0, 0.0, -1.0), atol=1e-9)
            np.testing.assert_allclose(pose[:3, 3], (0.0, 1.0, 0.0), atol=1e-9)
            np.testing.assert_allclose(scan.ranges[0, 44:46], 9.0 / np.cos(np.radians(2.0)), rtol=1e-5)
            assert np.isinf(scan.ranges[0, 0]) and np.isfinite(scan.ranges[2]).all()
            np.testing.assert_allclose(scan.ranges[2, 10:30], 2.0, rtol=1e-4)
    assert not renderer.has_map(MapStyle())
    renderer.close()


def test_broken_lines_are_left_out_and_good_ones_drawn():
    stage = author()
    broken = UsdGeom.BasisCurves.Define(stage, "/World/Map/Broken")
    broken.CreateTypeAttr("linear")
    broken.CreatePointsAttr([(0, 300, 1), (float("nan"), 400, 1)])
    broken.CreateCurveVertexCountsAttr([2])
    label(broken.GetPrim(), "lane line")
    short = UsdGeom.BasisCurves.Define(stage, "/World/Map/Short")
    short.CreatePointsAttr([(0, 300, 1)])
    short.CreateCurveVertexCountsAttr([7])
    label(short.GetPrim(), "lane line")
    flat = UsdGeom.Cube.Define(stage, "/World/Flat")
    flat.AddTranslateOp().Set(Gf.Vec3d(100, 600, 50))
    flat.AddScaleOp().Set(Gf.Vec3f(50, 0, 50))
    label(flat.GetPrim(), "car")
    renderer = Renderer(stage, device="cpu", threads=1)
    frame = renderer.render("/World/Camera", 0.0, size=SIZE, rgb=False)
    np.testing.assert_allclose(color_at(drawn(frame), frame.camera, (-1.5, 8.0, 0.01)), COLOR["lane_line"], atol=3)
    boxes = annotate(frame, ["bounding_box_3d"])["bounding_box_3d"]
    rows = dict(zip(boxes["info"]["primPaths"], boxes["data"], strict=True))
    row = rows["/World/Flat"]  # no way into its own axes, so it is boxed in the world's
    np.testing.assert_allclose([row["x_min"], row["y_min"], row["z_max"]], (0.5, 6.0, 1.0), atol=1e-6)
    np.testing.assert_allclose(row["transform"], np.eye(4))
    renderer.close()


def test_closed_meshes_have_no_rim():
    points = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    assert rims(points, np.full(6, 4), np.array(faces).ravel()) == []
    assert len(rims(points, np.full(5, 4), np.array(faces[:5]).ravel())) == 4
    assert rims(points, np.array([4]), np.array([0, 1, 2, 99])) == []
