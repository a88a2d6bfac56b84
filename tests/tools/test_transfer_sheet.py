"""The sheet of painted stages: each plain frame beside what the model makes of it, and every picture whole."""

import sys

import cv2
import numpy as np

import make_transfer_sheet
from cosmos.bridge.sources import StageSource, read_clip


def test_a_sheet_shows_each_stage_plain_and_painted(tmp_path, monkeypatch, capsys):
    out, full = tmp_path / "stages.jpg", tmp_path / "full"
    monkeypatch.setattr(make_transfer_sheet, "PLACES", {"tabletop": make_transfer_sheet.PLACES["tabletop"]})
    monkeypatch.setattr(make_transfer_sheet, "PROMPTS", ("clear day", "night"))
    asked = ["--stages", "1", "--prompts", "2", "--size", "72x128", "--tile", "36x64", "--full", str(full)]
    monkeypatch.setattr(sys, "argv", ["make_transfer_sheet.py", str(out), *asked])
    make_transfer_sheet.main()
    sheet = cv2.imread(str(out)).astype(int)
    gap, caption = make_transfer_sheet.GAP, make_transfer_sheet.CAPTION
    assert sheet.shape == (36 + caption + 2 * gap, 6 * (64 + gap) + gap, 3)
    tiles = [sheet[gap : gap + 36, left : left + 64] for left in range(gap, 6 * (64 + gap), 64 + gap)]
    plain, day, night, other, *_ = tiles
    assert night.mean() < day.mean() and np.abs(other - plain).mean() > 10.0
    place = make_transfer_sheet.PLACES["tabletop"](tmp_path / "tabletop.usdc", num_frames=48)
    clip = read_clip(StageSource(place, frames=range(12, 13), size=(72, 128)))
    kept = cv2.imread(str(full / "00_tabletop.jpg"))[..., ::-1].astype(int)
    assert np.abs(kept - clip.rgb.numpy()[0]).mean() < 7.0  # of JPEG
    assert len(list(full.iterdir())) == 6 and "random 980000 | clear day | night" in capsys.readouterr().out
