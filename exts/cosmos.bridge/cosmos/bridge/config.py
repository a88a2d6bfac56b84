"""The settings of a run: frozen, checked once, read from TOML or JSON, written back whole.

A file, ``--set key=value`` and Python all end in the same `BridgeConfig`. An unknown key is refused with the nearest
known one; a wrong type is refused with the right one. ``BridgeConfig.from_mapping(config.to_mapping()) == config``.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Optional

from cosmos.bridge.controls.specs import Area, ControlSpec, DepthSpec, EdgeSpec, SegSpec, VisSpec
from cosmos.bridge.controls.weights import WeightSpec
from cosmos.bridge.errors import ConfigError
from cosmos.bridge.offload import OffloadPolicy
from cosmos.bridge.render.lidar import Lidar
from cosmos.bridge.render.roadmap import MapStyle
from cosmos.bridge.settings import format_frames, from_plain, parse_frames, to_plain
from cosmos.bridge.types import ControlKind, Look

PROMPT_LIMIT = 4000
"""Longest prompt [characters]; text encoders of Transfer models read about 512 tokens and drop the rest silently."""

SinkName = Literal["dataset", "stage", "report"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """One look to be made."""

    text: str
    """What the result should look like."""
    name: str = ""
    """Short name for files and tables; made from the first words of the text when empty."""

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ConfigError("A prompt is empty; say what the result should look like.")
        if len(self.text) > PROMPT_LIMIT:
            raise ConfigError(
                f"The prompt that starts {self.text[:40]!r} has {len(self.text)} characters; "
                f"shorten it to at most {PROMPT_LIMIT}."
            )
        object.__setattr__(self, "name", _slug(self.name or self.text))


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """What happens after a critic said no."""

    max_attempts: int = 2
    """Tries a clip gets, the first one included, in [1, 100]."""
    change: Literal["cause", "seed", "weights"] = "cause"
    """What a new try changes. ``cause``: what the verdict blames, which is the geometry weights on the instances that
    it names, guidance and steps, or the overlap of chunks, and the seed where none of them helps. ``seed``: the seed
    alone. ``weights``: the seed and the geometry weights (edge, depth, seg) everywhere."""
    weight_gain: float = 1.5
    """Factor on the geometry weights, or on guidance and steps, of each further try, in [1, 10]; each weight stays at
    most 1, guidance and steps at most what the model takes."""

    def __post_init__(self) -> None:
        _within("retry.max_attempts", self.max_attempts, 1, 100)
        _within("retry.weight_gain", self.weight_gain, 1.0, 10.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlsConfig:
    """How each control video is made."""

    edge: EdgeSpec = field(default_factory=EdgeSpec)
    """Canny edges."""
    depth: DepthSpec = field(default_factory=DepthSpec)
    """Inverse depth."""
    seg: SegSpec = field(default_factory=SegSpec)
    """Instance colours."""
    vis: VisSpec = field(default_factory=VisSpec)
    """Blurred picture."""
    lidar: Lidar = field(default_factory=Lidar)
    """Sensor whose points are drawn, where ``lidar`` has a weight and the source is a stage."""
    hdmap: MapStyle = field(default_factory=MapStyle)
    """How lanes, poles and boxes are drawn, where ``hdmap`` has a weight and the source is a stage."""

    def specs(self) -> tuple[ControlSpec, ...]:
        """Return the specs of what is derived from any clip, as ``derive_controls`` takes them."""
        return self.edge, self.depth, self.seg, self.vis


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeConfig:
    """Everything that decides a run."""

    source: str
    """USD stage, mp4, or folder of CosmosWriter or BasicWriter."""
    out: str
    """Folder for the results; made when absent, refused when not empty."""
    prompts: tuple[Prompt, ...]
    """Looks to make; each camera gets each."""
    negative_prompt: str = ""
    """What no result should look like."""
    cameras: tuple[str, ...] = ()
    """Prim paths of cameras; empty takes the source's own, or frames the scene where it has none."""
    frames: Optional[range] = None
    """Frames to read, ``"0:48"`` or ``"0:48:2"`` in files; ``None`` reads all."""
    size: Optional[tuple[int, int]] = None
    """Height and width [px], ``"704x1280"`` in files; ``None`` takes the source's own."""
    lit_by: str = ""
    """USD stage that recorded frames show, by whose light the model paints them; frame numbers are its time codes."""
    untrusted: bool = False
    """Refuse a stage that names anything outside its own folder, before any of that is resolved."""
    look: Optional[Look] = None
    """Time of day and weather that a stage is drawn in, ``"fog=0.3,sun_elevation=20"`` or a table in files; ``None``
    draws the stage's own light, which is what Transfer models like best."""
    quality: Literal["interactive", "reference"] = "interactive"
    """How a stage is drawn: quick shading, or path-traced global illumination."""
    samples: int = 64
    """Paths a pixel of reference quality, in [1, 65536]; ``seed`` decides them."""
    denoise: bool = False
    """Whether what noise reference quality leaves is filtered out along the surfaces."""
    weights: Optional[WeightSpec] = None
    """How strongly each control acts, where and when; ``None`` gives edge and depth half each (vis instead of
    depth where the source has no depth)."""
    controls: ControlsConfig = field(default_factory=ControlsConfig)
    """How each control video is made."""
    transfer: str = "embedded"
    """Name of the Transfer backend."""
    transfer_options: Mapping[str, Any] = field(default_factory=dict)
    """Settings of that backend alone (for ``cosmos-transfer2.5``: weights, schedule, overlap, ...)."""
    preserve: Optional[Area] = None
    """What keeps the source's own pixels, by class, prim, instance, box or mask; not every backend can."""
    num_steps: Optional[int] = None
    """Denoising steps; ``None`` takes the model's own."""
    guidance: Optional[float] = None
    """Prompt guidance; ``None`` takes the model's own."""
    device: Optional[str] = None
    """Device to render and transfer on, e.g. ``"cpu"`` or ``"cuda:0"``; ``None`` picks CUDA where there is one."""
    offload: OffloadPolicy = field(default_factory=OffloadPolicy)
    """Where the Transfer model runs, and where its weights wait."""
    guard: Optional[str] = None
    """Name of the guard; ``None`` takes the one that the licence of the transfer's weights asks for, else
    ``blocklist``."""
    critic: str = "consistency"
    """Name of the critic, or of several joined by ``+``: any of them refuses."""
    critic_options: Mapping[str, Any] = field(default_factory=dict)
    """Settings of that critic alone (for ``consistency``: protect, thresholds, limits, papers); for several, a table
    a critic."""
    min_score: float = 0.0
    """Score, in [0, 1], below which a result is rejected although the critic found no fault; what just meets the bars
    of the consistency critic scores 0.5."""
    seed: int = 0
    """Seed of variant 0, >= 0; variant ``v`` takes ``seed + v``."""
    variants: int = 1
    """Results a prompt and camera, in [1, 10000]."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    """What happens after a critic said no."""
    sinks: Optional[tuple[SinkName, ...]] = None
    """What is written; ``None`` writes all that fit the source (no stage layer for a folder or mp4)."""

    def __post_init__(self) -> None:
        for name in ("source", "out", "transfer", "guard", "critic"):
            text = getattr(self, name)
            if text is not None and not text.strip():
                raise ConfigError(f"{name} is empty; give one.")
        if not self.prompts:
            raise ConfigError("There is no prompt; give at least one with prompts = [...] or --prompt TEXT.")
        object.__setattr__(self, "prompts", _distinct(self.prompts))
        if len(set(self.cameras)) != len(self.cameras):
            raise ConfigError(f"cameras names one camera twice: {list(self.cameras)}; name each once.")
        if self.frames is not None and (len(self.frames) == 0 or self.frames.start < 0 or self.frames.step < 1):
            raise ConfigError(
                f"frames {format_frames(self.frames)!r} holds no frame; use START:STOP[:STEP], e.g. 0:48."
            )
        if self.size is not None and min(self.size) < 1:
            raise ConfigError(
                f"size must be at least 1x1 [px], got {self.size[0]}x{self.size[1]}; give HEIGHTxWIDTH, e.g. 704x1280."
            )
        if (
            self.weights is not None
            and not self.weights.regions
            and not any(getattr(self.weights, str(kind)) for kind in ControlKind)
        ):
            raise ConfigError("weights gives every control 0; raise at least one, e.g. weights.edge=1.")
        area = self.preserve
        named = area is None or area.classes or area.prims or area.instances or area.box or area.mask
        if area is not None and not named and area.mask_array is None:
            raise ConfigError("preserve names nothing; give classes, prims, instances, a box or a mask to keep.")
        if self.guidance is not None and not math.isfinite(self.guidance):
            raise ConfigError(f"guidance must be a finite number, got {self.guidance!r}.")
        if self.num_steps is not None:
            _within("num_steps", self.num_steps, 1, 1000)
        _within("samples", self.samples, 1, 65536)
        _within("seed", self.seed, 0, 2**53)
        _within("variants", self.variants, 1, 10_000)
        _within("min_score", self.min_score, 0.0, 1.0)
        if self.sinks is not None and "dataset" not in self.sinks:
            raise ConfigError(
                f"sinks must hold 'dataset', which resume, verify and report read; got {list(self.sinks)}."
            )

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> BridgeConfig:
        """Build a config from plain values, as TOML and JSON give them.

        Raises:
            ConfigError: If a key is unknown, missing, of the wrong type, or out of range; the sentence names it.
        """
        return from_plain(cls, _readable(mapping))

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values that `from_mapping` turns back into an equal config."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    def replace(self, **changes: Any) -> BridgeConfig:
        """Return a config with some fields changed."""
        return replace(self, **changes)


def load_config(path: str | Path | None, settings: Mapping[str, Any] | None = None) -> BridgeConfig:
    """Read a TOML or JSON file and lay settings over it.

    Args:
        path: File that ends in ``.toml`` or ``.json``; ``None`` takes the settings alone.
        settings: Plain values that win over the file; nested tables are merged key by key.

    Raises:
        ConfigError: If the file cannot be read or parsed, or a setting is refused.
    """
    mapping = {} if path is None else read_settings(Path(path))
    return BridgeConfig.from_mapping(merge(mapping, settings or {}))


def save_config(config: BridgeConfig, path: Path) -> None:
    """Write a config as JSON that `load_config` reads back equal."""
    path.write_text(json.dumps(config.to_mapping(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_settings(path: Path) -> dict[str, Any]:
    """Read a TOML or JSON file into plain values, unchecked.

    Raises:
        ConfigError: If the file is missing, of another kind, or does not parse to a table.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The config file {path} cannot be read ({error}); check the path.") from error
    try:
        if path.suffix.lower() == ".json":
            parsed = json.loads(text)
        elif path.suffix.lower() == ".toml":
            parsed = _toml().loads(text)
        else:
            raise ConfigError(f"The config file {path} must end in .toml or .json.")
    except ValueError as error:
        raise ConfigError(f"The config file {path} does not parse: {error}.") from error
    if not isinstance(parsed, dict):
        raise ConfigError(f"The config file {path} must hold a table of settings, got a {type(parsed).__name__}.")
    return parsed


