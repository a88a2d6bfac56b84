"""The ledger: an append-only file of what happened to each clip, readable after a kill at any moment.

One JSON object a line, each line flushed to the disk before the work goes on. A last line that a kill tore is not an
entry; it is cut off when the ledger is opened again. A clip is settled by its ``settled`` entry and by nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Optional

from cosmos.bridge.errors import SinkError, SourceError

LEDGER_NAME = "ledger.jsonl"

Outcome = Literal["accepted", "rejected", "refused", "failed"]


class Ledger:
    """Appends entries, and knows every entry so far.

    Args:
        path: File of the ledger; made when absent.

    Raises:
        SinkError: If it cannot be opened or holds a damaged entry before its last line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            entries, whole = _read(path)
            self._file = open(path, "ab")  # noqa: SIM115 - closed by close()
            if self._file.tell() != whole:
                self._file.truncate(whole)
        except OSError as error:
            raise SinkError(
                f"The ledger {path} cannot be opened ({error.strerror or error}); check the folder's permissions."
            ) from error
        self._entries = entries

    @property
    def entries(self) -> tuple[Mapping[str, Any], ...]:
        """Every entry, oldest first."""
        return tuple(self._entries)

    def append(self, event: str, clip: str, **details: Any) -> None:
        """Add an entry and bring it to the disk.

        Raises:
            SinkError: If the disk refuses it.
        """
        entry = {"event": event, "clip": clip, **details}
        line = json.dumps(entry, ensure_ascii=False).encode("utf-8") + b"\n"
        start = self._file.tell()
        try:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            self._cut(start)
            raise SinkError(
                f"The ledger {self.path} cannot be written ({error.strerror or error}); free some disk and resume."
            ) from error
        self._entries.append(entry)

    def settle(self, clip: str, outcome: Outcome, **details: Any) -> None:
        """Say how a clip ended; from now on a resumed run leaves it alone."""
        self.append("settled", clip, outcome=outcome, **details)

    def reopen(self, clip: str) -> None:
        """Say that a settled clip is to be tried again."""
        self.append("reopened", clip)

    def settled(self) -> dict[str, Outcome]:
        """Return the outcome of each settled clip; of two entries the later holds."""
        return settled_in(self._entries)

    def fileno(self) -> int:
        """Return the descriptor of the open file, for locking it."""
        return self._file.fileno()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def _cut(self, size: int) -> None:
        """Drop a half-written line; where even that fails, opening the ledger again does it."""
        try:
            os.ftruncate(self._file.fileno(), size)
        except OSError:
            return


def read_ledger(path: Path) -> tuple[Mapping[str, Any], ...]:
    """Read every whole entry of a ledger without changing it.

    Raises:
        SourceError: If there is no ledger.
        SinkError: If an entry before the last line is damaged.
    """
    if not path.is_file():
        raise SourceError(f"There is no ledger at {path}; give the out folder of a cosmos-bridge run.")
    return tuple(_read(path)[0])


def settled_in(entries: Any) -> dict[str, Outcome]:
    """Return the outcome of each settled clip among entries; one that was reopened since is not settled."""
    settled: dict[str, Outcome] = {}
    for entry in entries:
        if entry["event"] == "settled":
            settled[entry["clip"]] = entry["outcome"]
        elif entry["event"] == "reopened":
            settled.pop(entry["clip"], None)
    return settled


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the whole entries and the number of bytes they fill."""
    if not path.exists():
        return [], 0
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    entries = []
    for number, line in enumerate(content[:whole].splitlines(), start=1):
        try:
            entry = json.loads(line)
            if not (isinstance(entry["event"], str) and isinstance(entry["clip"], str)):
                raise TypeError("event and clip must be strings")
        except (ValueError, KeyError, TypeError) as error:
            raise SinkError(
                f"Line {number} of the ledger {path} is damaged ({error}); restore it from a copy."
            ) from error
        entries.append(entry)
    return entries, whole


__all__ = ["LEDGER_NAME", "Ledger", "Outcome", "read_ledger", "settled_in"]
