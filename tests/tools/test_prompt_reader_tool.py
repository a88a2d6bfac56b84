"""The reader is trained alike whether it was stopped or not, and understands prompts that no template writes."""

import pytest
import torch  # noqa: TID253

import train_prompt_reader
from cosmos.models.embedded.sampling import load_embedded
from evaluate_transfer import WEIGHTS, measure_reader, reader_accuracy
from transfer_conditions import (
    CONDITIONS,
    HARD_WORDINGS,
    IDLE_WORDINGS,
    MEANT,
    WORDINGS,
    WORKING_WORDINGS,
    is_plain_day,
    nearest,
)


def test_a_reader_that_was_stopped_ends_as_one_that_was_not(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    prompts, plain = train_prompt_reader.whole_prompts()[::300], train_prompt_reader.plain_prompts()[::200]
    monkeypatch.setattr(train_prompt_reader, "whole_prompts", lambda: prompts)
    monkeypatch.setattr(train_prompt_reader, "plain_prompts", lambda: plain)
    whole, about = train_prompt_reader.train(tmp_path / "whole", steps=4, seed=5, batch=3)
    kept, saves = torch.save, []

    def save_and_stop(state, path):
        kept(state, path)
        saves.append(state["step"])
        if len(saves) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(train_prompt_reader, "_SAVE_SECONDS", 0.0)
    monkeypatch.setattr(train_prompt_reader.torch, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        train_prompt_reader.train(tmp_path / "stopped", steps=4, seed=5, batch=3)
    again, same = train_prompt_reader.train(tmp_path / "stopped", steps=4, seed=5, batch=3)
    for told in (about, same):
        told["training"]["end"][0].pop("seconds")
    assert about == same and about["training"]["steps"] == 4 and saves[:3] == [1, 2, 2]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_the_shipped_reader_understands_nine_prompts_of_ten_that_no_template_writes():
    assert set(WORDINGS) == set(CONDITIONS) and all(len(prompts) == 40 for prompts in WORDINGS.values())
    share, wrong = reader_accuracy(load_embedded(WEIGHTS, "cpu"))
    assert share >= 0.9 and len(wrong) == round((1.0 - share) * 480)


@pytest.mark.parametrize("asked", [HARD_WORDINGS, WORKING_WORDINGS], ids=["hard", "working"])
def test_the_shipped_reader_understands_nine_of_ten_that_are_hard_or_hold_much_else(asked):
    assert set(asked) == set(CONDITIONS) and all(len(prompts) == 40 for prompts in asked.values())
    share, _ = reader_accuracy(load_embedded(WEIGHTS, "cpu"), asked)
    assert share >= 0.9


def test_prompts_that_say_nothing_of_light_and_weather_leave_the_day_plain():
    assert len(set(IDLE_WORDINGS)) == 240
    shares = measure_reader(load_embedded(WEIGHTS, "cpu"))
    assert shares["idle_left_plain"] >= 0.85 and shares["working_reader_accuracy"] >= 0.9
    assert is_plain_day(CONDITIONS["clear day"]) and not any(
        is_plain_day(conditions) for name, conditions in CONDITIONS.items() if name != "clear day"
    )


def test_each_condition_as_words_mean_it_is_the_nearest_to_itself():
    assert all(nearest(conditions) == name for name, conditions in MEANT.items())
