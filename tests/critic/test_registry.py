import subprocess
import sys

import pytest

from cosmos.bridge.critic.registry import CRITICS, create, names
from cosmos.bridge.errors import ConfigError, ModelNotInstalledError


def test_every_name_makes_a_critic_of_that_name():
    assert names() == tuple(CRITICS)
    for name in names():
        assert create(name).name == name


def test_unknown_critic_lists_what_there_is():
    with pytest.raises(ConfigError, match="no critic 'consistancy'"):
        create("consistancy")


def test_missing_package_names_the_extra(monkeypatch):
    for module in [name for name in sys.modules if name.startswith("cosmos.bridge.critic.")]:
        if not module.endswith(("registry", "base")):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ModelNotInstalledError, match=r'needs cv2: pip install "cosmos-bridge\[headless\]"'):
        create("consistency")


def test_registry_loads_neither_cv2_nor_warp():
    code = "import sys, cosmos.bridge.critic.registry; print({'cv2', 'warp', 'torch'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
