"""One view that the embedded model paints: what its frames are told, and what is carried from one to the next.

What is carried is a handful of numbers that the first frames decide, the light of the last frame and, where the net
paints from noise, the places that the noise is drawn from, so frames may come in any pieces.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.errors import ModelError
from cosmos.bridge.transfer.anchored import AnchoredNoise
from cosmos.bridge.transfer.aside import Room
from cosmos.bridge.transfer.dressing import Dressing
from cosmos.bridge.transfer.light import clip_maps, ground_height, light_inputs, sun_azimuth, wear_seed
from cosmos.bridge.types import Clip, ControlKind, PixelEdges, TransferRequest

if TYPE_CHECKING:
    import torch
    import warp as wp

    from cosmos.bridge.kernels.steady_light import SteadyLight
    from cosmos.models.embedded.conditions import Conditions
    from cosmos.models.embedded.sampling import PaintInputs
    from cosmos.models.embedded.wishes import Wishes
    from cosmos.models.spec import TransferNetConfig

SKY_OUTDOORS = 0.02
"""Share of a frame that must be sky for all flakes and drops to be there."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Part:
    """Some frames of a view on their way through the net."""

    view: View
    """Whose they are."""
    clip: Clip
    """Where they come from."""
    frames: range
    """Which of the clip's frames."""
    inputs: PaintInputs
    """What the net is told."""
    weights: dict[ControlKind, wp.array]
    """Weight maps whose sum is at most 1, float32, shape [F, H, W]."""
    falling: Optional[wp.array] = None
    """Where rain and snow fall, `LightMaps.falling` of each frame; ``None`` where nothing does or nobody knows."""
    glow: Optional[wp.array] = None
    """How lamps glow in haze, `LightMaps.glow` of each frame; ``None`` where nobody knows."""
    maps: Optional[wp.array] = None
    """Light maps that the net sees, uint8, shape [F, H, W, C], on the clip's device; ``None`` where nobody knows."""
    edges: tuple[Optional[PixelEdges], ...] = ()
    """`snow_edges` of each frame; empty where nobody knows."""

    @property
    def likeness(self) -> tuple[Any, ...]:
        """What parts must share to go through the net together."""
        inputs = self.inputs
        size = tuple(inputs.rgb.shape[3:])
        return self.view.steps, size, tuple(inputs.controls), inputs.hints is None, inputs.maps is None


