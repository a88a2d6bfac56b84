"""Weights in 8 bits: what is stored, how close it is, and what keeps its type."""

import pytest
import torch  # noqa: TID253
from torch import nn  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from cosmos.models.checkpoint import load_module
from cosmos.models.fp8 import Fp8Linear, store_in_fp8
from tiny_cosmos import make_transformer3, make_transformer25


@pytest.mark.parametrize("spread", [1e-6, 1.0, 1e4])
def test_a_layer_is_as_close_as_8_bits_can_be_whatever_the_size_of_its_rows(spread):
    """e4m3 has 3 bits of mantissa: each weight is within 1/16 of itself, or of its row's smallest step."""
    torch.manual_seed(0)
    linear = nn.Linear(64, 32)
    with torch.no_grad():
        linear.weight.mul_(torch.logspace(0, 3, 32)[:, None] * spread)
    stored = Fp8Linear(linear)
    assert stored.weight.dtype == torch.float8_e4m3fn
    wide = stored.weight.double() * stored.scale.double()
    step = linear.weight.detach().double().abs().amax(1, keepdim=True) / 448.0 * 2.0**-9
    off = (wide - linear.weight.detach().double()).abs()
    assert bool((off <= linear.weight.detach().double().abs() / 15.9 + step).all()) and float(off.max()) > 0.0
    x = torch.randn(5, 64)
    torch.testing.assert_close(
        stored(x).double(), x.double() @ wide.T + linear.bias.detach().double(), rtol=1e-4, atol=1e-4 * spread
    )


def test_a_row_of_zeros_stays_zero():
    linear = nn.Linear(4, 2)
    with torch.no_grad():
        linear.weight.zero_()
    assert torch.equal(Fp8Linear(linear)(torch.ones(1, 4)), linear.bias.detach()[None])


@pytest.mark.parametrize("make", [make_transformer25, make_transformer3])
def test_queries_keys_norms_and_ends_keep_their_type(make):
    net = make()
    linears = {name for name, module in net.named_modules() if isinstance(module, nn.Linear)}
    count = store_in_fp8(net)
    stored = {name for name, module in net.named_modules() if isinstance(module, Fp8Linear)}
    assert len(stored) == count > 0
    assert {"to_q", "to_k"} <= {name.rpartition(".")[2] for name in linears - stored}
    assert not any(name.endswith((".to_q", ".to_k", ".add_q_proj", ".add_k_proj")) or "norm" in name for name in stored)
    assert any(name.endswith(".to_v") for name in stored)


def test_a_checkpoint_is_loaded_in_8_bits_in_less_memory_and_says_nearly_the_same(tiny25):
    folder = tiny25 / "general" / "transformer"
    settings = {"device": torch.device("cpu"), "dtype": torch.bfloat16}

    def held(net):
        return sum(tensor.numel() * tensor.element_size() for tensor in (*net.parameters(), *net.buffers()))

    plain, stored = (load_module(folder, "CosmosTransformer3DModel", fp8=fp8, **settings) for fp8 in (False, True))
    assert held(stored) < 0.8 * held(plain)
    assert not any(p.requires_grad for p in stored.parameters())
    torch.manual_seed(3)
    inputs = {
        "hidden_states": torch.randn(1, 16, 2, 4, 6, dtype=torch.bfloat16),
        "timestep": torch.full((1,), 0.5),
        "encoder_hidden_states": (torch.randn(1, 9, 32).bfloat16(), torch.randn(1, 8, 24).bfloat16()),
        "condition_mask": torch.zeros(1, 1, 2, 4, 6, dtype=torch.bfloat16),
        "padding_mask": torch.zeros(1, 1, 32, 48, dtype=torch.bfloat16),
    }
    with torch.inference_mode():
        first, second = (net(**inputs).sample.float() for net in (plain, stored))
    assert 0.0 < float((first - second).norm() / first.norm()) < 0.1
