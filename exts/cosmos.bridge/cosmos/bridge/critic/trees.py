"""Learnt odds: a logistic regression and boosted trees, whose log odds are averaged; NumPy alone evaluates them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosmos.bridge.errors import ModelWeightsError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Line:
    """A logistic regression of features that were standardised and clipped; what is unknown counts as usual."""

    usual: np.ndarray
    """Mean of each feature among good clips, float64, shape [N]."""
    spread: np.ndarray
    """Its standard deviation there, > 0, shape [N]."""
    most: float
    """Standard deviations beyond which a feature says no more."""
    offset: float
    """Log odds where all features are usual [nats]."""
    weights: np.ndarray
    """Log odds for one standard deviation of each [nats], shape [N]."""

    def log_odds(self, rows: np.ndarray) -> np.ndarray:
        """Weigh features, float64 [M, N], NaN where unknown; returns [nats], shape [M]."""
        return np.asarray(self.offset + self.standard(rows) @ self.weights)

    def standard(self, rows: np.ndarray) -> np.ndarray:
        """Return features in standard deviations from what is usual, clipped, shape [M, N]."""
        off = (rows - self.usual) / self.spread
        return np.clip(np.where(np.isnan(off), 0.0, off), -self.most, self.most)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Forest:
    """Regression trees whose values are added up (Friedman 2001, gradient boosting); arrays of all nodes together.

    A leaf is its own child on both sides, so that a walk may go on until the deepest tree has ended.
    """

    offset: float
    """Log odds before any tree [nats]."""
    roots: np.ndarray
    """Node at which each tree begins, int64, shape [T]."""
    feature: np.ndarray
    """Feature that a node asks, int64, shape [K]."""
    threshold: np.ndarray
    """Up to it a row goes left, float64, shape [K]."""
    unknown_left: np.ndarray
    """Whether a row goes left where the feature is unknown, bool, shape [K]."""
    left: np.ndarray
    """Next node, int64, shape [K]."""
    right: np.ndarray
    """Next node, int64, shape [K]."""
    value: np.ndarray
    """What a leaf adds [nats], float64, shape [K]; 0 for other nodes."""

    def log_odds(self, rows: np.ndarray) -> np.ndarray:
        """Walk all trees for features, float64 [M, N], NaN where unknown; returns [nats], shape [M]."""
        flat, first = np.ascontiguousarray(rows, np.float64).ravel(), (np.arange(len(rows)) * rows.shape[1])[:, None]
        at = np.broadcast_to(self.roots, (len(rows), len(self.roots)))
        while True:
            asked = flat.take(self.feature.take(at) + first)
            down = (asked <= self.threshold.take(at)) | (np.isnan(asked) & self.unknown_left.take(at))
            there = np.where(down, self.left.take(at), self.right.take(at))
            if np.array_equal(there, at):
                return np.asarray(self.offset + self.value.take(at).sum(axis=1))
            at = there


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Learnt:
    """The odds of some faults against there being none, each by the mean of a `Line` and a `Forest`."""

    names: tuple[str, ...]
    """Names of the features."""
    kinds: Mapping[str, tuple[Line, Forest]]
    """Fault -> how it is weighed."""
    reason: str
    """What it was learnt from, and with what."""

    def log_odds(self, kind: str, measured: list[Mapping[str, float]]) -> np.ndarray:
        """Weigh what was measured of some things.

        Args:
            kind: One of ``kinds``.
            measured: Feature -> value, NaN where unknown, of each thing; more than ``names`` may be there.

        Returns:
            Log odds of the fault [nats], float64, one a thing.

        Raises:
            KeyError: If a feature is missing.
        """
        rows = np.array([[row[name] for name in self.names] for row in measured], np.float64)
        if not len(rows):
            return np.zeros(0)
        line, forest = self.kinds[kind]
        return 0.5 * (line.log_odds(rows) + forest.log_odds(rows))

    def slopes(self, kind: str) -> dict[str, float]:
        """Return how the regression of a fault alone changes with each feature [nats per unit of it]."""
        line, _ = self.kinds[kind]
        return dict(zip(self.names, (line.weights / line.spread).tolist(), strict=True))

    def any_odds(self, kinds: tuple[str, ...], measured: list[Mapping[str, float]]) -> tuple[np.ndarray, list[str]]:
        """Return the log odds of there being any of some faults that exclude each other, and the likeliest of them."""
        odds = np.stack([self.log_odds(kind, measured) for kind in kinds])
        likeliest = [kinds[i] for i in odds.argmax(axis=0).tolist()] if odds.size else []
        return np.logaddexp.reduce(odds, axis=0), likeliest

    def save(self, path: Path) -> None:
        """Write it as JSON that `load` reads; all numbers but thresholds keep six digits."""
        kinds = {kind: {"line": _plain(line), "forest": _plain(forest)} for kind, (line, forest) in self.kinds.items()}
        text = json.dumps({"reason": self.reason, "names": self.names, "kinds": kinds}, separators=(",", ":"))
        path.write_text(text.replace("},", "},\n") + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Learnt:
        """Read what `save` wrote.

        Raises:
            ModelWeightsError: If the file is missing or damaged.
        """
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            kinds = {
                kind: (Line(**_arrays(parts["line"])), Forest(**_arrays(parts["forest"])))
                for kind, parts in told["kinds"].items()
            }
            return cls(names=tuple(told["names"]), kinds=kinds, reason=str(told["reason"]))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ModelWeightsError(f"{path} holds no learnt odds ({error}); install the package again.") from error


def _plain(part: Line | Forest) -> dict[str, Any]:
    values = {name: getattr(part, name) for name in type(part).__slots__}
    return {
        name: value if isinstance(value, (int, float)) else [_short(name, item) for item in value.tolist()]
        for name, value in values.items()
    }


def _short(name: str, value: float) -> float:
    """Shorten a number; not a threshold, on which what was learnt from may lie."""
    if not isinstance(value, float):
        return int(value)
    return value if name == "threshold" else float(f"{value:.6g}")


def _arrays(told: Mapping[str, Any]) -> dict[str, Any]:
    kept = {"unknown_left": bool}
    return {
        name: value if isinstance(value, (int, float)) else np.array(value, kept.get(name))
        for name, value in told.items()
    }


__all__ = ["Forest", "Learnt", "Line"]
