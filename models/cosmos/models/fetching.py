"""Fetch checkpoints from the hub, resumable and hash-checked, and hold what lies here against its lock."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from cosmos.models.published import Piece, Published
from cosmos.models.weights import WeightsError, sha256_of

LOCK = "cosmos-bridge.lock.json"
"""File in a fetched checkpoint that pins commits and hashes."""

_WANTED = (".safetensors", ".json", ".txt", ".jinja", ".md")
_BLOCK = 1 << 20

Tell = Callable[[int, int], None]
"""Told bytes done and bytes in all; may raise to stop, and a later fetch goes on from there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteFile:
    """A file of a repository."""

    name: str
    """Path in the repository."""
    size: int
    """Size [bytes]."""
    sha256: str
    """Hash of a large file; empty for a small one."""
    blob: str
    """Git's hash of a small file."""


def fetch(
    checkpoint: Published,
    folder: Path,
    *,
    pieces: tuple[str, ...] = (),
    offline: bool = False,
    update: bool = False,
    endpoint: str = "",
    token: str = "",
    tell: Tell = lambda done, total: None,
) -> Path:
    """Bring a checkpoint into a folder; what is there already is kept.

    A folder with a lock gets the commits and the hashes that the lock pins, also where nothing else is in it.

    Args:
        checkpoint: What to fetch.
        folder: Where to put it.
        pieces: Folders of the pieces to fetch; empty takes all.
        offline: Refuse to use the network; the variable HF_HUB_OFFLINE does the same.
        update: Take the newest commit, whatever the lock pins.
        endpoint: Address of the hub; empty takes HF_ENDPOINT, else huggingface.co.
        token: Access token; empty takes HF_TOKEN.
        tell: Told the progress.

    Returns:
        The lock file.

    Raises:
        WeightsError: If the hub refuses or cannot be reached, the disk is full, or a file is not what the hub says, or
            the lock pins.
    """
    if offline or os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        raise WeightsError(
            f"{checkpoint.name} was to be fetched, but the network is switched off; give a local folder."
        )
    hub = _Hub(
        endpoint or os.environ.get("HF_ENDPOINT", "https://huggingface.co"), token or os.environ.get("HF_TOKEN", "")
    )
    chosen = [piece for piece in checkpoint.pieces if not pieces or piece.folder in pieces]
    unknown = sorted(set(pieces) - {piece.folder for piece in checkpoint.pieces})
    if unknown:
        known = ", ".join(piece.folder for piece in checkpoint.pieces)
        raise WeightsError(f"{checkpoint.name} has no piece {unknown[0]!r}; it has {known}.")
    pinned = {} if update else read_lock(folder).get("pieces", {})
    found = [(piece, *hub.list(_pin(piece, pinned))) for piece in chosen]
    todo = [(piece, file, folder / piece.folder / file.name) for piece, _, files in found for file in files]
    _check_room(folder, [(file.size, path) for _, file, path in todo])
    total, done = sum(file.size for _, file, _ in todo), 0
    for piece, commit, files in found:
        locked = {}
        for file in files:

            def count(got: int, base: int = done) -> None:
                tell(base + got, total)

            locked[file.name] = hub.take(piece, commit, file, folder / piece.folder / file.name, count)
            done += file.size
            wanted = pinned.get(piece.folder, {}).get("files", {}).get(file.name, locked[file.name])
            if wanted != locked[file.name]:
                raise WeightsError(
                    f"{file.name} of {piece.repo} is not what {folder / LOCK} pins; fetch with --update to take it."
                )
        _lock(folder, checkpoint, piece, commit, locked)
    tell(total, total)
    return folder / LOCK


def _pin(piece: Piece, pinned: Mapping[str, Any]) -> Piece:
    """Return a piece at the commit that a lock pins, or as it is published."""
    commit = pinned.get(piece.folder, {}).get("commit", "")
    return replace(piece, revision=commit) if commit else piece


def verify(folder: Path, tell: Tell = lambda done, total: None) -> list[str]:
    """Hash every file of a fetched checkpoint again; return what is wrong, one sentence each.

    Raises:
        WeightsError: If the folder has no lock.
    """
    lock = read_lock(folder)
    if not lock:
        raise WeightsError(f"{folder} has no {LOCK}; only what was fetched by models fetch can be verified.")
    files = [
        (folder / where / name, sha256)
        for where, piece in lock["pieces"].items()
        for name, sha256 in piece["files"].items()
    ]
    problems = []
    for index, (path, expected) in enumerate(files):
        if not path.is_file():
            problems.append(f"{path} is missing; fetch again.")
        elif sha256_of(path) != expected:
            problems.append(f"{path} is not what was fetched: its sha256 differs; fetch again.")
        tell(index + 1, len(files))
    return problems


def read_lock(folder: Path) -> dict[str, Any]:
    """Return the lock of a checkpoint; empty where it has none.

    Raises:
        WeightsError: If it is damaged.
    """
    path = folder / LOCK
    if not path.is_file():
        return {}
    try:
        lock = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(piece["files"], dict) and piece["commit"] for piece in lock["pieces"].values()):
            raise ValueError("a piece has no files or no commit")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"The lock {path} is damaged ({error}); fetch again.") from error
    return dict(lock)


