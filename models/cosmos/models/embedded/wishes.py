"""What a prompt wishes beyond how much there is of light and weather: of surfaces, things, lamps, lens, and the air."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

GROUND, WALLS, EVERYTHING = "ground", "walls", ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SurfaceWish:
    """What one kind of surface shall be made of, or which colour it shall have."""

    of: str
    """``GROUND``, ``WALLS``, or a noun such as "car"."""
    said: str
    """The words that asked for it."""
    material: str = ""
    """A family of ``wish_words.MATERIALS``; "" keeps the material and changes its colour."""
    color: str = ""
    """A name of ``wish_words.COLORS``; "" takes that of the material."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WearWish:
    """How worn something shall look."""

    of: str
    """A noun such as "forklift", ``GROUND``, ``WALLS`` or ``EVERYTHING``."""
    said: str
    """The words that asked for it."""
    wear: float
    """Factor on dirt, stains and scratches, in [0, 2]; 1 leaves them."""
    rust: bool = False
    """Whether the dirt is rust."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What a prompt wishes beyond light and weather; the defaults change nothing."""

    surfaces: tuple[SurfaceWish, ...] = ()
    """Materials and colours."""
    wear: tuple[WearWish, ...] = ()
    """Wear, in the order of the prompt; what is said of a thing counts before what is said of everything."""
    lamps: float = 1.0
    """Strength of the stage's lamps, in [0, 4]; 0 switches them off."""
    lamp_warmth: float = 0.0
    """Colour of the stage's lamps, from -1 (cold) to 1 (warm)."""
    motion_blur: float = 0.0
    """Length of the blur along true motion, in frames, in [0, 1]; 0.5 is a shutter of half the frame time."""
    defocus: float = 0.0
    """How far out of focus, in [0, 1]."""
    lens_dirt: float = 0.0
    """Smudges and specks on the lens, in [0, 1]."""
    lens_drops: float = 0.0
    """Drops of rain on the lens, in [0, 1]."""
    falls: bool = True
    """Whether rain and snow fall where there are some; else they only lie, as in "wet street" or "after rain"."""
    amount: float = 1.0
    """How much materials and colours cover what was there, in [0, 1]."""

    @property
    def any(self) -> bool:
        """Whether anything is wished of what is seen or of how it is seen; what is in the air is no such wish."""
        return self != Wishes(amount=self.amount, falls=self.falls)

    def guided(self, guidance: float) -> Wishes:
        """Return the wishes at a prompt guidance: none at 0, as said from 1 on."""
        share = min(1.0, max(0.0, guidance))
        if share == 1.0 or not self.any:
            return self
        if share == 0.0:
            return Wishes(falls=self.falls)
        return replace(
            self,
            wear=tuple(replace(wish, wear=1.0 + share * (wish.wear - 1.0)) for wish in self.wear),
            lamps=1.0 + share * (self.lamps - 1.0),
            lamp_warmth=share * self.lamp_warmth,
            motion_blur=share * self.motion_blur,
            defocus=share * self.defocus,
            lens_dirt=share * self.lens_dirt,
            lens_drops=share * self.lens_drops,
            amount=share,
        )

    def without(self, other: Wishes) -> Wishes:
        """Return the wishes less those that a negative prompt names."""
        taken = {(wish.of, wish.material, wish.color) for wish in other.surfaces}

        def is_taken(wish: SurfaceWish) -> bool:
            forms = {(of, material, color) for of in (wish.of, EVERYTHING) for material in (wish.material, "")
                     for color in (wish.color, "")}  # fmt: skip
            return bool(forms & taken)

        def kept(name: str) -> float:
            mine, said, neutral = getattr(self, name), getattr(other, name), getattr(Wishes(), name)
            return float(neutral) if (mine - neutral) * (said - neutral) > 0.0 else float(mine)

        names = ("lamps", "lamp_warmth", "motion_blur", "defocus", "lens_dirt", "lens_drops")
        worn = tuple(
            wish
            for wish in self.wear
            if not any(no.of in (EVERYTHING, wish.of) and (no.wear - 1) * (wish.wear - 1) > 0 for no in other.wear)
        )
        surfaces = tuple(wish for wish in self.surfaces if not is_taken(wish))
        changed: dict[str, Any] = {name: kept(name) for name in names}
        return replace(self, surfaces=surfaces, wear=worn, **changed)


__all__ = ["EVERYTHING", "GROUND", "WALLS", "SurfaceWish", "WearWish", "Wishes"]
