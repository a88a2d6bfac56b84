"""What a user installs: one version everywhere, and a wheel that owns only its two leaves."""

import importlib.metadata
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import cosmos.bridge

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_one_version_everywhere():
    extension = tomllib.loads((ROOT / "exts/cosmos.bridge/config/extension.toml").read_text(encoding="utf-8"))
    newest = re.search(
        r"^## \[?(\d+\.\d+\.\d+)",
        (ROOT / "exts/cosmos.bridge/docs/CHANGELOG.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert newest is not None
    versions = {PYPROJECT["project"]["version"], cosmos.bridge.__version__, extension["package"]["version"], newest[1]}
    assert len(versions) == 1, versions


def test_the_base_can_replace_nothing_inside_isaac_sim():
    names = [re.split(r"[^A-Za-z0-9_.-]", text)[0] for text in PYPROJECT["project"]["dependencies"]]
    assert set(names) <= {"numpy", "tomli"}
    assert PYPROJECT["project"]["dependencies"][0] == "numpy"  # without a bound: any installed one satisfies it


def test_the_extra_for_isaac_sim_can_replace_nothing_there_either():
    from cosmos.bridge.kit.packages import EXTRA

    names = [re.split(r"[^A-Za-z0-9_.-]", text)[0] for text in PYPROJECT["project"]["optional-dependencies"]["kit"]]
    assert set(names) == set(EXTRA.values())
    for name in names:  # what they bring along, as they are installed here
        brought = [text for text in importlib.metadata.requires(name) or () if "extra ==" not in text]
        assert all(re.fullmatch(r"numpy\s*(>=\s*1[.\d]*)?", text.strip()) for text in brought), (name, brought)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    source = out / "source"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in listed.decode().split("\0"):
        if name and (ROOT / name).is_file():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


def test_the_wheel_owns_only_its_leaves(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    code = [name for name in names if ".dist-info/" not in name and ".data/" not in name]
    assert code
    assert all(name.startswith(("cosmos/bridge/", "cosmos/bridge_command/", "cosmos/models/")) for name in code), code
    assert "cosmos/__init__.py" not in names
    assert "cosmos/bridge/py.typed" in names


def test_the_wheel_carries_the_shipped_weights(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for shipped in ("transfer-small", "transfer-small-steps", "transfer-small-distilled", "reason-small"):
        weights = [name for name in names if f"/share/cosmos-bridge/weights/{shipped}/" in name]
        assert any(name.endswith(".safetensors") for name in weights), names
        assert any(name.endswith("config.json") for name in weights)
        assert any(name.endswith("MODEL_CARD.md") for name in weights)


def test_no_shipped_weight_file_is_larger_than_16_mib():
    files = [path for path in (ROOT / "models/weights").rglob("*") if path.is_file()]
    assert files
    assert not [path.name for path in files if path.stat().st_size > 16 * 2**20]
    assert sum(path.stat().st_size for path in files) <= 48 * 2**20
