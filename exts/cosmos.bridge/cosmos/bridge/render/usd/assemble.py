"""A whole stage as a Scene, and the tracks along which it moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.render.scene import Light, Scene
from cosmos.bridge.render.usd.cameras import note_cameras
from cosmos.bridge.render.usd.deform import MovingPoints
from cosmos.bridge.render.usd.labels import Labels, inherit, label_text, number_labels
from cosmos.bridge.render.usd.lights import changes, read_light, settle_suns
from cosmos.bridge.render.usd.materials import MaterialLibrary
from cosmos.bridge.render.usd.meshes import MeshLibrary, bound_materials
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.textures import TextureLibrary
from cosmos.bridge.render.usd.walk import Found, walk
from cosmos.bridge.types import Instance

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom

_NO_COLOR = (np.nan, np.nan, np.nan)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class InstancerTrack:
    """One PointInstancer and the drawn instances it places."""

    instancer: UsdGeom.PointInstancer
    points: np.ndarray
    """int64 [K], point of each drawn instance."""
    drawn: np.ndarray
    """int64 [K], row of each in the pose."""
    moves: bool
    """Whether the instancer, its points or what they show change with time."""


@dataclass(kw_only=True, slots=True)
class Tracks:
    """What a pose is made from: prims by row."""

    prims: list[Optional[Usd.Prim]] = field(default_factory=list)
    """Prim of each drawn instance; ``None`` where an instancer places it."""
    moving: list[int] = field(default_factory=list)
    """Rows whose prim may move."""
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
        self.stage, self.time = stage, time
        self.notes = Notes()
        self.textures = TextureLibrary(self.notes)
        self.materials = MaterialLibrary(time, self.textures, self.notes)
        self.meshes = MeshLibrary(time, scale, self.materials, self.notes)
        self.tracks = Tracks()
        self.paths: list[str] = []
        self.labels: list[Labels] = []
        self.owners: list[str] = []
        self.mesh_of: list[int] = []
        self.material_of: list[int] = []
        self.color_of: list[tuple[float, float, float]] = []

    def row(
        self,
        found: Found,
        prim: Optional[Usd.Prim],
        path: str,
        labels: Labels,
        look: tuple[int, int, tuple[float, float, float]],
    ) -> int:
        """Append one drawn instance and return its row."""
        row = len(self.paths)
        self.paths.append(path)
        self.labels.append(labels)
        self.owners.append("" if not labels else found.owner if prim is not None else path)
        self.mesh_of.append(look[0])
        self.material_of.append(look[1])
        self.color_of.append(look[2])
        self.tracks.prims.append(prim)
        for gate in found.gates:
            self.tracks.gates.setdefault(str(gate.GetPath()), (gate, []))[1].append(row)
        return row

    def add_gprims(self, gprims: list[Found]) -> None:
        """Add each gprim as one instance."""
        for found, bound in zip(gprims, bound_materials([found.prim for found in gprims]), strict=True):
            look = self.meshes.add(found.prim, bound)
            if look is None:
                continue
            row = self.row(found, found.prim, str(found.prim.GetPath()), found.labels, look)
            if found.moves:
                self.tracks.moving.append(row)

    def add_instancer(self, found: Found) -> None:
        """Add each point of a PointInstancer as one instance, its prototype joined into one mesh."""
        from pxr import UsdGeom

        instancer = UsdGeom.PointInstancer(found.prim)
        path = str(found.prim.GetPath())
        prototypes = [self._prototype(target, path) for target in instancer.GetPrototypesRel().GetForwardedTargets()]
        indices = np.array(instancer.GetProtoIndicesAttr().Get(self.time) or (), np.int64)
        positions = instancer.GetPositionsAttr().Get(self.time)
        if positions is None or len(positions) != len(indices) or not len(indices):
            self.notes.add("Point instancers whose positions and protoIndices differ in number are left out", path)
            return
        if indices.min() < 0 or int(indices.max()) >= len(prototypes):
            self.notes.add("Point instancers whose protoIndices point past their prototypes are left out", path)
            return
        if instancer.GetProtoIndicesAttr().ValueMightBeTimeVarying():
            self.notes.add("Point instancers whose protoIndices change with time keep those of the first frame", path)
        colors = self._instancer_colors(found.prim, len(indices))
        points, drawn, moves = [], [], found.moves or _points_move(instancer)
        for point, index in enumerate(indices):
            prototype = prototypes[index]
            if prototype is None:
                continue
            mesh, labels, prototype_moves = prototype
            look = (mesh, -1, colors[point])
            drawn.append(self.row(found, None, f"{path}[{point}]", inherit(found.labels, dict(labels)), look))
            points.append(point)
            moves = moves or prototype_moves
        self.tracks.instancers.append(
            InstancerTrack(
                instancer=instancer, points=np.array(points, np.int64), drawn=np.array(drawn, np.int64), moves=moves
            )
        )

    def _instancer_colors(self, prim: Usd.Prim, count: int) -> list[tuple[float, float, float]]:
        """Return displayColor of each point, where the instancer has one a point."""
        from pxr import UsdGeom

        primvar = UsdGeom.PrimvarsAPI(prim).GetPrimvar("displayColor")
        values = primvar.ComputeFlattened(self.time) if primvar and primvar.HasAuthoredValue() else None
        if values is None or len(values) != count:
            return [_NO_COLOR] * count
        return [(float(color[0]), float(color[1]), float(color[2])) for color in values]

    def _prototype(self, target: Any, instancer: str) -> Optional[tuple[int, Labels, bool]]:
        """Return (mesh, labels, whether its own place moves) of a prototype; ``None`` where nothing is drawn."""
        from pxr import UsdGeom

        root = self.stage.GetPrimAtPath(target)
        if not root:
            self.notes.add("Point instancers with a prototype that does not exist are drawn without it", instancer)
            return None
        found = walk(root, self.time, self.notes, include_root=True)
        cache = UsdGeom.XformCache(self.time)
        if found.instancers:
            self.notes.add("Point instancers inside a prototype are left out", str(root.GetPath()))
        for skeleton in found.skeletons:
            self.notes.add("Skinned meshes in a prototype are drawn at rest", str(skeleton.prim.GetPath()))
        parts, labels = [], dict(found.gprims[0].labels) if found.gprims else {}
        for item, bound in zip(found.gprims, bound_materials([item.prim for item in found.gprims]), strict=True):
            parts.append((item.prim, bound, np.array(cache.ComputeRelativeTransform(item.prim, root)[0])))
            if item.prim != root and (item.moves or item.gates):
                self.notes.add("Motion inside a prototype is left out", str(root.GetPath()))
            labels = labels or dict(item.labels)
        mesh = self.meshes.add_merged(str(root.GetPath()), parts)
        own = UsdGeom.Xformable(root)
        return None if mesh is None else (mesh, labels, bool(own) and own.TransformMightBeTimeVarying())

    def add_lights(self, lights: list[Found], scale: float) -> tuple[Light, ...]:
        """Read each light."""
        read: list[Light] = []
        for found in lights:
            light = read_light(found.prim, self.time, scale, self.textures, self.notes)
            if light is None:
                continue
            varies = changes(found.prim)
            if found.gates or varies:
                self.tracks.changing_lights.append((len(read), varies, found.gates))
            if found.moves:
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
        labels, numbers = number_labels(self.labels)
        bounds = [
            np.stack([mesh.points[mesh.triangles].min((0, 1)), mesh.points[mesh.triangles].max((0, 1))]).astype(
                np.float64
            )
            for mesh in self.meshes.meshes
        ]
        drawn = tuple(
            Instance(
                id=row + 1,
                prim_path=path,
                semantic_id=numbers[label_text(self.labels[row])],
                labels=self.labels[row],
                bounds=bounds[self.mesh_of[row]],
                owner=self.owners[row],
            )
            for row, path in enumerate(self.paths)
        )
        return drawn, labels


def _points_move(instancer: UsdGeom.PointInstancer) -> bool:
    """Whether anything that places the points may change with time."""
    names = ("positions", "orientations", "orientationsf", "scales", "invisibleIds", "ids")
    attributes = [instancer.GetPrim().GetAttribute(name) for name in names]
    return any(attribute and attribute.ValueMightBeTimeVarying() for attribute in attributes)


def _note_the_stage(stage: Usd.Stage, notes: Notes) -> None:
    """Say what composition could not find, and which unit had to be assumed."""
    from pxr import UsdGeom

    if hasattr(stage, "GetCompositionErrors"):
        for error in stage.GetCompositionErrors():
            notes.add(
                "Parts of the stage that USD cannot compose are missing", " ".join(str(error).split()).rstrip(".")
            )
    if not UsdGeom.StageHasAuthoredMetersPerUnit(stage):
        notes.add(
            "The stage does not say its metersPerUnit, so its unit is taken as a centimetre",
            stage.GetRootLayer().identifier,
        )


def assemble(stage: Usd.Stage, time: Usd.TimeCode, scale: float, *, path: str) -> tuple[Scene, Tracks]:
    """Read a stage.

    Args:
        stage: What to read.
        time: When everything that does not follow time is read.
        scale: Metres per stage unit.
        path: Name of the stage in the scene.
    """
    from pxr import UsdGeom

    assembly = _Assembly(stage, time, scale)
    _note_the_stage(stage, assembly.notes)
    found = walk(stage.GetPseudoRoot(), time, assembly.notes)
    for skeleton in found.skeletons:
        assembly.meshes.skins.add(skeleton.prim)
    assembly.add_gprims(found.gprims)
    for instancer in found.instancers:
        assembly.add_instancer(instancer)
    lights = assembly.add_lights(found.lights, scale)
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
        mesh_of=np.array(assembly.mesh_of, np.int32),
        material_of=np.array(assembly.material_of, np.int32),
        color_of=np.array(assembly.color_of, np.float32).reshape(-1, 3),
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


__all__ = ["InstancerTrack", "Tracks", "assemble"]
