"""The net: silent at the start, local where it must be, the same for a frame alone and among others."""

from dataclasses import replace

import numpy as np
import pytest
import torch  # noqa: TID253

from cosmos.models.embedded.conditions import STYLE_DIM, Conditions, style_vector
from cosmos.models.embedded.net import HIT, MARCHED, TransferNet, unmarched
from cosmos.models.embedded.pairs import Batch
from cosmos.models.embedded.sampling import EmbeddedModel, PaintInputs, coarse_for
from cosmos.models.embedded.steps import draft_size
from cosmos.models.embedded.training import paint
from cosmos.models.spec import TransferNetConfig, from_mapping, to_mapping

CONFIG = TransferNetConfig(channels=(8, 12, 16), blocks=1, features=6, head=8)
DRAFTING = replace(CONFIG, draft=True)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def loud_net(config=CONFIG):
    net = TransferNet(config).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return net


def inputs(frames=2, size=(24, 40)):
    draw = torch.Generator().manual_seed(3)
    return PaintInputs(
        rgb=torch.rand((1, 3, frames, *size), generator=draw) * 2 - 1,
        controls={kind: torch.rand((1, 3, frames, *size), generator=draw) * 2 - 1 for kind in CONFIG.controls},
        weights={kind: torch.rand((1, 1, frames, *size), generator=draw) for kind in CONFIG.controls},
        hints=torch.rand((1, CONFIG.hints, frames, *size), generator=draw) * 2 - 1,
        maps=torch.rand((1, CONFIG.maps, frames, *size), generator=draw) * 2 - 1,
    )


def quiet_net():
    """An untrained net whose trunk has no way out of its own; that starts small, not silent, so that it learns."""
    net = TransferNet(CONFIG).eval()
    torch.nn.init.zeros_(net.broad.weight)
    torch.nn.init.zeros_(net.broad.bias)
    return net


def test_an_untrained_net_gives_the_relit_picture_back_or_the_picture_without_a_stage():
    given, model = inputs(), EmbeddedModel(net=quiet_net(), reader=None, sha256="")
    torch.testing.assert_close(model.paint(given, Conditions()), given.maps[:, :3], atol=1e-6, rtol=0.0)
    alone = replace(given, maps=None)
    torch.testing.assert_close(model.paint(alone, Conditions()), given.rgb, atol=1e-6, rtol=0.0)


def test_a_picture_among_lit_ones_may_have_no_light_maps():
    """Training mixes them in a batch."""
    net, given = loud_net(), inputs()
    rgb, hints, maps = (x[0].transpose(0, 1) for x in (given.rgb, given.hints, given.maps))
    style = torch.randn(1, STYLE_DIM).expand(2, -1)
    lit = torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1)
    mixed = net(rgb, {}, {}, hints, style, maps=maps, lit=lit)
    torch.testing.assert_close(mixed[:1], net(rgb[:1], {}, {}, hints[:1], style[:1], maps=maps[:1]))
    torch.testing.assert_close(mixed[1:], net(rgb[1:], {}, {}, hints[1:], style[1:]))


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (24, 40), (17, 64)])
def test_any_size_comes_back(size):
    out = EmbeddedModel(net=loud_net(), reader=None, sha256="").paint(inputs(1, size), Conditions(fog=0.5))
    assert out.shape == (1, 3, 1, *size) and torch.isfinite(out).all() and out.abs().max() <= 1.0


