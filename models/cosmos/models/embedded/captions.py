"""Captions for looks, in many wordings: what the prompt reader is trained on and where its vocabulary comes from.

A caption names what is there; weather that it does not name is absent, an hour that it does not name is day. So the
same rule holds for a user's prompt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from cosmos.models.embedded.conditions import Conditions

# (lowest, highest, wordings) for each range of each attribute.
Scale = Sequence[tuple[float, float, Sequence[str]]]

_HOURS: Scale = (
    (-18.0, -8.0, (
        "at night", "night", "nighttime", "midnight", "at midnight", "2 am", "3 am", "in the middle of the night",
        "after dark", "a dark night", "late at night", "moonlit night", "by moonlight", "under the moon", "in the dark",
        "night scene", "1 am", "11 pm", "under street lamps", "lit by lamps at night", "pitch dark", "nocturnal",
        "10 pm", "night time", "at 2 am", "at 3 am", "at 11 pm", "late night", "moonlight",
        "by night", "in the dead of night", "deep night", "under the stars", "starlight", "starry night",
        "a starry sky", "stars in the sky", "the moon is out", "3 in the morning", "three in the morning",
        "2 in the morning", "two in the morning", "4 am", "the small hours", "in the small hours", "around midnight",
        "in darkness", "darkness", "dark outside", "it is dark", "a dark sky", "a black sky", "lamps on at night",
        "only the lamps are lit", "lit only by lamps", "street lamps on", "under floodlights at night",
        "night shift", "overnight", "the middle of the night", "long after dark", "long after sunset",
        "hours after sunset", "late at night, lamps on",
    )),
    (-6.0, -1.0, (
        "at dusk", "dusk", "twilight", "at twilight", "blue hour", "in the blue hour", "just after sunset", "at dawn",
        "before sunrise", "dawn", "nightfall", "last light", "after sunset", "civil twilight", "the sun has just set",
        "first light", "evening twilight", "just before sunrise",
        "just before dawn", "before dawn", "right before sunrise", "shortly before sunrise", "shortly after sunset",
        "right after sunset", "soon after sunset", "after sundown", "just after sundown", "daybreak", "at daybreak",
        "the break of day", "half light", "in the half light", "fading light", "the light is fading",
        "dim evening light", "it is getting dark", "getting dark", "as it gets dark", "as night falls",
        "the sun is gone", "the sun has gone down", "the sun is down", "the sun is below the horizon",
        "sun below the horizon", "the sun is not up yet", "before the sun is up", "before the sun comes up",
        "after the sun went down", "the sky still glows", "the last glow of the sky", "late dusk", "early dawn",
        "gloaming", "evening falls", "the evening sky glows", "between day and night",
    )),
    (2.0, 10.0, (
        "golden hour", "at golden hour", "at sunset", "sunset", "sunrise", "at sunrise", "low sun", "warm evening sun",
        "late afternoon sun", "golden light", "warm low sunlight", "early morning sun", "long shadows", "evening sun",
        "in the golden hour", "sundown", "warm golden light", "evening", "in the evening", "early morning",
        "golden evening light", "7 am", "7 pm",
        "just before sunset", "shortly before sunset", "right before sunset", "before sunset", "just after sunrise",
        "shortly after sunrise", "right after sunrise", "after sunrise", "the sun is setting", "the setting sun",
        "the sun is rising", "the rising sun", "the sun is low", "the sun is low in the sky", "a low sun",
        "low evening sun", "low evening sunlight", "low morning sun", "sun near the horizon",
        "the sun is near the horizon", "the sun just above the horizon", "sun close to the horizon", "sunset light",
        "sunrise light", "sunset glow", "sunrise glow", "golden sunlight", "golden morning light",
        "warm sunset light", "magic hour", "6 am", "6 pm", "late evening sun", "the last sun of the day",
        "the last warm sun", "last rays of the sun", "first rays of the sun", "first sun of the day",
        "very long shadows", "shadows are long", "everything glows in the evening sun", "the sun sinks",
        "low golden sun",
    )),
    (14.0, 30.0, (
        "morning", "in the morning", "mid-morning", "afternoon", "in the afternoon", "9 am", "10 am", "4 pm",
        "late afternoon", "morning light", "afternoon light", "mid-afternoon", "5 pm", "8 am",
        "morning sun", "afternoon sun", "this morning", "this afternoon", "a morning", "an afternoon",
    )),
    (35.0, 60.0, (
        "day", "daytime", "by day", "in daylight", "daylight", "sunny day", "bright day", "a normal day", "2 pm",
        "3 pm", "11 am", "during the day", "broad daylight", "in the daytime", "sunny", "bright sunlight", "sunshine",
        "sunlit", "clear daylight",
        "early afternoon", "early afternoon light", "in the early afternoon", "late morning", "full daylight",
        "bright daylight", "bright sun", "bright sunny day", "a clear sunny day", "a fine day", "a beautiful day",
        "a nice day", "a bright day", "the sun is out", "with the sun out", "the sun is shining", "sun is shining",
        "full sun", "in full sun", "strong sun", "strong sunlight", "summer day", "a summer day", "crisp shadows",
        "hard shadows", "sharp shadows", "sharp sun shadows", "clear day", "a clear day", "by daylight",
        "regular daylight", "plain daylight", "normal daylight", "the sun stands high", "sun well up",
        "sunny weather", "sunny conditions", "sunny afternoon",
    )),
    (60.0, 82.0, (
        "noon", "at noon", "midday", "high sun", "sun overhead", "12 pm", "summer noon", "harsh midday sun", "1 pm",
        "noontime", "in the midday sun",
        "lunchtime", "at lunchtime", "middle of the day", "in the middle of the day", "around noon",
        "the sun is high", "sun high in the sky", "the sun is right above", "short shadows", "harsh sun",
        "harsh sunlight", "high summer sun",
    )),
)  # fmt: skip

_CLEAR = (
    "clear", "clear sky", "clear skies", "blue sky", "cloudless", "no clouds", "fine weather", "clear weather",
    "good weather", "clean air", "dry", "nice weather", "dry weather", "good visibility", "crisp air",
        "blue skies", "bright and clear", "clear and bright", "clear and sunny", "not a cloud in the sky",
        "a clear blue sky", "the sky is clear", "the sky is blue", "deep blue sky", "fair weather", "fine and dry",
        "cloudless sky", "perfect weather", "perfect visibility", "bright and dry",
)  # fmt: skip
_OVERCAST: Scale = (
    (0.25, 0.5, ("partly cloudy", "some clouds", "a few clouds", "light clouds", "scattered clouds", "thin clouds")),
    (0.7, 1.0, (
        "overcast", "cloudy", "grey sky", "gray sky", "heavy clouds", "flat light", "diffuse light", "dull light",
        "under thick clouds", "overcast sky", "clouds", "gloomy", "gloomy weather", "soft overcast light",
        "dark clouds", "cloud cover", "a cloudy sky", "grey weather",
        "grey", "gray", "a grey day", "grey day", "a dull day", "dull", "dull weather", "dull grey light",
        "thick clouds", "thick grey clouds", "grey clouds", "clouds everywhere", "clouded over", "a covered sky",
        "the sky is covered", "the sky is grey", "full cloud", "full cloud cover", "complete cloud cover",
        "closed cloud cover", "a blanket of clouds", "low clouds", "leaden sky", "soft shadows",
        "hardly any shadows", "barely any shadows", "soft grey light", "flat grey light", "flat lighting",
        "diffuse daylight", "even grey light", "a white sky", "sunless", "dreary", "dreary weather",
        "dim grey daylight", "solid cloud", "heavy overcast", "the sun is hidden behind clouds",
        "the sun is behind clouds", "clouds hide the sun", "an overcast day", "a cloudy day", "cloudy weather",
        "overcast weather",
    )),
)  # fmt: skip
_FOG: Scale = (
    (0.06, 0.17, ("light fog", "slight haze", "mist", "misty", "light mist", "thin fog", "haze", "hazy",
                  "a bit of fog")),
    (0.2, 0.4, (
        "fog", "foggy", "in the fog", "fog rolling in", "foggy weather", "morning fog", "low visibility",
        "a foggy day", "foggy day", "foggy conditions", "ordinary fog", "normal fog", "moderate fog", "fog everywhere",
        "fog all around", "fog in the air", "fog on the ground", "fog over the ground",
        "fog hangs in the air", "lying in fog",
        "covered in fog", "wrapped in fog", "shrouded in fog", "fog banks", "a bank of fog", "reduced visibility",
        "the fog came in", "fog drifting in", "grey fog", "everything far away fades in fog", "fog hides the distance",
    )),
    (0.45, 0.75, (
        "dense fog", "thick fog", "heavy fog", "very foggy", "poor visibility", "extremely dense fog",
        "impenetrable fog", "near-zero visibility", "very thick fog", "very dense fog", "extremely thick fog",
        "extremely foggy", "so foggy", "so much fog", "fog so thick", "fog so dense", "the fog is thick",
        "the fog is very thick", "the fog is so thick", "the thickest fog", "the densest fog", "solid fog", "deep fog",
        "a wall of fog", "thick white fog", "dense white fog", "swallowed by fog", "lost in fog", "lost in thick fog",
        "hardly any visibility", "almost zero visibility", "zero visibility", "very poor visibility",
        "very low visibility", "extremely low visibility", "visibility of a few metres", "20 m of visibility",
        "twenty metres of visibility", "you can hardly see", "you can barely see", "one can barely see",
        "can hardly see ahead", "barely visible in the fog", "hardly visible in the fog", "pea soup fog",
    )),
)  # fmt: skip
_RAIN: Scale = (
    (0.15, 0.35, ("light rain", "drizzle", "drizzling", "a little rain", "wet ground", "after the rain", "damp",
                  "just after rain", "wet asphalt", "after rain", "slightly wet")),
    (0.42, 0.7, (
        "rain", "raining", "rainy", "in the rain", "puddles", "rain and puddles", "rain falling", "wet",
        "rainy weather", "rainfall", "showers", "a rainy day", "rainy day", "it rains", "it is raining", "rain falls",
        "rain is falling", "rain keeps falling", "steady rain", "ordinary rain", "moderate rain",
        "constant rain", "rain coming down",
        "raindrops", "wet street", "wet streets", "wet road", "wet roads", "wet weather", "wet concrete", "a wet day",
        "puddles on the ground", "rain showers", "rain on the ground", "soaked by rain", "wet from the rain",
        "rainwater on the ground", "rain soaked", "shower of rain",
    )),
    (0.75, 1.0, (
        "heavy rain", "downpour", "pouring rain", "rainstorm", "torrential rain", "storm", "thunderstorm", "stormy",
        "cloudburst", "pouring", "it is pouring", "very heavy rain", "strong rain", "raining hard", "heavy showers",
        "heavy rainfall", "driving rain",
    )),
)  # fmt: skip
_SNOW: Scale = (
    (0.15, 0.35, ("light snow", "a dusting of snow", "a little snow", "patches of snow", "frost", "frosty",
                  "first snow", "thin snow")),
    (0.45, 0.78, (
        "snow", "snowy", "snow falling", "snow on the ground", "snowfall", "covered in snow", "snowing", "snow cover",
        "winter snow", "falling snow", "fresh snow", "winter", "wintry", "it snows", "it is snowing", "snow falls",
        "snow is falling", "snow keeps falling", "snowflakes", "snowflakes in the air", "snowy weather", "snowy day",
        "a snowy day", "a winter day", "winter weather", "wintry weather", "snow covered", "snow-covered",
        "snow covered ground", "snow everywhere", "snow lies on the ground", "snow on everything", "a layer of snow",
        "a blanket of snow", "the ground is white", "white with snow", "white ground and falling snow", "steady snow",
        "moderate snow", "ordinary snow", "snow on the roofs", "snow on the road", "a snowy winter day",
        "fresh snowfall", "snow coming down",
    )),
    (0.82, 1.0, (
        "heavy snow", "blizzard", "deep snow", "snowstorm", "heavy snowfall", "thick snow", "snowed in",
        "a lot of snow", "very deep snow", "very heavy snow", "extremely heavy snow", "in a blizzard",
        "a blizzard hits", "blizzard conditions", "a raging blizzard", "in a snowstorm", "a heavy snowstorm",
        "a winter storm",
        "winter storm", "buried in snow", "buried under snow", "buried under deep snow", "deep snow everywhere",
        "masses of snow", "so much snow", "very much snow", "lots of snow", "tons of snow", "huge amounts of snow",
        "a thick layer of snow", "a thick blanket of snow", "knee deep snow", "waist deep snow", "snow drifts",
        "deep snow drifts", "high snow drifts", "snow piled high", "intense snowfall", "snowing heavily",
        "snowing hard", "snow comes down hard", "dense snowfall", "whiteout", "whiteout conditions",
        "half a metre of snow", "extreme snowfall",
    )),
)  # fmt: skip
_DUST: Scale = (
    (0.15, 0.4, ("dusty", "some dust", "dust in the air", "light dust", "hazy dust")),
    (0.5, 1.0, (
        "dust storm", "sandstorm", "thick dust", "heavy dust", "dust clouds", "very dusty", "brown haze", "desert dust",
        "a cloud of dust", "clouds of dust", "clouds of sand", "blowing sand", "blowing dust", "sand in the air",
        "sand blowing through the air", "dust blowing through the air", "dust everywhere", "dust fills the air",
        "the air is full of dust", "the air is full of sand", "air thick with dust", "a wall of dust", "a wall of sand",
        "dusty desert wind", "desert storm", "sand storm", "a dust storm", "windblown dust", "windblown sand",
        "airborne dust", "airborne sand", "dust haze", "brown dusty air", "orange dust", "swirling dust",
        "swirling sand", "sand and dust", "heavy sandstorm", "strong dust storm", "dusty storm", "sandy wind",
    )),
)  # fmt: skip
_EXPOSURE: Scale = (
    (-1.5, -0.6, ("underexposed", "dark exposure", "low exposure", "a dark picture", "too dark", "dim exposure")),
    (0.6, 1.3, ("overexposed", "bright exposure", "high exposure", "high key", "blown out", "too bright")),
)
_NOISE: Scale = (
    (0.15, 0.35, ("slightly grainy", "slight noise", "fine grain", "film grain")),
    (0.45, 0.9, ("noisy", "grainy", "high iso", "sensor noise", "noisy camera", "strong grain")),
)
_VIGNETTE: Scale = ((0.5, 0.9, ("vignette", "dark corners", "strong vignette", "vignetting")),)
_BEARING: Scale = (
    (-25.0, 25.0, ("backlit", "against the light", "against the sun", "sun ahead", "into the sun", "contre-jour")),
    (60.0, 120.0, ("sun from the left", "light from the left", "lit from the left", "sun on the left")),
    (150.0, 210.0, ("sun behind the camera", "front lit", "frontlit", "sun from behind", "sun at our back")),
    (240.0, 300.0, ("sun from the right", "light from the right", "lit from the right", "sun on the right")),
)

_WEATHER: dict[str, Scale] = {"overcast": _OVERCAST, "fog": _FOG, "rain": _RAIN, "snow": _SNOW, "dust": _DUST}
_WEATHERS = (
    (), ("fog",), ("snow",), ("rain",), ("overcast",), ("dust",), ("snow", "fog"), ("rain", "fog"),
    ("overcast", "fog"), ("overcast", "rain"),
)  # fmt: skip
"""Kinds of weather that come together."""
_LENS: dict[str, Scale] = {"exposure": _EXPOSURE, "noise": _NOISE, "vignette": _VIGNETTE}
_ABSENT: dict[str, Sequence[str]] = {
    "fog": ("no fog", "without fog", "fog-free", "not foggy"),
    "rain": ("no rain", "without rain", "not raining", "dry"),
    "snow": ("no snow", "without snow", "snow-free", "not snowing"),
    "overcast": ("no clouds", "without clouds", "not cloudy"),
    "dust": ("no dust", "without dust"),
}

_PLACES = (
    "warehouse", "loading yard", "loading dock", "factory", "street", "city street", "yard", "hall", "storage hall",
    "tabletop", "workbench", "robot arm on a table", "logistics centre", "parking lot", "road", "construction site",
    "industrial yard", "port", "field", "room", "kitchen", "laboratory", "production line", "scene", "outdoor scene",
    "indoor scene", "depot", "farm", "airport apron", "crossing", "intersection", "village", "alley", "garage",
    "gate", "warehouse gate", "bridge", "tunnel", "harbour", "harbor", "square", "lane", "highway", "motorway", "plaza",
    "courtyard", "quay", "ramp", "driveway", "sidewalk", "pavement", "path", "plant", "quarry", "rail yard", "station",
    "bus stop", "roundabout", "backyard", "town", "city", "suburb", "area", "place", "landscape",
    "countryside", "meadow",
    "forest road", "country road", "test track", "truck stop", "pier", "plain", "desert road", "mountain road", "site",
)  # fmt: skip
_THINGS = (
    "a forklift", "robots", "an autonomous mobile robot", "shelves", "racks with boxes", "pallets", "people walking",
    "pedestrians", "cars", "trucks", "crates", "barrels", "traffic lights", "trees", "buildings", "a conveyor",
    "cardboard boxes", "workers", "a delivery van", "containers", "houses", "machines", "a robot", "fences", "objects",
    "vehicles", "a gripper", "bins", "tools", "doors", "windows", "concrete floor", "asphalt", "brick walls",
)  # fmt: skip
_STYLES = (
    "photorealistic", "photo", "a photograph of", "photo of", "realistic", "high quality", "cinematic", "8k", "4k",
    "dslr", "sharp focus", "35 mm", "detailed", "highly detailed", "natural colours", "documentary photo", "hd",
    "raw photo", "real footage", "natural light", "professional photography", "video of", "a view of", "dashcam",
    "security camera footage", "robot camera", "camera", "footage of", "realistic lighting", "true to life",
)  # fmt: skip
_GLUE = (
    "the a an of in on at with and or to for by from under over near is are it its this that there as while where "
    "which "
    "into onto through across between behind beside around very really quite extremely somewhat slightly heavily "
    "some much many few lot bit kind sort like looks look looking make made set taken shot seen view picture image "
    "place setting time weather conditions lighting light lights lit air sky ground floor surface surfaces everything "
    "small large big old new red green blue yellow white black grey gray brown orange metal wooden plastic concrete "
    "steel standing moving driving parked passing working busy empty quiet open outside outdoors indoors inside "
    "i we you please want should be being show shows hangs lies covers comes came rolls rolled hits sweeps keeps drive "
    "drives walk all along far away ahead scene going gone still now only just turn give us need let me can could like"
)

UNHEEDED = frozenset(("busy", "empty", "quiet"))
"""Of these, words that ask for more or fewer things than the stage has, which no picture of the same stage can show."""
CLAUSE_END = re.compile(r"[,.;:!?()\n]+")
"""What ends a clause of a prompt."""
LEADING = frozenset(("a", "an", "the", "in", "at", "on", "by", "with", "under", "it", "is", "during"))
"""Words that only lead to the next one."""

_PATTERNS = (
    "{style} {place}, {hour}, {weather}", "{hour}, {weather}, {place}", "{place} {hour} with {weather}",
    "{weather} {hour}", "{place} with {thing}, {weather}, {hour}", "{hour}: {thing} in a {place}, {weather}",
    "a {place} in {weather}, {hour}", "{style}, {weather}, {hour}", "{weather}, {hour}",
    "{style} {place} with {thing} {hour}, {weather}, {style}", "{thing} in {weather} {hour}",
    "the {place} {hour}. {weather}. {thing}.", "{weather} over the {place}, {hour}, {style}", "{hour} {weather}",
    "{weather} at the {place} {hour}", "{hour} at the {place}, {weather}", "the {place} on {weather}, {hour}",
    "{weather} hangs over the {place}, {hour}", "the {place} lies in {weather} {hour}", "{hour} and {weather}",
    "drive through {weather} {hour}", "{weather} covers the {place} {hour}", "{weather} on the {place}, {hour}",
    "{thing} in the {place} {hour}, {weather} all around", "show the {place} {hour}, {weather}",
    "I want {weather}, {hour}, in the {place}", "{weather} and {thing}, {hour}",
    "{hour}, and {weather} over the {place}",
    "make it {weather} and {hour}", "it is {hour} and there is {weather} in the {place}", "{weather}; {hour}; {thing}",
)  # fmt: skip

_WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*|\d+")


def split_words(text: str) -> list[str]:
    """Return the words of a text in lower case, "car's" as "car"; hyphens split, numbers stay, all else is dropped."""
    return [part.removesuffix("'s") for word in _WORD.findall(text.lower()) for part in word.split("-")]


def vocabulary() -> list[str]:
    """Return every word that a caption can hold, sorted."""
    phrases: list[str] = [*_CLEAR, *_PLACES, *_THINGS, *_STYLES, _GLUE]
    for scale in (_HOURS, *_WEATHER.values(), *_LENS.values(), _BEARING):
        phrases += [wording for _, _, wordings in scale for wording in wordings]
    for wordings in _ABSENT.values():
        phrases += wordings
    return sorted({word for phrase in phrases for word in split_words(phrase)} | {str(hour) for hour in range(1, 13)})


def condition_phrases() -> list[str]:
    """Return every wording of light, weather and lens, and of the manner of a picture."""
    phrases: list[str] = [*_CLEAR, *_STYLES]
    for scale in (_HOURS, *_WEATHER.values(), *_LENS.values(), _BEARING):
        phrases += [wording for _, _, wordings in scale for wording in wordings]
    return [*phrases, *(wording for wordings in _ABSENT.values() for wording in wordings)]


def split_clauses(text: str) -> list[str]:
    """Return the words of a text as ``split_words`` does, with "," where a clause ends."""
    clauses = [split_words(clause) for clause in CLAUSE_END.split(text)]
    return [part for clause in clauses if clause for part in (*clause, ",")]


def bare(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a clause without those that only lead to the next one."""
    return tuple(word for word in words if word not in LEADING)


