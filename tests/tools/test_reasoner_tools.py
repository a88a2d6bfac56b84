"""The plays that the embedded reasoner learns from obey physics, but for what is written over it."""

import json

import numpy as np
import pytest

from reasoner_episodes import EVENTS, FRAMES, STEP, make_play

HALVES = [0.3, 0.35, 0.28, 0.4, 0.33]


def plays(event, count=60):
    for seed in range(count):
        play = make_play(np.random.default_rng([seed, EVENTS.index(event)]), HALVES, event)
        if play.event != "cannot be told":
            yield play


def test_bodies_fall_as_newton_says():
    seen = 0
    for play in plays("none"):
        body = play.bodies[0]
        if play.motion == "drop" and body.at[3, 1] > body.half + 0.3:  # still in the air
            time = np.arange(4) * STEP
            np.testing.assert_allclose(body.at[:4, 1], body.at[0, 1] - 0.5 * 9.81 * time**2, atol=0.05)
            np.testing.assert_allclose(np.diff(body.at[:4, 0], 2), 0.0, atol=1e-9)
            seen += 1
    assert seen > 5


def test_what_is_possible_keeps_matter_apart_and_above_the_ground():
    for play in plays("none"):
        for body in play.bodies:
            assert (body.at[:, 1] >= body.half - 1e-6).all() and body.shown.all()
        for first in play.bodies:
            for second in play.bodies:
                if first is not second and first.lane == second.lane:
                    gap = np.hypot(*(first.at - second.at).T)
                    assert (gap >= first.half + second.half - 0.05).all()


def test_pushing_keeps_momentum_and_loses_energy():
    seen = 0
    for play in plays("none"):
        if play.motion != "push" or len(play.bodies) != 2:
            continue
        mover, other = play.bodies
        speeds = np.diff(mover.at[:, 0]) / STEP, np.diff(other.at[:, 0]) / STEP
        hit = np.flatnonzero(np.abs(speeds[1]) > 0.05)
        if len(hit) and hit[0] > 0:
            mass = mover.half**3, other.half**3
            before = mass[0] * abs(speeds[0][hit[0] - 1])
            after = mass[0] * speeds[0][-1] + mass[1] * speeds[1][-1]
            assert abs(after) <= before + 1e-6
            seen += 1
    assert seen > 3


@pytest.mark.parametrize("event", EVENTS[1:])
def test_an_event_shows_from_its_frame_on(event):
    told = list(plays(event))
    assert len(told) > 10
    for play in told:
        body, frame = play.bodies[play.actor], play.frame
        step = np.hypot(*np.diff(body.at, axis=0).T)
        if event == "teleport":
            assert step[frame - 1] > 0.6
        elif event == "vanish":
            assert body.shown[:frame].all() and not body.shown[frame:].any()
        elif event == "appear":
            assert body.shown[frame:].all() and not body.shown[:frame].any()
        elif event == "float":
            assert (body.at[frame:, 1] - body.half > 0.4).all() and (np.diff(body.at[frame:, 1]) >= -1e-9).all()
        elif event == "penetrate" and play.motion == "push":
            assert np.hypot(*(body.at[frame] - play.bodies[1].at[frame])) < 0.75 * (body.half + play.bodies[1].half)
        elif event == "penetrate":
            assert body.at[frame:, 1].min() < body.half - 0.1


def test_the_seed_decides_a_play():
    first, second = (make_play(np.random.default_rng(4), HALVES, "none") for _ in range(2))
    for one, two in zip(first.bodies, second.bodies, strict=True):
        np.testing.assert_array_equal(one.at, two.at)
    assert len(first.bodies[0].at) == FRAMES


def test_a_stage_of_plays_is_drawn_with_what_is_true_of_it(tmp_path, monkeypatch):
    import sys

    import make_reasoner_data

    monkeypatch.setattr(sys, "argv", ["make", "--out", str(tmp_path), "--stages", "2:3", "--plays", "3"])
    make_reasoner_data.main()
    with np.load(tmp_path / "000002.npz") as stored:
        clips, facts = stored["clips"], json.loads(str(stored["facts"]))
    assert clips.shape == (len(facts), FRAMES, 64, 112, 3) and clips.dtype == np.uint8 and len(facts)
    for clip, fact in zip(clips, facts, strict=True):
        assert fact["event"] in EVENTS and fact["kind"] == "table"
        assert clip.std() > 5.0 and (np.abs(np.diff(clip.astype(int), axis=0)).max() > 20 or fact["motion"] == "rest")
        assert all(at is None or 0.0 <= min(at) <= max(at) <= 1.0 for at in fact["way"])


