"""The page of the report around its clips."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import PurePath
from typing import Any

from cosmos.bridge.sinks.clip_section import ClipView, captions, render_clip
from cosmos.bridge.sinks.markup import badge, esc, facts, flatten

_OUTCOMES = ("accepted", "rejected", "refused", "failed", "pending")
_SAY = {
    "accepted": "accepted",
    "rejected": "rejected by the critic",
    "refused": "refused by a guard",
    "failed": "failed",
    "pending": "not made yet",
}


def render_page(
    manifest: Mapping[str, Any], clips: Sequence[ClipView], images: Mapping[str, str], *, pictures_left_out: int
) -> str:
    """Return the whole page.

    Args:
        manifest: As ``read_manifest`` gives it.
        clips: Every clip of the manifest.
        images: Key -> data URI of each picture.
        pictures_left_out: Clips whose pictures had no room.
    """
    templates = files("cosmos.bridge.sinks") / "templates"
    style = (templates / "report.css").read_text(encoding="utf-8")
    script = (templates / "report.js").read_text(encoding="utf-8")
    seal = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{seal}'"
    body = _hero(manifest, clips, pictures_left_out) + _index(clips, images)
    body += "".join(render_clip(clip, images) for clip in clips) + _run(manifest)
    shown = {
        clip.entry["name"]: {"pictures": clip.pictures, "captions": captions(clip)} for clip in clips if clip.frames
    }
    pictures = json.dumps({"images": images, "clips": shown}).replace("<", "\\u003c")
    version = manifest["run"].get("version", "")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{esc(_headline(manifest))} · cosmos.bridge</title><style>{style}</style></head><body>"
        f'<div class="wrap">{body}<footer>Made by cosmos.bridge {esc(version)} from manifest.json and the clip '
        "records beside this page. It loads nothing from anywhere else.</footer></div>"
        f'<script type="application/json" id="pictures">{pictures}</script><script>{script}</script></body></html>\n'
    )


def _headline(manifest: Mapping[str, Any]) -> str:
    counts = manifest["counts"]
    noun = "clip" if counts["planned"] == 1 else "clips"
    if counts["planned"] and counts["accepted"] == counts["planned"]:
        few = {1: "The clip is accepted", 2: "Both clips are accepted"}
        return few.get(counts["planned"], f"All {counts['planned']} clips are accepted")
    return f"{counts['accepted']} of {counts['planned']} {noun} accepted"


def _hero(manifest: Mapping[str, Any], clips: Sequence[ClipView], pictures_left_out: int) -> str:
    counts, run = manifest["counts"], manifest["run"]
    bar = "".join(
        f'<i class="c-{key}" style="flex-grow:{counts[key]}" title="{counts[key]} {_SAY[key]}"></i>'
        for key in _OUTCOMES
        if counts[key]
    )
    numbers = "".join(
        f"<li{'' if counts[key] else ' class=none'}><b>{counts[key]}</b>"
        f'<span><i class="dot c-{key}"></i>{_SAY[key]}</span></li>'
        for key in _OUTCOMES
    )
    terms = " + ".join(f"{counts[key]} {key}" for key in _OUTCOMES)
    made = "1 attempt was made" if counts["attempts"] == 1 else f"{counts['attempts']} attempts were made"
    tries = (
        f"{made}; {counts['rejected_attempts']} of them rejected and kept apart in rejected/."
        if counts["rejected_attempts"]
        else f"{made}, none was rejected."
    )
    notes = list(run.get("notes") or [])
    if pictures_left_out:
        notes.append(f"To keep this page small, {pictures_left_out} clips show no pictures; they are in the folders.")
    listed = "".join(f"<li>{esc(note)}</li>" for note in notes)
    return (
        f'<header class="hero"><p class="eyebrow"><b>cosmos.bridge</b>{_source_line(run, clips)}</p>'
        f'<h1>{esc(_headline(manifest))}</h1><p class="lead">{esc(_summary(clips))}</p>'
        f'<div class="tally"><div class="bar" aria-hidden="true">{bar}</div><ul class="sum">{numbers}</ul>'
        f'<p class="addsup">{counts["planned"]} planned = {terms}. {tries}</p></div>'
        + (f'<ul class="notes">{listed}</ul>' if listed else "")
        + "</header>"
    )


def _source_line(run: Mapping[str, Any], clips: Sequence[ClipView]) -> str:
    config = run.get("config")
    source = config.get("source") if isinstance(config, Mapping) else run.get("source")
    name = PurePath(source).name if isinstance(source, str) else ""
    cameras = sorted({clip.shown[1]["clip"]["camera"] for clip in clips if clip.shown})
    parts = [part for part in (name, ", ".join(cameras[:3])) if part]
    return "".join(f"<span>{esc(part)}</span>" for part in parts)


def _summary(clips: Sequence[ClipView]) -> str:
    record = next((clip.shown[1] for clip in clips if clip.shown), None)
    if record is None:
        return "No clip was made yet."
    clip, made, critic = record["clip"], record["provenance"], record["verdict"]["critic"]
    return (
        f"{clip['num_frames']} frames of {clip['width']} × {clip['height']} at {clip['fps']:g} per second. "
        f"Transfer model “{made['model']}” on {made['device']}, checked by “{critic}”."
    )


def _index(clips: Sequence[ClipView], images: Mapping[str, str]) -> str:
    if len(clips) < 2:
        return ""
    items = []
    for clip in clips:
        keys = clip.pictures.get("augmented", [])
        key = keys[len(keys) // 2] if keys else ""
        picture = f'<img src="{images[key]}" alt="" loading="lazy">' if key in images else '<div class="blank"></div>'
        items.append(
            f'<li><a href="#{esc(clip.entry["name"])}">{picture}<span class="cap"><span>{esc(clip.title)}</span>'
            f"{badge(clip.entry['status'])}</span></a></li>"
        )
    return f'<nav aria-label="Clips"><ul class="index">{"".join(items)}</ul></nav>'


def _run(manifest: Mapping[str, Any]) -> str:
    run = manifest["run"]
    command = run.get("command") or ""
    command = command if isinstance(command, str) else " ".join(str(word) for word in command)
    shown = ""
    if command:
        shown = (
            '<p class="prompt">The same request on the same model revision gives the same pixels.</p>'
            '<div class="cmd"><button type="button" class="copy">Copy</button>'
            f"<pre><code>{esc(command)}</code></pre></div>"
        )
    groups = []
    for key, title in (("source", "Source"), ("config", "Settings")):
        rows = flatten(run.get(key)) if run.get(key) else []
        if rows:
            body = facts([(name, esc(text)) for name, text in rows if name] or [("source", esc(rows[0][1]))])
            groups.append(f'<details><summary>{title}</summary><div class="body">{body}</div></details>')
    return f'<section class="run"><h2>Reproduce this run</h2>{shown}<div class="more">{"".join(groups)}</div></section>'


__all__ = ["render_page"]
