"""Fetching from a hub: a small real HTTP server that answers as the hub does, on this machine."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from safetensors.numpy import save

from cosmos.models.fetching import LOCK, fetch, read_lock, verify
from cosmos.models.published import Piece, Published
from cosmos.models.weights import WeightsError

COMMIT = "c0ffee" * 6 + "c0ff"
WEIGHTS = save({"weight": np.arange(50_000, dtype=np.float32)})
CONFIG = b'{"_class_name": "Thing"}\n'
FILES = {"model.safetensors": WEIGHTS, "config.json": CONFIG, "LICENSE": b"be kind\n", "run.py": b"import os\n"}
THING = Published(
    name="thing",
    licence="Be Kind",
    gated=True,
    pieces=(
        Piece(folder="general", repo="maker/thing", revision="diffusers/general"),
        Piece(folder="extra", repo="maker/thing", revision="diffusers/extra"),
    ),
)


class Hub(ThreadingHTTPServer):
    """What the hub holds and how it behaves; `asked` is what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.token, self.breaks_after, self.ranges = dict(FILES), "", None, True
        self.described, self.asked, self.sent_on, self.commit = None, [], "", COMMIT

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def describe(self):
        siblings = []
        for name, content in self.files.items():
            large = name.endswith(".safetensors")
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            entry = {"rfilename": name, "size": len(content), "blobId": blob}
            if large:
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            siblings.append(entry)
        return {"sha": self.commit, "siblings": siblings}


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        hub, path = self.server, unquote(urlsplit(self.path).path)
        hub.asked.append((path, self.headers.get("Range"), self.headers.get("Authorization")))
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}" and not path.startswith("/cdn/"):
            return self.send(401, b"")
        revisions = "/api/models/maker/thing/revision/"
        if path.startswith((revisions + "diffusers/", revisions + hub.commit)):
            return self.send(200, json.dumps(hub.described or hub.describe()).encode())
        name = path.rpartition("/")[2]
        if name not in hub.files or not path.startswith((f"/maker/thing/resolve/{hub.commit}/", "/cdn/")):
            return self.send(404, b"")
        if hub.sent_on and not path.startswith("/cdn/"):
            self.send_response(302)
            self.send_header("Location", f"{hub.sent_on}/cdn/{name}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        content, start = hub.files[name], 0
        if hub.ranges and self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        return self.send(206 if start else 200, content[start:], hub.breaks_after)

    def send(self, code, content, breaks_after=None):
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content if breaks_after is None else content[:breaks_after])
        if breaks_after is not None:
            self.close_connection = True


