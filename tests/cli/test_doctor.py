import json

import pytest

from cosmos.bridge.cli.doctor import examine, namespace_clashes


def test_every_check_has_a_cure_when_it_fails():
    for check in examine():
        assert check.found
        assert check.ok or check.cure, check


def test_the_versions_are_those_installed():
    from importlib.metadata import version

    found = {check.name: check.found for check in examine()}
    for package in ("numpy", "usd-core", "warp-lang", "torch"):
        assert found[package] == version(package)


def test_json_holds_every_check(cli):
    code, out, _ = cli("doctor", "--json")
    told = json.loads(out)
    assert told["ok"] == all(check["ok"] for check in told["checks"])
    assert code == (0 if told["ok"] else 3)


def test_a_missing_package_breaks_with_its_cure(cli, monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "av" else real(name, *rest))
    code, out, _ = cli("doctor")
    assert code == 3
    assert "FAIL  av" in out
    assert 'pip install "cosmos-bridge[headless]"' in out


def test_broken_weights_break_with_their_sentence(cli, monkeypatch):
    from cosmos.bridge.errors import ModelWeightsError
    from cosmos.bridge.transfer.identity import IdentityTransfer

    def damaged(self, device=None):
        raise ModelWeightsError("The weights are damaged; reinstall.")

    monkeypatch.setattr(IdentityTransfer, "load", damaged)
    code, out, _ = cli("doctor")
    assert code == 3
    assert "The weights are damaged" in out


@pytest.mark.parametrize("name", ["cosmos", "other"])
def test_a_real_package_named_cosmos_is_found(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    clashes = namespace_clashes([str(tmp_path), str(tmp_path)])
    assert clashes == ([str(tmp_path / "cosmos" / "__init__.py")] if name == "cosmos" else [])


def test_a_folder_that_cannot_be_written_is_told(monkeypatch):
    import tempfile

    def closed(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", closed)
    checks = {check.name: check for check in examine()}
    assert not checks["temporary folder"].ok
    assert "Permission denied" in checks["temporary folder"].found
