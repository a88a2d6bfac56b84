"""Double of omni.ui: it records the tree of widgets, with the members that plain omni.ui has in every version [7.2]."""

import ctypes
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Optional

import numpy as np

from kit.strict import Strict, StrictModule

_PARENTS: list["Widget"] = []
_BUSY: list["Widget"] = []
"""Widgets whose callback runs; destroying one of them then is a crash that the sheet does not exclude."""
COMMON = {"width", "height", "name", "identifier", "tooltip", "visible", "enabled", "style", "style_type_name_override",
          "alignment"}  # fmt: skip


@contextmanager
def _callback_of(widget: Optional["Widget"]) -> Iterator[None]:
    _BUSY.append(widget)
    try:
        yield
    finally:
        _BUSY.pop()


class Length:
    def __init__(self, value: float) -> None:
        self.value = float(value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value:g})"


class Pixel(Length):
    pass


class Percent(Length):
    pass


class Fraction(Length):
    pass


class Model(Strict):
    """``ui.SimpleStringModel`` and its like: a value, and who wants to hear of it [7.2]."""

    kit_name = "omni.ui.AbstractValueModel"

    def __init__(self, value: Any) -> None:
        self._value, self._heard, self._owner = value, [], None

    def set_value(self, value: Any) -> None:
        kind = type(self._value)
        value = kind(value)
        if value != self._value:
            self._value = value
            with _callback_of(self._owner):
                for callback in list(self._heard):
                    callback(self)

    def get_value_as_string(self) -> str:
        return str(self._value)

    def get_value_as_int(self) -> int:
        return int(self._value)

    def get_value_as_float(self) -> float:
        return float(self._value)

    def get_value_as_bool(self) -> bool:
        return bool(self._value)

    def add_value_changed_fn(self, callback: Callable) -> int:
        self._heard.append(callback)
        return len(self._heard)


class ComboModel(Strict):
    kit_name = "omni.ui.AbstractItemModel"

    def __init__(self, index: int) -> None:
        self._index = Model(int(index))

    def get_item_value_model(self, item: Any = None, column: int = 0) -> Model:
        return self._index


class Widget(Strict):
    """Something on the screen."""

    kit_name = "omni.ui.Widget"
    options: ClassVar[set[str]] = set()
    is_container = False

    def __init__(self, **given: Any) -> None:
        self._children: list[Widget] = []
        strange = set(given) - COMMON - type(self).options
        if strange:
            raise TypeError(f"{type(self).kit_name} takes no {', '.join(sorted(strange))}.")
        self._given = given
        self._visible, self._enabled = given.get("visible", True), given.get("enabled", True)
        self._tooltip, self._name = given.get("tooltip", ""), given.get("name", "")
        self._style = given.get("style")
        if _PARENTS:
            _PARENTS[-1]._children.append(self)

    def _property(name: str) -> Any:  # noqa: N805
        return property(lambda self: getattr(self, f"_{name}"), lambda self, value: setattr(self, f"_{name}", value))

    visible, enabled, tooltip, name, style = map(_property, ("visible", "enabled", "tooltip", "name", "style"))

    @property
    def identifier(self) -> str:
        return self._given.get("identifier", "")

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
        else:
            raise AttributeError(f"{type(self).kit_name} has no {name} that can be set.")

    def __enter__(self) -> "Widget":
        if not self.is_container:
            raise TypeError(f"{type(self).kit_name} holds no widgets.")
        _PARENTS.append(self)
        return self

    def __exit__(self, *_: Any) -> None:
        _PARENTS.pop()

    def destroy(self) -> None:
        self._children.clear()

    def _walk(self) -> Any:
        yield self
        for child in self._children:
            yield from child._walk()


class Container(Widget):
    is_container = True
    options: ClassVar[set[str]] = {"spacing", "content_clipping", "direction"}

    def clear(self) -> None:
        held = [widget for child in self._children for widget in child._walk() if any(widget is one for one in _BUSY)]
        assert not held, f"{type(held[0]).__name__} {held[0].identifier!r} would be destroyed amid its own callback."
        self._children.clear()


