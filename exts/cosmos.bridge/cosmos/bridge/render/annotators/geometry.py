"""Annotators of the camera and of the points it sees."""

from __future__ import annotations

from typing import Any

import numpy as np

from cosmos.bridge.render.annotators.options import Shot
from cosmos.bridge.render.annotators.sight import points
from cosmos.bridge.render.annotators.things import FIRST
from cosmos.bridge.types import Camera, FTheta, Lens, OpenCvFisheye, OpenCvPinhole, Orthographic, Pinhole

_NOMINAL = {"focalLength": 24.0, "focusDistance": 0.0, "fStop": 0.0}
"""Optics of a camera that is no prim of a stage."""


def camera_params(shot: Shot) -> dict[str, Any]:
    """Lens and pose: row vectors, world to camera, reversed depth, as Replicator has them.

    The aperture follows from the focal length and the intrinsics, so that ``fx = focal / (aperture_x / width)``.
    """
    camera, details = shot.frame.camera, shot.frame.details
    optics = {**_NOMINAL, **(details.optics() if details is not None else {})}
    authored = details.meters_per_unit if details is not None else 1.0
    width, height, fx, fy = camera.width, camera.height, camera.intrinsics[0, 0], camera.intrinsics[1, 1]
    spread = optics["focalLength"] / _paraxial(camera.lens)
    if isinstance(camera.lens, Orthographic):
        spread = 10.0 / authored  # apertures are tenths of a scene unit, the plane is in metres
    aperture = np.array([width / fx, height / fy]) * spread
    offset = np.array([0.5 - camera.intrinsics[0, 2] / width, camera.intrinsics[1, 2] / height - 0.5]) * aperture
    near, far = camera.near / shot.unit, camera.far / shot.unit
    view = np.linalg.inv(camera.cam_to_world).T
    view[3, :3] /= shot.unit
    return {
        "cameraAperture": aperture.astype(np.float32),
        "cameraApertureOffset": offset.astype(np.float32),
        "cameraFStop": float(optics["fStop"]),
        **_bent(camera),
        "cameraFocalLength": float(optics["focalLength"]),
        "cameraFocusDistance": float(optics["focusDistance"]) * authored / shot.unit,
        "cameraNearFar": np.array([near, far], np.float32),
        "cameraProjection": _projection(camera, near, far, shot.unit).ravel(),
        "cameraViewTransform": view.ravel(),
        "metersPerSceneUnit": shot.unit,
        "renderProductResolution": np.array([width, height], np.int32),
    }


def _paraxial(lens: Lens) -> float:
    """Return the length on a lens's plane of one radian off the axis."""
    return 1.0 / lens.coefficients[1] if isinstance(lens, FTheta) else 1.0


def _projection(camera: Camera, near: float, far: float, unit: float) -> np.ndarray:
    """Return camera space to clip space for row vectors: 1 at the near plane, 0 at the far one.

    That of a bent lens is the straight one that agrees with it around the axis.
    """
    share = _paraxial(camera.lens)
    fx, fy, cx, cy = (camera.intrinsics[at] for at in ((0, 0), (1, 1), (0, 2), (1, 2)))
    matrix = np.zeros((4, 4))
    matrix[0, 0], matrix[1, 1] = 2.0 * fx * share / camera.width, 2.0 * fy * share / camera.height
    shift = 1.0 - 2.0 * cx / camera.width, 2.0 * cy / camera.height - 1.0
    if isinstance(camera.lens, Orthographic):
        matrix[:2] *= unit
        matrix[3, 0], matrix[3, 1] = -shift[0], -shift[1]
        matrix[2, 2], matrix[3, 2], matrix[3, 3] = 1.0 / (far - near), far / (far - near), 1.0
        return matrix
    matrix[2, 0], matrix[2, 1] = shift
    matrix[2, 2], matrix[2, 3], matrix[3, 2] = near / (far - near), -1.0, far * near / (far - near)
    return matrix


_MODELS: dict[type, str] = {
    Pinhole: "pinhole",
    Orthographic: "orthographic",
    FTheta: "ftheta",
    OpenCvFisheye: "opencvFisheye",
    OpenCvPinhole: "opencvPinhole",
}


def _bent(camera: Camera) -> dict[str, Any]:
    """Return what tells of a lens that is not straight; zeros for one that is."""
    lens = camera.lens
    fx, fy, cx, cy = (float(camera.intrinsics[at]) for at in ((0, 0), (1, 1), (0, 2), (1, 2)))
    polynomial: list[float] = [0.0] * 5
    tangential: list[float] = []
    prism: list[float] = []
    fov, nominal, center, focal = 0.0, (0, 0), (0.0, 0.0), (0.0, 0.0)
    if isinstance(lens, FTheta):
        polynomial, fov, center = list(lens.coefficients), float(np.degrees(2.0 * lens.max_theta)), (cx / fx, cy / fy)
        nominal = round(camera.width / fx), round(camera.height / fy)
    elif isinstance(lens, (OpenCvFisheye, OpenCvPinhole)):
        nominal, center, focal = (camera.width, camera.height), (cx, cy), (fx, fy)
        polynomial = list(lens.coefficients)
    if isinstance(lens, OpenCvFisheye):
        fov = float(np.degrees(2.0 * lens.last_theta))
    if isinstance(lens, OpenCvPinhole):
        k1, k2, p1, p2, *others = lens.coefficients
        polynomial, tangential, prism = [k1, k2, *others[:4]], [p1, p2], others[4:]
    return {
        "cameraFisheyeLensP": np.array(tangential, np.float32),
        "cameraFisheyeLensS": np.array(prism, np.float32),
        "cameraFisheyeMaxFOV": fov,
        "cameraFisheyeNominalHeight": nominal[1],
        "cameraFisheyeNominalWidth": nominal[0],
        "cameraFisheyeOpticalCentre": np.array(center, np.float32),
        "cameraFisheyePolynomial": np.array(polynomial, np.float32),
        "cameraModel": _MODELS[type(lens)],
        "cameraOpenCVFx": focal[0],
        "cameraOpenCVFy": focal[1],
    }


def pointcloud(shot: Shot) -> dict[str, Any]:
    """World points of the pixels that see a labelled thing, row by row."""
    buffers = {name: shot.buffer(name) for name in ("depth", "normals", "rgb", "semantic_ids")}
    least = 1 if shot.options.include_unlabelled else FIRST
    found = points(shot.bands, shot.frame.camera, buffers, shot.thing_survey.shown, least, shot.unit)
    info = {
        "pointNormals": found.normals.ravel(),
        "pointRgb": found.colors.ravel(),
        "pointSemantic": found.semantics,
        "pointInstance": found.things,
    }
    return {"data": found.places, "info": info}


__all__ = ["camera_params", "pointcloud"]
