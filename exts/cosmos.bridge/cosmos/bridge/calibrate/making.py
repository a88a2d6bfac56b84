"""Make the clips of a suite and keep them: resumable, and safe for any number of processes on one folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.calibrate.store import save_pair
from cosmos.bridge.calibrate.suite import ClipPlan
from cosmos.bridge.errors import BridgeError, SourceError
from cosmos.bridge.types import Clip, TransferRequest, TransferResult

if TYPE_CHECKING:
    from cosmos.bridge.sources.base import FrameSource
    from cosmos.bridge.transfer.base import TransferModel

Tell = Callable[[str], None]


def make_suite(
    plans: Sequence[ClipPlan],
    folder: Path,
    transfer: TransferModel,
    *,
    size: tuple[int, int] = (144, 256),
    device: Optional[str] = None,
    tell: Optional[Tell] = None,
) -> list[tuple[ClipPlan, Path]]:
    """Make the clips that are not there yet; return every plan that could be made with its file.

    A clip that another process is making is left to it. A scene that shows nothing usable (a wall before the lens) is
    replaced by one of another seed; one that still does not is left out and said.

    Args:
        plans: The suite.
        folder: Where the files lie; made when absent.
        transfer: Model that makes the results.
        size: Height and width [px].
        device: Device to render and transfer on.
        tell: Told one line a clip, with the time that is left.

    Raises:
        BridgeError: If a source cannot be read or the model cannot do it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    say = tell or _silent
    revision = transfer.spec.revision
    wanted = [(plan, folder / file_name(plan, transfer.spec.name, revision, size)) for plan in plans]
    open_plans = [(plan, path) for plan, path in wanted if not _settled(path)]
    if open_plans:
        transfer.load(device)
    began, made = time.perf_counter(), 0
    for index, (plan, path) in enumerate(open_plans):
        with claimed(path) as mine:
            if not mine or _settled(path):
                continue
            try:
                request, result = make_clip(plan, transfer, size=size, device=device)
            except _UnusableError as error:
                path.with_suffix(".unusable").write_text(str(error), encoding="utf-8")
                say(f"{plan.name}: {error}")
                continue
            with closing(request.clip):
                save_pair(path, request, result)
        made += 1
        left = (time.perf_counter() - began) / made * (len(open_plans) - index - 1)
        say(f"made clip {index + 1} of {len(open_plans)}: {plan.name}, about {left:.0f} s left")
    return [(plan, path) for plan, path in wanted if path.exists()]


def make_clip(
    plan: ClipPlan, transfer: TransferModel, *, size: tuple[int, int], device: Optional[str] = None
) -> tuple[TransferRequest, TransferResult]:
    """Make one clip; the caller closes ``request.clip``."""
    from cosmos.bridge.controls import derive_controls
    from cosmos.bridge.sources import read_clip

    for tries in range(3):
        with closing(_open(plan, size, device, tries)) as source:
            clip = read_clip(source)
        if _usable(clip):
            break
        clip.close()
    else:
        raise _UnusableError("its views show too little; left out.")
    weights = _weights(plan, clip)
    request = TransferRequest(
        clip=clip,
        controls=derive_controls(clip, kinds=weights.kinds),
        weights=weights,
        prompt=plan.prompt,
        seed=plan.seed % 100_000,
    )
    return request, transfer.transfer(request)


