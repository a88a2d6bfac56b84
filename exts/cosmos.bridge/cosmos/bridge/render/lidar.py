"""A spinning LiDAR: what it is, one turn of it, and its points as a camera sees them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Optional

import numpy as np

from cosmos.bridge.errors import ConfigError
from cosmos.bridge.types import Camera, UpAxis

RAMP = (
    (0.00, (255, 245, 160)),
    (0.20, (255, 140, 40)),
    (0.40, (225, 50, 60)),
    (0.60, (150, 40, 140)),
    (0.80, (70, 60, 200)),
    (1.00, (40, 130, 150)),
)
"""Colour of a point by the logarithm of its range, from the nearest (0) to the farthest (1)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lidar:
    """A spinning sensor that measures a whole turn at one moment, without noise.

    Its own axes are x forward, y left, z up.
    """

    mount: Optional[str] = None
    """Prim it sits on: a camera looks forward, another prim's +X is forward (in a stage with +Y up, its -Z is);
    ``None`` sits on the camera of the frame and stays level."""
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Its place on the mount: forward, left, up [m]."""
    channels: int = 64
    """Beams above each other."""
    top: float = 10.0
    """Elevation of the highest beam [deg]."""
    bottom: float = -30.0
    """Elevation of the lowest beam [deg]."""
    elevations: tuple[float, ...] = ()
    """Elevation of each beam [deg], from the top; replaces ``channels``, ``top`` and ``bottom``."""
    steps: int = 1800
    """Azimuths of a turn."""
    min_range: float = 0.5
    """Least range [m]; what is nearer is not there."""
    max_range: float = 120.0
    """Greatest range [m]."""

    def __post_init__(self) -> None:
        if self.channels < 1 or self.steps < 1:
            raise ValueError(f"Lidar needs at least 1 channel and 1 step, got {self.channels} and {self.steps}.")
        if not 0.0 <= self.min_range < self.max_range < float("inf"):
            raise ValueError(
                f"Lidar needs 0 <= min_range < max_range [m], got {self.min_range!r} and {self.max_range!r}."
            )
        table = self.elevations or (self.top, self.bottom)
        if not all(-90.0 <= angle <= 90.0 for angle in table):
            raise ValueError(f"Lidar needs elevations in [-90, 90] [deg], got {table!r}.")

    @property
    def elevation_table(self) -> np.ndarray:
        """Elevation of each channel [rad], float64, shape [C]."""
        if self.elevations:
            return np.radians(np.array(self.elevations, np.float64))
        return np.radians(np.linspace(self.top, self.bottom, self.channels))

    @property
    def azimuth_table(self) -> np.ndarray:
        """Azimuth of each column [rad], float64, shape [A]: from behind over left, forward and right to behind."""
        return np.pi - (np.arange(self.steps) + 0.5) * (2.0 * np.pi / self.steps)

    @property
    def directions(self) -> np.ndarray:
        """Unit direction of each beam in the sensor's axes, float64, shape [C, A, 3]."""
        up, around = np.meshgrid(self.elevation_table, self.azimuth_table, indexing="ij")
        return np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], axis=-1)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LidarScan:
    """One turn: C channels from the top, A azimuths from left to right with forward in the middle."""

    sensor: Lidar
    sensor_to_world: np.ndarray
    """Sensor axes to world [m], column vectors, float64, shape [4, 4]."""
    ranges: np.ndarray
    """Distance from the sensor [m], float32, shape [C, A]; inf where nothing comes back."""
    intensities: np.ndarray
    """Luminance of the base colour times the cosine of incidence, in [0, 1], float32, shape [C, A]."""
    instance_ids: np.ndarray
    """As in Frame, uint32, shape [C, A]; 0 where nothing comes back."""
    semantic_ids: np.ndarray
    """As in Frame, uint32, shape [C, A]; 0 where nothing comes back."""

    @property
    def points(self) -> np.ndarray:
        """World points [m] that came back, channel by channel, float64, shape [N, 3]."""
        back = np.isfinite(self.ranges)
        local = self.sensor.directions[back] * self.ranges[back].astype(np.float64)[:, None]
        return np.asarray(local @ self.sensor_to_world[:3, :3].T + self.sensor_to_world[:3, 3])


