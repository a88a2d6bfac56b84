"""From a simulated USD scene to photoreal, still-correctly-labelled video, in one process.

Three lines do the main job::

    import cosmos.bridge as cb

    summary = cb.augment("scene.usda", prompt="a rainy night", out="out/")
    print(summary.accepted, "of", summary.planned, summary.report)
"""

__version__ = "0.1.0"

import importlib as _importlib
import typing as _typing

if _typing.TYPE_CHECKING:
    from cosmos.bridge.bridge import Bridge, augment, resume
    from cosmos.bridge.config import BridgeConfig, ControlsConfig, OffloadPolicy, Prompt, RetryPolicy, load_config
    from cosmos.bridge.errors import (
        BridgeError,
        ConfigError,
        ControlError,
        GuardRefusal,
        JobCancelled,
        ModelError,
        SinkError,
        SourceError,
    )
    from cosmos.bridge.jobs import Job, JobProgress, JobState
    from cosmos.bridge.runs.summary import RunSummary
    from cosmos.bridge.types import (
        Augmentation,
        Camera,
        Clip,
        ControlKind,
        ControlWeights,
        Frame,
        TransferRequest,
        TransferResult,
        Verdict,
    )

_HOMES = {
    "bridge": ("Bridge", "augment", "resume"),
    "config": ("BridgeConfig", "ControlsConfig", "OffloadPolicy", "Prompt", "RetryPolicy", "load_config"),
    "errors": (
        "BridgeError",
        "ConfigError",
        "ControlError",
        "GuardRefusal",
        "JobCancelled",
        "ModelError",
        "SinkError",
        "SourceError",
    ),
    "jobs": ("Job", "JobProgress", "JobState"),
    "runs.summary": ("RunSummary",),
    "types": (
        "Augmentation",
        "Camera",
        "Clip",
        "ControlKind",
        "ControlWeights",
        "Frame",
        "TransferRequest",
        "TransferResult",
        "Verdict",
    ),
}
"""Module of this package -> the names that it gives to the face."""

if not _typing.TYPE_CHECKING:

    def __getattr__(name):
        """Import a public name when it is first asked for, so that one room alone need not wait for all the others."""
        for home, names in _HOMES.items():
            if name in names:
                value = globals()[name] = getattr(_importlib.import_module(f"{__name__}.{home}"), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})


__all__ = [
    "Augmentation",
    "Bridge",
    "BridgeConfig",
    "BridgeError",
    "Camera",
    "Clip",
    "ConfigError",
    "ControlError",
    "ControlKind",
    "ControlWeights",
    "ControlsConfig",
    "Frame",
    "GuardRefusal",
    "Job",
    "JobCancelled",
    "JobProgress",
    "JobState",
    "ModelError",
    "OffloadPolicy",
    "Prompt",
    "RetryPolicy",
    "RunSummary",
    "SinkError",
    "SourceError",
    "TransferRequest",
    "TransferResult",
    "Verdict",
    "augment",
    "load_config",
    "resume",
]