def file_name(plan: ClipPlan, model: str, revision: str, size: tuple[int, int]) -> str:
    """Return the name of a clip's file, which no other plan, model, revision or size shares."""
    slug = "".join(letter if letter.isalnum() else "-" for letter in f"{model}-{revision}")[:40]
    return f"{plan.name}.{plan.key}.{size[0]}x{size[1]}.{slug}.npz"


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Hold a file's place among processes of this machine; yields False where another one holds it.

    The system lets go when a process dies, so nothing needs to be cleaned up after a kill.
    """
    lock = path.with_suffix(".lock")
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR)
    try:
        try:
            _lock(descriptor)
        except OSError:
            yield False
            return
        yield True
        lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


class _UnusableError(BridgeError):
    """A scene shows nothing to judge."""


def _lock(descriptor: int) -> None:
    if os.name == "nt":
        import msvcrt

        locking: Any = msvcrt
        locking.locking(descriptor, locking.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _settled(path: Path) -> bool:
    return path.exists() or path.with_suffix(".unusable").exists()


def _open(plan: ClipPlan, size: tuple[int, int], device: Optional[str], tries: int) -> FrameSource:
    from cosmos.bridge import scenes
    from cosmos.bridge.sources import StageSource

    frames = range(plan.first, plan.first + plan.num_frames * plan.step, plan.step)
    if plan.family == "source":
        return _open_own(plan, size, device)
    author = getattr(scenes, plan.family)
    stage = author(seed=plan.seed + tries * 100_000, num_frames=frames[-1] + 1)
    cameras = _cameras(stage)
    return StageSource(stage, camera=cameras[plan.seed % len(cameras)], frames=frames, size=size, device=device)


def _open_own(plan: ClipPlan, size: tuple[int, int], device: Optional[str]) -> FrameSource:
    """Open a source of the user at some frames of it; counting past its end begins anew."""
    from cosmos.bridge.sources import STAGE_ENDINGS, open_source

    is_stage = Path(plan.source).suffix.lower() in STAGE_ENDINGS
    options: dict[str, Any] = {"device": device, "size": size if is_stage else None}
    with closing(open_source(plan.source, **options)) as whole:
        count, start = whole.num_frames, int(whole.describe()["frames"][0]) if is_stage else 0
    need = (plan.num_frames - 1) * plan.step + 1
    if count < need:
        raise SourceError(f"{plan.source} has {count} frames, but a clip of the suite takes {need}; ask for fewer.")
    first = start + plan.first % (count - need + 1)
    return open_source(plan.source, frames=range(first, first + need, plan.step), **options)


def _cameras(stage: Any) -> list[str]:
    from pxr import UsdGeom

    return [str(prim.GetPath()) for prim in stage.Traverse() if prim.IsA(UsdGeom.Camera)]


def _usable(clip: Clip) -> bool:
    """Whether a view shows something: not only sky, not a wall before the lens, not black, three things at least."""
    if clip.depth is None or clip.instance_ids is None:
        raise SourceError("A suite needs sources with depth and instance ids, which this one does not give.")
    depth = clip.depth.numpy()
    seen = np.isfinite(depth) & (depth > 0.0)
    if seen.mean() < 0.25 or np.median(depth[seen]) < 0.4 or clip.rgb.numpy().mean() < 8.0:
        return False
    shares = np.unique(clip.instance_ids.numpy(), return_counts=True)[1] / depth.size
    return bool((shares > 0.003).sum() >= 4 and shares.max() < 0.9)


def _weights(plan: ClipPlan, clip: Clip) -> Any:
    """Edge and depth half each; one protected thing, where one is asked for, has ``vis`` alone."""
    from cosmos.bridge.controls import build_weights
    from cosmos.bridge.controls.specs import Region, WeightSpec
    from cosmos.bridge.critic.faults.subject import LARGEST, SMALLEST, things_of

    regions: tuple[Region, ...] = ()
    if plan.protect and clip.instance_ids is not None:
        ids = clip.instance_ids.numpy()
        low, high = SMALLEST * ids[0].size, LARGEST * ids[0].size
        fit = [thing for thing in things_of(clip, ids) if thing.areas.min() >= low and thing.areas.max() <= high]
        if fit:
            chosen = fit[np.random.default_rng([plan.seed, 17]).integers(len(fit))]
            regions = (Region(instances=chosen.ids, edge=0.0, depth=0.0, vis=1.0),)
    return build_weights(clip, WeightSpec(edge=0.5, depth=0.5, regions=regions))


def _silent(line: str) -> None:
    """Take lines that nobody asked for."""


__all__ = ["claimed", "file_name", "make_clip", "make_suite"]
