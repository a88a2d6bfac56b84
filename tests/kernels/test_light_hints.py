"""The light hints against NumPy in float64 on scenes whose answer is known."""

import numpy as np
import pytest
import torch  # noqa: TID253
import warp as wp

from cosmos.bridge.kernels.light_hints import LIGHT_HINTS, light_hints
from cosmos.models.embedded.net import unmarched

SIZE = (45, 61)
LENS = np.array([[60.0, 0.0, 30.0], [0.0, 60.0, 22.0], [0.0, 0.0, 1.0]])
CHANNEL = {name: index for index, name in enumerate(LIGHT_HINTS)}


def camera_at(position, target):
    """Camera to world of a camera that looks at a point; Z is up."""
    forward = np.subtract(target, position) / np.linalg.norm(np.subtract(target, position))
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(right, forward), -forward], axis=1)
    pose[:3, 3] = position
    return pose


def rays():
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    return np.stack([(x - LENS[0, 2]) / LENS[0, 0], (LENS[1, 2] - y) / LENS[1, 1], -np.ones(SIZE)], axis=-1)


def ground_with_wall(pose, wall_y=2.0, wall_height=1.5):
    """Depth and normals of the ground z = 0 and of a wall that stands on it at y = wall_y, facing the camera."""
    way, start = rays() @ pose[:3, :3].T, pose[:3, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        ground = np.where(way[..., 2] < 0.0, -start[2] / way[..., 2], np.inf)
        wall = (wall_y - start[1]) / way[..., 1]
        height = start[2] + wall * way[..., 2]
        wall = np.where((wall > 0.0) & (height >= 0.0) & (height <= wall_height), wall, np.inf)
    depth = np.minimum(ground, wall)
    normals = np.where((wall < ground)[..., None], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0])
    normals[~np.isfinite(depth)] = 0.0
    return depth, normals, wall < ground


POSE = camera_at((0.0, -3.0, 2.0), (0.0, 1.0, 0.5))


def hints_of(depth, normals, device, light=(0.0, -0.6, 0.8), pose=POSE, **settings):
    given = None if normals is None else wp.array(normals[None], dtype=wp.float32, device=device)
    array = light_hints(
        wp.array(depth[None].astype(np.float32), dtype=wp.float32, device=device),
        normals=given,
        intrinsics=LENS[None],
        cam_to_world=pose[None],
        light=light,
        up=(0.0, 0.0, 1.0),
        ground=0.0,
        **settings,
    )
    return array.numpy()[0]


def test_geometry_channels_match_float64(device):
    depth, normals, _ = ground_with_wall(POSE)
    hints = hints_of(depth, normals, device, extinction=0.07)
    hit = np.isfinite(depth)
    way = rays() @ POSE[:3, :3].T
    length = np.linalg.norm(way, axis=-1)
    view = way / length[..., None]
    light = np.array([0.0, -0.6, 0.8])
    points = POSE[:3, 3] + way * np.where(hit, depth, 0.0)[..., None]
    distance = np.where(hit, depth, 0.0) * length
    half = light - view
    shine = np.maximum((normals * half).sum(-1) / np.linalg.norm(half, axis=-1), 0.0)
    wanted = {
        "glint": 2.0 * shine**24 - 1.0,
        "facing_light": normals @ light,
        "facing_up": normals[..., 2],
        "height": 1.0 - 2.0 * np.exp(-np.maximum(points[..., 2], 0.0) / 3.0),
        "near_6m": 2.0 * np.exp(-distance / 6.0) - 1.0,
        "near_30m": 2.0 * np.exp(-distance / 30.0) - 1.0,
        "clear_air": 2.0 * np.exp(-distance * 0.07) - 1.0,
        "facing_view": np.maximum(-(normals * view).sum(-1), 0.0),
    }
    for name, want in wanted.items():
        np.testing.assert_allclose(hints[..., CHANNEL[name]][hit], want[hit], atol=2e-5, err_msg=name)
    np.testing.assert_allclose(hints[..., CHANNEL["view_to_light"]], view @ light, atol=2e-6)
    np.testing.assert_allclose(hints[..., CHANNEL["view_up"]], view[..., 2], atol=2e-6)
    assert (hints[..., CHANNEL["hit"]] == np.where(hit, 1.0, -1.0)).all()
    assert np.isfinite(hints).all() and np.abs(hints).max() <= 1.0 + 1e-6


def test_normals_from_depth_agree_with_given_ones_on_flat_surfaces(device):
    depth, normals, _ = ground_with_wall(POSE)
    given, taken = hints_of(depth, normals, device), hints_of(depth, None, device)
    close = np.abs(given[..., CHANNEL["facing_up"]] - taken[..., CHANNEL["facing_up"]]) < 1e-2
    assert close.mean() > 0.95  # the rest lies on the crease, the rim and the horizon


