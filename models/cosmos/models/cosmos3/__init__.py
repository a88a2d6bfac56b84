"""Cosmos 3: one transformer for text and video tokens, here for control-to-video."""
