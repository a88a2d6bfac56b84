"""The net as a CPU paints it gives what the plain net gives: any size, any controls, with and without a stage."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch  # noqa: TID253

from cosmos.models.embedded.conditions import STYLE_DIM, Conditions, style_vector
from cosmos.models.embedded.net import TransferNet, seen_draft
from cosmos.models.embedded.painting import FrameInputs, StyledPainter
from cosmos.models.embedded.sampling import EmbeddedModel, PaintInputs, coarse_for, join_inputs
from cosmos.models.embedded.steps import draft_size
from cosmos.models.spec import TransferNetConfig

CONFIG = TransferNetConfig(channels=(8, 12, 16), blocks=1, features=6, head=8)
DRAFTING = replace(CONFIG, draft=True)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def loud_net(config=CONFIG):
    net = TransferNet(config).eval().requires_grad_(False)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return net


def levels(channels, size):
    return torch.randint(0, 256, (*size, channels), dtype=torch.uint8)


def frame(size, kinds=CONFIG.controls):
    maps = levels(CONFIG.maps, size)
    maps[: size[0] // 3, :, 12] = 0  # the sky
    return FrameInputs(
        rgb=levels(3, size),
        controls={kind: levels(3, size) for kind in kinds},
        weights={kind: torch.rand(size) * 0.3 for kind in kinds},
        hints=torch.rand((*size, CONFIG.hints)) * 2 - 1,
        maps=maps,
    )


def inputs_of(given):
    """One frame as the model takes it."""
    return PaintInputs(
        rgb=given.rgb.permute(2, 0, 1)[None, :, None],
        controls={kind: control.permute(2, 0, 1)[None, :, None] for kind, control in given.controls.items()},
        weights={kind: weight[None, None, None] for kind, weight in given.weights.items()},
        hints=given.hints.permute(2, 0, 1)[None, :, None],
        maps=given.maps.permute(2, 0, 1)[None, :, None],
    )


def plainly(net, given, style, coarse, draft=None):
    """Run the plain net on a frame of whole strides."""

    def picture(x):
        x = x.float() / 127.5 - 1.0 if x.dtype == torch.uint8 else x
        return x.permute(2, 0, 1)[None]

    return net(
        picture(given.rgb),
        {kind: picture(control) for kind, control in given.controls.items()},
        {kind: weight[None, None] for kind, weight in given.weights.items()},
        torch.zeros((1, CONFIG.hints, *given.rgb.shape[:2])) if given.hints is None else picture(given.hints),
        style[None],
        coarse,
        maps=None if given.maps is None else picture(given.maps),
        draft=draft,
    )[0]


@pytest.mark.parametrize("coarse", [2, 4])
@pytest.mark.parametrize("lack", ["nothing", "maps", "hints", "depth", "controls"])
def test_it_is_the_plain_net(coarse, lack):
    net, style = loud_net(), torch.randn(STYLE_DIM)
    given = frame((96, 640), kinds={"depth": ("seg",), "controls": ()}.get(lack, CONFIG.controls))  # two bands
    given = replace(given, **{lack: None}) if lack in ("maps", "hints") else given
    painted = StyledPainter(net, style, coarse).paint(given)
    wanted = plainly(net, given, style, coarse)
    assert wanted.std() > 0.1
    torch.testing.assert_close(painted, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("lack", ["nothing", "maps"])
def test_bfloat16_is_the_plain_net_to_its_rounding(lack):
    net, style = TransferNet(CONFIG).eval().requires_grad_(False), torch.randn(STYLE_DIM)
    torch.nn.init.normal_(net.head_out.weight, std=0.3)
    torch.nn.init.normal_(net.head_out.bias, std=0.3)
    given = frame((96, 640))
    given = replace(given, **{lack: None}) if lack == "maps" else given
    painted = StyledPainter(net, style, 2, dtype=torch.bfloat16).paint(given)
    wanted = plainly(net, given, style, 2)
    apart = (painted - wanted).square().mean().sqrt()
    assert painted.dtype == torch.float32 and wanted.std() > 0.3
    assert 0.0 < apart < 0.02 * wanted.std()  # each feature keeps three digits at most


@pytest.mark.parametrize("size", [(1, 1), (17, 41), (90, 640)])
def test_odd_sizes_are_padded_as_for_the_plain_net(size):
    model, given = EmbeddedModel(net=loud_net(), reader=None, sha256=""), frame(size)
    inputs = inputs_of(given)
    conditions = Conditions(rain=0.7, snow=0.2, fog=0.4)
    painted = model.paint(inputs, conditions)
    wanted = model._paint_batch(inputs, torch.from_numpy(style_vector(conditions))[None])
    torch.testing.assert_close(painted, wanted, atol=1e-4, rtol=1e-4)


def test_frames_of_other_looks_go_together_as_alone():
    """On a CPU to the bit; all at once, as elsewhere, to rounding."""
    model = EmbeddedModel(net=loud_net(), reader=None, sha256="")
    looks = [Conditions(rain=0.1 * index, sun_elevation=20.0 * index) for index in range(3)]
    looks = [*looks, *(Conditions(snow=0.2 * index, fog=0.3) for index in range(3)), looks[0]]  # more than are kept
    parts = [inputs_of(frame((24, 40))) for _ in looks]
    together = model.paint(join_inputs(parts), looks)
    for index, (part, look) in enumerate(zip(parts, looks, strict=True)):
        torch.testing.assert_close(together[:, :, index : index + 1], model.paint(part, look), atol=0.0, rtol=0.0)
    styles = torch.stack([torch.from_numpy(style_vector(look)) for look in looks])
    torch.testing.assert_close(model._paint_batch(join_inputs(parts), styles), together, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="a look, or one a frame, got 2 for 7 frames"):
        model.paint(join_inputs(parts), looks[:2])


def test_frames_do_not_write_over_each_other():
    net, style = loud_net(), torch.randn(STYLE_DIM)
    painter, first, second = StyledPainter(net, style, 2), frame((24, 40)), frame((24, 40))
    before = painter.paint(first).clone()
    painter.paint(second)
    torch.testing.assert_close(painter.paint(first), before, atol=0.0, rtol=0.0)


def stepped(net, given, style, coarse, noise, levels):
    """Take the steps with the plain net; drafts in float64."""
    draft, size = noise.double(), noise.shape[1:]
    for level, then in pairwise(levels):
        seen = seen_draft(draft[None].float(), torch.full((1, 1, 1, 1), level))
        picture = plainly(net, given, style, coarse, seen)
        clean = picture.double().reshape(3, size[0], coarse, size[1], coarse).mean(dim=(2, 4)).clamp(-1.0, 1.0)
        draft = draft + (then - level) * (draft - clean) / level
    return picture


@pytest.mark.parametrize(("coarse", "steps"), [(2, 1), (2, 4), (4, 3)])
def test_steps_are_those_of_the_plain_net(coarse, steps):
    net, style, given = loud_net(DRAFTING), torch.randn(STYLE_DIM), frame((96, 640))
    noise = torch.randn((3, 96 // coarse, 640 // coarse))
    even = [1.0 - index / steps for index in range(steps + 1)]
    levels, told = [0.4 * u / (1.0 - 0.6 * u) for u in even], []
    painted = StyledPainter(net, style, coarse).paint(given, noise, steps, lambda: told.append(1))
    wanted = stepped(net, given, style, coarse, noise, levels)
    torch.testing.assert_close(painted, wanted, atol=2e-3, rtol=1e-3)
    assert wanted.std() > 0.1 and len(told) == steps
    other = StyledPainter(net, style, coarse).paint(given, torch.randn_like(noise), steps)
    assert (other - painted).abs().mean() > 0.01


@pytest.mark.parametrize("size", [(1, 1), (17, 41), (90, 500)])
def test_steps_of_odd_sizes_on_a_cpu_are_those_of_all_at_once(size):
    model, given = EmbeddedModel(net=loud_net(DRAFTING), reader=None, sha256=""), [frame(size), frame(size)]
    inputs, conditions, told = join_inputs([inputs_of(one) for one in given]), Conditions(rain=0.7, fog=0.4), []
    noise = torch.randn((1, 3, 2, *draft_size(DRAFTING, size, coarse_for(*size))))
    inputs = replace(inputs, noise=noise)
    painted = model.paint(inputs, conditions, steps=3, tell=told.append)
    styles = torch.from_numpy(style_vector(conditions))[None].expand(2, -1)
    wanted = model._paint_batch(inputs, styles, 3)
    torch.testing.assert_close(painted, wanted, atol=2e-3, rtol=1e-3)
    assert sum(told) == 6


def test_noise_and_steps_that_a_net_does_not_take_are_refused():
    given, look = inputs_of(frame((24, 40))), Conditions()
    plain, drafting = (EmbeddedModel(net=loud_net(c), reader=None, sha256="") for c in (CONFIG, DRAFTING))
    with pytest.raises(ValueError, match="sees no draft and paints in 1 step without noise, got 2 steps"):
        plain.paint(given, look, steps=2)
    with pytest.raises(ValueError, match=r"paints from noise of shape \[1, 3, 1, 12, 20\], got none"):
        drafting.paint(given, look)
    with pytest.raises(ValueError, match=r"got \[1, 3, 1, 24, 40\]"):
        drafting.paint(replace(given, noise=torch.randn((1, 3, 1, 24, 40))), look)
