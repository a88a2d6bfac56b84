"""Measure the embedded reasoner on scene kinds that it never saw, free-running, beside chance and its own trunk.

``python tools/evaluate_reasoner.py --plays training/plays --weights training/reasoner --clips clips/*.npz``

Plays come from make_reasoner_data.py (stages from 900000 on). ``--clips`` names good results of the Transfer model,
each an ``.npz`` with ``rgb`` [T, H, W, 3] and ``fps``; one half of them chooses the threshold, the other half counts
false alarms. Writes ``evaluation.json`` beside the weights, and threshold and claims into their configuration: an event
or a task is claimed only where the lower end of its 95 % interval is above chance; an event also where the threshold
holds, above the false alarms that remain there.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253

from cosmos.models.reason_small.sampling import SmallReasoner, load_small
from cosmos.models.reason_small.training import cut
from cosmos.models.reason_small.words import EVENTS, ORDERS, WEATHER, Answer, AnswerError, direction_of, parse, place_of

HELD_OUT = 900_000
FALSE_ALARMS = 0.02
"""Share of good clips that the threshold may refuse."""
EVEN = 0.5
"""Doubt from which a play is told to be impossible while it is measured; no threshold of a critic is lower."""
_CONDITIONS = {"clear-day": "clear", "fog": "fog", "rain": "rain", "snow": "snow", "night": "night"}
PUZZLES = 60
"""Most plays that the spatial puzzle is put on, in each order."""


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, 1927)."""
    if count == 0:
        return 0.0, 1.0
    z, share = 1.96, hits / count
    middle, half = share + z * z / (2 * count), z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, (middle - half) / (1 + z * z / count)), min(1.0, (middle + half) / (1 + z * z / count))


def share(hits: Sequence[bool], chance: float) -> dict[str, Any]:
    """Return a share with its interval, beside chance."""
    low, high = wilson(sum(hits), len(hits))
    return {"count": len(hits), "share": sum(hits) / max(1, len(hits)), "interval": [low, high], "chance": chance}


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
            "claimed": found["interval"][0] > alarms["interval"][1],
        }
    every = details([(answers[row], facts[row]) for row in np.flatnonzero(said & ~calm)])
    true = [f"{fact['colour']} {fact['shape']}" for fact in facts]
    every["thing"]["chance"] = max(true.count(name) for name in set(true)) / len(true)
    answered = {"doubts": doubt.tolist(), "says": said.tolist()}
    return {"events": table, "false_alarms": alarms, "all": every, "confusion": confusion, "each": answered}


def details(found: Sequence[tuple[Answer | None, dict[str, Any]]]) -> dict[str, Any]:
    """Return how often what was found has its right name, thing, place and frame."""
    pairs = [(answer, fact) for answer, fact in found if answer is not None]
    return {
        "named": share([answer.event == fact["event"] for answer, fact in pairs], 1.0 / 6.0),
        "thing": share([answer.thing == f"{fact['colour']} {fact['shape']}" for answer, fact in pairs], 1.0 / 32.0),
        "place": share([answer.place == place_of(fact["at"]) for answer, fact in pairs], 1.0 / 6.0),
        "frame": share([abs(answer.frame - fact["frame"]) <= 1 for answer, fact in pairs], 3.0 / 8.0),
    }


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
    """Measure the weather question; the mean over the kinds of weather that there are counts, chance is even."""
    answers, _ = written(reasoner, clips, "weather")
    there = [kind for kind in WEATHER if kind in kinds]
    by_kind = {}
    for kind in there:
        hits = [
            answer is not None and answer.verdict == kind
            for answer, true in zip(answers, kinds, strict=True) if true == kind
        ]  # fmt: skip
        by_kind[kind] = share(hits, 1.0 / len(WEATHER))
    mean = sum(told["share"] for told in by_kind.values()) / len(there)
    return {
        "count": len(kinds), "share": mean, "interval": mean_interval(list(by_kind.values())),
        "chance": 1.0 / len(WEATHER), "kinds": by_kind,
    }  # fmt: skip


def mean_interval(told: Sequence[dict[str, Any]]) -> list[float]:
    """Return the 95 % interval of the mean of independent shares, spread as if each had two hits and misses more."""
    likely = [(row["share"] * row["count"] + 2.0) / (row["count"] + 4.0) for row in told]
    spread = sum(p * (1.0 - p) / (row["count"] + 4.0) for p, row in zip(likely, told, strict=True))
    middle, half = sum(row["share"] for row in told) / len(told), 1.96 * math.sqrt(spread) / len(told)
    return [max(0.0, middle - half), min(1.0, middle + half)]


def painted(reasoner: SmallReasoner, paths: Sequence[Path]) -> dict[str, Any] | None:
    """Measure the weather question on results of the Transfer model whose names end in the condition asked for."""
    clips, kinds = [], []
    for path in paths:
        kind = _CONDITIONS.get(path.stem.rsplit("_", 1)[-1])
        if kind is None:
            continue
        with np.load(path) as stored:
            frames, fps = stored["rgb"], float(stored["fps"])
        window = reasoner.windows(len(frames), fps, 1)[0]
        clips.append(reasoner.shrink(frames[list(window.frames)])[0].numpy().transpose(0, 2, 3, 1))
        kinds.append(kind)
    return weather(reasoner, np.stack(clips), kinds) if clips else None


