"""The diffusers and transformers runtime: imported when a model is loaded, and kept to what works everywhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: TID253

HEAD_WIDTH = 128
"""Width of an attention head of every published Cosmos model."""

_RESIZING = (
    "diffusers.models.transformers.transformer_cosmos",
    "diffusers.models.controlnets.controlnet_cosmos",
)


def diffusers_class(name: str) -> Any:
    """Return a class of diffusers.

    Raises:
        ImportError: If diffusers is not installed or too old to know it.
    """
    found = getattr(import_module("diffusers"), name)
    if name.startswith("Cosmos"):
        _supply_resize()
    return found


def transformers_class(name: str) -> Any:
    """Return a class of transformers.

    Raises:
        ImportError: If transformers is not installed or too old to know it.
    """
    return getattr(import_module("transformers"), name)


def _supply_resize() -> None:
    """Give diffusers' Cosmos nets the one function of torchvision that they call, where torchvision is absent.

    They resize a padding mask by nearest neighbour. A torchvision that does not match torch breaks on import, and
    nothing else here needs it, so it is no requirement of ours.
    """
    for name in _RESIZING:
        module = sys.modules.get(name) or import_module(name)
        if not hasattr(module, "transforms"):
            vars(module)["transforms"] = SimpleNamespace(
                functional=SimpleNamespace(resize=_resize), InterpolationMode=SimpleNamespace(NEAREST="nearest")
            )


def _resize(image: Tensor, size: list[int], interpolation: str) -> Tensor:
    return functional.interpolate(image, size=tuple(size), mode=interpolation)


@contextmanager
def plain_attention(device: torch.device) -> Iterator[None]:
    """Let attention run on flash or memory-efficient kernels only.

    cuDNN attention fails inside a running Kit process for heads of 128 and new sequence lengths, and the plain
    kernel needs the square of the sequence in memory; on the CPU the plain one stays allowed for odd heads.
    """
    kernels = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
    if device.type == "cpu":
        kernels.append(SDPBackend.MATH)
    with sdpa_kernel(kernels):
        yield


def probe_attention(device: torch.device, dtype: torch.dtype) -> None:
    """Run one small attention as the models will, so that a device that cannot is found on loading.

    Raises:
        RuntimeError: If no allowed kernel runs there.
    """
    query = torch.zeros((1, 2, 17, HEAD_WIDTH), device=device, dtype=dtype)
    with plain_attention(device), torch.inference_mode():
        functional.scaled_dot_product_attention(query, query, query)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers from drawing bars of its own while it loads."""
    logging = import_module("transformers.utils.logging")
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def release(device: torch.device) -> None:
    """Hand freed CUDA memory back to the driver."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


__all__ = [
    "HEAD_WIDTH",
    "diffusers_class",
    "plain_attention",
    "probe_attention",
    "quiet_transformers",
    "release",
    "transformers_class",
]
