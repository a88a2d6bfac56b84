"""The vLLM engine of the Reason critics; what needs vLLM itself runs where it is installed, beside transformers."""

import importlib.util
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("transformers", reason="transformers 5 needs Python 3.11")

import torch  # noqa: TID253

from cosmos.models.reason.answering import Look, Reasoner, Sampling
from cosmos.models.reason.frames import Budget, read_eye, to_patches
from cosmos.models.reason.loading import load_reason
from cosmos.models.reason.talk import TalkError
from cosmos.models.reason.vllm_engine import VllmLimits, VllmReasoner, load_vllm
from cosmos.models.weights import WeightsError
from tiny_reason import GENERATION, complete_processor, write_tiny_reason

BUDGET = Budget(least=4 * 64 * 64, most=8 * 128 * 128)
QUIET = Sampling(max_words=8, temperature=0.0)
LIMITS = VllmLimits(tokens=256, frames=16, words=64)
FIVE = ("1", "2", "3", "4", "5")


def installed(test):
    """Run a test where vLLM is; what it warns of within itself is not ours to mend."""
    absent = importlib.util.find_spec("vllm") is None
    return pytest.mark.skipif(absent, reason="vLLM is not installed")(pytest.mark.filterwarnings("ignore")(test))


def nothing():
    """Watch nothing."""


def look_of(count=5, size=(64, 96)):
    frames = np.random.default_rng(3).integers(0, 256, (count, *size, 3), dtype=np.uint8)
    return Look(frames=frames, times=tuple(5 / 24 * index for index in range(count)), budget=BUDGET)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    torch.set_num_threads(1)
    return {kind: write_tiny_reason(tmp_path_factory.mktemp(kind), kind) for kind in GENERATION}


@pytest.fixture(scope="module")
def stock(folders):
    return {kind: Reasoner(load_reason(folder, device="cpu", dtype=torch.float32)) for kind, folder in folders.items()}


def beside(stock, kind, llm=None):
    loaded = stock[kind]._loaded
    return VllmReasoner(llm, loaded.tokenizer, loaded.eye, loaded.generation, loaded.sha256)


@pytest.mark.parametrize("kind", sorted(GENERATION))
@pytest.mark.parametrize("count", [1, 4, 5])
def test_is_given_the_pictures_and_times_that_transformers_is_given(stock, folders, kind, count):
    look = look_of(count)
    prompt = beside(stock, kind).prompt(look, "How good?", think=False)
    ((frames, told),) = prompt["multi_modal_data"]["video"]
    eye = read_eye(folders[kind])
    want = stock[kind].inputs(look, "How good?", think=False)
    patches, grid = to_patches(frames, eye, frames.shape[1:3], torch.device("cpu"))  # scaled already
    torch.testing.assert_close(patches, want["pixel_values_videos"])
    assert grid.tolist() == want["video_grid_thw"].tolist() and len(frames) % eye.temporal == 0
    assert prompt["prompt_token_ids"].count(262) == 1  # one place, which the engine fills
    stamps = np.array(told["frames_indices"]) / told["fps"]
    if GENERATION[kind] == 1:
        sampled = len(told["frames_indices"]) / told["total_num_frames"] * told["fps"]
        assert eye.temporal / sampled == pytest.approx(float(want["second_per_grid_ts"][0]))
    else:
        np.testing.assert_allclose(stamps[:count], look.times, atol=1e-6)
        assert told["total_num_frames"] > max(told["frames_indices"])


class Engine:
    """Answers nothing for a few steps; keeps what it is asked and what is taken out."""

    def __init__(self):
        self.asked, self.aborted, self.open = [], [], 0
        self.llm_engine = self

    def enqueue(self, prompt, params, *, use_tqdm):
        if len(prompt["prompt_token_ids"]) > 600:
            raise ValueError("The prompt is too long.\nmore")
        self.asked.append((prompt, params))
        self.open = 3
        return ["7"]

    def has_unfinished_requests(self):
        return self.open > 0

    def step(self):
        self.open -= 1
        return []

    def abort_request(self, ids, internal):
        self.aborted += [*ids, internal]


@pytest.fixture
def parameters(monkeypatch):
    """Stands for vLLM's class of the same name where vLLM is absent."""
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=lambda **told: told))


