"""Control weights: from a spec in words (classes, prims, boxes, masks, key frames) to numbers and maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.controls.regions import region_coverage
from cosmos.bridge.controls.specs import Keys, Region, WeightSpec
from cosmos.bridge.errors import ControlError
from cosmos.bridge.types import Clip, ControlKind, ControlWeights, Weight

if TYPE_CHECKING:
    import warp as wp


def build_weights(clip: Clip, spec: WeightSpec) -> ControlWeights:
    """Turn a spec into the weights of one clip; a kind without regions and key frames stays a number.

    Args:
        clip: Clip whose ids, size and device the maps take.
        spec: What is wanted.

    Returns:
        Weights that are not yet capped: ``cap_weights`` does that once all of them are known.

    Raises:
        ControlError: If a class, prim or instance never occurs (the error lists what does), a region covers nothing,
            a mask does not fit, or a weight comes out zero everywhere although it was asked for.
    """
    coverages: dict[int, wp.array] = {}
    for index, region in enumerate(spec.regions):
        coverages[index] = region_coverage(clip, region, f"Region {index} of the weights")
    weights = {str(kind): _build_kind(clip, spec, kind, coverages) for kind in ControlKind}
    return ControlWeights(**weights)


def _build_kind(clip: Clip, spec: WeightSpec, kind: ControlKind, coverages: Mapping[int, wp.array]) -> Weight:
    import warp as wp

    from cosmos.bridge.kernels.weights import blend_weights, fade_weights, inspect_weights

    base: float = getattr(spec, str(kind))
    targets = {index: getattr(region, str(kind)) for index, region in enumerate(spec.regions)}
    targets = {index: target for index, target in targets.items() if target is not None}
    if base == 0.0 and not any(targets.values()):
        return 0.0
    if not targets and not spec.keys:
        return base
    shape = (clip.num_frames, clip.height, clip.width)
    weights = wp.full(shape, base, dtype=wp.float32, device=clip.rgb.device)
    for index, target in targets.items():
        blend_weights(weights, coverages[index], _strengths(spec.regions[index].keys, clip.num_frames), target)
    if spec.keys:
        fade_weights(weights, _strengths(spec.keys, clip.num_frames))
    if not inspect_weights(weights)[0]:
        raise ControlError(
            f"The weight of {kind} is zero in every pixel of every frame; "
            f"raise it in some region or key frame, or leave {kind} out."
        )
    return weights


def _strengths(keys: Keys, num_frames: int) -> list[float]:
    """Value of linear key frames in each frame; constant before the first and after the last; 1 without any."""
    if not keys:
        return [1.0] * num_frames
    frames, values = zip(*keys, strict=True)
    return [float(value) for value in np.interp(np.arange(num_frames), frames, values)]


def cap_weights(
    weights: ControlWeights,
    shape: Sequence[int],
    *,
    grid: Optional[tuple[int, int, int]] = None,
    device: Optional[Any] = None,
) -> dict[ControlKind, wp.array]:
    """Expand all weights to maps whose sum is at most 1 at every site.

    Where the sum is above 1, each is divided by it; where it is below, they stay. With ``grid`` the sites are the
    tokens of a model: maps are resampled first and capped then, as Transfer 2.5 does.

    Args:
        weights: Numbers and maps in [0, 1].
        shape: ``(T, H, W)`` of the clip.
        grid: ``(t, h, w)`` of the tokens, ``t > 1`` exactly where ``T > 1``; ``None`` stays with the pixels.
        device: Where to put the maps; ``None`` takes that of the first map, else Warp's default.

    Returns:
        Kind -> map, float32, shape [T, H, W] or [t, h, w], for each kind above 0; contiguous.

    Raises:
        ControlError: If a map has another shape, lies outside [0, 1], or is zero everywhere, or the grid does not fit.
    """
    import warp as wp

    from cosmos.bridge.kernels.weights import cap_stack

    kinds = weights.kinds
    maps = {kind: weight for kind, weight in weights.items() if not isinstance(weight, (int, float))}
    _check_maps(maps, tuple(shape))
    if device is None:
        device = next(iter(maps.values())).device if maps else wp.get_device()
    if not kinds:
        return {}
    stack = wp.empty((len(kinds), *(grid or shape)), dtype=wp.float32, device=device)
    for slot, kind in enumerate(kinds):
        if kind in maps:
            wp.copy(stack[slot], maps[kind] if grid is None else weights_to_tokens(maps[kind], grid))
        else:
            stack[slot].fill_(float(weights[kind]))
    cap_stack(stack)
    return {kind: stack[slot] for slot, kind in enumerate(kinds)}


def _check_maps(maps: Mapping[ControlKind, wp.array], shape: tuple[int, ...]) -> None:
    from cosmos.bridge.kernels.weights import inspect_weights

    for kind, given in maps.items():
        if tuple(given.shape) != shape:
            raise ControlError(f"The weight map of {kind} is {list(given.shape)} [T, H, W], the clip {list(shape)}.")
        above, outside = inspect_weights(given)
        if outside:
            raise ControlError(f"The weight map of {kind} must lie in [0, 1], but it has values outside, or NaN.")
        if not above:
            raise ControlError(f"The weight map of {kind} is zero everywhere; leave {kind} out instead.")


def weights_to_tokens(weights: wp.array, grid: tuple[int, int, int]) -> wp.array:
    """Resample a weight map [T, H, W] to a token grid ``(t, h, w)``, frame 0 on its own, trilinear.

    Raises:
        ControlError: If the grid and the map do not go together.
    """
    from cosmos.bridge.kernels.weights import weights_to_tokens as resample

    try:
        return resample(weights, grid)
    except ValueError as error:
        raise ControlError(f"The weight map cannot be brought to tokens: {error}") from error


__all__ = ["Region", "WeightSpec", "build_weights", "cap_weights", "weights_to_tokens"]
