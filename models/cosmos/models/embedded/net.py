"""The Transfer net: a coarse trunk that understands, a full-resolution head that paints.

The trunk is a small U-Net at a fraction of the picture's size. Each control enters it by its own branch, whose last
layer starts at zero and whose output is multiplied by the control's weight map, so any subset of controls works; the
clip's own picture has such a branch too, which training leaves out at times so that the controls learn to speak.

Where the clip's stage can be asked, light maps come with each frame: the frame relit by the asked sky and lamps, and
what a white and a mirror ball would show at every pixel. The head sees the picture, the maps, the light hints and the
trunk's features at full resolution, and predicts a gain, a bias and two shares for each pixel:
``out = base * exp(clear * gain) + clear * bias + white share * (white - base) + mirror share * mirror``, where the base
is the relit picture and ``clear`` is what the air leaves of a surface; without maps the picture itself and 1. No
surface comes out darker than the air before it is alone, as a black one would look. Edges and texture are those of the
picture by construction.

Rain and snow are not told once for the picture but pixel by pixel: where they reach. Under a roof the net sees the look
as if neither fell.

A net that paints in steps sees a draft as well: what it is to paint, at the trunk's size and under noise, and how much
of it is noise. What is uncertain is coarse; edges are the picture's at every step.

Normalisation uses statistics that training fixed, never those of the picture at hand: a frame's colours do not depend
on another's, and no statistic that jumps when an object enters can make the picture flicker.
"""

from __future__ import annotations

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from cosmos.models.embedded.conditions import STYLE_RAIN, STYLE_SNOW
from cosmos.models.spec import TransferNetConfig

FALLEN_HINTS = slice(19, 23)
"""Hints of drifts, patches of snow and puddles, and of what snow covers."""
HIT = 13
"""Hint that tells surfaces from the sky."""
MARCHED: dict[int, float] = {1: 0.24, 2: 0.91, 12: 0.79}
"""Hints found by marching the depth buffer, and what they are on average on surfaces of the training stages; they are
that where there are light maps, whose rays know better. Nets that see drafts have the marched ones."""
AIR = slice(9, 12)
"""Light maps that show the air before what is seen."""
CLEAR_AIR, OPEN = 12, 13
"""Light maps that tell how clear the air is, and what lies open to rain and snow."""
DRAFT_CHANNELS = 8
"""Channels of a draft as the trunk sees it."""
_SPREAD = 0.3
"""How far a coarse picture lies from what the other inputs tell of it [half of full scale], for weighing a draft."""
FULL_HINTS = 10.0
"""One over the depth weight from which on the hints are all there."""


def _silence(layer: nn.Linear | nn.Conv2d) -> None:
    """Let a layer start with nothing to say."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


class Film(nn.Module):
    """Scale and shift of channels by the style."""

    def __init__(self, style: int, channels: int) -> None:
        super().__init__()
        self.affine = nn.Linear(style, 2 * channels)
        _silence(self.affine)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Scale and shift ``x`` [B, C, H, W] by ``style`` [B, S]."""
        scale, shift = self.affine(style)[:, :, None, None].to(x.dtype).chunk(2, dim=1)
        return x * (1.0 + scale) + shift


def _level(x: Tensor) -> Tensor:
    """Divide each pixel's channels by their root mean square (Zhang and Sennrich 2019, RMSNorm)."""
    return x * torch.rsqrt(x.float().square().mean(dim=1, keepdim=True) + 1e-4).to(x.dtype)


