"""Ask the machine what the documentation leaves open, and whether every call that is relied on does what it should.

In a shell, with the Python of Isaac Sim::

    python.sh -m cosmos.bridge.kit.selftest --json selftest.json

It renders a small scene of known numbers in the session layer, calibrates depth and motion by it, and prints a table.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any, Optional

import numpy as np

from cosmos.bridge import __version__
from cosmos.bridge.errors import BridgeError
from cosmos.bridge.kit import compat, probe, settings
from cosmos.bridge.kit.packages import missing_packages
from cosmos.bridge.kit.payload import reference_time, split_payload
from cosmos.bridge.kit.symbols import SYMBOLS

STEPS = 6
"""Frames that the probe captures in each structure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One question and what this machine says."""

    name: str
    """What is asked."""
    ok: Optional[bool]
    """Whether it is as relied on; ``None`` where it could not be told, or is for information."""
    found: str
    """What was found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a self-test found."""

    facts: tuple[Fact, ...]
    """In the order they were asked."""
    calibration: dict[str, Any] = field(default_factory=dict)
    """Settings that were measured and kept."""

    @property
    def failed(self) -> tuple[Fact, ...]:
        """Facts that are not as relied on."""
        return tuple(fact for fact in self.facts if fact.ok is False)

    def table(self) -> str:
        """Return the facts as lines."""
        marks = {True: "ok  ", False: "FAIL", None: "info"}
        wide = max(len(fact.name) for fact in self.facts)
        return "\n".join(f"{marks[fact.ok]}  {fact.name:{wide}}  {fact.found}" for fact in self.facts)

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


async def run_selftest(*, keep: bool = True) -> Report:
    """Ask everything, on the open stage, which is left as it was; main thread, while the application goes on.

    Args:
        keep: Whether the calibration is kept in the user's settings.

    Raises:
        KitError: If no stage is open.
    """
    lacking = missing_packages()
    packages = Fact(name="packages of the line", ok=not lacking, found=lacking or "all there")
    facts = [*_versions(), packages, *_symbols(), await _events()]
    stage, calibration = compat.open_stage(), dict[str, Any]()
    compat.register_writer(probe.make_probe_writer())
    try:
        rate = stage.GetTimeCodesPerSecond()
        first = round(float(compat.timeline().get_current_time()) * rate)
        with probe.probe_scene(stage, first, 8 * STEPS):
            kept = {}
            for structure, count in (("legacy", 1), ("legacy", 2), ("annotator", 2), ("renderProduct", 2)):
                kept[structure, count] = await _capture(structure, count)
                facts.append(_shape(structure, count, kept[structure, count]))
            plain = [item for item in kept["renderProduct", 2] if not _is_empty(item)]
            if len(plain) < 3:
                raise BridgeError(f"Replicator gave {len(plain)} pictures in {STEPS} frames; the rest cannot be asked.")
            facts += [_empties(kept["renderProduct", 2]), _lifetime(plain), _clock(plain, rate), *_pictures(plain)]
            measured, found = _calibrate(plain, stage)
            facts += found
            calibration.update(measured)
            facts.append(await _line())
    except BridgeError as error:
        facts.append(Fact(name="the probe", ok=False, found=str(error)))
    finally:
        compat.unregister_writer("CosmosBridgeProbeWriter")
    if keep and calibration:
        settings.keep(**calibration, calibrated_on=_application())
    return Report(facts=tuple(facts), calibration=calibration)


def _application() -> str:
    return str(compat.need("carb.settings.get_settings")().get("/app/version") or "unknown")


def _versions() -> list[Fact]:
    found = {"application": _application(), "Python": platform.python_version(), "cosmos.bridge": __version__}
    for package in ("warp-lang", "numpy", "torch", "usd-core"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not a package here"
    import warp as wp

    devices = ", ".join(str(device) for device in wp.get_devices())
    found["Warp"] = f"{getattr(wp, '__version__', '?')} on {devices}"
    return [Fact(name=f"version of {name}", ok=None, found=text) for name, text in found.items()]


def _symbols() -> list[Fact]:
    """Look for every module member on the list; members of objects show when they are used."""
    plain = [symbol for symbol in SYMBOLS if not any(part[:1].isupper() for part in symbol.name.split(".")[:-1])]
    missing = [symbol.name for symbol in plain if compat.find(symbol.name) is None]
    needed = [
        symbol.name for symbol in plain if symbol.name in missing and not symbol.optional and symbol.since == "4.2"
    ]
    return [
        Fact(name="symbols that are needed", ok=not needed, found=", ".join(needed) or f"all of {len(plain)}"),
        Fact(name="symbols that are missing", ok=None, found=", ".join(missing) or "none"),
    ]


async def _events() -> Fact:
    heard: list[int] = []
    handle = compat.on_update(lambda: heard.append(1))
    app = compat.need("omni.kit.app.get_app")()
    for _ in range(3):
        await app.next_update_async()
    count = len(heard)
    del handle
    for _ in range(2):
        await app.next_update_async()
    after = len(heard) - count
    return Fact(
        name="update events", ok=count >= 2 and after <= 1, found=f"{count} in 3 updates, {after} after letting go"
    )


async def _capture(structure: str, count: int) -> list[probe.Kept]:
    """Capture a few frames of one or two products with the probe's writer."""
    import warp as wp

    get = compat.need("omni.replicator.core.WriterRegistry.get")
    make = compat.need("omni.replicator.core.create.render_product")
    step = compat.need("omni.replicator.core.orchestrator.step_async")
    writer = get("CosmosBridgeProbeWriter")
    if "kept" in writer.__dict__:
        raise BridgeError(
            "WriterRegistry.get() ran __init__, which Replicator up to 1.13 does not; report this please."
        )
    writer.initialize(structure=structure, device="cuda" if wp.is_cuda_available() else "cpu")
    height, width = probe.SIZE
    products = [make(camera, (width, height), force_new=True) for camera in probe.CAMERAS[:count]]
    try:
        writer.attach(products)
        for _ in range(STEPS):
            await step(delta_time=None, pause_timeline=False)
    finally:
        writer.detach()
        for product in products:
            product.destroy()
    return list(writer.kept)


