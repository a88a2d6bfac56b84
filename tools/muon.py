"""Muon for a net's filters, AdamW for all else, as one optimiser.

Muon takes steps whose parts are all of one size: the orthogonal matrix nearest to the momentum (Jordan et al. 2024,
https://kellerjordan.github.io/posts/muon/; ``torch.optim.Muon``). A filter [out, in, h, w] is a matrix of ``out`` rows.
"""

from __future__ import annotations

from typing import Any

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

_LEAST_WIDE = 8
"""Rows and columns from which on a filter is a matrix worth the name."""


class MuonAndAdam:
    """One optimiser over a net's parameters; filters are updated in place through views of them.

    Args:
        net: The net, its filters channels last in memory.
        rate: Learning rate of both.
        last: Beginnings of the names of layers that speak, whose filters are left to AdamW.
    """

    def __init__(self, net: nn.Module, rate: float, *, last: tuple[str, ...] = ("head_out", "broad")) -> None:
        learning = {name: value for name, value in net.named_parameters() if value.requires_grad}
        self._filters = [
            value
            for name, value in learning.items()
            if value.ndim == 4 and min(value.shape[0], value[0].numel()) >= _LEAST_WIDE and not name.startswith(last)
        ]
        self._matrices = [nn.Parameter(_matrix(value.data)) for value in self._filters]
        for matrix, value in zip(self._matrices, self._filters, strict=True):
            if matrix.data_ptr() != value.data_ptr():
                raise ValueError(
                    "A filter is not channels last in memory; call net.to(memory_format=torch.channels_last)."
                )
        chosen = {id(value) for value in self._filters}
        self._rest = [value for value in learning.values() if id(value) not in chosen]
        self._muon = torch.optim.Muon(
            self._matrices, lr=rate, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw"
        )
        self._adam = torch.optim.AdamW(self._rest, lr=rate, weight_decay=0.01, betas=(0.9, 0.98))

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Groups of both, for the learning rate."""
        return [*self._muon.param_groups, *self._adam.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for value in (*self._filters, *self._rest):
            value.grad = None if set_to_none or value.grad is None else torch.zeros_like(value)

    def step(self) -> None:
        """Take one step."""
        for matrix, value in zip(self._matrices, self._filters, strict=True):
            matrix.grad = None if value.grad is None else _matrix(value.grad)
        self._muon.step()
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        """State of both."""
        return {"muon": self._muon.state_dict(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        self._muon.load_state_dict(state["muon"])
        self._adam.load_state_dict(state["adam"])


def _matrix(value: Tensor) -> Tensor:
    """Return a filter as a matrix; a view of it where it is channels last in memory."""
    return value.permute(0, 2, 3, 1).reshape(value.shape[0], -1)
