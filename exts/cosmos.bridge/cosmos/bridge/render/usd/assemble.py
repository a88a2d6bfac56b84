"""A whole stage as a Scene, and the tracks along which it moves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.render.scene import Light, Scene
from cosmos.bridge.render.usd.cameras import note_cameras
from cosmos.bridge.render.usd.crowds import Crowds
from cosmos.bridge.render.usd.deform import MovingPoints
from cosmos.bridge.render.usd.instancers import InstancerTrack
from cosmos.bridge.render.usd.keys import Courses
from cosmos.bridge.render.usd.labels import Labels, label_text, number_labels
from cosmos.bridge.render.usd.lights import changes, read_light, settle_suns
from cosmos.bridge.render.usd.materials import MaterialLibrary
from cosmos.bridge.render.usd.meshes import MeshLibrary, bound_materials
from cosmos.bridge.render.usd.mtlx import parse_mtlx
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.rows import Rows
from cosmos.bridge.render.usd.textures import TextureLibrary
from cosmos.bridge.render.usd.walk import TOLD_EVERY, Found, walk
from cosmos.bridge.types import Instance

if TYPE_CHECKING:
    from pxr import Usd

    from cosmos.bridge.types import Progress


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Places:
    """Rows of a pose, and the prims whose space they are drawn in."""

    rows: np.ndarray
    """int64 [K]."""
    prims: list[Usd.Prim]
    prim_of: np.ndarray
    """int64 [K], index into ``prims``."""


def places(rows: list[int], prims: list[Usd.Prim]) -> Places:
    """Return rows by prims, each prim that holds for rows in a run once."""
    distinct: list[Usd.Prim] = []
    prim_of = np.zeros(len(prims), np.int64)
    for index, prim in enumerate(prims):
        if not distinct or distinct[-1] is not prim:
            distinct.append(prim)
        prim_of[index] = len(distinct) - 1
    return Places(rows=np.array(rows, np.int64), prims=distinct, prim_of=prim_of)


@dataclass(kw_only=True, slots=True)
class Tracks:
    """What a pose is made from: prims by row."""

    placed: Places = field(default_factory=lambda: places([], []))
    """Drawn instances that no instancer places, but for those at the stage's own root."""
    moving: Places = field(default_factory=lambda: places([], []))
    """Those of them that may move."""
    courses: Optional[Courses] = None
    """Where the prims of ``moving`` are; ``None`` where nothing moves."""
    gates: dict[str, tuple[Usd.Attribute, list[int]]] = field(default_factory=dict)
    """Path of a visibility attribute that changes -> itself and the rows below it."""
    instancers: list[InstancerTrack] = field(default_factory=list)
    lights: list[Usd.Prim] = field(default_factory=list)
    moving_lights: list[int] = field(default_factory=list)
    changing_lights: list[tuple[int, bool, tuple[Usd.Attribute, ...]]] = field(default_factory=list)
    """Lights that change but for their place: row, whether its inputs change, and the visibilities that do."""
    points: dict[int, MovingPoints] = field(default_factory=dict)
    """Mesh index -> its points, for meshes whose points move."""


class _Assembly:
    """The rows of a scene while they are gathered."""

    def __init__(self, stage: Usd.Stage, time: Usd.TimeCode, scale: float) -> None:
        self.stage, self.time, self.scale = stage, time, scale
        self.notes = Notes()
        self.textures = TextureLibrary(self.notes)
        self.materials = MaterialLibrary(time, self.textures, self.notes)
        self.meshes = MeshLibrary(time, scale, self.materials, self.notes)
        self.rows = Rows()
        self.tracks = Tracks()

    def add_gprims(self, gprims: list[Found], progress: Optional[Progress]) -> None:
        """Add each gprim as one instance."""
        bound = bound_materials([found.prim for found in gprims if found.traits.binds])
        self.materials.begin(bound)
        bindings = iter(bound)
        rows: list[int] = []
        placers: list[Usd.Prim] = []
        moving: list[int] = []
        for number, found in enumerate(gprims):
            if number % TOLD_EVERY == 0:
                if progress is not None:
                    progress("prims read", number, len(gprims))
                self.meshes.prepare(gprims[number : number + TOLD_EVERY])
            traits = found.traits
            look = self.meshes.add(found, next(bindings) if traits.binds else None)
            if look is None:
                continue
            row = self.rows.add(str(found.prim.GetPath()), traits.owner, traits.labels, traits.gates, look)
            if traits.placer is not None:
                if traits.moves:
                    moving.append(len(rows))
                rows.append(row)
                placers.append(traits.placer)
        self.tracks.placed = places(rows, placers)
        self.tracks.moving = places([rows[index] for index in moving], [placers[index] for index in moving])

    def add_lights(self, lights: list[Found]) -> tuple[Light, ...]:
        """Read each light."""
        read: list[Light] = []
        for found in lights:
            light = read_light(found.prim, self.time, self.scale, self.textures, self.notes)
            if light is None:
                continue
            varies = changes(found.prim)
            if found.traits.gates or varies:
                self.tracks.changing_lights.append((len(read), varies, found.traits.gates))
            if found.traits.moves:
                self.tracks.moving_lights.append(len(read))
            self.tracks.lights.append(found.prim)
            read.append(light)
        if sum(light.kind == "dome" for light in read) > 1 and any(
            it.kind == "dome" and it.texture >= 0 for it in read
        ):
            self.notes.add("Of several domes with an image only the first such one is drawn", read[0].prim_path)
        return settle_suns(read, self.notes)

    def instances(self) -> tuple[tuple[Instance, ...], dict[int, Labels]]:
        """Number the labels and return the drawn instances."""
        rows = self.rows
        labels, numbers = number_labels(rows.labels)
        texts = {key: numbers[label_text(one)] for key, one in {id(one): one for one in rows.labels}.items()}
        bounds = self.meshes.bounds()
        drawn = tuple(
            Instance(
                id=row + 1,
                prim_path=path,
                semantic_id=texts[id(rows.labels[row])],
                labels=rows.labels[row],
                bounds=bounds[rows.mesh_of[row]],
                owner=rows.owners[row],
            )
            for row, path in enumerate(rows.paths)
        )
        return drawn, labels


