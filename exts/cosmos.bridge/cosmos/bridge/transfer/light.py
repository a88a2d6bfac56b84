"""From a clip and its conditions to the light hints of the embedded model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.transfer.aside import Room
from cosmos.bridge.types import Camera, Clip, LightMaps, Look, PixelEdges, UpAxis
from cosmos.bridge.types.probe import FALLING_SHAPE

if TYPE_CHECKING:
    import torch
    import warp as wp

    from cosmos.bridge.kernels.steady_light import SteadyLight
    from cosmos.models.embedded.conditions import Conditions

_MOST_INSTANCES = 1 << 16
_HINTS, _LIGHT_HINTS = 23, 14
"""Channels of the hints, of which the first are those of light."""
_MAPS = 14
"""Channels of the light maps."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LightInputs:
    """What the embedded model is told of the light in F frames; all but the hints need a stage that can be asked."""

    hints: Optional[torch.Tensor]
    """Light and wear hints, float32 in [-1, 1], shape [F, H, W, 23]; ``None`` where there is no depth."""
    maps: Optional[torch.Tensor]
    """Light maps that the net sees, uint8, shape [F, H, W, 14]."""
    falling: Optional[torch.Tensor]
    """`LightMaps.falling`, uint8, shape [F, *FALLING_SHAPE]."""
    glow: Optional[torch.Tensor]
    """`LightMaps.glow`, laid over what the net paints, uint8, shape [F, H, W, 3]."""
    edges: tuple[Optional[PixelEdges], ...]
    """`snow_edges` of each frame; empty without a stage."""


def view_azimuth(camera: Camera, up_axis: UpAxis) -> float:
    """Return the direction a camera looks in [deg], counter-clockwise from +X seen from above."""
    forward, above = -camera.cam_to_world[:3, 2], camera.cam_to_world[:3, 1]
    flat = _ground_plane(forward, up_axis)
    if math.hypot(*flat) < 0.05:
        # Straight down or up: the top of the picture tells the direction.
        flat = _ground_plane(above, up_axis)
    return math.degrees(math.atan2(flat[1], flat[0]))


def sun_azimuth(clip: Clip, conditions: Conditions) -> float:
    """Return where a look's sun stands for a clip that begins here: azimuth around up [deg]."""
    return view_azimuth(clip.cameras[0], clip.up_axis) + conditions.sun_bearing


def up_vector(up_axis: UpAxis) -> tuple[float, float, float]:
    """Return the unit vector up."""
    return (0.0, 0.0, 1.0) if up_axis == "Z" else (0.0, 1.0, 0.0)


def direction(elevation: float, azimuth: float, up_axis: UpAxis) -> tuple[float, float, float]:
    """Return the unit vector towards a point of the sky; angles in [deg]."""
    up, along = math.radians(elevation), math.radians(azimuth)
    x, y, z = math.cos(up) * math.cos(along), math.cos(up) * math.sin(along), math.sin(up)
    return (x, y, z) if up_axis == "Z" else (x, z, -y)


def key_light(elevation: float, azimuth: float, up_axis: UpAxis) -> tuple[float, float, float]:
    """Return the unit vector towards what casts the shadows: the sun, or at night the moon."""
    if elevation < -6.0:
        return direction(38.0, azimuth + 130.0, up_axis)
    return direction(max(elevation, 0.6), azimuth, up_axis)


