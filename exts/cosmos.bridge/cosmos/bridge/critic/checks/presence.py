"""How far the source's structure explains what the result shows on each thing, whatever its light and paint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import cv2
import numpy as np

from cosmos.bridge.critic.checks.groups import Groups
from cosmos.bridge.critic.checks.rims import Rims
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.truth import Chunk, Truth, highest, lowest

BANDS = 10
"""Bands into which a thing is divided, across the longer side of its box."""
_NOISE = 0.05
"""Square of a gradient that nobody sees, each channel [levels^2/px^2]."""
_NEAR, _AROUND = np.ones((5, 5), np.uint8), np.ones((7, 7), np.uint8)
_FAR = np.float32(1e6)
_SOFT = 1.5
"""Blur of the pictures whose gradients tell what flakes and noise drown, standard deviation [px]."""
_LEVEL = np.full((1, 3), 1.0 / 3.0, np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """How differences of colour in the result follow those of the source."""

    explained: float
    """Share of the result's that one linear function of the source's explains, in [0, 1]."""
    source: float
    """Root mean square of the source's [levels, or levels/px of gradients]."""
    result: float
    """That of the result's."""

    @classmethod
    def each(cls, products: np.ndarray, pixels: np.ndarray) -> list[Match]:
        """Weigh sums of products, three channels of the source and three of the result, over some pixels.

        Args:
            products: Of each thing, shape [N, 6, 6].
            pixels: Of each, shape [N].
        """
        many = np.maximum(pixels, 1.0)
        source, result = (
            np.sqrt(np.trace(part, axis1=-2, axis2=-1) / many) for part in (products[:, :3, :3], products[:, 3:, 3:])
        )
        told = zip(explained(products, pixels).tolist(), source.tolist(), result.tolist(), strict=True)
        return [cls(explained=share, source=before, result=after) for share, before, after in told]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sight:
    """What was seen of one thing in the frames that were looked at."""

    frames: np.ndarray
    """Frames in which it was seen well enough, int64."""
    looked: int
    """How many of them were looked at."""
    sharp: Match
    """Of the gradients on it [levels/px]."""
    soft: Match
    """Of those of blurred pictures."""
    rim: Match
    """Of the differences across its outline [levels]."""
    pairs: float
    """Pairs of pixels across its outline in a frame, on average [px of the view]."""
    area: float
    """Its pixels in a frame, on average."""
    piece: float
    """Share of them in its largest piece."""
    dark: float
    """Share of them around which the result is dark, or overexposed."""
    noise: float
    """Median curvature of the result's brightness, all over the picture [levels/px^2]."""
    lit: float
    """Brightness of the result on it over that of the source."""
    pixels: float
    """Pixels that speak in a frame, on average [px of the view]."""
    depth: float
    """Median depth, on average [m]; 0 without depth."""
    kept: float
    """Share of them at which the request keeps the source's look."""
    snowed: float
    """Share of them that snow was asked to lie on."""
    products: np.ndarray
    """Sums of products of gradients in each of ``BANDS`` bands across its longer side, shape [BANDS, 6, 6]: three
    channels of the source, then three of the result."""
    band_pixels: np.ndarray
    """Pixels that speak in each band and frame, on average, shape [BANDS]."""

    def snowed_over(self, limits: Limits) -> bool:
        """Whether snow was asked to lie on nearly all of it: what is seen there proves nothing."""
        return self.snowed * (1.0 - self.kept) > limits.max_snowed


