import numpy as np
import pytest
import torch  # noqa: TID253

from cosmos.models.reason_small.net import ReasonNet, ReasonNetConfig, question_tokens
from cosmos.models.reason_small.sampling import load_small
from cosmos.models.reason_small.training import (
    cut,
    make_batch,
    mirror,
    readings_of,
    shift,
    spots_of,
    still,
    to_input,
    turn_time,
)
from cosmos.models.reason_small.words import (
    EVENTS,
    QUESTIONS,
    READINGS,
    TOKEN,
    VOCABULARY,
    AnswerError,
    direction_of,
    parse,
    place_of,
    text_of,
)
from cosmos.models.weights import WeightsError
from tiny_small_reason import TINY, drawn_clip, export_small, taught_folder


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    return load_small(taught_folder(tmp_path_factory.mktemp("small")))


def as_batch(clip):
    return torch.from_numpy(np.ascontiguousarray(clip.transpose(0, 3, 1, 2)))[None]


@pytest.mark.parametrize("event", ["none", *EVENTS])
@pytest.mark.parametrize("task", [*QUESTIONS])
def test_what_is_learnt_can_be_read(task, event):
    _, fact = drawn_clip(event)
    words = text_of(task, {**fact, "backward": True, "order": "c"})
    assert all(word in TOKEN for word in words)
    answer = parse(task, words)
    if task == "physics":
        assert answer.verdict == ("possible" if event == "none" else "impossible")
        if event != "none":
            assert (answer.event, answer.thing, answer.frame) == (event, "red box", 4)
            assert answer.place == place_of(fact["at"])
    elif task == "caption":
        assert answer.caption == "clear red box rolls right"
    else:
        assert answer.verdict == {"time": "backward", "order": "c", "weather": "clear"}[task]
    assert answer.think


@pytest.mark.parametrize(
    "words",
    [
        "",
        "possible",
        "<think> </think> <answer> possible",
        "<think> </think> <answer> perhaps </answer>",
        "<think> </think> <answer> possible possible </answer>",
        "<think> </think> <think> </think> <answer> possible </answer>",
        "<think> </think> and <answer> possible </answer>",
        "<think> </think> <answer> impossible vanish red box lower-left frame </answer>",
        "<think> </think> <answer> impossible red vanish box lower-left frame 3 </answer>",
        "<think> </think> <answer> impossible vanish red box lower-left frame 9 </answer>",
        "<think> </think> <answer> impossible </answer>",
    ],
)
def test_anything_else_is_no_answer(words):
    with pytest.raises(AnswerError):
        parse("physics", words.split())


def test_places_and_directions_have_names():
    assert place_of((0.1, 0.0)) == "upper-left" and place_of((0.9, 1.0)) == "lower-right"
    assert direction_of([[0, 0.1], None, [0, 0.5]]) == "right" and direction_of([[0, 0.5], [0, 0.52]]) == "nowhere"


def test_mirrored_cut_and_reversed_clips_keep_their_facts():
    clip, fact = drawn_clip("none")
    flipped, told = mirror(clip, fact)
    np.testing.assert_array_equal(flipped, np.flip(clip, 2))
    assert direction_of(told["way"]) == "left" and direction_of(fact["way"]) == "right"
    np.testing.assert_array_equal(cut(clip, "a"), clip)
    halves = np.concatenate([clip[:, :, 24:], clip[:, :, :24]], axis=2)
    np.testing.assert_array_equal(cut(clip, "b"), halves)
    np.testing.assert_array_equal(cut(clip, "d"), np.concatenate([halves[:, 16:], halves[:, :16]], axis=1))
    both = {turn_time(np.random.default_rng(seed), clip, fact)[1]["backward"] for seed in range(8)}
    assert both == {True, False}
    for seed in range(8):
        turned, told = turn_time(np.random.default_rng(seed), clip, fact)
        np.testing.assert_array_equal(turned, clip[::-1] if told["backward"] else clip)


def test_a_shifted_clip_moves_with_its_facts():
    clip, fact = drawn_clip("none")
    seen = set()
    for seed in range(12):
        moved, told = shift(np.random.default_rng(seed), clip, fact)
        assert moved.shape == clip.shape
        for picture, at in zip(moved, told["way"], strict=True):
            rows, columns = np.nonzero(picture[..., 0] == 200)  # the red square
            middle = (rows.mean() + 0.5) / 32, (columns.mean() + 0.5) / 48
            if columns.min() > 2 and columns.max() < 45:
                np.testing.assert_allclose(at, middle, atol=1e-6)
                seen.add(middle)
    assert len(seen) > 20


