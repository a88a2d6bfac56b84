"""The glow laid over in training is that of a transfer, can be learnt through, and leaves all else to the bit."""

import numpy as np
import torch  # noqa: TID253
import warp as wp

from cosmos.bridge.kernels.laid_glow import lay_glow as lay_on_bytes
from cosmos.models.embedded.glow import lay_glow
from tone import toned, untoned


def signed(pictures):
    return torch.from_numpy(pictures.astype(np.float32) / 127.5 - 1.0).permute(0, 3, 1, 2)


def levels(pictures):
    return pictures.permute(0, 2, 3, 1).numpy() * 127.5 + 127.5


def radiance(glow):
    """What a level of a glow says, in float64."""
    v = glow / 255.0
    share = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    return share / (1.0 - share)


def drawn(seed):
    rng = np.random.default_rng(seed)
    pictures, glow = (rng.integers(0, most, (2, 20, 30, 3)).astype(np.uint8) for most in (220, 200))
    glow[0, :4] = 0
    return pictures, glow


def test_light_is_added_as_light_and_as_after_a_transfer():
    pictures, glow = drawn(5)
    whole = torch.from_numpy(glow / 255.0).float().permute(0, 3, 1, 2)
    got = levels(lay_glow(signed(pictures), whole))
    there = glow.any(axis=-1)
    expected = toned(untoned(pictures) + radiance(glow))
    assert np.abs(got - expected)[there].max() < 0.6  # the oracle rounds to bytes
    assert (got[there] - pictures[there]).mean() > 30.0
    shown = wp.array(pictures, dtype=wp.uint8, device="cpu")
    lay_on_bytes(shown, wp.array(glow, dtype=wp.uint8, device="cpu"))
    assert np.abs(got - shown.numpy())[there].max() < 1.1
    assert torch.equal(lay_glow(signed(pictures), whole)[0, :, :4], signed(pictures)[0, :, :4])
    assert torch.equal(lay_glow(signed(pictures), torch.zeros_like(whole)), signed(pictures))


def test_what_was_laid_over_can_be_taken_away():
    rng = np.random.default_rng(6)
    pictures, glow = (rng.integers(40, 120, (1, 20, 20, 3)).astype(np.uint8) for _ in range(2))
    whole = torch.from_numpy(glow / 255.0).float().permute(0, 3, 1, 2)
    both = lay_glow(signed(pictures), whole)
    assert (levels(both) - pictures).mean() > 10.0
    assert np.abs(levels(lay_glow(both, whole, sign=-1.0)) - pictures).max() < 0.5


def test_it_is_learnt_through_wherever_the_glow_leaves_something_to_see():
    """From any start, black and white included, the picture under the glow is found again by its gradients."""
    pictures, glow = drawn(7)
    whole = torch.from_numpy(np.minimum(glow, 90) / 255.0).float().permute(0, 3, 1, 2)
    target = lay_glow(signed(pictures), whole)
    out = torch.linspace(-1.3, 1.3, target.numel()).reshape(target.shape).requires_grad_(True)
    optimizer = torch.optim.Adam([out], lr=0.03)
    first = None
    for _ in range(250):
        loss = (lay_glow(out, whole) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        assert torch.isfinite(out.grad).all()
        optimizer.step()
        first = first or loss.item()
    assert loss.item() < 1e-2 * first
