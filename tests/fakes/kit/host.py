"""Doubles of carb, omni.kit.app, omni.ext, omni.usd and omni.timeline."""

import asyncio
import itertools
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

from kit.strict import Strict, StrictModule


class Settings(Strict):
    """``carb.settings``: typed values by path [7.3]."""

    kit_name = "carb.settings.ISettings"

    def __init__(self) -> None:
        self._values: dict[str, Any] = {"/omni/replicator/captureOnPlay": True}  # default true in base.kit [5]

    def get(self, path: str) -> Any:
        return self._values.get(path)

    def set(self, path: str, value: Any) -> None:
        if not path.startswith("/"):
            raise ValueError(f"Setting paths begin with a slash, got {path!r}.")
        if not isinstance(value, (bool, int, float, str, list)):
            raise TypeError(f"carb.settings holds plain values, got {type(value).__name__} for {path}.")
        self._values[path] = value


class Subscription:
    """A handle; events stop when nobody holds it any more [7.3]."""


def _heard_in(heard: list, *entry: Any) -> Subscription:
    """Enter somebody who listens, and forget them, callback and all, when their handle goes."""
    handle = Subscription()
    reference = weakref.ref(handle, lambda gone: heard.remove(next(item for item in heard if item[0] is gone)))
    heard.append((reference, *entry))
    return handle


class EventStream(Strict):
    """Events 1.0 [7.3]."""

    kit_name = "carb.events.IEventStream"

    def __init__(self) -> None:
        self._heard: list[tuple[weakref.ref, Callable]] = []

    def create_subscription_to_pop(
        self, on_event: Callable[[Any], None], order: int = 0, name: str = ""
    ) -> Subscription:
        return _heard_in(self._heard, on_event)

    def _fire(self, event: Any) -> None:
        for handle, callback in list(self._heard):
            if handle() is not None:
                callback(event)

    def _alive(self) -> int:
        return sum(handle() is not None for handle, _ in self._heard)


class Event(Strict):
    kit_name = "carb.events.IEvent"

    def __init__(self, type_: int) -> None:
        self.type = type_


class EventDispatcher(Strict):
    """Events 2.0; since Kit 107 [7.3]."""

    kit_name = "carb.eventdispatcher.IEventDispatcher"

    def __init__(self) -> None:
        self._heard: list[tuple[weakref.ref, Any, Callable]] = []

    def observe_event(
        self, *, observer_name: str, event_name: Any, on_event: Callable[[Any], None], order: int = 0
    ) -> Subscription:
        return _heard_in(self._heard, event_name, on_event)

    def _fire(self, name: Any) -> None:
        for handle, wanted, callback in list(self._heard):
            if handle() is not None and wanted == name:
                callback(Event(0))

    def _alive(self) -> int:
        return sum(handle() is not None for handle, _, _ in self._heard)


class ExtensionManager(Strict):
    """Knows what is enabled [1.4]; ``omni.usd.schema.playback`` is in no application's list [6.4]."""

    kit_name = "omni.ext.ExtensionManager"

    def __init__(self, enabled: set[str]) -> None:
        self._enabled = enabled

    def is_extension_enabled(self, name: str) -> bool:
        return name in self._enabled


