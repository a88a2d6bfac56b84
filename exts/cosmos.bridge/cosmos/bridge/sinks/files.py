"""Files that are whole or absent: temporary names, renames, hashes, strict JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from cosmos.bridge.errors import SinkError

PARTIAL_SUFFIX = ".cosmos-partial"
"""Ends the temporary name of a folder or file that is still being written."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,119}\Z")


def check_name(name: str) -> str:
    """Return a clip name that is safe as a folder and prim name on every system.

    Raises:
        SinkError: If it holds anything but letters, digits, ``_``, ``-`` and ``.``, or looks like a temporary name.
    """
    if not _NAME.match(name) or name.endswith((PARTIAL_SUFFIX, ".")):
        raise SinkError(
            f"A clip name may hold up to 120 letters, digits, '_', '-' and '.', starting with a letter or digit; "
            f"got {name!r}, choose another."
        )
    return name


def plain(value: Any) -> Any:
    """Turn dataclasses, enums, NumPy values and paths into what JSON holds; NaN becomes ``None``, inf a string."""
    if value is None or (isinstance(value, (bool, str)) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return number if math.isfinite(number) else None if math.isnan(number) else str(number)
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, range)):
        return [plain(item) for item in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} has no plain form; give the manifest numbers, texts, lists and mappings.")


def to_json(value: Any) -> str:
    """Return strict JSON (no NaN) of anything that has a plain form, with rows of numbers on one line each."""
    text = json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False)
    number = r"(?:-?\d[\d.eE+-]*|null)"
    rows = re.compile(rf"\[\s+({number}(?:,\s+{number})*)\s+\]")
    return rows.sub(lambda row: "[" + re.sub(r"\s+", " ", row[1]) + "]", text) + "\n"


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: under a temporary sibling name, flushed to disk, then renamed.

    Raises:
        SinkError: If the disk, the permission or the path forbids it.
    """
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        with open(partial, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON whole or not at all.

    Raises:
        SinkError: If it cannot be written.
    """
    write_bytes(path, to_json(value).encode())


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def cannot_write(path: Path, error: BaseException) -> SinkError:
    """Return the one sentence for a path that cannot be written: what, why, cure."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return SinkError(
        f"{path} could not be written: {str(reason).rstrip('.')}; make room or get write permission there, "
        f"or choose another output folder."
    )


@contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Fill a folder under a temporary sibling name and rename it once all is there.

    Whatever goes wrong inside (also a cancelled job or Ctrl-C), the temporary folder is removed again.

    Args:
        path: Final name.
        replace: Whether a folder of this name makes room, at the very end.

    Yields:
        The temporary folder, empty.

    Raises:
        SinkError: If it cannot be written; foreign I/O errors inside the block are turned into one.
    """
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir(parents=True)
        yield partial
        if replace and path.exists():
            shutil.rmtree(path)
        os.replace(partial, path)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise


def remove_partials(folder: Path) -> None:
    """Remove what a killed run left under temporary names directly in a folder; a missing folder is fine.

    Raises:
        SinkError: If it cannot be removed.
    """
    try:
        for path in folder.glob(f"*{PARTIAL_SUFFIX}"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError as error:
        raise cannot_write(folder, error) from error


def link_or_copy(source: Path, target: Path) -> None:
    """Give a finished file or folder a second name; hard links where the file system has them, copies elsewhere."""
    if source.is_dir():
        target.mkdir()
        for item in sorted(source.iterdir()):
            link_or_copy(item, target / item.name)
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


__all__ = [
    "PARTIAL_SUFFIX",
    "cannot_write",
    "check_name",
    "link_or_copy",
    "new_folder",
    "plain",
    "remove_partials",
    "sha256_file",
    "to_json",
    "write_bytes",
    "write_json",
]