def _container(title: str, *options: str) -> type:
    return type(title, (Container,), {"kit_name": f"omni.ui.{title}", "options": Container.options | set(options)})


VStack, HStack, ZStack, Frame = (_container(title) for title in ("VStack", "HStack", "ZStack", "Frame"))
ScrollingFrame = _container("ScrollingFrame", "horizontal_scrollbar_policy", "vertical_scrollbar_policy")


class CollapsableFrame(Container):
    kit_name = "omni.ui.CollapsableFrame"
    options: ClassVar[set[str]] = {"collapsed"}

    def __init__(self, title: str = "", **given: Any) -> None:
        super().__init__(**given)
        self._title, self._collapsed = title, given.get("collapsed", False)

    collapsed = property(lambda self: self._collapsed, lambda self, value: setattr(self, "_collapsed", value))
    title = property(lambda self: self._title)


class Window(Widget):
    kit_name = "omni.ui.Window"
    options: ClassVar[set[str]] = {"title", "dockPreference", "padding_x", "padding_y"}
    opened: ClassVar[list] = []

    def __init__(self, title: str, **given: Any) -> None:
        parents, _PARENTS[:] = list(_PARENTS), []
        super().__init__(**given)
        self._frame = Frame()
        _PARENTS[:] = parents
        self._title, self._changed = title, None
        Window.opened.append(self)

    frame = property(lambda self: self._frame)
    title = property(lambda self: self._title)

    def set_visibility_changed_fn(self, callback: Callable[[bool], None]) -> None:
        self._changed = callback

    def deferred_dock_in(self, target: str) -> None:
        self._docked = target

    def destroy(self) -> None:
        self._frame._children.clear()
        if self in Window.opened:
            Window.opened.remove(self)


class Label(Widget):
    kit_name = "omni.ui.Label"
    options: ClassVar[set[str]] = {"word_wrap", "elided_text"}

    def __init__(self, text: str, **given: Any) -> None:
        super().__init__(**given)
        self._text = text

    text = property(lambda self: self._text, lambda self, value: setattr(self, "_text", str(value)))


class Button(Label):
    kit_name = "omni.ui.Button"
    options: ClassVar[set[str]] = {"clicked_fn", "image_url"}

    def _click(self) -> None:
        assert self._enabled and self._visible, f"{self._text} cannot be clicked."
        if self._given.get("clicked_fn"):
            with _callback_of(self):
                self._given["clicked_fn"]()


class _Valued(Widget):
    options: ClassVar[set[str]] = {"model", "min", "max", "step", "read_only", "multiline", "precision"}
    empty: Any = ""

    def __init__(self, model: Optional[Model] = None, **given: Any) -> None:
        super().__init__(**given)
        self._model = model if model is not None else Model(type(self).empty)
        self._model._owner = self

    model = property(lambda self: self._model)


def _valued(title: str, empty: Any) -> type:
    return type(title, (_Valued,), {"kit_name": f"omni.ui.{title}", "empty": empty})


StringField, IntField, FloatField = _valued("StringField", ""), _valued("IntField", 0), _valued("FloatField", 0.0)
FloatSlider, IntSlider, CheckBox = _valued("FloatSlider", 0.0), _valued("IntSlider", 0), _valued("CheckBox", False)
ProgressBar = _valued("ProgressBar", 0.0)


class ComboBox(Widget):
    kit_name = "omni.ui.ComboBox"
    options: ClassVar[set[str]] = set()

    def __init__(self, index: int = 0, *items: str, **given: Any) -> None:
        super().__init__(**given)
        self._items, self._model = list(items), ComboModel(index)
        self._model._index._owner = self

    model = property(lambda self: self._model)


Spacer, Line, Separator, Rectangle = (
    type(title, (Widget,), {"kit_name": f"omni.ui.{title}"}) for title in ("Spacer", "Line", "Separator", "Rectangle")
)


