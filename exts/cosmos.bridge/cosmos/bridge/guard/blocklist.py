"""A guard of words: refuses prompts that name what no training picture needs.

It reads prompts only. Videos pass unseen, and the report says so: the effective posture of the video stage is ``off``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from cosmos.bridge.types import GuardReport, TransferResult

BLOCKED: Mapping[str, tuple[str, ...]] = {
    "sexual content": (
        "nude", "nudity", "naked", "porn", "porno", "pornographic", "pornography", "nsfw", "erotic", "hentai", "sex",
        "sexual", "sexually", "explicit",
    ),
    "gore": (
        "gore", "gory", "beheading", "beheaded", "decapitated", "decapitation", "dismembered", "dismemberment",
        "mutilated", "mutilation", "corpse", "corpses", "entrails", "bloodbath", "massacre", "torture", "tortured",
    ),
    "self-harm": ("suicide", "suicidal", "self harm", "self mutilation"),
    "hate": ("nazi", "nazis", "swastika", "swastikas", "lynching", "ku klux klan", "ethnic cleansing"),
    "terror": ("terrorist attack", "suicide bomber", "suicide bombing", "bomb making", "mass shooting"),
}  # fmt: skip
"""Reason -> words and phrases, in lower case, one blank between words."""

_WORD = re.compile(r"[^\W_]+")
_LOOKALIKES = str.maketrans({"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"})


class BlocklistGuard:
    """Refuses prompts that hold a blocked word or phrase, whole words only, whatever their case or accents."""

    @property
    def name(self) -> str:
        """Name in the registry."""
        return "blocklist"

    def screen_prompt(self, prompt: str) -> GuardReport:
        """Say whether a prompt may be used."""
        reasons = tuple(reason for reason, words in BLOCKED.items() if any(self._holds(prompt, word) for word in words))
        return GuardReport(
            allowed=not reasons, stage="prompt", requested="blocklist", effective="blocklist", categories=reasons
        )

    def screen_video(self, result: TransferResult) -> tuple[TransferResult, GuardReport]:
        """Let a result pass unseen, and say so."""
        return result, GuardReport(allowed=True, stage="video", requested="blocklist", effective="off")

    @staticmethod
    def _holds(prompt: str, word: str) -> bool:
        """Whether a text holds a word or phrase, as it is or with look-alike digits for letters."""
        plain = "".join(c for c in unicodedata.normalize("NFKD", prompt.lower()) if not unicodedata.combining(c))
        texts = (_words(plain), _words(plain.translate(_LOOKALIKES)))
        return any(f" {word} " in text for text in texts)


def _words(text: str) -> str:
    """Return the words of a text with one blank between and around them."""
    return f" {' '.join(_WORD.findall(text))} "


__all__ = ["BLOCKED", "BlocklistGuard"]
