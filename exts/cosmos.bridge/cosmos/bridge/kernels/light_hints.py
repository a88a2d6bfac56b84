"""Light hints: where light falls, handed to a net that only has to learn how light looks.

Computed per pixel from depth, normals, camera and the direction of the key light; nothing here is learned. Shadows and
occlusion march the depth buffer (``march``), so they know what the camera sees and nothing else: they need not be
looked for where a stage can be asked.
"""

# mypy: disable-error-code="misc,operator,index"
# (wp.tid() gives as many indices as the launch has axes; Warp vectors take scalars and have places)

from typing import Optional

import numpy as np
import warp as wp

from cosmos.bridge.kernels.light_pixels import light_pixels
from cosmos.bridge.kernels.march import march
from cosmos.bridge.kernels.runs import launch_runs, quick_options

wp.set_module_options(quick_options())

LIGHT_HINTS = (
    "facing_light",
    "light_visible",
    "open",
    "facing_up",
    "height",
    "near_6m",
    "near_30m",
    "clear_air",
    "view_to_light",
    "view_up",
    "facing_view",
    "glint",
    "open_above",
    "hit",
)
"""Channels of the hints, in order; each lies in [-1, 1]."""
_USUAL = wp.constant(wp.vec3(0.24, 0.91, 0.79))
"""What ``light_visible``, ``open`` and ``open_above`` are on average on surfaces of many stages."""


@wp.func
def _camera_point(depth: wp.array(dtype=wp.float32, ndim=3), t: int, y: int, x: int, lens: wp.vec4) -> wp.vec3:
    z = depth[t, y, x]
    return wp.vec3((wp.float32(x) + 0.5 - lens[2]) / lens[0] * z, (lens[3] - wp.float32(y) - 0.5) / lens[1] * z, -z)


@wp.func
def normal_from_depth(depth: wp.array(dtype=wp.float32, ndim=3), t: int, y: int, x: int, lens: wp.vec4) -> wp.vec3:
    """Camera-space normal; of each pair of neighbours the nearer in depth, so that silhouettes do not bend it."""
    here = depth[t, y, x]
    centre = _camera_point(depth, t, y, x, lens)
    right = wp.min(x + 1, depth.shape[2] - 1)
    left = wp.max(x - 1, 0)
    below = wp.min(y + 1, depth.shape[1] - 1)
    above = wp.max(y - 1, 0)
    across = _camera_point(depth, t, y, right, lens) - centre
    if right == x or (left != x and wp.abs(depth[t, y, left] - here) < wp.abs(depth[t, y, right] - here)):
        across = centre - _camera_point(depth, t, y, left, lens)
    upward = centre - _camera_point(depth, t, below, x, lens)
    if below == y or (above != y and wp.abs(depth[t, above, x] - here) < wp.abs(depth[t, below, x] - here)):
        upward = _camera_point(depth, t, above, x, lens) - centre
    normal = wp.cross(across, upward)
    length = wp.length(normal)
    if length > 0.0 and length < 1.0e12:
        return normal / length
    return wp.vec3(0.0, 0.0, 1.0)


@wp.func
def lacks_normal(
    depth: wp.array(dtype=wp.float32, ndim=3),
    normals: wp.array(dtype=wp.float32, ndim=4),
    has_normals: wp.int32,
    t: int,
    y: int,
    x: int,
) -> bool:
    """Whether there is a surface whose normal is not given: there are none, or it is short or NaN."""
    if not (depth[t, y, x] > 0.0 and depth[t, y, x] < 1.0e9):
        return False
    if has_normals == 0:
        return True
    given = wp.vec3(normals[t, y, x, 0], normals[t, y, x, 1], normals[t, y, x, 2])
    return not (wp.length_sq(given) > 0.25)


