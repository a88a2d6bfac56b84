"""``cosmos-bridge judge``, ``explain`` and ``quarantine``: what a critic said of a finished run, and acting on it."""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

from cosmos.bridge.cli.augment import run_config
from cosmos.bridge.cli.console import EXIT_OK, EXIT_PARTIAL, emit, emit_json, log, make_display, quiet_warp
from cosmos.bridge.cli.remarks import usd_remarks
from cosmos.bridge.config import merge, parse_assignment
from cosmos.bridge.errors import ConfigError
from cosmos.bridge.jobs import JobProgress, JobState

_ITEM = "the clip, e.g. clip_0003, or one attempt at it, e.g. clip_0003/2"


def add_judge(commands: Any) -> argparse.ArgumentParser:
    """Declare ``judge``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "judge",
        help="judge a finished run again, also with another critic",
        description="Read the source of a run anew, judge every kept attempt, and print old and new verdicts side by "
        "side. Nothing in the folder changes. Results are read from compressed video, so scores may differ a little.",
    )
    parser.add_argument("out", metavar="DIR", help="out folder of the run")
    parser.add_argument("--critic", metavar="NAME", help="critic (default: as saved)")
    parser.add_argument(
        "--set", action="append", dest="settings", metavar="KEY=VALUE", help="a setting of that critic (critic_options)"
    )
    parser.add_argument("--device", metavar="NAME", help="device of this machine (default: as saved)")
    parser.add_argument("--json", action="store_true", help="print the verdicts as one JSON object")
    return parser


def judge(args: argparse.Namespace) -> int:
    """Run ``judge``."""
    from dataclasses import replace

    from cosmos.bridge.bridge import Bridge
    from cosmos.bridge.runs.folder import saved_config
    from cosmos.bridge.sinks.files import plain
    from cosmos.bridge.sinks.manifest import read_manifest

    quiet_warp()
    config = saved_config(Path(args.out), device=args.device)
    options: dict[str, Any] = {} if args.critic not in (None, config.critic) else dict(config.critic_options)
    for text in args.settings or []:
        options = merge(options, parse_assignment(text))
    config = config.replace(critic=args.critic or config.critic, critic_options=options)
    kept = {clip["name"]: {e["attempt"]: e for e in clip["attempts"]} for clip in read_manifest(args.out)["clips"]}
    rows: list[dict[str, Any]] = []
    changed, total, began = 0, sum(map(len, kept.values())), time.monotonic()
    display = make_display(quiet=args.json, live=False)

    def tell(stage: str, done: int, steps: int) -> None:
        progress = JobProgress(state=JobState.RUNNING, stage=stage, done=done, total=steps, clips_done=len(rows),
                               clips_total=total, seconds=time.monotonic() - began)  # fmt: skip
        display.show(progress)

    with usd_remarks(), Bridge(config) as bridge:
        for made in bridge.judge(tell):
            before, verdict = kept[made.name][made.attempt], made.verdict
            changed += before["accepted"] != verdict.accepted
            told = replace(verdict, scores=None, carried=None)
            rows.append({"clip": made.name, "attempt": made.attempt, "before": before["accepted"], **plain(told)})
            if not args.json:
                old, new = (_word(accepted) for accepted in (before["accepted"], verdict.accepted))
                scores = f"{old} {before['score']:.2f} -> {new} {verdict.score:.2f}"
                emit(f"{made.name}/{made.attempt}  {scores}  {verdict.rationale}")
    if args.json:
        emit_json({"critic": config.critic, "changed": changed, "verdicts": rows})
    else:
        differ = f"{_count(changed, 'verdict')} differ{'s' if changed == 1 else ''} from the run's"
        emit(f"{_count(len(rows), 'attempt')} judged, {differ}")
    return EXIT_PARTIAL if changed else EXIT_OK


def add_explain(commands: Any) -> argparse.ArgumentParser:
    """Declare ``explain``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "explain",
        help="say why a clip was accepted or rejected",
        description="Print every finding and number of the verdict on each attempt at a clip, and what was changed "
        "from attempt to attempt.",
    )
    parser.add_argument("out", metavar="DIR", help="out folder of the run, or of a clip in it")
    parser.add_argument("item", metavar="ITEM", nargs="?", help=_ITEM + "; needed where DIR is a run")
    parser.add_argument("--json", action="store_true", help="print the records as one JSON object")
    return parser


