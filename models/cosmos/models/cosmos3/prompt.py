"""Prompts of Cosmos 3: structured captions in JSON, or plain text, completed by what the clip is like."""

from __future__ import annotations

import json
import math


def complete_prompt(prompt: str, *, num_frames: int, fps: float, height: int, width: int) -> str:
    """Add duration, rate, resolution and aspect ratio to a prompt, as the model was trained to read them.

    Args:
        prompt: A JSON object, whose own values win, or plain text.
        num_frames: Frames of the clip.
        fps: Frames a second.
        height: [px].
        width: [px].
    """
    try:
        caption = json.loads(prompt)
    except ValueError:
        caption = None
    seconds = num_frames / fps
    if isinstance(caption, dict):
        shared = math.gcd(height, width)
        known = {
            "duration": f"{seconds:.1f}s",
            "fps": fps,
            "resolution": {"H": height, "W": width},
            "aspect_ratio": f"{width // shared},{height // shared}",
        }
        return json.dumps({**known, **caption}, ensure_ascii=False)
    text = prompt.strip().rstrip(".")
    if num_frames == 1:
        return f"{text}. This image is of {height}x{width} resolution."
    return (
        f"{text}. The video is {seconds:.1f} seconds long and is of {fps:.0f} FPS. "
        f"This video is of {height}x{width} resolution."
    )


__all__ = ["complete_prompt"]