class View:
    """One camera under one look.

    Args:
        conditions: The look.
        seed: Seed of the request.
        fps: Frames a second, for what falls.
        steps: Steps a frame.
        draft: Shape of a net that paints from noise; ``None`` for one that does not.
        wishes: What is wished of surfaces, things, lamps and the lens; ``None`` wishes nothing.
    """

    def __init__(
        self,
        conditions: Conditions,
        *,
        seed: int,
        fps: float,
        steps: int = 1,
        draft: Optional[TransferNetConfig] = None,
        wishes: Optional[Wishes] = None,
    ) -> None:
        self.conditions = conditions
        self.dressing = Dressing(wishes, seed=seed)
        """What is wished of surfaces, things, lamps and the lens."""
        self.steps = steps
        """Steps a frame."""
        self.used = _UsedWeights()
        """Control weights so far."""
        self.outdoors = 0.0
        """Largest share so far of what falls that a frame may show, in [0, 1]; 0 where nothing falls."""
        self._seed, self._fps = seed, fps
        self._draft = draft
        self._noise: Optional[AnchoredNoise] = None
        self._light: Optional[SteadyLight] = None
        self._even: tuple[Any, dict[ControlKind, wp.array]] = (None, {})
        self._painted = 0
        self._fixed: Optional[tuple[float, float]] = None
        self._falls = max(conditions.snow, conditions.rain) > 0.0 and self.dressing.wishes.falls

    def prepare(self, request: TransferRequest, frames: range, device: str, room: Optional[Room] = None) -> Part:
        """Bring some frames of a request to the net's tensors.

        Args:
            request: The next frames of this view.
            frames: Which of them.
            device: Torch device of the net.
            room: Memory for what the net is told, valid until it is given again; new memory where ``None``.

        Raises:
            ModelError: If a weight map has another size.
        """
        import warp as wp

        from cosmos.bridge.kernels.steady_light import SteadyLight
        from cosmos.models.embedded.sampling import PaintInputs

        clip, part = request.clip, slice(frames.start, frames.stop)
        if self._fixed is None:
            self._fixed = sun_azimuth(clip, self.conditions), ground_height(clip)
        azimuth, ground = self._fixed
        weights = self._weights(request, frames)
        if self._light is None:
            self._light = SteadyLight()
        wishes = self.dressing.wishes
        self.dressing.watch_lamps(
            lambda lamps: clip_maps(
                clip,
                frames[:1],
                conditions=self.conditions,
                azimuth=azimuth,
                seed=wear_seed(self._seed),
                lamps=lamps,
            )
        )
        light = light_inputs(
            clip,
            frames,
            conditions=self.conditions,
            azimuth=azimuth,
            ground=ground,
            seed=self._seed,
            room=room,
            steady=self._light,
            lamps=self.dressing.lamps,
            marched=self._draft is not None,
        )
        kept = _kept(weights) if wishes.any else None
        rgb = self.dressing.prepare(clip, frames, ground=ground, kept=kept, hints=light.hints, maps=light.maps)

        def to_device(pictures: torch.Tensor) -> torch.Tensor:
            return pictures.to(device).permute(3, 0, 1, 2)[None]

        inputs = PaintInputs(
            rgb=to_device(wp.to_torch(rgb)),
            controls={kind.value: to_device(wp.to_torch(request.controls[kind].video[part])) for kind in weights},
            weights={kind.value: wp.to_torch(weight).to(device)[None, None] for kind, weight in weights.items()},
            hints=None if light.hints is None else to_device(light.hints),
            maps=None if light.maps is None else to_device(light.maps),
            noise=self._drawn(clip, frames, device),
        )
        return Part(
            view=self,
            clip=clip,
            frames=frames,
            inputs=inputs,
            weights=weights,
            falling=None if light.falling is None or not self._falls else wp.from_torch(light.falling),
            glow=None if light.glow is None else wp.from_torch(light.glow),
            maps=None if light.maps is None else wp.from_torch(light.maps),
            edges=light.edges,
        )

    def _weights(self, request: TransferRequest, frames: range) -> dict[ControlKind, wp.array]:
        """Return the capped weights of some frames; those that are numbers are made once, and nobody writes them."""
        clip, asked = request.clip, {kind: request.weights[kind] for kind in request.weights.kinds}
        if not all(isinstance(weight, (int, float)) for weight in asked.values()):
            return _capped_weights(request, frames)
        wanted = (asked, len(frames), clip.height, clip.width, clip.rgb.device)
        if self._even[0] != wanted:
            self._even = (wanted, _capped_weights(request, frames))
        return self._even[1]

    def _drawn(self, clip: Clip, frames: range, device: str) -> Optional[torch.Tensor]:
        """Return the noise that the net paints some frames from, shape [1, 3, F, h, w]; ``None`` if from none."""
        if self._draft is None:
            return None
        import torch

        from cosmos.models.embedded.sampling import coarse_for
        from cosmos.models.embedded.steps import draft_size

        if self._noise is None:
            coarse = coarse_for(clip.height, clip.width)
            size = draft_size(self._draft, (clip.height, clip.width), coarse)
            self._noise = AnchoredNoise(self._seed, size, coarse)
        drawn = np.stack([self._noise.next(clip, frame) for frame in frames], axis=1)
        return torch.from_numpy(drawn)[None].to(device)

    def finish(self, part: Part, painted: torch.Tensor, rgb: wp.array) -> None:
        """Write what the net painted into ``rgb`` [F, H, W, 3], with what is drawn after it; parts come in order."""
        import warp as wp

        from cosmos.bridge.kernels.finish import finish_pictures
        from cosmos.bridge.kernels.laid_glow import lay_glow
        from cosmos.bridge.kernels.layout import tensor_to_video
        from cosmos.bridge.kernels.mixed_edges import mix_edges

        clip, first = part.clip, part.frames.start
        pictures = tensor_to_video(painted.to(wp.device_to_torch(rgb.device)))
        times = (self._painted + np.arange(len(part.frames))) / self._fps
        for frame, edges in enumerate(part.edges):
            if edges is not None and part.maps is not None:
                mix_edges(pictures[frame], part.maps[frame], edges)
        if part.glow is not None:
            lay_glow(pictures, part.glow)
        self.dressing.finish(clip, part.frames, pictures, times)
        kept, outdoors = _kept(part.weights), [self._outdoors_in(part, frame) for frame in part.frames]
        for share, run in groupby(range(len(outdoors)), key=outdoors.__getitem__):
            same = list(run)
            here, there = slice(same[0], same[-1] + 1), slice(first + same[0], first + same[-1] + 1)
            numbers = self._painted + np.array(same)
            finish_pictures(
                pictures[here],
                source=clip.rgb[there],
                finish=finish_of(self.conditions, share, self._seed),
                times=numbers / self._fps,
                first_frame=int(numbers[0]),
                depth=None if clip.depth is None else clip.depth[there],
                kept=None if kept is None else kept[here],
                falling=None if part.falling is None else part.falling[here],
            )
        wp.copy(rgb, pictures)
        self.used.add(part.weights)
        self._painted += len(part.frames)

    def _outdoors_in(self, part: Part, frame: int) -> float:
        """Return which share of what falls a frame may show: all where it is known where it falls.

        Else nothing falls before any sky was seen.
        """
        if not self._falls:
            return 0.0
        if part.falling is not None:
            if self.outdoors < 1.0 and part.falling[frame - part.frames.start].numpy().any():
                self.outdoors = 1.0
            return 1.0
        if self.outdoors < 1.0:
            self.outdoors = max(self.outdoors, min(1.0, sky_share(part.clip, frame) / SKY_OUTDOORS))
        return self.outdoors


