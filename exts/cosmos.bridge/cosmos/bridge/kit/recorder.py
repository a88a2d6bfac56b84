"""Copies frames on the thread that renders and converts them on another; none is lost, none is waited for long."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any, Optional

import numpy as np

from cosmos.bridge.errors import BridgeError, SourceError
from cosmos.bridge.kit.annotators import Calibration, RawFrame, copies_of, copy_into, is_empty
from cosmos.bridge.kit.payload import ProductPayload, reference_time, split_payload
from cosmos.bridge.kit.pool import Layout, SlotPool
from cosmos.bridge.kit.take import RawMoment, Surroundings, Take

PATIENCE = 30.0
"""Longest that a frame waits for a free buffer [s]; Kit's hang detector wakes after 120."""
SLOTS = 6
"""Copies of one product that may wait to be converted."""

LookAround = Callable[[tuple[str, ...], bool], Surroundings]


class Recorder:
    """Makes takes out of payloads. `record` and `cut` belong to one thread, the main one."""

    def __init__(
        self,
        annotators: tuple[str, ...],
        look_around: LookAround,
        *,
        calibration: Calibration,
        fps: Optional[float] = None,
        device: Optional[str] = None,
        first_take: int = 0,
        relight: bool = False,
    ) -> None:
        """Start with nothing captured; the converting thread starts with the first frame.

        Args:
            annotators: Names of the annotators that count.
            look_around: Tells of the stage, given the cameras and whether its layers are wanted; called at the first
                frame of each take.
            calibration: What the self-test measured.
            fps: Frames a second; ``None`` measures them.
            device: Warp device of the clips; that of the annotators when ``None``.
            first_take: Number of the first take.
            relight: Whether clips get a light probe, read from the stage's layers.
        """
        self._annotators, self._look_around = annotators, look_around
        self._calibration, self._fps, self._device, self._relight = calibration, fps, device, relight
        self._pool = SlotPool(SLOTS)
        self._work: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread: Optional[threading.Thread] = None
        self._take: Optional[Take] = None
        self._products: tuple[str, ...] = ()
        self._number = first_take
        self.skipped = 0

    @property
    def take(self) -> Optional[Take]:
        """The take that is open."""
        return self._take

    def record(self, payload: Mapping[str, Any]) -> Optional[Take]:
        """Copy one frame of every product; return the take it went to, ``None`` while the renderer warms up.

        Args:
            payload: What ``write()`` was given; nothing of it is kept.

        Raises:
            SourceError: If the payload cannot be used, or products came or went within a take; then the take is
                marked as faulty, so that it fails as a whole instead of lacking a frame.
        """
        try:
            return self._record(payload)
        except Exception as error:  # whatever it is, a frame is missing now
            if self._take is not None and self._take.fault is None:
                self._take.fault = f"{self._take.name} is not whole: {_words(error)}"
            raise

    def _record(self, payload: Mapping[str, Any]) -> Optional[Take]:
        products = split_payload(payload, self._annotators)
        if not products or any(is_empty(product) for product in products):
            if self._take is not None and self._take.count:
                raise SourceError("An empty frame came after whole ones; the renderer was disturbed, capture again.")
            self.skipped += 1
            return None
        cameras = _cameras(products)
        if self._take is None:
            self._open(products, cameras)
        take = self._take
        assert take is not None
        if take.fault is not None:
            return take
        if tuple(product.name for product in products) != self._products or cameras != take.cameras:
            raise SourceError(
                f"The take began with {', '.join(self._products) or 'one product'} and now {len(products)} products "
                "come; call next_clip() before render products are attached or detached."
            )
        frames = tuple(self._copy(product, camera) for product, camera in zip(products, cameras, strict=True))
        moment = RawMoment(index=take.count, reference=reference_time(payload), frames=frames)
        take.count += 1
        self._send(take, moment)
        return take

    def cut(self) -> Optional[Take]:
        """End the open take and return it; ``None`` where nothing was captured."""
        take, self._take = self._take, None
        if take is not None:
            self._send(take, None)
        return take

    def close(self) -> None:
        """End the thread once all is converted; safe to call twice."""
        self.cut()
        thread, self._thread = self._thread, None
        if thread is not None:
            self._work.put(None)
            thread.join()
        self._pool.clear()

    def _open(self, products: tuple[ProductPayload, ...], cameras: tuple[str, ...]) -> None:
        self._products = tuple(product.name for product in products)
        self._take = Take(
            self._number,
            self._look_around(cameras, self._relight),
            cameras,
            calibration=self._calibration,
            fps=self._fps,
            device=self._device,
            relight=self._relight,
        )
        self._number += 1

    def _copy(self, product: ProductPayload, camera: str) -> RawFrame:
        size, pictures = copies_of(product)
        layout = Layout.of(pictures)
        self._warm(layout)
        slot = self._pool.take(layout, patience=PATIENCE)
        copy_into(slot, pictures)
        boxes = product.readings.get("bounding_box_3d")
        return RawFrame(
            camera=camera,
            size=size,
            layout=layout,
            slot=slot,
            infos={name: _owned(reading.info) for name, reading in product.readings.items()},
            boxes=None if boxes is None or boxes.array is None else np.array(boxes.array),
        )

    def _warm(self, layout: Layout) -> None:
        if self._pool.knows(layout):
            return
        self._start()
        self._work.put(layout)

    def _send(self, take: Take, moment: Optional[RawMoment]) -> None:
        self._start()
        self._work.put((take, moment))

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._convert, name="cosmos-bridge-convert", daemon=True)
            self._thread.start()

    def _convert(self) -> None:
        while (item := self._work.get()) is not None:
            if isinstance(item, Layout):
                self._pool.warm(item)
                continue
            take, moment = item
            if moment is None:
                take.complete()
                continue
            try:
                if take.fault is None:
                    take.convert(moment)
            except Exception as error:  # noqa: BLE001 - told by the run of the take; the thread must live on
                take.fault = f"{take.name}, frame {moment.index}, cannot be converted: {_words(error)}"
            finally:
                for raw in moment.frames:
                    self._pool.give(raw.layout, raw.slot)


def _cameras(products: tuple[ProductPayload, ...]) -> tuple[str, ...]:
    """Return a camera path a product.

    Raises:
        SourceError: If two products show one camera.
    """
    cameras = tuple(product.camera or f"/{product.name or 'Camera'}" for product in products)
    twice = [camera for camera in cameras if cameras.count(camera) > 1]
    if twice:
        raise SourceError(f"{len(twice)} render products show {twice[0]}; attach one product a camera.")
    return cameras


def _words(error: Exception) -> str:
    """Return what an error says; one that is not ours with its name."""
    return str(error) if isinstance(error, BridgeError) else f"{type(error).__name__}: {error}"


def _owned(info: Any) -> Any:
    """Copy what stands beside an array, deep enough that the renderer can change its own."""
    if isinstance(info, Mapping):
        return {key: _owned(value) for key, value in info.items()}
    if isinstance(info, (list, tuple)):
        return [_owned(value) for value in info]
    return np.array(info) if isinstance(info, np.ndarray) else info


__all__ = ["PATIENCE", "SLOTS", "LookAround", "Recorder"]
