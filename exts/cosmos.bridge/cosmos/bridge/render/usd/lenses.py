"""Calibrated lenses as Isaac Sim writes them: ``omni:lensdistortion:*`` and the older ``cameraProjectionType``.

The schemas are unknown to plain USD, so attributes are read by name; one that is not authored has NVIDIA's default.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.errors import SourceError
from cosmos.bridge.types import FTheta, Lens, OpenCvFisheye, OpenCvPinhole

if TYPE_CHECKING:
    from pxr import Usd

_MODEL, _PROJECTION = "omni:lensdistortion:model", "cameraProjectionType"
_API = "OmniLensDistortion"
_MODEL_OF_API = {
    "OmniLensDistortionFthetaAPI": "ftheta",
    "OmniLensDistortionOpenCvFisheyeAPI": "opencvFisheye",
    "OmniLensDistortionOpenCvPinholeAPI": "opencvPinhole",
}
_OPENCV_ORDER = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6", "s1", "s2", "s3", "s4")
_OPENCV_ORDER_BEFORE = (
    *("fthetaPolyA", "fthetaPolyB", "p0", "p1", "fthetaPolyC", "fthetaPolyD", "fthetaPolyE", "fthetaPolyF"),
    *("s0", "s1", "s2", "s3"),
)


def read_lens(prim: Usd.Prim, time: Usd.TimeCode, size: tuple[int, int]) -> Optional[tuple[Lens, np.ndarray]]:
    """Return the calibrated lens of a camera and its intrinsics at a picture size; ``None`` where it has none.

    The width of the calibrated sensor spans the width of the picture and pixels stay as they are shaped, as with the
    aperture of a plain camera; a picture of another aspect shows more or less above and below.

    Args:
        prim: A UsdGeomCamera.
        time: When.
        size: (height, width) [px].

    Raises:
        SourceError: If the lens is of a kind that is not drawn, or its numbers make no lens.
    """
    model = _model_of(prim, time)
    if model is None:
        return None
    path = prim.GetPath()
    if model not in _READERS:
        raise SourceError(
            f"Camera {path} has the lens {model!r}, which is not drawn; there are pinhole, orthographic and "
            f"{', '.join(_READERS)}."
        )

    def read(name: str, otherwise: Any) -> Any:
        attribute = prim.GetAttribute(name)
        value = attribute.Get(time) if attribute else None
        return otherwise if value is None else value

    try:
        lens, intrinsics, sensor = _READERS[model](read)
    except (TypeError, ValueError) as error:
        raise SourceError(f"Camera {path} has no usable lens {model}: {str(error).rstrip('.')}.") from error
    numbers = np.array([*intrinsics, *sensor], dtype=np.float64)
    if not (np.isfinite(numbers).all() and (numbers[[0, 1, 4, 5]] > 0.0).all()):
        raise SourceError(
            f"Camera {path} has the lens {model} with focal lengths {intrinsics[0]:g}, {intrinsics[1]:g}, optical "
            f"centre {intrinsics[2]:g}, {intrinsics[3]:g} and sensor {sensor[0]:g} x {sensor[1]:g} [px]; "
            "all must be finite, and lengths and sizes positive."
        )
    height, width = size
    share = width / sensor[0]
    fx, fy, cx, cy = (float(value) for value in intrinsics)
    middle = height / 2.0 + (cy - sensor[1] / 2.0) * share
    return lens, np.array([[fx * share, 0.0, cx * share], [0.0, fy * share, middle], [0.0, 0.0, 1.0]])


def _model_of(prim: Usd.Prim, time: Usd.TimeCode) -> Optional[str]:
    """Return the name of a camera's lens; ``None`` for what UsdGeomCamera itself describes."""
    said = prim.GetAttribute(_MODEL)
    if said and said.Get(time):
        model = str(said.Get(time))
        return None if model == "pinhole" else model
    listed = prim.GetMetadata("apiSchemas")
    applied = [str(name) for name in listed.GetAddedOrExplicitItems()] if listed else []
    for name in applied:
        if name.startswith(_API):
            return _MODEL_OF_API.get(name, name)
    said = prim.GetAttribute(_PROJECTION)
    projection = str(said.Get(time)) if said and said.Get(time) else "pinhole"
    return None if projection == "pinhole" else projection


