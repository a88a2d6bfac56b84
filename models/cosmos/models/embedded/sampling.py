"""The loaded embedded model: prompts to conditions, and frames to pictures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch  # noqa: TID253
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from cosmos.models.embedded.conditions import Conditions, style_vector
from cosmos.models.embedded.net import TransferNet, seen_draft
from cosmos.models.embedded.painting import FrameInputs, StyledPainter
from cosmos.models.embedded.steps import draft_size, paint_in_steps, shrunk_to
from cosmos.models.embedded.text import PromptReader
from cosmos.models.embedded.text_encoder import TextEncoder
from cosmos.models.spec import TextEncoderConfig, TransferNetConfig, from_mapping, read_config
from cosmos.models.weights import WeightsError, check_files, read_weights_config

_MOST_PAINTERS = 4
"""Looks whose weights are kept; one of the small net takes 16 MB and as long to make as a small picture to paint."""

_Tell: TypeAlias = Callable[[int], None]
"""Told how many frames went one step further."""


def keep(_: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PaintInputs:
    """Some frames as the net takes them; pictures are uint8 levels or floats in [-1, 1].

    Channels may lie last in memory, as they do in a clip: the CPU then reads them without a copy.
    """

    rgb: Tensor
    """The clip's own pictures, shape [1, 3, T, H, W]."""
    controls: dict[str, Tensor]
    """Kind -> control pictures, shape [1, 3, T, H, W]."""
    weights: dict[str, Tensor]
    """Kind -> weight maps in [0, 1], float32, shape [1, 1, T, H, W]; the kinds of ``controls``."""
    hints: Tensor | None
    """Light and wear hints in [-1, 1], float32, shape [1, hints or more, T, H, W], `unmarched` where there are light
    maps, if the net sees no drafts; ``None`` where there is no depth."""
    maps: Tensor | None = None
    """Light maps, shape [1, maps, T, H, W]; ``None`` where the stage cannot be asked."""
    noise: Tensor | None = None
    """The first drafts, standard normal, float32, shape [1, 3, T, h, w] of `draft_size`; ``None`` for a net that sees
    no draft."""


