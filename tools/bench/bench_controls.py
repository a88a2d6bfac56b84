"""Contests of the four controls."""

import cv2
import numpy as np
import torch  # noqa: TID253
import torch.nn.functional as F  # noqa: N812, TID253
import warp as wp
from contest import Contest, depth_of, ids_of

from cosmos.bridge.controls.palette import color_of
from cosmos.bridge.kernels import blur, edges
from cosmos.bridge.kernels.depth import depth_to_control
from cosmos.bridge.kernels.segmentation import count_ids, ids_to_control


class Edge(Contest):
    """Canny, medium preset."""

    title = "edges_to_control (medium)"
    bytes_per_pixel = 6.0

    def prepare(self):
        self.out = wp.empty_like(self.rgb)

    def run_launcher(self):
        return edges.edges_to_control(self.rgb, out=self.out)

    def run_warp(self):
        edges._edges_with_warp(self.rgb, 100, 200, self.out)
        return self.out

    def run_opencv(self):
        return np.stack([np.repeat(cv2.Canny(frame, 100, 200)[..., None], 3, axis=-1) for frame in self.video])

    def run_torch(self):
        return torch.stack([self._canny(frame) for frame in self.rgb_torch])

    def _canny(self, frame):
        planes = F.pad(frame.permute(2, 0, 1)[None].float(), (1, 1, 1, 1), mode="replicate")[0]
        smooth = planes.new_tensor([1.0, 2.0, 1.0])
        slope = planes.new_tensor([-1.0, 0.0, 1.0])
        kernels = torch.stack([torch.outer(smooth, slope), torch.outer(slope, smooth)])[:, None]
        dx, dy = F.conv2d(planes[:, None], kernels).unbind(1)
        strongest = (dx.abs() + dy.abs()).argmax(0, keepdim=True)
        dx, dy = dx.gather(0, strongest)[0], dy.gather(0, strongest)[0]
        m = dx.abs() + dy.abs()
        rim = F.pad(m, (1, 1, 1, 1))
        height, width = m.shape

        def at(row, column):
            return rim[1 + row : 1 + row + height, 1 + column : 1 + column + width]

        steep, limit = dy.abs() * 32768.0, dx.abs() * 13573.0
        flat, upright = steep < limit, steep > limit + dx.abs() * 65536.0
        falling = (dx < 0) != (dy < 0)
        diagonal = torch.where(falling, (m > at(-1, 1)) & (m > at(1, -1)), (m > at(-1, -1)) & (m > at(1, 1)))
        kept = torch.where(
            flat,
            (m > at(0, -1)) & (m >= at(0, 1)),
            torch.where(upright, (m > at(-1, 0)) & (m >= at(1, 0)), diagonal),
        )
        weak = kept & (m > 100.0)
        strong = (weak & (m > 200.0)).float()
        while True:
            grown = F.max_pool2d(strong[None], 3, 1, 1)[0] * weak
            if torch.equal(grown, strong):
                break
            strong = grown
        return (strong * 255.0).to(torch.uint8)[..., None].expand(-1, -1, 3)


class Depth(Contest):
    """Inverse depth over the clip's range."""

    title = "depth_to_control (clip range)"
    bytes_per_pixel = 11.0  # depth is read for the range and again for the levels
    tolerance = 1.0

    def prepare(self):
        self.host = depth_of(self.video)
        self.depth = wp.array(self.host, dtype=wp.float32, device=self.device)
        self.depth_torch = torch.from_numpy(self.host).to(self.torch_device)
        self.out = wp.empty_like(self.rgb)

    def run_launcher(self):
        return depth_to_control(self.depth, out=self.out)

    def run_opencv(self):
        valid = np.isfinite(self.host) & (self.host > 0.0)
        inverse = np.divide(1.0, self.host, out=np.zeros_like(self.host), where=valid)
        low, high = inverse[valid].min(), inverse[valid].max()
        scale = 255.0 / (high - low)
        return np.stack([cv2.merge([cv2.convertScaleAbs(cv2.max(f - low, 0.0), alpha=scale)] * 3) for f in inverse])

    def run_torch(self):
        valid = torch.isfinite(self.depth_torch) & (self.depth_torch > 0.0)
        inverse = torch.where(valid, 1.0 / self.depth_torch, 0.0)
        high = inverse.max()
        low = torch.where(valid, inverse, high).min()
        level = torch.where(valid, (inverse - low) / (high - low) * 255.0 + 0.5, 0.0)
        return level.to(torch.uint8)[..., None].repeat(1, 1, 1, 3)


class DepthFixed(Depth):
    """Inverse depth over a fixed range: one pass."""

    title = "depth_to_control (fixed range)"
    bytes_per_pixel = 7.0

    def run_launcher(self):
        return depth_to_control(self.depth, near=2.0, far=30.0, out=self.out)

    def run_opencv(self):
        valid = np.isfinite(self.host) & (self.host > 0.0)
        inverse = 1.0 / np.clip(self.host, 2.0, 30.0)
        inverse[~valid] = 1.0 / 30.0
        scale = 255.0 / (1.0 / 2.0 - 1.0 / 30.0)
        return np.stack([cv2.merge([cv2.convertScaleAbs(f - 1.0 / 30.0, alpha=scale)] * 3) for f in inverse])

    def run_torch(self):
        z = self.depth_torch
        level = (1.0 / z.clamp(2.0, 30.0) - 1.0 / 30.0) * (255.0 / (1.0 / 2.0 - 1.0 / 30.0)) + 0.5
        level = torch.where(torch.isfinite(z) & (z > 0.0), level, 0.0)
        return level.to(torch.uint8)[..., None].repeat(1, 1, 1, 3)


