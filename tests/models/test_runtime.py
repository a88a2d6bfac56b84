"""Attention on allowed kernels only, whoever asked for others, and a probe that finds what a device cannot."""

from importlib import import_module

import pytest
import torch  # noqa: TID253
from torch.nn import functional  # noqa: TID253
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from cosmos.models.cosmos3.loading import load_cosmos3
from cosmos.models.runtime import plain_attention, probe_attention
from cosmos.models.transfer25.loading import load_transfer25
from tiny_cosmos import write_tiny_cosmos3

CPU = torch.device("cpu")


def allowed():
    backends = torch.backends.cuda
    return tuple(getattr(backends, f"{name}_sdp_enabled")() for name in ("flash", "mem_efficient", "cudnn", "math"))


@pytest.mark.parametrize(("kind", "want"), [("cpu", (True, True, False, True)), ("cuda", (True, True, False, False))])
def test_cudnn_is_never_allowed_and_everything_is_as_before_afterwards(kind, want):
    before = allowed()
    with pytest.raises(KeyError), plain_attention(torch.device(kind)):
        assert allowed() == want
        raise KeyError
    assert allowed() == before and before[2]


def test_a_choice_of_diffusers_gives_way():
    attention_dispatch = import_module("diffusers.models.attention_dispatch")
    registry, cudnn = (
        attention_dispatch._AttentionBackendRegistry,
        attention_dispatch.AttentionBackendName._NATIVE_CUDNN,
    )
    before = registry._active_backend
    registry.set_active_backend(cudnn)
    try:
        query = torch.zeros((1, 5, 2, 128))
        with plain_attention(CPU):
            assert attention_dispatch.dispatch_attention_fn(query, query, query).shape == query.shape
        assert registry._active_backend is cudnn
        with pytest.raises(RuntimeError):  # the oracle: that choice cannot run here
            attention_dispatch.dispatch_attention_fn(query, query, query)
    finally:
        registry.set_active_backend(before)


class Attentions(TorchDispatchMode):
    """Notes query and key of every attention, and how many weights were there before."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if "scaled_dot_product" in func._overloadpacket.__name__:
            self.seen.append((tuple(args[0].shape[1::2]), tuple(args[1].shape[1::2])))
        return func(*args, **(kwargs or {}))


def test_every_family_is_probed_as_it_attends(tiny25, tmp_path):
    folder = write_tiny_cosmos3(tmp_path)
    with Attentions() as probed:
        load_transfer25(tiny25, device="cpu", dtype=torch.float32, cache=None)
    assert {query[1] for query, _ in probed.seen} == {128, 384}
    with Attentions() as probed:
        load_cosmos3(folder, device="cpu", dtype=torch.float32)
    assert any(query == (4, 128) and key == (2, 128) for query, key in probed.seen)


@pytest.mark.parametrize("grouped", [False, True])
def test_what_a_device_cannot_is_found_by_the_probe(grouped):
    probe_attention(CPU, torch.bfloat16, grouped=grouped)
    with pytest.raises(RuntimeError, match=r"neither flash nor memory-efficient .*float8_e4m3fn\); take bfloat16"):
        probe_attention(CPU, torch.float8_e4m3fn, grouped=grouped)


def test_the_kernels_of_a_suspended_clip_are_not_left_to_others(tiny25):
    """A generator that is not finished must not decide what the rest of the process attends with."""
    from cosmos.models.chunks import plan_chunks
    from cosmos.models.transfer25.sampling import Hint, Part, Sampling

    nets = load_transfer25(tiny25, device="cpu", dtype=torch.float32, cache=None, branches=("edge",)).nets
    states = torch.zeros(1, 512, int(nets.transformer.config.crossattn_proj_in_channels))
    sampling = Sampling(
        states=states,
        negative_states=None,
        num_steps=1,
        guidance=0.0,
        schedule="shift",
        noise=lambda index, shape: torch.zeros(shape),
    )
    chunk = plan_chunks(1, chunk=5, overlap=1)[0]
    parts = (Part(chunk=chunk, hints={"edge": Hint(video=torch.zeros(1, 3, 1, 32, 48), weight=1.0)}) for _ in range(2))
    before, painted = allowed(), nets.paint(parts, sampling, lambda index, done: None)
    next(painted)
    assert allowed() == before
    functional.scaled_dot_product_attention(*[torch.zeros(1, 1, 2, 3)] * 3)
