"""Folders as BasicWriter and CosmosWriter lay them out, written with NumPy and OpenCV alone."""

import json

import cv2
import numpy as np
import pytest


def write_png(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    order = {2: slice(None), 3: [2, 1, 0], 4: [2, 1, 0, 3]}[image.shape[2] if image.ndim == 3 else 2]
    assert cv2.imwrite(str(path), image[..., order] if image.ndim == 3 else image)


PALETTE = {"BACKGROUND": (0, 0, 0, 0), "box": (25, 255, 140, 255), "person": (140, 25, 255, 255)}


class BasicFolder:
    """What a BasicWriter run of one camera leaves, and the truth behind it."""

    size = (12, 16)

    def __init__(self, folder, *, frames=3, colorize=True, nested=False, camera=True):
        rng = np.random.default_rng(5)
        height, width = self.size
        self.folder, self.rgb, self.depth, self.classes = folder, [], [], []
        folder.mkdir(parents=True, exist_ok=True)

        def place(name):
            annotator = name.split("_labels")[0].split("_mapping")[0].split("_semantics")[0]
            spot = folder / annotator if nested else folder
            spot.mkdir(exist_ok=True)
            return spot

        for number in range(frames):
            tag = f"{number:04d}"
            rgb = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
            rgb[..., 3] = 255
            write_png(place("rgb") / f"rgb_{tag}.png", rgb)
            depth = rng.uniform(1.0, 20.0, self.size).astype(np.float32)
            depth[0, 0] = np.inf
            np.save(place("distance_to_image_plane") / f"distance_to_image_plane_{tag}.npy", depth)
            normals = rng.normal(size=(height, width, 3))
            normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
            normals[0, 0] = 0.0
            self.normals = normals
            write_png(place("normals") / f"normals_{tag}.png", np.uint8((normals * 0.5 + 0.5) * 255))
            motion = rng.normal(size=(height, width, 4)).astype(np.float32)
            np.save(place("motion_vectors") / f"motion_vectors_{tag}.npy", motion)
            self.motion = motion
            names = np.array(list(PALETTE))[rng.integers(0, 3, self.size)]
            names[0, 0] = "BACKGROUND"
            self._segment(place, tag, names, colorize)
            if camera:
                path = place("camera_params") / f"camera_params_{tag}.json"
                path.write_text(json.dumps(self.camera_params()))
            self.rgb.append(rgb[..., :3])
            self.depth.append(depth)
            self.classes.append(names)

    def _segment(self, place, tag, names, colorize):
        paths = {"box": "/World/Box", "person": "/World/Person"}
        if colorize:
            keys = {name: str(color) for name, color in PALETTE.items()}
            image = np.array([[PALETTE[name] for name in row] for row in names], dtype=np.uint8)
        else:
            ids = {"BACKGROUND": 0, "box": 300, "person": 7}
            keys = {name: str(number) for name, number in ids.items()}
            image = np.array([[ids[name] for name in row] for row in names], dtype=np.uint16)
        for annotator in ("semantic_segmentation", "instance_segmentation"):
            write_png(place(annotator) / f"{annotator}_{tag}.png", image)
        labels = {keys[name]: {"class": name} for name in PALETTE}
        (place("semantic_segmentation_labels") / f"semantic_segmentation_labels_{tag}.json").write_text(
            json.dumps(labels)
        )
        mapping = {keys[name]: paths.get(name, "BACKGROUND") for name in PALETTE}
        (place("instance_segmentation_mapping") / f"instance_segmentation_mapping_{tag}.json").write_text(
            json.dumps(mapping)
        )
        meanings = place("instance_segmentation_semantics_mapping")
        (meanings / f"instance_segmentation_semantics_mapping_{tag}.json").write_text(json.dumps(labels))

    # A camera 3 units above the origin, turned 90 degrees around the vertical, in a stage of centimetres.
    pose = np.array([[0.0, -1, 0, 100], [1, 0, 0, 200], [0, 0, 1, 300], [0, 0, 0, 1]])

    def camera_params(self):
        height, width = self.size
        return {
            "cameraAperture": [20.955, 15.7],
            "cameraFocalLength": 18.0,
            "cameraNearFar": [5.0, 100000.0],
            "cameraViewTransform": np.linalg.inv(self.pose).T.ravel().tolist(),
            "metersPerSceneUnit": 0.01,
            "renderProductResolution": [width, height],
        }


class CosmosClip:
    """What CosmosWriter leaves of one clip, and the truth behind it."""

    size = (10, 14)

    def __init__(self, folder, *, frames=2):
        rng = np.random.default_rng(9)
        height, width = self.size
        self.folder, self.rgb, self.distance, self.objects = folder, [], [], []
        for number in range(frames):
            rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            distance = rng.uniform(0.2, 90.0, self.size)
            distance[0, 0] = np.inf
            share = (np.log(np.clip(distance, 0.1, 100.0)) - np.log(0.1)) / (np.log(100.0) - np.log(0.1))
            level = np.uint8(np.round((1.0 - share) * 255))
            objects = rng.integers(0, 3, self.size)
            colors = np.array([[0, 0, 0], [250, 120, 130], [120, 250, 190]], dtype=np.uint8)[objects]
            grey = np.stack([level] * 3 + [np.full_like(level, 255)], -1)
            pictures = {"rgb": rgb, "depth": grey, "segmentation": colors, "shaded_seg": colors // 2, "edges": rgb // 2}
            for name, image in pictures.items():
                write_png(folder / name / f"{name}_{number:04d}.png", image)
            self.rgb.append(rgb)
            self.distance.append(distance)
            self.objects.append(objects)


@pytest.fixture
def basic(tmp_path):
    return lambda name="run", **options: BasicFolder(tmp_path / name, **options)


@pytest.fixture
def cosmos(tmp_path):
    return lambda name="clip_0000", **options: CosmosClip(tmp_path / name, **options)
