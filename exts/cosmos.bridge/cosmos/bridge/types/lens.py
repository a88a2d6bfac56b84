"""How a camera bends light: one frozen type per lens, each able to project points and to give rays, in float64.

Every lens maps camera space (looks along -Z, +Y up, [m]) to a plane (x right, y up), which ``Camera.intrinsics`` maps
to pixels: ``u = fx * x + cx``, ``v = cy - fy * y``. What a lens cannot see is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Union

import numpy as np

_HALVINGS = 60
_NEWTON_STEPS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Pinhole:
    """Straight lines stay straight: ``x / -z``, ``y / -z``."""

    name: ClassVar[str] = "pinhole"

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return the plane positions of camera-space points [..., 3]; NaN behind the camera."""
        depth = np.where(points[..., 2:] < 0.0, -points[..., 2:], np.nan)
        return points[..., :2] / depth

    def rays(self, plane: np.ndarray) -> np.ndarray:
        """Return the unit directions of plane positions [..., 2] in camera space."""
        return _unit(np.concatenate([plane, -np.ones_like(plane[..., :1])], axis=-1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Orthographic:
    """Parallel rays; the plane is in metres, so ``Camera.intrinsics`` holds pixels per metre."""

    name: ClassVar[str] = "orthographic"

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return the plane positions [m] of camera-space points [..., 3]; NaN behind the camera."""
        return np.where(points[..., 2:] < 0.0, points[..., :2], np.nan)

    def rays(self, plane: np.ndarray) -> np.ndarray:
        """Return the one direction of all rays; they start on the plane."""
        return np.broadcast_to(np.array([0.0, 0.0, -1.0]), (*plane.shape[:-1], 3)).copy()


@dataclass(frozen=True, kw_only=True, slots=True)
class FTheta:
    """NVIDIA's f-theta fisheye: the angle off the axis is a polynomial of the distance from the optical centre.

    The plane is in pixels of the calibrated sensor, so ``Camera.intrinsics`` holds the picture's size over the
    sensor's. Formula: ``theta = k0 + k1 r + ... + k5 r^5`` (``omni.syntheticdata``, fisheyePolynomial).
    """

    name: ClassVar[str] = "f-theta fisheye"
    coefficients: tuple[float, ...]
    """``k0`` to ``k5`` [rad / px^i]; missing ones are 0."""
    max_theta: float = math.pi
    """Largest angle off the axis [rad], in (0, pi]."""

    def __post_init__(self) -> None:
        _check(self, self.coefficients, most=6, max_theta=self.max_theta)
        padded = tuple(float(k) for k in self.coefficients) + (0.0,) * (6 - len(self.coefficients))
        object.__setattr__(self, "coefficients", padded)
        if not padded[1] > 0.0:
            raise ValueError(f"FTheta needs k1 > 0 [rad/px], so that angles grow from the centre, got {padded[1]!r}.")
        if not 0.0 <= padded[0] < self.max_theta:
            raise ValueError(f"FTheta needs k0 in [0, max_theta) [rad], got {padded[0]!r}.")

    @property
    def reach(self) -> float:
        """Largest distance from the optical centre [px] that is seen: at max_theta, or where the polynomial turns."""
        low_first = np.array(self.coefficients)
        at_limit = np.concatenate([[low_first[0] - self.max_theta], low_first[1:]])
        return min(_first_root(at_limit), _first_root(np.polynomial.polynomial.polyder(low_first)))

    def theta(self, radius: np.ndarray) -> np.ndarray:
        """Return the angle off the axis [rad] at a distance from the optical centre [px]."""
        return np.asarray(np.polynomial.polynomial.polyval(radius, np.array(self.coefficients)))

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return the plane positions [px of the sensor] of camera-space points [..., 3]; NaN beyond the last angle."""
        theta, around = _off_axis(points)
        reach = self.reach
        seen = (theta <= self.theta(np.array(reach))) & (theta >= self.coefficients[0])
        radius = _bisect(self.theta, theta, reach)
        return np.where(seen[..., None], radius[..., None] * around, np.nan)

    def rays(self, plane: np.ndarray) -> np.ndarray:
        """Return the unit directions of plane positions [..., 2]; NaN outside the image circle."""
        radius = np.linalg.norm(plane, axis=-1)
        return _tilted(plane, radius, np.where(radius <= self.reach, self.theta(radius), np.nan))


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenCvFisheye:
    """OpenCV's fisheye (Kannala and Brandt 2006): ``r = theta (1 + k1 theta^2 + k2 theta^4 + ...)``.

    Beyond 90 degrees, where ``cv2.fisheye.projectPoints`` folds points over, the same formula goes on.
    """

    name: ClassVar[str] = "OpenCV fisheye"
    coefficients: tuple[float, ...] = ()
    """``k1`` to ``k4``; missing ones are 0."""
    max_theta: float = math.pi
    """Largest angle off the axis [rad], in (0, pi]."""

    def __post_init__(self) -> None:
        _check(self, self.coefficients, most=4, max_theta=self.max_theta)
        padded = tuple(float(k) for k in self.coefficients) + (0.0,) * (4 - len(self.coefficients))
        object.__setattr__(self, "coefficients", padded)

    @property
    def last_theta(self) -> float:
        """Largest angle [rad] that is seen: max_theta, or where the polynomial turns."""
        slopes = np.zeros(9)
        slopes[::2] = 1.0, *(k * n for k, n in zip(self.coefficients, (3.0, 5.0, 7.0, 9.0), strict=True))
        return min(self.max_theta, _first_root(slopes))

    def radius(self, theta: np.ndarray) -> np.ndarray:
        """Return the distance from the optical centre at an angle off the axis [rad]."""
        low_first = np.zeros(10)
        low_first[1::2] = 1.0, *self.coefficients
        return np.asarray(np.polynomial.polynomial.polyval(theta, low_first))

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return the plane positions of camera-space points [..., 3]; NaN beyond the last angle."""
        theta, around = _off_axis(points)
        return np.where((theta <= self.last_theta)[..., None], self.radius(theta)[..., None] * around, np.nan)

    def rays(self, plane: np.ndarray) -> np.ndarray:
        """Return the unit directions of plane positions [..., 2]; NaN outside the image circle."""
        radius, last = np.linalg.norm(plane, axis=-1), self.last_theta
        theta = _bisect(self.radius, radius, last)
        return _tilted(plane, radius, np.where(radius <= self.radius(np.array(last)), theta, np.nan))


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenCvPinhole:
    """OpenCV's pinhole with radial, tangential and thin-prism distortion (Brown-Conrady, rational model)."""

    name: ClassVar[str] = "OpenCV pinhole"
    coefficients: tuple[float, ...] = ()
    """``k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4``, in OpenCV's order; missing ones are 0."""

    def __post_init__(self) -> None:
        _check(self, self.coefficients, most=12)
        padded = tuple(float(k) for k in self.coefficients) + (0.0,) * (12 - len(self.coefficients))
        object.__setattr__(self, "coefficients", padded)

    @property
    def reach(self) -> float:
        """Largest undistorted distance from the axis before the radial part folds over; ``inf`` where it never does."""
        k1, k2, _, _, k3, k4, k5, k6, *_ = self.coefficients
        top, bottom = (np.polynomial.Polynomial([1.0, *ks]) for ks in ((k1, k2, k3), (k4, k5, k6)))
        square = np.polynomial.Polynomial([0.0, 1.0])
        slope = (top + 2.0 * square * top.deriv()) * bottom - 2.0 * square * top * bottom.deriv()
        return math.sqrt(min(_first_root(slope.coef), _first_root(bottom.coef)))

    def bend(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return distorted positions; all with y down, as OpenCV has it."""
        k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = self.coefficients
        r2 = x * x + y * y
        gain = (1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1.0 + r2 * (k4 + r2 * (k5 + r2 * k6)))
        return (
            x * gain + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x) + r2 * (s1 + r2 * s2),
            y * gain + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y + r2 * (s3 + r2 * s4),
        )

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return the plane positions of camera-space points [..., 3]; NaN behind, and where the lens folds over."""
        straight = Pinhole().project(points)
        seen = np.linalg.norm(straight, axis=-1) <= self.reach
        x, y = self.bend(straight[..., 0], -straight[..., 1])
        return np.where(seen[..., None], np.stack([x, -y], axis=-1), np.nan)

    def rays(self, plane: np.ndarray) -> np.ndarray:
        """Return the unit directions of plane positions [..., 2], by Newton's method; NaN where nothing projects to."""
        want_x, want_y = plane[..., 0], -plane[..., 1]
        reach = min(self.reach, 1e6)
        x, y = want_x.copy(), want_y.copy()
        for _ in range(_NEWTON_STEPS):
            x, y = _within(x, y, reach)
            got_x, got_y = self.bend(x, y)
            (xx, xy), (yx, yy) = self._slopes(x, y)
            det = xx * yy - xy * yx
            det = np.where(np.abs(det) < 1e-12, 1e-12, det)
            off_x, off_y = want_x - got_x, want_y - got_y
            x, y = x + (yy * off_x - xy * off_y) / det, y + (xx * off_y - yx * off_x) / det
        x, y = _within(x, y, reach)
        got_x, got_y = self.bend(x, y)
        found = np.hypot(got_x - want_x, got_y - want_y) < 1e-7 * (1.0 + np.hypot(want_x, want_y))
        x, y = np.where(found, x, np.nan), np.where(found, y, np.nan)
        return Pinhole().rays(np.stack([x, -y], axis=-1))

    def _slopes(self, x: np.ndarray, y: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Return the Jacobian of ``bend``."""
        k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = self.coefficients
        r2 = x * x + y * y
        top, bottom = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3)), 1.0 + r2 * (k4 + r2 * (k5 + r2 * k6))
        d_top, d_bottom = k1 + r2 * (2.0 * k2 + 3.0 * r2 * k3), k4 + r2 * (2.0 * k5 + 3.0 * r2 * k6)
        gain, slope = top / bottom, (d_top * bottom - top * d_bottom) / (bottom * bottom)
        both = 2.0 * (x * y * slope + p1 * x + p2 * y)
        prism_x, prism_y = 2.0 * s1 + 4.0 * r2 * s2, 2.0 * s3 + 4.0 * r2 * s4
        return (
            (gain + 2.0 * x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x + x * prism_x, both + y * prism_x),
            (both + x * prism_y, gain + 2.0 * y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x + y * prism_y),
        )


Lens = Union[Pinhole, Orthographic, FTheta, OpenCvFisheye, OpenCvPinhole]
"""Every lens that a Camera may have."""


def _check(lens: object, coefficients: tuple[float, ...], *, most: int, max_theta: float = math.pi) -> None:
    """Raise ValueError unless the numbers of a lens are usable."""
    name = type(lens).__name__
    if len(coefficients) > most or not all(math.isfinite(float(k)) for k in coefficients):
        raise ValueError(f"{name} needs at most {most} finite coefficients, got {coefficients!r}.")
    if not 0.0 < max_theta <= math.pi:
        raise ValueError(f"{name}.max_theta must lie in (0, pi] [rad], got {max_theta!r}.")


def _first_root(low_first: np.ndarray) -> float:
    """Return the smallest positive real root of a polynomial; ``inf`` where it has none."""
    high_first = np.asarray(low_first, dtype=np.float64)[::-1]
    # So little shifts no root that matters, but spoils the numbers of the others.
    tiny = np.abs(high_first) < 1e-24 * np.abs(high_first).max()
    high_first = np.trim_zeros(np.where(tiny, 0.0, high_first), "f")
    if len(high_first) < 2:
        return math.inf
    roots = np.roots(high_first)
    real = roots.real[np.abs(roots.imag) <= 1e-9 * np.abs(roots)]
    return float(min(real[real > 0.0], default=math.inf))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _off_axis(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the angle off the axis [rad], and the unit direction around it; +x on the axis itself."""
    across = np.linalg.norm(points[..., :2], axis=-1)
    safe = np.where(across > 0.0, across, 1.0)[..., None]
    around = np.where(across[..., None] > 0.0, points[..., :2] / safe, np.array([1.0, 0.0]))
    theta = np.arctan2(across, -points[..., 2])
    return np.where((points == 0.0).all(axis=-1), np.nan, theta), around


def _tilted(plane: np.ndarray, radius: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Return unit directions at an angle off the axis, around it as on the plane."""
    share = np.sin(theta) / np.where(radius > 0.0, radius, 1.0)
    return np.concatenate([plane * share[..., None], -np.cos(theta)[..., None]], axis=-1)


def _bisect(rising: Callable[[np.ndarray], np.ndarray], wanted: np.ndarray, end: float) -> np.ndarray:
    """Return where a rising function on [0, end] takes the wanted values; an end where it does not."""
    low, high = np.zeros_like(wanted), np.full_like(wanted, end)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        below = rising(middle) < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(0.5 * (low + high))


def _within(x: np.ndarray, y: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return positions drawn back to at most ``reach`` from the axis."""
    share = np.minimum(1.0, reach / np.maximum(np.hypot(x, y), 1e-30))
    return x * share, y * share


__all__ = ["FTheta", "Lens", "OpenCvFisheye", "OpenCvPinhole", "Orthographic", "Pinhole"]