def ground_height(clip: Clip) -> float:
    """Return the height of the ground along up [m]: the second percentile of what the clip's first frame shows."""
    if clip.depth is None:
        return 0.0
    step = max(1, math.isqrt(clip.height * clip.width // 20000))
    depth = np.asarray(clip.depth[0].numpy()[::step, ::step], dtype=np.float64)
    camera = clip.cameras[0]
    y, x = np.mgrid[: clip.height : step, : clip.width : step] + 0.5
    (fx, _, cx), (_, fy, cy), _ = camera.intrinsics
    seen = np.isfinite(depth) & (depth > 0.0)
    if not seen.any():
        return 0.0
    depth, x, y = depth[seen], x[seen], y[seen]
    points = np.stack([(x - cx) / fx * depth, (cy - y) / fy * depth, -depth], axis=-1)
    world = points @ camera.cam_to_world[:3, :3].T + camera.cam_to_world[:3, 3]
    return float(np.percentile(world @ np.array(up_vector(clip.up_axis)), 2.0))


def wear_seed(seed: int) -> int:
    """Fold a seed of any size to the 31 bits of the kernels, apart even for neighbours."""
    return (seed * 2654435761 + (seed >> 31) * 40503 + 97) & 0x7FFFFFFF


def light_inputs(
    clip: Clip,
    frames: range,
    *,
    conditions: Conditions,
    azimuth: float,
    ground: float,
    seed: int,
    room: Optional[Room] = None,
    steady: Optional[SteadyLight] = None,
    lamps: tuple[float, float] = (1.0, 0.0),
    marched: bool = False,
) -> LightInputs:
    """Return what the embedded model is told of the light in some frames, on the clip's device.

    Args:
        clip: The clip.
        frames: Which frames, one after the other.
        conditions: The look.
        azimuth: Of the sun around up [deg], of ``sun_azimuth``.
        ground: Height of the ground along up [m], of ``ground_height``.
        seed: Seed of the request; decides wear and clouds.
        room: Memory for both; new memory where ``None``.
        steady: The view's light so far, with which that of these frames is averaged where motion is known; each frame
            is as found where ``None``.
        lamps: Strength and warmth of the stage's lamps, `Look.lamps` and `Look.lamp_warmth`.
        marched: Whether hints are marched through the depth even where a stage can be asked: for training, and for nets
            that see drafts.
    """
    import torch
    import warp as wp

    from cosmos.bridge.kernels.layout import join_channels

    size, device = (len(frames), clip.height, clip.width), wp.device_to_torch(clip.rgb.device)
    room = Room() if room is None else room
    hints = maps = falling = glow = None
    edges: list[Optional[PixelEdges]] = []
    if clip.depth is not None:
        hints = room.take("hints", (*size, _HINTS), dtype=torch.float32, device=device)
        clip_hints(
            clip,
            frames,
            conditions=conditions,
            azimuth=azimuth,
            ground=ground,
            seed=wear_seed(seed),
            marched=marched or clip.probe is None,
            out=wp.from_torch(hints),
        )
    if clip.probe is not None:
        maps = room.take("maps", (*size, _MAPS), dtype=torch.uint8, device=device)
        falling = torch.empty((len(frames), *FALLING_SHAPE), dtype=torch.uint8, device=device)
        glow = torch.empty((*size, 3), dtype=torch.uint8, device=device)
        told = clip_maps(clip, frames, conditions=conditions, azimuth=azimuth, seed=wear_seed(seed), lamps=lamps)
        for index, light in enumerate(told):
            joined = wp.from_torch(maps[index])
            join_channels(channels_of(light), joined)
            if steady is not None:
                steadied(steady, clip, frames[index], joined)
            falling[index] = wp.to_torch(light.falling)
            glow[index] = wp.to_torch(light.glow)
            edges.append(snow_edges(light, conditions))
    return LightInputs(hints=hints, maps=maps, falling=falling, glow=glow, edges=tuple(edges))


def snow_edges(maps: LightMaps, conditions: Conditions) -> Optional[PixelEdges]:
    """Return where what was painted is to be mixed, in memory of its own; ``None`` where nobody knows, or without snow.

    Snow makes a dark surface white beside one that stays dark, so its edges are not those of the relit picture. Other
    looks scale what is there, edges included: mixed once more these were 0.07 dB worse.
    """
    import warp as wp

    if maps.edges is None or conditions.snow <= 0.0:
        return None
    return PixelEdges(pixels=wp.clone(maps.edges.pixels), lenders=wp.clone(maps.edges.lenders))


def steadied(steady: SteadyLight, clip: Clip, frame: int, maps: wp.array) -> None:
    """Average a frame's joined light maps, in place, with the view's light so far; needs motion and depth."""
    if clip.motion is not None and clip.depth is not None:
        ids = None if clip.instance_ids is None else clip.instance_ids[frame]
        steady.add(maps, motion=clip.motion[frame], depth=clip.depth[frame], instance_ids=ids)


def clip_hints(
    clip: Clip,
    frames: range,
    *,
    conditions: Conditions,
    azimuth: float,
    ground: float,
    seed: int,
    anchor: tuple[float, float, float] = (0.0, 0.0, 0.0),
    marched: bool = True,
    out: Optional[wp.array] = None,
) -> Optional[tuple[wp.array, wp.array]]:
    """Return light and wear hints of some frames, float32 in [-1, 1], shapes [F, H, W, 14] and [F, H, W, 9].

    Args:
        clip: The clip; without a depth there are no hints and ``None`` is returned.
        frames: Which frames, one after the other.
        conditions: The look.
        azimuth: Of the sun around up [deg].
        ground: Height of the ground along up [m].
        seed: Decides the wear.
        anchor: Where the world's noise starts [m].
        marched: Whether those are looked for that ``light_hints`` marches through the depth for.
        out: Room for both, side by side, float32, shape [F, H, W, 23]; allocated when ``None``.
    """
    from cosmos.bridge.kernels.light_hints import light_hints
    from cosmos.bridge.kernels.wear_hints import wear_hints
    from cosmos.models.embedded.conditions import extinction

    if clip.depth is None:
        return None
    part = slice(frames.start, frames.stop)
    cameras = clip.cameras[part]
    depth = clip.depth[part]
    intrinsics = np.stack([camera.intrinsics for camera in cameras])
    cam_to_world = np.stack([camera.cam_to_world for camera in cameras])
    light = light_hints(
        depth,
        normals=None if clip.normals is None else clip.normals[part],
        intrinsics=intrinsics,
        cam_to_world=cam_to_world,
        light=key_light(conditions.sun_elevation, azimuth, clip.up_axis),
        up=up_vector(clip.up_axis),
        ground=ground,
        extinction=extinction(conditions),
        marched=marched,
        out=None if out is None else out[:, :, :, :_LIGHT_HINTS],
    )
    poses = None if clip.instance_ids is None else _pose_table(clip, frames)
    wear = wear_hints(
        depth,
        intrinsics=intrinsics,
        cam_to_world=cam_to_world,
        normals=None if clip.normals is None else clip.normals[part],
        instance_ids=None if poses is None or clip.instance_ids is None else clip.instance_ids[part],
        instance_to_world=poses,
        tags=() if poses is None else _tags(clip, poses.shape[1]),
        anchor=anchor,
        y_up=clip.up_axis == "Y",
        wet=conditions.rain > 0.0,
        snow=conditions.snow,
        seed=seed,
        out=None if out is None else out[:, :, :, _LIGHT_HINTS:],
    )
    return light, wear


def clip_maps(
    clip: Clip,
    frames: range,
    *,
    conditions: Conditions,
    azimuth: float,
    seed: int,
    lamps: tuple[float, float] = (1.0, 0.0),
) -> Iterator[LightMaps]:
    """Yield the light maps of some frames; each valid until the next are asked for.

    Args:
        clip: The clip; nothing comes of one without a light probe.
        frames: Which frames, one after the other.
        conditions: The look.
        azimuth: Of the sun around up [deg].
        seed: Decides the clouds.
        lamps: Strength and warmth of the stage's lamps.
    """
    if clip.probe is None:
        return
    look = look_of(conditions, azimuth=azimuth, seed=seed, lamps=lamps)
    for frame in frames:
        yield clip.probe.light(frame, look)


def channels_of(maps: LightMaps) -> tuple[wp.array, ...]:
    """Return what the net sees of light maps, in order: relit, white, mirror, air, open; uint8, shape [H, W, C]."""
    return maps.relit, maps.white, maps.mirror, maps.air, maps.open.reshape((*maps.open.shape, 1))


def look_of(conditions: Conditions, *, azimuth: float, seed: int, lamps: tuple[float, float] = (1.0, 0.0)) -> Look:
    """Return the renderer's look of some conditions; grain and vignette are left out, they are drawn after the net."""
    values = asdict(conditions)
    for name in ("sun_bearing", "noise", "vignette"):
        del values[name]
    return Look(**values, sun_azimuth=azimuth, noise=0.0, vignette=0.0, lamps=lamps[0], lamp_warmth=lamps[1], seed=seed)


def _tags(clip: Clip, count: int) -> Sequence[int]:
    """Return a number for each of the first instance ids: of its path, or the id where nothing is known of it."""
    known = clip.instances
    return _tags_of(tuple(known[key].prim_path if key in known else "" for key in range(count)))


@lru_cache(maxsize=8)
def _tags_of(paths: tuple[str, ...]) -> tuple[int, ...]:
    from cosmos.bridge.kernels.surface_noise import path_tags

    hashed = path_tags(paths).tolist()
    return tuple(tag if path else key for key, (path, tag) in enumerate(zip(paths, hashed, strict=True)))


def _pose_table(clip: Clip, frames: range) -> Optional[np.ndarray]:
    """Return the poses by instance id, shape [F, N, 4, 4]; ``None`` where there are none or too many."""
    most = max(clip.poses, default=-1)
    if not 0 <= most < _MOST_INSTANCES:
        return None
    table: np.ndarray[Any, Any] = np.full((len(frames), most + 1, 4, 4), np.nan)
    for key, poses in clip.poses.items():
        table[:, key] = poses[frames.start : frames.stop]
    return table


def _ground_plane(vector: np.ndarray, up_axis: UpAxis) -> tuple[float, float]:
    """Return a vector's two ground components, counter-clockwise seen from above."""
    return (float(vector[0]), float(vector[1])) if up_axis == "Z" else (float(vector[0]), float(-vector[2]))


__all__ = [
    "LightInputs",
    "channels_of",
    "clip_hints",
    "clip_maps",
    "direction",
    "ground_height",
    "key_light",
    "light_inputs",
    "look_of",
    "snow_edges",
    "steadied",
    "sun_azimuth",
    "up_vector",
    "view_azimuth",
    "wear_seed",
]
