"""A camera for kernels: the ray through an image point, and the image point of a place, for every lens."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.types import Camera, FTheta, OpenCvFisheye, OpenCvPinhole, Orthographic, Pinhole

wp.set_module_options({"enable_backward": False})

PINHOLE = wp.constant(wp.int32(0))
ORTHOGRAPHIC = wp.constant(wp.int32(1))
OPENCV_PINHOLE = wp.constant(wp.int32(2))
OPENCV_FISHEYE = wp.constant(wp.int32(3))
FTHETA = wp.constant(wp.int32(4))
_KINDS = {Pinhole: 0, Orthographic: 1, OpenCvPinhole: 2, OpenCvFisheye: 3, FTheta: 4}


@wp.struct
class View:
    """A camera for kernels; world positions are relative to the world's origin. Lenses as in ``types.lens``."""

    world_to_camera: wp.mat44
    camera_to_world: wp.mat44
    eye: wp.vec3d  # where the camera stands
    fx: wp.float32
    fy: wp.float32
    cx: wp.float32
    cy: wp.float32
    near: wp.float32  # along the ray of pixel_ray, in its lengths; so is far
    far: wp.float32
    width: wp.int32
    height: wp.int32
    lens: wp.int32
    bend_a: wp.vec4  # the lens's coefficients, in order
    bend_b: wp.vec4
    bend_c: wp.vec4
    reach: wp.float32  # farthest from the axis that is seen: on the plane; undistorted for OPENCV_PINHOLE
    limit: wp.float32  # largest angle off the axis that a fisheye sees [rad]
    spread: wp.float32  # size of a pixel one length of the ray away [m]; anywhere for ORTHOGRAPHIC


def make_view(camera: Camera, origin: np.ndarray, scale: int = 1) -> Any:
    """Return ``camera`` for kernels.

    Args:
        camera: The camera.
        origin: Origin of the world's arrays [m], float64, shape [3].
        scale: Samples a pixel along each axis; the view has ``scale`` times the height and width.
    """
    pose = np.array(camera.cam_to_world, dtype=np.float64)
    pose[:3, 3] -= origin
    view, lens = View(), camera.lens
    view.eye = wp.vec3d(*pose[:3, 3].tolist())
    view.camera_to_world = wp.mat44(*pose.astype(np.float32).reshape(-1).tolist())
    view.world_to_camera = wp.mat44(*np.linalg.inv(pose).astype(np.float32).reshape(-1).tolist())
    view.fx, view.fy = float(camera.intrinsics[0, 0]) * scale, float(camera.intrinsics[1, 1]) * scale
    view.cx, view.cy = float(camera.intrinsics[0, 2]) * scale, float(camera.intrinsics[1, 2]) * scale
    view.near, view.far = float(camera.near), float(min(camera.far, 1.0e29))
    view.width, view.height = camera.width * scale, camera.height * scale
    view.lens, view.spread = _KINDS[type(lens)], 1.0 / view.fx
    if isinstance(lens, (OpenCvPinhole, OpenCvFisheye, FTheta)):
        padded = (*lens.coefficients, *(0.0,) * (12 - len(lens.coefficients)))
        view.bend_a, view.bend_b, view.bend_c = (wp.vec4(*padded[k : k + 4]) for k in (0, 4, 8))
    if isinstance(lens, OpenCvPinhole):
        view.reach = float(min(lens.reach, 1.0e6))
    elif isinstance(lens, OpenCvFisheye):
        view.limit = lens.last_theta
        view.reach = float(lens.radius(np.array(lens.last_theta)))
    elif isinstance(lens, FTheta):
        view.reach = lens.reach
        view.limit = float(lens.theta(np.array(lens.reach)))
        view.spread = lens.coefficients[1] / view.fx
    return view


@wp.func
def _rise(view: View, s: wp.float32):
    """A fisheye's rising polynomial and its slope: angle of the radius (FTHETA), or radius of the angle."""
    a = view.bend_a
    b = view.bend_b
    if view.lens == FTHETA:
        value = a[0] + s * (a[1] + s * (a[2] + s * (a[3] + s * (b[0] + s * b[1]))))
        slope = a[1] + s * (2.0 * a[2] + s * (3.0 * a[3] + s * (4.0 * b[0] + s * 5.0 * b[1])))
        return wp.vec2(value, slope)
    q = s * s
    value = s * (1.0 + q * (a[0] + q * (a[1] + q * (a[2] + q * a[3]))))
    slope = 1.0 + q * (3.0 * a[0] + q * (5.0 * a[1] + q * (7.0 * a[2] + q * 9.0 * a[3])))
    return wp.vec2(value, slope)


