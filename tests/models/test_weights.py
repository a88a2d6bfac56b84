"""Where shipped weights are found, and that they fit what ships them."""

import json

import pytest

from cosmos.models import weights
from cosmos.models.weights import WeightsError, check_files, find_weights, read_weights_config

LIMIT = 16 * 1024 * 1024


@pytest.mark.parametrize(
    ("name", "most_steps"), [("transfer-small", 1), ("transfer-small-steps", 16), ("transfer-small-distilled", 1)]
)
def test_the_shipped_weights_are_found_whole_and_small_enough(name, most_steps):
    folder = find_weights(name)
    config = read_weights_config(folder)
    assert len(check_files(folder, config)) == 64
    training = config["training"]
    assert config["name"] == name and config.get("max_steps", 1) == most_steps
    assert config["licence"] == "Apache-2.0"
    assert training["minutes"] + training["minutes_before_warm_start"] >= 60
    assert all(path.stat().st_size <= LIMIT for path in folder.iterdir())
    assert (folder / "MODEL_CARD.md").is_file()


def test_an_installation_is_searched_after_the_sources(tmp_path, monkeypatch):
    monkeypatch.setattr(weights.sysconfig, "get_path", lambda name: str(tmp_path))
    beside, installed = weights.weight_folders("other")
    assert beside.parts[-3:] == ("models", "weights", "other")
    with pytest.raises(WeightsError, match="'other' are not in"):
        find_weights("other")
    installed.mkdir(parents=True)
    (installed / "config.json").write_text("{}")
    assert find_weights("other") == installed == tmp_path / "share" / "cosmos-bridge" / "weights" / "other"


@pytest.mark.parametrize(
    ("text", "sentence"), [("{", "cannot be read"), ("[]", "JSON object"), ("{}", "lists no files")]
)
def test_a_broken_configuration_gets_a_sentence(tmp_path, text, sentence):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=sentence):
        read_weights_config(tmp_path)


def test_a_file_that_differs_is_named(tmp_path):
    (tmp_path / "net.safetensors").write_bytes(b"x")
    config = {"files": {"net.safetensors": "0" * 64}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"net\.safetensors has sha256 2d711642b726"):
        check_files(tmp_path, config)
