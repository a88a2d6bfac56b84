"""Which settings let a backend fit a device, and what happens when it does not."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Optional, TypeVar

from cosmos.bridge.errors import ConfigError, ModelError, ModelMemoryError
from cosmos.bridge.fetched import require_weights
from cosmos.bridge.transfer.base import TransferModel, TransferSpec
from cosmos.bridge.types import Progress, TransferRequest, TransferResult

Result = TypeVar("Result")
Options = Mapping[str, Any]

_WHOLE: Options = MappingProxyType({})
_FP8: Options = MappingProxyType({"fp8": True})
_WAITING: Options = MappingProxyType({"cpu_offload": True})
_FP8_WAITING: Options = MappingProxyType({"fp8": True, "cpu_offload": True})

PROFILES: Mapping[str, Mapping[int, Options]] = {
    "cosmos-transfer2.5": {80: _WHOLE, 48: _WHOLE, 32: _WHOLE, 24: _WHOLE, 16: _WAITING},
    "cosmos3": {80: _WHOLE, 48: _WHOLE, 32: _FP8, 24: _WAITING, 16: _WAITING},
    "cosmos3-sim-transfer": {80: _WHOLE, 48: _WHOLE, 32: _FP8, 24: _WAITING, 16: _FP8_WAITING},
}
"""Backend -> memory of the device [GB] -> the settings of ``transfer_options`` that ``models plan`` finds to fit."""


def ladder(name: str, memory: Optional[int]) -> tuple[tuple[str, Options], ...]:
    """Return the profiles of a backend from one memory downwards, each with its name; equal ones once.

    Args:
        name: The backend.
        memory: Memory of the device [GB]; ``None`` begins with the settings as they are.

    Raises:
        ConfigError: If the backend has no profiles.
    """
    if name not in PROFILES:
        known = ", ".join(PROFILES)
        raise ConfigError(
            f"{name} has no memory profiles, only {known} have; leave offload.memory and offload.fall_back out."
        )
    steps: list[tuple[str, Options]] = [] if memory is not None else [("the settings as given", _WHOLE)]
    for size, options in PROFILES[name].items():
        if (memory is None or size <= memory) and (not steps or steps[-1][1] != options):
            steps.append((f"the profile for {size} GB", options))
    return tuple(steps)


class FallingTransfer:
    """A backend that takes the next profile when memory runs out, and says so in the notes of every result.

    A request that ran out of memory is made again from its beginning.

    Args:
        name: Name of the backend.
        make: Makes the backend with some settings laid under the user's own.
        steps: Profiles, in the order they are tried.
    """

    def __init__(
        self, name: str, make: Callable[[Options], TransferModel], steps: tuple[tuple[str, Options], ...]
    ) -> None:
        self._name, self._make, self._steps = name, make, steps
        self._step = 0
        self._model = make(steps[0][1])
        self._device: Optional[str] = None
        self._notes: tuple[str, ...] = ()

    @property
    def spec(self) -> TransferSpec:
        """What the model is and can do."""
        return self._model.spec

    def require_weights(self) -> None:
        """Refuse weights that are not there."""
        require_weights(self._model)

    def load(self, device: Optional[str] = None) -> None:
        """Bring the weights onto a device, in the first profile that fits; raises as the backend where none does."""
        self._device = device
        self._fitted(lambda: None)

    def transfer(self, request: TransferRequest, progress: Optional[Progress] = None) -> TransferResult:
        """Make the request's clip photoreal, in the first profile that fits; raises as the backend."""
        result = self._fitted(lambda: self._model.transfer(request, progress))
        provenance = replace(result.provenance, notes=(*result.provenance.notes, *self._notes))
        return replace(result, provenance=provenance)

    def open(self, *given: Any, **named: Any) -> Any:
        """Open a stream of the backend, in the first profile that fits; later a stream keeps it.

        Raises:
            ModelError: If the backend does not stream, and as its own ``open``.
        """
        if not hasattr(self._model, "open"):
            raise ModelError(f"{self._name} does not stream; cosmos3-sim-transfer and embedded do.")
        return self._fitted(lambda: self._model.open(*given, **named))  # type: ignore[attr-defined]

    def unload(self) -> None:
        """Free the weights; safe to call twice. The profile that fitted is kept."""
        self._model.unload()

    def _fitted(self, work: Callable[[], Result]) -> Result:
        while True:
            try:
                self._model.load(self._device)
                return work()
            except ModelMemoryError as error:
                if self._step + 1 == len(self._steps):
                    raise
                why = str(error)
            self._fall(why)  # after the error is gone, and with it whatever it held

    def _fall(self, why: str) -> None:
        self._model.unload()
        gc.collect()
        self._step += 1
        label, options = self._steps[self._step]
        self._notes = (*self._notes, f"Memory ran out ({why}), so {self._name} fell back to {label}.")
        self._model = self._make(options)


__all__ = ["PROFILES", "FallingTransfer", "ladder"]
