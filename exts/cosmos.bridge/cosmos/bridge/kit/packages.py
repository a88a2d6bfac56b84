"""Packages that the line needs besides what Isaac Sim ships, and how they come in without replacing anything of it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

EXTRA: Mapping[str, str] = {"av": "av", "OpenEXR": "OpenEXR", "safetensors": "safetensors"}
"""Module -> distribution of those in the extra ``kit``, which pull in nothing that could replace Isaac Sim's own."""
OPENCV = '"opencv-python-headless<4.12"'
"""OpenCV, which most installations ship; newer ones ask for a NumPy that Isaac Sim 4 and 5 must not get."""


def missing_packages() -> str:
    """Return what is missing and how to install it, in one sentence; empty where nothing is."""
    absent = [name for module, name in EXTRA.items() if find_spec(module) is None]
    ways = []
    if absent:
        ways.append('python.sh -m pip install "cosmos-bridge[kit]"')
    if find_spec("cv2") is None:
        absent.append("OpenCV")
        ways.append(f"python.sh -m pip install --no-deps {OPENCV}")
    if not absent:
        return ""
    verb = "is" if len(absent) == 1 else "are"
    return f"{', '.join(absent)} {verb} not installed, so nothing could be written: {' and '.join(ways)}."


__all__ = ["EXTRA", "OPENCV", "missing_packages"]
