"""What a clip will need on a GPU before any weight is loaded, counted on the real nets without contents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch  # noqa: TID253
from torch import nn  # noqa: TID253

from cosmos.models.checkpoint import parameter_count, without_sections
from cosmos.models.fp8 import Fp8Linear, store_in_fp8
from cosmos.models.metering import Meter, build_empty, without_contents
from cosmos.models.runtime import diffusers_class, plain_attention
from cosmos.models.spec import read_config
from cosmos.models.weights import WeightsError

GIB = float(2**30)
RESERVE = 1.0
"""What CUDA, its libraries and the allocator take besides tensors [GiB]; assumed."""

LINK = 20.0
"""Rate at which weights that were offloaded come back to the device [GiB/s]; assumed, PCIe 4 x16."""

AUTOENCODER = "autoencoder"
"""Name of the net that encodes and decodes; all others denoise."""

_BLOCKS = ("transformer_blocks", "control_blocks", "layers")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """Times that somebody published for one clip."""

    clip: str
    """The clip, in words."""
    flops: float
    """Operations of it, counted as here."""
    seconds: Mapping[str, float]
    """GPU -> time [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a clip would need on a GPU in bfloat16."""

    parameters: Mapping[str, int]
    """Net -> parameters."""
    weights: float
    """Memory of the nets [GiB]."""
    profiles: Mapping[str, float]
    """How weights are held, by the options that say so -> memory that a device must have free, with prompts already
    embedded [GiB]."""
    text: float
    """Memory of a text encoder, alone on the device while a new prompt is read [GiB]; 0 where there is none."""
    phases: Mapping[str, float]
    """Phase -> peak of everything else that lives meanwhile [GiB]."""
    petaflops: float
    """Operations of the whole clip [1e15]."""
    passes: int
    """Times that all weights of the denoiser are read."""
    chunks: int
    """Chunks of the clip."""
    reference: Reference
    """What times are scaled from."""

    @property
    def needed(self) -> float:
        """Memory that a device must have free with all weights on it [GiB]."""
        return self.profiles["bf16"]

    def seconds(self) -> dict[str, float]:
        """Return GPU -> seconds, from published times scaled by the operations [s]."""
        ratio = self.petaflops * 1e15 / self.reference.flops
        return {name: seconds * ratio for name, seconds in self.reference.seconds.items()}

    def moving(self) -> float:
        """Return how long it takes at most to bring offloaded weights back for every pass [s]."""
        return self.passes * self.weights / LINK

    def verdict(self, free: float) -> str:
        """Say whether it fits a device of so much free memory [GiB], and how weights must be held for that."""
        held = next((name for name, needed in self.profiles.items() if needed <= free), None)
        if held is None:
            phase = max(self.phases, key=lambda name: self.phases[name])
            least = min(self.profiles.values())
            return (
                f"does not fit, because {phase} needs {self.phases[phase]:.1f} GiB besides weights, {least:.1f} GiB at "
                "least in all; take a smaller size, fewer frames a chunk, fewer controls, views or vae_tiling"
            )
        how = "fits" if held == "bf16" else f"fits with {held}"
        why = "" if held == "bf16" else f", because {self.needed:.1f} GiB are needed without"
        if "offload" not in held and self.text + RESERVE > free:  # an encoder that waits as well takes little
            return f"{how} for prompts embedded before{why}; embedding a new one needs {self.text + RESERVE:.1f} GiB"
        return how + why


class Counter:
    """Peaks and operations, phase by phase."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.peaks: dict[str, int] = {}
        """Phase -> most bytes at once, weights left out."""
        self.flops: dict[str, int] = {}
        """Phase -> operations."""
        meter.restart()

    def end(self, phase: str) -> None:
        """End a phase; the next one begins."""
        self.peaks[phase] = max(self._meter.peak, self.peaks.get(phase, 0))
        self.flops[phase] = self._meter.flops
        self._meter.restart()

    @property
    def live(self) -> int:
        """Bytes alive now."""
        return self._meter.live


@contextmanager
def counting() -> Iterator[Counter]:
    """Count what runs inside; call it inside of `without_contents`, after the nets are built."""
    with Meter() as meter, plain_attention(torch.device("cpu")):
        yield Counter(meter)


def empty_net(class_name: str, config: Mapping[str, Any]) -> Any:
    """Build a net of diffusers in bfloat16 without contents.

    Raises:
        WeightsError: If the configuration describes no such net.
    """
    kind = diffusers_class(class_name)
    known = without_sections(kind, {name: value for name, value in config.items() if not name.startswith("_")})
    try:
        return build_empty(lambda: kind.from_config(known), torch.bfloat16)
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise WeightsError(f"The configuration describes no {class_name}: {error}.") from error


def config_of(folder: Path | None, part: str, published: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the configuration of a net: of a checkpoint, or the published one where no checkpoint is given.

    Raises:
        WeightsError: If the checkpoint's cannot be read.
    """
    if folder is None:
        return published
    try:
        return read_config(folder / part / "config.json")
    except ValueError as error:
        raise WeightsError(f"{error} Give the folder of a published checkpoint.") from error


def make_plan(
    nets: Mapping[str, nn.Module],
    peaks: Mapping[str, int],
    *,
    flops: float,
    passes: int,
    reference: Reference,
    chunks: int = 1,
    text: float = 0.0,
) -> Plan:
    """Put together what was counted; call it inside of `without_contents`, as it stores the nets in 8 bits.

    Args:
        nets: Net -> module, without contents.
        peaks: Phase -> most bytes at once, weights left out.
        flops: Operations of the whole clip.
        passes: Times that all weights of the denoiser are read.
        reference: What times are scaled from.
        chunks: Chunks of the clip.
        text: Memory of a text encoder [GiB].
    """
    phases = {name: peak / GIB for name, peak in peaks.items()}
    parameters = {name: parameter_count(net) for name, net in nets.items()}
    weights = sum(_bytes(net) for net in nets.values()) / GIB
    return Plan(
        parameters=parameters,
        weights=weights,
        profiles=profiles(nets, phases),  # last, for it changes the nets
        text=text,
        phases=phases,
        petaflops=flops / 1e15,
        passes=passes,
        chunks=chunks,
        reference=reference,
    )


def padded(size: tuple[int, int], multiple: int) -> tuple[int, int]:
    """Return height and width, brought up to multiples [px]."""
    height, width = (-(-side // multiple) * multiple for side in size)
    return height, width


def profiles(nets: Mapping[str, nn.Module], phases: Mapping[str, float]) -> dict[str, float]:
    """Return how weights may be held -> memory that is needed [GiB]; stores the nets' layers in 8 bits on the way.

    Ways are named after the options that set them. With cpu_offload a net's blocks come to the device one after the
    other, two at a time, and what lies outside of them stays, but stands aside while a clip is decoded, as the
    autoencoder does while it is denoised.

    Args:
        nets: Net -> module, without contents.
        phases: Phase -> peak of everything else [GiB].
    """
    found = {}
    for name in ("bf16", "fp8"):
        widened = 0.0 if name == "bf16" else _store_all(nets)
        whole = {net: _bytes(module) / GIB for net, module in nets.items()}
        turn = {net: _turn_bytes(module) / GIB for net, module in nets.items()}
        found[name] = sum(whole.values()) + max(phases.values()) + widened + RESERVE
        others = sum(size for net, size in turn.items() if net != AUTOENCODER) + widened
        coder = whole[AUTOENCODER]
        stays = {phase: {"decode": coder, "denoise": others}.get(phase, coder + others) for phase in phases}
        found["cpu_offload" if name == "bf16" else "fp8 and cpu_offload"] = (
            max(peak + stays[phase] for phase, peak in phases.items()) + RESERVE
        )
    return {name: found[name] for name in ("bf16", "fp8", "cpu_offload", "fp8 and cpu_offload")}


def _bytes(net: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in (*net.parameters(), *net.buffers()))


def _turn_bytes(net: nn.Module) -> int:
    """Return the bytes of a net whose blocks come two at a time."""
    blocks = [_bytes(block) for name, child in net.named_children() if name in _BLOCKS for block in child.children()]
    return _bytes(net) - sum(blocks) + 2 * max(blocks, default=0)


def _store_all(nets: Mapping[str, nn.Module]) -> float:
    """Store the large layers in 8 bits; return what the largest takes while it is widened [GiB]."""
    for name, net in nets.items():
        if name != AUTOENCODER:
            store_in_fp8(net)
    stored = (module for net in nets.values() for module in net.modules() if isinstance(module, Fp8Linear))
    return max((2.0 * layer.weight.numel() for layer in stored), default=0.0) / GIB


__all__ = [
    "AUTOENCODER",
    "GIB",
    "LINK",
    "RESERVE",
    "Counter",
    "Plan",
    "Reference",
    "config_of",
    "counting",
    "empty_net",
    "make_plan",
    "padded",
    "profiles",
    "without_contents",
]
