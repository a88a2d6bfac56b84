"""Double of omni.replicator.core: registries, writers, annotators, render products, orchestrator."""

import builtins
from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any, Optional

from kit.feed import NAMES
from kit.memory import Buffers
from kit.strict import Strict, StrictModule, Watch, touch

GPU = {name for name in NAMES if name not in ("bounding_box_3d", "camera_params")}  # [3.1]


class InvalidWriterError(Exception):
    pass


class WriterRegistryError(Exception):
    pass


class AnnotatorRegistryError(Exception):
    pass


class Writer(ABC):
    """Base of writers [2.1], abstract: ``__new__`` seeds what ``__init__`` of a subclass may forget."""

    backend: Any = None
    version = "0.0.0"
    annotators: Any = ()
    metadata: Optional[dict] = None
    num_written = 0
    data_structure = "legacy"
    _engine: Any = None

    def __new__(cls, *args: Any, **kwargs: Any) -> "Writer":
        self = super().__new__(cls)
        self.num_written, self.annotators, self.version = 0, [], "0.0.0"
        self._frozen = None
        return self

    def initialize(self, **kwargs: Any) -> None:
        self.__init__(**kwargs)  # [2.1]: the only place that calls it

    def attach(self, render_products: Any, trigger: Any = "omni.replicator.core.OgnOnFrame") -> None:
        touch("omni.replicator.core.Writer.attach")
        self._engine.attach(self, render_products, trigger)

    async def attach_async(self, render_products: Any, trigger: Any = "omni.replicator.core.OgnOnFrame") -> None:
        self.attach(render_products, trigger)

    def detach(self) -> None:
        touch("omni.replicator.core.Writer.detach")
        self._engine.detach(self)

    def schedule_write(self) -> None:
        self._engine.schedule(self)

    def get_data(self) -> Optional[dict]:
        return self._frozen.last if self._frozen is not None else None

    def reset(self) -> None:
        if self._frozen is not None:
            self._frozen.last = None

    def on_final_frame(self) -> None:
        """The base sends telemetry [2.2]."""

    @abstractmethod
    def write(self, data: dict) -> None: ...

    def _write(self, data: dict) -> None:
        if self.num_written == 0:  # [2.4]
            self.metadata = {"name": type(self).__name__, "version": self.version}
            self._engine.metadata.append((self.backend, dict(self.metadata)))
        self.num_written += 1
        self.write(data)


class _Attached:
    """What was frozen when a writer was attached [2.2]."""

    def __init__(self, writer: Writer, products: list["RenderProduct"], manual: bool) -> None:
        if writer.data_structure not in ("legacy", "annotator", "renderProduct"):
            raise ValueError(f"data_structure {writer.data_structure!r} is unknown.")
        self.structure, self.manual = writer.data_structure, manual
        self.products = products
        self.places = {product.name: (product._camera, product._resolution) for product in products}
        self.annotators = {
            product.name: {spec.name: Buffers(spec) for spec in map(_spec, writer.annotators)} for product in products
        }
        self.last: Optional[dict] = None
        self.delivered = 0


def _spec(entry: Any) -> "Annotator":
    return Annotator(entry, {}, "cpu", True) if isinstance(entry, str) else entry


class Annotator(Strict):
    """An annotator as the registry gives it."""

    kit_name = "omni.replicator.core.Annotator"

    def __init__(self, name: str, init_params: dict, device: str, do_array_copy: bool, engine: Any = None) -> None:
        self.name, self.init_params, self.device, self.do_array_copy = name, init_params, device, do_array_copy
        self._engine, self._product, self._since, self._memory = engine, None, 0, Buffers(self)
        self._drawn = 0.0

    def attach(self, render_products: Any) -> None:
        products = render_products if isinstance(render_products, list) else [render_products]
        if len(products) != 1:
            raise NotImplementedError("An annotator goes with one render product.")  # what Replicator raises [3.1]
        if self._engine.machine.context.get_stage() is None:
            raise AnnotatorRegistryError("attach() needs an open stage.")  # [3.1]
        self._product, self._since = products[0], self._engine.updates
        self._engine.polled.append(self)

    def detach(self, render_products: Any = None) -> None:
        if self not in self._engine.polled:
            raise AnnotatorRegistryError("The annotator has no node; it was detached, or its stage was closed.")
        self._engine.polled.remove(self)

    def get_data(self, device: Any = None, do_array_copy: bool = False, use_legacy_structure: bool = True) -> Any:
        if self not in self._engine.polled:
            raise AnnotatorRegistryError("The annotator has no node.")  # [3.1]
        engine, product = self._engine, self._product
        if product.hydra_texture._enabled:  # else what was drawn last is there still
            self._drawn = float(engine.machine.timeline._steps)
        drawn = engine.machine.feed.frame(product._camera, self._drawn, product._resolution)
        if engine.updates <= self._since:  # valid only after an update has drawn [3.1]
            return self._memory.empty(drawn[self.name], "missing", not use_legacy_structure)
        return self._memory.show(drawn[self.name], not use_legacy_structure)


