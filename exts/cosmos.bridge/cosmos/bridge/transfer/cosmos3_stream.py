"""A view that Sim-Transfer paints while its frames are made: control frames in, pictures out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.errors import ModelError
from cosmos.bridge.fetched import as_model_errors
from cosmos.bridge.transfer.frames import pick_frames, video_frames
from cosmos.bridge.transfer.pixels import check_pixels
from cosmos.bridge.types import ControlKind, ControlSignal, GuardReport, Progress

if TYPE_CHECKING:
    import warp as wp

    from cosmos.bridge.transfer.kept import KeptLatents
    from cosmos.bridge.transfer.watch import Watch
    from cosmos.models.cosmos3.streaming import SimStream

NAME = "cosmos3-sim-transfer"
"""Name in the registry."""
MULTIPLE = 32
"""Height and width are padded to multiples of it [px]."""
STEPS = 4
"""Steps of a piece."""
CURE = "ask for a smaller size or a shorter window"
"""What to do when a frame does not fit the device."""


class TransferStream:
    """One view that is painted while its frames are made; streams of one model do not know of each other.

    Made by `CosmosSimTransfer.open`.

    Args:
        begin: Given height and width of the frames [px], reads the prompt and begins the stream.
        kind: What the frames show.
        chunk: Latent frames that are painted together, after the first one.
        watch: Screens the pictures; ``None`` where others do.
        kept: Latents that were painted before, and where new ones are kept; ``None`` keeps none.
    """

    def __init__(
        self,
        begin: Callable[[int, int], SimStream],
        kind: ControlKind,
        chunk: int,
        *,
        watch: Optional[Watch] = None,
        kept: Optional[KeptLatents] = None,
    ) -> None:
        self._begin, self._kind, self._watch, self._kept = begin, kind, watch, kept
        self._stream: Optional[SimStream] = None
        self._pieces = 0
        self._waiting: list[wp.array] = []
        self._shape: tuple[int, ...] = ()
        self._stopped = False
        self.chunk = chunk
        """Latent frames, of four pictures each, that are painted together after the first picture."""

    @property
    def guard_reports(self) -> tuple[GuardReport, ...]:
        """What the guard says of the prompt and, once there are some, of the pictures so far."""
        return () if self._watch is None else self._watch.reports

    def push(self, frames: wp.array, progress: Optional[Progress] = None) -> wp.array:
        """Take control frames, and return the pictures that are ready.

        The first frame is painted at once, the others as many at a time as the checkpoint was trained to, four or a
        multiple of it; what is fewer waits.

        Args:
            frames: Control frames, uint8, shape [n, H, W, 3]; copied.
            progress: Told the steps done of those that this call takes; may raise to stop, which ends the stream.

        Returns:
            Pictures, sRGB, uint8, shape [m, H, W, 3], in order, on the device of ``frames``; the caller owns them.

        Raises:
            ModelError: If frames have another size than those before, the first do not show the stream's control, or
                an earlier call was stopped.
            GuardRefusal: If the guard refuses the pictures, or has refused earlier ones.
        """
        self._go_on()
        signal = ControlSignal(kind=self._kind, video=frames)
        if not self._shape:
            check_pixels(signal)
        shape = tuple(frames.shape[1:])
        if self._shape and shape != self._shape:
            raise ModelError(f"The stream paints frames of {list(self._shape)} [H, W, 3], got {list(shape)}.")
        self._shape = shape
        copied = pick_frames(frames, range(frames.shape[0]))
        self._waiting += [copied[index] for index in range(frames.shape[0])]
        ready: list[wp.array] = []
        total = STEPS * self._ready_pieces()
        while len(self._waiting) >= self._wanted:
            count = self._wanted
            ready.append(self._paint(self._waiting[:count], count, _counted(progress, STEPS * len(ready), total)))
            del self._waiting[:count]
        return self._screened(self._join(ready, frames.device))

    def finish(self, progress: Optional[Progress] = None) -> wp.array:
        """Paint what waits, filled up with its last frame; return only the pictures that were asked for.

        Args:
            progress: As for `push`.

        Raises:
            ModelError: If no frame was ever pushed, or an earlier call was stopped.
            GuardRefusal: As `push`.
        """
        self._go_on()
        if not self._shape:
            raise ModelError("The stream got no frame; push one before finish().")
        if not self._waiting:
            return self._join([], None)
        waiting, self._waiting = self._waiting, []
        filled = waiting + [waiting[-1]] * (self._wanted - len(waiting))
        return self._screened(self._paint(filled, len(waiting), _counted(progress, 0, STEPS)))

    def _go_on(self) -> None:
        """Refuse to go on where the stream has ended."""
        if self._watch is not None:
            self._watch.go_on()
        if self._stopped:
            raise ModelError("The stream was stopped in the midst of its work, and ended; open another.")

    @property
    def _wanted(self) -> int:
        """Frames of the next piece."""
        return 4 * self.chunk if self._pieces else 1

    def _ready_pieces(self) -> int:
        """Return how many pieces the waiting frames make."""
        waiting, wanted = len(self._waiting), self._wanted
        return 0 if waiting < wanted else 1 + (waiting - wanted) // (4 * self.chunk)

    def _screened(self, pictures: wp.array) -> wp.array:
        return pictures if self._watch is None else self._watch.screen(pictures)

    def _paint(self, frames: list[wp.array], wanted: int, tell: Callable[[int], None]) -> wp.array:
        import warp as wp

        from cosmos.bridge.kernels.layout import shared_streams, tensor_to_video

        height, width = self._shape[:2]
        if self._stream is None:
            self._stream = self._begin(height, width)
        video = wp.empty((len(frames), *self._shape), dtype=wp.uint8, device=frames[0].device)
        for place, frame in enumerate(frames):
            wp.copy(video[place], frame)
        self._stopped = True  # until this piece is done
        known = None if self._kept is None else self._kept.read(self._pieces)
        with as_model_errors(NAME, str(video.device), CURE), shared_streams(video.device, str(self._stream.device)):
            control = video_frames(video, range(len(frames)), MULTIPLE)
            pictures, latents = self._stream.push(control, tell, known)
        if self._kept is not None and known is None:
            self._kept.keep(self._pieces, latents)
        self._pieces, self._stopped = self._pieces + 1, False
        try:
            return tensor_to_video(pictures[:, :, :wanted, :height, :width].to(wp.device_to_torch(video.device)))
        except ValueError as error:
            raise ModelError(f"{NAME} failed on these frames: {error}") from error

    def _join(self, parts: list[wp.array], device: Any) -> wp.array:
        import warp as wp

        total = sum(part.shape[0] for part in parts)
        joined = wp.empty((total, *self._shape), dtype=wp.uint8, device=device)
        first = 0
        for part in parts:
            wp.copy(joined[first : first + part.shape[0]], part)
            first += part.shape[0]
        return joined


def _counted(progress: Optional[Progress], before: int, total: int) -> Callable[[int], None]:
    """Return what a stream tells the steps of one piece, as progress."""

    def tell(done: int) -> None:
        if progress is not None:
            progress("transfer", before + done, total)

    return tell


__all__ = ["CURE", "MULTIPLE", "NAME", "STEPS", "TransferStream"]
