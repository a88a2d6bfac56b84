"""Every kind of fault with the strengths it is tried at, and how one is planted."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Optional

import numpy as np

from cosmos.bridge.critic.faults import frames, surfaces, things
from cosmos.bridge.critic.faults.change import Fault, Planted, seen
from cosmos.bridge.critic.faults.subject import Subject
from cosmos.bridge.errors import PlantError

FAULTS: Mapping[str, Fault] = {
    fault.kind: fault
    for fault in (
        Fault(kind="removed", told="a thing is gone", unit="", strengths=(1.0,), plant=things.removed),
        Fault(kind="duplicated", told="a thing is there twice", unit="", strengths=(1.0,), plant=things.duplicated),
        Fault(
            kind="moved", told="a thing stands elsewhere", unit="px", strengths=(4.0, 2.0, 8.0), plant=things.moved
        ),
        Fault(
            kind="scaled", told="a thing is larger or smaller", unit="times", strengths=(1.4, 1.2), plant=things.scaled
        ),
        Fault(
            kind="recoloured", told="a protected thing has another colour", unit="dE", strengths=(25.0, 12.0),
            plant=things.recoloured,
        ),
        Fault(kind="mirrored", told="a thing is mirrored", unit="", strengths=(1.0,), plant=things.mirrored),
        Fault(kind="swapped", told="two things changed places", unit="", strengths=(1.0,), plant=things.swapped),
        Fault(kind="split", told="a thing is cut in two", unit="of it", strengths=(0.3,), plant=things.split),
        Fault(
            kind="invented", told="there is a thing nobody labelled", unit="px", strengths=(28.0, 16.0),
            plant=things.invented,
        ),
        Fault(
            kind="depth_order", told="what is behind a thing covers its rim", unit="px", strengths=(6.0, 3.0),
            plant=surfaces.depth_order,
        ),
        Fault(
            kind="texture_swims", told="texture slides over a surface", unit="px a frame", strengths=(2.0, 1.0),
            plant=surfaces.texture_swims,
        ),
        Fault(
            kind="flickering", told="the whole picture flickers", unit="levels", strengths=(12.0, 6.0),
            plant=surfaces.flickering,
        ),
        Fault(
            kind="thing_flickering", told="one thing flickers", unit="levels", strengths=(24.0, 12.0),
            plant=surfaces.thing_flickering,
        ),
        Fault(
            kind="chunk_seam", told="later frames are graded differently", unit="levels", strengths=(12.0,),
            plant=surfaces.chunk_seam,
        ),
        Fault(
            kind="fog_hides", told="fog hides what the labels call visible", unit="of it left", strengths=(0.03,),
            plant=surfaces.fog_hides,
        ),
        Fault(
            kind="camera_shifted", told="the camera stands elsewhere", unit="px", strengths=(4.0, 2.0),
            plant=frames.camera_shifted,
        ),
        Fault(
            kind="picture_mirrored", told="the picture is mirrored", unit="", strengths=(1.0,),
            plant=frames.picture_mirrored,
        ),
        Fault(kind="frame_dropped", told="a frame is left out", unit="", strengths=(1.0,), plant=frames.frame_dropped),
        Fault(
            kind="frame_repeated", told="a frame is shown twice", unit="", strengths=(1.0,), plant=frames.frame_repeated
        ),
        Fault(
            kind="frames_reversed", told="the clip runs backwards", unit="", strengths=(1.0,),
            plant=frames.frames_reversed,
        ),
        Fault(
            kind="frames_shuffled", told="frames come in a wrong order", unit="frames", strengths=(3.0,),
            plant=frames.frames_shuffled,
        ),
        Fault(kind="frame_blank", told="a frame is blank", unit="", strengths=(1.0,), plant=frames.frame_blank),
        Fault(
            kind="labels_shifted", told="labels are one frame early", unit="", strengths=(1.0,),
            plant=frames.labels_shifted,
        ),
        Fault(
            kind="prompt_ignored", told="the source comes back as it was", unit="", strengths=(1.0,),
            plant=frames.prompt_ignored,
        ),
    )
}  # fmt: skip
"""Kind -> fault."""


def plant(kind: str, subject: Subject, *, seed: int, strength: Optional[float] = None) -> Planted:
    """Plant one fault; the same arguments give the same pixels.

    Args:
        kind: One of ``FAULTS``.
        subject: Good clip.
        seed: Decides which thing and frames it befalls, and how, >= 0.
        strength: How strong, > 0; ``None`` takes the fault's first.

    Raises:
        PlantError: If there is no such fault, the strength is not positive, or the clip has nothing that could show it.
    """
    import warp as wp

    if kind not in FAULTS:
        raise PlantError(f"There is no fault {kind!r}; there is {', '.join(FAULTS)}.")
    fault = FAULTS[kind]
    strong = fault.strengths[0] if strength is None else float(strength)
    if not 0.0 < strong < np.inf:
        raise PlantError(f"The strength of {kind} must be positive, got {strong!r}.")
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    change = next((change for change in fault.plant(subject, rng, strong) if seen(subject, change)), None)
    if change is None:
        raise PlantError(f"{kind} cannot be planted in this clip: nothing in it would show that {fault.told}.")
    result = subject.result
    if change.rgb is not None:
        pixels = wp.array(np.ascontiguousarray(change.rgb), dtype=wp.uint8, device=result.rgb.device)
        result = replace(result, rgb=pixels)
    first = change.things[0] if change.things else None
    return Planted(
        kind=kind,
        clip=subject.request.clip if change.clip is None else change.clip,
        result=result,
        frames=change.frames,
        ids=tuple(key for thing in change.things for key in thing.ids),
        prim_path="" if first is None else first.path,
        area=0.0 if first is None else float(first.areas.mean()),
        strength=strong,
    )


__all__ = ["FAULTS", "plant"]
