"""``cosmos-bridge doctor``: is everything here that a run needs, and what to do where not."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cosmos.bridge import __version__
from cosmos.bridge.cli.console import EXIT_OK, EXIT_PREFLIGHT, bytes_text, emit, emit_json, quiet_warp
from cosmos.bridge.errors import BridgeError

_PACKAGES = {
    "numpy": "numpy",
    "pxr": "usd-core",
    "warp": "warp-lang",
    "torch": "torch",
    "safetensors": "safetensors",
    "av": "av",
    "cv2": "opencv-python-headless",
    "OpenEXR": "OpenEXR",
    "rich": "rich",
}

_BROKEN = (ImportError, AttributeError, OSError, RuntimeError, TypeError, ValueError)
"""What a damaged or half-installed package raises on import or first use."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One line of the doctor's list."""

    name: str
    """What was looked at."""
    ok: bool
    """False if a run cannot work."""
    found: str
    """What was found."""
    cure: str = ""
    """What to do; empty when all is well."""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Declare the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor",
        help="check this installation",
        description="Check versions, devices, weights, namespace and write permission; exit code 3 if broken.",
    )
    parser.add_argument("--json", action="store_true", help="print the checks as one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    checks = list(examine())
    broken = [check for check in checks if not check.ok]
    if args.json:
        emit_json({"ok": not broken, "checks": [asdict(check) for check in checks]})
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            emit(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:{width}}  {check.found}")
            if check.cure:
                emit(f"      {'':{width}}  -> {check.cure}")
        emit("All is well." if not broken else f"{len(broken)} of {len(checks)} checks failed.")
    return EXIT_PREFLIGHT if broken else EXIT_OK


def examine() -> Iterator[Check]:
    """Look at everything, one thing after the other; a broken thing never stops the rest."""
    python_ok = (3, 10) <= sys.version_info[:2] <= (3, 12)
    yield Check(name="cosmos-bridge", ok=True, found=f"{__version__} in {Path(__file__).resolve().parents[1]}")
    yield Check(
        name="python",
        ok=python_ok,
        found=f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        cure="" if python_ok else "Use Python 3.10 to 3.12.",
    )
    yield _namespace()
    for module, package in _PACKAGES.items():
        yield _package(module, package)
    yield from _devices()
    yield from _weights()
    yield from _places()


def namespace_clashes(paths: Iterable[str]) -> list[str]:
    """Return every ``cosmos/__init__.py`` on the import path: each makes cosmos.bridge vanish.

    Args:
        paths: Folders of the import path.
    """
    folders = dict.fromkeys(Path(path or ".").resolve() for path in paths)
    return [
        str(folder / "cosmos" / "__init__.py") for folder in folders if (folder / "cosmos" / "__init__.py").exists()
    ]


def _namespace() -> Check:
    clashes = namespace_clashes(sys.path)
    return Check(
        name="namespace cosmos",
        ok=not clashes,
        found="free of other owners" if not clashes else f"taken by {', '.join(clashes)}",
        cure="" if not clashes else "Uninstall the distribution that brings that file; it hides cosmos.bridge.",
    )


def _package(module: str, package: str) -> Check:
    if importlib.util.find_spec(module) is None:
        return Check(name=package, ok=False, found="missing", cure='pip install "cosmos-bridge[headless]"')
    try:
        return Check(name=package, ok=True, found=importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return Check(name=package, ok=True, found="importable, installed by another tool")


def _devices() -> Iterator[Check]:
    try:
        import warp as wp

        quiet_warp()
        found = ", ".join(f"{device.alias} ({device.name})" for device in wp.get_devices())
        yield Check(name="warp devices", ok=True, found=found)
    except _BROKEN as error:
        yield Check(name="warp devices", ok=False, found=_short(error), cure="Reinstall warp-lang.")
    try:
        import torch

        cuda = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no CUDA, models run on the CPU"
        yield Check(name="torch devices", ok=True, found=f"{torch.get_num_threads()} CPU threads; {cuda}")
    except _BROKEN as error:
        yield Check(name="torch devices", ok=False, found=_short(error), cure="Reinstall torch.")


def _weights() -> Iterator[Check]:
    """Load each Transfer backend's weights, which checks their hash."""
    try:
        from cosmos.bridge.transfer.registry import backends, create

        known = backends()
    except _BROKEN as error:
        yield Check(name="transfer backends", ok=False, found=_short(error), cure="Reinstall cosmos-bridge.")
        return
    for backend in known:
        name = backend.name
        if backend.fetched:
            yield _fetched(name, backend.extra)
            continue
        try:
            model = create(name)
            model.load("cpu")
            spec = model.spec
            model.unload()
            yield Check(
                name=f"transfer {name}", ok=True, found=f"loads; revision {spec.revision}, licence {spec.licence}"
            )
        except BridgeError as error:
            yield Check(name=f"transfer {name}", ok=False, found=_short(error), cure="Do what the sentence says.")
        except _BROKEN as error:
            yield Check(
                name=f"transfer {name}", ok=False, found=_short(error), cure="Reinstall cosmos-bridge[headless]."
            )


def _fetched(name: str, extra: str) -> Check:
    """Tell whether the weights of a backend that ships none are there; their absence breaks nothing."""
    from cosmos.models.places import checkpoint_folder

    folder = checkpoint_folder(name)
    if importlib.util.find_spec("diffusers") is None:
        found, cure = "not installed, and no run needs it", f'pip install "cosmos-bridge[{extra}]" to use it'
    elif not folder.is_dir():
        found, cure = "weights not fetched, and no run needs them", f"cosmos-bridge models fetch {name} to use it"
    else:
        found, cure = f"weights in {folder}", ""
    return Check(name=f"transfer {name}", ok=True, found=found, cure=cure)


def _places() -> Iterator[Check]:
    for name, folder in (("working folder", Path.cwd()), ("temporary folder", Path(tempfile.gettempdir()))):
        try:
            with tempfile.TemporaryFile(dir=folder):
                free = shutil.disk_usage(folder).free
            yield Check(name=name, ok=True, found=f"{folder} is writable, {bytes_text(free)} free")
        except OSError as error:
            cure = "Set TMPDIR to another folder." if name == "temporary folder" else "Give --out another folder."
            yield Check(name=name, ok=name != "temporary folder", found=f"{folder}: {_short(error)}", cure=cure)
    cache = os.environ.get("WARP_CACHE_PATH", "")
    if cache:
        writable = os.access(cache, os.W_OK) if Path(cache).exists() else True
        cure = "" if writable else "Point WARP_CACHE_PATH to a folder you may write to."
        yield Check(name="warp kernel cache", ok=writable, found=cache, cure=cure)


def _short(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


__all__ = ["Check", "add_parser", "examine", "namespace_clashes", "run"]
