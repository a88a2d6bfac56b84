import base64
import json
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

import cosmos.bridge.sinks.report as report_module
from cosmos.bridge.errors import SinkError
from cosmos.bridge.sinks.dataset import DatasetSink
from cosmos.bridge.sinks.manifest import read_manifest
from cosmos.bridge.sinks.report import write_report

EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"
VOID = {"meta", "link", "img", "input", "path"}


class Page(HTMLParser):
    """Reads the page as a browser would: tags that are open, what they carry, and the text that shows."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.open, self.text, self.scripts = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in ("html", "body", "p", "div", "section", "table", "ul", "details", "a", "span", "b", "nav", "header"):
            assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, text):
        (self.scripts if self.open and self.open[-1] in ("script", "style") else self.text).append(text)

    @property
    def said(self):
        return " ".join(" ".join(self.text).split())

    @property
    def pictures(self):
        return json.loads(self.scripts[1])


@pytest.fixture
def out(tmp_path, augmentation, clip, controls):
    """Accepted at once, accepted after a rejected try, rejected, refused, and one that is still to come."""
    source = clip(6)
    signals = controls(source)
    run = {
        "planned": 5,
        "command": "cosmos-bridge augment 'a <b>.usda' --seed 7 --out out",
        "source": {"/World/Camera": {"kind": "stage", "path": "a <b>.usda"}},
        "config": {"source": "a <b>.usda", "prompts": ["day"], "guidance": None},
        "notes": ["A sky was added."],
        "version": "0.1.0",
    }
    sink = DatasetSink(tmp_path, run=run)
    sink.write(augmentation("clip_0000", clip=source, controls=signals))
    sink.write(augmentation("clip_0001", clip=source, controls=signals, look="night", accepted=False))
    sink.write(augmentation("clip_0001", clip=source, controls=signals, look="night", attempt=2))
    sink.write(augmentation("clip_0002", clip=source, controls=signals, look="fog", prompt=EVIL, accepted=False))
    sink.record("clip_0003", "refused", f"The prompt names {EVIL}.", tags={"prompt": EVIL})
    sink.close()
    return tmp_path


def test_the_page_says_all_of_it(out):
    page = Page(write_report(out))
    assert page.open == [] and "2 of 5 clips accepted" in page.said
    assert "5 planned = 2 accepted + 1 rejected + 1 refused + 0 failed + 1 pending" in page.said
    assert "4 attempts were made; 2 of them rejected and kept apart" in page.said
    assert "The boundary of the forklift lies 4.2 px beside" in page.said
    assert "/World/Forklift · frames 1–2 · instance boundaries" in page.said
    assert "Boundary shift 4.2 px ≤ 2 fail" in page.said and "Edges kept 0.93 ≥ 0.7 pass" in page.said
    assert "Instance contrast n/a ≥ 0.2 not measured" in page.said
    assert "Setting num_steps 6 requested: model's own" in page.said
    assert "Setting size [36, 64] as requested" in page.said
    assert "9f2b9f2b" in page.said and "revision 2026.11-a" in page.said and "Guard on video off: allowed" in page.said
    assert "cosmos-bridge augment 'a <b>.usda' --seed 7 --out out" in page.said
    assert "A sky was added." in page.said and "Attempt 1, rejected" in page.said and "weight 0.25" in page.said


def test_counts_on_the_page_are_those_of_the_manifest_and_add_up(out):
    counts = read_manifest(out)["counts"]
    numbers = [int(n) for n in re.findall(r"<b>(\d+)</b>", write_report(out).read_text())]
    assert numbers == [counts[key] for key in ("accepted", "rejected", "refused", "failed", "pending")]
    assert sum(numbers) == counts["planned"] == 5


def test_nothing_is_loaded_from_elsewhere_and_nothing_of_outside_runs(out):
    path = write_report(out)
    page = Page(path)
    for tag, attributes in page.tags:
        assert tag in VOID or tag not in ("iframe", "object", "embed", "base")
        assert not any(key.startswith("on") for key in attributes)
        if tag == "img":
            assert attributes["src"].startswith("data:")
        if tag == "a" and not attributes["href"].startswith("#"):
            assert (out / attributes["href"]).is_file()
    assert "http:" not in path.read_text() and "https:" not in path.read_text()
    assert [attributes.get("type") for tag, attributes in page.tags if tag == "script"] == ["application/json", None]
    assert EVIL in " ".join(page.text) and not any("alert(" in script for script in page.scripts)
    policy = next(attributes["content"] for tag, attributes in page.tags if attributes.get("http-equiv"))
    import hashlib

    seal = base64.b64encode(hashlib.sha256(page.scripts[2].encode()).digest()).decode()
    assert policy.startswith("default-src 'none'") and f"script-src 'sha256-{seal}'" in policy


def test_pictures_are_those_of_the_clip_and_kept_once(out):
    pages = Page(write_report(out)).pictures
    clips, images = pages["clips"], pages["images"]
    assert list(clips) == ["clip_0000", "clip_0001", "clip_0002"]
    night = clips["clip_0001"]["pictures"]
    assert night["source"] == clips["clip_0000"]["pictures"]["source"] != night["augmented"]
    assert len(night["source"]) == 6 == len(clips["clip_0001"]["captions"])
    assert clips["clip_0001"]["captions"][2] == "Frame 2 of 0–5 · time code 3"
    content = base64.b64decode(images[night["augmented"][2]].split(",")[1])
    shown = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    stored = cv2.imread(str(out / "clip_0001" / "preview" / "augmented_0002.jpg"))
    np.testing.assert_array_equal(shown, stored)


def test_a_slider_for_every_clip_that_a_keyboard_can_move(out):
    page = Page(write_report(out))
    ranges = [attributes for tag, attributes in page.tags if tag == "input"]
    assert len(ranges) == 6 and all(item["type"] == "range" and item["aria-label"] for item in ranges)
    assert all(attributes.get("alt") is not None for tag, attributes in page.tags if tag == "img")


@pytest.mark.parametrize(("budget", "moments", "without"), [(40_000, {1, 2, 3, 4}, 0), (100, set(), 3)])
def test_a_page_has_a_limit(out, monkeypatch, budget, moments, without):
    whole = write_report(out).stat().st_size
    monkeypatch.setattr(report_module, "PICTURE_BUDGET", budget)
    page = Page(write_report(out))
    assert (out / "report.html").stat().st_size < whole
    assert {len(clip["captions"]) for clip in page.pictures["clips"].values()} <= moments
    assert (f"{without} clips show no pictures" in page.said) == bool(without)


def test_missing_stills_do_not_stop_the_page(out):
    for path in (out / "clip_0000" / "preview").iterdir():
        path.unlink()
    assert "2 of 5 clips accepted" in Page(write_report(out)).said


def test_an_empty_run_has_a_page(tmp_path):
    DatasetSink(tmp_path, run={"planned": 1}).close()
    page = Page(write_report(tmp_path))
    assert "0 of 1 clip accepted" in page.said and "No clip was made yet." in page.said


def test_a_single_accepted_clip_has_a_page(tmp_path, augmentation, clip):
    sink = DatasetSink(tmp_path, run={"planned": 1, "command": ["cosmos-bridge", "augment", "a.usda"]})
    sink.write(augmentation(clip=clip(1)))
    page = Page(write_report(tmp_path))
    assert "The clip is accepted" in page.said and "cosmos-bridge augment a.usda" in page.said
    assert "none was rejected" in page.said


def test_a_folder_without_a_run_is_one_sentence(tmp_path):
    with pytest.raises(SinkError, match="does not exist; give the output folder"):
        write_report(tmp_path)
