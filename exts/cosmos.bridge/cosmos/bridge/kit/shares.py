"""How much of a camera's picture each semantic class covers, read while the application draws. Main thread only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

import numpy as np

from cosmos.bridge.kit import compat
from cosmos.bridge.kit.pool import is_warp
from cosmos.bridge.sources.identities import compact, id_of_key, label_of

WIDTH = 320
"""Columns of the small picture that is counted [px]."""
PERIOD = 30
"""Updates of the application between two counts; nothing is drawn in between."""
_READ = 2
"""Updates after drawing began when the picture is there."""
_NOTHING = ("BACKGROUND", "UNLABELLED")


class LiveShares:
    """Counts the classes in sight of one camera, in a small render product of its own."""

    def __init__(self) -> None:
        self._camera, self._updates = "", 0
        self._annotator: Any = None
        self._product: Any = None

    @property
    def camera(self) -> str:
        """Prim path of the camera that is followed; empty for none."""
        return self._camera

    def follow(self, camera: str, size: tuple[int, int] = (704, 1280)) -> None:
        """Count in another camera's picture from now on.

        Args:
            camera: Prim path; empty for none.
            size: Height and width of the pictures that will be captured [px]; their proportions count.
        """
        if camera == self._camera:
            return
        self.close()
        if not camera:
            return
        make = compat.need("omni.replicator.core.create.render_product")
        height = max(1, round(WIDTH * size[0] / size[1]))
        self._camera, self._updates = camera, 0
        self._product = make(camera, (WIDTH, height), force_new=True, name="CosmosBridgeShares")
        params = {"colorize": False}
        self._annotator = compat.get_annotator("semantic_segmentation", init_params=params, device="cpu")
        self._annotator.attach(self._product)

    def poll(self) -> Optional[dict[str, float]]:
        """Return class -> share of the picture in [0, 1] once every `PERIOD` updates, ``None`` in between.

        What carries no label is not in it, so the shares sum to less than 1; a pixel of two labels counts for both.
        """
        if self._annotator is None:
            return None
        phase, self._updates = self._updates % PERIOD, self._updates + 1
        if phase == 0:
            self._product.hydra_texture.set_updates_enabled(True)
        if phase != _READ:
            return None
        shares = count_shares(self._annotator.get_data())
        if shares is not None:
            self._product.hydra_texture.set_updates_enabled(False)
        return shares

    def drop(self) -> None:
        """Give up after a fault: the product goes, and the annotator's nodes with it."""
        product = self._product
        self.forget()
        if product is not None:
            product.destroy()

    def forget(self) -> None:
        """Let go without a word to Replicator, whose graph died with the stage."""
        self._camera, self._annotator, self._product = "", None, None

    def close(self) -> None:
        """Take annotator and product away; safe to call twice."""
        annotator, product = self._annotator, self._product
        self.forget()
        if annotator is not None:
            annotator.detach()
        if product is not None:
            product.destroy()


def count_shares(reading: Any) -> Optional[dict[str, float]]:
    """Return class -> share of the pixels of what ``semantic_segmentation`` gave; ``None`` where it is no picture yet.

    Args:
        reading: ``{"data": ids, "info": {"idToLabels": ...}}``, or ``None`` as Replicator gives after an error.
    """
    if not isinstance(reading, Mapping) or reading.get("data") is None:
        return None
    ids = reading["data"].numpy() if is_warp(reading["data"]) else np.asarray(reading["data"])
    known = reading.get("info", {}).get("idToLabels", {})
    if ids.size == 0 or not known:
        return None
    values, places = compact(ids.astype(np.int32, copy=False).view(np.uint32))
    counts = np.bincount(places.ravel(), minlength=len(values)) / ids.size
    pixels = dict(zip(values.tolist(), counts.tolist(), strict=True))
    shares: dict[str, float] = {}
    for key, entry in known.items():
        names = {part.strip() for label in label_of(entry).values() for part in label.split(",")}
        for name in sorted(name for name in names if name and name.upper() not in _NOTHING):
            shares[name] = shares.get(name, 0.0) + pixels.get(id_of_key(key), 0.0)
    return shares


__all__ = ["PERIOD", "WIDTH", "LiveShares", "count_shares"]