class _Hub:
    """The two requests that the hub answers: what a revision holds, and a file."""

    def __init__(self, endpoint: str, token: str) -> None:
        if not endpoint.startswith(("https://", "http://127.0.0.1:")):
            raise WeightsError(f"The hub must be reached by https, got HF_ENDPOINT={endpoint!r}.")
        self._endpoint, self._token = endpoint.rstrip("/"), token

    def list(self, piece: Piece) -> tuple[str, list[RemoteFile]]:
        """Return the commit of a piece and its files that are wanted."""
        address = f"{self._endpoint}/api/models/{piece.repo}/revision/{quote(piece.revision, safe='')}?blobs=true"
        try:
            with self._open(address, piece) as answer:
                told = json.loads(answer.read())
            files = [_remote(entry) for entry in told["siblings"]]
            commit = str(told["sha"])
        except (ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"The hub described {piece.repo} in a way that is not understood ({error}).") from error
        files = [file for file in files if file.name.endswith(_WANTED) or PurePosixPath(file.name).name == "LICENSE"]
        if not any(file.name.endswith(".safetensors") for file in files):
            raise WeightsError(f"{piece.repo} at {piece.revision} holds no safetensors; it is not what was expected.")
        return commit, files

    def take(self, piece: Piece, commit: str, file: RemoteFile, path: Path, tell: Callable[[int], None]) -> str:
        """Bring one file to its place unless it is there; return its sha256."""
        if path.is_file() and path.stat().st_size == file.size and _fits(path, file):
            tell(file.size)
            return file.sha256 or sha256_of(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        have = part.stat().st_size if part.is_file() else 0
        if have > file.size:
            part.unlink()
            have = 0
        if have < file.size or not part.is_file():
            self._receive(piece, commit, file, part, have, tell)
        if not _fits(part, file):
            part.unlink()
            raise WeightsError(f"{file.name} of {piece.repo} arrived damaged: its hash is not the hub's; fetch again.")
        part.replace(path)
        return file.sha256 or sha256_of(path)

    def _receive(
        self, piece: Piece, commit: str, file: RemoteFile, part: Path, have: int, tell: Callable[[int], None]
    ) -> None:
        address = f"{self._endpoint}/{piece.repo}/resolve/{commit}/{quote(file.name)}"
        try:
            with self._open(address, piece, have) as answer, part.open("ab") as out:
                if have and answer.status != 206:  # the server sends it from the start
                    have = 0
                    out.truncate(0)
                while block := answer.read(_BLOCK):
                    out.write(block)
                    have += len(block)
                    tell(min(have, file.size))
        except (HTTPException, TimeoutError, ConnectionError) as error:
            raise WeightsError(
                f"The connection broke at {have} of {file.size} bytes of {file.name}; fetch again."
            ) from error
        except OSError as error:
            raise WeightsError(f"{part} cannot be written ({error.strerror or error}).") from error
        if have < file.size:
            raise WeightsError(f"The connection broke at {have} of {file.size} bytes of {file.name}; fetch again.")

    def _open(self, address: str, piece: Piece, start: int = 0) -> Any:
        request = Request(
            address, headers={"User-Agent": "cosmos-bridge", **({"Range": f"bytes={start}-"} if start else {})}
        )
        if self._token:  # the hub alone sees it, not the server that it sends us on to
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            return urlopen(request, timeout=60)
        except HTTPError as error:
            if error.code in (401, 403):
                raise WeightsError(
                    f"{piece.repo} is gated: accept its licence on {self._endpoint}/{piece.repo} and set HF_TOKEN "
                    "to your access token."
                ) from error
            what = f"has no {piece.revision!r}" if error.code == 404 else f"answered {error.code}"
            raise WeightsError(f"{piece.repo} {what}; check the name, or try later.") from error
        except URLError as error:
            raise WeightsError(f"{self._endpoint} cannot be reached ({error.reason}); give a local folder.") from error


def _remote(entry: dict[str, Any]) -> RemoteFile:
    name, large = str(entry["rfilename"]), entry.get("lfs") or {}
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise WeightsError(f"The hub names the file {name!r}, which leads out of the checkpoint; it is refused.")
    size = int(large.get("size", entry.get("size") or 0))
    return RemoteFile(name=name, size=size, sha256=str(large.get("sha256", "")), blob=str(entry.get("blobId", "")))


def _fits(path: Path, file: RemoteFile) -> bool:
    """Whether a file has the hash that the hub names."""
    if file.sha256:
        return sha256_of(path) == file.sha256
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == file.blob


def _check_room(folder: Path, files: Iterable[tuple[int, Path]]) -> None:
    needed = 0
    for size, path in files:
        part = path.with_name(path.name + ".part")
        there = path if path.is_file() else part
        needed += max(0, size - (there.stat().st_size if there.is_file() else 0))
    parent = folder
    while not parent.exists():
        parent = parent.parent
    free = shutil.disk_usage(parent).free
    if needed > free:
        raise WeightsError(f"{needed / 2**30:.1f} GiB are to be fetched, but {parent} has {free / 2**30:.1f} GiB free.")


def _lock(folder: Path, checkpoint: Published, piece: Piece, commit: str, files: dict[str, str]) -> None:
    """Pin what was fetched of one piece."""
    lock = read_lock(folder) or {"name": checkpoint.name, "licence": checkpoint.licence, "pieces": {}}
    lock["pieces"][piece.folder] = {"repo": piece.repo, "revision": piece.revision, "commit": commit, "files": files}
    part = folder / f"{LOCK}.part"
    part.write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")
    part.replace(folder / LOCK)


__all__ = ["LOCK", "RemoteFile", "fetch", "read_lock", "verify"]
