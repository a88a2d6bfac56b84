"""Adapt the embedded net to pairs of a user's own: all of it, or one control's branch while the rest is frozen."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253

from cosmos.models.embedded.drafts import noise_alone, random_drafts
from cosmos.models.embedded.net import TransferNet
from cosmos.models.embedded.pairs import Pairs, read_pair, whole_batch
from cosmos.models.embedded.sampling import coarse_for, load_embedded
from cosmos.models.embedded.training import Run, is_told, paint, psnr, shown, usual_coarse, write_weights
from cosmos.models.spec import TransferNetConfig
from cosmos.models.weights import read_weights_config

_MOST = (256, 384)
"""Height and width [px] of what is learnt from at once; a multiple of every stride."""
_MEASURED = 16
_LOG_STEPS = 10
_SAVE_SECONDS = 120.0
_MOST_FAILURES = 10


class TrainingError(Exception):
    """Training came to nothing; the message says what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Adaptation:
    """How weights are adapted."""

    steps: int = 400
    """Steps in all, over all starts."""
    batch: int = 4
    """Pictures a step."""
    rate: float = 3e-4
    """Highest learning rate, in (0, 0.1]."""
    seed: int = 0
    """Decides the batches, and how a new branch begins."""
    branch: str | None = None
    """Control whose branch alone learns, added where the net has none; ``None`` lets the whole net learn."""

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"Adaptation.{name} must be >= {least}, got {getattr(self, name)}.")
        if not 0.0 < self.rate <= 0.1:
            raise ValueError(f"Adaptation.rate must lie in (0, 0.1], got {self.rate!r}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Adapted:
    """What an adaptation came to; PSNR [dB] of what the weights paint against the targets."""

    seconds: float
    """Time spent on learning, over all starts [s]."""
    revision: str
    """Revision of the new weights."""
    trained: tuple[int, float, float]
    """Pictures measured of those learnt from, PSNR before, PSNR after."""
    held_out: tuple[int, float, float] | None
    """The same of pictures that were kept apart; ``None`` where none were."""


def adapt(
    base: Path,
    pairs: Path,
    out: Path,
    plan: Adaptation,
    *,
    device: str,
    about: Mapping[str, Any],
    tell: Callable[[int, int, float], None],
    stop: Callable[[], bool],
) -> Adapted | None:
    """Learn from pairs and write the new weights; goes on where it stopped.

    Args:
        base: Folder of the weights to begin with.
        pairs: Folder of the pairs, all of one size.
        out: Folder for the new weights; checkpoint and log lie in its ``training``.
        plan: How.
        device: Torch device.
        about: What the configuration of the new weights says of the pairs.
        tell: Told steps done, steps in all, and the loss, after each step.
        stop: Asked before each step whether to save and stop.

    Returns:
        What it came to; ``None`` if it was stopped, which the same call takes up again.

    Raises:
        WeightsError: If the weights or a checkpoint cannot be read.
        TrainingError: If the loss is no number again and again.
    """
    model = load_embedded(base, device)
    config = with_branch(model.net.config, plan.branch)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        run = Run(
            out / "training",
            config,
            rate=plan.rate,
            start=model.net.state_dict(),
            branch=plan.branch,
            device=device,
        )
    data = Pairs(pairs, seed=plan.seed, config=config, always=plan.branch, moving=not config.draft)
    if not _learn(run, data, plan, read_weights_config(base).get("max_steps", 1), tell, stop):
        return None
    final = TransferNet(config).to(torch.device(device)).eval()
    final.load_state_dict({name: value.half().float() for name, value in run.average.state_dict().items()})
    measured = {
        name: (len(files), _measure(model.net, files, config, plan.branch), _measure(final, files, config, plan.branch))
        for name, files in (("trained", _spread(data.files)), ("held_out", _spread(data.held_out)))
        if files
    }
    revision = _write(final, base, out, plan, run, {**about, "pictures": len(data.files), "psnr": measured})
    return Adapted(
        seconds=run.seconds, revision=revision, trained=measured["trained"], held_out=measured.get("held_out")
    )


def with_branch(config: TransferNetConfig, branch: str | None) -> TransferNetConfig:
    """Return the shape of a net that has a branch for a control as well."""
    if branch is None or branch in config.controls:
        return config
    return replace(config, controls=(*config.controls, branch))


def _learn(
    run: Run,
    data: Pairs,
    plan: Adaptation,
    most_steps: int,
    tell: Callable[[int, int, float], None],
    stop: Callable[[], bool],
) -> bool:
    """Take the steps that are left; return whether all are taken. Nets that paint in steps learn from drafts."""
    first = read_pair(data.files[0])
    height, width = first["rgb"].shape[:2]
    crop = (min(height, _MOST[0]), min(width, _MOST[1]))
    before = saved = time.monotonic()
    losses: list[float] = []
    failures = 0
    with closing(data.stream(plan.batch, run.step, crop)) as stream:
        while run.step < plan.steps:
            if stop():
                run.save()
                return False
            batch = next(stream).to(run.device)
            coarse = coarse_for(height, width, told=is_told(batch, run.net.config))  # at times no maps are shown
            if run.net.config.draft:
                rng = np.random.default_rng([plan.seed, run.step, 1])
                batch = (noise_alone if most_steps == 1 else random_drafts)(batch, run.net.config, coarse, rng)
            loss = run.learn(batch, run.step / plan.steps, coarse, warm_up=max(1, min(200, plan.steps // 10)))
            now = time.monotonic()
            run.seconds, before = run.seconds + now - before, now
            failures = failures + 1 if math.isnan(loss) else 0
            if failures >= _MOST_FAILURES:
                raise TrainingError(
                    f"The loss was no number for {failures} steps on end; take a lower rate than {plan.rate:g}."
                )
            losses.append(loss)
            if run.step % _LOG_STEPS == 0 or run.step == plan.steps:
                run.log(loss=round(float(np.nanmean(losses)) if failures < len(losses) else loss, 5))
                losses = []
            if now - saved > _SAVE_SECONDS:
                run.save()
                saved = now
            tell(run.step, plan.steps, loss)
    run.save()
    return True


def _spread(files: list[Path]) -> list[Path]:
    """Return some files, evenly spread."""
    picks = np.linspace(0, len(files) - 1, min(len(files), _MEASURED)).round().astype(int)
    return [files[index] for index in picks]


def _measure(net: TransferNet, files: list[Path], config: TransferNetConfig, branch: str | None) -> float:
    """Return the mean PSNR [dB] of what a net paints, with the weights that a user who named none gets."""
    values = []
    device = str(next(net.parameters()).device)
    for path in files:
        batch = whole_batch([path], _usual_weights(read_pair(path), branch), config)[0].to(device)
        coarse = usual_coarse(batch, config)
        if net.config.draft:
            batch = noise_alone(batch, net.config, coarse, np.random.default_rng(0))
        with torch.inference_mode():
            out = paint(net, batch, coarse)
        values.append(psnr(shown(out, batch), batch.target))
    return round(float(np.mean(values)), 3)


def _usual_weights(arrays: Mapping[str, np.ndarray], branch: str | None) -> dict[str, float]:
    """Return edge and depth half each (vis where there is no depth); a branch of its own takes half of it all."""
    weights = dict.fromkeys(("edge", "depth" if "depth" in arrays else "vis"), 0.5)
    if branch is None or branch in weights:
        return weights
    return {**{kind: 0.5 * weight for kind, weight in weights.items()}, branch: 0.5}


def _write(net: TransferNet, base: Path, out: Path, plan: Adaptation, run: Run, facts: Mapping[str, Any]) -> str:
    """Write the weights beside their reader, and how they came about; return their revision."""
    before = read_weights_config(base)
    for name in ("reader.safetensors", "reader.json"):
        shutil.copyfile(base / name, out / name)
    origin = {key: before.get(key) for key in ("name", "revision", "files")}
    record = {"from": origin, **asdict(plan), "minutes": round(run.seconds / 60.0, 2), "device": run.device, **facts}
    about = {
        "name": out.resolve().name,
        "licence": before.get("licence", ""),
        "max_steps": before.get("max_steps", 1),
        "training": before.get("training"),
        "adapted": [*before.get("adapted", []), record],
    }
    write_weights(net, out, revision=f"{before.get('revision', '')}+", about=about)
    return str(read_weights_config(out)["revision"])


__all__ = ["Adaptation", "Adapted", "TrainingError", "adapt", "with_branch"]
