"""What a benchmark is: one job, done by Warp, OpenCV and plain torch on the same frames, their results held equal.

Each contest is an asv class (``params``, ``setup``, ``time_*``), so that asv can run it as well as ``run.py``.
"""

import functools

import cv2
import numpy as np
import torch  # noqa: TID253
import warp as wp


@functools.lru_cache(maxsize=1)
def picture(frames: int, size: tuple[int, int]) -> np.ndarray:
    """uint8 [T, H, W, 3]: boxes on a gradient with grain, moving; edges as many as a rendered warehouse has."""
    rng = np.random.default_rng(0)
    height, width = size
    ramp = np.linspace(40.0, 190.0, height)[:, None, None] + np.linspace(0.0, 40.0, width)[None, :, None]
    boxes = [(*rng.random(4), rng.uniform(0.0, 255.0, 3)) for _ in range(60)]
    video = np.empty((frames, height, width, 3), np.uint8)
    for index in range(frames):
        frame = np.repeat(ramp, 3, axis=2)
        for x, y, w, h, color in boxes:
            left, top = int(x * width + 2 * index) % width, int(y * height)
            frame[top : top + int(h * height / 4) + 2, left : left + int(w * width / 6) + 2] = color
        frame += rng.normal(0.0, 4.0, frame.shape)
        video[index] = np.clip(frame, 0.0, 255.0)
    return video


def ids_of(video: np.ndarray) -> np.ndarray:
    """uint32 [T, H, W]: patches of ids 0..49 over the picture."""
    frames, height, width = video.shape[:3]
    rows, columns = np.arange(height)[:, None] // 37, np.arange(width)[None, :] // 61
    return np.broadcast_to((rows * 7 + columns * 3) % 50, (frames, height, width)).astype(np.uint32)


def depth_of(video: np.ndarray) -> np.ndarray:
    """float32 [T, H, W] in [1, 40] m, the top row is sky."""
    depth = 1.0 + video[..., 0].astype(np.float32) * (39.0 / 255.0)
    depth[:, 0] = np.inf
    return depth


class Contest:
    """One job. Subclasses set ``title``, ``bytes_per_pixel`` and the ``run_*`` that exist; results are compared."""

    params = ([(704, 1280)], [4], ["cpu"])
    param_names = ("size", "frames", "device")
    title = ""
    bytes_per_pixel = 0.0
    """Least traffic of the job: bytes that must be read and written once, for each pixel of the frame."""
    most_frames = 64
    """Frames that one call may take, where a frame alone costs seconds."""
    tolerance = 0.0
    """Largest difference between two contestants' results, in units of the result."""

    def setup(self, size: tuple[int, int], frames: int, device: str) -> None:
        """Make the inputs, and let each contestant run once: kernels compile, caches and allocators warm up."""
        self.device = wp.get_device(device)
        self.torch_device = wp.device_to_torch(self.device)
        self.video = picture(min(frames, self.most_frames), tuple(size))
        self.rgb = wp.array(self.video, dtype=wp.uint8, device=self.device)
        self.rgb_torch = torch.from_numpy(self.video).to(self.torch_device)
        self.prepare()

    def prepare(self) -> None:
        """Make further inputs."""

    def contestants(self) -> dict[str, object]:
        """Name -> function, ours first."""
        named = {name: getattr(self, f"run_{name}", None) for name in ("launcher", "warp", "opencv", "torch")}
        return {name: function for name, function in named.items() if function is not None}

    def finish(self) -> None:
        """Wait until the device has done everything."""
        wp.synchronize_device(self.device)
        if self.torch_device.startswith("cuda"):
            torch.cuda.synchronize()

    def as_array(self, result: object) -> np.ndarray:
        """Bring any contestant's result to one float64 layout."""
        if isinstance(result, torch.Tensor):
            return result.float().cpu().numpy().astype(np.float64)
        return np.asarray(result.numpy() if isinstance(result, wp.array) else result, dtype=np.float64)

    def disagreement(self) -> dict[str, float]:
        """Contestant -> largest difference from the first one's result."""
        results = {name: self.as_array(run()) for name, run in self.contestants().items()}
        first = next(iter(results.values()))
        return {name: float(np.abs(result - first).max()) for name, result in results.items()}

    def time_launcher(self, *_: object) -> None:
        """What a user of cosmos.bridge gets."""
        self.run_launcher()
        self.finish()


def threads() -> str:
    """Threads each contestant may use."""
    return f"Warp 1 (CPU), OpenCV {cv2.getNumThreads()}, torch {torch.get_num_threads()}"
