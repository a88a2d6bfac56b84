"""Backends by name."""

import subprocess
import sys

import pytest

from cosmos.bridge.errors import ModelError, ModelNotInstalledError
from cosmos.bridge.transfer import registry


def test_an_unknown_name_is_answered_with_the_nearest_and_all():
    with pytest.raises(ModelError, match=r"'embeded' \(did you mean 'embedded'\?\); there is embedded, identity"):
        registry.create("embeded")


def test_every_backend_names_its_licence_hardware_and_extra():
    assert [backend.name for backend in registry.backends()] == list(registry.names())
    for backend in registry.backends():
        assert backend.licence and backend.hardware and backend.extra


def test_who_listens_to_a_control_is_told():
    assert registry.knowing("hdmap") == "cosmos3 knows hdmap"
    assert registry.knowing("lidar") == "embedded can be taught lidar: cosmos-bridge models train-branch"
    assert registry.knowing("seg").startswith("embedded or cosmos-transfer2.5 or cosmos3 or cosmos3-sim-transfer knows")


def test_listing_backends_imports_no_torch_or_warp():
    code = "import sys; from cosmos.bridge.transfer import registry; registry.backends(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "warp"} & set(loaded)


def test_a_missing_package_names_the_extra(monkeypatch):
    def broken(module):
        raise ImportError("No module named 'torch'", name="torch")

    monkeypatch.setattr(registry, "import_module", broken)
    with pytest.raises(ModelNotInstalledError, match=r'embedded needs torch: pip install "cosmos-bridge\[headless\]"'):
        registry.create("embedded")
