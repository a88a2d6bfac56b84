"""A view that the embedded model paints while its frames are made: frames in, frames out, in pieces of any length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from cosmos.bridge.errors import ModelError
from cosmos.bridge.transfer.embedded_view import View
from cosmos.bridge.types import Clip, ControlSignals, ControlWeights, GuardReport, Progress, TransferRequest

if TYPE_CHECKING:
    import warp as wp

    from cosmos.bridge.transfer.embedded import EmbeddedTransfer
    from cosmos.bridge.transfer.watch import Watch


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Wish:
    """What a stream was opened for; holds for all its frames."""

    prompt: str
    """What the pictures should look like."""
    negative_prompt: str
    """What they should not look like."""
    weights: ControlWeights
    """How strongly each control acts, where a push does not say."""
    seed: int
    """Decides everything random."""
    guidance: Optional[float]
    """Prompt guidance."""
    num_steps: Optional[int]
    """Steps a frame; ``None`` is 1."""
    fps: float
    """Frames a second."""


class EmbeddedStream:
    """One camera, painted frame by frame; streams of one model do not know of each other.

    Made by `EmbeddedTransfer.open`. What is carried from piece to piece is a few numbers and the light of one frame (in
    several steps also where noise was drawn), so memory does not grow, and on a CPU the pictures are those of the whole
    clip, bit for bit; in float32 on three cores or more, to rounding, as torch sums in another order on fewer threads.
    """

    def __init__(self, model: EmbeddedTransfer, view: View, wish: Wish, watch: Watch, notes: tuple[str, ...]) -> None:
        self._model, self._wish = model, wish
        self._first: Optional[tuple[str, tuple[int, int], str]] = None
        self.view = view
        """What is carried from frame to frame; the model's own."""
        self.watch = watch
        """Screens the pictures; the model's own."""
        self._notes = notes

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not understood of the prompt, or met nothing in the pictures so far, one sentence each."""
        return self._notes if self._first is None else (*self._notes, *self.view.dressing.notes())

    @property
    def guard_reports(self) -> tuple[GuardReport, ...]:
        """What the guard says of the prompt and, once there are some, of the pictures so far."""
        return self.watch.reports

    def push(
        self,
        clip: Clip,
        controls: ControlSignals,
        weights: Optional[ControlWeights] = None,
        progress: Optional[Progress] = None,
    ) -> wp.array:
        """Paint the next frames of this view, as many as come.

        Args:
            clip: The next frames, one or more, all of the camera that the first ones showed.
            controls: Control videos of these frames; depth drawn with a fixed range (``DepthSpec(near=..., far=...)``),
                since each piece has a range of its own.
            weights: How strongly each control acts in these frames; ``None`` takes the stream's.
            progress: Told the frames that are done; may raise to stop, which ends the stream.

        Returns:
            A picture for each frame, sRGB, uint8, shape [F, H, W, 3], on the clip's device; the caller owns them.

        Raises:
            ModelError: If the frames are not those of this view, or ask for what the model cannot do.
            ModelMemoryError: If a frame does not fit the device.
            GuardRefusal: If the guard refuses the pictures, or has refused earlier ones.
        """
        return self._model.push_all([(self, clip, controls, weights)], progress)[0]

    def finish(self, progress: Optional[Progress] = None) -> wp.array:
        """Return the pictures that are still to come: none, uint8, shape [0, H, W, 3]; every stream has this call.

        Args:
            progress: Told nothing, as nothing is left to do.

        Raises:
            ModelError: If no frame was ever pushed.
        """
        import warp as wp

        if self._first is None:
            raise ModelError("The stream got no frame; push one before finish().")
        return wp.empty((0, *self._first[1], 3), dtype=wp.uint8, device="cpu")

    def request(self, clip: Clip, controls: ControlSignals, weights: Optional[ControlWeights]) -> TransferRequest:
        """Return the next frames as a request.

        Raises:
            ModelError: If they are not frames of this view.
            GuardRefusal: If the guard has refused earlier ones.
        """
        self.watch.go_on()
        wish = self._wish
        if clip.fps != wish.fps:
            raise ModelError(f"The stream runs at {wish.fps:g} frames/s, got a clip of {clip.fps:g}; open another.")
        came = (clip.cameras[0].prim_path, (clip.height, clip.width), clip.up_axis)
        first = self._first or came
        for name, mine, other in zip(("camera", "size [H, W]", "up axis"), first, came, strict=True):
            if mine != other:
                raise ModelError(f"The stream paints {name} {mine}, got {other}; open a stream for each view.")
        try:
            request = TransferRequest(
                clip=clip,
                controls=controls,
                weights=weights or wish.weights,
                prompt=wish.prompt,
                negative_prompt=wish.negative_prompt,
                seed=wish.seed,
                guidance=wish.guidance,
                num_steps=wish.num_steps,
            )
        except ValueError as error:
            raise ModelError(f"These frames cannot be painted: {error}") from error
        self._first = came
        return request


__all__ = ["EmbeddedStream", "Wish"]
