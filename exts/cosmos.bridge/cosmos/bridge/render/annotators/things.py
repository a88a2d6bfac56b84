"""Labelled things: what instance segmentation and boxes mean by an instance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from cosmos.bridge.types import Instance

FIRST = 2
"""Id of the first thing; 0 is background, 1 unlabelled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Thing:
    """The deepest labelled prim and all that is drawn below it, or one point of an instancer."""

    prim_path: str
    semantic_id: int
    labels: Mapping[str, str]
    members: tuple[int, ...]
    """Instance ids, ascending."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Things:
    """The things of a stage in the order of their first instance, so that their ids hold for all its frames."""

    items: tuple[Thing, ...]
    group_of: np.ndarray
    """Index into ``items`` of each instance id - 1; -1 for an unlabelled one, int32, shape [N]."""

    @classmethod
    def of(cls, instances: Mapping[int, Instance], counted: Callable[[Mapping[str, str]], dict[str, str]]) -> Things:
        """Group instances; ``counted`` returns the labels that count."""
        index: dict[str, int] = {}
        parts: list[tuple[str, int, dict[str, str], list[int]]] = []
        group_of = np.full(max(instances, default=0), -1, np.int32)
        for key in sorted(instances):
            instance = instances[key]
            labels = counted(instance.labels)
            if not labels:
                continue
            path = instance.owner or instance.prim_path
            if path not in index:
                index[path] = len(parts)
                parts.append((path, instance.semantic_id, labels, []))
            group_of[key - 1] = index[path]
            parts[index[path]][3].append(key)
        items = tuple(
            Thing(prim_path=path, semantic_id=semantic_id, labels=labels, members=tuple(members))
            for path, semantic_id, labels, members in parts
        )
        return cls(items=items, group_of=group_of)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def table(self) -> np.ndarray:
        """The thing of each instance id from 0: 0 background, 1 unlabelled, else index + 2; uint32, shape [N + 1]."""
        return np.concatenate(([0], np.where(self.group_of < 0, 1, self.group_of + FIRST))).astype(np.uint32)


__all__ = ["FIRST", "Thing", "Things"]
