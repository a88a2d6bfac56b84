"""The one door to Kit: modules are imported by name where they are needed, differences between versions felt for.

Nothing else in cosmos.bridge imports omni, carb or isaacsim; what may be asked for is listed in ``symbols.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.errors import BridgeError
from cosmos.bridge.kit.symbols import SYMBOLS

if TYPE_CHECKING:
    from cosmos.bridge.kit.annotators import AnnotatorRequest

_KNOWN = frozenset(
    ".".join(symbol.name.split(".")[:count]) for symbol in SYMBOLS for count in range(1, symbol.name.count(".") + 2)
)


class KitError(BridgeError):
    """Kit lacks something that is needed, or is in a state that does not allow it."""


def find(name: str) -> Any:
    """Return a symbol of `SYMBOLS` that may be missing; ``None`` where it is.

    Args:
        name: Dotted path.
    """
    if name not in _KNOWN:
        raise LookupError(f"{name} is not listed in cosmos.bridge.kit.symbols; list it there before it is used.")
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part, None)
        return found
    return None


def need(name: str) -> Any:
    """Return a symbol of `SYMBOLS`.

    Raises:
        KitError: If this application has none.
    """
    found = find(name)
    if found is None:
        raise KitError(f"{name} is missing; run this inside Isaac Sim 4.2 or later, with its extension enabled.")
    return found


def log(text: str) -> None:
    """Write a line to Kit's log."""
    need("carb.log_info")(f"[cosmos.bridge] {text}")


def warn(text: str) -> None:
    """Write a warning to Kit's log; never an error, for those fail Kit's own tests."""
    need("carb.log_warn")(f"[cosmos.bridge] {text}")


def open_stage() -> Any:
    """Return the stage that the application has open.

    Raises:
        KitError: If there is none.
    """
    stage = need("omni.usd.get_context")().get_stage()
    if stage is None:
        raise KitError("No stage is open; open one first.")
    return stage


def timeline() -> Any:
    """Return the timeline."""
    return need("omni.timeline.get_timeline_interface")()


def on_update(callback: Callable[[], None]) -> Any:
    """Call back once an update, on the main thread, until the returned handle is dropped."""
    event = find("omni.kit.app.GLOBAL_EVENT_UPDATE")
    if event is not None and find("carb.eventdispatcher.get_eventdispatcher") is not None:
        return _observe("cosmos.bridge.update", event, lambda _: callback())
    stream = need("omni.kit.app.get_app")().get_update_event_stream()
    return stream.create_subscription_to_pop(lambda _: callback(), name="cosmos.bridge.update")


def on_stage_closing(callback: Callable[[], None]) -> Any:
    """Call back before the stage is closed, on the main thread, until the returned handle is dropped."""
    context = need("omni.usd.get_context")()
    closing = need("omni.usd.StageEventType.CLOSING")
    named = getattr(context, "stage_event_name", None)
    if named is not None and find("carb.eventdispatcher.get_eventdispatcher") is not None:
        return _observe("cosmos.bridge.closing", named(closing), lambda _: callback())

    def hear(event: Any) -> None:
        if event.type == int(closing):
            callback()

    return context.get_stage_event_stream().create_subscription_to_pop(hear, name="cosmos.bridge.closing")


def _observe(observer: str, event: Any, callback: Callable[[Any], None]) -> Any:
    dispatcher = need("carb.eventdispatcher.get_eventdispatcher")()
    return dispatcher.observe_event(observer_name=observer, event_name=event, on_event=callback, order=0)


def register_writer(writer: type) -> None:
    """Make a writer known to Replicator by its class name; one that is there already is replaced."""
    need("omni.replicator.core.WriterRegistry.register")(writer)


def unregister_writer(name: str) -> None:
    """Take a writer out of Replicator's registry."""
    need("omni.replicator.core.WriterRegistry.unregister")(name)


def get_annotator(name: str, *, init_params: Optional[dict[str, Any]], device: str) -> Any:
    """Return an annotator of Replicator that hands out its own memory, which the caller copies.

    Args:
        name: Name in the registry.
        init_params: What it is initialised with.
        device: ``cpu`` or ``cuda``.
    """
    get = need("omni.replicator.core.AnnotatorRegistry.get_annotator")
    return get(name, init_params=init_params or None, device=device, do_array_copy=False)


def get_annotators(requests: Iterable[AnnotatorRequest], device: str) -> list[Any]:
    """Return an annotator a request; those that cannot stay on the GPU come on the host.

    Args:
        requests: What is asked for.
        device: ``cpu`` or ``cuda``.
    """
    return [
        get_annotator(item.name, init_params=dict(item.init_params), device=device if item.gpu else "cpu")
        for item in requests
    ]


__all__ = [
    "KitError",
    "find",
    "get_annotator",
    "get_annotators",
    "log",
    "need",
    "on_stage_closing",
    "on_update",
    "open_stage",
    "register_writer",
    "timeline",
    "unregister_writer",
    "warn",
]
