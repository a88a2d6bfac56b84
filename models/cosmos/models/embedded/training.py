"""Training of the embedded net: its loss, one run of learning that goes on where it stopped, and its weights as files.

Only tensors that learn are changed; those that are frozen stay as they were, bit for bit.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch  # noqa: TID253
from safetensors.torch import save_file
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from cosmos.models.embedded.glow import lay_glow
from cosmos.models.embedded.net import TransferNet, unmarched
from cosmos.models.embedded.pairs import Batch
from cosmos.models.embedded.sampling import coarse_for, padding_for
from cosmos.models.spec import TransferNetConfig, from_mapping, to_mapping
from cosmos.models.weights import WeightsError, sha256_of

_WARM_UP = 200
"""Steps over which the rate rises at most."""
_ANSWERED = 0.5
"""Share of a teacher's answer in the loss; the rest is the target's."""


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean structural similarity of pictures in [-1, 1] (Wang et al. 2004), 7x7 box window at every second pixel."""

    def mean(x: Tensor) -> Tensor:
        return functional.avg_pool2d(functional.avg_pool2d(x, (7, 1), (2, 1)), (1, 7), (1, 2))

    a, b = a * 0.5 + 0.5, b * 0.5 + 0.5
    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    top = (2.0 * ma * mb + 1e-4) * (2.0 * cov + 9e-4)
    return (top / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4))).mean()


def level_and_steps(out: Tensor, target: Tensor) -> Tensor:
    """L1 + 0.5 L1 of the gradients."""
    across, down = ((out.diff(dim=d) - target.diff(dim=d)).abs().mean() for d in (-1, -2))
    return (out - target).abs().mean() + 0.5 * (across + down)


def coarser(out: Tensor, target: Tensor) -> Tensor:
    """L1 + 0.5 L1 of the gradients at a half and at a quarter of the size, added up."""
    loss = out.new_zeros(())
    for _ in range(2):
        out, target = functional.avg_pool2d(out, 2), functional.avg_pool2d(target, 2)
        loss = loss + level_and_steps(out, target)
    return loss


def picture_loss(out: Tensor, target: Tensor) -> Tensor:
    """L1 + 0.5 L1 of the gradients, half of both at two coarser scales, 0.3 RMSE of each picture, 0.3 (1 - SSIM)."""
    root = (out - target).square().mean(dim=(1, 2, 3)).add(1e-6).sqrt().mean()
    fine = level_and_steps(out, target) + 0.3 * root + 0.3 * (1.0 - ssim(out, target))
    return fine + 0.5 * coarser(out, target)


def motion_loss(out: Tensor, batch: Batch) -> Tensor:
    """L1 of how otherwise than in the targets surfaces change from frame to frame, where both frames show them.

    By Lai et al. 2018 (learning blind video temporal consistency), with true motion; 0 where no frame follows another.
    """
    if batch.motion is None or batch.stays is None:
        return out.new_zeros(())
    error = (out - batch.target).float()
    height, width = error.shape[-2:]
    y, x = torch.meshgrid(*(torch.arange(n, device=error.device) for n in (height, width)), indexing="ij")
    at = torch.stack([x + batch.motion[:, 0], y + batch.motion[:, 1]], dim=-1)
    at = at * 2.0 / at.new_tensor([width - 1, height - 1]) - 1.0
    inside = (at.abs().amax(dim=-1, keepdim=True) <= 1.0).permute(0, 3, 1, 2)  # a crop may have cut it off
    before = functional.grid_sample(error.roll(1, 0), at, padding_mode="border", align_corners=True)
    seen = batch.stays * inside
    return ((error - before).abs() * seen).sum() / (3.0 * seen.sum()).clamp_min(1.0)


def shown(out: Tensor, batch: Batch) -> Tensor:
    """Return what is seen of what was painted: the glow of lamps is laid over it, where the stage tells it."""
    return out if batch.glow is None else lay_glow(out, batch.glow * batch.lit)