class ByteImageProvider(Strict):
    """Takes pictures; what is malformed is skipped without a word [6.1]."""

    kit_name = "omni.ui.ByteImageProvider"
    reads_pointers: ClassVar[bool] = False
    """Whether pictures behind pointers arrive, as on the renderer's own GPU; memory of the host stands in for it."""

    def __init__(self) -> None:
        self._picture: Optional[np.ndarray] = None
        self._uploads: list[str] = []

    def set_data_array(self, array: Any, sizes: list[int]) -> None:
        self._take(np.asarray(array, np.uint8).tobytes(), sizes, "array")

    def set_bytes_data(self, values: Any, sizes: list[int], **_: Any) -> None:
        self._take(bytes(values), sizes, "bytes")

    def set_bytes_data_from_gpu(self, pointer: int, sizes: list[int], format: Any = None, stride: int = -1) -> None:
        if ByteImageProvider.reads_pointers:
            self._take(ctypes.string_at(pointer, sizes[0] * sizes[1] * 4), sizes, "gpu")
        else:
            self._uploads.append("gpu")  # whether it arrived nobody says

    def _take(self, values: bytes, sizes: list[int], how: str) -> None:
        width, height = sizes
        if len(values) != width * height * 4:
            return
        self._picture = np.frombuffer(values, np.uint8).reshape(height, width, 4)
        self._uploads.append(how)


