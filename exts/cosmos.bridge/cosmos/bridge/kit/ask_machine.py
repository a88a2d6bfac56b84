"""Questions of the self-test that need no picture: versions, symbols, signatures, events, what is installed."""

from __future__ import annotations

import inspect
import platform
import re
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from cosmos.bridge import __version__
from cosmos.bridge.kit import compat
from cosmos.bridge.kit.facts import Fact
from cosmos.bridge.kit.packages import missing_packages
from cosmos.bridge.kit.symbols import PLAYBACK, SYMBOLS


async def ask_machine() -> list[Fact]:
    """Ask all of it; main thread, while the application goes on."""
    lacking = missing_packages()
    packages = Fact(name="packages of the line", ok=not lacking, found=lacking or "all there")
    return [*_versions(), packages, *_symbols(), *_signatures(), _menus(), _playback(), await _events()]


def application() -> str:
    """Return the version of the application; ``unknown`` where it does not say."""
    return str(compat.need("carb.settings.get_settings")().get("/app/version") or "unknown")


def replicator_version() -> str:
    """Return the version of Replicator by the folder that it was loaded from, which Kit names so."""
    file = getattr(sys.modules.get("omni.replicator.core"), "__file__", None) or ""
    found = re.search(r"omni\.replicator\.core-(\d[\w.]*)", str(file))
    return found[1] if found else "unknown"


def _versions() -> list[Fact]:
    import warp as wp

    found = {"application": application(), "Python": platform.python_version(), "cosmos.bridge": __version__}
    found["Replicator"] = replicator_version()
    for package in ("warp-lang", "numpy", "torch", "usd-core"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not a package here"
    devices = ", ".join(str(device) for device in wp.get_devices())
    found["Warp"] = f"{getattr(wp, '__version__', '?')} on {devices}"
    return [Fact(name=f"version of {name}", ok=None, found=text) for name, text in found.items()]


def _symbols() -> list[Fact]:
    """Look for every module member on the list; members of objects show when they are used."""
    plain = [symbol for symbol in SYMBOLS if not any(part[:1].isupper() for part in symbol.name.split(".")[:-1])]
    missing = [symbol.name for symbol in plain if compat.find(symbol.name) is None]
    needed = [
        symbol.name for symbol in plain if symbol.name in missing and not symbol.optional and symbol.since == "4.2"
    ]
    return [
        Fact(name="symbols that are needed", ok=not needed, found=", ".join(needed) or f"all of {len(plain)}"),
        Fact(name="symbols that are missing", ok=None, found=", ".join(missing) or "none"),
    ]


def _signatures() -> list[Fact]:
    """Hold each call of Replicator as it is written here against the function that is there."""
    writer = compat.need("omni.replicator.core.Writer")
    annotator = compat.get_annotator("rgb", init_params=None, device="cpu")
    registry, annotators = "omni.replicator.core.WriterRegistry", "omni.replicator.core.AnnotatorRegistry"
    calls: tuple[tuple[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]], ...] = (
        ("Writer.attach", writer.attach, (None, []), {}),
        ("Writer.detach", writer.detach, (None,), {}),
        ("Writer.write", writer.write, (None, {}), {}),
        ("Writer.on_final_frame", writer.on_final_frame, (None,), {}),
        ("Writer.initialize", writer.initialize, (None,), {"output_dir": ""}),
        ("WriterRegistry.get", compat.need(f"{registry}.get"), ("",), {}),
        ("WriterRegistry.register", compat.need(f"{registry}.register"), (object,), {}),
        ("WriterRegistry.unregister", compat.need(f"{registry}.unregister"), ("",), {}),
        ("AnnotatorRegistry.get_annotator", compat.need(f"{annotators}.get_annotator"), ("",),
         {"init_params": None, "device": "cpu", "do_array_copy": False}),
        ("Annotator.attach", annotator.attach, (None,), {}),
        ("Annotator.get_data", annotator.get_data, (), {}),
        ("Annotator.detach", annotator.detach, (), {}),
        ("create.render_product", compat.need("omni.replicator.core.create.render_product"), ("", (1, 1)),
         {"force_new": True, "name": ""}),
        ("orchestrator.step_async", compat.need("omni.replicator.core.orchestrator.step_async"), (),
         {"delta_time": None, "pause_timeline": False}),
    )  # fmt: skip
    return [_signature(*call) for call in calls]


def _signature(name: str, function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Fact:
    name = f"signature of {name}"
    try:
        signature = inspect.signature(function)
    except ValueError:  # a compiled function says nothing of its own
        return Fact(name=name, ok=None, found="compiled, so it cannot be read")
    try:
        signature.bind(*arguments, **keywords)
    except TypeError as error:
        return Fact(name=name, ok=False, found=f"{signature}: {error}")
    return Fact(name=name, ok=True, found=str(signature))


def _menus() -> Fact:
    there = compat.find("omni.kit.menu.utils.MenuHelperExtensionFull") is not None
    return Fact(name="menu helpers of Kit 107", ok=None, found="there" if there else "absent; they are not needed")


def _playback() -> Fact:
    """Ask for the schema that plays videos as textures: what the extension offers must be what USD knows."""
    from pxr import Usd

    manager = compat.need("omni.kit.app.get_app")().get_extension_manager()
    enabled = bool(manager.is_extension_enabled(PLAYBACK))
    known = Usd.SchemaRegistry().FindAppliedAPIPrimDefinition("OmniPlaybackAPI") is not None
    if enabled != known:
        found = f"the extension is {'on' if enabled else 'off'}, but USD {'knows' if known else 'does not know'} "
        return Fact(name=PLAYBACK, ok=False, found=f"{found}OmniPlaybackAPI")
    found = "there: videos can be textures" if known else "absent: results are pictures a frame, as always"
    return Fact(name=PLAYBACK, ok=True if known else None, found=found)


async def _events() -> Fact:
    heard: list[int] = []
    handle = compat.on_update(lambda: heard.append(1))
    app = compat.need("omni.kit.app.get_app")()
    for _ in range(3):
        await app.next_update_async()
    count = len(heard)
    del handle
    for _ in range(2):
        await app.next_update_async()
    after = len(heard) - count
    how = "Events 2.0" if compat.find("carb.eventdispatcher.get_eventdispatcher") is not None else "Events 1.0"
    return Fact(
        name="update events",
        ok=count >= 2 and after <= 1,
        found=f"{count} in 3 updates, {after} after letting go, by {how}",
    )


__all__ = ["application", "ask_machine", "replicator_version"]
