"""Sentences of a prompt that tell what an earlier picture was like, and not what the next one is to be like.

"The last one came out gloomy. I want sunshine." asks for no gloom. English only.
"""

from __future__ import annotations

import re

_SENTENCE = re.compile(r".+?(?:[.!?;]+(?=\s|$)|,?\s+but\b|$)", re.IGNORECASE | re.DOTALL)
_EARLIER = re.compile(
    r"\b(?:last|previous|earlier|former|first|yesterday's|old)\s+(?:[\w-]+\s+)?(?:one|ones|time|batch|run|version|result|"
    r"render|try|output|clip|take|picture|draft|frame|image|video|attempt|set|pass|export|shot)\b"
    r"|^\W*why\b(?! not\b)|^\W*(?:last|previous|earlier|yesterday|before)\b|\byou (?:gave|made|sent)\b"
    r"|^\W*your \w+ (?:was|is|had|came|looked)\b|\bcame out\b",
    re.IGNORECASE,
)
_WISH = re.compile(
    r"\b(?:want|wants|need|needs|please|make|give|should|must|like|keep|same|than|as in|let|could|can|set|add|more|"
    r"less|compared|from|instead|now|not|take|strip|remove|twice|again)\b",
    re.IGNORECASE,
)


def asked_for(text: str) -> str:
    """Return a prompt without what it tells of an earlier picture, or all of it where nothing else is said."""
    parts = [match[0] for match in _SENTENCE.finditer(text)]
    asked = [part for part in parts if _WISH.search(part) or not _EARLIER.search(part)]
    return "".join(asked).strip() if any(re.search(r"[a-z]", part, re.IGNORECASE) for part in asked) else text


__all__ = ["asked_for"]