def join_inputs(parts: Sequence[PaintInputs]) -> PaintInputs:
    """Return the frames of several parts as one; all have the same controls, and hints and maps all or none."""
    if len(parts) == 1:
        return parts[0]

    def joined(tensors: list[Tensor | None]) -> Tensor | None:
        there = [tensor for tensor in tensors if tensor is not None]
        return torch.cat(there, dim=2) if there else None

    return PaintInputs(
        rgb=torch.cat([part.rgb for part in parts], dim=2),
        controls={kind: torch.cat([part.controls[kind] for part in parts], dim=2) for kind in parts[0].controls},
        weights={kind: torch.cat([part.weights[kind] for part in parts], dim=2) for kind in parts[0].weights},
        hints=joined([part.hints for part in parts]),
        maps=joined([part.maps for part in parts]),
        noise=joined([part.noise for part in parts]),
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EmbeddedModel:
    """Net and prompt reader, ready to paint."""

    net: TransferNet
    reader: PromptReader
    sha256: str
    """One hash over all files."""
    dtype: torch.dtype = torch.float32
    """Of the features on a CPU, float32 or bfloat16; elsewhere they are float32."""
    _painters: dict[tuple[bytes, int], StyledPainter] = field(default_factory=dict, init=False, repr=False)
    """The painters of the looks that were asked for last."""
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    """Held while painters are looked up."""

    def paint(
        self,
        inputs: PaintInputs,
        conditions: Conditions | Sequence[Conditions],
        *,
        steps: int = 1,
        tell: _Tell = keep,
    ) -> Tensor:
        """Paint frames, each on its own: in bands of rows on a CPU, all at once elsewhere.

        Args:
            inputs: The frames, on the net's device; any size from 1 px.
            conditions: The look, or that of each frame.
            steps: Steps a frame; more than 1 takes a net that sees drafts.
            tell: Told how many frames went one step further, after each; may raise to stop.

        Returns:
            Pictures, clamped to [-1, 1], float32, shape [1, 3, T, H, W].

        Raises:
            ValueError: If looks or noise do not fit the frames, or the net does not paint in so many steps.
        """
        self._check_drafts(inputs, steps)
        frames = inputs.rgb.shape[2]
        looks = [conditions] * frames if isinstance(conditions, Conditions) else conditions
        if len(looks) != frames:
            raise ValueError(f"paint needs a look, or one a frame, got {len(looks)} for {frames} frames.")
        styles = torch.from_numpy(np.stack([style_vector(look) for look in looks]))
        with torch.inference_mode():
            paint = self._paint_frames if inputs.rgb.device.type == "cpu" else self._paint_batch
            return paint(inputs, styles.to(inputs.rgb.device), steps, tell)

    def _check_drafts(self, inputs: PaintInputs, steps: int) -> None:
        """Refuse noise of another shape than the net's drafts, and steps that it cannot take."""
        frames, height, width = inputs.rgb.shape[2:]
        if not self.net.config.draft:
            if steps != 1 or inputs.noise is not None:
                raise ValueError(f"This net sees no draft and paints in 1 step without noise, got {steps} steps.")
            return
        wanted = (1, 3, frames, *draft_size(self.net.config, (height, width), coarse_for(height, width)))
        if inputs.noise is None or inputs.noise.shape != wanted:
            got = "none" if inputs.noise is None else list(inputs.noise.shape)
            raise ValueError(f"This net paints from noise of shape {list(wanted)}, got {got}.")

    def _told(self, inputs: PaintInputs) -> bool:
        """Return whether the light maps tell what a coarser trunk misses; drafts need theirs as it is."""
        return inputs.maps is not None and not self.net.config.draft

    def _paint_frames(self, inputs: PaintInputs, styles: Tensor, steps: int = 1, tell: _Tell = keep) -> Tensor:
        """Paint frame by frame; memory does not grow with their number."""
        frames, height, width = inputs.rgb.shape[2:]
        out = torch.empty((3, frames, height, width), dtype=torch.float32)
        for index in range(frames):

            def of_frame(x: Tensor, index: int = index) -> Tensor:
                return x[0, :, index].permute(1, 2, 0)

            frame = FrameInputs(
                rgb=of_frame(inputs.rgb),
                controls={kind: of_frame(control) for kind, control in inputs.controls.items()},
                weights={kind: weight[0, 0, index] for kind, weight in inputs.weights.items()},
                hints=None if inputs.hints is None else of_frame(inputs.hints),
                maps=None if inputs.maps is None else of_frame(inputs.maps),
            )
            painter = self._painter(styles[index], coarse_for(height, width, told=self._told(inputs)))
            noise = None if inputs.noise is None else inputs.noise[0, :, index]
            out[:, index] = painter.paint(frame, noise, steps, partial(tell, 1)).clamp_(-1.0, 1.0)
        return out[None]

    def _painter(self, style: Tensor, coarse: int) -> StyledPainter:
        key = (style.numpy().tobytes(), coarse)
        with self._lock:
            painter = self._painters.pop(key, None) or StyledPainter(self.net, style, coarse, dtype=self.dtype)
            while len(self._painters) >= _MOST_PAINTERS:
                self._painters.pop(next(iter(self._painters)))
            self._painters[key] = painter  # the latest stands last
            return painter

    def _paint_batch(self, inputs: PaintInputs, styles: Tensor, steps: int = 1, tell: _Tell = keep) -> Tensor:
        """Paint all frames by one run of the net."""
        height, width = inputs.rgb.shape[-2:]
        coarse = coarse_for(height, width, told=self._told(inputs))
        pad = padding_for(self.net.config, (height, width), coarse)

        def frames(x: Tensor) -> Tensor:
            flat = x[0].transpose(0, 1)
            flat = flat.float() / 127.5 - 1.0 if x.dtype == torch.uint8 else flat
            flat = functional.pad(flat, pad, mode="replicate") if any(pad) else flat
            return flat.contiguous(memory_format=torch.channels_last)

        rgb = frames(inputs.rgb)
        if inputs.hints is None:
            hints = rgb.new_zeros((rgb.shape[0], self.net.config.hints, *rgb.shape[-2:]))
        else:
            hints = frames(inputs.hints[:, : self.net.config.hints])
        maps = None if inputs.maps is None else frames(inputs.maps)
        controls = {kind: frames(control) for kind, control in inputs.controls.items()}
        weights = {kind: frames(weight) for kind, weight in inputs.weights.items()}

        def predict(draft: Tensor | None, level: float) -> Tensor:
            seen = None if draft is None else seen_draft(draft, torch.full_like(draft[:, :1, :1, :1], level))
            picture: Tensor = self.net(rgb, controls, weights, hints, styles, coarse, maps=maps, draft=seen)
            tell(rgb.shape[0])
            return picture[..., :height, :width]

        if inputs.noise is None:
            out = predict(None, 1.0)
        else:
            noise = inputs.noise[0].transpose(0, 1)
            size = (noise.shape[2], noise.shape[3])
            out = paint_in_steps(predict, lambda picture: shrunk_to(picture, size, coarse), noise, steps)
        return out.clamp(-1.0, 1.0).transpose(0, 1)[None]


def coarse_for(height: int, width: int, *, told: bool = False) -> int:
    """Return the size ratio of picture to trunk.

    The trunk sees about the sizes that it was trained at, the smaller of them rather: of a picture of 256 x 144 a
    quarter of the size tells it all but as much as half of it, for a quarter of the work. It sees half as much where
    light maps tell what is fine, and of 640 x 352 half of that.

    Args:
        height: Of the picture [px].
        width: Of the picture [px].
        told: Whether there are light maps, and no draft, which a smaller trunk would tell less.
    """
    longest = max(height, width)
    if told:
        return 4 if longest <= 160 else 8 if longest <= 320 else 16
    return 2 if longest <= 160 else 4 if longest <= 960 else 8


def padding_for(config: TransferNetConfig, size: tuple[int, int], coarse: int) -> tuple[int, int, int, int]:
    """Return how many pixels left, right, top and bottom bring a picture to whole strides of the trunk."""
    multiple = coarse * 2 ** (len(config.channels) - 1)
    return 0, -size[1] % multiple, 0, -size[0] % multiple


def multiplies_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16 by instructions of its own; without them it is no faster."""
    told = getattr(torch.cpu, "get_capabilities", None)  # older torch does not tell
    known = {} if told is None else told()
    return any(known.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def load_embedded(folder: Path, device: str, dtype: torch.dtype | None = None) -> EmbeddedModel:
    """Load net and reader.

    Args:
        folder: Folder of the weights.
        device: Torch device of the net; the reader stays on the CPU.
        dtype: Of the features, float32 or on a CPU bfloat16; ``None`` takes bfloat16 where the processor multiplies it.

    Raises:
        WeightsError: If a file is missing, damaged or of another shape.
    """
    config = read_weights_config(folder)
    sha256 = check_files(folder, config)
    try:
        net = TransferNet(from_mapping(TransferNetConfig, config["net"]))
        half = load_file(folder / "net.safetensors")
        net.load_state_dict({name: value.float() for name, value in half.items()})
        reader_config = read_config(folder / "reader.json")
        encoder = TextEncoder(from_mapping(TextEncoderConfig, reader_config["encoder"]))
        words = load_file(folder / "reader.safetensors")
        encoder.load_state_dict({name: value.float() for name, value in words.items()})
        reader = PromptReader(encoder, tuple(reader_config["vocabulary"]), tuple(reader_config["overheard"]))
    except (KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise WeightsError(f"The weights in {folder} do not fit this version of the model: {error}.") from error
    net = net.eval().requires_grad_(False).to(device=torch.device(device))
    if dtype is None:
        dtype = torch.bfloat16 if device == "cpu" and multiplies_bfloat16() else torch.float32
    return EmbeddedModel(net=net, reader=reader, sha256=sha256, dtype=dtype)


__all__ = [
    "EmbeddedModel",
    "PaintInputs",
    "coarse_for",
    "join_inputs",
    "keep",
    "load_embedded",
    "multiplies_bfloat16",
    "padding_for",
]
