"""Painting in steps: the path from noise to a picture, and what the net is told of where it stands on it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch  # noqa: TID253

from cosmos.models.embedded.drafts import answered, drafted, noise_alone, random_drafts
from cosmos.models.embedded.net import DRAFT_CHANNELS, TransferNet, seen_draft, unmarched
from cosmos.models.embedded.pairs import Batch
from cosmos.models.embedded.steps import draft_size, noised, paint_in_steps, shrunk_to, step_levels
from cosmos.models.embedded.training import Run, paint
from cosmos.models.spec import TransferNetConfig

CONFIG = TransferNetConfig(channels=(8, 12, 16), blocks=1, features=6, head=8, draft=True)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def batch(size=(24, 40), count=2):
    def drawn(channels):
        return torch.rand((count, channels, *size)) * 2.0 - 1.0

    return Batch(
        rgb=drawn(3),
        controls={kind: drawn(3) for kind in CONFIG.controls},
        weights={kind: torch.rand((count, 1, *size)) for kind in CONFIG.controls},
        hints=drawn(CONFIG.hints),
        style=torch.rand((count, CONFIG.style)),
        target=drawn(3),
        maps=drawn(CONFIG.maps),
        lit=torch.ones((count, 1, 1, 1)),
    )


@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_steps_follow_euler_in_float64(count):
    """Pictures around ``m`` with deviation ``s``: the clean picture that a draft is thought to be is known exactly."""
    mean, deviation, noise = 0.3, 0.25, np.random.default_rng(5).standard_normal((2, 3, 4, 6))

    def thought(draft, level):
        signal = (1.0 - level) * deviation**2
        return mean + signal / ((1.0 - level) * signal + level**2) * (draft - (1.0 - level) * mean)

    drafts, levels = noise.copy(), np.linspace(1.0, 0.0, count + 1)
    levels = 0.4 * levels / (1.0 - 0.6 * levels)
    for level, then in pairwise(levels):
        drafts += (then - level) * (drafts - thought(drafts, level)) / level
    painted = paint_in_steps(thought, lambda picture: picture, torch.from_numpy(noise), count)
    np.testing.assert_allclose(painted.numpy(), drafts, atol=1e-12)


def test_more_steps_come_closer_to_the_spread_of_the_pictures():
    """One step gives their mean for any noise; the flow gives their distribution."""
    noise = torch.randn((1, 3, 64, 64), dtype=torch.float64)

    def thought(draft, level):
        return (1.0 - level) / ((1.0 - level) ** 2 + (level / 0.25) ** 2) * draft

    spread = [float(paint_in_steps(thought, lambda picture: picture, noise, count).std()) for count in (1, 4, 16, 64)]
    assert spread[0] == 0.0 and spread == sorted(spread) and abs(spread[-1] - 0.25) < 0.02


def test_levels_run_from_noise_to_picture():
    levels = step_levels(8)
    assert levels[0] == 1.0 and levels[-1] == 0.0 and list(levels) == sorted(levels, reverse=True)
    with pytest.raises(ValueError, match=r"a step or more, got 0"):
        step_levels(0)


def test_a_draft_is_believed_as_far_as_a_wiener_filter_does():
    noisy, level = torch.randn((3, 3, 5, 7)), torch.tensor([1.0, 0.3, 0.0]).reshape(3, 1, 1, 1)
    seen = seen_draft(noisy, level).double().numpy()
    assert seen.shape == (3, DRAFT_CHANNELS, 5, 7)
    for row, t in enumerate((1.0, 0.3, 0.0)):
        share = (1.0 - t) * 0.09 / ((1.0 - t) ** 2 * 0.09 + t * t)
        np.testing.assert_allclose(seen[row, 3:6], share * noisy[row].double().numpy(), rtol=1e-5)
        planes = np.array([2 * t - 1, 2 * share - 1])[:, None, None] * np.ones((5, 7))
        np.testing.assert_allclose(seen[row, 6:], planes, atol=1e-6)


@pytest.mark.parametrize("coarse", [2, 4])
def test_a_net_that_never_saw_a_draft_paints_as_it_did(coarse):
    """So that a net trained without drafts can go on learning with them."""
    plain, given = TransferNet(replace(CONFIG, draft=False)), batch()
    given.hints = unmarched(given.hints, given.lit)  # as a net without drafts has them
    for parameter in plain.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    net = TransferNet(CONFIG)
    assert all(name.startswith("draft.") for name in net.load_state_dict(plain.state_dict(), strict=False).missing_keys)
    with torch.inference_mode():
        told = random_drafts(given, CONFIG, coarse, np.random.default_rng(0))
        assert torch.equal(paint(net, told, coarse), paint(plain, given, coarse))
        for layer in (net.draft.speak, net.draft.past):
            before = paint(net, told, coarse)
            torch.nn.init.normal_(layer.weight)
            assert not torch.equal(paint(net, told, coarse), before)


@pytest.mark.parametrize("size", [(24, 40), (17, 30)])
def test_drafts_are_the_targets_at_the_trunks_size_under_noise(size):
    given = batch(size)
    height, width = draft_size(CONFIG, size, 2)
    whole = np.pad(
        given.target.numpy(), ((0, 0), (0, 0), (0, 2 * height - size[0]), (0, 2 * width - size[1])), mode="edge"
    )
    wanted = whole.reshape(2, 3, height, 2, width, 2).mean(axis=(3, 5))
    found = shrunk_to(given.target, (height, width), 2)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-6)
    noise = torch.randn_like(found)
    assert torch.equal(noised(found, noise, 1.0), noise) and torch.equal(noised(found, noise, 0.0), found)


def test_half_of_the_drafts_are_pure_noise_and_a_number_decides_them():
    given, levels = batch((8, 8), 64), []
    for number in range(8):
        draft = random_drafts(given, CONFIG, 2, np.random.default_rng(number)).draft
        levels.append((draft[:, 6, 0, 0] + 1.0) / 2.0)
        assert torch.equal(draft, random_drafts(given, CONFIG, 2, np.random.default_rng(number)).draft)
    drawn = torch.cat(levels)
    assert abs(float((drawn == 1.0).float().mean()) - 0.5) < 0.1 and float(drawn.min()) < 0.05
    alone = noise_alone(given, CONFIG, 2, np.random.default_rng(0)).draft
    assert torch.equal(alone[:, 6], torch.ones_like(alone[:, 6])) and torch.count_nonzero(alone[:, 3:6]) == 0


def test_learning_from_drafts_teaches_to_use_them(tmp_path):
    """A colour that nothing but the draft tells is painted as the draft shows it."""
    config = replace(CONFIG, channels=(8, 12))
    run = Run(tmp_path / "run", config, rate=1e-2)

    def drawn(count):
        given = batch((8, 16), count)
        silent = {"rgb": given.rgb, "hints": given.hints, "maps": given.maps, "lit": given.lit, "style": given.style}
        color = (torch.rand((count, 3, 1, 1)) * 2.0 - 1.0).expand(-1, -1, 8, 16).contiguous()
        return replace(given, target=color, controls={}, **{name: 0.0 * x for name, x in silent.items()})

    for _ in range(90):
        clear = drafted(drawn(8), config, 2, torch.zeros((8, 1, 1, 1)), torch.randn((8, 3, 4, 8)))
        run.learn(clear, 0.0, 2, warm_up=1)
    given, errors = drawn(16), []
    for level in (0.0, 1.0):
        levels = torch.full((16, 1, 1, 1), level)
        with torch.inference_mode():
            out = paint(run.net.eval(), drafted(given, config, 2, levels, torch.randn((16, 3, 4, 8))), 2)
        errors.append(float((out - given.target).abs().mean()))
    assert errors[0] < 0.8 * errors[1]


def test_a_student_learns_what_its_teacher_paints_from_the_same_noise(tmp_path):
    """The answer is the teacher's, step by step; half of the loss is told by it."""
    teacher, given = TransferNet(CONFIG), batch()
    for parameter in teacher.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    told, answer = answered(given, teacher, 2, np.random.default_rng(4), 2)
    alone = noise_alone(given, CONFIG, 2, np.random.default_rng(4))
    assert torch.equal(told.draft, alone.draft)
    level = 0.4 * 0.5 / (1.0 - 0.6 * 0.5)
    with torch.inference_mode():
        first = paint(teacher, alone, 2).double()
        coarse = first.reshape(2, 3, 12, 2, 20, 2).mean(dim=(3, 5)).clamp(-1.0, 1.0)
        noise = alone.draft[:, :3].double()
        draft = (noise + (level - 1.0) * (noise - coarse)).float()
        last = paint(teacher, replace(given, draft=seen_draft(draft, torch.full((2, 1, 1, 1), level))), 2)
    torch.testing.assert_close(answer, last.float().clamp(-1.0, 1.0), atol=0.05, rtol=0.0)  # bfloat16
    losses = []
    for taught in (told, replace(told, answer=answer), replace(told, target=answer)):
        run = Run(tmp_path / f"run{len(losses)}", CONFIG, rate=1e-3, start=teacher.state_dict())
        losses.append(run.learn(taught, 0.0, 2))
    assert losses[1] == pytest.approx(0.5 * (losses[0] + losses[2]), rel=1e-4)
