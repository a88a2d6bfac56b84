"""The drawn instances of a scene while they are gathered, one row each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cosmos.bridge.errors import SourceError
from cosmos.bridge.render.usd.labels import Labels

if TYPE_CHECKING:
    from pxr import Usd

NO_COLOR = (np.nan, np.nan, np.nan)
"""Constant colour of an instance whose mesh's colours hold."""
MOST_ROWS = 5_000_000
"""A stage that would draw more instances is refused."""

Look = tuple[int, int, tuple[float, float, float]]
"""(mesh, material that replaces the mesh's own or -1, constant colour or ``NO_COLOR``)."""


@dataclass(kw_only=True, slots=True)
class Rows:
    """What is known of each drawn instance, in id order."""

    paths: list[str] = field(default_factory=list)
    labels: list[Labels] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)
    """Path of the prim that gives each its labels, or of the point; empty without labels."""
    mesh_of: list[int] = field(default_factory=list)
    material_of: list[int] = field(default_factory=list)
    color_of: list[tuple[float, float, float]] = field(default_factory=list)
    gates: dict[str, tuple[Usd.Attribute, list[int]]] = field(default_factory=dict)
    """Path of a visibility attribute that changes -> itself and the rows below it."""

    def add(self, path: str, owner: str, labels: Labels, gates: tuple[Usd.Attribute, ...], look: Look) -> int:
        """Append one drawn instance, ``owner`` the prim that gives it its labels, and return its row."""
        row = len(self.paths)
        self.paths.append(path)
        self.labels.append(labels)
        self.owners.append(owner if labels else "")
        self.mesh_of.append(look[0])
        self.material_of.append(look[1])
        self.color_of.append(look[2])
        for gate in gates:
            self.gates.setdefault(str(gate.GetPath()), (gate, []))[1].append(row)
        return row

    def reserve(self, count: int, path: str) -> None:
        """Check that there is room for more.

        Raises:
            SourceError: If the stage would draw too many instances.
        """
        if len(self.paths) + count > MOST_ROWS:
            raise SourceError(
                f"The stage draws more than {MOST_ROWS} instances ({path} alone {count}); deactivate or hide some."
            )


__all__ = ["MOST_ROWS", "NO_COLOR", "Look", "Rows"]
