import hashlib
import itertools
import subprocess
import sys

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cosmos.bridge.controls.palette import PALETTE_NAME, color_of, palette

NAMES = ("Crate", "Robot", "Shelf", "Pallet", "Wall", "Floor", "Person")
PATHS = [f"/World/{name}_{index:03d}" for name in NAMES for index in range(60)]


def lab_of(colors):
    """CIE L*a*b* by OpenCV: another space than the one the lattice is built in."""
    return cv2.cvtColor((np.asarray(colors, np.float32) / 255.0)[None], cv2.COLOR_RGB2LAB)[0]


def test_the_palette_is_the_one_its_name_promises():
    """Colours are part of datasets: if this fails, give the new lattice a new name, do not change the hash."""
    assert PALETTE_NAME == "oklab-fcc-1"
    assert hashlib.sha256(palette().tobytes()).hexdigest()[:16] == "f30cbeabea9fde52"
    assert color_of("/World/Robot") == (148, 200, 188)


def test_a_colour_does_not_depend_on_the_process():
    code = "from cosmos.bridge.controls.palette import color_of; print([color_of('/a/b'), color_of('/World/Ä[3]')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([color_of("/a/b"), color_of("/World/Ä[3]")])


def test_no_two_colours_of_the_palette_are_close():
    colors = palette()
    assert len(colors) > 800
    assert len(np.unique(colors, axis=0)) == len(colors)
    lab = lab_of(colors).astype(np.float64)
    nearest = [np.partition(np.linalg.norm(lab - color, axis=1), 1)[1] for color in lab]
    assert min(nearest) > 2.3  # the just noticeable difference in CIE 1976
    assert np.median(nearest) > 5.0


def test_no_colour_is_near_the_black_background():
    lab = lab_of(palette())
    assert lab[:, 0].min() > 15.0
    assert np.linalg.norm(lab, axis=1).min() > 25.0


def test_neighbours_can_be_told_apart():
    """Consecutive siblings, and any pair of a scene: a clear difference almost always, the same colour rarely."""
    lab = lab_of([color_of(path) for path in PATHS]).astype(np.float64)
    siblings = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert (siblings > 10.0).mean() > 0.97
    pairs = np.array([np.linalg.norm(lab[i] - lab[j]) for i, j in itertools.combinations(range(0, len(lab), 3), 2)])
    assert (pairs > 10.0).mean() > 0.97
    assert (pairs == 0.0).mean() < 0.003


def test_the_hash_uses_the_whole_palette():
    used = {color_of(f"/World/Thing_{index}") for index in range(20 * len(palette()))}
    assert len(used) == len(palette())


@given(path=st.text(max_size=30))
def test_any_path_has_a_colour_of_the_palette(path):
    assert (palette() == np.array(color_of(path), np.uint8)).all(axis=1).any()
    assert color_of(path) == color_of(path)
