"""The folder of a run: made once, never written over, opened again by resume."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

from cosmos.bridge.config import BridgeConfig, OffloadPolicy, load_config, save_config
from cosmos.bridge.errors import SinkError, SourceError
from cosmos.bridge.runs.ledger import LEDGER_NAME, Ledger

CONFIG_NAME = "config.json"


def create_run(config: BridgeConfig) -> Ledger:
    """Make the out folder, save the effective config in it, and open a new ledger.

    Raises:
        SinkError: If the folder holds anything, or cannot be made or written.
    """
    out = Path(config.out)
    check_out(out, Path(config.source))
    try:
        out.mkdir(parents=True, exist_ok=True)
        pending = out / f".{CONFIG_NAME}.partial"
        save_config(config, pending)
        os.replace(pending, out / CONFIG_NAME)
    except OSError as error:
        raise SinkError(
            f"The out folder {out} cannot be written ({error.strerror or error}); choose another with --out."
        ) from error
    return _locked(Ledger(out / LEDGER_NAME))


def reopen_run(out: Path) -> tuple[BridgeConfig, Ledger]:
    """Open the folder of an earlier run to finish it.

    Raises:
        SourceError: If the folder holds no run.
        SinkError: If another process is at work in it, or the ledger is damaged.
    """
    config = saved_config(out)
    return config, _locked(Ledger(out / LEDGER_NAME))


def saved_config(out: Path, *, device: Optional[str] = None, offload: Optional[OffloadPolicy] = None) -> BridgeConfig:
    """Read the config of the run that lies in ``out``; its own out is ``out``, wherever the folder was moved.

    A run that was made ready for a batch host is done where it is resumed.

    Args:
        out: Folder of the run.
        device: Device to run on instead of the saved one.
        offload: Where the Transfer model runs instead.

    Raises:
        SourceError: If the folder holds no run.
        ConfigError: If the config there is refused.
    """
    if not (out / CONFIG_NAME).is_file():
        raise SourceError(f"{out} holds no run ({CONFIG_NAME} is missing); give the out folder of a run.")
    config = load_config(out / CONFIG_NAME)
    policy = offload or config.offload
    if policy.placement == "batch":
        policy = replace(policy, placement="here")
    return config.replace(out=str(out), device=device or config.device, offload=policy)


def discard_run(out: Path) -> None:
    """Take back a folder that `create_run` made and nothing was written to, so that the same command can run again."""
    for name in (CONFIG_NAME, LEDGER_NAME):
        (out / name).unlink(missing_ok=True)
    if not any(out.iterdir()):
        out.rmdir()


def check_out(out: Path, source: Path) -> None:
    """Refuse an out folder that holds something, or that cannot be one.

    Args:
        out: The folder.
        source: Source of the run; it may lie in a folder of its own within ``out``.

    Raises:
        SinkError: If it is a file, holds a run or other files, or its nearest existing parent cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise SinkError(f"The out folder {out} is a file; choose another with --out.")
    if (out / CONFIG_NAME).is_file():
        raise SinkError(
            f"{out} holds a run already; finish it with: cosmos-bridge resume {out}, or choose another --out."
        )
    above = source.resolve().parents
    try:
        if out.is_dir() and any(item for item in out.iterdir() if item.resolve() not in above):
            raise SinkError(f"The out folder {out} is not empty; nothing is written over: choose another with --out.")
    except OSError as error:
        raise SinkError(
            f"The out folder {out} cannot be read ({error.strerror or error}); choose another with --out."
        ) from error
    parent = nearest_parent(out)
    if not os.access(parent, os.W_OK | os.X_OK):
        raise SinkError(f"The out folder {out} cannot be made, {parent} is not writable; choose another with --out.")


def nearest_parent(path: Path) -> Path:
    """Return the path itself, or the first folder above it that exists."""
    for candidate in (path, *path.absolute().parents):
        if candidate.exists():
            return candidate
    return Path("/")


def _locked(ledger: Ledger) -> Ledger:
    """Hold the ledger for this process alone until it is closed; the system lets go when the process dies."""
    try:
        _lock(ledger.fileno())
    except OSError as error:
        ledger.close()
        raise SinkError(
            f"Another process is at work in {ledger.path.parent}; wait for it or choose another folder."
        ) from error
    return ledger


def _lock(fileno: int) -> None:
    if os.name == "nt":
        import msvcrt

        locking: Any = msvcrt
        locking.locking(fileno, locking.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(fileno, fcntl.LOCK_EX | fcntl.LOCK_NB)


__all__ = ["CONFIG_NAME", "check_out", "create_run", "discard_run", "nearest_parent", "reopen_run", "saved_config"]
