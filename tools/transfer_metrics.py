"""Picture metrics for evaluation, on uint8 sRGB arrays [H, W, 3]; and the classic baseline."""

from __future__ import annotations

import cv2
import numpy as np


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal to noise ratio [dB], at most 60."""
    error = np.mean((a.astype(np.float64) - b) ** 2) / 255.0**2
    return float(min(60.0, -10.0 * np.log10(max(error, 1e-12))))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity on luma, Gaussian window of 1.5 px (Wang et al. 2004)."""
    x, y = luma(a), luma(b)

    def mean(z: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(z, (11, 11), 1.5)

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    top = (2 * mx * my + 1e-4) * (2 * cov + 9e-4)
    return float((top / ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4))).mean())


def luma(picture: np.ndarray) -> np.ndarray:
    """Rec. 709 luma of the sRGB levels, in [0, 1]."""
    return picture.astype(np.float64) @ np.array([0.2126, 0.7152, 0.0722]) / 255.0


def shows_through(sources: tuple[np.ndarray, np.ndarray], outs: tuple[np.ndarray, np.ndarray]) -> float:
    """Return which share of a difference in light between two sources shows in what was painted of them.

    Least squares of the logarithms of luma, over pixels whose luma differs by half or more; NaN where fewer than one in
    a hundred do. 0 is best: what is painted of both is the same.
    """
    asked, shown = (np.log(luma(one) + 0.016) - np.log(luma(other) + 0.016) for one, other in (sources, outs))
    apart = np.abs(asked) > 0.5
    if apart.mean() < 0.01:
        return float("nan")
    return float((asked[apart] * shown[apart]).sum() / np.square(asked[apart]).sum())


def edge_f1(out: np.ndarray, truth: np.ndarray, tolerance: int) -> float:
    """F1 of Canny edges (100/200) of two pictures; an edge counts as met within ``tolerance`` px.

    NaN where the truth shows fewer pixels of edges than its shorter side has, as in dense fog: what little shows there
    is noise of the sampling.
    """
    a, b = (cv2.Canny(np.ascontiguousarray(picture), 100, 200) > 0 for picture in (out, truth))
    if b.sum() < min(b.shape):
        return float("nan")
    if not a.any():
        return 0.0
    kernel = np.ones((2 * tolerance + 1, 2 * tolerance + 1), np.uint8)
    wide_a, wide_b = (cv2.dilate(edges.astype(np.uint8), kernel) > 0 for edges in (a, b))
    precision, recall = (a & wide_b).sum() / a.sum(), (b & wide_a).sum() / b.sum()
    return float(2.0 * precision * recall / max(precision + recall, 1e-9))


def boundary_displacement(out: np.ndarray, target: np.ndarray, ids: np.ndarray, reach: int = 4) -> np.ndarray:
    """How far instance boundaries lie from where the target shows them [px], for each boundary pixel that it shows.

    Across each change of ``ids``, along rows and along columns, a piece of boundary 9 px long is moved until its steps
    of luma look most like the target's (normalised cross-correlation, Lewis 1995; a Gaussian of 1.5 px across), and the
    best place is found to a fraction of a pixel (parabola through three values). A pixel's steepest step alone would
    not do: where another light throws another shadow beside the boundary, that is a step too. Boundaries count where
    the target's steepest step within ``reach`` px is at least 0.1 of luma and lies within 1 px of the change of ids.

    Returns:
        Displacements in [0, reach - 0.5], float64, shape [N]; a piece that looks like nothing lands anywhere in it.
    """
    found = []
    for turn in (False, True):
        a, b, owner = (x.T if turn else x for x in (luma(out), luma(target), ids))
        steps, wanted = (np.abs(np.diff(picture, axis=1)) for picture in (a, b))
        y, x = np.nonzero(owner[:, 1:] != owner[:, :-1])  # between columns x and x + 1
        keep = (x >= 2 * reach) & (x < owner.shape[1] - 2 * reach - 1)
        y, x = y[keep], x[keep]
        around = wanted[y[:, None], x[:, None] + np.arange(-reach, reach + 1)]
        shown = (around.max(axis=1, initial=0.0) >= 0.1) & (np.abs(around.argmax(axis=1) - reach) <= 1)
        y, x = y[shown], x[shown]
        likeness = np.stack(
            [_likeness(np.roll(steps, -move, axis=1), wanted)[y, x] for move in range(-reach, reach + 1)], axis=1
        )
        best = np.clip(likeness.argmax(axis=1), 1, 2 * reach - 1)
        left, middle, right = (likeness[np.arange(len(best)), best + step] for step in (-1, 0, 1))
        bend = np.minimum(left - 2.0 * middle + right, -1e-9)
        found.append(np.abs(best - reach + np.clip(0.5 * (left - right) / bend, -0.5, 0.5)))
    return np.concatenate(found)


