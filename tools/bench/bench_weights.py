"""Contests of the weight maps."""

import numpy as np
import torch  # noqa: TID253
import torch.nn.functional as F  # noqa: N812, TID253
import warp as wp
from contest import Contest

from cosmos.bridge.kernels.weights import cap_stack, weights_to_tokens


class CapStack(Contest):
    """Two maps, sum capped at 1."""

    title = "cap_stack (2 maps)"
    bytes_per_pixel = 16.0
    tolerance = 1e-6

    def prepare(self):
        self.host = np.random.default_rng(1).random((2, *self.video.shape[:3]), dtype=np.float32)
        self.stack = wp.array(self.host, dtype=wp.float32, device=self.device)
        self.tensor = torch.from_numpy(self.host).to(self.torch_device)
        self.out = wp.empty_like(self.stack)

    def run_launcher(self):
        wp.copy(self.out, self.stack)  # the kernel works in place; each run starts from the same maps
        return cap_stack(self.out)

    def run_torch(self):
        return self.tensor.clone().div_(self.tensor.sum(0, keepdim=True).clamp_min(1.0))


class Tokens(Contest):
    """Pixels to the token grid of Transfer 2.5."""

    title = "weights_to_tokens (1/16)"
    bytes_per_pixel = (8.0 + 1.0) * 4.0 / 16.0**2  # eight sites are read for a token
    tolerance = 1e-5
    prepare = CapStack.prepare

    def grid(self):
        frames, height, width = self.video.shape[:3]
        return 1 + max((frames - 1) // 4, int(frames > 1)), height // 16, width // 16

    def run_launcher(self):
        return weights_to_tokens(self.stack[0], self.grid())

    def run_torch(self):
        planes, grid = self.tensor[:1, None], self.grid()
        parts = [F.interpolate(planes[:, :, :1], size=(1, *grid[1:]), mode="trilinear")]
        if grid[0] > 1:
            parts.append(F.interpolate(planes[:, :, 1:], size=(grid[0] - 1, *grid[1:]), mode="trilinear"))
        return torch.cat(parts, dim=2)[0, 0]


CONTESTS = (CapStack, Tokens)
