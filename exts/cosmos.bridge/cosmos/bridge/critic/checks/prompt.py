"""Was the prompt obeyed, as far as the simulator can measure it?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Optional

import cv2
import numpy as np

from cosmos.bridge.critic.checks.colors import kept_share
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, measured, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Chunk, lowest
from cosmos.bridge.types import TransferRequest, TransferResult

_NEUTRAL = {"overcast": 0.3, "fog": 0.2, "rain": 0.2, "snow": 0.2, "dust": 0.2}
"""Conditions up to these ask for little; a source may pass for them as it is."""
_NIGHT = -10.0
"""Elevation of the sun below which the sky must be dark [deg]; in twilight it may glow."""
_CLEARLY = 0.3
"""Amount of fog, dust or snow from which on it must show where it ought to."""
_BESIDE = np.ones((5, 5), np.uint8)
"""What lies within two pixels of what is kept is not asked either."""
_LEVEL = np.full((1, 3), 1.0 / 3.0, np.float32)
_FIELDS = ("sun_elevation", *_NEUTRAL)


class PromptSweep:
    """Holds the result against the conditions that the backend understood: darker at night, hazy afar, white on top.

    At night the sky is dark; lamps may light all else, so without depth, where sky cannot be told from lit surfaces,
    the whole picture is asked. A backend that does not record what it understood is not judged here, nor is what the
    request keeps, or a picture of which it keeps half or more.
    """

    family = "prompt"

    def __init__(
        self, request: TransferRequest, result: TransferResult, thresholds: Mapping[str, Threshold], limits: Limits
    ) -> None:
        self._thresholds, self._limits = thresholds, limits
        self._asked = understood(result)
        asked = self._asked or {"sun_elevation": 90.0, "fog": 0.0, "dust": 0.0, "snow": 0.0}
        self._night = asked["sun_elevation"] < _NIGHT
        self._hazy, self._snowy = max(asked["fog"], asked["dust"]) >= _CLEARLY, asked["snow"] >= _CLEARLY
        self._share = kept_share(request)
        self._kept = self._share is not None and float(self._share.mean()) >= 0.5
        clip = request.clip
        self._depth = clip.depth is not None
        self._normals, self._up = clip.normals, 1 if clip.up_axis == "Y" else 2
        self._sums = np.zeros((2, 6))
        self._counts = np.zeros(6)
        self._change, self._frames = 0.0, 0
        self._pictures: list[tuple[float, float]] = []

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in."""
        if self._asked is None or self._kept:
            return
        step = max(1, round((chunk.source.shape[1] * chunk.source.shape[2] / self._limits.prompt_samples) ** 0.5))
        cut = slice(None, None, step)
        for i in range(chunk.halo, chunk.source.shape[0]):
            frame = chunk.first + i - chunk.halo
            pictures = [np.ascontiguousarray(video[i, cut, cut]) for video in (chunk.source, chunk.result)]
            self._change += float(cv2.absdiff(*pictures).mean())
            self._frames += 1
            if not any((self._night, self._hazy, self._snowy)):
                continue
            depth = None if chunk.depth is None else chunk.depth[i, cut, cut]
            up = None
            if self._normals is not None and self._snowy:
                up = self._normals[frame].numpy()[cut, cut, self._up]
            free = np.ones(pictures[0].shape[:2], bool)
            if self._share is not None:  # the outline of what is kept is as sharp as it was, in its surroundings too
                free = cv2.dilate((self._share[frame] >= 0.5).astype(np.uint8), _BESIDE)[cut, cut] == 0
            self._gather(pictures, [steep[i, cut, cut] for steep in chunk.steep], depth, up, free)

    def _gather(
        self,
        pictures: list[np.ndarray],
        edges: list[np.ndarray],
        depth: Optional[np.ndarray],
        up: Optional[np.ndarray],
        free: np.ndarray,
    ) -> None:
        """Sum over regions of what is not kept, where the prompt asks for something there.

        They are all of it, near edges, far edges, upward faces, other faces, sky.
        """
        masks = {0: free}
        if depth is not None:
            seen = np.isfinite(depth) & (depth > 0.0)
            masks[5], seen = free & ~seen, free & seen
            if self._hazy and seen.any():
                high = float(np.percentile(depth[seen], 70))
                masks[1], masks[2] = seen & (depth <= 0.5 * high), seen & (depth >= max(high, self._limits.fog_depth))
            if up is not None:
                masks[3], masks[4] = seen & (up > 0.8), seen & (np.abs(up) < 0.3)
        regions = {column: np.flatnonzero(mask) for column, mask in masks.items()}
        for column, region in regions.items():
            self._counts[column] += len(region)
        for row, (picture, edge) in enumerate(zip(pictures, edges, strict=True)):
            values = {1: edge, 2: edge}
            if self._night:
                values[0] = values[5] = cv2.transform(picture.astype(np.float32), _LEVEL)
            if self._snowy:
                values[3] = values[4] = lowest(picture)
            for column in values.keys() & regions.keys():
                self._sums[row, column] += float(values[column].take(regions[column]).sum(dtype=np.float64))

    def conclude(self) -> Outcome:
        """Hold everything seen against the bars."""
        if self._asked is None:
            text = "The prompt could not be checked: the backend does not record which conditions it understood."
            return Outcome(findings=(unchecked("prompt_change", text),))
        if self._kept or not self._frames:
            text = "The prompt was not checked: the request keeps the source's own picture."
            return Outcome(findings=(unchecked("prompt_change", text),))
        values = self._values(self._asked)
        measurements = tuple(measured(self._thresholds, check, value) for check, (value, _) in values.items())
        findings = tuple(
            self._thresholds[check].finding(check, text, value)
            for check, (value, text) in values.items()
            if not self._thresholds[check].passes(value)
        )
        return Outcome(measurements=measurements, findings=findings)

    def _values(self, asked: Mapping[str, float]) -> dict[str, tuple[float, str]]:
        """What can be measured of what was asked, with the sentence for a miss."""
        values: dict[str, tuple[float, str]] = {}
        mean = self._sums / np.maximum(self._counts, 1)
        samples = self._counts / max(self._counts[0], 1)
        weather = any(asked[name] >= bar for name, bar in _NEUTRAL.items())
        if weather or asked["sun_elevation"] < 10.0:
            value = self._change / self._frames
            text = f"The result differs from the source by {value:.1f} levels on average: the prompt was ignored."
            values["prompt_change"] = value, text
        where, told = (5, "its sky") if self._depth else (0, "the result")
        glowing = not self._depth and (asked["snow"] >= 0.2 or asked["fog"] >= 0.2)  # lit, they may outshine the source
        if self._night and samples[where] > 0.02 and mean[0, where] > 60.0 and not glowing:
            value = float(mean[1, where] / mean[0, where])
            text = f"Night was asked for, but {told} is {value:.2f} times as bright as in the source."
            values["prompt_night"] = value, text
        if self._hazy and samples[1:3].min() > 0.02 and mean[0, 1:3].min() > 0.5:
            left = mean[1, 1:3] / mean[0, 1:3]
            value = float(left[1] / max(left[0], 1e-6))
            text = (
                f"Fog or dust was asked for, but far surfaces keep {value:.2f} times as much of their contrast as near "
                "ones do."
            )
            values["prompt_fog"] = value, text
        if self._snowy and samples[3:5].min() > 0.02 and 5.0 < mean[0, 3] < 160.0 and mean[0, 4] > 5.0:
            value = float((mean[1, 3] / max(mean[1, 4], 1.0)) / (mean[0, 3] / mean[0, 4]))
            text = (
                f"Snow was asked for, but upward faces are {value:.2f} times as white against upright ones as in the "
                "source."
            )
            values["prompt_snow"] = value, text
        return values


