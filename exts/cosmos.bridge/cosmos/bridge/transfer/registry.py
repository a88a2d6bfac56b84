"""Transfer backends by name; a name costs nothing until it is asked for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.errors import ConfigError, ModelError, ModelNotInstalledError
from cosmos.bridge.settings import from_plain
from cosmos.bridge.transfer.base import TransferModel

if TYPE_CHECKING:
    from cosmos.bridge.offload import OffloadPolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferBackend:
    """What is known of a backend before anything of it is imported."""

    name: str
    """Name in the registry."""
    target: str
    """``module:class``."""
    extra: str
    """Extra of the distribution that brings its packages."""
    licence: str
    """Licence name of its weights."""
    hardware: str
    """What it runs on, in one line."""
    fetched: bool = False
    """Whether its weights are not shipped and must be fetched first."""
    controls: tuple[str, ...] = ("edge", "depth", "seg", "vis")
    """Kinds that its weights listen to as they are published."""
    uses: tuple[str, ...] = ()
    """Settings of a request that not every backend uses, and this one does."""
    packages: tuple[str, ...] = ()
    """Modules that it imports when it is loaded; the extra brings them."""
    cuda_gb: float = 0.0
    """Memory of the CUDA device that it needs [GB]; 0 for one that runs anywhere."""
    reads: str = "everything"
    """What of a prompt acts."""
    relights: bool = False
    """Whether it draws by the light of the clip's stage, where the clip has a probe of it."""


_UNKNOWN = "as its model card says"
"""Licence of weights whose card the authors have not read."""

_GUARDED: Mapping[str, str] = {"NVIDIA Open Model License": "cosmos", _UNKNOWN: "cosmos"}
"""Licence -> the guard that it asks for: NVIDIA's ends with a guardrail that is bypassed without one as good, and what
is not known is taken for one that does."""

_DIFFUSERS = ("torch", "diffusers", "transformers")

BACKENDS: Mapping[str, TransferBackend] = {
    backend.name: backend
    for backend in (
        TransferBackend(
            name="embedded",
            target="cosmos.bridge.transfer.embedded:EmbeddedTransfer",
            extra="headless",
            licence="Apache-2.0",
            hardware="any CPU; CUDA where there is one",
            uses=("weights", "negative_prompt", "guidance", "num_steps"),
            packages=("torch", "safetensors"),
            reads="light, weather and lens",
            relights=True,
        ),
        TransferBackend(
            name="identity",
            target="cosmos.bridge.transfer.identity:IdentityTransfer",
            extra="headless",
            licence="Apache-2.0",
            hardware="any CPU or CUDA device",
            controls=(),
            uses=("weights",),
            reads="nothing",
        ),
        TransferBackend(
            name="cosmos-transfer2.5",
            target="cosmos.bridge.transfer.cosmos_transfer25:CosmosTransfer25",
            extra="cosmos",
            licence="NVIDIA Open Model License",
            hardware="a CUDA device of 24 GB or more",
            fetched=True,
            uses=("weights", "negative_prompt", "guidance", "num_steps", "preserve", "overlap"),
            packages=_DIFFUSERS,
            cuda_gb=24.0,
        ),
        TransferBackend(
            name="cosmos3",
            target="cosmos.bridge.transfer.cosmos3:Cosmos3Transfer",
            extra="cosmos",
            licence="OpenMDW-1.1",
            hardware="a CUDA device of 48 GB or more",
            fetched=True,
            controls=("edge", "depth", "seg", "vis", "hdmap"),
            uses=("weights", "negative_prompt", "guidance", "num_steps", "overlap"),
            packages=_DIFFUSERS,
            cuda_gb=48.0,
        ),
        TransferBackend(
            name="cosmos3-sim-transfer",
            target="cosmos.bridge.transfer.cosmos3_sim:CosmosSimTransfer",
            extra="cosmos",
            licence=_UNKNOWN,
            hardware="a CUDA device of 40 GB or more",
            fetched=True,
            packages=_DIFFUSERS,
            cuda_gb=40.0,
        ),
    )
}
"""Name -> backend."""


