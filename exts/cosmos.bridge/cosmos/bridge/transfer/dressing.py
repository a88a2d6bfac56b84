"""What a prompt wishes of surfaces, things, lamps and the lens, done to the frames of one view.

Materials, colours and wear are changed in what the net is told; blur and dirt are drawn into what it painted. Nothing
is carried from frame to frame but what each instance looked like when it was first seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.srgb import srgb_to_linear
from cosmos.bridge.transfer.light import up_vector, wear_seed
from cosmos.bridge.transfer.naming import has_openings, instance_kinds
from cosmos.bridge.types import Clip, LightMaps

if TYPE_CHECKING:
    import torch
    import warp as wp

    from cosmos.bridge.kernels.restyle import Style
    from cosmos.models.embedded.wishes import WearWish, Wishes

_WEAR = slice(14, 19)
"""Channels of the hints that show wear: luck, tint, coarse, grain and streaks."""
_STAINS = 2
"""That of these which tells stains."""
_SOILED = 2
"""Of these, from which on more means dirt and not only contrast."""
_FEW = 24
"""Pixels from which on an instance is seen well enough to know its own colour."""
_MOST_INSTANCES = 1 << 20
_MOST_NOUNS = 200
"""Kinds of things that one prompt may name."""
_GREY = 0.3
"""Reflectance of an ordinary thing, where nothing tells it."""


class Dressing:
    """One view's wishes.

    Args:
        wishes: What the prompt wishes; ``None`` for nothing.
        seed: Seed of the request.
    """

    def __init__(self, wishes: Optional[Wishes], *, seed: int) -> None:
        from cosmos.models.embedded.wishes import EVERYTHING, GROUND, WALLS, Wishes

        wishes = Wishes() if wishes is None else wishes
        self.wishes, self._seed = wishes, wear_seed(seed)
        named = dict.fromkeys([wish.of for wish in wishes.surfaces] + [wish.of for wish in wishes.wear])
        nouns = [of for of in named if of not in (GROUND, WALLS, EVERYTHING)]
        self._nouns, self._beyond = nouns[:_MOST_NOUNS], frozenset(nouns[_MOST_NOUNS:])
        self._slots = [GROUND, WALLS, *self._nouns]  # as `kernels.regions` counts them
        self._worn: dict[str, WearWish] = {}
        for wish in wishes.wear:
            self._worn[wish.of] = wish
        self._rest = self._worn.get(EVERYTHING)
        self._pixels = np.zeros(len(self._slots), dtype=np.int64)
        self._sites = self._anywhere = 0
        self._kinds: Optional[np.ndarray] = None
        self._known: tuple[int, ...] = ()
        self._absent: tuple[str, ...] = tuple(self._nouns)
        self._own = np.full((1, 3), np.nan)
        self._lit: Optional[bool] = None
        self._shown: Optional[bool] = None
        self._deep: Optional[bool] = None
        self._moving: Optional[bool] = None

    def prepare(
        self,
        clip: Clip,
        frames: range,
        *,
        ground: float,
        kept: Optional[wp.array],
        hints: Optional[torch.Tensor],
        maps: Optional[torch.Tensor],
    ) -> wp.array:
        """Change what the net is told of some frames, and return their pictures.

        Args:
            clip: The clip.
            frames: Which frames; they come in order.
            ground: Height of the ground along up [m].
            kept: How much of the source stays at each pixel, float32 in [0, 1], shape [F, H, W].
            hints: Light and wear hints, float32, shape [F, H, W, 23]; written over.
            maps: Light maps, uint8, shape [F, H, W, 14]; written over.

        Returns:
            sRGB, uint8, shape [F, H, W, 3]: the clip's own memory where nothing is changed.
        """
        import warp as wp

        rgb = clip.rgb[frames.start : frames.stop]
        self._lit, self._moving, self._deep = maps is not None, clip.motion is not None, hints is not None
        if not (self.wishes.surfaces or self.wishes.wear):
            return rgb
        share = None if kept is None else wp.array(1.0 - kept.numpy(), dtype=wp.float32, device=kept.device)
        regions = self._regions(clip, frames, ground)
        if hints is not None:
            self._wear_down(hints, regions, share)
        styles = self._styles()
        if regions is None or not any(styles):
            return rgb
        changed = wp.clone(rgb)
        self._restyle(clip, frames, regions, styles, changed, hints, maps, share)
        return changed

    @property
    def lamps(self) -> tuple[float, float]:
        """Strength and warmth of the stage's lamps."""
        return self.wishes.lamps, self.wishes.lamp_warmth

    def watch_lamps(self, light: Callable[[tuple[float, float]], Iterator[LightMaps]]) -> None:
        """Find out once whether a wish of lamps shows.

        Args:
            light: Returns the light maps of the first frame, if any, under lamps of a strength and warmth.
        """
        if self._shown is not None or self.lamps == (1.0, 0.0):
            return
        with_wish, without = (
            [(maps.relit.numpy().copy(), maps.glow.numpy().copy()) for maps in light(lamps)]
            for lamps in (self.lamps, (1.0, 0.0))
        )
        self._shown = not with_wish or any((a != b).any() for a, b in zip(with_wish[0], without[0], strict=True))

    def finish(self, clip: Clip, frames: range, pictures: wp.array, times: np.ndarray) -> None:
        """Draw blur and dirt into painted pictures of some frames, in place."""
        wishes = self.wishes
        faults = (wishes.motion_blur, wishes.defocus, wishes.lens_dirt, wishes.lens_drops)
        if max(faults) <= 0.0:
            return
        from cosmos.bridge.kernels.optics import Optics, see_through

        see_through(
            pictures,
            optics=Optics(
                motion_blur=wishes.motion_blur,
                defocus=wishes.defocus,
                lens_dirt=wishes.lens_dirt,
                lens_drops=wishes.lens_drops,
            ),
            times=times,
            seed=self._seed,
            motion=None if clip.motion is None else clip.motion[frames.start : frames.stop],
        )

    def effective(self) -> dict[str, Any]:
        """Return what was done: the wishes, and the share of all pixels that each region has; empty without any."""
        if not self.wishes.any:
            return {} if self.wishes.falls else {"falls": False}
        done = {
            name: value for name, value in asdict(self.wishes).items() if value != getattr(type(self.wishes)(), name)
        }
        shares = {of: round(int(n) / max(1, self._sites), 5) for of, n in zip(self._slots, self._pixels, strict=True)}
        asked = {wish.of for wish in self.wishes.surfaces} | {wish.of for wish in self.wishes.wear}
        if self._rest is not None:
            asked, shares["everything"] = asked | {"everything"}, round(self._anywhere / max(1, self._sites), 5)
        return {**done, "shares": {of: share for of, share in shares.items() if of in asked}}

    def notes(self) -> list[str]:
        """Say which wishes met nothing that they could change."""
        notes = []
        seen = {of for of, pixels in zip(self._slots, self._pixels, strict=True) if pixels > 0}
        for wish in self.wishes.surfaces:
            if wish.of not in seen:
                made = " ".join(part for part in (wish.color, wish.material.replace("paint", "")) if part)
                notes.append(f"{self._nothing(wish.of)}, so it was not made {made} ({wish.said!r}).")
        for worn in self.wishes.wear:
            if worn.of and worn.of not in seen:
                notes.append(f"{self._nothing(worn.of)}, so {worn.said!r} changed nothing.")
        if self._lit is False and (self.wishes.lamps != 1.0 or self.wishes.lamp_warmth != 0.0):
            notes.append("The light of the stage is not known, so its lamps stay as they are.")
        elif self._shown is False:
            notes.append("The first frame shows no light of lamps (lit at night and under a roof), so they stay.")
        if self._deep is False and self.wishes.wear:
            notes.append("The clip has no depth, so wear stays as it is.")
        if self._moving is False and self.wishes.motion_blur > 0.0:
            notes.append("The clip has no motion vectors, so nothing is blurred by motion.")
        return notes

    def _nothing(self, of: str) -> str:
        if of in self._beyond:
            return f"A prompt may name {_MOST_NOUNS} kinds of things and {of!r} is beyond them"
        if of in self._absent:
            return f"Nothing here is a {of!r}"
        return f"No {'wall' if of == self._slots[1] else of} was seen here"

    def _regions(self, clip: Clip, frames: range, ground: float) -> Optional[wp.array]:
        """Return where the ground, the walls and the named things are; ``None`` where nobody can know."""
        from cosmos.bridge.kernels.regions import FIRST_THING, NOWHERE, find_regions

        part = slice(frames.start, frames.stop)
        if clip.depth is None:
            return None
        known = tuple(clip.instances)
        if self._kinds is None or known != self._known:
            if max(known, default=0) >= _MOST_INSTANCES:
                return None
            self._kinds, absent = instance_kinds(clip.instances, self._nouns)
            self._known, self._absent = known, tuple(noun for noun in self._absent if noun in absent)
        ids = clip.instance_ids if clip.instances else None
        regions = find_regions(
            clip.depth[part],
            kinds=self._kinds,
            intrinsics=np.stack([camera.intrinsics for camera in clip.cameras[part]]),
            cam_to_world=np.stack([camera.cam_to_world for camera in clip.cameras[part]]),
            up=up_vector(clip.up_axis),
            ground=ground,
            normals=None if clip.normals is None else clip.normals[part],
            instance_ids=None if ids is None else ids[part],
            rest=NOWHERE if self._rest is None else len(self._slots),
        )
        counts = np.bincount(regions.numpy().reshape(-1), minlength=FIRST_THING + len(self._nouns))
        self._pixels += counts[: len(self._slots)]
        self._anywhere += int(counts.sum() - counts[NOWHERE:].sum())
        self._sites += regions.size
        return regions

    def _wear_down(self, hints: torch.Tensor, regions: Optional[wp.array], share: Optional[wp.array]) -> None:
        """Scale the hints of wear, where they are wished and nothing is kept."""
        import torch
        import warp as wp

        from cosmos.bridge.kernels.surface_noise import YOUNG

        factor = torch.ones(hints.shape[:3], dtype=torch.float32, device=hints.device)
        if self._rest is not None:
            factor.fill_(self._rest.wear)
        where = None if regions is None else wp.to_torch(regions)
        for slot, of in enumerate(self._slots):
            if where is not None and of in self._worn:
                factor[where == slot] = self._worn[of].wear
        if not self._worn:
            return
        if share is not None:
            factor = 1.0 + (factor - 1.0) * wp.to_torch(share)
        worn = hints[..., _WEAR]
        # New things show little wear, so what is asked to be worn is older first: as old as can be from 1.5 on.
        age = YOUNG + (1.0 - YOUNG) * (0.5 - 0.5 * worn[..., 0]).square()
        older = age + (1.0 - age) * (2.0 * (factor - 1.0)).clamp(0.0, 1.0)
        worn[..., _STAINS:].mul_((older / age)[..., None])
        worn.mul_(factor[..., None])
        worn[..., _STAINS].mul_(factor.clamp(min=1.0))  # they are faint as long as nothing is said
        worn[..., _SOILED:] += 0.3 * (factor - 1.0)[..., None]
        worn.clamp_(-1.0, 1.0)

    def _styles(self) -> list[Optional[Style]]:
        """Return what each region becomes; the last is that of everything else."""
        from cosmos.bridge.kernels.restyle import Style
        from cosmos.models.embedded.wish_words import color_of
        from cosmos.models.embedded.wishes import EVERYTHING, GROUND

        wanted = {wish.of: wish for wish in self.wishes.surfaces}
        styles: list[Optional[Style]] = []
        for of in (*self._slots, ""):
            wish, worn = wanted.get(of), self._worn.get(of, self._rest)
            rusts = () if of == GROUND else (EVERYTHING,)
            soiled = 0.0 if worn is None else 0.7 * max(0.0, worn.wear - 1.0)
            if wish is None and soiled == 0.0:
                styles.append(None)
                continue
            styles.append(
                Style(
                    family="" if wish is None else wish.material or "paint",
                    color=None if wish is None else color_of(wish.material, wish.color),
                    patterned=wish is not None and wish.material in ("", "paint"),
                    soiled=soiled,
                    # A rusty world has rust on its things, and mud on its ground.
                    soil="rust" if worn is not None and worn.rust and worn.of in (of, *rusts) else "dirt",
                )
            )
        return styles

    def _restyle(
        self,
        clip: Clip,
        frames: range,
        regions: wp.array,
        styles: list[Optional[Style]],
        rgb: wp.array,
        hints: Optional[torch.Tensor],
        maps: Optional[torch.Tensor],
        share: Optional[wp.array],
    ) -> None:
        import warp as wp

        from cosmos.bridge.kernels.restyle import estimate_reflectance, restyle_pictures

        part = slice(frames.start, frames.stop)
        light = None if maps is None else wp.from_torch(maps)
        ids = clip.instance_ids[part] if clip.instances and clip.instance_ids is not None else None
        estimates = estimate_reflectance(rgb, regions, light)
        self._meet(clip, estimates.numpy(), regions.numpy(), None if ids is None else ids.numpy(), rgb.numpy())
        restyle_pictures(
            rgb,
            regions=regions,
            styles=styles,
            estimates=estimates,
            own=np.nan_to_num(self._own, nan=_GREY),
            depth=clip.depth[part] if clip.depth is not None else None,
            intrinsics=np.stack([camera.intrinsics for camera in clip.cameras[part]]),
            cam_to_world=np.stack([camera.cam_to_world for camera in clip.cameras[part]]),
            up=up_vector(clip.up_axis),
            normals=None if clip.normals is None else clip.normals[part],
            instance_ids=ids,
            maps=light,
            hints=None if hints is None else wp.from_torch(hints),
            share=share,
            amount=self.wishes.amount,
            seed=self._seed,
        )

    def _meet(
        self, clip: Clip, estimates: np.ndarray, regions: np.ndarray, ids: Optional[np.ndarray], rgb: np.ndarray
    ) -> None:
        """Remember the typical estimate of each instance, and the light on it, from the first frame that shows it."""
        from cosmos.bridge.kernels.regions import NOWHERE

        for frame, (estimate, region) in enumerate(zip(estimates, regions, strict=True)):
            inside = (region != NOWHERE) & (estimate > 0.0)
            owners = np.zeros(region.shape, dtype=np.int64)
            if ids is not None:
                owners += ids[frame].view(np.uint32)
                owners[owners >= _MOST_INSTANCES] = 0  # of no known instance
            counts = np.bincount(owners[inside])
            if len(counts) > len(self._own):
                grown = np.full((len(counts), 3), np.nan)
                grown[: len(self._own)] = self._own
                self._own = grown
            new = np.flatnonzero((counts >= _FEW) & np.isnan(self._own[: len(counts), 0]))
            if not len(new):
                continue
            middle = float(np.median(_light(rgb[frame]))) if clip.probe is None else 0.0
            for key in new:
                typical = max(1e-4, float(np.median(estimate[inside & (owners == key)])))
                # A picture alone tells light times reflectance: half way between this thing's and all things'.
                light, who = np.sqrt(typical * max(middle, 1e-3)) / _GREY, clip.instances.get(int(key))
                self._own[key] = typical, light, who is not None and has_openings(who)


def _light(rgb: np.ndarray) -> np.ndarray:
    """Return the linear luma of sRGB levels."""
    level = rgb.astype(np.float32) / 255.0
    luma: np.ndarray = srgb_to_linear(level) @ np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
    return luma


__all__ = ["Dressing"]
