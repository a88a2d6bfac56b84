"""Messages between a model's worker and its owner: plain text over a pipe, arrays through shared memory.

Nothing is pickled, so that the two may run different versions of Python and NumPy, and a message can make nothing but
the types of `cosmos.bridge.types`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from multiprocessing.connection import Connection
from typing import Any, Optional

import numpy as np

from cosmos.bridge import types
from cosmos.bridge.errors import ModelError
from cosmos.bridge.transfer.worker.cuda import CudaShare
from cosmos.bridge.transfer.worker.memory import SharedBlock

_TYPES = {name: getattr(types, name) for name in types.__all__ if isinstance(getattr(types, name), type)}
_MARK = "!"


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One thing said."""

    kind: str
    """What it is about."""
    epoch: int
    """Which of the workers of one model, one after the other, it comes from or is for."""
    number: int
    """Request that it belongs to; no two requests of an epoch share one."""
    body: Any
    """What is said."""
    end: int = 0
    """Where its arrays end in the shared memory [bytes]."""


class Wire:
    """One end of the line between a worker and its owner.

    Args:
        pipe: Carries texts both ways.
        outgoing: Arrays of what is sent; written here alone.
        incoming: Arrays of what is received; written by the other end alone.
        borrow: Leave received arrays where the other end put them, valid until it sends again, instead of copying them.
    """

    def __init__(
        self,
        pipe: Connection,
        outgoing: SharedBlock,
        incoming: SharedBlock,
        *,
        borrow: bool = False,
    ) -> None:
        self.pipe, self._out, self._in, self._borrow = pipe, outgoing, incoming, borrow
        self.probe: Optional[types.LightProbe] = None
        """Light probe of a received clip that has one at the other end."""
        self.device = "cpu"
        """Warp device that received arrays are brought to."""
        self.share = CudaShare()
        """Hands CUDA arrays over without the host, where both ends can."""

    def send(self, kind: str, body: Any, *, epoch: int, number: int, after: int = 0) -> int:
        """Send a message; return where its arrays end in the shared memory [bytes].

        Args:
            kind: What it is about.
            body: Scalars, tuples, mappings, arrays, and dataclasses of `cosmos.bridge.types`.
            epoch: See `Message`.
            number: See `Message`.
            after: First byte of the shared memory that may be written; what lies before is still read.

        Raises:
            ModelError: If the body holds what cannot be sent.
            OSError: If the other end is gone.
        """
        if not after:
            self.share.let_go()
        arrays: list[np.ndarray] = []
        plain = self._pack(body, arrays)
        places, end = self._out.put(arrays, after)
        held = [[str(a.dtype.str), a.shape, place] for a, place in zip(arrays, places, strict=True)]
        told = {"kind": kind, "epoch": epoch, "number": number, "body": plain, "arrays": held, "end": end}
        self.pipe.send_bytes(json.dumps(told).encode())
        return end

    def receive(self) -> Message:
        """Wait for the next message.

        Raises:
            EOFError: If the other end is gone.
        """
        return self.read(self.pipe.recv_bytes())

    def read(self, text: bytes) -> Message:
        """Make a message of its text."""
        told = json.loads(text)
        arrays = [self._in.view(place, tuple(shape), dtype) for dtype, shape, place in told.pop("arrays")]
        return Message(**{**told, "body": self._unpack(told["body"], arrays)})

    def close(self) -> None:
        """Let go of pipe and memory; safe to call twice."""
        self.pipe.close()
        self._out.close()
        self._in.close()

    def _pack(self, value: Any, arrays: list[np.ndarray]) -> Any:
        if isinstance(value, Enum):
            return {_MARK: "enum", "type": type(value).__name__, "value": value.value}
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, np.ndarray):
            arrays.append(value)
            return {_MARK: "numpy", "at": len(arrays) - 1}
        if isinstance(value, Mapping):
            return {_MARK: "map", "items": [[self._pack(part, arrays) for part in pair] for pair in value.items()]}
        if isinstance(value, list):
            return [self._pack(item, arrays) for item in value]
        if isinstance(value, tuple):
            return {_MARK: "tuple", "items": [self._pack(item, arrays) for item in value]}
        name = type(value).__name__
        if is_dataclass(value) and _TYPES.get(name) is type(value):
            made = {item.name: getattr(value, item.name) for item in fields(value) if item.init}
            return {_MARK: name, **{key: self._pack(part, arrays) for key, part in made.items()}}
        if hasattr(value, "light"):
            return {_MARK: "probe"}
        return self._pack_warp(value, arrays)

    def _pack_warp(self, value: Any, arrays: list[np.ndarray]) -> Any:
        if not (hasattr(value, "numpy") and hasattr(value, "device")):
            raise ModelError(f"A worker process cannot be sent a {type(value).__name__}; take placement 'here'.")
        shared = self.share.export(value)
        if shared is not None:
            return {_MARK: "cuda", **shared}
        arrays.append(value.numpy())
        return {_MARK: "warp", "at": len(arrays) - 1}

    def _unpack(self, plain: Any, arrays: list[np.ndarray]) -> Any:
        if isinstance(plain, list):
            return [self._unpack(item, arrays) for item in plain]
        if not isinstance(plain, dict):
            return plain
        mark = plain.pop(_MARK)
        if mark == "numpy":
            return arrays[plain["at"]].copy()
        if mark == "warp":
            return self._to_warp(arrays[plain["at"]])
        if mark == "cuda":
            return self.share.open(plain, self.device)
        if mark == "enum":
            return _TYPES[plain["type"]](plain["value"])
        if mark == "probe":
            return self.probe
        if mark == "tuple":
            return tuple(self._unpack(item, arrays) for item in plain["items"])
        if mark == "map":
            return {self._unpack(key, arrays): self._unpack(item, arrays) for key, item in plain["items"]}
        return _TYPES[mark](**{key: self._unpack(item, arrays) for key, item in plain.items()})

    def _to_warp(self, view: np.ndarray) -> Any:
        import warp as wp

        if not self._borrow and self.device == "cpu":
            view = view.copy()
        return wp.array(view, dtype=getattr(wp, view.dtype.name), device=self.device, copy=self.device != "cpu")


__all__ = ["Message", "Wire"]
