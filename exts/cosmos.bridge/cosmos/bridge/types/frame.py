"""What a renderer saw: a Frame borrows its buffers, a Clip owns them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Optional, Protocol

import numpy as np

from cosmos.bridge.types.camera import Camera
from cosmos.bridge.types.probe import LightProbe

if TYPE_CHECKING:
    import warp as wp

UpAxis = Literal["Y", "Z"]

BUFFERS: Mapping[str, tuple[str, int]] = {
    "rgb": ("uint8", 3),
    "depth": ("float32", 0),
    "normals": ("float32", 3),
    "semantic_ids": ("uint32", 0),
    "instance_ids": ("uint32", 0),
    "motion": ("float32", 2),
}
"""Buffer name -> (dtype, channels; 0 means no channel axis)."""

EXTRA_BUFFERS: Mapping[str, tuple[str, int]] = {"hdmap": ("uint8", 3), "lidar": ("uint8", 3)}
"""Pictures that a source gives only where it was asked for them, in the same form."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Instance:
    """One thing with an id in ``instance_ids``."""

    id: int
    """Value in ``instance_ids``; 0 is background and never an instance."""
    prim_path: str
    """Path of the prim; ``/World/Crates[3]`` is the fourth point of a PointInstancer."""
    semantic_id: int = 0
    """Value in ``semantic_ids``; 0 background, 1 unlabelled, as Replicator has it."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """``{taxonomy: label}``, inherited from ancestors; empty for an unlabelled prim."""
    bounds: Optional[np.ndarray] = None
    """Axis-aligned box in the instance's own space [m]: ``[[min xyz], [max xyz]]``, float64, shape [2, 3]."""
    owner: str = ""
    """Path of the nearest prim at or above it that has labels of its own; empty where there is none, or unknown."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MapLine:
    """One labelled line of a stage: a curve, or an edge at the rim of a flat mesh."""

    prim_path: str
    labels: Mapping[str, str]
    """``{taxonomy: label}``, inherited from ancestors."""
    points: np.ndarray
    """World points [m] of the polyline, float64, shape [N, 3]."""


class FrameDetails(Protocol):
    """What a renderer can still tell about its latest frame, at a cost; refuses once another frame was drawn."""

    meters_per_unit: float
    """Metres in one unit of the stage."""
    bands: Any
    """Where kernels are launched that work on the frame (``render.draw.bands.Bands``)."""
    memory: dict[Any, Any]
    """Room for what holds for every frame of the stage, so that it is worked out once."""

    def linear(self) -> wp.array:
        """Return the picture before tone mapping, float32, shape [H, W, 3]."""
        ...

    def silhouettes(self, groups: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what groups of instances would cover if nothing hid them.

        Args:
            groups: Group of each instance id - 1, -1 for none, shape [N].
            count: Number of groups.

        Returns:
            Pixels of each group, shape [G], and inclusive boxes x_min, y_min, x_max, y_max [px], shape [G, 4].
        """
        ...

    def prim_poses(self, prim_paths: Sequence[str]) -> np.ndarray:
        """Return prim space to world [m] of each prim, column vectors, shape [K, 4, 4]; NaN where there is none."""
        ...

    def local_poses(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return instance space to world [m] of each instance id, column vectors, shape [K, 4, 4]."""
        ...

    def local_bounds(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the box of each instance id in its own space [m] as it is now, shape [K, 2, 3]; NaN if not visible."""
        ...

    def upright(self, ids: Sequence[int]) -> np.ndarray:
        """Return the foot and the top of a pole made of instances, world [m], shape [2, 3]; NaN if not visible."""
        ...

    def map_lines(self, wanted: Callable[[Mapping[str, str]], bool]) -> Sequence[MapLine]:
        """Return the lines of the stage whose labels are wanted, as they are now."""
        ...

    def lidar(self, sensor: Any) -> Any:
        """Return one turn (``render.lidar.LidarScan``) of a sensor (``render.lidar.Lidar``) at this moment.

        Raises:
            SourceError: If there is no prim at its mount.
        """
        ...

    def optics(self) -> Mapping[str, float]:
        """Return focalLength and horizontalAperture [tenths of a stage unit], focusDistance [stage units], fStop."""
        ...


def _check_buffers(owner: str, buffers: Mapping[str, Any], lead: tuple[int, ...]) -> None:
    """Raise ValueError unless each buffer has its dtype, its shape (``lead`` + channels) and one common device."""
    device = None
    for name, array in buffers.items():
        if array is None:
            continue
        dtype, channels = BUFFERS.get(name) or EXTRA_BUFFERS[name]
        shape = (*lead, channels) if channels else lead
        got = getattr(array.dtype, "__name__", str(array.dtype))
        accepted = {dtype, "int32"} if dtype == "uint32" else {dtype}
        if got not in accepted or tuple(array.shape) != shape:
            raise ValueError(f"{owner}.{name} must be {dtype} {list(shape)}, got {got} {list(array.shape)}.")
        device = device or str(array.device)
        if str(array.device) != device:
            raise ValueError(f"{owner} buffers must share one device, but {name} is on {array.device}, not {device}.")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Frame:
    """One rendered image with its ground truth. Borrows memory that is valid until its source's next step.

    Arrays are Warp arrays on one device. A buffer that the source cannot give is ``None``.
    """

    camera: Camera
    """Pose and lens of this moment."""
    time_code: float
    """USD time code."""
    sim_time: float
    """Simulated time [s]."""
    rgb: wp.array
    """sRGB colour, uint8, shape [H, W, 3]."""
    depth: Optional[wp.array] = None
    """Distance to the image plane [m], float32, shape [H, W]; ``inf`` where no hit.

    Zero or negative beside and behind a fisheye that sees more than 180 degrees.
    """
    normals: Optional[wp.array] = None
    """World-space unit normals in [-1, 1], float32, shape [H, W, 3]; zero where no hit."""
    semantic_ids: Optional[wp.array] = None
    """uint32 (int32 accepted, same bits), shape [H, W]; 0 background, 1 unlabelled."""
    instance_ids: Optional[wp.array] = None
    """uint32 (int32 accepted, same bits), shape [H, W]; 0 background."""
    motion: Optional[wp.array] = None
    """Previous minus current pixel position [px] (+x moved left, +y moved up), float32, shape [H, W, 2]."""
    labels: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    """Semantic id -> ``{taxonomy: label}``."""
    instances: Mapping[int, Instance] = field(default_factory=dict)
    """Instance id -> what it is."""
    poses: Mapping[int, np.ndarray] = field(default_factory=dict)
    """Instance id -> instance space to world [m], column vectors, float64, shape [4, 4]."""
    up_axis: UpAxis = "Z"
    """World axis that points up."""
    hdmap: Optional[wp.array] = None
    """Lanes, poles and boxes as lines, uint8 sRGB, shape [H, W, 3]; only where asked for."""
    lidar: Optional[wp.array] = None
    """LiDAR points as dots coloured by range, uint8 sRGB, shape [H, W, 3]; only where asked for."""
    details: Optional[FrameDetails] = None
    """What the renderer can still tell about this frame; ``None`` from a source that keeps nothing."""

    def __post_init__(self) -> None:
        names = (*BUFFERS, *EXTRA_BUFFERS)
        _check_buffers("Frame", {name: getattr(self, name) for name in names}, (self.camera.height, self.camera.width))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Clip:
    """A run of frames of one camera, all of one size, at a constant rate. Owns its memory."""

    cameras: tuple[Camera, ...]
    """One camera a frame, length T; all of one prim path and size."""
    fps: float
    """Frames a second of simulated time."""
    time_codes: np.ndarray
    """USD time codes, float64, shape [T]."""
    rgb: wp.array
    """sRGB colour, uint8, shape [T, H, W, 3]."""
    depth: Optional[wp.array] = None
    """Distance to the image plane [m], float32, shape [T, H, W]; ``inf`` where no hit."""
    normals: Optional[wp.array] = None
    """World-space unit normals in [-1, 1], float32, shape [T, H, W, 3]; zero where no hit."""
    semantic_ids: Optional[wp.array] = None
    """uint32 (int32 accepted, same bits), shape [T, H, W]; 0 background, 1 unlabelled."""
    instance_ids: Optional[wp.array] = None
    """uint32 (int32 accepted, same bits), shape [T, H, W]; 0 background."""
    motion: Optional[wp.array] = None
    """Previous minus current pixel position [px], float32, shape [T, H, W, 2]; frame 0 looks one frame back."""
    labels: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    """Semantic id -> ``{taxonomy: label}``."""
    instances: Mapping[int, Instance] = field(default_factory=dict)
    """Instance id -> what it is."""
    poses: Mapping[int, np.ndarray] = field(default_factory=dict)
    """Instance id -> instance space to world [m], column vectors, float64, shape [T, 4, 4]."""
    up_axis: UpAxis = "Z"
    """World axis that points up."""
    hdmap: Optional[wp.array] = None
    """Lanes, poles and boxes as lines, uint8 sRGB, shape [T, H, W, 3]; only where asked for."""
    lidar: Optional[wp.array] = None
    """LiDAR points as dots coloured by range, uint8 sRGB, shape [T, H, W, 3]; only where asked for."""
    probe: Optional[LightProbe] = None
    """Tells the light of these frames under any look; ``None`` from a source that cannot."""

    def __post_init__(self) -> None:
        if not self.cameras or len(self.cameras) != len(self.time_codes):
            raise ValueError(
                f"Clip needs one camera and one time code a frame, got {len(self.cameras)} and {len(self.time_codes)}."
            )
        if not (np.isfinite(self.fps) and self.fps > 0.0):
            raise ValueError(f"Clip.fps must be positive, got {self.fps!r}.")
        first = self.cameras[0]
        for index, camera in enumerate(self.cameras):
            if (camera.height, camera.width) != (first.height, first.width):
                raise ValueError(
                    f"Clip frames must share one size; frame {index} is {camera.height} x {camera.width}, "
                    f"frame 0 is {first.height} x {first.width}."
                )
        lead = (len(self.cameras), first.height, first.width)
        _check_buffers("Clip", {name: getattr(self, name) for name in (*BUFFERS, *EXTRA_BUFFERS)}, lead)

    def close(self) -> None:
        """Release the light probe, where there is one; the clip's own memory stays. Safe to call twice."""
        if self.probe is not None:
            self.probe.close()

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.cameras)

    @property
    def height(self) -> int:
        """H [px]."""
        return self.cameras[0].height

    @property
    def width(self) -> int:
        """W [px]."""
        return self.cameras[0].width


