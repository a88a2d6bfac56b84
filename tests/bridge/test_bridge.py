import importlib.util
import json

import numpy as np
import pytest
import warp as wp

from cosmos.bridge import Bridge, BridgeConfig
from cosmos.bridge.bridge import default_weights
from cosmos.bridge.errors import ConfigError, JobCancelled, ModelError, SinkError, SourceError
from cosmos.bridge.jobs import CLIPS, StopSignal
from cosmos.bridge.runs.ledger import read_ledger
from cosmos.bridge.sinks.manifest import read_manifest
from cosmos.bridge.types import Finding, Verdict
from fake_line import DrawnSource, ScriptedCritic, TintModel, WordGuard


def attempts_in(out):
    return {clip["name"]: [a["accepted"] for a in clip["attempts"]] for clip in read_manifest(out)["clips"]}


def test_every_camera_prompt_and_variant_becomes_a_clip(config, make_bridge):
    config = config.replace(cameras=("/World/Camera", "/World/Side"), variants=2, seed=7)
    model, opened = TintModel(), []
    bridge = make_bridge(
        config, transfer=model, open_source=lambda camera: opened.append(camera) or DrawnSource(camera)
    )
    summary = bridge.augment()
    assert (summary.planned, summary.accepted, summary.remaining) == (8, 8, 0)
    assert summary.complete
    assert opened == [
        "/World/Camera",
        "/World/Side",
        "/World/Side",
    ]  # looks and one reading, not one a clip
    asked = [(r.clip.cameras[0].prim_path, r.prompt, r.seed) for r in model.requests]
    assert asked == [
        (camera, prompt, seed)
        for camera in ("/World/Camera", "/World/Side")
        for prompt in ("rain", "snow")
        for seed in (7, 8)
    ]
    assert summary.report.is_file()
    assert summary.notes == ("The scene has no light; a sky was added.",)


def test_the_licence_of_the_weights_chooses_the_guard_unless_the_user_does(config):
    assert Bridge(config)._guard.name == "blocklist"
    assert Bridge(config.replace(guard="off"))._guard.name == "off"
    gated = config.replace(transfer="cosmos-transfer2.5")
    assert Bridge(gated.replace(guard="blocklist"))._guard.name == "blocklist"
    if importlib.util.find_spec("cosmos_guardrail") is None:
        with pytest.raises(ModelError, match=r"The guard cosmos needs cosmos_guardrail.*or choose another: blocklist"):
            Bridge(gated)


def test_what_to_preserve_reaches_the_request_as_a_mask(config, make_bridge):
    plain = {**config.to_mapping(), "preserve": {"classes": ["crate"]}}
    config = BridgeConfig.from_mapping(plain)
    assert BridgeConfig.from_mapping(config.to_mapping()) == config
    model = TintModel(preserve=True)
    make_bridge(config, transfer=model).augment()
    request = model.requests[0]
    np.testing.assert_array_equal(request.preserve.numpy(), (request.clip.instance_ids.numpy() == 1).astype("f4"))
    with pytest.raises(ModelError, match=r"tint does not use preserve; leave it out, or take --transfer cosmos-transf"):
        make_bridge(config.replace(out=f"{config.out}2")).augment()


@pytest.mark.parametrize("plain", [{}, {"normalized": True}])
def test_a_preserve_that_names_nothing_is_refused(config, plain):
    with pytest.raises(ConfigError, match="preserve names nothing"):
        BridgeConfig.from_mapping({**config.to_mapping(), "preserve": plain})


def test_options_of_a_backend_reach_it_and_others_are_refused(config):
    with pytest.raises(ConfigError, match=r"'overlapp' is no setting in transfer_options; the nearest is 'overlap'"):
        Bridge(config.replace(transfer="cosmos-transfer2.5", guard="off", transfer_options={"overlapp": 2}))
    with pytest.raises(ConfigError, match="identity takes no transfer_options, got overlap"):
        Bridge(config.replace(transfer="identity", transfer_options={"overlap": 2}))
    options = {"weights": "/nowhere"}
    bridge = Bridge(config.replace(transfer="cosmos-transfer2.5", guard="off", transfer_options=options))
    with pytest.raises(ModelError, match=r"no checkpoint of cosmos-transfer2\.5 in /nowhere"):
        bridge._transfer.load("cpu")


