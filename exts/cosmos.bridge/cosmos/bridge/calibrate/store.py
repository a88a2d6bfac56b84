"""A request and its result in one file, so that a suite is made once and tried on any number of critics."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from cosmos.bridge.errors import SourceError
from cosmos.bridge.types import (
    BUFFERS,
    Camera,
    Clip,
    ControlWeights,
    Instance,
    Pinhole,
    Provenance,
    TransferRequest,
    TransferResult,
)


def save_pair(path: Path, request: TransferRequest, result: TransferResult) -> None:
    """Write a request and its result, whole or not at all.

    The controls are not kept: they are derived again from the clip. Only pinhole cameras are kept.

    Raises:
        SourceError: If a camera is no pinhole.
    """
    clip = request.clip
    bent = next((camera for camera in clip.cameras if not isinstance(camera.lens, Pinhole)), None)
    if bent is not None:
        raise SourceError(f"A suite keeps pinhole cameras only, but {bent.prim_path} has the lens {bent.lens.name}.")
    arrays = {f"clip.{name}": getattr(clip, name).numpy() for name in BUFFERS if getattr(clip, name) is not None}
    arrays["result"] = result.rgb.numpy()
    arrays["time_codes"] = clip.time_codes
    arrays["intrinsics"] = np.stack([camera.intrinsics for camera in clip.cameras])
    arrays["cam_to_world"] = np.stack([camera.cam_to_world for camera in clip.cameras])
    arrays |= {f"pose.{key}": pose for key, pose in clip.poses.items()}
    weights: dict[str, Any] = {}
    for kind, weight in request.weights.items():
        if isinstance(weight, (int, float)):
            weights[str(kind)] = float(weight)
        else:
            arrays[f"weight.{kind}"] = weight.numpy()
    if request.preserve is not None:
        arrays["preserve"] = request.preserve.numpy()
    first = clip.cameras[0]
    about = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "seed": request.seed,
        "num_steps": request.num_steps,
        "guidance": request.guidance,
        "weights": weights,
        "fps": clip.fps,
        "up_axis": clip.up_axis,
        "camera": {
            "prim_path": first.prim_path,
            "height": first.height,
            "width": first.width,
            "near": first.near,
            "far": first.far,
        },
        "labels": {str(key): dict(value) for key, value in clip.labels.items()},
        "instances": [_plain(instance) for instance in clip.instances.values()],
        "provenance": _plain(result.provenance),
    }
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as stream:
            np.savez(stream, **arrays)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load_pair(path: Path) -> tuple[TransferRequest, TransferResult]:
    """Read what `save_pair` wrote, on the CPU.

    Raises:
        SourceError: If the file is missing, damaged or of another kind.
    """
    import warp as wp

    from cosmos.bridge.controls import derive_controls

    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = dict(stored)
        about = json.loads(arrays["about"].tobytes())
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise SourceError(f"{path} is no clip of a suite ({error}); delete it and make the suite again.") from error
    dtypes = {"uint8": wp.uint8, "float32": wp.float32, "uint32": wp.uint32}

    def on_cpu(key: str, dtype: str) -> Any:
        return wp.array(arrays[key], dtype=dtypes[dtype], device="cpu") if key in arrays else None

    instances = {}
    for plain in about["instances"]:
        bounds = None if plain["bounds"] is None else np.array(plain["bounds"], np.float64)
        instances[plain["id"]] = Instance(**{**plain, "bounds": bounds})
    clip = Clip(
        cameras=tuple(
            Camera(intrinsics=lens, cam_to_world=pose, **about["camera"])
            for lens, pose in zip(arrays["intrinsics"], arrays["cam_to_world"], strict=True)
        ),
        fps=about["fps"],
        time_codes=arrays["time_codes"],
        labels={int(key): value for key, value in about["labels"].items()},
        instances=instances,
        poses={int(key[5:]): value for key, value in arrays.items() if key.startswith("pose.")},
        up_axis=about["up_axis"],
        **{name: on_cpu(f"clip.{name}", dtype) for name, (dtype, _) in BUFFERS.items()},
    )
    maps = {key[7:]: on_cpu(key, "float32") for key in arrays if key.startswith("weight.")}
    weights = ControlWeights(**about["weights"], **maps)
    request = TransferRequest(
        clip=clip,
        controls=derive_controls(clip, kinds=weights.kinds),
        weights=weights,
        preserve=on_cpu("preserve", "float32"),
        **{name: about[name] for name in ("prompt", "negative_prompt", "seed", "num_steps", "guidance")},
    )
    provenance = Provenance(**{**about["provenance"], "notes": tuple(about["provenance"]["notes"])})
    return request, TransferResult(rgb=on_cpu("result", "uint8"), provenance=provenance)


def _plain(value: Any) -> dict[str, Any]:
    """Return a dataclass as plain values."""
    return {
        name: item.tolist() if isinstance(item, np.ndarray) else dict(item) if hasattr(item, "items") else item
        for name, item in asdict(value).items()
    }


__all__ = ["load_pair", "save_pair"]
