import cv2
import numpy as np
import pytest
import warp as wp

from cosmos.bridge.kernels.boundary import color_gradient, gradient_lengths, thin_edges
from cosmos.bridge.kernels.shifts import near_peaks, shift_scores


@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 3), (2, 1, 8, 3), (1, 7, 1, 1), (3, 11, 19, 3), (2, 9, 700, 2), (1, 5, 2, 4)]
)
def test_color_gradient_matches_cv2_sobel_of_the_strongest_channel(device, shape):
    video = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    got = color_gradient(wp.array(video, dtype=wp.uint8, device=device)).numpy()
    for t, picture in enumerate(video):
        gx, gy = (
            np.stack(
                [
                    cv2.Sobel(picture[..., c], cv2.CV_64F, *order, ksize=3, borderType=cv2.BORDER_REPLICATE) / 8.0
                    for c in range(shape[3])
                ],
                axis=-1,
            )
            for order in ((1, 0), (0, 1))
        )
        best = (gx**2 + gy**2).argmax(axis=-1)[..., None]
        expected = np.concatenate([np.take_along_axis(g, best, -1) for g in (gx, gy)], axis=-1)
        np.testing.assert_allclose(got[t], expected, atol=1e-5)


def shift_scores_numpy(gradient, sites, normals, ceilings, segments, radius):
    side = 2 * radius + 1
    out = np.zeros((len(segments) - 1, side, side))
    for s, j, i in np.ndindex(out.shape):
        for k in range(segments[s], segments[s + 1]):
            y = np.clip(sites[k, 1] + j - radius, 0, gradient.shape[1] - 1)
            x = np.clip(sites[k, 2] + i - radius, 0, gradient.shape[2] - 1)
            out[s, j, i] += min(abs(gradient[sites[k, 0], y, x].astype(np.float64) @ normals[k]), ceilings[k])
    return out


@pytest.mark.parametrize(("radius", "width"), [(0, 7), (1, 7), (3, 7), (6, 60), (10, 60)])
def test_shift_scores_match_numpy(device, radius, width):
    rng = np.random.default_rng(2)
    gradient = rng.normal(0, 10, (2, 5, width, 2)).astype(np.float32)
    sites = np.stack([rng.integers(0, n, 20) for n in (2, 5, width)], axis=1).astype(np.int32)
    normals = rng.normal(0, 1, (20, 2)).astype(np.float32)
    ceilings = rng.uniform(0, 20, 20).astype(np.float32)
    segments = np.array([0, 4, 4, 20], np.int32)
    scores = shift_scores(
        wp.array(gradient, dtype=wp.float32, device=device),
        wp.array(sites, dtype=wp.int32, device=device),
        wp.array(normals, dtype=wp.float32, device=device),
        wp.array(ceilings, dtype=wp.float32, device=device),
        wp.array(segments, dtype=wp.int32, device=device),
        radius=radius,
    )
    expected = shift_scores_numpy(gradient, sites, normals, ceilings, segments, radius)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 5, 7), (3, 40, 90)])