def test_training_goes_on_where_it_was_and_what_it_exports_can_be_measured(tmp_path, monkeypatch):
    import sys

    import torch

    import evaluate_reasoner
    import train_reasoner
    from cosmos.models.reason_small.sampling import load_small
    from tiny_small_reason import drawn_clip

    for stage in (1, 900000):
        drawn = [drawn_clip(event, size=(64, 112)) for event in ("none", "none", *EVENTS[1:])]
        facts = [{**fact, "kind": "drawn", "stage": stage} for _, fact in drawn]
        clips = np.stack([clip for clip, _ in drawn])
        np.savez(tmp_path / f"{stage:06d}.npz", clips=clips, facts=np.array(json.dumps(facts)))
    np.savez(tmp_path / "good.npz", rgb=drawn[0][0], fps=10.0)
    out = tmp_path / "out"

    def train(minutes):
        words = ["--plays", str(tmp_path), "--out", str(out), "--minutes", str(minutes)]
        monkeypatch.setattr(sys, "argv", ["train", *words, "--workers", "1", "--batch", "2"])
        train_reasoner.main()
        return json.loads((out / "config.json").read_text())["steps"]

    torch.set_num_threads(1)
    assert train(0.01) >= 1
    state = {"net": load_small(out).net.state_dict(), "step": 7, "spent": 0.0}
    adam = torch.optim.AdamW(load_small(out).net.parameters())
    torch.save({**state, "adam": adam.state_dict()}, out / "checkpoint.pt")
    assert train(0.01) > 7
    words = ["--plays", str(tmp_path), "--weights", str(out), "--clips", str(tmp_path / "good.npz")]
    monkeypatch.setattr(sys, "argv", ["evaluate", *words])
    evaluate_reasoner.main()
    told = json.loads((out / "evaluation.json").read_text())
    assert told["plays"] == 8 and set(told["physics"]["events"]) == set(EVENTS[1:])
    assert told["order"]["count"] == 32 and told["time"]["count"] == 4
    config = json.loads((out / "config.json").read_text())
    assert config["claims"] == told["claims"] and 0.0 < config["threshold"] < 1.0
    assert load_small(out).claims == tuple(told["claims"])
    (tmp_path / "first.json").write_text(json.dumps({"plays": 7}))
    monkeypatch.setattr(sys, "argv", ["evaluate", *words, "--first-voice", str(tmp_path / "first.json")])
    with pytest.raises(SystemExit, match="tells of 7 plays"):
        evaluate_reasoner.main()


def test_a_net_starts_from_one_that_knew_fewer_words():
    import torch

    import train_reasoner
    from cosmos.models.reason_small.net import ReasonNet
    from tiny_small_reason import TINY

    torch.manual_seed(0)
    old, net = ReasonNet(TINY).state_dict(), ReasonNet(TINY)
    fresh = net.words.weight.detach().clone()
    net.load_state_dict(train_reasoner.known_parts(net, {**old, "words.weight": old["words.weight"][:90]}))
    torch.testing.assert_close(net.words.weight[:90], old["words.weight"][:90])
    torch.testing.assert_close(net.words.weight[90:], fresh[90:])
    torch.testing.assert_close(net.stem.weight, old["stem.weight"])


@pytest.mark.parametrize("event", EVENTS)
def test_what_was_meant_is_what_physics_does(event):
    for play in plays(event, 30):
        assert all(body.shown.all() for body in play.meant)
        for body, meant in zip(play.bodies, play.meant, strict=True):
            assert body.slot == meant.slot and body.lane == meant.lane
            if event == "none":
                np.testing.assert_array_equal(body.at, meant.at)
            assert (meant.at[:, 1] >= meant.half - 1e-6).all()
        if play.event == "penetrate" and play.motion == "push":
            gap = np.hypot(*(play.meant[0].at - play.meant[1].at).T)
            assert (gap >= play.meant[0].half + play.meant[1].half - 0.05).all()


