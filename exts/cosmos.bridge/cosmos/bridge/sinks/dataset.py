"""Sink ``dataset``: one folder an attempt, with pictures, truth, labels and the whole story of how it was made."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Optional

import numpy as np

from cosmos.bridge.errors import SinkError
from cosmos.bridge.sinks.carried import Carried
from cosmos.bridge.sinks.files import (
    cannot_write,
    check_name,
    link_or_copy,
    new_folder,
    plain,
    remove_partials,
    sha256_file,
    write_bytes,
    write_json,
)
from cosmos.bridge.sinks.images import encode_ids, encode_jpeg, id_encoding, side_by_side, write_depth_exr
from cosmos.bridge.sinks.labels import describe_boxes, describe_cameras, describe_labels
from cosmos.bridge.sinks.manifest import CLIP_NAME, VERSION, Manifest
from cosmos.bridge.sinks.video import write_video
from cosmos.bridge.types import Augmentation, Clip, Progress, TransferRequest, Verdict

PREVIEW_FRAMES = 8
"""Most moments of a clip that get preview stills."""
PREVIEW_WIDTH = 960
"""Most columns of a before or after still [px]."""
CONTROL_PREVIEW_WIDTH = 480
"""Most columns of a control still [px]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Written:
    """A finished artefact that another attempt over the same buffer may link to."""

    buffer: weakref.ref[Any]
    path: Path
    facts: Mapping[str, Any]
    hashes: Mapping[str, Mapping[str, Any]]


class DatasetSink:
    """Keeps every attempt as a folder: accepted ones as ``clip_0000/``, the others as ``rejected/clip_0000_attempt1/``.

    What several attempts share (source video, depth, ids, controls) is written once and hard-linked after that, where
    the file system can. Not safe for two processes on one folder.
    """

    def __init__(self, out_dir: str | Path, *, run: Mapping[str, Any]) -> None:
        """Open an output folder, new or of an earlier run that is continued.

        Args:
            out_dir: Output folder; made if it does not exist.
            run: Plain settings of the run for the manifest. Two keys mean something here: ``planned``, the number of
                clips to come, and ``command``, the words that reproduce the run; the report also shows ``source``
                and ``notes``.

        Raises:
            SinkError: If the folder cannot be made or written, or holds a manifest that cannot be read.
        """
        self._out_dir = Path(out_dir)
        try:
            self._out_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self._out_dir, error) from error
        for folder in (self._out_dir, self._out_dir / "rejected"):
            remove_partials(folder)
        self._written: dict[str, _Written] = {}
        self._manifest = Manifest(self._out_dir, run)
        self._manifest.write()

    def write(self, augmentation: Augmentation, progress: Optional[Progress] = None) -> None:
        """Keep one attempt.

        Args:
            augmentation: What was asked, what came, and what the critic says.
            progress: Told ``("write", done, total)`` after each artefact.

        Raises:
            SinkError: If the attempt is there already, the result has other frames than the clip, or it cannot be
                written whole; then nothing of it is left.
        """
        name = check_name(augmentation.name)
        if self._manifest.attempt(name, augmentation.attempt) is not None:
            raise SinkError(f"{name}, attempt {augmentation.attempt}, is written already; give the clip another name.")
        want, got = tuple(augmentation.request.clip.rgb.shape), tuple(augmentation.result.rgb.shape)
        if want != got:
            raise SinkError(
                f"{name} has {list(want)} [T, H, W, 3] going in and {list(got)} coming out; nothing is kept."
            )
        accepted = augmentation.verdict.accepted
        relative = name if accepted else f"rejected/{name}_attempt{augmentation.attempt}"
        folder = self._out_dir / relative
        self._remove_leftover(folder)
        with new_folder(folder) as partial:
            writer = _AttemptWriter(partial, self._written, progress)
            record = writer.write(augmentation)
        for key, written in writer.fresh.items():
            self._written[key] = _Written(
                buffer=written.buffer, path=folder / key, facts=written.facts, hashes=written.hashes
            )
        reason = augmentation.verdict.rationale or next((f.text for f in augmentation.verdict.findings), "")
        entry = {
            "attempt": augmentation.attempt,
            "accepted": accepted,
            "folder": relative,
            "prompt": augmentation.request.prompt,
            "seed": augmentation.request.seed,
            "score": augmentation.verdict.score,
            "reason": "" if accepted else reason,
            "remedy": augmentation.remedy,
            "num_files": len(record["files"]) + 1,
            "bytes": sum(facts["bytes"] for facts in record["files"].values()),
            "files": {
                **{key: facts for key, facts in record["files"].items() if "/" not in key},
                CLIP_NAME: _facts_of(folder / CLIP_NAME),
            },
        }
        self._manifest.add_attempt(name, entry, tags=augmentation.tags)

    def record(
        self, name: str, status: Literal["refused", "failed"], reason: str, tags: Mapping[str, str] | None = None
    ) -> None:
        """Count a clip that has no pixels to keep.

        Args:
            name: Name of the clip.
            status: ``refused`` if a guard said no, ``failed`` if an error ended it.
            reason: One sentence.
            tags: Free labels of the run.

        Raises:
            SinkError: If the manifest cannot be written.
        """
        self._manifest.add_outcome(check_name(name), status, reason, tags=tags or {})

    def counts(self) -> dict[str, int]:
        """Return counts that add up: planned = accepted + rejected + refused + failed + pending."""
        return self._manifest.counts()

    def close(self) -> None:
        """Write the manifest once more and forget the buffers; safe to call twice."""
        self._written.clear()
        self._manifest.write()

    def _remove_leftover(self, folder: Path) -> None:
        """Clear what a killed run left under this name: whole, but never counted."""
        if not folder.exists():
            return
        if not (folder / CLIP_NAME).is_file():
            raise SinkError(f"{folder} is there already and is no clip of ours; move it away or choose another folder.")
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise cannot_write(folder, error) from error


