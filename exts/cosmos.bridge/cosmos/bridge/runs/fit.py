"""Does a Transfer model use what a config asks of it?"""

from __future__ import annotations

from typing import Optional

from cosmos.bridge.config import BridgeConfig
from cosmos.bridge.controls.weights import WeightSpec
from cosmos.bridge.errors import ModelError
from cosmos.bridge.transfer.base import TransferSpec
from cosmos.bridge.transfer.registry import able, knowing
from cosmos.bridge.types import ControlKind


def check_spec(spec: TransferSpec, config: BridgeConfig) -> None:
    """Refuse settings that would not reach the model.

    Raises:
        ModelError: If there is one; the sentence names it, and the backends that use it.
    """
    spec_kinds = [str(kind) for kind in spec.controls]
    foreign = [kind for kind in weighted_kinds(config.weights) if kind not in spec_kinds]
    if foreign:
        raise ModelError(
            f"{spec.name} does not know the control {' and '.join(foreign)}; it knows {', '.join(spec_kinds)}; "
            f"{knowing(*foreign)}."
        )
    unused = [
        name
        for name, given, acts in (
            ("negative_prompt", bool(config.negative_prompt), spec.negative_prompt),
            ("guidance", config.guidance is not None, spec.guidance),
            ("preserve", config.preserve is not None, spec.preserve),
        )
        if given and not acts
    ]
    if unused:
        able_names = able(*unused)
        other = f"take --transfer {' or '.join(able_names)}" if able_names else "no transfer does"
        raise ModelError(f"{spec.name} does not use {' and '.join(unused)}; leave it out, or {other}.")
    if config.guidance is not None and not 0.0 <= config.guidance <= spec.most_guidance:
        raise ModelError(f"{spec.name} takes a guidance in [0, {spec.most_guidance:g}], got {config.guidance:g}.")
    if config.num_steps is not None and config.num_steps > spec.max_steps:
        others = [name for name in able("num_steps") if name != spec.name]
        raise ModelError(
            f"{spec.name} takes at most {spec.max_steps} num_steps, got {config.num_steps}; ask for fewer, or take "
            f"--transfer {' or '.join(others)}."
        )


def weighted_kinds(weights: Optional[WeightSpec]) -> tuple[str, ...]:
    """Return the kinds that a weight, or a region, lets act."""
    if weights is None:
        return ()
    parts = (weights, *weights.regions)
    return tuple(str(kind) for kind in ControlKind if any((getattr(part, str(kind)) or 0.0) > 0.0 for part in parts))


__all__ = ["check_spec", "weighted_kinds"]