class Block(nn.Module):
    """Residual block: two 3x3 convolutions with the style between them; quiet at the start."""

    def __init__(self, inputs: int, channels: int, style: int) -> None:
        super().__init__()
        self.skip = nn.Conv2d(inputs, channels, 1) if inputs != channels else nn.Identity()
        self.first = nn.Conv2d(inputs, channels, 3, padding=1)
        self.film = Film(style, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        # Quiet, not silent: behind a silent layer Adam lets the layers before it drift by noise.
        with torch.no_grad():
            self.second.weight.mul_(0.3)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Return ``x`` and what the block adds to it."""
        hidden = self.film(self.first(functional.silu(_level(x))), style)
        return self.skip(x) + self.second(functional.silu(hidden))


class Blocks(nn.Module):
    """Residual blocks of one scale."""

    def __init__(self, inputs: int, channels: int, style: int, count: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(channels if i else inputs, channels, style) for i in range(count))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Run one block after the other."""
        for block in self.blocks:
            x = block(x, style)
        return x


class Branch(nn.Module):
    """The way one control enters: silent at the start where asked, scaled by its weight map ever after."""

    def __init__(self, inputs: int, channels: int, *, silent: bool = True) -> None:
        super().__init__()
        self.see = nn.Conv2d(inputs, channels, 3, padding=1)
        self.speak = nn.Conv2d(channels, channels, 1)
        if silent:
            _silence(self.speak)

    def forward(self, control: Tensor, weight: Tensor | float) -> Tensor:
        """Return what the control says, as loudly as its weight."""
        return self.speak(functional.silu(self.see(control))) * weight


class DraftBranch(Branch):
    """The way a draft enters: into the trunk, and past it to the head, which paints what is clear already."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__(DRAFT_CHANNELS, channels)
        self.past = nn.Conv2d(DRAFT_CHANNELS, features, 3, padding=1)
        _silence(self.past)


class TransferNet(nn.Module):
    """Controls, light hints and style in; gain and bias of each pixel out."""

    def __init__(self, config: TransferNetConfig) -> None:
        super().__init__()
        self.config = config
        channels, width = config.channels, 4 * config.channels[0]
        self.style = nn.Sequential(nn.Linear(config.style, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.start = nn.Parameter(torch.zeros(1, channels[0], 1, 1))
        self.branches = nn.ModuleDict({kind: Branch(3, channels[0]) for kind in config.controls})
        self.hints = Branch(config.hints, channels[0], silent=False)
        self.picture = Branch(3, channels[0], silent=False)
        self.light = Branch(config.maps, channels[0], silent=False)
        self.fallen = Branch(2, channels[0], silent=False)
        self.draft = DraftBranch(channels[0], config.features) if config.draft else None
        self.down = nn.ModuleList()
        self.shrink = nn.ModuleList()
        self.grow = nn.ModuleList()
        self.up = nn.ModuleList()
        for level, size in enumerate(channels):
            self.down.append(Blocks(size, size, width, config.blocks))
            if level + 1 < len(channels):
                self.shrink.append(nn.Conv2d(size, channels[level + 1], 3, stride=2, padding=1))
                self.grow.append(nn.Conv2d(channels[level + 1], size, 1))
                self.up.append(Blocks(2 * size, size, width, config.blocks))
        self.features = nn.Conv2d(channels[0], config.features, 3, padding=1)
        self.head_in = nn.Conv2d(config.features + config.hints + config.maps + 5, config.head, 1)
        self.broad = nn.Conv2d(config.features, 6, 1)
        with torch.no_grad():
            self.broad.weight.mul_(0.2)
        self.head_film = Film(width, config.head)
        self.head_mid = nn.Conv2d(config.head, config.head, 3, padding=1)
        self.head_mid_film = Film(width, config.head)
        self.head_last = nn.Conv2d(config.head, config.head, 3, padding=1)
        self.head_out = nn.Conv2d(config.head, 8, 1)
        _silence(self.head_out)

    def forward(
        self,
        rgb: Tensor,
        controls: dict[str, Tensor],
        weights: dict[str, Tensor],
        hints: Tensor,
        style: Tensor,
        coarse: int | None = None,
        picture: Tensor | None = None,
        maps: Tensor | None = None,
        lit: Tensor | None = None,
        draft: Tensor | None = None,
    ) -> Tensor:
        """Paint pictures.

        Args:
            rgb: The pictures, in [-1, 1], shape [B, 3, H, W]; any size from 1 px.
            controls: Kind -> control pictures, in [-1, 1], shape [B, 3, H, W]; absent kinds stay out.
            weights: Kind -> weight in [0, 1], shape [B, 1, H, W]; the hints fade in with the weight of ``depth`` and
                are all there from 0.1 on.
            hints: Light hints, in [-1, 1], shape [B, hints or more, H, W], `unmarched` where there are light maps, if
                it sees no drafts.
            style: Style vectors, shape [B, style].
            coarse: Size ratio of picture to trunk, ``None`` for that of the configuration.
            picture: Whether the trunk sees the picture, 0 or 1, shape [B, 1, 1, 1]; ``None`` lets it.
            maps: Light maps in [-1, 1], shape [B, maps, H, W]: relit, white, mirror, air, clearness of the air, what
                lies open to rain and snow;
                ``None`` where the stage cannot be asked.
            lit: Which pictures have light maps, 0 or 1, shape [B, 1, 1, 1]; ``None`` if all have, or none has.
            draft: What `seen_draft` makes of a noisy coarse picture, at the trunk's size, shape
                [B, DRAFT_CHANNELS, h, w]; ``None`` leaves it out.

        Returns:
            Pictures, around [-1, 1] (not clamped), shape [B, 3, H, W].
        """
        coarse = coarse or self.config.coarse
        height, width = rgb.shape[-2:]
        multiple = coarse * 2 ** (len(self.config.channels) - 1)
        size = (-(-height // multiple) * multiple // coarse, -(-width // multiple) * multiple // coarse)
        lit = torch.zeros_like(rgb[:, :1, :1, :1]) if maps is None else _given(lit, rgb)
        if maps is None:
            maps = rgb.new_zeros((rgb.shape[0], self.config.maps, height, width))
        reached = torch.lerp(torch.ones_like(rgb[:, :1]), _reached(maps), lit)
        fallen = style[:, STYLE_RAIN : STYLE_SNOW + 1, None, None] * reached
        told = style.clone()
        told[:, STYLE_RAIN : STYLE_SNOW + 1] = 0.0
        code = self.style(told)
        depth_weight = weights.get("depth")
        if depth_weight is None:
            depth_weight = torch.zeros_like(rgb[:, :1])
        x = self.start.expand(rgb.shape[0], -1, *size)
        for kind in self.config.controls:
            if kind in controls:
                x = x + self.branches[kind](shrink(controls[kind], size), shrink(weights[kind], size))
        x = x + self.picture(shrink(rgb, size), _given(picture, rgb)) + self.fallen(shrink(fallen, size), 1.0)
        # Hints are there or not: scaled by any weight between, they would mean another thing at each.
        present = (depth_weight * FULL_HINTS).clamp(max=1.0)
        hints = hints[:, : self.config.hints] * present
        hints[:, FALLEN_HINTS] *= reached
        x = x + self.hints(shrink(hints, size), shrink(present, size))
        maps = maps * lit
        x = x + self.light(shrink(maps, size), lit)
        if draft is not None and self.draft is not None:
            x = x + self.draft(draft, 1.0)
        features = self._trunk(x, code)
        if draft is not None and self.draft is not None:
            features = features + self.draft.past(draft)
        features = functional.interpolate(features, size=(height, width), mode="bilinear")
        return self._paint(rgb, torch.cat([hints, fallen], dim=1), maps, lit, features, code)

    def _trunk(self, x: Tensor, code: Tensor) -> Tensor:
        """Run the U-Net; sizes are multiples of its deepest stride."""
        kept = []
        for level, blocks in enumerate(self.down):
            x = blocks(x, code)
            if level < len(self.shrink):
                kept.append(x)
                x = self.shrink[level](_level(x))
        for level in reversed(range(len(self.up))):
            x = functional.interpolate(self.grow[level](_level(x)), scale_factor=2, mode="nearest")
            x = self.up[level](torch.cat([x, kept[level]], dim=1), code)
        return self.features(functional.silu(_level(x)))

    def _paint(self, rgb: Tensor, hints: Tensor, maps: Tensor, lit: Tensor, features: Tensor, code: Tensor) -> Tensor:
        """Turn features into the gain, bias and shares of each pixel, and apply them."""
        seen = torch.cat([features, *(x.to(features.dtype) for x in (hints, rgb, maps))], dim=1)
        hidden = functional.silu(self.head_film(self.head_in(seen), code))
        hidden = functional.silu(self.head_mid_film(self.head_mid(hidden), code))
        hidden = functional.silu(self.head_last(hidden))
        said = self.head_out(hidden).float()
        gain, bias = (said[:, :6] + self.broad(features).float()).chunk(2, dim=1)
        shares = said[:, 6:] * lit
        relit, white, mirror = (maps[:, first : first + 3].float() for first in (0, 3, 6))
        base = (torch.lerp(rgb.float(), relit, lit) + 1.0) * 0.5
        # What the air hides is the air's, and the relit picture has that already.
        clear = (maps[:, CLEAR_AIR : CLEAR_AIR + 1].float() + 1.0) * 0.5
        sky = _is_sky(maps) & (hints[:, HIT : HIT + 1] < 0.5)
        clear = torch.where(sky, torch.ones_like(clear), clear)
        clear = torch.lerp(torch.ones_like(clear), clear, lit)
        air = (maps[:, AIR].float() + 1.0) * 0.5
        darkest = torch.where(sky | (lit < 0.5), torch.full_like(air, -torch.inf), torch.minimum(air, base))
        out = base * torch.exp(gain.clamp(-4.0, 2.0) * clear) + bias * clear
        out = out + shares[:, :1] * ((white + 1.0) * 0.5 - base) + shares[:, 1:] * ((mirror + 1.0) * 0.5)
        return torch.maximum(out, darkest) * 2.0 - 1.0


def seen_draft(noisy: Tensor, level: Tensor) -> Tensor:
    """Return a draft as the trunk sees it.

    The noisy picture comes twice: as it is, and weighed by how far each of its pixels can be believed, the Wiener
    filter ``(1 - t) s^2 / ((1 - t)^2 s^2 + t^2)`` of a picture with spread ``s``, so that pure noise says nothing.

    Args:
        noisy: ``(1 - t) * picture + t * noise`` at the trunk's size, pictures in [-1, 1], shape [B, 3, h, w].
        level: The share ``t`` of noise in [0, 1], shape [B, 1, 1, 1].

    Returns:
        Noisy picture, weighed picture, and two planes that tell the level, shape [B, DRAFT_CHANNELS, h, w].
    """
    signal = (1.0 - level) * _SPREAD
    believed = signal * _SPREAD / (signal.square() + level.square())
    planes = (plane.expand(-1, 1, *noisy.shape[2:]) for plane in (2.0 * level - 1.0, 2.0 * believed - 1.0))
    return torch.cat([noisy, noisy * believed, *planes], dim=1)


def unmarched(hints: Tensor, lit: Tensor) -> Tensor:
    """Return hints [B, hints, H, W] as they come where the stage tells the light: surfaces have the usual ``MARCHED``.

    Args:
        hints: Hints, marched ones included.
        lit: Which pictures have light maps, 0 or 1, shape [B, 1, 1, 1].
    """
    told, surface = hints.clone(), (lit > 0.5) & (hints[:, HIT : HIT + 1] > 0.0)
    for channel, usual in MARCHED.items():
        told[:, channel : channel + 1].masked_fill_(surface, usual)
    return told


def _given(flag: Tensor | None, rgb: Tensor) -> Tensor:
    """Return a flag of each picture, shape [B, 1, 1, 1]; all 1 where none is given."""
    return torch.ones_like(rgb[:, :1, :1, :1]) if flag is None else flag


def _reached(maps: Tensor) -> Tensor:
    """Return where rain and snow may show, in [0, 1], shape [B, 1, H, W]: what lies open, and the sky itself."""
    reached = (maps[:, OPEN : OPEN + 1] + 1.0) * 0.5
    return torch.where(_is_sky(maps), torch.ones_like(reached), reached)


def _is_sky(maps: Tensor) -> Tensor:
    """Return where nothing is seen through the air, shape [B, 1, H, W]: the sky, and what haze hides wholly."""
    return maps[:, CLEAR_AIR : CLEAR_AIR + 1] < -0.99


def shrink(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Average down to the trunk's size."""
    if x.shape[-2] % size[0] or x.shape[-1] % size[1]:
        return functional.adaptive_avg_pool2d(x, size)
    down, across = x.shape[-2] // size[0], x.shape[-1] // size[1]
    # On the CPU a sum of strided views is several times faster than avg_pool2d.
    total = torch.zeros_like(x[..., ::down, ::across])
    for start in range(down * across):
        total = total + x[..., start // across :: down, start % across :: across]
    return total / (down * across)


__all__ = [
    "AIR",
    "CLEAR_AIR",
    "DRAFT_CHANNELS",
    "FALLEN_HINTS",
    "FULL_HINTS",
    "HIT",
    "MARCHED",
    "OPEN",
    "Block",
    "Blocks",
    "Branch",
    "DraftBranch",
    "Film",
    "TransferNet",
    "seen_draft",
    "shrink",
    "unmarched",
]