class Sights:
    """Adds up, in one frame of ``twin_step``, products of the gradients of source and result on every thing.

    A gradient of the result is held against a linear function of those of the source's three channels, one function a
    thing: light, haze, wear and another paint change that function, but where something else is seen there is none. A
    pixel speaks where nothing nearer is within 2 px and the result is neither dark nor overexposed all around.

    Args:
        truth: The instances of the clip.
        limits: How to measure.
        kept: How much of the source's look the request keeps, float32 in [0, 1], shape [T, H, W].
        snowed: Where snow was asked to lie, bool, shape [T, H, W].
    """

    def __init__(
        self, truth: Truth, limits: Limits, kept: Optional[np.ndarray] = None, snowed: Optional[np.ndarray] = None
    ) -> None:
        count = len(truth.things)
        self._limits, self._kept, self._snowed = limits, kept, snowed
        self._things = truth.single
        self._products, self._pixels = np.zeros((count, BANDS, 6, 6)), np.zeros((count, BANDS))
        self._frames = np.zeros(count)
        self._sums, self._areas = np.zeros((5, count)), np.zeros((2, count))
        self._soft, self._rims = np.zeros((count, 6, 6)), Rims(count)
        self._hidden = np.zeros((2, count))
        self._noise: list[float] = []
        self._told: Optional[dict[int, Sight]] = None
        self._seen: list[tuple[int, np.ndarray]] = []
        self._first: Optional[int] = None

    def add(self, chunk: Chunk, areas: np.ndarray) -> None:
        """Take the new frames of a chunk in.

        Args:
            chunk: The frames, with things.
            areas: Pixels of each thing and of its largest piece in each new frame, shape [2, N, count].
        """
        first = min(2, chunk.frames.stop - 1) if self._first is None else self._first
        self._first, self._told = first, None
        for row, number in enumerate(chunk.frames):
            large = self._large(areas[0, row], chunk.thing[0].size)  # type: ignore[index]
            self._seen.append((number, large))
            self._areas += areas[:, row] * large
            if number >= first and (number - first) % self._limits.twin_step == 0:
                self._look(chunk, row + chunk.halo, number, large)

    def _large(self, area: np.ndarray, size: int) -> np.ndarray:
        """Tell which things are large enough in a frame, and not the scene itself, bool."""
        limits = self._limits
        least = max(limits.min_area, limits.min_share * size)
        return np.asarray(self._things & (area >= least) & (area < limits.max_share * size))

    def _look(self, chunk: Chunk, row: int, number: int, large: np.ndarray) -> None:
        """Add one frame."""
        thing = chunk.thing[row]  # type: ignore[index]
        scale = max(1, round(thing.shape[1] / self._limits.twin_width))
        cut = (slice(scale // 2, None, scale),) * 2
        thing = thing[cut]
        source, result = (_reduced(video[row], thing.shape) for video in (chunk.source, chunk.result))
        depth = None if chunk.depth is None else _known(chunk.depth[row][cut])
        hidden = _hidden(result, self._limits)
        speaks = ~hidden if depth is None else ~hidden & _uncovered(depth)
        self._rims.add(thing, depth, (source, result), hidden, large)
        self._noise.append(_noise(result))
        self._hidden += [np.bincount(thing[which].ravel(), minlength=len(large)) for which in (hidden, ~hidden)]
        where = np.flatnonzero(large[thing])
        band = _bands(thing.reshape(-1)[where], *np.divmod(where, thing.shape[1]))
        told = speaks.reshape(-1)[where]
        where, band = where[told], band[told]
        if not len(where):
            return
        groups = Groups.of(thing.reshape(-1)[where].astype(np.int64) * BANDS + band, len(self._things) * BANDS)
        where = where[groups.order]
        self._products += _gradients(groups, where, (source, result)).reshape(self._products.shape)
        soft = _gradients(groups, where, [cv2.GaussianBlur(picture, (0, 0), _SOFT) for picture in (source, result)])
        self._soft += soft.reshape(self._products.shape).sum(axis=1)
        self._pixels += groups.sizes.reshape(-1, BANDS)
        owners = np.repeat(groups.owners // BANDS, np.diff(np.append(groups.starts, len(where))))
        starts = np.flatnonzero(np.diff(owners, prepend=-1))
        kept, snowed = (None if maps is None else maps[number][cut] for maps in (self._kept, self._snowed))
        levels = (cv2.transform(picture, _LEVEL) for picture in (source, result))
        self._count(owners, starts, where, (depth, kept, snowed, *levels))

    def _count(
        self, owners: np.ndarray, starts: np.ndarray, where: np.ndarray, maps: tuple[Optional[np.ndarray], ...]
    ) -> None:
        """Add the means of some maps over the pixels that spoke of each thing."""
        found, counts = owners[starts], np.diff(np.append(starts, len(owners)))
        self._frames[found] += 1
        for sums, values in zip(self._sums, maps, strict=True):
            if values is not None:
                sums[found] += np.add.reduceat(values.reshape(-1)[where], starts, dtype=np.float64) / counts

    def all(self, share: float) -> dict[int, Sight]:
        """Return what was seen of each thing of which one piece holds this share."""
        if self._told is None:
            self._told = self._tell()
        return {owner: sight for owner, sight in self._told.items() if sight.piece >= share}

    def _tell(self) -> dict[int, Sight]:
        """Return what was seen of each thing of which pixels spoke."""
        owners = np.flatnonzero(self._frames > 0)
        if not len(owners):
            return {}
        frames, pixels, pairs = self._frames[owners], self._pixels[owners].sum(axis=1), self._rims.pairs[owners]
        area, piece = self._areas[:, owners]
        sharp, soft, rim = (
            Match.each(products, count)
            for products, count in (
                (self._products[owners].sum(axis=1), pixels), (self._soft[owners], pixels),
                (self._rims.products[owners], pairs),
            )
        )  # fmt: skip
        hidden = self._hidden[0, owners] / self._hidden[:, owners].sum(axis=0)
        depth, kept, snowed, before, after = self._sums[:, owners] / frames
        numbers, large = (
            np.array([number for number, _ in self._seen], np.int64),
            np.stack([of for _, of in self._seen]),
        )
        noise, found = float(np.mean(self._noise)), {}
        for i, owner in enumerate(owners.tolist()):
            seen = numbers[large[:, owner]]
            found[owner] = Sight(
                frames=seen,
                looked=int(frames[i]),
                sharp=sharp[i],
                soft=soft[i],
                rim=rim[i],
                pairs=float(pairs[i] / frames[i]),
                area=float(area[i] / len(seen)),
                piece=float(piece[i] / max(area[i], 1.0)),
                dark=float(hidden[i]),
                noise=noise,
                lit=float((after[i] + 1.0) / (before[i] + 1.0)),
                pixels=float(pixels[i] / frames[i]),
                depth=float(depth[i]),
                kept=float(kept[i]),
                snowed=float(snowed[i]),
                products=self._products[owner],
                band_pixels=self._pixels[owner] / frames[i],
            )
        return found


def explained(products: np.ndarray, pixels: np.ndarray | float) -> np.ndarray:
    """Share of the result's gradients that the best linear function of the source's explains (least squares, ridge).

    Args:
        products: Sums of products of gradients: three channels of the source, then three of the result, [..., 6, 6].
        pixels: Number of pixels in the sums, [...].
    """
    total = np.trace(products[..., 3:, 3:], axis1=-2, axis2=-1) + 3.0 * _NOISE * np.maximum(pixels, 1.0)
    shared = products[..., :3, 3:]
    return np.asarray((shared * slopes(products, pixels)).sum(axis=(-2, -1)) / total)


def slopes(products: np.ndarray, pixels: np.ndarray | float) -> np.ndarray:
    """Return that function, shape [..., 3, 3]: the result's gradients are the source's times it."""
    ridge = (_NOISE * np.maximum(pixels, 1.0))[..., None, None] * np.eye(3)
    return np.linalg.solve(products[..., :3, :3] + ridge, products[..., :3, 3:])


def _bands(owners: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Tell which band across the longer side of its thing's box each pixel lies in, shape [K]."""
    if not len(owners):
        return owners
    groups = Groups.of(owners, int(owners.max()) + 1)
    down, right = y.take(groups.order), x.take(groups.order)
    top, left = (np.minimum.reduceat(values, groups.starts) for values in (down, right))
    high, wide = (
        np.maximum.reduceat(values, groups.starts) + 1 - least for values, least in ((down, top), (right, left))
    )
    row = np.zeros(groups.count, np.int64)
    row[groups.owners] = np.arange(len(groups.starts))
    which = row[owners]
    tall = (high >= wide)[which]
    along = np.where(tall, y - top[which], x - left[which])
    return np.asarray(along * BANDS // np.where(tall, high[which], wide[which]))


def _reduced(picture: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Average a picture down to a size, float32."""
    if picture.shape[:2] != size:
        picture = cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return picture.astype(np.float32)


def _known(depth: np.ndarray) -> np.ndarray:
    """Depth with what was not hit far away [m]."""
    return np.where(np.isfinite(depth) & (depth > 0.0), depth, _FAR).astype(np.float32)


def _uncovered(depth: np.ndarray) -> np.ndarray:
    """Whether nothing nearer is within 2 px of a pixel; a plane at a grazing angle is (its inverse depth is linear)."""
    inverse = 1.0 / depth
    nearer, farther = cv2.dilate(inverse, _NEAR) - inverse, inverse - cv2.erode(inverse, _NEAR)
    return np.asarray(nearer <= 0.05 * inverse + 1.5 * np.minimum(farther, 0.2 * inverse))


def _hidden(result: np.ndarray, limits: Limits) -> np.ndarray:
    """Whether the result is dark all around a pixel, or overexposed."""
    dark = cv2.dilate(highest(result), _AROUND) < limits.dark_level
    return np.asarray(dark | (cv2.erode(lowest(result), _AROUND) > limits.white_level))


def _noise(result: np.ndarray) -> float:
    """Median curvature of brightness, in every fourth pixel [levels/px^2]: flakes, rain and noise raise it."""
    level = cv2.transform(result, _LEVEL)
    return float(np.median(np.abs(cv2.Laplacian(level, cv2.CV_32F))[::2, ::2]))


def _gradients(groups: Groups, where: np.ndarray, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Sum products of the gradients of two pictures at some pixels, by group, shape [count, 6, 6]."""
    across, down = (
        [channel.take(where) for picture in pictures for channel in cv2.split(_gradient(picture, axis))]
        for axis in (1, 0)
    )
    return groups.products(across) + groups.products(down)


def _gradient(picture: np.ndarray, axis: int) -> np.ndarray:
    """Gradient of each channel along one axis (Sobel 3 x 3 divided by 8) [levels/px]."""
    steep: np.ndarray = cv2.Sobel(picture, cv2.CV_32F, 1 - axis, axis, scale=0.125)
    return steep


__all__ = ["BANDS", "Match", "Sight", "Sights", "explained", "slopes"]
