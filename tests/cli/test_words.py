"""What the user types, before any work."""

import json

import pytest

from cosmos.bridge.cli.augment import config_of, parse_weights, read_prompts
from cosmos.bridge.cli.main import COMMANDS, build_parser
from cosmos.bridge.errors import ConfigError


def parsed(*words):
    return config_of(build_parser().parse_args(["augment", *words]))


def test_every_option_reaches_the_config(tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("night: a dark night\n# not this\n\na clear day\n")
    config = parsed(
        *("scene.usda", "--camera", "/World/A", "--camera", "/World/B", "--frames", "2:48:2", "--size", "704x1280"),
        *("--prompt", "rain", "--prompts", str(prompts), "--negative-prompt", "blur", "--weights", "edge=1,depth=0.5"),
        *("--transfer", "identity", "--num-steps", "3", "--guidance", "2", "--guard", "off", "--critic", "consistency"),
        *("--device", "cpu", "--seed", "7", "--variants", "4", "--out", "results", "--set", "retry.max_attempts=3"),
    )
    assert config.source.endswith("/scene.usda")
    assert config.cameras == ("/World/A", "/World/B")
    assert config.frames == range(2, 48, 2)
    assert config.size == (704, 1280)
    assert [(p.name, p.text) for p in config.prompts] == [
        ("rain", "rain"),
        ("night", "a dark night"),
        ("a-clear-day", "a clear day"),
    ]
    assert config.negative_prompt == "blur"
    assert (config.weights.edge, config.weights.depth, config.weights.seg) == (1.0, 0.5, 0.0)
    assert (config.transfer, config.num_steps, config.guidance) == ("identity", 3, 2.0)
    assert (config.guard, config.critic, config.device) == ("off", "consistency", "cpu")
    assert (config.seed, config.variants, config.out, config.retry.max_attempts) == (7, 4, "results", 3)


def test_options_win_over_set_and_set_over_the_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('source = "a.usda"\nout = "file"\nprompts = ["x"]\nseed = 1\nvariants = 2\ntransfer = "file"\n')
    config = parsed("--config", str(path), "--set", "seed=2", "--set", "variants=3", "--variants", "4")
    assert (config.seed, config.variants, config.transfer) == (2, 4, "file")


def test_a_json_summary_of_prompts_may_be_a_table(tmp_path):
    (tmp_path / "p.json").write_text(json.dumps({"night": "dark"}))
    (tmp_path / "p.toml").write_text('prompts = ["one", {name = "two", text = "second"}]')
    assert read_prompts(tmp_path / "p.json") == [{"name": "night", "text": "dark"}]
    assert read_prompts(tmp_path / "p.toml") == [{"text": "one"}, {"name": "two", "text": "second"}]


def test_a_colon_in_a_sentence_names_nothing(tmp_path):
    (tmp_path / "p.txt").write_text("a street at night: wet asphalt\n")
    assert read_prompts(tmp_path / "p.txt") == [{"text": "a street at night: wet asphalt"}]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("p.txt", "# nothing\n", "holds no prompt"),
        ("p.json", "3", "must hold a list"),
        ("p.json", "{", "cannot be read"),
    ],
)
def test_a_useless_prompts_file_is_one_sentence(tmp_path, name, content, told):
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=told):
        read_prompts(tmp_path / name)


def test_a_missing_prompts_file_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_prompts(tmp_path / "none.txt")


