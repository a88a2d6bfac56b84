"""Plant known faults in good clips, so that a critic can be asked what it finds."""

from cosmos.bridge.critic.faults.catalogue import FAULTS, plant
from cosmos.bridge.critic.faults.change import Change, Fault, Planted
from cosmos.bridge.critic.faults.subject import Subject, Thing

__all__ = ["FAULTS", "Change", "Fault", "Planted", "Subject", "Thing", "plant"]
