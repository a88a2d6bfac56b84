"""Ask the machine what the documentation leaves open, and whether every call that is relied on does what it should.

In a shell, with the Python of Isaac Sim::

    python.sh -m cosmos.bridge.kit.selftest --json selftest.json

It renders small scenes of known numbers in the session layer, calibrates depth, motion and live pictures by them, and
prints a table.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

from cosmos.bridge.errors import BridgeError
from cosmos.bridge.kit import compat, probe, settings
from cosmos.bridge.kit.ask_frames import ask_frames, ask_shape, ask_ticks, calibrate, is_empty
from cosmos.bridge.kit.ask_machine import application, ask_machine
from cosmos.bridge.kit.ask_screens import ask_screens
from cosmos.bridge.kit.facts import Fact, Report

STEPS = 6
"""Frames that the probe captures in each structure."""
_SHAPES = (("legacy", 1), ("legacy", 2), ("annotator", 2), ("renderProduct", 2))


async def run_selftest(*, keep: bool = True) -> Report:
    """Ask everything, on the open stage, which is left as it was; main thread, while the application goes on.

    Args:
        keep: Whether the calibration is kept in the user's settings.

    Raises:
        KitError: If no stage is open.
    """
    facts, calibration = list[Fact](), dict[str, Any]()
    stage = compat.open_stage()
    compat.register_writer(probe.make_probe_writer())
    try:
        facts += await ask_machine()
        await _ask_pictures(stage, facts, calibration)
        measured, found = await ask_screens(stage, _code(stage), lambda count: _capture([probe.SCREENS], steps=count))
        calibration.update(measured)
        facts += found
    except BridgeError as error:
        facts.append(Fact(name="the probe", ok=False, found=str(error)))
    finally:
        compat.unregister_writer("CosmosBridgeProbeWriter")
    if keep and calibration:
        settings.keep(**calibration, calibrated_on=application())
    return Report(facts=tuple(facts), calibration=calibration)


def _code(stage: Any) -> float:
    """Return the time code of the timeline now."""
    return round(float(compat.timeline().get_current_time()) * stage.GetTimeCodesPerSecond())


async def _ask_pictures(stage: Any, facts: list[Fact], calibration: dict[str, Any]) -> None:
    """Capture the probe in every structure, judge what came, calibrate, and run the writer itself."""
    rate = stage.GetTimeCodesPerSecond()
    with probe.probe_scene(stage, _code(stage), (len(_SHAPES) + 1) * STEPS):
        for structure, count in _SHAPES:
            kept = await _capture(probe.CAMERAS[:count], structure=structure)
            facts.append(ask_shape(structure, count, kept))
        plain = [item for item in kept if not is_empty(item)]
        if len(plain) < 3:
            raise BridgeError(f"Replicator gave {len(plain)} pictures in {STEPS} frames; the rest cannot be asked.")
        facts += ask_frames(kept, rate)
        measured, found = calibrate(plain, stage)
        calibration.update(measured)
        facts += found
        facts.append(await _line())
    with probe.probe_scene(stage, _code(stage), 3 * STEPS):
        facts.append(ask_ticks(await _capture([probe.TICKING], steps=2 * STEPS), rate))


async def _capture(cameras: Sequence[str], *, structure: str = "renderProduct", steps: int = STEPS) -> list[probe.Kept]:
    """Capture a few frames of cameras of the probe with its writer."""
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
    products = [make(camera, (width, height), force_new=True) for camera in cameras]
    try:
        writer.attach(products)
        for _ in range(steps):
            await step(delta_time=None, pause_timeline=False)
    finally:
        writer.detach()
        for product in products:
            product.destroy()
    return list(writer.kept)


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


__all__ = ["main", "run_selftest"]

if __name__ == "__main__":
    sys.exit(main())
