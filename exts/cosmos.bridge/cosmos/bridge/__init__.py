"""From a simulated USD scene to photoreal, still-correctly-labelled video, in one process.

Three lines do the main job::

    import cosmos.bridge as cb

    summary = cb.augment("scene.usda", prompt="a rainy night", out="out/")
    print(summary.accepted, "of", summary.planned, summary.report)
"""

__version__ = "0.1.0"

from cosmos.bridge.bridge import Bridge, augment, resume
from cosmos.bridge.config import BridgeConfig, ControlsConfig, Prompt, RetryPolicy, load_config
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
