"""Semantic labels: UsdSemantics and Replicator's older attributes, inherited and numbered as Replicator does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pxr import Usd

Labels = Mapping[str, str]
"""``{taxonomy: label}``; several labels of one taxonomy are joined by commas."""

BACKGROUND: Labels = {"class": "BACKGROUND"}
UNLABELLED: Labels = {"class": "UNLABELLED"}


def direct_labels(prim: Usd.Prim, time: Usd.TimeCode) -> dict[str, str]:
    """Return the labels authored on a prim itself, ``{taxonomy: label}``."""
    found: dict[str, str] = {}
    for schema in prim.GetPrimTypeInfo().GetAppliedAPISchemas():
        kind, _, name = str(schema).partition(":")
        if not name:
            continue
        if kind == "SemanticsLabelsAPI":
            tokens = prim.GetAttribute(f"semantics:labels:{name}").Get(time)
            labels = [str(token) for token in tokens or () if str(token)]
            if labels:
                _join(found, name, labels)
        elif kind == "SemanticsAPI":
            taxonomy = prim.GetAttribute(f"semantic:{name}:params:semanticType").Get(time)
            label = prim.GetAttribute(f"semantic:{name}:params:semanticData").Get(time)
            if taxonomy and label:
                _join(found, str(taxonomy), [part.strip() for part in str(label).split(",") if part.strip()])
    return found


def _join(found: dict[str, str], taxonomy: str, labels: Iterable[str]) -> None:
    """Add labels that are not there yet."""
    known = found[taxonomy].split(",") if taxonomy in found else []
    found[taxonomy] = ",".join([*known, *(label for label in dict.fromkeys(labels) if label not in known)])


def inherit(parent: Labels, own: Labels) -> Labels:
    """Return what holds for a prim: its own label of each taxonomy, else its parent's."""
    return {**parent, **own} if own else parent


def label_text(labels: Labels) -> str:
    """Return one text for a set of labels, independent of their order."""
    return json.dumps(dict(labels), sort_keys=True)


def number_labels(all_labels: Iterable[Labels]) -> tuple[dict[int, Labels], dict[str, int]]:
    """Number the sets of labels of a stage.

    Args:
        all_labels: Labels of each drawn instance; empty for an unlabelled one.

    Returns:
        Semantic id -> labels (0 background, 1 unlabelled, 2.. in the order of their text), and text -> semantic id.
    """
    distinct = {id(labels): labels for labels in all_labels if labels}  # most share the object of what is above them
    by_text = {label_text(labels): labels for labels in distinct.values()}
    ids: dict[int, Labels] = {0: BACKGROUND, 1: UNLABELLED}
    numbers = {label_text({}): 1}
    for text in sorted(by_text):
        numbers[text] = len(ids)
        ids[len(ids)] = by_text[text]
    return ids, numbers


__all__ = ["BACKGROUND", "UNLABELLED", "Labels", "direct_labels", "inherit", "label_text", "number_labels"]