def batch_loss(out: Tensor, batch: Batch) -> Tensor:
    """Return the loss of what a batch was painted as: by its targets and, where a teacher answered, half by that.

    Where frames follow each other their change counts too.
    """
    seen = shown(out, batch)
    loss = picture_loss(seen, batch.target)
    if batch.answer is not None:
        loss = torch.lerp(loss, picture_loss(out, batch.answer), _ANSWERED)
    return loss + motion_loss(seen, batch)


def psnr(out: Tensor, target: Tensor) -> float:
    """Peak signal to noise ratio [dB], averaged over pictures in [-1, 1]."""
    error = ((out.clamp(-1.0, 1.0) - target) * 0.5).square().mean(dim=(1, 2, 3)).clamp_min(1e-8)
    return float((-10.0 * error.log10()).mean())


def usual_coarse(batch: Batch, config: TransferNetConfig) -> int:
    """Return the size ratio of picture to trunk with which a net of this shape paints such pictures."""
    height, width = batch.rgb.shape[-2:]
    return coarse_for(height, width, told=is_told(batch, config))


def is_told(batch: Batch, config: TransferNetConfig) -> bool:
    """Whether light maps tell a net of this shape what is fine; nets that see drafts need all of their trunk."""
    return not config.draft and bool(batch.lit.all())


def paint(net: TransferNet, batch: Batch, coarse: int | None = None) -> Tensor:
    """Run the net on a batch as the model does, padded to whole strides, in bfloat16 where it helps."""
    if not net.config.draft:
        batch = replace(batch, hints=unmarched(batch.hints, batch.lit))
    height, width = batch.rgb.shape[-2:]
    coarse = coarse or usual_coarse(batch, net.config)
    pad = padding_for(net.config, (height, width), coarse)
    grown = batch.padded(pad) if any(pad) else batch
    with torch.autocast(batch.rgb.device.type, dtype=torch.bfloat16):
        out: Tensor = net(
            grown.rgb,
            grown.controls,
            grown.weights,
            grown.hints,
            grown.style,
            coarse,
            grown.picture,
            grown.maps,
            grown.lit,
            grown.draft,
        )
    return out[..., :height, :width]


