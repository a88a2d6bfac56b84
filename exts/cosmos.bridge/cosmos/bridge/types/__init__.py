"""The frozen types of the line from stage to sink; they cost numpy only."""

from cosmos.bridge.types.camera import Camera
from cosmos.bridge.types.control import ControlKind, ControlSignal, ControlSignals, ControlWeights, Weight
from cosmos.bridge.types.frame import (
    BUFFERS,
    EXTRA_BUFFERS,
    Clip,
    Frame,
    FrameDetails,
    Instance,
    MapLine,
    UpAxis,
    gather,
)
from cosmos.bridge.types.lens import FTheta, Lens, OpenCvFisheye, OpenCvPinhole, Orthographic, Pinhole
from cosmos.bridge.types.look import Look
from cosmos.bridge.types.probe import LightMaps, LightProbe
from cosmos.bridge.types.transfer import Progress, Provenance, TransferRequest, TransferResult
from cosmos.bridge.types.verdict import (
    LABEL_STATES,
    WHOLE_FRAME,
    Augmentation,
    CarriedLabel,
    CarriedLabels,
    Finding,
    FindingKind,
    GuardReport,
    LabelState,
    Measurement,
    Scores,
    Severity,
    Verdict,
)

__all__ = [
    "BUFFERS",
    "EXTRA_BUFFERS",
    "LABEL_STATES",
    "WHOLE_FRAME",
    "Augmentation",
    "Camera",
    "CarriedLabel",
    "CarriedLabels",
    "Clip",
    "ControlKind",
    "ControlSignal",
    "ControlSignals",
    "ControlWeights",
    "FTheta",
    "Finding",
    "FindingKind",
    "Frame",
    "FrameDetails",
    "GuardReport",
    "Instance",
    "LabelState",
    "Lens",
    "LightMaps",
    "LightProbe",
    "Look",
    "MapLine",
    "Measurement",
    "OpenCvFisheye",
    "OpenCvPinhole",
    "Orthographic",
    "Pinhole",
    "Progress",
    "Provenance",
    "Scores",
    "Severity",
    "TransferRequest",
    "TransferResult",
    "UpAxis",
    "Verdict",
    "Weight",
    "gather",
]
