"""What the panel decides, without any Kit at all."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import warp as wp

from cosmos.bridge.config import BridgeConfig, parse_assignment
from cosmos.bridge.errors import ConfigError
from cosmos.bridge.jobs import JobProgress, JobState
from cosmos.bridge.kit.ui import backends
from cosmos.bridge.kit.ui.model import ClassRow, PanelModel, StageView
from cosmos.bridge.kit.ui.presets import AS_IT_IS, PRESETS
from cosmos.bridge.kit.ui.queue_rows import outcome, queue_rows
from cosmos.bridge.kit.ui.state import PanelState
from cosmos.bridge.kit.ui.words import to_toml
from cosmos.bridge.runs.summary import RunSummary
from cosmos.bridge.transfer.registry import BACKENDS

STAGE = StageView(opened=True, path="/stage.usda", cameras=("/Front", "/Side"), classes=(ClassRow(label="crate"),))


def ready(**fields):
    model = PanelModel(PanelState(**{"prompt": "rain", "output_dir": "out", "transfer": "identity", **fields}))
    model.look(STAGE)
    model.set(cameras=STAGE.cameras[:1])
    return model


def test_the_model_loads_without_kit():
    code = (
        "import sys, cosmos.bridge.kit.ui.model; print([n for n in sys.modules if n.split('.')[0] in ('omni', 'carb')])"
    )
    paths = [str(Path(backends.__file__).parents[4]), str(Path(backends.__file__).parents[6] / "models")]
    code = f"import sys; sys.path[:0] = {paths}\n{code}"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert told.stdout.decode().strip() == "[]"


@pytest.fixture
def judge(monkeypatch, tmp_path):
    """Judge one made-up backend on a made-up machine."""
    monkeypatch.setenv("COSMOS_BRIDGE_HOME", str(tmp_path))

    def judged(gpus=(), frames=8, config=None, base="cosmos-transfer2.5", **changes):
        backend = replace(BACKENDS[base], **{"packages": (), **changes})
        devices = [SimpleNamespace(total_memory=gb * 1e9) for gb in gpus]
        monkeypatch.setattr(backends, "backends", lambda: (backend,))
        monkeypatch.setattr(wp, "get_cuda_devices", lambda: devices)
        (row,) = backends.backend_rows(frames, (64, 96), config)
        return row

    return judged


def test_a_backend_says_what_is_in_the_way_one_thing_after_the_other(judge, tmp_path):
    assert judge(packages=("sys", "no_such_module")).why == (
        'no_such_module is missing: python.sh -m pip install "cosmos-bridge[cosmos]"'
    )
    assert judge().why == "its weights are not here: cosmos-bridge models fetch cosmos-transfer2.5"
    (tmp_path / "checkpoints" / "cosmos-transfer2.5").mkdir(parents=True)
    assert judge().why == "it needs a CUDA device of 24 GB, and there is none"
    assert judge(gpus=(8, 16)).why == "it needs a CUDA device of 24 GB, and the largest here has 16 GB"
    fitting = judge(gpus=(8, 32))
    assert fitting.fits and fitting.why == BACKENDS["cosmos-transfer2.5"].hardware
    assert "ask for fewer frames or a smaller size" in judge(gpus=(32,), frames=10**9).why


def test_a_backend_is_judged_by_the_whole_request(judge):
    plain = BridgeConfig.from_mapping({"source": "s", "out": "o", "prompts": ["rain"]})
    assert judge(base="identity", config=plain).fits
    row = judge(base="identity", config=plain.replace(negative_prompt="blur"))
    assert not row.fits and "identity does not use negative_prompt" in row.why


def asked(**offload):
    return BridgeConfig.from_mapping({"source": "s", "out": "o", "prompts": ["rain"], "offload": offload})


def test_a_backend_is_judged_by_where_it_runs_and_the_memory_that_is_named(judge, tmp_path):
    python = asked(placement="worker", python="/opt/cosmos/bin/python")
    assert "no_such_module is missing" in judge(packages=("no_such_module",), config=asked()).why
    assert "no_such_module" not in judge(packages=("no_such_module",), config=python).why
    (tmp_path / "checkpoints" / "cosmos3").mkdir(parents=True)
    assert "needs a CUDA device of 48 GB" in judge(gpus=(24,), base="cosmos3", config=asked()).why
    assert judge(gpus=(24,), base="cosmos3", config=asked(memory=24)).fits
    assert "needs a CUDA device of 32 GB" in judge(gpus=(24,), base="cosmos3", config=asked(memory=32)).why
    row = judge(base="identity", config=asked(fall_back=True))
    assert not row.fits and row.why.startswith("identity has no memory profiles, only cosmos-transfer2.5, cosmos3")


def test_where_the_model_runs_judges_the_backends_again_and_is_refused_where_it_means_nothing():
    pytest.importorskip("torch")
    model = ready()
    model.set(memory="24")
    assert model.why_not().startswith("identity does not fit: identity has no memory profiles")
    model.set(memory="any", worker_python="/opt/python")
    assert "offload.python is the Python of a worker, but offload.placement is 'here'" in model.why_not()
    model.set(placement="worker")
    assert model.why_not() == ""
    model.set(placement="batch")
    assert model.message == "placement must be one of here, worker, got 'batch'." and model.state.placement == "worker"


def test_start_waits_for_a_backend_that_fits_the_request():
    pytest.importorskip("torch")
    model = ready()
    assert model.why_not() == ""
    model.set(negative_prompt="blur")
    assert model.why_not().startswith("identity does not fit: identity does not use negative_prompt")
    model.set(transfer="embedded")
    assert model.why_not() == ""


def test_no_preview_beside_a_take_of_a_model_that_fills_the_device(judge, tmp_path):
    (tmp_path / "checkpoints" / "cosmos-transfer2.5").mkdir(parents=True)
    large, small = judge(gpus=(32,)), judge(base="identity")
    model = ready()
    model.backends, model.pending = (large, small), 1
    assert large.large and model.why_not_preview() == ""
    model.set(transfer=large.name)
    assert model.why_not_preview() == "cosmos-transfer2.5 fills the device; preview when the takes are done."
    model.pending = 0
    assert model.why_not_preview() == ""


@pytest.mark.parametrize(
    ("fields", "stage", "words"),
    [
        ({"material": "worn", "transfer": "embedded"}, STAGE, "words about material do not act"),
        ({}, STAGE, "identity keeps the pictures as they are"),
        ({}, replace(STAGE, path=""), "never saved"),
        ({}, replace(STAGE, classes=()), "Nothing on the stage is labelled"),
    ],
)
def test_notes_say_what_will_not_act(fields, stage, words):
    model = ready(**fields)
    model.look(stage)
    assert any(words in note for note in model.notes())


def test_a_class_out_of_sight_is_remarked():
    model = ready()
    model.set_class("crate", "vis", 1.0)
    assert not any("sight" in note for note in model.notes())
    model.share_out({"crate": 0.0})
    assert any(note.startswith("Not in sight now: crate") for note in model.notes())


def test_takes_are_numbered_on(tmp_path):
    model = ready(output_dir=str(tmp_path))
    assert model.next_take() == 0
    for name in ("take_0002", "take_0007", "notes", "take_x"):
        (tmp_path / name).mkdir()
    assert model.next_take() == 8 and model.keywords()["first_take"] == 8


@pytest.fixture(scope="module")
def reader():
    """The shipped prompt reader."""
    pytest.importorskip("torch")
    from cosmos.models.embedded.sampling import load_embedded
    from cosmos.models.weights import find_weights

    return load_embedded(find_weights("transfer-small"), device="cpu").reader


EXPECTED = {
    "weather": {"clear": None, "overcast": "overcast", "light rain": "rain", "rain": "rain", "storm": "rain",
                "mist": "fog", "fog": "fog", "snow": "snow", "blizzard": "snow", "dust storm": "dust"},
    "light": {"noon": (60, 90), "morning": (10, 35), "golden hour": (0, 14), "dusk": (-9, 2), "night": (-18, -8),
              "backlit": None, "overexposed": "exposure", "underexposed": "exposure"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("group", "name"), [(group, name) for group in EXPECTED for name in PRESETS[group] if name != AS_IT_IS]
)
def test_the_shipped_model_reads_every_preset_of_weather_and_light(reader, group, name):
    for seed in range(4):
        reading = reader.read(PanelState(prompt="a warehouse yard", **{group: name}).whole_prompt, seed=seed)
        assert reading.unknown == () and reading.corrected == ()
        want, neutral = EXPECTED[group][name], reader.read("a warehouse yard", seed=seed).conditions
        if isinstance(want, tuple):
            assert want[0] <= reading.conditions.sun_elevation <= want[1]
        elif want is not None:
            # Mist is the least of all: captions mean 0.06 to 0.17 of fog by it.
            assert abs(getattr(reading.conditions, want) - getattr(neutral, want)) > 0.055


def run_of(state=JobState.RUNNING, summary=None, **progress):
    return SimpleNamespace(
        state=state,
        over=state not in (JobState.WAITING, JobState.RUNNING),
        summary=summary,
        error="why",
        progress=JobProgress(state=state, **progress),
        name="take_0000",
        out=Path("nowhere"),
    )


def test_the_time_that_is_left_is_that_of_the_stage_until_a_clip_is_made():
    (row,) = queue_rows([run_of(stage="transfer", done=2, total=10)])
    assert row.left == ""
    run = run_of(stage="transfer (chunk 1 of 2)", done=4, total=10, stage_eta=18.2)
    (row,) = queue_rows([run])
    assert row.left == "transfer done in about 18 s" and row.text == "transfer (chunk 1 of 2) 4 of 10"
    assert row.share == pytest.approx(0.36)
    run.progress = replace(run.progress, stage="judge", done=0, total=300, eta=250.0, clips_done=1, clips_total=3)
    (row,) = queue_rows([run])
    assert row.left == "about 4 min left" and row.text == "judge 0 of 300, clip 2 of 3"


def test_rows_say_their_place_and_why_they_ended():
    waiting = [run_of(JobState.WAITING), run_of(JobState.WAITING)]
    rows = queue_rows([run_of(), *waiting, run_of(JobState.FAILED), run_of(JobState.CANCELLED)])
    assert [row.badge for row in rows] == ["running", "waiting", "waiting", "failed", "cancelled"]
    assert [row.text for row in rows[1:]] == ["number 1 in line", "number 2 in line", "why", "why"]
    assert [row.can_retry for row in rows] == [False, False, False, True, True]
    assert [row.can_cancel for row in rows] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("counts", "badge", "retry"),
    [
        ({"accepted": 2}, "accepted", False),
        ({"accepted": 1, "rejected": 1}, "partial", False),
        ({"rejected": 2}, "rejected", False),
        ({"refused": 2}, "refused", False),
        ({"failed": 2}, "failed", True),
        ({"rejected": 1, "refused": 1}, "rejected", False),
        ({"accepted": 1, "remaining": 1}, "partial", True),
        ({"remaining": 2}, "cancelled", True),
    ],
)
def test_badges_tell_what_became_of_the_clips(counts, badge, retry):
    zero = dict.fromkeys(("accepted", "rejected", "refused", "failed", "remaining"), 0)
    summary = RunSummary(
        out=Path("out"), planned=2, **{**zero, **counts}, attempts=2, rejected_attempts=0, seconds=75.0
    )
    (row,) = queue_rows([run_of(JobState.DONE, summary)])
    assert outcome(summary) == row.badge == badge and row.can_retry == retry
    assert row.text.endswith("in 75 s") and f"{summary.accepted} of 2 accepted" in row.text


@pytest.mark.parametrize(
    "value", [[{"classes": ['a "b"\\', "ü😀\n"], "vis": 1.0}], ["dataset"], True, 0.25, "tab\tand\x7f", []]
)
def test_toml_on_one_line_is_read_back_by_the_command_line(value):
    assert parse_assignment(f"weights.regions={to_toml(value)}") == {"weights": {"regions": value}}


def test_a_stage_without_a_file_has_no_command():
    model = ready()
    model.look(replace(STAGE, path=""))
    with pytest.raises(ConfigError, match="never saved"):
        model.command_line()
