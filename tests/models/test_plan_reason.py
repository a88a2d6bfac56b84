import pytest

pytest.importorskip("transformers", reason="transformers 5 needs Python 3.11")

from cosmos.models.reason.plan import PUBLISHED_SHAPES, plan_reason
from cosmos.models.weights import WeightsError
from tiny_reason import make_reason, write_tiny_reason


def test_published_nets_have_as_many_parameters_as_is_told():
    told = {"cosmos-reason1": 8_292_166_656, "cosmos-reason2": 8.77e9, "cosmos-reason2-2b": 2.13e9}
    for name, count in told.items():
        plan = plan_reason(name, size=(704, 1280), num_frames=16)
        assert plan.parameters == pytest.approx(count, rel=0.005), name
        assert plan.weights == pytest.approx(2 * plan.parameters / 2**30) and plan.needed > plan.weights + 1.0
    assert set(PUBLISHED_SHAPES) == {*told, "cosmos3-reasoner"}


def test_tokens_and_memory_grow_with_what_is_looked_at_up_to_the_budget():
    small, large, capped = (
        plan_reason("cosmos-reason2-2b", size=(320, 640), num_frames=count, most_tokens=most)
        for count, most in ((4, 4096), (16, 4096), (16, 512))
    )
    assert small.tokens == 2 * 10 * 20 + 400 and large.tokens == 8 * 10 * 20 + 400
    assert capped.tokens <= 512 + 400 and small.needed < large.needed and capped.needed < large.needed


def test_a_folder_of_ones_own_is_counted(tmp_path):
    for kind in ("qwen2_5_vl", "qwen3_vl", "cosmos3_omni"):
        folder = write_tiny_reason(tmp_path / kind, kind)
        plan = plan_reason("cosmos-reason1", size=(64, 96), num_frames=4, folder=folder)
        assert plan.parameters == sum(part.numel() for part in make_reason(kind).parameters())


def test_verdicts_name_the_reason_and_bad_input_is_refused(tmp_path):
    plan = plan_reason("cosmos-reason1", size=(704, 1280), num_frames=16)
    assert plan.verdict(80.0).startswith("fits") and "because the weights alone take 15.4 GiB" in plan.verdict(16.0)
    assert "lower most_tokens" in plan.verdict(plan.weights + 1.01)
    with pytest.raises(WeightsError, match="cannot be read"):
        plan_reason("cosmos-reason1", size=(64, 64), num_frames=4, folder=tmp_path)
    with pytest.raises(ValueError, match="above 0"):
        plan_reason("cosmos-reason1", size=(64, 64), num_frames=0)
