"""Scenes that we author ourselves, so that a demo, a test or a training run needs no download."""

from cosmos.bridge.scenes.random import random

__all__ = ["random"]
