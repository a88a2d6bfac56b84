"""Scenes that we author ourselves, so that a demo, a test or a training run needs no download."""

from cosmos.bridge.scenes.random import random
from cosmos.bridge.scenes.street import street
from cosmos.bridge.scenes.tabletop import tabletop
from cosmos.bridge.scenes.warehouse import warehouse

__all__ = ["random", "street", "tabletop", "warehouse"]
