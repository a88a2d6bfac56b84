"""Kernels compile for CUDA where there is no GPU: those of seeing and resolving, which take seconds."""

import pytest
import warp as wp

from check_kernels import compile_for, kernel_modules

wp.config.quiet = True
pytestmark = pytest.mark.skipif(not hasattr(wp, "compile_aot_module"), reason="this Warp compiles for a device only")


@wp.func_native("""
    return no_such_name;
""")
def _broken() -> wp.float32:
    """Compiles nowhere."""


@wp.kernel(module="unique")
def _broken_kernel(out: wp.array(dtype=wp.float32)):
    out[0] = _broken()


@pytest.mark.parametrize("name", ["borrow", "picture", "raster", "resolve", "cast", "world"])
def test_kernels_compile_for_cuda(name):
    modules = kernel_modules((name,))
    assert len(modules) == 1
    assert compile_for(modules[0], 90) == ""


def test_a_kernel_that_does_not_compile_is_told():
    assert compile_for(_broken_kernel.module, 90) != ""