def test_whatever_ends_a_question_takes_it_out_of_the_engine(stock, parameters):
    class StopError(Exception):
        pass

    calls = []

    def stop():
        calls.append(1)
        if len(calls) == 2:
            raise StopError

    engine = Engine()
    reasoner = beside(stock, "qwen3_vl", engine)
    with pytest.raises(StopError):
        reasoner.write(look_of(2), "Hm?", think=False, sampling=QUIET, watch=stop)
    assert engine.aborted == ["7", True] and len(calls) == 2
    with pytest.raises(RuntimeError, match="without an answer"):
        reasoner.write(look_of(2), "Hm?", think=False, sampling=QUIET, watch=nothing)
    with pytest.raises(RuntimeError, match=r"vLLM refuses the question \(The prompt is too long\.\)"):
        reasoner.write(look_of(2), "Hm?" * 300, think=False, sampling=QUIET, watch=nothing)
    with pytest.raises(TalkError, match="mark of the model"):
        reasoner.write(look_of(2), "<|im_end|>", think=False, sampling=QUIET, watch=nothing)


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_vllm_it_cannot_be_loaded(folders):
    with pytest.raises(ImportError, match="vllm"):
        load_vllm(folders["qwen3_vl"], device="cpu", dtype=torch.float32, limits=LIMITS)


@pytest.mark.parametrize(("asked", "built"), [("cpu", "cuda"), ("cuda:0", "cpu"), ("cuda:1", "cuda")])
def test_another_device_than_that_of_the_build_is_refused(folders, monkeypatch, asked, built):
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace())
    platform = SimpleNamespace(current_platform=SimpleNamespace(device_type=built))
    monkeypatch.setitem(sys.modules, "vllm.platforms", platform)
    with pytest.raises(RuntimeError, match=r"this vLLM runs on .* alone; set critic_options\.device"):
        load_vllm(folders["qwen3_vl"], device=asked, dtype=torch.float32, limits=LIMITS)


def test_the_cosmos_3_reasoner_is_left_to_transformers(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace())
    platform = SimpleNamespace(current_platform=SimpleNamespace(device_type="cpu"))
    monkeypatch.setitem(sys.modules, "vllm.platforms", platform)
    with pytest.raises(WeightsError, match=r"leave critic_options\.engine at 'transformers'"):
        load_vllm(folders["cosmos3_omni"], device="cpu", dtype=torch.float32, limits=LIMITS)


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def both(request, tmp_path_factory):
    """The same tiny checkpoint in both engines."""
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    kind = request.param
    folder = complete_processor(write_tiny_reason(tmp_path_factory.mktemp(kind), kind, head=32), kind)
    fast = load_vllm(folder, device="cpu", dtype=torch.float32, limits=LIMITS)
    yield kind, Reasoner(load_reason(folder, device="cpu", dtype=torch.float32)), fast
    fast.close()


@installed
@pytest.mark.parametrize("count", [4, 5])
def test_vllm_scores_as_transformers_does(both, count):
    kind, slow, fast = both
    look = look_of(count)
    steps = []
    want = slow.choose(look, "How good?", FIVE, think=False, sampling=QUIET, watch=nothing)
    got = fast.choose(look, "How good?", FIVE, think=False, sampling=QUIET, watch=lambda: steps.append(1))
    np.testing.assert_allclose([got.shares[n] for n in FIVE], [want.shares[n] for n in FIVE], atol=2e-4)
    assert got.mass == pytest.approx(want.mass, rel=1e-3) and got.raw == want.raw and steps
    assert (fast.generation, fast.pixels_of_token, fast.sha256) == (GENERATION[kind], slow.pixels_of_token, slow.sha256)
    out = fast._run(fast.prompt(look, "How good?", think=False), fast._params(QUIET), nothing)
    assert list(out.prompt_token_ids) == slow.inputs(look, "How good?", think=False)["input_ids"][0].tolist()


@installed
def test_vllm_writes_as_transformers_does(both):
    _, slow, fast = both
    said = []
    for reasoner in (slow, fast):
        with pytest.raises(TalkError, match="did not end within 8 tokens") as caught:
            reasoner.write(look_of(4), "What is it?", think=True, sampling=QUIET, watch=nothing)
        said.append(str(caught.value))
    assert said[0] == said[1]
    with pytest.raises(TalkError, match="thought did not end"):
        fast.choose(look_of(4), "How?", FIVE, think=True, sampling=QUIET, watch=nothing)


@installed
def test_vllm_refuses_what_is_no_checkpoint(tmp_path):
    with pytest.raises(WeightsError, match=r"config\.json"):
        load_vllm(tmp_path, device="cpu", dtype=torch.float32, limits=LIMITS)