def test_a_wall_shadows_the_ground_before_it(device):
    """The light comes from behind the wall, so the ground up to the wall's shadow length is dark, the rest lit."""
    depth, normals, on_wall = ground_with_wall(POSE)
    light = np.array([0.0, 0.8, 0.6])
    hints = hints_of(depth, normals, device, light=tuple(light))
    points = POSE[:3, 3] + (rays() @ POSE[:3, :3].T) * np.where(np.isfinite(depth), depth, 0.0)[..., None]
    ground = np.isfinite(depth) & ~on_wall
    behind = (2.0 - points[..., 1]) / light[1]  # way along the light to the wall's plane [m]
    blocked = ground & (behind > 0.15) & (points[..., 2] + behind * light[2] < 1.5 - 0.3)
    lit = ground & (points[..., 2] + behind * light[2] > 1.5 + 0.3) & (behind > 0.0)
    visible = hints[..., CHANNEL["light_visible"]]
    assert blocked.sum() > 50 and lit.sum() > 50
    # Screen space: a thin wall seen from its lit side hides little; most of the near strip is found.
    assert visible[lit].mean() > 0.9
    assert visible[blocked].mean() < visible[lit].mean() - 0.3


def test_corners_are_less_open_than_the_plain(device):
    depth, normals, on_wall = ground_with_wall(POSE)
    hints = hints_of(depth, normals, device)[..., CHANNEL["open"]]
    points = POSE[:3, 3] + (rays() @ POSE[:3, :3].T) * np.where(np.isfinite(depth), depth, 0.0)[..., None]
    ground = np.isfinite(depth) & ~on_wall
    near = ground & (points[..., 1] > 1.7) & (points[..., 1] < 2.0)
    far = ground & (points[..., 1] < 0.3)
    assert near.sum() > 20 and far.sum() > 20
    assert hints[far].mean() > 0.95 and hints[near].mean() < 0.85


def test_what_rays_tell_need_not_be_marched_for(device):
    depth, normals, _ = ground_with_wall(POSE)
    marched, bare = hints_of(depth, normals, device), hints_of(depth, normals, device, marched=False)
    looked_for = [CHANNEL[name] for name in ("light_visible", "open", "open_above")]
    others = [index for index in CHANNEL.values() if index not in looked_for]
    np.testing.assert_array_equal(bare[..., others], marched[..., others])
    assert marched[..., looked_for].std() > 0.1
    wanted = unmarched(torch.from_numpy(marched.copy()).permute(2, 0, 1)[None], torch.ones(1, 1, 1, 1))
    np.testing.assert_allclose(bare, wanted[0].permute(1, 2, 0).numpy(), rtol=1e-6)  # as it was trained
    assert not np.ptp(bare[..., looked_for][np.isfinite(depth)], axis=0).any()


def test_bad_depths_are_sky(device):
    depth = np.full(SIZE, 3.0)
    depth[0, :4] = [np.nan, np.inf, 0.0, -1.0]
    hints = hints_of(depth, None, device)
    assert (hints[0, :4, CHANNEL["hit"]] == -1.0).all()
    assert np.isfinite(hints).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 1)])
def test_single_pixels_and_lines_work(device, size):
    depth = wp.full((2, *size), 2.0, dtype=wp.float32, device=device)
    out = light_hints(
        depth,
        intrinsics=np.stack([LENS] * 2),
        cam_to_world=np.stack([POSE] * 2),
        light=(0.0, 0.0, 1.0),
        up=(0.0, 0.0, 1.0),
        ground=0.0,
    )
    assert out.shape == (2, *size, len(LIGHT_HINTS)) and np.isfinite(out.numpy()).all()


def test_a_view_with_strides_gives_the_same(device):
    depth, _, _ = ground_with_wall(POSE)
    wide = np.zeros((2, *SIZE), np.float32)
    wide[1] = depth
    array = wp.array(wide, dtype=wp.float32, device=device)[1:2]
    out = light_hints(
        array, intrinsics=LENS[None], cam_to_world=POSE[None], light=(0, -0.6, 0.8), up=(0, 0, 1), ground=0.0
    )
    np.testing.assert_array_equal(out.numpy()[0], hints_of(depth, None, device))


def test_what_does_not_fit_is_refused(device):
    depth = wp.zeros((2, 4, 5), dtype=wp.float32, device=device)
    fit = {
        "intrinsics": np.stack([LENS] * 2),
        "cam_to_world": np.stack([POSE] * 2),
        "light": (0.0, 0.0, 1.0),
        "up": (0.0, 0.0, 1.0),
        "ground": 0.0,
    }
    with pytest.raises(ValueError, match="intrinsics"):
        light_hints(depth, **{**fit, "intrinsics": LENS[None]})
    with pytest.raises(ValueError, match="normals"):
        light_hints(depth, normals=wp.zeros((2, 4, 4, 3), dtype=wp.float32, device=device), **fit)
    with pytest.raises(ValueError, match="depth"):
        light_hints(wp.zeros((2, 4, 5), dtype=wp.int32, device=device), **fit)
    with pytest.raises(ValueError, match="out"):
        light_hints(depth, out=wp.zeros((2, 4, 5, 3), dtype=wp.float32, device=device), **fit)
