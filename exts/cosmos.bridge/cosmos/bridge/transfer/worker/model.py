"""The owner's side: a worker that looks like any other Transfer model."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Optional, Union

from cosmos.bridge import errors
from cosmos.bridge.errors import ModelError
from cosmos.bridge.fetched import require_weights
from cosmos.bridge.transfer.base import TransferModel, TransferSpec
from cosmos.bridge.transfer.watch import GuardChoice, Watch
from cosmos.bridge.transfer.worker.launch import Child
from cosmos.bridge.transfer.worker.wire import Message
from cosmos.bridge.types import Clip, GuardReport, LightProbe, Progress, TransferRequest, TransferResult

if TYPE_CHECKING:
    import warp as wp

    from cosmos.bridge.offload import OffloadPolicy


class WorkerTransfer:
    """A Transfer model that lives in a process of its own.

    The process is started by `load`, and anew by the next request after it died; each gets an epoch, each request a
    number, and what is said for another one is dropped. Requests of several threads wait for each other.

    Args:
        name: Name of the backend.
        model: The backend in this process, never loaded: it tells what it is and refuses wrong options at once.
        options: Settings of the backend, as plain values.
        policy: Where the worker runs.
    """

    def __init__(self, name: str, model: TransferModel, options: Mapping[str, Any], policy: OffloadPolicy) -> None:
        self._name, self._local, self._options, self._policy = name, model, dict(options), policy
        self._child: Optional[Child] = None
        self._epoch = self._number = 0
        self._device: Optional[str] = None
        self._dropped: list[int] = []
        self._turn = threading.RLock()

    @property
    def spec(self) -> TransferSpec:
        """What the model is and can do."""
        return self._local.spec

    @property
    def pid(self) -> Optional[int]:
        """Process id of the worker; ``None`` while there is none."""
        return None if self._child is None else self._child.process.pid

    def require_weights(self) -> None:
        """Refuse weights that are not there."""
        require_weights(self._local)

    def load(self, device: Optional[str] = None) -> None:
        """Start the worker and bring the weights onto a device there; as loading in this process, and errors too."""
        with self._turn:
            if self._child is not None and not self._child.alive:
                self.unload()
            if self._child is not None and device == self._device:
                return
            if self._child is None:
                self._start()
            self._ask("load", self._told(device))
            self._device = device

    def transfer(self, request: TransferRequest, progress: Optional[Progress] = None) -> TransferResult:
        """Make the request's clip photoreal, frame for frame.

        Raises:
            ModelError: If the request asks for what this model cannot do, or the worker died; the next request starts
                it anew.
            JobCancelled: If ``progress`` raised it; the worker has stopped at that step and keeps its weights.
        """
        with self._turn:
            self.load(self._device)
            clip = request.clip
            made = self._ask("transfer", request, progress=progress, probe=clip.probe, device=clip.rgb.device)
            provenance = made["provenance"]
            effective = {**provenance.effective, "placement": "worker"}
            return TransferResult(rgb=made["rgb"], provenance=replace(provenance, effective=effective))

    def open(self, prompt: str, *, guard: GuardChoice = None, **named: Any) -> WorkerStream:
        """Open a stream; takes what the backend's own ``open`` takes.

        Args:
            prompt: What the pictures should look like; not empty.
            guard: As of the backend's own ``open``; it works in this process.
            **named: What the backend's own ``open`` takes besides.

        Raises:
            ModelError: If the backend does not stream, refuses an argument, or the worker died.
            GuardRefusal: If the guard refuses the prompt.
        """
        if not hasattr(self._local, "open"):
            raise ModelError(f"{self._name} does not stream; cosmos3-sim-transfer and embedded do.")
        watch = Watch(self.spec, guard, prompt)
        with self._turn:
            self.load(self._device)
            self._ask("open", {"given": (prompt,), "named": {**named, "guard": "off"}})
            return WorkerStream(self, self._epoch, self._number, watch)

    def unload(self) -> None:
        """End the worker; safe to call twice. Its streams are lost."""
        with self._turn:
            child, self._child = self._child, None
            if child is not None:
                child.end()

    def push(
        self,
        stream: WorkerStream,
        kind: str,
        given: tuple[Any, ...],
        device: Any,
        probe: Optional[LightProbe] = None,
        progress: Optional[Progress] = None,
    ) -> Any:
        """Ask a stream of the worker; see `WorkerStream`."""
        with self._turn:
            if self._child is None or not self._child.alive or stream.epoch != self._epoch:
                raise ModelError(
                    f"The worker of this {self._name} stream is gone and its frames with it; open another."
                )
            if self._dropped:
                dropped, self._dropped = self._dropped, []
                self._ask("forget", dropped)
            told = {"stream": stream.number, "given": given, "listened": progress is not None}
            return self._ask(kind, told, progress=progress, device=device, probe=probe)

    def drop(self, epoch: int, number: int) -> None:
        """Let the worker forget a stream that nobody holds any more, with the next request."""
        if epoch == self._epoch:
            self._dropped.append(number)

    def _told(self, device: Optional[str]) -> dict[str, Any]:
        from cosmos.bridge.settings import to_plain

        local = replace(self._policy, placement="here", python=None)
        return {"name": self._name, "options": self._options, "offload": to_plain(local), "device": device}

    def _start(self) -> None:
        """Start a worker and agree with it on what memory both can share."""
        self._epoch, self._number, self._dropped = self._epoch + 1, 0, []
        self._child = child = Child(self._policy.python, self._epoch)
        try:
            hello = child.wire.receive()
        except (EOFError, OSError) as error:
            raise self._gone("before it was ready") from error
        share = child.wire.share
        offered = share.offer(hello.body["devices"])
        share.agree(self._ask("meet", offered) if offered else ())

    def _ask(
        self,
        kind: str,
        body: Any,
        *,
        progress: Optional[Progress] = None,
        probe: Optional[LightProbe] = None,
        device: Any = "cpu",
    ) -> Any:
        """Ask the worker, serve it while it works, and return its answer."""
        child = self._child
        if child is None:
            raise ModelError(f"{self._name} has no worker; call load().")
        self._number += 1
        child.wire.device = str(device)
        try:
            answer, stopped = self._converse(child, kind, body, progress, probe)
        except (EOFError, OSError) as error:
            raise self._gone(f"in the midst of a request ({kind})") from error
        except BaseException:  # raised on: also a Ctrl-C must not leave a worker whose work is nobody's
            self.unload()
            raise
        if stopped is not None:
            raise stopped
        if answer.kind == "refused":
            raise getattr(errors, answer.body["type"])(answer.body["text"])
        if answer.kind == "failed":
            raise RuntimeError(f"{answer.body['text']}, in the worker of {self._name}:\n{answer.body['trace']}")
        return answer.body

    def _converse(
        self, child: Child, kind: str, body: Any, progress: Optional[Progress], probe: Optional[LightProbe]
    ) -> tuple[Message, Optional[BaseException]]:
        """Return the worker's last word, and what the progress function raised to stop it."""
        wire, stamp = child.wire, {"epoch": child.epoch, "number": self._number}
        held, stopped = wire.send(kind, body, **stamp), None
        while True:
            heard = wire.receive()
            if (heard.epoch, heard.number) != (child.epoch, self._number):
                continue  # too late for its own request, and for no other
            if heard.kind not in ("progress", "light"):
                return heard, stopped
            answer = None
            try:
                if heard.kind == "light" and probe is not None:
                    answer = probe.light(**heard.body)
                elif progress is not None:
                    progress(*heard.body)
            except BaseException as error:  # noqa: BLE001 - the user's own, also a Ctrl-C; raised once the worker stopped
                stopped = error
            wire.send("go" if stopped is None else "stop", answer, **stamp, after=held)

    def _gone(self, when: str) -> ModelError:
        child, self._child = self._child, None
        fate = "ended" if child is None else child.fate()
        return ModelError(
            f"The worker of {self._name} {fate} {when}; the next request starts it anew, and the same one goes on from "
            "what it had kept on disk, if anything."
        )


