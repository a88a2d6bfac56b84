"""How a streaming checkpoint of Cosmos 3 wants to be run, as its exporter wrote it down.

NVIDIA's exporter adds a section to ``transformer/config.json`` of a checkpoint in diffusers' layout. Two kinds are
published: *framewise* ones, which paint one latent frame at a time and remember a window of them, and *chunkwise* ones,
which paint some together and remember all. The names and their meanings are those that NVIDIA's framework, vLLM-Omni
and SGLang share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmos.models.chunks import TEMPORAL_STRIDE
from cosmos.models.distilled import SIGMAS
from cosmos.models.spec import read_config
from cosmos.models.weights import WeightsError

_SECTIONS = ("cosmos3_nano_sim_bimanual", "cosmos_dreams")
"""Names of the section, the present one first; other streaming models have it too."""

HINTS = ("edge", "blur", "depth", "seg")
"""Controls that a checkpoint may be driven by, by NVIDIA's names."""

_RUNS: Mapping[str, Any] = {
    "attention_mode": "three_way",
    "video_temporal_causal": True,
    "temporal_compression_factor": TEMPORAL_STRIDE,
    "conditioning.mode": "control_video",
    "conditioning.transfer_control_attention_mode": "causal_control_with_rgb_history",
    "conditioning.share_vision_temporal_positions": True,
    "conditioning.system_prompt_id": "cosmos3_transfer_v1",
    "fixed_step_sampler_config.sample_type": "sde",
    "fixed_step_sampler_config.num_train_timesteps": 1000,
}
"""What is done here; a checkpoint that was trained for something else is refused."""

_REPEATED = {
    "latent_patch_size": "latent_patch_size",
    "base_fps": "base_fps",
    "enable_fps_modulation": "enable_fps_modulation",
    "temporal_modality_margin": "unified_3d_mrope_temporal_modality_margin",
    "unified_3d_mrope_reset_spatial_ids": "unified_3d_mrope_reset_spatial_ids",
}
"""What the section tells again of the transformer -> the name there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """How a checkpoint streams."""

    chunk: int
    """Latent frames that are painted together, after the first one, which is painted alone."""
    window: int | None
    """Latent frames that one sees at most, itself among them; ``None`` for all."""
    sinks: int
    """Of these, first ones that are never forgotten."""
    names_control: bool
    """Whether the prompt is to end with a sentence that names the control."""
    hints: tuple[str, ...] = HINTS
    """Controls that it listens to, by NVIDIA's names."""


def read_export(folder: Path, *, window: int | None = None, sinks: int | None = None) -> Export:
    """Return how a checkpoint streams.

    Args:
        folder: Folder of the checkpoint.
        window: Given by the user; ``None`` reads it from the checkpoint.
        sinks: Likewise.

    Raises:
        WeightsError: If the checkpoint is no streaming one or wants what is not done here, if it does not say how it
            streams and nobody else does, or if what the user gives does not suit it.
    """
    try:
        config = read_config(folder / "transformer" / "config.json")
    except ValueError as error:
        raise WeightsError(f"{error} Give the folder of a published checkpoint.") from error
    section = next((config[name] for name in _SECTIONS if isinstance(config.get(name), dict)), None)
    if section is None:
        if window is None or sinks is None:
            raise WeightsError(
                f"The checkpoint in {folder} does not say how it streams; give an export for streaming, or set "
                "transfer_options.window and transfer_options.sinks as its card says (30 and 3 for framewise ones)."
            )
        return Export(chunk=1, window=window, sinks=_fitting(window, sinks), names_control=False)
    _check(folder, section, config)
    conditioning = section.get("conditioning") or {}
    chunk = _number(folder, section, "chunk_size", least=1)
    if chunk > 1:
        _check_chunkwise(folder, chunk, conditioning, window, sinks)
        remembered, kept = None, 0
    else:
        whole = section.get("window_frames") is None and window is None
        remembered = None if whole else window or _number(folder, section, "window_frames", least=1)
        kept = _number(folder, section, "sink_frames", least=0) if sinks is None else sinks
    return Export(
        chunk=chunk,
        window=remembered,
        sinks=_fitting(remembered, kept),
        names_control=bool(conditioning.get("emphasize_control_in_prompt", False)),
        hints=tuple(conditioning.get("hints", HINTS)),
    )


def _check(folder: Path, section: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that wants what is not done here."""
    for name, done in _RUNS.items():
        part, _, key = name.rpartition(".")
        told = (section.get(part) or {}) if part else section
        if not isinstance(told, dict) or told.get(key, done) != done:
            wants = told.get(key) if isinstance(told, dict) else told
            raise WeightsError(
                f"The checkpoint in {folder} wants {name} = {wants!r}, only {done!r} is done here; give a "
                "Sim-Transfer export."
            )
    for name, there in _REPEATED.items():
        if name in section and there in config and section[name] != config[there]:
            raise WeightsError(
                f"The checkpoint in {folder} says {name} = {section[name]!r} of how it streams, but {config[there]!r} "
                "of its transformer; fetch it again."
            )
    sigmas = (section.get("fixed_step_sampler_config") or {}).get("t_list", SIGMAS)
    if not isinstance(sigmas, (list, tuple)) or len(sigmas) != len(SIGMAS) or not _close(sigmas):
        raise WeightsError(
            f"The checkpoint in {folder} was distilled to the noise levels {sigmas}, only {list(SIGMAS)} are done here."
        )
    hints = (section.get("conditioning") or {}).get("hints", HINTS)
    if not isinstance(hints, (list, tuple)) or not hints or not set(hints) <= set(HINTS):
        raise WeightsError(f"The checkpoint in {folder} wants the controls {hints}, only {list(HINTS)} are known here.")


def _check_chunkwise(
    folder: Path, chunk: int, conditioning: Mapping[str, Any], window: int | None, sinks: int | None
) -> None:
    """Refuse to forget where some frames are painted together: no such model was trained."""
    if conditioning.get("no_eviction", True) is not True:
        raise WeightsError(
            f"The checkpoint in {folder} paints {chunk} latent frames at once and forgets old ones, which is not done "
            "here; give an export that keeps all of them, or paints one at a time."
        )
    if window is not None or sinks is not None:
        raise WeightsError(
            f"The checkpoint in {folder} paints {chunk} latent frames at once and was trained to remember all; leave "
            "transfer_options.window and transfer_options.sinks out."
        )


def _close(sigmas: Any) -> bool:
    numbers = all(isinstance(sigma, (int, float)) for sigma in sigmas)
    return numbers and all(math.isclose(*pair, abs_tol=1e-6) for pair in zip(sigmas, SIGMAS, strict=True))


def _number(folder: Path, section: Mapping[str, Any], key: str, *, least: int) -> int:
    """Return a whole number of the section."""
    found = section.get(key)
    if isinstance(found, bool) or not isinstance(found, int) or found < least:
        raise WeightsError(
            f"The checkpoint in {folder} must say {key} as a whole number of {least} or more, got {found!r}; fetch it "
            "again."
        )
    return found


def _fitting(window: int | None, sinks: int) -> int:
    """Return the sinks where they suit the window."""
    if window is None and sinks:
        raise WeightsError(f"Where nothing is forgotten there are no sinks, got {sinks}; set transfer_options.window.")
    if window is not None and not 0 <= sinks < window:
        raise WeightsError(
            f"A stream must see more latent frames than stay for ever, got window {window} and sinks {sinks}."
        )
    return sinks


__all__ = ["HINTS", "Export", "read_export"]
