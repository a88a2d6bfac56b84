"""Replicator's annotators: which are asked for, how they are copied, and how a copy becomes a Frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Optional

import numpy as np

from cosmos.bridge.errors import SourceError
from cosmos.bridge.kit.payload import ProductPayload
from cosmos.bridge.kit.pool import Layout, Slot, is_warp
from cosmos.bridge.sources.camera_params import read_camera_params
from cosmos.bridge.sources.identities import Identities, boxed, id_of_key, label_of
from cosmos.bridge.types import Camera, Frame, Instance, UpAxis

PICTURES: Mapping[str, int] = {
    "rgb": 4,
    "distance_to_image_plane": 0,
    "normals": 4,
    "motion_vectors": 4,
    "semantic_segmentation": 0,
    "instance_id_segmentation": 0,
    "instance_segmentation": 0,
}
"""Annotators with a value a pixel -> channels; 0 means no channel axis."""
SEGMENTATIONS = ("semantic_segmentation", "instance_id_segmentation", "instance_segmentation")


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnotatorRequest:
    """One annotator to ask for."""

    name: str
    """Name in Replicator's registry."""
    init_params: Mapping[str, Any] = field(default_factory=dict)
    """What it is initialised with."""
    gpu: bool = True
    """Whether it can stay on the GPU; Replicator raises for those that cannot."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """What the documentation of Replicator leaves open; the self-test measures it on the machine at hand."""

    depth_in_scene_units: bool = False
    """Whether ``distance_to_*`` comes in units of the stage; metres, as documented, when ``False``."""
    motion_scale: tuple[float, float] = (1.0, 1.0)
    """Factors that turn ``motion_vectors`` into previous minus current position [px], x and y."""
    motion_void_is_filler: bool = False
    """Whether ``motion_vectors`` holds a filler, not motion, where nothing was hit; it is taken as no motion then."""


def wanted_annotators(*, use_instance_id: bool) -> tuple[AnnotatorRequest, ...]:
    """Return the annotators that a clip is made of.

    Args:
        use_instance_id: Whether instances are leaf prims, labelled or not; else the deepest labelled prims.
    """
    ids = {"colorize": False}
    instances = "instance_id_segmentation" if use_instance_id else "instance_segmentation"
    return (
        AnnotatorRequest(name="rgb"),
        AnnotatorRequest(name="distance_to_image_plane"),
        AnnotatorRequest(name="normals"),
        AnnotatorRequest(name="motion_vectors"),
        AnnotatorRequest(name="semantic_segmentation", init_params=ids),
        AnnotatorRequest(name=instances, init_params=ids),
        AnnotatorRequest(name="bounding_box_3d", gpu=False),
        AnnotatorRequest(name="camera_params", gpu=False),
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RawFrame:
    """An owned copy of one frame of one product, not yet converted."""

    camera: str
    """Prim path of the camera."""
    size: tuple[int, int]
    """Height and width [px]."""
    layout: Layout
    """Layout of the slot."""
    slot: Slot
    """Annotator -> array, from a pool."""
    infos: Mapping[str, Mapping[str, Any]]
    """Annotator -> what stands beside its array."""
    boxes: Optional[np.ndarray]
    """Rows of ``bounding_box_3d``."""


def is_empty(product: ProductPayload) -> bool:
    """Return whether a product has no picture yet, as the first frames after attaching have not."""
    if "rgb" not in product.readings:
        raise SourceError(f"The payload of {product.name or 'the product'} holds no rgb; attach the writer itself.")
    rgb = product.readings["rgb"].array
    if rgb is None or 0 in tuple(rgb.shape):
        return True
    height, width = _size_of(product)
    row = _shaped(rgb, (height, width, 4), "rgb")[height // 2]
    alpha = row.numpy() if is_warp(row) else row
    return not bool(np.asarray(alpha)[..., 3].any())  # an image that was drawn is opaque


def copies_of(product: ProductPayload) -> tuple[tuple[int, int], dict[str, Any]]:
    """Return the size of a product and its pictures in their true shapes; still borrowed, nothing is copied.

    Raises:
        SourceError: If a picture has another size than rgb.
    """
    height, width = _size_of(product)
    shaped = {}
    for name, channels in PICTURES.items():
        reading = product.readings.get(name)
        if reading is not None and reading.array is not None:
            shape = (height, width, channels) if channels else (height, width)
            shaped[name] = _shaped(reading.array, shape, name)
    return (height, width), shaped


def copy_into(slot: Slot, pictures: Mapping[str, Any]) -> None:
    """Copy borrowed pictures into owned memory, and wait until that is done: the renderer reuses its own at once."""
    devices = set[str]()
    for name, picture in pictures.items():
        if is_warp(picture):
            import warp as wp

            wp.copy(slot[name], picture)
            devices.add(str(picture.device))
        else:
            np.copyto(slot[name], picture)
    for device in devices:
        wp.synchronize_device(device)


def to_frame(
    raw: RawFrame,
    identities: Identities,
    calibration: Calibration,
    *,
    moment: Fraction,
    time_code: float,
    up_axis: UpAxis,
    device: Optional[Any] = None,
) -> Frame:
    """Convert a copy; the frame owns its memory and the slot is free again.

    Args:
        raw: The copy.
        identities: Ids of the clip so far.
        calibration: What the self-test measured.
        moment: Reference time [s].
        time_code: USD time code.
        up_axis: World axis that points up.
        device: Warp device of the frame; that of the copy when ``None``.

    Raises:
        SourceError: If the camera is missing or no pinhole, or an id table cannot be read.
    """
    import warp as wp

    from cosmos.bridge.kernels.payload import blank_void, take_bytes, take_depth, take_floats

    height, width = raw.size
    target = wp.get_device(device) if device is not None else None
    pictures = {
        name: array if is_warp(array) else wp.array(array, device="cpu", copy=False) for name, array in raw.slot.items()
    }
    params = raw.infos.get("camera_params")
    if not params:
        raise SourceError(f"Replicator gave no camera_params for {raw.camera}; attach the writer itself.")
    unit = float(params.get("metersPerSceneUnit", 1.0))
    lens = read_camera_params(params, f"camera_params of {raw.camera}", raw.size)
    near, far = lens["clipping"] or (0.01, 1.0e6)
    buffers: dict[str, Any] = {"rgb": take_bytes(pictures["rgb"])}
    if "distance_to_image_plane" in pictures:
        scale = unit if calibration.depth_in_scene_units else 1.0
        buffers["depth"] = take_depth(pictures["distance_to_image_plane"], scale=scale)
    if "normals" in pictures:
        buffers["normals"] = take_floats(pictures["normals"], scale=(1.0, 1.0, 1.0))
    if "motion_vectors" in pictures:
        buffers["motion"] = take_floats(pictures["motion_vectors"], scale=calibration.motion_scale)
        if calibration.motion_void_is_filler and "depth" in buffers:
            blank_void(buffers["motion"], buffers["depth"])
    ids, named = _identify(raw, identities, unit)
    buffers = {name: array if target is None else array.to(target) for name, array in buffers.items()}
    for name, picture in ids.items():
        buffers[name] = wp.array(picture, dtype=wp.uint32, device=buffers["rgb"].device)
    for stored in {str(array.device): array.device for array in pictures.values()}.values():
        wp.synchronize_device(stored)  # the slot is used again
    return Frame(
        camera=Camera(
            prim_path=raw.camera,
            height=height,
            width=width,
            intrinsics=lens["intrinsics"],
            cam_to_world=lens["cam_to_world"],
            near=near,
            far=far,
        ),
        time_code=time_code,
        sim_time=float(moment),
        up_axis=up_axis,
        **named,
        **buffers,
    )


def _identify(raw: RawFrame, identities: Identities, unit: float) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the id pictures, and labels, instances and poses as a Frame has them."""
    pictures: dict[str, np.ndarray] = {}
    named: dict[str, Any] = {}
    for name in SEGMENTATIONS:
        if name not in raw.slot:
            continue
        values, info = _host_ids(raw.slot[name]), raw.infos.get(name, {})
        table = {_id(key, name): entry for key, entry in (info.get("idToLabels") or {}).items()}
        if name == "semantic_segmentation":
            labels = {key: label_of(entry) for key, entry in table.items()}
            pictures["semantic_ids"], named["labels"] = identities.label_picture(values, labels)
            continue
        meanings = {_id(key, name): label_of(entry) for key, entry in (info.get("idToSemantics") or {}).items()}
        paths = {key: str(entry) for key, entry in table.items()}
        pictures["instance_ids"], named["instances"] = identities.thing_picture(values, paths, meanings)
    if "instance_ids" in pictures and "semantic_ids" in pictures:
        named["instances"] = _labelled(named["instances"], pictures, named["labels"])
    if raw.boxes is not None and "instances" in named:
        known = raw.infos.get("bounding_box_3d", {}).get("primPaths") or ()
        named["instances"], named["poses"] = boxed(named["instances"], known, raw.boxes, unit)
    return pictures, named


