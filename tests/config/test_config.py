import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosmos.bridge.config import (
    PROMPT_LIMIT,
    BridgeConfig,
    ControlsConfig,
    OffloadPolicy,
    Prompt,
    RetryPolicy,
    load_config,
    merge,
    parse_assignment,
    parse_size,
    save_config,
)
from cosmos.bridge.controls.specs import DepthSpec, EdgeSpec, Region, SegSpec, VisSpec, WeightSpec
from cosmos.bridge.errors import ConfigError
from cosmos.bridge.settings import format_frames, parse_frames
from cosmos.bridge.types import Look

BASE = {"source": "scene.usda", "out": "out", "prompts": ["rain"]}

texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30).filter(lambda text: text.strip())
unit = st.floats(0, 1)
weight_specs = st.builds(
    WeightSpec,
    edge=unit,
    depth=unit,
    seg=unit,
    vis=unit,
    regions=st.lists(
        st.builds(Region, edge=unit, classes=st.tuples(texts), prims=st.lists(texts, max_size=2).map(tuple)), max_size=2
    ).map(tuple),
    keys=st.sampled_from([(), ((0, 0.0), (12, 1.0))]),
).filter(lambda spec: spec.regions or spec.edge or spec.depth or spec.seg or spec.vis)  # all zero is refused
configs = st.builds(
    BridgeConfig,
    source=texts,
    out=texts,
    prompts=st.lists(st.builds(Prompt, text=texts, name=st.text(max_size=60)), min_size=1, max_size=4).map(tuple),
    negative_prompt=st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
    cameras=st.lists(texts, max_size=3, unique=True).map(tuple),
    frames=st.none() | st.builds(range, st.integers(0, 9), st.integers(10, 90), st.integers(1, 7)),
    size=st.none() | st.tuples(st.integers(1, 4096), st.integers(1, 4096)),
    look=st.none() | st.builds(Look, fog=unit, sun_elevation=st.floats(-18, 90), seed=st.integers(0, 99)),
    weights=st.none() | weight_specs,
    controls=st.builds(
        ControlsConfig,
        edge=st.just(EdgeSpec()) | st.builds(EdgeSpec, low=st.floats(0, 400), high=st.floats(400, 900)),
        depth=st.just(DepthSpec()) | st.builds(DepthSpec, near=st.floats(0.1, 1), far=st.floats(2, 90)),
        seg=st.builds(SegSpec, shaded=st.booleans()),
        vis=st.builds(VisSpec),
    ),
    num_steps=st.none() | st.integers(1, 1000),
    guidance=st.none() | st.floats(-10, 10),
    device=st.none() | texts,
    offload=st.builds(
        OffloadPolicy,
        placement=st.sampled_from(["here", "worker", "batch"]),
        device=st.none() | texts,
        memory=st.sampled_from([None, 16, 24, 32, 48, 80]),
        fall_back=st.booleans(),
    ),
    seed=st.integers(0, 2**53),
    variants=st.integers(1, 10_000),
    retry=st.builds(
        RetryPolicy,
        max_attempts=st.integers(1, 100),
        change=st.sampled_from(["seed", "weights"]),
        weight_gain=st.floats(1, 10),
    ),
    sinks=st.none() | st.just(("dataset", "report")),
)


@given(configs)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_config_survives_json(config):
    assert BridgeConfig.from_mapping(json.loads(json.dumps(config.to_mapping()))) == config


def test_a_saved_config_loads_back_equal(tmp_path):
    config = BridgeConfig.from_mapping({**BASE, "frames": "0:48:2", "size": "704x1280", "weights": {"edge": 1}})
    save_config(config, tmp_path / "config.json")
    assert load_config(tmp_path / "config.json") == config


