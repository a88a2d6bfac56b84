"""The words that the docs list are those that the code reads."""

from pathlib import Path

from cosmos.models.embedded import wish_words as words

DOCS = Path(__file__).resolve().parents[2] / "exts" / "cosmos.bridge" / "docs" / "prompts.md"


def said(names):
    return ", ".join(sorted(" ".join(name) if isinstance(name, tuple) else name for name in names))


def tables():
    """Return the lines of the docs' tables, from the code."""
    lines = []
    for family, places in words.MATERIALS.items():
        names = said(word for word, of in words.MATERIAL_WORDS.items() if of == family)
        lines.append(f"| {family} | {' and '.join(places)} | {names} |")
    for color in words.ALBEDOS:
        lines.append(f"| {color} | {said(word for word, of in words.COLORS.items() if of == color)} |")
    more = said(word for word, factor in words.WEAR.items() if factor > 1.0)
    lines += [f"| more | {more} |", f"| less | {said(word for word, factor in words.WEAR.items() if factor < 1.0)} |"]
    lamps = {**words.LAMPS, **words.LAMP_MANNERS, **words.LAMP_KINDS}
    kinds = (
        ("off", lambda name, value: name == "lamps" and value == 0.0),
        ("weaker", lambda name, value: name == "lamps" and 0.0 < value < 1.0),
        ("stronger", lambda name, value: name == "lamps" and value > 1.0),
        ("warmer", lambda name, value: name == "lamp_warmth" and value > 0.0),
        ("colder", lambda name, value: name == "lamp_warmth" and value < 0.0),
    )
    lines += [f"| {kind} | {said(word for word, of in lamps.items() if means(*of))} |" for kind, means in kinds]
    for name in ("motion_blur", "defocus", "lens_dirt", "lens_drops"):
        lines.append(f"| `{name}` | {said(word for word, of in words.LENS.items() if of[0] == name)} |")
    weaker = said(word for word, factor in words.STRENGTHS.items() if factor < 1.0)
    stronger = said(word for word, factor in words.STRENGTHS.items() if factor > 1.0)
    return [*lines, f"| weaker by a word | {weaker} |", f"| stronger by a word | {stronger} |"]


def test_every_word_that_is_read_is_told_and_no_other():
    told = [line for line in DOCS.read_text().splitlines() if line.startswith("| ") and not line.startswith("| what")]
    assert told == tables()
