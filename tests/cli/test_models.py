"""``cosmos-bridge models``: what the user types and reads."""

import hashlib
import json

import pytest

from cosmos.models.fetching import LOCK
from cosmos.models.published import PUBLISHED


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COSMOS_BRIDGE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def fetched(folder):
    """Write what a fetch leaves: one file and its lock."""
    (folder / "general").mkdir(parents=True)
    (folder / "general" / "model.safetensors").write_bytes(b"weights")
    files = {"model.safetensors": hashlib.sha256(b"weights").hexdigest()}
    piece = {"repo": "nvidia/x", "revision": "main", "commit": "c0ffee", "files": files}
    (folder / LOCK).write_text(json.dumps({"name": "x", "licence": "x", "pieces": {"general": piece}}))
    return folder


def test_list_names_licence_gate_revisions_and_what_is_here(cli, home):
    code, out, _ = cli("models", "list")
    assert code == 0
    assert "cosmos-transfer2.5  NVIDIA Open Model License (gated: accept the licence on the hub first)" in out
    assert "nvidia/Cosmos-Transfer2.5-2B @ diffusers/controlnet/general/depth" in out and "fetched" not in out
    fetched(home / "checkpoints" / "cosmos-transfer2.5")
    told = json.loads(cli("models", "list", "--json")[1])["models"]
    assert [row["name"] for row in told] == list(PUBLISHED)
    assert told[0]["fetched"] == ["general"] and told[0]["folder"].startswith(str(home))


def test_fetch_offline_is_refused_and_says_what_else_to_do(cli, home):
    for words in (("--offline",), ()):
        code, out, err = cli("models", "fetch", "cosmos-transfer2.5", *words)
        assert code == 3 and not out
        assert "the network is switched off; give a local folder" in err and "NVIDIA Open Model License" in err


def test_verify_counts_files_and_names_problems(cli, home, tmp_path):
    folder = fetched(tmp_path / "elsewhere")
    code, out, _ = cli("models", "verify", "cosmos-transfer2.5", "--folder", folder)
    assert (code, out) == (0, "1 files checked, 0 problems\n")
    (folder / "general" / "model.safetensors").write_bytes(b"weighty")
    code, out, _ = cli("models", "verify", "cosmos-transfer2.5", "--folder", folder, "--json")
    told = json.loads(out)
    assert (code, told["ok"], told["files"]) == (4, False, 1) and "sha256 differs" in told["problems"][0]
    code, _, err = cli("models", "verify", "cosmos-transfer2.5")
    assert code == 3 and f"has no {LOCK}" in err


def test_plan_says_what_fits_and_on_what_basis(cli, home):
    pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")
    words = ("models", "plan", "cosmos-transfer2.5", "--size", "64x96", "--frames", "5", "--chunk-frames", "5")
    code, out, _ = cli(*words)
    assert code == 0
    assert "3.01 billion parameters, 5.6 GiB of weights" in out and "nothing here was measured on a GPU" in out
    assert "93 frames of 704 x 1280 with seg" in out and " 80 GiB  fits\n" in out
    code, out, _ = cli(*words, "--memory", "1", "--controls", "2", "--json")
    told = json.loads(out)
    assert told["verdicts"]["1"].startswith("does not fit, because") and "branch 1" in told["parameters"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("verify", "cosmos-transfer"), 2, "no checkpoint for 'cosmos-transfer'; there is cosmos-transfer2.5"),
        (("plan", "cosmos-transfer2.5", "--size", "big"), 2, "size must be HEIGHTxWIDTH"),
        (("plan", "cosmos-transfer2.5", "--chunk-frames", "90"), 2, r"4k + 1"),
        (("plan", "cosmos-transfer2.5", "--frames", "0"), 2, "a frame or more"),
        (("plan", "cosmos3-sim-transfer", "--guidance", "3"), 2, "knows no --guidance; leave it out"),
        (("plan", "cosmos3", "--window", "3"), 2, "cosmos3 knows no --window"),
        (("plan", "cosmos3-sim-transfer", "--views", "0"), 2, "a window and a view or more, got 201, None, 0"),
        (("plan", "cosmos3-sim-transfer", "--chunk-frames", "6"), 2, "a multiple of 4 frames together, got 6"),
        (("plan", "embedded"), 2, "no checkpoint for 'embedded' to plan; there is cosmos-transfer2.5, cosmos3"),
        ((), 2, "ACTION"),
    ],
)
def test_wrong_words_get_a_sentence(cli, home, words, code, sentence):
    got, _, err = cli("models", *words)
    assert got == code and sentence in err and "Traceback" not in err
