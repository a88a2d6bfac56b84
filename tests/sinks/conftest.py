"""A small drawn world with exact truth, as an Augmentation: boxes that slide before a slowly panning camera."""

from collections.abc import Callable
from typing import Any, Optional

import cv2
import numpy as np
import pytest
import warp as wp

from cosmos.bridge.types import (
    Augmentation,
    Camera,
    Clip,
    ControlKind,
    ControlSignal,
    ControlSignals,
    ControlWeights,
    Finding,
    GuardReport,
    Instance,
    Measurement,
    Provenance,
    TransferRequest,
    TransferResult,
    Verdict,
)

BOXES = {  # id: prim path, label, colour, size as a share of the height, place as a share of the width, depth [m]
    1: ("/World/Floor", "floor", (116, 112, 106), 0.0, 0.0, 9.0),
    2: ("/World/Rack_01", "rack", (58, 84, 128), 0.62, 0.08, 7.0),
    3: ("/World/Crate_01", "crate", (176, 132, 78), 0.30, 0.38, 4.0),
    4: ("/World/Forklift", "forklift", (214, 164, 40), 0.42, 0.60, 5.0),
}


def draw(num_frames: int, height: int, width: int) -> dict[str, np.ndarray]:
    """Draw rgb, depth and instance ids of the small world."""
    rgb = np.empty((num_frames, height, width, 3), np.uint8)
    depth = np.full((num_frames, height, width), np.inf, np.float32)
    ids = np.zeros((num_frames, height, width), np.uint32)
    rows = np.linspace(0.0, 1.0, height)[:, None]
    horizon = int(height * 0.55)
    for t in range(num_frames):
        sky = (1 - rows) * np.array([168, 178, 190]) + rows * np.array([208, 206, 200])
        rgb[t] = np.broadcast_to(sky[:, None, :], (height, width, 3)).astype(np.uint8)
        floor = np.array(BOXES[1][2]) * (0.75 + 0.35 * rows[horizon:])
        rgb[t, horizon:] = floor[:, None, :].clip(0, 255).astype(np.uint8)
        depth[t, horizon:] = (9.0 - 6.0 * (np.arange(height - horizon) / max(1, height - horizon)))[:, None]
        ids[t, horizon:] = 1
        for key, (_, _, color, size, place, far) in BOXES.items():
            if key == 1:
                continue
            side = max(1, int(size * height))
            left = int(place * width + t * width * (0.004 if key == 3 else 0.002))
            top = max(0, int(height * 0.82) - side)
            box = (slice(top, top + side), slice(left, min(width, left + side)))
            ids[t][box], depth[t][box] = key, far
            rgb[t][box] = color
            if side > 16:
                shade = tuple(int(c * 0.7) for c in color)
                for line in range(1, 4):
                    y = top + line * side // 4
                    cv2.line(rgb[t], (left, y), (min(width, left + side) - 1, y), shade, max(1, height // 240))
    return {"rgb": rgb, "depth": depth, "instance_ids": ids}


def make_clip(num_frames: int = 4, height: int = 36, width: int = 64, **changes: Any) -> Clip:
    """Return the small world as a Clip with cameras, labels, instances and poses."""
    buffers = draw(num_frames, height, width)
    focal = 0.9 * width
    cameras = []
    for t in range(num_frames):
        pose = np.eye(4)
        pose[:3, 3] = (0.02 * t, 1.4, 6.0)
        lens = np.array([[focal, 0, width / 2 + 1.5], [0, focal, height / 2 - 0.5], [0, 0, 1]])
        cameras.append(
            Camera(prim_path="/World/Camera", height=height, width=width, intrinsics=lens, cam_to_world=pose, near=0.1)
        )
    instances, poses = {}, {}
    for key, (path, label, _, size, _, _) in BOXES.items():
        half = max(0.1, size)
        bounds = None if key == 1 else np.array([[-half, 0, -half], [half, 2 * half, half]])
        instances[key] = Instance(id=key, prim_path=path, semantic_id=key + 1, labels={"class": label}, bounds=bounds)
        poses[key] = np.repeat(np.eye(4)[None], num_frames, axis=0)
    poses[4][0] = np.nan  # not there yet in the first frame
    fields = {
        "cameras": tuple(cameras),
        "fps": 24.0,
        "time_codes": np.arange(num_frames, dtype=np.float64) + 1.0,
        "rgb": wp.array(buffers["rgb"], dtype=wp.uint8, device="cpu"),
        "depth": wp.array(buffers["depth"], dtype=wp.float32, device="cpu"),
        "instance_ids": wp.array(buffers["instance_ids"], dtype=wp.uint32, device="cpu"),
        "semantic_ids": wp.array(
            np.where(buffers["instance_ids"] > 0, buffers["instance_ids"] + 1, 0).astype(np.uint32),
            dtype=wp.uint32,
            device="cpu",
        ),
        "labels": {0: {"class": "BACKGROUND"}, **{key + 1: {"class": BOXES[key][1]} for key in BOXES}},
        "instances": instances,
        "poses": poses,
        "up_axis": "Y",
    }
    return Clip(**{**fields, **changes})


def make_controls(clip: Clip) -> ControlSignals:
    """Return edge, depth and seg videos of a clip, made with OpenCV."""
    rgb, ids, depth = clip.rgb.numpy(), clip.instance_ids.numpy(), clip.depth.numpy()
    edge = np.stack([np.repeat(cv2.Canny(frame, 100, 200)[..., None], 3, axis=2) for frame in rgb])
    near = np.where(np.isfinite(depth), 255.0 * (1 / np.maximum(depth, 1e-3)) / (1 / 3.0), 0).clip(0, 255)
    palette = np.array([[0, 0, 0], [90, 90, 200], [220, 120, 40], [60, 200, 120], [230, 60, 140]], np.uint8)
    signals = {
        ControlKind.EDGE: edge,
        ControlKind.DEPTH: np.repeat(near.astype(np.uint8)[..., None], 3, axis=3),
        ControlKind.SEG: palette[ids],
    }
    settings = {ControlKind.EDGE: {"preset": "medium", "low": 100, "high": 200}}
    return ControlSignals(
        signals=tuple(
            ControlSignal(
                kind=kind, video=wp.array(video, dtype=wp.uint8, device="cpu"), settings=settings.get(kind, {})
            )
            for kind, video in signals.items()
        )
    )


def make_look(rgb: np.ndarray, look: str) -> np.ndarray:
    """Return a picture that passes for another time of day."""
    value = rgb.astype(np.float32)
    if look == "night":
        value = value * np.array([0.22, 0.28, 0.42], np.float32) + 6
    elif look == "fog":
        value = value * 0.45 + 110
    elif look == "snow":
        value = value * 0.6 + np.array([96, 100, 106], np.float32)
    else:
        value = (value - 96) * 1.22 + np.array([112, 106, 96], np.float32)
    return value.clip(0, 255).astype(np.uint8)


def make_verdict(accepted: bool) -> Verdict:
    """Return what a critic says of the forklift."""
    finding = Finding(
        kind="geometry",
        check="instance_boundaries",
        severity="warning" if accepted else "reject",
        text="The boundary of the forklift lies 4.2 px beside the simulated one in frames 1 to 2.",
        frames=(1, 2),
        instance=4,
        prim_path="/World/Forklift",
        value=4.2,
        threshold=2.0,
    )
    measurements = (
        Measurement(check="edges_kept", value=0.93, threshold=0.7, better="higher", unit="", passed=True),
        Measurement(
            check="boundary_shift",
            value=0.8 if accepted else 4.2,
            threshold=2.0,
            better="lower",
            unit="px",
            passed=accepted,
        ),
        Measurement(check="flicker", value=1.4, threshold=3.0, better="lower", unit="grey levels", passed=True),
        Measurement(
            check="instance_contrast", value=float("nan"), threshold=0.2, better="higher", unit="", passed=True
        ),
    )
    return Verdict(
        accepted=accepted,
        score=0.91 if accepted else 0.34,
        critic="consistency",
        findings=(finding,),
        measurements=measurements,
        rationale="Geometry and time hold." if accepted else "The forklift moved by 4.2 px; the bar is 2 px.",
        seconds=1.1,
    )


def make_augmentation(
    name: str = "clip_0000",
    *,
    clip: Optional[Clip] = None,
    controls: Optional[ControlSignals] = None,
    accepted: bool = True,
    attempt: int = 1,
    prompt: str = "a clear day in a warehouse",
    look: str = "day",
    seed: int = 7,
    weights: Optional[ControlWeights] = None,
    result_rgb: Optional[np.ndarray] = None,
) -> Augmentation:
    """Return one finished attempt over the small world."""
    clip = clip if clip is not None else make_clip()
    controls = controls if controls is not None else make_controls(clip)
    request = TransferRequest(
        clip=clip,
        controls=controls,
        weights=weights if weights is not None else ControlWeights(edge=1.0, depth=0.5, seg=0.25),
        prompt=prompt,
        negative_prompt="cartoon, low quality",
        seed=seed,
    )
    pixels = result_rgb if result_rgb is not None else make_look(clip.rgb.numpy(), look)
    provenance = Provenance(
        model="embedded",
        revision="2026.11-a",
        weights_sha256="9f2b" * 16,
        licence="Apache-2.0",
        dtype="float32",
        device="cpu",
        seconds=12.6,
        peak_bytes=734_003_200,
        requested={"num_steps": None, "size": [clip.height, clip.width]},
        effective={"num_steps": 6, "size": [clip.height, clip.width]},
        versions={"torch": "2.13.0", "warp-lang": "1.19.0"},
        notes=("The word 'cinematic' was not understood.",),
    )
    return Augmentation(
        name=name,
        request=request,
        result=TransferResult(rgb=wp.array(pixels, dtype=wp.uint8, device="cpu"), provenance=provenance),
        verdict=make_verdict(accepted),
        guard_reports=(
            GuardReport(allowed=True, stage="prompt", requested="blocklist", effective="blocklist"),
            GuardReport(allowed=True, stage="video", requested="off", effective="off"),
        ),
        attempt=attempt,
        max_attempts=2,
        tags={"prompt_name": look, "variant": "0"},
    )


@pytest.fixture
def augmentation() -> Callable[..., Augmentation]:
    """Builder of attempts."""
    return make_augmentation


@pytest.fixture
def clip() -> Callable[..., Clip]:
    """Builder of clips."""
    return make_clip


@pytest.fixture
def controls() -> Callable[[Clip], ControlSignals]:
    """Builder of control videos."""
    return make_controls
