"""What prompts wish of surfaces, things, lamps and the lens: by sentences that people write."""

import numpy as np
import pytest

from cosmos.models.embedded import wish_words
from cosmos.models.embedded.captions import condition_phrases, sample_conditions, split_clauses, split_words
from cosmos.models.embedded.text import PromptReader
from cosmos.models.embedded.text_encoder import TextEncoder
from cosmos.models.embedded.typing_errors import nearest_word
from cosmos.models.embedded.wish_reading import read_wishes, singular
from cosmos.models.embedded.wishes import EVERYTHING, GROUND, WALLS, Wishes
from cosmos.models.spec import TextEncoderConfig
from heard import heard_as


def read(text):
    return read_wishes(split_clauses(text), nearest=nearest_word)


def surfaces(text):
    return {wish.of: (wish.material, wish.color) for wish in read(text).wishes.surfaces}


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("cobblestone street at night", {GROUND: ("cobblestone", "")}),
        ("a street paved with cobblestones", {GROUND: ("cobblestone", "")}),
        ("red brick walls, wooden floor", {WALLS: ("brick", "red"), GROUND: ("wood", "")}),
        ("walls made of red brick", {WALLS: ("brick", "red")}),
        ("gravel yard in the fog", {GROUND: ("gravel", "")}),
        ("white walls", {WALLS: ("paint", "white")}),
        ("red cars and a blue forklift", {"car": ("", "red"), "forklift": ("", "blue")}),
        ("blue robot arm, yellow boxes", {"robot arm": ("", "blue"), "box": ("", "yellow")}),
        ("the cars are red", {"car": ("", "red")}),
        ("paint the forklift blue", {"forklift": ("", "blue")}),
        ("dark red cars, then red vans", {"car": ("", "red"), "van": ("", "red")}),
        ("red cars, blue cars", {"car": ("", "blue")}),
        ("a city street with cars", {}),
        ("clear day with blue sky and white clouds", {}),
    ],
)
def test_materials_and_colours_are_read(text, want):
    assert surfaces(text) == want


@pytest.mark.parametrize(
    ("text", "of", "low", "high"),
    [
        ("worn", EVERYTHING, 1.3, 1.7),
        ("very rusty forklift", "forklift", 1.9, 2.0),
        ("a slightly worn blue van", "van", 1.1, 1.4),
        ("the floor is dirty", GROUND, 1.3, 2.0),
        ("brand-new robots", "robot", 0.0, 0.3),
        ("a spotless hall", EVERYTHING, 0.0, 0.1),
    ],
)
def test_wear_is_read_with_its_strength(text, of, low, high):
    (wish,) = read(text).wishes.wear
    assert wish.of == of and low <= wish.wear <= high


@pytest.mark.parametrize(
    ("text", "name", "low", "high"),
    [
        ("warm lamps", "lamp_warmth", 0.4, 0.6),
        ("cold neon light", "lamp_warmth", -1.0, -0.5),
        ("lamps off", "lamps", 0.0, 0.0),
        ("dimly lit hall", "lamps", 0.2, 0.6),
        ("very dimly lit hall", "lamps", 0.05, 0.3),
        ("brightly lit hall", "lamps", 1.5, 3.0),
        ("motion blur", "motion_blur", 0.5, 0.5),
        ("slightly out of focus", "defocus", 0.2, 0.4),
        ("very dirty lens", "lens_dirt", 1.0, 1.0),
        ("smudges on the lens", "lens_dirt", 0.5, 0.9),
        ("raindrops on the lens", "lens_drops", 0.5, 0.9),
    ],
)
def test_lamps_and_lens_are_read(text, name, low, high):
    wishes = read(text).wishes
    assert low <= getattr(wishes, name) <= high
    assert wishes == Wishes(**{name: getattr(wishes, name)})


def test_what_cannot_be_done_is_reported_in_the_users_words():
    assert read("marble floor").not_understood == ("marble floor",)
    assert read("wooden crates at night").not_understood == ("wooden crates",)
    assert read("grass walls").not_understood == ("grass walls",)
    assert read("red").not_understood == ("red",) and read("green sky").not_understood == ("green sky",)
    both = read("blue metal barrels")
    assert both.not_understood == ("blue metal barrels",) and both.wishes.surfaces[0].color == "blue"


def test_no_wish_is_found_in_the_phrases_of_light_and_weather():
    assert [phrase for phrase in condition_phrases() if read(phrase).used] == []


def test_captions_wish_only_what_their_things_are_made_of():
    rng, said = np.random.default_rng(0), set()
    for _ in range(1500):
        reading = read(sample_conditions(rng)[1])
        assert not reading.not_understood and reading.wishes.lamps == 1.0 and not reading.wishes.wear
        said |= {wish.said for wish in reading.wishes.surfaces}
    assert said <= {"brick walls", "asphalt", "concrete floor", "concrete"}


