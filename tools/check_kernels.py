"""Compile the kernels for CUDA without a GPU: NVRTC comes with Warp, so what CUDA would refuse is seen anywhere.

    python tools/check_kernels.py                     every module of kernels; some take a minute
    python tools/check_kernels.py raster resolve      these only
    python tools/check_kernels.py --arch 75           for another architecture (default 90)

Says what does not compile, and exits with 1 then. Whether results are right is for the tests to tell on a device.
"""

import argparse
import importlib
import pkgutil
import sys
import tempfile
import time
from types import ModuleType

import warp as wp

import cosmos.bridge.kernels
import cosmos.bridge.render.annotators
import cosmos.bridge.render.draw

PACKAGES = (cosmos.bridge.kernels, cosmos.bridge.render.annotators, cosmos.bridge.render.draw)


def kernel_modules(names: tuple[str, ...] = ()) -> list[ModuleType]:
    """Modules that hold kernels; only those whose last name is in ``names``, if any are given."""
    found = []
    for package in PACKAGES:
        for item in pkgutil.iter_modules(package.__path__):
            if names and item.name not in names:
                continue
            module = importlib.import_module(f"{package.__name__}.{item.name}")
            if any(
                isinstance(value, wp.Kernel) and value.module.name == module.__name__ for value in vars(module).values()
            ):
                found.append(module)
    return found


def compile_for(module: ModuleType, arch: int) -> str:
    """Compile all kernels of ``module`` for a CUDA architecture; returns why it failed, or nothing."""
    with tempfile.TemporaryDirectory(prefix="check-kernels-") as folder:
        try:
            wp.compile_aot_module(module, arch=arch, module_dir=folder)
        except Exception as error:  # noqa: BLE001  (whatever the compiler says is the finding)
            return str(error) or type(error).__name__
    return ""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="last names of modules")
    parser.add_argument("--arch", type=int, default=90, help="CUDA architecture (default 90)")
    options = parser.parse_args(arguments)
    wp.config.quiet = True
    modules = kernel_modules(tuple(options.names))
    if not modules:
        parser.error(f"no module of kernels is named {' or '.join(options.names)}")
    failed = 0
    for module in modules:
        start = time.process_time()
        why = compile_for(module, options.arch)
        failed += bool(why)
        print(f"{module.__name__}: {why or 'compiles'} ({time.process_time() - start:.1f} s of CPU)", flush=True)
    print(f"{len(modules) - failed} of {len(modules)} modules compile for sm_{options.arch}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
