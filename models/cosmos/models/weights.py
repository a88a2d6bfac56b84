"""Shipped weights: where they are, and that they are what their configuration says."""

from __future__ import annotations

import hashlib
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cosmos.models.spec import read_config


class WeightsError(Exception):
    """Weights are missing, damaged, or of another kind."""


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its name."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def weight_folders(name: str) -> tuple[Path, ...]:
    """Return where the weights of a name may lie: beside the sources, then where an installation puts them."""
    beside = Path(__file__).resolve().parents[2] / "weights" / name
    installed = Path(sysconfig.get_path("data")) / "share" / "cosmos-bridge" / "weights" / name
    return beside, installed


def find_weights(name: str) -> Path:
    """Return the folder of shipped weights.

    Raises:
        WeightsError: If there is none; the sentence names the places.
    """
    for folder in weight_folders(name):
        if (folder / "config.json").is_file():
            return folder
    places = " or ".join(str(folder) for folder in weight_folders(name))
    raise WeightsError(f"The weights {name!r} are not in {places}; reinstall cosmos-bridge.")


def read_weights_config(folder: Path) -> dict[str, Any]:
    """Read ``config.json`` of a folder of weights.

    Raises:
        WeightsError: If it cannot be read or lists no files.
    """
    try:
        config = read_config(folder / "config.json")
    except ValueError as error:
        raise WeightsError(f"{error} Reinstall cosmos-bridge.") from error
    if not isinstance(config.get("files"), dict) or not config["files"]:
        raise WeightsError(f"{folder / 'config.json'} lists no files with their sha256; export the weights again.")
    return config


def check_files(folder: Path, config: dict[str, Any]) -> str:
    """Compare each file with its hash in the configuration; return one hash over all of them.

    Raises:
        WeightsError: If a file is missing or differs; the sentence names it.
    """
    whole = hashlib.sha256()
    for name, expected in sorted(config["files"].items()):
        try:
            found = sha256_of(folder / name)
        except OSError as error:
            raise WeightsError(f"The weight file {folder / name} cannot be read: {error.strerror}.") from error
        if found != expected:
            raise WeightsError(
                f"The weight file {folder / name} has sha256 {found[:12]}..., its configuration says "
                f"{str(expected)[:12]}...; the file is damaged or of another version: reinstall cosmos-bridge."
            )
        whole.update(f"{name}:{found}\n".encode())
    return whole.hexdigest()


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def combined_sha256(files: Iterable[Path]) -> str:
    """Return one hash over the contents of files, in the order given."""
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.name}:{sha256_of(file)}\n".encode())
    return whole.hexdigest()


__all__ = [
    "WeightsError",
    "check_files",
    "combined_sha256",
    "find_weights",
    "first_line",
    "read_weights_config",
    "sha256_of",
    "weight_folders",
]