@wp.kernel
def _light_hints_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    depth: wp.array(dtype=wp.float32, ndim=3),
    normals: wp.array(dtype=wp.float32, ndim=4),
    has_normals: wp.int32,
    lenses: wp.array(dtype=wp.vec4, ndim=1),
    cam_to_world: wp.array(dtype=wp.mat44, ndim=1),
    light: wp.vec3,
    up: wp.vec3,
    ground: wp.float32,
    extinction: wp.float32,
    marched: wp.int32,
    # out
    hints_out: wp.array(dtype=wp.float32, ndim=4),
):
    begin = (first + wp.tid()) * run
    width = depth.shape[2]
    height = depth.shape[1]
    end = wp.min(begin + run, count)
    for i in range(begin, end):
        row = i // width
        x = i - row * width
        t = row // height
        y = row - t * height
        if lacks_normal(depth, normals, has_normals, t, y, x):
            # ``light_pixels`` finds it where it puts its findings.
            normal = wp.transform_vector(cam_to_world[t], normal_from_depth(depth, t, y, x, lenses[t]))
            hints_out[t, y, x, 1] = normal[0]
            hints_out[t, y, x, 2] = normal[1]
            hints_out[t, y, x, 12] = normal[2]
    light_pixels(
        begin,
        end,
        depth,
        normals,
        has_normals,
        lenses,
        cam_to_world,
        light,
        up,
        ground,
        extinction,
        marched,
        _USUAL,
        hints_out,
    )
    if marched == 1:
        march(begin, end, depth, lenses, cam_to_world, light, up, hints_out)


def light_hints(
    depth: wp.array,
    *,
    normals: Optional[wp.array] = None,
    intrinsics: np.ndarray,
    cam_to_world: np.ndarray,
    light: tuple[float, float, float],
    up: tuple[float, float, float],
    ground: float,
    extinction: float = 0.0,
    marched: bool = True,
    out: Optional[wp.array] = None,
) -> wp.array:
    """Compute the light hints of frames.

    Args:
        depth: Distance to the image plane [m], float32, shape [T, H, W]; ``inf``, NaN and 0 are sky.
        normals: World normals, float32, shape [T, H, W, 3]; taken from the depth where ``None``.
        intrinsics: [px], shape [T, 3, 3].
        cam_to_world: Camera (looks along -Z) to world [m], shape [T, 4, 4].
        light: Unit vector in the world from a surface towards the key light.
        up: Unit vector in the world.
        ground: Height of the ground along ``up`` [m].
        extinction: Of the air [1/m]; ``clear_air`` is what light survives the way to the camera.
        marched: Whether ``light_visible``, ``open`` and ``open_above`` are looked for; surfaces have the same usual
            values of them where not.
        out: Hints to fill; allocated on the device of ``depth`` when ``None``.

    Returns:
        Hints in the order of ``LIGHT_HINTS``, float32 in [-1, 1], shape [T, H, W, 14].

    Raises:
        ValueError: If an array has another dtype, shape or device.
    """
    _check(depth, "depth", ("float32",), tuple(depth.shape[:3]), depth)
    frames, height, width = depth.shape
    if normals is not None:
        _check(normals, "normals", ("float32",), (frames, height, width, 3), depth)
    if np.shape(intrinsics) != (frames, 3, 3) or np.shape(cam_to_world) != (frames, 4, 4):
        raise ValueError(
            f"light_hints needs intrinsics [{frames}, 3, 3] and cam_to_world [{frames}, 4, 4], "
            f"got {np.shape(intrinsics)} and {np.shape(cam_to_world)}."
        )
    shape = (frames, height, width, len(LIGHT_HINTS))
    out = wp.empty(shape, dtype=wp.float32, device=depth.device) if out is None else out
    _check(out, "out", ("float32",), shape, depth)
    lens = np.stack([intrinsics[:, 0, 0], intrinsics[:, 1, 1], intrinsics[:, 0, 2], intrinsics[:, 1, 2]], axis=1)
    device = depth.device
    shared = [
        wp.empty((0, 0, 0, 0), dtype=wp.float32, device=device) if normals is None else normals,
        int(normals is not None),
        wp.array(lens.astype(np.float32), dtype=wp.vec4, device=device),
        wp.array(np.asarray(cam_to_world, dtype=np.float32), dtype=wp.mat44, device=device),
        wp.vec3(*light),
        wp.vec3(*up),
        float(ground),
        float(extinction),
        int(marched),
    ]
    launch_runs(_light_hints_kernel, depth.size, [depth, *shared, out], device=device)
    return out


def _check(array: wp.array, name: str, dtypes: tuple[str, ...], shape: tuple[int, ...], like: wp.array) -> None:
    """Raise ValueError unless an array is what the kernel reads."""
    got = getattr(array.dtype, "__name__", str(array.dtype))
    if got not in dtypes or tuple(array.shape) != shape or len(array.shape) < 3 or array.device != like.device:
        raise ValueError(
            f"light_hints needs {name} as {' or '.join(dtypes)} {list(shape)} on {like.device}, "
            f"got {got} {list(array.shape)} on {array.device}."
        )


__all__ = ["LIGHT_HINTS", "lacks_normal", "light_hints", "normal_from_depth"]