def _labelled(
    instances: Mapping[int, Instance], pictures: Mapping[str, np.ndarray], labels: Mapping[int, Mapping[str, str]]
) -> dict[int, Instance]:
    """Give each instance the labels that its pixels have, where its own table had none."""
    from dataclasses import replace

    ids = pictures["instance_ids"].ravel()
    at = np.zeros(int(ids.max()) + 1 if ids.size else 1, np.int64)
    at[ids[::-1]] = np.arange(ids.size)[::-1]  # the last write stays: each id's first pixel
    named = {}
    for key, instance in instances.items():
        semantic = int(pictures["semantic_ids"].ravel()[at[key]])
        found = labels.get(semantic, {}) if semantic > 1 else {}
        named[key] = (
            instance if instance.labels or semantic < 2 else replace(instance, semantic_id=semantic, labels=dict(found))
        )
    return named


def _host_ids(array: Any) -> np.ndarray:
    host = array.numpy() if is_warp(array) else np.asarray(array)
    return host.view(np.uint32)


def _id(key: Any, name: str) -> int:
    try:
        return id_of_key(key)
    except ValueError as error:
        raise SourceError(f"idToLabels of {name} has the key {key!r}, which is no id; report this please.") from error


def _size_of(product: ProductPayload) -> tuple[int, int]:
    """Return height and width [px]: what the payload says, else what the camera or the picture says."""
    if product.resolution is not None:
        return product.resolution
    params = product.readings.get("camera_params")
    told = None if params is None else params.info.get("renderProductResolution")
    if told is not None:
        return int(told[1]), int(told[0])
    shape = tuple(product.readings["rgb"].array.shape)
    if len(shape) < 2:
        raise SourceError(f"The picture of {product.name or 'the product'} came flat and without its size.")
    return int(shape[0]), int(shape[1])


def _shaped(array: Any, shape: tuple[int, ...], name: str) -> Any:
    """Return an array in its true shape: Replicator may give it flat, or without axes of length 1."""
    if tuple(array.shape) == shape:
        return array
    if int(np.prod(array.shape)) != int(np.prod(shape)):
        raise SourceError(f"{name} should have shape {list(shape)}, but {list(array.shape)} came; attach again.")
    if is_warp(array) and not array.is_contiguous:
        array = array.contiguous()
    return array.reshape(shape)


__all__ = [
    "AnnotatorRequest",
    "Calibration",
    "RawFrame",
    "copies_of",
    "copy_into",
    "is_empty",
    "to_frame",
    "wanted_annotators",
]
