import numpy as np
import pytest

from cosmos.bridge.critic.checks.presence import BANDS, Match, Sight
from cosmos.bridge.critic.checks.split import cut_of
from cosmos.bridge.critic.consistency import ConsistencyCritic
from cosmos.bridge.critic.evidence import SPLIT
from cosmos.bridge.critic.limits import Limits

CRATE_A, CRATE_B, ROBOT = 3, 4, 5


def judge(world, rgb):
    verdict = ConsistencyCritic().judge(world.request(), world.result(rgb))
    return [finding for finding in verdict.findings if finding.check == "instance_split"]


def lit(rgb):
    """Another light: every channel an affine function of all three."""
    light = np.array([[0.6, 0.1, 0.0], [0.1, 0.7, 0.2], [0.0, -0.1, 0.6]])
    return np.clip(rgb @ light + 20.0, 0, 255).astype(np.uint8)


def middle(world, thing, share):
    """The middle of a thing across the longer side of its box, bool [T, H, W]."""
    band = np.zeros(world.ids.shape, bool)
    for mask, cut in zip(world.ids == thing, band, strict=True):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        tall = len(rows) >= len(columns)
        line = rows if tall else columns
        half, centre = share * len(line) / 2.0, line.mean()
        part = slice(round(centre - half), round(centre + half))
        cut[part if tall else slice(None), slice(None) if tall else part] = True
        cut &= mask
    return band


@pytest.mark.parametrize("thing", [CRATE_A, CRATE_B, ROBOT])
def test_a_thing_through_whose_middle_the_background_shows_is_named(world, draw_world, layers_without, thing):
    behind = draw_world(layers_without(gone=(thing,))).rgb
    cut = np.where(middle(world, thing, 0.3)[..., None], behind, world.rgb)
    found = judge(world, lit(cut))
    assert [finding.instance for finding in found] == [thing]
    assert found[0].severity == "reject" and found[0].prim_path == world.path(thing)


@pytest.mark.parametrize("thing", [CRATE_A, CRATE_B, ROBOT])
def test_a_shadow_across_a_thing_is_no_cut(world, thing):
    shadow = np.where(middle(world, thing, 0.3)[..., None], 0.5 * world.rgb, world.rgb).astype(np.uint8)
    assert judge(world, shadow) == [] and judge(world, lit(world.rgb)) == []


def test_flakes_that_fall_before_a_thing_are_no_cut(world):
    rng = np.random.default_rng(9)
    snowy = lit(world.rgb)
    for picture in snowy:
        picture[rng.integers(0, 144, 900), rng.integers(0, 256, 900)] = 245
    assert judge(world, snowy) == []


def test_a_thing_that_is_gone_as_a_whole_is_not_called_cut(world, draw_world, layers_without):
    assert judge(world, draw_world(layers_without(gone=(CRATE_A,))).rgb) == []


def sight(gradients):
    """A thing seen once, with the same gradients (three of the source, three of the result) in all bands but some."""
    products = np.stack([values.T @ values for values in gradients])
    pixels = np.array([len(values) for values in gradients], np.float64)
    match = Match(explained=0.5, source=1.0, result=1.0)
    many = float(pixels.sum())
    return Sight(
        frames=np.arange(1), looked=1, sharp=match, soft=match, rim=match, pairs=9.0, area=many, piece=1.0, dark=0.0,
        noise=1.0, lit=1.0, pixels=many, depth=3.0, kept=0.0, snowed=0.0, products=products, band_pixels=pixels,
    )  # fmt: skip


def test_the_cut_is_where_least_squares_in_float64_finds_it():
    rng = np.random.default_rng(6)
    light = rng.normal(0.0, 1.0, (3, 3))
    gradients = []
    for band in range(BANDS):
        source = rng.normal(0.0, 20.0, (60, 3))
        other = rng.normal(0.0, 20.0, (60, 3))
        result = (other if band in (4, 5, 6) else source) @ light + rng.normal(0.0, 4.0, (60, 3))
        gradients.append(np.concatenate([source, result], axis=1))
    cut = cut_of(sight(gradients), Limits())

    def correlation(values):
        fit = np.linalg.lstsq(values[:, :3], values[:, 3:], rcond=None)[0]
        left = ((values[:, 3:] - values[:, :3] @ fit) ** 2).sum()
        return np.arctanh(np.sqrt(min(1.0 - left / (values[:, 3:] ** 2).sum(), 0.97)))

    ends = np.concatenate(gradients[:4]), np.concatenate(gradients[7:])
    assert cut.band == pytest.approx(np.mean([correlation(band) for band in gradients[4:7]]), abs=2e-3)
    assert cut.ends == pytest.approx(min(correlation(end) for end in ends), abs=2e-3)
    whole = np.concatenate(ends)
    fit = np.linalg.lstsq(whole[:, :3], whole[:, 3:], rcond=None)[0]
    power = ((np.concatenate(gradients[4:7])[:, :3] @ fit) ** 2).sum() / 180.0
    assert cut.steep == pytest.approx(np.log1p(np.sqrt(power)), abs=2e-3)
    told = SPLIT.base + SPLIT.band * cut.band + SPLIT.ends * cut.ends + SPLIT.steep * cut.steep
    assert cut.evidence == pytest.approx(told)


def test_too_few_pixels_tell_no_cut():
    rng = np.random.default_rng(6)
    assert cut_of(sight([rng.normal(0.0, 9.0, (5, 6)) for _ in range(BANDS)]), Limits()) is None
