"""The Transfer net as a CPU likes it: the style folded into the weights, the full-resolution head in bands of rows.

It computes what ``TransferNet.forward`` does, to rounding. A clip has one style, so scales and shifts by it become part
of the convolutions before them. What does not depend on neighbours is done at the trunk's size, where it commutes with
the bilinear interpolation. The head works on bands of rows that fit a processor's cache, so no picture-sized features
exist and memory does not grow with the net.

Features may be bfloat16, which some processors multiply at twice the rate; gains, biases and the pictures that they are
applied to stay float32.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from cosmos.models.embedded.conditions import STYLE_RAIN, STYLE_SNOW
from cosmos.models.embedded.net import (
    AIR,
    CLEAR_AIR,
    FALLEN_HINTS,
    FULL_HINTS,
    HIT,
    OPEN,
    Block,
    Blocks,
    Branch,
    Film,
    TransferNet,
    seen_draft,
)
from cosmos.models.embedded.steps import paint_in_steps, shrunk_to

_BAND_BYTES = 320_000
"""Bytes of a channel of a band: its features are a few megabytes."""
_MANY_CHANNELS = 16
"""Channels from which on torch pools pictures faster than it sums them."""
_HALO = 2
"""Rows that the head's convolutions look beyond a band."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FrameInputs:
    """One frame as the painter takes it, channels last; pictures are uint8 levels or float32 in [-1, 1]."""

    rgb: Tensor
    """The clip's own picture, shape [H, W, 3]."""
    controls: dict[str, Tensor]
    """Kind -> control picture, shape [H, W, 3]."""
    weights: dict[str, Tensor]
    """Kind -> weight map in [0, 1], float32, shape [H, W]; the kinds of ``controls``."""
    hints: Tensor | None
    """Light and wear hints, float32 in [-1, 1], shape [H, W, hints or more], `unmarched` where there are light
    maps; ``None`` where there is no depth."""
    maps: Tensor | None
    """Light maps, shape [H, W, maps]; ``None`` where the stage cannot be asked."""


class _Affine:
    """A convolution with the scale and shift that follow it."""

    def __init__(
        self, layer: nn.Conv2d, dtype: torch.dtype, film: Film | None = None, code: Tensor | None = None
    ) -> None:
        weight, bias = layer.weight, layer.bias
        if bias is None:  # every layer of the net has one
            bias = weight.new_zeros(weight.shape[0])
        if film is not None:
            scale, shift = film.affine(code)[0].chunk(2)
            weight, bias = weight * (1.0 + scale[:, None, None, None]), bias * (1.0 + scale) + shift
        self.weight = weight.to(dtype).contiguous(memory_format=torch.channels_last)
        self.bias = bias.to(dtype).contiguous()
        self.stride, self.padding = layer.stride, layer.padding

        self.matrix = self.weight[:, :, 0, 0].t().contiguous()
        """What it is where it looks at one pixel, shape [inputs, outputs]."""

    def __call__(self, x: Tensor) -> Tensor:
        if self.weight.shape[-1] > 1:
            return functional.conv2d(x, self.weight, self.bias, self.stride, self.padding)
        flat = x[0].permute(1, 2, 0)  # torch multiplies matrices faster than it looks at one pixel
        said = torch.addmm(self.bias, flat.reshape(-1, flat.shape[2]), self.matrix)
        return _pictured(said.view(*flat.shape[:2], -1))


class _StyledBlock:
    """A residual block with its style folded in."""

    def __init__(self, block: Block, dtype: torch.dtype, code: Tensor) -> None:
        self.skip = _Affine(block.skip, dtype) if isinstance(block.skip, nn.Conv2d) else None
        self.first, self.second = _Affine(block.first, dtype, block.film, code), _Affine(block.second, dtype)

    def __call__(self, x: Tensor) -> Tensor:
        hidden = self.first(functional.silu(_level(x), inplace=True))
        hidden = self.second(functional.silu(hidden, inplace=True))
        return hidden.add_(x if self.skip is None else self.skip(x))