@pytest.fixture
def hub(monkeypatch):
    for name in ("HF_HUB_OFFLINE", "HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()


def take(hub, folder, **settings):
    return fetch(THING, folder, endpoint=hub.address, **{"pieces": ("general",), **settings})


def test_a_fetch_brings_safe_files_only_and_pins_them(hub, tmp_path):
    told = []
    lock = take(hub, tmp_path, tell=lambda done, total: told.append((done, total)))
    assert lock == tmp_path / LOCK
    found = {path.name: path.read_bytes() for path in (tmp_path / "general").iterdir()}
    assert found == {name: content for name, content in FILES.items() if name != "run.py"}
    piece = read_lock(tmp_path)["pieces"]["general"]
    assert (piece["commit"], piece["revision"]) == (COMMIT, "diffusers/general")
    assert piece["files"] == {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}
    assert told[-1][0] == told[-1][1] == sum(map(len, found.values()))
    assert verify(tmp_path) == []


def test_all_pieces_are_fetched_and_a_second_fetch_downloads_nothing(hub, tmp_path):
    take(hub, tmp_path, pieces=())
    assert set(read_lock(tmp_path)["pieces"]) == {"general", "extra"}
    hub.asked.clear()
    take(hub, tmp_path, pieces=())
    assert all(path.startswith("/api/") for path, _, _ in hub.asked)


def test_a_lock_pins_the_commit_and_the_hashes(hub, tmp_path):
    """The lock of one machine alone brings the same files to another; the newest are taken only when asked for."""
    lock = take(hub, tmp_path / "one")
    other = tmp_path / "two"
    other.mkdir()
    (other / LOCK).write_bytes(lock.read_bytes())
    hub.asked.clear()
    take(hub, other)
    assert hub.asked[0][0] == f"/api/models/maker/thing/revision/{COMMIT}"
    assert read_lock(other) == read_lock(tmp_path / "one")
    hub.files["config.json"] = b'{"_class_name": "Other"}'
    with pytest.raises(WeightsError, match=r"config\.json of maker/thing is not what \S+ pins; fetch with --update"):
        take(hub, other)
    hub.commit = "beef" * 10
    with pytest.raises(WeightsError, match=f"has no '{COMMIT}'"):
        take(hub, other)
    take(hub, other, update=True)
    piece = read_lock(other)["pieces"]["general"]
    assert (piece["commit"], piece["revision"]) == ("beef" * 10, "diffusers/general") and verify(other) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_fetch_that_broke_goes_on_where_it_stopped(hub, tmp_path, ranges):
    hub.breaks_after = 60_000
    with pytest.raises(WeightsError, match=r"connection broke at 60000 of \d+ bytes of model.safetensors"):
        take(hub, tmp_path)
    assert not (tmp_path / LOCK).exists() and not (tmp_path / "general" / "model.safetensors").exists()
    hub.breaks_after, hub.ranges = None, ranges
    hub.asked.clear()
    take(hub, tmp_path)
    assert ("bytes=60000-" in [asked for _, asked, _ in hub.asked]) and verify(tmp_path) == []


def test_a_stop_by_the_user_keeps_what_came(hub, tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(hub, tmp_path, tell=stop)
    assert list((tmp_path / "general").glob("*.part"))
    take(hub, tmp_path)
    assert verify(tmp_path) == []


def test_a_file_that_arrives_damaged_is_refused_and_removed(hub, tmp_path):
    hub.described = hub.describe()
    hub.files["model.safetensors"] = WEIGHTS[:-1] + b"x"
    with pytest.raises(WeightsError, match=r"model\.safetensors of maker/thing arrived damaged"):
        take(hub, tmp_path)
    assert not list(tmp_path.rglob("model.safetensors*"))
    hub.files["model.safetensors"], hub.files["config.json"] = WEIGHTS, b'{"_class_name": "Think"}\n'
    with pytest.raises(WeightsError, match=r"config\.json of maker/thing arrived damaged"):
        take(hub, tmp_path)


def test_a_gated_repository_names_the_way_in(hub, tmp_path, monkeypatch):
    hub.token = "secret"
    with pytest.raises(
        WeightsError, match=r"maker/thing is gated: accept its licence on \S+/maker/thing and set HF_TOKEN"
    ):
        take(hub, tmp_path)
    monkeypatch.setenv("HF_TOKEN", "secret")
    take(hub, tmp_path)


def test_the_token_is_not_shown_to_the_server_that_the_hub_sends_on_to(hub, tmp_path):
    hub.token, hub.sent_on = "secret", hub.address
    take(hub, tmp_path, token="secret")
    seen = [(path.startswith("/cdn/"), token) for path, _, token in hub.asked]
    assert (True, None) in seen and all((token is None) == away for away, token in seen)


@pytest.mark.parametrize("name", ["../evil.json", "/etc/evil.json", "a/../../evil.json", "a\\..\\evil.json"])
def test_a_file_name_that_leads_out_is_refused(hub, tmp_path, name):
    hub.described = hub.describe()
    hub.described["siblings"].append({"rfilename": name, "size": 1, "blobId": "x"})
    with pytest.raises(WeightsError, match="leads out of the checkpoint"):
        take(hub, tmp_path)


def test_what_the_hub_says_may_be_nonsense(hub, tmp_path):
    hub.described = {"error": "no"}
    with pytest.raises(WeightsError, match="in a way that is not understood"):
        take(hub, tmp_path)
    hub.described = {"sha": COMMIT, "siblings": [{"rfilename": "model.bin", "size": 3}]}
    with pytest.raises(WeightsError, match="holds no safetensors"):
        take(hub, tmp_path)


def test_what_cannot_be_fetched_gets_a_sentence(hub, tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="thing has no piece 'wings'; it has general, extra"):
        take(hub, tmp_path, pieces=("wings",))
    with pytest.raises(WeightsError, match="must be reached by https"):
        fetch(THING, tmp_path, endpoint="http://example.com")
    with pytest.raises(WeightsError, match="cannot be reached"):
        fetch(THING, tmp_path, endpoint="http://127.0.0.1:9")
    with pytest.raises(WeightsError, match="the network is switched off"):
        take(hub, tmp_path, offline=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="the network is switched off"):
        take(hub, tmp_path)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    hub.described = hub.describe()
    hub.described["siblings"][0]["lfs"]["size"] = 2**62
    with pytest.raises(WeightsError, match="GiB are to be fetched, but"):
        take(hub, tmp_path)
    other = Published(
        name="x", licence="x", gated=False, pieces=(Piece(folder="", repo="maker/none", revision="main"),)
    )
    with pytest.raises(WeightsError, match="maker/none has no 'main'"):
        fetch(other, tmp_path, endpoint=hub.address)


def test_verify_names_what_is_missing_or_differs(hub, tmp_path):
    with pytest.raises(WeightsError, match="has no cosmos-bridge"):
        verify(tmp_path)
    take(hub, tmp_path)
    (tmp_path / "general" / "config.json").unlink()
    (tmp_path / "general" / "LICENSE").write_bytes(b"be cruel\n")
    problems = verify(tmp_path)
    assert len(problems) == 2
    assert any("config.json is missing" in problem for problem in problems)
    assert any("LICENSE is not what was fetched" in problem for problem in problems)
    (tmp_path / LOCK).write_text("{}")
    with pytest.raises(WeightsError, match="is damaged"):
        verify(tmp_path)