def _shape(structure: str, count: int, kept: list[probe.Kept]) -> Fact:
    name = f"payload {structure}, {count} product{'s' if count > 1 else ''}"
    if not kept:
        return Fact(name=name, ok=False, found="write() was never called")
    products = split_payload(kept[-1].payload, ("rgb", "camera_params"))
    whole = len(products) == count and all({"rgb", "camera_params"} <= set(product.readings) for product in products)
    keys = ", ".join(str(key) for key in kept[-1].payload)
    return Fact(name=name, ok=whole, found=f"{len(products)} products; keys {keys}")


def _is_empty(kept: probe.Kept) -> bool:
    rgb = kept.copies.get("rgb")
    return rgb is None or not rgb.size or not rgb[..., 3:].any()


def _empties(kept: list[probe.Kept]) -> Fact:
    empty = [index for index, item in enumerate(kept) if _is_empty(item)]
    only_first = empty == list(range(len(empty)))
    return Fact(name="empty frames come first only", ok=only_first, found=f"{empty or 'none'} of {len(kept)}")


def _lifetime(kept: list[probe.Kept]) -> Fact:
    """See whether an array that was handed over still shows its frame when later ones came."""
    first = kept[0]
    array = split_payload(first.payload, ("motion_vectors",))[0].readings["motion_vectors"].array
    same = np.array_equal(probe.host_of(array), first.copies["motion_vectors"], equal_nan=True)
    return Fact(
        name="buffers are written over", ok=None, found="no, this time" if same else "yes: a copy is needed, and made"
    )


def _clock(kept: list[probe.Kept], rate: float) -> Fact:
    moments = [reference_time(item.payload) for item in kept]
    if any(moment is None for moment in moments):
        return Fact(name="reference time", ok=False, found="not in the payload")
    steps = {str(after - before) for before, after in pairwise(moments) if before and after}
    return Fact(
        name="reference time advances", ok="0" not in steps, found=f"by {', '.join(sorted(steps))} s at {rate:g} 1/s"
    )


def _pictures(kept: list[probe.Kept]) -> list[Fact]:
    (height, width), facts = probe.SIZE, []
    for name, array in kept[-1].copies.items():
        if array.dtype.names is None:
            fits = array.size % (height * width) == 0
            facts.append(Fact(name=f"annotator {name}", ok=fits, found=f"{array.dtype} {list(array.shape)}"))
    step = compat.need("omni.replicator.core.orchestrator.step_async")
    waits = "wait_for_render" in inspect.signature(step).parameters
    facts.append(Fact(name="step_async knows wait_for_render", ok=None, found="yes" if waits else "no"))
    return facts


def _calibrate(kept: list[probe.Kept], stage: Any) -> tuple[dict[str, Any], list[Fact]]:
    """Measure the unit of depth, and sign and scale of motion."""
    from pxr import UsdGeom

    unit = UsdGeom.GetStageMetersPerUnit(stage)
    depth = kept[-1].copies["distance_to_image_plane"].reshape(probe.SIZE).astype(np.float64)
    motion = kept[-1].copies["motion_vectors"].reshape(*probe.SIZE, -1)[..., :2].astype(np.float64)
    hits = depth[np.isfinite(depth) & (depth > 0.0)]
    if not hits.size:
        return {}, [Fact(name="depth", ok=False, found="no pixel of the probe has one")]
    near, far = float(hits.min()), float(np.median(hits[hits > 0.5 * (hits.min() + hits.max())]))
    measured: dict[str, Any] = {}
    facts = [_depth_fact(near, far, unit, measured), _background_fact(depth)]
    inside = np.abs(depth - near) < 0.02 * near
    inside &= np.roll(inside, 3, 0) & np.roll(inside, -3, 0) & np.roll(inside, 3, 1) & np.roll(inside, -3, 1)
    seen = np.median(motion[inside], axis=0) if inside.any() else np.zeros(2)
    facts.append(_motion_fact(seen, measured))
    return measured, facts