def explain(args: argparse.Namespace) -> int:
    """Run ``explain``."""
    from cosmos.bridge.sinks.manifest import read_clip_record, read_manifest

    out, item = (Path(args.out), args.item) if args.item is not None else _folder(Path(args.out))
    name, wanted = _item(item)
    clips = {clip["name"]: clip for clip in read_manifest(out)["clips"]}
    if name not in clips:
        raise ConfigError(f"There is no clip {name!r} in {out}; there is {', '.join(clips) or 'none'}.")
    entries = [entry for entry in clips[name]["attempts"] if wanted in (None, entry["attempt"])]
    if wanted is not None and not entries:
        known = ", ".join(str(entry["attempt"]) for entry in clips[name]["attempts"])
        raise ConfigError(f"{name} has the attempts {known or 'none'}, got {wanted}; name one of them.")
    records = [read_clip_record(out / entry["folder"]) for entry in entries]
    if args.json:
        emit_json({"clip": name, "status": clips[name]["status"], "reason": clips[name]["reason"], "attempts": records})
        return EXIT_OK
    emit(f"{name} is {clips[name]['status']}" + (f": {clips[name]['reason']}" if clips[name]["reason"] else ""))
    for entry, record in zip(entries, records, strict=True):
        _tell_attempt(entry, record)
    return EXIT_OK


def _tell_attempt(entry: dict[str, Any], record: dict[str, Any]) -> None:
    verdict = record["verdict"]
    outcome = f"{_word(entry['accepted'])}, score {verdict['score']:.2f} by {verdict['critic']}"
    emit(f"\nattempt {entry['attempt']}: {outcome}")
    told = [finding["text"] for finding in verdict["findings"]]
    for label, text in (
        ("changed", record.get("remedy", "")),
        ("released", (record.get("released") or {}).get("why", "")),
        ("because", "" if any(map(verdict["rationale"].startswith, told)) else verdict["rationale"]),
        ("folder", entry["folder"]),
    ):
        if text:
            emit(f"  {label:9} {text}")
    for finding in verdict["findings"]:
        emit(f"  {finding['severity']:9} {finding['text']}")
    wide = max((len(item["check"]) for item in verdict["measurements"]), default=0)
    for item in verdict["measurements"]:
        mark, side = "ok" if item["passed"] else "MISSED", "at least" if item["better"] == "higher" else "at most"
        value = "unknown" if item["value"] is None else f"{round(float(item['value']), 6):.3g}"
        bar = f"{side} {float(item['threshold']):.3g} {item['unit']}".rstrip()
        emit(f"  {mark:9} {item['check']:{wide}}  {value:>8}  ({bar})")


