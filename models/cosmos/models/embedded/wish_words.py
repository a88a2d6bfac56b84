"""The words of wishes: materials, colours, wear, lamps, lens; a test holds the list in the docs to them."""

from __future__ import annotations

from cosmos.models.embedded.captions import bare, condition_phrases, split_words, vocabulary

MATERIALS = {
    "asphalt": ("ground",),
    "brick": ("walls", "ground"),
    "cobblestone": ("ground",),
    "concrete": ("ground", "walls"),
    "corrugated metal": ("walls",),
    "dirt": ("ground",),
    "grass": ("ground",),
    "gravel": ("ground",),
    "plaster": ("walls",),
    "sand": ("ground",),
    "tiles": ("ground", "walls"),
    "wood": ("ground", "walls"),
}
"""Family -> what can be made of it."""

MATERIAL_WORDS = {
    "asphalt": "asphalt", "tarmac": "asphalt", "asphalted": "asphalt", "blacktop": "asphalt",
    "brick": "brick", "bricks": "brick", "brickwork": "brick", "bricked": "brick",
    "cobblestone": "cobblestone", "cobblestones": "cobblestone", "cobbled": "cobblestone", "cobbles": "cobblestone",
    "cobble": "cobblestone", "setts": "cobblestone",
    "concrete": "concrete", "cement": "concrete",
    "corrugated": "corrugated metal",
    "dirt": "dirt", "mud": "dirt", "muddy": "dirt", "earth": "dirt", "unpaved": "dirt",
    "grass": "grass", "grassy": "grass", "lawn": "grass",
    "gravel": "gravel", "gravelly": "gravel", "pebble": "gravel", "pebbles": "gravel",
    "plaster": "plaster", "plastered": "plaster", "stucco": "plaster", "rendered": "plaster",
    "sand": "sand", "sandy": "sand",
    "tile": "tiles", "tiles": "tiles", "tiled": "tiles",
    "wood": "wood", "wooden": "wood", "plank": "wood", "planks": "wood", "timber": "wood", "boards": "wood",
    "parquet": "wood",
    "metal": "metal", "steel": "metal", "plastic": "plastic", "marble": "marble", "glass": "glass",
    "carpet": "carpet", "carpeted": "carpet",
}  # fmt: skip
"""Word -> family; one that is not in ``MATERIALS`` cannot be made and is said to be not understood."""

BARE = {
    word: "walls" if word == "brickwork" else "ground"
    for word in split_words("asphalt tarmac brickwork cobblestone cobblestones cobbles setts concrete gravel mud sand")
}
"""Material that may stand alone -> what shall be made of it."""

BLOWN = frozenset(
    split_words(
        "wind winds windy blow blows blowing blown storm storms air whip whips whipping whipped fly flies flying swirl "
        "swirls swirling gust gusts sky haze particles"
    )
)
"""Words of a clause in which sand is in the air, and no ground."""

COLORS = {
    "red": "red", "crimson": "red", "scarlet": "red", "green": "green", "blue": "blue", "navy": "navy",
    "yellow": "yellow", "orange": "orange", "white": "white", "black": "black", "grey": "grey", "gray": "grey",
    "brown": "brown", "pink": "pink", "purple": "purple", "violet": "purple", "turquoise": "turquoise",
    "cyan": "turquoise", "teal": "turquoise", "beige": "beige", "cream": "beige", "silver": "silver",
}  # fmt: skip
"""Word -> colour."""

ALBEDOS = {
    "red": (0.46, 0.020, 0.018), "green": (0.035, 0.22, 0.050), "blue": (0.022, 0.075, 0.42),
    "navy": (0.010, 0.018, 0.085), "yellow": (0.68, 0.46, 0.02), "orange": (0.62, 0.17, 0.012),
    "white": (0.74, 0.74, 0.72), "black": (0.014, 0.014, 0.015), "grey": (0.21, 0.21, 0.215),
    "brown": (0.13, 0.055, 0.022), "pink": (0.68, 0.22, 0.34), "purple": (0.16, 0.03, 0.30),
    "turquoise": (0.03, 0.36, 0.36), "beige": (0.56, 0.45, 0.30), "silver": (0.46, 0.47, 0.48),
}  # fmt: skip
"""Colour -> linear reflectance."""

