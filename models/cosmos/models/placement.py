"""Where the weights of a net wait: on its device, or block by block in main memory until a block runs.

diffusers has offloading of its own, but it hangs on the forward of blocks, whose parts a stream runs by itself, and on
devices without streams it copies weights back after every use. Here they are copied one way only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Optional

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

_HELD = "_cosmos_bridge_waiting"


class WaitingBlocks:
    """Blocks that run one after the other, each on the device while it runs, the next one on its way.

    The rest of the net goes to the device at once and stays there. At most two blocks are on it at a time.

    Args:
        net: The net, in main memory.
        blocks: Those of its parts that wait; each is called by its forward, or runs inside of `present`.
        device: Where they run.
    """

    def __init__(self, net: nn.Module, blocks: Sequence[nn.Module], device: torch.device) -> None:
        self.device = device
        """Where they run."""
        self._tensors = [[*block.parameters(), *block.buffers()] for block in blocks]
        self._homes = [[_pinned(tensor.data, device) for tensor in tensors] for tensors in self._tensors]
        self._stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._ahead: Optional[int] = None
        self._put_home(range(len(blocks)))
        self._waiting = {id(tensor) for tensors in self._tensors for tensor in tensors}
        self.move_rest(net, device)
        setattr(net, _HELD, self)
        for index, block in enumerate(blocks):
            setattr(block, _HELD, (self, index))
            block.register_forward_pre_hook(_enter)
            block.register_forward_hook(_leave, always_call=True)

    def move_rest(self, net: nn.Module, device: torch.device) -> None:
        """Move what does not wait; a block that was sent for goes home."""
        self._drop_ahead()
        with torch.inference_mode(False), torch.no_grad():
            for tensor in (*net.parameters(), *net.buffers()):
                if id(tensor) not in self._waiting:
                    tensor.data = tensor.data.to(device)

    def enter(self, index: int) -> None:
        """Bring a block to the device, and send for the next one."""
        if self._ahead != index:
            self._drop_ahead()
            self._fetch(index)
        if self._stream is not None:
            torch.cuda.current_stream(self.device).wait_stream(self._stream)
        self._ahead = None
        following = (index + 1) % len(self._tensors)
        if self._stream is not None and following != index:
            self._fetch(following)
            self._ahead = following

    def leave(self, index: int) -> None:
        """Let a block's copy on the device go."""
        self._put_home((index,))

    def _fetch(self, index: int) -> None:
        with torch.inference_mode(False), torch.no_grad(), torch.cuda.stream(self._stream):
            for tensor, home in zip(self._tensors[index], self._homes[index], strict=True):
                tensor.data = home.to(self.device, non_blocking=True, copy=True)
        if self._stream is not None:
            user = torch.cuda.current_stream(self.device)
            for tensor in self._tensors[index]:
                tensor.data.record_stream(user)  # its memory is not given away while the user's kernels run

    def _drop_ahead(self) -> None:
        if self._ahead is not None:
            self._put_home((self._ahead,))
            self._ahead = None

    def _put_home(self, indices: Sequence[int]) -> None:
        for index in indices:
            for tensor, home in zip(self._tensors[index], self._homes[index], strict=True):
                tensor.data = home


@contextmanager
def present(block: nn.Module) -> Iterator[None]:
    """Have a block on its device for as long as its parts run by themselves; nothing to do for one that never waits."""
    held: Optional[tuple[WaitingBlocks, int]] = getattr(block, _HELD, None)
    if held is None:
        yield
        return
    waiting, index = held
    waiting.enter(index)
    try:
        yield
    finally:
        waiting.leave(index)


@contextmanager
def aside(*nets: nn.Module) -> Iterator[None]:
    """Have nets in main memory as a whole while another needs the device for itself; those that always stay, stay."""
    held: list[tuple[nn.Module, WaitingBlocks]] = [(net, getattr(net, _HELD)) for net in nets if hasattr(net, _HELD)]
    try:
        for net, waiting in held:
            waiting.move_rest(net, torch.device("cpu"))
        yield
    finally:
        for net, waiting in held:
            waiting.move_rest(net, waiting.device)


def place(net: nn.Module, device: torch.device, *, blocks: Optional[Sequence[nn.Module]] = None) -> None:
    """Put a net on a device, but for blocks that wait in main memory.

    Args:
        net: The net, in main memory where blocks wait.
        device: Where it runs.
        blocks: Parts that wait; with none of them the net can still stand `aside`, with ``None`` it always stays.
    """
    if blocks is None:
        net.to(device)
    else:
        WaitingBlocks(net, blocks, device)


def move(net: nn.Module, device: torch.device) -> None:
    """Move a net to another device, but for blocks of it that wait in main memory."""
    held: Optional[WaitingBlocks] = getattr(net, _HELD, None)
    if held is None:
        net.to(device)
    else:
        held.move_rest(net, device)


def _pinned(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.pin_memory() if device.type == "cuda" else tensor


def _enter(block: nn.Module, args: Any) -> None:
    waiting, index = getattr(block, _HELD)
    waiting.enter(index)


def _leave(block: nn.Module, args: Any, out: Any) -> None:
    waiting, index = getattr(block, _HELD)
    waiting.leave(index)


__all__ = ["WaitingBlocks", "aside", "move", "place", "present"]