def test_every_setting_reaches_the_request(config, make_bridge):
    config = BridgeConfig.from_mapping(
        {
            **config.to_mapping(),
            "negative_prompt": "blur",
            "guidance": 2.5,
            "num_steps": 3,
            "seed": 11,
            "weights": {"seg": 0.25, "vis": 0.5},
        }
    )
    model = TintModel()
    make_bridge(config, transfer=model).augment()
    request = model.requests[0]
    assert (request.negative_prompt, request.guidance, request.num_steps, request.seed) == ("blur", 2.5, 3, 11)
    assert (request.weights.seg, request.weights.vis, request.weights.edge) == (0.25, 0.5, 0.0)
    assert [str(kind) for kind in request.controls.kinds] == ["seg", "vis"]


def test_control_settings_reach_the_controls(config, make_bridge):
    model = TintModel()
    table = {**config.to_mapping(), "controls": {"depth": {"near": 1.0, "far": 9.0}}}
    make_bridge(BridgeConfig.from_mapping(table), transfer=model).augment()
    depth = next(signal for signal in model.requests[0].controls if str(signal.kind) == "depth")
    assert (depth.settings["near"], depth.settings["far"]) == (1.0, 9.0)


def test_a_rejected_attempt_is_kept_apart_and_tried_again_with_a_new_seed(config, make_bridge):
    model = TintModel()
    summary = make_bridge(
        config, transfer=model, critic=ScriptedCritic(lambda request: request.prompt == "rain" or request.seed > 0)
    ).augment()
    assert attempts_in(summary.out) == {"clip_0000": [True], "clip_0001": [False, True]}
    assert (summary.accepted, summary.rejected, summary.attempts, summary.rejected_attempts) == (2, 0, 3, 1)
    assert (summary.out / "rejected" / "clip_0001_attempt1" / "augmented.mp4").is_file()
    assert (summary.out / "clip_0001" / "augmented.mp4").is_file()
    seeds = [request.seed for request in model.requests]
    assert seeds[1] == 0
    assert seeds[2] != 0


def test_a_clip_that_never_passes_is_rejected_and_counted(config, make_bridge):
    summary = make_bridge(config, critic=ScriptedCritic(lambda request: request.prompt == "snow")).augment()
    assert (summary.accepted, summary.rejected, summary.attempts) == (1, 1, 3)
    assert not summary.complete
    assert not (summary.out / "clip_0000").exists()


@pytest.mark.parametrize(("wanted", "accepted"), [(0.6, 2), (0.61, 0)])
def test_what_scores_less_than_wanted_is_tried_again_and_rejected(config, make_bridge, wanted, accepted):
    class Lukewarm(ScriptedCritic):
        def judge(self, request, result, progress=None):
            return Verdict(accepted=True, score=0.6, critic="scripted", rationale="Nothing was found.")

    summary = make_bridge(config.replace(min_score=wanted), critic=Lukewarm()).augment()
    assert (summary.accepted, summary.attempts) == (accepted, 2 if accepted else 4)
    reasons = [clip["reason"] for clip in read_manifest(summary.out)["clips"]]
    assert all(("0.60 is below the wanted 0.61" in reason) != bool(accepted) for reason in reasons)


def test_a_wanted_score_outside_its_range_is_refused(config):
    with pytest.raises(ConfigError, match=r"min_score must lie in \[0.0, 1.0\], got 1.5"):
        config.replace(min_score=1.5)


