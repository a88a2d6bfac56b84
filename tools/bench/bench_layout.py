"""Contests of layout and resize."""

import cv2
import numpy as np
import torch  # noqa: TID253
import torch.nn.functional as F  # noqa: N812, TID253
import warp as wp
from contest import Contest, ids_of

from cosmos.bridge.kernels.layout import tensor_to_video, video_to_tensor
from cosmos.bridge.kernels.resize import resize_video


class VideoToTensor(Contest):
    """uint8 at rest to float32 channels first."""

    title = "video_to_tensor (float32)"
    bytes_per_pixel = 15.0
    tolerance = 1e-6
    dtype = "float32"

    def run_launcher(self):
        return video_to_tensor(self.rgb, dtype=self.dtype)

    def run_opencv(self):
        planes = [cv2.dnn.blobFromImage(f, 1.0 / 127.5, mean=(127.5, 127.5, 127.5)) for f in self.video]
        return np.stack(planes, axis=2)

    def run_torch(self):
        tensor = self.rgb_torch.permute(3, 0, 1, 2)[None].float().div(127.5).sub(1.0)
        return tensor.to(getattr(torch, self.dtype)).contiguous()


class VideoToTensorHalf(VideoToTensor):
    """uint8 at rest to bfloat16 channels first."""

    title = "video_to_tensor (bfloat16)"
    bytes_per_pixel = 9.0
    tolerance = 0.01
    dtype = "bfloat16"
    run_opencv = None


class TensorToVideo(Contest):
    """float32 channels first to uint8 at rest."""

    title = "tensor_to_video (float32)"
    bytes_per_pixel = 15.0
    tolerance = 1.0

    def prepare(self):
        self.tensor = video_to_tensor(self.rgb)

    def run_launcher(self):
        return tensor_to_video(self.tensor)

    def run_torch(self):
        video = (self.tensor[0].clamp(-1.0, 1.0) + 1.0).mul(127.5).add(0.5).to(torch.uint8)
        return video.permute(1, 2, 3, 0).contiguous()


class ResizeArea(Contest):
    """Half the size by averaging."""

    title = "resize_video (area, to a half)"
    bytes_per_pixel = 3.0 + 3.0 / 4.0
    tolerance = 1.0
    mode, cv2_mode, torch_mode = "area", cv2.INTER_AREA, {"mode": "area"}

    def target(self):
        return self.video.shape[1] // 2, self.video.shape[2] // 2

    def run_launcher(self):
        return resize_video(self.rgb, self.target(), mode=self.mode)

    def run_opencv(self):
        height, width = self.target()
        return np.stack([cv2.resize(f, (width, height), interpolation=self.cv2_mode) for f in self.video])

    def run_torch(self):
        planes = self.rgb_torch.permute(0, 3, 1, 2).float()
        resized = F.interpolate(planes, size=self.target(), **self.torch_mode)
        return resized.round().clamp(0.0, 255.0).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


class ResizeLinear(ResizeArea):
    """To three quarters, linearly."""

    title = "resize_video (linear, to 3/4)"
    bytes_per_pixel = 3.0 + 3.0 * 9.0 / 16.0
    mode, cv2_mode, torch_mode = "linear", cv2.INTER_LINEAR, {"mode": "bilinear"}

    def target(self):
        return self.video.shape[1] * 3 // 4, self.video.shape[2] * 3 // 4


class ResizeCubic(ResizeArea):
    """To a tenth, antialiased."""

    title = "resize_video (cubic, to a tenth)"
    bytes_per_pixel = 3.0 + 3.0 / 100.0
    mode, torch_mode = "cubic", {"mode": "bicubic", "antialias": True}
    run_opencv = None  # its bicubic does not antialias

    def target(self):
        return self.video.shape[1] // 10, self.video.shape[2] // 10


class ResizeIds(Contest):
    """Ids to a half, nearest."""

    title = "resize_video (nearest ids, to a half)"
    bytes_per_pixel = 2.0

    def prepare(self):
        self.host = ids_of(self.video)
        self.ids = wp.array(self.host, dtype=wp.uint32, device=self.device)
        self.floats = torch.from_numpy(self.host.astype(np.float32)).to(self.torch_device)
        self.size = (self.host.shape[1] // 2, self.host.shape[2] // 2)

    def run_launcher(self):
        return resize_video(self.ids, self.size, mode="nearest")

    def run_opencv(self):
        kept = cv2.INTER_NEAREST_EXACT
        return np.stack([cv2.resize(f.astype(np.float32), self.size[::-1], interpolation=kept) for f in self.host])

    def run_torch(self):
        return F.interpolate(self.floats[:, None], size=self.size, mode="nearest-exact")[:, 0]


CONTESTS = (VideoToTensor, VideoToTensorHalf, TensorToVideo, ResizeArea, ResizeLinear, ResizeCubic, ResizeIds)
