"""What the panel's buttons do inside Kit: look at the stage, capture, preview, show. Main thread only."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
import webbrowser
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Optional

from cosmos.bridge.bridge import Bridge
from cosmos.bridge.errors import BridgeError, SourceError
from cosmos.bridge.jobs import Job, StopSignal
from cosmos.bridge.kit import compat
from cosmos.bridge.kit.live_texture import LiveTexture, Overlay
from cosmos.bridge.kit.run_queue import QueuedRun, RunQueue
from cosmos.bridge.kit.settings import keep, read_settings
from cosmos.bridge.kit.shares import LiveShares, count_shares
from cosmos.bridge.kit.take import Take
from cosmos.bridge.kit.ui.model import WARM_UP, ClassRow, PanelModel, StageView
from cosmos.bridge.kit.ui.queue_rows import can_retry
from cosmos.bridge.kit.write_back import bake_results, show_results
from cosmos.bridge.sinks.stage import RESULTS_NAME
from cosmos.bridge.types import Augmentation, Progress

PREVIEW_WIDTH = 512
"""Most columns of a preview [px]."""
_BEAT = 0.25
"""How often the panel shows progress [s]."""
_CAPTURE_ON_PLAY = "/omni/replicator/captureOnPlay"


class Studio:
    """Captures and previews for a panel, one thing at a time."""

    def __init__(self, model: PanelModel) -> None:
        self.model, self.queue = model, RunQueue()
        self.texture: Optional[LiveTexture] = None
        self.wipe, self.watched = 0.5, False
        self._shares, self._stage_key = LiveShares(), ""
        self._overlay, self._shown = Overlay(), False
        self._writers: list[Any] = []
        self._task: Optional[asyncio.Task[None]] = None
        self._stopping = False
        self._preview: Optional[Job[Augmentation]] = None
        self._bridge: Optional[Bridge] = None
        self._pictures: Optional[tuple[Any, Any]] = None
        self.num_previews, self._told, self._pending = 0, 0.0, False
        self._subscriptions = [compat.on_update(self.poll), compat.on_stage_closing(self._forget_stage)]
        self._restore()

    def refresh(self) -> None:
        """Look at the open stage again."""
        self._stage_key = _key_of_stage()
        self.model.look(look_at_stage())

    def start(self) -> None:
        """Capture and run what the panel says; the reason is shown where that cannot be."""
        why = self.model.why_not()
        if why:
            self.model.say(why)
            return
        keep(panel=self.model.to_json())  # a fast shutdown skips every goodbye
        self._begin(self._capture())

    def stop(self) -> None:
        """End the capture after the current frame; what was captured is run."""
        self._stopping = True

    def preview(self) -> None:
        """Capture one frame of the first camera, small, and show what becomes of it."""
        why = self.model.why_not_preview()
        if why or (self._preview is not None and not self._preview.wait(0)):
            self.model.say(why or "A preview is being made already.")
            return
        self._begin(self._capture_preview())

    def set_wipe(self, share: float) -> None:
        """Move the wiper of the preview; 0 shows the result alone, 1 the simulated picture."""
        self.wipe = share
        self._draw()

    def toggle_overlay(self) -> bool:
        """Lay the preview over the viewport, or take it away; return whether it lies there."""
        if self._shown:
            self._overlay.hide()
            self._shown = False
        elif self.texture is not None:
            self._shown = self._overlay.show(self.texture)
            if not self._shown:
                self.model.say("There is no viewport to lay the preview over.")
        else:
            self.model.say("Make a preview first.")
        return self._shown

    def selftest(self) -> None:
        """Ask this machine what the documentation leaves open, and keep the calibration; see ``kit.selftest``."""
        if self.model.busy or not self.model.stage.opened:
            self.model.say("A self-test needs an open stage and nothing else at work.")
            return
        self._begin(self._test())

    async def _test(self) -> None:
        from cosmos.bridge.kit.selftest import run_selftest

        self.model.work("self-test")
        report = await run_selftest()
        file = Path(tempfile.gettempdir()) / "cosmos_bridge_selftest.json"
        report.write(file)
        compat.log("\n" + report.table())
        bad = "; ".join(f"{fact.name}: {fact.found}" for fact in report.failed)
        self.model.say(f"Self-test: {bad or 'all holds'}. Written to {file}, and to the log.")

    def cancel(self, run: QueuedRun) -> None:
        """Stop a run at its next step, or take it out while it waits."""
        self.queue.cancel(run, now=True)

    def retry(self, run: QueuedRun) -> None:
        """Try a run that ended badly again, with the frames that were captured."""
        again = self.queue.retry(run)
        for writer in self._writers:
            if run in writer.runs:
                writer.replace_run(run, again)
        self.model.changed()

    def open_folder(self, run: QueuedRun) -> None:
        """Open the folder of a run in the desktop's file browser."""
        if not webbrowser.open(run.out.resolve().as_uri()):
            self.model.say(f"This desktop opens no folders; the results are in {run.out}.")

    def clear(self) -> None:
        """Take the runs that are over off the list; their results stay, their frames are let go."""
        for run in self.queue.runs:
            if run.over:
                self.queue.remove(run)
        self._close_writers()
        self.model.changed()

    def compare(self, before: Path, after: Path) -> None:
        """Put two pictures of a run under the wiper."""

        def load() -> None:
            import warp as wp

            from cosmos.bridge.sources.layouts import read_rgb

            self._pictures = tuple(wp.array(read_rgb(path), dtype=wp.uint8, device="cpu") for path in (before, after))
            self._draw()
            self.num_previews += 1
            self.model.verdict = f"{before.parent.parent.name}, {after.stem.rpartition('_')[2]}"
            self.model.changed()

        self._attempt(load)

    def show(self, run: QueuedRun) -> None:
        """Lay a run's results over the stage; undo takes them away."""
        self._attempt(lambda: show_results(run.out / RESULTS_NAME))

    def bake(self, run: QueuedRun, target: str) -> None:
        """Write a run's results to a layer of the user's choice, under the root layer."""
        self._attempt(lambda: bake_results(run.out / RESULTS_NAME, target))

    def poll(self) -> None:
        """Take what workers have finished and look at the stage; called at every update."""
        self._watch()
        if self.model.pending != self.queue.pending:
            self.model.pending = self.queue.pending
            self.model.changed()
        preview = self._preview
        if preview is not None and preview.wait(0):
            self._preview = None
            try:
                self._take_preview(preview.result())
            except BridgeError as error:
                self.model.say(str(error))
        elif self.queue.pending or self._pending:
            self._pending = bool(self.queue.pending)
            self._close_writers()
            if not self._pending or time.monotonic() - self._told > _BEAT:
                self._told = time.monotonic()
                self.model.changed()

    def close(self) -> None:
        """Keep the fields, and end every task, thread, writer and texture; safe to call twice."""
        if self._subscriptions:
            keep(panel=self.model.to_json())
        self._subscriptions = []
        self._shares.close()
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._preview is not None:
            self._preview.cancel(now=True)
            self._preview.wait(30.0)
            self._preview = None
        writers, self._writers = self._writers, []
        for writer in writers:
            writer.close()
        self.queue.close()
        if self._bridge is not None:
            self._bridge.close()
            self._bridge = None
        self._overlay.hide()
        if self.texture is not None:
            self.texture.close()
            self.texture = None
        self._pictures = None

    def _restore(self) -> None:
        """Bring back the fields as they were when the panel was last closed."""
        settings = read_settings()
        self.model.max_pending = settings.max_pending
        try:
            self.model.take_plain(json.loads(settings.panel) if settings.panel else {"output_dir": settings.output_dir})
        except (BridgeError, ValueError) as error:
            self.model.say(f"The fields of last time cannot be brought back: {error}")

    def _watch(self) -> None:
        """See which stage is open, and count the classes in sight while somebody looks."""
        if _key_of_stage() != self._stage_key:
            self.refresh()
        state = self.model.state
        wanted = self.watched and state.live_shares and not self.model.busy and bool(self.model.stage.classes)
        try:
            self._shares.follow(state.cameras[0] if wanted and state.cameras else "", (state.height, state.width))
            found = self._shares.poll()
        except Exception as error:  # noqa: BLE001 - Kit's edge: whatever Replicator raises ends the counting only
            self._shares.drop()
            self.model.set(live_shares=False)
            self.model.say(f"Shares are counted no more: {error}")
            return
        if found is not None:
            self.model.share_out(found)

    def _close_writers(self) -> None:
        """Free the models and frames of writers whose runs need them no more."""
        listed = self.queue.runs
        for writer in list(self._writers):
            if not any(run in listed and (not run.over or can_retry(run)) for run in writer.runs):
                self._writers.remove(writer)
                writer.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._stopping = False
        self.model.message = ""
        self.model.work("begins")  # at once, so that a second click starts nothing
        self._task = asyncio.ensure_future(self._guarded(work))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - Kit's edge: whatever Replicator raises is told to the user
            compat.warn(f"Capture ended: {error}")
            self.model.say(str(error) or type(error).__name__)
        finally:
            self.model.work("")

    async def _capture(self) -> None:
        state = self.model.state
        self._free_preview_model()
        keywords = self.model.keywords()
        writer = await self._record(state.cameras, (state.height, state.width), state.num_frames, keywords)
        self._writers.append(writer)
        self.model.started(keywords["output_dir"], keywords["first_take"])

    def _free_preview_model(self) -> None:
        """Make room for the take's model; that of a preview at work stays until it is done."""
        if self._bridge is not None and self._preview is None:
            self._bridge.close()
            self._bridge = None

    async def _capture_preview(self) -> None:
        state, takes = self.model.state, list[Take]()
        scale = min(1.0, PREVIEW_WIDTH / state.width)
        size = tuple(max(16, round(side * scale / 16) * 16) for side in (state.height, state.width))
        keywords = {**self.model.keywords(), "num_frames": 1, "output_dir": "preview", "on_take": takes.append}
        writer = await self._record(state.cameras[:1], (size[0], size[1]), 1, keywords)
        writer.close()
        if not takes:
            raise SourceError("The renderer gave no frame for the preview; try again.")
        take, config = takes[0], self.model.config().replace(cameras=state.cameras[:1], sinks=("dataset",))
        if self._bridge is not None and self._bridge.config.transfer == config.transfer:
            bridge = self._bridge.beside(config, open_source=take.source)
        else:
            if self._bridge is not None:
                self._bridge.close()
            bridge = self._bridge = Bridge(config, open_source=take.source)

        def make(progress: Progress, _: StopSignal) -> Augmentation:
            try:
                return bridge.preview(progress)
            finally:
                take.put_out()

        self._preview = Job(make, name="cosmos-bridge preview").start()

    async def _record(
        self, cameras: tuple[str, ...], size: tuple[int, int], count: int, keywords: dict[str, Any]
    ) -> Any:
        """Step until the frames are there; give everything back that was made for it, whatever happens."""
        store = compat.need("carb.settings.get_settings")()
        on_play = store.get(_CAPTURE_ON_PLAY)
        make = compat.need("omni.replicator.core.create.render_product")
        step = compat.need("omni.replicator.core.orchestrator.step_async")
        writer = compat.need("omni.replicator.core.WriterRegistry.get")("CosmosBridgeWriter")
        writer.initialize(**keywords, queue=self.queue)
        store.set(_CAPTURE_ON_PLAY, False)
        products = []
        try:
            products = [make(camera, (size[1], size[0]), force_new=True) for camera in cameras]
            writer.attach(products)
            for tried in range(count + WARM_UP):
                if self._stopping or writer.num_captured >= count:
                    break
                self.model.work(f"frame {min(writer.num_captured + 1, count)} of {count}")
                await step(delta_time=None, pause_timeline=False)
                if tried >= WARM_UP and not writer.num_captured:
                    raise SourceError(
                        f"The renderer gave no picture in {WARM_UP} frames; check the camera and the light."
                    )
            writer.next_clip()
        except BaseException:
            writer.close()
            raise
        finally:
            if compat.need("omni.usd.get_context")().get_stage() is not None:
                writer.detach()
            for product in products:
                product.destroy()
            store.set(_CAPTURE_ON_PLAY, bool(on_play))
        return writer

    def _take_preview(self, made: Augmentation) -> None:
        clip, verdict = made.request.clip, made.verdict
        remarks = [finding.text for finding in verdict.findings if finding.kind != "unchecked"]
        words = " ".join(remarks) or verdict.rationale
        self.model.verdict = f"{'accepted' if verdict.accepted else 'rejected'}, {verdict.score:.2f}. {words}".strip()
        self._pictures = clip.rgb[0], made.result.rgb[0]
        if clip.semantic_ids is not None:
            labels = {"data": clip.semantic_ids, "info": {"idToLabels": clip.labels}}
            self.model.share_out(count_shares(labels) or {})
        self._draw()
        self.num_previews += 1
        self.model.changed()

    def _draw(self) -> None:
        if self._pictures is None:
            return
        if self.texture is None:
            self.texture = LiveTexture()
        before, after = self._pictures
        self.texture.show(before.to(after.device), after, self.wipe)

    def _forget_stage(self) -> None:
        self._stopping = True
        self._shares.forget()
        self._overlay.hide()
        self._shown, self._stage_key = False, ""
        self.model.look(StageView())

    def _attempt(self, work: Any) -> None:
        try:
            work()
        except BridgeError as error:
            self.model.say(str(error))


