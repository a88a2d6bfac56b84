"""The papers' metrics beside the verdict, where they are asked for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cosmos.bridge.critic.outcome import Outcome, measured
from cosmos.bridge.critic.papers import blur_ssim, edge_f1
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Chunk


class PublishedSweep:
    """Blur SSIM and untolerant edge F1 against the source; costs more than all checks together."""

    family = "papers"

    def __init__(self, thresholds: Mapping[str, Threshold]) -> None:
        self._thresholds = thresholds
        self._rows: list[tuple[float, float, int]] = []

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in."""
        source, result = (video[chunk.halo :] for video in (chunk.source, chunk.result))
        similar = blur_ssim(source, result) if min(source.shape[1:3]) >= 7 else float("nan")
        self._rows.append((similar, edge_f1(source, result), len(source)))

    def conclude(self) -> Outcome:
        """Tell the means over the clip; no finding ever comes of them."""
        table = np.array(self._rows)
        measurements = []
        for column, check in enumerate(("paper_blur_ssim", "paper_edge_f1")):
            known = np.isfinite(table[:, column])
            if known.any():
                value = float(np.average(table[known, column], weights=table[known, 2]))
                measurements.append(measured(self._thresholds, check, value))
        return Outcome(measurements=tuple(measurements))


__all__ = ["PublishedSweep"]
