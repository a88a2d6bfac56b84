"""A dry run: what a config would cost, from a short probe of the whole line on this machine."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from cosmos.bridge.bridge import Bridge
from cosmos.bridge.config import BridgeConfig, RetryPolicy
from cosmos.bridge.errors import ConfigError, SourceError
from cosmos.bridge.runs.folder import nearest_parent
from cosmos.bridge.runs.plan import plan_clips
from cosmos.bridge.types import Progress

PROBE_FRAMES = 4
"""Frames of the measured probe; one frame before it warms caches and kernels up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What a run would cost."""

    clips: int
    """Clips of the plan."""
    frames_by_camera: tuple[int, ...]
    """Frames of a clip, camera by camera."""
    frames: int
    """Frames of all clips together."""
    size: tuple[int, int]
    """Height and width [px]."""
    seconds: float
    """Wall time without retries [s]."""
    num_bytes: int
    """Disk without retries [bytes]."""
    free_bytes: int
    """Free disk where the out folder will lie [bytes]."""
    seconds_per_frame: Mapping[str, float]
    """Measured wall time a frame by part of the line [s]."""
    basis: str
    """Where the numbers come from."""
    notes: tuple[str, ...] = ()
    """What the sources said."""

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


def estimate(config: BridgeConfig, progress: Optional[Progress] = None) -> Estimate:
    """Run the first frames of a config through the whole line and scale up.

    Reading is paid once a camera, everything else once a clip. Files are measured in a temporary folder that is
    removed again. Nothing is written to the out folder.

    Args:
        config: The run to be priced.
        progress: Told the steps of the probe.

    Raises:
        BridgeError: Whatever the run itself would refuse before or within its first frames.
    """
    if config.offload.placement == "batch":
        raise ConfigError("A dry run measures this machine, but offload.placement is 'batch'; leave one of them out.")
    with Bridge(config) as bridge:
        described = bridge.preflight()
    per_camera = tuple(int(source["num_frames"]) for source in described.values())
    per_clip = dict(zip(described, per_camera, strict=True))
    plan = plan_clips(config)
    frames = sum(per_clip[planned.camera or ""] for planned in plan)
    indices = _frames(config, next(iter(described.values())))
    count = min(PROBE_FRAMES, len(indices))
    with tempfile.TemporaryDirectory(prefix="cosmos-bridge-probe-") as folder:
        started = time.monotonic()
        _, least, _ = _probe(config, indices[:1], Path(folder) / "warm", progress)
        warm_up = time.monotonic() - started
        seconds, num_bytes, size = _probe(config, indices[:count], Path(folder) / "probe", progress)
    once = sum(per_camera) / count * seconds.get("read", 0.0)
    per_frame = (num_bytes - least) / (count - 1) if count > 1 else float(num_bytes)
    each = frames / count * sum(value for part, value in seconds.items() if part not in ("read", "load"))
    return Estimate(
        clips=len(plan),
        frames_by_camera=per_camera,
        frames=frames,
        size=size,
        seconds=warm_up + once + each,
        num_bytes=round(len(plan) * max(0.0, least - per_frame) + frames * per_frame),
        free_bytes=shutil.disk_usage(nearest_parent(Path(config.out))).free,
        seconds_per_frame={part: round(value / count, 4) for part, value in seconds.items()},
        basis=(
            f"measured just now on this machine: {count} of {frames} frames at {size[0]}x{size[1]} through the whole "
            f"line after a warm-up of {warm_up:.1f} s, scaled linearly; one attempt a clip, up to "
            f"{config.retry.max_attempts} if the critic refuses"
        ),
        notes=tuple(dict.fromkeys(note for source in described.values() for note in source["notes"])),
    )


def _frames(config: BridgeConfig, described: Mapping[str, Any]) -> range:
    """Return the frames of the first camera's clip: asked for, or told by the source, or counted from 0."""
    if config.frames is not None:
        return config.frames
    told = described.get("frames")
    if isinstance(told, (list, tuple)) and len(told) == 3:
        first, last, step = (int(number) for number in told)
        return range(first, last + 1, step)
    return range(int(described["num_frames"]))


def _probe(
    config: BridgeConfig, frames: range, out: Path, progress: Optional[Progress]
) -> tuple[dict[str, float], int, tuple[int, int]]:
    """Run a few frames; return the seconds of each part, the bytes written, and the size of the pictures."""
    from cosmos.bridge.sinks.manifest import read_clip_record, read_manifest

    small = config.replace(
        out=str(out),
        frames=frames,
        prompts=config.prompts[:1],
        cameras=config.cameras[:1],
        variants=1,
        retry=RetryPolicy(max_attempts=1),
    )
    with Bridge(small) as bridge:
        summary = bridge.augment(progress)
    num_bytes = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    attempts = [attempt for clip in read_manifest(out)["clips"] for attempt in clip["attempts"]]
    if not attempts:
        raise SourceError(f"The probe made no clip: {'; '.join(summary.notes)}.")
    clip = read_clip_record(out / attempts[0]["folder"])["clip"]
    return summary.stage_seconds, num_bytes, (clip["height"], clip["width"])


__all__ = ["PROBE_FRAMES", "Estimate", "estimate"]