def caption(reasoner: SmallReasoner, clips: np.ndarray, facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Measure captions of possible plays, slot by slot; chance is the most frequent answer of each slot."""
    rows = [index for index, fact in enumerate(facts) if fact["event"] == "none"]
    answers, _ = written(reasoner, clips[rows], "caption")
    verbs = {"rest": "rests", "roll": "rolls", "drop": "falls", "throw": "flies", "push": "pushes"}
    truth = [
        (facts[row]["colour"], facts[row]["shape"], verbs[facts[row]["motion"]], direction_of(facts[row]["way"]))
        for row in rows
    ]
    slots = {}
    for number, slot in enumerate(("colour", "shape", "motion", "direction")):
        told = [answer.caption.split()[1 + number] if answer is not None else "" for answer in answers]
        true = [words[number] for words in truth]
        most = max(true.count(word) for word in set(true)) / len(true)
        slots[slot] = share([a == b for a, b in zip(told, true, strict=True)], most)
    low = all(told["interval"][0] > told["chance"] for told in slots.values())
    return {"slots": slots, "claimed": low}


def good_clips(reasoner: SmallReasoner, paths: Sequence[Path], claims: Sequence[str]) -> np.ndarray:
    """Return the highest doubt of each good clip, where the words name a claimed event; else 0."""
    worst = []
    for path in paths:
        with np.load(path) as stored:
            frames, fps = stored["rgb"], float(stored["fps"])
        doubt = 0.0
        for window in reasoner.windows(len(frames), fps, 12):
            texts, doubts = reasoner.write(reasoner.shrink(frames[list(window.frames)]), "physics", 0.0)
            answer = read("physics", texts[0])
            if answer is None or answer.event in claims:
                doubt = max(doubt, doubts[0])
        worst.append(doubt)
    return np.array(worst)


def lines_of(told: dict[str, Any]) -> list[str]:
    """Return the measures as a Markdown table."""
    calm = told["physics"]["false_alarms"]
    lines = [
        "| task | plays | right | 95 % interval | chance | claimed |",
        "|---|---|---|---|---|---|",
        f"| possible said of possible | {calm['count']} | {1.0 - calm['share']:.0%} | "
        f"{1.0 - calm['interval'][1]:.0%} to {1.0 - calm['interval'][0]:.0%} | 50 % | |",
    ]
    rows = {f"impossible said of {event}": row for event, row in told["physics"]["events"].items()}
    rows |= {f"found: its {name}": told["physics"]["all"][name] for name in ("named", "thing", "place", "frame")}
    rows |= {name: told[name] for name in ("time", "order", "weather")}
    rows |= {"weather, in results of Transfer": told["painted weather"]} if told["painted weather"] else {}
    rows |= {f"caption: {slot}": row for slot, row in told["caption"]["slots"].items()}
    for name, row in rows.items():
        key = name.rsplit(" ", 1)[-1] if name.startswith(("impossible", "found: its thing")) else name
        key = key.split(":")[0].split(",")[0]
        low, high = row["interval"]
        claimed = "yes" if key in told["claims"] else "" if key == "found" else "no"
        right = f"{row['share']:.0%} | {low:.0%} to {high:.0%}"
        lines.append(f"| {name} | {row['count']} | {right} | {row['chance']:.0%} | {claimed} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plays", type=Path, default=Path("training/plays"))
    parser.add_argument("--weights", type=Path, default=Path("training/reasoner"))
    parser.add_argument("--clips", type=Path, nargs="*", default=[])
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
        "caption": lambda: caption(reasoner, clips, facts),
    }
    for name, measure in measures.items():
        told[name] = measure()
        print(f"{name}: {json.dumps(told[name])[:400]}", flush=True)
    claims = [event for event, row in told["physics"]["events"].items() if row["claimed"]]
    claims += ["physics"] if claims else []
    thing = told["physics"]["all"]["thing"]
    claims += ["thing"] if thing["interval"][0] > 0.5 else []  # a finding that names it is to be right mostly
    told["painted weather"] = painted(reasoner, args.clips)
    claims += [name for name in ("time", "order") if told[name]["interval"][0] > told[name]["chance"]]
    weathers = [row for row in (told["weather"], told["painted weather"]) if row is not None]
    claims += ["weather"] if all(row["interval"][0] > row["chance"] for row in weathers) else []
    claims += ["caption"] if told["caption"]["claimed"] else []
    doubts, bar = good_clips(reasoner, args.clips, claims), EVEN
    if len(doubts):
        highest = float(np.quantile(doubts[::2], 1.0 - FALSE_ALARMS, method="higher"))
        bar = min(0.99, max(EVEN, highest + 0.01))
        told["good_clips"] = share([bool(value >= bar) for value in doubts[1::2]], FALSE_ALARMS)
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
