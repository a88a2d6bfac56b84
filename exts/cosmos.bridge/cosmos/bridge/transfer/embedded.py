"""The backend that is always there: a small net of our own, on any CPU or CUDA device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Optional, Union

import numpy as np

from cosmos.bridge.errors import ModelError, ModelMemoryError
from cosmos.bridge.transfer.aside import Aside
from cosmos.bridge.transfer.base import TransferSpec
from cosmos.bridge.transfer.embedded_nets import Nets
from cosmos.bridge.transfer.embedded_stream import EmbeddedStream, Wish
from cosmos.bridge.transfer.embedded_view import Part, View
from cosmos.bridge.transfer.footprint import peak_bytes, settings_of, versions
from cosmos.bridge.transfer.watch import GuardChoice, Watch
from cosmos.bridge.types import (
    Clip,
    ControlKind,
    ControlSignals,
    ControlWeights,
    Pinhole,
    Progress,
    Provenance,
    TransferRequest,
    TransferResult,
)

if TYPE_CHECKING:
    import torch
    import warp as wp

    from cosmos.models.embedded.sampling import EmbeddedModel
    from cosmos.models.embedded.text import Reading

_PIXELS_AT_ONCE = 1 << 16
"""Pixels of one view that are lit, and then painted, at once; while they are painted the next ones are lit."""
_PIXELS_BESIDE = 1 << 19
"""Pixels of a frame from which on two pieces at a time would take too much memory on a CPU."""
_PIXELS_TOGETHER = 1 << 22
"""Pixels of many views that go through the net together on CUDA."""
_MOST_GUIDANCE = 3.0
_MOST_NAMED, _LONGEST = 24, 48
"""Words of a prompt that are named when they are not understood, and letters of each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddedOptions:
    """What one run may set besides its requests; ``transfer_options`` in a config."""

    weights: Optional[str] = None
    """Folder of other weights of the same kind, such as ``cosmos-bridge models finetune`` writes; ``None`` takes the
    shipped ones."""
    dtype: Optional[str] = None
    """Of the net's features, "float32" or, on a CPU, "bfloat16"; ``None`` takes bfloat16 where the processor multiplies
    it, which is faster and differs by a level here and there, and float32 elsewhere."""
    distilled: bool = False
    """Whether one step is painted by the student of the many-step teacher, else by the net that was trained to paint
    at once; the student is steadier and a sixth slower, and behind where no stage can be asked for its light."""

    def __post_init__(self) -> None:
        if self.distilled and self.weights is not None:
            raise ValueError("EmbeddedOptions.distilled takes shipped weights, got other weights too; leave one out.")
        if self.dtype not in (None, "float32", "bfloat16"):
            raise ValueError(f'EmbeddedOptions.dtype must be "float32" or "bfloat16", got {self.dtype!r}.')