def test_the_first_voice_is_asked_about_the_same_plays():
    import make_reasoner_data
    import reasoner_first_voice

    clips, facts = make_reasoner_data.render_stage(900000, 4)  # in it something jumps, and something floats
    assert [fact["event"] for fact in facts][-1] == "none" and len(facts) == 4
    for at, clip, paths in reasoner_first_voice.truths(facts):
        assert paths[facts[at]["colour"]] in {item.prim_path for item in clip.instances.values()}
        assert clip.rgb.shape == clips[at].shape and clip.fps == 10.0
        apart = np.abs(clip.rgb.numpy().astype(int) - clips[at]).max(axis=-1)
        if facts[at]["event"] != "none":  # before it the pictures are the same, from it on they are not
            first = facts[at]["frame"]
            assert (apart[first:] > 40).sum() > 10 and all((part > 40).sum() < 5 for part in apart[:first])
    told = reasoner_first_voice.first_voice(clips, facts, 4)
    assert told["plays"] == 4 and told["none"]["count"] + sum(told[event]["count"] for event in EVENTS[1:]) == 4
    assert told["order"]["count"] == 4 and told["order"]["share"] > 0.5


def test_a_good_clip_is_refused_as_often_as_the_bar_of_the_other_half_says():
    import evaluate_reasoner

    doubts = np.random.default_rng(1).uniform(0.0, 0.9, 4000)
    bar, refused = evaluate_reasoner.threshold_of(doubts)
    highest = np.quantile(doubts, 1.0 - evaluate_reasoner.CAREFUL)
    assert abs(bar - (0.9 * highest + 0.1)) < 1e-3
    assert refused["count"] == 4000 and refused["share"] <= evaluate_reasoner.FALSE_ALARMS
    assert evaluate_reasoner.threshold_of(np.full(10, 0.2))[0] == evaluate_reasoner.EVEN
    assert evaluate_reasoner.threshold_of(np.full(10, 0.999))[1]["share"] == 0.0


def test_chance_is_the_best_answer_that_never_changes():
    import evaluate_reasoner
    from cosmos.models.reason_small.words import Answer

    facts = [
        {"event": "float", "colour": colour, "shape": "box", "at": at, "frame": frame}
        for colour, at, frame in (("red", (0.9, 0.1), 3), ("red", (0.1, 0.1), 5), ("blue", (0.9, 0.1), 4))
    ]
    said = Answer(task="physics", verdict="impossible", event="float", thing="red can", place="lower-left", frame=2)
    told = evaluate_reasoner.details([(said, fact) for fact in facts] + [(None, facts[0])])
    want = {"named": (1, 1), "colour": (2 / 3, 2 / 3), "shape": (0, 1), "thing": (0, 2 / 3), "place": (2 / 3, 2 / 3),
            "frame": (1 / 3, 1)}  # fmt: skip
    for name, row in told.items():
        assert (row["share"], row["chance"]) == pytest.approx(want[name]), name


def test_the_interval_of_a_mean_of_shares_holds_the_mean_as_often_as_it_says():
    import reasoner_measures

    rng = np.random.default_rng(0)
    true, counts = np.array([0.9, 0.3, 0.5, 0.7]), np.array([40, 12, 20, 15])
    held, tries = 0, 2000
    for hits in rng.binomial(counts, true, (tries, 4)):
        rows = [{"share": hit / count, "count": count} for hit, count in zip(hits, counts, strict=True)]
        low, high = reasoner_measures.mean_interval(rows)
        assert 0.0 <= low <= np.mean(hits / counts) <= high <= 1.0
        held += low <= true.mean() <= high
    assert 0.93 <= held / tries <= 0.98


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "clear"), ({"fog": 0.5, "overcast": 0.8}, "fog"), ({"rain": 0.9}, "rain"), ({"snow": 0.4}, "snow"),
        ({"sun_elevation": -12.0}, "night"), ({"sun_elevation": -12.0, "snow": 0.9}, None), ({"dust": 0.9}, None),
        ({"fog": 0.5, "rain": 0.5}, None), ({"fog": 0.2}, None), ({"sun_elevation": 1.0}, None),
    ],
)  # fmt: skip
def test_only_pictures_of_one_plain_weather_teach_it(given, name):
    import train_reasoner

    calm = dict.fromkeys(("fog", "rain", "snow", "dust", "overcast"), 0.0)
    assert train_reasoner.weather_of({**calm, "sun_elevation": 40.0, **given}) == name
