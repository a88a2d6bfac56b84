"""Faults that befall one thing: moved, scaled, removed, duplicated, recoloured, mirrored, swapped, split, invented."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Optional

import cv2
import numpy as np

from cosmos.bridge.critic.faults.change import Change
from cosmos.bridge.critic.faults.cutting import blend, put, shift, shown, soft, warp, without
from cosmos.bridge.critic.faults.subject import Subject, Thing, box_of


def _every_frame(
    subject: Subject,
    things: tuple[Thing, ...],
    draw: Callable[[int], np.ndarray],
    place: Optional[Callable[[int], np.ndarray]] = None,
) -> Change:
    """Draw every frame; ``place`` tells where a thing's whole place must change visibly."""
    frames = range(len(subject.rgb))
    where = None if place is None else np.stack([place(frame) for frame in frames])
    return Change(rgb=np.stack([draw(frame) for frame in frames]), frames=tuple(frames), things=things, where=where)


def moved(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Move a thing by ``strength`` [px] in every frame; what was behind it is guessed.

    It moves in one of eight directions, but not along itself: a post that slides along its axis stands where it stood.
    """
    ways = [shift(float(strength * np.cos(turn)), float(strength * np.sin(turn))) for turn in np.arange(8) * np.pi / 4]
    for thing in subject.fit(rng):
        left = [_left(subject.mask(thing, 0), way) for way in ways]
        told = [way for way, share in zip(ways, left, strict=True) if share >= 0.6 * max(left)]
        by = told[int(rng.integers(len(told)))]

        def draw(frame: int, thing: Thing = thing, by: np.ndarray = by) -> np.ndarray:
            return put(subject, frame, without(subject.rgb[frame], subject.mask(thing, frame)), thing, by)

        def place(frame: int, thing: Thing = thing, by: np.ndarray = by) -> np.ndarray:
            return np.asarray(subject.mask(thing, frame) ^ _there(subject, frame, thing, by))

        yield _every_frame(subject, (thing,), draw, place)


def _there(subject: Subject, frame: int, thing: Thing, by: np.ndarray) -> np.ndarray:
    """Where a thing is seen once it was moved by a matrix, bool [H, W]."""
    there = warp(subject.mask(thing, frame).astype(np.float32), by)
    return np.asarray(there * shown(subject, frame, thing) > 0.5)


def _left(mask: np.ndarray, way: np.ndarray) -> float:
    """Share of a mask that it leaves when moved."""
    return 1.0 - float((warp(mask.astype(np.float32), way) * mask).sum()) / max(int(mask.sum()), 1)


def scaled(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Scale a thing by the factor ``strength`` or its inverse about its foot, in every frame."""
    for thing in subject.fit(rng):
        factor = strength if rng.random() < 0.5 else 1.0 / strength

        def draw(frame: int, thing: Thing = thing, factor: float = factor) -> np.ndarray:
            mask = subject.mask(thing, frame)
            _, left, bottom, right = box_of(mask)
            foot = np.array([(left + right) / 2.0, float(bottom)])
            matrix = np.column_stack([np.eye(2) * factor, foot * (1.0 - factor)])
            return put(subject, frame, without(subject.rgb[frame], mask), thing, matrix)

        yield _every_frame(subject, (thing,), draw)


def removed(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Take a thing away in every frame; what was behind it is guessed."""
    for thing in subject.fit(rng):

        def draw(frame: int, thing: Thing = thing) -> np.ndarray:
            return without(subject.rgb[frame], subject.mask(thing, frame))

        yield _every_frame(subject, (thing,), draw, partial(subject.mask, thing))


def duplicated(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Draw a thing a second time beside itself, where it fits into every frame."""
    frames, _, width = subject.shape
    for thing in subject.fit(rng):
        wide = max(np.ptp(box_of(subject.mask(thing, frame))[1::2]) for frame in range(frames))
        sides = rng.permutation([-1.0, 1.0])
        reaches = [float(side * (wide * times + 3.0)) for times in (1.1, 1.6, 2.2, 3.0) for side in sides]
        for reach in reaches:
            if not all(_fits(subject, frame, thing, reach, width) for frame in range(frames)):
                continue

            def draw(frame: int, thing: Thing = thing, by: np.ndarray = shift(reach, 0.0)) -> np.ndarray:  # noqa: B008
                return put(subject, frame, subject.rgb[frame], thing, by)

            def place(frame: int, thing: Thing = thing, by: np.ndarray = shift(reach, 0.0)) -> np.ndarray:  # noqa: B008
                return _there(subject, frame, thing, by)

            yield _every_frame(subject, (thing,), draw, place)
            break


def _fits(subject: Subject, frame: int, thing: Thing, reach: float, width: int) -> bool:
    """Whether nine tenths of a copy so far to the right would be seen, and not over the thing itself."""
    mask = subject.mask(thing, frame)
    _, left, _, right = box_of(mask)
    if left + reach < 1 or right + reach > width - 1:
        return False
    there = warp(mask.astype(np.float32), shift(reach, 0.0))
    free = shown(subject, frame, thing) * ~mask
    return bool((there * free).sum() >= 0.9 * mask.sum())


def recoloured(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Shift the colour of a protected thing by ``strength`` [CIE76 units of CIELAB a*b*] in every frame."""
    for thing in subject.protected(rng):
        turn = rng.uniform(0.0, 2.0 * np.pi)
        by = np.array([0.0, strength * np.cos(turn), strength * np.sin(turn)], np.float32)

        def draw(frame: int, thing: Thing = thing, by: np.ndarray = by) -> np.ndarray:
            lab = cv2.cvtColor(subject.rgb[frame].astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab)
            tinted = cv2.cvtColor(lab + by, cv2.COLOR_Lab2RGB) * 255.0
            return blend(subject.rgb[frame], tinted, soft(subject.mask(thing, frame)))

        yield _every_frame(subject, (thing,), draw)


def mirrored(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Mirror a thing left to right about its middle, in every frame."""
    for thing in subject.fit(rng):

        def draw(frame: int, thing: Thing = thing) -> np.ndarray:
            mask = subject.mask(thing, frame)
            _, left, _, right = box_of(mask)
            matrix = np.array([[-1.0, 0.0, left + right - 1.0], [0.0, 1.0, 0.0]])
            return put(subject, frame, without(subject.rgb[frame], mask), thing, matrix)

        yield _every_frame(subject, (thing,), draw)


def swapped(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Let two things of about one size change places, each scaled to the other's box, in every frame."""
    fit = list(subject.fit(rng))
    for index, first in enumerate(fit):
        for second in fit[index + 1 :]:
            if not 1.0 / 3.0 <= first.areas.mean() / second.areas.mean() <= 3.0:
                continue

            def draw(frame: int, pair: tuple[Thing, Thing] = (first, second)) -> np.ndarray:
                masks = [subject.mask(thing, frame) for thing in pair]
                canvas = without(subject.rgb[frame], masks[0] | masks[1])
                for thing, own, other in zip(pair, masks, masks[::-1], strict=True):
                    canvas = put(subject, frame, canvas, thing, _box_to_box(box_of(own), box_of(other)), behind=False)
                return canvas

            yield _every_frame(subject, (first, second), draw)


def _box_to_box(own: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> np.ndarray:
    """Matrix that brings one bounding box onto another."""
    down, right = ((other[i + 2] - other[i]) / (own[i + 2] - own[i]) for i in (0, 1))
    return np.array([[right, 0.0, other[1] - right * own[1]], [0.0, down, other[0] - down * own[0]]])


def split(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Cut a band of ``strength`` [share of its longer side] through the middle of a thing, in every frame."""
    for thing in subject.fit(rng, smallest=0.008):

        def draw(frame: int, thing: Thing = thing) -> np.ndarray:
            mask = subject.mask(thing, frame)
            top, left, bottom, right = box_of(mask)
            band = np.zeros_like(mask)
            if bottom - top >= right - left:
                half = max(1.0, strength * (bottom - top) / 2.0)
                band[round((top + bottom) / 2 - half) : round((top + bottom) / 2 + half)] = True
            else:
                half = max(1.0, strength * (right - left) / 2.0)
                band[:, round((left + right) / 2 - half) : round((left + right) / 2 + half)] = True
            empty = without(subject.rgb[frame], mask)
            return blend(subject.rgb[frame], empty, soft(mask & band))

        yield _every_frame(subject, (thing,), draw)


def invented(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Stand a thing that no label knows, ``strength`` [px] high, on a large surface that carries it along."""
    frames, height, width = subject.shape
    if subject.request.clip.motion is None:
        return
    motion = subject.request.clip.motion.numpy()
    large = [thing for thing in subject.things if thing.areas.min() > 0.06 * height * width]
    color, stripe = rng.uniform(30, 230, 3), rng.uniform(30, 230, 3)
    figure, alpha = _figure(int(strength), color, stripe, rng)
    for index in rng.permutation(len(large)).tolist():
        free = cv2.erode(subject.mask(large[index], 0).astype(np.uint8), np.ones((5, 5), np.uint8))
        rows, columns = np.nonzero(free)
        inside = (rows > strength + 2) & (rows < height - 4) & (np.abs(columns - width / 2) < width / 2 - strength)
        for pick in rng.permutation(np.flatnonzero(inside))[:8].tolist():
            path = _follow(motion, np.array([columns[pick], rows[pick]], np.float64))
            if path is None:
                continue
            drawn = [_stand(subject, frame, figure, alpha, path[frame]) for frame in range(frames)]
            yield Change(rgb=np.stack(drawn), frames=tuple(range(frames)))
            break


def _figure(
    size: int, color: np.ndarray, stripe: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a lit, striped barrel, ball or block; returns its colours [h, w, 3] and its coverage [h, w]."""
    wide = max(6, int(size * rng.uniform(0.5, 0.9)))
    y, x = np.mgrid[0:size, 0:wide]
    across, up = (x + 0.5) / wide * 2.0 - 1.0, (y + 0.5) / size * 2.0 - 1.0
    shape = rng.integers(3)
    inside = across**2 + up**2 <= 1.0 if shape == 0 else np.abs(across) <= (1.0 if shape == 1 else 0.8 - 0.2 * up)
    light = 0.6 + 0.4 * np.sqrt(np.clip(1.0 - across**2, 0.0, 1.0)) - 0.25 * across
    colors = np.where((((up + 1.0) * 2.0).astype(int) % 2 == 0)[..., None], color, stripe) * light[..., None]
    return np.clip(colors, 0, 255).astype(np.uint8), inside.astype(np.float32)


def _stand(subject: Subject, frame: int, figure: np.ndarray, alpha: np.ndarray, foot: np.ndarray) -> np.ndarray:
    """Draw a figure with its foot at a point of a frame, behind what is nearer."""
    height, width = subject.rgb.shape[1:3]
    to = shift(float(foot[0] - figure.shape[1] / 2.0), float(foot[1] - figure.shape[0]))
    size = (width, height)
    colors = cv2.warpAffine(figure, to, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.GaussianBlur(cv2.warpAffine(alpha, to, size, flags=cv2.INTER_LINEAR), (0, 0), 0.6)
    column, row = np.clip(foot.astype(int), 0, (width - 1, height - 1))
    cover *= subject.depth[frame] >= 0.9 * subject.depth[frame, row, column]
    return blend(subject.rgb[frame], colors, cover)


def _follow(motion: np.ndarray, start: np.ndarray) -> np.ndarray | None:
    """Follow a surface point through true motion; its place ``(x, y)`` in every frame [T, 2], or ``None`` if lost."""
    _, height, width, _ = motion.shape
    path = [start]
    for field in motion[1:]:
        here = path[-1].copy()
        for _ in range(6):
            column, row = np.rint(here).astype(int)
            if not (0 <= column < width and 0 <= row < height) or not np.isfinite(field[row, column]).all():
                return None
            here = path[-1] - field[row, column]
        path.append(here)
    return np.stack(path) if all(8 <= x < width - 8 and 8 <= y < height for x, y in path) else None


__all__ = [
    "duplicated", "invented", "mirrored", "moved", "recoloured", "removed", "scaled", "split", "swapped",
]  # fmt: skip