def _note_the_stage(stage: Usd.Stage, notes: Notes) -> None:
    """Say what composition could not find, and which unit had to be assumed."""
    from pxr import UsdGeom

    if hasattr(stage, "GetCompositionErrors"):
        for error in stage.GetCompositionErrors():
            said = " ".join(str(error).split()).rstrip(".")
            named = re.search(r"@([^@]+\.mtlx)@", said)
            if named is None or parse_mtlx(named[1]) is None:  # those that parse are followed by hand
                notes.add("Parts of the stage that USD cannot compose are missing", said)
    if not UsdGeom.StageHasAuthoredMetersPerUnit(stage):
        notes.add(
            "The stage does not say its metersPerUnit, so its unit is taken as a centimetre",
            stage.GetRootLayer().identifier,
        )


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # what is not finite is found and left out
def assemble(
    stage: Usd.Stage, cache: Any, scale: float, *, path: str, progress: Optional[Progress] = None
) -> tuple[Scene, Tracks]:
    """Read a stage.

    Args:
        stage: What to read.
        cache: UsdGeom.XformCache at the time at which everything is read that does not follow time.
        scale: Metres per stage unit.
        path: Name of the stage in the scene.
        progress: Told how many prims are found, then read; what it raises ends the reading.
    """
    assembly = _Assembly(stage, cache.GetTime(), scale)
    try:
        return _assemble(assembly, cache, path, progress)
    finally:
        assembly.textures.close()


def _assemble(assembly: _Assembly, cache: Any, path: str, progress: Optional[Progress]) -> tuple[Scene, Tracks]:
    from pxr import UsdGeom

    stage, time, scale = assembly.stage, assembly.time, assembly.scale
    _note_the_stage(stage, assembly.notes)
    found = walk(stage.GetPseudoRoot(), cache, assembly.notes, progress=progress)
    for skeleton in found.skeletons:
        assembly.meshes.skins.add(skeleton.prim)
    assembly.add_gprims(found.gprims, progress)
    crowds = Crowds(assembly.rows, assembly.meshes, time, assembly.notes)
    assembly.tracks.instancers = [track for track in map(crowds.add, found.instancers) if track is not None]
    assembly.tracks.gates = assembly.rows.gates
    lights = assembly.add_lights(found.lights)
    drawn, labels = assembly.instances()
    assembly.tracks.points = assembly.meshes.moving
    note_cameras([stage.GetPrimAtPath(camera) for camera in found.cameras], time, assembly.notes)
    ranged = stage.HasAuthoredTimeCodeRange()
    scene = Scene(
        path=path,
        up_axis="Y" if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.y else "Z",
        fps=_frame_rate(stage, assembly.notes),
        meters_per_unit=scale,
        start_time=float(stage.GetStartTimeCode()) if ranged else 0.0,
        end_time=float(stage.GetEndTimeCode()) if ranged else 0.0,
        meshes=assembly.meshes.meshes,
        materials=assembly.materials.materials,
        textures=assembly.textures.textures,
        drawn=drawn,
        mesh_of=np.array(assembly.rows.mesh_of, np.int32),
        material_of=np.array(assembly.rows.material_of, np.int32),
        color_of=np.array(assembly.rows.color_of, np.float32).reshape(-1, 3),
        lights=lights,
        labels=labels,
        camera_paths=tuple(found.cameras),
        notes=assembly.notes.sentences(),
    )
    return scene, assembly.tracks


def _frame_rate(stage: Usd.Stage, notes: Notes) -> float:
    """Return timeCodesPerSecond, or USD's own default where the stage's is no rate."""
    rate = float(stage.GetTimeCodesPerSecond())
    if np.isfinite(rate) and rate > 0.0:
        return rate
    notes.add(f"timeCodesPerSecond is {rate:g}, which is no rate, so 24 is taken", stage.GetRootLayer().identifier)
    return 24.0


__all__ = ["Places", "Tracks", "assemble"]
