"""Start Warp without its banner."""

from __future__ import annotations

import os
import sys
import tempfile


def quiet_warp() -> None:
    """Start Warp without its banner, which would go to stdout, and without its remark that there is no CUDA driver."""
    import warp as wp

    if hasattr(wp.config, "log_level"):
        wp.config.log_level = wp.LOG_WARNING
    else:
        wp.config.quiet = True
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            wp.init()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        caught.seek(0)
        for line in caught.read().decode(errors="replace").splitlines():
            if "CUDA driver" not in line:
                sys.stderr.write(line + "\n")
    sys.stderr.flush()


__all__ = ["quiet_warp"]
