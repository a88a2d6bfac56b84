"""Which labels of the source still hold on the result: the rules as data, and what they give for a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, Optional

import numpy as np

from cosmos.bridge.types import (
    LABEL_STATES,
    WHOLE_FRAME,
    CarriedLabel,
    CarriedLabels,
    Clip,
    Finding,
    Instance,
    LabelState,
    Scores,
)

_FRAME = (
    "label_moment",
    "blank_frames",
    "saturated_frames",
    "frozen_frames",
    "frame_order",
    "edges_kept",
    "frame_shift",
)
_PLACE = ("boundary_shift", "instance_kept")
_SEEN = (*_PLACE, "instance_split", "instance_shown", "instance_placed", "depth_order")
_COLOR = ("kept_color", "protected_color")
SURE: Mapping[str, tuple[float, float]] = {
    "instance_kept": (3.0, float("inf")),
    "boundary_shift": (-0.99, -0.05),
    "edges_kept": (0.6, 1.0),
    "kept_color": (0.0, 4.0),
    "protected_color": (0.0, 10.0),
}
"""Check -> range, in its unit, in which it proves a label; between that and its bar nobody knows."""
_UNKNOWN = LABEL_STATES.index("unknown")
_FAILED, _PASSED = 1, 2
"""What a check saw; 0 where it saw nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """What becomes of one kind of label."""

    scope: Literal["instance", "frame"]
    """Whether it belongs to an instance in a frame, or to a whole frame."""
    files: str
    """Where the dataset keeps it."""
    frame: tuple[str, ...] = ()
    """Checks of the frame that it needs: one that fails decides."""
    instance: tuple[str, ...] = ()
    """Checks of that instance in that frame that it needs as well."""
    proof: tuple[str, ...] = ()
    """Checks of which at least one must lie in its ``SURE`` range; without, the label is unknown."""
    passed: LabelState = "survives"
    """What it becomes where they pass."""
    failed: LabelState = "dropped"
    """What it becomes where one fails."""
    both: bool = False
    """Whether the frame before must pass as well."""
    reason: str = ""
    """Why."""


RULES: Mapping[str, Rule] = {
    "box_2d": Rule(
        scope="instance", files="boxes.json", frame=_FRAME, instance=_SEEN, proof=_PLACE,
        reason="The outline of the thing was found where the box claims it.",
    ),
    "mask": Rule(
        scope="instance", files="instance_ids/ semantic_ids/ labels.json", frame=_FRAME, instance=_SEEN, proof=_PLACE,
        reason="The outline of the thing was found where the mask ends.",
    ),
    "depth": Rule(
        scope="instance", files="depth/", frame=_FRAME, instance=_SEEN, proof=_PLACE,
        reason="Depth belongs to pixels; it holds where the thing is still on its pixels.",
    ),
    "flow": Rule(
        scope="instance", files="(motion of the source)", frame=_FRAME,
        instance=(*_SEEN, "instance_flicker", "instance_texture", "texture_swims"), proof=_PLACE, both=True,
        reason="Motion joins two frames: the thing must be in place in both and its surface must go along.",
    ),
    "box_3d": Rule(
        scope="instance", files="boxes.json", frame=_FRAME, instance=_SEEN, proof=_PLACE,
        reason="The solid box is where its picture is; the camera did not change.",
    ),
    "pose": Rule(
        scope="instance", files="boxes.json", frame=_FRAME, instance=_SEEN, proof=_PLACE,
        reason="As the solid box.",
    ),
    "action": Rule(
        scope="frame", files="(actions of the source)", frame=_FRAME, proof=("edges_kept",),
        reason="What a robot did at a moment holds where the picture shows that moment.",
    ),
    "camera": Rule(
        scope="frame", files="cameras.json", frame=_FRAME, proof=("edges_kept",),
        reason="Lens and pose hold where the picture as a whole lies on the source's outlines.",
    ),
    "class": Rule(
        scope="instance", files="labels.json", frame=_FRAME, instance=_SEEN, proof=_PLACE,
        reason="A thing that kept its outline is taken for the same thing.",
    ),
    "occlusion": Rule(
        scope="instance", files="(occlusion of the source)", frame=(*_FRAME, "invented"), instance=_SEEN, proof=_PLACE,
        failed="unknown", reason="What is invented may hide what the labels call visible.",
    ),
    "color": Rule(
        scope="instance", files="(colours of the source)", frame=_FRAME, instance=_COLOR, proof=_COLOR,
        reason="Only what must keep its colour, and did, has the colour it had.",
    ),
    "material": Rule(
        scope="instance", files="(materials of the source)", passed="dropped", failed="dropped",
        reason="The picture was repainted: what a surface is made of is not known from it.",
    ),
    "caption": Rule(
        scope="frame", files="(captions of the source)", passed="rederive", failed="rederive",
        reason="Light and weather are new; the prompt that was asked for, or a language model, must say it anew.",
    ),
}  # fmt: skip
"""Label kind -> what becomes of it."""


_TOLD = {kind: {**asdict(rule), "sure": {name: SURE[name] for name in rule.proof}} for kind, rule in RULES.items()}
"""The rules as verdicts tell them."""


