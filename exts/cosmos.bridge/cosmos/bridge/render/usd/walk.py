"""One walk over a stage: which prims are drawn, shine or look, and what they inherit on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.render.usd.gprims import SIZES
from cosmos.bridge.render.usd.labels import Labels, direct_labels, inherit
from cosmos.bridge.render.usd.lights import is_light
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.shapes import SHAPES

if TYPE_CHECKING:
    from pxr import Usd

    from cosmos.bridge.types import Progress


_UNDRAWN = ("NurbsPatch", "TetMesh", "Volume", "ParticleField3DGaussianSplat")

TOLD_EVERY = 5000
"""Prims between two calls of a progress."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Own:
    """Which properties a prim has authored; most prims of a stage have one of a few such sets."""

    primvars: frozenset[str] = frozenset()
    """Those that are primvars, which may hold for what is below too."""
    binds: bool = False
    """Whether a material binding is among them, which may do so too."""
    plain: bool = True
    """Whether none of them changes the shape of an implicit shape."""
    seen: bool = False
    """Whether its visibility or purpose is among them."""
    placed: bool = False
    """Whether xformOpOrder is among them."""
    labelled: bool = False
    """Whether labels may be among them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Traits:
    """What a prim passes on to those below it."""

    labels: Labels = field(default_factory=dict)
    """Its own and its ancestors' labels."""
    owner: str = ""
    """Path of the nearest prim at or above it that has labels of its own; empty where there is none."""
    gates: tuple[Usd.Attribute, ...] = ()
    """Visibility attributes that change with time, on it and above it."""
    moves: bool = False
    """Whether its place in the world may change with time."""
    placer: Optional[Usd.Prim] = None
    """The nearest prim at or above it that has a place of its own; ``None`` where it stands at the root."""
    hidden: bool = False
    """Whether it, or something above it, is invisible at all times."""
    purpose: str = "default"
    """Its own or inherited purpose."""
    primvars: frozenset[str] = frozenset()
    """Names of the primvars that are authored on it or above it."""
    binds: bool = False
    """Whether a material may be bound on it or above it."""
    clipped: bool = False
    """Whether value clips may give it values of properties that are not authored."""

    @property
    def drawn(self) -> bool:
        """Whether it is to be drawn at some time."""
        return not self.hidden and self.purpose in ("default", "render")


@dataclass(frozen=True, slots=True)
class Found:
    """A prim of interest, and what it inherits."""

    prim: Usd.Prim
    kind: str
    """Its type name."""
    traits: Traits
    plain: bool
    """Whether nothing is authored on it that changes the shape of an implicit shape."""


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
    cache: Any,
    notes: Notes,
    *,
    prototype: bool = False,
    progress: Optional[Progress] = None,
) -> Findings:
    """Find what is to be drawn of a stage, or of a prototype of a point instancer.

    Args:
        root: Where to start; what is above it is not inherited but for primvars and materials.
        cache: UsdGeom.XformCache at the time at which labels and static visibility are read.
        notes: Told about prims that are left out.
        prototype: Whether the root is a prototype: it counts itself, and ``over`` and ``class`` prims do too.
        progress: Told ("prims found", number, 0) now and then; what it raises ends the walk.
    """
    found = Findings()
    for number, item in enumerate(_Walk(cache, notes, prototype).visit(root)):
        if progress is not None and number % TOLD_EVERY == 0:
            progress("prims found", number, 0)
        prim, kind = item.prim, item.kind
        if kind == "Camera":
            found.cameras.append(str(prim.GetPath()))
        elif is_light(kind):
            if not item.traits.hidden:
                found.lights.append(item)
        elif not item.traits.drawn:
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