class EmbeddedTransfer:
    """A one-step net: controls, light hints and a prompt in, a picture a frame out.

    Args:
        options: What a run may set, or the folder of other weights alone; ``None`` takes the shipped ones.
    """

    Options: ClassVar[type[EmbeddedOptions]] = EmbeddedOptions

    def __init__(self, options: Union[EmbeddedOptions, Path, None] = None) -> None:
        given = options.weights if isinstance(options, EmbeddedOptions) else options
        more = options if isinstance(options, EmbeddedOptions) else EmbeddedOptions()
        self._nets = Nets(None if given is None else Path(given), more.dtype, distilled=more.distilled)
        self._spec: Optional[TransferSpec] = None
        self._painted = False

    @property
    def spec(self) -> TransferSpec:
        """What the model is and can do.

        Raises:
            ModelWeightsError: If the weights are missing.
        """
        if self._spec is None:
            config = self._nets.config()
            self._spec = TransferSpec(
                name="embedded",
                revision=str(config["revision"]),
                licence=str(config["licence"]),
                controls=self._nets.controls(),
                size_multiple=1,
                num_steps=1,
                max_steps=self._nets.most_steps(),
                weight_maps=True,
                negative_prompt=True,
                guidance=True,
                steps_help=False,  # what a prompt asks for is in the light maps, which no step changes
                most_guidance=_MOST_GUIDANCE,
            )
        return self._spec

    def load(self, device: Optional[str] = None) -> None:
        """Bring the weights onto a device; ``None`` picks CUDA where there is one. A second call does nothing.

        Those that paint in several steps follow when they are asked for.

        Raises:
            ModelWeightsError: If the weights are missing or damaged.
            ModelError: If there is no such device.
        """
        self._nets.load(device)

    def transfer(self, request: TransferRequest, progress: Optional[Progress] = None) -> TransferResult:
        """Make the request's clip photoreal, frame for frame.

        Raises:
            ModelError: If the request asks for what this model cannot do; the sentence names the option.
            ModelMemoryError: If a frame does not fit the device.
        """
        import warp as wp

        guidance, steps = _check(request, self.spec), request.num_steps or 1
        model, config = self._ready(steps), self._nets.config(steps)
        start = time.perf_counter()
        clip, rgb = request.clip, wp.empty_like(request.clip.rgb)
        reading = _read(model, request, guidance)
        asked = reading if guidance == 1.0 else _read(model, request, 1.0)
        view = self._view(reading, steps=steps, seed=request.seed, fps=clip.fps)
        self._paint([(view, request, rgb)], progress)
        provenance = Provenance(
            model="embedded",
            revision=str(config["revision"]),
            weights_sha256=model.sha256,
            licence=str(config["licence"]),
            dtype=str(model.dtype).removeprefix("torch."),
            device=self._nets.device,
            seconds=time.perf_counter() - start,
            peak_bytes=peak_bytes(self._nets.device),
            requested=settings_of(request),
            effective=self._effective(request, reading, asked, guidance, view),
            versions=versions("torch", "warp", "safetensors"),
            notes=_notes(request, reading, view),
        )
        return TransferResult(rgb=rgb, provenance=provenance)

    def open(
        self,
        prompt: str,
        *,
        weights: Optional[ControlWeights] = None,
        negative_prompt: str = "",
        seed: int = 0,
        guidance: Optional[float] = None,
        num_steps: Optional[int] = None,
        fps: float = 24.0,
        guard: GuardChoice = None,
    ) -> EmbeddedStream:
        """Open a stream for one view; any number of them may share the model, each with a look of its own.

        Args:
            prompt: What the pictures should look like; not empty.
            weights: How strongly each control acts; ``None`` gives edge and depth one half each.
            negative_prompt: What they should not look like.
            seed: Decides everything random, >= 0.
            guidance: Prompt guidance in [0, 3]; ``None`` takes 1.
            num_steps: Steps a frame; ``None`` is 1.
            fps: Frames a second of what will come, > 0.
            guard: Guard that screens the prompt now and the pictures as they come, or its name; ``None`` takes what
                the licence asks for, as a run does.

        Raises:
            ModelError: If an argument is wrong, or the guard cannot be loaded.
            ModelWeightsError: If the weights are missing or damaged.
            GuardRefusal: If the guard refuses the prompt.
        """
        weights = ControlWeights(edge=0.5, depth=0.5) if weights is None else weights
        if not prompt.strip() or seed < 0 or not 0.0 < fps < float("inf"):
            raise ModelError(f"A stream needs a prompt, a seed >= 0 and fps > 0, got {prompt!r}, {seed}, {fps}.")
        wish = Wish(
            prompt=prompt,
            negative_prompt=negative_prompt,
            weights=weights,
            seed=seed,
            guidance=guidance,
            num_steps=num_steps,
            fps=fps,
        )
        strength, steps = _check_wish(weights, guidance, num_steps, self.spec), num_steps or 1
        watch = Watch(self.spec, guard, prompt)
        reading = self._ready(steps).reader.read(prompt, negative=negative_prompt, guidance=strength, seed=seed)
        view = self._view(reading, steps=steps, seed=seed, fps=fps)
        return EmbeddedStream(self, view, wish, watch, tuple(reading_notes(reading)))

    def push_all(
        self,
        pushes: Sequence[tuple[EmbeddedStream, Clip, ControlSignals, Optional[ControlWeights]]],
        progress: Optional[Progress] = None,
    ) -> list[wp.array]:
        """Paint the next frames of many views, as `EmbeddedStream.push` of each in turn would.

        On CUDA views of one size go through the net together; on a CPU, where the net works frame by frame, in turn.

        Args:
            pushes: Stream, clip, controls and weights (``None`` takes the stream's) of each view, no stream twice.
            progress: Told the frames that are on their way; may raise to stop, which ends these streams.

        Returns:
            The pictures of each view, sRGB, uint8, shape [F, H, W, 3], on its clip's device; the caller owns them.

        Raises:
            ModelError: If frames are not those of their stream, or ask for what the model cannot do.
            ModelMemoryError: If a frame does not fit the device.
            GuardRefusal: If the guard of a stream refuses its pictures, or has: that stream ends, and all pictures of
                this call are lost; the others go on with their next frames.
        """
        import warp as wp

        if len({id(stream) for stream, *_ in pushes}) < len(pushes):
            raise ModelError("A stream takes its frames in one clip, got two for one; gather them first.")
        requests = [stream.request(clip, controls, weights) for stream, clip, controls, weights in pushes]
        for request in requests:
            _check(request, self.spec)
        for stream, *_ in pushes:
            self._ready(stream.view.steps)
        painted = [wp.empty_like(request.clip.rgb) for request in requests]
        views = [stream.view for stream, *_ in pushes]
        self._paint(list(zip(views, requests, painted, strict=True)), progress)
        return [stream.watch.screen(rgb) for (stream, *_), rgb in zip(pushes, painted, strict=True)]

    def unload(self) -> None:
        """Free the weights; safe to call twice."""
        self._nets.unload()

    def _ready(self, steps: int = 1) -> EmbeddedModel:
        """Return the loaded model for a number of steps."""
        return self._nets.load(self._nets.device or None, steps)

    def _view(self, reading: Reading, *, steps: int, seed: int, fps: float) -> View:
        """Return a view, with what its steps begin with."""
        config = self._ready(steps).net.config
        draft = config if config.draft else None
        return View(reading.conditions, seed=seed, fps=fps, steps=steps, draft=draft, wishes=reading.wishes)

    def _paint(self, jobs: Sequence[tuple[View, TransferRequest, wp.array]], progress: Optional[Progress]) -> None:
        """Paint the frames of some views, each into its array, a few at a time."""
        most = _PIXELS_TOGETHER if len(jobs) > 1 and self._nets.device != "cpu" else 0
        beside = self._nets.device == "cpu" and all(request.clip.rgb.device.is_cpu for _, request, _ in jobs)
        beside &= all(request.clip.height * request.clip.width <= _PIXELS_BESIDE for _, request, _ in jobs)
        waiting: list[tuple[Part, wp.array]] = []
        pixels, piece, done, (height, width) = 0, 0, 0, (0, 0)
        coming = sum(request.clip.num_frames for _, request, _ in jobs)
        total = sum(view.steps * request.clip.num_frames for view, request, _ in jobs)

        def tell(frames: int) -> None:
            """Count frames that went a step further."""
            nonlocal done
            done += frames
            if progress is not None:
                progress("transfer", done, total)

        try:
            with Aside(on=beside, busy=any(request.clip.probe is not None for _, request, _ in jobs)) as aside:
                for view, request, rgb, frames in _parts(jobs):
                    height, width = request.clip.height, request.clip.width
                    room = aside.rooms[piece % len(aside.rooms)] if aside.rooms else None
                    part = view.prepare(request, frames, self._nets.device, room)
                    waiting.append((part, rgb[frames.start : frames.stop]))
                    pixels += len(frames) * height * width
                    coming -= len(frames)
                    if pixels >= most or coming == 0:
                        # Who is told may not be asked from another thread: there whole frames are counted here.
                        work = partial(self._groups, waiting, None if beside else tell)
                        alone = piece == 0 and (coming == 0 or not self._painted)
                        waiting, pixels, piece = [], 0, piece + 1
                        if alone:
                            # Nothing is beside an only piece, and the first loads kernels.
                            aside.alone(work, _finish)
                            self._painted = True
                        else:
                            aside.begin(work, _finish)
                        if coming == 0:
                            aside.wait()
                    if beside:
                        tell(len(frames) * view.steps)
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
                raise
            raise ModelMemoryError(
                f"A frame of {height} x {width} does not fit {self._nets.device}: {error}; ask for a smaller size."
            ) from error

    def _groups(
        self, waiting: list[tuple[Part, wp.array]], tell: Optional[Callable[[int], None]]
    ) -> list[tuple[list[tuple[Part, wp.array]], torch.Tensor]]:
        """Paint the parts that wait, those that are alike together, and return them with what was painted."""
        from cosmos.models.embedded.sampling import join_inputs, keep

        groups: dict[Any, list[tuple[Part, wp.array]]] = {}
        for part, rgb in waiting:
            groups.setdefault(part.likeness, []).append((part, rgb))
        painted = []
        for group in groups.values():
            steps = group[0][0].view.steps
            looks = [part.view.conditions for part, _ in group for _ in part.frames]
            inputs = join_inputs([part.inputs for part, _ in group])
            painted.append((group, self._ready(steps).paint(inputs, looks, steps=steps, tell=tell or keep)))
        return painted

    def _effective(
        self, request: TransferRequest, reading: Reading, asked: Reading, guidance: float, view: View
    ) -> dict[str, Any]:
        """Return the settings as used."""
        from cosmos.models.embedded.sampling import coarse_for

        clip = request.clip
        told = clip.probe is not None and not self._ready(view.steps).net.config.draft
        return {
            "num_steps": view.steps,
            "guidance": guidance,
            "seed": request.seed,
            "size": [clip.height, clip.width],
            "trunk_ratio": coarse_for(clip.height, clip.width, told=told),
            "weights": view.used.means(),
            "light": "picture" if clip.probe is None else "stage",
            "conditions": {name: round(value, 4) for name, value in asdict(reading.conditions).items()},
            "wishes": view.dressing.effective(),
            "asked": {name: round(value, 4) for name, value in asdict(asked.conditions).items()},
        }


