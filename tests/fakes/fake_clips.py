"""A small rendered-like clip with everything a backend may ask for, and controls that fit it."""

import cv2
import numpy as np
import warp as wp

from cosmos.bridge.types import Camera, Clip, ControlKind, ControlSignal, ControlSignals, Instance


def make_clip(size=(36, 50), frames=3, *, buffers=("depth", "normals", "instance_ids")):
    """Ground seen from above the horizon, a box that moves over it, sky on top."""
    height, width = size
    rng = np.random.default_rng(11)
    y = np.arange(height)[:, None] + np.zeros((1, width))
    horizon = height // 3
    depth = np.where(y > horizon, 1.5 * 0.9 * width / np.maximum(y - horizon, 0.5), np.inf)
    rgb = rng.integers(60, 130, (height, width, 3))
    rgb[: horizon + 1] = (150, 180, 220)
    clip = {
        "rgb": np.repeat(rgb[None], frames, 0).astype(np.uint8),
        "depth": np.repeat(depth[None], frames, 0).astype(np.float32),
        "normals": np.where(np.isfinite(depth)[None, ..., None], [0.0, 0.0, 1.0], 0.0).repeat(frames, 0).astype("f4"),
        "instance_ids": np.where(np.isfinite(depth), 1, 0)[None].repeat(frames, 0).astype(np.uint32),
    }
    pose = np.full((frames, 4, 4), np.nan)
    for t in range(frames):
        top, left = horizon + 2, min(width - 2, 6 + 2 * t)
        part = (t, slice(top, top + height // 3), slice(left, left + width // 4))
        clip["rgb"][part], clip["depth"][part], clip["instance_ids"][part] = (200, 90, 40), 4.0, 2
        clip["normals"][part] = (0.0, -1.0, 0.0)
        pose[t] = np.eye(4)
        pose[t, 0, 3] = 0.1 * t
    lens = np.array([[width * 0.9, 0, width / 2], [0, width * 0.9, horizon + 0.5], [0, 0, 1]])
    view = np.eye(4)
    view[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    view[2, 3] = 1.5
    camera = Camera(prim_path="/World/Camera", height=height, width=width, intrinsics=lens, cam_to_world=view)
    dtypes = {"depth": wp.float32, "normals": wp.float32, "instance_ids": wp.uint32}
    return Clip(
        cameras=(camera,) * frames,
        fps=24.0,
        time_codes=np.arange(frames, dtype=np.float64),
        rgb=wp.array(clip["rgb"], dtype=wp.uint8, device="cpu"),
        instances={i: Instance(id=i, prim_path=f"/World/Thing_{i}") for i in (1, 2)},
        poses={1: np.repeat(np.eye(4)[None], frames, 0), 2: pose},
        **{name: wp.array(clip[name], dtype=dtypes[name], device="cpu") for name in buffers},
    )


def make_controls(clip, kinds=tuple(ControlKind), seed=5):
    """A control video of each kind, all different, with pixels that fit the kind."""
    rng = np.random.default_rng(seed)
    shape = tuple(clip.rgb.shape)
    colors = rng.integers(0, 256, (6, 3))
    videos = {kind: rng.integers(0, 256, shape) for kind in kinds}
    if ControlKind.EDGE in videos:
        videos[ControlKind.EDGE] = np.where(videos[ControlKind.EDGE][..., :1] > 200, 255, 0).repeat(3, -1)
    if ControlKind.DEPTH in videos:
        videos[ControlKind.DEPTH] = videos[ControlKind.DEPTH][..., :1].repeat(3, -1)
    if ControlKind.SEG in videos:
        videos[ControlKind.SEG] = colors[videos[ControlKind.SEG][..., 0] % 6]
    if ControlKind.VIS in videos:
        videos[ControlKind.VIS] = np.stack([cv2.GaussianBlur(f.astype(np.uint8), (0, 0), 3) for f in videos["vis"]])
    if ControlKind.HDMAP in videos:
        videos[ControlKind.HDMAP] = np.where(videos[ControlKind.HDMAP][..., :1] > 200, colors[0], 0)
    return ControlSignals(
        signals=tuple(
            ControlSignal(kind=kind, video=wp.array(videos[kind].astype(np.uint8), device="cpu")) for kind in kinds
        )
    )
