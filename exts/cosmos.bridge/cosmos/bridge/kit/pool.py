"""Memory for copies, used again and again: a copy into memory that was touched before costs no page fault."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cosmos.bridge.errors import SourceError

Slot = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """What a slot holds: one array a buffer."""

    arrays: tuple[tuple[str, tuple[int, ...], Any, str], ...]
    """(name, shape, dtype, Warp device or empty for NumPy) of each."""

    @classmethod
    def of(cls, arrays: Mapping[str, Any]) -> Layout:
        """Return the layout of arrays."""
        return cls(
            arrays=tuple(
                (name, tuple(array.shape), array.dtype, str(getattr(array, "device", "")) if is_warp(array) else "")
                for name, array in arrays.items()
            )
        )

    def allocate(self) -> Slot:
        """Return new arrays whose pages are there."""
        slot: Slot = {}
        for name, shape, dtype, device in self.arrays:
            if device:
                import warp as wp

                slot[name] = wp.zeros(shape, dtype=dtype, device=device)
            else:
                slot[name] = np.empty(shape, dtype)
                slot[name].fill(0)
        return slot


class SlotPool:
    """Slots of a bounded number, each taken by one thread and given back by another."""

    def __init__(self, limit: int) -> None:
        """Make an empty pool.

        Args:
            limit: Most slots of one layout, >= 1.
        """
        self._limit, self._changed = limit, threading.Condition()
        self._free: dict[Layout, list[Slot]] = {}
        self._made: dict[Layout, int] = {}

    def take(self, layout: Layout, *, patience: float) -> Slot:
        """Return a free slot; wait while all are taken.

        Args:
            layout: What it must hold.
            patience: Longest wait [s].

        Raises:
            SourceError: If none came free in time.
        """
        with self._changed:
            free = self._free.setdefault(layout, [])
            made = self._made.setdefault(layout, 0)
            if not free and made < self._limit:
                self._made[layout] += 1
                return layout.allocate()
            if not self._changed.wait_for(lambda: bool(free), patience):
                raise SourceError(
                    f"All {self._limit} buffers wait to be converted, and none came free in {patience:g} s; "
                    "the machine is too busy to capture."
                )
            return free.pop()

    def knows(self, layout: Layout) -> bool:
        """Return whether a slot of this layout was ever made."""
        with self._changed:
            return layout in self._made

    def give(self, layout: Layout, slot: Slot) -> None:
        """Take a slot back."""
        with self._changed:
            if self._made.get(layout):
                self._free.setdefault(layout, []).append(slot)
                self._changed.notify()

    def warm(self, layout: Layout) -> None:
        """Allocate every slot of a layout that is not there yet; slow, so not for the main thread."""
        while True:
            with self._changed:
                if self._made.setdefault(layout, 0) >= self._limit:
                    return
                self._made[layout] += 1
            self.give(layout, layout.allocate())

    def clear(self) -> None:
        """Forget all memory; slots that are out are not taken back."""
        with self._changed:
            self._free.clear()
            self._made.clear()


def is_warp(array: Any) -> bool:
    """Return whether an array is Warp's."""
    return type(array).__module__.partition(".")[0] == "warp"


__all__ = ["Layout", "Slot", "SlotPool", "is_warp"]