def test_near_peaks_match_float64_numpy(device, size):
    rng = np.random.default_rng(5)
    gradient = rng.normal(0.0, 9.0, (*size, 2)).astype(np.float32)
    strength = rng.uniform(0.0, 12.0, size).astype(np.float32)
    sites = np.stack([rng.integers(0, n, 300) for n in size], axis=1).astype(np.int32)
    turn = rng.uniform(0.0, 6.3, 300)
    normals = np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)
    arrays = (wp.array(values, device=device) for values in (gradient, strength, sites, normals))
    got = near_peaks(*arrays, noise=2.0).numpy()
    padded = np.pad(gradient.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    around = np.pad(strength.astype(np.float64), ((0, 0), (1, 1), (1, 1)), mode="edge")
    for value, (t, y, x), normal in zip(got, sites, normals.astype(np.float64), strict=True):
        near = (t, slice(y, y + 3), slice(x, x + 3))
        assert value == pytest.approx((np.abs(padded[near] @ normal) / (around[near] + 2.0)).max(), rel=1e-5)


def test_near_peaks_refuse_what_does_not_fit():
    gradient, strength = wp.zeros((1, 4, 5, 2), device="cpu"), wp.zeros((1, 4, 5), device="cpu")
    sites, normals = wp.zeros((6, 3), dtype=wp.int32, device="cpu"), wp.zeros((6, 2), device="cpu")
    with pytest.raises(ValueError, match="noise > 0"):
        near_peaks(gradient, strength, sites, normals, noise=0.0)
    with pytest.raises(ValueError, match="needs normals as float32"):
        near_peaks(gradient, strength, sites, normals[:4], noise=1.0)
    with pytest.raises(ValueError, match="needs gradient as float32"):
        near_peaks(gradient, strength[:, :3], sites, normals, noise=1.0)


def thin_edges_numpy(gradient, faint, full, beside):
    length = np.linalg.norm(gradient, axis=-1)
    height, width = length.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    along = gradient / np.maximum(length, 1e-12)[..., None]

    def at(sign):
        x, y = (columns + sign * along[..., 0]), (rows + sign * along[..., 1])
        padded = np.pad(length, 2, mode="edge")
        i, j = np.floor(y).astype(int), np.floor(x).astype(int)
        v, u = y - i, x - j
        corner = {(a, b): padded[i + 2 + a, j + 2 + b] for a in (0, 1) for b in (0, 1)}
        above = corner[0, 0] * (1 - u) + corner[0, 1] * u
        return above * (1 - v) + (corner[1, 0] * (1 - u) + corner[1, 1] * u) * v

    on = (length >= faint) & (length >= 0.98 * np.maximum(at(1.0), at(-1.0)))
    thin = along * (np.minimum(length / full, 1.0) * on)[..., None]
    padded = np.pad(thin, ((1, 1), (1, 1), (0, 0)), mode="edge")
    near = [padded[1:-1, 2:], padded[1:-1, :-2], padded[2:, 1:-1], padded[:-2, 1:-1]]
    choices = np.stack([thin, *(beside * other for other in near)])
    best = np.linalg.norm(choices, axis=-1).argmax(axis=0)
    return np.take_along_axis(choices, best[None, ..., None], 0)[0]


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 9), (2, 13, 17), (2, 21, 300)])
def test_thin_edges_match_float64_numpy(device, shape):
    gradient = np.random.default_rng(7).normal(0, 4, (*shape, 2)).astype(np.float32)
    edges = thin_edges(wp.array(gradient, dtype=wp.float32, device=device), faint=1.5, full=6.0, beside=0.5).numpy()
    for frame, expected in zip(edges, gradient.astype(np.float64), strict=True):
        wanted = thin_edges_numpy(expected, 1.5, 6.0, 0.5)
        agree = np.isclose(np.linalg.norm(frame, axis=-1), np.linalg.norm(wanted, axis=-1), atol=1e-5)
        assert agree.mean() > 0.99  # a tie within float32 of the 2 % may fall either way
    assert np.count_nonzero(edges) > 0 or shape == (1, 1, 1)


@pytest.mark.parametrize("shape", [(1, 1, 1, 2), (2, 9, 700, 2)])
def test_gradient_lengths_match_float64_numpy(device, shape):
    gradient = np.random.default_rng(6).normal(0.0, 20.0, shape).astype(np.float32)
    lengths = gradient_lengths(wp.array(gradient, dtype=wp.float32, device=device)).numpy()
    np.testing.assert_allclose(lengths, np.linalg.norm(gradient.astype(np.float64), axis=-1), rtol=1e-6)


def test_thin_edges_take_lengths_that_are_known(device):
    gradient = np.random.default_rng(7).normal(0.0, 4.0, (2, 9, 70, 2)).astype(np.float32)
    array = wp.array(gradient, dtype=wp.float32, device=device)
    alone = thin_edges(array, faint=1.0, full=6.0).numpy()
    known = thin_edges(array, faint=1.0, full=6.0, lengths=gradient_lengths(array)).numpy()
    np.testing.assert_array_equal(known, alone)
    none = thin_edges(array, faint=1.0, full=6.0, lengths=wp.zeros((2, 9, 70), dtype=wp.float32, device=device))
    assert alone.any() and not none.numpy().any()