def parse_assignment(text: str) -> dict[str, Any]:
    """Turn ``retry.max_attempts=3`` into ``{"retry": {"max_attempts": 3}}``; the value is TOML, else a string.

    Raises:
        ConfigError: If there is no ``=`` or no key.
    """
    key, equals, value = text.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise ConfigError(f"--set needs KEY=VALUE, e.g. retry.max_attempts=3, got {text!r}.")
    try:
        parsed: Any = _toml().loads(f"value = {value}")["value"]
    except ValueError:
        parsed = value.strip()
    for part in reversed(parts):
        parsed = {part: parsed}
    return dict(parsed)


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one nested mapping over another; tables merge, everything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(old, Mapping)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def parse_size(text: str) -> tuple[int, int]:
    """Parse ``HEIGHTxWIDTH``.

    Raises:
        ConfigError: If it is not two whole numbers with an x between.
    """
    match = re.fullmatch(r"(\d+)\s*[xX×]\s*(\d+)", text.strip())
    if match is None:
        raise ConfigError(f"size must be HEIGHTxWIDTH, e.g. 704x1280, got {text!r}.")
    return int(match[1]), int(match[2])


def parse_look(text: str) -> Look:
    """Parse ``sun_elevation=-8,fog=0.3``; what is not named keeps its default.

    Raises:
        ConfigError: If an item is no NAME=NUMBER, or a name or a number is refused.
    """
    values: dict[str, Any] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = (part.strip() for part in item.partition("="))
        try:
            values[name] = int(number) if re.fullmatch(r"[+-]?\d+", number) else float(number)
        except ValueError as error:
            raise ConfigError(f"look needs NAME=NUMBER items, e.g. sun_elevation=-8,fog=0.3, got {item!r}.") from error
    return from_plain(Look, values, "look")


