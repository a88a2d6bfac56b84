"""A small clip whose every buffer is known."""

import numpy as np
import pytest

from cosmos.bridge.types import Camera, Clip, Instance

FRAMES, HEIGHT, WIDTH = 4, 24, 40


@pytest.fixture
def make_clip():
    """Return a maker of clips: a robot (ids 1 and 2) on the left, a crate (3) on the right, sky above."""
    import warp as wp

    def make(device="cpu", *, leave_out=(), **changes):
        rng = np.random.default_rng(5)
        ids = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint32)
        ids[:, 8:, :10], ids[:, 8:, 10:16], ids[:, 12:, 24:36] = 1, 2, 3
        semantics = np.choose(ids, [0, 2, 2, 3]).astype(np.uint32)
        depth = rng.uniform(1.0, 9.0, ids.shape).astype(np.float32)
        depth[ids == 0] = np.inf
        normals = np.zeros((*ids.shape, 3), np.float32)
        normals[ids > 0] = (0.0, 0.0, 1.0)
        normals[ids == 2] = (0.0, 0.0, -1.0)
        buffers = {
            "rgb": wp.array(rng.integers(0, 256, (*ids.shape, 3), dtype=np.uint8), dtype=wp.uint8, device=device),
            "depth": wp.array(depth, dtype=wp.float32, device=device),
            "normals": wp.array(normals, dtype=wp.float32, device=device),
            "instance_ids": wp.array(ids, dtype=wp.uint32, device=device),
            "semantic_ids": wp.array(semantics, dtype=wp.uint32, device=device),
        }
        camera = Camera(
            prim_path="/World/Camera", height=HEIGHT, width=WIDTH, intrinsics=np.eye(3), cam_to_world=np.eye(4)
        )
        robot = {"class": "robot"}
        values = {
            "cameras": (camera,) * FRAMES,
            "fps": 24.0,
            "time_codes": np.arange(float(FRAMES)),
            "labels": {
                0: {"class": "BACKGROUND"},
                2: robot,
                3: {"class": "crate,box", "material": "wood"},
                4: {"class": "person"},
            },
            "instances": {
                1: Instance(id=1, prim_path="/World/Robot/Arm", semantic_id=2, labels=robot),
                2: Instance(id=2, prim_path="/World/Robot/Base", semantic_id=2, labels=robot),
                3: Instance(id=3, prim_path="/World/Crates[3]", semantic_id=3, labels={"class": "crate,box"}),
                4: Instance(id=4, prim_path="/World/Hidden", semantic_id=4, labels={"class": "person"}),
            },
            **{name: buffer for name, buffer in buffers.items() if name not in leave_out},
        }
        return Clip(**{**values, **changes})

    return make