def add_quarantine(commands: Any) -> argparse.ArgumentParser:
    """Declare ``quarantine``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "quarantine",
        help="list rejected clips, try them again, or let one out by hand",
        description="Rejected clips lie apart under rejected/. list names them, retry gives them further attempts, "
        "release counts one as accepted, with your reason on record.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="rejected clips and why")
    trying = actions.add_parser("retry", help="give rejected clips further attempts")
    freeing = actions.add_parser("release", help="count a rejected clip as accepted")
    for action in (listing, trying, freeing):
        action.add_argument("out", metavar="DIR", help="out folder of the run")
        action.add_argument("--json", action="store_true", help="print the answer as one JSON object")
    trying.add_argument("clips", nargs="*", metavar="CLIP", help="clips to try again (default: all rejected ones)")
    trying.add_argument("--attempts", type=int, default=1, metavar="N", help="further attempts each (default: 1)")
    freeing.add_argument("item", metavar="ITEM", help=_ITEM + "; else that of the best score")
    freeing.add_argument("--why", required=True, metavar="TEXT", help="your reason, for the record")
    return parser


def quarantine(args: argparse.Namespace) -> int:
    """Run ``quarantine``."""
    return {"list": _list, "retry": _retry, "release": _release}[args.action](args)


def _list(args: argparse.Namespace) -> int:
    from cosmos.bridge.runs.quarantine import quarantined

    clips = quarantined(Path(args.out))
    if args.json:
        emit_json({"clips": [{"name": c.name, "reason": c.reason, "attempts": list(c.attempts)} for c in clips]})
        return EXIT_OK
    for clip in clips:
        emit(f"{clip.name}  {_count(len(clip.attempts), 'attempt')}  {clip.reason}")
        for entry in clip.attempts:
            emit(f"  {entry['folder']}  score {entry['score']:.2f}  {entry.get('remedy', '')}".rstrip())
    emit(f"{_count(len(clips), 'clip')} rejected")
    if clips:
        log(f"See why with: cosmos-bridge explain {shlex.quote(args.out)} {clips[0].name}")
        log(f"Try again with: cosmos-bridge quarantine retry {shlex.quote(args.out)}")
    return EXIT_OK


def _retry(args: argparse.Namespace) -> int:
    from cosmos.bridge.runs.quarantine import reopen

    config = reopen(Path(args.out), args.clips, more=args.attempts)
    return run_config(config, args, command=shlex.join(["cosmos-bridge", *args.argv]), resume=True)


def _release(args: argparse.Namespace) -> int:
    from cosmos.bridge.runs.quarantine import release

    name, attempt = _item(args.item)
    folder = release(Path(args.out), name, args.why, attempt=attempt)
    if args.json:
        emit_json({"clip": name, "folder": str(folder)})
    else:
        emit(f"{name} counts as accepted and lies in {folder}")
    if (Path(args.out) / "stage.usda").exists():
        log("note: The stage layer is as it was; what was released is in the dataset and the report.")
    return EXIT_OK


def _folder(folder: Path) -> tuple[Path, str]:
    """Return the run that a clip's folder lies in, and which attempt that is."""
    from cosmos.bridge.sinks.manifest import MANIFEST_NAME, read_manifest

    whole = folder.resolve()
    if (whole / MANIFEST_NAME).exists():
        clips = [clip["name"] for clip in read_manifest(whole)["clips"]]
        raise ConfigError(f"{folder} is a run; name one of its clips too: {', '.join(clips) or 'it has none'}.")
    for out in (whole.parent, whole.parent.parent):
        if (out / MANIFEST_NAME).exists():
            for clip in read_manifest(out)["clips"]:
                for entry in clip["attempts"]:
                    if out / entry["folder"] == whole:
                        return out, f"{clip['name']}/{entry['attempt']}"
    raise ConfigError(f"{folder} is no folder of a clip or of a run; give a run's folder and {_ITEM}.")


def _item(text: str) -> tuple[str, Optional[int]]:
    """Split ``clip_0003/2`` into clip and attempt."""
    name, slash, number = text.partition("/")
    if slash and not number.isdigit():
        raise ConfigError(f"ITEM is a clip, or a clip and an attempt, e.g. clip_0003/2, got {text!r}.")
    return name, int(number) if slash else None


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _word(accepted: bool) -> str:
    return "accepted" if accepted else "rejected"


JUDGE = SimpleNamespace(__name__="judge", add_parser=add_judge, run=judge)
EXPLAIN = SimpleNamespace(__name__="explain", add_parser=add_explain, run=explain)
QUARANTINE = SimpleNamespace(__name__="quarantine", add_parser=add_quarantine, run=quarantine)

__all__ = ["EXPLAIN", "JUDGE", "QUARANTINE"]
