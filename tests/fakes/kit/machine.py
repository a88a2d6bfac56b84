"""One Isaac Sim of doubles: the modules in place, a stage open, updates by hand."""

import asyncio
import builtins
import importlib
import itertools
import sys
import time
from pathlib import Path
from typing import Any, Optional

from kit.feed import Feed
from kit.host import App, Event, EventDispatcher, Settings, StageEventType, Timeline, UsdContext, host_modules
from kit.replicator import Engine, replicator_modules
from kit.strict import PROFILES, Profile, Strict, Watch
from kit.ui import Clipboard, Commands, Menu, ViewportWindow, ui_modules

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXTENSION = Path(__file__).resolve().parents[3] / "exts" / "cosmos.bridge"


class SimulationApp(Strict):
    kit_name = "isaacsim.SimulationApp"

    def __init__(self, machine: "Machine") -> None:
        self._machine, self._closed = machine, False

    def update(self) -> None:
        self._machine.update()

    def close(self) -> None:
        self._closed = True


class Machine:
    """An application; use it as a context.

    Args:
        version: Profile.
        stage: File to open.
        standalone: Whether a script drives it, as with SimulationApp, instead of a person.
        ui: Whether it has windows; headless applications have none.
        units: Unit of Replicator's distances, ``scene`` or ``metres``: the documentation does not settle it.
        motion: Factors on Replicator's motion vectors: likewise.
        void_motion: Value of motion vectors where nothing was hit: likewise.
        follows: Whether the renderer looks at pictures that change with time: likewise.
        renderer: CUDA ordinal of the GPU that draws; ``None`` where the ordinal does not matter.
        reads_pointers: Whether pictures behind pointers arrive in a dynamic texture.
        recycles: Whether a camera with a tick rate of its own shows a later picture than its reference time says.
        extensions: Names of enabled extensions that applications do not have by themselves.
    """

    def __init__(
        self,
        version: str,
        stage: Optional[Path] = None,
        *,
        standalone: bool = False,
        ui: bool = False,
        units: str = "scene",
        motion: tuple[float, float] = (1.0, 1.0),
        void_motion: float = 0.0,
        follows: bool = True,
        renderer: Optional[int] = None,
        reads_pointers: bool = False,
        recycles: bool = False,
        extensions: tuple[str, ...] = (),
    ) -> None:
        self.profile: Profile = PROFILES[version]
        self.standalone, self._stage = standalone, stage
        self.logs: list[tuple[str, str]] = []
        self.settings, self.dispatcher, self.stage_events = Settings(), EventDispatcher(), StageEventType()
        self.settings.set("/app/version", f"{version}.0")
        self.renderer, self.reads_pointers, self.recycles = renderer, reads_pointers, recycles
        self.extensions = set(extensions)
        self._open = {"units": units, "motion": motion, "void_motion": void_motion, "follows": follows}
        self.feed = Feed(str(stage), **self._open) if stage is not None else None
        self.live = stage is None
        self.replicator = Engine(self)
        self.app, self.context, self.timeline = App(self), UsdContext(self), Timeline(self)
        self._ui = ui
        self.menu, self.commands, self.clipboard = Menu(), Commands(self), Clipboard()
        self.viewport: Optional[ViewportWindow] = ViewportWindow() if ui else None
        self._modules: dict[str, Any] = {}
        self._extension: Any = None

    def __enter__(self) -> "Machine":
        Watch.profile, Watch.touched = self.profile, set()
        builtins.ISAAC_LAUNCHED_FROM_TERMINAL = not self.standalone
        self._modules = {**host_modules(self), **replicator_modules(self), **(ui_modules(self) if self._ui else {})}
        asyncio.set_event_loop(self.app._loop)
        forget_bridge()
        sys.modules.update(self._modules)
        for name, module in self._modules.items():
            parent, _, child = name.rpartition(".")
            if parent:
                object.__setattr__(self._modules[parent], child, module)
        if self._stage is not None:
            self.context.open_stage(str(self._stage))
        return self

    def __exit__(self, *_: Any) -> None:
        if self._extension is not None:
            self.disable()
        self.context.close_stage()
        self.app._close()
        asyncio.set_event_loop(None)
        if self.feed is not None:
            self.feed.close()
        for name in self._modules:
            sys.modules.pop(name, None)
        forget_bridge()
        del builtins.ISAAC_LAUNCHED_FROM_TERMINAL

    def update(self, count: int = 1) -> None:
        """Let the application go on."""
        for _ in range(count):
            self.app._pump()
            self.replicator.tick()
            self.app._updates._fire(Event(0))
            self.dispatcher._fire("omni.kit.app.update")

    def look_live(self) -> None:
        """Draw the open stage as it is now, session layer included, where it is no file that stays as it is."""
        stage = self.context.get_stage()
        if self.live or stage.GetSessionLayer().subLayerPaths:
            if self.feed is not None:
                self.feed.close()
            self.feed = Feed(stage, **self._open)

    def say_stage(self, event: int) -> None:
        """Tell of the stage, in the old way and the new."""
        self.context._events._fire(Event(event))
        self.dispatcher._fire(f"omni.usd.stage.{event}")

    def started(self, config: dict) -> Any:
        """Stand in for SimulationApp, whose ``close`` ends the process without a goodbye [1.5]."""
        application = SimulationApp(self)
        type(application).kit_name = (
            "isaacsim.SimulationApp" if self.profile.has("4.5") else "omni.isaac.kit.SimulationApp"
        )
        return application

    def run(self, coroutine: Any, seconds: float = 60.0) -> Any:
        """Let a coroutine run to its end, update by update."""
        task, deadline = self.app._loop.create_task(coroutine), time.monotonic() + seconds
        for count in itertools.count():
            if task.done():
                return task.result()
            if time.monotonic() > deadline:
                raise TimeoutError("The coroutine did not end.")
            self.update()
            if count > 50:
                time.sleep(0.005)  # it waits for a worker
        raise AssertionError

    def enable(self) -> Any:
        """Enable the extension as Kit does: import its modules, start the IExt at their root [1.5]."""
        toml = tomllib.loads((EXTENSION / "config" / "extension.toml").read_text(encoding="utf-8"))
        for key, value in toml.get("settings", {}).get("exts", {}).get("cosmos.bridge", {}).items():
            if self.settings.get(f"/exts/cosmos.bridge/{key}") is None:
                self.settings.set(f"/exts/cosmos.bridge/{key}", value)
        base = sys.modules["omni.ext"].IExt
        for entry in toml["python"]["module"]:
            module = importlib.import_module(entry["name"])
            for value in list(vars(module).values()):
                if isinstance(value, type) and issubclass(value, base) and value is not base:
                    self._extension = value()
                    self._extension.on_startup(f"cosmos.bridge-{toml['package']['version']}")
        return self._extension

    def disable(self) -> None:
        """Disable the extension and unload its modules, as hot reload does."""
        extension, self._extension = self._extension, None
        extension.on_shutdown()
        forget_bridge()

    def alive(self) -> int:
        """Subscriptions that somebody still holds."""
        return self.app._updates._alive() + self.context._events._alive() + self.dispatcher._alive()

    def problems(self) -> list[str]:
        """Return what was logged as a warning or an error."""
        return [f"{level}: {text}" for level, text in self.logs if level != "info"]


def forget_bridge() -> None:
    """Unload what Kit would unload."""
    for name in [name for name in sys.modules if name.startswith("cosmos.bridge.kit")]:
        del sys.modules[name]
    package = sys.modules.get("cosmos.bridge")
    if package is not None and hasattr(package, "kit"):
        del package.kit
