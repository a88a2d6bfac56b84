"""How people say what light and weather are: the words that captions are made of.

Wordings of light, weather and lens lie in ``wordings.json``. Each scale lists (lowest, highest, wordings): who says one
of them means a value between.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

Scale = Sequence[tuple[float, float, Sequence[str]]]

_FILE = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))


def _scale(name: str) -> Scale:
    return tuple((band["low"], band["high"], tuple(band["wordings"])) for band in _FILE[name])


CLEAR: Sequence[str] = tuple(_FILE["clear"])
HOURS = _scale("sun_elevation")
BEARING = _scale("bearing")
WEATHER: dict[str, Scale] = {name: _scale(name) for name in ("overcast", "fog", "rain", "snow", "dust")}
WEATHERS = (
    (), ("fog",), ("snow",), ("rain",), ("overcast",), ("dust",), ("snow", "fog"), ("rain", "fog"),
    ("overcast", "fog"), ("overcast", "rain"),
)  # fmt: skip
"""Kinds of weather that come together."""
LENS: dict[str, Scale] = {name: _scale(name) for name in ("exposure", "noise", "vignette")}
ABSENT: dict[str, Sequence[str]] = {
    "fog": ("no fog", "without fog", "fog-free", "not foggy"),
    "rain": ("no rain", "without rain", "not raining", "dry"),
    "snow": ("no snow", "without snow", "snow-free", "not snowing"),
    "overcast": ("no clouds", "without clouds", "not cloudy"),
    "dust": ("no dust", "without dust"),
}

PLACES = (
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
THINGS = (
    "a forklift", "robots", "an autonomous mobile robot", "shelves", "racks with boxes", "pallets", "people walking",
    "pedestrians", "cars", "trucks", "crates", "barrels", "traffic lights", "trees", "buildings", "a conveyor",
    "cardboard boxes", "workers", "a delivery van", "containers", "houses", "machines", "a robot", "fences", "objects",
    "vehicles", "a gripper", "bins", "tools", "doors", "windows", "concrete floor", "asphalt", "brick walls",
    "a cat", "cats", "a dog", "dogs", "ducks", "buckets", "drums", "gutters", "a gutter", "a roof", "roofs",
    "umbrellas", "an umbrella", "a raincoat", "wellies", "stairs", "a stair", "rods", "a curtain",
    "curtains", "road markings", "roads", "streets", "lanes", "a kerb", "a corner", "corners", "a switch", "cameras",
    "a warning sign", "wheels", "a car", "a rotor", "a bowl", "particles", "milk", "a knife", "soup", "wool",
    "cotton", "a deck", "a ceiling", "ceilings", "a lid", "slate", "door handles", "a door", "branches", "twigs",
    "a tyre", "tracks", "chains", "pillows", "sugar", "mountains", "a coat", "footprints", "windowsills", "a verge",
    "edges", "an edge", "a valley", "the sea", "a post", "children", "a driver", "a church", "shops", "a school",
    "a clock", "bells", "coffee", "eyes", "heads", "a home", "knees", "a hand", "skin", "water", "a picnic",
    "a postcard", "a person", "a man", "a woman", "her", "his", "background", "a wall", "a window", "speed",
    "a level", "grip", "traces", "a bus", "a bike", "bikes", "a bicycle", "motorcycles", "a tram", "a train",
    "an aisle", "a rack", "a conveyor belt", "plants", "a hedge", "a tank", "pipes", "cables", "a drone", "drones",
    "a quadruped", "a humanoid", "a manipulator", "a cart", "a trolley", "signs", "a traffic cone", "cones",
    "a counter", "an orchard", "an engine", "steps", "a sofa", "chairs", "a table", "a bench", "a shelf",
)  # fmt: skip
STYLES = (
    "photorealistic", "photo", "a photograph of", "photo of", "realistic", "high quality", "cinematic", "8k", "4k",
    "dslr", "sharp focus", "35 mm", "detailed", "highly detailed", "natural colours", "documentary photo", "hd",
    "raw photo", "real footage", "natural light", "professional photography", "video of", "a view of", "dashcam",
    "security camera footage", "robot camera", "camera", "footage of", "realistic lighting", "true to life",
)  # fmt: skip
GLUE = (
    "the a an of in on at with and or to for by from under over near is are it its this that there as while where "
    "which "
    "into onto through across between behind beside around very really quite extremely somewhat slightly heavily "
    "some much many few lot bit kind sort like looks look looking make made set taken shot seen view picture image "
    "place setting time weather conditions lighting light lights lit air sky ground floor surface surfaces everything "
    "small large big old new red green blue yellow white black grey gray brown orange metal wooden plastic concrete "
    "steel standing moving driving parked passing working busy empty quiet open outside outdoors indoors inside "
    "grass lawn any because been do every everyone get had here more off other than though was were would put nothing "
    "m metre metres meter meters your they things times when well has come went run mode right straight side close "
    "i we you please want should be being show shows hangs lies covers comes came rolls rolled hits sweeps keeps drive "
    "drives walk all along far away ahead scene going gone still now only just turn give us need let me can could like"
)

PATTERNS = (
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