def _likeness(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the correlation of two maps around each pixel, in [-1, 1]: 7 px across, 9 px along."""
    across, along = cv2.getGaussianKernel(7, 1.5), np.full(9, 1.0 / 9.0)

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.sepFilter2D(x.astype(np.float64), -1, across, along, borderType=cv2.BORDER_REFLECT)

    ma, mb = mean(a), mean(b)
    va, vb = mean(a * a) - ma * ma, mean(b * b) - mb * mb
    return (mean(a * b) - ma * mb) / np.sqrt(np.maximum(va, 1e-7) * np.maximum(vb, 1e-7))


def motion_residual(
    now: np.ndarray, before: np.ndarray, motion: np.ndarray, ids: tuple[np.ndarray, np.ndarray]
) -> float:
    """Mean change of surface points between two frames, in levels of [0, 1].

    Args:
        now: Picture.
        before: The picture before it.
        motion: Previous minus current position [px], shape [H, W, 2].
        ids: Instance ids now and before; points whose instance is hidden in either do not count.
    """
    height, width = now.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    mx, my = x + motion[..., 0].astype(np.float32), y + motion[..., 1].astype(np.float32)
    came = cv2.remap(before.astype(np.float32), mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    owner = cv2.remap(ids[1].astype(np.float32), mx, my, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    inside = (mx >= 0) & (my >= 0) & (mx <= width - 1) & (my <= height - 1)
    same = inside & (owner == ids[0]) & (ids[0] > 0)
    if not same.any():
        return float("nan")
    return float(np.abs(now.astype(np.float32) - came)[same].mean() / 255.0)


def classic_baseline(source: np.ndarray, target: np.ndarray, depth: np.ndarray, extinction: float) -> np.ndarray:
    """Colour transfer and depth fog, as image software does it, given what only an oracle knows.

    The colour statistics (Reinhard et al. 2001, mean and deviation in Lab) and the haze colour are those of the target
    itself, and the extinction is the true one, so this is the best that the method can do.
    """
    lab, goal = (cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float64) for picture in (source, target))
    seen = np.isfinite(depth) & (depth > 0.0)
    clear = np.where(seen, np.exp(-extinction * np.where(seen, depth, 0.0)), 0.0)[..., None]
    haze = target[~seen].mean(axis=0) if (~seen).mean() > 0.01 else target[: max(1, len(target) // 8)].mean(axis=(0, 1))
    moved = (lab - lab.mean(axis=(0, 1))) * (goal.std(axis=(0, 1)) / np.maximum(lab.std(axis=(0, 1)), 1e-6))
    colored = cv2.cvtColor(np.clip(moved + goal.mean(axis=(0, 1)), 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    if extinction < 0.005:
        return colored
    return np.clip(colored * clear + haze * (1.0 - clear), 0, 255).astype(np.uint8)


__all__ = [
    "boundary_displacement",
    "classic_baseline",
    "edge_f1",
    "luma",
    "motion_residual",
    "psnr",
    "shows_through",
    "ssim",
]
