"""``CosmosBridgeAugmentedWriter``: any other writer of Replicator, given augmented pictures instead of simulated ones.

Replicator cannot carry a picture that is made seconds later through an annotator: augmentations travel as source text
into the graph and must answer at once. So the frames of the other writer are kept until the critic has said yes, and
are then handed to it with ``rgb`` replaced and everything else as it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Optional

import numpy as np

from cosmos.bridge import __version__
from cosmos.bridge.errors import ConfigError, SourceError
from cosmos.bridge.kit import compat
from cosmos.bridge.kit.payload import reference_time
from cosmos.bridge.kit.pool import is_warp
from cosmos.bridge.kit.run_queue import QueuedRun
from cosmos.bridge.kit.take import Take
from cosmos.bridge.kit.writer import LIVE
from cosmos.bridge.runs.summary import RunSummary
from cosmos.bridge.types import Augmentation, Progress

PICTURE = ("rgb", "LdrColor")
"""Names that the picture goes by."""


class AcceptedPictures:
    """Sink that keeps the accepted pictures of a take, camera by camera, for each prompt and variant."""

    def __init__(self, take: Take) -> None:
        self.take = take
        self.looks: dict[tuple[str, str], dict[str, np.ndarray]] = {}

    def write(self, augmentation: Augmentation, progress: Optional[Progress] = None) -> None:
        """Keep an attempt that was accepted."""
        if augmentation.verdict.accepted:
            look = augmentation.tags.get("prompt", ""), augmentation.tags.get("variant", "")
            camera = augmentation.request.clip.cameras[0].prim_path
            self.looks.setdefault(look, {})[camera] = augmentation.result.rgb.numpy()

    def close(self) -> None:
        """Nothing is open; safe to call twice."""


class CosmosBridgeAugmentedWriter(compat.need("omni.replicator.core.Writer")):  # type: ignore[misc]
    """Feeds another writer with accepted pictures. Frames of takes that were not accepted whole are withheld."""

    def __init__(self, writer: str, writer_params: Optional[Mapping[str, Any]] = None, **keywords: Any) -> None:
        """Initialise; Replicator calls this through ``initialize()``.

        Args:
            writer: Name of the other writer in Replicator's registry, e.g. ``BasicWriter``.
            writer_params: What that one is initialised with.
            **keywords: Those of `CosmosBridgeWriter`.

        Raises:
            ConfigError: If that writer looks at no picture, or a keyword is refused.
        """
        self.close()
        get = compat.need("omni.replicator.core.WriterRegistry.get")
        self.inner = get(writer)
        self.inner.initialize(**dict(writer_params or {}))
        names = [entry if isinstance(entry, str) else entry.name for entry in self.inner.annotators]
        if not set(names) & set(PICTURE):
            raise ConfigError(f"{writer} looks at {', '.join(names) or 'nothing'}, but not at rgb; attach it as it is.")
        self.version, self.backend = __version__, None
        self.annotators, self.data_structure = self.inner.annotators, self.inner.data_structure
        self.withheld = 0
        self._kept: dict[Fraction, Mapping[str, Any]] = {}
        self._sinks: dict[str, AcceptedPictures] = {}
        self._ready: deque[Mapping[str, Any]] = deque()
        self._products: dict[str, str] = {}
        self.source = get("CosmosBridgeWriter")
        self.source.initialize(**keywords, on_run=self._release_take, sink_of=self._sink_of)
        self._subscription: Any = compat.on_update(self._hand_on)
        LIVE.add(self)

    def attach(self, render_products: Any, *trigger: Any, **named: Any) -> None:
        """Attach both to the same products.

        Args:
            render_products: A product, or several.
            *trigger: A trigger, as Replicator has it.
            **named: The same by name.
        """
        super().attach(render_products, *trigger, **named)
        self.source.attach(render_products, *trigger, **named)

    def detach(self) -> None:
        """Detach both; what was captured is still run and handed on."""
        source = self.__dict__.get("source")
        if source is not None:
            source.detach()
        super().detach()

    def write(self, data: Mapping[str, Any]) -> None:
        """Keep a copy of the other writer's frame.

        Raises:
            SourceError: If the payload has no time, so that nothing could be put together again.
        """
        moment = reference_time(data)
        if moment is None:
            raise SourceError("The payload has no reference_time, so its picture could not be found again.")
        self._kept[moment] = _copy(data)

    def on_final_frame(self) -> None:
        """Nothing ends here: the other writer's last frame is still to be made; `flush` tells it."""

    def flush(
        self, pump: Optional[Callable[[], None]] = None, timeout: Optional[float] = None
    ) -> tuple[RunSummary, ...]:
        """Wait until every take is run and handed on, then tell the other writer that it was all; see the source's."""
        summaries: tuple[RunSummary, ...] = self.source.flush(pump, timeout)
        while self._ready:
            self._hand_on()
        self.inner.on_final_frame()
        return summaries

    def close(self) -> None:
        """End both; frames that wait are withheld. Safe to call twice."""
        source = self.__dict__.pop("source", None)
        if source is not None:
            self._subscription = None
            source.close()
            LIVE.discard(self)
            self.withheld += len(self._ready)
            self._ready.clear()
            self._kept.clear()

    def _sink_of(self, take: Take) -> AcceptedPictures:
        self._sinks[take.name] = AcceptedPictures(take)
        return self._sinks[take.name]

    def _release_take(self, run: QueuedRun) -> None:
        """Line up the frames of a take for the other writer, once for every look that all cameras were accepted in."""
        sink = self._sinks.pop(run.name, None)
        if sink is None:
            return
        moments = sink.take.references
        frames = [self._kept.pop(moment) for moment in moments if moment in self._kept]
        whole = [pictures for pictures in sink.looks.values() if set(pictures) == set(sink.take.cameras)]
        if len(frames) != len(moments) or not whole:
            self.withheld += len(moments)
            return
        for pictures in whole:
            order = [pictures[camera] for camera in sink.take.cameras]
            for index, frame in enumerate(frames):
                self._ready.append(with_pictures(frame, [picture[index] for picture in order]))

    def _hand_on(self) -> None:
        """Give the other writer one frame an update."""
        if self._ready:
            self.inner.write(self._ready.popleft())


