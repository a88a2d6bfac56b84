"""The sheet of wishes: each place plain, and painted under its prompts."""

import sys

import cv2

import make_prompt_sheet
from make_look_sheet import CAPTION, GAP


def test_a_sheet_shows_what_each_wish_does(tmp_path, monkeypatch, capsys):
    out = tmp_path / "prompts.jpg"
    monkeypatch.setattr(make_prompt_sheet, "WISHES", {"tabletop": ("clear day", "clear day, orange robot")})
    monkeypatch.setattr(sys, "argv", ["make_prompt_sheet.py", str(out), "--size", "72x128", "--tile", "72x128"])
    make_prompt_sheet.main()
    sheet = cv2.imread(str(out)).astype(int)
    high = 72 + CAPTION + GAP
    assert sheet.shape == (3 * high + GAP, 128 + 2 * GAP, 3)
    rows = [sheet[top : top + 72, GAP:-GAP] for top in range(GAP, 3 * high, high)]
    assert len(rows) == 3 and "tabletop | clear day | clear day, orange robot" in capsys.readouterr().out
    orange = [((row[..., 2] - row[..., 0]) > 90).mean() for row in rows]
    assert orange[2] > orange[1] + 0.01
