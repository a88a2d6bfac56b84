"""Faults of surfaces and of what lies before what: swimming texture, broken depth order, flicker, fog, seams."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from cosmos.bridge.critic.faults.change import Change
from cosmos.bridge.critic.faults.cutting import blend, soft, spread
from cosmos.bridge.critic.faults.subject import Subject


def texture_swims(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Let the texture of a thing or surface slide by ``strength`` [px a frame] over it; its outline stays."""
    frames = len(subject.rgb)
    for thing in subject.fit(rng, smallest=0.01, largest=0.6, rim=1.0):
        turn = rng.uniform(0.0, 2.0 * np.pi)
        swum = []
        for frame in range(frames):
            by = strength * frame * np.array([np.cos(turn), np.sin(turn)])
            mask = subject.mask(thing, frame)
            y, x = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]].astype(np.float32)
            slid = cv2.remap(spread(subject.rgb[frame], mask), x + np.float32(by[0]), y + np.float32(by[1]),
                             cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)  # fmt: skip
            swum.append(blend(subject.rgb[frame], slid, soft(mask)))
        yield Change(rgb=np.stack(swum), frames=tuple(range(1, frames)), things=(thing,))


def depth_order(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Let what lies behind a thing grow over its rim by ``strength`` [px], as if it were in front."""
    frames = len(subject.rgb)
    reach = np.ones((2 * round(strength) + 1,) * 2, np.uint8)
    for thing in subject.fit(rng):
        pictures, touched = [], []
        for frame in range(frames):
            mask = subject.mask(thing, frame)
            rim = (cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & ~mask
            behind = rim & (subject.depth[frame] > 1.1 * subject.distance(thing, frame))
            owners, counts = np.unique(subject.ids[frame][behind], return_counts=True)
            if not len(owners) or counts.max() < 15:
                pictures.append(subject.rgb[frame])
                continue
            cover = subject.ids[frame] == owners[counts.argmax()]
            grown = (cv2.dilate(cover.astype(np.uint8), reach) > 0) & mask
            pictures.append(blend(subject.rgb[frame], spread(subject.rgb[frame], cover), soft(grown)))
            touched.append(frame)
        if len(touched) >= max(1, frames // 2):
            yield Change(rgb=np.stack(pictures), frames=tuple(touched), things=(thing,))


def flickering(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Make every other frame brighter and darker by ``strength`` [levels]."""
    frames = len(subject.rgb)
    if frames < 3:
        return
    signs = np.where(np.arange(frames) % 2 == 0, 1.0, -1.0) * rng.uniform(0.8, 1.0, frames)
    rgb = np.clip(subject.rgb + (0.5 * strength * signs)[:, None, None, None] + 0.5, 0, 255).astype(np.uint8)
    yield Change(rgb=rgb, frames=tuple(range(frames)), levels=0.25 * strength)


def thing_flickering(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Make one thing brighter and darker by ``strength`` [levels] in every other frame."""
    frames = len(subject.rgb)
    if frames < 3:
        return
    for thing in subject.fit(rng):
        pictures = []
        for frame, picture in enumerate(subject.rgb):
            by = 0.5 * strength * (1.0 if frame % 2 == 0 else -1.0) * rng.uniform(0.8, 1.0)
            pictures.append(blend(picture, picture + np.float32(by), soft(subject.mask(thing, frame))))
        yield Change(rgb=np.stack(pictures), frames=tuple(range(frames)), things=(thing,), levels=0.25 * strength)


def chunk_seam(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Grade all frames from one on differently, each channel by up to ``strength`` [levels], as a new chunk may."""
    frames = len(subject.rgb)
    if frames < 3:
        return
    first = int(rng.integers(1, frames - 1))
    by = rng.choice([-1.0, 1.0]) * strength * rng.uniform(0.6, 1.0, 3)
    rgb = subject.rgb.copy()
    rgb[first:] = np.clip(subject.rgb[first:] + by + 0.5, 0, 255).astype(np.uint8)
    yield Change(rgb=rgb, frames=tuple(range(first, frames)), levels=0.5 * strength)


def fog_hides(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Draw fog that leaves ``strength`` [share] of a thing that the labels call visible; nobody asked for fog."""
    words = subject.request.prompt.lower()
    asked = subject.result.provenance.effective.get("conditions", {})
    hazy = any(word in words for word in ("fog", "mist", "haz", "dust", "smoke", "snow", "rain"))
    if hazy or max((asked.get(name, 0.0) for name in ("fog", "dust", "snow", "rain")), default=0.0) > 0.05:
        return
    sky = subject.rgb[~np.isfinite(subject.depth)]
    air = np.median(sky, axis=0) if len(sky) > 100 else np.percentile(subject.rgb.reshape(-1, 3), 80, axis=0)
    for thing in subject.fit(rng):
        nearest = min(subject.distance(thing, frame) for frame in range(len(subject.rgb)))
        if not np.isfinite(nearest):
            continue
        left = np.exp(np.log(strength) * np.minimum(subject.depth / nearest, 1e3))[..., None]
        rgb = np.clip(subject.rgb * left + air * (1.0 - left) + 0.5, 0, 255).astype(np.uint8)
        yield Change(rgb=rgb, frames=tuple(range(len(rgb))), things=(thing,))


__all__ = ["chunk_seam", "depth_order", "flickering", "fog_hides", "texture_swims", "thing_flickering"]
