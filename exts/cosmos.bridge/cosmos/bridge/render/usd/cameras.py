"""Cameras: UsdGeomCamera to intrinsics and pose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.errors import SourceError
from cosmos.bridge.render.usd.lenses import read_lens
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.types import Camera, Lens, Orthographic, Pinhole

if TYPE_CHECKING:
    from pxr import Usd

_APERTURE_UNIT = 0.1
"""Apertures are in tenths of a scene unit (Gf.Camera.APERTURE_UNIT)."""
_EXPOSURE = {"time": 1.0, "iso": 100.0, "fStop": 1.0, "responsivity": 1.0}
"""Physical exposure attributes of UsdGeomCamera and their defaults."""


def read_camera(prim: Usd.Prim, time: Usd.TimeCode, scale: float, size: tuple[int, int]) -> Camera:
    """Read a camera as Kit draws it: the horizontal aperture spans the width, pixels are square.

    A calibrated lens (``omni:lensdistortion:*``, ``cameraProjectionType``) goes before aperture and focal length.

    Args:
        prim: A UsdGeomCamera.
        time: When.
        scale: Metres per stage unit.
        size: (height, width) [px].

    Raises:
        SourceError: If it lacks aperture, focal length or depth range, cannot be inverted, or has an unknown lens.
    """
    from pxr import Gf, UsdGeom

    camera, path = UsdGeom.Camera(prim), prim.GetPath()
    world = UsdGeom.XformCache(time).GetLocalToWorldTransform(prim)
    if not np.isfinite(np.array(world)).all() or abs(np.linalg.det(np.array(world)[:3, :3])) < 1e-12:
        raise SourceError(
            f"Camera {path} has a transform without inverse at time {time}; author one without zero scale."
        )
    lens, intrinsics = read_lens(prim, time, size) or _plain_lens(camera, time, scale, size)
    frustum = Gf.Frustum()
    frustum.SetPositionAndRotationFromMatrix(world)  # drops scale and mirroring, as USD's own cameras do
    cam_to_world = np.array(frustum.ComputeViewInverse()).T
    cam_to_world[:3, 3] *= scale
    near, far = _clipping(camera, time, scale)
    exposure, exposure_scale = _exposure(camera, time)
    try:
        return Camera(
            prim_path=str(path),
            height=size[0],
            width=size[1],
            intrinsics=intrinsics,
            cam_to_world=cam_to_world,
            near=near,
            far=far,
            lens=lens,
            exposure=exposure,
            exposure_scale=exposure_scale,
        )
    except ValueError as error:
        raise SourceError(f"Camera {path} at time {time} cannot be drawn with: {str(error).rstrip('.')}.") from error


def _plain_lens(camera: Any, time: Usd.TimeCode, scale: float, size: tuple[int, int]) -> tuple[Lens, np.ndarray]:
    """Return the lens that UsdGeomCamera describes: perspective or orthographic."""
    from pxr import UsdGeom

    height, width = size
    parallel = camera.GetProjectionAttr().Get(time) == UsdGeom.Tokens.orthographic
    names = ("focalLength", "horizontalAperture", "horizontalApertureOffset", "verticalApertureOffset")
    focal, aperture, shift_x, shift_y = (float(camera.GetPrim().GetAttribute(name).Get(time)) for name in names)
    if not (aperture > 0.0 and (parallel or focal > 0.0) and np.isfinite((focal, aperture, shift_x, shift_y)).all()):
        raise SourceError(
            f"Camera {camera.GetPath()} has focal length {focal:g}, horizontal aperture {aperture:g} and aperture "
            f"offsets {shift_x:g}, {shift_y:g}; all must be finite, and the first two positive."
        )
    pixels = width / aperture
    center = width / 2.0 - shift_x * pixels, height / 2.0 + shift_y * pixels
    if parallel:
        return Orthographic(), intrinsics_matrix(pixels / (_APERTURE_UNIT * scale), *center)
    return Pinhole(), intrinsics_matrix(focal * pixels, *center)


def intrinsics_matrix(focal: float, center_x: float, center_y: float) -> np.ndarray:
    """Return the matrix of a lens with square pixels, all in pixels, float64 [3, 3]."""
    return np.array([[focal, 0.0, center_x], [0.0, focal, center_y], [0.0, 0.0, 1.0]])


def _clipping(camera: Any, time: Usd.TimeCode, scale: float) -> tuple[float, float]:
    """Return near and far [m]; the schema's own (1, 1000000) is of centimetres and does not count as said."""
    attribute = camera.GetClippingRangeAttr()
    if not attribute.HasAuthoredValue():
        return 0.01, 1.0e6
    near, far = (float(value) * scale for value in attribute.Get(time))
    near = max(near, 1e-4)  # 0 says that nothing is cut off in front
    if not near < far:
        raise SourceError(
            f"Camera {attribute.GetPrimPath()} clips at {tuple(attribute.Get(time))}; far must exceed near."
        )
    return near, far


def _exposure(camera: Any, time: Usd.TimeCode) -> tuple[float, Optional[float]]:
    """Return the exposure [EV], and the linear scale where shutter, film or aperture are authored.

    ``time iso 2^exposure responsivity / (100 fStop^2)`` (UsdGeomCamera::ComputeLinearExposureScale).
    """
    prim = camera.GetPrim()
    exposure = float(camera.GetExposureAttr().Get(time))
    read = {name: prim.GetAttribute(f"exposure:{name}") for name in _EXPOSURE}
    said = any(attribute and attribute.HasAuthoredValue() for attribute in read.values())
    values = [
        float(read[name].Get(time)) if read[name] and read[name].Get(time) is not None else otherwise
        for name, otherwise in _EXPOSURE.items()
    ]
    sound = abs(exposure) <= 64.0 and all(0.0 < value < np.inf for value in values)
    if not sound:
        numbers = ", ".join(f"{name} {value:g}" for name, value in zip(_EXPOSURE, values, strict=True))
        raise SourceError(
            f"Camera {prim.GetPath()} has exposure {exposure:g} and {numbers}; the first must lie in [-64, 64] and the "
            "others be positive."
        )
    shutter, iso, f_stop, responsivity = values
    return exposure, shutter * iso * 2.0**exposure * responsivity / (100.0 * f_stop**2) if said else None


def note_cameras(cameras: list[Usd.Prim], time: Usd.TimeCode, notes: Notes) -> None:
    """Say what cameras ask for that is not drawn (clipping planes, depth of field, motion blur), or not as usual."""
    from pxr import UsdGeom

    for prim in cameras:
        camera, path = UsdGeom.Camera(prim), str(prim.GetPath())
        if camera.GetClippingPlanesAttr().Get(time):
            notes.add("Cameras with clippingPlanes are drawn without them, clipped by clippingRange only", path)
        if (camera.GetFStopAttr().Get(time) or 0.0) > 0.0 and (camera.GetFocusDistanceAttr().Get(time) or 0.0) > 0.0:
            notes.add("Cameras with fStop and focusDistance are drawn sharp everywhere, without depth of field", path)
        if (camera.GetShutterCloseAttr().Get(time) or 0.0) > (camera.GetShutterOpenAttr().Get(time) or 0.0):
            notes.add("Cameras with an open shutter are drawn without motion blur", path)
        if any(prim.GetAttribute(f"exposure:{name}").HasAuthoredValue() for name in _EXPOSURE):
            notes.add("Cameras with exposure:time, iso, fStop or responsivity are exposed by those, not metered", path)


__all__ = ["intrinsics_matrix", "note_cameras", "read_camera"]
