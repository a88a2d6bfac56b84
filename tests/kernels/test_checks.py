from types import SimpleNamespace

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.kernels.checks import check_array, check_same_device, dtype_name, lanes_of, prepare_out


def test_a_fitting_array_passes_and_is_returned():
    array = wp.zeros((1, 2, 3), dtype=wp.float32, device="cpu")
    check_array("resize", "video", array, dtypes=("float32",), ndim=3)
    assert prepare_out("resize", array, (1, 2, 3), wp.float32, array.device) is array
    assert dtype_name(array) == "float32"
    assert dtype_name([1]) == "list"


def test_the_message_names_launcher_argument_and_what_came():
    with pytest.raises(
        ValueError, match=r"resize needs video as uint8 or float32 \[T, H, W, 3\].*got float64 \[1, 2, 2, 3\]"
    ):
        array = wp.zeros((1, 2, 2, 3), dtype=wp.float64, device="cpu")
        check_array("resize", "video", array, dtypes=("uint8", "float32"), ndim=4, channels=3)


def test_an_empty_array_is_refused():
    with pytest.raises(ValueError, match="at least 1 element"):
        check_array("resize", "video", wp.zeros((0, 2, 3), dtype=wp.uint8, device="cpu"), dtypes=("uint8",), ndim=3)


def test_two_devices_are_refused_by_name():
    with pytest.raises(ValueError, match=r"'a': 'cpu', 'b': 'cuda:0'.*array.to"):
        check_same_device("shade", a=SimpleNamespace(device="cpu"), b=SimpleNamespace(device="cuda:0"))


def test_out_on_another_device_is_refused():
    with pytest.raises(ValueError, match="on cuda:0, got float32"):
        prepare_out("shade", wp.zeros((1,), dtype=wp.float32, device="cpu"), (1,), wp.float32, "cuda:0")


def test_rows_are_shared_on_cuda_only(device):
    assert (lanes_of(wp.get_device(device)) == 1) == (device == "cpu")
    assert np.log2(lanes_of(SimpleNamespace(is_cuda=True))) % 1 == 0