def find_wordings(words: Sequence[str]) -> list[tuple[int, tuple[str, ...]]]:
    """Return the wordings in a clause from left to right, as place and bare words; each takes as many as it can."""
    found, first, named = list[tuple[int, tuple[str, ...]]](), 0, named_ranges()
    while first < len(words):
        ends = range(len(words), first, -1)
        stop = next((end for end in ends if words[first] not in LEADING and bare(words[first:end]) in named), first)
        if stop > first:
            found.append((first, bare(words[first:stop])))
        first = max(stop, first + 1)
    return found


@lru_cache(maxsize=1)
def named_ranges() -> dict[tuple[str, ...], tuple[tuple[str, float, float], ...]]:
    """Return what each wording means by itself: its bare words -> attribute, lowest and highest value, of each."""
    found: dict[tuple[str, ...], tuple[tuple[str, float, float], ...]] = {}
    for name, scale in {"sun_elevation": _HOURS, **_WEATHER, **_LENS}.items():
        for low, high, wordings in scale:
            for wording in wordings:
                words = bare(split_words(wording))
                if (name, low, high) not in found.get(words, ()):
                    found[words] = (*found.get(words, ()), (name, low, high))
    return found


def noun_words() -> frozenset[str]:
    """Return the words that places and things are called by."""
    return frozenset(word for phrase in (*_PLACES, *_THINGS) for word in split_words(phrase)) - LEADING


