"""Render training pairs for the embedded Transfer model with the embedded renderer.

``python tools/make_training_data.py --out training/data --scenes 0:2400 --workers 2``

Each random stage gives a few views; each view is a short clip, rendered in the simulation look, lit as users' stages
may be, with its controls, and under a few looks of the teacher: path-traced and denoised, beside the light maps that
the embedded model starts from, steadied over the frames before. One ``.npz`` a frame and look; those that follow
another tell the motion since.
Resumable: a scene whose marker file is there is left out. Scenes from 900000 on are for evaluation; training never
reads them, nor any stage of another kind.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge import scenes
from cosmos.bridge.controls import derive_controls
from cosmos.bridge.errors import BridgeError
from cosmos.bridge.kernels.laid_glow import lay_glow
from cosmos.bridge.kernels.steady_light import SteadyLight
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.transfer.light import channels_of, clip_hints, ground_height, look_of, steadied, view_azimuth
from cosmos.bridge.types import Clip, ControlKind, LightMaps, Look, gather
from cosmos.models.embedded.captions import PAINTED, sample_conditions
from cosmos.models.embedded.conditions import style_vector
from cosmos.models.embedded.pairs import pair_name, seen_before, to_bytes, write_pair
from source_light import draw_source_light

_MOST_BEFORE = 4
"""Frames at most that a view's light is averaged over before the first that is kept."""


def clip_of(renderer: Any, camera: str, times: Sequence[float], size: tuple[int, int]) -> Clip:
    """Render frames one after the other in the simulation look; motion is that since the frame before."""
    poses = [(renderer.camera(camera, time_code, size=size), time_code) for time_code in times]
    drawn = (
        renderer.render(camera, time_code, size=size, previous=before)
        for time_code, before in zip(times, (None, *poses), strict=False)
    )
    return gather(drawn, fps=24.0, num_frames=len(times))


def target_of(renderer: Any, camera: str, time_code: float, *, size: tuple[int, int], look: Look, samples: int) -> Any:
    """Return the teacher's picture, uint8 [H, W, 3]: ``samples`` paths a pixel, denoised."""
    frame = renderer.render(
        camera, time_code, size=size, look=look, particles=False, quality="reference", samples=samples, denoise=True
    )
    return frame.rgb.numpy().copy()


def side_by_side(maps: LightMaps) -> np.ndarray:
    """Return the light maps that the net sees: relit, white, mirror, air, open; uint8 [H, W, 14]."""
    joined: np.ndarray = np.concatenate([part.numpy() for part in channels_of(maps)], axis=-1)
    return joined


def with_glow(pictures: np.ndarray, glow: np.ndarray) -> np.ndarray:
    """Return pictures with the glow of lamps laid over; uint8 [..., H, W, 3]."""
    laid = wp.array(pictures.reshape(-1, *pictures.shape[-3:]), dtype=wp.uint8, device="cpu")
    lay_glow(laid, wp.array(glow.reshape(laid.shape), dtype=wp.uint8, device="cpu"))
    done: np.ndarray = laid.numpy().reshape(pictures.shape)
    return done


