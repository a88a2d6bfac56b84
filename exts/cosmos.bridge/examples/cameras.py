"""Several cameras of one moment: a stereo pair with its disparity, and a wall of small depth pictures.

Run it anywhere, without Omniverse::

    python exts/cosmos.bridge/examples/cameras.py out/cameras
"""

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from cosmos.bridge import scenes
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import Camera

BASELINE = 0.12
"""Between the two eyes [m]."""


def stereo_pair(left: Camera) -> tuple[Camera, Camera]:
    """Return a camera and its right eye, which looks the same way."""
    pose = np.array(left.cam_to_world)
    pose[:3, 3] += BASELINE * pose[:3, 0]
    return left, replace(left, prim_path=f"{left.prim_path}Right", cam_to_world=pose)


def write_stereo(renderer: Renderer, size: tuple[int, int], out: Path) -> np.ndarray:
    """Write left.png, right.png and disparity.npy [px]; return the disparity, 0 where nothing is hit."""
    pair = stereo_pair(renderer.camera("/World/Camera", 0.0, size=size))
    frames = renderer.render_views(pair, 0.0, one_exposure=True)
    for name, frame in zip(("left", "right"), frames, strict=True):
        cv2.imwrite(str(out / f"{name}.png"), frame.rgb.numpy()[..., ::-1])
    depth = frames[0].depth.numpy()
    disparity = np.where(np.isfinite(depth), BASELINE * pair[0].intrinsics[0, 0] / depth, 0.0)
    np.save(out / "disparity.npy", disparity.astype(np.float32))
    return disparity


def write_tiles(renderer: Renderer, count: int, out: Path) -> np.ndarray:
    """Write depth.png, ``count`` x ``count`` small depth pictures around the first camera; return them, [N, 64, 64]."""
    first = renderer.camera("/World/Camera", 0.0, size=(64, 64))
    fleet = []
    for index in range(count * count):
        angle, pose = 2.0 * np.pi * index / count**2, np.array(first.cam_to_world)
        turn = [[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]]
        pose[:3, :3] = np.array(turn) @ pose[:3, :3]
        fleet.append(replace(first, prim_path=f"/Fleet/Camera{index}", cam_to_world=pose))
    tiles = renderer.render_tiles(fleet, 0.0, annotators=("depth", "instance_ids"))
    depth = tiles["depth"].numpy()  # on CUDA, wp.to_torch(tiles["depth"]) hands it to a policy without a copy
    grey = 255.0 / (1.0 + np.where(np.isfinite(depth), depth, np.inf) / 4.0)
    wall = grey.reshape(count, count, 64, 64).transpose(0, 2, 1, 3).reshape(64 * count, 64 * count)
    cv2.imwrite(str(out / "depth.png"), wall.astype(np.uint8))
    return depth


def main() -> None:
    """Draw both from the warehouse."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the pictures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    renderer = Renderer(scenes.warehouse())
    disparity = write_stereo(renderer, (352, 640), out)
    depth = write_tiles(renderer, 4, out)
    renderer.close()
    print(f"stereo pair with up to {disparity.max():.1f} px of disparity and {len(depth)} depth tiles in {out}")


if __name__ == "__main__":
    main()
