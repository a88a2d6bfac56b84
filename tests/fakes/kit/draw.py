"""Draws the recorded tree of widgets as Kit would lay it out, in Kit's dark style, for pictures and for review.

The rules of layout are those of omni.ui's documentation: a width or height is pixels, a percentage, or a fraction of
what is left, and a fraction of 1 where nothing is said; 0 shrinks to the content, and content is never cut.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, Optional

import numpy as np
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont

from kit import ui

Box = tuple[float, float, float, float]
"""Left, top, right, bottom [px]."""

FONT, LINE, ROW, HEADER = 13, 17, 22, 24
BACK, PANE, FIELD, BUTTON, EDGE = (38, 38, 38), (52, 52, 52), (31, 33, 36), (71, 73, 75), (26, 26, 26)
TEXT, DIM, BLUE, FILL, HEAD = (205, 205, 205), (118, 118, 118), (74, 122, 163), (62, 98, 130), (64, 64, 64)
_FIELDS = (ui.StringField, ui.IntField, ui.FloatField, ui.FloatSlider, ui.IntSlider)
_STACKS = (ui.VStack, ui.Frame, ui.ScrollingFrame, ui.CollapsableFrame)


def draw_window(window: ui.Window, width: int = 520, height: Optional[int] = None) -> np.ndarray:
    """Return the picture of a window, uint8 RGB, shape [H, W, 3].

    Args:
        window: What was recorded.
        width: Width of the window [px].
        height: Its height [px]; all of its content, as if nothing needed to scroll, when ``None``.
    """
    inner = width - 16
    need = _height(window.frame, inner)
    total = (height or round(need) + 16) + HEADER
    picture = Pictures.new("RGB", (width, total), BACK)
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, 0, width, HEADER), fill=EDGE)
    pen.rectangle((0, 0, _length(window.title) + 24, HEADER), fill=PANE)
    _write(pen, (12, 0, width, HEADER), window.title, TEXT)
    _draw(picture, window.frame, (8, HEADER + 8, width - 8, total - 8), True)
    return np.asarray(picture)


@lru_cache(maxsize=4)
def _font(size: int = FONT) -> Any:
    return ImageFont.load_default(size)


def _length(text: str, size: int = FONT) -> float:
    return float(_font(size).getlength(text))


def _style(widget: ui.Widget, key: str, default: Any = None) -> Any:
    return (widget.style or {}).get(key, default)


def _color(widget: ui.Widget, key: str, default: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return a colour of a style, which omni.ui writes as 0xAABBGGRR."""
    value = _style(widget, key)
    return default if value is None else (value & 255, value >> 8 & 255, value >> 16 & 255)


