"""Held-out stages under the 12 conditions: path-traced targets, and what the embedded model is told of each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch  # noqa: TID253
import warp as wp
from pxr import Usd  # noqa: TID253

from cosmos.bridge import scenes
from cosmos.bridge.controls import derive_controls
from cosmos.bridge.kernels.finish import finish_pictures
from cosmos.bridge.kernels.layout import tensor_to_video, video_to_tensor
from cosmos.bridge.kernels.mixed_edges import mix_edges
from cosmos.bridge.kernels.steady_light import SteadyLight
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.transfer.anchored import AnchoredNoise
from cosmos.bridge.transfer.embedded_view import finish_of
from cosmos.bridge.transfer.light import clip_hints, ground_height, look_of, snow_edges, steadied, sun_azimuth
from cosmos.bridge.types import BUFFERS, Clip, Look, PixelEdges
from cosmos.models.embedded.conditions import Conditions
from cosmos.models.embedded.net import unmarched
from cosmos.models.embedded.sampling import EmbeddedModel, PaintInputs, coarse_for
from cosmos.models.embedded.steps import draft_size
from make_training_data import clip_of, side_by_side, target_of, usable, with_glow
from source_light import light_by_sun_alone
from transfer_conditions import CONDITIONS

_LEAST_OPEN, _FACES_UP = 0.3, 0.5
"""Share of the upward faces seen that must lie open, and the upward part of the normal of such a face."""
_OTHER_SEED = 7 * 5003
"""Added to a stage's seed for drawings to compare with; a multiple of seven, as that."""


@dataclass(kw_only=True)
class Stage:
    """A random stage, seen by its first camera in its first frames."""

    renderer: Renderer
    times: list[float]
    clip: Clip
    """These frames in the simulation look."""
    seed: int
    """Of the looks: a multiple of seven, for which the teacher draws its thinnest clouds."""
    sun_alone: Clip
    """The same frames, where the stage is lit by a sun alone."""

    @property
    def camera(self) -> str:
        """Path of the camera."""
        return self.clip.cameras[0].prim_path

    @property
    def size(self) -> tuple[int, int]:
        """Height and width [px]."""
        return self.clip.height, self.clip.width

    def still(self) -> Stage:
        """Return the stage with its first frame alone."""
        return replace(self, clip=_first(self.clip), sun_alone=_first(self.sun_alone), times=self.times[:1])

    def look(self, condition: str, seed: int) -> Look:
        """Return the renderer's look of a condition."""
        conditions = CONDITIONS[condition]
        return look_of(conditions, azimuth=sun_azimuth(self.clip, conditions), seed=seed)

    def lies_open(self) -> bool:
        """Whether snow reaches nearly a third of the upward faces seen; in a hall it looks like any dull day."""
        maps = self.renderer.light(self.camera, self.times[0], self.look("snow", self.seed), size=self.size)
        up = self.clip.normals.numpy()[0][..., 2 if self.clip.up_axis == "Z" else 1] > _FACES_UP
        depth = self.clip.depth.numpy()[0]
        up &= np.isfinite(depth) & (depth > 0.0)
        return bool(up.any()) and float(maps.open.numpy()[up].mean()) / 255.0 > _LEAST_OPEN

    def target(self, condition: str, samples: int) -> np.ndarray:
        """Draw the frames under a condition, ``samples`` paths a pixel, denoised; uint8 [T, H, W, 3]."""
        look = self.look(condition, self.seed)
        drawn = [
            target_of(self.renderer, self.camera, time, size=self.size, look=look, samples=samples)
            for time in self.times
        ]
        return np.stack(drawn)

    def finished(self, condition: str, pictures: np.ndarray) -> np.ndarray:
        """Draw flakes and drops over pictures where they fall, as the model does after its net; uint8 [T, H, W, 3]."""
        drawn, falling, conditions = (
            wp.array(pictures, dtype=wp.uint8, device=self.clip.rgb.device),
            None,
            CONDITIONS[condition],
        )
        if max(conditions.snow, conditions.rain) > 0.0:
            look = self.look(condition, self.seed)
            maps = [self.renderer.light(self.camera, time, look, size=self.size).falling.numpy() for time in self.times]
            falling = wp.array(np.stack(maps), dtype=wp.uint8, device=self.clip.rgb.device)
        finish_pictures(
            drawn,
            source=self.clip.rgb,
            finish=finish_of(conditions, 1.0, self.seed),
            times=np.arange(len(pictures)) / self.clip.fps,
            first_frame=0,
            depth=self.clip.depth,
            kept=None,
            falling=falling,
        )
        done: np.ndarray = drawn.numpy()
        return done

    def drawings(self) -> dict[str, np.ndarray]:
        """Draw the first frame under each condition by quick shading, with other wear, clouds, flakes and drops.

        Returns:
            Condition -> drawing, uint8 [H, W, 3].
        """
        other, drawn = replace(self.still(), seed=self.seed + _OTHER_SEED), {}
        for condition in CONDITIONS:
            look = other.look(condition, other.seed)
            frame = self.renderer.render(self.camera, self.times[0], size=self.size, look=look, particles=False)
            drawn[condition] = other.finished(condition, frame.rgb.numpy()[None])[0]
        return drawn


@dataclass(kw_only=True)
class Sample:
    """A stage's frames under one condition."""

    condition: str
    clip: Clip
    target: np.ndarray
    """Reference pictures, uint8 [T, H, W, 3]."""
    hints: torch.Tensor
    """Light and wear hints, float32 [T, H, W, 23]."""
    maps: np.ndarray
    """Light maps, uint8 [T, H, W, 14]."""
    glow: np.ndarray
    """How lamps glow, uint8 [T, H, W, 3]."""
    edges: tuple[PixelEdges | None, ...]
    """`snow_edges` of each frame."""

    def relit(self) -> np.ndarray:
        """Return the picture that the net starts from, with the glow; uint8 [T, H, W, 3]."""
        return with_glow(self.maps[..., :3], self.glow)


