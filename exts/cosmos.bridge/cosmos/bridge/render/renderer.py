"""The embedded renderer: a USD stage in, annotated frames out, on the CPU or on CUDA."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Optional, Union

from cosmos.bridge.render.patience import collector_waits

with collector_waits(stays=True):
    import warp as wp

    from cosmos.bridge.render.details import Details
    from cosmos.bridge.render.draw.bands import Bands
    from cosmos.bridge.render.draw.resolve import Motion, find_motion, resolve
    from cosmos.bridge.render.draw.view import make_view
    from cosmos.bridge.render.draw.visibility import Visibility
    from cosmos.bridge.render.draw.world import World
    from cosmos.bridge.render.quality import Quality, Reference, reference_of
    from cosmos.bridge.render.remarks import remarks
    from cosmos.bridge.render.scene import Pose, RowsById, Scene
    from cosmos.bridge.render.targets import Target, Targets
    from cosmos.bridge.types import Camera, Frame, Instance, LightMaps, Look

if TYPE_CHECKING:
    from pxr import Usd

    from cosmos.bridge.render.annotators import AnnotatorOptions
    from cosmos.bridge.render.draw.paint import Painter
    from cosmos.bridge.render.draw.tiles import Tiles
    from cosmos.bridge.render.roadmap import MapStyle
    from cosmos.bridge.types import Progress


class Renderer:
    """Renders one stage; keeps its geometry, textures and ray hierarchy between frames."""

    def __init__(
        self,
        stage: Union[str, os.PathLike, Usd.Stage],
        *,
        device: Optional[str] = None,
        threads: Optional[int] = None,
        untrusted: bool = False,
        progress: Optional[Progress] = None,
        reader: Any = None,
    ):
        """Load a stage.

        Args:
            stage: Path of a USD file, or an open stage.
            device: Warp device (``cpu``, ``cuda:0``); Warp's preferred device when ``None``.
            threads: CPU threads; as many as the process may use, at most 8, when ``None``.
            untrusted: Refuse a stage that names anything outside its own folder, before any of that is resolved.
            progress: Told ("prims found", number, 0), then ("prims read", number, all), while a stage is read; what it
                raises ends the loading.
            reader: What gives ``scene``, ``pose`` and ``camera`` instead of a StageReader on ``stage``.

        Raises:
            SourceError: If the stage cannot be read or holds no geometry.
        """
        opened = None
        if reader is None:
            with collector_waits(stays=True):
                from cosmos.bridge.render.usd.stage import StageReader, begin_opening
            if isinstance(stage, (str, os.PathLike)):
                opened = begin_opening(os.fspath(stage), untrusted=untrusted)
        self._bands = Bands(device, threads)  # Warp starts meanwhile
        if reader is None:
            with collector_waits():
                reader = StageReader(stage, untrusted=untrusted, progress=progress, opened=opened)
        self._reader = reader
        self.scene: Scene = reader.scene
        self._poses: dict[float, Pose] = {}
        self._memory: dict[Any, Any] = {}
        self._meters: dict[tuple[str, int, int], list[Camera]] = {}
        self._tiles: Optional[tuple[Any, Tiles]] = None
        self._targets = Targets(self._bands.device)
        pose = self._pose(self.scene.start_time)
        self._world = World(self.scene, pose, self._bands)
        self._visibility = Visibility(self._world, self._bands, rays=False)
        self._notes = (*self.scene.notes, *remarks(self.scene), *self._world.notes)

    @cached_property
    def _painter(self) -> Painter:
        """What draws pictures; its kernels are read while the rays' hierarchy is built, for the start of the stage."""
        start = self._pose(self.scene.start_time)
        self._world.place(start)
        self._world.begin_rays()
        with collector_waits(stays=True):
            from cosmos.bridge.render.draw.paint import Painter
        return Painter(self.scene, start, self._world, self._visibility, self._bands)

    @cached_property
    def _instances(self) -> Mapping[int, Instance]:
        return MappingProxyType({instance.id: instance for instance in self.scene.drawn})

    @property
    def fps(self) -> float:
        """Time codes a second of the stage."""
        return self.scene.fps

    @property
    def threads(self) -> int:
        """How many CPU threads draw."""
        return self._bands.threads

    @property
    def notes(self) -> tuple[str, ...]:
        """What had to be assumed or added, one sentence each."""
        return self._notes

    def camera(self, prim_path: str, time_code: float, *, size: tuple[int, int]) -> Camera:
        """Return a camera of the stage.

        Args:
            prim_path: Path of the camera prim.
            time_code: USD time code.
            size: Height and width [px].

        Raises:
            SourceError: If there is no such camera.
        """
        return self._reader.camera(prim_path, time_code, size=size)

    def frame_camera(self, size: tuple[int, int]) -> Camera:
        """Return a camera that frames the whole stage; ``size`` is height and width [px]."""
        return self._reader.frame_camera(size)

    def _pose(self, time_code: float) -> Pose:
        if time_code not in self._poses:
            while len(self._poses) >= 3:
                self._poses.pop(next(iter(self._poses)))
            self._poses[time_code] = self._reader.pose(time_code)
        return self._poses[time_code]

    def render(
        self,
        camera: Union[str, Camera],
        time_code: float,
        *,
        size: Optional[tuple[int, int]] = None,
        look: Optional[Look] = None,
        previous: Optional[tuple[Camera, float]] = None,
        particles: bool = True,
        rgb: bool = True,
        slot: int = 0,
        exposure_of: Union[str, Camera, None] = None,
        quality: Quality = "interactive",
        samples: int = 64,
        seed: int = 0,
        denoise: bool = False,
        progress: Optional[Progress] = None,
    ) -> Frame:
        """Draw one frame.

        Args:
            camera: Path of a camera of the stage, or a camera.
            time_code: USD time code.
            size: Height and width [px]; needed for a path, must agree with a Camera.
            look: Time of day and weather; the stage's own lights, drawn plainly, when ``None``.
            previous: Camera and time code of the frame before; motion is zero without it.
            particles: Whether falling flakes and streaks of the look are drawn.
            rgb: Whether the picture is drawn; it costs most of a frame, and is black without.
            slot: Which memory the frame borrows; frames of different slots live side by side.
            exposure_of: Camera whose light meter sets the exposure, so that pictures match; its own when ``None``.
            quality: ``interactive`` for quick shading, ``reference`` for path-traced global illumination.
            samples: Paths a pixel of reference quality; four times as many halve the noise.
            seed: Decides the paths; one seed, one picture, on any number of threads.
            denoise: Whether what noise reference quality leaves is filtered out along the surfaces.
            progress: Told ("samples", done, all) between samples of reference quality; what it raises ends the frame.

        Returns:
            A frame that borrows this renderer's memory until the next frame of its size and slot.

        Raises:
            SourceError: If there is no such camera.
            ValueError: If ``size`` is missing or disagrees, or ``quality``, ``samples`` or ``seed`` is out of range.
        """
        reference = reference_of(quality, samples, seed, denoise)
        camera = self._camera_of(camera, time_code, size)
        pose = self._pose(time_code)
        painter = self._painter if rgb else None
        self._world.place(pose, rays=rgb)
        target = self._targets.frame(camera, slot)
        view = make_view(camera, self._world.origin)
        triangles, depths = target.seen
        self._visibility.find(view, depths, triangles)
        resolve(self._bands, self._world, view, target.seen, self._motion(camera, pose, previous), dict(target.buffers))
        if painter is not None:
            metered = self._meter(camera, time_code, exposure_of)
            cameras, picture = self._metering_cameras(metered), target.buffers["rgb"]
            painter.paint(
                camera, target.seen, pose, look, cameras,
                rgb=picture, particles=particles, reference=reference, progress=progress,
            )  # fmt: skip
            if look is None:  # its light may be asked for
                self._targets.remember(camera, pose, target.seen)
        else:
            target.buffers["rgb"].zero_()
        return Frame(
            camera=camera,
            time_code=time_code,
            sim_time=time_code / self.scene.fps,
            labels=self.scene.labels,
            instances=self._instances,
            poses=RowsById(pose.local_to_world),
            up_axis=self.scene.up_axis,
            details=self._details(camera, view, target, pose, look, exposure_of, reference),
            **target.buffers,
        )

    def light(
        self, camera: Union[str, Camera], time_code: float, look: Look, *, size: Optional[tuple[int, int]] = None
    ) -> LightMaps:
        """Return how a look lights a frame: the frame relit, a white and a mirror ball at each pixel, air and shelter.

        Weather and wear of the look change no surface; its noise, dirt and flakes are left out. Drawn by quick shading.
        The mirror ball is there for what rain makes wet, and black under a look without rain.

        Args:
            camera: Path of a camera of the stage, or a camera.
            time_code: USD time code.
            look: Time of day and air.
            size: Height and width [px]; needed for a path, must agree with a Camera.

        Returns:
            Maps that borrow this renderer's memory until the next ones of this size.

        Raises:
            SourceError: If there is no such camera.
            ValueError: If ``size`` is missing or disagrees.
        """
        camera = self._camera_of(camera, time_code, size)
        pose, painter = self._pose(time_code), self._painter
        seen, maps = self._targets.maps(camera)
        self._world.place(pose, rays=True)
        known, edges = self._targets.recall(camera, pose, seen)
        if not known:
            self._visibility.find(make_view(camera, self._world.origin), seen[1], seen[0])
        found = painter.light(camera, seen, pose, look, self._metering_cameras(camera), maps, edges)
        if edges is None and found is not None:
            self._targets.remember(camera, pose, seen, found)
        return maps if found is None else replace(maps, edges=found.told())

    def _details(
        self,
        camera: Camera,
        view: Any,
        target: Target,
        pose: Pose,
        look: Optional[Look],
        exposure_of: Union[str, Camera, None],
        reference: Optional[Reference],
    ) -> Details:
        """Return what can still be told about a frame while its memory is not drawn over."""
        target.serial += 1
        serial = target.serial

        def prepare() -> bool:
            if target.serial != serial:
                return False
            self._world.place(pose)
            return True

        def paint_linear(linear: wp.array) -> None:
            cameras = self._metering_cameras(self._meter(camera, pose.time_code, exposure_of))
            painter = self._painter
            self._world.place(pose)
            painter.paint(
                camera, target.seen, pose, look, cameras, rgb=linear, particles=False, linear=True, reference=reference
            )

        return Details(
            camera=camera,
            pose=pose,
            scene=self.scene,
            world=self._world,
            bands=self._bands,
            view=view,
            rasteriser=self._visibility.rasteriser,
            reader=self._reader,
            paint_linear=paint_linear,
            prepare=prepare,
            memory=self._memory,
        )

    def _meter(self, camera: Camera, time_code: float, exposure_of: Union[str, Camera, None]) -> Camera:
        """Return the camera whose light meter sets the exposure."""
        if isinstance(exposure_of, str):
            return self._camera_of(exposure_of, time_code, (camera.height, camera.width))
        return camera if exposure_of is None else exposure_of

    def annotate(
        self,
        camera: Union[str, Camera],
        time_code: float,
        annotators: Iterable[str],
        *,
        options: Optional[AnnotatorOptions] = None,
        **drawing: Any,
    ) -> dict[str, Any]:
        """Draw one frame and return annotators of it under Replicator's names; see ``render.annotators.annotate``.

        Args:
            camera: Path of a camera of the stage, or a camera.
            time_code: USD time code.
            annotators: Names, e.g. ``("rgb", "bounding_box_3d")``.
            options: Colours, units and what else Replicator's annotators are initialised with.
            **drawing: Further arguments of ``render``, such as ``size`` and ``look``.

        Raises:
            SourceError: If there is no such camera.
            ConfigError: If an annotator is unknown.
            ValueError: If ``size`` is missing or disagrees.
        """
        from cosmos.bridge.render.annotators import annotate, check_annotator, needs_picture  # kernels of their own

        names = [check_annotator(name) for name in annotators]
        frame = self.render(camera, time_code, **{"rgb": needs_picture(names), **drawing})
        return annotate(frame, names, options)

    def has_map(self, style: MapStyle) -> bool:
        """Return whether anything of the stage is drawn in ``hdmap``."""
        things = any(style.class_of(instance.labels) is not None for instance in self.scene.drawn)
        return things or bool(self._reader.map_lines(self.scene.start_time, style.has_line))

    def render_views(
        self,
        cameras: Sequence[Union[str, Camera]],
        time_code: float,
        *,
        size: Optional[tuple[int, int]] = None,
        look: Optional[Look] = None,
        previous: Optional[tuple[Sequence[Camera], float]] = None,
        particles: bool = True,
        rgb: bool = True,
        one_exposure: bool = False,
        quality: Quality = "interactive",
        samples: int = 64,
        seed: int = 0,
        denoise: bool = False,
        progress: Optional[Progress] = None,
    ) -> list[Frame]:
        """Draw one step of several cameras: a rig, or the two eyes of a stereo pair.

        The world is placed once; each frame lives until the next step.

        Args:
            cameras: Paths of cameras of the stage, or cameras.
            time_code: USD time code.
            size: Height and width [px]; needed for paths, must agree with Cameras.
            look: As in ``render``.
            previous: Cameras, in the same order, and time code of the step before; motion is zero without it.
            particles: As in ``render``.
            rgb: As in ``render``.
            one_exposure: Whether the first camera's light meter sets the exposure of all, as a stereo pair needs it.
            quality: As in ``render``.
            samples: As in ``render``.
            seed: As in ``render``.
            denoise: As in ``render``.
            progress: As in ``render``.

        Returns:
            One frame a camera, in their order.

        Raises:
            SourceError: If there is no such camera.
            ValueError: If ``size`` is missing or disagrees, or ``previous`` holds another number of cameras.
        """
        if previous is not None and len(previous[0]) != len(cameras):
            raise ValueError(
                f"render_views needs the cameras before, one for each of the {len(cameras)}, got {len(previous[0])}."
            )
        return [
            self.render(
                camera,
                time_code,
                size=size,
                look=look,
                previous=None if previous is None else (previous[0][slot], previous[1]),
                particles=particles,
                rgb=rgb,
                slot=slot,
                exposure_of=cameras[0] if one_exposure else None,
                quality=quality,
                samples=samples,
                seed=seed,
                denoise=denoise,
                progress=progress,
            )
            for slot, camera in enumerate(cameras)
        ]

    def render_tiles(
        self,
        cameras: Sequence[Union[str, Camera]],
        time_code: float,
        *,
        size: Optional[tuple[int, int]] = None,
        annotators: Sequence[str] = ("depth", "instance_ids"),
        look: Optional[Look] = None,
    ) -> dict[str, wp.array]:
        """Draw many small pictures of one moment, all pixels of all cameras in one launch.

        Args:
            cameras: N paths of cameras of the stage, or N cameras of one size.
            time_code: USD time code.
            size: Height and width of each picture [px]; needed for paths, must agree with Cameras.
            annotators: Of ``depth``, ``distance_to_camera``, ``normals``, ``semantic_ids``, ``instance_ids`` and
                ``rgb``; the picture is painted camera by camera and costs most.
            look: For ``rgb``, as in ``render``.

        Returns:
            Annotator to array on this renderer's device, dtypes as in Frame, shape [N, H, W] or [N, H, W, 3]; memory is
            borrowed until the next call.

        Raises:
            SourceError: If there is no such camera.
            ValueError: If there is no camera or no such annotator, or sizes are missing or differ.
        """
        from cosmos.bridge.render.draw.tiles import TILE_BUFFERS, Tiles  # its kernels take a while to read

        names = tuple(dict.fromkeys(annotators))
        unknown = [name for name in names if name not in (*TILE_BUFFERS, "rgb")]
        if unknown or not names or not cameras:
            raise ValueError(
                f"render_tiles needs cameras and annotators of {', '.join(TILE_BUFFERS)} and rgb, got {len(cameras)} "
                f"cameras and {', '.join(unknown or names) or 'none'}."
            )
        drawn = [self._camera_of(camera, time_code, size) for camera in cameras]
        sizes = {(camera.height, camera.width) for camera in drawn}
        if len(sizes) > 1:
            raise ValueError(f"render_tiles needs cameras of one size, got {sorted(sizes)} [px].")
        key = (len(drawn), *sizes, names)
        if self._tiles is None or self._tiles[0] != key:
            self._tiles = None  # the old memory goes before the new comes
            self._tiles = key, Tiles(len(drawn), sizes.pop(), names, self._bands.device)
        tiles, pose = self._tiles[1], self._pose(time_code)
        painter = self._painter if "rgb" in names else None
        self._world.place(pose)
        tiles.draw(self._bands, self._world, [make_view(camera, self._world.origin) for camera in drawn])
        if painter is not None:
            for index, camera in enumerate(drawn):
                seen, picture = (tiles.triangles[index], tiles.lengths[index]), tiles.buffers["rgb"][index]
                metered = self._metering_cameras(camera)
                painter.paint(camera, seen, pose, look, metered, rgb=picture, particles=True)
        return dict(tiles.buffers)

    def _camera_of(self, camera: Union[str, Camera], time_code: float, size: Optional[tuple[int, int]]) -> Camera:
        if isinstance(camera, str):
            if size is None:
                raise ValueError(f"render needs size=(height, width) [px] with the camera path {camera}, got None.")
            return self._reader.camera(camera, time_code, size=size)
        if size is not None and tuple(size) != (camera.height, camera.width):
            raise ValueError(f"render got size {tuple(size)}, but the camera is {camera.height} x {camera.width} [px].")
        return camera

    def _motion(self, camera: Camera, pose: Pose, previous: Optional[tuple[Camera, float]]) -> Optional[Motion]:
        if previous is None:
            return None
        return find_motion(self._world, camera, previous[0], pose, self._pose(previous[1]))

    def _metering_cameras(self, camera: Camera) -> list[Camera]:
        """Return where the light meter looks from: the camera's path over the stage's time range, or the camera."""
        if camera.prim_path not in self.scene.camera_paths:
            return [camera]
        key = (camera.prim_path, camera.height, camera.width)
        if key not in self._meters:
            start, span = self.scene.start_time, self.scene.end_time - self.scene.start_time
            times = sorted({start + share * span for share in (0.0, 0.5, 1.0)})
            self._meters[key] = [self._reader.camera(camera.prim_path, time, size=key[1:]) for time in times]
        return self._meters[key]

    def close(self) -> None:
        """Release the stage and the threads; safe to call twice."""
        self._bands.close()
        self._targets.clear()
        self._tiles = None
        self._reader.close()


__all__ = ["Renderer"]
