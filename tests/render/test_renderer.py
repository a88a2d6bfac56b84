"""Annotators of the embedded renderer, judged by Embree and by NumPy in float64 on a small hand-made scene."""

import embreex.mesh_construction
import embreex.rtcore_scene
import numpy as np
import pytest
import warp as wp

from cosmos.bridge.render.bend import bent_normals
from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.resolve import find_motion, resolve
from cosmos.bridge.render.draw.visibility import Visibility, make_view
from cosmos.bridge.render.draw.world import World
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.render.scene import Light, Material, Mesh, Pose, Scene
from cosmos.bridge.types import BUFFERS, Camera, Instance, Look

wp.config.quiet = True

SIZE = (45, 61)


def make_mesh(points, triangles, normals=None, *, double_sided=True):
    points = np.asarray(points, dtype=np.float32)
    triangles = np.asarray(triangles, dtype=np.int32)
    if normals is None:
        a, b, c = (points[triangles[:, corner]] for corner in range(3))
        flat = np.cross(b - a, c - a)
        flat /= np.linalg.norm(flat, axis=1, keepdims=True)
        normals = np.repeat(flat[:, None], 3, axis=1)
    return Mesh(
        points=points,
        triangles=triangles,
        normals=np.asarray(normals, dtype=np.float32),
        uvs=np.zeros((len(triangles), 3, 2), dtype=np.float32),
        colors=np.full((len(triangles), 3, 3), 0.5, dtype=np.float32),
        materials=np.zeros(len(triangles), dtype=np.int32),
        double_sided=double_sided,
    )


def box_mesh(**options):
    corners = [(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return make_mesh(corners, [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))], **options)


def ball_mesh(rows=24, sides=36):
    """A smooth unit sphere, whose corner normals are the points themselves."""
    theta, phi = np.meshgrid(np.linspace(0.0, np.pi, rows + 1), np.linspace(0.0, 2 * np.pi, sides + 1), indexing="ij")
    points = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1).reshape(-1, 3)
    triangles = []
    for r in range(rows):
        for s in range(sides):
            a, b = r * (sides + 1) + s, (r + 1) * (sides + 1) + s
            triangles += [
                t for t in ((a, b, b + 1), (a, b + 1, a + 1)) if len({tuple(points[i].round(9)) for i in t}) == 3
            ]
    return make_mesh(points, triangles, points[np.array(triangles)])


def placed(x, y, z, *, turn=0.0, scale=(1.0, 1.0, 1.0)):
    c, s = np.cos(turn), np.sin(turn)
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) * np.asarray(scale)
    matrix[:3, 3] = x, y, z
    return matrix


def look_from(eye, target, size=SIZE, *, focal=1.1, near=0.01, path="/Camera"):
    back = np.subtract(eye, target).astype(float)
    back /= np.linalg.norm(back)
    right = np.cross((0.0, 0.0, 1.0), back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(back, right), back], axis=1)
    pose[:3, 3] = eye
    height, width = size
    lens = [[focal * width, 0.0, width / 2 + 0.3], [0.0, focal * width, height / 2 - 0.7], [0.0, 0.0, 1.0]]
    return Camera(
        prim_path=path, height=height, width=width, intrinsics=np.array(lens), cam_to_world=pose, near=near, far=1.0e4
    )


