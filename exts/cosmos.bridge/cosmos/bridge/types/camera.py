"""A camera at one moment: where it stands and how it projects."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Camera:
    """A pinhole camera at one moment; lengths in metres, whatever the stage's unit.

    A world point ``p`` (column vector, [m], axes of the stage) projects as ``q = inv(cam_to_world) @ p``,
    ``u = fx * q.x / -q.z + cx``, ``v = cy - fy * q.y / -q.z``. Pixel centres lie at ``+0.5``; ``u`` grows to the
    right, ``v`` downwards.
    """

    prim_path: str
    """Path of the UsdGeomCamera, or of the source's own name for it."""
    height: int
    """Image height [px]."""
    width: int
    """Image width [px]."""
    intrinsics: np.ndarray
    """``[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]`` [px], float64, shape [3, 3]."""
    cam_to_world: np.ndarray
    """Camera (looks along -Z, +Y up) to world, column vectors, translation [m], float64, shape [4, 4]."""
    near: float = 0.01
    """Near clipping distance [m]."""
    far: float = 1.0e6
    """Far clipping distance [m]."""

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
        for name in ("intrinsics", "cam_to_world"):
            matrix = np.array(getattr(self, name), dtype=np.float64)
            matrix.setflags(write=False)
            object.__setattr__(self, name, matrix)


__all__ = ["Camera"]
