"""Each loss that is compared is finite, teaches, and is 0 or least for the target itself; the table holds every row."""

import numpy as np
import torch  # noqa: TID253

import ablate_losses
from cosmos.models.embedded.pairs import Batch


def batch_of(seed: int) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    target, rgb = (torch.rand(2, 3, 48, 64, generator=rng) * 2.0 - 1.0 for _ in range(2))
    none = torch.zeros(2, 1, 48, 64)
    return Batch(rgb=rgb, controls={}, weights={}, hints=none, style=none, target=target, maps=none, lit=none)


def test_each_loss_teaches_and_is_least_for_the_target():
    torch.manual_seed(0)
    batch = batch_of(1)
    for name, make in ablate_losses.LOSSES.items():
        loss, out = make(), (batch.target * 0.5).requires_grad_(True)
        before = loss(out, batch)
        before.backward()
        assert torch.isfinite(before) and out.grad.abs().mean() > 0.0, name
        if "discriminator" not in name:
            assert loss(batch.target, batch) < 0.05 * before, name


def test_l1_and_its_gradients_are_those_of_numpy():
    batch = batch_of(2)
    out, target = (x.numpy().astype(float) for x in (batch.rgb, batch.target))
    level = np.abs(out - target).mean()
    steps = sum(np.abs(np.diff(out, axis=axis) - np.diff(target, axis=axis)).mean() for axis in (2, 3))
    np.testing.assert_allclose(float(ablate_losses.level(batch.rgb, batch)), level, rtol=1e-5)
    np.testing.assert_allclose(float(ablate_losses.with_steps(batch.rgb, batch)), level + 0.5 * steps, rtol=1e-5)


def test_the_table_has_a_row_a_loss():
    row = {f"{key}{suffix}": 0.5 for key in ("psnr", "ssim", "edge_f1", "distance") for suffix in ("", "_alone")} | {
        "change": 1.25
    }
    lines = ablate_losses.table({"one": row, "another": row}).splitlines()
    assert len(lines) == 4 and lines[2].startswith("| one | 0.50 | 0.5000 | 0.500 | 0.500 | 1.25 | 0.50 / 0.5000")


def test_figures_of_other_settings_are_not_taken(tmp_path):
    file = tmp_path / "measured.json"
    assert ablate_losses.kept(file, {"steps": 4}) is None
    file.write_text('{"settings": {"steps": 4}, "figures": {"psnr": 30.0}}')
    assert ablate_losses.kept(file, {"steps": 4}) == {"psnr": 30.0}
    assert ablate_losses.kept(file, {"steps": 5}) is None