class FakeReader:
    """A stage reader on arrays: floor, box, ball and mirrored box; the box turns and the ball falls with time."""

    def __init__(self, *, shift=(0.0, 0.0, 0.0), single_sided=False, lights=()):
        self.shift = np.asarray(shift)
        floor = make_mesh([(-40, -40, 0), (40, -40, 0), (40, 40, 0), (-40, 40, 0)], [(0, 1, 2), (0, 2, 3)])
        meshes = (floor, box_mesh(double_sided=not single_sided), ball_mesh())
        names = ("/World/Floor", "/World/Box", "/World/Ball", "/World/Mirrored")
        self.closed = False
        self.scene = Scene(
            path="fake",
            up_axis="Z",
            fps=24.0,
            start_time=0.0,
            end_time=10.0,
            meshes=meshes,
            materials=(Material(name="grey", base_color=(0.5, 0.45, 0.4)),),
            textures=(),
            drawn=tuple(Instance(id=i + 1, prim_path=name, semantic_id=i + 1) for i, name in enumerate(names)),
            mesh_of=np.array([0, 1, 2, 1], dtype=np.int32),
            material_of=np.full(4, -1, dtype=np.int32),
            color_of=np.full((4, 3), np.nan, dtype=np.float32),
            lights=tuple(lights),
            labels={},
            camera_paths=("/Camera",),
        )

    def pose(self, time_code):
        matrices = np.stack(
            [
                placed(0, 0, 0),
                placed(0.4, -0.5, 0.55, turn=0.3 + 0.07 * time_code),
                placed(-1.0, 0.6, 1.2 - 0.05 * time_code, scale=(0.8, 0.6, 0.7)),
                placed(1.3, 0.9, 0.5, turn=0.5, scale=(-1.0, 0.7, 1.0)),
            ]
        )
        matrices[:, :3, 3] += self.shift
        lights = np.repeat(np.eye(4)[None], len(self.scene.lights), axis=0)
        return Pose(time_code=time_code, local_to_world=matrices, visible=np.ones(4, dtype=bool), light_to_world=lights)

    def camera(self, prim_path, time_code, *, size):
        eye = np.array([4.0 - 0.02 * time_code, -3.6, 2.3 + 0.03 * time_code]) + self.shift
        return look_from(eye, np.array([0.0, 0.0, 0.5]) + self.shift, size)

    def frame_camera(self, size):
        return self.camera("/Camera", 0.0, size=size)

    def close(self):
        self.closed = True


def renderer_of(reader, device="cpu", **options):
    return Renderer("unused", device=device, reader=reader, **options)


def world_triangles(reader, time_code):
    pose, triangles, owners = reader.pose(time_code), [], []
    for index, mesh_index in enumerate(reader.scene.mesh_of):
        mesh, matrix = reader.scene.meshes[mesh_index], pose.local_to_world[index]
        points = mesh.points.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
        triangles.append(points[mesh.triangles])
        owners.append(np.full(len(mesh.triangles), index + 1))
    return np.concatenate(triangles), np.concatenate(owners)


def camera_rays(camera):
    """Origin and one-metre-deep directions of the pixel centres, world axes, float64."""
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    k = camera.intrinsics
    local = np.stack([(u - k[0, 2]) / k[0, 0], (k[1, 2] - v) / k[1, 1], -np.ones_like(u)], axis=-1)
    return camera.cam_to_world[:3, 3], local @ camera.cam_to_world[:3, :3].T


def embree(reader, camera, time_code):
    """Depth, instance id and triangle of each pixel by Embree."""
    triangles, owners = world_triangles(reader, time_code)
    origin, rays = camera_rays(camera)
    scene = embreex.rtcore_scene.EmbreeScene()
    embreex.mesh_construction.TriangleMesh(scene, (triangles - origin).astype(np.float32))
    flat = rays.reshape(-1, 3)
    length = np.linalg.norm(flat, axis=1)
    hits = scene.run(np.zeros_like(flat, dtype=np.float32), (flat / length[:, None]).astype(np.float32), output=True)
    found = hits["primID"] >= 0
    depth = np.where(found, hits["tfar"] / length, np.inf).reshape(camera.height, camera.width)
    ids = np.where(found, owners[np.maximum(hits["primID"], 0)], 0).reshape(camera.height, camera.width)
    return depth, ids, hits["primID"].reshape(camera.height, camera.width)


def interior(ids):
    """Pixels whose eight neighbours show the same instance."""
    padded = np.pad(ids, 1, mode="edge")
    height, width = ids.shape
    same = np.ones(ids.shape, dtype=bool)
    for dy in range(3):
        for dx in range(3):
            same &= padded[dy : dy + height, dx : dx + width] == ids
    return same


def project(camera, points):
    inverse = np.linalg.inv(camera.cam_to_world)
    q = points @ inverse[:3, :3].T + inverse[:3, 3]
    k = camera.intrinsics
    return np.stack([k[0, 0] * q[..., 0] / -q[..., 2] + k[0, 2], k[1, 2] - k[1, 1] * q[..., 1] / -q[..., 2]], axis=-1)


@pytest.fixture(scope="module")
def reader():
    return FakeReader()


