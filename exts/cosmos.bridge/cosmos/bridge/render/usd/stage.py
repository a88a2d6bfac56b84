"""A USD stage as plain arrays: what there is, and where it is at a time code."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np

from cosmos.bridge.errors import SourceError
from cosmos.bridge.render.patience import collector_waits
from cosmos.bridge.render.scene import Light, Pose, Scene
from cosmos.bridge.render.usd.assemble import Tracks, assemble
from cosmos.bridge.render.usd.cameras import read_camera
from cosmos.bridge.render.usd.framing import AUTO_CAMERA, frame_camera
from cosmos.bridge.render.usd.instancers import InstancerTrack
from cosmos.bridge.render.usd.keys import Courses
from cosmos.bridge.render.usd.labels import Labels
from cosmos.bridge.render.usd.lights import light_at
from cosmos.bridge.render.usd.roadmap import RoadMap
from cosmos.bridge.render.usd.transforms import Transforms, may_move, world_rows
from cosmos.bridge.types import Camera, MapLine

if TYPE_CHECKING:
    from pxr import Usd

    from cosmos.bridge.types import Progress


_LISTED = 12
"""Most cameras that an error names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """Prims that were asked for by path."""

    version: int = 0
    """That of the Transforms; what is known holds until the stage is edited."""
    resting: dict[str, np.ndarray] = field(default_factory=dict)
    """Where those are [m] that never move; NaN for no prim."""
    moving: dict[str, Any] = field(default_factory=dict)
    """The prims of the others."""


