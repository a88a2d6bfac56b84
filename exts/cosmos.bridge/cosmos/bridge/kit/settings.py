"""What is set under ``/exts/cosmos.bridge/`` in Kit's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cosmos.bridge.errors import ConfigError
from cosmos.bridge.kit import compat
from cosmos.bridge.kit.annotators import Calibration

ROOT = "/exts/cosmos.bridge/"
PERSISTENT = "/persistent/exts/cosmos.bridge/"
"""Where the user's own values are kept over restarts; they win."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KitSettings:
    """Defaults of the panel and of writers that do not say."""

    max_pending: int = 2
    """Takes that may wait for the model before capture pauses, >= 1."""
    depth_in_scene_units: bool = False
    """Calibration: whether ``distance_to_*`` comes in units of the stage."""
    motion_scale_x: float = 1.0
    """Calibration: factor on ``motion_vectors`` x."""
    motion_scale_y: float = 1.0
    """Calibration: factor on ``motion_vectors`` y."""
    motion_void_is_filler: bool = False
    """Calibration: whether ``motion_vectors`` holds a filler, not motion, where nothing was hit."""
    renderer_device: int = 0
    """Calibration: CUDA ordinal of the GPU whose pictures a dynamic texture takes as they are; -1 for none."""
    calibrated_on: str = ""
    """Version of the application that the self-test calibrated; empty before."""
    output_dir: str = ""
    """Folder that a new panel suggests for results."""
    panel: str = ""
    """Fields of the panel when it was last closed, as JSON; empty for the defaults."""

    @property
    def calibration(self) -> Calibration:
        """What the self-test measured."""
        return Calibration(
            depth_in_scene_units=self.depth_in_scene_units,
            motion_scale=(self.motion_scale_x, self.motion_scale_y),
            motion_void_is_filler=self.motion_void_is_filler,
        )


def read_settings() -> KitSettings:
    """Read the settings.

    Raises:
        ConfigError: If one has another type.
    """
    store = compat.need("carb.settings.get_settings")()
    values: dict[str, Any] = {}
    for name, field in KitSettings.__dataclass_fields__.items():
        value = store.get(PERSISTENT + name)
        if value is None:
            value = store.get(ROOT + name)
        if value is None:
            continue
        wanted = type(field.default)
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not wanted:
            raise ConfigError(f"The setting {ROOT}{name} must be a {wanted.__name__}, got {value!r}; correct it.")
        values[name] = value
    return KitSettings(**values)


def keep(**values: Any) -> None:
    """Keep settings over restarts.

    Args:
        **values: Fields of `KitSettings`.
    """
    store = compat.need("carb.settings.get_settings")()
    for name, value in values.items():
        if name not in KitSettings.__dataclass_fields__:
            raise ConfigError(f"{name} is no setting of cosmos.bridge.")
        store.set(PERSISTENT + name, value)


__all__ = ["PERSISTENT", "ROOT", "KitSettings", "keep", "read_settings"]