def _depth_fact(near: float, far: float, unit: float, measured: dict[str, Any]) -> Fact:
    found = f"the box at {probe.BOX} m reads {near:.4g}, the wall at {probe.WALL} m reads {far:.4g}"
    metric, scene = (
        all(abs(seen * scale - true) < 0.03 * true for seen, true in ((near, probe.BOX), (far, probe.WALL)))
        for scale in (1.0, unit)
    )
    if metric and scene:
        return Fact(name="unit of depth", ok=None, found=f"{found}; 1 m a unit tells nothing, open a stage of 0.01")
    if metric or scene:
        measured["depth_in_scene_units"] = bool(scene)
        return Fact(name="unit of depth", ok=True, found=f"{found}: {'units of the stage' if scene else 'metres'}")
    return Fact(name="unit of depth", ok=False, found=f"{found}: neither metres nor units of {unit:g} m")


def _background_fact(depth: np.ndarray) -> Fact:
    corner = float(depth[0, 0])
    return Fact(name="depth of the background", ok=not np.isfinite(corner) or corner <= 0.0, found=f"{corner:g}")


def _motion_fact(seen: np.ndarray, measured: dict[str, Any]) -> Fact:
    expected = np.array(probe.expected_motion())
    found = f"{seen[0]:.3g}, {seen[1]:.3g} where {expected[0]:.3g}, {expected[1]:.3g} px is previous minus current"
    if np.abs(seen).min() < 1e-4 * np.abs(expected).min():
        return Fact(name="motion vectors", ok=False, found=f"{found}: there is none; is the renderer's motion on?")
    scale = expected / seen
    if np.abs(np.abs(scale) - 1.0).max() < 0.05:  # only the sign is open
        scale = np.sign(scale)
    measured["motion_scale_x"], measured["motion_scale_y"] = (float(round(value, 4)) for value in scale)
    return Fact(name="motion vectors", ok=True, found=f"{found}: scale {scale[0]:.4g}, {scale[1]:.4g}")


async def _line() -> Fact:
    """Run the writer itself on the probe, with a model that changes nothing."""
    make = compat.need("omni.replicator.core.create.render_product")
    step = compat.need("omni.replicator.core.orchestrator.step_async")
    height, width = probe.SIZE
    name = "the writer, end to end"
    with tempfile.TemporaryDirectory() as folder:
        writer = compat.need("omni.replicator.core.WriterRegistry.get")("CosmosBridgeWriter")
        writer.initialize(output_dir=folder, prompt="a self-test", transfer="identity", sinks=["dataset"])
        product = make(probe.CAMERAS[0], (width, height), force_new=True)
        try:
            writer.attach([product])
            for _ in range(STEPS):
                await step(delta_time=None, pause_timeline=False)
            writer.detach()
            summaries = await writer.flush_async()
        except BridgeError as error:
            return Fact(name=name, ok=False, found=str(error))
        finally:
            writer.close()
            product.destroy()
    told = "; ".join(f"{summary.attempts} clip judged, {summary.failed} failed" for summary in summaries)
    return Fact(
        name=name, ok=bool(summaries) and not any(s.failed for s in summaries), found=told or "nothing captured"
    )


def main(arguments: Optional[list[str]] = None) -> int:
    """Start a headless application, ask, print, write; return 0 where nothing failed."""
    parser = argparse.ArgumentParser(
        prog="python.sh -m cosmos.bridge.kit.selftest", description="Ask the real machine."
    )
    parser.add_argument("--json", type=Path, default=Path("cosmos_bridge_selftest.json"), help="file for the report")
    parser.add_argument("--meters-per-unit", type=float, default=0.01, help="unit of the stage that is made")
    args = parser.parse_args(arguments)
    start = compat.find("isaacsim.SimulationApp") or compat.find("omni.isaac.kit.SimulationApp")
    if start is None:
        print("SimulationApp is missing; run this with the python.sh of Isaac Sim.", file=sys.stderr)
        return 2
    application = start({"headless": True})
    try:
        report = _drive(application.update, args.meters_per_unit)
        report.write(args.json)
        print(report.table())
        print(f"{len(report.failed)} failed; written to {args.json}")
    finally:
        application.close()
    return 1 if report.failed else 0


def _drive(update: Callable[[], None], meters_per_unit: float) -> Report:
    """Run the self-test on a new stage, update by update."""
    from pxr import UsdGeom

    from cosmos.bridge.kit.writer import CosmosBridgeWriter

    compat.need("omni.usd.get_context")().new_stage()
    UsdGeom.SetStageMetersPerUnit(compat.open_stage(), meters_per_unit)
    compat.register_writer(CosmosBridgeWriter)
    task = asyncio.ensure_future(run_selftest())
    while not task.done():
        update()
    return task.result()


__all__ = ["Fact", "Report", "main", "run_selftest"]

if __name__ == "__main__":
    sys.exit(main())
