"""The worker's side: makes the model, and answers one request after the other until its owner is gone."""

from __future__ import annotations

import os
import queue
import sys
import threading
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any, Optional

from cosmos.bridge.errors import BridgeError, JobCancelled
from cosmos.bridge.transfer.worker.memory import SharedBlock
from cosmos.bridge.transfer.worker.wire import Message, Wire
from cosmos.bridge.types import LightMaps, Look


class Worker:
    """Answers the requests of one owner.

    Args:
        wire: The line to the owner.
        epoch: Which of the owner's workers this is.
    """

    def __init__(self, wire: Wire, epoch: int) -> None:
        self._wire, self._epoch = wire, epoch
        self._heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._model: Any = None
        self._streams: dict[int, Any] = {}
        self._number = 0
        threading.Thread(target=self._listen, name="cosmos-bridge-owner", daemon=True).start()

    def serve(self) -> None:
        """Answer for ever; the process ends with its owner, in the middle of whatever it does."""
        while True:
            request = self._wire.read(self._heard.get())
            self._number = request.number
            try:
                answer = getattr(self, f"_on_{request.kind}")(request.body)
            except JobCancelled as stop:
                self._say("stopped", str(stop))
            except BridgeError as error:
                self._say("refused", {"type": type(error).__name__, "text": str(error)})
            except Exception as error:  # noqa: BLE001 - the edge of the process: its owner raises it again
                self._say("failed", {"text": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()})
            else:
                self._say("done", answer)
            del request

    def light(self, frame: int, look: Look) -> LightMaps:
        """Ask the owner for light maps of the clip in work; see `LightProbe.light`."""
        maps: LightMaps = self._ask("light", {"frame": frame, "look": look}).body
        return maps

    def close(self) -> None:
        """Do nothing: the probe is the owner's."""

    def _on_meet(self, offered: Any) -> Any:
        found = self._wire.share.try_out(offered)
        self._wire.share.agree(found)
        return found

    def _on_load(self, told: Mapping[str, Any]) -> Any:
        import warp as wp

        from cosmos.bridge.offload import OffloadPolicy
        from cosmos.bridge.settings import from_plain
        from cosmos.bridge.transfer.registry import create

        if self._model is None:
            policy = from_plain(OffloadPolicy, told["offload"])
            self._model = create(told["name"], told["options"], policy)
        self._model.load(told["device"])
        self._wire.device = told["device"] or str(wp.get_preferred_device())

    def _on_transfer(self, request: Any) -> Any:
        result = self._model.transfer(request, self._tell)
        return {"rgb": result.rgb, "provenance": result.provenance}

    def _on_open(self, told: Mapping[str, Any]) -> Any:
        self._streams[self._number] = self._model.open(*told["given"], **told["named"])

    def _on_push(self, told: Mapping[str, Any]) -> Any:
        return self._streams[told["stream"]].push(*told["given"], **self._listened(told))

    def _on_finish(self, told: Mapping[str, Any]) -> Any:
        return self._streams[told["stream"]].finish(**self._listened(told))

    def _listened(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return the progress of a stream, where its owner listens."""
        return {"progress": self._tell} if told["listened"] else {}

    def _on_forget(self, told: Any) -> Any:
        for stream in told:
            self._streams.pop(stream, None)

    def _tell(self, stage: str, done: int, total: int) -> None:
        """Report progress, and wait whether to go on: a step is where work can be stopped.

        Raises:
            JobCancelled: If the owner says so.
        """
        self._ask("progress", (stage, done, total))

    def _ask(self, kind: str, body: Any) -> Message:
        self._say(kind, body)
        answer = self._wire.read(self._heard.get())
        if answer.kind == "stop":
            raise JobCancelled("The owner of the worker stopped the request.")
        return answer

    def _say(self, kind: str, body: Any) -> None:
        self._wire.send(kind, body, epoch=self._epoch, number=self._number)

    def _listen(self) -> None:
        """Hand on what the owner says; when it is gone, however it went, end this process."""
        while True:
            try:
                self._heard.put(self._wire.pipe.recv_bytes())
            except (EOFError, OSError):
                os._exit(0)


def main(arguments: Optional[list[str]] = None) -> None:
    """Serve on the file descriptors given as arguments: pipe, memory of the owner, memory of the worker; and epoch."""
    from cosmos.bridge.kernels.quiet import quiet_warp

    pipe, theirs, ours, epoch = map(int, sys.argv[1:] if arguments is None else arguments)
    quiet_warp()
    wire = Wire(Connection(pipe), SharedBlock(ours), SharedBlock(theirs), borrow=True)
    worker = Worker(wire, epoch)
    wire.probe = worker
    wire.send("hello", {"devices": wire.share.devices()}, epoch=epoch, number=0)
    worker.serve()


__all__ = ["Worker", "main"]
