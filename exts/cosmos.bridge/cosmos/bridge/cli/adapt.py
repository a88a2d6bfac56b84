"""``cosmos-bridge models finetune`` and ``train-branch``: adapt the embedded model to paired clips, on one machine."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.cli.attend import attend
from cosmos.bridge.cli.console import EXIT_OK, emit, emit_json, log, quiet_warp, seconds_text
from cosmos.bridge.cli.pairs import LISTS, Recipe, check_pairs, read_pairs, write_pairs
from cosmos.bridge.cli.remarks import usd_remarks
from cosmos.bridge.errors import ConfigError, JobCancelled, ModelError, SinkError
from cosmos.bridge.jobs import Job, StopSignal
from cosmos.bridge.settings import to_plain
from cosmos.bridge.types import ControlKind

if TYPE_CHECKING:
    from cosmos.models.embedded.adapting import Adaptation, Adapted

_LINE_SECONDS = 5.0
_RATES = {"finetune": 3e-4, "train-branch": 3e-3}
_SETTINGS = "settings.json"


def add_actions(actions: Any) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Declare both actions; return their parsers."""
    tuning = actions.add_parser("finetune", help="adapt the embedded model to paired clips of yours")
    branching = actions.add_parser("train-branch", help="teach the embedded model one control; all else stays as it is")
    kinds = [str(kind) for kind in ControlKind]
    branching.add_argument("--control", required=True, choices=kinds, help="control whose branch is added or taught")
    for action, rate in ((tuning, _RATES["finetune"]), (branching, _RATES["train-branch"])):
        action.add_argument(
            "--data",
            required=True,
            metavar="DIR",
            help=f"folder whose {' or '.join(LISTS)} lists source, target, prompt",
        )
        action.add_argument("--out", metavar="DIR", help="folder for the new weights (default: weights in --data)")
        action.add_argument(
            "--from", dest="base", metavar="DIR", help="weights to begin with (default: those that are shipped)"
        )
        action.add_argument("--steps", type=int, default=400, metavar="N", help="steps of learning (default: 400)")
        action.add_argument("--batch", type=int, default=4, metavar="N", help="pictures a step (default: 4)")
        action.add_argument(
            "--rate", type=float, default=rate, metavar="X", help=f"highest learning rate (default: {rate:g})"
        )
        action.add_argument("--seed", type=int, default=0, metavar="N", help="decides the batches (default: 0)")
        action.add_argument("--every", type=int, default=1, metavar="N", help="take each Nth frame (default: 1)")
        action.add_argument("--device", metavar="NAME", help="cpu or cuda:0 (default: CUDA where there is one)")
    return tuning, branching


def run(args: argparse.Namespace) -> int:
    """Run either action."""
    from cosmos.bridge.runs.memory import check_device
    from cosmos.models.embedded.adapting import Adaptation

    if args.every < 1:
        raise ConfigError(f"--every must be 1 or more, got {args.every}.")
    try:
        plan = Adaptation(
            steps=args.steps,
            batch=args.batch,
            rate=args.rate,
            seed=args.seed,
            branch=getattr(args, "control", None),
        )
    except ValueError as error:
        raise ConfigError(str(error).replace(f"{Adaptation.__name__}.", "--")) from error
    quiet_warp()
    check_device(args.device)
    data = Path(args.data)
    task = _Task(
        data=data,
        base=_base(args.base),
        out=data / "weights" if args.out is None else Path(args.out),
        plan=plan,
        every=args.every,
        device=args.device,
        quiet=args.json,
    )
    again = f" Go on later with: {shlex.join(['cosmos-bridge', *args.argv])}"
    job: Job[Adapted] = Job(lambda progress, stop: task.run(stop))
    with usd_remarks():
        adapted = attend(job.start(), quiet=True, work="the step at work", cure=again)
    if args.json:
        emit_json({"weights": str(task.out), **asdict(adapted)})
        return EXIT_OK
    for label, measured in (("learnt", adapted.trained), ("held out", adapted.held_out)):
        if measured is not None:
            pictures = f"{measured[0]} picture{'' if measured[0] == 1 else 's'}"
            emit(f"{label:9} {pictures}, PSNR {measured[1]:.2f} dB before, {measured[2]:.2f} dB after")
    emit(f"weights   {task.out} (revision {adapted.revision}, {seconds_text(adapted.seconds)} of learning)")
    weigh = f"--weights edge=0.3,depth=0.3,{plan.branch}=0.4 " if plan.branch in ("hdmap", "lidar") else ""
    emit(f"use       cosmos-bridge augment ... {weigh}--transfer-weights {shlex.quote(str(task.out))}")
    return EXIT_OK


