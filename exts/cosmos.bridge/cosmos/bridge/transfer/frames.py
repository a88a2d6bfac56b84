"""Frames of a clip as a video net takes them: picked by number, padded to whole tokens, and cut back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Optional

from cosmos.bridge.errors import ModelError
from cosmos.bridge.types import ControlKind, ControlWeights, TransferRequest

if TYPE_CHECKING:
    import torch
    import warp as wp


def pick_frames(video: wp.array, sources: Sequence[int]) -> wp.array:
    """Return frames of an array by number, in that order, as new memory.

    Args:
        video: Any array whose first axis is time.
        sources: Frame numbers; one may come twice.
    """
    import warp as wp

    picked = wp.empty((len(sources), *video.shape[1:]), dtype=video.dtype, device=video.device)
    for place, source in enumerate(sources):
        wp.copy(picked[place], video[source])
    return picked


def video_frames(video: wp.array, sources: Sequence[int], multiple: int) -> torch.Tensor:
    """Return frames of a uint8 video as a tensor in [-1, 1], padded, shape [1, 3, T, H', W']."""
    from cosmos.bridge.kernels.layout import video_to_tensor

    return pad_to(video_to_tensor(pick_frames(video, sources)), multiple)


def map_frames(weights: wp.array, sources: Sequence[int], multiple: int) -> torch.Tensor:
    """Return frames of a map [T, H, W] as a tensor, padded, shape [1, 1, T, H', W']."""
    import warp as wp

    return pad_to(wp.to_torch(pick_frames(weights, sources))[None, None], multiple)


def pad_to(frames: torch.Tensor, multiple: int) -> torch.Tensor:
    """Repeat the last row and column until height and width are multiples; the frames keep their pixels."""
    from torch.nn import functional

    height, width = frames.shape[-2:]
    pad = (0, -width % multiple, 0, -height % multiple, 0, 0)
    return functional.pad(frames, pad, mode="replicate") if any(pad) else frames


def capped_numbers(weights: ControlWeights) -> Optional[dict[ControlKind, float]]:
    """Return the weights as numbers whose sum is at most 1; ``None`` where one of them is a map."""
    numbers = {kind: weights[kind] for kind in weights.kinds}
    if not all(isinstance(weight, (int, float)) for weight in numbers.values()):
        return None
    total = max(1.0, sum(float(weight) for weight in numbers.values()))
    return {kind: float(weight) / total for kind, weight in numbers.items()}


def capped_tokens(
    weights: ControlWeights, sources: Sequence[int], multiple: int, grid: tuple[int, int, int]
) -> dict[ControlKind, torch.Tensor]:
    """Resample the weights of some frames to tokens, and cap their sum at 1 in each.

    Args:
        weights: Numbers and maps, at least one map.
        sources: Frame numbers.
        multiple: Height and width are padded to multiples of it [px].
        grid: Tokens ``(t, h, w)``.

    Returns:
        Kind -> weight of each token in the order t, h, w, shape [1, t * h * w, 1].
    """
    import warp as wp

    from cosmos.bridge.kernels.weights import cap_stack, weights_to_tokens

    kinds = weights.kinds
    device = next(weight.device for _, weight in weights.items() if not isinstance(weight, (int, float)))
    stack = wp.empty((len(kinds), *grid), dtype=wp.float32, device=device)
    for slot, kind in enumerate(kinds):
        weight = weights[kind]
        if isinstance(weight, (int, float)):
            stack[slot].fill_(float(weight))
        else:
            frames = map_frames(weight, sources, multiple)[0, 0].contiguous()
            wp.copy(stack[slot], weights_to_tokens(wp.from_torch(frames), grid))
    cap_stack(stack)
    return {kind: wp.to_torch(stack[slot]).reshape(1, -1, 1) for slot, kind in enumerate(kinds)}


def check_maps(model: str, request: TransferRequest) -> None:
    """Refuse weight maps of another size than the clip, or with values outside of [0, 1].

    Raises:
        ModelError: If one does not fit.
    """
    from cosmos.bridge.kernels.weights import inspect_weights

    whole = (request.clip.num_frames, request.clip.height, request.clip.width)
    maps: Mapping[str, wp.array] = {
        f"weight map of {kind}": weight
        for kind, weight in request.weights.items()
        if not isinstance(weight, (int, float))
    }
    if request.preserve is not None:
        maps = {**maps, "preserve mask": request.preserve}
    for name, given in maps.items():
        if tuple(given.shape) != whole:
            raise ModelError(f"The {name} is {list(given.shape)} [T, H, W], the clip {list(whole)}; {model} needs one.")
        above, outside = inspect_weights(given)
        if outside:
            raise ModelError(f"The {name} must lie in [0, 1], but it has values outside, or NaN.")
        if not above:
            raise ModelError(f"The {name} is zero everywhere; leave it out instead.")


__all__ = [
    "capped_numbers",
    "capped_tokens",
    "check_maps",
    "map_frames",
    "pad_to",
    "pick_frames",
    "video_frames",
]
