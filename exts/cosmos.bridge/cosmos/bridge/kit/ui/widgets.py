"""The widgets of plain omni.ui that the panel is made of, and a few put together from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cosmos.bridge.kit import compat
from cosmos.bridge.kit.ui.style import BADGE_TEXT, BADGES, ROW


class Widgets:
    """The widgets by name, each looked up in omni.ui."""

    def __getattr__(self, name: str) -> Any:
        return compat.need(f"omni.ui.{name}")

    def button(self, text: str, identifier: str, clicked: Callable[[], Any], tooltip: str = "", **more: Any) -> Any:
        """Add a button."""
        return self.Button(
            text, identifier=identifier, clicked_fn=clicked, tooltip=tooltip, **{"height": ROW + 2, **more}
        )

    def say(self, text: str = "", **more: Any) -> Any:
        """Add a sentence that takes the lines it needs."""
        return self.Label(text, word_wrap=True, **{"height": 0, **more})

    def badge(self, word: str) -> None:
        """Add a word on a coloured ground."""
        with self.ZStack(width=74, height=ROW):
            self.Rectangle(style={"background_color": BADGES[word], "border_radius": 3})
            middle = compat.need("omni.ui.Alignment.CENTER")
            self.Label(word, alignment=middle, style=dict(BADGE_TEXT), name=f"badge_{word}")


__all__ = ["Widgets"]
