"""Texture reads in kernels, judged by OpenCV's remap and by NumPy."""

import cv2
import numpy as np
import pytest
import warp as wp

from cosmos.bridge.render.draw.atlas import BASE_SLOT, Atlas, make_atlas, sample_slot, sample_texture
from cosmos.bridge.render.scene import Material, Scene, Texture, TextureSlot
from cosmos.bridge.types import Instance

wp.config.quiet = True


@wp.kernel
def _read_kernel(
    atlas: Atlas,
    uv: wp.array(dtype=wp.vec2),
    footprint: wp.float32,
    slot: wp.int32,
    texels_out: wp.array(dtype=wp.vec4),
):
    i = wp.tid()
    if slot >= 0:
        texels_out[i] = sample_slot(atlas, 0, slot, uv[i], footprint)
    else:
        texels_out[i] = sample_texture(atlas, 0, uv[i], footprint)


def scene_of(texture, slot=None):
    material = Material(name="m", base_color_slot=slot or TextureSlot(texture=0))
    empty = np.zeros((0, 3), dtype=np.float32)
    return Scene(
        path="fake",
        up_axis="Z",
        fps=24.0,
        start_time=0.0,
        end_time=0.0,
        meshes=(),
        materials=(material,),
        textures=(texture,),
        drawn=(Instance(id=1, prim_path="/A"),),
        mesh_of=np.zeros(1, dtype=np.int32),
        material_of=np.full(1, -1, dtype=np.int32),
        color_of=empty,
        lights=(),
        labels={},
        camera_paths=(),
    )


def read(scene, uv, device, *, footprint=0.0, slot=-1):
    atlas = make_atlas(scene, device)
    out = wp.empty(len(uv), dtype=wp.vec4, device=device)
    points = wp.array(uv.astype(np.float32), dtype=wp.vec2, device=device)
    wp.launch(_read_kernel, dim=len(uv), inputs=[atlas, points, footprint, slot, out], device=device)
    return out.numpy()


@pytest.fixture
def image():
    return np.random.default_rng(5).integers(0, 256, (7, 5, 4), dtype=np.uint8)


@pytest.mark.parametrize("wrap", ["repeat", "clamp", "mirror"])
def test_bilinear_reads_match_opencv(device, image, wrap):
    uv = np.random.default_rng(6).uniform(-0.9, 1.9, (200, 2))
    got = read(scene_of(Texture(path="t", texels=image, srgb=False, wrap_s=wrap, wrap_t=wrap)), uv, device)
    tiles = 2
    wide = np.pad(
        image,
        ((7 * tiles,) * 2, (5 * tiles,) * 2, (0, 0)),
        {"repeat": "wrap", "clamp": "edge", "mirror": "symmetric"}[wrap],
    )
    x = (uv[:, 0] * 5 - 0.5 + 5 * tiles).astype(np.float32)
    y = ((1.0 - uv[:, 1]) * 7 - 0.5 + 7 * tiles).astype(np.float32)
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    top = wide[y0, x0] * (1 - fx) + wide[y0, x0 + 1] * fx
    low = wide[y0 + 1, x0] * (1 - fx) + wide[y0 + 1, x0 + 1] * fx
    np.testing.assert_allclose(got * 255.0, top * (1 - fy) + low * fy, atol=0.05)
    remapped = cv2.remap(wide.astype(np.float32), x[:, None], y[:, None], cv2.INTER_LINEAR)[:, 0]
    np.testing.assert_allclose(got * 255.0, remapped, atol=255.0 / 32)  # OpenCV weighs in steps of 1/32


def test_black_wrap_is_black_outside(device, image):
    scene = scene_of(Texture(path="t", texels=image, srgb=False, wrap_s="black", wrap_t="black"))
    assert not read(scene, np.array([[1.6, 0.5], [0.5, -0.7]]), device).any()


def test_the_first_row_is_the_top(device):
    texels = np.zeros((2, 2, 4), dtype=np.uint8)
    texels[0] = 255
    got = read(scene_of(Texture(path="t", texels=texels, srgb=False)), np.array([[0.5, 0.75], [0.5, 0.25]]), device)
    np.testing.assert_allclose(got[:, 0], [1.0, 0.0], atol=1e-6)


def test_srgb_texels_are_linearised_and_alpha_is_not(device):
    texels = np.full((1, 1, 4), 188, dtype=np.uint8)
    got = read(scene_of(Texture(path="t", texels=texels, srgb=True)), np.array([[0.5, 0.5]]), device)[0]
    np.testing.assert_allclose(got[:3], ((188 / 255 + 0.055) / 1.055) ** 2.4, rtol=1e-5)
    np.testing.assert_allclose(got[3], 188 / 255, rtol=1e-5)


def test_a_pixel_as_large_as_the_image_reads_its_mean(device):
    texels = np.random.default_rng(8).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    scene = scene_of(Texture(path="t", texels=texels, srgb=False))
    got = read(scene, np.array([[0.3, 0.8]]), device, footprint=1.0)[0]
    np.testing.assert_allclose(got * 255.0, texels.reshape(-1, 4).mean(axis=0), atol=1.5)


def test_slots_scale_turn_and_shift_before_and_after_reading(device, image):
    slot = TextureSlot(
        texture=0,
        scale=(0.5, 2.0, 1.0, 1.0),
        bias=(0.1, -0.2, 0.0, 0.0),
        uv_scale=(2.0, 3.0),
        uv_rotation=30.0,
        uv_offset=(0.2, -0.1),
    )
    texture = Texture(path="t", texels=image, srgb=False)
    uv = np.random.default_rng(9).uniform(0.0, 1.0, (20, 2))
    c, s = np.cos(np.radians(30.0)), np.sin(np.radians(30.0))
    placed = (uv * (2.0, 3.0)) @ np.array([[c, s], [-s, c]]) + (0.2, -0.1)
    plain = read(scene_of(texture), placed, device)
    got = read(scene_of(texture, slot), uv, device, slot=int(BASE_SLOT))
    np.testing.assert_allclose(got, plain * slot.scale + slot.bias, atol=2e-4)


def test_udim_tiles_are_read_at_whole_uvs(device, image):
    uv = np.random.default_rng(11).uniform((1.0, 2.0), (3.0, 5.0), (50, 2))
    plain = Texture(path="t", texels=image, srgb=False, wrap_s="clamp", wrap_t="clamp")
    tiled = Texture(path="t", texels=image, srgb=False, wrap_s="clamp", wrap_t="clamp", tiles=(1, 2, 2, 3))
    want = read(scene_of(plain), (uv - (1.0, 2.0)) / (2.0, 3.0), device)
    np.testing.assert_allclose(read(scene_of(tiled), uv, device), want, atol=1e-4)
