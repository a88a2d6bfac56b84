"""Draw what prompts that wish for materials, colours, wear, lamps and lens make of the authored scenes.

python tools/make_prompt_sheet.py exts/cosmos.bridge/docs/images/prompts.jpg
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from cosmos.bridge.config import parse_size
from cosmos.bridge.transfer.embedded import EmbeddedTransfer
from make_look_sheet import PLACES, draw_tile, lay_out
from make_transfer_sheet import paint_stage, write

WISHES = {
    "warehouse": ("cobblestone yard, brick walls", "worn", "blue van, very dirty lens"),
    "street": ("cobblestone street, red cars", "brick walls, yellow cars, night", "gravel street, out of focus"),
    "tabletop": ("warm lamps", "cold neon light, night", "wooden walls, tiled floor, orange robot"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="JPEG to write")
    parser.add_argument("--size", default="352x640", metavar="HEIGHTxWIDTH", help="of the pictures")
    parser.add_argument("--tile", default="220x400", metavar="HEIGHTxWIDTH", help="of a tile (default: 220x400)")
    parser.add_argument("--quality", type=int, default=80, help="of the JPEG, 1 to 100 (default: 80)")
    args = parser.parse_args()
    size, tile = parse_size(args.size), parse_size(args.tile)
    model, columns = EmbeddedTransfer(), []
    model.load("cpu")
    with tempfile.TemporaryDirectory() as folder:
        for name, prompts in WISHES.items():
            stage = PLACES[name](Path(folder) / name / f"{name}.usdc", num_frames=48)
            pictures = paint_stage(model, stage, list(prompts), frame=12, size=size)
            captions = [f"{name}   plain", *prompts]
            columns.append([draw_tile(rgb, text, tile) for rgb, text in zip(pictures, captions, strict=True)])
            print(name, *prompts, sep=" | ", flush=True)
    sheet = lay_out(columns)
    write(args.out, sheet, args.quality)
    print(f"{args.out}: {sheet.shape[1]} x {sheet.shape[0]} px, {args.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
