"""Blocks that wait in main memory: the same results, one block away from home at a time, nothing left behind."""

import gc

import pytest
import torch  # noqa: TID253
from torch import nn  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from cosmos.models.checkpoint import load_module
from cosmos.models.fp8 import store_in_fp8
from cosmos.models.metering import Meter
from cosmos.models.placement import aside, move, place, present
from tiny_cosmos import make_transformer25

CPU = torch.device("cpu")


def inputs25():
    torch.manual_seed(3)
    return {
        "hidden_states": torch.randn(1, 16, 2, 4, 6),
        "timestep": torch.full((1,), 0.5),
        "encoder_hidden_states": (torch.randn(1, 9, 32), torch.randn(1, 8, 24)),
        "condition_mask": torch.zeros(1, 1, 2, 4, 6),
        "padding_mask": torch.zeros(1, 1, 32, 48),
    }


def tensors(module):
    return [*module.parameters(), *module.buffers()]


def addresses(module):
    return [tensor.data_ptr() for tensor in tensors(module)]


@pytest.mark.parametrize("fp8", [False, True])
def test_a_net_gives_the_same_with_one_block_away_from_home_at_a_time(fp8):
    plain, net = (make_transformer25().eval().requires_grad_(False) for _ in range(2))
    if fp8:
        store_in_fp8(plain), store_in_fp8(net)
    blocks = list(net.transformer_blocks)
    homes, seen = [addresses(block) for block in blocks], []
    place(net, CPU, blocks=blocks)
    assert [addresses(block) for block in blocks] == homes

    def look(block, args, out):
        away = [index for index, other in enumerate(blocks) if addresses(other) != homes[index]]
        assert all(a != b for a, b in zip(addresses(block), homes[blocks.index(block)], strict=True))
        seen.append(away)

    for block in blocks:
        block.register_forward_hook(look, prepend=True)
    with torch.inference_mode():
        want = plain(**inputs25()).sample
        for _ in range(2):
            assert torch.equal(net(**inputs25()).sample, want)
    assert seen == [[0], [1], [2], [3]] * 2
    assert [addresses(block) for block in blocks] == homes


def test_the_copies_of_a_pass_are_those_of_one_block():
    """Against the sum over the net by hand: what is copied lives no longer than its block runs."""
    net = nn.Sequential(*(nn.Linear(256, 256, bias=False) for _ in range(6))).requires_grad_(False)
    x, one = torch.randn(1, 256), 256 * 256 * 4
    place(net, CPU, blocks=list(net))
    with torch.no_grad(), Meter() as meter:
        out = net(x)
    assert one <= meter.peak < 1.1 * one
    assert meter.live == out.numel() * 4


def test_a_block_goes_home_when_it_fails():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).requires_grad_(False)
    home = addresses(net)
    place(net, CPU, blocks=list(net))
    with pytest.raises(RuntimeError, match="shapes"):
        net(torch.zeros(1, 5))
    assert addresses(net) == home
    with pytest.raises(KeyError), present(net[1]):
        assert addresses(net[1]) != home[2:] and addresses(net[0]) == home[:2]
        raise KeyError
    assert addresses(net) == home


def test_parts_that_never_wait_need_nothing():
    layer = nn.Linear(2, 2)
    before = addresses(layer)
    with present(layer):
        assert addresses(layer) == before


def test_moving_a_net_leaves_what_waits_where_it_waits():
    net = make_transformer25().eval().requires_grad_(False)
    place(net, CPU, blocks=list(net.transformer_blocks))
    waiting, before = {id(tensor) for tensor in tensors(net.transformer_blocks)}, addresses(net)
    move(net, torch.device("cpu", 0))  # to torch another device than cpu, so that it copies
    stayed = [now == then for now, then in zip(addresses(net), before, strict=True)]
    assert stayed == [id(tensor) in waiting for tensor in tensors(net)] and any(stayed) and not all(stayed)
    whole = nn.Linear(2, 2)
    move(whole, torch.device("meta"))
    assert whole.weight.is_meta


def test_a_net_stands_aside_and_comes_back(monkeypatch):
    """Told by where torch is asked to copy to: the rest goes to main memory and back, what waits never moves."""
    net, whole = make_transformer25().eval().requires_grad_(False), nn.Linear(2, 2)
    place(net, CPU, blocks=list(net.transformer_blocks))
    asked, copy = [], torch.Tensor.to
    waiting = {tensor.data_ptr() for tensor in tensors(net.transformer_blocks)}
    monkeypatch.setattr(
        torch.Tensor, "to", lambda self, *to, **how: asked.append((self.data_ptr(), to)) or copy(self, *to, **how)
    )
    with pytest.raises(KeyError), torch.inference_mode(), aside(net, whole):
        out = len(asked)
        raise KeyError
    assert 0 < out < len(tensors(net)) and len(asked) == 2 * out
    assert not waiting & {address for address, _ in asked} and {to for _, to in asked} == {(CPU,)}
    with torch.inference_mode():
        assert net(**inputs25()).sample.isfinite().all()


def test_a_net_without_blocks_stands_aside_as_a_whole(monkeypatch):
    net, asked, copy = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).eval(), [], torch.Tensor.to
    place(net, CPU, blocks=[])
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *to, **how: asked.append(to) or copy(self, *to, **how))
    with aside(net):
        assert len(asked) == len(tensors(net)) == 7


def test_a_checkpoint_is_loaded_waiting(tiny25):
    folder, settings = tiny25 / "general" / "transformer", {"device": CPU, "dtype": torch.float32}
    plain = load_module(folder, "CosmosTransformer3DModel", **settings)
    net = load_module(folder, "CosmosTransformer3DModel", waiting="transformer_blocks", **settings)
    homes = [addresses(block) for block in net.transformer_blocks]
    net.transformer_blocks[1].register_forward_hook(
        lambda block, args, out: moved.append(addresses(block) != homes[1]), prepend=True
    )
    moved = []
    with torch.inference_mode():
        torch.testing.assert_close(net(**inputs25()).sample, plain(**inputs25()).sample, rtol=1e-6, atol=1e-5)
    assert moved == [True]


def test_a_net_that_waited_is_freed():
    with Meter() as meter:
        net = make_transformer25().eval().requires_grad_(False)
        place(net, CPU, blocks=list(net.transformer_blocks))
        with torch.no_grad():
            net(**inputs25())
        held = meter.live
        del net
        gc.collect()
    assert held > 100_000 and meter.live < 0.01 * held