def test_readings_tell_what_is_asked_and_can_be_told():
    _, fact = drawn_clip("none")
    told = readings_of({**fact, "backward": True}, ("time", "weather"))
    words = {name: READINGS[name][index] for name, index in told.items() if index >= 0}
    assert words == {
        "weather": "clear", "setting": "indoors", "time": "backward", "colour": "red", "shape": "box",
        "direction": "right",
    }  # fmt: skip
    _, fact = drawn_clip("recolour")
    words = {name for name, index in readings_of(fact, ("physics", "caption")).items() if index >= 0}
    assert words == {"weather", "setting", "colour", "shape"}  # the colour that it had
    clip, fact = still(np.full((32, 48, 3), 9, np.uint8), "fog", "outdoors", 8)
    assert clip.shape == (8, 32, 48, 3) and (clip == 9).all()
    batch = make_batch(np.random.default_rng(0), clip[None], [fact], length=48)
    assert READINGS["weather"][int(batch.readings["weather"][0])] == "fog"
    assert READINGS["setting"][int(batch.readings["setting"][0])] == "outdoors"
    assert all(int(batch.readings[name][0]) < 0 for name in READINGS if name not in ("weather", "setting"))
    assert int(batch.event[0]) < 0 and (batch.place < 0).all()


def test_batches_hold_questions_that_fit_what_is_seen():
    clips, facts = zip(*(drawn_clip(event) for event in ("none", *EVENTS)), strict=True)
    seen = set()
    for seed in range(12):
        batch = make_batch(np.random.default_rng(seed), np.stack(clips), facts, length=48)
        assert batch.clips.shape == (7, 8, 3, 32, 48) and batch.words.shape[0] == 14
        for row in batch.words.tolist():
            words = [VOCABULARY[token] for token in row if token]
            start = words.index("<start>")
            task = next(name for name, question in QUESTIONS.items() if tuple(words[:start]) == question)
            parse(task, words[start + 1 :])
            seen.add(task)
        place = batch.place[batch.place >= 0]
        assert place.numel() and int(place.max()) <= 2 * 3
    assert seen == set(QUESTIONS)


def test_says_by_heart_what_it_was_taught(taught):
    for event in ("none", "vanish", "teleport", "recolour"):
        clip, fact = drawn_clip(event)
        (said,) = taught.ask(as_batch(clip), "physics")
        assert list(said.words) == text_of("physics", fact)
        assert (said.doubt > 0.5) is (event != "none")
    clip, fact = drawn_clip("none")
    (said,) = taught.ask(as_batch(clip), "caption")
    assert said.answer.caption == "clear red box rolls right"


def test_writing_freely_is_the_likeliest_word_after_each_word(taught):
    clip, _ = drawn_clip("none")
    texts, _ = taught.write(as_batch(clip), "caption")
    scene = texts[0][: texts[0].index("</think>")]  # the answer after it is read from the trunk
    tokens = torch.tensor([[*question_tokens("caption"), *(TOKEN[word] for word in scene)]])
    with torch.inference_mode():
        seen = taught.net.see(to_input(as_batch(clip)))
        likeliest = taught.net.write(seen.tokens, tokens[:, :-1]).argmax(-1)
    start = len(question_tokens("caption"))
    assert likeliest[0, start - 1 :].tolist() == tokens[0, start:].tolist()


def test_the_doubt_of_the_trunk_decides_what_is_written(taught):
    for event, bar, verdict in (("vanish", 1.1, "possible"), ("none", 0.0, "impossible")):
        (said,) = taught.ask(as_batch(drawn_clip(event)[0]), "physics", bar=bar)
        assert said.answer.verdict == verdict
        assert not set(said.words) & set(EVENTS) or verdict == "impossible"


def test_no_word_depends_on_a_later_one():
    torch.manual_seed(0)
    net = ReasonNet(TINY).eval()
    tokens, words = torch.randn(1, 8 * 6, TINY.dim), torch.randint(3, 40, (1, 9))
    changed = words.clone()
    changed[0, 6:] += 1
    with torch.inference_mode():
        one, two = net.write(tokens, words), net.write(tokens, changed)
    torch.testing.assert_close(one[:, :6], two[:, :6])
    assert (one[:, 6:] - two[:, 6:]).abs().max() > 1e-4


def test_an_untaught_net_gives_no_answer(tmp_path):
    torch.manual_seed(1)
    reasoner = load_small(export_small(ReasonNet(TINY).eval(), tmp_path))
    with pytest.raises(AnswerError):
        reasoner.ask(as_batch(drawn_clip("none")[0]), "physics")


