"""Memory of Replicator's annotators: reused, written over, and on a GPU for which the host stands in."""

import copy
from typing import Any

import numpy as np


class Buffers:
    """Memory of one annotator of one product: used again, and written over by the next frame [3.3]."""

    def __init__(self, spec: Any) -> None:
        self.spec, self.arrays = spec, {}

    def show(self, drawn: Any, structured: bool) -> Any:
        """Return an entry of the payload over the reused memory."""
        if not isinstance(drawn, dict):
            return {"data": self._fill(drawn)} if structured else self._fill(drawn)
        if "data" not in drawn:
            return dict(drawn)  # camera_params: values stand in the dict itself [2.3]
        array = self._fill(drawn["data"])
        return {"data": array, **drawn["info"]} if structured else {"data": array, "info": dict(drawn["info"])}

    def empty(self, drawn: Any, how: str, structured: bool) -> Any:
        """Return an entry as the first frames have it [3.3]."""
        data = drawn["data"] if isinstance(drawn, dict) and "data" in drawn else drawn
        if isinstance(data, dict):
            return {}
        nothing = np.zeros_like(data) if how == "zero" else np.zeros((0,), data.dtype)
        return {"data": nothing} if structured or isinstance(drawn, dict) else nothing

    def poison(self) -> None:
        for host, _ in self.arrays.values():
            host.view(np.uint8).fill(0xEE)

    def _fill(self, data: np.ndarray) -> Any:
        if data.dtype.names is not None:  # boxes: their number changes, so their memory does
            return data.copy()
        key = (data.shape, data.dtype)
        if key not in self.arrays:
            host = np.empty(data.shape, np.int32 if self._on_gpu() and data.dtype == np.uint32 else data.dtype)
            self.arrays[key] = host, self._shown(host)
        host, shown = self.arrays[key]
        np.copyto(host.view(data.dtype), data)
        return shown

    def _on_gpu(self) -> bool:
        return self.spec.device.startswith("cuda")

    def _shown(self, host: np.ndarray) -> Any:
        if not self._on_gpu():
            return host
        import warp as wp

        shown = wp.array(host, device="cpu", copy=False)  # stands in for the GPU: int32 ids, memory not ours [3.3]
        ordinal = self.spec._engine.machine.renderer
        if ordinal is not None:  # the GPU that rendered it, whatever was asked for [3.3]
            shown.device = _on_gpu(shown.device, ordinal)
        return shown


def _hash(device: Any) -> int:
    return hash(device.alias)


def _on_gpu(device: Any, ordinal: int) -> Any:
    """Return the host as a device that says it is a GPU of that ordinal."""
    kind = type("Gpu", (type(device),), {"is_cpu": True, "is_cuda": False, "__hash__": _hash})
    shown = copy.copy(device)
    shown.__class__, shown.ordinal = kind, ordinal
    return shown
