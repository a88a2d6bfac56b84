import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.calibrate.making import claimed, make_suite
from cosmos.bridge.calibrate.store import load_pair, save_pair
from cosmos.bridge.calibrate.suite import PROMPTS, plan_sources, plan_suite
from cosmos.bridge.calibrate.trials import GOOD, run_trials
from cosmos.bridge.errors import ConfigError, PlantError, SourceError, VerdictParseError
from cosmos.bridge.transfer.registry import create
from cosmos.bridge.types import ControlWeights, Finding, Verdict

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))
from fake_clips import make_clip

SIZE = (72, 128)


class Watcher:
    """Rejects what differs from the first clip it saw, or raises what it is told to."""

    name = "watcher"

    def __init__(self, error=None):
        self.asked, self.error, self.first = 0, error, None

    def judge(self, request, result, progress=None):
        self.asked += 1
        if self.error is not None:
            raise self.error
        pixels = result.rgb.numpy()
        self.first = pixels if self.first is None else self.first
        same = (pixels == self.first).all()
        found = () if same else (Finding(kind="artefact", check="watched", severity="reject", text="Changed."),)
        return Verdict(accepted=bool(same), score=1.0 if same else 0.0, critic=self.name, findings=found)


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    plans = plan_suite(8, num_frames=4)[6:8]
    return folder, plans, make_suite(plans, folder, create("identity"), size=SIZE, device="cpu")


def test_a_plan_keeps_tuning_and_proving_scenes_apart_and_grows():
    plans = plan_suite(200)
    assert plans[:60] == plan_suite(60)
    parts = {part: {plan.scene for plan in plans if plan.part == part} for part in ("tune", "prove")}
    assert not parts["tune"] & parts["prove"] and len(parts["prove"]) > 60
    families = {part: {plan.family for plan in plans if plan.part == part} for part in parts}
    assert families["tune"] == families["prove"] == {"warehouse", "tabletop", "street", "random"}
    assert {plan.prompt_name for plan in plans} == set(PROMPTS)
    assert all(one.prompt != two.prompt for one, two in zip(plans[::2], plans[1::2], strict=True))
    assert len({plan.key for plan in plans}) == 200


def test_own_scenes_are_planned_under_every_prompt():
    plans = plan_sources(["a.usd", "b.usd", "c.usd"], ["day", "night"], 12, num_frames=5)
    assert {(Path(plan.source).name, plan.prompt) for plan in plans[:6]} == {
        (name, prompt) for name in ("a.usd", "b.usd", "c.usd") for prompt in ("day", "night")
    }
    assert {Path(plan.source).name for plan in plans if plan.part == "tune"} == {"a.usd"}
    assert {plan.first for plan in plans} == {0, 10}
    with pytest.raises(ConfigError, match="at least one source"):
        plan_sources([], [], 3)
    with pytest.raises(ConfigError, match="clips >= 1, got 0"):
        plan_suite(0)


def test_a_pair_is_read_as_it_was_written(tmp_path, suite):
    _, _, made = suite
    request, result = load_pair(made[0][1])
    clip = make_clip(buffers=("depth", "instance_ids"))
    vis = wp.array(np.random.default_rng(0).random((3, 36, 50), np.float32), dtype=wp.float32, device="cpu")
    request = replace(request, clip=clip, controls=request.controls.__class__(signals=()), weights=ControlWeights())
    from cosmos.bridge.controls import derive_controls

    weights = ControlWeights(edge=0.25, vis=vis)
    request = replace(request, controls=derive_controls(clip, kinds=weights.kinds), weights=weights, seed=7)
    path = tmp_path / "pair.npz"
    save_pair(path, request, replace(result, rgb=clip.rgb))
    again, shown = load_pair(path)
    for name in ("rgb", "depth", "instance_ids"):
        assert (getattr(again.clip, name).numpy() == getattr(clip, name).numpy()).all()
    assert again.clip.normals is None and again.clip.motion is None
    assert (again.weights.vis.numpy() == vis.numpy()).all() and again.weights.edge == 0.25
    assert (shown.rgb.numpy() == clip.rgb.numpy()).all() and shown.provenance == result.provenance
    assert again.clip.instances.keys() == clip.instances.keys() and again.seed == 7
    np.testing.assert_array_equal(again.clip.poses[2], clip.poses[2])
    assert (again.controls[weights.kinds[0]].video.numpy() == request.controls[weights.kinds[0]].video.numpy()).all()


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "broken.npz"
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(SourceError, match=r"broken\.npz is no clip of a suite"):
        load_pair(path)
    with pytest.raises(SourceError, match=r"missing\.npz is no clip"):
        load_pair(tmp_path / "missing.npz")


