"""The backend that changes nothing: what the rest of the line is measured with."""

from __future__ import annotations

import time
from typing import Optional

from cosmos.bridge.errors import ModelError
from cosmos.bridge.transfer.base import TransferSpec
from cosmos.bridge.transfer.footprint import peak_bytes, settings_of, versions
from cosmos.bridge.types import ControlKind, Progress, Provenance, TransferRequest, TransferResult


class IdentityTransfer:
    """Returns the clip's own pictures."""

    @property
    def spec(self) -> TransferSpec:
        """What the model is and can do."""
        return TransferSpec(
            name="identity",
            revision="1",
            licence="Apache-2.0",
            controls=tuple(ControlKind),
            size_multiple=1,
            num_steps=1,
            max_steps=1,
            weight_maps=True,
            negative_prompt=False,
            guidance=False,
        )

    def load(self, device: Optional[str] = None) -> None:
        """Do nothing: there are no weights."""

    def transfer(self, request: TransferRequest, progress: Optional[Progress] = None) -> TransferResult:
        """Copy the clip's pictures.

        Raises:
            ModelError: If more than one step is asked for.
        """
        import warp as wp

        if request.num_steps not in (None, 1):
            raise ModelError(f"identity takes 1 of num_steps, got {request.num_steps}; ask for 1 or leave it out.")
        start = time.perf_counter()
        rgb = wp.empty_like(request.clip.rgb)
        for frame in range(request.clip.num_frames):
            wp.copy(rgb[frame], request.clip.rgb[frame])
            if progress is not None:
                progress("transfer", frame + 1, request.clip.num_frames)
        device = str(rgb.device)
        provenance = Provenance(
            model="identity",
            revision=self.spec.revision,
            weights_sha256="",
            licence=self.spec.licence,
            dtype="uint8",
            device=device,
            seconds=time.perf_counter() - start,
            peak_bytes=peak_bytes(device),
            requested=settings_of(request),
            effective={"num_steps": 1},
            versions=versions("warp"),
            notes=("The identity backend changes nothing; prompt, weights and seed have no effect.",),
        )
        return TransferResult(rgb=rgb, provenance=provenance)

    def unload(self) -> None:
        """Do nothing: there is nothing to free."""


__all__ = ["IdentityTransfer"]