def test_a_retry_with_stronger_weights_raises_the_geometry(config, make_bridge):
    table = {
        **config.to_mapping(),
        "weights": {"edge": 0.2, "vis": 0.2},
        "retry": {"max_attempts": 3, "change": "weights", "weight_gain": 2.0},
    }
    model = TintModel()
    make_bridge(
        BridgeConfig.from_mapping(table), transfer=model, critic=ScriptedCritic(lambda request: False)
    ).augment()
    first = [(request.weights.edge, request.weights.vis) for request in model.requests[:3]]
    assert first == [(0.2, 0.2), (0.4, 0.2), (0.8, 0.2)]
    assert len({request.seed for request in model.requests[:3]}) == 3


def test_progress_tells_a_further_attempt(config, make_bridge):
    class Chunky(TintModel):
        def transfer(self, request, progress=None):
            if progress is not None:
                progress("transfer (chunk 1 of 2)", 0, 2)
            return super().transfer(request, progress)

    told = []
    critic = ScriptedCritic(lambda request: request.seed != 0)
    make_bridge(config, transfer=Chunky(), critic=critic).augment(lambda stage, done, total: told.append(stage))
    stages = [stage for stage in dict.fromkeys(told) if stage.startswith("transfer")]
    assert stages == [
        "transfer (chunk 1 of 2)", "transfer", "transfer (attempt 2, chunk 1 of 2)", "transfer (attempt 2)",
    ]  # fmt: skip


def scripted(kind, **about):
    """A critic that always blames the same."""

    class Blaming(ScriptedCritic):
        def judge(self, request, result, progress=None):
            finding = Finding(kind=kind, check="scripted", severity="reject", text="No.", **about)
            return Verdict(accepted=False, score=0.1, critic="scripted", findings=(finding,), rationale="No.")

    return Blaming()


def tried(config, make_bridge, critic, **settings):
    table = {**config.to_mapping(), "prompts": ["rain"], "retry": {"max_attempts": 3, "weight_gain": 2.0}, **settings}
    model = TintModel()
    summary = make_bridge(BridgeConfig.from_mapping(table), transfer=model, critic=critic).augment()
    remedies = [attempt["remedy"] for attempt in read_manifest(summary.out)["clips"][0]["attempts"]]
    return model.requests, remedies


def test_blamed_geometry_gets_more_weight_on_the_instance_alone(config, make_bridge):
    requests, remedies = tried(config, make_bridge, scripted("geometry", instance=1), weights={"edge": 0.2, "vis": 0.2})
    ids = requests[0].clip.instance_ids.numpy()
    assert requests[0].weights.edge == 0.2 and len({request.seed for request in requests}) == 1
    for request, want in zip(requests[1:], (0.4, 0.8), strict=True):
        edge = request.weights.edge.numpy()
        np.testing.assert_allclose(edge[ids == 1], want, rtol=1e-6)
        assert edge[:, -1, -1] == pytest.approx(0.2) and request.weights.vis == pytest.approx(0.2)
    assert remedies == ["", *["scripted rejected it. The geometry weights rise by 2 on /World/Crate."] * 2]


def test_an_ignored_prompt_is_urged(config, make_bridge):
    requests, remedies = tried(config, make_bridge, scripted("prompt"))
    asked = [(request.guidance, request.num_steps) for request in requests]
    assert asked == [(None, None), (2.0, 2), (4.0, 4)]
    assert remedies[1] == "scripted rejected it. Guidance rises from 1 to 2 and the steps rise from 1 to 2."


def test_what_no_setting_helps_gets_another_seed(config, make_bridge):
    for critic in (scripted("physics"), scripted("flicker")):
        requests, remedies = tried(config.replace(out=config.out + critic.judge(None, None).findings[0].kind),
                                   make_bridge, critic)  # fmt: skip
        assert len({request.seed for request in requests}) == 3
        assert f"the seed changes to {requests[1].seed}" in remedies[1]


