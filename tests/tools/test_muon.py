"""The optimiser takes the steps of torch's own Muon and AdamW, and goes on where it stopped."""

import pytest
import torch  # noqa: TID253
from torch import nn  # noqa: TID253

from muon import MuonAndAdam


def made() -> nn.Sequential:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(16, 24, 3), nn.SiLU(), nn.Conv2d(24, 3, 1))
    return net.to(memory_format=torch.channels_last)


def learn(net, optimizer, steps, first=0):
    for step in range(first, first + steps):
        x = torch.randn(2, 16, 6, 6, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()


def test_a_filter_takes_the_step_of_its_matrix():
    net, matrix = made(), nn.Parameter(made()[0].weight.data.permute(0, 2, 3, 1).reshape(24, -1).clone())
    before = net[0].weight.detach().clone()
    optimizer = MuonAndAdam(net, 1e-2)
    muon = torch.optim.Muon([matrix], lr=1e-2, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        learn(net, optimizer, 1, step)
        matrix.grad = net[0].weight.grad.permute(0, 2, 3, 1).reshape(24, -1)
        muon.step()
        torch.testing.assert_close(net[0].weight.permute(0, 2, 3, 1).reshape(24, -1), matrix)
    assert (net[0].weight - before).abs().min() > 0.0


def test_what_is_no_wide_filter_takes_the_step_of_adam():
    net, other = made(), made()
    optimizer = MuonAndAdam(net, 1e-2)
    rest = [other[0].bias, *other[2].parameters()]
    adam = torch.optim.AdamW(rest, lr=1e-2, weight_decay=0.01, betas=(0.9, 0.98))
    learn(net, optimizer, 1)
    other(torch.randn(2, 16, 6, 6, generator=torch.Generator().manual_seed(0))).square().mean().backward()
    adam.step()
    for mine, theirs in zip([net[0].bias, *net[2].parameters()], rest, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_it_goes_on_where_it_stopped():
    whole, stopped = made(), made()
    learn(whole, MuonAndAdam(whole, 1e-2), 6)
    first = MuonAndAdam(stopped, 1e-2)
    learn(stopped, first, 4)
    again = made()
    again.load_state_dict(stopped.state_dict())
    second = MuonAndAdam(again, 1e-2)
    second.load_state_dict(first.state_dict())
    learn(again, second, 2, 4)
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_filters_that_are_not_channels_last_are_refused():
    with pytest.raises(ValueError, match="channels last"):
        MuonAndAdam(nn.Sequential(nn.Conv2d(16, 24, 3)), 1e-2)
