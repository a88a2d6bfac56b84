"""Ask the first voice of the critic about the plays that the embedded reasoner is measured on.

``python tools/reasoner_first_voice.py --plays training/plays --out training/first_voice.json``

The first voice holds a result against the simulator, so each play gets the truth that it lacks: the same stage with the
same bodies as physics alone moves them, drawn with every annotator. The play as it is stored is the result, asked for
by a prompt that names its weather. Whatever the play does that physics does not, the result does not keep.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.critic.consistency import ConsistencyCritic, ConsistencyOptions
from cosmos.bridge.sources.stage import StageSource
from cosmos.bridge.types import (
    Clip,
    ControlSignals,
    ControlWeights,
    Provenance,
    TransferRequest,
    TransferResult,
    Verdict,
    gather,
)
from cosmos.models.reason_small.training import cut
from cosmos.models.reason_small.words import EVENTS, ORDERS, WEATHER
from evaluate_reasoner import PUZZLES, read_plays
from make_reasoner_data import SIZE, author, kind_of
from reasoner_episodes import FRAMES, STEP
from reasoner_measures import mean_interval, share

_CALM = {"sun_elevation": 45.0, "overcast": 0.0, "fog": 0.0, "rain": 0.0, "snow": 0.0, "dust": 0.0}
ASKED = {
    "clear": ("on a clear day", _CALM),
    "fog": ("in dense fog", {**_CALM, "fog": 0.45, "overcast": 0.6}),
    "rain": ("in heavy rain", {**_CALM, "rain": 0.8, "overcast": 1.0}),
    "snow": ("in heavy snow", {**_CALM, "snow": 0.85, "overcast": 0.7}),
    "night": ("at night", {**_CALM, "sun_elevation": -12.0}),
}
"""What is asked for, by weather: in words, and as a backend of ours would record that it understood them."""
BODIES = 5
"""Bodies of a stage."""
EVERY = 3
"""Of so many plays in clear weather one is asked for by the prompt of another weather, too; of the rest each."""


def truths(facts: Sequence[dict[str, Any]]) -> Iterator[tuple[int, Clip, dict[str, str]]]:
    """Draw the truth of each play of one stage.

    Args:
        facts: Fact sheets of its plays, in their order.

    Yields:
        Index of the play in ``facts``, its clip, and the prim path of each body by its colour.
    """
    if "plays" not in facts[0]:
        raise SystemExit("These plays do not say how many their stage has; make them again with make_reasoner_data.py.")
    seed, plays = facts[0]["stage"], facts[0]["plays"]
    stage, _, looks_of = author(seed, kind_of(seed), plays, meant=True)
    paths = {colour: f"/World/Body_{slot}" for slot, (colour, _) in enumerate(looks_of)}
    source = StageSource(stage, camera="/World/Camera", frames=range(plays * FRAMES), size=SIZE, device="cpu")
    wanted = {fact["play"]: index for index, fact in enumerate(facts)}
    frames = source.read()
    for play in range(plays):
        if play in wanted:
            yield wanted[play], gather(islice(frames, FRAMES), fps=1.0 / STEP, num_frames=FRAMES), paths
        else:
            for _ in islice(frames, FRAMES):
                pass
    source.close()


def asked(critic: ConsistencyCritic, clip: Clip, rgb: np.ndarray, kind: str, weather: str) -> Verdict:
    """Return what the first voice says of pictures, uint8 [T, H, W, 3], of a kind of scene, for a weather asked for."""
    words, conditions = ASKED[weather]
    request = TransferRequest(
        clip=clip, controls=ControlSignals(signals=()), weights=ControlWeights(), prompt=f"a {kind} {words}"
    )
    made = Provenance(
        model="play", revision="1", weights_sha256="", licence="Apache-2.0", dtype="uint8", device="cpu", seconds=0.0,
        peak_bytes=0, effective={"asked": conditions},
    )  # fmt: skip
    pictures = wp.array(np.ascontiguousarray(rgb), dtype=wp.uint8, device="cpu")
    return critic.judge(request, TransferResult(rgb=pictures, provenance=made))


def first_voice(clips: np.ndarray, facts: Sequence[dict[str, Any]], puzzles: int) -> dict[str, Any]:
    """Measure the first voice on plays, question by question; each is whether it refuses, and chance is even.

    Args:
        clips: Plays, uint8 [N, T, H, W, 3].
        facts: Their fact sheets.
        puzzles: On how many of them the spatial puzzle is put, where nothing impossible happens.
    """
    heard: dict[str, list[bool]] = {f"event {event}": [] for event in ("none", *EVENTS)}
    heard |= {name: [] for name in ("thing", "frame", "forward", "backward", "order as it was", "order cut")}
    heard |= {f"weather {name} {way}": [] for name in WEATHER for way in ("true", "other")}
    for seed in dict.fromkeys(fact["stage"] for fact in facts):
        rows = [index for index, fact in enumerate(facts) if fact["stage"] == seed]
        for at, clip, paths in truths([facts[row] for row in rows]):
            row, fact = rows[at], facts[rows[at]]
            critic = ConsistencyCritic(ConsistencyOptions(protect=("/World/Body_*",)))  # it remembers what it accepted
            accepted = _hear_one(critic, clip, clips[row], fact, paths[fact["colour"]], heard)
            if row < puzzles and fact["event"] == "none":  # others it refuses in any order
                kind, weather = fact["kind"], fact["weather"]
                heard["order as it was"].append(accepted)
                for order in ORDERS[1:]:
                    heard["order cut"].append(not asked(critic, clip, cut(clips[row], order), kind, weather).accepted)
    return {"plays": len(facts), **told_of(heard)}


def _hear_one(
    critic: ConsistencyCritic, clip: Clip, rgb: np.ndarray, fact: dict[str, Any], path: str,
    heard: dict[str, list[bool]],
) -> bool:  # fmt: skip
    """Ask about one play: as it is, backwards where physics runs it one way, and by the prompt of another weather.

    Returns:
        Whether it accepts the play as it is.
    """
    kind, weather = fact["kind"], fact["weather"]
    verdict = asked(critic, clip, rgb, kind, weather)
    heard[f"event {fact['event']}"].append(verdict.accepted == (fact["event"] == "none"))
    findings = [finding for finding in verdict.findings if finding.severity == "reject"]
    if fact["event"] != "none" and findings:
        named = [finding.prim_path for finding in findings if finding.prim_path]
        heard["thing"].append(named[:1] == [path])
        heard["frame"].append(any(abs(frame - fact["frame"]) <= 1 for frame in findings[0].frames[:1]))
    if fact["event"] == "none" and fact["one_way"]:
        heard["forward"].append(verdict.accepted)
        heard["backward"].append(not asked(critic, clip, rgb[::-1], kind, weather).accepted)
    heard[f"weather {weather} true"].append(not _disobeys(verdict))
    if weather == "clear" and fact["play"] % EVERY:
        return verdict.accepted
    other = WEATHER[(WEATHER.index(weather) + 1 + fact["play"] % (len(WEATHER) - 1)) % len(WEATHER)]
    wrong = asked(critic, clip, rgb, kind, other)
    heard[f"weather {weather} other"].append(_disobeys(wrong))
    return verdict.accepted


def _disobeys(verdict: Verdict) -> bool:
    return any(finding.kind == "prompt" and finding.severity == "reject" for finding in verdict.findings)


def told_of(heard: dict[str, list[bool]]) -> dict[str, Any]:
    """Return shares of what was heard; of two-sided questions the mean of both sides."""
    told: dict[str, Any] = {event: share(heard[f"event {event}"], 0.5) for event in ("none", *EVENTS)}
    told["thing"] = share(heard["thing"], 1.0 / BODIES)
    told["frame"] = share(heard["frame"], 3.0 / FRAMES)
    sides = {
        "time": [[*heard["forward"]], [*heard["backward"]]],
        "order": [heard["order as it was"], heard["order cut"]],
        "weather": [heard[f"weather {name} {way}"] for name in WEATHER for way in ("true", "other")],
    }
    for name, parts in sides.items():
        shares = [share(part, 0.5) for part in parts if part]
        if shares:
            mean = sum(part["share"] for part in shares) / len(shares)
            count = sum(part["count"] for part in shares)
            told[name] = {"count": count, "share": mean, "interval": mean_interval(shares), "chance": 0.5}
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plays", type=Path, default=Path("training/plays"))
    parser.add_argument("--out", type=Path, default=Path("training/first_voice.json"))
    args = parser.parse_args()
    told = first_voice(*read_plays(args.plays), PUZZLES)
    args.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    for name, row in told.items():
        print(name, json.dumps(row))


if __name__ == "__main__":
    main()
