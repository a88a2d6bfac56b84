"""Does the texture of a thing slide over it, against true motion?"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from cosmos.bridge.critic.checks.groups import Groups
from cosmos.bridge.critic.checks.likeness import reduced
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, measured, spans, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Chunk, Truth

_BLUR = 1.0
"""Standard deviation of the blur before gradients are taken [px]: slides of two pixels stay within their reach."""
_COARSE = (15, 15)
"""Window of the mean that is taken off [px]: sheen and the light of a lamp are smooth, and lie where the eye stands."""
_CORE = np.ones((5, 5), np.uint8)
"""Pixels nearer than two to another thing are left out, for there the thing behind shows."""
_DAMPING, _DAMPING_PAIR = 0.25, 0.4
"""Added to the mean square of gradients along each axis, of many frames and of two [levels^2/px^2]: noise moves
nothing."""
_SMALLEST = 16
"""Least height and width of a picture in which slides are looked for [px]."""


class SlideSweep:
    """Measures how each thing's picture moves once true motion is taken out of it, in the result and in the source.

    The frame before is fetched along true motion. What is left of the change from it is explained by one displacement
    of the whole thing, by least squares over its pixels (Lucas and Kanade 1981), its mean change left out, for light
    may change. The displacement of the source, whose shadows and sheen may slide as well, is subtracted. A thing
    slides by the median over the pairs of frames in a window, times the share of the change that the
    displacement explains: flakes, streaks and boiling move in no direction.
    """

    family = "slides"

    def __init__(self, truth: Truth, thresholds: Mapping[str, Threshold], limits: Limits) -> None:
        self._truth, self._thresholds, self._limits = truth, thresholds, limits
        self._pairs: list[tuple[int, np.ndarray, np.ndarray]] = []
        self._why = "the clip has fewer than three frames"

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in, each against the frame before it."""
        if chunk.motion is None or chunk.thing is None:
            self._why = "the clip has no motion" if chunk.motion is None else "the clip has no instance ids"
            return
        height, width = chunk.thing.shape[1:]
        scale = max(1, round(width / self._limits.slide_width))
        size = height // scale, width // scale
        if min(size) < _SMALLEST:
            self._why = f"pictures are below {_SMALLEST} px"
            return
        thing = chunk.thing[:, scale // 2 :: scale, scale // 2 :: scale][:, : size[0], : size[1]]
        videos = [[_fine(grey, size) for grey in video] for video in chunk.greys]
        for row in range(1, len(thing)):  # in every other line of pixels: neighbours tell the same
            motion = np.nan_to_num(chunk.motion[row], nan=0.0, posinf=0.0, neginf=0.0)
            motion = reduced(motion, size) * np.float32(size[1] / width)
            x = np.arange(size[1], dtype=np.float32) + motion[..., 0]
            y = np.arange(size[0], dtype=np.float32)[:, None] + motion[..., 1]
            core = _core(thing[row], thing[row - 1], x, y)
            core[1::2] = False
            at = np.flatnonzero(core)
            groups = Groups.of(thing[row].take(at), len(self._truth.things))
            at = at[groups.order]
            source, result = (_equations(video[row - 1], video[row], (x, y), at, groups) for video in videos)
            self._pairs.append((chunk.first + row - chunk.halo, source, result))

    def conclude(self) -> Outcome:
        """Hold the thing that slides most against the bar."""
        window, bar = self._limits.slide_window, self._thresholds["texture_swims"]
        best: dict[int, tuple[float, tuple[int, ...]]] = {}
        for first in range(0, max(len(self._pairs) - window // 2, 1), window):
            last = first + window if len(self._pairs) - first >= 1.5 * window else len(self._pairs)
            pairs = self._pairs[first:last]
            if len(pairs) < 2:
                continue
            source, result = (np.stack([pair[side] for pair in pairs]) for side in (1, 2))
            values = slides(source, result, self._limits)
            for thing in np.flatnonzero(values == values).tolist():
                if self._truth.things[thing].id and (thing not in best or values[thing] > best[thing][0]):
                    best[thing] = float(values[thing]), tuple(pair[0] for pair in pairs)
        if not best:
            why = "no thing shows enough texture" if len(self._pairs) >= 2 else self._why
            text = f"Textures that slide over things were not looked for: {why}."
            return Outcome(findings=(unchecked("texture_swims", text),))
        worst = max(value for value, _ in best.values())
        findings = []
        for thing, (value, frames) in best.items():
            if not bar.passes(value):
                text = (
                    f"The texture of {self._truth.name(thing)} slides over it against true motion, by "
                    f"{value:.2f} px a frame as far as that explains its change, in frames {spans(frames)}; "
                    f"{bar.value:.2f} are allowed."
                )
                findings.append(bar.finding("texture_swims", text, value, frames, self._truth.things[thing]))
        return Outcome(measurements=(measured(self._thresholds, "texture_swims", worst),), findings=tuple(findings))


def slides(source: np.ndarray, result: np.ndarray, limits: Limits) -> np.ndarray:
    """By how much each thing's picture slides against true motion.

    Args:
        source: Sums of each pair of frames and thing (`_equations`), float64, shape [P, N, 7].
        result: The same of the result.
        limits: Least texture and size of what is judged, and how much the source may slide itself.

    Returns:
        Slide [px a frame], shape [N]; NaN where a thing is too small or plain, haze hides it, or its source slides.
    """
    total, known = result.sum(axis=0), source.sum(axis=0)
    by, normal = _solve(total, _DAMPING)
    own, _ = _solve(known, _DAMPING)
    off = by - own
    change = np.maximum(total[:, 5], 1e-6)
    explained = np.minimum(*(np.einsum("ni,nij,nj->n", way, normal, way) / change for way in (by, off)))
    pairs = _solve(result, _DAMPING_PAIR)[0] - _solve(source, _DAMPING_PAIR)[0]
    slide = np.hypot(*np.median(pairs, axis=0).T) * np.clip(explained, 0.0, 1.0)
    texture, there = (_plainest(sums) for sums in (total, known))
    judged = (
        (total[:, 6] >= limits.min_slide_samples * len(result))
        & (texture >= np.maximum(limits.min_slide_texture, limits.min_slide_shown * there))
        & (np.hypot(*own.T) <= limits.source_slide)
    )
    return np.where(judged, slide, np.nan)


def _solve(sums: np.ndarray, damping: float) -> tuple[np.ndarray, np.ndarray]:
    """Displacement that explains most of the change [px], [..., 2], and the normal matrices, [..., 2, 2]."""
    normal = np.stack([sums[..., 0], sums[..., 1], sums[..., 1], sums[..., 2]], axis=-1)
    normal = normal.reshape(*sums.shape[:-1], 2, 2) + (damping * sums[..., 6] + 1e-6)[..., None, None] * np.eye(2)
    return np.linalg.solve(normal, -sums[..., 3:5, None])[..., 0], normal


def _plainest(sums: np.ndarray) -> np.ndarray:
    """Mean square of gradients along the axis along which a thing is plainest [levels^2/px^2], shape [N]."""
    both = sums[:, 0] + sums[:, 2] - np.hypot(sums[:, 0] - sums[:, 2], 2.0 * sums[:, 1])
    return np.asarray(0.5 * both / np.maximum(sums[:, 6], 1.0))


def _fine(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Fine structure of brightness, uint8 [H, W], at a size, a little blurred [levels], float32."""
    grey = reduced(grey, size).astype(np.float32)
    fine: np.ndarray = cv2.GaussianBlur(grey, (0, 0), _BLUR) - cv2.blur(grey, _COARSE)
    return fine


def _core(thing: np.ndarray, before: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where the same thing is seen in both frames, off its outline, bool."""
    ids = thing.astype(np.float32)
    inner = cv2.erode(ids, _CORE) == cv2.dilate(ids, _CORE)
    fetched = cv2.remap(before.astype(np.float32), x, y, cv2.INTER_NEAREST, borderValue=-1.0)
    return np.asarray(inner & (fetched == ids))


def _equations(
    before: np.ndarray,
    now: np.ndarray,
    where: tuple[np.ndarray, np.ndarray],
    at: np.ndarray,
    groups: Groups,
) -> np.ndarray:
    """Sum up what tells how each thing moved beyond true motion, at pixels ``at`` in the order of their groups.

    Returns:
        Sums of gx gx, gx gy, gy gy, gx c, gy c, c c and 1 of each thing's pixels, with the gradient ``g`` [levels/px]
        and the change ``c`` [levels] less its mean, float64, shape [N, 7].
    """
    fetched = cv2.remap(before, *where, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    middle, change = 0.5 * (fetched + now), now.take(at) - fetched.take(at)
    across, down = (cv2.Sobel(middle, cv2.CV_32F, dx, 1 - dx, scale=0.125).take(at) for dx in (1, 0))
    count = groups.sizes
    mean = groups.sums([change])[0] / np.maximum(count, 1.0)
    change -= np.repeat(mean[groups.owners].astype(np.float32), count[groups.owners].astype(np.int64))
    products = (across * across, across * down, down * down, across * change, down * change, change * change)
    return np.concatenate([groups.sums(products), count[None]]).T


__all__ = ["SlideSweep", "slides"]
