"""What drawing adds to a scene or leaves out of it, known before anything is drawn."""

from __future__ import annotations

from cosmos.bridge.render.scene import Scene

MAX_LAMPS = 64
"""Local lights that are drawn; the brightest are kept."""


def remarks(scene: Scene) -> tuple[str, ...]:
    """Return what the drawing side adds or leaves out on this scene, one sentence each."""
    notes = []
    if not scene.lights:
        notes.append("The stage has no light; a sky and a sun were added.")
    local = sum(light.kind not in ("dome", "distant") for light in scene.lights)
    if local > MAX_LAMPS:
        notes.append(f"The stage has {local} local lights; the strongest {MAX_LAMPS} are drawn.")
    return tuple(notes)


__all__ = ["MAX_LAMPS", "remarks"]
