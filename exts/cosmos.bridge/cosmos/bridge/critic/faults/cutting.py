"""Cut a thing out of a picture, fill the hole, and put it back somewhere else, behind what is nearer."""

from __future__ import annotations

import cv2
import numpy as np

from cosmos.bridge.critic.faults.subject import Subject, Thing, box_of

_HALO = 2
"""Pixels around a mask that a thing's own colour reaches."""


def without(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Fill a mask and its halo from around it (Telea 2004, cv2.inpaint); returns a new picture."""
    filled = picture.copy()
    if not mask.any():
        return filled
    hole = cv2.dilate(mask.astype(np.uint8), np.ones((2 * _HALO + 1,) * 2, np.uint8))
    top, left, bottom, right = box_of(hole > 0)
    part = (slice(max(0, top - 16), bottom + 16), slice(max(0, left - 16), right + 16))
    filled[part] = cv2.inpaint(np.ascontiguousarray(picture[part]), np.ascontiguousarray(hole[part]), 4.0,
                               cv2.INPAINT_TELEA)  # fmt: skip
    return filled


def spread(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Give every pixel outside a mask the colour of the nearest pixel well inside it; returns a new picture."""
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    core = core if core.any() else mask.astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(1 - core, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    rows, columns = np.nonzero(core)
    order = np.zeros(int(nearest.max()) + 1, np.int64)
    order[nearest[rows, columns]] = np.arange(len(rows))
    where = order[nearest]
    widened: np.ndarray = picture[rows[where], columns[where]]
    widened[core > 0] = picture[core > 0]
    return widened


def soft(mask: np.ndarray) -> np.ndarray:
    """Return the coverage of a mask with an edge one pixel wide, float32 in [0, 1]."""
    blurred: np.ndarray = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.6)
    return blurred


def warp(picture: np.ndarray, matrix: np.ndarray, *, fill: bool = False) -> np.ndarray:
    """Move a picture or coverage by a 2 x 3 matrix; outside it is empty, or continued where ``fill``."""
    border = cv2.BORDER_REPLICATE if fill else cv2.BORDER_CONSTANT
    moved: np.ndarray = cv2.warpAffine(
        picture, np.asarray(matrix, np.float64), picture.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=border
    )
    return moved


def put(
    subject: Subject,
    frame: int,
    canvas: np.ndarray,
    thing: Thing,
    matrix: np.ndarray,
    *,
    behind: bool = True,
) -> np.ndarray:
    """Draw a thing, moved by a matrix, on a canvas; what is nearer hides it.

    Args:
        subject: The clip.
        frame: Frame of it.
        canvas: Picture to draw on, uint8 [H, W, 3]; not changed.
        thing: What to draw, as the result shows it in this frame.
        matrix: Where to, as ``cv2.warpAffine`` takes it.
        behind: Whether what is nearer than the thing hides it.

    Returns:
        The new picture.
    """
    mask = subject.mask(thing, frame)
    colors = warp(spread(subject.rgb[frame], mask), matrix, fill=True)
    alpha = warp(soft(mask), matrix)
    if behind:
        alpha = alpha * shown(subject, frame, thing)
    return blend(canvas, colors, alpha)


def shown(subject: Subject, frame: int, thing: Thing) -> np.ndarray:
    """Where a thing would be seen if it were there: nothing nearer stands in its way, float32 [H, W]."""
    farther = subject.depth[frame] >= 0.97 * subject.distance(thing, frame)
    return (farther | subject.mask(thing, frame)).astype(np.float32)


def blend(below: np.ndarray, above: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Lay one picture over another by a coverage [H, W]."""
    mixed = below + (above.astype(np.float32) - below) * alpha[..., None]
    return np.clip(mixed + 0.5, 0.0, 255.0).astype(np.uint8)


def shift(right: float, down: float) -> np.ndarray:
    """Matrix that moves by ``(right, down)`` [px]."""
    return np.array([[1.0, 0.0, right], [0.0, 1.0, down]])


__all__ = ["blend", "put", "shift", "shown", "soft", "spread", "warp", "without"]