def neutral_words() -> frozenset[str]:
    """Return the words that name things, places and manners, and never a condition."""
    return frozenset(word for phrase in (*_PLACES, *_THINGS, *_STYLES, _GLUE) for word in split_words(phrase))


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How often looks of each kind are drawn; each row sums to 1."""

    hours: tuple[float, ...]
    """Night, dusk, golden hour, morning, day, noon."""
    weather: tuple[float, ...]
    """One for each of the kinds of weather that come together."""


ASKED = Shares(
    hours=(0.2, 0.1, 0.15, 0.15, 0.28, 0.12),
    weather=(0.34, 0.13, 0.14, 0.12, 0.1, 0.05, 0.04, 0.03, 0.03, 0.02),
)
"""As people ask: what captions are read by."""
PAINTED = Shares(
    hours=(0.22, 0.18, 0.2, 0.1, 0.2, 0.1),
    weather=(0.26, 0.09, 0.19, 0.18, 0.1, 0.06, 0.03, 0.04, 0.02, 0.03),
)
"""More of what is hard to paint, dusk, rain and snow, and less of fog, which hides nearly all."""


def sample_conditions(rng: np.random.Generator, shares: Shares = ASKED) -> tuple[Conditions, str, bool]:
    """Draw a look and one of its captions.

    Returns:
        The conditions, a caption that names them, and whether the caption tells where the sun stands.
    """
    hour = _HOURS[rng.choice(len(_HOURS), p=shares.hours)]
    conditions = Conditions(
        sun_elevation=rng.uniform(hour[0], hour[1]), sun_bearing=rng.uniform(0.0, 360.0), vignette=0.2
    )
    said: list[str] = []
    for name in _WEATHERS[rng.choice(len(_WEATHERS), p=shares.weather)]:
        scale = _WEATHER[name]
        low, high, wordings = scale[int(rng.integers(len(scale)))]
        conditions = replace(conditions, **{name: rng.uniform(low, high)})
        said.append(str(rng.choice(wordings)))
    if conditions.rain > 0.1 or conditions.snow > 0.1:
        if rng.random() < 0.8:
            conditions = replace(conditions, overcast=max(conditions.overcast, rng.uniform(0.6, 1.0)))
        elif conditions.overcast == 0.0:
            said.append(str(rng.choice(_CLEAR[:5])))
    short = rng.random() < 0.3
    if not said and not short:
        said.append(str(rng.choice(_CLEAR)))
    if rng.random() < 0.18:
        absent = str(rng.choice([name for name in _ABSENT if getattr(conditions, name) == 0.0]))
        said.append(str(rng.choice(_ABSENT[absent])))
    for name, scale in _LENS.items():
        if rng.random() < 0.08:
            low, high, wordings = scale[int(rng.integers(len(scale)))]
            conditions = replace(conditions, **{name: rng.uniform(low, high)})
            said.append(str(rng.choice(wordings)))
    bearing_said = rng.random() < 0.15
    if bearing_said:
        low, high, wordings = _BEARING[int(rng.integers(len(_BEARING)))]
        conditions = replace(conditions, sun_bearing=rng.uniform(low, high) % 360.0)
        said.append(str(rng.choice(wordings)))
    if short:
        # People write "fog", and mean it.
        unsaid_hour = 35.0 <= conditions.sun_elevation <= 60.0 and bool(said)
        words = said if unsaid_hour else [*said, str(rng.choice(hour[2]))]
        rng.shuffle(words)
        return conditions, str(rng.choice((" ", ", "))).join(words), bearing_said
    unsaid_hour = 35.0 <= conditions.sun_elevation <= 60.0 and rng.random() < 0.5
    return conditions, _write(rng, "" if unsaid_hour else str(rng.choice(hour[2])), said), bearing_said


def _write(rng: np.random.Generator, hour: str, said: list[str]) -> str:
    """Compose one caption, in one of many word orders."""
    rng.shuffle(said)
    glue = str(rng.choice((", ", " and ", " with ", ", ", "; ")))
    text = str(rng.choice(_PATTERNS)).format(
        style=rng.choice(_STYLES), place=rng.choice(_PLACES), thing=rng.choice(_THINGS), hour=hour,
        weather=glue.join(said),
    )  # fmt: skip
    return text if rng.random() < 0.75 else _drop_words(rng, text, set(split_words(" ".join((hour, *said)))))


def _drop_words(rng: np.random.Generator, text: str, keep: set[str]) -> str:
    """Leave out some of the words that carry no condition, as hurried people do."""
    return " ".join(word for word in split_words(text) if word in keep or rng.random() < 0.5)


__all__ = [
    "ASKED",
    "CLAUSE_END",
    "LEADING",
    "PAINTED",
    "UNHEEDED",
    "Shares",
    "bare",
    "condition_phrases",
    "find_wordings",
    "named_ranges",
    "neutral_words",
    "noun_words",
    "sample_conditions",
    "split_clauses",
    "split_words",
    "vocabulary",
]