class Updates(Strict):
    """``hydra_texture`` of a product: whether it is drawn at all [3.1]."""

    kit_name = "omni.replicator.core.HydraTexture.hydra_texture"

    def __init__(self) -> None:
        self._enabled = True

    def set_updates_enabled(self, enabled: bool) -> None:
        self._enabled = bool(enabled)


class RenderProduct(Strict):
    """What ``rep.create.render_product`` gives [5]."""

    kit_name = "omni.replicator.core.HydraTexture"

    def __init__(self, name: str, camera: str, resolution: tuple[int, int], engine: Any) -> None:
        self.path = f"/Render/OmniverseKit/HydraTextures/{name}"
        self._camera, self._resolution, self._engine = camera, resolution, engine
        self.hydra_texture = Updates()

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def destroy(self) -> None:
        self._engine.products.pop(self.path, None)


class WriterRegistry(Strict):
    kit_name = "omni.replicator.core.WriterRegistry"

    def __init__(self, engine: Any) -> None:
        self._engine, self._writers = engine, {}

    def register(self, writer: type, category: Optional[str] = None) -> None:
        if not (isinstance(writer, type) and issubclass(writer, Writer)):
            raise InvalidWriterError(f"{writer} is no Writer.")
        if writer.__name__ in self._writers:
            self._engine.machine.logs.append(("warn", f"Writer {writer.__name__} is registered already; overwritten."))
        self._writers[writer.__name__] = writer

    def unregister(self, name: str) -> None:
        if name not in self._writers:
            raise WriterRegistryError(f"No writer {name}.")
        for writer in list(self._engine.attached):
            if type(writer).__name__ == name:
                writer.detach()
        del self._writers[name]

    def get(
        self, name: str, init_params: Optional[dict] = None, render_products: Any = None, trigger: Any = "OnFrame"
    ) -> Writer:
        writer = self._writers[name].__new__(self._writers[name])  # __init__ has not run [2.1]
        if init_params is not None:
            writer.initialize(**init_params)
        if render_products is not None:
            writer.attach(render_products)
        return writer

    def get_writers(self) -> dict:
        return dict(self._writers)


class AnnotatorRegistry(Strict):
    kit_name = "omni.replicator.core.AnnotatorRegistry"

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def get_annotator(
        self,
        name: str,
        init_params: Optional[dict] = None,
        render_product_idxs: Any = None,
        device: Optional[str] = None,
        do_array_copy: bool = True,
    ) -> Annotator:
        if name not in NAMES:
            raise ValueError(f"There is no annotator {name}.")
        if device and device.startswith("cuda") and name not in GPU:
            raise ValueError(f"{name} is not GPU enabled.")  # [3.1]
        return Annotator(name, init_params or {}, device or "cpu", do_array_copy, self._engine)


class Create(Strict):
    kit_name = "omni.replicator.core.create"

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def render_product(
        self, camera: Any, resolution: tuple[int, int], force_new: bool = False, name: Optional[str] = None
    ) -> RenderProduct:
        path = camera if isinstance(camera, str) else str(camera.GetPath())
        engine = self._engine
        for product in engine.products.values():
            if not force_new and name is None and (product._camera, product._resolution) == (path, tuple(resolution)):
                return product  # reused [5]
        title = name or ("Replicator" if not engine.products else f"Replicator_{len(engine.products):02d}")
        product = RenderProduct(title, path, (int(resolution[0]), int(resolution[1])), engine)
        engine.products[product.path] = product
        return product