def understood(result: TransferResult) -> Optional[Mapping[str, float]]:
    """Conditions that a backend read from the prompt; ``None`` where it records none of the kind, or no numbers.

    ``asked`` is what the prompt says, ``conditions`` what guidance made of it.
    """
    effective = result.provenance.effective
    given: Any = effective.get("asked", effective.get("conditions"))
    if not isinstance(given, Mapping) or not all(isinstance(given.get(name), (int, float)) for name in _FIELDS):
        return None
    numbers = {name: float(given[name]) for name in _FIELDS}
    return numbers if all(map(math.isfinite, numbers.values())) else None


def drowns(result: TransferResult) -> bool:
    """Whether what the backend understood drowns evidence: clear haze, or snow at night."""
    asked = understood(result)
    if asked is None:
        return False
    hazy = max(asked["fog"], asked["dust"]) >= _CLEARLY
    return hazy or (asked["snow"] >= _CLEARLY and asked["sun_elevation"] < _NIGHT)


def restyled(result: TransferResult) -> bool:
    """Whether the model says that it gave surfaces or things colours or materials that the source does not have."""
    wishes = result.provenance.effective.get("wishes")
    if not isinstance(wishes, Mapping) or not wishes.get("surfaces"):
        return False
    shares = wishes.get("shares") or {}
    return any(shares.get(wish["of"], 0.0) > 0.0 for wish in wishes["surfaces"])


def snowed(request: TransferRequest, result: TransferResult) -> Optional[np.ndarray]:
    """Where snow was asked to lie, by what the backend understood: upward faces, bool, shape [T, H, W].

    ``None`` where no snow was understood or the clip has no normals.
    """
    rise = _rise_under_snow(request, result)
    return None if rise is None else rise > 0.8


def snow_ends(request: TransferRequest, result: TransferResult) -> Optional[np.ndarray]:
    """Where snow that was asked may end on what is round or slopes, bool, shape [T, H, W]; ``None`` as `snowed`."""
    rise = _rise_under_snow(request, result)
    return None if rise is None else (rise > 0.1) & (rise < 0.95)


def _rise_under_snow(request: TransferRequest, result: TransferResult) -> Optional[np.ndarray]:
    """How far each pixel's surface faces up, in [-1, 1], float32 [T, H, W]; ``None`` without snow or normals."""
    asked, normals = understood(result), request.clip.normals
    if asked is None or normals is None or asked["snow"] < _NEUTRAL["snow"]:
        return None
    rise: np.ndarray = normals.numpy()[..., 1 if request.clip.up_axis == "Y" else 2]
    return rise


__all__ = ["PromptSweep", "drowns", "restyled", "snow_ends", "snowed", "understood"]
