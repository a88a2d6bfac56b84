"""Draw the README's picture from a finished run: the simulated frame and each accepted look of it.

make demo && .venv/bin/python tools/make_readme_picture.py out/demo exts/cosmos.bridge/docs/images/demo.jpg
"""

import argparse
import json
from pathlib import Path

import av  # noqa: TID253
import cv2
import numpy as np

COLUMNS = 3
GAP = 10
"""Space between tiles [px]."""
TILE_WIDTH = 560
"""Width of a tile [px]."""
CAPTION = 34
"""Height of the caption under a tile [px]."""


def read_frame(video: Path, share: float) -> np.ndarray:
    """Return the RGB frame that lies at a share (0 to 1) of a video, uint8, shape [H, W, 3]."""
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return frames[min(int(share * len(frames)), len(frames) - 1)]


def draw_tile(picture: np.ndarray, caption: str) -> np.ndarray:
    """Scale a picture to the tile's width and write its caption below, on white."""
    height = round(picture.shape[0] * TILE_WIDTH / picture.shape[1])
    scaled = cv2.resize(picture, (TILE_WIDTH, height), interpolation=cv2.INTER_AREA)
    tile = np.full((height + CAPTION, TILE_WIDTH, 3), 255, np.uint8)
    tile[:height] = scaled
    cv2.putText(tile, caption, (2, height + 23), cv2.FONT_HERSHEY_SIMPLEX, 0.56, (40, 44, 52), 1, cv2.LINE_AA)
    return tile


def draw_sheet(tiles: list[np.ndarray]) -> np.ndarray:
    """Lay tiles of one size out in rows of COLUMNS, on white."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // COLUMNS)
    sheet = np.full((rows * (height + GAP) + GAP, COLUMNS * (width + GAP) + GAP, 3), 255, np.uint8)
    for index, tile in enumerate(tiles):
        y, x = divmod(index, COLUMNS)
        top, left = GAP + y * (height + GAP), GAP + x * (width + GAP)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def collect_tiles(run: Path, share: float) -> list[np.ndarray]:
    """Return the source tile and one tile a distinct prompt of the accepted clips."""
    clips = sorted(path.parent for path in run.glob("clip_*/clip.json"))
    if not clips:
        raise SystemExit(f"{run} holds no accepted clip; run cosmos-bridge demo first.")
    tiles = [draw_tile(read_frame(clips[0] / "source.mp4", share), "simulated")]
    seen = set()
    for clip in clips:
        record = json.loads((clip / "clip.json").read_text(encoding="utf-8"))
        name = record["tags"].get("prompt", record["request"]["prompt"])[:48]
        if name not in seen:
            seen.add(name)
            tiles.append(draw_tile(read_frame(clip / "augmented.mp4", share), name))
    return tiles


def main() -> None:
    """Read the arguments, draw, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="output folder of a finished run")
    parser.add_argument("out", type=Path, help="JPEG to write")
    parser.add_argument("--share", type=float, default=0.5, help="which moment of the clip, 0 to 1")
    arguments = parser.parse_args()
    sheet = draw_sheet(collect_tiles(arguments.run, arguments.share))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(arguments.out), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"{arguments.out}: {sheet.shape[1]} x {sheet.shape[0]} px")


if __name__ == "__main__":
    main()
