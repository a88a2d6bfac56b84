"""Weights in 8 bits: the large linear layers of a net, a scale a row; queries and keys keep their type.

Only storage is 8 bits: each layer is widened when it runs, so that any device can. Attention is what 8 bits hurt most,
which is why the layers of queries and keys are left alone.
"""

from __future__ import annotations

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

_TYPE = torch.float8_e4m3fn
_LARGEST = 448.0
_PLACES = ("transformer_blocks.", "control_blocks.", "layers.", "crossattn_proj.")
_KEPT = ("to_q", "to_k", "add_q_proj", "add_k_proj", "q_img", "k_img")


class Fp8Linear(nn.Module):
    """A linear layer whose weight is stored in 8 bits.

    Args:
        linear: The layer to take over.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach()
        scale = (weight.abs().amax(dim=1, keepdim=True).float() / _LARGEST).clamp(min=1e-12)
        self.weight: Tensor
        self.scale: Tensor
        self.register_buffer("weight", (weight.float() / scale).to(_TYPE))
        self.register_buffer("scale", scale.to(weight.dtype))
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to channels, the last axis."""
        return functional.linear(x, self.weight.to(x.dtype) * self.scale.to(x.dtype), self.bias)


def store_in_fp8(net: nn.Module) -> int:
    """Store the large linear layers of a net's blocks in 8 bits, in place; return how many were changed."""
    chosen = [
        name
        for name, module in net.named_modules()
        if isinstance(module, nn.Linear)
        and name.startswith(_PLACES)
        and "norm" not in name
        and name.rpartition(".")[2] not in _KEPT
    ]
    for name in chosen:
        owner, _, last = name.rpartition(".")
        setattr(net.get_submodule(owner), last, Fp8Linear(net.get_submodule(name)))  # type: ignore[arg-type]
    return len(chosen)


__all__ = ["Fp8Linear", "store_in_fp8"]
