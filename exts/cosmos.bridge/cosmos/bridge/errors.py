"""Everything that can go wrong, as a tree.

BridgeError
├── ConfigError              a setting is unknown, of the wrong type, or out of range
├── SourceError              a stage, camera, frame range or folder cannot be read
├── ControlError             a control or a control weight cannot be made from this clip
├── ModelError               a Transfer, Guard or Reason model cannot do its work
│   ├── ModelNotInstalledError   its packages are missing
│   ├── ModelWeightsError        its weights are missing, damaged, or of another kind
│   └── ModelMemoryError         it does not fit the device
├── GuardRefusal             a guard said no; this is an answer, not a failure
├── VerdictParseError        a critic answered something that is no verdict
├── PlantError               a fault cannot be planted in this clip
├── SinkError                a result cannot be written
└── JobCancelled             somebody asked the job to stop

Each message is one sentence: what was asked, what came, what to do.
"""


class BridgeError(Exception):
    """Base of every error that cosmos.bridge raises on purpose."""


class ConfigError(BridgeError):
    """A setting is unknown, of the wrong type, or out of range."""


class SourceError(BridgeError):
    """A stage, camera, frame range or folder cannot be read."""


class ControlError(BridgeError):
    """A control or a control weight cannot be made from this clip."""


class ModelError(BridgeError):
    """A Transfer, Guard or Reason model cannot do its work."""


class ModelNotInstalledError(ModelError, ImportError):
    """The packages of a model are missing; the message names the extra to install."""


class ModelWeightsError(ModelError):
    """The weights of a model are missing, damaged, or of another kind."""


class ModelMemoryError(ModelError):
    """A model or one of its requests does not fit the device."""


class GuardRefusal(BridgeError):
    """A guard said no; this is an answer, not a failure."""


class VerdictParseError(BridgeError):
    """A critic answered something that is no verdict."""


class PlantError(BridgeError):
    """A fault cannot be planted in this clip: nothing in it could show that fault."""


class SinkError(BridgeError):
    """A result cannot be written."""


class JobCancelled(BridgeError):
    """Somebody asked the job to stop."""


__all__ = [
    "BridgeError",
    "ConfigError",
    "ControlError",
    "GuardRefusal",
    "JobCancelled",
    "ModelError",
    "ModelMemoryError",
    "ModelNotInstalledError",
    "ModelWeightsError",
    "PlantError",
    "SinkError",
    "SourceError",
    "VerdictParseError",
]
