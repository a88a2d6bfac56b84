"""The contact sheet of looks: a tile a scene and look, in the order that was asked for."""

import sys

import cv2
import numpy as np

import make_look_sheet


def test_a_sheet_has_a_tile_for_each_scene_and_look(tmp_path, monkeypatch, capsys):
    out = tmp_path / "sheet.jpg"
    asked = ["--scene", "tabletop", "--look", "vignette=0", "--look", "exposure=-3,vignette=0", "--size", "27x48"]
    monkeypatch.setattr(sys, "argv", ["make_look_sheet.py", str(out), *asked])
    make_look_sheet.main()
    sheet = cv2.imread(str(out)).astype(int)
    gap, caption = make_look_sheet.GAP, make_look_sheet.CAPTION
    assert sheet.shape == (2 * (27 + caption + gap) + gap, 48 + 2 * gap, 3)
    day, dim = (sheet[top : top + 27, gap : gap + 48] for top in (gap, 2 * gap + 27 + caption))
    assert dim.mean() < 0.6 * day.mean()
    assert np.mean(sheet[gap + 27 : gap + 27 + caption, gap : gap + 48]) > 180  # the caption's paper
    assert f"{sheet.shape[1]} x {sheet.shape[0]} px" in capsys.readouterr().out
