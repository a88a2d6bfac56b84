import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from cosmos.bridge import Bridge, BridgeConfig
from cosmos.bridge.bridge import default_weights
from cosmos.bridge.errors import ConfigError, ModelError, ModelWeightsError, SinkError, SourceError
from cosmos.bridge.jobs import CLIPS
from cosmos.bridge.sinks.manifest import read_manifest
from fake_line import DrawnSource, ScriptedCritic, TintModel, WordGuard


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


def test_what_a_model_notes_of_some_prompts_names_them(config, make_bridge):
    class Noting(TintModel):
        def transfer(self, request, progress=None):
            made = super().transfer(request, progress)
            notes = ("It is slow.", "Not understood: 'ro'.") if request.prompt == "snow" else ("It is slow.",)
            return replace(made, provenance=replace(made.provenance, notes=notes))

    summary = make_bridge(config, transfer=Noting()).augment()
    assert summary.notes[1:] == ("It is slow.", "snow: Not understood: 'ro'.")


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


def test_too_much_guidance_is_refused_before_any_work(config, make_bridge, tmp_path):
    with pytest.raises(ModelError, match=r"tint takes a guidance in \[0, 10\], got 10\.5"):
        make_bridge(config.replace(guidance=10.5)).augment()
    assert not (tmp_path / "out").exists()


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


def test_a_run_from_python_names_a_command_too(config, make_bridge, tmp_path):
    make_bridge(config).augment()
    assert "--config" in read_manifest(tmp_path / "out")["run"]["command"]


@pytest.mark.parametrize(
    ("kind", "name", "policy"),
    [
        ("transfer", "cosmos3", {}),
        ("transfer", "cosmos-transfer2.5", {"placement": "worker"}),
        ("transfer", "cosmos3-sim-transfer", {"fall_back": True}),
        ("critic", "cosmos-reason2", {}),
        ("critic", "consistency+cosmos3-reasoner", {}),
    ],
)
def test_missing_weights_are_told_before_any_work(config, make_bridge, monkeypatch, tmp_path, kind, name, policy):
    from cosmos.bridge import OffloadPolicy
    from cosmos.bridge.critic import registry as critics
    from cosmos.bridge.transfer import registry as models
    from cosmos.models.places import HOME_VARIABLE

    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "none"))
    made = models.create(name, {}, OffloadPolicy(**policy)) if kind == "transfer" else critics.create(name)
    bridge = make_bridge(config, open_source=lambda camera: pytest.fail("opened the source"), **{kind: made})
    for work in (bridge.augment, bridge.preflight, bridge.preview):
        with pytest.raises(ModelWeightsError, match=f"cosmos-bridge models fetch {name.rpartition('+')[2]}"):
            work()
    assert not (tmp_path / "out").exists()
