"""The net of the embedded reasoner: pictures to tokens of place and time, and a small decoder that writes words.

A convolutional trunk sees each picture beside its change since the one before and mixes neighbours in time; one
attention layer lets all places and times see each other; the decoder reads the question and writes thought and answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from cosmos.models.reason_small.words import EVENTS, QUESTIONS, READINGS, TOKEN, VOCABULARY

_TRACK = 64
"""Channels that the way of the main body becomes."""
_PATCH = 48
"""Levels of a place as the readings of a body see it: 4 x 4 squares in three colours."""
_AIR = 24
"""Numbers of a clip that weather is read from, besides the tokens."""
_GLIMPSE = 32
"""Edge of the square around the main body that is looked at in full detail [px]."""
_DETAIL = 64
"""Channels that such a square becomes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReasonNetConfig:
    """Shape of the embedded reasoner."""

    frames: int = 8
    """Pictures it sees."""
    height: int = 64
    """Height of a picture [px], a multiple of 16."""
    width: int = 112
    """Width of a picture [px], a multiple of 16."""
    stem: int = 48
    """Channels at a quarter of the size."""
    trunk: int = 96
    """Channels at an eighth of the size."""
    dim: int = 144
    """Channels of tokens and words, a multiple of ``heads``."""
    heads: int = 6
    """Attention heads."""
    seers: int = 2
    """Attention layers over the pictures."""
    writers: int = 3
    """Layers of the decoder."""
    length: int = 48
    """Most words of question, thought and answer."""
    vocabulary: int = len(VOCABULARY)
    """Words it knows."""

    def __post_init__(self) -> None:
        if self.height % 16 or self.width % 16 or self.dim % self.heads or min(self.frames, self.seers) < 1:
            raise ValueError(f"ReasonNetConfig needs multiples of 16 px and of its heads, got {self}.")


class Seen(NamedTuple):
    """What the trunk makes of a clip."""

    tokens: Tensor
    """Tokens of all places and times, [B, T*h*w, D]."""
    event: Tensor
    """Scores of no event and each event, [B, 1 + E]."""
    frame: Tensor
    """Scores of the frame that shows it first, [B, T]."""
    place: Tensor
    """Scores of each place, and of being absent, for the main body in each frame, [B, T, h*w + 1]."""
    spots: Tensor
    """Where the main body is in each frame by those scores, and how much that counts: x, y in [-1, 1] and a weight,
    [B, T, 3]."""
    readings: Mapping[str, Tensor]
    """For each of ``READINGS`` the scores of its words, [B, words]."""


