"""What the next attempt does differently: the cause that a verdict names, and what acts on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Optional

import numpy as np

from cosmos.bridge.types import Clip, ControlKind, ControlWeights, Finding, TransferRequest, Verdict

if TYPE_CHECKING:
    from cosmos.bridge.transfer.base import TransferSpec

GEOMETRY = (ControlKind.EDGE, ControlKind.DEPTH, ControlKind.SEG)
"""Controls that hold the geometry; a retry with stronger weights raises these."""

RIM = 6
"""Pixels around an instance in which its weights are raised too: its outline lies on the rim of its mask."""

Cause = Literal["geometry", "prompt", "flicker", "other"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Remedy:
    """The next request, and why it is like that."""

    cause: Cause
    """What the verdict blames; ``other`` has no cure but another seed."""
    text: str
    """What is done, as one sentence for the record."""
    request: TransferRequest
    """What is asked next."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """What is known of an attempt that an earlier call made."""

    verdict: Verdict
    """What the critic said."""
    effective: Mapping[str, Any]
    """Settings as the model used them."""


def find_remedy(
    request: TransferRequest,
    verdict: Verdict,
    effective: Mapping[str, Any],
    spec: TransferSpec,
    *,
    gain: float,
    seed: int,
) -> Remedy:
    """Act on the worst cause that a rejection names and that this model can be helped with; else change the seed.

    Geometry: the edge, depth and seg weights are multiplied by ``gain`` on the instances that are named, or
    everywhere where none is. Where their sum is 1 already, so that more of all of them changes nothing, edges alone
    rise. Prompt ignored: guidance and steps are multiplied by ``gain``. Flicker: chunks overlap twice as far, where the
    clip is painted in chunks.

    Args:
        request: The request that was rejected.
        verdict: Why.
        effective: Settings as the model used them for it.
        spec: What the model can do.
        gain: Factor on weights, guidance and steps, >= 1.
        seed: Seed of the next attempt, for where nothing else helps.
    """
    rejecting = [finding for finding in verdict.findings if finding.severity == "reject"]
    tried = False
    for cause in dict.fromkeys(_cause_of(finding) for finding in rejecting):
        mine = [finding for finding in rejecting if _cause_of(finding) == cause]
        found: Optional[tuple[TransferRequest, str]] = None
        if cause == "geometry":
            found = _hold_geometry(request, mine, spec, gain)
        elif cause == "prompt":
            found = _urge_prompt(request, effective, spec, gain)
        elif cause == "flicker":
            found = _overlap_more(request, effective, spec)
        if found is not None:
            text = f"{_told(mine[0])} {found[1]}"
            return Remedy(cause=cause, text=text, request=found[0])
        if cause != "other":
            tried = True
    why = f"No setting of {spec.name} helps against that:" if tried else "No setting is to blame:"
    worst: Cause = _cause_of(rejecting[0]) if rejecting else "other"
    text = f"{_told(rejecting[0]) + ' ' if rejecting else ''}{why} the seed changes to {seed}."
    return Remedy(cause=worst, text=text, request=replace(request, seed=seed))


def raise_weights(
    weights: ControlWeights, gain: float, *, kinds: Sequence[ControlKind] = GEOMETRY, where: Optional[np.ndarray] = None
) -> Optional[ControlWeights]:
    """Multiply the weights of some kinds, each capped at 1, and let edges alone rise where that changes no share.

    Args:
        weights: What there is.
        gain: Factor, >= 1.
        kinds: Kinds to raise.
        where: Where, float32 in [0, 1], shape [T, H, W]; ``None`` is everywhere.

    Returns:
        The new weights, or ``None`` where nothing can rise any more.
    """
    old = {kind: _array(weight, where) for kind, weight in weights.items() if kind in weights.kinds}
    held = [kind for kind in kinds if kind in old]
    inside = np.ones(1, bool) if where is None else where > 0.5
    if not held or not inside.any():
        return None
    stronger = {kind: np.minimum(old[kind] * gain, 1.0) if kind in held else old[kind] for kind in old}
    if _alike(old, stronger, inside) and ControlKind.EDGE in held and len(old) > 1:
        stronger = {kind: values / gain for kind, values in old.items()}
        stronger[ControlKind.EDGE] = np.minimum(old[ControlKind.EDGE] * gain, 1.0)
    if _alike(old, stronger, inside):
        return None
    changed = {}
    for kind, values in stronger.items():
        if (values == old[kind]).all():
            continue
        mixed = values if where is None else old[kind] + (values - old[kind]) * where
        changed[str(kind)] = _weight(mixed, weights[kind])
    return replace(weights, **changed)


def _hold_geometry(
    request: TransferRequest, findings: Sequence[Finding], spec: TransferSpec, gain: float
) -> Optional[tuple[TransferRequest, str]]:
    """Raise the geometry weights where the findings point."""
    ids = {finding.instance for finding in findings}
    known = {key for key in ids if key is not None and key in request.clip.instances}
    local = bool(ids) and ids == known and spec.weight_maps and request.clip.instance_ids is not None
    where = _around(request.clip, _parts_of(request.clip, known)) if local else None
    kinds = [kind for kind in GEOMETRY if kind in spec.controls]
    weights = raise_weights(request.weights, gain, kinds=kinds, where=where)
    if weights is None:
        return None
    paths = sorted({_thing(request.clip, key) for key in known})
    named = ", ".join(paths[:3]) if local else "everywhere"
    more = f" and {len(paths) - 3} more" if local and len(paths) > 3 else ""
    text = f"The geometry weights rise by {gain:g} {'on ' if local else ''}{named}{more}."
    return replace(request, weights=weights), text


def _urge_prompt(
    request: TransferRequest, effective: Mapping[str, Any], spec: TransferSpec, gain: float
) -> Optional[tuple[TransferRequest, str]]:
    """Raise guidance and steps."""
    changes: dict[str, Any] = {}
    told = []
    guidance = request.guidance if request.guidance is not None else effective.get("guidance", 1.0)
    if spec.guidance and isinstance(guidance, (int, float)):
        more = round(min(guidance * gain if guidance > 0.1 else 1.0, spec.most_guidance), 4)
        if more > guidance:
            changes["guidance"] = more
            told.append(f"guidance rises from {guidance:g} to {more:g}")
    steps = request.num_steps or spec.num_steps
    further = min(max(steps + 1, round(steps * gain)), spec.max_steps)
    if spec.steps_help and further > steps:
        changes["num_steps"] = further
        told.append(f"the steps rise from {steps} to {further}")
    text = " and ".join(told)
    return (replace(request, **changes), f"{text[0].upper()}{text[1:]}.") if changes else None


def _overlap_more(
    request: TransferRequest, effective: Mapping[str, Any], spec: TransferSpec
) -> Optional[tuple[TransferRequest, str]]:
    """Let chunks overlap twice as far, at most by half of a chunk."""
    chunk, overlap = effective.get("chunk_frames"), effective.get("overlap")
    if not spec.overlap or not chunk or not overlap or request.clip.num_frames <= chunk:
        return None
    more = min(2 * int(overlap), int(chunk) // 2)
    if more <= overlap:
        return None
    return replace(request, overlap=more), f"Chunks overlap by {more} frames instead of {overlap}."


def _cause_of(finding: Finding) -> Cause:
    kinds: Mapping[str, Cause] = {"geometry": "geometry", "label": "geometry", "prompt": "prompt", "flicker": "flicker"}
    return kinds.get(finding.kind, "other")


def _told(finding: Finding) -> str:
    if finding.kind == "unchecked":
        return "The attempt before could not be checked."
    return f"The check {finding.check} rejected the attempt before."


def _thing(clip: Clip, key: int) -> str:
    """Path of the labelled prim that an instance is a part of."""
    return clip.instances[key].owner or clip.instances[key].prim_path


def _parts_of(clip: Clip, ids: set[int]) -> set[int]:
    """All instances of the things that some instances are parts of: a finding names one of them."""
    things = {_thing(clip, key) for key in ids}
    return {key for key in clip.instances if _thing(clip, key) in things}


def _around(clip: Clip, ids: set[int]) -> np.ndarray:
    """Where some instances are, grown by ``RIM`` pixels, float32 [T, H, W]."""
    if clip.instance_ids is None:
        raise ValueError("Instances are looked for in a clip without instance ids.")
    mask = np.isin(np.ascontiguousarray(clip.instance_ids.numpy()).view(np.uint32), np.array(sorted(ids), np.uint32))
    for axis in (1, 2):
        grown = mask.copy()
        for step in range(1, RIM + 1):
            low = [slice(None)] * 3
            high = [slice(None)] * 3
            low[axis], high[axis] = slice(step, None), slice(None, -step)
            grown[tuple(high)] |= mask[tuple(low)]
            grown[tuple(low)] |= mask[tuple(high)]
        mask = grown
    return mask.astype(np.float32)


def _array(weight: Any, where: Optional[np.ndarray]) -> np.ndarray:
    """Return a weight as an array; of one element where a number is enough."""
    if isinstance(weight, (int, float)):
        return np.full(1, weight) if where is None else np.full(where.shape, weight, np.float32)
    values: np.ndarray = weight.numpy()
    return values


def _weight(values: np.ndarray, before: Any) -> Any:
    """Return an array as a weight, on the device of the one before."""
    if values.size == 1:
        return float(values[0])
    import warp as wp

    device = "cpu" if isinstance(before, (int, float)) else before.device
    return wp.array(np.clip(values, 0.0, 1.0).astype(np.float32), dtype=wp.float32, device=device)


def _alike(one: Mapping[ControlKind, np.ndarray], other: Mapping[ControlKind, np.ndarray], inside: np.ndarray) -> bool:
    """Whether two sets of weights come out the same once their sum is capped at 1."""
    capped = []
    for weights in (one, other):
        total = np.maximum(sum(weights.values(), np.zeros(1, np.float32)), 1.0)
        capped.append({kind: np.broadcast_to(values / total, np.broadcast(total, inside).shape)
                       for kind, values in weights.items()})  # fmt: skip
    masked = np.broadcast_to(inside, next(iter(capped[0].values())).shape)
    return all(np.abs(capped[0][kind] - capped[1][kind])[masked].max(initial=0.0) < 1e-3 for kind in one)


__all__ = ["GEOMETRY", "RIM", "Cause", "Earlier", "Remedy", "find_remedy", "raise_weights"]
