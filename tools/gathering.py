"""Look at many clips once, and keep what is seen; any number of processes may share the folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from cosmos.bridge.calibrate.making import claimed
from cosmos.bridge.calibrate.suite import ClipPlan

Row = TypeVar("Row")


def gather(
    clips: Sequence[tuple[ClipPlan, Path]],
    folder: Path,
    look: Callable[[ClipPlan, Path], Iterable[Row]],
    kind: type[Row],
) -> list[Row]:
    """Look at all clips; what is there already is read, what another process looks at is left to it.

    Args:
        clips: Plans with the files that `make_suite` made.
        folder: Where what is seen is kept, one JSON file a clip.
        look: Plan and file -> what is seen of a clip.
        kind: Dataclass of one thing seen.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for plan, path in clips:
        file = folder / f"{path.stem}.json"
        with claimed(file) as mine:
            if mine and not file.exists():
                text = json.dumps([asdict(row) for row in look(plan, path)])  # type: ignore[call-overload]
                partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
                partial.write_text(text, encoding="utf-8")
                os.replace(partial, file)
                print(f"looked at {plan.name}", flush=True)
    files = [folder / f"{path.stem}.json" for _, path in clips]
    return [kind(**row) for file in files if file.exists() for row in json.loads(file.read_text(encoding="utf-8"))]
