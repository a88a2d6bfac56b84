"""The reader is trained alike whether it was stopped or not, and understands prompts that no template writes."""

import pytest
import torch  # noqa: TID253

import train_prompt_reader
from cosmos.models.embedded.sampling import load_embedded
from evaluate_transfer import WEIGHTS, reader_accuracy
from transfer_conditions import CONDITIONS, HARD_WORDINGS, MEANT, WORDINGS, nearest


def test_a_reader_that_was_stopped_ends_as_one_that_was_not(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    whole, words, log = train_prompt_reader.train(tmp_path / "whole", steps=4, seed=5, batch=3)
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
    again, same, _ = train_prompt_reader.train(tmp_path / "stopped", steps=4, seed=5, batch=3)
    assert words == same and log["steps"] == 4 and saves[:3] == [1, 2, 2]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_the_shipped_reader_understands_nine_prompts_of_ten_that_no_template_writes():
    assert set(WORDINGS) == set(CONDITIONS) and all(len(prompts) == 40 for prompts in WORDINGS.values())
    share, wrong = reader_accuracy(load_embedded(WEIGHTS, "cpu"))
    assert share >= 0.9 and len(wrong) == round((1.0 - share) * 480)


def test_the_shipped_reader_understands_four_of_five_prompts_that_were_to_be_hard():
    assert set(HARD_WORDINGS) == set(CONDITIONS) and all(len(prompts) == 40 for prompts in HARD_WORDINGS.values())
    share, _ = reader_accuracy(load_embedded(WEIGHTS, "cpu"), HARD_WORDINGS)
    assert share >= 0.8


def test_each_condition_as_words_mean_it_is_the_nearest_to_itself():
    assert all(nearest(conditions) == name for name, conditions in MEANT.items())