def adam_w(net: TransferNet, rate: float) -> torch.optim.Optimizer:
    """Return the optimiser of what learns (Loshchilov and Hutter 2019)."""
    learning = [parameter for parameter in net.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(learning, lr=rate, weight_decay=0.01, betas=(0.9, 0.98))


class Run:
    """One training run and its folder: net, moving average, optimiser, steps and seconds; goes on from ``last.pt``.

    Args:
        folder: Where the checkpoint and the log lie; made if absent.
        config: Shape of the net; that of the checkpoint wins.
        rate: Highest learning rate.
        start: Tensors that a new run begins with; those that are absent are drawn.
        branch: Control whose branch alone learns; ``None`` lets all learn.
        device: Torch device.
        optimizer: Makes the optimiser of a net at a rate.
        loss: What a batch, painted so, falls short by.
        agree: Told the gradients of each step before it is taken; makes those of processes that learn together one.

    Raises:
        WeightsError: If the checkpoint cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        config: TransferNetConfig,
        *,
        rate: float,
        start: Mapping[str, Tensor] | None = None,
        branch: str | None = None,
        device: str = "cpu",
        optimizer: Callable[[TransferNet, float], Any] = adam_w,
        loss: Callable[[Tensor, Batch], Tensor] = batch_loss,
        agree: Callable[[list[Tensor]], None] = lambda gradients: None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.rate, self.device, self.loss, self.agree = folder, rate, device, loss, agree
        self.seconds, self.earlier, self.step = 0.0, 0.0, 0
        saved = _read_checkpoint(folder / "last.pt", device)
        if saved is not None:
            config = from_mapping(TransferNetConfig, saved["config"])
        self.net = TransferNet(config).to(torch.device(device))
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # (the stubs lack this form)
        if start is not None:
            self.net.load_state_dict(start, strict=False)
        self.average = copy.deepcopy(self.net).eval().requires_grad_(False)
        if branch is not None:
            self.net.requires_grad_(False)
            self.net.branches[branch].requires_grad_(True)
        self.optimizer = optimizer(self.net, rate)
        if saved is not None:
            self.net.load_state_dict(saved["net"])
            self.average.load_state_dict(saved["average"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.seconds, self.earlier, self.step = saved["seconds"], saved.get("earlier", 0.0), saved["step"]

    def save(self) -> None:
        """Write the checkpoint whole or not at all."""
        state = {
            "config": to_mapping(self.net.config),
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "seconds": self.seconds,
            "earlier": self.earlier,
            "step": self.step,
        }
        torch.save(state, self.folder / "last.tmp")
        (self.folder / "last.tmp").replace(self.folder / "last.pt")

    def log(self, **values: float) -> str:
        """Append a line to the log and return it."""
        line = json.dumps({"step": self.step, "seconds": round(self.seconds, 1), **values})
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        return line

    def learn(self, batch: Batch, done: float, coarse: int, *, warm_up: int = _WARM_UP) -> float:
        """Take one step at ``done`` of the budget; return the loss, or NaN if it was none and nothing was learnt."""
        for group in self.optimizer.param_groups:
            rise = min(1.0, (self.step + 1) / warm_up)
            group["lr"] = self.rate * rise * (0.02 + 0.49 * (1 + math.cos(math.pi * done)))
        self.net.train()
        self.step += 1
        out = paint(self.net, batch, coarse)
        loss = self.loss(out, batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.agree([value.grad for value in self.net.parameters() if value.grad is not None])
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        if not torch.isfinite(norm):
            return float("nan")
        self.optimizer.step()
        decay = min(0.999, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.net.parameters(), strict=True):
                if fast.requires_grad:
                    slow.lerp_(fast, 1.0 - decay)
        return float(loss.detach())


def write_weights(net: TransferNet, folder: Path, *, revision: str, about: Mapping[str, Any]) -> None:
    """Write a net as half-precision safetensors beside its reader, then a configuration with every file's hash.

    Args:
        net: The net.
        folder: Folder that holds ``reader.safetensors`` and ``reader.json`` already.
        revision: What the revision begins with; a hash of the files follows.
        about: What else the configuration says: ``name``, ``licence``, how it was trained.
    """
    weights = {name: value.half().cpu().contiguous() for name, value in net.state_dict().items()}
    save_file(weights, folder / "net.tmp")
    (folder / "net.tmp").replace(folder / "net.safetensors")
    files = {name: sha256_of(folder / name) for name in ("net.safetensors", "reader.safetensors", "reader.json")}
    digest = hashlib.sha256("".join(sorted(files.values())).encode()).hexdigest()
    config = {**about, "revision": f"{revision}{digest[:10]}", "net": to_mapping(net.config), "files": files}
    (folder / "config.tmp").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    (folder / "config.tmp").replace(folder / "config.json")


def _read_checkpoint(path: Path, device: str) -> dict[str, Any] | None:
    """Return the checkpoint, ``None`` where there is none."""
    if not path.exists():
        return None
    try:
        saved: dict[str, Any] = torch.load(path, weights_only=True, map_location=device)
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise WeightsError(f"The checkpoint {path} cannot be read ({error}); delete it to begin anew.") from error
    missing = {"config", "net", "average", "optimizer", "seconds", "step"} - set(saved)
    if missing:
        raise WeightsError(f"The checkpoint {path} lacks {sorted(missing)}; delete it to begin anew.")
    return saved


__all__ = [
    "Run",
    "adam_w",
    "batch_loss",
    "coarser",
    "is_told",
    "level_and_steps",
    "motion_loss",
    "paint",
    "picture_loss",
    "psnr",
    "shown",
    "ssim",
    "usual_coarse",
    "write_weights",
]
