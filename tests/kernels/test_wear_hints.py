"""The wear hints: the renderer's own noise, and stuck to what moves."""

import numpy as np
import pytest
import warp as wp
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos.bridge.kernels.surface_noise import STAIN, octaves_of_noise, path_tag, path_tags, value_noise
from cosmos.bridge.kernels.wear_hints import WEAR_HINTS, rigid_inverse, wear_hints

LENS = np.array([[40.0, 0.0, 16.0], [0.0, 40.0, 12.0], [0.0, 0.0, 1.0]])


@wp.kernel
def _noise_kernel(points: wp.array(dtype=wp.vec3), levels: wp.array(dtype=float, ndim=2)):
    i = wp.tid()
    levels[i, 0] = value_noise(points[i], wp.uint32(71))
    levels[i, 1] = octaves_of_noise(points[i], 0.2, 3, wp.uint32(123))


def value_noise_numpy(p, seed):
    """Lattice values joined by Hermite steps, float64."""
    base = np.floor(p).astype(np.int64)
    t = p - base
    t = t * t * (3.0 - 2.0 * t)
    total = np.zeros(len(p))
    for corner in np.ndindex(2, 2, 2):
        x, y, z = (base + corner).T.astype(np.uint32)
        with np.errstate(over="ignore"):
            h = (x * np.uint32(73856093) + y * np.uint32(19349663) + z * np.uint32(83492791)) ^ np.uint32(seed)
            for shift, factor in ((16, 2146121005), (15, 73244475), (16, 1)):
                h = (h ^ (h >> np.uint32(shift))) * np.uint32(factor)
        weight = np.where(np.array(corner) == 1, t, 1.0 - t).prod(1)
        total += weight * (h >> np.uint32(8)) / 2.0**24
    return total


def mixed_numpy(bits):
    """``mix_bits`` of a whole number."""
    for shift, factor in ((16, 2146121005), (15, 73244475), (16, 1)):
        bits = ((bits ^ (bits >> shift)) * factor) & 0xFFFFFFFF
    return bits


def test_the_noise_matches_numpy(device):
    points = np.random.default_rng(3).normal(0.0, 20.0, (500, 3)).astype(np.float32)
    levels = wp.zeros((500, 2), dtype=wp.float32, device=device)
    wp.launch(_noise_kernel, 500, [wp.array(points, dtype=wp.vec3, device=device), levels], device=device)
    np.testing.assert_allclose(levels.numpy()[:, 0], value_noise_numpy(points.astype(np.float64), 71), atol=2e-5)
    octaves = np.zeros(500)
    for k, frequency in enumerate((1.0, 2.03, 2.03**2)):
        fade = np.clip(1.5 - 2.0 * 0.2 * frequency, 0.0, 1.0)
        scaled = points.astype(np.float64) * frequency
        octaves += 0.5 ** (k + 1) / 0.875 * (0.5 + fade * (value_noise_numpy(scaled, 123 + 1013 * k) - 0.5))
    np.testing.assert_allclose(levels.numpy()[:, 1], octaves, atol=2e-4)
    assert octaves.std() > 0.05


def facing_board(shift):
    """A board with id 1 that moves sideways by ``shift`` [m] before a camera at the origin, 2 m away."""
    pose = np.eye(4)
    pose[:3, 3] = [shift, 0.0, -2.0]
    return pose


def hints_of(device, shift=0.0, seed=5, **settings):
    poses = np.full((1, 2, 4, 4), np.nan)
    poses[0, 1] = facing_board(shift)
    return wear_hints(
        wp.full((1, 24, 32), 2.0, dtype=wp.float32, device=device),
        intrinsics=LENS[None],
        cam_to_world=np.eye(4)[None],
        instance_ids=wp.full((1, 24, 32), 1, dtype=wp.uint32, device=device),
        instance_to_world=poses,
        tags=[0, path_tag("/World/Board")],
        seed=seed,
        **settings,
    ).numpy()[0]


def test_wear_moves_with_its_instance(device):
    """0.2 m to the right at 2 m and 40 px focal length is 4 px to the right."""
    before, after = hints_of(device, 0.0), hints_of(device, 0.2)
    wear = [WEAR_HINTS.index(name) for name in ("luck", "tint", "coarse", "grain", "streaks")]
    # Not to the bit: a pixel is a little larger towards the rim, so fine octaves fade a little more.
    np.testing.assert_allclose(after[:, 4:, wear], before[:, :-4, wear], atol=0.03)
    assert np.ptp(before[..., WEAR_HINTS.index("grain")]) > 0.05


