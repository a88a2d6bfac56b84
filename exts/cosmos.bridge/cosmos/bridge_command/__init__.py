"""Where the command ``cosmos-bridge`` begins: outside ``cosmos.bridge``, so that Ctrl-C is answered from the start."""

import gc
import os
import signal
import sys
from types import FrameType
from typing import NoReturn, Optional


def main() -> int:
    """Run the command line; an interrupt that no command has answered is one sentence and exit code 130."""
    try:
        signal.signal(signal.SIGINT, _interrupt)
        from cosmos.bridge.cli.main import main as run

        code = run()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the work is done and told; only Python's own exit is left
        gc.freeze()  # which would search all that Warp and USD made for cycles, thrice, before the system takes it back
        return code
    except KeyboardInterrupt:
        _end()


def _interrupt(number: int, frame: Optional[FrameType]) -> None:
    """Raise KeyboardInterrupt, but end at once inside an import: USD's swallow the exception and go on half loaded."""
    while frame is not None:
        if "importlib" in frame.f_code.co_filename:
            _end()
        frame = frame.f_back
    raise KeyboardInterrupt


def _end() -> NoReturn:
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"cosmos-bridge: Interrupted.\n")
    os._exit(130)


__all__ = ["main"]