@pytest.mark.parametrize(
    "num_frames,fps", [(1, 24.0), (5, 24.0), (8, 24.0), (15, 24.0), (16, 24.0), (93, 24.0), (400, 30.0)]
)
def test_windows_stay_in_the_clip_and_reach_both_ends(taught, num_frames, fps):
    windows = taught.windows(num_frames, fps, 200)
    frames = [frame for window in windows for frame in window.frames]
    assert all(len(window.frames) == 8 for window in windows)
    assert min(frames) == 0 and max(frames) == num_frames - 1 and frames[:8] == sorted(frames[:8])
    if num_frames > 8 * round(0.1 * fps):
        starts = [window.frames[0] for window in windows]
        assert max(np.diff(starts), default=0) <= 4 * round(0.1 * fps)
        assert all(set(np.diff(window.frames)) == {round(0.1 * fps)} for window in windows)
    assert len(taught.windows(num_frames, fps, 2)) <= 2


def test_pictures_of_any_size_are_brought_to_the_net(taught):
    import cv2

    frames = np.random.default_rng(0).integers(0, 256, (8, 96, 144, 3), dtype=np.uint8)
    want = np.stack([cv2.resize(frame, (48, 32), interpolation=cv2.INTER_AREA) for frame in frames])
    got = taught.shrink(frames)[0].numpy().transpose(0, 2, 3, 1)
    assert np.abs(got.astype(int) - want).max() <= 1
    assert taught.shrink(frames[:, :20, :30]).shape == (1, 8, 3, 32, 48)


def test_damaged_and_foreign_weights_are_refused(tmp_path):
    folder = export_small(ReasonNet(TINY), tmp_path / "a", threshold=1.5)
    with pytest.raises(WeightsError, match="threshold"):
        load_small(folder)
    folder = export_small(ReasonNet(TINY), tmp_path / "b", threshold="high")
    with pytest.raises(WeightsError, match="holds no embedded reasoner"):
        load_small(folder)
    folder = export_small(ReasonNet(TINY), tmp_path / "c")
    (folder / "net.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(WeightsError, match="damaged"):
        load_small(folder)


def test_the_closer_look_goes_where_the_place_scores_say():
    net = ReasonNet(TINY)
    place = torch.full((1, 8, 2 * 3 + 1), -20.0)
    place[0, :, 4] = 20.0  # second row, second of three columns
    place[0, 3, 5] = 20.0  # as likely one further right
    place[0, 6, 6] = 40.0  # absent
    spots = net._spots(place)[0]
    torch.testing.assert_close(spots[0], torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(spots[3], torch.tensor([1.0 / 3.0, 0.5, 0.25]))
    assert spots[6, 2] < 1e-6


def test_the_closer_look_sees_the_body_and_nothing_far_from_it():
    torch.manual_seed(0)
    net = ReasonNet(ReasonNetConfig()).eval()
    clips = torch.rand(1, 8, 3, 64, 112) * 2.0 - 1.0
    spots = torch.tensor([-0.5, 0.0, 1.0]).expand(1, 8, 3)  # 28 px from the left, 32 px from above
    far, near = clips.clone(), clips.clone()
    far[..., 60:] = 0.3
    near[..., 30:34, 26:30] = 0.3
    with torch.inference_mode():
        seen = [net.glimpse(part, spots) for part in (clips, far, near)]
    for name in ("colour", "shape", "event"):
        torch.testing.assert_close(seen[0][name], seen[1][name])
        assert (seen[0][name] - seen[2][name]).abs().max() > 1e-5


def test_what_is_shown_is_where_the_body_is():
    _, fact = drawn_clip("vanish")
    drawn = np.stack([spots_of(np.random.default_rng(seed), fact, (8, 32, 48)) for seed in range(400)])
    np.testing.assert_array_equal(drawn[:, :, 2], np.tile([at is not None for at in fact["way"]], (400, 1)))
    for frame, at in enumerate(fact["way"]):
        if at is not None:
            want = 2.0 * at[1] - 1.0, 2.0 * at[0] - 1.0
            np.testing.assert_allclose(drawn[:, frame, :2].mean(axis=0), want, atol=0.06)
    torch.manual_seed(0)
    net, clip = ReasonNet(TINY).eval(), to_input(as_batch(drawn_clip("none")[0]))
    shown = torch.tensor(drawn[0]).float()[None]
    with torch.inference_mode():
        alone, unknown, told = (net.see(clip, spots) for spots in (None, torch.full_like(shown, torch.nan), shown))
    torch.testing.assert_close(alone.readings["shape"], unknown.readings["shape"])
    assert not torch.equal(alone.readings["shape"], told.readings["shape"])
