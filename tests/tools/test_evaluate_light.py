"""How light maps are measured: PSNR as cv2 counts it, light as sRGB defines it, and a table from the command."""

import cv2
import numpy as np
import pytest

import evaluate_light


def test_a_picture_is_compared_as_cv2_does():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 9, 11, 3), dtype=np.uint8)
    decibels, gain = evaluate_light.compare(a, b)
    assert decibels == pytest.approx(cv2.PSNR(a, b), abs=1e-6)
    assert evaluate_light.compare(b, a)[1] == pytest.approx(1.0 / gain)


def test_light_is_linear():
    grey = np.full((2, 2, 3), 188, np.uint8)  # half the light of white, by IEC 61966-2-1
    assert evaluate_light.compare(grey, np.full_like(grey, 255))[1] == pytest.approx(0.5, abs=0.005)


def test_the_command_prints_a_row_for_each_look(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["evaluate_light.py", "--scenes", "1", "--size", "16x32", "--samples", "1"])
    monkeypatch.setattr(evaluate_light, "_PLACES", {})
    evaluate_light.main()
    told = capsys.readouterr()
    table = [line for line in told.out.splitlines() if line.startswith("|")]
    rows = [line.split("|")[1].strip() for line in table[2:]]
    assert rows == [*evaluate_light.LOOKS, "all"] and "stage 1 of 1" in told.err