class StyledPainter:
    """A net of one style, ready to paint frames, several threads at a time; all is computed on the net's device.

    Args:
        net: The net, in float32.
        style: The style vector, shape [style].
        coarse: Size ratio of picture to trunk.
        dtype: Of the features, float32 or bfloat16.
    """

    def __init__(self, net: TransferNet, style: Tensor, coarse: int, *, dtype: torch.dtype = torch.float32) -> None:
        self._net, self._coarse, self._dtype = net, coarse, dtype
        self._kept = threading.local()
        self._multiple = coarse * 2 ** (len(net.config.channels) - 1)
        self._falls = style[STYLE_RAIN : STYLE_SNOW + 1]
        told = style.clone()
        told[STYLE_RAIN : STYLE_SNOW + 1] = 0.0
        with torch.inference_mode():
            code = net.style(told[None])
            self._picture, self._fallen, self._hints, self._light = (
                _Spoken(branch, dtype) for branch in (net.picture, net.fallen, net.hints, net.light)
            )
            self._draft = None if net.draft is None else _Spoken(net.draft, dtype)
            self._past = None if net.draft is None else _Affine(net.draft.past, dtype)
            self._branches = {
                kind: _Spoken(branch, dtype) for kind, branch in net.branches.items() if isinstance(branch, Branch)
            }
            self._down, self._up = (_styled(blocks, dtype, code) for blocks in (net.down, net.up))
            self._shrink = [_Affine(layer, dtype) for layer in net.shrink if isinstance(layer, nn.Conv2d)]
            self._grow = [_Affine(layer, dtype) for layer in net.grow if isinstance(layer, nn.Conv2d)]
            features = net.config.features
            head = _Affine(net.head_in, dtype, net.head_film, code)
            self._features, self._head_bias = _Affine(net.features, dtype), head.bias
            self._from_features, self._from_seen = head.matrix[:features], head.matrix[features:]
            self._broad = _Affine(net.broad, dtype)
            self._mid, self._last = (
                _Affine(net.head_mid, dtype, net.head_mid_film, code),
                _Affine(net.head_last, dtype),
            )
            self._out = _Affine(net.head_out, dtype)
            self._start = net.start.to(dtype)

    def paint(
        self, frame: FrameInputs, noise: Tensor | None = None, steps: int = 1, tell: Callable[[], None] | None = None
    ) -> Tensor:
        """Paint a frame.

        Args:
            frame: The frame.
            noise: The first draft, standard normal, float32, shape [3, h, w]; ``None`` for a net that sees no draft.
            steps: Steps, more than 1 from a draft only.
            tell: Called after each step.

        Returns:
            A picture around [-1, 1] (not clamped), float32, shape [3, H, W].
        """
        with torch.inference_mode():
            seen = self._see(frame)
            told = self._understand(frame, seen)

            def predict(draft: Tensor | None, level: float) -> Tensor:
                features = self._trunk(told) if draft is None else self._drafted(told, draft, level)
                picture = self._picture_of(frame, seen, features)
                if tell is not None:
                    tell()
                return picture

            if noise is None:
                return predict(None, 1.0)
            size = (noise.shape[1], noise.shape[2])
            return paint_in_steps(
                predict, lambda picture: shrunk_to(picture[None], size, self._coarse)[0], noise, steps
            )

    def _drafted(self, told: Tensor, draft: Tensor, level: float) -> Tensor:
        """Return the trunk's features with a draft [3, h, w] seen, shape [1, features, h, w]."""
        if self._draft is None or self._past is None:
            raise ValueError("This net sees no draft; paint it in one step, without noise.")
        seen = seen_draft(draft[None], torch.full((1, 1, 1, 1), level, device=draft.device))
        seen = seen.to(self._dtype).contiguous(memory_format=torch.channels_last)
        return self._trunk(told + self._draft(seen)).add_(self._past(seen))

    def _picture_of(self, frame: FrameInputs, seen: Tensor, features: Tensor) -> Tensor:
        """Return the picture that the head paints from the trunk's features [1, features, h, w]."""
        height, width = frame.rgb.shape[:2]
        flat = features[0].permute(1, 2, 0)
        size, flat = flat.shape[:2], flat.reshape(-1, flat.shape[2])
        hidden = torch.addmm(self._head_bias, flat, self._from_features).float()
        broad = torch.addmm(self._broad.bias[:, None], self._broad.matrix.t(), flat.t()).float()
        hidden, broad = _pictured(hidden.view(*size, -1)), broad.view(1, -1, *size)
        rows = max(16, _BAND_BYTES // (seen.shape[1] * seen.element_size()))
        out = torch.empty((3, height, width), dtype=torch.float32, device=seen.device)
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            said = self._band(seen, hidden, broad, top, bottom)[..., :width]
            out[:, top:bottom] = self._apply(said, frame, seen[top:bottom, :width, HIT], top)
        return out

    def _see(self, frame: FrameInputs) -> Tensor:
        """Return what the head sees besides features: hints, falls, picture and maps, padded, shape [H', W', C]."""
        config = self._net.config
        height, width = frame.rgb.shape[:2]
        whole = (height + -height % self._multiple, width + -width % self._multiple)
        parts = (config.hints, 2, 3, config.maps)
        # Used again, by each thread its own: new memory of this size costs as much as to fill it.
        seen: Tensor | None = getattr(self._kept, "seen", None)
        if seen is None or seen.shape[:2] != whole or seen.device != frame.rgb.device:
            seen = torch.empty((*whole, sum(parts)), dtype=self._dtype, device=frame.rgb.device)
            self._kept.seen = seen
        hints, falls, rgb, maps = seen[:height, :width].split(parts, dim=2)
        _put(rgb, frame.rgb)
        if frame.maps is None:
            maps.zero_()
            falls.copy_(self._falls.expand_as(falls))
        else:
            _put(maps, frame.maps)
            reached = _levels(frame.maps[..., OPEN]).mul_(1.0 / 255.0)
            reached = torch.where(_is_sky(_levels(frame.maps[..., CLEAR_AIR])), 1.0, reached)[..., None]
            falls.copy_(reached * self._falls)
        depth = frame.weights.get("depth")
        if frame.hints is None or depth is None:
            hints.zero_()
        else:
            hints.copy_(frame.hints[..., : config.hints])
            if float(depth.min()) * FULL_HINTS < 1.0:
                hints.mul_(_present(depth)[..., None])
            if frame.maps is not None:
                hints[..., FALLEN_HINTS].mul_(reached.to(hints.dtype))
        seen[:height, width:] = seen[:height, width - 1 : width]
        seen[height:] = seen[height - 1 : height]
        return seen

    def _understand(self, frame: FrameInputs, seen: Tensor) -> Tensor:
        """Return what the trunk is told but by a draft, shape [1, C, h, w]."""
        config = self._net.config
        size = (seen.shape[0] // self._coarse, seen.shape[1] // self._coarse)
        hints, falls, rgb, maps = _averaged(seen, self._coarse).split((config.hints, 2, 3, config.maps), dim=1)
        x = self._start + self._picture(rgb) + self._fallen(falls)
        for kind in config.controls:
            if kind in frame.controls:
                said = self._branches[kind](self._coarse_map(frame.controls[kind], size))
                self._add(x, said, frame.weights[kind])
        depth = frame.weights.get("depth")
        if depth is not None:
            self._add(x, self._hints(hints), _present(depth))
        if frame.maps is not None:
            x += self._light(maps)
        return x

    def _add(self, x: Tensor, said: Tensor, weight: Tensor) -> None:
        """Add what a branch says to ``x`` [1, C, h, w], as loudly as its weight map [H, W]."""
        least, most = (float(bound) for bound in weight.aminmax())
        if least == most:  # mostly: a number costs less than a map
            x.add_(said, alpha=least)
        else:
            x.add_(said.mul_(self._coarse_map(weight[..., None], (x.shape[2], x.shape[3]))))

    def _coarse_map(self, picture: Tensor, size: tuple[int, int]) -> Tensor:
        """Average a picture or map down to the trunk's size, shape [1, C, h, w]."""
        height, width, channels = picture.shape
        whole = (size[0] * self._coarse, size[1] * self._coarse)
        if whole == (height, width) and picture.dtype == torch.float32:
            return _averaged(picture, self._coarse).to(self._dtype)
        if whole == (height, width) and picture.dtype == torch.uint8:
            return _averaged(picture, self._coarse).mul_(1.0 / 127.5).sub_(1.0).to(self._dtype)
        padded = torch.empty((*whole, channels), dtype=torch.float32, device=picture.device)
        _put(padded[:height, :width], picture)
        padded[:height, width:] = padded[:height, width - 1 : width]
        padded[height:] = padded[height - 1 : height]
        return _averaged(padded, self._coarse).to(self._dtype)

    def _trunk(self, x: Tensor) -> Tensor:
        kept = []
        for level, blocks in enumerate(self._down):
            for block in blocks:
                x = block(x)
            if level < len(self._shrink):
                kept.append(x)
                x = self._shrink[level](_level(x))
        for level in reversed(range(len(self._up))):
            x = functional.interpolate(self._grow[level](_level(x)), scale_factor=2, mode="nearest")
            x = torch.cat([x, kept[level]], dim=1)
            for block in self._up[level]:
                x = block(x)
        return self._features(functional.silu(_level(x), inplace=True))

    def _band(self, seen: Tensor, hidden: Tensor, broad: Tensor, top: int, bottom: int) -> Tensor:
        """Return gain, bias and shares of rows of the picture, padded in width, float32, shape [8, rows, W']."""
        high, low = max(top - _HALO, 0), min(bottom + _HALO, seen.shape[0])
        x = self._rows(hidden, high, low)[0].permute(1, 2, 0).to(self._dtype)
        x.view(-1, x.shape[2]).addmm_(seen[high:low].view(-1, seen.shape[2]), self._from_seen)
        x = _pictured(functional.silu(x, inplace=True))
        x = functional.silu(self._mid(x), inplace=True)
        x = functional.silu(self._last(x), inplace=True)
        x = x[0].permute(1, 2, 0)[top - high : x.shape[2] - (low - bottom)]
        said = torch.addmm(self._out.bias[:, None], self._out.matrix.t(), x.reshape(-1, x.shape[2]).t()).float()
        said = said.view(8, *x.shape[:2])
        said[:6] += self._rows(broad, top, bottom)[0]
        return said

    def _rows(self, coarse: Tensor, top: int, bottom: int) -> Tensor:
        """Interpolate rows of coarse planes [1, C, h, w] bilinearly, shape [1, C, rows, W']."""
        first, last = max(top // self._coarse - 1, 0), min(-(-bottom // self._coarse) + 1, coarse.shape[2])
        part = coarse[:, :, first:last]  # with a row more on both sides, which the rim of a band looks at
        size = ((last - first) * self._coarse, coarse.shape[3] * self._coarse)
        wide = functional.interpolate(part, size=size, mode="bilinear")
        return wide[:, :, top - first * self._coarse : bottom - first * self._coarse]

    def _apply(self, said: Tensor, frame: FrameInputs, hit: Tensor, top: int) -> Tensor:
        """Apply gain, bias and shares [8, rows, W] to rows of the frame from ``top`` on; ``hit`` is their hint."""
        gain, bias, shares = said[:3], said[3:6], said[6:]
        part = slice(top, top + said.shape[1])
        if frame.maps is None:
            base = _planes(frame.rgb[part])
            return torch.exp(gain.clamp(-4.0, 2.0)).mul_(base).mul_(1.0 / 127.5).add_(bias, alpha=2.0).sub_(1.0)
        maps = _planes(frame.maps[part, :, : CLEAR_AIR + 1])
        through, air, (base, white, mirror) = maps[CLEAR_AIR], maps[AIR], maps[:9].split(3)
        sky = _is_sky(through) & (hit < 0.5)
        clear = torch.where(sky, 1.0, through * (1.0 / 255.0))
        darkest = torch.minimum(air, base, out=air).masked_fill_(sky, -torch.inf)
        out = gain.clamp(-4.0, 2.0).mul_(clear).exp_().mul_(base)
        out.addcmul_(shares[:1], white.sub_(base)).addcmul_(shares[1:], mirror)
        out.addcmul_(bias, clear, value=255.0)
        return torch.maximum(out, darkest, out=out).mul_(1.0 / 127.5).sub_(1.0)


def _styled(levels: nn.ModuleList, dtype: torch.dtype, code: Tensor) -> list[list[_StyledBlock]]:
    """Fold the style into the blocks of each level."""
    return [
        [_StyledBlock(block, dtype, code) for block in blocks.blocks if isinstance(block, Block)]
        for blocks in levels
        if isinstance(blocks, Blocks)
    ]


class _Spoken:
    """What a branch says at full weight."""

    def __init__(self, branch: Branch, dtype: torch.dtype) -> None:
        self._see, self._speak = _Affine(branch.see, dtype), _Affine(branch.speak, dtype)

    def __call__(self, seen: Tensor) -> Tensor:
        return self._speak(functional.silu(self._see(seen), inplace=True))


def _present(depth_weight: Tensor) -> Tensor:
    """Return how much the hints are there."""
    return (depth_weight * FULL_HINTS).clamp(max=1.0)


def _put(out: Tensor, picture: Tensor) -> None:
    """Write a picture as float32 in [-1, 1]."""
    if picture.dtype != torch.uint8:
        out.copy_(picture)
        return
    rows = max(1, _BAND_BYTES // (4 * picture.shape[1]))
    for top in range(0, picture.shape[0], rows):
        out[top : top + rows] = picture[top : top + rows].float().mul_(1.0 / 127.5).sub_(1.0)


def _levels(picture: Tensor) -> Tensor:
    """Return a picture's levels in [0, 255], float32."""
    return picture.float() if picture.dtype == torch.uint8 else (picture + 1.0) * 127.5


def _planes(rows: Tensor) -> Tensor:
    """Return the levels of rows, float32, shape [C, rows, W]; the caller may write over them."""
    return _levels(rows.permute(2, 0, 1).contiguous())


def _is_sky(air: Tensor) -> Tensor:
    """Return where levels of the clearness of the air say that nothing is seen through it, as the net does."""
    return air < 1.275


def _pictured(rows: Tensor) -> Tensor:
    """Turn [H, W, C] into [1, C, H, W] as convolutions take it, without a copy."""
    return rows[None].permute(0, 3, 1, 2)


def _level(x: Tensor) -> Tensor:
    """Divide each pixel's channels by their root mean square, as the net does."""
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)  # in one pass, where squares and their mean take three
    return x * length.square_().mul_(1.0 / x.shape[1]).add_(1e-4).rsqrt_()


def _averaged(picture: Tensor, ratio: int) -> Tensor:
    """Average squares of ``ratio`` pixels a side, from [H, W, C] to [1, C, h, w]."""
    height, width, channels = picture.shape
    if channels >= _MANY_CHANNELS:
        return functional.avg_pool2d(_pictured(picture), ratio)
    rows = _added(picture.reshape(height // ratio, ratio, width * channels))
    cells = _added(rows.view(height // ratio * (width // ratio), ratio, channels))
    return _pictured(cells.view(height // ratio, width // ratio, channels).mul_(1.0 / ratio**2))


def _added(parts: Tensor) -> Tensor:
    """Add up the middle axis, in float32; few long rows one by one, which torch does faster than a sum."""
    first, *others = parts.unbind(dim=1)
    total = first.to(torch.float32, copy=True)
    for other in others:
        total.add_(other)
    return total


__all__ = ["FrameInputs", "StyledPainter"]
