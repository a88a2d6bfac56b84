"""Replicator's annotators of a frame: the same names, dtypes, shapes, ids and signs, from any frame with ground truth.

What each one is, beside Replicator's own, is told in ``docs/annotators.md``.
"""

from cosmos.bridge.render.annotators.options import AnnotatorOptions
from cosmos.bridge.render.annotators.registry import ANNOTATORS, annotate, check_annotator, needs_picture

__all__ = ["ANNOTATORS", "AnnotatorOptions", "annotate", "check_annotator", "needs_picture"]
