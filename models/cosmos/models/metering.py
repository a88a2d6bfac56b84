"""Count what a net would need, by running it on tensors without contents: peak memory and floating-point operations."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: TID253
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: TID253
from torch.utils._pytree import tree_map_only  # noqa: TID253
from torch.utils.flop_counter import flop_registry  # noqa: TID253

_MADE_OF_OTHERS = torch._C.DispatchKey.CompositeImplicitAutograd


class Meter(TorchDispatchMode):
    """Counts, while it is entered, the bytes of all tensors that are alive and the operations spent.

    Tensors made before it was entered are not counted. Peaks are those of live tensors; an allocator needs a little
    more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = 0
        """Bytes alive now."""
        self.peak = 0
        """Most bytes that were alive at once since the last `restart`."""
        self.flops = 0
        """Floating-point operations since the last `restart`; a multiplication and an addition are two."""
        self._known: set[int] = set()
        self._outside: set[int] = set()

    def restart(self) -> None:
        """Begin a new phase."""
        self.peak, self.flops = self.live, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count it."""
        tree_map_only(Tensor, self._leave_out, (args, kwargs))
        if func.namespace == "aten" and torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _MADE_OF_OTHERS):
            with self:  # in inference mode such an operation comes here whole
                return func._op_dk(_MADE_OF_OTHERS, *args, **(kwargs or {}))
        out = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        if packet.__name__.startswith("_scaled_dot_product"):
            query, key = args[0], args[1]
            self.flops += 4 * query.numel() * key.shape[-2]
        elif packet in flop_registry:
            self.flops += flop_registry[packet](*args, **(kwargs or {}), out_val=out)
        tree_map_only(Tensor, self._count, out)
        return out

    def _count(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known and key not in self._outside:
            self._known.add(key)
            self.live += size
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._free, key, size)
        return tensor

    def _leave_out(self, tensor: Tensor) -> Tensor:
        """Remember what was made outside, so that a view of it does not count."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._known and key not in self._outside:
            self._outside.add(key)
            weakref.finalize(storage, self._outside.discard, key)
        return tensor

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


@contextmanager
def without_contents() -> Iterator[FakeTensorMode]:
    """Let tensors that are made inside have a shape and a type, but no memory."""
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.no_grad():
        yield mode


def build_empty(make: Callable[[], Any], dtype: torch.dtype) -> Any:
    """Build a net of one type inside of `without_contents`."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return make().eval().requires_grad_(False)
    finally:
        torch.set_default_dtype(before)


__all__ = ["Meter", "build_empty", "without_contents"]