class App(Strict):
    """``omni.kit.app``: one asyncio loop, pumped once an update [7.3]."""

    kit_name = "omni.kit.app.IApp"

    def __init__(self, machine: Any) -> None:
        self._machine = machine
        self._updates = EventStream()
        self._loop = asyncio.new_event_loop()
        self._waiting: list[asyncio.Future] = []

    def get_update_event_stream(self) -> EventStream:
        return self._updates

    def get_extension_manager(self) -> ExtensionManager:
        return ExtensionManager(self._machine.extensions)

    async def next_update_async(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def update(self) -> None:
        self._machine.update()

    def _pump(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        for _ in range(3):
            self._loop.call_soon(self._loop.stop)
            self._loop.run_forever()

    def _close(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._pump()
        self._loop.close()


class StageEventType(Strict):
    kit_name = "omni.usd.StageEventType"

    def __init__(self) -> None:
        self.OPENED, self.CLOSING, self.CLOSED = 4, 8, 9


class UsdContext(Strict):
    """``omni.usd.get_context()`` over a real stage."""

    kit_name = "omni.usd.UsdContext"
    since: ClassVar[dict[str, str]] = {"stage_event_name": "5.0"}

    def __init__(self, machine: Any) -> None:
        self._machine = machine
        self._events = EventStream()
        self._stage: Any = None

    def get_stage(self) -> Any:
        return self._stage

    def get_stage_event_stream(self) -> EventStream:
        return self._events

    def stage_event_name(self, event: int) -> str:
        return f"omni.usd.stage.{event}"

    def open_stage(self, path: str) -> bool:
        from pxr import Usd

        self.close_stage()
        self._stage = Usd.Stage.Open(path)
        self._machine.say_stage(self._machine.stage_events.OPENED)
        return True

    def new_stage(self) -> bool:
        from pxr import Usd

        self.close_stage()
        self._stage = Usd.Stage.CreateInMemory()
        self._machine.say_stage(self._machine.stage_events.OPENED)
        return True

    def close_stage(self) -> bool:
        if self._stage is not None:
            self._machine.say_stage(self._machine.stage_events.CLOSING)
            self._machine.replicator.forget_stage()  # its graph dies with the session layer [5]
            self._stage = None
        return True


class Timeline(Strict):
    """``omni.timeline`` [5, 7.3]."""

    kit_name = "omni.timeline.Timeline"

    def __init__(self, machine: Any) -> None:
        self._machine = machine
        self._playing = False
        self._steps = 0
        self._serial = itertools.count()

    def is_playing(self) -> bool:
        return self._playing

    def play(self) -> None:
        self._playing = True

    def pause(self) -> None:
        self._playing = False

    def stop(self) -> None:
        self._playing, self._steps = False, 0

    def commit(self) -> None:
        """Changes act at once in this double."""

    def get_current_time(self) -> float:
        return self._steps / self._rate()

    def get_time_codes_per_seconds(self) -> float:
        return self._rate()

    def _rate(self) -> float:
        stage = self._machine.context.get_stage()
        return stage.GetTimeCodesPerSecond() if stage is not None else 24.0

    def _advance(self) -> None:
        self._steps += 1


class IExt:
    """``omni.ext.IExt`` [1.5]."""

    def on_startup(self, ext_id: str) -> None: ...

    def on_shutdown(self) -> None: ...


def host_modules(machine: Any) -> dict[str, StrictModule]:
    """Return the modules of the application without Replicator and UI."""
    logs = machine.logs
    modules = {
        "carb": StrictModule(
            "carb",
            log_info=lambda text: logs.append(("info", str(text))),
            log_warn=lambda text: logs.append(("warn", str(text))),
            log_error=lambda text: logs.append(("error", str(text))),
        ),
        "carb.settings": StrictModule("carb.settings", get_settings=lambda: machine.settings),
        "carb.events": StrictModule("carb.events"),
        "omni": StrictModule("omni"),
        "omni.kit": StrictModule("omni.kit"),
        "omni.kit.app": StrictModule(
            "omni.kit.app",
            {"GLOBAL_EVENT_UPDATE": "5.0"},
            get_app=lambda: machine.app,
            GLOBAL_EVENT_UPDATE="omni.kit.app.update",
        ),
        "omni.ext": StrictModule("omni.ext", IExt=IExt),
        "omni.usd": StrictModule(
            "omni.usd", get_context=lambda: machine.context, StageEventType=machine.stage_events, UsdContext=UsdContext
        ),
        "omni.timeline": StrictModule("omni.timeline", get_timeline_interface=lambda: machine.timeline),
    }
    if machine.profile.has("4.5"):  # [8.2]
        modules["isaacsim"] = StrictModule("isaacsim", SimulationApp=machine.started)
    else:
        modules["omni.isaac"] = StrictModule("omni.isaac")
        modules["omni.isaac.kit"] = StrictModule("omni.isaac.kit", SimulationApp=machine.started)
    if machine.profile.has("5.0"):
        modules["carb.eventdispatcher"] = StrictModule(
            "carb.eventdispatcher", get_eventdispatcher=lambda: machine.dispatcher
        )
    return modules
