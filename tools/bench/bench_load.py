"""Bars of loading: the warehouse, many instances, one large mesh, a million prims; and of stepping what moves.

Figures are seconds of CPU, all threads together: loading runs on one thread but for the copy to the device.
"""

import functools
from abc import abstractmethod

import bars
import numpy as np
import warp as wp
from bars import Bar, best_seconds
from pxr import Gf, Sdf, Usd, UsdGeom, Vt  # noqa: TID253

from cosmos.bridge import scenes
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.render.usd.stage import StageReader


def new_stage() -> Usd.Stage:
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, "Z")
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(100)
    return stage


def crowd(count: int, times: tuple[int, ...] = ()) -> Usd.Stage:
    """Cubes that a point instancer places, moving where there are times."""
    stage, rng = new_stage(), np.random.default_rng(0)
    instancer = UsdGeom.PointInstancer.Define(stage, "/World/Crowd")
    cube = UsdGeom.Cube.Define(stage, "/World/Crowd/Prototypes/Cube")
    instancer.CreatePrototypesRel().SetTargets([cube.GetPath()])
    instancer.CreateProtoIndicesAttr(Vt.IntArray(count))
    for time in times or (Usd.TimeCode.Default(),):
        places = rng.uniform(-100.0, 100.0, (count, 3)).astype(np.float32)
        instancer.CreatePositionsAttr().Set(Vt.Vec3fArray.FromNumpy(places), time)
    return stage


def prims(count: int, *, moving: bool) -> Usd.Stage:
    """Cubes of their own, a thousand a group."""
    stage, rng = new_stage(), np.random.default_rng(0)
    layer = stage.GetRootLayer()
    with Sdf.ChangeBlock():
        world = Sdf.CreatePrimInLayer(layer, "/World")
        world.specifier = Sdf.SpecifierDef
        for group in range(count // 1000):
            scope = Sdf.PrimSpec(world, f"Group{group}", Sdf.SpecifierDef, "Xform")
            for index in range(999):
                cube = Sdf.PrimSpec(scope, f"Cube{index}", Sdf.SpecifierDef, "Cube")
                if moving:
                    place = Sdf.AttributeSpec(cube, "xformOp:translate", Sdf.ValueTypeNames.Double3)
                    order = Sdf.AttributeSpec(
                        cube, "xformOpOrder", Sdf.ValueTypeNames.TokenArray, Sdf.VariabilityUniform
                    )
                    order.default = Vt.TokenArray(["xformOp:translate"])
                    for time in (0, 100):
                        layer.SetTimeSample(place.path, time, Gf.Vec3d(*rng.uniform(-100.0, 100.0, 3)))
    return stage


def wave(cells: int) -> Usd.Stage:
    """One mesh of ``2 cells**2`` triangles."""
    stage, side = new_stage(), cells + 1
    x, y = np.meshgrid(np.linspace(0.0, 10.0, side), np.linspace(0.0, 10.0, side))
    points = np.stack([x, y, np.sin(x) * np.cos(y)], axis=-1).reshape(-1, 3).astype(np.float32)
    first = (np.arange(cells)[:, None] * side + np.arange(cells)).reshape(-1)
    corners = np.stack([first, first + 1, first + side + 1, first + side], axis=1).astype(np.int32)
    mesh = UsdGeom.Mesh.Define(stage, "/World/Wave")
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(corners), 4, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(corners.reshape(-1)))
    mesh.CreateSubdivisionSchemeAttr("none")
    return stage


class _Load(Bar):
    """From an open stage to a renderer that is ready to draw, kernels compiled before."""

    unit, more_is_better, budget = "s CPU", False, 3.0

    @abstractmethod
    def stage(self):
        """Return the open stage."""

    def measure(self):
        stage, last = self.stage(), []

        def load(_):
            renderer = Renderer(stage, device=bars.DEVICE)
            wp.synchronize_device(bars.DEVICE)
            last[:] = [f"{len(renderer.scene.drawn)} instances, {renderer._world.num_triangles} triangles"]
            renderer.close()

        load(0)
        _, cost = best_seconds(load, budget=self.budget)
        return cost, last[0]


class LoadWarehouse(_Load):
    """All there is: materials, textures, labels, lights."""

    title, bar = "load the warehouse", 0.6

    def stage(self):
        return scenes.warehouse()


class LoadInstances(_Load):
    """Points of one instancer."""

    title, bar = "load 100,000 instances", 5.0

    def stage(self):
        return crowd(100_000)


class LoadMesh(_Load):
    """A grid of quads whose normals are made on loading."""

    title, bar = "load one mesh of 2 M triangles", 4.0

    def stage(self):
        return wave(1000)


class ReadPrims(Bar):
    """A tenth of a million prims, read once: the reader's cost grows with their number."""

    title, unit, more_is_better = "read 100,000 prims, for a million of them", "s CPU", False

    def measure(self):
        stage = prims(100_000, moving=False)
        _, cost = best_seconds(lambda _: StageReader(stage).close(), budget=0.0, at_least=2)
        return 10.0 * cost, f"{1e6 * cost / 99_900:.0f} us a prim"


class _Step(Bar):
    """A new time for everything, before anything is drawn."""

    unit, more_is_better, bar = "ms CPU", False, 30.0

    def measure(self):
        renderer = stepping(type(self).__name__)
        reader, world = renderer._reader, renderer._world

        def step(index):
            world.place(reader.pose(float(index % 97) + 0.5))
            wp.synchronize_device(bars.DEVICE)

        step(50)
        _, cost = best_seconds(step, budget=self.budget)
        _, reading = best_seconds(lambda index: reader.pose(float(index % 97) + 0.25), budget=0.5)
        return 1e3 * cost, f"{1e3 * reading:.1f} ms of it to read the poses"


class StepPoints(_Step):
    """Points of one instancer, between time samples."""

    title = "step 10,000 points of an instancer"


class StepPrims(_Step):
    """Prims with a translation of their own."""

    title = "step 10,000 moving prims"


@functools.lru_cache
def stepping(name: str) -> Renderer:
    stage = crowd(10_000, tuple(range(0, 101, 10))) if name == "StepPoints" else prims(10_000, moving=True)
    return Renderer(stage, device=bars.DEVICE)


BARS = (LoadWarehouse, LoadInstances, LoadMesh, ReadPrims, StepPoints, StepPrims)
