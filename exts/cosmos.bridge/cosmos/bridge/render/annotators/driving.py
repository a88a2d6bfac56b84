"""What driving scenes have besides: a LiDAR and an HD map, as Transfer's controls ``lidar`` and ``hdmap``."""

from __future__ import annotations

from typing import Any

import numpy as np

from cosmos.bridge.render.annotators.options import Shot
from cosmos.bridge.render.annotators.solids import local_boxes
from cosmos.bridge.render.annotators.things import Thing
from cosmos.bridge.render.lidar import shown
from cosmos.bridge.render.roadmap import MapBox, MapPole, draw_map


def hdmap(shot: Shot) -> np.ndarray:
    """Lanes, poles and boxes as coloured lines on black, uint8 sRGB [H, W, 3]."""
    style, details = shot.options.hdmap, shot.details("hdmap")
    kinds: dict[str, list[Thing]] = {"pole": [], "box": [], "line": []}
    for thing in shot.things.items:
        kind = style.class_of(thing.labels)
        if kind is not None:
            kinds[kind.kind].append(thing)
    solids = local_boxes(details, kinds["box"])
    boxes = [
        MapBox(labels=thing.labels, low=low, high=high, to_world=own)
        for thing, own, low, high in zip(kinds["box"], *solids, strict=True)
        if np.isfinite(low).all()
    ]
    poles = [MapPole(labels=thing.labels, ends=details.upright(thing.members)) for thing in kinds["pole"]]
    poles = [pole for pole in poles if np.isfinite(pole.ends).all()]
    lines = details.map_lines(style.has_line)
    return draw_map(shot.frame.camera, lines, poles, boxes, style, shot.need("depth") if style.depth_test else None)


def lidar(shot: Shot) -> dict[str, Any]:
    """One turn of the sensor: ranges, float32 [C, A], inf where nothing comes back; all else in info."""
    scan = shot.details("lidar").lidar(shot.options.lidar)
    pose = scan.sensor_to_world.T.copy()
    pose[3, :3] /= shot.unit
    info = {
        "intensity": scan.intensities,
        "instance": scan.instance_ids,
        "semantic": scan.semantic_ids,
        "points": (scan.points / shot.unit).astype(np.float32),
        "elevations": np.degrees(scan.sensor.elevation_table),
        "azimuths": np.degrees(scan.sensor.azimuth_table),
        "transform": pose,
        "picture": shown(scan, shot.frame.camera, shot.need("depth")),
    }
    return {"data": np.asarray(scan.ranges / np.float32(shot.unit)), "info": info}


__all__ = ["hdmap", "lidar"]