class DynamicTextureProvider(ByteImageProvider):
    kit_name = "omni.ui.DynamicTextureProvider"
    alive: ClassVar[weakref.WeakValueDictionary] = weakref.WeakValueDictionary()
    """Name -> provider: what ``dynamic://<name>`` shows, and how many textures there are [6.1]."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        DynamicTextureProvider.alive[name] = self


class ImageWithProvider(Widget):
    kit_name = "omni.ui.ImageWithProvider"
    options: ClassVar[set[str]] = {"fill_policy"}

    def __init__(self, provider: Any = None, **given: Any) -> None:
        super().__init__(**given)
        self._provider = provider


class Image(Widget):
    kit_name = "omni.ui.Image"
    options: ClassVar[set[str]] = {"fill_policy"}

    def __init__(self, source_url: str = "", **given: Any) -> None:
        super().__init__(**given)
        self._url = source_url


class IwpFillPolicy(Strict):
    kit_name = "omni.ui.IwpFillPolicy"

    def __init__(self) -> None:
        self.IWP_PRESERVE_ASPECT_FIT, self.IWP_STRETCH = 1, 0


class Alignment(Strict):
    kit_name = "omni.ui.Alignment"

    def __init__(self) -> None:
        self.LEFT_CENTER, self.CENTER, self.RIGHT_CENTER = 1, 2, 3


class ViewportWindow(Strict):
    """The viewport: frames over it by name, made once [6.2]."""

    kit_name = "omni.kit.viewport.window.ViewportWindow"

    def __init__(self) -> None:
        self._frames: dict[str, Frame] = {}

    def get_frame(self, name: str) -> Frame:
        return self._frames.setdefault(name, Frame())


class Commands:
    """``omni.kit.commands`` with undo [6.4]."""

    def __init__(self, machine: Any) -> None:
        self.machine, self.known, self.history = machine, {}, []

        class Command(ABC):
            """What is undoable has both [6.4]; a class without them cannot be made."""

            @abstractmethod
            def do(self) -> Any: ...

            @abstractmethod
            def undo(self) -> None: ...

        self.base = Command

    def register(self, command: type) -> None:
        if not issubclass(command, self.base):
            raise TypeError(f"{command} is no Command.")
        self.known[command.__name__] = command

    def unregister(self, command: type) -> None:
        self.known.pop(command.__name__)

    def execute(self, name: str, **arguments: Any) -> tuple[bool, Any]:
        if name not in self.known:
            self.machine.logs.append(("error", f"Can't execute command: {name!r}, it wasn't registered."))
            return False, None
        command = self.known[name](**arguments)
        result = command.do()
        self.history.append(command)
        return True, result

    def undo(self) -> None:
        self.history.pop().undo()


class Menu:
    """``omni.kit.menu.utils`` and ``omni.kit.actions.core`` [7.1]."""

    def __init__(self) -> None:
        self.items: dict[str, list] = {}
        self.actions: dict[tuple[str, str], Callable] = {}

    def add(self, items: list, name: str) -> None:
        self.items.setdefault(name, []).extend(items)

    def remove(self, items: list, name: str) -> None:
        for item in items:
            self.items[name].remove(item)

    def click(self, menu: str, *path: str) -> None:
        items = self.items[menu]
        for step in path:
            (item,) = [item for item in items if item.name == step]
            items = item.sub_menu or []
        self.actions[item.onclick_action]()


class MenuItemDescription:
    def __init__(self, name: str = "", sub_menu: Any = None, onclick_action: Any = None) -> None:
        self.name, self.sub_menu, self.onclick_action = name, sub_menu, onclick_action


class ActionRegistry(Strict):
    kit_name = "omni.kit.actions.core.IActionRegistry"

    def __init__(self, menu: Menu) -> None:
        self._menu = menu

    def register_action(self, extension: str, action: str, callback: Callable, **_: Any) -> None:
        self._menu.actions[extension, action] = callback

    def deregister_all_actions_for_extension(self, extension: str) -> None:
        for key in [key for key in self._menu.actions if key[0] == extension]:
            del self._menu.actions[key]


class Clipboard:
    text = ""

    def copy(self, text: str) -> None:
        self.text = text


def ui_modules(machine: Any) -> dict[str, StrictModule]:
    """Return the modules of an application with a UI."""
    Window.opened.clear()
    ByteImageProvider.reads_pointers = machine.reads_pointers
    widgets = (Window, Frame, VStack, HStack, ZStack, ScrollingFrame, CollapsableFrame, Label, Button, StringField,
               IntField, FloatField, FloatSlider, IntSlider, CheckBox, ProgressBar, ComboBox, Spacer, Line, Separator,
               Rectangle, Image, ImageWithProvider, ByteImageProvider, DynamicTextureProvider, Pixel, Percent,
               Fraction)  # fmt: skip
    simple = {
        f"Simple{kind}Model": lambda value=empty: Model(value)
        for kind, empty in (("String", ""), ("Int", 0), ("Float", 0.0), ("Bool", False))
    }
    menu, commands = machine.menu, machine.commands
    formats = StrictModule("omni.gpu_foundation_factory.TextureFormat", RGBA8_UNORM=37)
    return {
        "omni.ui": StrictModule(
            "omni.ui",
            **{widget.__name__: widget for widget in widgets},
            **simple,
            IwpFillPolicy=IwpFillPolicy(),
            Alignment=Alignment(),
        ),
        "omni.gpu_foundation_factory": StrictModule("omni.gpu_foundation_factory", TextureFormat=formats),
        "omni.kit.viewport": StrictModule("omni.kit.viewport"),
        "omni.kit.viewport.utility": StrictModule(
            "omni.kit.viewport.utility", get_active_viewport_window=lambda: machine.viewport
        ),
        "omni.kit.commands": StrictModule(
            "omni.kit.commands",
            Command=commands.base,
            register=commands.register,
            unregister=commands.unregister,
            execute=commands.execute,
        ),
        "omni.kit.menu": StrictModule("omni.kit.menu"),
        "omni.kit.menu.utils": StrictModule(
            "omni.kit.menu.utils",
            {"MenuHelperExtensionFull": "5.0"},  # only code from Kit 107 on was read [7.1, 12]
            MenuHelperExtensionFull=type("MenuHelperExtensionFull", (), {}),
            MenuItemDescription=MenuItemDescription,
            add_menu_items=menu.add,
            remove_menu_items=menu.remove,
        ),
        "omni.kit.actions": StrictModule("omni.kit.actions"),
        "omni.kit.actions.core": StrictModule(
            "omni.kit.actions.core", get_action_registry=lambda registry=ActionRegistry(menu): registry
        ),
        "omni.kit.clipboard": StrictModule("omni.kit.clipboard", copy=machine.clipboard.copy),
    }


def find(root: Widget, identifier: str) -> Widget:
    """Return the one widget of an identifier."""
    found = [widget for widget in root._walk() if widget.identifier == identifier]
    if len(found) != 1:
        known = sorted({widget.identifier for widget in root._walk() if widget.identifier})
        raise LookupError(f"{len(found)} widgets are called {identifier!r}; there are {', '.join(known)}.")
    return found[0]