def parse_lidar(text: str) -> Lidar:
    """Parse ``channels=32,top=10,bottom=-30,steps=900,max_range=80,mount=/World/Car``.

    ``offset`` and ``elevations`` take their numbers with slashes between: ``offset=0/0/1.7``.

    Raises:
        ConfigError: If a key is unknown or a value no number.
    """
    known = {item.name: item for item in fields(Lidar)}
    given: dict[str, object] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, _, value = part.partition("=")
        if key not in known:
            raise ConfigError(f"A lidar has no {key!r}; it has {', '.join(known)}.")
        try:
            if key == "mount":
                given[key] = value
            elif key in ("offset", "elevations"):
                given[key] = tuple(float(number) for number in value.split("/"))
            else:
                given[key] = int(value) if key in ("channels", "steps") else float(value)
        except ValueError as error:
            raise ConfigError(f"lidar {key} must be a number, got {value!r}.") from error
    if len(tuple(given.get("offset", (0, 0, 0)))) != 3:  # type: ignore[arg-type]
        raise ConfigError(f"lidar offset must be forward/left/up [m], e.g. 0/0/1.7, got {given['offset']!r}.")
    try:
        return replace(Lidar(), **given)  # type: ignore[arg-type]
    except ValueError as error:
        raise ConfigError(f"The lidar is refused: {error}") from error


def level_pose(camera: Camera, up_axis: UpAxis) -> np.ndarray:
    """Return sensor axes to world of a sensor at a camera that looks where it looks, but level."""
    up = np.array([0.0, 1.0, 0.0] if up_axis == "Y" else [0.0, 0.0, 1.0])
    forward = -camera.cam_to_world[:3, 2]
    level = forward - up * (forward @ up)
    if np.linalg.norm(level) < 1e-6:  # it looks straight up or down, so the top of its picture is forward
        level = camera.cam_to_world[:3, 1] - up * (camera.cam_to_world[:3, 1] @ up)
    level /= np.linalg.norm(level)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([level, np.cross(up, level), up], axis=1)
    pose[:3, 3] = camera.cam_to_world[:3, 3]
    return pose


def mount_pose(prim_to_world: np.ndarray, *, looks: bool, up_axis: UpAxis) -> np.ndarray:
    """Return sensor axes to world of a sensor on a prim.

    Args:
        prim_to_world: Its pose, scale allowed, shape [4, 4].
        looks: Whether it is a camera, which looks along -Z.
        up_axis: World axis that points up.
    """
    axes = prim_to_world[:3, :3] / np.linalg.norm(prim_to_world[:3, :3], axis=0)
    x, y, z = axes.T
    forward, up = (-z, y) if looks or up_axis == "Y" else (x, z)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([forward, np.cross(up, forward), up], axis=1)
    pose[:3, 3] = prim_to_world[:3, 3]
    return pose


def shown(scan: LidarScan, camera: Camera, depth: Optional[np.ndarray] = None) -> np.ndarray:
    """Draw the points of a scan as a camera sees them: dots on black, coloured by range, near ones on top.

    Args:
        scan: The scan.
        camera: The camera.
        depth: What the camera sees [m], shape [H, W]; points behind it are left out. ``None`` draws them all.

    Returns:
        uint8 sRGB, shape [H, W, 3].
    """
    picture = np.zeros((camera.height, camera.width, 3), np.uint8)
    points, ranges = scan.points, scan.ranges[np.isfinite(scan.ranges)].astype(np.float64)
    spots = camera.project(points)
    inside = np.isfinite(spots).all(axis=1)
    points, ranges, spots = points[inside], ranges[inside], np.floor(spots[inside])
    held = ((spots >= 0) & (spots < (camera.width, camera.height))).all(axis=1)
    points, ranges, spots = points[held], ranges[held], spots[held].astype(np.int64)
    if depth is not None and len(points):
        away = -(points - camera.cam_to_world[:3, 3]) @ camera.cam_to_world[:3, 2]
        seen = depth[spots[:, 1], spots[:, 0]].astype(np.float64)
        kept = away <= seen + 0.02 * np.abs(seen) + 0.05
        ranges, spots = ranges[kept], spots[kept]
    order = np.argsort(-ranges, kind="stable")
    colors, spots = _colors(ranges[order], scan.sensor), spots[order]
    dot = max(1, round(camera.height / 240.0))
    steps = np.stack(np.meshgrid(np.arange(dot), np.arange(dot)), axis=-1).reshape(-1, 2) - dot // 2
    places = spots[:, None] + steps
    painted = np.repeat(colors[:, None], len(steps), axis=1)
    fits = ((places >= 0) & (places < (camera.width, camera.height))).all(axis=-1)
    # Of several writes to one pixel the last one stays, which is the nearest.
    picture[places[fits][:, 1], places[fits][:, 0]] = painted[fits]
    return picture


def _colors(ranges: np.ndarray, sensor: Lidar) -> np.ndarray:
    """Return the colour of each range, uint8, shape [N, 3]."""
    low = max(sensor.min_range, 0.01 * sensor.max_range)
    share = np.log(np.maximum(ranges, low) / low) / np.log(sensor.max_range / low)
    stops, table = np.array([stop for stop, _ in RAMP]), np.array([color for _, color in RAMP], np.float64)
    return np.rint(np.stack([np.interp(share, stops, table[:, c]) for c in range(3)], axis=-1)).astype(np.uint8)


__all__ = ["RAMP", "Lidar", "LidarScan", "level_pose", "mount_pose", "parse_lidar", "shown"]
