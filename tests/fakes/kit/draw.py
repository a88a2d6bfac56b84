"""Draws the recorded tree of widgets, so that a panel can be looked at without Kit.

It shows what is where and in which state, in colours near Kit's; it is not how omni.ui draws.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

BACK, FIELD, EDGE, TEXT, DIM = (58, 58, 58), (35, 35, 35), (80, 80, 80), (220, 220, 220), (120, 120, 120)
HEAD, BLUE, GREEN, RED, AMBER = (74, 74, 74), (190, 140, 70), (110, 190, 110), (100, 100, 230), (90, 180, 235)
NAMES = {"badge_accepted": GREEN, "badge_rejected": RED, "badge_failed": RED, "badge_refused": RED, "status": AMBER,
         "message": AMBER, "reason": DIM}  # fmt: skip
FONT, SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.42
HEIGHTS = {"Label": 22, "Button": 24, "StringField": 22, "IntField": 22, "FloatSlider": 22, "CheckBox": 22,
           "ComboBox": 22, "ProgressBar": 14, "Image": 220, "ImageWithProvider": 220, "Spacer": 4}  # fmt: skip


def draw_window(window: Any, *, width: int = 460) -> np.ndarray:
    """Return a picture of a window, BGR."""
    height = 30 + _height(window.frame, width - 12) + 10
    picture = np.full((height, width, 3), BACK, np.uint8)
    cv2.rectangle(picture, (0, 0), (width, 26), (45, 45, 45), -1)
    _write(picture, window.title, 8, 18, TEXT)
    _paint(picture, window.frame, 6, 30, width - 12)
    return picture


def _size(given: Any) -> float:
    return float(getattr(given, "value", given) or 0)


def _lines(text: str, width: int, wrap: bool) -> list[str]:
    if not wrap:
        return [text]
    lines, line = [], ""
    for word in text.split(" "):
        longer = f"{line} {word}".strip()
        if line and cv2.getTextSize(longer, FONT, SCALE, 1)[0][0] > width - 6:
            lines.append(line)
            longer = word
        line = longer
    return [*lines, line]


def _height(widget: Any, width: int) -> int:
    if not widget.visible:
        return 0
    kind, own = type(widget).__name__, _size(widget._given.get("height"))
    gap = int(widget._given.get("spacing", 0) or 0)
    if kind == "Label":
        return max(int(own) or 22, 17 * len(_lines(widget.text, width, widget._given.get("word_wrap", False))) + 5)
    if kind == "HStack":
        inner = [_height(child, w) for child, w in zip(widget._children, _widths(widget, width), strict=True)]
        return max([int(own), *inner])
    if kind == "CollapsableFrame":
        return 28 + sum(_height(child, width - 10) for child in widget._children) + 6
    if kind == "ScrollingFrame" and own:
        return min(int(own), sum(_height(child, width) for child in widget._children))
    if widget.is_container:
        inner = [_height(child, width) for child in widget._children]
        content = sum(inner) + gap * max(0, len(inner) - 1)
        return content if kind != "Frame" or content else 0
    return int(own) or HEIGHTS.get(kind, 22)


def _widths(row: Any, width: int) -> list[int]:
    gap = int(row._given.get("spacing", 0) or 0)
    fixed = [_size(child._given.get("width")) for child in row._children]
    free = max(0.0, width - sum(fixed) - gap * max(0, len(fixed) - 1))
    loose = max(1, sum(not size for size in fixed))
    return [int(size or free / loose) for size in fixed]


def _paint(picture: np.ndarray, widget: Any, x: int, y: int, width: int) -> None:
    if not widget.visible:
        return
    kind = type(widget).__name__
    gap = int(widget._given.get("spacing", 0) or 0)
    if kind == "HStack":
        for child, size in zip(widget._children, _widths(widget, width), strict=True):
            _paint(picture, child, x, y, size)
            x += size + gap
    elif kind == "CollapsableFrame":
        cv2.rectangle(picture, (x, y + 2), (x + width, y + 24), HEAD, -1)
        _write(picture, f"v  {widget.title}", x + 6, y + 18, TEXT)
        y += 28
        for child in widget._children:
            _paint(picture, child, x + 6, y, width - 10)
            y += _height(child, width - 10)
    elif widget.is_container:
        tall = _height(widget, width) if kind == "ScrollingFrame" else None
        onto = picture if tall is None else picture[: y + tall]
        for child in widget._children:
            if y < onto.shape[0]:
                _paint(onto, child, x, y, width)
            y += _height(child, width) + gap
    else:
        _leaf(picture, widget, kind, x, y, width)


def _leaf(picture: np.ndarray, widget: Any, kind: str, x: int, y: int, width: int) -> None:
    height, ink = _height(widget, width), TEXT if widget.enabled else DIM
    box = ((x, y + 1), (x + width - 2, y + height - 2))
    if kind == "Label":
        ink = NAMES.get(widget.name, ink)
        ink = GREEN if widget.name == "status" and widget.text == "Ready." else ink
        for number, line in enumerate(_lines(widget.text, width, widget._given.get("word_wrap", False))):
            _write(picture, line, x + 2, y + 15 + 17 * number, ink, width)
    elif kind == "Button":
        cv2.rectangle(picture, *box, (66, 66, 66) if widget.enabled else (52, 52, 52), -1)
        cv2.rectangle(picture, *box, EDGE, 1)
        wide = cv2.getTextSize(widget.text, FONT, SCALE, 1)[0][0]
        _write(picture, widget.text, x + max(2, (width - wide) // 2), y + 16, ink, width)
    elif kind == "CheckBox":
        cv2.rectangle(picture, (x + 2, y + 4), (x + 15, y + 17), FIELD, -1)
        if widget.model.get_value_as_bool():
            cv2.line(picture, (x + 4, y + 10), (x + 8, y + 14), GREEN, 2)
            cv2.line(picture, (x + 8, y + 14), (x + 14, y + 5), GREEN, 2)
    elif kind == "ProgressBar":
        cv2.rectangle(picture, *box, FIELD, -1)
        share = widget.model.get_value_as_float()
        cv2.rectangle(picture, (x, y + 1), (x + int((width - 2) * share), y + height - 2), BLUE, -1)
    elif kind in ("Image", "ImageWithProvider"):
        _picture(picture, widget, kind, box)
    else:
        cv2.rectangle(picture, *box, FIELD, -1)
        value = widget.model.get_item_value_model() if kind == "ComboBox" else widget.model
        if kind == "FloatSlider":
            share = float(np.clip(value.get_value_as_float(), 0.0, 1.0))
            cv2.rectangle(picture, (x, y + 1), (x + int((width - 2) * share), y + height - 2), (95, 80, 60), -1)
            text = f"{value.get_value_as_float():.2f}"
        else:
            text = (
                widget._items[value.get_value_as_int()] + "  v" if kind == "ComboBox" else value.get_value_as_string()
            )
        for number, line in enumerate(_lines(text, width, bool(widget._given.get("multiline")))[:3]):
            _write(picture, line, x + 5, y + 15 + 17 * number, ink, width)


def _picture(picture: np.ndarray, widget: Any, kind: str, box: Any) -> None:
    (x, y), (right, bottom) = box
    cv2.rectangle(picture, *box, (0, 0, 0), -1)
    if kind == "Image":
        shown = cv2.imread(widget._url) if Path(widget._url).is_file() else None
    else:
        held = widget._provider._picture
        shown = None if held is None else np.ascontiguousarray(held[..., 2::-1])
    if shown is None:
        return
    scale = min((right - x) / shown.shape[1], (bottom - y) / shown.shape[0])
    size = (max(1, int(shown.shape[1] * scale)), max(1, int(shown.shape[0] * scale)))
    small = cv2.resize(shown, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    left, top = x + (right - x - size[0]) // 2, y + (bottom - y - size[1]) // 2
    picture[top : top + size[1], left : left + size[0]] = small


def _write(picture: np.ndarray, text: str, x: int, y: int, ink: Any, width: int = 10_000) -> None:
    text = text.replace("\n", " ").encode("ascii", "replace").decode()
    while text and cv2.getTextSize(text, FONT, SCALE, 1)[0][0] > width:
        text = text[:-1]
    cv2.putText(picture, text, (x, y), FONT, SCALE, ink, 1, cv2.LINE_AA)