class WorkerStream:
    """A stream of a backend in a worker; made by `WorkerTransfer.open`."""

    def __init__(self, owner: WorkerTransfer, epoch: int, number: int, watch: Watch) -> None:
        self._owner, self._device, self._watch = owner, "cpu", watch
        self.epoch = epoch
        """Worker that it lives in."""
        self.number = number
        """Its name there."""
        weakref.finalize(self, owner.drop, epoch, number)

    @property
    def guard_reports(self) -> tuple[GuardReport, ...]:
        """What the guard says of the prompt and, once there are some, of the pictures so far."""
        return self._watch.reports

    def push(self, frames: Union[wp.array, Clip], *more: Any, progress: Optional[Progress] = None) -> wp.array:
        """Take frames, and return the pictures that are ready, on the frames' device; the caller owns them.

        Args:
            frames: What the backend's own stream takes first: control frames, or a clip.
            more: What it takes besides.
            progress: Told the steps of this call, where the backend's own stream tells them; may raise to stop.

        Raises:
            ModelError: As the backend's own stream, or if the worker died: the stream is lost then.
            GuardRefusal: If the guard refuses the pictures, or has refused earlier ones.
        """
        probe = frames.probe if isinstance(frames, Clip) else None
        self._device = str(frames.rgb.device if isinstance(frames, Clip) else frames.device)
        return self._screened("push", (frames, *more), probe, progress)

    def finish(self, progress: Optional[Progress] = None) -> wp.array:
        """Return the pictures that are still to come; listens and raises as `push`."""
        return self._screened("finish", (), None, progress)

    def _screened(
        self, kind: str, given: tuple[Any, ...], probe: Optional[LightProbe], progress: Optional[Progress]
    ) -> wp.array:
        self._watch.go_on()
        return self._watch.screen(self._owner.push(self, kind, given, self._device, probe, progress))


__all__ = ["WorkerStream", "WorkerTransfer"]
