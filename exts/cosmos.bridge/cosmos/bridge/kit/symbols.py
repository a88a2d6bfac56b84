"""Every symbol of Kit, Replicator and Isaac Sim that cosmos.bridge touches, with the versions it exists in."""

from __future__ import annotations

from dataclasses import dataclass

VERSIONS = ("4.2", "4.5", "5.0", "5.1", "6.0", "6.2")
"""Isaac Sim versions that are told apart."""
PLAYBACK = "omni.usd.schema.playback"
"""Extension of newer Kit whose schema plays videos as textures; it is asked for, never imported."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KitSymbol:
    """One name of the application's Python."""

    name: str
    """Dotted path: module, then class, then member."""
    since: str = "4.2"
    """First Isaac Sim version that is known to have it."""
    until: str = VERSIONS[-1]
    """Last version that has it."""
    purpose: str
    """What it is used for."""
    optional: bool = False
    """Whether cosmos.bridge works without it, as it must where an extension is not loaded."""

    def in_version(self, version: str) -> bool:
        """Return whether a version of `VERSIONS` has it."""
        return VERSIONS.index(self.since) <= VERSIONS.index(version) <= VERSIONS.index(self.until)


def _group(
    purpose: str,
    prefix: str,
    *names: str,
    since: str = "4.2",
    until: str = VERSIONS[-1],
    optional: bool = False,
) -> tuple[KitSymbol, ...]:
    return tuple(
        KitSymbol(name=f"{prefix}.{name}", since=since, until=until, purpose=purpose, optional=optional)
        for name in names
    )


SYMBOLS: tuple[KitSymbol, ...] = (
    *_group("settings", "carb.settings", "get_settings", "ISettings.get", "ISettings.set"),
    *_group("log", "carb", "log_info", "log_warn"),
    *_group("update and stage events", "carb.eventdispatcher", "get_eventdispatcher", "IEventDispatcher.observe_event",
            since="5.0", optional=True),
    *_group("update events", "omni.kit.app", "get_app", "IApp.get_update_event_stream",
            "IApp.next_update_async"),
    *_group("update events", "omni.kit.app", "GLOBAL_EVENT_UPDATE", since="5.0", optional=True),
    *_group("events without carb.eventdispatcher", "carb.events", "IEventStream.create_subscription_to_pop"),
    *_group("the extension", "omni.ext", "IExt"),
    *_group("the open stage", "omni.usd", "get_context", "UsdContext.get_stage", "UsdContext.get_stage_event_stream",
            "StageEventType.CLOSING"),
    *_group("stage events", "omni.usd", "UsdContext.stage_event_name", since="5.0", optional=True),
    *_group("pausing while the model is behind", "omni.timeline", "get_timeline_interface", "Timeline.is_playing",
            "Timeline.play", "Timeline.pause", "Timeline.get_current_time"),
    *_group("the writer", "omni.replicator.core", "Writer", "Writer.attach", "Writer.detach", "WriterRegistry.register",
            "WriterRegistry.unregister", "AnnotatorRegistry.get_annotator"),
    *_group("the panel's capture", "omni.replicator.core", "WriterRegistry.get", "create.render_product",
            "HydraTexture.destroy", "orchestrator.step_async"),
    *_group("the self-test's own application", "isaacsim", "SimulationApp.update", "SimulationApp.close",
            since="4.5", optional=True),
    *_group("the self-test's own application", "omni.isaac.kit", "SimulationApp.update", "SimulationApp.close",
            until="4.2", optional=True),
    *_group("the self-test's questions", "omni.kit.app", "IApp.get_extension_manager"),
    *_group("the self-test's questions", "omni.ext", "ExtensionManager.is_extension_enabled"),
    *_group("the self-test's questions", "omni.kit.menu.utils", "MenuHelperExtensionFull", since="5.0", optional=True),
    *_group("the self-test's own stage", "omni.usd", "UsdContext.new_stage", optional=True),
    *_group("the panel's count of classes", "omni.replicator.core", "Annotator.attach", "Annotator.get_data",
            "Annotator.detach", "HydraTexture.hydra_texture.set_updates_enabled"),
    *_group("results on the stage, with undo", "omni.kit.commands", "Command", "register", "unregister", "execute",
            optional=True),
    *_group("the live picture", "omni.ui", "DynamicTextureProvider", "DynamicTextureProvider.set_data_array",
            "DynamicTextureProvider.set_bytes_data", "DynamicTextureProvider.set_bytes_data_from_gpu",
            "ImageWithProvider", "Frame.clear", "IwpFillPolicy.IWP_PRESERVE_ASPECT_FIT", optional=True),
    *_group("the panel", "omni.ui", "Window", "Window.frame", "Window.visible", "Window.destroy",
            "Window.deferred_dock_in", "ScrollingFrame",
            "VStack", "VStack.clear", "HStack", "ZStack", "Frame", "CollapsableFrame", "Spacer", "Separator",
            "Rectangle", "Label", "Label.text", "Label.style", "Label.visible", "Alignment.CENTER", "Button",
            "Button.enabled", "Button.tooltip", "CheckBox", "CheckBox.model", "ComboBox", "ComboBox.model",
            "FloatSlider", "FloatSlider.model", "FloatSlider.enabled", "IntSlider", "IntSlider.model",
            "IntSlider.enabled", "IntField", "IntField.model", "StringField", "StringField.model",
            "ProgressBar", "ProgressBar.model", "Image", "AbstractValueModel.set_value",
            "AbstractValueModel.add_value_changed_fn", "AbstractValueModel.get_value_as_string",
            "AbstractValueModel.get_value_as_int", "AbstractValueModel.get_value_as_float",
            "AbstractValueModel.get_value_as_bool",
            "AbstractItemModel.get_item_value_model", optional=True),
    *_group("the panel's menu entry", "omni.kit.menu.utils", "MenuItemDescription", "add_menu_items",
            "remove_menu_items", optional=True),
    *_group("the panel's menu entry", "omni.kit.actions.core", "get_action_registry", "IActionRegistry.register_action",
            "IActionRegistry.deregister_all_actions_for_extension", optional=True),
    *_group("Copy as Python and CLI", "omni.kit.clipboard", "copy", optional=True),
    *_group("the live picture on the GPU", "omni.gpu_foundation_factory", "TextureFormat.RGBA8_UNORM", optional=True),
    *_group("the live picture over the viewport", "omni.kit.viewport.utility", "get_active_viewport_window",
            optional=True),
    *_group("the live picture over the viewport", "omni.kit.viewport.window", "ViewportWindow.get_frame",
            optional=True),
)  # fmt: skip
"""In the order of the modules they live in."""


def table() -> str:
    """Return the symbols as a Markdown table, for the documentation."""
    rows = ["| Symbol | Isaac Sim | Used for |", "|---|---|---|"]
    for symbol in SYMBOLS:
        note = ", optional" if symbol.optional else ""
        last = "and later" if symbol.until == VERSIONS[-1] else f"to {symbol.until}"
        rows.append(f"| `{symbol.name}` | {symbol.since} {last}{note} | {symbol.purpose} |")
    return "\n".join(rows) + "\n"


__all__ = ["PLAYBACK", "SYMBOLS", "VERSIONS", "KitSymbol", "table"]