NATURAL = frozenset(
    {("asphalt", "black"), ("asphalt", "grey"), ("brick", "red"), ("brick", "brown"), ("cobblestone", "grey"),
     ("concrete", "grey"), ("corrugated metal", "grey"), ("corrugated metal", "silver"), ("dirt", "brown"),
     ("grass", "green"), ("gravel", "grey"), ("plaster", "beige"), ("sand", "yellow"), ("sand", "beige"),
     ("wood", "brown")}
)  # fmt: skip
"""Families with a colour that they have by themselves."""
MUTED = 0.6
"""How colourful other materials of a colour are, against paint of it."""

SHADES = frozenset({"dark", "light", "bright", "deep", "pale", "shiny", "painted"})
"""Words before a colour that are passed over."""

WEAR = {
    "worn": 1.5, "weathered": 1.5, "rusty": 1.7, "rusted": 1.7, "dirty": 1.6, "grimy": 1.7, "filthy": 1.9,
    "scratched": 1.4, "stained": 1.5, "shabby": 1.5, "battered": 1.5, "scuffed": 1.4, "dilapidated": 1.8, "aged": 1.4,
    "neglected": 1.6, "grubby": 1.6, "old": 1.4, "new": 0.3, "brand": 0.2, "clean": 0.2, "spotless": 0.0,
    "pristine": 0.0, "immaculate": 0.0, "polished": 0.2, "freshly": 0.3, "unused": 0.2, "flawless": 0.0,
}  # fmt: skip
"""Word -> factor on wear."""

RUST = frozenset({"rusty", "rusted"})

LAMP_NOUNS = frozenset({"lamp", "lamps", "light", "lights", "lighting", "bulb", "bulbs", "tubes", "tube", "glow",
                        "luminaires", "spotlights", "floodlights", "headlamps"})  # fmt: skip
LAMP_MANNERS = {
    "warm": ("lamp_warmth", 0.5), "cold": ("lamp_warmth", -0.8), "cool": ("lamp_warmth", -0.6),
    "cozy": ("lamp_warmth", 0.6), "amber": ("lamp_warmth", 0.8), "dim": ("lamps", 0.35), "dimmed": ("lamps", 0.35),
    "faint": ("lamps", 0.25), "weak": ("lamps", 0.35), "bright": ("lamps", 2.0), "brilliant": ("lamps", 2.5),
    "glaring": ("lamps", 3.0),
}  # fmt: skip
"""Word before a lamp -> field of the wishes and its value."""
LAMP_KINDS = {
    "neon": ("lamp_warmth", -0.4), "fluorescent": ("lamp_warmth", -0.4), "led": ("lamp_warmth", -0.3),
    "daylight": ("lamp_warmth", -0.1), "tungsten": ("lamp_warmth", 0.55), "incandescent": ("lamp_warmth", 0.55),
    "halogen": ("lamp_warmth", 0.4), "sodium": ("lamp_warmth", 0.85), "electric": ("lamp_warmth", 0.0),
    "artificial": ("lamp_warmth", 0.0), "ceiling": ("lamp_warmth", 0.0), "overhead": ("lamp_warmth", 0.0),
    "indoor": ("lamp_warmth", 0.0), "hall": ("lamp_warmth", 0.0),
}  # fmt: skip
"""Kind of a lamp -> field of the wishes and its value."""
LAMPS = {
    tuple(phrase.split()): value
    for phrase, value in {
        "lamps off": ("lamps", 0.0), "lights off": ("lamps", 0.0), "lights out": ("lamps", 0.0),
        "lamps are off": ("lamps", 0.0), "lights are off": ("lamps", 0.0), "lamps switched off": ("lamps", 0.0),
        "lights switched off": ("lamps", 0.0), "lights turned off": ("lamps", 0.0), "unlit": ("lamps", 0.0),
        "power cut": ("lamps", 0.0), "power outage": ("lamps", 0.0), "dimly lit": ("lamps", 0.35),
        "poorly lit": ("lamps", 0.35), "badly lit": ("lamps", 0.35), "dim hall": ("lamps", 0.35),
        "dim warehouse": ("lamps", 0.35), "dim room": ("lamps", 0.35), "brightly lit": ("lamps", 2.0),
        "well lit": ("lamps", 1.6), "warmly lit": ("lamp_warmth", 0.5), "coldly lit": ("lamp_warmth", -0.8),
        "candlelit": ("lamp_warmth", 1.0), "half of the lamps": ("lamps", 0.5),
    }.items()
}  # fmt: skip
"""Phrase -> field of the wishes and its value."""