def test_a_suite_is_made_once(suite):
    folder, plans, made = suite
    assert [plan for plan, _ in made] == list(plans)
    request, result = load_pair(made[0][1])
    assert tuple(result.rgb.shape) == (4, *SIZE, 3) and request.prompt == plans[0].prompt
    kept = load_pair(made[1][1])[0]
    assert not isinstance(kept.weights.vis, float) and kept.weights.vis.numpy().max() == 1.0  # the protected thing
    before = [path.stat().st_mtime_ns for _, path in made]
    told = []
    assert make_suite(plans, folder, create("identity"), size=SIZE, device="cpu", tell=told.append) == made
    assert [path.stat().st_mtime_ns for _, path in made] == before and not told
    assert not list(folder.glob("*.lock")) and not list(folder.glob("*.partial"))


def test_what_another_process_makes_is_left_to_it(tmp_path):
    with claimed(tmp_path / "x.npz") as mine:
        assert mine
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            with claimed(tmp_path / "x.npz") as other:
                os.write(writer, b"1" if other else b"0")
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reader, 1) == b"0"
    with claimed(tmp_path / "x.npz") as mine:
        assert mine


def test_trials_ask_about_the_good_clip_and_each_fault_once(tmp_path, suite):
    critic = Watcher()
    faults = ("frame_blank", "camera_shifted", "moved")
    trials = run_trials(critic, suite[2][:1], tmp_path, faults=faults, all_strengths=False)
    assert trials[0].fault == GOOD and trials[0].accepted and trials[0].timed is None
    planted = {trial.fault: trial for trial in trials[1:]}
    assert {"frame_blank", "camera_shifted"} <= planted.keys()
    assert not any(trial.accepted for trial in planted.values()) and planted["frame_blank"].failed == ("watched",)
    assert planted["frame_blank"].timed and planted["frame_blank"].named is None
    asked = critic.asked
    assert run_trials(critic, suite[2][:1], tmp_path, faults=faults, all_strengths=False) == trials
    assert critic.asked == asked
    other = Watcher()
    run_trials(other, suite[2][:1], tmp_path, faults=faults, key="other bars", all_strengths=False)
    assert other.asked == asked
    run_trials(critic, suite[2][:1], tmp_path, faults=faults, all_strengths=False, again=True)
    assert critic.asked == 2 * asked


def test_no_verdict_is_never_a_pass(tmp_path, suite):
    trials = run_trials(Watcher(VerdictParseError("Gibberish.")), suite[2][:1], tmp_path, faults=("frame_blank",))
    assert [(trial.accepted, trial.mute, trial.score) for trial in trials] == [(False, True, 0.0)] * 2
    assert not any(trial.found for trial in trials)


def test_unknown_faults_and_damaged_answers_are_refused(tmp_path, suite):
    with pytest.raises(PlantError, match="no fault 'melted'"):
        run_trials(Watcher(), suite[2], tmp_path, faults=("melted",))
    run_trials(Watcher(), suite[2][:1], tmp_path, faults=("frame_blank",))
    next(tmp_path.glob("*.json")).write_text("[{}]")
    with pytest.raises(SourceError, match="holds no answers of a critic"):
        run_trials(Watcher(), suite[2][:1], tmp_path, faults=("frame_blank",))