def lit_frames(
    renderer: Any, clip: Clip, times: Sequence[float], *, size: tuple[int, int], look: Look
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the light maps and glow of each frame, steadied along motion as in a transfer."""
    steady, lit = SteadyLight(), []
    for frame, time_code in enumerate(times):
        maps = renderer.light(clip.cameras[0].prim_path, time_code, look, size=size)
        joined = wp.array(side_by_side(maps), dtype=wp.uint8, device="cpu")
        steadied(steady, clip, frame, joined)
        lit.append((joined.numpy(), maps.glow.numpy().copy()))
    return lit


def render_scene(
    seed: int,
    out: Path,
    *,
    size: tuple[int, int],
    crop: tuple[int, int],
    views: int,
    looks: int,
    frames: int,
    samples: int,
) -> int:
    """Render all pairs of one scene; return how many."""
    rng = np.random.default_rng([seed, 0xDA7A])
    stage = scenes.random(seed, num_frames=8)
    draw_source_light(stage, np.random.default_rng([seed, 0x11647]))
    renderer = Renderer(stage)
    count = written = 0
    try:
        cameras = list(renderer.scene.camera_paths)
        first = renderer.scene.start_time
        for view in range(views):
            camera = cameras[view % len(cameras)]
            # Frames before those that are kept: light is new in some pairs and an average of a few frames in others.
            before = int(rng.integers(_MOST_BEFORE + 1))
            start = first + float(rng.uniform(0.0, 3.0))
            times = [start + step for step in range(before + frames)]
            clip = clip_of(renderer, camera, times, size)
            if not usable(clip):
                continue
            shared = shared_arrays(clip)
            for _ in range(looks):
                conditions, caption, said = sample_conditions(rng, PAINTED)
                azimuth = view_azimuth(clip.cameras[0], clip.up_axis) + conditions.sun_bearing
                # A multiple of seven: the teacher draws its thinnest clouds, whose places the net cannot know.
                look = look_of(conditions, azimuth=azimuth, seed=7 * int(rng.integers(1 << 27)))
                lit = lit_frames(renderer, clip, times, size=size, look=look)
                light, wear = clip_hints(
                    clip,
                    range(clip.num_frames),
                    conditions=conditions,
                    azimuth=azimuth,
                    ground=ground_height(clip),
                    seed=look.seed,
                    anchor=tuple(renderer._world.origin),  # the teacher's noise starts there
                )
                hints = np.concatenate([light.numpy(), wear.numpy()], axis=-1)
                places = parts(rng, size, crop)
                for frame in range(before, clip.num_frames):
                    target = target_of(renderer, camera, times[frame], size=size, look=look, samples=samples)
                    maps, glow = lit[frame]
                    pair = {**shared[frame], "target": target, "maps": maps, "hints": to_bytes(hints[frame])}
                    if glow.any():
                        pair["glow"] = glow  # it is laid over what the net paints
                    if frame > before:
                        ids, motion = clip.instance_ids.numpy(), clip.motion.numpy()[frame]
                        pair["stays"] = seen_before(ids[frame], ids[frame - 1], motion)
                        pair["motion"] = motion.astype(np.float16)
                    about = {"scene": seed, "camera": camera, "time_code": times[frame], "caption": caption,
                             "bearing_said": said, "conditions": asdict(conditions)}  # fmt: skip
                    for number, part in enumerate(places, count):
                        write_pair(
                            out / pair_name(seed, number, frame - before),
                            **{name: array[part] for name, array in pair.items()},
                            style=style_vector(conditions),
                            about=np.array(json.dumps(about)),
                        )
                        written += 1
                count += len(places)
    finally:
        renderer.close()
    return written


def parts(rng: np.random.Generator, size: tuple[int, int], crop: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Return where pairs are cut from a picture: the whole, or three random places where it is larger than a pair."""
    places = []
    for _ in range(1 if size == crop else 3):
        y, x = int(rng.integers(size[0] - crop[0] + 1)), int(rng.integers(size[1] - crop[1] + 1))
        places.append((slice(y, y + crop[0]), slice(x, x + crop[1])))
    return places


def usable(clip: Clip) -> bool:
    """Whether a view shows something: not only sky, not a wall before the lens, not black."""
    depth = clip.depth.numpy()
    seen = np.isfinite(depth) & (depth > 0.0)
    return bool(seen.mean() > 0.25 and np.median(depth[seen]) > 0.4 and clip.rgb.numpy().mean() > 8.0)


def shared_arrays(clip: Clip) -> list[dict[str, np.ndarray]]:
    """Return each frame's picture and its controls; grey ones with one channel."""
    controls = derive_controls(clip)
    videos = {str(kind): controls[kind].video.numpy() for kind in map(ControlKind, ("edge", "depth", "seg", "vis"))}
    videos["edge"], videos["depth"] = videos["edge"][..., 0], videos["depth"][..., 0]
    videos["rgb"] = clip.rgb.numpy()
    return [{name: video[frame].copy() for name, video in videos.items()} for frame in range(clip.num_frames)]


def made(seed: int, out: Path, **shape: Any) -> int | str:
    """Render the pairs of a scene whose marker is absent; return how many, or what went wrong."""
    marker = out / f"{seed:06d}.done"
    if marker.exists():
        return 0
    try:
        count = render_scene(seed, out, **shape)
    except (BridgeError, RuntimeError, ValueError) as error:  # one broken stage must not end hours of rendering
        return f"{type(error).__name__}: {error}"
    marker.touch()
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("training/data"))
    parser.add_argument("--scenes", default="0:100", help="first:last of the scene seeds")
    parser.add_argument("--size", default="144x256", help="height x width [px]")
    parser.add_argument("--crop", help="height x width [px] of a pair; as --size where not given")
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--looks", type=int, default=1)
    parser.add_argument("--frames", type=int, default=2, help="frames kept of each clip, one after the other")
    parser.add_argument("--samples", type=int, default=4, help="paths a pixel of a target")
    parser.add_argument("--workers", type=int, default=1, help="processes, each at work on a scene of its own")
    args = parser.parse_args()
    first, last = (int(part) for part in args.scenes.split(":"))
    size = tuple(int(part) for part in args.size.split("x"))
    crop = tuple(int(part) for part in args.crop.split("x")) if args.crop else size
    args.out.mkdir(parents=True, exist_ok=True)
    shape = {"size": size, "crop": crop, "samples": args.samples}
    shape |= {"views": args.views, "looks": args.looks, "frames": args.frames}
    scene = partial(made, out=args.out, **shape)
    seeds = [seed for seed in range(first, last) if not (args.out / f"{seed:06d}.done").exists()]
    start, pairs, failed = time.monotonic(), 0, 0
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        # In order: what is made does not depend on how many work at it.
        for number, (seed, result) in enumerate(zip(seeds, pool.imap(scene, seeds), strict=True), 1):
            if isinstance(result, str):
                failed += 1
                print(f"scene {seed} failed: {result}", file=sys.stderr, flush=True)
                if failed > 20 and failed > 0.2 * number:
                    raise SystemExit(f"{failed} of {number} scenes failed; mend what they tell and run this again.")
            else:
                pairs += result
            if number % 10 == 0 or number == len(seeds):
                seconds = time.monotonic() - start
                left = seconds / number * (len(seeds) - number) / 60.0
                print(f"scene {seed}, {pairs} pairs, {failed} failed, {left:.0f} min left", flush=True)


if __name__ == "__main__":
    main()