def test_a_frame_is_painted_as_if_it_were_alone():
    """No statistic over the batch or the clip: nothing to flicker by."""
    model, both = EmbeddedModel(net=loud_net(), reader=None, sha256=""), inputs()
    alone = PaintInputs(
        maps=both.maps[:, :, 1:],
        rgb=both.rgb[:, :, 1:],
        controls={kind: value[:, :, 1:] for kind, value in both.controls.items()},
        weights={kind: value[:, :, 1:] for kind, value in both.weights.items()},
        hints=both.hints[:, :, 1:],
    )
    torch.testing.assert_close(
        model.paint(both, Conditions())[:, :, 1:], model.paint(alone, Conditions()), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("kind", CONFIG.controls)
def test_a_control_of_weight_zero_is_a_control_that_is_not_there(kind):
    model, given = EmbeddedModel(net=loud_net(), reader=None, sha256=""), inputs()
    silent = {name: torch.zeros_like(w) if name == kind else w for name, w in given.weights.items()}
    rest = {name: value for name, value in given.controls.items() if name != kind}
    zero = replace(given, weights=silent)
    absent = replace(
        given,
        controls=rest,
        weights={name: given.weights[name] for name in rest},
        hints=None if kind == "depth" else given.hints,
    )
    torch.testing.assert_close(model.paint(zero, Conditions()), model.paint(absent, Conditions()), atol=1e-5, rtol=1e-5)


def test_under_a_roof_neither_rain_nor_snow_is_painted():
    model, given = EmbeddedModel(net=loud_net(), reader=None, sha256=""), inputs()
    fallen, dry = Conditions(snow=0.8, rain=0.4), Conditions()
    given.maps[:, 12], given.hints[:, 19:] = 1.0, 0.0

    def paint(open_, conditions):
        maps = given.maps.clone()
        maps[:, 13] = open_
        return model.paint(replace(given, maps=maps), conditions)

    torch.testing.assert_close(paint(-1.0, fallen), paint(-1.0, dry))
    assert (paint(1.0, fallen) - paint(1.0, dry)).abs().mean() > 0.01


def test_no_surface_is_painted_darker_than_the_air_before_it():
    given, net = inputs(), quiet_net()
    with torch.no_grad():
        net.broad.bias[:3] = -2.0  # a net that darkens all it sees
    sky = given.maps[:, 12:13] < -0.5
    given.maps[:, 12:13][sky] = -1.0
    given.hints[:, 13:14] = torch.where(sky, -1.0, 1.0)
    base, air, clear = ((given.maps[0, part].double().numpy() + 1.0) / 2.0 for part in (slice(3), slice(9, 12), [12]))
    sky = sky[0].numpy()
    darkened = base * np.exp(-2.0 * np.where(sky, 1.0, clear))
    expected = np.where(sky, darkened, np.maximum(darkened, np.minimum(air, base)))
    assert (expected > darkened + 0.1).mean() > 0.1 and (expected == darkened)[..., ~sky[0]].mean() > 0.1
    rgb, hints, maps = (x[0].transpose(0, 1) for x in (given.rgb, given.hints, given.maps))
    at_once = net(rgb, {}, {"depth": torch.ones_like(rgb[:, :1])}, hints, torch.zeros(2, STYLE_DIM), maps=maps)
    frame_by_frame = EmbeddedModel(net=net, reader=None, sha256="").paint(given, Conditions())
    for painted in (at_once.detach().transpose(0, 1), frame_by_frame[0]):
        np.testing.assert_allclose((painted.numpy() + 1.0) / 2.0, expected, atol=1e-5)


def test_padding_does_not_reach_pixels_far_from_the_rim():
    """Far from the rim a picture is the same, whether its size is a multiple of the trunk's stride or not."""
    net = loud_net()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if not name.startswith("head"):
                parameter.zero_()  # leaves the head alone, which sees 5 px
    model, whole = EmbeddedModel(net=net, reader=None, sha256=""), inputs(1, (32, 48))
    cut = PaintInputs(
        maps=whole.maps[..., :29, :43],
        rgb=whole.rgb[..., :29, :43],
        controls={kind: value[..., :29, :43] for kind, value in whole.controls.items()},
        weights={kind: value[..., :29, :43] for kind, value in whole.weights.items()},
        hints=whole.hints[..., :29, :43],
    )
    a, b = model.paint(whole, Conditions()), model.paint(cut, Conditions())
    torch.testing.assert_close(a[..., :26, :40], b[..., :26, :40], atol=1e-5, rtol=1e-5)


def test_the_trunk_sees_about_the_sizes_it_was_trained_at():
    for height, width in ((72, 128), (144, 256), (352, 640), (704, 1280)):
        assert 64 <= width / coarse_for(height, width) <= 160
        assert 32 <= width / coarse_for(height, width, told=True) <= 80


def test_the_trunk_is_coarser_where_light_maps_tell_what_is_fine_and_no_draft_must_be_seen():
    given, size = inputs(1, (24, 200)), (24, 200)
    for config, maps, told in ((CONFIG, True, True), (CONFIG, False, False), (DRAFTING, True, False)):
        net = loud_net(config)
        noise = None
        if config.draft:
            noise = torch.randn((1, 3, 1, *draft_size(config, size, coarse_for(*size))))
        shown = replace(given, maps=given.maps if maps else None, noise=noise)
        model = EmbeddedModel(net=net, reader=None, sha256="")
        painted = model.paint(shown, Conditions(fog=0.3))
        ratios = []
        net.register_forward_pre_hook(lambda _, args, seen=ratios: seen.append(args[5]))
        styles = torch.from_numpy(style_vector(Conditions(fog=0.3)))[None]
        torch.testing.assert_close(model._paint_batch(shown, styles), painted, atol=1e-3, rtol=1e-3)
        assert ratios == [8 if told else 4]


@pytest.mark.parametrize("lit", [True, False])
def test_hints_marched_through_the_depth_count_where_no_stage_tells_the_light_and_for_nets_that_see_drafts(lit):
    given = inputs(1, (24, 64))
    rgb, hints, maps = (x[0].transpose(0, 1) for x in (given.rgb, given.hints, given.maps))
    hints[:, HIT] = 1.0
    style = torch.randn(1, STYLE_DIM)
    shown = {"controls": {}, "weights": {"depth": torch.ones_like(rgb[:, :1])}, "target": rgb, "rgb": rgb}
    batch = Batch(**shown, hints=hints, style=style, maps=maps, lit=torch.full((1, 1, 1, 1), float(lit)))
    other = hints.clone()
    other[:, list(MARCHED)] *= -1.0
    with torch.inference_mode():
        for net in (loud_net(), loud_net(DRAFTING)):
            alike = torch.equal(paint(net, batch), paint(net, replace(batch, hints=other)))
            assert alike == (lit and not net.config.draft)


def test_a_net_that_knows_fewer_hints_sees_the_first_of_them():
    given, fewer = inputs(), replace(CONFIG, hints=CONFIG.hints - 1)
    model, bare = EmbeddedModel(net=loud_net(fewer), reader=None, sha256=""), replace(given, hints=given.hints[:, :-1])
    look = Conditions(snow=0.6)
    assert torch.equal(model.paint(given, look), model.paint(bare, look))
    styles = torch.from_numpy(style_vector(look))[None].expand(2, -1)
    assert torch.equal(model._paint_batch(given, styles), model._paint_batch(bare, styles))


def test_what_counts_for_nothing_has_its_usual_value_on_surfaces_alone():
    hints = inputs(2).hints[0].transpose(0, 1).clone()
    hints[:, HIT] = torch.where(hints[:, HIT] > 0.3, 1.0, -1.0)
    told = unmarched(hints, torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1))
    met = hints[0, HIT] > 0.0
    assert torch.equal(told[1], hints[1]) and 0.1 < met.float().mean() < 0.9
    for channel in range(hints.shape[1]):
        assert torch.equal(told[0, channel][~met], hints[0, channel][~met])
        wanted = torch.full_like(hints[0, channel], MARCHED[channel]) if channel in MARCHED else hints[0, channel]
        assert torch.equal(told[0, channel][met], wanted[met])


def test_the_configuration_survives_json_and_refuses_strangers():
    assert from_mapping(TransferNetConfig, to_mapping(CONFIG)) == CONFIG
    with pytest.raises(ValueError, match=r"TransferNetConfig has no \['colour'\]"):
        from_mapping(TransferNetConfig, {"colour": 1})
    with pytest.raises(ValueError, match="two scales"):
        TransferNetConfig(channels=(8,))
    with pytest.raises(ValueError, match="must hold depth"):
        TransferNetConfig(controls=("edge",))


def test_every_parameter_learns():
    """One step on a changed picture gives each parameter a gradient, once the silent layers have spoken."""
    net, given = loud_net(), inputs(1)
    flat = {kind: value[:, :, 0] for kind, value in given.controls.items()}
    weights = {kind: value[:, :, 0] for kind, value in given.weights.items()}
    style, maps = torch.randn(1, STYLE_DIM), given.maps[:, :, 0]
    out = net(given.rgb[:, :, 0], flat, weights, given.hints[:, :, 0], style, maps=maps)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0.0 for p in net.parameters())
