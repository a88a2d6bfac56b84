"""What every room promises the others, held by looking at the tree and at fresh interpreters."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE_ROOTS = (ROOT / "exts" / "cosmos.bridge", ROOT / "models")
HEAVY = {"torch", "warp", "pxr", "omni", "carb", "isaacsim", "diffusers", "transformers", "cv2", "av", "rich"}


def run_python(code: str, *flags: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, *flags, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def loaded_after(statement: str) -> set[str]:
    done = run_python(f"{statement}\nimport sys\nprint(' '.join(sorted(sys.modules)))")
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in done.stdout.split()}


def test_importing_the_face_costs_next_to_nothing():
    assert not loaded_after("import cosmos.bridge") & {*HEAVY, "numpy"}


def test_what_the_face_shows_costs_numpy_only():
    loaded = loaded_after("from cosmos.bridge import *")
    assert "numpy" in loaded
    assert not loaded & HEAVY


def test_importing_the_models_face_loads_no_torch():
    assert not loaded_after("import cosmos.models") & HEAVY


def test_the_command_line_starts_without_heavy_packages():
    assert not loaded_after("import cosmos.bridge.cli.main") & HEAVY


@pytest.mark.parametrize("root", PACKAGE_ROOTS, ids=lambda path: path.name)
def test_the_namespace_has_no_init(root):
    assert (root / "cosmos").is_dir()
    assert not (root / "cosmos" / "__init__.py").exists()


def test_the_face_lists_exactly_what_it_shows():
    face = importlib.import_module("cosmos.bridge")
    assert len(face.__all__) == len(set(face.__all__))
    missing = [name for name in face.__all__ if not hasattr(face, name)]
    assert not missing
    public = {
        name
        for name, value in vars(face).items()
        if not name.startswith("_") and not isinstance(value, type(sys)) and name != "annotations"
    }
    assert public <= set(face.__all__)


def test_kit_modules_are_named_in_kit_only():
    package = PACKAGE_ROOTS[0] / "cosmos" / "bridge"
    for path in package.rglob("*.py"):
        if "kit" in path.relative_to(package).parts:
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]):
                assert words[1].split(".")[0] not in ("omni", "carb", "isaacsim"), path


def test_doctor_names_a_package_that_hides_the_namespace(tmp_path):
    (tmp_path / "cosmos").mkdir()
    (tmp_path / "cosmos" / "__init__.py").write_text("", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), str(PACKAGE_ROOTS[0])])
    hidden = run_python("import cosmos.bridge", "-S", PYTHONPATH=path)
    assert "No module named 'cosmos.bridge'" in hidden.stderr  # what a user would meet, and what doctor explains
    found = run_python(
        f"from cosmos.bridge.cli.doctor import namespace_clashes\nprint(namespace_clashes([{str(tmp_path)!r}]))"
    )
    assert found.returncode == 0, found.stderr
    assert str(tmp_path) in found.stdout
