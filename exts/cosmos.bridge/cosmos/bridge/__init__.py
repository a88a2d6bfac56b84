"""From a simulated USD scene to photoreal, still-correctly-labelled video, in one process."""

__version__ = "0.1.0"