class StageReader:
    """Reads a USD stage once, and its pose and cameras at any time code.

    The stage itself is only read. Edits made to it after the reader was made are followed in transforms, visibility and
    points that have time samples, and nowhere else.
    """

    def __init__(
        self,
        stage: Union[str, os.PathLike, Usd.Stage],
        *,
        untrusted: bool = False,
        progress: Optional[Progress] = None,
        opened: Optional[Callable[[], Usd.Stage]] = None,
    ) -> None:
        """Open and read a stage.

        Args:
            stage: Path of a usd, usda, usdc or usdz file, or an open stage.
            untrusted: Refuse a file that names anything outside its folder, before any of that is resolved.
            progress: Told ("prims found", number, 0), then ("prims read", number, all), now and then; what it raises
                ends the reading.
            opened: Of ``begin_opening`` of the same path; opened here when ``None``.

        Raises:
            SourceError: If it is missing, cannot be parsed, holds nothing that can be drawn, or is refused.
        """
        from pxr import Usd, UsdGeom

        name = os.fspath(stage) if isinstance(stage, (str, os.PathLike)) else stage.GetRootLayer().identifier
        if untrusted and not isinstance(stage, (str, os.PathLike)):
            raise SourceError(f"Stage {name} is open already, too late to be checked; give its path with untrusted.")
        if isinstance(stage, (str, os.PathLike)):
            stage = open_stage(name, untrusted=untrusted) if opened is None else opened()
        self._stage: Any = stage
        self._scale = float(UsdGeom.GetStageMetersPerUnit(self._stage))
        if not (self._scale > 0.0 and np.isfinite(self._scale)):
            raise SourceError(f"Stage {name} has metersPerUnit {self._scale:g}; author a positive one.")
        ranged = self._stage.HasAuthoredTimeCodeRange()
        start = self._stage.GetStartTimeCode() if ranged else None
        self._time = Usd.TimeCode.EarliestTime() if start is None else Usd.TimeCode(start)
        self._transforms = Transforms(self._stage)
        cache = self._transforms.at(self._time)
        with collector_waits():
            self._scene, self._tracks = assemble(self._stage, cache, self._scale, path=name, progress=progress)
        if not self._scene.drawn:
            said = " ".join(self._scene.notes)
            raise SourceError(
                f"Stage {name} has nothing that can be drawn; add a visible mesh or shape of purpose default or render."
                + (f" ({said})" if said else "")
            )
        if self._tracks.moving.prims:
            self._tracks.courses = Courses(self._stage, self._tracks.moving.prims, self._transforms)
        self._still = self._rest_pose()
        self._known = _Known()
        self._map: RoadMap | None = None

    @property
    def stage(self) -> Usd.Stage:
        """The stage that is read."""
        if self._stage is None:
            raise SourceError(f"The reader of stage {self._scene.path} is closed; make a new one.")
        return self._stage

    @property
    def scene(self) -> Scene:
        """Everything that does not change with time."""
        return self._scene

    def close(self) -> None:
        """Let go of the stage; safe to call twice."""
        self._transforms.close()
        self._stage, self._tracks, self._map = None, Tracks(), None
        self._known = _Known()

    @np.errstate(over="ignore", invalid="ignore")  # what is not finite is found and hidden
    def pose(self, time_code: float) -> Pose:
        """Return where everything is at a time code; only what has time samples is read anew.

        What cannot be placed at this time (a transform or points that are not finite, points of another number) is not
        visible at it.
        """
        from pxr import Usd, UsdGeom

        _ = self.stage
        time, tracks = Usd.TimeCode(float(time_code)), self._tracks
        local_to_world, light_to_world = self._still.local_to_world.copy(), self._still.light_to_world.copy()
        visible = self._still.visible.copy()
        cache = self._transforms.at(time)
        if tracks.courses is not None:
            local_to_world[tracks.moving.rows] = self._columns(tracks.courses.at(time))[tracks.moving.prim_of]
        if tracks.moving_lights:
            prims = [tracks.lights[row] for row in tracks.moving_lights]
            light_to_world[tracks.moving_lights] = self._world_matrices(cache, prims)
        for track in tracks.instancers:
            if track.moves:
                self._place_points(track, cache, time, local_to_world, visible)
        for gate, rows in tracks.gates.values():
            if gate.Get(time) == UsdGeom.Tokens.invisible:
                visible[rows] = False
        _hide_the_lost(local_to_world, visible)
        return Pose(
            time_code=float(time_code),
            local_to_world=local_to_world,
            visible=visible,
            light_to_world=light_to_world,
            points=self._moved_points(time, visible),
            lights=self._lights(time),
        )

    def _lights(self, time: Usd.TimeCode) -> tuple[Light, ...]:
        """Return the lights as they are at a time; nothing where none changes."""
        from pxr import UsdGeom

        if not self._tracks.changing_lights:
            return ()
        lights = list(self._scene.lights)
        for row, varies, gates in self._tracks.changing_lights:
            if varies:
                lights[row] = light_at(lights[row], self._tracks.lights[row], time, self._scale)
            if any(gate.Get(time) == UsdGeom.Tokens.invisible for gate in gates):
                lights[row] = replace(lights[row], color=(0.0, 0.0, 0.0))
        return tuple(lights)

    def camera(self, prim_path: str, time_code: float, *, size: tuple[int, int]) -> Camera:
        """Read a camera of the stage.

        Args:
            prim_path: Path of a UsdGeomCamera.
            time_code: USD time code.
            size: (height, width) [px].

        Raises:
            SourceError: If there is no such camera, or it cannot be drawn with.
        """
        from pxr import Sdf, Tf, Usd, UsdGeom

        valid = Sdf.Path.IsValidPathString(str(prim_path)) and str(prim_path).startswith("/")
        prim = self.stage.GetPrimAtPath(str(prim_path)) if valid else None
        if not prim or not prim.IsA(UsdGeom.Camera):
            paths = self._scene.camera_paths
            more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
            there = (
                f"it has {', '.join(paths[:_LISTED])}{more}" if paths else "it has none, so name none and one is added"
            )
            raise SourceError(f"Stage {self._scene.path} has no camera {prim_path!r}; {there}.")
        try:
            return read_camera(prim, Usd.TimeCode(float(time_code)), self._scale, _checked(size))
        except Tf.ErrorException as error:
            raise SourceError(
                f"Camera {prim_path} has no place: USD cannot read the xformOpOrder of it or above it; repair that."
            ) from error

    def frame_camera(self, size: tuple[int, int]) -> Camera:
        """Return a camera that frames what is visible at the start, for a stage without one.

        Args:
            size: (height, width) [px].
        """
        return frame_camera(self._scene, self.pose(self._scene.start_time), _checked(size))

    def prim_poses(self, prim_paths: Sequence[str], time_code: float) -> np.ndarray:
        """Return prim space to world [m] of each prim, column vectors, shape [K, 4, 4]; NaN where there is none."""
        from pxr import Sdf, Usd

        stage, cache = self.stage, self._transforms.at(Usd.TimeCode(float(time_code)))
        if self._known.version != self._transforms.version:
            self._known = _Known(version=self._transforms.version)
        resting, moving = self._known.resting, self._known.moving
        for path in prim_paths:
            if path not in resting and path not in moving:
                prim = stage.GetPrimAtPath(path) if Sdf.Path.IsValidPathString(path) else None
                if prim and may_move(prim):
                    moving[path] = prim
                else:
                    resting[path] = self._world_matrices(cache, [prim])[0] if prim else np.full((4, 4), np.nan)
        asked = [path for path in prim_paths if path in moving]
        now = dict(zip(asked, self._world_matrices(cache, [moving[path] for path in asked]), strict=True))
        poses = [now[path] if path in now else resting[path] for path in prim_paths]
        return np.array(poses, np.float64).reshape(-1, 4, 4)

    def map_lines(self, time_code: float, wanted: Callable[[Labels], bool]) -> tuple[MapLine, ...]:
        """Return the curves, and rims of open meshes, whose labels are wanted, as they are at a time code [m]."""
        from pxr import Usd

        if self._map is None:
            self._map = RoadMap(self.stage, self._scale)
        return self._map.lines(Usd.TimeCode(float(time_code)), wanted)

    def optics(self, prim_path: str, time_code: float) -> dict[str, float]:
        """Return a camera prim's focalLength, horizontalAperture, focusDistance and fStop as authored; else nothing."""
        from pxr import Sdf, UsdGeom

        prim = self.stage.GetPrimAtPath(prim_path) if Sdf.Path.IsValidPathString(prim_path) else None
        if not prim or not prim.IsA(UsdGeom.Camera):
            return {}
        names = ("focalLength", "horizontalAperture", "focusDistance", "fStop")
        return {name: float(prim.GetAttribute(name).Get(float(time_code))) for name in names}

    @np.errstate(over="ignore", invalid="ignore")
    def _rest_pose(self) -> Pose:
        """Return the pose at the first time, in which all that can be seen is visible."""
        tracks, count = self._tracks, len(self._scene.drawn)
        cache = self._transforms.at(self._time)
        local_to_world = np.tile(np.eye(4), (count, 1, 1))
        local_to_world[tracks.placed.rows] = self._world_matrices(cache, tracks.placed.prims)[tracks.placed.prim_of]
        visible = np.ones(count, bool)
        for track in tracks.instancers:
            self._place_points(track, cache, self._time, local_to_world, visible)
        _hide_the_lost(local_to_world, visible)
        return Pose(
            time_code=self._scene.start_time,
            local_to_world=local_to_world,
            visible=visible,
            light_to_world=self._world_matrices(cache, tracks.lights),
        )

    def _world_matrices(self, cache: Any, prims: list[Any]) -> np.ndarray:
        """Return prim space to world [m] of each prim, column vectors, shape [K, 4, 4]."""
        return self._columns(world_rows(cache, prims))

    def _columns(self, rows: np.ndarray) -> np.ndarray:
        """Bring USD's row-vector matrices in stage units to column vectors in metres."""
        columns = np.ascontiguousarray(rows.transpose(0, 2, 1))
        columns[:, :3, 3] *= self._scale
        return columns

    def _place_points(
        self, track: InstancerTrack, cache: Any, time: Usd.TimeCode, local_to_world: np.ndarray, visible: np.ndarray
    ) -> None:
        """Fill the rows of one point instancer; points that are not there at this time are not visible."""
        matrices, there = np.zeros((len(visible), 4, 4)), visible.copy()
        track.fill(time, cache, (np.eye(4)[None], np.ones(1, bool)), (matrices, there))
        rows = track.all_rows()
        local_to_world[rows], visible[rows] = self._columns(matrices[rows]), there[rows]

    def _moved_points(self, time: Usd.TimeCode, visible: np.ndarray) -> dict[int, np.ndarray]:
        """Return the points of each mesh that moves; hides the ones that cannot be drawn."""
        moved = {}
        for index, moving in self._tracks.points.items():
            points = moving.read(time)
            if points.shape == self._scene.meshes[index].points.shape and np.isfinite(points).all():
                moved[index] = points
            else:
                visible[self._scene.mesh_of == index] = False
        return moved


