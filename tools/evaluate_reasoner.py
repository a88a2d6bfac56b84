"""Measure the embedded reasoner on scene kinds that it never saw, free-running, beside chance and the first voice.

``python tools/evaluate_reasoner.py --plays training/plays --weights training/reasoner --clips suite/clips/*.npz``

Plays come from make_reasoner_data.py (stages from 900000 on); ``--first-voice`` names what reasoner_first_voice.py
measured on the same plays. ``--clips`` names good results of the Transfer model, as plant_faults.py keeps them or as
``rgb`` [T, H, W, 3] and ``fps``; one half of them chooses the threshold, the other half counts false alarms. Writes
``evaluation.json`` beside the weights, and threshold and claims into their configuration: an event or a task is claimed
only where the lower end of its 95 % interval is above chance; an event also where the threshold holds, above the false
alarms that remain there; colour, shape, place and frame of what is found where they are right mostly, too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253

from cosmos.models.reason_small.sampling import SmallReasoner, load_small
from cosmos.models.reason_small.training import cut, to_input
from cosmos.models.reason_small.words import (
    CAPTION,
    EVENTS,
    ORDERS,
    SETTINGS,
    WEATHER,
    Answer,
    AnswerError,
    direction_of,
    parse,
    place_of,
)
from make_reasoner_data import setting_of
from reasoner_measures import mean_interval, most_frequent, share

FALSE_ALARMS = 0.02
"""Share of good clips that the threshold may refuse."""
CAREFUL = 0.013
"""Share of those that choose the threshold which lie above it, so that the other share holds on fresh ones."""
EVEN = 0.5
"""Doubt from which a play is told to be impossible while it is measured; no threshold of a critic is lower."""
_CONDITIONS = {"clear-day": "clear", "fog": "fog", "rain": "rain", "snow": "snow", "night": "night"}
PUZZLES = 60
"""Most plays that the spatial puzzle is put on, in each order."""
PARTS = ("colour", "shape", "place", "frame")
"""What is told of something impossible besides the event, each claimed by itself."""


def read_plays(folder: Path) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Read the plays of held-out stages."""
    clips, facts = [], []
    for path in sorted(folder.glob("9" + "[0-9]" * 5 + ".npz")):
        with np.load(path) as stored:
            clips.extend(stored["clips"])
            facts.extend(json.loads(str(stored["facts"])))
    if not facts:
        raise SystemExit(f"There are no held-out plays in {folder}; make some with make_reasoner_data.py.")
    return np.stack(clips), facts


def written(reasoner: SmallReasoner, clips: np.ndarray, task: str) -> tuple[list[Answer | None], list[float]]:
    """Return what is answered about each clip, nothing where it is no answer, and the doubt of the trunk."""
    answers: list[Answer | None] = []
    doubts: list[float] = []
    for first in range(0, len(clips), 16):
        part = torch.from_numpy(np.ascontiguousarray(clips[first : first + 16].transpose(0, 1, 4, 2, 3)))
        texts, doubt = reasoner.write(part, task, EVEN)
        doubts.extend(doubt)
        answers.extend(read(task, words) for words in texts)
    return answers, doubts


def read(task: str, words: Sequence[str]) -> Answer | None:
    """Return an answer, or nothing for what is none."""
    try:
        return parse(task, words)
    except AnswerError:
        return None


