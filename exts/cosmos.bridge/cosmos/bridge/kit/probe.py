"""A small scene whose every number is known, in the session layer, and a writer that keeps what Replicator hands it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cosmos.bridge.kit import compat
from cosmos.bridge.kit.annotators import wanted_annotators
from cosmos.bridge.kit.pool import is_warp

ROOT = "/CosmosBridgeProbe"
CAMERAS = (f"{ROOT}/Camera", f"{ROOT}/CameraAside")
SIZE = (96, 128)
"""Height and width of the probe's pictures [px]."""
WALL, BOX = 5.0, 3.5
"""Distance of the wall and of the moving box from the camera [m]."""
STEP = (0.05, 0.03)
"""How far the box moves a frame, to the right and up [m]."""
FOCAL, APERTURE = 18.0, 24.0
"""Lens of the probe's camera: focal length and horizontal aperture, in tenths of a stage unit."""
_AWAY = 1000.0


def expected_motion() -> tuple[float, float]:
    """Return previous minus current position [px] of the box, +x moved left and +y moved up."""
    pixels = FOCAL / APERTURE * SIZE[1] / BOX
    return -STEP[0] * pixels, STEP[1] * pixels


@contextmanager
def probe_scene(stage: Any, first_code: float, num_frames: int) -> Iterator[None]:
    """Put the probe far above the stage, in a sublayer of the session layer that goes again.

    Args:
        stage: The open stage; its own layers are not touched.
        first_code: Time code at which the box begins to move.
        num_frames: For how many frames it moves.
    """
    from pxr import Gf, Sdf, Usd, UsdGeom

    session, layer = stage.GetSessionLayer(), Sdf.Layer.CreateAnonymous("cosmos_bridge_probe.usda")
    session.subLayerPaths.insert(0, layer.identifier)
    unit = 1.0 / UsdGeom.GetStageMetersPerUnit(stage)
    up = Gf.Vec3d(0, _AWAY * unit, 0) if str(UsdGeom.GetStageUpAxis(stage)) == "Y" else Gf.Vec3d(0, 0, _AWAY * unit)
    try:
        with Usd.EditContext(stage, layer):
            UsdGeom.Xform.Define(stage, ROOT).AddTranslateOp().Set(up)
            for path, aside in zip(CAMERAS, (0.0, 0.5), strict=True):
                camera = UsdGeom.Camera.Define(stage, path)
                camera.AddTranslateOp().Set(Gf.Vec3d(aside * unit, 0, 0))
                camera.CreateFocalLengthAttr(FOCAL)
                camera.CreateHorizontalApertureAttr(APERTURE)
                camera.CreateVerticalApertureAttr(APERTURE * SIZE[0] / SIZE[1])
                camera.CreateClippingRangeAttr(Gf.Vec2f(0.1 * unit, 100 * unit))
            for name, size, place in (("Wall", (3.0, 3.0, 0.1), -WALL - 0.05), ("Box", (1.0, 1.0, 0.1), -BOX - 0.05)):
                cube = UsdGeom.Cube.Define(stage, f"{ROOT}/{name}")
                cube.CreateSizeAttr(1.0)
                move = cube.AddTranslateOp()
                cube.AddScaleOp().Set(Gf.Vec3f(*size) * unit)
                move.Set(Gf.Vec3d(0, 0, place * unit))
                for frame in range(-1, num_frames + 2) if name == "Box" else ():
                    shift = Gf.Vec3d(STEP[0] * frame * unit, STEP[1] * frame * unit, place * unit)
                    move.Set(shift, first_code + frame)
        yield
    finally:
        session.subLayerPaths.remove(layer.identifier)


@dataclass(kw_only=True)
class Kept:
    """One payload as it was handed over."""

    payload: Mapping[str, Any]
    """The payload, with arrays that Replicator owns."""
    copies: dict[str, np.ndarray] = field(default_factory=dict)
    """Copies of the first product's arrays, made at once."""


def make_probe_writer() -> type:
    """Return a writer class that keeps payloads, for Replicator's registry."""
    base = compat.need("omni.replicator.core.Writer")

    class CosmosBridgeProbeWriter(base):  # type: ignore[misc, valid-type]
        def __init__(self, structure: str = "renderProduct", device: str = "cpu") -> None:
            self.version, self.backend = "1", None
            self.data_structure = structure
            self.kept: list[Kept] = []
            self.annotators = [
                compat.get_annotator(
                    request.name, init_params=dict(request.init_params), device=device if request.gpu else "cpu"
                )
                for request in wanted_annotators(use_instance_id=True)
            ]

        def write(self, data: Mapping[str, Any]) -> None:
            from cosmos.bridge.kit.payload import split_payload

            names = tuple(request.name for request in wanted_annotators(use_instance_id=True))
            copies: dict[str, np.ndarray] = {}
            for name, reading in split_payload(data, names)[0].readings.items():
                if reading.array is not None:
                    copies[name] = np.array(host_of(reading.array))
            self.kept.append(Kept(payload=data, copies=copies))

    return CosmosBridgeProbeWriter


def host_of(array: Any) -> np.ndarray:
    """Return an array of Replicator on the host."""
    return np.asarray(array.numpy() if is_warp(array) else array)


__all__ = [
    "BOX",
    "CAMERAS",
    "SIZE",
    "WALL",
    "Kept",
    "expected_motion",
    "host_of",
    "make_probe_writer",
    "probe_scene",
]