def _hide_the_lost(local_to_world: np.ndarray, visible: np.ndarray) -> None:
    """Hide rows whose transform is not finite or shrinks everything to a point, and leave a sound matrix there."""
    lost = ~np.isfinite(local_to_world).all((1, 2)) | (local_to_world[:, :3, :3] == 0.0).all((1, 2))
    visible[lost] = False
    local_to_world[lost] = np.eye(4)


def open_stage(path: str, *, untrusted: bool = False) -> Usd.Stage:
    """Open a stage file; an ``untrusted`` one only if ``check_trust`` lets it pass.

    Raises:
        SourceError: If it is missing, or USD cannot read it; the parser's reason is in the sentence.
    """
    from pxr import Ar, Tf, Usd

    inside = Ar.IsPackageRelativePath(path) or "://" in path
    if not inside and not os.path.exists(path):
        raise SourceError(f"Stage {path} does not exist; check the path.")
    if not inside and os.path.isdir(path):
        raise SourceError(f"Stage {path} is a folder; name a usd, usda, usdc or usdz file in it.")
    if untrusted:
        from cosmos.bridge.render.usd.trust import check_trust

        check_trust(path)
    try:
        return Usd.Stage.Open(path)
    except Tf.ErrorException as error:
        said = [str(part.commentary).strip() for part in error.args if hasattr(part, "commentary")]
        reason = " ".join((said[0] if said else str(error)).split()).rstrip(".")
        raise SourceError(f"Stage {path} cannot be read by USD ({reason}); repair or export it again.") from error


def begin_opening(path: str, *, untrusted: bool = False) -> Callable[[], Usd.Stage]:
    """Begin ``open_stage`` on another thread, for USD holds no interpreter lock meanwhile.

    Returns:
        What waits for it and returns the stage, or raises as ``open_stage`` does.
    """
    from pxr import Usd  # noqa: F401  (holds the lock: done before there are two threads)

    pool = ThreadPoolExecutor(1, "cosmos_bridge_stage")
    opening = pool.submit(open_stage, path, untrusted=untrusted)
    pool.shutdown(wait=False)
    return opening.result


def _checked(size: tuple[int, int]) -> tuple[int, int]:
    height, width = (int(value) for value in size)
    if height < 1 or width < 1:
        raise SourceError(f"A picture needs at least 1 x 1 pixels, got {height} x {width} (height x width).")
    return height, width


__all__ = ["AUTO_CAMERA", "StageReader", "begin_opening", "open_stage"]
