"""What Kit sees of the extension before any of it runs."""

import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

import cosmos.bridge

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
EXTENSION = ROOT / "exts" / "cosmos.bridge"
TOML = tomllib.loads((EXTENSION / "config" / "extension.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("key", ["changelog", "readme", "icon", "preview_image"])
def test_files_the_toml_names_exist(key):
    assert (EXTENSION / TOML["package"][key]).stat().st_size > 0


def test_documentation_pages_exist():
    assert TOML["documentation"]["pages"]
    assert all((EXTENSION / page).is_file() for page in TOML["documentation"]["pages"])


def test_version_is_that_of_the_package():
    assert TOML["package"]["version"] == cosmos.bridge.__version__


def test_python_modules_exist_in_the_extension():
    names = [module["name"] for module in TOML["python"]["module"]]
    assert names
    for name in names:
        path = EXTENSION.joinpath(*name.split("."))
        assert (path / "__init__.py").is_file() or path.with_suffix(".py").is_file(), name


def test_module_is_found_with_nothing_but_the_extension_folder_on_the_path():
    name = TOML["python"]["module"][0]["name"]
    code = f"import sys; sys.path.insert(0, {str(EXTENSION)!r}); import {name}; print({name}.__file__)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert Path(ran.stdout.strip()).is_relative_to(EXTENSION)


def test_dependencies_leave_archives_optional_and_install_nothing():
    for name, options in TOML["dependencies"].items():
        if name.endswith(("_archive", ".pip_archive")):
            assert options.get("optional") is True, f"{name} is absent from pip-installed Isaac Sim"
    assert "pipapi" not in TOML["python"]


def test_tests_begin_with_startup_and_end_unnamed():
    assert TOML["test"][0]["name"] == "startup" and "name" not in TOML["test"][-1]


def test_icon_is_square_with_alpha_and_preview_is_wide():
    icon = cv2.imread(str(EXTENSION / TOML["package"]["icon"]), cv2.IMREAD_UNCHANGED)
    preview = cv2.imread(str(EXTENSION / TOML["package"]["preview_image"]), cv2.IMREAD_UNCHANGED)
    assert icon.shape == (256, 256, 4) and icon[0, 0, 3] == 0 and icon[128, 128, 3] == 255
    assert preview.shape == (400, 800, 3)


def test_premake_links_what_exists():
    lua = (EXTENSION / "premake5.lua").read_text(encoding="utf-8")
    own = re.findall(r'\{ "([^"]+)",', lua)
    roots = re.findall(r'\{ root\.\."/([^"]+)",', lua)
    assert {"data", "docs", "cosmos/bridge"} <= set(own) and "models/cosmos/models" in roots
    assert all((EXTENSION / path).is_dir() for path in own)
    assert all((ROOT / path).is_dir() for path in roots)


def test_root_premake_includes_every_extension():
    lua = (ROOT / "premake5.lua").read_text(encoding="utf-8")
    assert set(re.findall(r'include\("([^"]+)"\)', lua)) == {
        str(path.parent.relative_to(ROOT)) for path in ROOT.glob("exts/*/premake5.lua")
    }


def test_no_distribution_claims_the_namespace():
    for folder in (EXTENSION, ROOT / "models"):
        assert not (folder / "cosmos" / "__init__.py").exists()
