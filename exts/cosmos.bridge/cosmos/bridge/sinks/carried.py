"""What became of each label, as plain values that stand beside it."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from cosmos.bridge.sinks.files import plain
from cosmos.bridge.types import LABEL_STATES, CarriedLabel, CarriedLabels

UNKNOWN = {"state": "unknown", "check": None, "score": None}
"""What stands beside a label that no critic looked at."""


class Carried:
    """Looks up what a verdict says of single labels.

    Args:
        labels: What the critic found; ``None`` where it does not look at labels one by one: all are unknown.
    """

    def __init__(self, labels: Optional[CarriedLabels]) -> None:
        self._labels = labels
        self._kinds = {} if labels is None else {label.kind: label for label in labels.labels}
        self._columns = {} if labels is None else {int(key): i for i, key in enumerate(labels.instances.tolist())}

    def of(self, kind: str, frame: int, instance: Optional[int] = None) -> dict[str, Any]:
        """Return state, deciding check and its score of one label; a frame's own where ``instance`` is ``None``."""
        label = self._kinds.get(kind)
        column = 0 if instance is None else self._columns.get(instance)
        if self._labels is None or label is None or column is None:
            return dict(UNKNOWN)
        check = int(label.check[frame, column])
        return {
            "state": LABEL_STATES[label.state[frame, column]],
            "check": self._labels.checks[check] if check >= 0 else None,
            "score": plain(np.round(float(label.score[frame, column]), 4)),
        }

    def over_time(self, kind: str, instance: int) -> dict[str, Any]:
        """Return what became of one label in each frame, written as in ``table``; unknown where nobody looked."""
        label, column = self._kinds.get(kind), self._columns.get(instance)
        return dict(UNKNOWN) if label is None or column is None else _row(label, column)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return label kind -> state -> number of labels, over all frames."""
        return {
            kind: {name: int((label.state == i).sum()) for i, name in enumerate(LABEL_STATES)}
            for kind, label in self._kinds.items()
        }

    def table(self) -> dict[str, Any]:
        """Return everything: the rules, and every label with state (its first letter), check and score a frame."""
        if self._labels is None:
            return {"note": "The critic does not look at labels one by one: every label is unknown.", "labels": {}}
        return {
            "convention": "state: one letter a frame (s survives, r rederive, d dropped, u unknown); check: index into "
            "checks of the one that decided, -1 for none; score: what it measured, in its unit; a kind that is "
            "written as another kind has the same of everything",
            "checks": list(self._labels.checks),
            "rules": plain(self._labels.rules),
            "labels": {label.kind: self._rows(label) for label in self._labels.labels},
        }

    def _rows(self, label: CarriedLabel) -> dict[str, Any]:
        for kind, other in self._kinds.items():
            if kind == label.kind:
                break
            if all(
                np.array_equal(getattr(label, name), getattr(other, name), equal_nan=name == "score")
                for name in ("state", "check", "score")
            ):
                return {"as": kind}
        whole = self._labels is not None and self._labels.rules[label.kind]["scope"] == "frame"
        columns: list[Optional[int]] = [None] if whole else list(self._columns)
        return {"frame" if key is None else str(key): _row(label, column) for column, key in enumerate(columns)}


def _row(label: CarriedLabel, column: int) -> dict[str, Any]:
    return {
        "state": "".join(LABEL_STATES[i][0] for i in label.state[:, column].tolist()),
        "check": plain(label.check[:, column]),
        "score": plain(np.round(label.score[:, column].astype(np.float64), 4)),
    }


__all__ = ["UNKNOWN", "Carried"]
