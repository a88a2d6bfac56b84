"""The diffusers and transformers runtime: imported when a model is loaded, and kept to what works everywhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: TID253

HEAD_WIDTH = 128
"""Width of an attention head of every published Cosmos model."""
_AUTOENCODER_WIDTH = 384
"""Width of the one head of the published autoencoder of Transfer2.5, the narrowest."""

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
    kernel needs the square of the sequence in memory; on the CPU the plain one stays allowed for odd heads. diffusers'
    own choice of kernels, which an environment variable may set, gives way too.
    """
    kernels = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
    if device.type == "cpu":
        kernels.append(SDPBackend.MATH)
    dispatch = sys.modules.get("diffusers.models.attention_dispatch")
    with sdpa_kernel(kernels), nullcontext() if dispatch is None else dispatch.attention_backend("native"):
        yield


def probe_attention(device: torch.device, dtype: torch.dtype, *, grouped: bool = False) -> None:
    """Run small attentions as the models will, so that a device that cannot is found on loading.

    Args:
        device: Where.
        dtype: In which type.
        grouped: Whether heads share keys and values, as those of Cosmos 3 do, and text is read causally.

    Raises:
        RuntimeError: If no allowed kernel runs there.
    """
    with plain_attention(device), torch.inference_mode():
        for width, causal in ((HEAD_WIDTH, False), (HEAD_WIDTH, grouped), (_AUTOENCODER_WIDTH, False)):
            fewer = grouped and width == HEAD_WIDTH
            query = torch.zeros((1, 4, 17, width), device=device, dtype=dtype)
            key = query[:, :2] if fewer else query
            try:
                functional.scaled_dot_product_attention(query, key, key, is_causal=causal, enable_gqa=fewer)
            except RuntimeError as error:
                what = f"heads of {width}{', shared keys' if fewer else ''}, {str(dtype).removeprefix('torch.')}"
                raise RuntimeError(
                    f"neither flash nor memory-efficient attention runs there ({what}); take bfloat16 or another device"
                ) from error


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
