"""A video file as frames: colour only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cosmos.bridge.errors import SourceError
from cosmos.bridge.sources.layouts import RawFrame


def _open(path: Path) -> Any:
    """Open a container that holds a video stream; raise SourceError else."""
    try:
        import av
    except ImportError as error:
        raise ImportError('Reading an mp4 needs PyAV: pip install "cosmos-bridge[headless]".') from error

    try:
        container = av.open(str(path))
    except (OSError, ValueError) as error:  # PyAV's errors derive from these
        raise SourceError(f"Video {path} cannot be opened ({error}); write it again.") from error
    if not container.streams.video:
        container.close()
        raise SourceError(f"Video {path} holds no picture stream; choose another file.")
    return container


def frame_rate(path: Path) -> float | None:
    """Return the frames a second that a video says it has, or ``None`` where it says nothing.

    Raises:
        SourceError: If it cannot be opened.
    """
    with _open(path) as container:
        rate = container.streams.video[0].average_rate
        return float(rate) if rate else None


class VideoClip:
    """One mp4 file."""

    kind = "video"

    def __init__(self, path: Path) -> None:
        """Count its frames without decoding them.

        Raises:
            SourceError: If it cannot be opened or holds no frame.
        """
        self._path = path
        with _open(path) as container:
            stream = container.streams.video[0]
            rate = stream.average_rate
            self.fps = float(rate) if rate else None
            self.size = (int(stream.height), int(stream.width))
            count = sum(1 for packet in container.demux(stream) if packet.size)
        if count == 0:
            raise SourceError(f"Video {path} holds no frame; choose another file.")
        self.numbers = tuple(range(count))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed, one sentence each."""
        return ("A video holds colour only; there is no depth, no segmentation and no camera.",)

    def read(self, numbers: range | tuple[int, ...]) -> Iterator[RawFrame]:
        """Yield the frames of these numbers, which ascend.

        Raises:
            SourceError: If the video is damaged or ends early.
        """
        wanted = iter(numbers)
        want = next(wanted, None)
        with _open(self._path) as container:
            try:
                for number, picture in enumerate(container.decode(video=0)):
                    if want is None:
                        return
                    if number == want:
                        yield RawFrame(number=number, buffers={"rgb": picture.to_ndarray(format="rgb24")})
                        want = next(wanted, None)
            except (OSError, ValueError) as error:
                raise SourceError(
                    f"Video {self._path} is damaged near frame {want} ({error}); write it again."
                ) from error
        if want is not None:
            raise SourceError(f"Video {self._path} ends before frame {want} of {len(self.numbers)}; write it again.")


__all__ = ["VideoClip", "frame_rate"]