@wp.func
def _solve(view: View, wanted: wp.float32, end: wp.float32):
    """Where the rising polynomial takes a value, on [0, end]: Newton's method, kept inside by halving."""
    low = wp.float32(0.0)
    high = end
    s = 0.5 * end
    for _step in range(16):
        at = _rise(view, s)
        off = at[0] - wanted
        if off > 0.0:
            high = s
        else:
            low = s
        following = s - off / wp.max(at[1], 1.0e-20)
        if not (following > low and following < high):
            following = 0.5 * (low + high)
        close = wp.abs(following - s) <= 1.0e-7 * end
        s = following
        if close:
            break
    return s


@wp.func
def _bend(view: View, x: wp.float32, y: wp.float32):
    """OpenCV's distortion of an undistorted place; y down."""
    a = view.bend_a
    b = view.bend_b
    c = view.bend_c
    q = x * x + y * y
    gain = (1.0 + q * (a[0] + q * (a[1] + q * b[0]))) / (1.0 + q * (b[1] + q * (b[2] + q * b[3])))
    return wp.vec2(
        x * gain + 2.0 * a[2] * x * y + a[3] * (q + 2.0 * x * x) + q * (c[0] + q * c[1]),
        y * gain + a[2] * (q + 2.0 * y * y) + 2.0 * a[3] * x * y + q * (c[2] + q * c[3]),
    )


@wp.func
def _bend_slopes(view: View, x: wp.float32, y: wp.float32):
    """Jacobian of ``_bend``, row by row."""
    a = view.bend_a
    b = view.bend_b
    c = view.bend_c
    q = x * x + y * y
    top = 1.0 + q * (a[0] + q * (a[1] + q * b[0]))
    bottom = 1.0 + q * (b[1] + q * (b[2] + q * b[3]))
    d_top = a[0] + q * (2.0 * a[1] + 3.0 * q * b[0])
    d_bottom = b[1] + q * (2.0 * b[2] + 3.0 * q * b[3])
    gain = top / bottom
    slope = (d_top * bottom - top * d_bottom) / (bottom * bottom)
    both = 2.0 * (x * y * slope + a[2] * x + a[3] * y)
    prism_x = 2.0 * c[0] + 4.0 * q * c[1]
    prism_y = 2.0 * c[2] + 4.0 * q * c[3]
    return wp.vec4(
        gain + 2.0 * x * x * slope + 2.0 * a[2] * y + 6.0 * a[3] * x + x * prism_x,
        both + y * prism_x,
        both + x * prism_y,
        gain + 2.0 * y * y * slope + 6.0 * a[2] * y + 2.0 * a[3] * x + y * prism_y,
    )


@wp.func
def _unbent_ray(view: View, want_x: wp.float32, want_y: wp.float32):
    """The ray through a place on a distorted plane (y down), by Newton's method; zero where nothing projects to."""
    x = want_x
    y = want_y
    for _step in range(12):
        back = wp.min(1.0, view.reach / wp.max(wp.sqrt(x * x + y * y), 1.0e-20))
        x = x * back
        y = y * back
        got = _bend(view, x, y)
        d = _bend_slopes(view, x, y)
        det = d[0] * d[3] - d[1] * d[2]
        if wp.abs(det) < 1.0e-9:
            det = wp.float32(1.0e-9)
        off_x = want_x - got[0]
        off_y = want_y - got[1]
        step_x = (d[3] * off_x - d[1] * off_y) / det
        step_y = (d[0] * off_y - d[2] * off_x) / det
        x += step_x
        y += step_y
        if wp.abs(step_x) + wp.abs(step_y) <= 1.0e-7 * (1.0 + wp.abs(x) + wp.abs(y)):
            break
    away = wp.length(_bend(view, x, y) - wp.vec2(want_x, want_y))
    outside = wp.sqrt(x * x + y * y) > view.reach
    if outside or not (away < 1.0e-5 * (1.0 + wp.abs(want_x) + wp.abs(want_y))):
        return wp.vec3(0.0, 0.0, 0.0)
    return wp.vec3(x, -y, -1.0)


