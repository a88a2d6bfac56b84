"""What Kit starts and stops: the writer, the commands that can be undone, and the panel with its menu entry."""

from __future__ import annotations

from typing import Any, Optional

from cosmos.bridge.kit import compat
from cosmos.bridge.kit.augmented import CosmosBridgeAugmentedWriter
from cosmos.bridge.kit.write_back import command_classes
from cosmos.bridge.kit.writer import CosmosBridgeWriter, close_all

MENU = ("Tools", "Replicator")
"""Where the panel's entry stands."""
_ACTION = "open_panel"


class CosmosBridgeExtension(compat.need("omni.ext.IExt")):  # type: ignore[misc]
    """Registers writer, commands and menu; shutting down ends every thread, subscription, window and writer of ours."""

    _ext_id: str
    _commands: tuple[type, ...]
    _menu_items: list[Any]
    _panel: Optional[Any]
    _studio: Optional[Any]

    def on_startup(self, ext_id: str) -> None:
        """Make everything known; what a headless application lacks is left out.

        Args:
            ext_id: Name and version of this extension.
        """
        self._ext_id = ext_id
        self._init_state()
        compat.register_writer(CosmosBridgeWriter)
        compat.register_writer(CosmosBridgeAugmentedWriter)
        if compat.find("omni.kit.commands.Command") is not None:
            self._commands = command_classes()
            for command in self._commands:
                compat.need("omni.kit.commands.register")(command)
        if compat.find("omni.ui.Window") is not None:
            self._add_menu()
        compat.log(f"{ext_id} is up; rep.WriterRegistry.get('CosmosBridgeWriter') gives the writer.")

    def on_shutdown(self) -> None:
        """Take everything back; Kit's fast shutdown skips this, so scripts call ``writer.flush()``."""
        if self._menu_items:
            compat.need("omni.kit.menu.utils.remove_menu_items")(self._menu_items, MENU[0])
            registry = compat.need("omni.kit.actions.core.get_action_registry")()
            registry.deregister_all_actions_for_extension(self._ext_id)
        if self._panel is not None:
            self._panel.close()
        if self._studio is not None:
            self._studio.close()
        close_all()
        for command in self._commands:
            compat.need("omni.kit.commands.unregister")(command)
        for writer in (CosmosBridgeAugmentedWriter, CosmosBridgeWriter):
            compat.unregister_writer(writer.__name__)
        self._init_state()

    def open_panel(self) -> None:
        """Show the panel; made when it is first asked for."""
        from cosmos.bridge.kit.studio import Studio
        from cosmos.bridge.kit.ui.model import PanelModel
        from cosmos.bridge.kit.ui.panel import open_panel

        if self._studio is None:
            self._studio = Studio(PanelModel())
        self._panel = open_panel(self._panel, self._studio)

    def _init_state(self) -> None:
        """Start from nothing, so that shutting down is safe after half a start."""
        self._commands, self._menu_items = (), []
        self._panel, self._studio = None, None

    def _add_menu(self) -> None:
        describe = compat.find("omni.kit.menu.utils.MenuItemDescription")
        find_registry = compat.find("omni.kit.actions.core.get_action_registry")
        if describe is None or find_registry is None:
            compat.warn("There is no menu to put the panel into; open it with the extension's open_panel().")
            return
        find_registry().register_action(self._ext_id, _ACTION, self.open_panel)
        entry = describe(name="Cosmos Bridge", onclick_action=(self._ext_id, _ACTION))
        self._menu_items = [describe(name=MENU[1], sub_menu=[entry])]
        compat.need("omni.kit.menu.utils.add_menu_items")(self._menu_items, MENU[0])


__all__ = ["MENU", "CosmosBridgeExtension"]
