"""What tells a twin from a likeness by chance: where its error ends, light, contrast and size of place and thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cosmos.bridge.critic.truth import highest

RING = 6
"""How far from the rim of a place its surroundings reach [px]."""
_NEAR, _FAR = np.ones((3, 3), np.uint8), np.ones((5, 5), np.uint8)
_AROUND = np.ones((2 * RING + 1, 2 * RING + 1), np.uint8)
_FAINT = 0.5
"""Added to gradients before their logarithm: less than that is nothing [levels/px]."""
_TWICE = 0.7
"""So many times steeper, as a logarithm, is a clear end; more says no more [nats]."""
_FEW = 16
"""Fewest pixels that are left of a place without its rim; else the rim stays on [px]."""
_HIDDEN = 10.0
"""Square of an error that nobody sees, all channels together [levels^2]."""


@dataclass(frozen=True, slots=True, eq=False)
class Zones:
    """Parts of a place and its surroundings, bool, shape [H, W] each."""

    inner: np.ndarray
    """The place without its rim."""
    rim: np.ndarray
    """Two pixels along its outline."""
    ring: np.ndarray
    """What lies around it, from 3 to ``RING`` px away; nowhere where the place fills the picture."""

    @classmethod
    def of(cls, mask: np.ndarray) -> Zones:
        """Divide the surroundings of a mask, bool, shape [H, W]."""
        whole = mask.astype(np.uint8)
        eroded = cv2.erode(whole, _NEAR, borderValue=0) > 0
        return cls(
            eroded if np.count_nonzero(eroded) >= _FEW else mask,
            (cv2.dilate(whole, _NEAR) > 0) & ~eroded,
            cv2.dilate(whole, _AROUND) != cv2.dilate(whole, _FAR),
        )


def traits(
    source: np.ndarray, result: np.ndarray, error: np.ndarray, mask: np.ndarray, own: np.ndarray, shape: np.ndarray
) -> dict[str, float]:
    """Measure a place and the thing that may be seen again there.

    Args:
        source: Place and its surroundings, up to ``RING`` + 2 px, float32 [levels], shape [H, W, 3].
        result: The same of the result.
        error: What the source leaves unexplained of that [levels], float32, shape [3, H, W].
        mask: The place, bool, shape [H, W].
        own: Result in the box of the thing where it stands, float32 [levels], shape [h, w, 3].
        shape: The thing there, bool, shape [h, w].

    Returns:
        Name -> value, NaN where nothing tells it: lights are levels, errors, gradients and contrasts their logarithms.
    """
    zones, area = Zones.of(mask), int(np.count_nonzero(mask))
    square = error[0] * error[0] + error[1] * error[1] + error[2] * error[2]
    light, (high, wide) = highest(result), shape.shape
    return {
        **ends(error, zones),
        "error": _log(square[zones.inner]),
        "error_rim": _log(square[zones.rim]),
        "error_around": _log(square[zones.ring]),
        "light": float(light[mask].mean()),
        "light_thing": float(highest(own)[shape].mean()),
        "light_around": float(light[zones.ring].mean()) if zones.ring.any() else float("nan"),
        "light_source": float(highest(source)[mask].mean()),
        "contrast": _contrast(result, zones),
        "contrast_source": _contrast(source, zones),
        "area": float(np.log(area)),
        "thin": np.count_nonzero(zones.rim & mask) / area,
        "tall": float(np.log(high / wide)),
    }


def ends(error: np.ndarray, zones: Zones) -> dict[str, float]:
    """How steeply what is unexplained changes along the rim of a place and around it [nats].

    Args:
        error: What the source leaves unexplained [levels], float32, shape [3, H, W].
        zones: Parts of the place.

    Returns:
        Logarithms of both, NaN where there is nothing around it, and ``edge``: their difference, capped, else 0.
    """
    steep = steepest(error)
    rim = float(np.log(steep[zones.rim].mean() + _FAINT))
    if not zones.ring.any():
        return {"edge": 0.0, "ends": rim, "ends_around": float("nan")}
    around = float(np.log(steep[zones.ring].mean() + _FAINT))
    return {"edge": min(rim - around, _TWICE), "ends": rim, "ends_around": around}


def steepest(channels: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Length of the gradient of all channels together (Sobel 3 x 3 divided by 8) [levels/px], float32 [H, W] each."""
    total = np.zeros(channels[0].shape, np.float32)
    for channel in channels:
        across, down = cv2.Sobel(channel, cv2.CV_32F, 1, 0), cv2.Sobel(channel, cv2.CV_32F, 0, 1)
        total += across * across + down * down
    steep: np.ndarray = np.sqrt(total) / np.float32(8.0)
    return steep


def grain(picture: np.ndarray) -> float:
    """Median of the Laplacian's size in grey: what noise and texture a picture has everywhere [levels]."""
    grey = cv2.cvtColor(np.ascontiguousarray(picture, np.float32), cv2.COLOR_RGB2GRAY)
    return float(np.median(np.abs(cv2.Laplacian(grey, cv2.CV_32F))))


def _log(square: np.ndarray) -> float:
    return float(np.log(square.mean() + _HIDDEN)) if square.size else float("nan")


def _contrast(picture: np.ndarray, zones: Zones) -> float:
    """Logarithm of the distance of the mean colours of a place and of what is around it [nats of levels]."""
    if not zones.ring.any():
        return float("nan")
    off = picture[zones.inner].mean(axis=0) - picture[zones.ring].mean(axis=0)
    return float(np.log(np.linalg.norm(off) + 1.0))


__all__ = ["RING", "Zones", "ends", "grain", "steepest", "traits"]