class _AttemptWriter:
    """Fills the folder of one attempt and gathers what its record says."""

    def __init__(self, folder: Path, written: Mapping[str, _Written], progress: Optional[Progress]) -> None:
        self._folder = folder
        self._known = written
        self._progress = progress
        self._hashes: dict[str, Mapping[str, Any]] = {}
        self._done = 0
        self._total = 0
        self.fresh: dict[str, _Written] = {}

    def write(self, augmentation: Augmentation) -> dict[str, Any]:
        """Write every artefact and the record last; return the record."""
        request, clip = augmentation.request, augmentation.request.clip
        ids = [name for name in ("instance_ids", "semantic_ids") if getattr(clip, name) is not None]
        self._total = 8 + len(ids) + (clip.depth is not None) + len(request.controls.signals)
        source, augmented = clip.rgb.numpy(), augmentation.result.rgb.numpy()
        videos: dict[str, Any] = {
            "source": self._shared(
                "source.mp4", clip.rgb, lambda path: {"file": path.name, **write_video(path, source, fps=clip.fps)}
            )
        }
        facts = write_video(self._folder / "augmented.mp4", augmented, fps=clip.fps)
        videos["augmented"] = {"file": "augmented.mp4", **facts}
        self._step()
        controls = self._write_controls(request)
        if clip.depth is not None:
            depth = clip.depth
            self._shared("depth", depth, lambda path: _write_depth(path, depth.numpy()))
        encodings = {name: self._write_ids(name, getattr(clip, name)) for name in ids}
        carried = Carried(augmentation.verdict.carried)
        self._write_tables(clip, encodings, carried)
        previews = self._write_previews(augmentation, source, augmented)
        for path in sorted(self._folder.rglob("*")):
            key = path.relative_to(self._folder).as_posix()
            if path.is_file() and key not in self._hashes:
                self._hashes[key] = _facts_of(path)
        record = _describe(
            augmentation,
            videos=videos,
            controls=controls,
            previews=previews,
            carried=carried.counts(),
            files=self._hashes,
        )
        write_json(self._folder / CLIP_NAME, record)
        self._step()
        return record

    def _step(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress("write", self._done, self._total)

    def _shared(self, key: str, buffer: Any, make: Callable[[Path], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Make an artefact of a buffer, or link to the one that an earlier attempt made of the same buffer."""
        path, known = self._folder / key, self._known.get(key)
        if known is not None and known.buffer() is buffer and known.path.exists():
            link_or_copy(known.path, path)
            facts = known.facts
            self._hashes.update(known.hashes)
        else:
            facts = make(path)
            files = [path] if path.is_file() else sorted(path.iterdir())
            hashes = {item.relative_to(self._folder).as_posix(): _facts_of(item) for item in files}
            self._hashes.update(hashes)
            self.fresh[key] = _Written(buffer=weakref.ref(buffer), path=path, facts=facts, hashes=hashes)
        self._step()
        return facts

    def _write_controls(self, request: TransferRequest) -> dict[str, Any]:
        controls = {}
        for signal in request.controls:
            key, video = f"control_{signal.kind}.mp4", signal.video

            def make(path: Path, video: Any = video) -> Mapping[str, Any]:
                return write_video(path, video.numpy(), fps=request.clip.fps, lossless=True)

            facts = self._shared(key, video, make)
            controls[str(signal.kind)] = {"file": key, "settings": plain(signal.settings), "video": facts}
        return controls

    def _write_ids(self, name: str, buffer: Any) -> str:
        def make(path: Path) -> Mapping[str, Any]:
            ids = buffer.numpy()
            encoding = id_encoding(ids)
            path.mkdir()
            for index, frame in enumerate(ids):
                (path / f"{index:04d}.png").write_bytes(encode_ids(frame, encoding))
            return {"encoding": encoding}

        return self._shared(name, buffer, make)["encoding"]

    def _write_tables(self, clip: Clip, encodings: dict[str, str], carried: Carried) -> None:
        ids = clip.instance_ids.numpy() if clip.instance_ids is not None else None
        tables: dict[str, Callable[[], Any]] = {
            "labels.json": lambda: describe_labels(clip, encodings, carried),
            "boxes.json": lambda: describe_boxes(clip, ids, carried),
            "cameras.json": lambda: describe_cameras(clip, carried),
            "carry_over.json": carried.table,
        }
        for key, describe in tables.items():
            write_json(self._folder / key, describe())
            self._step()

    def _write_previews(self, augmentation: Augmentation, source: np.ndarray, augmented: np.ndarray) -> dict[str, Any]:
        count = len(source)
        frames = sorted({round(i * (count - 1) / max(1, PREVIEW_FRAMES - 1)) for i in range(PREVIEW_FRAMES)})
        controls = {str(signal.kind): signal.video.numpy() for signal in augmentation.request.controls}
        sequences = {"source": source, "augmented": augmented, **controls}
        folder = self._folder / "preview"
        folder.mkdir()
        for name, sequence in sequences.items():
            width = CONTROL_PREVIEW_WIDTH if name in controls else PREVIEW_WIDTH
            for frame in frames:
                (folder / f"{name}_{frame:04d}.jpg").write_bytes(encode_jpeg(sequence[frame], width=width))
        middle = frames[len(frames) // 2]
        pair = side_by_side(source[middle], augmented[middle])
        write_bytes(self._folder / "preview.jpg", encode_jpeg(pair, width=2 * PREVIEW_WIDTH))
        self._step()
        files = {name: [f"preview/{name}_{frame:04d}.jpg" for frame in frames] for name in sequences}
        return {
            "frames": frames,
            "source": files["source"],
            "augmented": files["augmented"],
            "controls": {name: files[name] for name in controls},
        }


def _write_depth(path: Path, depth: np.ndarray) -> Mapping[str, Any]:
    path.mkdir()
    for index, frame in enumerate(depth):
        write_depth_exr(path / f"{index:04d}.exr", frame)
    return {}


def _facts_of(path: Path) -> dict[str, Any]:
    return {"sha256": sha256_file(path), "bytes": path.stat().st_size}


def _describe_weight(weight: Any) -> Any:
    """Return a number as it is, a map as its range and mean."""
    if isinstance(weight, (int, float)):
        return float(weight)
    values = weight.numpy()
    return {"map": list(values.shape), "min": values.min(), "mean": values.mean(), "max": values.max()}


def _describe_verdict(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict without its tables; what they say of labels stands beside the labels."""
    described: dict[str, Any] = plain(replace(verdict, scores=None, carried=None))
    del described["scores"], described["carried"]
    return described


def _describe(augmentation: Augmentation, *, files: Mapping[str, Any], **parts: Any) -> dict[str, Any]:
    """Return the record of one attempt: everything but the pixels."""
    request, clip = augmentation.request, augmentation.request.clip
    return {
        "format": "cosmos.bridge clip",
        "version": VERSION,
        "name": augmentation.name,
        "attempt": augmentation.attempt,
        "max_attempts": augmentation.max_attempts,
        "accepted": augmentation.verdict.accepted,
        "remedy": augmentation.remedy,
        "tags": plain(augmentation.tags),
        "request": {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "seed": request.seed,
            "num_steps": request.num_steps,
            "guidance": request.guidance,
            "overlap": request.overlap,
            "weights": {str(kind): plain(_describe_weight(weight)) for kind, weight in request.weights.items()},
        },
        "clip": {
            "camera": clip.cameras[0].prim_path,
            "num_frames": clip.num_frames,
            "height": clip.height,
            "width": clip.width,
            "fps": clip.fps,
            "time_codes": plain(clip.time_codes),
            "up_axis": clip.up_axis,
        },
        "provenance": plain(augmentation.result.provenance),
        "guard_reports": plain(augmentation.guard_reports),
        "verdict": _describe_verdict(augmentation.verdict),
        **parts,
        "files": {key: files[key] for key in sorted(files)},
    }


__all__ = ["DatasetSink"]
