"""Faults of whole frames, of their order, of the labels beside them, and of the prompt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from cosmos.bridge.critic.faults.change import Change
from cosmos.bridge.critic.faults.cutting import shift, warp
from cosmos.bridge.critic.faults.subject import Subject
from cosmos.bridge.types import BUFFERS

_MOVED_SHARE = 0.005
"""Share of the picture that must look different in two moments before showing one for the other is a fault."""


def camera_shifted(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Shift every frame by ``strength`` [px], as if the camera stood elsewhere."""
    turn = rng.integers(8) * np.pi / 4.0
    by = shift(float(strength * np.cos(turn)), float(strength * np.sin(turn)))
    rgb = np.stack([warp(picture, by, fill=True) for picture in subject.rgb])
    yield Change(rgb=rgb, frames=tuple(range(len(rgb))))


def picture_mirrored(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Mirror every frame left to right."""
    yield Change(rgb=np.ascontiguousarray(subject.rgb[:, :, ::-1]), frames=tuple(range(len(subject.rgb))))


def frame_dropped(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Leave one frame out; later ones come a frame early, and the last one stands for two."""
    last = len(subject.rgb) - 1
    for lost in (rng.permutation(max(0, last - 1)) + 1).tolist():
        if _differ(subject, lost, lost + 1):
            order = [*range(lost), *range(lost + 1, last + 1), last]
            yield Change(rgb=subject.rgb[order], frames=tuple(range(lost, last)))


def frame_repeated(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Show one frame again in place of the next."""
    for frame in (rng.permutation(len(subject.rgb) - 1) + 1).tolist():
        if _differ(subject, frame, frame - 1):
            rgb = subject.rgb.copy()
            rgb[frame] = rgb[frame - 1]
            yield Change(rgb=rgb, frames=(frame,))


def frames_reversed(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Play the clip backwards."""
    last = len(subject.rgb) - 1
    wrong = tuple(frame for frame in range(last + 1) if frame != last - frame and _differ(subject, frame, last - frame))
    if wrong:
        yield Change(rgb=np.ascontiguousarray(subject.rgb[::-1]), frames=wrong)


def frames_shuffled(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Bring ``strength`` frames into a wrong order."""
    count = min(round(strength), len(subject.rgb))
    if count < 2:
        return
    for _ in range(4):
        chosen = np.sort(rng.permutation(len(subject.rgb))[:count])
        order = np.arange(len(subject.rgb))
        order[chosen] = np.roll(chosen, 1)
        wrong = tuple(int(frame) for frame in chosen if _differ(subject, int(frame), int(order[frame])))
        if wrong:
            yield Change(rgb=subject.rgb[order], frames=wrong)


def frame_blank(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Make one frame black, white or grey."""
    frame = int(rng.integers(len(subject.rgb)))
    rgb = subject.rgb.copy()
    rgb[frame] = rng.choice([0, 128, 255])
    yield Change(rgb=rgb, frames=(frame,))


def labels_shifted(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Give each frame the labels of the next: ids, depth, normals, motion, poses and camera; pictures stay."""
    import warp as wp

    clip, frames = subject.request.clip, len(subject.rgb)
    order = np.minimum(np.arange(frames) + 1, frames - 1)
    changed = (
        (subject.ids != subject.ids[order])[:-1].reshape(frames - 1, -1).mean(axis=1) if frames > 1 else np.zeros(1)
    )
    if np.median(changed) < 2.0 * _MOVED_SHARE:
        return
    late: dict[str, Any] = {}
    for name in BUFFERS:
        buffer = getattr(clip, name)
        if name != "rgb" and buffer is not None:
            late[name] = wp.array(np.ascontiguousarray(buffer.numpy()[order]), dtype=buffer.dtype, device=buffer.device)
    poses = {key: pose[order] for key, pose in clip.poses.items()}
    cameras = tuple(clip.cameras[index] for index in order)
    yield Change(clip=replace(clip, cameras=cameras, poses=poses, **late), frames=tuple(range(frames - 1)))


def prompt_ignored(subject: Subject, rng: np.random.Generator, strength: float) -> Iterator[Change]:
    """Hand the source back as it came; fit where the prompt had changed the picture much, and not to a clear day."""
    source = subject.request.clip.rgb.numpy()
    asked = subject.result.provenance.effective.get("conditions")
    weather = ("overcast", "fog", "rain", "snow", "dust")
    if asked is not None and asked["sun_elevation"] > 10.0 and max(asked[name] for name in weather) < 0.3:
        return
    if np.abs(source.astype(np.int16) - subject.rgb).mean() >= 16.0:
        yield Change(rgb=source.copy(), frames=tuple(range(len(source))))


def _differ(subject: Subject, one: int, other: int) -> bool:
    """Whether two moments look different by what moves, in source and result; flakes and drops are left out."""
    for video in (subject.request.clip.rgb.numpy(), subject.rgb):
        pictures = [cv2.medianBlur(video[frame], 5).astype(np.int16) for frame in (one, other)]
        if (np.abs(pictures[0] - pictures[1]).max(axis=-1) >= 12).mean() < _MOVED_SHARE:
            return False
    return True


__all__ = [
    "camera_shifted", "frame_blank", "frame_dropped", "frame_repeated", "frames_reversed", "frames_shuffled",
    "labels_shifted", "picture_mirrored", "prompt_ignored",
]  # fmt: skip
