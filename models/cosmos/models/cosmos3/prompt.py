"""Prompts of Cosmos 3: structured captions in JSON, or plain text, completed by what the clip is like."""

from __future__ import annotations

import json
from typing import Any

_ASPECTS = ("1,1", "4,3", "3,4", "16,9", "9,16")
"""Aspect ratios that captions are trained with, width first."""


def complete_prompt(prompt: str, *, num_frames: int, fps: float, height: int, width: int) -> str:
    """Add duration, rate, resolution and aspect ratio to a prompt, as the model was trained to read them.

    Args:
        prompt: A JSON object, whose own values win, or plain text.
        num_frames: Frames of the clip.
        fps: Frames a second.
        height: [px].
        width: [px].
    """
    caption = _caption(prompt)
    seconds = num_frames / fps
    if caption is not None:
        known = {
            "duration": f"{int(seconds)}s",
            "fps": float(fps),
            "resolution": {"H": height, "W": width},
            "aspect_ratio": min(_ASPECTS, key=lambda aspect: abs(_ratio(aspect) - width / height)),
        }
        added = {name: value for name, value in known.items() if name not in caption}
        return json.dumps({**caption, **added}, ensure_ascii=False)
    text = prompt.strip().rstrip(".")
    if num_frames == 1:
        return f"{text}. This image is of {height}x{width} resolution."
    return (
        f"{text}. The video is {seconds:.1f} seconds long and is of {fps:.0f} FPS. "
        f"This video is of {height}x{width} resolution."
    )


def name_control(prompt: str, hint: str) -> str:
    """Add the sentence by which captions of the training data name the control.

    Args:
        prompt: The prompt, completed.
        hint: NVIDIA's name of the control.
    """
    return (
        f"{prompt.rstrip()} Follow the {hint} control video precisely: shape, contour, silhouette, position, and "
        f"motion of every visible structure must align with the {hint} signal at every frame."
    )


def _caption(prompt: str) -> dict[str, Any] | None:
    """Return a structured caption; ``None`` for plain text."""
    try:
        caption = json.loads(prompt)
    except ValueError:
        return None
    return caption if isinstance(caption, dict) else None


def _ratio(aspect: str) -> float:
    width, height = aspect.split(",")
    return int(width) / int(height)


__all__ = ["complete_prompt", "name_control"]