def test_stains_are_told_as_faint_as_they_are_drawn(device):
    coarse = np.stack([hints_of(device, seed=seed)[..., WEAR_HINTS.index("coarse")] for seed in range(16)])
    assert 0.25 * STAIN < np.abs(coarse).max() <= STAIN + 1e-6


def test_wear_follows_the_renderers_law_and_few_things_are_old(device):
    """``weather.aged`` in float64: the board's own number moves its noise and tells its age."""
    y, x = np.mgrid[:24, :32] + 0.5
    ray = np.stack([(x - 16.0) / 40.0, (12.0 - y) / 40.0, -np.ones_like(x)], axis=-1)
    place = (2.0 * ray - [0.0, 0.0, -2.0]).reshape(-1, 3)
    side = (2.0 / 40.0 / np.sqrt(1.0 / np.linalg.norm(ray, axis=-1))).ravel()
    ages = []
    for seed in range(40):
        told = dict(zip(WEAR_HINTS, hints_of(device, seed=seed).reshape(-1, 9).T, strict=True))
        own = mixed_numpy(path_tag("/World/Board") ^ (seed * 747796405 & 0xFFFFFFFF))
        luck, tint = own / 2.0**32, mixed_numpy(own + 1) / 2.0**32
        np.testing.assert_allclose(told["luck"], 2.0 * luck - 1.0, atol=1e-6)
        p = place + np.array([luck * 37.0, (tint - 0.5) * 53.0, luck * 11.0])
        age = 0.12 + 0.88 * (1.0 - luck) ** 2
        stretch = np.array([8.0, 8.0, 0.35])
        for name, scale, wide, octaves, shift, share in (
            ("coarse", 0.9, 0.9, 4, 0, 0.4),
            ("grain", 11.0, 11.0, 4, 5, 1.0),
            ("streaks", stretch, 8.0, 3, 9, 1.0),
        ):
            level = octaves_numpy(p * scale, side * wide, octaves, (own + shift) & 0xFFFFFFFF) - 0.5
            wanted = age * share * np.clip(3.5 * level, -1.0, 1.0)
            np.testing.assert_allclose(told[name], wanted, atol=4e-3, err_msg=name)
        ages.append(age)
    assert np.mean(np.array(ages) < 0.5) > 0.5 and max(ages) > 0.8


def test_drifts_and_puddles_stay_with_the_world(device):
    stay = [WEAR_HINTS.index(name) for name in ("drift", "patch", "pool")]
    before = hints_of(device, 0.0)
    np.testing.assert_array_equal(before[..., stay], hints_of(device, 0.2)[..., stay])
    assert (before[..., stay].std(axis=(0, 1)) > 0.005).all()


def test_the_seed_moves_everything(device):
    a, b = (hints_of(device, seed=seed, snow=0.2) for seed in (5, 6))
    assert all(np.abs(a[..., c] - b[..., c]).mean() > 0.01 for c in range(len(WEAR_HINTS)))
    np.testing.assert_array_equal(a, hints_of(device, seed=5, snow=0.2))


def test_unwanted_weather_costs_nothing_and_says_nothing(device):
    dry = hints_of(device, wet=False, snow=0.0)
    assert (dry[..., [WEAR_HINTS.index(name) for name in ("drift", "patch", "pool", "cover")]] == 0.0).all()


def octaves_numpy(p, footprint, count, seed):
    """``octaves_of_noise`` in float64."""
    total, norm = np.zeros(len(p)), 0.0
    for k in range(count):
        frequency, weight = 2.03**k, 0.5 ** (k + 1)
        fade = np.clip(1.5 - 2.0 * footprint * frequency, 0.0, 1.0)
        total += weight * (0.5 + fade * (value_noise_numpy(p * frequency, seed + 1013 * k) - 0.5))
        norm += weight
    return total / norm


