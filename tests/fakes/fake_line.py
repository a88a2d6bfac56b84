"""Small real things behind the protocols of the line: a source of drawn frames, a tinting model, a scripted critic."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np
import warp as wp

from cosmos.bridge.errors import ModelError, SourceError
from cosmos.bridge.sinks.manifest import read_manifest
from cosmos.bridge.transfer.base import TransferSpec
from cosmos.bridge.types import (
    Camera,
    ControlKind,
    Finding,
    Frame,
    GuardReport,
    Instance,
    Progress,
    Provenance,
    TransferRequest,
    TransferResult,
    Verdict,
)


class DrawnSource:
    """A square that moves to the right by 2 px a frame over a plain wall."""

    def __init__(
        self,
        camera: Optional[str] = None,
        *,
        num_frames: int = 4,
        size: tuple[int, int] = (24, 32),
        with_depth: bool = True,
        known: tuple[Optional[str], ...] = (None, "/World/Camera", "/World/Side"),
    ) -> None:
        if camera not in known:
            raise SourceError(f"There is no camera {camera}; there are {known[1:]}.")
        self.camera, self.num_frames, self.size, self.with_depth = camera, num_frames, size, with_depth
        self.fps, self.notes, self.closed = 24.0, ("The scene has no light; a sky was added.",), 0

    def describe(self) -> Mapping[str, Any]:
        return {"kind": "drawn", "path": "drawn", "camera": self.camera, "frames": [0, self.num_frames - 1]}

    def read(self) -> Iterator[Frame]:
        height, width = self.size
        for index in range(self.num_frames):
            ids = np.zeros((height, width), np.uint32)
            ids[height // 4 : height // 2, 4 + 2 * index : 14 + 2 * index] = 1
            rgb = np.where(ids[..., None] == 1, (200, 60, 40), (90, 100, 110)).astype(np.uint8)
            depth = np.where(ids == 1, 2.0, 5.0).astype(np.float32)
            motion = np.zeros((height, width, 2), np.float32)
            motion[ids == 1, 0] = -2.0
            normals = np.zeros((height, width, 3), np.float32)
            normals[..., 2] = 1.0
            yield Frame(
                camera=Camera(
                    prim_path=self.camera or "/World/Camera",
                    height=height,
                    width=width,
                    intrinsics=np.array([[30.0, 0, width / 2], [0, 30.0, height / 2], [0, 0, 1]]),
                    cam_to_world=np.eye(4),
                ),
                time_code=float(index),
                sim_time=index / 24.0,
                rgb=wp.array(rgb, dtype=wp.uint8, device="cpu"),
                depth=wp.array(depth, dtype=wp.float32, device="cpu") if self.with_depth else None,
                normals=wp.array(normals, dtype=wp.float32, device="cpu"),
                semantic_ids=wp.array(ids * 2, dtype=wp.uint32, device="cpu"),
                instance_ids=wp.array(ids, dtype=wp.uint32, device="cpu"),
                motion=wp.array(motion, dtype=wp.float32, device="cpu"),
                labels={0: {"class": "BACKGROUND"}, 2: {"class": "crate"}},
                instances={1: Instance(id=1, prim_path="/World/Crate", semantic_id=2, labels={"class": "crate"})},
            )

    def close(self) -> None:
        self.closed += 1


class TintModel:
    """Mixes the picture with a colour drawn from the seed; remembers what it was asked."""

    def __init__(self, *, fails_on: Callable[[TransferRequest], bool] = lambda request: False, **spec: Any) -> None:
        self.requests: list[TransferRequest] = []
        self.loaded = 0
        self.fails_on = fails_on
        facts: dict[str, Any] = {"num_steps": 1, "max_steps": 4, "negative_prompt": True, "guidance": True, **spec}
        self.spec = TransferSpec(
            name="tint",
            revision="1",
            licence="Apache-2.0",
            controls=tuple(ControlKind),
            size_multiple=1,
            weight_maps=True,
            **facts,
        )

    def load(self, device: Optional[str] = None) -> None:
        self.loaded += 1

    def transfer(self, request: TransferRequest, progress: Optional[Progress] = None) -> TransferResult:
        self.requests.append(request)
        if self.fails_on(request):
            raise ModelError("tint cannot do this one; ask for another.")
        color = np.random.default_rng(request.seed).integers(0, 255, 3)
        source = request.clip.rgb.numpy()
        pixels = (source * 0.7 + color * 0.3).astype(np.uint8)
        if progress is not None:
            for frame in range(len(pixels)):
                progress("transfer", frame + 1, len(pixels))
        return TransferResult(
            rgb=wp.array(pixels, dtype=wp.uint8, device="cpu"),
            provenance=Provenance(
                model="tint",
                revision="1",
                weights_sha256="",
                licence="Apache-2.0",
                dtype="float32",
                device="cpu",
                seconds=0.0,
                peak_bytes=0,
            ),
        )

    def unload(self) -> None:
        self.loaded = 0


class WordGuard:
    """Refuses prompts and results of prompts that hold a word."""

    name = "word"

    def __init__(self, *, prompt_word: str = "forbidden", refuse_videos: bool = False) -> None:
        self.prompt_word, self.refuse_videos = prompt_word, refuse_videos

    def screen_prompt(self, prompt: str) -> GuardReport:
        bad = self.prompt_word in prompt
        return GuardReport(
            allowed=not bad,
            stage="prompt",
            requested="word",
            effective="word",
            categories=("the word",) if bad else (),
        )

    def screen_video(self, result: TransferResult) -> tuple[TransferResult, GuardReport]:
        report = GuardReport(allowed=not self.refuse_videos, stage="video", requested="word", effective="word")
        return result, report


class ScriptedCritic:
    """Accepts what a function of the request says."""

    name = "scripted"

    def __init__(self, accepts: Callable[[TransferRequest], bool] = lambda request: True) -> None:
        self.accepts = accepts

    def judge(self, request: TransferRequest, result: TransferResult, progress: Optional[Progress] = None) -> Verdict:
        if self.accepts(request):
            return Verdict(accepted=True, score=1.0, critic="scripted")
        finding = Finding(kind="physics", check="script", severity="reject", text="The script says no.")
        return Verdict(accepted=False, score=0.0, critic="scripted", findings=(finding,), rationale=finding.text)


def attempts_in(out: Path) -> dict[str, list[bool]]:
    """Return whether each attempt at each clip of a run was accepted."""
    return {clip["name"]: [a["accepted"] for a in clip["attempts"]] for clip in read_manifest(out)["clips"]}