def physics(reasoner: SmallReasoner, clips: np.ndarray, facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Measure possible against impossible where doubt is more than even, event by event; chance is 50 %."""
    answers, doubts = written(reasoner, clips, "physics")
    said = np.array([answer is not None and answer.verdict == "impossible" for answer in answers])
    doubt, events = np.array(doubts), np.array([fact["event"] for fact in facts])
    calm = events == "none"
    alarms = share(said[calm].tolist(), 0.5)
    confusion = {event: dict.fromkeys(("possible", *EVENTS, "no answer"), 0) for event in ("none", *EVENTS)}
    for event, answer in zip(events, answers, strict=True):
        confusion[event]["no answer" if answer is None else answer.event or "possible"] += 1
    table: dict[str, Any] = {}
    for event in EVENTS:
        rows = np.flatnonzero(events == event)
        found = share(said[rows].tolist(), 0.5)
        table[event] = {
            **found,
            "balanced": 0.5 * (found["share"] + 1.0 - alarms["share"]),
            "area": area(doubt[rows], doubt[calm]),
            **details([(answers[row], facts[row]) for row in rows if said[row]]),
            "claimed": found["interval"][0] > max(found["chance"], alarms["interval"][1]),
        }
    every = details([(answers[row], facts[row]) for row in np.flatnonzero(said & ~calm)])
    answered = {"doubts": doubt.tolist(), "says": said.tolist()}
    return {"events": table, "false_alarms": alarms, "all": every, "confusion": confusion, "each": answered}


def details(found: Sequence[tuple[Answer | None, dict[str, Any]]]) -> dict[str, Any]:
    """Return how often what was found has its right name, thing, place and frame; chance is the best single answer."""
    pairs = [(answer, fact) for answer, fact in found if answer is not None]
    things = [(fact["colour"], fact["shape"]) for _, fact in pairs]
    places = [place_of(fact["at"]) for _, fact in pairs]
    frames = [fact["frame"] for _, fact in pairs]
    told = [tuple(answer.thing.split()) for answer, _ in pairs]
    near = [[abs(frame - true) <= 1 for true in frames] for frame in range(8)]
    hits = {
        "named": [answer.event == fact["event"] for answer, fact in pairs],
        "colour": [said[0] == true[0] for said, true in zip(told, things, strict=True)],
        "shape": [said[1] == true[1] for said, true in zip(told, things, strict=True)],
        "thing": [said == true for said, true in zip(told, things, strict=True)],
        "place": [answer.place == true for (answer, _), true in zip(pairs, places, strict=True)],
        "frame": [abs(answer.frame - true) <= 1 for (answer, _), true in zip(pairs, frames, strict=True)],
    }
    chances = {
        "named": most_frequent([fact["event"] for _, fact in pairs]),
        "colour": most_frequent([colour for colour, _ in things]),
        "shape": most_frequent([shape for _, shape in things]),
        "thing": most_frequent(things),
        "place": most_frequent(places),
        "frame": max(sum(row) for row in near) / max(1, len(pairs)),
    }
    return {name: share(hits[name], chances[name]) for name in hits}


def area(bad: np.ndarray, good: np.ndarray) -> float:
    """Return the area under the ROC: how often a bad one scores above a good one."""
    return float((bad[:, None] > good[None]).mean() + 0.5 * (bad[:, None] == good[None]).mean())


def arrow(reasoner: SmallReasoner, clips: np.ndarray, facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Measure the arrow of time on plays that physics runs one way, each both ways."""
    rows = [index for index, fact in enumerate(facts) if fact["event"] == "none" and fact["one_way"]]
    hits = []
    for way, name in ((1, "forward"), (-1, "backward")):
        answers, _ = written(reasoner, clips[rows][:, ::way], "time")
        hits += [answer is not None and answer.verdict == name for answer in answers]
    return share(hits, 0.5)


def puzzle(reasoner: SmallReasoner, clips: np.ndarray) -> dict[str, Any]:
    """Measure the spatial puzzle, each play in each order."""
    hits = []
    for order in ORDERS:
        answers, _ = written(reasoner, np.stack([cut(clip, order) for clip in clips[:PUZZLES]]), "order")
        hits += [answer is not None and answer.verdict == order for answer in answers]
    return share(hits, 0.25)


def weather(reasoner: SmallReasoner, clips: np.ndarray, kinds: Sequence[str]) -> dict[str, Any]:
    """Measure the weather question."""
    answers, _ = written(reasoner, clips, "weather")
    return even([answer.verdict if answer is not None else "" for answer in answers], kinds)


def even(said: Sequence[str], kinds: Sequence[str]) -> dict[str, Any]:
    """Measure words for the weather; the mean over the kinds of weather that there are counts, chance is even."""
    there = [kind for kind in WEATHER if kind in kinds]
    by_kind = {}
    for kind in there:
        hits = [word == kind for word, true in zip(said, kinds, strict=True) if true == kind]
        by_kind[kind] = share(hits, 1.0 / len(WEATHER))
    mean = sum(told["share"] for told in by_kind.values()) / len(there)
    return {
        "count": len(kinds), "share": mean, "interval": mean_interval(list(by_kind.values())),
        "chance": 1.0 / len(WEATHER), "kinds": by_kind,
    }  # fmt: skip


def read_result(path: Path) -> tuple[np.ndarray, float]:
    """Read pictures, uint8 [T, H, W, 3], and frames a second of a result of the Transfer model."""
    with np.load(path) as stored:
        if "result" in stored.files:
            return stored["result"], float(json.loads(stored["about"].tobytes())["fps"])
        return stored["rgb"], float(stored["fps"])


def painted(reasoner: SmallReasoner, paths: Sequence[Path]) -> dict[str, Any] | None:
    """Measure the weather question on results of the Transfer model whose names tell the condition asked for."""
    clips, kinds = [], []
    for path in paths:
        kind = _CONDITIONS.get(path.name.split(".")[0].rsplit("_", 1)[-1])
        if kind is None:
            continue
        frames, fps = read_result(path)
        window = reasoner.windows(len(frames), fps, 1)[0]
        clips.append(reasoner.shrink(frames[list(window.frames)])[0].numpy().transpose(0, 2, 3, 1))
        kinds.append(kind)
    return weather(reasoner, np.stack(clips), kinds) if clips else None


def caption(reasoner: SmallReasoner, clips: np.ndarray, facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Measure captions of possible plays, slot by slot; chance is the most frequent answer, of the weather even."""
    rows = [index for index, fact in enumerate(facts) if fact["event"] == "none"]
    answers, _ = written(reasoner, clips[rows], "caption")
    verbs = {"rest": "rests", "roll": "rolls", "drop": "falls", "throw": "flies", "push": "pushes"}
    truth = [
        {**facts[row], "motion": verbs[facts[row]["motion"]], "direction": direction_of(facts[row]["way"])}
        for row in rows
    ]  # fmt: skip
    slots = {}
    for number, slot in enumerate(CAPTION):
        said = [answer.caption.split()[number] if answer is not None else "" for answer in answers]
        true = [fact[slot] for fact in truth]
        if slot == "weather":
            slots[slot] = even(said, true)
        else:
            slots[slot] = share([one == other for one, other in zip(said, true, strict=True)], most_frequent(true))
    low = all(told["interval"][0] > told["chance"] for told in slots.values())
    return {"slots": slots, "claimed": low}


def setting(reasoner: SmallReasoner, clips: np.ndarray, facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Measure whether the trunk tells indoors from outdoors; nothing that it writes says so."""
    true, said = [setting_of(fact) for fact in facts], []
    for first in range(0, len(clips), 16):
        part = torch.from_numpy(np.ascontiguousarray(clips[first : first + 16].transpose(0, 1, 4, 2, 3)))
        with torch.inference_mode():
            scores = reasoner.net.see(to_input(part)).readings["setting"]
        said += [SETTINGS[index] for index in scores.argmax(dim=1).tolist()]
    return share([one == other for one, other in zip(said, true, strict=True)], most_frequent(true))


def good_clips(reasoner: SmallReasoner, paths: Sequence[Path], claims: Sequence[str]) -> np.ndarray:
    """Return the highest doubt of each good clip, where the words name a claimed event; else 0."""
    worst = []
    for path in paths:
        frames, fps = read_result(path)
        doubt = 0.0
        for window in reasoner.windows(len(frames), fps, 12):
            texts, doubts = reasoner.write(reasoner.shrink(frames[list(window.frames)]), "physics", 0.0)
            answer = read("physics", texts[0])
            if answer is None or answer.event in claims:
                doubt = max(doubt, doubts[0])
        worst.append(doubt)
    return np.array(worst)


def threshold_of(doubts: np.ndarray) -> tuple[float, dict[str, Any]]:
    """Choose the bar on one half of the good clips, and count what it refuses of the other, both ways round.

    Returns:
        The bar that all of them choose, and the share of each half that the other half's bar refuses.
    """

    def bar(known: np.ndarray) -> float:
        highest = float(np.quantile(known, 1.0 - CAREFUL, method="higher"))
        return max(EVEN, highest + 0.1 * (1.0 - highest))

    refused = [*(doubts[1::2] >= bar(doubts[::2])).tolist(), *(doubts[::2] >= bar(doubts[1::2])).tolist()]
    return bar(doubts), share(refused, FALSE_ALARMS)


def lines_of(told: dict[str, Any]) -> list[str]:
    """Return the measures as a Markdown table."""
    first = told["first_voice"]
    lines = [
        "| task | plays | right | 95 % interval | chance | first voice | claimed |",
        "|---|---|---|---|---|---|---|",
    ]
    calm = told["physics"]["false_alarms"]
    low, high = calm["interval"]
    quiet = {**calm, "share": 1.0 - calm["share"], "interval": [1.0 - high, 1.0 - low]}
    rows: dict[str, tuple[dict[str, Any], str, str]] = {"possible said of possible": (quiet, "none", "")}
    for event, row in told["physics"]["events"].items():
        rows[f"impossible said of {event}"] = (row, event, event)
    for name, row in told["physics"]["all"].items():
        rows[f"found: its {name}"] = (row, name if name in ("thing", "frame") else "", name)
    rows |= {name: (told[name], name, name) for name in ("time", "order", "weather")}
    if told["painted weather"]:
        rows["weather, in results of Transfer"] = (told["painted weather"], "", "weather")
    rows["indoors or outdoors"] = (told["setting"], "", "setting")
    rows |= {f"caption: {slot}": (row, "", "caption") for slot, row in told["caption"]["slots"].items()}
    for name, (row, voice, claim) in rows.items():
        low, high = row["interval"]
        claimed = "" if claim in ("", "thing") else "yes" if claim in told["claims"] else "no"
        other = f"{first[voice]['share']:.0%}" if voice in first and first[voice]["count"] else ""
        right = f"{row['share']:.0%} | {low:.0%} to {high:.0%}"
        lines.append(f"| {name} | {row['count']} | {right} | {row['chance']:.0%} | {other} | {claimed} |")
    return lines


def claims_of(told: dict[str, Any]) -> list[str]:
    """Return what may be claimed before the threshold is known: events and tasks above chance."""
    claims = [event for event, row in told["physics"]["events"].items() if row["claimed"]]
    claims += ["physics"] if claims else []
    every = told["physics"]["all"]
    claims += ["named"] if every["named"]["interval"][0] > every["named"]["chance"] else []
    claims += [part for part in PARTS if every[part]["interval"][0] > max(0.5, every[part]["chance"])]
    claims += [name for name in ("time", "order") if told[name]["interval"][0] > told[name]["chance"]]
    weathers = [row for row in (told["weather"], told["painted weather"]) if row is not None]
    claims += ["weather"] if all(row["interval"][0] > row["chance"] for row in weathers) else []
    return [*claims, "caption"] if told["caption"]["claimed"] else claims


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plays", type=Path, default=Path("training/plays"))
    parser.add_argument("--weights", type=Path, default=Path("training/reasoner"))
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="good results of the Transfer model")
    parser.add_argument("--first-voice", type=Path, default=None, help="what reasoner_first_voice.py measured")
    args = parser.parse_args()
    torch.set_num_threads(1)
    path = args.weights / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({"claims": [], **config}, indent=2) + "\n", encoding="utf-8")
    reasoner = load_small(args.weights)
    clips, facts = read_plays(args.plays)
    told: dict[str, Any] = {"plays": len(facts), "kinds": sorted({fact["kind"] for fact in facts})}
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "physics": lambda: physics(reasoner, clips, facts),
        "time": lambda: arrow(reasoner, clips, facts),
        "order": lambda: puzzle(reasoner, clips),
        "weather": lambda: weather(reasoner, clips, [fact["weather"] for fact in facts]),
        "setting": lambda: setting(reasoner, clips, facts),
        "caption": lambda: caption(reasoner, clips, facts),
    }
    for name, measure in measures.items():
        told[name] = measure()
        print(f"{name}: {json.dumps(told[name])[:400]}", flush=True)
    told["painted weather"] = painted(reasoner, args.clips)
    told["first_voice"] = json.loads(args.first_voice.read_text(encoding="utf-8")) if args.first_voice else {}
    if told["first_voice"] and told["first_voice"]["plays"] != len(facts):
        raise SystemExit(
            f"{args.first_voice} tells of {told['first_voice']['plays']} plays, {args.plays} holds {len(facts)}; "
            "measure the first voice on the same plays with reasoner_first_voice.py."
        )
    claims, bar = claims_of(told), EVEN
    doubts = good_clips(reasoner, args.clips, claims)
    if len(doubts) > 1:
        bar, told["good_clips"] = threshold_of(doubts)
    each = told["physics"].pop("each")
    says = [said and doubt >= bar for said, doubt in zip(each["says"], each["doubts"], strict=True)]
    told["at_threshold"] = {
        event: share([hit for hit, fact in zip(says, facts, strict=True) if fact["event"] == event], 0.0)
        for event in ("none", *EVENTS)
    }
    quiet = told["at_threshold"]["none"]["interval"][1]
    claims = [name for name in claims if name not in EVENTS or told["at_threshold"][name]["interval"][0] > quiet]
    told |= {"threshold": bar, "claims": claims}
    (args.weights / "evaluation.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    path.write_text(json.dumps({**config, "threshold": bar, "claims": claims}, indent=2) + "\n", encoding="utf-8")
    print("\n".join(lines_of(told)))
    print(f"claims {', '.join(claims) or 'nothing'}; threshold {bar:.2f}", flush=True)


if __name__ == "__main__":
    main()
