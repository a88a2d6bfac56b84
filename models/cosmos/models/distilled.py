"""What models that were distilled to four steps share."""

SIGMAS = (1.0, 0.9375, 5.0 / 6.0, 0.625)
"""Noise levels of the four steps: shift 5 of 1, 3/4, 1/2 and 1/4."""

__all__ = ["SIGMAS"]
