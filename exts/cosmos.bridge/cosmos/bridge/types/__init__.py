"""The frozen types of the line from stage to sink; they cost numpy only."""

import importlib as _importlib
import typing as _typing

if _typing.TYPE_CHECKING:
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
    from cosmos.bridge.types.probe import LightMaps, LightProbe, PixelEdges
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

_HOMES = ("camera", "lens", "look", "probe", "frame", "control", "transfer", "verdict")
"""Modules of this package; each needs those before it."""

if not _typing.TYPE_CHECKING:

    def __getattr__(name):
        """Import a type when it is first asked for: to make all of them takes longer than to draw a small picture."""
        if name in __all__:
            for home in _HOMES:
                module = _importlib.import_module(f"{__name__}.{home}")
                if name in module.__all__:
                    value = globals()[name] = getattr(module, name)
                    return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})


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
    "PixelEdges",
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
