"""Sink ``stage``: the accepted clips as a layer over the user's stage, removable in one step.

``cosmos_bridge_results.usda`` holds a screen a clip and what the camera made of it; ``stage.usda`` puts that layer over
the user's stage, which is not touched. Leave the layer out and everything of ours is gone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np

from cosmos.bridge.errors import SinkError
from cosmos.bridge.sinks.files import cannot_write, check_name, new_folder, plain, remove_partials, write_bytes
from cosmos.bridge.sinks.images import encode_png
from cosmos.bridge.sinks.screen import Screen, author_camera, author_frames, author_screen, screen_distance
from cosmos.bridge.sinks.stage_facts import PrimKind, StageFacts, open_stage, prim_kind
from cosmos.bridge.types import Augmentation, Clip, Progress

RESULTS_NAME = "cosmos_bridge_results.usda"
STAGE_NAME = "stage.usda"
FRAMES_FOLDER = "frames"


class StageSink:
    """Keeps accepted clips in a results layer over the user's stage.

    Frames are stored without loss as ``frames/<clip>/0000.png``. One screen a camera is visible, that of its first
    accepted clip; all are of purpose ``guide``, so they show only where guides do. A clip that is written again takes
    the place of the one before.
    """

    def __init__(self, out_dir: str | Path, *, stage_path: str | Path | StageFacts) -> None:
        """Open an output folder, new or of an earlier run that is continued.

        Args:
            out_dir: Output folder; made if it does not exist.
            stage_path: The user's stage (usda, usdc, usd or usdz); it is read, never written. Or what must be known
                of it, where an application has it open: then the file is not touched at all.

        Raises:
            SinkError: If the stage cannot be opened, is one of the files that this sink writes, or the folder or the
                results layer in it cannot be used.
        """
        self._out_dir = Path(out_dir)
        known = stage_path if isinstance(stage_path, StageFacts) else None
        self._stage_path = known.path if known is not None else os.fspath(stage_path)  # type: ignore[arg-type]
        ours = {(self._out_dir / name).resolve() for name in (RESULTS_NAME, STAGE_NAME)}
        if "://" not in self._stage_path and Path(self._stage_path).resolve() in ours:
            raise SinkError(f"{self._stage_path} would be written over by its own results; choose another folder.")
        self._stage = None if known is not None else open_stage(self._stage_path)
        self._facts = known if known is not None else StageFacts.of(self._stage, self._stage_path)
        try:
            self._out_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self._out_dir, error) from error
        remove_partials(self._out_dir / FRAMES_FOLDER)
        self._layer = self._open_results()

    def write(self, augmentation: Augmentation, progress: Optional[Progress] = None) -> None:
        """Keep one attempt if it is accepted; rejected ones never reach a stage.

        Args:
            augmentation: What was asked, what came, and what the critic says.
            progress: Told ``("stage", done, total)`` after each frame.

        Raises:
            SinkError: If it cannot be written whole; then the layer is as it was before.
        """
        if not augmentation.verdict.accepted:
            return
        from pxr import Sdf

        name, clip = check_name(augmentation.name), augmentation.request.clip
        camera_path = clip.cameras[0].prim_path
        if not Sdf.Path.IsValidPathString(camera_path) or not Sdf.Path(camera_path).IsPrimPath():
            raise SinkError(
                f"{name} cannot go into a stage: its camera {camera_path!r} is no prim path; leave this sink out."
            )
        pixels = augmentation.result.rgb.numpy()
        if len(pixels) != clip.num_frames:
            raise SinkError(f"{name} has {clip.num_frames} time codes, but {len(pixels)} frames came out.")
        frames = self._write_frames(name, pixels, progress)
        before = self._layer.ExportToString()
        try:
            with Sdf.ChangeBlock():
                self._author(augmentation, frames)
            self._save()
        except BaseException:
            self._layer.ImportFromString(before)
            raise

    def close(self) -> None:
        """Write the layers once more, now that every video is there; safe to call twice."""
        self._save()

    def _open_results(self) -> Any:
        """Return the results layer of an earlier run, or a new one with the stage's unit, axis and rate."""
        from pxr import Sdf, Tf

        layer = Sdf.Layer.CreateAnonymous(RESULTS_NAME)
        path = self._out_dir / RESULTS_NAME
        if path.exists():
            try:
                layer.ImportFromString(path.read_text(encoding="utf-8"))
            except (OSError, ValueError, Tf.ErrorException) as error:
                raise SinkError(f"{path} is no results layer that can be continued; move it away.") from error
            if "cosmosBridge" not in layer.customLayerData:
                raise SinkError(f"{path} is no results layer of ours; move it away.")
            return layer
        self._say_units(layer)
        root = "CosmosBridge"
        number = 1
        while root in self._facts.roots:
            number += 1
            root = f"CosmosBridge_{number}"
        layer.customLayerData = {
            "cosmosBridge": {"root": f"/{root}", "stage": _relative(self._stage_path, self._out_dir), "clips": {}}
        }
        scope = Sdf.CreatePrimInLayer(layer, f"/{root}")
        scope.specifier, scope.typeName = Sdf.SpecifierDef, "Scope"
        layer.defaultPrim = root
        return layer

    def _write_frames(self, name: str, pixels: np.ndarray, progress: Optional[Progress]) -> tuple[str, ...]:
        """Write every frame as PNG; return their paths relative to the layer."""
        folder = self._out_dir / FRAMES_FOLDER / name
        names = [f"{index:04d}.png" for index in range(len(pixels))]
        with new_folder(folder, replace=True) as partial:
            for index, file_name in enumerate(names):
                (partial / file_name).write_bytes(encode_png(pixels[index][..., ::-1]))
                if progress is not None:
                    progress("stage", index + 1, len(names))
        return tuple(f"./{FRAMES_FOLDER}/{name}/{file_name}" for file_name in names)

    def _author(self, augmentation: Augmentation, frames: tuple[str, ...]) -> None:
        """Write the prims of one clip and its line in the layer's provenance."""
        from pxr import Sdf

        clip, name = augmentation.request.clip, augmentation.name
        camera_path = clip.cameras[0].prim_path
        unit = self._facts.metres_per_unit
        book = self._book()
        path = f"{book['root']}/{_prim_name(name)}"
        first = next((key for key, entry in book["clips"].items() if entry["camera"] == camera_path), name)
        screen = Screen(
            path=path,
            cameras=clip.cameras,
            time_codes=clip.time_codes,
            frames=frames,
            distance=screen_distance(clip.cameras[0], _nearest(clip)),
            metres_per_unit=unit,
            visible=first == name,
        )
        author_screen(self._layer, screen)
        scope = self._layer.GetPrimAtPath(path)
        author_frames(scope, "cosmos:augmented:frames", frames, clip.time_codes)
        target = Sdf.RelationshipSpec(scope, "cosmos:camera", True)
        target.targetPathList.explicitItems = [Sdf.Path(camera_path)]
        kind = self._kind_of(camera_path)
        if kind == "missing":
            author_camera(self._layer, camera_path, clip.cameras, clip.time_codes, unit)
        if first == name and kind != "proxy":
            over = Sdf.CreatePrimInLayer(self._layer, camera_path)
            author_frames(over, "cosmos:augmented:frames", frames, clip.time_codes)
        book["clips"][name] = _provenance(augmentation, path)
        self._layer.customLayerData = {"cosmosBridge": book}

    def _say_units(self, layer: Any) -> None:
        layer.pseudoRoot.SetInfo("metersPerUnit", self._facts.metres_per_unit)
        layer.pseudoRoot.SetInfo("upAxis", self._facts.up_axis)
        layer.timeCodesPerSecond = self._facts.time_codes_per_second

    def _kind_of(self, camera_path: str) -> PrimKind:
        if self._stage is None:
            return self._facts.cameras.get(camera_path, "missing")
        return prim_kind(self._stage, camera_path)

    def _book(self) -> dict[str, Any]:
        book = self._layer.customLayerData["cosmosBridge"]
        return {**book, "clips": dict(book["clips"])}

    def _author_videos(self) -> None:
        """Point to the dataset's video of each clip, where there is one."""
        from pxr import Sdf

        seen: set[str] = set()
        for name, entry in self._book()["clips"].items():
            first = entry["camera"] not in seen
            seen.add(entry["camera"])
            if not (self._out_dir / name / "augmented.mp4").is_file():
                continue
            for path in [entry["screen"], *([entry["camera"]] if first else [])]:
                prim = self._layer.GetPrimAtPath(path)
                if prim and "cosmos:augmented:video" not in prim.attributes:
                    video = Sdf.AttributeSpec(
                        prim, "cosmos:augmented:video", Sdf.ValueTypeNames.Asset, Sdf.VariabilityVarying, True
                    )
                    video.default = Sdf.AssetPath(f"./{name}/augmented.mp4")

    def _save(self) -> None:
        self._author_videos()
        write_bytes(self._out_dir / RESULTS_NAME, self._layer.ExportToString().encode())
        write_bytes(self._out_dir / STAGE_NAME, self._annotated_stage().encode())

    def _annotated_stage(self) -> str:
        """Return the root layer that puts the results over the user's stage."""
        from pxr import Sdf

        layer = Sdf.Layer.CreateAnonymous(STAGE_NAME)
        for key, value in self._facts.metadata.items():
            layer.pseudoRoot.SetInfo(key, value)
        self._say_units(layer)
        layer.framesPerSecond = self._facts.frames_per_second
        if self._facts.default_prim:
            layer.defaultPrim = self._facts.default_prim
        layer.comment = f"Remove the sublayer {RESULTS_NAME} and every result of cosmos.bridge is gone."
        layer.subLayerPaths = [f"./{RESULTS_NAME}", _relative(self._stage_path, self._out_dir)]
        return layer.ExportToString()