def test_toml_reads_like_the_readme(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        """
        source = "scene.usda"
        out = "out"
        frames = "0:48"
        size = "704x1280"
        prompts = ["a rainy night", {name = "fog", text = "dense fog"}]
        [weights]
        seg = 0.3
        [[weights.regions]]
        classes = ["robot"]
        edge = 1.0
        keys = [[0, 0.0], [12, 1.0]]
        [controls.edge]
        preset = "high"
        [retry]
        max_attempts = 3
        """
    )
    config = load_config(path)
    assert config.frames == range(48)
    assert config.size == (704, 1280)
    assert [prompt.name for prompt in config.prompts] == ["a-rainy-night", "fog"]
    assert config.weights.regions == (Region(classes=("robot",), edge=1.0, keys=((0, 0.0), (12, 1.0))),)
    assert config.controls.edge.preset == "high"
    assert config.retry.max_attempts == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"promts": ["x"]}, "'promts' is no setting; the nearest is 'prompts'"),
        ({"retry": {"max_atempts": 2}}, "'max_atempts' is no setting in retry; the nearest is 'max_attempts'"),
        (
            {"weights": {"regions": [{"edge": 1, "clases": ["a"]}]}},
            r"in weights.regions\[0\]; the nearest is 'classes'",
        ),
        ({"seed": "7"}, "seed must be a whole number, got '7'"),
        ({"seed": True}, "seed must be a whole number, got True"),
        ({"seed": 1.5}, "seed must be a whole number, got 1.5"),
        ({"seed": -1}, r"seed must lie in \[0"),
        ({"guidance": "much"}, "guidance must be a number, got 'much'"),
        ({"cameras": [3]}, r"cameras\[0\] must be a string, got 3"),
        ({"cameras": ["/a", "/a"]}, "names one camera twice"),
        ({"size": "0x8"}, "at least 1x1"),
        ({"size": "720p"}, "HEIGHTxWIDTH"),
        ({"size": [3]}, "a list of 2"),
        ({"frames": "48"}, None),
        ({"frames": "9:3"}, "holds no frame"),
        ({"frames": "a:b"}, "START:STOP"),
        ({"frames": "0:9:0"}, "steps by 0"),
        ({"prompts": []}, "no prompt"),
        ({"prompts": [" "]}, "A prompt is empty"),
        ({"prompts": 4}, "prompts must be a list"),
        ({"prompts": ["x" * 10_000]}, f"has 10000 characters; shorten it to at most {PROMPT_LIMIT}"),
        ({"weights": {"edge": 2.0}}, r"must lie in \[0, 1\]"),
        ({"retry": {"change": "luck"}}, "one of 'cause', 'seed', 'weights'"),
        ({"retry": {"max_attempts": 0}}, r"\[1, 100\]"),
        ({"retry": 3}, "retry must be a table"),
        ({"sinks": ["report"]}, "must hold 'dataset'"),
        ({"sinks": ["dataset", "cloud"]}, r"sinks\[1\] must be one of"),
        ({"num_steps": 0}, "num_steps"),
        ({"variants": 0}, "variants"),
        ({"transfer": " "}, "transfer is empty"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(change, told):
    if told is None:
        BridgeConfig.from_mapping({**BASE, **change})
        return
    with pytest.raises(ConfigError, match=told):
        BridgeConfig.from_mapping({**BASE, **change})


def test_a_missing_setting_is_named():
    with pytest.raises(ConfigError, match=r"There is no prompt; give at least one with prompts = .* or --prompt TEXT"):
        BridgeConfig.from_mapping({"source": "scene.usda", "out": "out"})
    with pytest.raises(ConfigError, match="source is missing"):
        BridgeConfig.from_mapping({"out": "out", "prompts": ["rain"]})


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("seed=7", {"seed": 7}),
        ("retry.max_attempts=3", {"retry": {"max_attempts": 3}}),
        ("negative_prompt=blurry, dark", {"negative_prompt": "blurry, dark"}),
        ("transfer='identity'", {"transfer": "identity"}),
        ('cameras=["/World/A", "/World/B"]', {"cameras": ["/World/A", "/World/B"]}),
        ("weights.edge = 0.5", {"weights": {"edge": 0.5}}),
    ],
)
def test_assignments_are_toml_or_text(text, parsed):
    assert parse_assignment(text) == parsed


@pytest.mark.parametrize("text", ["seed", "=7", "a..b=1"])
def test_a_broken_assignment_is_refused(text):
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        parse_assignment(text)


def test_settings_win_over_the_file_table_by_table(tmp_path):
    path = tmp_path / "run.json"
    path.write_text(json.dumps({**BASE, "seed": 1, "retry": {"max_attempts": 5, "change": "weights"}}))
    config = load_config(path, merge({"seed": 7}, {"retry": {"max_attempts": 3}}))
    assert (config.seed, config.retry.max_attempts, config.retry.change) == (7, 3, "weights")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("run.yaml", "a: 1", "must end in .toml or .json"),
        ("run.toml", "a = ", "does not parse"),
        ("run.json", "[1]", "must hold a table"),
        ("run.json", "{", "does not parse"),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path, name, content, told):
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=told):
        load_config(tmp_path / name)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")


def test_prompts_of_one_name_are_told_apart():
    config = BridgeConfig.from_mapping({**BASE, "prompts": ["rain", "Rain!", "rain"]})
    assert [prompt.name for prompt in config.prompts] == ["rain", "rain-2", "rain-3"]


def test_prompts_may_be_a_table_of_names():
    config = BridgeConfig.from_mapping({**BASE, "prompts": {"Night 1": "dark"}})
    assert config.prompts == (Prompt(name="night-1", text="dark"),)


def test_a_mask_in_memory_cannot_be_saved(tmp_path):
    import numpy as np

    weights = WeightSpec(regions=(Region(edge=1.0, mask_array=np.ones((2, 2), bool)),))
    config = BridgeConfig.from_mapping(BASE).replace(weights=weights)
    with pytest.raises(ConfigError, match="ndarray cannot be saved"):
        save_config(config, tmp_path / "config.json")


@given(st.integers(0, 50), st.integers(1, 90), st.integers(1, 9))
def test_frames_are_written_as_they_are_read(start, length, step):
    frames = range(start, start + length, step)
    assert parse_frames(format_frames(frames)) == frames


def test_one_number_is_one_frame():
    assert parse_frames("5") == range(5, 6)


def test_size_is_height_by_width():
    assert parse_size("704x1280") == parse_size("704 X 1280") == (704, 1280)


def test_a_look_is_a_text_or_a_table():
    want = Look(sun_elevation=-8.0, fog=0.3, seed=4)
    for look in ("sun_elevation=-8, fog=0.3,seed=4", {"sun_elevation": -8, "fog": 0.3, "seed": 4}):
        assert BridgeConfig.from_mapping({**BASE, "look": look}).look == want


@pytest.mark.parametrize(
    ("look", "told"),
    [
        ("fog", "NAME=NUMBER"),
        ("fog=thick", "NAME=NUMBER"),
        ("fogg=0.3", "nearest is 'fog'"),
        ("fog=1.5", r"look.fog must lie in \[0, 1\], got 1.5"),
        ("sun_azimuth=nan", "look.sun_azimuth must be a finite number"),
        ("seed=0.5", "look.seed must be a whole number"),
    ],
)
def test_a_look_that_is_none_is_refused(look, told):
    with pytest.raises(ConfigError, match=told):
        BridgeConfig.from_mapping({**BASE, "look": look})
