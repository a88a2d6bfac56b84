"""One walk over a stage: which prims are drawn, shine or look, and what they inherit on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Optional

from cosmos.bridge.render.usd.labels import Labels, direct_labels, inherit
from cosmos.bridge.render.usd.lights import is_light
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.shapes import SHAPES
from cosmos.bridge.types import Progress

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom

_UNDRAWN = ("NurbsPatch", "TetMesh", "Volume", "ParticleField3DGaussianSplat")

TOLD_EVERY = 5000
"""Prims between two calls of a progress."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A prim of interest, and what it inherits."""

    prim: Usd.Prim
    labels: Labels = field(default_factory=dict)
    """Its own and its ancestors' labels."""
    owner: str = ""
    """Path of the nearest prim at or above it that has labels of its own; empty where there is none."""
    gates: tuple[Usd.Attribute, ...] = ()
    """Visibility attributes that change with time, on it and above it."""
    moves: bool = False
    """Whether its place in the world may change with time."""
    hidden: bool = False
    """Whether it, or something above it, is invisible at all times."""
    purpose: str = "default"
    """Its own or inherited purpose."""

    @property
    def drawn(self) -> bool:
        """Whether it is to be drawn at some time."""
        return not self.hidden and self.purpose in ("default", "render")


@dataclass(kw_only=True, slots=True)
class Findings:
    """What a walk found, each list in stage order."""

    gprims: list[Found] = field(default_factory=list)
    """Meshes and implicit shapes that are drawn."""
    instancers: list[Found] = field(default_factory=list)
    """Point instancers that are drawn; what lies below them is not walked."""
    skeletons: list[Found] = field(default_factory=list)
    """Skeleton roots that are drawn."""
    lights: list[Found] = field(default_factory=list)
    """Lights that shine."""
    cameras: list[str] = field(default_factory=list)
    """Paths of all cameras, hidden ones too."""


def walk(
    root: Usd.Prim,
    time: Usd.TimeCode,
    notes: Notes,
    *,
    prototype: bool = False,
    progress: Optional[Progress] = None,
) -> Findings:
    """Find what is to be drawn of a stage, or of a prototype of a point instancer.

    Args:
        root: Where to start; what is above it is not inherited.
        time: When labels and static visibility are read.
        notes: Told about prims that are left out.
        prototype: Whether the root is a prototype: it counts itself, and ``over`` and ``class`` prims do too.
        progress: Told ("prims found", number, 0) now and then; what it raises ends the walk.
    """
    found = Findings()
    for number, item in enumerate(_visit(root, time, notes, prototype)):
        if progress is not None and number % TOLD_EVERY == 0:
            progress("prims found", number, 0)
        prim, kind = item.prim, str(item.prim.GetTypeName())
        if kind == "Camera":
            found.cameras.append(str(prim.GetPath()))
        elif is_light(prim):
            if not item.hidden:
                found.lights.append(item)
        elif not item.drawn:
            continue
        elif kind in SHAPES:
            found.gprims.append(item)
            if prim.HasAttribute("inputs:intensity"):
                notes.add("Meshes that are lights are drawn, but do not shine", str(prim.GetPath()))
        elif kind == "PointInstancer":
            found.instancers.append(item)
        elif kind in _UNDRAWN:
            notes.add(f"Prims of type {kind} are left out", str(prim.GetPath()))
        elif kind == "SkelRoot":
            found.skeletons.append(item)
    return found


def _visit(root: Usd.Prim, time: Usd.TimeCode, notes: Notes, prototype: bool) -> Iterator[Found]:
    """Yield each prim below the root in stage order, with what it inherits."""
    from pxr import Usd

    drawable = Usd.PrimIsActive & Usd.PrimIsLoaded if prototype else Usd.PrimDefaultPredicate
    predicate = Usd.TraverseInstanceProxies(drawable)
    start = Found(prim=root)
    # An instancer moves the prototype's root itself.
    pending = [replace(_inherited(start, root, time, notes), moves=False)] if prototype else []
    if not prototype:
        pending = [_inherited(start, child, time, notes) for child in reversed(root.GetFilteredChildren(predicate))]
    while pending:
        item = pending.pop()
        yield item
        if item.prim.GetTypeName() != "PointInstancer":
            children = item.prim.GetFilteredChildren(predicate)
            pending.extend(_inherited(item, child, time, notes) for child in reversed(children))


def _inherited(parent: Found, prim: Usd.Prim, time: Usd.TimeCode, notes: Notes) -> Found:
    """Return a child with what it inherits from its parent."""
    from pxr import UsdGeom

    own_labels = direct_labels(prim, time)
    gates, hidden, purpose, moves = parent.gates, parent.hidden, parent.purpose, parent.moves
    imageable = UsdGeom.Imageable(prim)
    if imageable:
        visibility = imageable.GetVisibilityAttr()
        if visibility.HasAuthoredValue():
            if visibility.ValueMightBeTimeVarying():
                gates = (*gates, visibility)
            elif visibility.Get(time) == UsdGeom.Tokens.invisible:
                hidden = True
        authored = imageable.GetPurposeAttr()
        if authored.HasAuthoredValue():
            purpose = str(authored.Get())
    xformable = UsdGeom.Xformable(prim)
    if xformable:
        motion = _motion(xformable, time)
        if motion is None:
            notes.add("Prims whose xformOpOrder USD cannot read are left out, with all below", str(prim.GetPath()))
            hidden = True
        else:
            moves = (moves and motion[0]) or motion[1]
    return Found(
        prim=prim,
        labels=inherit(parent.labels, own_labels) if own_labels else parent.labels,
        owner=str(prim.GetPath()) if own_labels else parent.owner,
        gates=gates,
        moves=moves,
        hidden=hidden,
        purpose=purpose,
    )


def _motion(xformable: UsdGeom.Xformable, time: Usd.TimeCode) -> Optional[tuple[bool, bool]]:
    """Return whether a prim stands on its parent, and whether it may move; ``None`` where its ops make no transform."""
    from pxr import Tf, UsdGeom

    if not xformable.GetXformOpOrderAttr().HasAuthoredValue():
        return True, False
    try:
        UsdGeom.XformCache(time).GetLocalTransformation(xformable.GetPrim())  # alone finds ops that are none
        return not xformable.GetResetXformStack(), xformable.TransformMightBeTimeVarying()
    except Tf.ErrorException:
        return None


__all__ = ["TOLD_EVERY", "Findings", "Found", "walk"]
