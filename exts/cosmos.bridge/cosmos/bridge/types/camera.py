"""A camera at one moment: where it stands and how it projects."""

from dataclasses import dataclass, field
from typing import Optional

import numpy as np

from cosmos.bridge.types.lens import Lens, Orthographic, Pinhole

_MOST = 1e12
"""Intrinsics that float32 cannot hold make no picture."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Camera:
    """A camera at one moment; lengths in metres, whatever the stage's unit.

    A world point ``p`` (column vector, [m], axes of the stage) projects as ``q = inv(cam_to_world) @ p``,
    ``x, y = lens.project(q)``, ``u = fx * x + cx``, ``v = cy - fy * y``; a pinhole's ``x, y`` is ``q.xy / -q.z``.
    Pixel centres lie at ``+0.5``; ``u`` grows to the right, ``v`` downwards.
    """

    prim_path: str
    """Path of the UsdGeomCamera, or of the source's own name for it."""
    height: int
    """Image height [px]."""
    width: int
    """Image width [px]."""
    intrinsics: np.ndarray
    """``[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]``, from the lens's plane to pixels, float64, shape [3, 3]."""
    cam_to_world: np.ndarray
    """Camera (looks along -Z, +Y up) to world, column vectors, translation [m], float64, shape [4, 4]."""
    near: float = 0.01
    """Near clipping distance [m]: from the image plane, for a fisheye along the ray."""
    far: float = 1.0e6
    """Far clipping distance [m], measured likewise."""
    lens: Lens = field(default_factory=Pinhole)
    """How it projects; a pinhole unless said."""
    exposure: float = 0.0
    """Brightness of the picture over what the light meter chose [EV]."""
    exposure_scale: Optional[float] = None
    """Linear factor from the stage's light to the picture, in place of the light meter (UsdGeomCamera exposure:*)."""

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(f"Camera needs a size of at least 1 x 1 [px], got {self.height} x {self.width}.")
        if np.shape(self.intrinsics) != (3, 3) or np.shape(self.cam_to_world) != (4, 4):
            raise ValueError(
                "Camera needs intrinsics of shape [3, 3] and cam_to_world of shape [4, 4], "
                f"got {np.shape(self.intrinsics)} and {np.shape(self.cam_to_world)}."
            )
        if not 0.0 < self.near < self.far:
            raise ValueError(f"Camera needs 0 < near < far [m], got near={self.near!r}, far={self.far!r}.")
        scale = self.exposure_scale
        if not abs(self.exposure) <= 64.0 or (scale is not None and not 0.0 < scale < np.inf):
            raise ValueError(
                f"Camera needs an exposure in [-64, 64] [EV] and a positive exposure_scale, got {self.exposure!r} and "
                f"{scale!r}."
            )
        for name in ("intrinsics", "cam_to_world"):
            matrix = np.array(getattr(self, name), dtype=np.float64)
            matrix.setflags(write=False)
            object.__setattr__(self, name, matrix)
        k, pose = self.intrinsics, self.cam_to_world
        if not (np.all(np.abs(k) < _MOST) and k[0, 0] > 0.0 < k[1, 1]):
            raise ValueError(
                f"Camera needs finite intrinsics below {_MOST:g} with positive focal lengths, got {k.tolist()}."
            )
        if not (np.isfinite(pose).all() and abs(np.linalg.det(pose[:3, :3])) > 1e-12):
            raise ValueError(f"Camera needs a finite cam_to_world that has an inverse, got {pose.tolist()}.")

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return the image points [px] of world points, float64 [..., 2]; NaN where the lens does not see them.

        Args:
            points: World points [m], shape [..., 3].
        """
        into = np.linalg.inv(self.cam_to_world)
        plane = self.lens.project(np.asarray(points, dtype=np.float64) @ into[:3, :3].T + into[:3, 3])
        return plane * (self._focal * (1.0, -1.0)) + self._center

    def rays(self, pixels: Optional[np.ndarray] = None) -> tuple[np.ndarray, np.ndarray]:
        """Return where rays start [m] and their unit directions, in the world, each float64 [..., 3].

        A direction is NaN outside the image circle of the lens.

        Args:
            pixels: Image points [px], shape [..., 2]; every pixel centre, [H, W, 2], when ``None``.
        """
        if pixels is None:
            pixels = np.stack(np.meshgrid(np.arange(self.width), np.arange(self.height)), axis=-1) + 0.5
        plane = (np.asarray(pixels, dtype=np.float64) - self._center) / (self._focal * (1.0, -1.0))
        starts = np.zeros((*plane.shape[:-1], 3))
        if isinstance(self.lens, Orthographic):
            starts[..., :2] = plane
        turn, place = self.cam_to_world[:3, :3], self.cam_to_world[:3, 3]
        return starts @ turn.T + place, self.lens.rays(plane) @ turn.T

    @property
    def _focal(self) -> np.ndarray:
        return np.array([self.intrinsics[0, 0], self.intrinsics[1, 1]])

    @property
    def _center(self) -> np.ndarray:
        return np.array([self.intrinsics[0, 2], self.intrinsics[1, 2]])


__all__ = ["Camera"]
