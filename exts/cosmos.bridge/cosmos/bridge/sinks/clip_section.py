"""One clip on the page: its pictures, its checks, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional
from urllib.parse import quote

from cosmos.bridge.sinks.markup import badge, esc, facts, picture, say_frames, say_number, say_value


@dataclass(kw_only=True, slots=True)
class ClipView:
    """One clip as the page shows it."""

    entry: Mapping[str, Any]
    """Its entry in the manifest."""
    shown: Optional[tuple[str, Mapping[str, Any]]]
    """Folder and record of the attempt that is shown; ``None`` where there is none."""
    others: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    """Folder and record of every other attempt."""
    frames: list[int] = field(default_factory=list)
    """Moments that have pictures."""
    pictures: dict[str, list[str]] = field(default_factory=dict)
    """What is shown -> key of the picture of each moment."""
    other_pictures: dict[str, dict[str, str]] = field(default_factory=dict)
    """Folder -> what is shown -> key of one picture."""

    @property
    def title(self) -> str:
        """Name that a person gave it, else its own."""
        tags = self.entry.get("tags", {})
        name = tags.get("prompt_name") or tags.get("prompt")
        return name[:1].upper() + name[1:80] if name else self.entry["name"]

    @property
    def origin(self) -> str:
        """What tells it from clips of the same title: its own name, camera and variant."""
        tags = self.entry.get("tags", {})
        camera = self.shown[1]["clip"]["camera"] if self.shown else tags.get("camera", "")
        variant = f"variant {tags['variant']}" if tags.get("variant") else ""
        return " · ".join(part for part in (self.entry["name"], camera, variant) if part)


def render_clip(clip: ClipView, images: Mapping[str, str]) -> str:
    """Return the section of one clip.

    Args:
        clip: What to show.
        images: Key -> data URI of each picture.
    """
    name, status = clip.entry["name"], clip.entry["status"]
    if clip.shown is None:
        title = f'<p class="origin">{esc(clip.origin)}</p><h2>{esc(clip.title)}</h2>'
        head = f'<div class="clip-head"><div>{title}</div><div>{badge(status)}</div></div>'
        reason = esc(clip.entry["reason"] or "No reason was recorded.")
        return f'<section class="clip" id="{esc(name)}">{head}<p class="empty">{reason}</p></section>'
    folder, record = clip.shown
    score = f'<span class="score">score {record["verdict"]["score"]:.2f}</span>'
    title = f'<p class="origin">{esc(clip.origin)}</p><h2>{esc(clip.title)}</h2>'
    subtitle = f'<p class="prompt">{esc(record["request"]["prompt"])}</p>'
    head = f'<div class="clip-head"><div>{title}{subtitle}</div><div>{badge(status)}{score}</div></div>'
    more = _provenance(folder, record) + "".join(_other_attempt(clip, *other, images) for other in clip.others)
    return (
        f'<section class="clip" id="{esc(name)}">{head}{_slider(clip, record, images)}'
        f"{_controls(clip, record, images)}{_judgement(record, clip.entry)}"
        f'<div class="more">{more}</div></section>'
    )


def captions(clip: ClipView) -> list[str]:
    """Return what is said under each moment that has pictures."""
    if clip.shown is None:
        return []
    took = clip.shown[1]["clip"]
    return [
        f"Frame {frame} of 0–{took['num_frames'] - 1} · time code {took['time_codes'][frame]:g}"
        for frame in clip.frames
    ]


def _slider(clip: ClipView, record: Mapping[str, Any], images: Mapping[str, str]) -> str:
    if not clip.frames:
        return '<p class="empty">The pictures of this clip are in its folder.</p>'
    took, middle, title = record["clip"], len(clip.frames) // 2, clip.title
    after = picture(clip.pictures["augmented"][middle], "augmented", f"{title}: augmented", images)
    before = picture(clip.pictures["source"][middle], "source", f"{title}: simulated", images, "before")
    scrub = ""
    if len(clip.frames) > 1:
        scrub = (
            f'<div class="scrub"><button type="button">Play</button><input type="range" min="0" '
            f'max="{len(clip.frames) - 1}" step="1" value="{middle}" aria-label="Moment of {esc(title)}">'
            f"<output>{esc(captions(clip)[middle])}</output></div>"
        )
    return (
        f'<div class="ab" style="aspect-ratio:{took["width"]}/{took["height"]}">{after}{before}'
        f'<input type="range" min="0" max="100" step="0.5" value="50" aria-label="Before and after of {esc(title)}">'
        '<span class="split"></span><span class="tag l">Simulated</span><span class="tag r">Augmented</span></div>'
        f"{scrub}"
    )


def _controls(clip: ClipView, record: Mapping[str, Any], images: Mapping[str, str]) -> str:
    items = []
    for kind in record["controls"]:
        keys = clip.pictures.get(f"control-{kind}", [])
        if not keys:
            continue
        weight = record["request"]["weights"].get(kind, 0.0)
        said = f"{weight:g}" if isinstance(weight, (int, float)) else f"map, mean {weight['mean']:.2f}"
        still = picture(keys[len(keys) // 2], f"control-{kind}", f"{kind} control", images)
        items.append(
            f'<li>{still}<p class="cap"><span>{esc(kind.capitalize())}</span><span>weight {said}</span></p></li>'
        )
    return f'<ul class="controls">{"".join(items)}</ul>' if items else ""


def _checks(record: Mapping[str, Any]) -> str:
    rows = []
    for item in record["verdict"]["measurements"]:
        value, bar = item["value"], item["threshold"]
        state = ("na", "not measured") if value is None else ("pass", "pass") if item["passed"] else ("fail", "fail")
        sign = "≥" if item["better"] == "higher" else "≤"
        gauge = ""
        if isinstance(value, (int, float)) and isinstance(bar, (int, float)):
            top = 1.0 if item["better"] == "higher" and max(value, bar) <= 1.0 else 1.25 * max(value, bar, 1e-9)
            css = "gauge" if item["passed"] else "gauge bad"
            share, tick = (100 * min(max(number / top, 0.0), 1.0) for number in (value, bar))
            gauge = f'<div class="{css}"><i style="width:{share:.1f}%"></i><u style="left:{tick:.1f}%"></u></div>'
        rows.append(
            f"<tr><td>{esc(item['check'].replace('_', ' ').capitalize())}</td>"
            f'<td class="num">{esc(say_number(value, item["unit"]))}</td><td class="meter">{gauge}</td>'
            f'<td class="num">{sign} {esc(say_number(bar))}</td><td class="{state[0]}">{state[1]}</td></tr>'
        )
    if not rows:
        return "<p>The critic measured nothing.</p>"
    head = (
        '<tr><th>Check</th><th class="num">Measured</th><th class="meter"></th><th class="num">Bar</th><th></th></tr>'
    )
    return f'<table class="checks"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>'


def _findings(record: Mapping[str, Any]) -> str:
    items = []
    for item in record["verdict"]["findings"]:
        frames = say_frames(item["frames"])
        where = [part for part in (item["prim_path"], frames, item["check"].replace("_", " ")) if part]
        items.append(
            f'<li><span class="sev {esc(item["severity"])}">{esc(item["severity"].capitalize())}</span> '
            f'{esc(item["text"])}<p class="where">{esc(" · ".join(where))}</p></li>'
        )
    return f'<ul class="findings">{"".join(items)}</ul>' if items else ""


def _judgement(record: Mapping[str, Any], entry: Mapping[str, Any] | None = None) -> str:
    verdict = record["verdict"]
    said = verdict["rationale"] or ("Accepted without remarks." if verdict["accepted"] else "Rejected.")
    if entry is not None and entry["reason"] and entry["reason"] != said:
        said = f"{entry['reason']} {said}" if entry["status"] != "accepted" else said
    return (
        f'<div class="cols"><div><h3>Checks</h3>{_checks(record)}</div>'
        f'<div><h3>Verdict</h3><p class="verdict">{esc(said)}</p>{_findings(record)}</div></div>'
    )


def _provenance(folder: str, record: Mapping[str, Any]) -> str:
    made, request = record["provenance"], record["request"]
    asked, used = made["requested"], made["effective"]
    rows = [
        ("Model", f"{esc(made['model'])}, revision {esc(made['revision'])} ({esc(made['licence'])})"),
        ("Weights", f'<span class="mono">{esc(made["weights_sha256"] or "none")}</span>'),
        (
            "Ran on",
            f"{esc(made['device'])}, {esc(made['dtype'])}, {made['seconds']:.1f} s, "
            f"peak {made['peak_bytes'] / 2**20:.0f} MiB",
        ),
        ("Seed", esc(request["seed"])),
    ]
    if request["negative_prompt"]:
        rows.append(("Negative prompt", esc(request["negative_prompt"])))
    for key in sorted({*asked, *used}):
        wanted, got = say_value(asked.get(key)), say_value(used.get(key))
        same = key in asked and wanted == got
        text = (
            f'{esc(got)} <span class="same">as requested</span>'
            if same
            else (f'{esc(got)} <span class="same">requested: {esc(wanted)}</span>')
        )
        rows.append((f"Setting {key}", text))
    for report in record["guard_reports"]:
        said = "allowed" if report["allowed"] else "refused: " + ", ".join(report["categories"])
        asked_for = "" if report["requested"] == report["effective"] else f", requested {report['requested']}"
        rows.append((f"Guard on {report['stage']}", esc(f"{report['effective']}{asked_for}: {said}")))
    rows += [("Note", esc(note)) for note in made["notes"]]
    if made["versions"]:
        rows.append(("Versions", esc(", ".join(f"{key} {value}" for key, value in made["versions"].items()))))
    links = [("source.mp4", "simulated video"), ("augmented.mp4", "augmented video"), ("clip.json", "record")]
    linked = " · ".join(f'<a href="{quote(f"{folder}/{name}")}">{text}</a>' for name, text in links)
    rows.append(("Files", f"{linked}, {len(record['files']) + 1} in all, each with its SHA-256"))
    aside = esc(f"{made['model']} · seed {request['seed']}")
    return (
        f'<details><summary>Provenance<span class="aside">{aside}</span></summary>'
        f'<div class="body">{facts(rows)}</div></details>'
    )


def _other_attempt(clip: ClipView, folder: str, record: Mapping[str, Any], images: Mapping[str, str]) -> str:
    status = "accepted" if record["accepted"] else "rejected"
    keys = clip.other_pictures.get(folder, {})
    pair = ""
    if keys:
        name = f"attempt {record['attempt']}"
        figures = "".join(
            f"<figure>{picture(keys[key], '', f'{name}, {text}', images)}<figcaption>{text}</figcaption></figure>"
            for key, text in (("source", "Simulated"), ("augmented", "Augmented"))
        )
        pair = f'<div class="pair">{figures}</div>'
    why = record["verdict"]["rationale"]
    return (
        f'<details><summary>Attempt {record["attempt"]}, {status}<span class="aside">{esc(why)}</span></summary>'
        f'<div class="body">{pair}{_judgement(record)}'
        f'<div class="more">{_provenance(folder, record)}</div></div></details>'
    )


__all__ = ["ClipView", "captions", "render_clip"]