def test_a_resumed_clip_goes_on_with_the_remedy(config, make_bridge, tmp_path):
    """What a kill interrupts is asked as if it had not been."""
    table = {**config.to_mapping(), "prompts": ["rain"], "weights": {"edge": 0.2, "vis": 0.2}}
    whole = BridgeConfig.from_mapping({**table, "retry": {"max_attempts": 3}})
    straight = TintModel()
    make_bridge(whole, transfer=straight, critic=scripted("geometry", instance=1)).augment()

    class Killed(TintModel):
        def transfer(self, request, progress=None):
            if self.requests:
                raise KeyboardInterrupt
            return super().transfer(request, progress)

    config = whole.replace(out=str(tmp_path / "again"))
    with pytest.raises(KeyboardInterrupt):
        make_bridge(config, transfer=Killed(), critic=scripted("geometry", instance=1)).augment()
    rest = TintModel()
    summary = make_bridge(config, transfer=rest, critic=scripted("geometry", instance=1)).augment(resume=True)
    assert summary.attempts == 3 and len(rest.requests) == 2
    for one, other in zip(straight.requests[1:], rest.requests, strict=True):
        assert one.seed == other.seed and (one.weights.edge.numpy() == other.weights.edge.numpy()).all()


def test_a_refused_prompt_is_counted_and_the_run_goes_on(config, make_bridge):
    config = BridgeConfig.from_mapping({**config.to_mapping(), "prompts": ["a forbidden thing", "snow"]})
    model = TintModel()
    summary = make_bridge(config, transfer=model).augment()
    assert (summary.accepted, summary.refused) == (1, 1)
    assert [request.prompt for request in model.requests] == ["snow"]
    assert any("clip_0000" in note and "the word" in note for note in summary.notes)


def test_a_refused_video_is_never_written(config, make_bridge):
    summary = make_bridge(config, guard=WordGuard(refuse_videos=True)).augment()
    assert (summary.refused, summary.attempts) == (2, 0)
    assert not list(summary.out.rglob("*.mp4"))


def test_a_model_error_fails_its_clip_alone(config, make_bridge):
    model = TintModel(fails_on=lambda request: request.prompt == "rain")
    summary = make_bridge(config, transfer=model).augment()
    assert (summary.accepted, summary.failed) == (1, 1)
    assert any("tint cannot do this one" in note for note in summary.notes)


def test_counts_add_up_in_a_mixed_run(config, make_bridge):
    config = BridgeConfig.from_mapping(
        {**config.to_mapping(), "prompts": ["good", "bad", "forbidden", "broken"], "variants": 2}
    )
    summary = make_bridge(
        config,
        transfer=TintModel(fails_on=lambda request: request.prompt == "broken"),
        critic=ScriptedCritic(lambda request: request.prompt == "good"),
    ).augment()
    outcomes = (summary.accepted, summary.rejected, summary.refused, summary.failed, summary.remaining)
    assert outcomes == (2, 2, 2, 2, 0)
    counts = read_manifest(summary.out)["counts"]
    assert [counts[name] for name in ("planned", "accepted", "rejected", "refused", "failed")] == [8, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("setting", "value", "spec"),
    [("negative_prompt", "blur", "negative_prompt"), ("guidance", 2.0, "guidance")],
)
def test_a_setting_the_model_does_not_use_is_refused_before_any_work(config, make_bridge, setting, value, spec):
    bridge = make_bridge(config.replace(**{setting: value}), transfer=TintModel(**{spec: False}))
    with pytest.raises(ModelError, match=f"does not use {setting}"):
        bridge.augment()


def test_too_many_steps_are_refused(config, make_bridge):
    with pytest.raises(ModelError, match="at most 4 num_steps, got 5"):
        make_bridge(config.replace(num_steps=5)).augment()


def test_a_wrong_camera_leaves_no_folder(config, make_bridge, tmp_path):
    with pytest.raises(SourceError, match="/World/Side"):
        make_bridge(config.replace(cameras=("/World/None",))).augment()
    assert not (tmp_path / "out").exists()


def test_weights_that_do_not_fit_leave_no_folder(config, make_bridge, tmp_path):
    table = {**config.to_mapping(), "weights": {"regions": [{"classes": ["dragon"], "edge": 1.0}]}}
    with pytest.raises(Exception, match="'dragon', which never occurs"):
        make_bridge(BridgeConfig.from_mapping(table)).augment()
    assert not (tmp_path / "out").exists()


