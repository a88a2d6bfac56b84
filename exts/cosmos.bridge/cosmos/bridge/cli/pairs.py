"""Paired clips of a user: the file that lists them, what fits together, and their frames as training pairs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.config import ControlsConfig, parse_size, read_settings
from cosmos.bridge.errors import ConfigError, SourceError
from cosmos.bridge.settings import from_plain
from cosmos.bridge.sources import STAGE_ENDINGS, FrameSource, open_source, read_clip
from cosmos.bridge.types import EXTRA_BUFFERS, Clip, Progress

if TYPE_CHECKING:
    from cosmos.models.embedded.conditions import Conditions
    from cosmos.models.embedded.text import PromptReader

LISTS = ("pairs.toml", "pairs.json")
"""Files that may list the pairs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """One clip of the simulator, and what it should look like, frame for frame."""

    source: str
    """USD stage, folder of BasicWriter, CosmosWriter or ``cosmos-bridge render``, or mp4."""
    target: str
    """The same frames as they should look: mp4, or a folder of ``rgb_0000.png`` pictures."""
    prompt: str
    """What the target looks like, in the words that a user will write."""
    lit_by: Optional[str] = None
    """USD stage that a recorded source shows, for its light; ``None`` does without."""
    camera: Optional[str] = None
    """Camera of the source; ``None`` takes its first."""
    frames: Optional[range] = None
    """Frames of the source, ``"0:48"`` or ``"0:48:2"`` in files; the target has as many. ``None`` reads all."""
    seed: int = 0
    """Draws what the prompt leaves open, as in a request."""
    conditions: Mapping[str, float] = field(default_factory=dict)
    """What is known of the target's light and weather, where the prompt cannot say it: fields of ``Conditions``."""
    held_out: bool = False
    """Whether the pair is only measured on, and never learnt from."""

    def __post_init__(self) -> None:
        for name in ("source", "target", "prompt"):
            if not getattr(self, name).strip():
                raise ValueError(f"a pair needs a {name}, got an empty one.")
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class PairList:
    """What ``pairs.toml`` or ``pairs.json`` holds."""

    pairs: tuple[Pair, ...]
    """The pairs."""
    size: Optional[tuple[int, int]] = None
    """Height and width [px] that all are brought to, ``"144x256"`` in files; ``None`` takes the sources' own."""
    controls: ControlsConfig = field(default_factory=ControlsConfig)
    """How each control video is made, as in the settings of a run."""

    def __post_init__(self) -> None:
        if all(pair.held_out for pair in self.pairs):
            raise ValueError("it needs at least one pair that is not held out.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What is made of each frame."""

    folder: Path
    """Folder that the paths of the pairs begin in."""
    listed: PairList
    """The pairs."""
    kinds: tuple[str, ...]
    """Controls that the net knows."""
    needed: Optional[str]
    """Control that every pair must have."""
    every: int
    """Takes each frame of this many."""
    device: Optional[str]
    """Warp device to draw on."""

    def open(self, pair: Pair) -> tuple[FrameSource, FrameSource]:
        """Open source and target of a pair; close both.

        Raises:
            SourceError: If one cannot be read.
        """
        path, styles = self.folder / pair.source, self.listed.controls
        extras = tuple(kind for kind in self.kinds if kind in EXTRA_BUFFERS)
        if path.suffix.lower() in STAGE_ENDINGS:
            drawn = {"controls": extras, **{kind: getattr(styles, kind) for kind in extras}} if extras else {}
        else:
            drawn = {"controls": (self.needed,)} if self.needed in EXTRA_BUFFERS else {}
        shared = {"size": self.listed.size, "device": self.device}
        lit_by = None if pair.lit_by is None else self.folder / pair.lit_by
        source = open_source(path, camera=pair.camera, frames=pair.frames, lit_by=lit_by, **shared, **drawn)
        try:
            return source, open_source(self.folder / pair.target, **shared)
        except SourceError:
            source.close()
            raise


def read_pairs(folder: Path) -> PairList:
    """Read the list of a folder.

    Raises:
        ConfigError: If there is none, or it does not say what a list must.
    """
    there = [folder / name for name in LISTS if (folder / name).is_file()]
    if len(there) != 1:
        found = "none" if not there else "both"
        raise ConfigError(f"{folder} must hold {' or '.join(LISTS)}, which lists the pairs; it holds {found}.")
    plain = read_settings(there[0])
    if isinstance(plain.get("size"), str):
        plain["size"] = parse_size(plain["size"])
    try:
        listed: PairList = from_plain(PairList, plain)
    except ConfigError as error:
        raise ConfigError(f"{there[0]}: {error}") from error
    return listed


def check_pairs(recipe: Recipe) -> list[dict[str, Any]]:
    """Open every pair, hold its parts against each other, and return what they say of themselves, as plain values.

    Raises:
        SourceError: If one cannot be read, or parts differ in frames or size.
        ConfigError: If a condition is unknown or out of range.
    """
    told: list[dict[str, Any]] = []
    for index, pair in enumerate(recipe.listed.pairs):
        conditions_of(pair, None, f"pairs[{index}].conditions")
        source, target = recipe.open(pair)
        with closing(source), closing(target):
            about = {
                "source": {
                    **source.describe(),
                    "path": pair.source,
                    **({"lit_by": pair.lit_by} if pair.lit_by else {}),
                },
                "target": {**target.describe(), "path": pair.target},
            }
            if source.num_frames != target.num_frames:
                raise SourceError(
                    f"The target {pair.target} has {target.num_frames} frames, its source {pair.source} "
                    f"{source.num_frames}; they must go together frame for frame, so cut one or name the source's "
                    'frames ("0:48").'
                )
            for name, part in about.items():
                size, first = list(part["size"]), (told or [about])[0]["source"]["size"]
                if size != list(first):
                    raise SourceError(
                        f"The {name} {getattr(pair, name)} is {size[0]} x {size[1]} (height x width), the first source "
                        f'{first[0]} x {first[1]}; write them at one size, or name one for all (size = "144x256").'
                    )
            facts = {"prompt": pair.prompt, "seed": pair.seed, "conditions": dict(pair.conditions)}
            told.append({**about, **facts, "held_out": pair.held_out, "num_frames": source.num_frames})
    return told


def conditions_of(pair: Pair, reader: Optional[PromptReader], where: str) -> tuple[Conditions, list[str]]:
    """Return the look of a pair: what its prompt is read as, under what is known; and what was not understood.

    Args:
        pair: The pair.
        reader: Reads the prompt; ``None`` only checks what is known.
        where: Name of the conditions, for the error.

    Raises:
        ConfigError: If a condition is unknown or out of range.
    """
    from cosmos.bridge.transfer.embedded import reading_notes
    from cosmos.models.embedded.conditions import Conditions

    known: Conditions = from_plain(Conditions, pair.conditions, where)
    if reader is None:
        return known, []
    reading = reader.read(pair.prompt, seed=pair.seed)
    values = {name: getattr(known, name) for name in pair.conditions}
    notes = reading_notes(reading)
    if reading.wishes.any:
        notes.append("Materials, colours, wear, lamps and lens are done around the net, so it does not learn them.")
    return replace(reading.conditions, **values), notes


def write_pairs(
    recipe: Recipe,
    out: Path,
    reader: PromptReader,
    *,
    note: Callable[[str], None],
    tell: Callable[[int, int], None],
) -> None:
    """Turn the frames of all pairs into training pairs; clips that an earlier call finished are left.

    Args:
        recipe: What to make.
        out: Folder for the training pairs.
        reader: Reads the prompts.
        note: Told what the user should know, a sentence each.
        tell: Told clips done and clips in all, before and after each frame; what it raises ends the work.

    Raises:
        SourceError: If a frame cannot be read.
        ModelError: If the model cannot be told the light of a clip.
    """
    from cosmos.models.embedded.pairs import HELD_OUT, pair_name

    out.mkdir(parents=True, exist_ok=True)
    count = len(recipe.listed.pairs)
    for index, pair in enumerate(recipe.listed.pairs):
        done = out / f"{index:06d}.done"
        if done.exists():
            continue
        tell(index, count)
        conditions, notes = conditions_of(pair, reader, f"pairs[{index}].conditions")
        source, target = recipe.open(pair)
        with closing(source), closing(target):
            clip = read_clip(source, _heard(tell, index, count))
            with closing(clip):
                for text in (*notes, *source.notes):
                    note(f"pair {index + 1}: {text}")
                number = index + (HELD_OUT if pair.held_out else 0)
                frames = _Frames(clip, pair, recipe, conditions)
                for frame, shown in enumerate(target.read()):
                    if frame % recipe.every == 0:
                        # Without a gap each frame follows the one before.
                        place = (0, frame) if recipe.every == 1 else (frame, 0)
                        frames.write(out / pair_name(number, *place), frame, shown.rgb.numpy())
                    tell(index, count)
        done.touch()


def _heard(tell: Callable[[int, int], None], index: int, count: int) -> Progress:
    """Return what a source tells its progress to."""
    return lambda stage, done, total: tell(index, count)


class _Frames:
    """The frames of a clip with what the model is told of them."""

    def __init__(self, clip: Clip, pair: Pair, recipe: Recipe, conditions: Conditions) -> None:
        """Make the controls.

        Raises:
            ModelError: If the model cannot be told the light of the clip.
        """
        from cosmos.bridge.controls import available_kinds, derive_controls
        from cosmos.bridge.kernels.finish import vignette_shade
        from cosmos.bridge.kernels.steady_light import SteadyLight
        from cosmos.bridge.transfer.embedded import check_lens
        from cosmos.bridge.transfer.light import ground_height, sun_azimuth

        check_lens(clip)
        self._steady = SteadyLight() if recipe.every == 1 else None
        self._clip, self._pair, self._conditions = clip, pair, conditions
        kinds = [kind for kind in available_kinds(clip) if str(kind) in recipe.kinds]
        self._controls = derive_controls(clip, specs=recipe.listed.controls.specs(), kinds=kinds)
        self._ground, self._azimuth = ground_height(clip), sun_azimuth(clip, conditions)
        # The vignette is drawn after the net, so the net must paint what is without it.
        self._shade = vignette_shade((clip.height, clip.width), conditions.vignette)[..., None]

    def write(self, path: Path, frame: int, target: np.ndarray) -> None:
        """Write a frame as a training pair; one after the other.

        Args:
            path: Where to.
            frame: Index of the frame in the clip.
            target: What it should look like, uint8 [H, W, 3].
        """
        from cosmos.bridge.transfer.light import light_inputs
        from cosmos.models.embedded.conditions import style_vector
        from cosmos.models.embedded.pairs import seen_before, to_bytes, write_pair

        clip, conditions = self._clip, self._conditions
        light = light_inputs(
            clip,
            range(frame, frame + 1),
            conditions=conditions,
            azimuth=self._azimuth,
            ground=self._ground,
            seed=self._pair.seed,
            steady=self._steady,
            marched=True,  # the pair is shown without its maps at times
        )
        arrays: dict[str, Any] = {str(signal.kind): signal.video[frame].numpy() for signal in self._controls}
        for name in {"edge", "depth"} & set(arrays):
            arrays[name] = arrays[name][..., 0]
        if light.hints is not None:
            arrays["hints"] = to_bytes(light.hints[0].cpu().numpy())
        if light.maps is not None:
            arrays["maps"] = light.maps[0].cpu().numpy()
        if frame > 0 and self._steady is not None and clip.motion is not None and clip.instance_ids is not None:
            ids, motion = clip.instance_ids, clip.motion[frame].numpy()
            arrays["stays"] = seen_before(ids[frame].numpy(), ids[frame - 1].numpy(), motion)
            arrays["motion"] = motion.astype(np.float16)
        wanted = np.clip(target / self._shade + 0.5, 0.0, 255.0).astype(np.uint8)
        if light.glow is not None:  # laid over what the net paints, as well
            arrays["glow"] = light.glow[0].cpu().numpy()
        about = {"source": self._pair.source, "frame": frame, "conditions": asdict(conditions)}
        write_pair(
            path,
            rgb=clip.rgb[frame].numpy(),
            target=wanted,
            style=style_vector(conditions),
            about=np.array(json.dumps(about)),
            **arrays,
        )


__all__ = ["LISTS", "Pair", "PairList", "Recipe", "check_pairs", "conditions_of", "read_pairs", "write_pairs"]