LENS = {
    tuple(phrase.split()): value
    for phrase, value in {
        "motion blur": ("motion_blur", 0.5),
        "motion blurred": ("motion_blur", 0.5), "long shutter": ("motion_blur", 1.0),
        "out of focus": ("defocus", 0.6), "unfocused": ("defocus", 0.6),
        "defocused": ("defocus", 0.6), "soft focus": ("defocus", 0.3), "blurry": ("defocus", 0.5),
        "blurred": ("defocus", 0.5), "unsharp": ("defocus", 0.4), "blur": ("defocus", 0.4),
        "dirty lens": ("lens_dirt", 0.8), "filthy lens": ("lens_dirt", 1.0), "smudged lens": ("lens_dirt", 0.7),
        "smudges on the lens": ("lens_dirt", 0.7), "smudge on the lens": ("lens_dirt", 0.6),
        "smudges": ("lens_dirt", 0.7), "dirt on the lens": ("lens_dirt", 0.8), "dust on the lens": ("lens_dirt", 0.6),
        "dusty lens": ("lens_dirt", 0.6), "lens dirt": ("lens_dirt", 0.8), "lens smudges": ("lens_dirt", 0.7),
        "fingerprints on the lens": ("lens_dirt", 0.7), "dirty camera": ("lens_dirt", 0.8),
        "lens is dirty": ("lens_dirt", 0.8), "clean lens": ("lens_dirt", 0.0), "spotless lens": ("lens_dirt", 0.0),
        "raindrops on the lens": ("lens_drops", 0.7), "raindrops on lens": ("lens_drops", 0.7),
        "drops on the lens": ("lens_drops", 0.7), "water drops on the lens": ("lens_drops", 0.7),
        "water on the lens": ("lens_drops", 0.7), "droplets on the lens": ("lens_drops", 0.7),
        "rain on the lens": ("lens_drops", 0.7), "wet lens": ("lens_drops", 0.7),
    }.items()
}  # fmt: skip
"""Phrase -> field of the wishes and its value."""

GROUND_NOUNS = frozenset(
    split_words(
        "street streets road roads floor floors ground grounds yard pavement pavements path paths lane lanes driveway "
        "square terrain surface soil sidewalk sidewalks apron"
    )
)
WALL_NOUNS = frozenset(split_words("wall walls facade facades front fronts building buildings house houses"))
PLACES = frozenset(
    split_words(
        "warehouse factory hall scene world place room kitchen laboratory depot garage site area port village farm "
        "town city picture everything surroundings environment setting workshop surfaces objects things lot dock "
        "centre"
    )
)
"""Nouns of a place: what is said of one holds for all in it."""

STRENGTHS = {
    "slightly": 0.5, "somewhat": 0.6, "a": 1.0, "bit": 0.5, "little": 0.5, "lightly": 0.5, "mildly": 0.5, "slight": 0.5,
    "very": 1.5, "heavily": 1.5, "extremely": 1.8, "strongly": 1.5, "badly": 1.5, "quite": 1.1, "really": 1.3,
    "strong": 1.5, "heavy": 1.5, "completely": 1.8, "the": 1.0, "with": 1.0, "an": 1.0, "some": 1.0,
}  # fmt: skip
"""Word before a wish -> factor on it; of several the last that is not 1."""
MADE = frozenset({"is", "are", "made", "built", "out", "of", "covered", "paved", "in", "with", "from", "laid"})
COMMANDS = frozenset({"make", "paint", "turn", "colour", "color", "give"})
FILLERS = frozenset({"painted", "coloured", "colored", "stone", "metal", "paving"})
SIZES = frozenset({"small", "large", "big", "tall", "little", "parked", "moving", "driving", "standing", "passing",
                   "other", "outer", "inner", "entire", "whole", "old", "new", "sheet"})  # fmt: skip
