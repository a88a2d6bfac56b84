"""Procedural textures: real PNGs, the same for the same request, tileable noise."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cosmos.bridge.errors import ConfigError
from cosmos.bridge.scenes.textures import TEXTURES, TextureStore, default_texture_dir, noise


@pytest.mark.parametrize("kind", TEXTURES)
def test_every_surface_is_a_picture_of_about_its_colour(tmp_path, kind):
    color = (0.7, 0.4, 0.2)
    image = cv2.imread(TextureStore(tmp_path).surface(kind, color=color, seed=3, size=64))[..., ::-1]
    assert image.shape == (64, 64, 3)
    assert image.std() > 2.0
    if kind not in ("blotches", "checker", "stripes", "windows", "grass"):  # these mix in other colours on purpose
        assert np.argsort(image.mean(axis=(0, 1))).tolist() == [2, 1, 0]


def test_same_request_gives_the_same_bytes_and_other_seeds_do_not(tmp_path):
    paths = [TextureStore(tmp_path / name).surface("brick", color=(0.5, 0.2, 0.2), seed=seed, size=64)
             for name, seed in (("a", 1), ("b", 1), ("c", 2))]  # fmt: skip
    first, again, other = (Path(path).read_bytes() for path in paths)
    assert first == again != other


def test_store_reuses_files_unless_told_to_write_anew(tmp_path):
    path = TextureStore(tmp_path).surface("plaster", color=(0.5, 0.5, 0.5), size=64)
    with open(path, "wb") as file:
        file.write(b"stale")
    TextureStore(tmp_path).surface("plaster", color=(0.5, 0.5, 0.5), size=64)
    assert Path(path).read_bytes() == b"stale"
    TextureStore(tmp_path, reuse=False).surface("plaster", color=(0.5, 0.5, 0.5), size=64)
    assert cv2.imread(path) is not None
    assert [file.suffix for file in tmp_path.iterdir()] == [".png"]


def test_reference_names_the_folder_as_the_layer_shall(tmp_path):
    store = TextureStore(tmp_path / "textures", reference="./textures")
    path = store.sign("EXIT", ink=(1, 1, 1), paper=(0, 0.4, 0.2), size=(32, 64))
    assert path.startswith("./textures/")
    image = cv2.imread(str(tmp_path / path))
    assert image.shape == (32, 64, 3)
    assert image.max() == 255


def test_unknown_surface_lists_what_there_is(tmp_path):
    with pytest.raises(ConfigError, match=r"no texture 'marble'.*brick"):
        TextureStore(tmp_path).surface("marble", color=(1, 1, 1))


def test_noise_tiles_without_a_seam():
    field = noise(np.random.default_rng(0), 128, first=4)
    inside = np.abs(np.diff(field, axis=1)).max()
    assert np.abs(field[:, 0] - field[:, -1]).max() <= 1.5 * inside
    assert field.min() >= 0.0 and field.max() <= 1.0 and field.std() > 0.05


def test_default_folder_follows_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_texture_dir().is_relative_to(tmp_path)
