import io

import cv2
import numpy as np
import OpenEXR  # noqa: TID253
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos.bridge.errors import SinkError
from cosmos.bridge.sinks.images import (
    encode_ids,
    encode_jpeg,
    encode_png,
    id_encoding,
    side_by_side,
    write_depth_exr,
)


def decode(content, flags=cv2.IMREAD_UNCHANGED):
    return cv2.imdecode(np.frombuffer(content, np.uint8), flags)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (36, 64)])
def test_depth_comes_back_to_the_last_bit(tmp_path, size):
    depth = np.random.default_rng(7).uniform(0.01, 900.0, size).astype(np.float32)
    depth.flat[0] = np.inf
    write_depth_exr(tmp_path / "a.exr", depth[::-1])
    with OpenEXR.File(str(tmp_path / "a.exr")) as image:
        np.testing.assert_array_equal(image.channels()["Z"].pixels, depth[::-1])
        assert image.header()["compression"] == OpenEXR.ZIP_COMPRESSION


def test_depth_into_a_missing_folder_is_one_sentence(tmp_path):
    with pytest.raises(SinkError, match="No such file or directory"):
        write_depth_exr(tmp_path / "absent" / "a.exr", np.ones((2, 2), np.float32))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=12))
def test_ids_come_back_whatever_they_are(values):
    ids = np.array(values, np.uint32).reshape(1, -1)
    encoding = id_encoding(ids)
    image = decode(encode_ids(ids, encoding))
    if encoding == "uint16":
        assert max(values) <= 65535 and image.dtype == np.uint16
        read = image.astype(np.uint32)
    else:
        bgra = image.astype(np.uint32)
        read = bgra[..., 2] + 256 * bgra[..., 1] + 65536 * bgra[..., 0] + 16777216 * bgra[..., 3]
    np.testing.assert_array_equal(read.reshape(1, -1), ids)


def test_signed_ids_keep_their_bits():
    ids = np.array([[1, -1]], np.int32)
    assert id_encoding(ids) == "uint32_rgba"
    assert decode(encode_ids(ids, "uint32_rgba"))[0, 1].tolist() == [255] * 4


def test_an_id_too_large_for_16_bits_is_refused():
    with pytest.raises(SinkError, match="65536 does not fit"):
        encode_ids(np.array([[65536]], np.uint32), "uint16")


def test_jpeg_shrinks_but_never_enlarges():
    rgb = np.zeros((40, 100, 3), np.uint8)
    rgb[..., 0] = 250
    small = decode(encode_jpeg(rgb, width=50), cv2.IMREAD_COLOR)
    assert small.shape == (20, 50, 3) and small[10, 25, 2] > 240 > 20 > small[10, 25, 0]
    assert decode(encode_jpeg(rgb, width=500), cv2.IMREAD_COLOR).shape == (40, 100, 3)


def test_side_by_side_shows_both():
    pair = side_by_side(np.zeros((4, 6, 3), np.uint8), np.full((4, 6, 3), 9, np.uint8))
    assert pair.shape == (4, 14, 3) and pair[0, 0, 0] == 0 and pair[0, 6, 0] == 255 and pair[0, 13, 0] == 9


def test_png_is_lossless():
    bgr = np.random.default_rng(7).integers(0, 256, (9, 5, 3), dtype=np.uint8)
    assert encode_png(bgr)[:4] == io.BytesIO(b"\x89PNG").read()
    np.testing.assert_array_equal(decode(encode_png(bgr)), bgr)
