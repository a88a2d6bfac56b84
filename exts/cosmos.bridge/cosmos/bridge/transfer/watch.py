"""The guard of a stream: of its prompt when it opens, and of its pictures as they come."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Optional, Union
from weakref import WeakValueDictionary

from cosmos.bridge.errors import GuardRefusal
from cosmos.bridge.guard.base import Guard, allowed
from cosmos.bridge.guard.registry import create
from cosmos.bridge.transfer.base import TransferSpec
from cosmos.bridge.types import GuardReport, Provenance, TransferResult

if TYPE_CHECKING:
    import warp as wp

GuardChoice = Union[str, Guard, None]
"""A guard, the name of one, or ``None`` for the one that the licence of the weights asks for."""

_MADE: WeakValueDictionary[str, Guard] = WeakValueDictionary()
"""Guards by name while a stream holds them: their nets are loaded once for all streams, and go with the last."""


class Watch:
    """Screens one stream with one guard; a refusal ends the stream.

    Args:
        spec: What is known of the model; a guard is told its name, revision and licence.
        guard: The guard.
        prompt: Prompt of the stream.

    Raises:
        GuardRefusal: If the guard refuses the prompt.
        ModelError: If there is no guard of this name, or its packages are missing.
    """

    def __init__(self, spec: TransferSpec, guard: GuardChoice, prompt: str) -> None:
        self._spec, self._guard = spec, _made(guard, spec.name)
        self._prompt = allowed(self._guard.screen_prompt(prompt))
        self._video: Optional[GuardReport] = None

    @property
    def reports(self) -> tuple[GuardReport, ...]:
        """What the guard says of the prompt and, once there are some, of the pictures so far."""
        return (self._prompt,) if self._video is None else (self._prompt, self._video)

    def go_on(self) -> None:
        """Do nothing where nothing was refused.

        Raises:
            GuardRefusal: If the stream has ended by a refusal.
        """
        if self._video is not None and not self._video.allowed:
            raise GuardRefusal(f"The stream ended when the guard {self._video.effective} refused it; open another.")

    def screen(self, rgb: wp.array) -> wp.array:
        """Return pictures as the guard lets them pass.

        Args:
            rgb: sRGB, uint8, shape [m, H, W, 3]; none, for m = 0, pass unseen.

        Raises:
            GuardRefusal: If it does not.
        """
        if not rgb.shape[0]:
            return rgb
        spec = self._spec
        told = Provenance(
            model=spec.name,
            revision=spec.revision,
            weights_sha256="",
            licence=spec.licence,
            dtype="",
            device=str(rgb.device),
            seconds=0.0,
            peak_bytes=0,
        )
        result, report = self._guard.screen_video(TransferResult(rgb=rgb, provenance=told))
        blurred = 0 if self._video is None else self._video.faces_blurred
        self._video = replace(report, faces_blurred=report.faces_blurred + blurred)
        allowed(report)
        return result.rgb


def _made(guard: GuardChoice, backend: str) -> Guard:
    """Return the guard that was asked for."""
    if guard is not None and not isinstance(guard, str):
        return guard
    if guard is None:
        from cosmos.bridge.transfer.registry import default_guard

        guard = default_guard(backend)
    made = _MADE.get(guard)
    if made is None:
        _MADE[guard] = made = create(guard)
    return made


__all__ = ["GuardChoice", "Watch"]