class ReasonNet(nn.Module):
    """Sees a clip and writes words about it."""

    def __init__(self, config: ReasonNetConfig) -> None:
        super().__init__()
        self.config = config
        c, d = config, config.dim
        self.stem = nn.Conv2d(6, c.stem, 8, stride=4, padding=2)
        self.down = nn.Conv2d(c.stem, c.trunk, 3, stride=2, padding=1)
        self.early = nn.Conv3d(c.trunk, c.trunk, (3, 1, 1), padding=(1, 0, 0))
        self.near = nn.Conv2d(c.trunk, c.trunk, 3, padding=1)
        self.deep = nn.Conv2d(c.trunk, d, 3, stride=2, padding=1)
        self.late = nn.Conv3d(d, d, (3, 1, 1), padding=(1, 0, 0))
        self.norms = nn.ModuleList(nn.GroupNorm(8, n) for n in (c.stem, c.trunk, c.trunk, c.trunk, d))
        self.places = nn.Parameter(0.02 * torch.randn(c.frames * (c.height // 16) * (c.width // 16), d))
        self.seers = nn.ModuleList(_Layer(d, c.heads, cross=False) for _ in range(c.seers))
        self.seen_norm = nn.LayerNorm(d)
        self.event_head = nn.Linear(2 * d, 1 + len(EVENTS))
        self.frame_head, self.place_head = nn.Linear(d, 1), nn.Linear(d, 1)
        self.absent_head = nn.Linear(d, 1)
        self.track = nn.Linear(4 * c.frames, _TRACK)
        self.track_event = nn.Linear(_TRACK, 1 + len(EVENTS), bias=False)
        nn.init.zeros_(self.track_event.weight)
        inputs = dict.fromkeys(("colour", "shape"), d + _PATCH) | {"order": 2 * d}
        inputs |= dict.fromkeys(("weather", "setting"), 2 * d + _AIR)
        self.reading_heads = nn.ModuleDict(
            {name: _Reading(inputs.get(name, 2 * d + _TRACK), len(words)) for name, words in READINGS.items()}
        )
        self.glimpse = _Glimpse()
        self.words = nn.Embedding(c.vocabulary, d)
        nn.init.normal_(self.words.weight, std=0.08)  # the same weights score words, and start near even
        self.positions = nn.Parameter(0.02 * torch.randn(c.length, d))
        self.writers = nn.ModuleList(_Layer(d, c.heads, cross=True) for _ in range(c.writers))
        self.word_norm = nn.LayerNorm(d)

    def see(self, clips: Tensor, spots: Tensor | None = None) -> Seen:
        """Look at clips.

        Args:
            clips: Float in [-1, 1], shape [B, T, 3, H, W].
            spots: Where the main body is and whether it is seen, for learning: x, y in [-1, 1] and 0 or 1, shape
                [B, T, 3]; NaN where it is not told. What is not told is taken from the place scores.
        """
        batch, frames = clips.shape[:2]
        change = torch.zeros_like(clips)
        change[:, 1:] = clips[:, 1:] - clips[:, :-1]
        x = torch.cat([clips, change], dim=2).flatten(0, 1)
        x = functional.gelu(self.norms[0](self.stem(x)))
        x = functional.gelu(self.norms[1](self.down(x)))
        x = x + self._over_time(self.early, self.norms[2], x, batch)
        x = x + functional.gelu(self.norms[3](self.near(x)))
        x = functional.gelu(self.norms[4](self.deep(x)))
        x = x + self._over_time(self.late, None, x, batch)
        grid = x.shape[2] * x.shape[3]
        tokens = x.flatten(2).transpose(1, 2).reshape(batch, frames * grid, -1) + self.places
        for layer in self.seers:
            tokens = layer(tokens, None, causal=False)
        tokens = self.seen_norm(tokens)
        cells = tokens.view(batch, frames, grid, -1)
        pooled = torch.cat([tokens.mean(dim=1), tokens.amax(dim=1)], dim=1)
        place = torch.cat([self.place_head(cells).squeeze(-1), self.absent_head(cells.mean(dim=2))], dim=-1)
        track = functional.gelu(self.track(self._track(place)))
        found = self._spots(place)
        near = self.glimpse(clips, found if spots is None else torch.where(spots.isnan(), found, spots))
        readings = self._read(clips, cells, place, pooled, track)
        return Seen(
            tokens=tokens,
            event=self.event_head(pooled) + self.track_event(track) + near["event"],
            frame=self.frame_head(cells.amax(dim=2)).squeeze(-1),
            place=place,
            spots=found,
            readings={name: scores + near[name] if name in near else scores for name, scores in readings.items()},
        )

    def write(self, tokens: Tensor, words: Tensor) -> Tensor:
        """Score the next word after each word; tokens [B, N, D], words [B, L] -> [B, L, vocabulary]."""
        x = self.words(words) + self.positions[: words.shape[1]]
        for layer in self.writers:
            x = layer(x, tokens, causal=True)
        return functional.linear(self.word_norm(x), self.words.weight)

    def _spots(self, place: Tensor) -> Tensor:
        """Return where to look closely in each frame, and how much that counts: x, y in [-1, 1], weight; [B, T, 3].

        The middle of what the likeliest cell and its neighbours say; the surer the cell, the more the frame counts.
        """
        rows, columns = self.config.height // 16, self.config.width // 16
        cells = torch.arange(rows * columns, device=place.device)
        row, column = cells // columns, cells % columns
        shares = place.detach().float().softmax(dim=-1)
        sure, best = shares[..., :-1].max(dim=-1)
        beside = ((row[:, None] - row).abs() <= 1) & ((column[:, None] - column).abs() <= 1)
        here = shares[..., :-1] * beside[best]
        here = here / here.sum(dim=-1, keepdim=True).clamp(min=1e-9)
        x = here @ ((2.0 * column + 1.0) / columns - 1.0)
        y = here @ ((2.0 * row + 1.0) / rows - 1.0)
        return torch.stack([x, y, (1.0 - shares[..., -1]) * sure.square()], dim=-1)

    def _track(self, place: Tensor) -> Tensor:
        """Return where the main body is in each frame, as the place scores say: row, column, spread, absence."""
        rows, columns = self.config.height // 16, self.config.width // 16
        shares = place.softmax(dim=-1)
        here = shares[..., :-1].unflatten(-1, (rows, columns))
        row = here.sum(dim=-1) @ torch.linspace(-1.0, 1.0, rows, dtype=here.dtype, device=here.device)
        column = here.sum(dim=-2) @ torch.linspace(-1.0, 1.0, columns, dtype=here.dtype, device=here.device)
        return torch.stack([row, column, here.flatten(-2).amax(dim=-1), shares[..., -1]], dim=-1).flatten(1)

    def _read(self, clips: Tensor, cells: Tensor, place: Tensor, pooled: Tensor, track: Tensor) -> dict[str, Tensor]:
        """Score the words of each reading: of the body where it is, of the air by levels, of the rest by all."""
        share = place.softmax(dim=-1)[..., :-1].flatten(1)
        share = (share / share.sum(dim=1, keepdim=True).clamp(min=1e-6)).unsqueeze(-1)
        spots = functional.adaptive_avg_pool2d(clips.flatten(0, 1), (self.config.height // 4, self.config.width // 4))
        spots = functional.pixel_unshuffle(spots, 4).flatten(2).transpose(1, 2).reshape(len(clips), -1, _PATCH)
        body = torch.cat([(share * cells.flatten(1, 2)).sum(dim=1), (share * spots).sum(dim=1)], dim=1)
        wide = torch.cat([pooled, _air(clips)], dim=1)
        seen = {"colour": body, "shape": body, "order": pooled, "weather": wide, "setting": wide}
        way = torch.cat([pooled, track], dim=1)
        return {name: head(seen.get(name, way)) for name, head in self.reading_heads.items()}

    def _over_time(self, conv: nn.Module, norm: nn.Module | None, x: Tensor, batch: int) -> Tensor:
        """Mix neighbours in time."""
        by_time = x.view(batch, -1, *x.shape[1:]).transpose(1, 2)
        mixed = conv(by_time).transpose(1, 2).flatten(0, 1)
        return functional.gelu(norm(mixed) if norm is not None else mixed)


class _Reading(nn.Sequential):
    """Scores a few words from what was seen."""

    def __init__(self, inputs: int, words: int) -> None:
        super().__init__(nn.LayerNorm(inputs), nn.Linear(inputs, 64), nn.GELU(), nn.Linear(64, words))


class _Glimpse(nn.Module):
    """Looks at the main body in full detail, frame by frame: what it is, and whether it changes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(6, 32, 4, stride=2, padding=1)
        self.second = nn.Conv2d(32, _DETAIL, 3, stride=2, padding=1)
        self.third = nn.Conv2d(_DETAIL, _DETAIL, 3, stride=2, padding=1)
        self.norms = nn.ModuleList(nn.GroupNorm(8, n) for n in (32, _DETAIL, _DETAIL))
        self.narrow = nn.Linear(_DETAIL * (_GLIMPSE // 8) ** 2, _DETAIL)
        self.heads = nn.ModuleDict(
            {name: _Reading(3 * _DETAIL, len(READINGS[name])) for name in ("colour", "shape")}
            | {"event": _Reading(2 * _DETAIL, 1 + len(EVENTS))}
        )

    def forward(self, clips: Tensor, spots: Tensor) -> dict[str, Tensor]:
        """Score colour, shape and event of the body at ``spots``, [B, T, 3], of clips, [B, T, 3, H, W]."""
        batch, frames, _, height, width = clips.shape
        both = torch.cat([clips, clips - clips.mean(dim=1, keepdim=True)], dim=2).flatten(0, 1)
        steps = 2.0 * torch.arange(_GLIMPSE, dtype=both.dtype, device=both.device) + 1.0 - _GLIMPSE
        at = spots.flatten(0, 1).to(both.dtype)
        x = at[:, None, :1] + (steps / width)[None, None]
        y = at[:, None, 1:2].transpose(1, 2) + (steps / height)[None, :, None]
        grid = torch.stack([x.expand(-1, _GLIMPSE, -1), y.expand(-1, -1, _GLIMPSE)], dim=-1)
        seen = functional.grid_sample(both, grid, padding_mode="border", align_corners=False)
        for conv, norm in zip((self.first, self.second, self.third), self.norms, strict=True):
            seen = functional.gelu(norm(conv(seen)))
        detail = functional.gelu(self.narrow(seen.flatten(1))).view(batch, frames, -1)
        there = spots[..., 2:].to(detail.dtype)
        there = there / there.amax(dim=1, keepdim=True).clamp(min=1e-6)
        early = there * torch.linspace(1.0, 0.0, frames, dtype=there.dtype, device=there.device)[None, :, None].square()
        means = [(detail * part).sum(dim=1) / part.sum(dim=1).clamp(min=1e-6) for part in (there, early)]
        change = (detail[:, 1:] - detail[:, :-1]).abs() * there[:, 1:] * there[:, :-1]
        body = torch.cat([*means, (detail * there).amax(dim=1)], dim=1)
        alike = torch.cat([change.mean(dim=1), change.amax(dim=1)], dim=1)
        return {name: head(alike if name == "event" else body) for name, head in self.heads.items()}


def _air(clips: Tensor) -> Tensor:
    """Return levels, contrast, detail and change of the upper, middle and lower third of clips, [B, 24]."""
    parts = []
    for third in clips.tensor_split(3, dim=3):
        detail = (third[..., 1:] - third[..., :-1]).abs().mean(dim=(1, 2, 3, 4))
        change = (third[:, 1:] - third[:, :-1]).abs().mean(dim=(1, 2, 3, 4))
        levels = third.mean(dim=(1, 3, 4)), third.std(dim=(1, 3, 4))
        parts += [*levels, 10.0 * detail[:, None], 10.0 * change[:, None]]
    return torch.cat(parts, dim=1)


class _Layer(nn.Module):
    """Attention to itself, where asked to the pictures, and a feed-forward part; normalised before each."""

    def __init__(self, dim: int, heads: int, *, cross: bool) -> None:
        super().__init__()
        self.heads = heads
        self.own_norm, self.own, self.own_out = nn.LayerNorm(dim), nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        if cross:
            self.ask_norm, self.ask, self.told = nn.LayerNorm(dim), nn.Linear(dim, dim), nn.Linear(dim, 2 * dim)
            self.ask_out = nn.Linear(dim, dim)
        self.wide_norm, self.wide, self.narrow = nn.LayerNorm(dim), nn.Linear(dim, 3 * dim), nn.Linear(3 * dim, dim)

    def forward(self, x: Tensor, tokens: Tensor | None, *, causal: bool) -> Tensor:
        query, key, value = self.own(self.own_norm(x)).chunk(3, dim=-1)
        x = x + self.own_out(self._attend(query, key, value, causal=causal))
        if tokens is not None:
            key, value = self.told(tokens).chunk(2, dim=-1)
            x = x + self.ask_out(self._attend(self.ask(self.ask_norm(x)), key, value, causal=False))
        return x + self.narrow(functional.gelu(self.wide(self.wide_norm(x))))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, *, causal: bool) -> Tensor:
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        out = functional.scaled_dot_product_attention(query, key, value, is_causal=causal)
        return out.transpose(1, 2).flatten(2)


def question_tokens(task: str) -> list[int]:
    """Return a question as tokens, with the mark after which the net writes."""
    return [*(TOKEN[word] for word in QUESTIONS[task]), TOKEN["<start>"]]


__all__ = ["ReasonNet", "ReasonNetConfig", "Seen", "question_tokens"]