def gather(frames: Iterable[Frame], *, fps: float, num_frames: int) -> Clip:
    """Copy borrowed frames into a Clip that owns its memory, each as it comes, on its device.

    Args:
        frames: Frames of one camera in time order; each is read before the next is asked for.
        fps: Frames a second of simulated time.
        num_frames: How many frames will come.

    Raises:
        ValueError: If another number of frames comes, or a frame differs in size, device or buffers from the first.
    """
    import warp as wp

    names = (*BUFFERS, *EXTRA_BUFFERS)
    owned: dict[str, Any] = {}
    first: Optional[Frame] = None
    cameras: list[Camera] = []
    time_codes: list[float] = []
    instances: dict[int, Instance] = {}
    labels: dict[int, Mapping[str, str]] = {}
    poses: dict[int, np.ndarray] = {}
    for index, frame in enumerate(frames):
        if index >= num_frames:
            raise ValueError(f"gather expected {num_frames} frames, but more came.")
        if first is None:
            first = frame
            for name in names:
                array = getattr(frame, name)
                if array is not None:
                    owned[name] = wp.empty((num_frames, *array.shape), dtype=array.dtype, device=array.device)
        for name in names:
            array = getattr(frame, name)
            if (array is None) != (name not in owned):
                raise ValueError(f"gather needs the same buffers in each frame; frame {index} differs in {name}.")
            if array is not None:
                slot = owned[name][index]
                if slot.shape != array.shape or slot.dtype != array.dtype:
                    raise ValueError(f"gather needs one size and dtype; frame {index} differs in {name}.")
                wp.copy(slot, array)
        cameras.append(frame.camera)
        time_codes.append(frame.time_code)
        instances.update(frame.instances)
        labels.update(frame.labels)
        for key, pose in frame.poses.items():
            poses.setdefault(key, np.full((num_frames, 4, 4), np.nan))[index] = pose
    if first is None or len(cameras) != num_frames:
        raise ValueError(f"gather expected {num_frames} frames, got {len(cameras)}.")
    return Clip(
        cameras=tuple(cameras),
        fps=fps,
        time_codes=np.asarray(time_codes, dtype=np.float64),
        labels=labels,
        instances=instances,
        poses=poses,
        up_axis=first.up_axis,
        **owned,
    )


__all__ = ["BUFFERS", "EXTRA_BUFFERS", "Clip", "Frame", "FrameDetails", "Instance", "MapLine", "UpAxis", "gather"]
