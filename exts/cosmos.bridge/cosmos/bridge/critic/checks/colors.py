"""Did what must keep its colour keep it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Optional

import cv2
import numpy as np

from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, ScoreRows, measured, spans, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Chunk, Truth
from cosmos.bridge.types import ControlKind, Instance, TransferRequest


class ColorSweep:
    """Compares the colour of protected things with the source's, in CIELAB's a*b* plane.

    Protected is what the request keeps as it is (``preserve``, or a ``vis`` weight of 1; `kept_color`), and what the
    options name (`protected_color`). What is only named may be lit otherwise: the colour shift that most of the picture
    has is allowed, and so is any loss of saturation along the source's own hue.
    """

    family = "colors"

    def __init__(
        self,
        request: TransferRequest,
        truth: Truth,
        thresholds: Mapping[str, Threshold],
        limits: Limits,
        protect: Sequence[str] = (),
    ) -> None:
        self._truth, self._thresholds, self._limits = truth, thresholds, limits
        self._kept = kept_share(request)
        self._named = np.array([_is_named(thing, protect) for thing in truth.things], bool)
        self._nobody = [name for name in protect if not any(_is_named(thing, [name]) for thing in truth.things)]
        self._rows: dict[str, list[tuple[int, int, float]]] = {"kept_color": [], "protected_color": []}

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in."""
        if chunk.thing is None or (self._kept is None and not self._named.any()):
            return
        step = max(1, round((chunk.thing[0].size / self._limits.flicker_samples) ** 0.5))
        source, result = (video[:, ::step, ::step] for video in (chunk.source, chunk.result))
        for i in range(chunk.halo, len(source)):
            frame = chunk.first + i - chunk.halo
            kept = None if self._kept is None else self._kept[frame][::step, ::step]
            self._take(frame, chunk.thing[i, ::step, ::step], source[i], result[i], kept)

    def _take(
        self, frame: int, thing: np.ndarray, source: np.ndarray, result: np.ndarray, kept: Optional[np.ndarray]
    ) -> None:
        """Compare the mean colours of one frame."""
        size = len(self._truth.things)
        count = np.bincount(thing.ravel(), minlength=size)
        means = []
        for picture in (source, result):
            lab = cv2.split(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2LAB))
            sums = [np.bincount(thing.ravel(), lab[channel].ravel(), size) for channel in (1, 2)]
            means.append(np.stack(sums, axis=1) / np.maximum(count, 1)[:, None] - 128.0)
        before, after = means
        pixels = np.zeros(size)
        if kept is not None:
            pixels = np.bincount(thing.ravel(), kept.ravel(), size) / np.maximum(count, 1)
        common = np.median((after - before)[count >= self._limits.min_color_samples], axis=0)
        for i in np.flatnonzero(((pixels >= 0.9) | self._named) & (count >= self._limits.min_color_samples)).tolist():
            if self._truth.things[i].id == 0:
                continue
            if pixels[i] >= 0.9:
                self._rows["kept_color"].append((frame, i, float(np.linalg.norm(after[i] - before[i]))))
            else:
                distance = _off_ray(after[i] - common, before[i]) if np.isfinite(common).all() else np.nan
                self._rows["protected_color"].append((frame, i, distance))

    def conclude(self) -> Outcome:
        """Hold everything seen against the bars."""
        lost = tuple(
            unchecked("protected_color", f"No label or prim of the clip is {name!r}, so its colour was not held.")
            for name in self._nobody
        )
        held = [self._held(check, rows) for check, rows in self._rows.items() if rows]
        return Outcome.join((*held, Outcome(findings=lost)))

    def _held(self, check: str, rows: Sequence[tuple[int, int, float]]) -> Outcome:
        """Hold the distances of one check against its bar."""
        bar = self._thresholds[check]
        frame, thing, distance = (np.array(column) for column in zip(*rows, strict=True))
        ids = np.array([item.id for item in self._truth.things])[thing]
        scores = ScoreRows.of(bar, check, frame, ids, distance)
        worst, findings = 0.0, []
        for owner in np.unique(thing).tolist():
            mine = thing == owner
            value = float(np.median(distance[mine]))
            worst = max(worst, value)
            if not bar.passes(value):
                frames = frame[mine & ~scores.passed].tolist()
                text = (
                    f"{self._truth.name(owner)} should keep its colour, but differs by {value:.1f} in CIELAB's a*b* "
                    f"plane in {len(frames)} frames ({spans(frames)}); {bar.value:.0f} are allowed."
                )
                findings.append(bar.finding(check, text, value, frames, self._truth.things[owner]))
        found = measured(self._thresholds, check, worst)
        return Outcome(measurements=(found,), findings=tuple(findings), scores=(scores,))


def kept_share(request: TransferRequest) -> Optional[np.ndarray]:
    """How much of the source's look a request keeps, float32 in [0, 1], shape [T, H, W]; ``None`` for nothing.

    That is ``preserve``, and a ``vis`` weight of 1 after the weights of a site that sum to more than 1 are divided by
    their sum.
    """
    if request.preserve is not None:
        preserved: np.ndarray = request.preserve.numpy()
        return preserved
    vis = request.weights[ControlKind.VIS]
    if isinstance(vis, (int, float)) and vis < 1.0:
        return None
    shape = request.clip.rgb.shape[:3]
    maps = [np.broadcast_to(np.float32(w) if isinstance(w, (int, float)) else w.numpy(), shape)
            for _, w in request.weights.items()]  # fmt: skip
    own = np.broadcast_to(np.float32(vis) if isinstance(vis, (int, float)) else vis.numpy(), shape)
    share = np.where(own >= 0.999, own / np.maximum(sum(maps), 1.0), 0.0).astype(np.float32)
    return share if (share >= 0.9).any() else None


def _is_named(thing: Instance, protect: Sequence[str]) -> bool:
    """Whether a thing is named by a label or by a glob on its path."""
    words = {word.strip().lower() for label in thing.labels.values() for word in label.split(",")}
    return any(
        fnmatchcase(thing.prim_path, name) or fnmatchcase(thing.prim_path, f"{name}/*") if name.startswith("/")
        else name.lower() in words
        for name in protect
    )  # fmt: skip


def _off_ray(color: np.ndarray, source: np.ndarray) -> float:
    """Distance of a colour from what the source's hue gives at 0 to 1.3 times its saturation."""
    length = float(source @ source)
    share = float(np.clip(color @ source / length, 0.0, 1.3)) if length > 1.0 else 0.0
    return float(np.linalg.norm(color - share * source))


__all__ = ["ColorSweep", "kept_share"]