def with_pictures(payload: Mapping[str, Any], pictures: list[np.ndarray]) -> dict[str, Any]:
    """Return a payload whose picture of each product is another one; alpha and everything else stay.

    Args:
        payload: In any of the three structures, with arrays that may be shared.
        pictures: One a product, in the payload's order, uint8, shape [H, W, 3].

    Raises:
        SourceError: If there is another number of products.
    """
    remaining = deque(pictures)

    def exchange(entry: Any) -> Any:
        old = entry["data"] if isinstance(entry, Mapping) else entry
        host = np.array(old.numpy() if is_warp(old) else old)
        host[..., :3] = remaining.popleft()
        new: Any = host
        if is_warp(old):
            import warp as wp

            new = wp.array(host, dtype=old.dtype, device=old.device)
        return {**entry, "data": new} if isinstance(entry, Mapping) else new

    def products(entries: Mapping[str, Any]) -> dict[str, Any]:
        return {key: exchange(entry) if key in PICTURE else entry for key, entry in entries.items()}

    if isinstance(payload.get("renderProducts"), Mapping):
        made = {
            **payload,
            "renderProducts": {name: products(shown) for name, shown in payload["renderProducts"].items()},
        }
    elif isinstance(payload.get("annotators"), Mapping):
        shown = {
            name: {product: exchange(entry) for product, entry in entries.items()} if name in PICTURE else entries
            for name, entries in payload["annotators"].items()
        }
        made = {**payload, "annotators": shown}
    else:
        made = {
            key: exchange(entry) if str(key).partition("-")[0] in PICTURE else entry for key, entry in payload.items()
        }
    if remaining:
        raise SourceError(f"The frame has fewer pictures than {len(pictures)}; attach the writer anew.")
    return made


def _copy(entry: Any) -> Any:
    """Copy a payload with all its arrays."""
    if isinstance(entry, Mapping):
        return {key: _copy(value) for key, value in entry.items()}
    if isinstance(entry, np.ndarray):
        return entry.copy()
    if is_warp(entry):
        import warp as wp

        return wp.clone(entry)
    return entry


__all__ = ["AcceptedPictures", "CosmosBridgeAugmentedWriter", "with_pictures"]