def _relative(stage_path: str, out_dir: Path) -> str:
    """Return the stage's path seen from the output folder; as it is where there is no such way."""
    if "://" in stage_path:
        return stage_path
    absolute = Path(stage_path).resolve()
    try:
        relative = os.path.relpath(absolute, out_dir.resolve())
    except ValueError:  # another drive
        return absolute.as_posix()
    return "./" + Path(relative).as_posix()


def _prim_name(name: str) -> str:
    """Return a prim name for a clip name; one that had to be changed ends with a hash, so that no two meet."""
    from pxr import Tf

    valid = Tf.MakeValidIdentifier(name)
    return valid if valid == name else f"{valid}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _nearest(clip: Clip) -> Optional[float]:
    """Return the smallest finite depth of a clip [m], ``None`` where there is none."""
    if clip.depth is None:
        return None
    depth = clip.depth.numpy()
    seen = depth[np.isfinite(depth) & (depth > 0.0)]
    return float(seen.min()) if seen.size else None


def _provenance(augmentation: Augmentation, screen_path: str) -> dict[str, Any]:
    """Return where a clip came from, as values that USD holds."""
    request, made = augmentation.request, augmentation.result.provenance
    weights: Mapping[str, Any] = {
        str(kind): weight if isinstance(weight, (int, float)) else "map" for kind, weight in request.weights.items()
    }
    return {
        "screen": screen_path,
        "camera": request.clip.cameras[0].prim_path,
        "prompt": request.prompt,
        "negativePrompt": request.negative_prompt,
        "seed": str(request.seed),
        "weights": plain(weights),
        "model": made.model,
        "revision": made.revision,
        "weightsSha256": made.weights_sha256,
        "licence": made.licence,
        "critic": augmentation.verdict.critic,
        "score": float(augmentation.verdict.score),
        "attempt": augmentation.attempt,
    }


__all__ = ["FRAMES_FOLDER", "RESULTS_NAME", "STAGE_NAME", "StageSink"]