@pytest.fixture(scope="module")
def renderer(reader):
    made = renderer_of(reader)
    yield made
    made.close()


def test_depth_and_ids_match_embree(device, reader):
    renderer = renderer_of(reader, device)
    camera = reader.camera("/Camera", 3.0, size=(90, 121))
    frame = renderer.render(camera, 3.0)
    depth, ids, _ = embree(reader, camera, 3.0)
    assert set(np.unique(ids)) == {0, 1, 2, 3, 4}
    inside = interior(ids)
    np.testing.assert_array_equal(frame.instance_ids.numpy()[inside], ids[inside])
    np.testing.assert_array_equal(frame.semantic_ids.numpy(), frame.instance_ids.numpy())
    np.testing.assert_allclose(frame.depth.numpy()[inside], depth[inside], rtol=2e-5)
    assert np.mean(frame.instance_ids.numpy() == ids) > 0.998
    renderer.close()


def test_rays_and_rasteriser_see_the_same(reader):
    bands = Bands("cpu", 1)
    pose = reader.pose(2.0)
    world = World(reader.scene, pose, bands)
    camera = reader.camera("/Camera", 2.0, size=(64, 91))
    view = make_view(camera, world.origin)
    found = []
    for rays in (False, True):
        depths = wp.empty((64, 91), dtype=wp.float32, device="cpu")
        triangles = wp.empty((64, 91), dtype=wp.int32, device="cpu")
        Visibility(world, bands, rays=rays).find(view, depths, triangles)
        found.append((depths.numpy(), triangles.numpy()))
    same = found[0][1] == found[1][1]
    assert same.mean() > 0.995  # ties on shared edges may fall either way
    np.testing.assert_allclose(found[0][0][same], found[1][0][same], rtol=1e-5)


def test_normals_match_numpy(renderer, reader):
    camera = reader.camera("/Camera", 0.0, size=SIZE)
    frame = renderer.render(camera, 0.0)
    _, ids, primitive = embree(reader, camera, 0.0)
    triangles, _ = world_triangles(reader, 0.0)
    _, rays = camera_rays(camera)
    inside = interior(ids) & (frame.instance_ids.numpy() == ids)
    flat = inside & np.isin(ids, (1, 2, 4))
    a, b, c = np.moveaxis(triangles[primitive[flat]], 1, 0)
    expected = np.cross(b - a, c - a)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    expected *= -np.sign(np.sum(expected * rays[flat], axis=1, keepdims=True))
    edges = np.sum(expected * frame.normals.numpy()[flat], axis=1)
    assert np.mean(edges > 0.9999) > 0.98  # a pixel beside an inner box edge may see the other face
    ball = inside & (ids == 3)
    matrix = reader.pose(0.0).local_to_world[2]
    depth = frame.depth.numpy().astype(np.float64)
    world = camera.cam_to_world[:3, 3] + rays * depth[..., None]
    local = (world[ball] - matrix[:3, 3]) @ np.linalg.inv(matrix[:3, :3]).T
    analytic = (local / np.linalg.norm(local, axis=1, keepdims=True)) @ np.linalg.inv(matrix[:3, :3])
    analytic /= np.linalg.norm(analytic, axis=1, keepdims=True)
    assert ball.sum() > 50
    assert np.sum(analytic * frame.normals.numpy()[ball], axis=1).min() > np.cos(np.radians(1.0))
    assert not frame.normals.numpy()[ids == 0].any()


@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (8000.0, -3000.0, 40.0)])
def test_motion_matches_float64(shift):
    reader = FakeReader(shift=shift)
    renderer = renderer_of(reader)
    now, before = (reader.camera("/Camera", t, size=SIZE) for t in (5.0, 4.0))
    frame = renderer.render(now, 5.0, previous=(before, 4.0))
    motion, depth, ids = frame.motion.numpy(), frame.depth.numpy().astype(np.float64), frame.instance_ids.numpy()
    origin, rays = camera_rays(now)
    pixels = project(now, origin + rays)
    for instance in (1, 2, 3, 4):
        mask = ids == instance
        points = origin + rays[mask] * depth[mask][:, None]
        move = reader.pose(4.0).local_to_world[instance - 1] @ np.linalg.inv(
            reader.pose(5.0).local_to_world[instance - 1]
        )
        expected = project(before, points @ move[:3, :3].T + move[:3, 3]) - pixels[mask]
        np.testing.assert_allclose(motion[mask], expected, atol=2e-3)
    sky = ids == 0
    assert sky.any()
    expected = project(before, before.cam_to_world[:3, 3] + rays[sky]) - pixels[sky]
    np.testing.assert_allclose(motion[sky], expected, atol=2e-3)
    renderer.close()