def _lines(text: str, width: float, size: int) -> list[str]:
    """Break text at spaces, as ``word_wrap`` does."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and _length(longer, size) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines


def _given(widget: ui.Widget, side: str, all_of: float) -> tuple[str, float]:
    """Return how a side was asked for: ``px``, ``part`` of what is left, or ``content``."""
    value = widget._given.get(side)
    if value is None:
        return "part", 1.0
    if isinstance(value, ui.Fraction):
        return "part", value.value
    if isinstance(value, ui.Percent):
        return "px", value.value / 100.0 * all_of
    pixels = value.value if isinstance(value, ui.Length) else float(value)
    return ("px", pixels) if pixels > 0 else ("content", 0.0)


def _shown(widget: ui.Widget) -> list[ui.Widget]:
    return [child for child in widget._children if child._visible]


def _spacing(widget: ui.Widget) -> float:
    return float(widget._given.get("spacing", 0))


def _width(widget: ui.Widget) -> float:
    """Return the least width of the content."""
    how, pixels = _given(widget, "width", 0.0)
    if how == "px":
        return pixels
    if isinstance(widget, (ui.Button, ui.Label)):
        wraps = widget._given.get("word_wrap") or widget._given.get("elided_text")
        pad = 16 if isinstance(widget, ui.Button) else 0
        return pad + (0.0 if wraps else _length(widget.text, _style(widget, "font_size", FONT)))
    if isinstance(widget, ui.HStack):
        children = _shown(widget)
        return sum(map(_width, children)) + _spacing(widget) * max(0, len(children) - 1)
    if widget.is_container:
        return max((_width(child) for child in _shown(widget)), default=0.0)
    if isinstance(widget, ui.CheckBox):
        return 16.0
    return 40.0 if isinstance(widget, (ui.ComboBox, *_FIELDS)) else 0.0


def _height(widget: ui.Widget, width: float) -> float:
    """Return the least height of a widget of a width."""
    how, pixels = _given(widget, "height", 0.0)
    return max(pixels, _content(widget, width)) if how == "px" else _content(widget, width)


def _content(widget: ui.Widget, width: float) -> float:
    if isinstance(widget, ui.Button):
        return float(ROW)
    if isinstance(widget, ui.Label):
        size = _style(widget, "font_size", FONT)
        rows = len(_lines(widget.text, width, size)) if widget._given.get("word_wrap") else 1
        return rows * (LINE + size - FONT)
    if isinstance(widget, ui.HStack):
        children = _shown(widget)
        widths = _share(children, "width", width, _spacing(widget), _width)
        return max((_height(child, wide) for child, wide in zip(children, widths, strict=True)), default=0.0)
    if isinstance(widget, ui.ZStack):
        return max((_height(child, width) for child in _shown(widget)), default=0.0)
    if isinstance(widget, ui.CollapsableFrame) and widget.collapsed:
        return float(HEADER)
    if isinstance(widget, ui.ScrollingFrame) and _given(widget, "height", 0.0)[0] == "px":
        return 0.0  # what does not fit is scrolled to
    if isinstance(widget, _STACKS):
        children = _shown(widget)
        head = HEADER + 12 if isinstance(widget, ui.CollapsableFrame) else 0
        inner = width - 12 if isinstance(widget, ui.CollapsableFrame) else width
        inside = sum(_height(child, inner) for child in children)
        return head + inside + _spacing(widget) * max(0, len(children) - 1)
    if isinstance(widget, (ui.ComboBox, ui.ProgressBar, *_FIELDS)):
        return float(ROW)
    if isinstance(widget, (ui.Separator, ui.Line)):
        return 7.0
    return 16.0 if isinstance(widget, ui.CheckBox) else 0.0


def _share(children: list[ui.Widget], side: str, total: float, spacing: float, need: Any) -> list[float]:
    """Give each child its part of a row or column."""
    left = total - spacing * max(0, len(children) - 1)
    sizes, parts = [0.0] * len(children), {}
    for index, child in enumerate(children):
        how, value = _given(child, side, total)
        if how == "part":
            parts[index] = value
        else:
            sizes[index] = max(value, need(child)) if side == "height" or how == "content" else value
            left -= sizes[index]
    while parts:
        unit = max(0.0, left) / (sum(parts.values()) or 1.0)
        tight = [index for index, part in parts.items() if need(children[index]) > part * unit]
        if not tight:
            for index, part in parts.items():
                sizes[index] = part * unit
            break
        for index in tight:
            sizes[index] = need(children[index])
            left -= sizes[index]
            del parts[index]
    return sizes


def _draw(picture: Any, widget: ui.Widget, box: Box, enabled: bool) -> None:
    if not widget._visible:
        return
    pen, enabled = ImageDraw.Draw(picture), enabled and widget._enabled
    left, top, right, bottom = box
    if isinstance(widget, ui.CollapsableFrame):
        pen.rounded_rectangle(box, 3, fill=PANE)
        pen.rounded_rectangle((left, top, right, top + HEADER - 2), 3, fill=HEAD)
        _triangle(pen, left + 12, top + HEADER / 2 - 1, widget.collapsed)
        _write(pen, (left + 24, top, right, top + HEADER - 2), widget.title, TEXT)
        if not widget.collapsed:
            _column(picture, widget, (left + 6, top + HEADER + 4, right - 6, bottom - 8), enabled)
    elif isinstance(widget, ui.HStack):
        children = _shown(widget)
        widths = _share(children, "width", right - left, _spacing(widget), _width)
        x = left
        for child, wide in zip(children, widths, strict=True):
            own = _given(child, "height", bottom - top)[0] == "px"
            end = min(bottom, top + _height(child, wide)) if own else bottom
            _draw(picture, child, (x, top, x + wide, end), enabled)
            x += wide + _spacing(widget)
    elif isinstance(widget, ui.ZStack):
        for child in _shown(widget):
            _draw(picture, child, box, enabled)
    elif isinstance(widget, ui.ScrollingFrame):
        _draw_scrolled(picture, widget, box, enabled)
    elif widget.is_container:
        _column(picture, widget, box, enabled)
    else:
        _draw_leaf(picture, pen, widget, box, enabled)


def _draw_scrolled(picture: Any, widget: ui.Widget, box: Box, enabled: bool) -> None:
    """Draw as much as there is room for, with a bar where there is more."""
    left, top, right, bottom = map(round, box)
    need = sum(_height(child, right - left) for child in _shown(widget))
    if need <= bottom - top:
        _column(picture, widget, box, enabled)
        return
    whole = Pictures.new("RGB", (right - left, round(need)), picture.getpixel((left, top)))
    _column(whole, widget, (0, 0, right - left, need), enabled)
    picture.paste(whole.crop((0, 0, right - left, bottom - top)), (left, top))
    pen, high = ImageDraw.Draw(picture), (bottom - top) ** 2 / need
    pen.rounded_rectangle((right - 6, top, right - 2, top + high), 2, fill=DIM)


def _column(picture: Any, widget: ui.Widget, box: Box, enabled: bool) -> None:
    left, top, right, bottom = box
    children = _shown(widget)
    heights = _share(children, "height", bottom - top, _spacing(widget), lambda child: _height(child, right - left))
    y = top
    for child, high in zip(children, heights, strict=True):
        _draw(picture, child, (left, y, right, y + high), enabled)
        y += high + _spacing(widget)


def _draw_leaf(picture: Any, pen: Any, widget: ui.Widget, box: Box, enabled: bool) -> None:
    left, top, right, bottom = box
    ink = _color(widget, "color", TEXT) if enabled else DIM
    if isinstance(widget, ui.Button):
        face = _color(widget, "background_color", BUTTON) if enabled else PANE
        pen.rounded_rectangle((left, top, right - 1, bottom - 1), 3, fill=face, outline=EDGE)
        _write(pen, box, widget.text, ink, middle=True)
    elif isinstance(widget, ui.Label):
        _draw_label(pen, widget, box, ink)
    elif isinstance(widget, (ui.Separator, ui.Line)):
        pen.line((left, (top + bottom) / 2, right, (top + bottom) / 2), fill=HEAD)
    elif isinstance(widget, ui.Rectangle):
        radius = _style(widget, "border_radius", 0)
        pen.rounded_rectangle((left, top, right - 1, bottom - 1), radius, fill=_color(widget, "background_color", PANE))
    elif isinstance(widget, ui.ImageWithProvider):
        _paste(picture, pen, widget._provider._picture, box)
    elif isinstance(widget, ui.Image):
        path = Path(widget._url)
        _paste(picture, pen, np.asarray(Pictures.open(path).convert("RGB")) if path.is_file() else None, box)
    elif isinstance(widget, ui.CheckBox):
        _draw_check(pen, widget, box, enabled)
    elif isinstance(widget, (ui.ComboBox, ui.ProgressBar, *_FIELDS)):
        _draw_field(pen, widget, box, ink)


def _draw_label(pen: Any, widget: ui.Label, box: Box, ink: tuple[int, int, int]) -> None:
    left, top, right, bottom = box
    size = _style(widget, "font_size", FONT)
    if widget._given.get("word_wrap"):
        lines, high = _lines(widget.text, right - left, size), LINE + size - FONT
        top += max(0.0, (bottom - top - high * len(lines)) / 2)  # labels stand in the middle of their place
        for row, line in enumerate(lines):
            _write(pen, (left, top + row * high, right, top + (row + 1) * high), line, ink, size=size)
        return
    text = widget.text
    if widget._given.get("elided_text") and _length(text, size) > right - left:
        while text and _length(text + "...", size) > right - left:
            text = text[:-1]
        text += "..."
    _write(pen, box, text, ink, size=size, middle=widget._given.get("alignment") == ui.Alignment().CENTER)


def _draw_check(pen: Any, widget: ui.CheckBox, box: Box, enabled: bool) -> None:
    x, y = box[0] + 1, (box[1] + box[3]) / 2 - 7
    ticked = widget.model._value
    pen.rounded_rectangle((x, y, x + 13, y + 13), 2, fill=(158, 158, 158) if enabled else DIM)
    if ticked:
        pen.line((x + 3, y + 7, x + 6, y + 10, x + 11, y + 3), fill=EDGE, width=2)


def _draw_field(pen: Any, widget: ui.Widget, box: Box, ink: tuple[int, int, int]) -> None:
    left, top, right, bottom = box
    pen.rounded_rectangle((left, top, right - 1, bottom - 1), 3, fill=FIELD)
    if isinstance(widget, ui.ComboBox):
        index = widget.model._index._value
        _write(pen, (left + 6, top, right - 18, bottom), widget._items[index] if widget._items else "", ink)
        _triangle(pen, right - 11, (top + bottom) / 2, False)
        return
    value = widget.model._value
    bar = isinstance(widget, ui.ProgressBar)
    if bar or isinstance(widget, (ui.FloatSlider, ui.IntSlider)):
        low, high = widget._given.get("min", 0.0), widget._given.get("max", 1.0)
        share = min(1.0, max(0.0, (value - low) / ((high - low) or 1.0)))
        if share > 0.0:
            end = left + max(3.0, share * (right - left - 1))
            pen.rounded_rectangle((left, top, end, bottom - 1), 3, fill=BLUE if bar else FILL)
        text = f"{100 * value:.0f}%" if bar else f"{value:.2f}" if isinstance(value, float) else str(value)
        _write(pen, box, text, ink, middle=True)
        return
    text = f"{value:g}" if isinstance(value, float) else str(value)
    if widget._given.get("multiline"):
        for row, line in enumerate(_lines(text, right - left - 12, FONT)):
            _write(pen, (left + 6, top + 2 + row * LINE, right, top + 2 + (row + 1) * LINE), line, ink)
        return
    while text and _length(text) > right - left - 10:
        text = text[1:]
    _write(pen, (left + 6, top, right, bottom), text, ink)


def _write(pen: Any, box: Box, text: str, ink: tuple[int, int, int], *, size: int = FONT, middle: bool = False) -> None:
    left, top, right, bottom = box
    x, anchor = ((left + right) / 2, "mm") if middle else (left, "lm")
    pen.text((x, (top + bottom) / 2), text, fill=ink, font=_font(size), anchor=anchor)


def _triangle(pen: Any, x: float, y: float, right: bool) -> None:
    points = [(x - 3, y - 5), (x - 3, y + 5), (x + 4, y)] if right else [(x - 5, y - 3), (x + 5, y - 3), (x, y + 4)]
    pen.polygon(points, fill=TEXT)


def _paste(picture: Any, pen: Any, pixels: Optional[np.ndarray], box: Box) -> None:
    """Fit a picture into its place with its proportions kept; black where there is none."""
    left, top, right, bottom = map(round, box)
    pen.rectangle((left, top, right - 1, bottom - 1), fill=(20, 20, 20))
    if pixels is None or right <= left or bottom <= top:
        return
    shown = Pictures.fromarray(pixels[..., :3])
    scale = min((right - left) / shown.width, (bottom - top) / shown.height)
    size = max(1, round(shown.width * scale)), max(1, round(shown.height * scale))
    shown = shown.resize(size, Pictures.Resampling.LANCZOS)
    picture.paste(shown, (left + (right - left - size[0]) // 2, top + (bottom - top - size[1]) // 2))


__all__ = ["draw_window"]
