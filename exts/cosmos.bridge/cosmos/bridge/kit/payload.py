"""What Replicator hands to a writer, in any of its three shapes, as one reading a render product and annotator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Optional

from cosmos.bridge.errors import SourceError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Reading:
    """What one annotator says of one frame. Borrows memory that the renderer writes over."""

    array: Any = None
    """NumPy or Warp array; ``None`` where the annotator gives values only."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """What stands beside it: ``idToLabels``, ``primPaths``, the values of ``camera_params``."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ProductPayload:
    """One frame of one render product."""

    name: str
    """Name of the product, the last part of its path; empty where the payload does not say."""
    camera: str = ""
    """Prim path of its camera; empty where the payload does not say."""
    resolution: Optional[tuple[int, int]] = None
    """Height and width [px], where the payload says."""
    readings: Mapping[str, Reading]
    """Annotator -> what it says."""


def split_payload(payload: Mapping[str, Any], annotators: Iterable[str]) -> tuple[ProductPayload, ...]:
    """Sort a payload by render product.

    Args:
        payload: What ``write()`` was given: the legacy, the annotator or the renderProduct structure.
        annotators: Names of the annotators that count.

    Returns:
        One entry a product, in the payload's order; annotators that are not there are left out.

    Raises:
        SourceError: If the payload has none of the three shapes.
    """
    names = tuple(annotators)
    if isinstance(payload.get("renderProducts"), Mapping):
        return tuple(
            _product(name, entries, entries.get("camera"), entries.get("resolution"), names)
            for name, entries in payload["renderProducts"].items()
        )
    if isinstance(payload.get("annotators"), Mapping):
        return _by_annotator(payload, names)
    return _legacy(payload, names)


def reference_time(payload: Mapping[str, Any]) -> Optional[Fraction]:
    """Return the moment of a payload [s], exact; ``None`` where it does not say."""
    moment = payload.get("reference_time")
    if moment is None:
        return None
    numerator, denominator = (int(part) for part in moment)
    return Fraction(numerator, denominator) if denominator else None


def _by_annotator(payload: Mapping[str, Any], names: tuple[str, ...]) -> tuple[ProductPayload, ...]:
    products: dict[str, dict[str, Any]] = {}
    for annotator, entries in payload["annotators"].items():
        for product, entry in entries.items():
            products.setdefault(str(product), {})[str(annotator)] = entry
    cameras, sizes = payload.get("camera") or {}, payload.get("resolution") or {}
    return tuple(
        _product(product, entries, cameras.get(product), sizes.get(product), names)
        for product, entries in products.items()
    )


def _legacy(payload: Mapping[str, Any], names: tuple[str, ...]) -> tuple[ProductPayload, ...]:
    products: dict[str, dict[str, Any]] = {}
    for key, entry in payload.items():
        annotator, _, product = str(key).partition("-")
        if annotator in names:
            products.setdefault(product, {})[annotator] = entry
    if not products:
        raise SourceError(
            f"The payload holds none of {', '.join(names)}, but {', '.join(map(str, payload)) or 'nothing'}; "
            "attach the writer itself, which asks for them."
        )
    return tuple(_product(name, entries, None, None, names) for name, entries in products.items())


def _product(
    name: str, entries: Mapping[str, Any], camera: Any, resolution: Any, names: tuple[str, ...]
) -> ProductPayload:
    size = None if resolution is None else (int(resolution[1]), int(resolution[0]))  # Replicator says width, height
    readings = {key: _reading(entry) for key, entry in entries.items() if key in names and entry is not None}
    return ProductPayload(name=str(name), camera=str(camera or ""), resolution=size, readings=readings)


def _reading(entry: Any) -> Reading:
    if not isinstance(entry, Mapping):
        return Reading(array=entry)
    if "data" not in entry:
        return Reading(info=dict(entry))
    beside = entry["info"] if isinstance(entry.get("info"), Mapping) else entry
    return Reading(array=entry["data"], info={key: value for key, value in beside.items() if key != "data"})


__all__ = ["ProductPayload", "Reading", "reference_time", "split_payload"]