def carry_over(
    clip: Clip, scores: Optional[Scores], findings: Sequence[Finding], parts: Mapping[int, int]
) -> CarriedLabels:
    """Apply the rules.

    Args:
        clip: The clip that the labels belong to.
        scores: What every check measured of every frame and instance.
        findings: What the checks concluded over the clip; a rejecting one of an instance fails it in its frames.
        parts: Instance id -> instance id that stands for the thing it is a part of, under which scores are kept.

    Returns:
        One table a label kind, over all frames and all instances that occur.
    """
    checks = tuple(dict.fromkeys(name for rule in RULES.values() for name in (*rule.frame, *rule.instance)))
    instances = np.array(sorted(key for key in parts if key != 0), np.int64)
    board = _Board(clip.num_frames, checks, scores, findings)
    ids = np.array([parts[key] for key in instances.tolist()], np.int64)
    return CarriedLabels(
        checks=checks,
        instances=instances,
        labels=tuple(board.apply(kind, rule, ids) for kind, rule in RULES.items()),
        rules=_TOLD,
    )


class _Board:
    """Scores by check, frame and thing."""

    def __init__(
        self, num_frames: int, checks: tuple[str, ...], scores: Optional[Scores], findings: Sequence[Finding]
    ) -> None:
        self._frames, self._checks = num_frames, checks
        self._known: dict[object, tuple[np.ndarray, ...]] = {}
        self._seen: dict[str, tuple[dict[int, int], np.ndarray]] = {}
        failed = [finding for finding in findings if finding.severity == "reject" and finding.check in checks]
        for check in checks:
            self._read(check, scores, [finding for finding in failed if finding.check == check])

    def _read(self, check: str, scores: Optional[Scores], failed: Sequence[Finding]) -> None:
        """Keep what a check saw of every frame and instance: nothing, a failure or a pass, and its score."""
        rows = np.zeros(0, np.int64)
        if scores is not None and check in scores.checks:
            rows = np.flatnonzero(scores.check == scores.checks.index(check))
        owners = [WHOLE_FRAME if finding.instance is None else finding.instance for finding in failed]
        told = set(owners) if scores is None else {*owners, *scores.instance[rows].tolist()}
        if not told:
            return
        column = {owner: index for index, owner in enumerate(sorted(told))}
        seen = np.zeros((self._frames, len(column), 2))
        if scores is not None:
            at = scores.frame[rows], np.searchsorted(np.array([*column], np.int64), scores.instance[rows])
            seen[(*at, 0)], seen[(*at, 1)] = 1 + scores.passed[rows], scores.value[rows]
        for finding, owner in zip(failed, owners, strict=True):
            seen[[*(finding.frames or range(self._frames))], column[owner]] = _FAILED, finding.value
        self._seen[check] = column, seen

    def _table(self, check: str, owners: list[int]) -> Optional[np.ndarray]:
        """What a check saw of some things in every frame, shape [T, N, 2]; ``None`` where it saw nothing of any."""
        column, seen = self._seen.get(check, ({}, np.zeros(0)))
        there = [place for place, owner in enumerate(owners) if owner in column]
        if not there:
            return None
        table = np.zeros((self._frames, len(owners), 2))
        table[:, there] = seen[:, [column[owners[place]] for place in there]]
        return table

    def apply(self, kind: str, rule: Rule, ids: np.ndarray) -> CarriedLabel:
        """Decide one kind of label in every frame, for every column."""
        columns = ids if rule.scope == "instance" else np.array([WHOLE_FRAME])
        things, which = np.unique(columns, return_inverse=True)
        needs = (rule.scope, rule.frame, rule.instance, rule.proof, rule.passed, rule.failed, rule.both)
        if needs not in self._known:
            self._known[needs] = tuple(table[:, which] for table in self._decide(rule, things.tolist()))
        state, check, score = self._known[needs]
        return CarriedLabel(
            kind=kind,
            state=state.astype(np.uint8),
            check=check.astype(np.int16),
            score=score.astype(np.float32),
        )

    def _decide(self, rule: Rule, things: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """State, deciding check and its score of every frame and thing: the first to fail, else the first to prove."""
        shape = (self._frames, len(things))
        if not rule.frame and not rule.instance:
            return np.full(shape, LABEL_STATES.index(rule.passed)), np.full(shape, -1), np.full(shape, np.nan)
        failed, proved = np.zeros(shape, bool), np.zeros(shape, bool)
        checks, scores = np.full((2, *shape), -1), np.full((2, *shape), np.nan)
        for late in range(1 + rule.both):
            for name in (*rule.frame, *rule.instance):
                told = self._table(name, [WHOLE_FRAME] if name in rule.frame else things)
                if told is None:
                    continue
                seen = np.zeros((*shape, 2))
                seen[late:] = told[: self._frames - late]
                fails = (seen[..., 0] == _FAILED) & ~failed
                low, high = SURE.get(name, (float("-inf"), float("inf")))
                proves = (seen[..., 0] == _PASSED) & (seen[..., 1] >= low) & (seen[..., 1] <= high) & ~proved
                proves &= name in rule.proof and late == 0
                for slot, found, known in ((0, fails, failed), (1, proves, proved)):
                    checks[slot][found], scores[slot][found] = self._checks.index(name), seen[found, 1]
                    known |= found
        state = np.where(proved, LABEL_STATES.index(rule.passed), _UNKNOWN)
        state = np.where(failed, LABEL_STATES.index(rule.failed), state)
        return state, np.where(failed, *checks), np.where(failed, *scores)


def thing_ids(parts: Sequence[Instance], things: Sequence[Instance], thing_of: np.ndarray) -> dict[int, int]:
    """Instance id -> id of the thing that it is a part of."""
    return {part.id: things[int(thing)].id for part, thing in zip(parts, thing_of.tolist(), strict=True)}


__all__ = ["RULES", "SURE", "Rule", "carry_over", "thing_ids"]