class _Walk:
    """Visits prims; asks USD for no more than what is authored, which is little on most of them."""

    def __init__(self, cache: Any, notes: Notes, prototype: bool) -> None:
        from pxr import Usd

        self._cache, self._time, self._notes, self._prototype = cache, cache.GetTime(), notes, prototype
        drawable = Usd.PrimIsActive & Usd.PrimIsLoaded if prototype else Usd.PrimDefaultPredicate
        self._predicate = Usd.TraverseInstanceProxies(drawable)
        self._known: dict[tuple[str, ...], Own] = {(): Own()}

    def visit(self, root: Usd.Prim) -> Iterator[Found]:
        """Yield each prim below the root in stage order, with what it inherits; a prototype's root too."""
        predicate, passed_on = self._predicate, self._passed_on
        if self._prototype:
            first = passed_on(_above(root), root)
            # An instancer moves the prototype's root itself.
            pending = [replace(first, traits=replace(first.traits, moves=False))]
        else:
            pending = [passed_on(Traits(), child) for child in reversed(root.GetFilteredChildren(predicate))]
        while pending:
            item = pending.pop()
            yield item
            if item.kind != "PointInstancer":
                children = item.prim.GetFilteredChildren(predicate)
                if children:
                    children.reverse()
                    traits = item.traits
                    pending.extend([passed_on(traits, child) for child in children])

    def _passed_on(self, traits: Traits, prim: Usd.Prim) -> Found:
        """Return a child with what it inherits from its parent, whose ``traits`` are given."""
        names = tuple(prim.GetAuthoredPropertyNames())
        own = self._known.get(names) or self._learn(names)
        clipped = traits.clipped or prim.HasAuthoredMetadata("clips")
        if names or clipped:
            own = _ANYTHING if clipped else own
            traits = self._changed(traits, prim, own, clipped)
        return Found(prim, str(prim.GetTypeName()), traits, own.plain)

    def _learn(self, names: tuple[str, ...]) -> Own:
        """Remember what a set of authored properties may bring."""
        known = self._known[names] = Own(
            primvars=frozenset(filter(_is_primvar, names)),
            binds=any(map(_is_binding, names)),
            plain=not any(name in SIZES for name in names),
            seen="visibility" in names or "purpose" in names,
            placed="xformOpOrder" in names,
            labelled=any(name.startswith("semantic") for name in names),
        )
        return known

    def _changed(self, traits: Traits, prim: Usd.Prim, own: Own, clipped: bool) -> Traits:
        """Return what a prim with authored properties passes on; the object of its parent's where that is the same."""
        changes: dict[str, Any] = {}
        if clipped and not traits.clipped:
            changes["clipped"] = True
        if not own.primvars <= traits.primvars:
            changes["primvars"] = traits.primvars | own.primvars
        if own.binds:
            changes["binds"] = True
        own_labels = direct_labels(prim, self._time) if own.labelled else {}
        if own_labels:
            changes |= {"labels": inherit(traits.labels, own_labels), "owner": str(prim.GetPath())}
        if own.seen:
            changes |= self._visibility(traits, prim)
        if own.placed:
            changes |= self._place(traits, prim)
        return replace(traits, **changes) if changes else traits

    def _visibility(self, traits: Traits, prim: Usd.Prim) -> dict[str, Any]:
        from pxr import UsdGeom

        imageable = UsdGeom.Imageable(prim)
        changes: dict[str, Any] = {}
        if imageable:
            visibility = imageable.GetVisibilityAttr()
            if visibility.HasAuthoredValue():
                if visibility.ValueMightBeTimeVarying():
                    changes["gates"] = (*traits.gates, visibility)
                elif visibility.Get(self._time) == UsdGeom.Tokens.invisible:
                    changes["hidden"] = True
            purpose = imageable.GetPurposeAttr()
            if purpose.HasAuthoredValue():
                changes["purpose"] = str(purpose.Get())
        return changes

    def _place(self, traits: Traits, prim: Usd.Prim) -> dict[str, Any]:
        """Return how a prim with transform ops is placed; hidden where they make no transform."""
        from pxr import Tf, UsdGeom

        xformable = UsdGeom.Xformable(prim)
        if not xformable:
            return {}
        try:
            self._cache.GetLocalTransformation(prim)  # alone finds ops that are none
            moves = xformable.TransformMightBeTimeVarying()
            if traits.moves and not moves:
                moves = not xformable.GetResetXformStack()
        except Tf.ErrorException:
            self._notes.add(
                "Prims whose xformOpOrder USD cannot read are left out, with all below", str(prim.GetPath())
            )
            return {"hidden": True}
        return {"placer": prim, "moves": moves}


def _is_primvar(name: str) -> bool:
    return name.startswith("primvars:")


def _is_binding(name: str) -> bool:
    return name.startswith("material:binding")


_ANYTHING = Own(
    primvars=frozenset(("primvars:displayColor", "primvars:displayOpacity")),
    binds=True,
    plain=False,
    seen=True,
    placed=True,
    labelled=True,
)
"""What a prim may have for which value clips speak."""


def _above(root: Usd.Prim) -> Traits:
    """Return what a prototype inherits from above although it is drawn elsewhere: primvars, materials and clips."""
    names: list[str] = []
    clipped, above = False, root.GetParent()
    while above and not above.IsPseudoRoot():
        names += above.GetAuthoredPropertyNames()
        clipped = clipped or above.HasAuthoredMetadata("clips")
        above = above.GetParent()
    primvars = frozenset(filter(_is_primvar, names)) | (_ANYTHING.primvars if clipped else frozenset())
    return Traits(primvars=primvars, binds=clipped or any(map(_is_binding, names)), clipped=clipped)


__all__ = ["TOLD_EVERY", "Findings", "Found", "Traits", "walk"]
