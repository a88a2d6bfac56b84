"""Draw what the embedded Transfer model makes of stages at full size: three authored ones, then random ones.

``python tools/make_transfer_sheet.py models/weights/transfer-small/stages.jpg --full sheets`` paints each stage under
prompts that change from stage to stage, beside the plain frame; ``--full`` keeps every picture at its own size.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cosmos.bridge import scenes
from cosmos.bridge.bridge import default_weights
from cosmos.bridge.config import parse_size
from cosmos.bridge.controls import derive_controls
from cosmos.bridge.sources import StageSource, read_clip
from cosmos.bridge.transfer.embedded import EmbeddedTransfer
from cosmos.bridge.types import TransferRequest
from make_look_sheet import CAPTION, GAP, PLACES, draw_tile, lay_out

PROMPTS = (
    "clear day",
    "golden hour",
    "overcast",
    "rain at dusk, wet ground",
    "snow",
    "night",
    "fog",
    "heavy snow",
    "night, rain",
    "dust storm",
    "dusk",
    "just after rain, low sun",
)
FIRST_SEED = 980_000
"""Of the random stages; training has those below 900,000."""


def paint_stage(
    model: EmbeddedTransfer, stage: Any, prompts: list[str], *, frame: int, size: tuple[int, int]
) -> list[np.ndarray]:
    """Paint a frame of a stage under prompts; return the plain frame and the pictures, uint8 [H, W, 3]."""
    source = StageSource(stage, frames=range(frame, frame + 1), size=size)
    clip = read_clip(source)
    weights = default_weights(clip)
    controls = derive_controls(clip, kinds=weights.kinds)
    pictures = [clip.rgb.numpy()[0]]
    for prompt in prompts:
        asked = TransferRequest(clip=clip, controls=controls, weights=weights, prompt=prompt, seed=1)
        pictures.append(model.transfer(asked).rgb.numpy()[0])
    source.close()
    return pictures


def write(path: Path, rgb: np.ndarray, quality: int) -> None:
    """Write a picture as JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="JPEG to write")
    parser.add_argument("--stages", type=int, default=20, help="random stages (default: 20)")
    parser.add_argument("--prompts", type=int, default=2, help="prompts a stage (default: 2)")
    parser.add_argument("--size", default="704x1280", metavar="HEIGHTxWIDTH", help="of the pictures")
    parser.add_argument("--tile", default="176x320", metavar="HEIGHTxWIDTH", help="of a tile (default: 176x320)")
    parser.add_argument("--weights", type=Path, help="folder of the weights (default: those shipped)")
    parser.add_argument("--full", type=Path, metavar="DIR", help="folder for the pictures at full size")
    parser.add_argument("--quality", type=int, default=84, help="of the JPEGs, 1 to 100 (default: 84)")
    args = parser.parse_args()
    size, tile = parse_size(args.size), parse_size(args.tile)
    model = EmbeddedTransfer(args.weights) if args.weights else EmbeddedTransfer()
    model.load("cpu")
    strips: list[list[np.ndarray]] = []
    with tempfile.TemporaryDirectory() as folder:
        authored = [(name, make(Path(folder) / f"{name}.usdc", num_frames=48), 12) for name, make in PLACES.items()]
        drawn = [
            (f"random {s}", scenes.random(s, num_frames=8), 0) for s in range(FIRST_SEED, FIRST_SEED + args.stages)
        ]
        for number, (name, stage, frame) in enumerate(authored + drawn):
            prompts = [PROMPTS[(args.prompts * number + step) % len(PROMPTS)] for step in range(args.prompts)]
            pictures = paint_stage(model, stage, prompts, frame=frame, size=size)
            captions = [name, *prompts]
            strips.append([draw_tile(p, text, tile) for p, text in zip(pictures, captions, strict=True)])
            if args.full is not None:
                for picture, text in zip(pictures, captions, strict=True):
                    write(args.full / f"{number:02d}_{text.replace(' ', '_').replace(',', '')}.jpg", picture, 92)
            print(name, *prompts, sep=" | ", flush=True)
    # Two stages side by side.
    if len(strips) % 2:
        strips.append([np.full_like(strip, 255) for strip in strips[-1]])
    rows = [left + right for left, right in zip(strips[::2], strips[1::2], strict=True)]
    columns = [list(column) for column in zip(*rows, strict=True)]
    sheet = lay_out(columns)
    write(args.out, sheet, args.quality)
    print(f"{args.out}: {sheet.shape[1]} x {sheet.shape[0]} px, {args.out.stat().st_size / 1000:.0f} kB")


__all__ = ["CAPTION", "GAP", "PLACES", "PROMPTS", "paint_stage"]


if __name__ == "__main__":
    main()
