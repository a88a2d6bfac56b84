"""CUDA arrays from one process to another without a way through the host, where driver and Warp allow it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

_TRIAL = [67, 79, 83, 77, 79, 83]


class CudaShare:
    """Exports arrays of this process, and opens those of another.

    Memory of CUDA's pools cannot be exported, so an array is copied on its device to memory that can. Both processes
    must see the device; it is told by its UUID, since its number may differ between them.
    """

    def __init__(self) -> None:
        self._common: frozenset[str] = frozenset()
        self._exported: list[Any] = []

    @staticmethod
    def devices() -> tuple[str, ...]:
        """Return the UUIDs of the CUDA devices whose memory this process can share."""
        import warp as wp

        if not hasattr(wp, "from_ipc_handle"):  # older than Warp 1.6
            return ()
        return tuple(device.uuid for device in wp.get_cuda_devices() if device.is_ipc_supported is not False)

    def offer(self, devices: Iterable[str]) -> list[dict[str, Any]]:
        """Export a few known numbers from each device that the other process can share as well, to try it out."""
        import warp as wp

        self._common = frozenset(devices) & frozenset(self.devices())
        known = [wp.get_device(device.alias) for device in wp.get_cuda_devices() if device.uuid in self._common]
        tried = (self.export(wp.array(_TRIAL, dtype=wp.uint8, device=device)) for device in known)
        return [told for told in tried if told is not None]

    def try_out(self, offered: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return the devices whose offered numbers arrive."""
        found = []
        for told in offered:
            try:
                arrived = self.open(told, "cpu").numpy().tolist() == _TRIAL
            except RuntimeError:  # not every driver that says so can
                arrived = False
            if arrived:
                found.append(str(told["uuid"]))
        return found

    def agree(self, devices: Iterable[str]) -> None:
        """Settle on the devices that were tried out; arrays of others go through the host."""
        self._common = frozenset(devices)

    def export(self, array: Any) -> Optional[dict[str, Any]]:
        """Return how another process opens a Warp array, as plain values; ``None`` where it must go through the host.

        The copy that is shared lives until `let_go`.
        """
        if not array.device.is_cuda or array.device.uuid not in self._common or array.size == 0:
            return None
        import warp as wp

        with wp.ScopedMempool(array.device, False):
            shared = wp.empty(array.shape, dtype=array.dtype, device=array.device)
        wp.copy(shared, array)
        wp.synchronize_device(array.device)
        try:
            handle = shared.ipc_handle()
        except RuntimeError:  # the driver said that it could, and cannot
            return None
        if handle == bytes(len(handle)):
            return None
        self._exported.append(shared)
        return {
            "handle": handle.hex(),
            "uuid": array.device.uuid,
            "dtype": array.dtype.__name__,
            "shape": list(array.shape),
        }

    def open(self, told: Mapping[str, Any], device: str) -> Any:
        """Return a copy, on a device of this process, of an array that another process exported."""
        import warp as wp

        there = next(known for known in wp.get_cuda_devices() if known.uuid == told["uuid"])
        dtype = getattr(wp, told["dtype"])
        theirs = wp.from_ipc_handle(bytes.fromhex(told["handle"]), dtype, tuple(told["shape"]), device=there)
        if not theirs.ptr:
            raise RuntimeError(f"The memory of {there} that another process shares cannot be opened.")
        ours = wp.clone(theirs, device=device)
        wp.synchronize_device(there)
        wp.synchronize_device(device)
        return ours

    def let_go(self) -> None:
        """Free what was exported; the other process has read it."""
        self._exported.clear()


__all__ = ["CudaShare"]
