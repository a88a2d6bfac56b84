"""The loaded embedded model: prompts to conditions, and frames to pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch  # noqa: TID253
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from cosmos.models.embedded.conditions import Conditions, style_vector
from cosmos.models.embedded.net import TransferNet
from cosmos.models.embedded.text import PromptReader, TextEncoder
from cosmos.models.spec import TextEncoderConfig, TransferNetConfig, from_mapping, read_config
from cosmos.models.weights import WeightsError, check_files, read_weights_config


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PaintInputs:
    """Some frames as the net takes them; pictures in [-1, 1]."""

    rgb: Tensor
    """The clip's own pictures, shape [1, 3, T, H, W]."""
    controls: dict[str, Tensor]
    """Kind -> control pictures, shape [1, 3, T, H, W]."""
    weights: dict[str, Tensor]
    """Kind -> weight maps in [0, 1], shape [1, 1, T, H, W]; the kinds of ``controls``."""
    hints: Tensor | None
    """Light and wear hints in [-1, 1], shape [1, hints, T, H, W]; ``None`` where there is no depth."""
    maps: Tensor | None = None
    """Light maps in [-1, 1], shape [1, maps, T, H, W]; ``None`` where the stage cannot be asked."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EmbeddedModel:
    """Net and prompt reader, ready to paint."""

    net: TransferNet
    reader: PromptReader
    sha256: str
    """One hash over all files."""

    def paint(self, inputs: PaintInputs, conditions: Conditions) -> Tensor:
        """Paint frames, each on its own.

        Args:
            inputs: The frames, on the net's device; any size from 1 px.
            conditions: The look.

        Returns:
            Pictures, clamped to [-1, 1], float32, shape [1, 3, T, H, W].
        """
        height, width = inputs.rgb.shape[-2:]
        coarse = coarse_for(height, width)
        pad = padding_for(self.net.config, (height, width), coarse)

        def frames(x: Tensor) -> Tensor:
            flat = x[0].transpose(0, 1)
            flat = functional.pad(flat, pad, mode="replicate") if any(pad) else flat
            return flat.contiguous(memory_format=torch.channels_last)

        rgb = frames(inputs.rgb)
        if inputs.hints is None:
            hints = rgb.new_zeros((rgb.shape[0], self.net.config.hints, *rgb.shape[-2:]))
        else:
            hints = frames(inputs.hints)
        maps = None if inputs.maps is None else frames(inputs.maps)

        style = torch.from_numpy(style_vector(conditions)).to(rgb.device).expand(rgb.shape[0], -1)
        controls = {kind: frames(control) for kind, control in inputs.controls.items()}
        weights = {kind: frames(weight) for kind, weight in inputs.weights.items()}
        with torch.inference_mode():
            out = self.net(rgb, controls, weights, hints, style, coarse, maps=maps)
        return out[..., :height, :width].clamp(-1.0, 1.0).transpose(0, 1)[None]


def coarse_for(height: int, width: int) -> int:
    """Return the size ratio of picture to trunk: the trunk sees about the size that it was trained at."""
    longest = max(height, width)
    return 2 if longest <= 400 else 4 if longest <= 960 else 8


def padding_for(config: TransferNetConfig, size: tuple[int, int], coarse: int) -> tuple[int, int, int, int]:
    """Return how many pixels left, right, top and bottom bring a picture to whole strides of the trunk."""
    multiple = coarse * 2 ** (len(config.channels) - 1)
    return 0, -size[1] % multiple, 0, -size[0] % multiple


def load_embedded(folder: Path, device: str) -> EmbeddedModel:
    """Load net and reader.

    Args:
        folder: Folder of the weights.
        device: Torch device of the net; the reader stays on the CPU.

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
        reader = PromptReader(encoder, tuple(reader_config["vocabulary"]))
    except (KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise WeightsError(f"The weights in {folder} do not fit this version of the model: {error}.") from error
    net = net.eval().requires_grad_(False).to(device=torch.device(device))
    return EmbeddedModel(net=net, reader=reader, sha256=sha256)


__all__ = ["EmbeddedModel", "PaintInputs", "coarse_for", "load_embedded", "padding_for"]
