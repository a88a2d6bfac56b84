"""Where an older USD lacks a call, what stands in for it says the same."""

import zipfile

import pytest
from pxr import Ar  # noqa: TID253

from cosmos.bridge.render.usd import textures


@pytest.fixture
def paths(tmp_path):
    (tmp_path / "image.bin").write_bytes(b"picture")
    (tmp_path / "scene.usda").write_text("#usda 1.0\n")
    with zipfile.ZipFile(tmp_path / "scene.usdz", "w", zipfile.ZIP_STORED) as made:
        for name in ("scene.usda", "image.bin"):
            made.write(tmp_path / name, name)
    package = str(tmp_path / "scene.usdz")
    inside = [Ar.JoinPackageRelativePath(package, name) for name in ("image.bin", "missing.bin")]
    return [str(tmp_path / "image.bin"), str(tmp_path / "missing.bin"), str(tmp_path), *inside]


def test_files_are_read_alike_without_the_resolvers_open(paths):
    read = [textures._read_file(path) for path in paths]
    assert read == [b"picture", None, None, b"picture", None]
    if hasattr(Ar.GetResolver(), "OpenAsset"):
        files = [path for path in paths if path != paths[2]]  # a folder is no asset
        assert [textures._read_asset(path) for path in files] == [textures._read_file(path) for path in files]