def _finish(groups: list[tuple[list[tuple[Part, wp.array]], torch.Tensor]]) -> None:
    """Write what was painted, with what is drawn after the net."""
    for group, painted in groups:
        done = 0
        for part, rgb in group:
            part.view.finish(part, painted[:, :, done : done + len(part.frames)], rgb)
            done += len(part.frames)


def _parts(
    jobs: Sequence[tuple[View, TransferRequest, wp.array]],
) -> Iterator[tuple[View, TransferRequest, wp.array, range]]:
    """Yield a few frames of a job after the other."""
    for view, request, rgb in jobs:
        clip = request.clip
        batch = max(1, _PIXELS_AT_ONCE // (clip.height * clip.width))
        for first in range(0, clip.num_frames, batch):
            yield view, request, rgb, range(first, min(first + batch, clip.num_frames))


def check_lens(clip: Clip) -> None:
    """Refuse a clip whose light the model cannot be told.

    Raises:
        ModelError: If a camera is no pinhole.
    """
    bent = next((camera for camera in clip.cameras if not isinstance(camera.lens, Pinhole)), None)
    if bent is not None:
        raise ModelError(
            f"embedded knows light through pinhole cameras only, but {bent.prim_path} has the lens {bent.lens.name}; "
            "take a pinhole camera or another --transfer."
        )


def _check(request: TransferRequest, spec: TransferSpec) -> float:
    """Refuse what the model cannot do; return the guidance."""
    from cosmos.bridge.transfer.registry import able

    check_lens(request.clip)
    if request.preserve is not None:
        raise ModelError("embedded cannot preserve parts of the source; cosmos-transfer2.5 can, or give them vis=1.")
    if request.overlap is not None:
        others = " or ".join(able("overlap"))
        raise ModelError(
            f"embedded paints frame by frame, without chunks, got overlap={request.overlap}; {others} can overlap them."
        )
    return _check_wish(request.weights, request.guidance, request.num_steps, spec)


def _check_wish(
    weights: ControlWeights, guidance: Optional[float], num_steps: Optional[int], spec: TransferSpec
) -> float:
    """Refuse controls, guidance and steps that the model does not know; return the guidance."""
    if num_steps is not None and not 1 <= num_steps <= spec.max_steps:
        taken = "1 step" if spec.max_steps == 1 else f"1 to {spec.max_steps} steps"
        raise ModelError(f"embedded paints in {taken} with these weights, got num_steps={num_steps}; ask for others.")
    foreign = [kind.value for kind in weights.kinds if kind not in spec.controls]
    if foreign:
        known = ", ".join(kind.value for kind in spec.controls)
        raise ModelError(
            f"embedded does not know the control {' and '.join(foreign)}; these weights know {known}, and "
            "cosmos-bridge models train-branch adds one."
        )
    if not weights.kinds:
        raise ModelError("embedded needs a control, but all weights are 0; give one, for example depth=1.")
    guidance = 1.0 if guidance is None else float(guidance)
    if not 0.0 <= guidance <= _MOST_GUIDANCE:
        raise ModelError(f"embedded takes a guidance in [0, {_MOST_GUIDANCE:g}], got {guidance:g}; 1 is as prompted.")
    return guidance


def _read(model: EmbeddedModel, request: TransferRequest, guidance: float) -> Reading:
    return model.reader.read(request.prompt, negative=request.negative_prompt, guidance=guidance, seed=request.seed)


def reading_notes(reading: Reading) -> list[str]:
    """Say what of a prompt was not understood, corrected, or not read."""
    notes = []
    if reading.unknown:
        words = [word if len(word) <= _LONGEST else f"{word[:_LONGEST]}..." for word in reading.unknown[:_MOST_NAMED]]
        named, more = ", ".join(map(repr, words)), len(reading.unknown) - len(words)
        notes.append(f"Not understood: {named}{f' and {more} more' if more else ''}.")
    if reading.corrected:
        notes.append(f"Read as: {', '.join(f'{wrong!r} as {right!r}' for wrong, right in reading.corrected)}.")
    if reading.cut:
        notes.append(f"The last {reading.cut} words of the prompt were not read.")
    return notes


def _notes(request: TransferRequest, reading: Reading, view: View) -> tuple[str, ...]:
    """Say what the user should know."""
    notes, used = [*reading_notes(reading), *view.dressing.notes()], view.used
    lost = 0 if request.clip.depth is None else int(np.isnan(request.clip.depth.numpy()).sum())
    if lost:
        notes.append(f"The depth of {lost} pixels is NaN; they count as sky.")
    if request.clip.depth is None:
        notes.append("The clip has no depth: fog by distance, shadows, snow cover and puddles could not be placed.")
    elif ControlKind.DEPTH not in used.least:
        notes.append("The depth has no weight: fog by distance, shadows, snow cover and puddles could not be placed.")
    falls = max(reading.conditions.snow, reading.conditions.rain) > 0.0 and reading.wishes.falls
    if falls and view.outdoors == 0.0:
        why = "No sky is seen" if request.clip.probe is None else "All that is seen lies under a roof"
        notes.append(f"{why}, so no flakes or drops were drawn.")
    if used.least.get(ControlKind.VIS, 0.0) > 0.95:
        notes.append("A vis weight of 1 everywhere keeps the appearance; the prompt has little or no effect.")
    return tuple(notes)


__all__ = ["EmbeddedOptions", "EmbeddedTransfer", "check_lens", "reading_notes"]