def test_sand_in_the_air_is_no_ground():
    for prompt in ("wind whipping sand across the road", "sand in the air", "blown sand", "a storm of sand"):
        assert not read(prompt).used, prompt
    assert surfaces("a road of sand") == surfaces("sand") == {GROUND: ("sand", "")}


def test_a_sky_that_cannot_be_painted_is_told_and_still_read_as_light():
    reading = read("a purple sky and a red sun over red cars")
    assert reading.not_understood == ("purple sky", "red sun") and surfaces("a red sun over red cars") == {
        "car": ("", "red")
    }
    assert [word for word in reading.rest if word in ("sky", "sun", "cars")] == ["sky", "sun"]


def test_typing_errors_are_mended_and_told():
    reading = read("cobbelstone street and brik walls")
    assert ("cobbelstone", "cobblestone") in reading.corrected
    assert surfaces("cobbelstone street") == {GROUND: ("cobblestone", "")}


def test_a_negative_prompt_takes_back_what_it_names_and_no_more():
    asked = read("red cars, brick walls, dirty lens, worn, warm lamps").wishes
    less = asked.without(read("brick walls, dirty lens").wishes)
    assert {wish.of for wish in less.surfaces} == {"car"} and less.lens_dirt == 0.0
    assert less.wear == asked.wear and less.lamp_warmth == asked.lamp_warmth
    assert {wish.of for wish in asked.without(read("red cars").wishes).surfaces} == {WALLS}
    assert asked.without(read("cold lamps, clean").wishes) == asked
    assert asked.without(read("rusty").wishes).wear == ()


def test_guidance_fades_wishes_to_none():
    asked = read("dirty lens, dimly lit hall, worn, red cars").wishes
    assert asked.guided(1.0) == asked == asked.guided(2.0)
    assert not asked.guided(0.0).any
    half = asked.guided(0.5)
    assert half.lens_dirt == pytest.approx(0.4) and half.amount == 0.5 and half.wear[0].wear == pytest.approx(1.25)
    assert asked.lamps < half.lamps < 1.0


@pytest.fixture(scope="module")
def reader():
    words = tuple(split_words("fog night street walls cars a and the snow light red"))
    return PromptReader(TextEncoder(TextEncoderConfig(words=20, width=8, heads=2, layers=1, length=12)), words)


def test_the_reader_hands_wishes_on_and_reads_the_rest(reader):
    reading = reader.read("cobblestone street, velvet night, fog")
    assert reading.wishes.surfaces[0].material == "cobblestone" and reading.unknown == ("velvet",)
    assert reader.read("night and fog").wishes == Wishes()
    assert reader.read("dirty lens", negative="dirty lens").wishes == Wishes()
    assert not reader.read("dirty lens", guidance=0.0).wishes.any
    assert "marble walls" in reader.read("marble walls").unknown
    assert "marble walls" in reader.read("fog", negative="marble walls").unknown


def test_words_without_a_wish_are_read_as_before(reader, monkeypatch):
    seen = []
    monkeypatch.setattr(PromptReader, "_encode", lambda self, words: seen.append(words) or heard_as())
    reader.read("a street, light snow; cars and fog")
    assert seen[0] == ["a", "street", "light", "snow", "cars", "and", "fog"]


@pytest.mark.parametrize(
    ("noun", "one"), [("cars", "car"), ("boxes", "box"), ("lorries", "lorry"), ("glass", "glass"), ("people", "person")]
)
def test_nouns_lose_their_plural(noun, one):
    assert singular(noun) == one


def test_a_material_has_its_own_colour_or_a_muted_one():
    paint, brick = wish_words.color_of("", "blue"), wish_words.color_of("brick", "blue")
    assert paint == wish_words.ALBEDOS["blue"] and wish_words.color_of("brick", "red") is None
    assert np.dot(paint, (0.2126, 0.7152, 0.0722)) == pytest.approx(np.dot(brick, (0.2126, 0.7152, 0.0722)))
    assert np.ptp(brick) == pytest.approx(wish_words.MUTED * np.ptp(paint))
    assert wish_words.color_of("wood", "") is None


def test_lists_hold_together():
    places = {GROUND, WALLS}
    assert all(set(places_of) <= places for places_of in wish_words.MATERIALS.values())
    assert set(wish_words.COLORS.values()) == set(wish_words.ALBEDOS)
    assert all(0.0 < level < 1.0 for albedo in wish_words.ALBEDOS.values() for level in albedo)
    fields = set(Wishes.__slots__)
    manners = (wish_words.LAMPS, wish_words.LAMP_MANNERS, wish_words.LAMP_KINDS, wish_words.LENS)
    assert {name for manner in manners for name, _ in manner.values()} <= fields