def _readable(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Rewrite the short forms of files (strings for frames, size and prompts) into the long ones."""
    plain = dict(mapping)
    if isinstance(plain.get("frames"), str):
        plain["frames"] = parse_frames(plain["frames"])
    if isinstance(plain.get("size"), str):
        plain["size"] = parse_size(plain["size"])
    if isinstance(plain.get("look"), str):
        plain["look"] = parse_look(plain["look"])
    if isinstance(plain.get("cameras"), str):
        plain["cameras"] = [plain["cameras"]]
    plain["prompts"] = _prompt_tables(plain.get("prompts", []))
    return plain


def _prompt_tables(prompts: Any) -> Any:
    """Accept one text, a list of texts or tables, or a table of name -> text."""
    if isinstance(prompts, str):
        prompts = [prompts]
    elif isinstance(prompts, Mapping):
        prompts = [{"name": name, "text": text} for name, text in prompts.items()]
    if not isinstance(prompts, (list, tuple)):
        return prompts
    return [{"text": item} if isinstance(item, str) else item for item in prompts]


def _slug(text: str) -> str:
    """Make a name for files: at most 40 characters of a-z, 0-9 and dashes."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    short = words if len(words) <= 40 else words[:41].rpartition("-")[0] or words[:40]
    return short or "prompt"


def _distinct(prompts: Iterable[Prompt]) -> tuple[Prompt, ...]:
    """Give prompts of one name a number, so that every name means one text."""
    seen: set[str] = set()
    distinct = []
    for prompt in prompts:
        name, count = prompt.name, 2
        while name in seen:
            name, count = f"{prompt.name}-{count}", count + 1
        seen.add(name)
        distinct.append(replace(prompt, name=name))
    return tuple(distinct)


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} must lie in [{low}, {high}], got {value!r}.")


def _toml() -> Any:
    """Return the TOML reader of this Python."""
    from importlib import import_module

    return import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")


__all__ = [
    "PROMPT_LIMIT",
    "BridgeConfig",
    "ControlsConfig",
    "OffloadPolicy",
    "Prompt",
    "RetryPolicy",
    "load_config",
    "merge",
    "parse_assignment",
    "parse_look",
    "parse_size",
    "read_settings",
    "save_config",
]
