"""Draw training stages under exactly the 12 conditions, for the judges of conditions to learn from.

``tools/condition_looks.py --out training/looks --scenes 5003:5171``: an ``.npz`` a stage, with ``rgb``, ``hints``,
``depth``, a path-traced picture of each condition's name and, as ``drawn NAME``, a quick drawing of it. Stages that lie
under a roof are left out. Resumable.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from cosmos.models.embedded.pairs import HELD_OUT, to_bytes, write_pair
from transfer_conditions import CONDITIONS
from transfer_samples import opened, sample_of


def draw(seed: int, out: Path, size: tuple[int, int], samples: int) -> bool:
    """Draw one stage; return whether it counts."""
    with opened(seed, size, 1) as stage:
        if stage is None or not stage.lies_open():
            return False
        looks = {condition: stage.finished(condition, stage.target(condition, samples))[0] for condition in CONDITIONS}
        hints = to_bytes(sample_of(stage, "overcast", looks["overcast"][None]).hints[0].numpy())
        drawn = {f"drawn {condition}": drawing for condition, drawing in stage.drawings().items()}
        rgb, depth = stage.clip.rgb.numpy()[0], stage.clip.depth.numpy()[0].astype(np.float16)
        write_pair(out / f"{seed:06d}.npz", rgb=rgb, depth=depth, hints=hints, **looks, **drawn)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("training/looks"))
    parser.add_argument("--scenes", default="5003:5171", help=f"first:last of the scene seeds, below {HELD_OUT}")
    parser.add_argument("--size", default="144x256", help="height x width [px]")
    parser.add_argument("--samples", type=int, default=4, help="paths a pixel")
    args = parser.parse_args()
    height, width = (int(part) for part in args.size.split("x"))
    first, last = (int(part) for part in args.scenes.split(":"))
    if last > HELD_OUT:
        parser.error(f"scenes from {HELD_OUT} on are for evaluation, got {args.scenes}")
    args.out.mkdir(parents=True, exist_ok=True)
    for seed in range(first, last):
        marker = args.out / f"{seed:06d}.done"
        if marker.exists():
            continue
        drawn = draw(seed, args.out, (height, width), args.samples)
        marker.touch()
        print(f"scene {seed}: {f'{len(CONDITIONS)} looks' if drawn else 'left out'}", flush=True)


if __name__ == "__main__":
    main()