class Orchestrator(Strict):
    kit_name = "omni.replicator.core.orchestrator"

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def set_capture_on_play(self, value: bool) -> None:
        self._engine.machine.settings.set("/omni/replicator/captureOnPlay", bool(value))

    def step(self, rt_subframes: int = -1, pause_timeline: bool = True, delta_time: Any = None, **more: Any) -> None:
        self._check(more)
        if getattr(builtins, "ISAAC_LAUNCHED_FROM_TERMINAL", True):
            raise RuntimeError("step() would block Kit; use step_async() there.")  # [5]
        engine = self._engine
        wanted = engine.begin_step(delta_time)
        while engine.scheduled & wanted:
            engine.machine.update()
        engine.end_step(pause_timeline)

    async def step_async(
        self, rt_subframes: int = -1, pause_timeline: bool = True, delta_time: Any = None, **more: Any
    ) -> None:
        self._check(more)
        engine = self._engine
        wanted = engine.begin_step(delta_time)
        while engine.scheduled & wanted:
            await engine.machine.app.next_update_async()
        engine.end_step(pause_timeline)

    def stop(self) -> None:
        self._engine.finish()

    def wait_until_complete(self) -> None:
        while self._engine.queue:
            self._engine.machine.update()
        self._engine.finish()

    def _check(self, more: dict) -> None:
        known = {"wait_for_render"} if Watch.profile.step_waits else set()
        if set(more) - known:
            raise TypeError(f"step() got unexpected arguments {sorted(set(more) - known)}.")