def test_a_later_camera_that_breaks_fails_its_clips_alone(config, make_bridge):
    opened = []

    def open_source(camera):
        opened.append(camera)
        if opened.count("/World/Side") == 2:
            raise SourceError("The disk went away.")
        return DrawnSource(camera)

    config = config.replace(cameras=("/World/Camera", "/World/Side"))
    summary = make_bridge(config, open_source=open_source).augment()
    assert (summary.accepted, summary.failed) == (2, 2)


def test_a_folder_that_holds_something_is_refused(config, make_bridge, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep me")
    with pytest.raises(SinkError, match="not empty"):
        make_bridge(config).augment()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_folder_that_holds_a_run_points_to_resume(config, make_bridge):
    make_bridge(config).augment()
    with pytest.raises(SinkError, match="cosmos-bridge resume"):
        make_bridge(config).augment()


def test_the_effective_config_is_saved(config, make_bridge, tmp_path):
    make_bridge(config).augment()
    assert BridgeConfig.from_mapping(json.loads((tmp_path / "out" / "config.json").read_text())) == config


def test_a_soft_stop_finishes_the_clip_and_resume_the_rest(config, make_bridge):
    stop = StopSignal()

    def progress(stage, done, total):
        if stage == "transfer":
            stop.finish()

    first = make_bridge(config).augment(progress, stop)
    assert (first.accepted, first.remaining) == (1, 1)
    model = TintModel()
    second = make_bridge(config, transfer=model).augment(resume=True)
    assert (second.accepted, second.remaining, len(model.requests)) == (2, 0, 1)
    assert second.complete


def test_a_hard_stop_loses_only_the_clip_at_work(config, make_bridge, tmp_path):
    stop, seen = StopSignal(), []

    def progress(stage, done, total):
        stop.check()
        seen.append(stage)
        if seen.count("write") == 3:
            stop.abort()

    with pytest.raises(JobCancelled):
        make_bridge(config).augment(progress, stop)
    assert not (tmp_path / "out" / "clip_0000").exists()
    summary = make_bridge(config).augment(resume=True)
    assert summary.complete
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_resume_gives_the_same_pixels_as_one_go(config, make_bridge, tmp_path):
    critic = ScriptedCritic(lambda request: request.prompt == "rain" or request.seed > 0)
    whole = make_bridge(config.replace(out=str(tmp_path / "whole")), critic=critic).augment()
    stop = StopSignal()
    make_bridge(config, critic=critic).augment(lambda stage, done, total: stop.finish(), stop)
    parts = make_bridge(config, critic=critic).augment(resume=True)
    for name in ("clip_0000/augmented.mp4", "clip_0001/augmented.mp4", "rejected/clip_0001_attempt1/augmented.mp4"):
        assert (whole.out / name).read_bytes() == (parts.out / name).read_bytes()


def test_resume_goes_on_after_the_attempts_made(config, make_bridge):
    class Killed(BaseException):
        pass

    critic = ScriptedCritic(lambda request: request.seed > 0)
    model = TintModel()

    def die(request):
        if len(model.requests) == 2:
            raise Killed
        return False

    model.fails_on = die
    with pytest.raises(Killed):
        make_bridge(config, transfer=model, critic=critic).augment()
    after = TintModel()
    summary = make_bridge(config, transfer=after, critic=critic).augment(resume=True)
    assert after.requests[0].seed == model.requests[1].seed  # attempt 2 of the first clip, not attempt 1 again
    assert attempts_in(summary.out) == {"clip_0000": [False, True], "clip_0001": [False, True]}


def test_a_clip_the_ledger_missed_is_adopted(config, make_bridge, tmp_path):
    make_bridge(config).augment()
    ledger = tmp_path / "out" / "ledger.jsonl"
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:1]))
    model = TintModel()
    summary = make_bridge(config, transfer=model).augment(resume=True)
    assert summary.complete
    assert not model.requests


