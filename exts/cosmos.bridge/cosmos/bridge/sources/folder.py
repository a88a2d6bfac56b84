"""Frames that another tool wrote: CosmosWriter clips, BasicWriter folders, mp4 videos."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cosmos.bridge.errors import SourceError
from cosmos.bridge.sources.basic_writer import BasicWriterClip, is_basic_folder
from cosmos.bridge.sources.cosmos_writer import CosmosWriterClip, is_cosmos_clip
from cosmos.bridge.sources.layouts import Layout, RawFrame
from cosmos.bridge.sources.video import VideoClip
from cosmos.bridge.types import BUFFERS, EXTRA_BUFFERS, Camera, Clip, Frame, LightProbe, UpAxis

if TYPE_CHECKING:
    import warp as wp

_ASSUMED_RATE = 24.0
_ASSUMED_FOCAL = 18.14756 / 20.955
"""Focal length over picture width of a fresh Isaac Sim camera; about 60 degrees across."""
_DEVICE_DTYPES = {"uint8": np.uint8, "float32": np.float32, "uint32": np.uint32}


class FolderSource:
    """One clip of files. A frame is a number in the file names; buffers that the files do not hold are ``None``."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clip: str | int | None = None,
        camera: str | None = None,
        frames: range | None = None,
        size: tuple[int, int] | None = None,
        fps: float | None = None,
        device: str | None = None,
        controls: tuple[str, ...] = (),
        lit_by: str | os.PathLike[str] | None = None,
    ) -> None:
        """Find the frames; nothing but the first is read yet.

        Args:
            path: A folder, or an mp4.
            clip: Which of several ``clip_0000`` folders, by name or number; ``None`` takes the first.
            camera: Which of several camera folders, by name; ``None`` takes the first.
            frames: Frame numbers to read; ``None`` reads all.
            size: Height and width [px] to resize to, of the same shape within 1 px; ``None`` keeps the files' size.
            fps: Frames a second; ``None`` takes what the files say, else 24.
            device: Warp device; Warp's preferred one when ``None``.
            controls: Which of ``hdmap`` and ``lidar`` the files must hold.
            lit_by: The USD stage that the frames show, which can tell their light; frame numbers are its time codes.

        Raises:
            SourceError: If nothing readable is there, files are missing, or an option does not fit.
        """
        self._path = Path(path)
        self._notes: list[str] = []
        self._part, self._layout = self._open(clip, camera)
        self._notes += self._layout.notes
        missing = [name for name in controls if name not in getattr(self._layout, "extras", ())]
        if missing:
            files = " and no ".join(f"{name}_0000.png" for name in missing)
            raise SourceError(
                f"Source {path} holds no {files}; draw it from a stage "
                "(cosmos-bridge render --annotators ...), or leave its weight out."
            )
        self._numbers = self._choose_numbers(frames)
        self._step = frames.step if frames is not None else 1
        self._size = self._choose_size(size)
        self._fps = self._choose_rate(fps) / self._step
        self._device = device
        self._lit_by, self._up_axis = _stage_of(lit_by)
        self._has_lens: bool | None = None

    def _open(self, clip: str | int | None, camera: str | None) -> tuple[Path, Layout]:
        path = self._path
        if not path.exists():
            raise SourceError(f"Source {path} does not exist; check the path.")
        if path.is_file():
            if clip is not None or camera is not None:
                raise SourceError(f"Source {path} is one video and has no clips or cameras to choose from.")
            return path, VideoClip(path)
        if is_cosmos_clip(path) or is_basic_folder(path):
            if clip is not None:
                raise SourceError(f"Folder {path} is one clip itself; leave out clip={clip!r}.")
            if camera is not None and camera != path.name:
                raise SourceError(f"Folder {path} is one camera itself; leave out camera={camera!r}.")
            return path, _open_part(path)
        parts = {child.name: child for child in sorted(path.iterdir()) if child.is_dir() and _holds_frames(child)}
        if not parts:
            raise SourceError(
                f"Folder {path} holds no frames; it needs rgb_0000.png (BasicWriter) or "
                "clip_0000/rgb/rgb_0000.png (CosmosWriter)."
            )
        part = parts[self._choose_part(list(parts), clip, camera)]
        return part, _open_part(part)

    def _choose_part(self, names: list[str], clip: str | int | None, camera: str | None) -> str:
        asked: str | None = f"clip_{clip:04d}" if isinstance(clip, int) else clip
        if asked is not None and camera is not None:
            raise SourceError(f"Folder {self._path} has one level of parts; give clip or camera, not both.")
        asked = asked if asked is not None else camera
        if asked is None:
            if len(names) > 1:
                self._notes.append(f"The folder holds {len(names)} parts ({', '.join(names)}); {names[0]} was taken.")
            return names[0]
        if asked not in names:
            raise SourceError(f"Folder {self._path} has no part {asked!r}; it has {', '.join(names)}.")
        return asked

    def _choose_numbers(self, frames: range | None) -> tuple[int, ...]:
        there = self._layout.numbers
        if frames is None:
            return there
        if len(frames) == 0 or frames.step < 1:
            raise SourceError(f"Frames {frames.start}:{frames.stop} hold no frame; ask for START:STOP.")
        if frames[0] < there[0] or frames[-1] > there[-1]:
            raise SourceError(
                f"Frames {frames.start}:{frames.stop} lie outside {self._part}, which has {there[0]} to {there[-1]}; "
                f"ask for frames within {there[0]}:{there[-1] + 1}."
            )
        return tuple(frames)

    def _choose_size(self, size: tuple[int, int] | None) -> tuple[int, int]:
        high, wide = self._layout.size
        if size is None:
            return high, wide
        height, width = size
        if height < 1 or width < 1:
            raise SourceError(f"A picture needs at least 1 x 1 pixels, got {height} x {width} (height x width).")
        nearest = max(1, round(high * width / wide))
        if abs(height - nearest) > 1:
            raise SourceError(
                f"{self._part} is {high} x {wide} and cannot become {height} x {width} (height x width) "
                f"without bending; the nearest size is {nearest} x {width}."
            )
        return int(height), int(width)

    def _choose_rate(self, fps: float | None) -> float:
        if fps is not None:
            if not (np.isfinite(fps) and fps > 0.0):
                raise SourceError(f"fps must be positive, got {fps!r}; give the frames a second.")
            return float(fps)
        if self._layout.fps is None:
            self._notes.append(f"The files tell no frame rate, so {_ASSUMED_RATE:g} frames a second were assumed.")
            return _ASSUMED_RATE
        return self._layout.fps

    @property
    def fps(self) -> float:
        """Frames a second of simulated time."""
        return self._fps

    @property
    def num_frames(self) -> int:
        """How many frames ``read`` yields."""
        return len(self._numbers)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed, one sentence each; an assumed lens is known once a frame was read."""
        return tuple(self._notes)

    def describe(self) -> Mapping[str, Any]:
        """Return plain values for the manifest; the hash is that of a video, or of the names and sizes of files."""
        return {
            "kind": self._layout.kind,
            "path": str(self._path),
            "part": self._part.name,
            "sha256": _fingerprint(self._part),
            "camera": self._camera_name(),
            "frames": [self._numbers[0], self._numbers[-1], self._step],
            "size": list(self._size),
            "fps": self._fps,
            **({"lit_by": str(self._lit_by), "lit_by_sha256": _fingerprint(self._lit_by)} if self._lit_by else {}),
        }

    def probe(self, clip: Clip) -> LightProbe | None:
        """Return what tells the light of these frames; ``None`` without a stage.

        Raises:
            SourceError: If the stage cannot be read, or shows something else than the frames.
        """
        if self._lit_by is None:
            return None
        from cosmos.bridge.sources.stage_light import StageLight

        try:
            return StageLight(clip, str(self._lit_by), patience=math.inf)
        except SourceError as error:
            raise SourceError(
                f"{self._path} is not lit by {self._lit_by}, since {str(error).rstrip('.')}; give the stage that was "
                "recorded, or leave out lit_by."
            ) from error

    def _camera_name(self) -> str:
        return "/" + self._part.stem

    def read(self) -> Iterator[Frame]:
        """Yield each frame.

        Raises:
            SourceError: If a file cannot be read, or differs in size from the first.
        """
        for raw in self._layout.read(self._numbers):
            camera, buffers = self._place(raw)
            yield Frame(
                camera=camera,
                time_code=float(raw.number),
                sim_time=raw.number / (self._fps * self._step),
                labels=raw.labels,
                instances=raw.instances,
                poses=raw.poses,
                up_axis=self._up_axis,
                **self._upload(buffers),
            )

    def close(self) -> None:
        """Nothing is held between frames; safe to call twice."""

    def _place(self, raw: RawFrame) -> tuple[Camera, dict[str, np.ndarray]]:
        """Bring a raw frame to the wanted size, with its camera."""
        high, wide = self._layout.size
        intrinsics = raw.intrinsics
        if self._has_lens is None:
            self._has_lens = intrinsics is not None
            if intrinsics is None:
                self._notes.append("The files tell no camera, so a lens of 60 degrees at the origin was assumed.")
        if intrinsics is None:
            focal = _ASSUMED_FOCAL * wide
            intrinsics = np.array([[focal, 0.0, wide / 2.0], [0.0, focal, high / 2.0], [0.0, 0.0, 1.0]])
        buffers = dict(raw.buffers)
        distance = buffers.pop("distance_to_camera", None)
        if distance is not None and "depth" not in buffers:
            buffers["depth"] = _to_image_plane(distance, intrinsics)
        height, width = self._size
        if (height, width) != (high, wide):
            intrinsics = np.diag([width / wide, height / high, 1.0]) @ intrinsics
            buffers = {name: _resize(name, array, (height, width)) for name, array in buffers.items()}
        near, far = raw.clipping or (0.01, 1.0e6)
        camera = Camera(
            prim_path=self._camera_name(), height=height, width=width, intrinsics=intrinsics, near=near, far=far,
            cam_to_world=np.eye(4) if raw.cam_to_world is None else raw.cam_to_world,
        )  # fmt: skip
        return camera, buffers

    def _upload(self, buffers: Mapping[str, np.ndarray]) -> dict[str, wp.array]:
        import warp as wp

        device = wp.get_preferred_device() if self._device is None else wp.get_device(self._device)
        uploaded = {}
        for name, array in buffers.items():
            dtype = (BUFFERS.get(name) or EXTRA_BUFFERS[name])[0]
            plain = np.ascontiguousarray(array, dtype=_DEVICE_DTYPES[dtype])
            uploaded[name] = wp.array(plain, dtype=getattr(wp, dtype), device=device)
        return uploaded


def _stage_of(lit_by: str | os.PathLike[str] | None) -> tuple[Path | None, UpAxis]:
    """Return the file of a stage and its upward axis; Z without a stage."""
    if lit_by is None:
        return None, "Z"
    from pxr import Tf, Usd, UsdGeom

    path = Path(lit_by)
    if not path.is_file():
        raise SourceError(f"The stage {path} of lit_by does not exist; check the path.")
    try:
        stage = Usd.Stage.Open(str(path), Usd.Stage.LoadNone)
    except Tf.ErrorException as error:
        raise SourceError(f"The stage {path} of lit_by cannot be read; give a USD file.") from error
    return path, "Y" if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.y else "Z"


def _holds_frames(folder: Path) -> bool:
    return is_cosmos_clip(folder) or is_basic_folder(folder)


def _open_part(folder: Path) -> Layout:
    return CosmosWriterClip(folder) if is_cosmos_clip(folder) and not is_flat(folder) else BasicWriterClip(folder)


def is_flat(folder: Path) -> bool:
    """Tell whether the pictures lie in the folder itself, as only BasicWriter has them."""
    return any(folder.glob("rgb_*.*"))


def _to_image_plane(distance: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Turn distances to the camera into distances to the image plane [m], float32."""
    height, width = distance.shape
    across = (np.arange(width) + 0.5 - intrinsics[0, 2]) / intrinsics[0, 0]
    down = (np.arange(height) + 0.5 - intrinsics[1, 2]) / intrinsics[1, 1]
    slant = np.sqrt(1.0 + across[None, :] ** 2 + down[:, None] ** 2)
    return (distance / slant).astype(np.float32)


def _resize(name: str, array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize one buffer: colour smoothly, ground truth by the nearest pixel, motion in the new pixels."""
    import cv2

    height, width = size
    old_height, old_width = array.shape[:2]
    if name == "rgb" or name in EXTRA_BUFFERS:
        smooth = cv2.INTER_AREA if width < old_width else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(array, (width, height), interpolation=smooth))
    rows = np.minimum(((np.arange(height) + 0.5) * old_height / height).astype(int), old_height - 1)
    columns = np.minimum(((np.arange(width) + 0.5) * old_width / width).astype(int), old_width - 1)
    picked = array[rows[:, None], columns[None, :]]
    if name == "motion":
        picked = picked * np.array([width / old_width, height / old_height], dtype=np.float32)
    return picked


def _fingerprint(path: Path) -> str:
    """Hash a video's bytes, or the names and sizes of a folder's files."""
    digest = hashlib.sha256()
    if path.is_file():
        with path.open("rb") as video:
            while block := video.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\n".encode())
    return digest.hexdigest()


__all__ = ["FolderSource"]
