"""The judge that compares: its differences against plain NumPy, what it learns, and what it names."""

import cv2
import numpy as np
import pytest
import torch  # noqa: TID253

import train_condition_compare
from condition_compare import DIFFERENCES, GRID, NAMES, ComparingJudge, compare, marks, view_of
from transfer_samples import opened

SIZE = (144, 256)
SPECKS = slice(6, 11)
"""Marks that count specks of growing strength."""


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def stage():
    with opened(950_000, SIZE, 1) as stage:
        yield stage


def test_it_names_path_traced_pictures(stage):
    names = ("clear day", "golden hour", "overcast", "night snow")
    frame, depth = stage.clip.rgb.numpy()[0], stage.clip.depth.numpy()[0]
    pictures = [stage.finished(name, stage.target(name, 2))[0] for name in names]
    assert tuple(ComparingJudge().name(frame, depth, stage.drawings(), pictures)) == names


def test_snow_falls_before_walls_and_not_in_a_hall(stage):
    """The view of 950003 shows no sky; that of 5017 lies in a hall whose ceilings have nothing above them."""
    fallen = {}
    for seed in (950_003, 5017):
        with opened(seed, SIZE, 1) as other:
            frame = other.clip.rgb.numpy()
            raised = other.finished("heavy snow", frame).astype(int) - frame
            fallen[seed] = int((raised.min(axis=-1) > 30).sum()), other.lies_open()
    assert fallen[950_003][0] > 300 and fallen[950_003][1]
    assert fallen[5017] == (0, False)


def test_specks_are_counted_against_the_layers_of_air_before_them():
    frame = np.full((96, 128, 3), 100, np.uint8)
    depth = np.full((96, 128), 5.0)  # behind the layers at 1.8, 2.88 and 4.608 m
    rng, picture = np.random.default_rng(3), frame.copy()
    places = rng.permutation(12 * 16)[:40]
    for number, place in enumerate(places):
        y, x = 8 * (place // 16) + 4, 8 * (place % 16) + 4
        picture[y, x] = (200, 190, 180) if number < 30 else (235, 100, 100)  # the latter are no flakes: red alone
    room = 0.92 - 100 / 255
    strength = (180 - 100) / 255 / room
    found = marks(picture, view_of(frame, depth))[SPECKS]
    for level, least in zip(found, (0.08, 0.15, 0.25, 0.4, 0.55), strict=True):
        count = 30 if strength > least else 0
        assert level == pytest.approx(np.log(count / (3.0 * 96 * 128) + 5e-4), abs=1e-4)
    assert strength > 0.55


def test_differences_are_those_of_plain_numpy():
    """Means and correlations over the grid, in float64, of two pictures against two drawings."""
    rng = np.random.default_rng(5)
    frame, *pictures = (
        cv2.GaussianBlur(rng.integers(0, 255, (72, 128, 3), dtype=np.uint8), (0, 0), 2.0) for _ in range(5)
    )
    depth = np.where(np.arange(72)[:, None] < 20, np.inf, 7.0) * np.ones((72, 128))
    told = compare(frame, depth, pictures[:2], pictures[2:])
    assert told.shape == (2, 2, DIFFERENCES)

    def grid(picture):
        return np.log(picture.astype(np.float64).reshape(GRID[0], 2, GRID[1], 2, 3).mean(axis=(1, 3)) / 255.0 + 0.03)

    plain = grid(frame)
    for first, rows in ((0, slice(10, None)), (9, slice(None, 10))):
        for p, d in np.ndindex(2, 2):
            shown, drawn, before = grid(pictures[2 + p])[rows], grid(pictures[d])[rows], plain[rows]
            apart = shown - drawn
            changes = ((shown - before).mean(-1).ravel(), (drawn - before).mean(-1).ravel())
            wanted = np.log(np.array([np.abs(apart).mean(), 1.0 - np.corrcoef(*changes)[0, 1]]) + 0.02)
            np.testing.assert_allclose(told[p, d, [first, first + 7]], wanted, atol=2e-3)
    np.testing.assert_allclose(told[..., 18:36], told[..., :18] - told[..., :18].min(axis=1, keepdims=True), atol=1e-6)


def test_a_weigher_learns_what_counts():
    """Half of the numbers are less for the right drawing; where none is, a fold is named by chance."""
    torch.manual_seed(0)
    differences = torch.randn(10, len(NAMES), len(NAMES), DIFFERENCES)
    chance = train_condition_compare.by_folds(differences, folds=2, steps=60, seeds=range(1))
    differences[..., : DIFFERENCES // 2] -= 2.0 * torch.eye(len(NAMES))[..., None]
    found = train_condition_compare.by_folds(differences, folds=2, steps=60, seeds=range(1))
    truth = torch.arange(len(NAMES))
    assert (found == truth).float().mean() > 0.9
    assert (chance == truth).float().mean() < 0.35
