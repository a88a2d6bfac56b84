"""The tone curve, against the fit as S. Hill published it (BakingLab, ACES.hlsl, 2016), in float64."""

import numpy as np
import warp as wp

from cosmos.bridge.kernels.display import aces, aces_inverse, srgb_looked_up, srgb_table

wp.config.quiet = True

INPUT = np.array([[0.59719, 0.35458, 0.04823], [0.07600, 0.90834, 0.01566], [0.02840, 0.13383, 0.83777]])
OUTPUT = np.array([[1.60475, -0.53108, -0.07367], [-0.10208, 1.10813, -0.00605], [-0.00327, -0.07276, 1.07602]])


@wp.kernel
def _tone_kernel(colors: wp.array(dtype=wp.vec3), out: wp.array(dtype=wp.vec3)):
    i = wp.tid()
    out[i] = aces(colors[i])


def toned(device, colors):
    given = wp.array(np.asarray(colors, dtype=np.float32), dtype=wp.vec3, device=device)
    out = wp.empty(len(given), dtype=wp.vec3, device=device)
    wp.launch(_tone_kernel, dim=len(given), inputs=[given, out], device=device)
    return out.numpy().astype(np.float64)


def published(colors):
    v = colors @ INPUT.T
    v = (v * (v + 0.0245786) - 0.000090537) / (v * (0.983729 * v + 0.4329510) + 0.238081)
    return np.clip(v @ OUTPUT.T, 0.0, 1.0)


def test_the_curve_is_the_published_fit(device):
    colors = np.exp(np.random.default_rng(0).uniform(np.log(1e-4), np.log(50.0), (4000, 3)))
    np.testing.assert_allclose(toned(device, colors), published(colors), atol=2e-6)


def test_grey_stays_grey_and_more_light_is_never_darker(device):
    levels = np.geomspace(1e-3, 100.0, 400)
    seen = toned(device, np.repeat(levels[:, None], 3, axis=1))
    assert np.ptp(seen, axis=1).max() < 2e-4
    assert (np.diff(seen[:, 1]) >= -1e-7).all()
    assert seen[0, 1] < 1e-3 and seen[-1, 1] == 1.0
    middle = toned(device, [[0.18, 0.18, 0.18]])[0, 1]
    assert 0.08 < middle < 0.16  # this fit is darker than ACES by design: scale scene light by 1 / 0.6 to match it


@wp.kernel
def _look_up_kernel(
    table: wp.array(dtype=wp.float32), values: wp.array(dtype=wp.float32), out: wp.array(dtype=wp.float32)
):
    i = wp.tid()
    out[i] = srgb_looked_up(table, values[i])


def test_the_looked_up_curve_is_srgb_within_a_hundredth_of_a_byte(device):
    values = np.concatenate([np.geomspace(1e-6, 1.0, 20000), [0.0, 0.0031308, -1.0, 2.0, np.inf, -np.inf]])
    given = wp.array(values.astype(np.float32), dtype=wp.float32, device=device)
    out = wp.empty(len(given), dtype=wp.float32, device=device)
    wp.launch(_look_up_kernel, dim=len(given), inputs=[srgb_table(device), given, out], device=device)
    v = np.clip(values, 0.0, 1.0)
    srgb = np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1.0 / 2.4) - 0.055)
    assert np.abs(out.numpy() - srgb).max() * 255.0 < 0.01


def test_a_broken_colour_reads_no_memory_of_others(device):
    given = wp.array(np.full(1000, np.nan, dtype=np.float32), dtype=wp.float32, device=device)
    out = wp.empty(1000, dtype=wp.float32, device=device)
    wp.launch(_look_up_kernel, dim=1000, inputs=[srgb_table(device), given, out], device=device)
    found = out.numpy()
    assert (np.isnan(found) | ((found >= 0.0) & (found <= 1.0))).all()


@wp.kernel
def _undo_kernel(colors: wp.array(dtype=wp.vec3), out: wp.array(dtype=wp.vec3)):
    i = wp.tid()
    out[i] = aces_inverse(colors[i])


def test_the_inverse_finds_the_light_again(device):
    colors = np.exp(np.random.default_rng(1).uniform(np.log(0.01), np.log(3.0), (2000, 3)))
    shown = published(colors)
    shown, colors = (
        shown[(shown > 0).all(1) & (shown < 0.93).all(1)],
        colors[(shown > 0).all(1) & (shown < 0.93).all(1)],
    )
    given = wp.array(shown.astype(np.float32), dtype=wp.vec3, device=device)
    out = wp.empty(len(given), dtype=wp.vec3, device=device)
    wp.launch(_undo_kernel, dim=len(given), inputs=[given, out], device=device)
    np.testing.assert_allclose(out.numpy(), colors, rtol=5e-3, atol=5e-4)
    assert len(colors) > 500


def test_the_curve_of_arrays_has_the_standard_s_values_and_is_its_own_inverse():
    from cosmos.bridge.srgb import LINEAR_OF_BYTE, linear_to_srgb, srgb_to_linear

    known = {0: 0.0, 1: 0.000303527, 10: 0.003035270, 11: 0.003346536, 128: 0.215860500, 188: 0.502886458, 255: 1.0}
    np.testing.assert_allclose(LINEAR_OF_BYTE[list(known)], list(known.values()), atol=5e-10)
    levels = np.linspace(0.0, 1.0, 4097)
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(levels)), levels, atol=1e-7)
