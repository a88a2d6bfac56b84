"""Which instances of a clip are meant by a word: the ground, the walls, or things by their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from cosmos.bridge.types import Instance

_GROUND = frozenset(
    {"ground", "floor", "road", "street", "yard", "asphalt", "pavement", "sidewalk", "terrain", "parking", "lot",
     "groundplane", "plane", "slab", "driveway", "apron", "roadway", "crossing"}
)  # fmt: skip
_WALLS = frozenset({"wall", "building", "house", "facade", "shed", "hall", "tower", "barn", "warehouse", "skyscraper"})
_NO_WALL = frozenset(
    {"roof", "window", "door", "glass", "plinth", "canopy", "truss", "beam", "gutter", "sign", "seal", "ceiling",
     "frame", "chimney", "balcony", "shutter", "floor", "railing", "stair", "light", "lamp", "dockseal", "dockdoor"}
)  # fmt: skip
_UNPAINTED = frozenset(
    {"wheel", "tyre", "tire", "rim", "glass", "window", "windshield", "windscreen", "lamp", "light", "headlight",
     "taillight", "plate", "chrome", "mirror", "grille", "driver", "seat", "interior", "head", "hair", "hand", "face",
     "skin", "cable", "hose", "screen", "lens"}
)  # fmt: skip
_KINDS = {"vehicle": frozenset({"car", "van", "truck", "bus", "lorry", "forklift"}), "house": frozenset({"building"})}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_LARGE = 2.2
"""Height and width from which an unlabelled thing may be a wall [m]."""


def words_of(name: str) -> list[str]:
    """Return the words of a label or a prim's name, in lower case and in the singular."""
    from cosmos.models.embedded.wish_reading import singular

    return [singular(word.lower()) for word in _WORD.findall(name)]


def part_of(instance: Instance) -> list[str]:
    """Return the words of the last part of an instance's path."""
    return words_of(instance.prim_path.rpartition("/")[2])


def is_named(instance: Instance, noun: str) -> bool:
    """Whether a noun in the singular, such as "car" or "robot arm", names what an instance is a part of."""
    wanted = noun.split()
    meant = _KINDS.get(noun, frozenset()) | {noun}
    for label in instance.labels.values():
        words = words_of(label)
        if " ".join(words) in meant or (words and (words[-1] in meant or words in ([wanted[0]], [wanted[-1]]))):
            return True
    owner = words_of(instance.owner.rpartition("/")[2])
    # What has labels is what they say; a path tells of what has none, with all that stands above it.
    parts = [] if instance.labels else [words_of(part) for part in instance.prim_path.split("/")]
    return any(" ".join(words) in meant for words in (owner, part_of(instance), *parts))


def is_painted(instance: Instance) -> bool:
    """Whether a part of a thing takes its colour: wheels, panes and lamps do not."""
    return not _UNPAINTED & set(part_of(instance))


def surface_kind(instance: Instance) -> str:
    """Return what an instance may be part of: "ground", "walls", "any" (by its geometry), or ""."""
    if instance.labels:
        last = {words[-1] for words in map(words_of, instance.labels.values()) if words}
        if last & _GROUND:
            return "ground"
        return "walls" if last & _WALLS and not _NO_WALL & set(part_of(instance)) else ""
    words = set(part_of(instance))
    if words & _GROUND:
        return "ground"
    if words & _NO_WALL:
        return ""
    if words & _WALLS:
        return "walls"
    size = None if instance.bounds is None else np.ptp(instance.bounds, axis=0)
    if size is None or not np.isfinite(size).all():
        return ""
    largest = np.sort(size)
    return "any" if largest[1] >= _LARGE else ""


def has_openings(instance: Instance) -> bool:
    """Whether an instance is the front of a house, in whose picture windows may be drawn, and not just a wall."""
    return not any(words_of(label)[-1:] == ["wall"] for label in instance.labels.values())


def instance_kinds(instances: Mapping[int, Instance], nouns: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return what ``kernels.regions`` is told of each id, int32, shape [N], and the nouns that name nothing.

    Args:
        instances: Instance id -> what it is.
        nouns: Of things, in the singular; the first that names an instance has it.
    """
    from cosmos.bridge.kernels.regions import ANY, FIRST_THING, GROUND, OTHER, WALL

    of_surface = {"ground": GROUND, "walls": WALL, "any": ANY, "": OTHER}
    kinds = np.zeros(max(instances, default=0) + 1, dtype=np.int32)
    found = set()
    for key, instance in instances.items():
        kinds[key] = of_surface[surface_kind(instance)]
        noun = next((noun for noun in nouns if is_named(instance, noun)), None)
        if noun is not None:
            found.add(noun)
            kinds[key] = FIRST_THING + nouns.index(noun) if is_painted(instance) else OTHER
    return kinds, tuple(noun for noun in nouns if noun not in found)


__all__ = ["has_openings", "instance_kinds", "is_named", "is_painted", "part_of", "surface_kind", "words_of"]
