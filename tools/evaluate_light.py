"""Measure light maps against path tracing: ``python tools/evaluate_light.py --scenes 10``.

The relit picture of the maps is what the embedded model starts from. It is compared with the renderer's own reference
of the same look, without wear and particles, on random stages that training never sees and in three authored places.
Printed by look: PSNR [dB] and the mean light over that of the reference; at night lamps glow only in the reference.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from cosmos.bridge import scenes
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import Look

_FIRST = 900101
"""First of the random stages."""
_PLACES = {"street": scenes.street, "warehouse": scenes.warehouse, "tabletop": scenes.tabletop}
_BARE = Look(detail=0.0, vignette=0.0)
LOOKS = {
    "noon": replace(_BARE, sun_elevation=55.0, sun_azimuth=210.0),
    "golden hour": replace(_BARE, sun_elevation=7.0, sun_azimuth=240.0),
    "dull": replace(_BARE, sun_elevation=40.0, sun_azimuth=200.0, overcast=0.9),
    "dusk": replace(_BARE, sun_elevation=-3.0, sun_azimuth=250.0),
    "night": replace(_BARE, sun_elevation=-12.0, sun_azimuth=250.0),
}


def light_of(levels: np.ndarray) -> np.ndarray:
    """Return the linear light of sRGB levels in [0, 255]."""
    v = levels / 255.0
    linear: np.ndarray = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    return linear


def compare(relit: np.ndarray, traced: np.ndarray) -> tuple[float, float]:
    """Return the PSNR [dB] of a picture and its mean light over that of the other; uint8 [H, W, 3]."""
    a, b = relit.astype(np.float64), traced.astype(np.float64)
    error = float(np.square(a - b).mean())
    return 10.0 * np.log10(255.0**2 / max(error, 1e-9)), float(light_of(a).mean() / max(light_of(b).mean(), 1e-9))


def measure(stage: Any, *, size: tuple[int, int], samples: int) -> Iterator[tuple[str, float, float]]:
    """Yield look, PSNR [dB] and gain of a stage's first camera."""
    renderer = Renderer(stage)
    try:
        camera, start = next(iter(renderer.scene.camera_paths)), renderer.scene.start_time
        for name, look in LOOKS.items():
            relit = renderer.light(camera, start, look, size=size).relit.numpy()[..., :3].copy()
            traced = renderer.render(
                camera, start, size=size, look=look, particles=False, quality="reference", samples=samples, denoise=True
            ).rgb.numpy()
            yield (name, *compare(relit, traced))
    finally:
        renderer.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=10, help="random stages beside the authored places")
    parser.add_argument("--size", default="144x256", help="height and width of a picture [px]")
    parser.add_argument("--samples", type=int, default=48, help="paths a pixel of the reference")
    args = parser.parse_args()
    height, width = (int(side) for side in args.size.split("x"))
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in LOOKS}
    start, count = time.monotonic(), args.scenes + len(_PLACES)
    for number in range(count):
        place = list(_PLACES.values())[number - args.scenes] if number >= args.scenes else None
        stage = place() if place else scenes.random(_FIRST + number, num_frames=2)
        for name, decibels, gain in measure(stage, size=(height, width), samples=args.samples):
            rows[name].append((decibels, gain))
        left = (time.monotonic() - start) / (number + 1) * (count - number - 1) / 60.0
        print(f"stage {number + 1} of {count}, {left:.0f} min left", file=sys.stderr, flush=True)
    print("| look | PSNR [dB] | light over the reference's |\n|---|---|---|")
    for name, found in rows.items():
        decibels, gains = np.array(found).T
        print(f"| {name} | {decibels.mean():.1f} | {gains.mean():.2f} ({gains.min():.2f} to {gains.max():.2f}) |")
    print(f"| all | {np.mean([row[0] for found in rows.values() for row in found]):.2f} | |")


if __name__ == "__main__":
    main()
