"""Which frames lie in a folder: the file layouts of CosmosWriter, BasicWriter and plain videos."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cosmos.bridge.errors import SourceError
from cosmos.bridge.types import Instance

_PICTURES = (".png", ".jpg", ".jpeg")
_NUMBERED = re.compile(r"^(?P<name>.+)_(?P<number>\d{4,})$")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RawFrame:
    """One frame as read, at the size of the files; arrays are NumPy arrays in the dtypes of Frame."""

    number: int
    """Its number in the file names."""
    buffers: Mapping[str, np.ndarray]
    """Buffer name -> array; a buffer that the files do not hold is absent."""
    intrinsics: np.ndarray | None = None
    """float64 [3, 3] [px], where the files tell."""
    cam_to_world: np.ndarray | None = None
    """float64 [4, 4] [m], where the files tell."""
    clipping: tuple[float, float] | None = None
    """Near and far [m], where the files tell."""
    labels: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    """Semantic id -> {taxonomy: label}."""
    instances: Mapping[int, Instance] = field(default_factory=dict)
    """Instance id -> what it is."""
    poses: Mapping[int, np.ndarray] = field(default_factory=dict)
    """Instance id -> local to world [m], float64, shape [4, 4], where the files tell."""


class Layout(Protocol):
    """One clip in files."""

    kind: str
    """``cosmos_writer``, ``basic_writer`` or ``video``."""
    numbers: tuple[int, ...]
    """Frame numbers, ascending."""
    fps: float | None
    """Frames a second, where the files tell."""
    size: tuple[int, int]
    """Height and width [px] of its first frame."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed, one sentence each."""
        ...

    def read(self, numbers: range | tuple[int, ...]) -> Iterator[RawFrame]:
        """Yield the frames of these numbers in order."""
        ...


def numbered_files(folder: Path, name: str, endings: tuple[str, ...]) -> dict[int, Path]:
    """Return frame number -> file for the files ``<name>_0000<ending>`` of a folder."""
    found = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _NUMBERED.match(file.stem)
        if match and match["name"] == name and file.suffix.lower() in endings and file.is_file():
            found[int(match["number"])] = file
    return found


def files_of(folder: Path, name: str, endings: tuple[str, ...] = _PICTURES) -> dict[int, Path]:
    """Return the files of an annotator, whether they lie in the folder itself or in one named for the annotator."""
    return numbered_files(folder, name, endings) or numbered_files(folder / name, name, endings)


def check_run(name: str, numbers: tuple[int, ...], files: Mapping[int, Path], folder: Path) -> None:
    """Raise SourceError unless there is a file for each frame number."""
    missing = [number for number in numbers if number not in files]
    if missing:
        raise SourceError(
            f"Folder {folder} has {len(numbers)} frames, but {name}_{missing[0]:04d} is missing ({len(missing)} "
            f"of {name} in all); write the folder again."
        )


def unbroken(files: Mapping[int, Path], folder: Path) -> tuple[int, ...]:
    """Return the frame numbers; raise SourceError where one is skipped."""
    numbers = tuple(sorted(files))
    for before, after in itertools.pairwise(numbers):
        if after != before + 1:
            raise SourceError(
                f"Folder {folder} jumps from frame {before} to frame {after}; rgb_{before + 1:04d} is missing, so "
                "write the folder again."
            )
    return numbers


def read_picture(file: Path, *, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read a picture as it is: uint8 or uint16, shape [H, W] or [H, W, C] in RGB(A) order.

    Args:
        file: PNG or JPEG.
        size: Height and width [px] that it must have.

    Raises:
        SourceError: If it cannot be decoded or has another size.
    """
    import cv2

    try:
        packed = np.frombuffer(file.read_bytes(), dtype=np.uint8)
    except OSError as error:
        raise SourceError(f"Picture {file} cannot be read: {error.strerror}; check the file.") from error
    image: Any = cv2.imdecode(packed, cv2.IMREAD_UNCHANGED) if packed.size else None
    if image is None:
        raise SourceError(f"Picture {file} cannot be decoded ({packed.size} bytes); write it again.")
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    _check_size(file, image.shape[:2], size)
    return np.asarray(image)


def read_rgb(file: Path, *, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read a colour picture as uint8 [H, W, 3]; a grey one is spread over the channels, alpha is dropped."""
    image = read_picture(file, size=size)
    if image.dtype != np.uint8:
        raise SourceError(f"Picture {file} is {image.dtype}, but colour must be uint8; write 8-bit PNG or JPEG.")
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(image[..., :3])


def read_array(file: Path, *, size: tuple[int, int]) -> np.ndarray:
    """Read a ``.npy`` array of leading shape ``size`` (height, width).

    Raises:
        SourceError: If it cannot be read or has another shape.
    """
    try:
        array = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"Array {file} cannot be read ({error}); write it again.") from error
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    _check_size(file, array.shape[:2], size)
    return array


def _check_size(file: Path, got: tuple[int, ...], want: tuple[int, int] | None) -> None:
    if want is not None and tuple(got) != tuple(want):
        raise SourceError(
            f"Frames must share one size, but {file} is {' x '.join(map(str, got))} and the first is "
            f"{want[0]} x {want[1]} (height x width)."
        )


def pack_colors(image: np.ndarray) -> np.ndarray:
    """Pack uint8 [H, W, 3 or 4] to one uint32 a pixel, red lowest; alpha counts only where there is one."""
    wide = image.astype(np.uint32)
    return wide[..., 0] | (wide[..., 1] << np.uint32(8)) | (wide[..., 2] << np.uint32(16))


def relabel(values: np.ndarray, table: Mapping[int, int]) -> np.ndarray:
    """Replace each value by its entry in ``table``; uint32 of the same shape."""
    unique, inverse = np.unique(values, return_inverse=True)
    mapped = np.array([table[int(value)] for value in unique], dtype=np.uint32)
    return mapped[inverse].reshape(values.shape)


__all__ = [
    "Layout", "RawFrame", "check_run", "files_of", "numbered_files", "pack_colors", "read_array", "read_picture",
    "read_rgb", "relabel", "unbroken",
]  # fmt: skip