def test_motion_is_zero_without_a_previous_frame_and_when_nothing_moves(renderer, reader):
    camera = reader.camera("/Camera", 1.0, size=SIZE)
    assert not renderer.render(camera, 1.0).motion.numpy().any()
    assert np.abs(renderer.render(camera, 1.0, previous=(camera, 1.0)).motion.numpy()).max() < 2e-4


def test_motion_of_a_mesh_that_changes_shape():
    reader = FakeReader()
    bands = Bands("cpu", 1)
    rest = reader.pose(0.0)
    points = reader.scene.meshes[2].points
    poses = [
        Pose(
            time_code=time,
            local_to_world=rest.local_to_world,
            visible=rest.visible,
            light_to_world=rest.light_to_world,
            points={2: points * np.float32(stretch)},
        )
        for time, stretch in ((0.0, 1.0), (1.0, 1.25))
    ]
    world = World(reader.scene, poses[0], bands)
    world.place(poses[1])
    camera = reader.camera("/Camera", 0.0, size=SIZE)
    view = make_view(camera, world.origin)
    depths, triangles = wp.empty(SIZE, dtype=wp.float32, device="cpu"), wp.empty(SIZE, dtype=wp.int32, device="cpu")
    Visibility(world, bands, rays=False).find(view, depths, triangles)
    buffers = {}
    for name, (dtype, channels) in BUFFERS.items():
        shape = (*SIZE, channels) if channels else SIZE
        buffers[name] = wp.empty(shape, dtype=getattr(wp, dtype), device="cpu")
    moved = find_motion(world, camera, camera, poses[1], poses[0])
    resolve(bands, world, view, (triangles, depths), moved, buffers)
    ball = buffers["instance_ids"].numpy() == 3
    origin, rays = camera_rays(camera)
    now = origin + rays[ball] * depths.numpy()[ball][:, None].astype(np.float64)
    centre = rest.local_to_world[2][:3, 3]
    expected = project(camera, centre + (now - centre) / 1.25) - project(camera, now)
    assert ball.sum() > 50
    np.testing.assert_allclose(buffers["motion"].numpy()[ball], expected, atol=2e-3)
    still = buffers["motion"].numpy()[buffers["instance_ids"].numpy() == 1]
    assert np.abs(still).max() < 2e-4


def test_normals_turn_with_their_triangles():
    mesh = box_mesh()
    turn = placed(0, 0, 0, turn=0.7)[:3, :3] @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    moved = mesh.points @ turn.T
    bent = bent_normals(mesh.points, moved, mesh.triangles, mesh.normals)
    np.testing.assert_allclose(bent, mesh.normals @ turn.T, atol=1e-5)


def test_bands_do_not_change_a_bit(reader):
    camera = reader.camera("/Camera", 3.0, size=(64, 96))
    before = reader.camera("/Camera", 2.0, size=(64, 96))
    frames = []
    for threads in (1, 3):
        renderer = renderer_of(reader, threads=threads)
        look = Look(rain=0.5, noise=0.3, seed=3)
        frame = renderer.render(camera, 3.0, look=look, previous=(before, 2.0))
        frames.append({name: getattr(frame, name).numpy().copy() for name in BUFFERS})
        renderer.close()
    for name in BUFFERS:
        np.testing.assert_array_equal(frames[0][name], frames[1][name], err_msg=name)


def test_a_frame_without_the_picture_keeps_every_other_buffer(renderer, reader):
    before = reader.camera("/Camera", 2.0, size=SIZE)
    full = renderer.render("/Camera", 3.0, size=SIZE, previous=(before, 2.0))
    expected = {name: getattr(full, name).numpy().copy() for name in BUFFERS}
    frame = renderer.render("/Camera", 3.0, size=SIZE, previous=(before, 2.0), rgb=False)
    assert expected.pop("rgb").any() and not frame.rgb.numpy().any()
    for name, values in expected.items():
        np.testing.assert_array_equal(getattr(frame, name).numpy(), values, err_msg=name)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (31, 17)])
