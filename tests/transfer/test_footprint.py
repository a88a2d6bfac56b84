"""The peak memory that a result tells is that of its own process."""

import subprocess
import sys

_CHILD = "from cosmos.bridge.transfer.footprint import peak_bytes; print(peak_bytes('cpu'))"
_PARENT = """
import subprocess, sys
held = b"x" * 500_000_000  # its pages are written, so all of them count
print(subprocess.run([sys.executable, "-c", sys.argv[1]], check=True, capture_output=True, text=True).stdout)
"""


def test_what_the_parent_holds_is_not_counted():
    told = subprocess.run([sys.executable, "-c", _PARENT, _CHILD], check=True, capture_output=True, text=True).stdout
    assert 5_000_000 < int(told) < 250_000_000