def smooth(low, high, x):
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@pytest.mark.parametrize("snow", [0.12, 0.3, 0.7])
@pytest.mark.parametrize("y_up", [False, True])
def test_snow_covers_what_the_renderers_law_says(device, snow, y_up):
    """A slope of many steepnesses seen from above: drift, patch and normal decide, as in ``weather.weathered``."""
    height, width, seed = 24, 32, 9
    y, x = np.mgrid[:height, :width] + 0.5
    up = np.broadcast_to(np.linspace(-0.2, 1.0, width), (height, width))
    normals = np.stack([np.sqrt(1.0 - up**2), np.zeros_like(up), up], axis=-1)  # the camera's frame, which is Z up
    world = np.eye(4)
    if y_up:
        world[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]  # its Z is the world's Y
    told = wear_hints(
        wp.full((1, height, width), 8.0, dtype=wp.float32, device=device),
        intrinsics=LENS[None],
        cam_to_world=world[None],
        normals=wp.array((normals @ world[:3, :3].T)[None], dtype=wp.float32, device=device),
        y_up=y_up,
        snow=snow,
        seed=seed,
    ).numpy()[0, ..., WEAR_HINTS.index("cover")]
    ray = np.stack([(x - 16.0) / 40.0, (12.0 - y) / 40.0, -np.ones_like(x)], axis=-1)
    p = (8.0 * ray @ world[:3, :3].T).reshape(-1, 3)
    facing = np.abs((ray * normals).sum(-1)) / np.linalg.norm(ray, axis=-1)
    side = (8.0 / 40.0 / np.sqrt(np.maximum(facing, 0.05))).ravel()
    drift, patch = octaves_numpy(p * 1.6, side * 1.6, 4, seed + 81), octaves_numpy(p * 0.33, side * 0.33, 3, seed + 91)
    need = 0.92 - 0.72 * snow
    wanted = smooth(need, need + 0.22, up.ravel() * 0.62 + 0.42 * drift + 0.30 * patch - 0.15)
    wanted *= smooth(0.15, 0.45, up.ravel()) * min(1.0, 8.0 * snow)
    np.testing.assert_allclose(told.ravel(), wanted, atol=2e-3)
    assert wanted.min() == 0.0 and wanted.max() > 0.02


def test_bad_depths_have_no_wear(device):
    depth = np.full((1, 2, 4), 2.0, np.float32)
    depth[0, 0] = [np.nan, np.inf, 0.0, -3.0]
    out = wear_hints(
        wp.array(depth, dtype=wp.float32, device=device), intrinsics=LENS[None], cam_to_world=np.eye(4)[None]
    ).numpy()[0]
    assert (out[0] == 0.0).all() and np.isfinite(out).all() and np.abs(out[1]).max() > 0.0


def test_what_does_not_fit_is_refused(device):
    depth = wp.zeros((1, 4, 5), dtype=wp.float32, device=device)
    fit = {"intrinsics": LENS[None], "cam_to_world": np.eye(4)[None]}
    with pytest.raises(ValueError, match="float32"):
        wear_hints(wp.zeros((1, 4, 5), dtype=wp.uint8, device=device), **fit)
    with pytest.raises(ValueError, match="cam_to_world"):
        wear_hints(depth, intrinsics=LENS[None], cam_to_world=np.eye(4))
    with pytest.raises(ValueError, match="instance_ids"):
        wear_hints(depth, instance_ids=wp.zeros((1, 4, 4), dtype=wp.uint32, device=device), **fit)
    with pytest.raises(ValueError, match="tag"):
        wear_hints(depth, instance_to_world=np.zeros((1, 3, 4, 4)), tags=[1], **fit)
    with pytest.raises(ValueError, match="normals"):
        wear_hints(depth, normals=wp.zeros((1, 4, 4, 3), dtype=wp.float32, device=device), **fit)
    with pytest.raises(ValueError, match="out"):
        wear_hints(depth, out=wp.zeros((1, 4, 5, 3), dtype=wp.float32, device=device), **fit)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.1, 30.0), st.floats(-3.1, 3.1))
def test_rigid_inverse_undoes_turn_and_shift_whatever_the_scale(seed, scale, angle):
    rng = np.random.default_rng(seed)
    pose, shift = np.eye(4), rng.normal(0.0, 5.0, 3)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    pose[:3, :3], pose[:3, 3] = turn * scale, shift
    point = rng.normal(0.0, 3.0, 3)
    inverse = rigid_inverse(pose[None, None])[0, 0].astype(np.float64)
    np.testing.assert_allclose(inverse[:3, :3] @ (turn @ point + shift) + inverse[:3, 3], point, atol=1e-4)


def test_poses_without_inverse_give_the_identity():
    poses = np.stack([np.full((4, 4), np.nan), np.zeros((4, 4))])
    np.testing.assert_array_equal(rigid_inverse(poses), np.stack([np.eye(4)] * 2))


def test_tags_are_fnv_1a():
    # Test vectors of http://www.isthe.com/chongo/tech/comp/fnv/ (FNV-1a, 32 bits).
    assert path_tags(["", "a", "b", "foobar"]).tolist() == [0x811C9DC5, 0xE40C292C, 0xE70C2DE5, 0xBF9CF968]
    assert path_tags([]).shape == (0,)
    names = ["/World/Box", "/World/Bücher", "/W"]
    assert [path_tag(name) for name in names] == path_tags(names).tolist()