class _UsedWeights:
    """Means and least values of the capped weights, over frames that come in parts."""

    def __init__(self) -> None:
        self._sums: dict[ControlKind, float] = {}
        self._sites = 0
        self.least: dict[ControlKind, float] = {}
        """Least value of each kind."""

    def add(self, weights: dict[ControlKind, wp.array]) -> None:
        """Count the maps of some frames."""
        for kind, weight in weights.items():
            values = weight.numpy()
            self._sums[kind] = self._sums.get(kind, 0.0) + float(values.sum(dtype=np.float64))
            self.least[kind] = min(self.least.get(kind, 1.0), float(values.min()))
        self._sites += next(iter(weights.values())).size

    def means(self) -> dict[str, float]:
        """Return the mean of each kind."""
        return {kind.value: round(total / self._sites, 4) for kind, total in self._sums.items()}


def _capped_weights(request: TransferRequest, frames: range) -> dict[ControlKind, wp.array]:
    """Expand the weights of some frames to maps whose sum is at most 1 at every site."""
    import warp as wp

    from cosmos.bridge.kernels.weights import cap_stack, inspect_weights

    clip, kinds = request.clip, request.weights.kinds
    whole, shape = (clip.num_frames, clip.height, clip.width), (len(frames), clip.height, clip.width)
    stack = wp.empty((len(kinds), *shape), dtype=wp.float32, device=clip.rgb.device)
    for slot, kind in enumerate(kinds):
        weight = request.weights[kind]
        if isinstance(weight, (int, float)):
            stack[slot].fill_(float(weight))
        elif tuple(weight.shape) != whole:
            raise ModelError(f"The weight map of {kind} is {list(weight.shape)} [T, H, W], the clip {list(whole)}.")
        else:
            wp.copy(stack[slot], weight[frames.start : frames.stop])
            if inspect_weights(stack[slot])[1]:
                raise ModelError(f"The weight map of {kind} must lie in [0, 1], but it has values outside, or NaN.")
    cap_stack(stack)
    return {kind: stack[slot] for slot, kind in enumerate(kinds)}


def sky_share(clip: Clip, frame: int) -> float:
    """Return the share of a frame that met nothing; 1 without depth."""
    if clip.depth is None:
        return 1.0
    depth = clip.depth[frame].numpy()
    return 1.0 - float((np.isfinite(depth) & (depth > 0.0)).mean())


def _kept(weights: dict[ControlKind, wp.array]) -> Optional[wp.array]:
    """Return how much of the source stays: nothing up to a vis weight of 0.6, all at 1."""
    import warp as wp

    if ControlKind.VIS not in weights:
        return None
    weight = weights[ControlKind.VIS].numpy()
    if float(weight.max()) <= 0.6:
        return None
    ramp = np.clip((weight - 0.6) / 0.4, 0.0, 1.0)
    return wp.array(ramp * ramp * (3.0 - 2.0 * ramp), dtype=wp.float32, device=weights[ControlKind.VIS].device)


def finish_of(conditions: Conditions, outdoors: float, seed: int) -> Any:
    """Return what the last pass adds; ``outdoors`` is the share of what falls that is seen."""
    from cosmos.bridge.kernels.finish import Finish

    day = float(np.clip((conditions.sun_elevation + 10.0) / 18.0, 0.0, 1.0))
    return Finish(
        snow=conditions.snow * outdoors,
        rain=conditions.rain * outdoors,
        light=0.35 + 0.57 * day,
        noise=conditions.noise,
        vignette=conditions.vignette,
        seed=wear_seed(seed) ^ 0x5EED,
    )


__all__ = ["SKY_OUTDOORS", "Part", "View", "finish_of", "sky_share"]