def _max_theta(degrees: float) -> float:
    """Return half a field of view [rad], at most all around; 0 or less says no limit."""
    degrees = float(degrees)
    if math.isnan(degrees):
        raise ValueError("its largest field of view is not a number")
    return math.radians(min(degrees, 360.0) / 2.0) if degrees > 0.0 else math.pi


def _read_ftheta(read: Any) -> tuple[Lens, Any, Any]:
    at = "omni:lensdistortion:ftheta:"
    coefficients = tuple(float(read(f"{at}k{i}", 0.00245 if i == 1 else 0.0)) for i in range(6))
    lens = FTheta(coefficients=coefficients, max_theta=_max_theta(read(f"{at}maxFov", 200.0)))
    center = read(f"{at}opticalCenter", (970.9424, 600.3748))
    return lens, (1.0, 1.0, *center), (read(f"{at}nominalWidth", 1936.0), read(f"{at}nominalHeight", 1216.0))


def _read_opencv(read: Any, model: str) -> tuple[Any, Any]:
    at = f"omni:lensdistortion:{model}:"
    names = (("fx", 900.0), ("fy", 800.0), ("cx", 1024.0), ("cy", 512.0))
    return tuple(float(read(at + name, value)) for name, value in names), read(at + "imageSize", (2048, 1024))


def _read_opencv_fisheye(read: Any) -> tuple[Lens, Any, Any]:
    at = "omni:lensdistortion:opencvFisheye:k"
    lens = OpenCvFisheye(coefficients=tuple(float(read(f"{at}{i}", 0.00245 if i == 1 else 0.0)) for i in range(1, 5)))
    return lens, *_read_opencv(read, "opencvFisheye")


def _read_opencv_pinhole(read: Any) -> tuple[Lens, Any, Any]:
    at = "omni:lensdistortion:opencvPinhole:"
    lens = OpenCvPinhole(coefficients=tuple(float(read(at + name, 0.0)) for name in _OPENCV_ORDER))
    return lens, *_read_opencv(read, "opencvPinhole")


def _sensor_before(read: Any) -> tuple[Any, Any]:
    """Return optical centre and sensor size of a ``cameraProjectionType`` camera."""
    center = (float(read("fthetaCx", 970.94244)), float(read("fthetaCy", 600.37482)))
    return center, (float(read("fthetaWidth", 1936.0)), float(read("fthetaHeight", 1216.0)))


def _read_ftheta_before(read: Any) -> tuple[Lens, Any, Any]:
    center, sensor = _sensor_before(read)
    coefficients = tuple(float(read(f"fthetaPoly{letter}", 0.00245 if letter == "B" else 0.0)) for letter in "ABCDEF")
    lens = FTheta(coefficients=coefficients, max_theta=_max_theta(read("fthetaMaxFov", 200.0)))
    return lens, (1.0, 1.0, *center), sensor


def _focal_before(read: Any) -> tuple[float, float]:
    return float(read("openCVFx", 0.0)), float(read("openCVFy", 0.0))


def _read_opencv_fisheye_before(read: Any) -> tuple[Lens, Any, Any]:
    center, sensor = _sensor_before(read)
    lens = OpenCvFisheye(
        coefficients=tuple(float(read(f"fthetaPoly{letter}", 0.0)) for letter in "ABCD"),
        max_theta=_max_theta(read("fthetaMaxFov", 200.0)),
    )
    return lens, (*_focal_before(read), *center), sensor


def _read_opencv_pinhole_before(read: Any) -> tuple[Lens, Any, Any]:
    center, sensor = _sensor_before(read)
    lens = OpenCvPinhole(coefficients=tuple(float(read(name, 0.0)) for name in _OPENCV_ORDER_BEFORE))
    return lens, (*_focal_before(read), *center), sensor


_READERS: dict[str, Callable[[Any], tuple[Lens, Any, Any]]] = {
    "ftheta": _read_ftheta,
    "opencvFisheye": _read_opencv_fisheye,
    "opencvPinhole": _read_opencv_pinhole,
    "fisheyePolynomial": _read_ftheta_before,
    "fisheyeOpenCV": _read_opencv_fisheye_before,
    "pinholeOpenCV": _read_opencv_pinhole_before,
}

__all__ = ["read_lens"]
