"""An observation term for reinforcement learning: camera pictures of all environments, in another look each episode.

In Isaac Lab, beside the other observation terms::

    term = AugmentedImages(prompts=["noon", "night, lamps lit", "dense fog"])
    rgb = ObservationTermCfg(func=lambda env: term.of_sensor(env.scene["camera"].data))

It needs no Kit: any batch of pictures with depth will do.
"""

import numpy as np
import warp as wp

from cosmos.bridge.controls import derive_controls
from cosmos.bridge.transfer.registry import create
from cosmos.bridge.types import Camera, Clip, ControlWeights, TransferRequest


class AugmentedImages:
    """Redraws a batch of pictures; every picture is a frame, so one call of the model serves all environments."""

    def __init__(self, prompts, *, transfer="embedded", edge=0.5, depth=0.5, device=None):
        """Load the model.

        Args:
            prompts: Looks to draw from; ``reset`` picks one.
            transfer: Name of the Transfer backend.
            edge: Weight of the Canny edges, in [0, 1].
            depth: Weight of the depth, in [0, 1].
            device: Device of the model; CUDA where there is one when ``None``.
        """
        self.prompts, self.prompt, self.seed = list(prompts), prompts[0], 0
        self._weights = ControlWeights(edge=edge, depth=depth)
        self._model = create(transfer)
        self._model.load(device)

    def reset(self, seed):
        """Take the look of a new episode; the seed decides it."""
        self.seed = int(seed)
        self.prompt = self.prompts[np.random.default_rng(self.seed).integers(len(self.prompts))]

    def of_sensor(self, sensor):
        """Return the pictures of an Isaac Lab camera as a tensor, uint8 [N, H, W, 3] on the sensor's device."""
        import torch

        rgb, depth = sensor.output["rgb"][..., :3], sensor.output["distance_to_image_plane"]
        rgb_host, depth_host = rgb.cpu().numpy(), depth.reshape(rgb.shape[:3]).cpu().numpy()
        made = self(rgb_host, depth_host, sensor.intrinsic_matrices[0].cpu().numpy())
        return torch.from_numpy(made).to(rgb.device)

    def __call__(self, rgb, depth, intrinsics):
        """Return the batch in the look of this episode.

        Args:
            rgb: uint8, shape [N, H, W, 3].
            depth: Distance to the image plane [m], float32, shape [N, H, W].
            intrinsics: Of all pictures, shape [3, 3] [px].
        """
        count, height, width, _ = rgb.shape
        camera = Camera(
            prim_path="/Camera",
            height=height,
            width=width,
            intrinsics=np.asarray(intrinsics, float),
            cam_to_world=np.eye(4),
        )
        hit = np.isfinite(depth) & (depth > 0)
        clip = Clip(
            cameras=(camera,) * count,
            fps=1.0,
            time_codes=np.arange(count, dtype=np.float64),
            rgb=wp.array(np.ascontiguousarray(rgb), dtype=wp.uint8, device="cpu"),
            depth=wp.array(np.where(hit, depth, np.inf).astype(np.float32), dtype=wp.float32, device="cpu"),
        )
        controls = derive_controls(clip, kinds=self._weights.kinds)
        request = TransferRequest(
            clip=clip, controls=controls, weights=self._weights, prompt=self.prompt, seed=self.seed
        )
        return self._model.transfer(request).rgb.numpy()

    def close(self):
        """Free the model."""
        self._model.unload()