class Seg(Contest):
    """Fifty instance colours."""

    title = "ids_to_control (50 instances)"
    bytes_per_pixel = 7.0

    def prepare(self):
        self.host = ids_of(self.video)
        self.ids = wp.array(self.host, dtype=wp.uint32, device=self.device)
        self.colors = {key: color_of(f"/World/Thing_{key}") for key in range(1, 50)}
        self.table = np.array([(0, 0, 0), *self.colors.values()], np.uint8)
        self.ids_torch = torch.from_numpy(self.host.astype(np.int32)).to(self.torch_device)
        self.table_torch = torch.from_numpy(self.table).to(self.torch_device)
        self.out = wp.empty_like(self.rgb)

    def run_launcher(self):
        return ids_to_control(self.ids, self.colors, out=self.out)

    def run_opencv(self):
        lut = np.zeros((1, 256, 3), np.uint8)
        lut[0, : len(self.table)] = self.table
        return np.stack([cv2.LUT(cv2.merge([frame.astype(np.uint8)] * 3), lut) for frame in self.host])

    def run_torch(self):
        return self.table_torch[self.ids_torch]


class CountIds(Contest):
    """Pixels of each of fifty ids in each frame."""

    title = "count_ids (50 instances)"
    bytes_per_pixel = 4.0
    prepare = Seg.prepare

    def run_launcher(self):
        return count_ids(self.ids, range(50))[:, :50]

    def run_opencv(self):
        frames = self.host.astype(np.float32)
        return np.stack([cv2.calcHist([frame], [0], None, [50], [0.0, 50.0]).ravel() for frame in frames])

    def run_torch(self):
        return torch.stack([torch.bincount(frame.flatten(), minlength=50) for frame in self.ids_torch])


class Bilateral(Contest):
    """The heart of vis, on the half-size frame of the medium preset."""

    title = "bilateral_filter (d 30, half size)"
    most_frames = 1
    bytes_per_pixel = 6.0 / 4.0
    tolerance = 1.0

    def prepare(self):
        small = np.stack(
            [cv2.resize(f, (f.shape[1] // 2, f.shape[0] // 2), interpolation=cv2.INTER_AREA) for f in self.video]
        )
        self.small = small
        self.array = wp.array(small, dtype=wp.uint8, device=self.device)
        self.tensor = torch.from_numpy(small).to(self.torch_device)
        self.out = wp.empty_like(self.array)

    def run_launcher(self):
        return blur.bilateral_filter(self.array, diameter=30, sigma_color=150.0, sigma_space=100.0, out=self.out)

    def run_warp(self):
        blur._bilateral_with_warp(self.array, 30, 150.0, 100.0, self.out)
        return self.out

    def run_opencv(self):
        return np.stack([cv2.bilateralFilter(f, 30, 150.0, 100.0, borderType=cv2.BORDER_REPLICATE) for f in self.small])

    def run_torch(self):
        radius, space, color = blur._bilateral_tables(30, 150.0, 100.0)
        color = torch.from_numpy(color).to(self.torch_device)
        return torch.stack([self._filter(frame, radius, space, color) for frame in self.tensor])

    def _filter(self, frame, radius, space, color):
        height, width = frame.shape[:2]
        center = frame.int()
        rim = F.pad(frame.permute(2, 0, 1)[None].float(), (radius,) * 4, mode="replicate")[0].int().permute(1, 2, 0)
        total, weights = (
            torch.zeros(center.shape, device=frame.device),
            torch.zeros((height, width, 1), device=frame.device),
        )
        for j, i in np.argwhere(space > 0.0):
            tap = rim[j : j + height, i : i + width]
            weight = color[(tap - center).abs().sum(-1)][..., None] * float(space[j, i])
            total += weight * tap
            weights += weight
        return (total / weights).round().to(torch.uint8)


class Vis(Contest):
    """The whole ladder, medium preset."""

    title = "blur_to_control (medium)"
    most_frames = 1
    bytes_per_pixel = 6.0
    tolerance = np.inf  # not comparable: OpenCV's bicubic, the recipe of Cosmos 3, does not antialias

    def prepare(self):
        self.out = wp.empty_like(self.rgb)

    def run_launcher(self):
        return blur.blur_to_control(self.rgb, out=self.out)

    def run_opencv(self):
        return np.stack([self._ladder(frame) for frame in self.video])

    def _ladder(self, frame):
        height, width = frame.shape[:2]
        small = cv2.resize(frame, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        smooth = cv2.bilateralFilter(small, 30, 150.0, 100.0)
        smooth = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)
        coarse = cv2.resize(smooth, (width // 10, height // 10), interpolation=cv2.INTER_CUBIC)
        return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


CONTESTS = (Edge, Depth, DepthFixed, Seg, CountIds, Bilateral, Vis)