@pytest.mark.parametrize("text", ["edge", "edge=much", "edge=1;depth=2"])
def test_weights_are_kind_and_number(text):
    with pytest.raises(ConfigError, match="KIND=NUMBER"):
        parse_weights(text)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--prompt", "x", "--out", "o"], "source is missing; give a stage, a folder or an mp4"),
        (["s.usda", "--out", "o"], "There is no prompt; give at least one with"),
        (["s.usda", "--prompt", "x"], "out is missing; give --out DIR"),
        (["s.usda", "--prompt", " ", "--out", "o"], "A prompt is empty"),
        (["s.usda", "--prompt", "x" * 10_000, "--out", "o"], "has 10000 characters"),
        (["s.usda", "--prompt", "x", "--out", "o", "--size", "0x0"], "at least 1x1"),
        (["s.usda", "--prompt", "x", "--out", "o", "--frames", "5:5"], "holds no frame"),
        (["s.usda", "--prompt", "x", "--out", "o", "--weights", "egde=1"], "nearest is 'edge'"),
        (["s.usda", "--prompt", "x", "--out", "o", "--set", "retri.change=seed"], "nearest is 'retry'"),
        (["s.usda", "--prompt", "x", "--out", "o", "--config", "none.toml"], "cannot be read"),
    ],
)
def test_wrong_usage_is_one_sentence_and_code_2(cli, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    code, out, err = cli("augment", *words)
    assert code == 2
    assert told in err
    assert out == ""
    assert err.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_an_unknown_option_is_code_2(cli):
    code, _out, err = cli("augment", "s.usda", "--promt", "x")
    assert code == 2
    assert "--promt" in err


def test_every_command_has_help(cli):
    for command in COMMANDS:
        name = command.__name__.rpartition(".")[2]
        code, out, _err = cli(name, "--help")
        assert code == 0
        assert name in out


def test_the_version_is_printed(cli):
    from cosmos.bridge import __version__

    code, out, _ = cli("--version")
    assert (code, out.strip()) == (0, f"cosmos-bridge {__version__}")


def test_a_fault_of_ours_is_one_sentence_unless_debug(cli, monkeypatch):
    def broken(args):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("cosmos.bridge.cli.doctor.run", broken)
    code, _, err = cli("doctor")
    assert code == 1
    assert "--debug" in err
    assert "Traceback" not in err
    code, _, err = cli("doctor", "--debug")
    assert code == 1
    assert "Traceback" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--weights", "edge=2"], "weights.edge must lie in [0, 1], got 2.0."),
        (["--set", "weights.keys=[[3,1],[1,0]]"], "weights.keys needs frames >= 0 in ascending order, got [3, 1]."),
        (["--set", "weights.regions=[{edge=3}]"], "weights.regions[0].edge must lie in [0, 1], got 3.0."),
        (["--set", "weights.regions=[{classes=['box']}]"], "weights.regions[0] needs a weight for at least one of "
         "edge, depth, seg, vis, hdmap, lidar, got none."),
        (["--set", "preserve.box=[3,3,1,1]"], "preserve.box must be (x0, y0, x1, y1) with x0 < x1 and y0 < y1, got "
         "(3.0, 3.0, 1.0, 1.0)."),
        (["--set", "look.fog=2"], "look.fog must lie in [0, 1], got 2.0."),
        (["--set", "controls.edge.low=300"], "controls.edge needs low and high, or neither, got low=300.0, high=None."),
        (["--set", "controls.edge={low=9,high=3}"], "controls.edge needs 0 <= low <= high, got low=9.0, high=3.0."),
        (["--set", "controls.depth.far=9"], "controls.depth needs near and far, or neither, got near=None, far=9.0."),
        (["--set", "controls.depth={near=5,far=2}"], "controls.depth needs 0 < near < far [m], got near=5.0, far=2.0."),
        (["--set", "controls.vis.preset='lots'"], "controls.vis.preset must be one of 'very_low', 'low', 'medium', "
         "'high', 'very_high', got 'lots'."),
        (["--set", "frames=[0,4]"], 'frames must be "START:STOP[:STEP]", e.g. "0:48", got [0, 4].'),
        (["--set", "controls.seg.mapping={a=[300,0,0]}"], "controls.seg.mapping needs colours in 0..255, got 'a': "
         "(300, 0, 0)."),
    ],
)  # fmt: skip
def test_a_refused_setting_is_named_as_users_know_it(words, told):
    with pytest.raises(ConfigError) as caught:
        parsed("scene.usda", "--prompt", "rain", "--out", "out", *words)
    assert str(caught.value) == told


def test_presets_of_specs_are_those_of_the_kernels():
    from typing import get_args, get_type_hints

    from cosmos.bridge.controls import EdgeSpec, VisSpec
    from cosmos.bridge.kernels.blur import BLUR_PRESETS
    from cosmos.bridge.kernels.edges import EDGE_PRESETS

    assert get_args(get_type_hints(EdgeSpec)["preset"]) == tuple(EDGE_PRESETS)
    assert get_args(get_type_hints(VisSpec)["preset"]) == tuple(BLUR_PRESETS)


def test_help_names_what_can_be_chosen(capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["augment", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for name in ("identity", "cosmos3-sim-transfer", "blocklist", "embedded-reason"):
        assert name in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["augment", "a.usda", "--promt", "fog"], "cosmos-bridge augment: there is no option '--promt'; the nearest is "
         "'--prompt', and --help lists all."),
        (["augment", "--neg-promt=fog"], "cosmos-bridge augment: there is no option '--neg-promt'; the nearest is "
         "'--negative-prompt', and --help lists all."),
        (["critic", "calibrate", "--clisp", "3"], "cosmos-bridge critic calibrate: there is no option '--clisp'; the "
         "nearest is '--clips', and --help lists all."),
        (["verify", "out", "more"], "cosmos-bridge verify: 'more' is one word too many, and --help lists all."),
    ],
)  # fmt: skip
def test_an_unknown_option_is_answered_with_the_nearest(capsys, words, told):
    with pytest.raises(SystemExit) as left:
        build_parser().parse_args(words)
    assert left.value.code == 2 and capsys.readouterr().err.strip() == told


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["explain", "out", "--json", "clip"], "item", "clip"),
        (["explain", "out", "--json"], "item", None),
        (["quarantine", "retry", "out", "--attempts", "2", "a", "b"], "clips", ["a", "b"]),
        (["quarantine", "retry", "out", "a", "--attempts", "2", "b"], "clips", ["a", "b"]),
        (["quarantine", "retry", "--attempts", "2", "out"], "clips", []),
        (["augment", "--prompt", "fog", "a.usda", "--out", "o"], "source", "a.usda"),
    ],
)
def test_words_may_stand_behind_options(words, name, value):
    assert getattr(build_parser().parse_args(words), name) == value


def test_words_behind_options_are_not_taken_twice(capsys):
    for words in (["explain", "out", "a", "--json", "b"], ["explain", "out", "--json", "a", "b"]):
        with pytest.raises(SystemExit):
            build_parser().parse_args(words)
        assert "'b' is one word too many" in capsys.readouterr().err


def test_debug_may_stand_behind_an_action(capsys):
    from cosmos.bridge.cli.main import main

    assert main(["quarantine", "list", "nowhere", "--debug"]) == 3
    err = capsys.readouterr().err
    assert "Traceback" in err and "nowhere/manifest.json does not exist" in err