@contextmanager
def opened(seed: int, size: tuple[int, int], frames: int, *, authored: Any = None) -> Iterator[Stage | None]:
    """Open a stage, the random one of the seed where none is given; ``None`` where its view shows too little."""
    usd = scenes.random(seed, num_frames=8) if authored is None else authored
    sunny = Usd.Stage.Open(usd.Flatten())
    light_by_sun_alone(sunny)
    with closing(Renderer(usd)) as renderer, closing(Renderer(sunny)) as other:
        camera, start = renderer.scene.camera_paths[0], renderer.scene.start_time
        times = [start + step for step in range(frames)]
        clip, sun_alone = (clip_of(drawn, camera, times, size) for drawn in (renderer, other))
        if not usable(clip):
            yield None
            return
        yield Stage(renderer=renderer, times=times, clip=clip, sun_alone=sun_alone, seed=7 * (1000 + seed))


def _first(clip: Clip) -> Clip:
    """Return a clip's first frame."""
    buffers = {name: getattr(clip, name)[:1] for name in BUFFERS if getattr(clip, name) is not None}
    poses = {key: pose[:1] for key, pose in clip.poses.items()}
    return replace(clip, cameras=clip.cameras[:1], time_codes=clip.time_codes[:1], poses=poses, **buffers)


def sample_of(stage: Stage, condition: str, target: np.ndarray, *, seed: int | None = None) -> Sample:
    """Ask a stage for what the model is told under a condition; ``seed`` draws wear and clouds, the target's if none.

    Args:
        stage: The stage.
        condition: One of the 12.
        target: Its reference pictures, uint8 [T, H, W, 3].
        seed: Of wear and clouds.
    """
    seed, clip, conditions = stage.seed if seed is None else seed, stage.clip, CONDITIONS[condition]
    look = stage.look(condition, seed)
    steady, maps, glow, edges = SteadyLight(), [], [], []
    for frame, time in enumerate(stage.times):
        told = stage.renderer.light(stage.camera, time, look, size=stage.size)
        joined = wp.array(side_by_side(told), dtype=wp.uint8, device=clip.rgb.device)
        steadied(steady, clip, frame, joined)
        maps.append(joined.numpy())
        glow.append(told.glow.numpy().copy())
        edges.append(snow_edges(told, conditions))
    hints = clip_hints(
        clip,
        range(clip.num_frames),
        conditions=conditions,
        azimuth=look.sun_azimuth,
        ground=ground_height(clip),
        seed=seed,
        anchor=tuple(stage.renderer._world.origin),  # the teacher's noise starts there
    )
    return Sample(
        condition=condition,
        clip=clip,
        target=target,
        hints=torch.cat([wp.to_torch(part) for part in hints or ()], dim=-1),
        maps=np.stack(maps),
        glow=np.stack(glow),
        edges=tuple(edges),
    )


def paint(
    model: EmbeddedModel,
    sample: Sample,
    conditions: Conditions,
    weights: dict[str, float],
    *,
    maps: bool = True,
    steps: int = 1,
    seed: int = 0,
) -> np.ndarray:
    """Run the model on a sample; uint8 [T, H, W, 3].

    Args:
        model: The model.
        sample: What it is told.
        conditions: The look.
        weights: Kind -> weight.
        maps: Whether it has light maps.
        steps: Steps a frame.
        seed: Of the noise, where the model paints from noise.
    """
    controls = derive_controls(sample.clip)
    total = max(1.0, sum(weights.values()))
    shape = (1, 1, *sample.maps.shape[:3])
    hints, told = sample.hints.permute(0, 3, 1, 2), maps and not model.net.config.draft
    inputs = PaintInputs(
        rgb=video_to_tensor(sample.clip.rgb),
        controls={str(s.kind): video_to_tensor(s.video) for s in controls if weights.get(str(s.kind), 0.0) > 0.0},
        weights={kind: torch.full(shape, weight / total) for kind, weight in weights.items() if weight > 0.0},
        hints=unmarched(hints, torch.full((len(hints), 1, 1, 1), float(told))).transpose(0, 1)[None],
        maps=torch.from_numpy(sample.maps).permute(3, 0, 1, 2)[None].float() / 127.5 - 1.0 if maps else None,
        noise=_noise(model, sample.clip, seed),
    )
    pictures = tensor_to_video(model.paint(inputs, conditions, steps=steps))
    if not maps:
        return pictures.numpy()
    for frame, edges in enumerate(sample.edges):
        if edges is not None:
            mix_edges(pictures[frame], wp.array(sample.maps[frame], dtype=wp.uint8, device="cpu"), edges)
    return with_glow(pictures.numpy(), sample.glow)


def _noise(model: EmbeddedModel, clip: Clip, seed: int) -> torch.Tensor | None:
    """Return what a model paints a clip from, as a transfer does; ``None`` if not from noise."""
    if not model.net.config.draft:
        return None
    coarse = coarse_for(clip.height, clip.width)
    noise = AnchoredNoise(seed, draft_size(model.net.config, (clip.height, clip.width), coarse), coarse)
    return torch.from_numpy(np.stack([noise.next(clip, frame) for frame in range(clip.num_frames)], axis=1))[None]


__all__ = ["Sample", "Stage", "opened", "paint", "sample_of"]
