import numpy as np
import pytest

from cosmos.bridge import BridgeConfig
from cosmos.bridge.errors import ConfigError
from cosmos.bridge.sinks.manifest import read_manifest
from cosmos.bridge.types import Finding, Verdict
from fake_line import ScriptedCritic, TintModel, attempts_in


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
    told = "The check scripted rejected the attempt before. The geometry weights rise by 2 on /World/Crate."
    assert remedies == ["", told, told]


def test_an_ignored_prompt_is_urged(config, make_bridge):
    requests, remedies = tried(config, make_bridge, scripted("prompt"))
    asked = [(request.guidance, request.num_steps) for request in requests]
    assert asked == [(None, None), (2.0, 2), (4.0, 4)]
    assert remedies[1] == (
        "The check scripted rejected the attempt before. Guidance rises from 1 to 2 and the steps rise from 1 to 2."
    )


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