def names() -> tuple[str, ...]:
    """List the backends there are."""
    return tuple(BACKENDS)


def backends() -> tuple[TransferBackend, ...]:
    """List what is known of each backend."""
    return tuple(BACKENDS.values())


def able(*settings: str) -> tuple[str, ...]:
    """List the backends that use all of some settings of a request."""
    return tuple(backend.name for backend in BACKENDS.values() if set(settings) <= set(backend.uses))


def relights(name: str) -> bool:
    """Return whether a backend draws by the light of the clip's stage; False for a name that is not registered."""
    return name in BACKENDS and BACKENDS[name].relights


def knowing(*kinds: str) -> str:
    """Say, as the end of a sentence, which backends listen to some controls."""
    told, found = " and ".join(kinds), [name for name, one in BACKENDS.items() if set(kinds) <= set(one.controls)]
    if found:
        return f"{' or '.join(found)} knows {told}"
    return f"embedded can be taught {told}: cosmos-bridge models train-branch"


def default_guard(name: str) -> str:
    """Return the guard of a backend for users who name none: what its licence may ask for, else ``blocklist``."""
    return _GUARDED.get(BACKENDS[name].licence, "blocklist") if name in BACKENDS else "blocklist"


def create(
    name: str, options: Optional[Mapping[str, Any]] = None, policy: Optional[OffloadPolicy] = None
) -> TransferModel:
    """Make a backend; its weights stay where they are until ``load``.

    Args:
        name: One of ``names()``.
        options: Settings of that backend alone, as plain values; its ``Options`` class says which there are.
        policy: Where it runs and its weights are kept; ``None`` is this process and its device.

    Raises:
        ModelError: If there is no backend of this name.
        ConfigError: If the backend does not know an option, or refuses its value.
        ModelNotInstalledError: If its packages are missing.
    """
    if name not in BACKENDS:
        near = difflib.get_close_matches(name, BACKENDS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ModelError(f"There is no transfer {name!r}{hint}; there is {', '.join(BACKENDS)}.")
    backend = BACKENDS[name]
    module, _, attribute = backend.target.partition(":")
    try:
        factory = getattr(import_module(module), attribute)
    except ImportError as error:
        raise ModelNotInstalledError(
            f'{name} needs {error.name}: pip install "cosmos-bridge[{backend.extra}]".'
        ) from error
    if policy is None:
        return _make(name, factory, options)
    if policy.placement == "worker":
        from cosmos.bridge.transfer.worker.model import WorkerTransfer

        return WorkerTransfer(name, _fit(name, factory, options, policy), options or {}, policy)
    return _fit(name, factory, options, policy)


def _fit(name: str, factory: Any, options: Optional[Mapping[str, Any]], policy: OffloadPolicy) -> TransferModel:
    """Make a backend in this process, with the settings of its memory profile below the user's own."""
    if policy.memory is None and not policy.fall_back:
        return _make(name, factory, options)
    from cosmos.bridge.transfer.profiles import FallingTransfer, ladder

    def make(profile: Mapping[str, Any]) -> TransferModel:
        return _make(name, factory, {**profile, **(options or {})})

    steps = ladder(name, policy.memory)
    return FallingTransfer(name, make, steps) if policy.fall_back else make(steps[0][1])


def _make(name: str, factory: Any, options: Optional[Mapping[str, Any]]) -> TransferModel:
    """Make a backend in this process."""
    if not options:
        model: TransferModel = factory()
        return model
    kind = getattr(factory, "Options", None)
    if kind is None:
        raise ConfigError(f"{name} takes no transfer_options, got {', '.join(options)}; leave them out.")
    made: TransferModel = factory(from_plain(kind, options, "transfer_options"))
    return made


__all__ = [
    "BACKENDS",
    "TransferBackend",
    "able",
    "backends",
    "create",
    "default_guard",
    "knowing",
    "names",
    "relights",
]