"""Words between a colour or material and its noun that are passed over."""
BREAKS = frozenset(
    split_words(
        "and or with in on at by under over near beside behind between while but then to for from of the a an is"
    )
) | {"are", ",", ""}
NO_NOUN = frozenset(
    split_words(
        "sky skies cloud clouds hour light lights lighting lamp lamps weather haze sun sunlight sunshine sunset "
        "sunrise day night morning evening noon dawn dusk twilight snow rain fog mist dust frost air water puddle "
        "puddles picture image photo photograph video footage view camera lens exposure noise colour colours color "
        "colors tone tones glow moonlight corners visibility storm it this that there everywhere very really mood "
        "atmosphere season winter summer autumn spring weather rainy snowy foggy misty hazy dusty cloudy stormy frosty "
        "wintry sunny overcast today tonight now outside outdoors overhead above"
    )
)
"""What can follow a colour without being a thing that could have it."""
COMPOUNDS = frozenset({"robot arm", "robot arms", "traffic cone", "traffic cones",
                       "cardboard box", "cardboard boxes", "delivery van",
                       "delivery vans", "hand truck", "pallet jack", "fire hydrant", "trash can"})  # fmt: skip
PLURALS = {"people": "person", "men": "man", "women": "woman", "shelves": "shelf", "buses": "bus", "lorries": "lorry",
           "leaves": "leaf", "knives": "knife", "boxes": "box", "children": "child"}  # fmt: skip

_PHRASES = [split_words(phrase) for phrase in (*condition_phrases(), "clean air", "sharp focus")]
IDIOMS = frozenset(tuple(phrase) for phrase in _PHRASES if len(phrase) > 1)
"""Phrases of light and weather, which the learnt reader knows; no wish begins in one."""
LONG_IDIOMS = frozenset(words for words in map(bare, _PHRASES) if len(words) > 2)
"""The longer ones without words that only lead to the next: "wall of sand" and "the wall of the sand" are one."""

_SHAPED = {word for phrase in (*LENS, *LAMPS) for word in phrase}
KNOWN = frozenset({*MATERIAL_WORDS, *COLORS, *WEAR, *LAMP_MANNERS, *LAMP_KINDS, *LAMP_NOUNS, *GROUND_NOUNS, *WALL_NOUNS,
                   *PLACES, *STRENGTHS, *_SHAPED})  # fmt: skip
"""All words that wishes are made of."""
PLAIN = frozenset(vocabulary())
"""Words of the learnt reader, which are no typing errors of wishes."""
_LONG = {
    *MATERIAL_WORDS,
    *WEAR,
    *COLORS,
    *LAMP_KINDS,
    *split_words("blurry blurred smudged smudges fingerprints lamps"),
}
SPELLED = tuple(sorted(word for word in _LONG if len(word) >= 5))
"""Words that are told behind a typing error."""


def color_of(material: str, color: str) -> tuple[float, float, float] | None:
    """Return the linear reflectance of a material in a colour; ``None`` for the material's own."""
    if not color or (material, color) in NATURAL:
        return None
    red, green, blue = ALBEDOS[color]
    if material in ("", "paint"):
        return red, green, blue
    grey = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return grey + MUTED * (red - grey), grey + MUTED * (green - grey), grey + MUTED * (blue - grey)


__all__ = [
    "ALBEDOS",
    "BARE",
    "BLOWN",
    "BREAKS",
    "COLORS",
    "COMMANDS",
    "COMPOUNDS",
    "FILLERS",
    "GROUND_NOUNS",
    "IDIOMS",
    "KNOWN",
    "LAMPS",
    "LAMP_KINDS",
    "LAMP_MANNERS",
    "LAMP_NOUNS",
    "LENS",
    "LONG_IDIOMS",
    "MADE",
    "MATERIALS",
    "MATERIAL_WORDS",
    "MUTED",
    "NATURAL",
    "NO_NOUN",
    "PLACES",
    "PLAIN",
    "PLURALS",
    "RUST",
    "SHADES",
    "SIZES",
    "SPELLED",
    "STRENGTHS",
    "WALL_NOUNS",
    "WEAR",
    "color_of",
]
