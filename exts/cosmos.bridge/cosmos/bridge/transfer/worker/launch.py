"""How a worker process is started, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import weakref
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Optional

from cosmos.bridge.errors import ConfigError, ModelError
from cosmos.bridge.transfer.worker.memory import SharedBlock
from cosmos.bridge.transfer.worker.wire import Wire

_BEGIN = "from cosmos.bridge.transfer.worker.process import main; main()"
_GRACE = 5.0


class Child:
    """A running worker.

    Args:
        python: Python to run it with; ``None`` takes this one.
        epoch: Number of the worker among those of its model.

    Raises:
        ConfigError: If there is no such Python.
        ModelError: If the worker cannot be started here, or ends before it says a word.
    """

    def __init__(self, python: Optional[str], epoch: int) -> None:
        if not hasattr(os, "memfd_create"):
            raise ModelError(f"The placement 'worker' needs Linux, this is {sys.platform}; take placement 'here'.")
        self.epoch = epoch
        """Number of the worker."""
        near, far = socket.socketpair()
        with far, SharedBlock() as down, SharedBlock() as up:
            kept = [os.dup(block.fileno) for block in (down, up)]
            self.wire = Wire(Connection(near.detach()), SharedBlock(kept[0]), SharedBlock(kept[1]))
            """The line to it."""
            handed = (far.fileno(), down.fileno, up.fileno)
            command = [find_python(python), "-c", _BEGIN, *map(str, handed), str(epoch)]
            try:
                # A session of its own, so that a Ctrl-C at the terminal reaches its owner alone.
                self.process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=2,  # what a model prints is no result
                    pass_fds=handed,
                    env=_environment(python),
                    start_new_session=True,
                )
            except OSError as error:
                self.wire.close()
                raise ConfigError(f"The worker's Python {command[0]} cannot be started: {error.strerror}.") from error
        self.end = weakref.finalize(self, _end, self.process, self.wire)
        """Ends the worker; safe to call twice, and called when nobody holds it any more."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.end.alive and self.process.poll() is None

    def fate(self) -> str:
        """End it, and say how it went before."""
        try:
            code = self.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            code = 0
        self.end()
        if code >= 0:
            return f"ended with exit code {code}"
        name = signal.Signals(-code).name
        return f"was killed by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")


def find_python(given: Optional[str]) -> str:
    """Return the Python to run a worker with; an application that embeds Python (Kit) brings one beside it.

    Raises:
        ConfigError: If there is none.
    """
    beside = Path(sys.base_prefix) / "bin" / "python3"
    candidates = (given,) if given is not None else (sys.executable, str(beside))
    for candidate in candidates:
        path = Path(candidate or "")
        if path.is_file() and os.access(path, os.X_OK) and (given is not None or path.name.startswith("python")):
            return str(path)
    raise ConfigError(f"There is no Python at {' or '.join(map(repr, candidates))}; name one with offload.python.")


def _environment(python: Optional[str]) -> dict[str, str]:
    """Return the environment of a worker: another Python gets this distribution's sources, and no package of ours."""
    import cosmos

    own = [str(Path(folder).parent) for folder in cosmos.__path__]
    paths = [path or os.getcwd() for path in sys.path] if python is None else own
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "PYTHONSAFEPATH": "1"}


def _end(process: subprocess.Popen[bytes], wire: Wire) -> None:
    wire.close()  # the worker ends itself when its owner is gone
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


__all__ = ["Child", "find_python"]
