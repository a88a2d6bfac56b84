"""A synthetic world with exact ids, depth and motion, drawn with numpy and cv2 alone."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
import warp as wp

from cosmos.bridge.types import (
    Camera,
    Clip,
    ControlSignals,
    ControlWeights,
    Instance,
    Provenance,
    TransferRequest,
    TransferResult,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))


@dataclass
class Layer:
    """A flat textured shape that slides over the picture."""

    id: int
    prim_path: str
    depth: float
    at: tuple[float, float]
    size: tuple[int, int]
    velocity: tuple[float, float]
    color: tuple[int, int, int]
    shape: str = "box"


@dataclass
class World:
    """Pictures and truth of one synthetic clip, as numpy arrays."""

    layers: list[Layer]
    rgb: np.ndarray
    ids: np.ndarray
    depth: np.ndarray
    motion: np.ndarray
    alone: dict[int, np.ndarray] = field(default_factory=dict)

    def request(self, *, drop: tuple[str, ...] = (), source: np.ndarray | None = None) -> TransferRequest:
        """The request for this clip, without the buffers named in ``drop``."""
        rgb = self.rgb if source is None else source
        frames, height, width, _ = rgb.shape
        lens = np.array([[200.0, 0, width / 2], [0, 200.0, height / 2], [0, 0, 1]])
        camera = Camera(prim_path="/World/Camera", height=height, width=width, intrinsics=lens, cam_to_world=np.eye(4))
        buffers = {
            "instance_ids": wp.array(self.ids, dtype=wp.uint32, device="cpu"),
            "depth": wp.array(self.depth, dtype=wp.float32, device="cpu"),
            "motion": wp.array(self.motion, dtype=wp.float32, device="cpu"),
        }
        clip = Clip(
            cameras=(camera,) * frames,
            fps=24.0,
            time_codes=np.arange(frames, dtype=np.float64),
            rgb=wp.array(rgb, dtype=wp.uint8, device="cpu"),
            instances={layer.id: Instance(id=layer.id, prim_path=layer.prim_path) for layer in self.layers},
            **{name: array for name, array in buffers.items() if name not in drop},
        )
        return TransferRequest(
            clip=clip, controls=ControlSignals(signals=()), weights=ControlWeights(), prompt="a clear day"
        )

    def result(self, rgb: np.ndarray) -> TransferResult:
        """A result that shows these pictures."""
        provenance = Provenance(
            model="planted",
            revision="1",
            weights_sha256="",
            licence="Apache-2.0",
            dtype="uint8",
            device="cpu",
            seconds=0.0,
            peak_bytes=0,
        )
        return TransferResult(
            rgb=wp.array(np.ascontiguousarray(rgb), dtype=wp.uint8, device="cpu"), provenance=provenance
        )

    def path(self, instance: int) -> str:
        """Prim path of an instance."""
        return next(layer.prim_path for layer in self.layers if layer.id == instance)


def texture(rng: np.random.Generator, height: int, width: int, color: tuple[int, int, int], strength: float):
    """Smooth random texture around a colour, uint8 [H, W, 3]."""
    noise = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), 1.5)
    noise *= strength / max(float(noise.std()), 1e-6)
    return np.clip(np.array(color, np.float32) + noise[..., None], 0, 255).astype(np.uint8)


def default_layers() -> list[Layer]:
    """A wall, a floor, and things before them that move differently; far to near."""
    return [
        Layer(10, "/World/Wall", 20.0, (-40, 30), (75, 360), (0.5, 0.0), (150, 140, 125)),
        Layer(11, "/World/Floor", 15.0, (-40, 105), (60, 360), (0.5, 0.0), (95, 100, 105)),
        Layer(7, "/World/Far/Tank", 18.0, (150, 45), (30, 26), (0.5, 0.0), (60, 70, 120), "disk"),
        Layer(3, "/World/Crates/Crate_a", 8.0, (30, 70), (40, 44), (1.5, 0.0), (185, 120, 60)),
        Layer(4, "/World/Crates/Crate_b", 7.0, (190, 60), (48, 40), (-1.0, 0.0), (60, 130, 90)),
        Layer(5, "/World/Robot", 5.0, (100, 80), (46, 36), (2.0, 0.5), (210, 205, 60), "disk"),
        Layer(6, "/World/Bolt", 4.0, (60, 20), (3, 3), (1.0, 0.0), (20, 20, 20)),
    ]


def draw(layers: list[Layer], *, frames: int = 12, height: int = 144, width: int = 256, seed: int = 0) -> World:
    """Draw the layers far to near; the rest is sky, id 0, at no depth."""
    rng = np.random.default_rng(seed)
    textures = {
        layer.id: texture(rng, *layer.size, layer.color, 10.0 if layer.size[1] > 100 else 5.0) for layer in layers
    }
    rgb = np.empty((frames, height, width, 3), np.uint8)
    rgb[:] = np.linspace((120, 160, 220), (190, 205, 235), height)[:, None].astype(np.uint8)
    ids = np.zeros((frames, height, width), np.uint32)
    depth = np.full((frames, height, width), np.inf, np.float32)
    motion = np.zeros((frames, height, width, 2), np.float32)
    for layer in layers:
        for t in range(frames):
            x, y = layer.at[0] + layer.velocity[0] * t, layer.at[1] + layer.velocity[1] * t
            shift = np.array([[1, 0, x], [0, 1, y]], np.float64)
            solid = np.full(layer.size, 255, np.uint8)
            if layer.shape == "disk":
                h, w = layer.size
                solid[:] = 0
                cv2.ellipse(solid, (w // 2, h // 2), (w // 2 - 1, h // 2 - 1), 0, 0, 360, 255, -1)
            mask = cv2.warpAffine(solid, shift, (width, height), flags=cv2.INTER_NEAREST) > 127
            skin = cv2.warpAffine(textures[layer.id], shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
            rgb[t][mask], ids[t][mask], depth[t][mask] = skin[mask], layer.id, layer.depth
            motion[t][mask] = (-layer.velocity[0], -layer.velocity[1])
    return World(layers=layers, rgb=rgb, ids=ids, depth=depth, motion=motion)


@pytest.fixture(scope="session")
def world() -> World:
    """Twelve frames, seven instances."""
    return draw(default_layers())


@pytest.fixture(scope="session")
def draw_world():
    """Draws other worlds."""
    return draw


@pytest.fixture(scope="session")
def layer_type():
    """The type of a layer."""
    return Layer


@pytest.fixture(scope="session")
def layers_without():
    """The default layers without, or with changed, instances."""

    def make(gone: tuple[int, ...] = (), **moved: tuple[float, float]) -> list[Layer]:
        layers = [layer for layer in default_layers() if layer.id not in gone]
        for layer in layers:
            dx, dy = moved.get(f"i{layer.id}", (0.0, 0.0))
            layer.at = (layer.at[0] + dx, layer.at[1] + dy)
        return layers

    return make