def test_thin_edges_are_as_strong_where_contrast_is_a_tenth(device):
    step = np.full((1, 12, 20, 3), 90, np.uint8)
    step[:, :, 10:] = 210
    faint = np.full_like(step, 90)
    faint[:, :, 10:] = 115
    both = [
        thin_edges(color_gradient(wp.array(video, dtype=wp.uint8, device=device)), faint=1.0, full=6.0).numpy()
        for video in (step, faint)
    ]
    np.testing.assert_allclose(both[0], both[1], atol=1e-6)
    assert np.flatnonzero(np.abs(both[0][0, 6, :, 0]) > 0.4).tolist() == [8, 9, 10, 11]


def test_shift_scores_peak_where_the_edge_went(device):
    video = np.zeros((1, 21, 21, 3), np.uint8)
    video[:, 5 + 3 : 15 + 3, 5 - 2 : 15 - 2] = 200
    gradient = color_gradient(wp.array(video, dtype=wp.uint8, device=device))
    sites = [(0, y, 5, -1, 0) for y in range(5, 15)] + [(0, 5, x, 0, -1) for x in range(5, 15)]
    table = np.array(sites)
    scores = shift_scores(
        gradient,
        wp.array(table[:, :3], dtype=wp.int32, device=device),
        wp.array(table[:, 3:].astype(np.float32), dtype=wp.float32, device=device),
        wp.full(len(table), 1.0e3, dtype=wp.float32, device=device),
        wp.array([0, len(table)], dtype=wp.int32, device=device),
        radius=5,
    ).numpy()[0]
    best = np.argwhere(scores >= 0.999 * scores.max()) - 5
    assert [3, -2] in best.tolist() and np.abs(best - [3, -2]).max() <= 1


def test_views_of_pictures_and_gradients_are_taken(device):
    video = np.random.default_rng(8).integers(0, 256, (2, 6, 20, 3), dtype=np.uint8)
    given = wp.array(video, dtype=wp.uint8, device=device)[:, :, ::2]
    room = wp.zeros((2, 6, 20, 2), dtype=wp.float32, device=device)
    gradient = color_gradient(given, out=room[:, :, ::2])
    wanted = color_gradient(wp.array(video[:, :, ::2].copy(), dtype=wp.uint8, device=device)).numpy()
    np.testing.assert_array_equal(gradient.numpy(), wanted)
    np.testing.assert_array_equal(room.numpy()[:, :, 1::2], 0.0)
    edges = thin_edges(gradient, faint=1.0, full=6.0).numpy()
    for frame, expected in zip(edges, wanted.astype(np.float64), strict=True):
        lengths = (np.linalg.norm(field, axis=-1) for field in (frame, thin_edges_numpy(expected, 1.0, 6.0, 0.5)))
        np.testing.assert_allclose(*lengths, atol=1e-5)


def test_launchers_refuse_what_does_not_fit(device):
    video = wp.zeros((1, 4, 4, 3), dtype=wp.uint8, device=device)
    gradient = color_gradient(video)
    sites = wp.zeros((2, 3), dtype=wp.int32, device=device)
    normals = wp.zeros((2, 2), dtype=wp.float32, device=device)
    ceilings = wp.zeros(2, dtype=wp.float32, device=device)
    segments = wp.zeros(2, dtype=wp.int32, device=device)
    with pytest.raises(ValueError, match=r"uint8 \[T, H, W, C\], got float32"):
        color_gradient(gradient)
    with pytest.raises(ValueError, match=r"out must be float32 \[1, 4, 4, 2\], got uint8"):
        color_gradient(video, out=video)
    with pytest.raises(ValueError, match=r"gradient_lengths needs float32 \[T, H, W, 2\], got uint8"):
        gradient_lengths(video)
    with pytest.raises(ValueError, match=r"lengths must be float32 \[1, 4, 4\], got float32 \[2, 2\]"):
        thin_edges(gradient, faint=1.0, full=6.0, lengths=normals)
    with pytest.raises(ValueError, match="radius >= 0"):
        shift_scores(gradient, sites, normals, ceilings, segments, radius=-1)
    with pytest.raises(ValueError, match="needs sites as int32 with 2 axes ending in"):
        shift_scores(gradient, normals, normals, ceilings, segments, radius=1)
    with pytest.raises(ValueError, match="a normal and a ceiling a site"):
        shift_scores(gradient, sites, normals, ceilings[:1], segments, radius=1)
