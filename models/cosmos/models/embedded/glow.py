"""The glow of lamps in haze, laid over what the net paints as after a transfer, for losses: it can be differentiated.

The curves are those of ``cosmos.bridge.kernels.display`` and ``laid_glow``: sRGB (IEC 61966-2-1) and the ACES fit of
S. Hill (2016).
"""

from __future__ import annotations

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253

_TO_FILM = ((0.59719, 0.35458, 0.04823), (0.07600, 0.90834, 0.01566), (0.02840, 0.13383, 0.83777))
_TO_DISPLAY = ((1.60475, -0.53108, -0.07367), (-0.10208, 1.10813, -0.00605), (-0.00327, -0.07276, 1.07602))
_TOP, _OFFSET, _BOTTOM, _MIDDLE, _END = 0.0245786, 0.000090537, 0.983729, 0.4329510, 0.238081
"""Of the curve (x (x + top) - offset) / (x (bottom x + middle) + end)."""


def lay_glow(picture: Tensor, glow: Tensor, *, sign: float = 1.0) -> Tensor:
    """Return pictures with the glow of lamps added as light; where none glows they stay as they are, to the bit.

    Args:
        picture: Pictures in [-1, 1], shape [B, 3, H, W].
        glow: ``LightMaps.glow`` in [0, 1], of the same shape.
        sign: -1 takes a glow away again, but for what white and black have clipped.
    """
    there = glow.amax(dim=1) > 0.0
    if not bool(there.any()):
        return picture
    rows = picture.permute(0, 2, 3, 1)
    level = rows[there].float() * 0.5 + 0.5
    level = level + (level.clamp(0.0, 1.0) - level).detach()  # what the picture clips still learns
    share = _linear(glow.permute(0, 2, 3, 1)[there].float())
    light = _scene_linear(_linear(level)) + share / (1.0 - share).clamp_min(1e-3) * sign
    laid = rows.clone()
    laid[there] = (_srgb(_display_linear(light)) * 2.0 - 1.0).to(rows.dtype)
    return laid.permute(0, 3, 1, 2)


def _linear(level: Tensor) -> Tensor:
    """Levels of sRGB to display-linear."""
    return torch.where(level <= 0.04045, level / 12.92, ((level.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)


def _srgb(value: Tensor) -> Tensor:
    """Display-linear to levels of sRGB."""
    bent = 1.055 * value.clamp_min(0.0031308) ** (1.0 / 2.4) - 0.055
    return torch.where(value <= 0.0031308, 12.92 * value, bent)


def _display_linear(light: Tensor) -> Tensor:
    """Scene-linear to display-linear."""
    x = light @ light.new_tensor(_TO_FILM).T
    x = (x * (x + _TOP) - _OFFSET) / (x * (_BOTTOM * x + _MIDDLE) + _END)
    return (x @ x.new_tensor(_TO_DISPLAY).T).clamp(0.0, 1.0)


def _scene_linear(shown: Tensor) -> Tensor:
    """Display-linear to scene-linear; what was clipped comes back at its edge, nothing below 0."""
    v = (shown @ torch.linalg.inv(shown.new_tensor(_TO_DISPLAY)).T).clamp(0.0, 0.98)
    a, b, c = 1.0 - _BOTTOM * v, _TOP - _MIDDLE * v, -_OFFSET - _END * v
    x = (-b + (b * b - 4.0 * a * c).sqrt()) / (2.0 * a)
    return (x @ torch.linalg.inv(x.new_tensor(_TO_FILM)).T).clamp_min(0.0)


__all__ = ["lay_glow"]