@wp.func
def _fisheye_ray(view: View, x: wp.float32, y: wp.float32):
    """Unit ray of a fisheye through a place on its image; zero outside the image circle."""
    radius = wp.sqrt(x * x + y * y)
    if radius > view.reach:
        return wp.vec3(0.0, 0.0, 0.0)
    theta = wp.float32(0.0)
    if view.lens == FTHETA:
        at = _rise(view, radius)
        theta = at[0]
    else:
        theta = _solve(view, radius, view.limit)
    share = wp.sin(theta) / wp.max(radius, 1.0e-20)
    return wp.vec3(x * share, y * share, -wp.cos(theta))


@wp.func
def pixel_ray(view: View, u: wp.float32, v: wp.float32):
    """Direction through an image point in camera space; depths along it are in its lengths.

    One metre deep, but for a fisheye one metre long. Zero outside the image circle.
    """
    # Numbers, not vectors, come together after the branches: vectors would go through memory.
    x = (u - view.cx) / view.fx
    y = (view.cy - v) / view.fy
    z = wp.float32(-1.0)
    if view.lens == ORTHOGRAPHIC:
        x = wp.float32(0.0)
        y = wp.float32(0.0)
    elif view.lens == OPENCV_PINHOLE:
        bent = _unbent_ray(view, x, -y)
        x = bent[0]
        y = bent[1]
        z = bent[2]
    elif view.lens != PINHOLE:
        curved = _fisheye_ray(view, x, y)
        x = curved[0]
        y = curved[1]
        z = curved[2]
    return wp.vec3(x, y, z)


@wp.func
def pixel_start(view: View, u: wp.float32, v: wp.float32):
    """Where the ray through an image point starts, in camera space."""
    across = wp.float32(0.0)
    up = wp.float32(0.0)
    if view.lens == ORTHOGRAPHIC:
        across = (u - view.cx) / view.fx
        up = (view.cy - v) / view.fy
    return wp.vec3(across, up, 0.0)


@wp.func
def world_ray(view: View, u: wp.float32, v: wp.float32):
    """Start and unit direction in the world of the ray through an image point, and the length of ``pixel_ray``.

    Direction and length are zero outside the image circle.
    """
    ray = pixel_ray(view, u, v)
    start = wp.transform_point(view.camera_to_world, pixel_start(view, u, v))
    return start, wp.normalize(wp.transform_vector(view.camera_to_world, ray)), wp.length(ray)


@wp.func
def moves_sky(view: View, ray: wp.vec3):
    """Whether what is endlessly far moves on the picture as the camera turns: parallel rays all see one point of it."""
    return view.lens != ORTHOGRAPHIC and wp.length_sq(ray) > 0.0


@wp.func
def pixel_side(view: View, t: wp.float32):
    """Size of a pixel [m] on what a ray meets after ``t`` of its lengths."""
    if view.lens == ORTHOGRAPHIC:
        return view.spread
    return t * view.spread


@wp.func
def image_point(view: View, p: wp.vec3):
    """Image point [px] of a place in camera space, and 1; zero where the lens does not see it."""
    x = wp.float32(0.0)
    y = wp.float32(0.0)
    if view.lens <= OPENCV_PINHOLE:
        if p[2] > -1.0e-9:
            return wp.vec3(0.0, 0.0, 0.0)
        x = p[0]
        y = p[1]
        if view.lens != ORTHOGRAPHIC:
            x = -p[0] / p[2]
            y = -p[1] / p[2]
        if view.lens == OPENCV_PINHOLE:
            if x * x + y * y > view.reach * view.reach:
                return wp.vec3(0.0, 0.0, 0.0)
            bent = _bend(view, x, -y)
            x = bent[0]
            y = -bent[1]
    else:
        across = wp.sqrt(p[0] * p[0] + p[1] * p[1])
        theta = wp.atan2(across, -p[2])
        radius = wp.float32(0.0)
        if theta > view.limit:
            return wp.vec3(0.0, 0.0, 0.0)
        if view.lens == FTHETA:
            radius = _solve(view, theta, view.reach)
        else:
            at = _rise(view, theta)
            radius = at[0]
        share = radius / wp.max(across, 1.0e-20)
        x = p[0] * share
        y = p[1] * share
    return wp.vec3(view.cx + view.fx * x, view.cy - view.fy * y, 1.0)


__all__ = [
    "ORTHOGRAPHIC",
    "PINHOLE",
    "View",
    "image_point",
    "make_view",
    "moves_sky",
    "pixel_ray",
    "pixel_side",
    "pixel_start",
    "world_ray",
]
