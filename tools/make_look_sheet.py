"""Draw a contact sheet of the renderer: authored scenes across, looks down.

python tools/make_look_sheet.py exts/cosmos.bridge/docs/images/looks.jpg
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cosmos.bridge import scenes
from cosmos.bridge.config import parse_look, parse_size
from cosmos.bridge.render.renderer import Renderer

PLACES = {"warehouse": scenes.warehouse, "tabletop": scenes.tabletop, "street": scenes.street}
LOOKS = (
    "",
    "sun_elevation=50",
    "sun_elevation=6,sun_azimuth=70",
    "sun_elevation=-12",
    "fog=0.3",
    "rain=0.8,lens_dirt=0.4",
    "rain=0.5,sun_elevation=-12,fog=0.15",
    "snow=0.8",
    "dust=0.5",
)
GAP = 6
"""Space between tiles [px]."""
CAPTION = 22
"""Height of the caption under a tile [px]."""


def draw_tile(rgb: np.ndarray, caption: str, size: tuple[int, int]) -> np.ndarray:
    """Scale a picture to ``size`` (height, width) and write its caption below, on white."""
    height, width = size
    tile = np.full((height + CAPTION, width, 3), 255, np.uint8)
    tile[:height] = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    cv2.putText(tile, caption, (2, height + 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 44, 52), 1, cv2.LINE_AA)
    return tile


def draw_column(name: str, looks: list[str], *, size: tuple[int, int], frame: float, folder: Path) -> list[np.ndarray]:
    """Draw one scene in each look, at twice the size of a tile."""
    renderer: Any = Renderer(PLACES[name](folder / name / f"{name}.usdc", num_frames=48))
    drawn = (2 * size[0], 2 * size[1])
    tiles = []
    for text in looks:
        look = parse_look(text) if text else None
        rgb = renderer.render("/World/Camera", frame, size=drawn, look=look).rgb.numpy()
        tiles.append(draw_tile(rgb, f"{name}   {text or 'plain'}", size))
        print(name, text or "plain", flush=True)
    renderer.close()
    return tiles


def lay_out(columns: list[list[np.ndarray]]) -> np.ndarray:
    """Lay columns of tiles of one size side by side, on white."""
    height, width = columns[0][0].shape[:2]
    rows = len(columns[0])
    sheet = np.full((rows * (height + GAP) + GAP, len(columns) * (width + GAP) + GAP, 3), 255, np.uint8)
    for x, column in enumerate(columns):
        for y, tile in enumerate(column):
            top, left = GAP + y * (height + GAP), GAP + x * (width + GAP)
            sheet[top : top + height, left : left + width] = tile
    return sheet


def main() -> None:
    """Read the arguments, draw, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="JPEG to write")
    parser.add_argument("--scene", action="append", choices=list(PLACES), help="may be repeated (default: all)")
    parser.add_argument("--look", action="append", metavar="NAME=NUMBER,...", help="may be repeated")
    parser.add_argument("--size", default="176x320", metavar="HEIGHTxWIDTH", help="size of a tile (default: 176x320)")
    parser.add_argument("--frame", type=float, default=12.0, help="time code (default: 12)")
    parser.add_argument("--quality", type=int, default=84, help="of the JPEG, 1 to 100 (default: 84)")
    args = parser.parse_args()
    looks = list(args.look or LOOKS)
    with tempfile.TemporaryDirectory() as folder:
        columns = [
            draw_column(name, looks, size=parse_size(args.size), frame=args.frame, folder=Path(folder))
            for name in args.scene or PLACES
        ]
    sheet = lay_out(columns)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(args.out), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, args.quality])
    print(f"{args.out}: {sheet.shape[1]} x {sheet.shape[0]} px, {args.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