def test_any_size_renders(renderer, reader, size):
    frame = renderer.render("/Camera", 2.0, size=size, look=Look(snow=0.5))
    assert frame.rgb.shape == (*size, 3)
    depth, _, _ = embree(reader, frame.camera, 2.0)
    inside = np.isfinite(depth) & np.isfinite(frame.depth.numpy())
    if size == (1, 1):
        np.testing.assert_allclose(frame.depth.numpy(), depth, rtol=1e-4)
    assert inside.mean() > 0.5


def test_surfaces_that_cross_the_camera_plane_are_drawn(renderer, reader):
    camera = look_from((0.0, -30.0, 0.25), (0.0, 0.0, 0.1), (40, 56))
    frame = renderer.render(camera, 0.0)
    depth, ids, _ = embree(reader, camera, 0.0)
    inside = interior(ids)
    assert (ids == 1).mean() > 0.3
    np.testing.assert_array_equal(frame.instance_ids.numpy()[inside], ids[inside])
    np.testing.assert_allclose(frame.depth.numpy()[inside], depth[inside], rtol=1e-4)


def test_clipping_range_is_kept(renderer, reader):
    camera = reader.camera("/Camera", 0.0, size=SIZE)
    near = renderer.render(camera, 0.0).depth.numpy().min()
    clipped = look_from((4.0, -3.6, 2.3), (0.0, 0.0, 0.5), SIZE, near=float(near) + 1.0)
    frame = renderer.render(clipped, 0.0)
    assert frame.depth.numpy().min() >= near + 1.0


def test_back_faces_of_single_sided_meshes_are_looked_through():
    reader = FakeReader(single_sided=True)
    renderer = renderer_of(reader)
    inside_box = look_from((0.4, -0.5, 0.55), (-1.0, 0.6, 0.6), SIZE)
    seen = set(np.unique(renderer.render(inside_box, 0.0).instance_ids.numpy()))
    assert 2 not in seen and 3 in seen
    in_mirrored = look_from((1.3, 0.9, 0.5), (-1.0, 0.6, 0.6), SIZE)
    assert 4 not in set(np.unique(renderer.render(in_mirrored, 0.0).instance_ids.numpy()))
    outside = renderer.render(reader.camera("/Camera", 0.0, size=SIZE), 0.0).instance_ids.numpy()
    assert {2, 4} <= set(np.unique(outside))
    renderer.close()


def test_hidden_instances_are_not_drawn_and_cast_no_shadow():
    light = Light(kind="distant", prim_path="/Sun", color=(3.0, 3.0, 3.0), size=(0.5, 0.0))

    class Hiding(FakeReader):
        def pose(self, time_code):
            pose = super().pose(0.0)
            visible = np.array([True, True, time_code < 5.0, True])
            return Pose(
                time_code=time_code,
                local_to_world=pose.local_to_world,
                visible=visible,
                light_to_world=pose.light_to_world,
            )

    reader = Hiding(lights=(light,))
    renderer = renderer_of(reader)
    camera = look_from((0.0, -0.01, 9.0), (0.0, 0.0, 0.0), SIZE)
    shown = renderer.render(camera, 0.0)
    rgb, ids = shown.rgb.numpy().astype(int), shown.instance_ids.numpy().copy()
    hidden = renderer.render(camera, 6.0)
    assert 3 in ids and 3 not in hidden.instance_ids.numpy()
    assert hidden.rgb.numpy().astype(int)[ids == 3].mean() != rgb[ids == 3].mean()
    again = renderer.render(camera, 0.0)
    np.testing.assert_array_equal(again.rgb.numpy(), rgb)
    renderer.close()


def test_size_is_asked_for_and_checked(renderer, reader):
    with pytest.raises(ValueError, match="size"):
        renderer.render("/Camera", 0.0)
    with pytest.raises(ValueError, match="but the camera is"):
        renderer.render(reader.camera("/Camera", 0.0, size=SIZE), 0.0, size=(3, 3))


def test_close_is_safe_twice():
    reader = FakeReader()
    renderer = renderer_of(reader)
    renderer.close()
    renderer.close()
    assert reader.closed