class Engine:
    """Renders scheduled frames one update later, as the default pipeline does [5]."""

    def __init__(self, machine: Any) -> None:
        self.machine = machine
        self.products: dict[str, RenderProduct] = {}
        self.attached: dict[Writer, _Attached] = {}
        self.queue: list[tuple[int, Writer, Fraction, float]] = []
        self.metadata: list = []
        self.serial = 0
        self.clock = Fraction(0)
        self.warm_up = 1
        self.polled: list[Annotator] = []
        self.updates = 0

    @property
    def scheduled(self) -> set[int]:
        return {serial for serial, *_ in self.queue}

    def attach(self, writer: Writer, render_products: Any, trigger: Any) -> None:
        if self.machine.context.get_stage() is None:
            raise WriterRegistryError("A writer needs an open stage.")
        entries = render_products if isinstance(render_products, (list, tuple)) else [render_products]
        products = [entry if isinstance(entry, RenderProduct) else self.products[entry] for entry in entries]
        self.machine.look_live()
        writer._frozen = self.attached[writer] = _Attached(writer, products, trigger is None)
        writer.num_written = 0
        stage = self.machine.context.get_stage()
        from pxr import Sdf

        Sdf.CreatePrimInLayer(stage.GetSessionLayer(), "/Render/PostProcess/SDGPipeline")  # [2.2]

    def detach(self, writer: Writer) -> None:
        if self.machine.context.get_stage() is None:
            raise WriterRegistryError("detach() needs a valid stage.")
        self.queue = [item for item in self.queue if item[1] is not writer]
        self.attached.pop(writer, None)
        writer.reset()

    def forget_stage(self) -> None:
        self.queue, self.attached, self.products, self.polled = [], {}, {}, []

    def schedule(self, writer: Writer) -> int:
        self.serial += 1
        self.queue.append((self.serial, writer, self.clock, self.machine.timeline._steps))
        return self.serial

    def begin_step(self, delta_time: Any) -> set[int]:
        if delta_time is None:
            self.advance()
        return {self.schedule(writer) for writer, kept in self.attached.items() if not kept.manual}

    def end_step(self, pause_timeline: bool) -> None:
        if pause_timeline:
            self.machine.timeline.pause()  # the default stops a simulation [5]

    def advance(self) -> None:
        self.machine.timeline._advance()
        self.clock += Fraction(1) / Fraction(self.machine.timeline._rate())

    def tick(self) -> None:
        """One update: earlier schedules are rendered and written, then a playing timeline schedules the next."""
        ready, self.queue = self.queue, []
        self.updates += 1
        for memory in (annotator._memory for annotator in self.polled):
            memory.poison()  # what was read before is written over [3.3]
        for _, writer, clock, steps in ready:
            self.deliver(writer, clock, steps)
        if self.machine.timeline._playing:
            self.advance()
            if self.machine.settings.get("/omni/replicator/captureOnPlay"):
                for writer, kept in list(self.attached.items()):
                    if not kept.manual:
                        self.schedule(writer)

    def deliver(self, writer: Writer, clock: Fraction, steps: int) -> None:
        kept = self.attached.get(writer)
        if kept is None:
            return
        payload = self.payload(kept, clock, steps)
        kept.delivered += 1
        kept.last = payload
        try:
            writer._write(payload)
        except Exception as error:  # noqa: BLE001 - OmniGraph logs what a node raises and goes on
            self.machine.logs.append(("error", f"{type(writer).__name__}.write: {error}"))
        for buffers in kept.annotators.values():
            for memory in buffers.values():
                memory.poison()

    def payload(self, kept: _Attached, clock: Fraction, steps: int) -> dict:
        structured, many = kept.structure != "legacy", len(kept.products) > 1
        data: dict[str, Any] = {"trigger_outputs": {"on_frame": kept.delivered}}
        clock, steps = self.ticked(kept, clock, steps)
        data["reference_time"] = (clock.numerator, clock.denominator)
        shown: dict[str, dict[str, Any]] = {}
        for product in kept.products:
            camera, resolution = kept.places[product.name]
            drawn = self.machine.feed.frame(camera, float(steps), resolution)
            empty = kept.delivered < self.warm_up
            shown[product.name] = {
                name: memory.empty(drawn[name], Watch.profile.empty_first, structured)
                if empty
                else memory.show(drawn[name], structured)
                for name, memory in kept.annotators[product.name].items()
            }
        places = kept.places
        if kept.structure == "renderProduct":
            data["renderProducts"] = {
                name: {**entries, "camera": places[name][0], "resolution": places[name][1]}
                for name, entries in shown.items()
            }
        elif kept.structure == "annotator":
            data["annotators"] = {}
            for name, entries in shown.items():
                for annotator, entry in entries.items():
                    data["annotators"].setdefault(annotator, {})[name] = entry
            data["camera"] = {name: place[0] for name, place in places.items()}
            data["resolution"] = {name: place[1] for name, place in places.items()}
        else:
            for name, entries in shown.items():
                data.update({f"{key}-{name}" if many else key: entry for key, entry in entries.items()})
        return data

    def ticked(self, kept: _Attached, clock: Fraction, steps: int) -> tuple[Fraction, int]:
        """Return the moment that is shown: a camera with a tick rate of its own repeats its last tick [5, 11.19]."""
        stage, (camera, _) = self.machine.context.get_stage(), next(iter(kept.places.values()))
        rate = stage.GetPrimAtPath(camera).GetAttribute("omni:sensor:tickRate").Get()
        if not rate or not Watch.profile.has("6.0"):
            return clock, steps
        shown = Fraction(int(clock * Fraction(rate))) / Fraction(rate)
        late = round((clock - shown) * Fraction(self.machine.timeline._rate()))
        return shown, steps - (0 if self.machine.recycles else late)

    def finish(self) -> None:
        """Generation stops: ``on_final_frame`` once a product, so N times for N products [2.2]."""
        if self.machine.standalone and not Watch.profile.final_frame_standalone:
            return
        for writer, kept in list(self.attached.items()):
            for _ in kept.products:
                writer.on_final_frame()


def replicator_modules(machine: Any) -> dict[str, StrictModule]:
    engine = machine.replicator
    bound = type("Writer", (Writer,), {"_engine": engine, "__module__": "omni.replicator.core"})
    return {
        "omni.replicator": StrictModule("omni.replicator"),
        "omni.replicator.core": StrictModule(
            "omni.replicator.core",
            file=f"/isaac/extscache/omni.replicator.core-{machine.profile.replicator}+{machine.profile.kit}/core.py",
            Writer=bound,
            WriterRegistry=WriterRegistry(engine),
            AnnotatorRegistry=AnnotatorRegistry(engine),
            Annotator=Annotator,
            create=Create(engine),
            orchestrator=Orchestrator(engine),
        ),
    }