def test_failed_clips_are_tried_again_on_resume(config, make_bridge, tmp_path):
    make_bridge(config, transfer=TintModel(fails_on=lambda request: request.prompt == "rain")).augment()
    summary = make_bridge(config).augment(resume=True)
    assert (summary.accepted, summary.failed) == (2, 0)
    outcomes = [e["outcome"] for e in read_ledger(tmp_path / "out" / "ledger.jsonl") if e["event"] == "settled"]
    assert outcomes == ["failed", "accepted", "accepted"]


def test_resume_of_a_finished_run_changes_nothing(config, make_bridge):
    done = make_bridge(config).augment()
    before = {path: path.read_bytes() for path in done.out.rglob("*.mp4")}
    model = TintModel()
    again = make_bridge(config, transfer=model).augment(resume=True)
    assert again.complete
    assert not model.requests
    assert not model.loaded
    assert {path: path.read_bytes() for path in done.out.rglob("*.mp4")} == before


def test_a_result_of_another_length_is_refused(config, make_bridge):
    from dataclasses import replace

    class Short(TintModel):
        def transfer(self, request, progress=None):
            result = super().transfer(request, progress)
            return replace(result, rgb=wp.clone(result.rgb[:2]))

    summary = make_bridge(config, transfer=Short()).augment()
    assert summary.failed == 2
    assert any("fault of the backend" in note for note in summary.notes)


def test_a_source_without_depth_is_steered_by_edge_and_vis(config, make_bridge):
    model = TintModel()
    make_bridge(config, transfer=model, open_source=lambda camera: DrawnSource(camera, with_depth=False)).augment()
    assert [str(kind) for kind in model.requests[0].weights.kinds] == ["edge", "vis"]
    assert [str(kind) for kind in default_weights(model.requests[0].clip).kinds] == ["edge", "vis"]


def test_progress_counts_clips(config, make_bridge):
    told = []
    make_bridge(config).augment(lambda stage, done, total: told.append((stage, done, total)))
    assert [(done, total) for stage, done, total in told if stage == CLIPS] == [(0, 2), (0, 2), (1, 2), (2, 2)]
    assert {"render", "transfer", "write"} <= {stage for stage, _, _ in told}


def test_a_job_gives_the_summary(config, make_bridge):
    job = make_bridge(config).start()
    assert job.result(timeout=60).complete
    assert job.progress.clips_done == 2


def test_two_processes_never_share_a_folder(config, make_bridge, tmp_path):
    from cosmos.bridge.runs.folder import reopen_run

    make_bridge(config).augment()
    with reopen_run(tmp_path / "out")[1], pytest.raises(SinkError, match="Another process is at work"):
        make_bridge(config).augment(resume=True)


def test_sources_are_closed(config, make_bridge):
    opened = []

    def open_source(camera):
        opened.append(DrawnSource(camera))
        return opened[-1]

    make_bridge(config.replace(cameras=("/World/Camera", "/World/Side")), open_source=open_source).augment()
    assert [source.closed for source in opened] == [1, 1, 1]


def test_sources_are_closed_when_the_preflight_fails(config, make_bridge):
    opened = []

    def open_source(camera):
        opened.append(DrawnSource(camera))
        return opened[-1]

    with pytest.raises(SourceError):
        make_bridge(config.replace(cameras=("/World/Camera", "/World/None")), open_source=open_source).augment()
    assert [source.closed for source in opened] == [1]


def test_the_command_of_the_first_run_stays(config, make_bridge, tmp_path):
    stop = StopSignal()
    make_bridge(config).augment(lambda stage, done, total: stop.finish(), stop, command="cosmos-bridge augment x")
    make_bridge(config).augment(resume=True, command="cosmos-bridge resume out")
    assert read_manifest(tmp_path / "out")["run"]["command"] == "cosmos-bridge augment x"


def test_a_run_from_python_names_a_command_too(config, make_bridge, tmp_path):
    make_bridge(config).augment()
    assert "--config" in read_manifest(tmp_path / "out")["run"]["command"]