@dataclass(frozen=True, kw_only=True, slots=True)
class _Task:
    """One adaptation."""

    data: Path
    base: Path
    out: Path
    plan: Adaptation
    every: int
    device: Optional[str]
    quiet: bool

    def run(self, stop: StopSignal) -> Adapted:
        """Check everything, make the training pairs, learn, and write the weights.

        Raises:
            ConfigError: If the list of pairs is wrong, or the out folder was begun with other settings.
            SinkError: If the out folder is taken or cannot be written.
            ModelError: If the weights do not fit, or learning comes to nothing.
            JobCancelled: If it was stopped; the same command goes on.
        """
        import torch

        from cosmos.bridge.fetched import as_model_errors
        from cosmos.models.embedded.adapting import TrainingError, adapt, with_branch
        from cosmos.models.embedded.sampling import load_embedded

        device = self.device or ("cuda:0" if torch.cuda.is_available() else "cpu")
        listed = read_pairs(self.data)
        with as_model_errors("embedded", "cpu", "free some memory"):
            model = load_embedded(self.base, "cpu")
        recipe = Recipe(
            folder=self.data,
            listed=listed,
            kinds=with_branch(model.net.config, self.plan.branch).controls,
            needed=self.plan.branch,
            every=self.every,
            device=self.device,
        )
        about = {"pairs": check_pairs(recipe), "controls": to_plain(listed.controls), "every": self.every}
        meter, work = _Meter(stop, quiet=self.quiet), self.out / "training"
        try:
            self._begin({"weights": model.sha256, **asdict(self.plan), **about})
            write_pairs(recipe, work / "pairs", model.reader, note=meter.note, tell=meter.pairs)
            with as_model_errors("embedded", device, "take a smaller --batch, or a size in the list of pairs"):
                adapted = adapt(
                    self.base,
                    work / "pairs",
                    self.out,
                    self.plan,
                    device=device,
                    about=about,
                    tell=meter.steps,
                    stop=lambda: stop.finishing,
                )
        except TrainingError as error:
            raise ModelError(str(error)) from error
        except OSError as error:
            raise SinkError(
                f"{self.out} cannot be written ({error.strerror or error}); make room or choose another --out."
            ) from error
        if adapted is None:
            raise JobCancelled(f"Stopped; what was learnt is in {self.out}, and the same command goes on from there.")
        return adapted

    def _begin(self, settings: dict[str, Any]) -> None:
        """Make the out folder and note the settings, or hold them against those it was begun with."""
        work, plain = self.out / "training", json.loads(json.dumps(settings))
        if (work / _SETTINGS).is_file():
            try:
                before = json.loads((work / _SETTINGS).read_text(encoding="utf-8"))
            except ValueError as error:
                raise ConfigError(f"{work / _SETTINGS} cannot be read ({error}); choose another --out.") from error
            if before == plain:
                return
            if (work / "last.pt").exists():
                raise ConfigError(
                    f"{self.out} was begun with other settings: {_differences(before, plain)}; give the same, or "
                    "another --out."
                )
            # Nothing was learnt yet, so nothing is lost by reading the pairs anew.
            shutil.rmtree(work)
        if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise SinkError(f"{self.out} holds something else; nothing is written over: choose another --out.")
        work.mkdir(parents=True)
        partial = work / f"{_SETTINGS}.partial"
        partial.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
        partial.replace(work / _SETTINGS)


def _differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Name the settings that differ, the short ones with their values."""
    texts = []
    for key in (key for key in now if before.get(key) != now[key]):
        short = not isinstance(now[key], (list, dict)) and key != "weights"
        texts.append(f"{key} ({before.get(key)} then, {now[key]} now)" if short else key)
    return ", ".join(texts)


class _Meter:
    """Tells how far the work is, a line every few seconds, with the time that is left at the pace so far."""

    def __init__(self, stop: StopSignal, *, quiet: bool) -> None:
        self._stop, self._quiet = stop, quiet
        self._start = time.monotonic()
        self._told = -_LINE_SECONDS
        self._first: Optional[tuple[int, float]] = None

    def note(self, text: str) -> None:
        """Say what the user should know."""
        log(f"note: {text}")

    def pairs(self, done: int, total: int) -> None:
        """Tell of the clips that are read; raise JobCancelled when asked to stop."""
        if self._stop.finishing:
            raise JobCancelled("Stopped while the pairs were read; the same command goes on from there.")
        self._say(f"pair {done + 1}/{total}: read")

    def steps(self, done: int, total: int, loss: float) -> None:
        """Tell of the steps that are learnt."""
        self._stop.check()
        now = time.monotonic()
        if self._first is None:
            self._first = (done, now)
        first, since = self._first
        left = (
            ""
            if done in (first, total)
            else f", about {seconds_text((now - since) / (done - first) * (total - done))} left"
        )
        self._say(f"step {done}/{total}: loss {loss:.4f}{left}", last=done == total)

    def _say(self, text: str, *, last: bool = False) -> None:
        now = time.monotonic()
        if not self._quiet and (last or now - self._told >= _LINE_SECONDS):
            self._told = now
            log(f"[{seconds_text(now - self._start)}] {text}")


def _base(given: Optional[str]) -> Path:
    from cosmos.models.weights import find_weights

    if given is None:
        return find_weights("transfer-small")
    if not (Path(given) / "config.json").is_file():
        raise ConfigError(f"--from {given} holds no weights (config.json is missing); name the folder of some.")
    return Path(given)


__all__ = ["add_actions", "run"]
