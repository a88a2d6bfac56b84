"""``cosmos-bridge render``: the annotators of a stage as BasicWriter files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.cli.attend import attend
from cosmos.bridge.cli.console import EXIT_INTERRUPTED, EXIT_OK, bytes_text, emit, emit_json, log, quiet_warp
from cosmos.bridge.cli.remarks import usd_remarks
from cosmos.bridge.config import parse_look, parse_size
from cosmos.bridge.errors import ConfigError
from cosmos.bridge.jobs import CLIPS, Job, StopSignal
from cosmos.bridge.render.quality import Reference
from cosmos.bridge.settings import parse_frames
from cosmos.bridge.types import Progress

if TYPE_CHECKING:
    from cosmos.bridge.render.annotators import AnnotatorOptions
    from cosmos.bridge.sources import FrameSource

_DEFAULT = (
    "rgb,distance_to_image_plane,normals,motion_vectors,semantic_segmentation,instance_id_segmentation,camera_params"
)


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Declare the command and its options."""
    from cosmos.bridge.render.annotators import ANNOTATORS

    parser: argparse.ArgumentParser = commands.add_parser(
        "render",
        help="write the annotators of a stage",
        description="Write annotators of a USD stage in the files of Replicator's BasicWriter.",
    )
    parser.add_argument("source", metavar="STAGE", help="USD stage")
    parser.add_argument(
        "--annotators", default=_DEFAULT, metavar="NAME,...", help=f"of {', '.join(ANNOTATORS)} (default: {_DEFAULT})"
    )
    parser.add_argument("--ids", action="store_true", help="write segmentations as ids instead of colours")
    parser.add_argument(
        "--units", choices=("metres", "scene"), default="metres", help="unit of lengths (default: metres)"
    )
    parser.add_argument(
        "--lidar", metavar="KEY=VALUE,...", help="sensor of lidar, e.g. channels=32,max_range=80,mount=/World/Car"
    )
    parser.add_argument("--hdmap-depth", action="store_true", help="hide in hdmap what the scene hides")
    parser.add_argument("--unlabelled", action="store_true", help="let pointcloud hold unlabelled surfaces too")
    parser.add_argument("--camera", action="append", metavar="PATH", help="prim path; several give a folder each")
    parser.add_argument("--frames", metavar="START:STOP[:STEP]", help="frames to render, e.g. 0:48")
    parser.add_argument("--size", metavar="HEIGHTxWIDTH", help="size of the pictures, e.g. 704x1280")
    parser.add_argument(
        "--look", metavar="NAME=NUMBER,...", help="time of day and weather of rgb, e.g. sun_elevation=-8,fog=0.3"
    )
    parser.add_argument(
        "--untrusted", action="store_true", help="refuse a stage that names anything outside its folder"
    )
    parser.add_argument(
        "--quality",
        choices=("interactive", "reference"),
        default="interactive",
        help="how rgb is drawn: quickly, or by tracing paths of light (default: interactive)",
    )
    parser.add_argument("--samples", type=int, metavar="N", help="paths a pixel of reference quality (default: 64)")
    parser.add_argument("--denoise", action="store_true", help="filter what noise reference quality leaves")
    parser.add_argument("--seed", type=int, metavar="N", help="decides the paths of reference quality (default: 0)")
    parser.add_argument("--device", metavar="NAME", help="cpu or cuda:0 (default: CUDA where there is one)")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the files; must be empty or absent")
    parser.add_argument("--json", action="store_true", help="print what was written as one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from cosmos.bridge.render.annotators import check_annotator
    from cosmos.bridge.runs.folder import check_out

    annotators = [check_annotator(name.strip()) for name in args.annotators.split(",") if name.strip()]
    if not annotators:
        raise ConfigError("--annotators names none; give at least one, e.g. rgb.")
    frames = None if args.frames is None else parse_frames(args.frames)
    size = None if args.size is None else parse_size(args.size)
    look = None if args.look is None else parse_look(args.look)
    if size is not None and min(size) < 1:
        raise ConfigError(f"--size must be at least 1x1 [px], got {args.size}; give HEIGHTxWIDTH, e.g. 704x1280.")
    if frames is not None and len(frames) == 0:
        raise ConfigError(f"--frames {args.frames} holds no frame; use START:STOP[:STEP], e.g. 0:48.")
    traced = _traced(args)
    out = Path(args.out)
    check_out(out, Path(args.source))
    quiet_warp()
    opened = {"frames": frames, "size": size, "device": args.device, "look": look, "untrusted": args.untrusted or None}
    work = _Rendering(args.source, args.camera or [None], opened, traced, annotators, _options(args), out)
    with usd_remarks() as said:
        written = attend(Job(work).start(), quiet=args.json)
        said.extend(written["notes"])
    for note in written["notes"]:
        log(f"note: {note}")
    if args.json:
        emit_json(written)
    else:
        emit(
            f"{written['frames']} frame{'' if written['frames'] == 1 else 's'}, {bytes_text(written['bytes'])} in {out}"
        )
    return EXIT_OK if written["frames"] == written["planned"] else EXIT_INTERRUPTED


def _traced(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of reference quality; none for interactive quality."""
    if args.quality != "reference":
        given = [f"--{name}" for name in ("samples", "seed", "denoise") if getattr(args, name) not in (None, False)]
        if given:
            raise ConfigError(f"{given[0]} is for reference quality; add --quality reference.")
        return {}
    try:
        samples = 64 if args.samples is None else args.samples
        reference = Reference(samples=samples, seed=args.seed or 0, denoise=args.denoise)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return {"quality": "reference", **asdict(reference)}


def _options(args: argparse.Namespace) -> AnnotatorOptions:
    from cosmos.bridge.controls import color_of
    from cosmos.bridge.render.annotators import AnnotatorOptions
    from cosmos.bridge.render.lidar import parse_lidar
    from cosmos.bridge.render.roadmap import MapStyle

    return AnnotatorOptions(
        colorize=not args.ids,
        units=args.units,
        include_unlabelled=args.unlabelled,
        color_of=color_of,
        lidar=parse_lidar(args.lidar or ""),
        hdmap=MapStyle(depth_test=args.hdmap_depth),
    )


class _Rendering:
    """Renders camera by camera and writes each frame as it comes."""

    def __init__(
        self,
        source: str,
        cameras: list[Optional[str]],
        opened: dict[str, Any],
        traced: dict[str, Any],
        annotators: list[str],
        options: AnnotatorOptions,
        out: Path,
    ) -> None:
        from cosmos.bridge.render.annotators import needs_picture
        from cosmos.bridge.runs.record import STAGE_SUFFIXES

        self._source, self._cameras, self._annotators, self._out = source, cameras, annotators, out
        self._annotated = options
        self._options = opened
        self._reading = Path(source).suffix.lower() in STAGE_SUFFIXES
        if self._reading:
            self._options = {**opened, "rgb": needs_picture(annotators)}
        self._traced = traced

    def __call__(self, progress: Progress, stop: StopSignal) -> dict[str, Any]:
        """Render until done or asked to stop."""
        from cosmos.bridge.render.annotators import annotate
        from cosmos.bridge.sinks.basic import BasicFiles

        frames = num_bytes = planned = 0
        mapped = "hdmap" not in self._annotators
        notes: dict[str, None] = {}
        progress(CLIPS, 0, len(self._cameras))
        with ExitStack() as opened:
            sources = list(self._sources(opened, progress))  # a wrong camera fails here, before any work
            for done, source in enumerate(sources):
                planned += source.num_frames
                notes.update(dict.fromkeys(source.notes))
                folder = self._out
                if len(self._cameras) > 1:
                    folder = self._out / _folder_name(self._cameras[done], done)
                files = BasicFiles(folder)
                for index, frame in enumerate(source.read()):
                    given = annotate(frame, self._annotators, self._annotated)
                    mapped = mapped or ("hdmap" in given and bool(given["hdmap"].any()))
                    num_bytes += files.write(given, index)
                    frames += 1
                    progress("render", index + 1, source.num_frames)
                    if stop.finishing:
                        break
                progress(CLIPS, done + 1, len(self._cameras))
                if stop.finishing:
                    break
        if not mapped:
            notes["No lane, pole or box of an HD map was in view, so hdmap is black; label them."] = None
        return {
            "out": str(self._out),
            "annotators": self._annotators,
            "planned": planned,
            "frames": frames,
            "bytes": num_bytes,
            "notes": list(notes),
        }

    def _sources(self, opened: ExitStack, progress: Progress) -> Iterator[FrameSource]:
        """Yield the source of each camera; a stage is loaded once for all of them."""
        from cosmos.bridge.sources import CameraRig, open_source

        drawing = {**self._traced, "progress": progress} if self._reading or self._traced else {}
        first: Optional[FrameSource] = None
        for camera in self._cameras:
            if camera is not None and isinstance(first, CameraRig):
                source = first.beside(camera)
            else:
                source = open_source(self._source, camera=camera, **self._options, **drawing)
            opened.callback(source.close)
            first = first or source
            yield source


def _folder_name(camera: Optional[str], index: int) -> str:
    """Name a camera's folder after its prim path, which no other camera of the stage has."""
    return camera.strip("/").replace("/", "_") if camera else f"camera_{index}"


__all__ = ["add_parser", "run"]
