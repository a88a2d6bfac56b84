"""What Kit starts and stops: the writer in Replicator's registry, and the commands that can be undone."""

from __future__ import annotations

from cosmos.bridge.kit import compat
from cosmos.bridge.kit.write_back import command_classes
from cosmos.bridge.kit.writer import CosmosBridgeWriter, close_all


class CosmosBridgeExtension(compat.need("omni.ext.IExt")):  # type: ignore[misc]
    """Registers the writer; shutting down ends every thread, subscription and writer of ours."""

    def on_startup(self, ext_id: str) -> None:
        """Make the writer known to Replicator.

        Args:
            ext_id: Name and version of this extension.
        """
        compat.register_writer(CosmosBridgeWriter)
        self._commands = command_classes() if compat.find("omni.kit.commands.Command") is not None else ()
        for command in self._commands:
            compat.need("omni.kit.commands.register")(command)
        compat.log(f"{ext_id} is up; rep.WriterRegistry.get('CosmosBridgeWriter') gives the writer.")

    def on_shutdown(self) -> None:
        """Take everything back; Kit's fast shutdown skips this, so scripts call ``writer.flush()``."""
        close_all()
        for command in self._commands:
            compat.need("omni.kit.commands.unregister")(command)
        self._commands = ()
        compat.unregister_writer(CosmosBridgeWriter.__name__)


__all__ = ["CosmosBridgeExtension"]