def _key_of_stage() -> str:
    """Return what tells the open stage from others, without holding on to it; empty for none."""
    stage = compat.need("omni.usd.get_context")().get_stage()
    return "" if stage is None else str(stage.GetRootLayer().identifier)


def look_at_stage() -> StageView:
    """Return cameras and classes of the open stage, whichever semantic schema it uses."""
    from pxr import Usd, UsdGeom

    from cosmos.bridge.render.usd.labels import direct_labels

    stage = compat.need("omni.usd.get_context")().get_stage()
    if stage is None:
        return StageView()
    cameras: list[str] = []
    classes: set[str] = set()
    moment = Usd.TimeCode.EarliestTime()
    for prim in Usd.PrimRange.Stage(stage, Usd.TraverseInstanceProxies()):
        if prim.IsA(UsdGeom.Camera) and not str(prim.GetPath()).startswith("/OmniverseKit_"):
            cameras.append(str(prim.GetPath()))
        classes.update(label for label in direct_labels(prim, moment).get("class", "").split(",") if label)
    layer = stage.GetRootLayer()
    path = "" if layer.anonymous else str(Path(layer.realPath or layer.identifier))
    rows = tuple(ClassRow(label=label) for label in sorted(classes))
    return StageView(opened=True, path=path, cameras=tuple(cameras), classes=rows)


__all__ = ["PREVIEW_WIDTH", "Studio", "look_at_stage"]
