import importlib
import json
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("transformers", reason="transformers 5 needs Python 3.11")

import torch  # noqa: TID253
from PIL import Image

from cosmos.models.reason.answering import Look, Reasoner, Sampling
from cosmos.models.reason.frames import Budget, Eye, fit_size, pick_frames, read_eye, to_patches
from cosmos.models.reason.loading import load_reason
from cosmos.models.reason.talk import TalkError, compose, split_answer
from cosmos.models.runtime import transformers_class
from cosmos.models.weights import WeightsError
from tiny_reason import GENERATION, learn_script, make_reason, write_tiny_reason

KINDS = tuple(GENERATION)
BUDGET = Budget(least=4 * 64 * 64, most=8 * 128 * 128)
QUIET = Sampling(max_words=8, temperature=0.0)
EYE3 = Eye(patch=16, merge=2, temporal=2, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def nothing():
    """Watch nothing."""


@pytest.fixture(scope="module")
def look():
    frames = np.random.default_rng(3).integers(0, 256, (4, 64, 96, 3), dtype=np.uint8)
    return Look(frames=frames, times=(0.0, 0.25, 0.5, 0.75), budget=BUDGET)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    torch.set_num_threads(1)
    return {kind: write_tiny_reason(tmp_path_factory.mktemp(kind), kind, shards=kind == "qwen3_vl") for kind in KINDS}


@pytest.fixture(scope="module")
def reasoners(folders):
    return {kind: Reasoner(load_reason(folder, device="cpu", dtype=torch.float32)) for kind, folder in folders.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_loads_what_was_saved(reasoners, kind):
    loaded = reasoners[kind]._loaded
    assert loaded.generation == GENERATION[kind]
    for (name, got), (_, want) in zip(
        loaded.model.named_parameters(), make_reason(kind).named_parameters(), strict=True
    ):
        assert torch.equal(got, want), name


@pytest.mark.parametrize("kind", KINDS)
def test_writes_what_the_stock_class_generates(reasoners, folders, look, kind):
    reasoner = reasoners[kind]
    stock = transformers_class("AutoModelForImageTextToText").from_pretrained(folders[kind], dtype=torch.float32).eval()
    inputs = reasoner.inputs(look, "What is it?", think=False)
    made = stock.generate(**inputs, max_new_tokens=8, do_sample=False, pad_token_id=256)
    text = reasoner._loaded.tokenizer.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    with pytest.raises(TalkError, match="did not end within 8 tokens") as caught:
        reasoner.write(look, "What is it?", think=False, sampling=QUIET, watch=nothing)
    assert repr(text[-200:]) in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_the_stock_models_next_word(reasoners, folders, look, kind):
    stock = transformers_class("AutoModelForImageTextToText").from_pretrained(folders[kind], dtype=torch.float32).eval()
    reasoner, choices = reasoners[kind], ("1", "2", "3", "4", "5")
    choice = reasoner.choose(look, "How good?", choices, think=False, sampling=QUIET, watch=nothing)
    inputs = reasoner.inputs(look, "How good?", think=False)
    tokenizer = reasoner._loaded.tokenizer
    if GENERATION[kind] == 1:
        inputs = reasoner._longer(inputs, "<think>\n</think>\n\n<answer>\n")
    with torch.inference_mode():
        shares = stock(**inputs).logits[0, -1].double().softmax(-1)
    want = np.array([float(shares[tokenizer(choice)["input_ids"][0]]) for choice in choices])
    np.testing.assert_allclose([choice.shares[name] for name in choices], want / want.sum(), atol=1e-5)
    np.testing.assert_allclose(choice.mass, want.sum(), rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_sees_pictures_order_and_time(reasoners, look, kind):
    def shares(**change):
        shown = Look(**{"frames": look.frames, "times": look.times, "budget": look.budget, **change})
        choice = reasoners[kind].choose(shown, "How?", ("1", "2", "3"), think=False, sampling=QUIET, watch=nothing)
        return np.array(list(choice.shares.values()))

    plain = shares()
    np.testing.assert_array_equal(shares(), plain)
    for change in ({"frames": 255 - look.frames}, {"frames": look.frames[::-1]}, {"times": (0.0, 2.0, 4.0, 6.0)}):
        assert np.abs(shares(**change) - plain).max() > 1e-7, change


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "qwen3_vl"])
def test_reads_the_answer_after_a_thought(tmp_path, look, kind):
    reasoner = Reasoner(load_reason(write_tiny_reason(tmp_path, kind), device="cpu", dtype=torch.float32))
    net = reasoner._loaded.model
    stub = SimpleNamespace(inputs=reasoner.inputs, tokenizer=reasoner._loaded.tokenizer)
    script = "<think>up</think>\n\n" + ("<answer>\n4\n</answer>" if kind == "qwen2_5_vl" else "4")
    assert learn_script(net, stub, look, "Rate it.", script) < 0.05
    plain = Sampling(max_words=60, temperature=0.0)
    text = reasoner.write(look, "Rate it.", think=True, sampling=plain, watch=nothing)
    assert split_answer(text, generation=GENERATION[kind], think=True) == ("up", "4")
    choice = reasoner.choose(look, "Rate it.", ("1", "4"), think=True, sampling=plain, watch=nothing)
    assert choice.shares["4"] > 0.9 and choice.mass > 0.5 and choice.raw.startswith("<think>up</think>")
    short = Sampling(max_words=4, temperature=0.0)
    with pytest.raises(TalkError, match="thought did not end within 4 tokens"):
        reasoner.choose(look, "Rate it.", ("1", "4"), think=True, sampling=short, watch=nothing)


def test_the_seed_decides_what_is_drawn(reasoners, look):
    def drawn(seed):
        sampling = Sampling(max_words=12, temperature=1.0, top_p=1.0, seed=seed)
        with pytest.raises(TalkError) as caught:
            reasoners["qwen3_vl"].write(look, "Say.", think=False, sampling=sampling, watch=nothing)
        return str(caught.value)

    before = torch.random.get_rng_state()
    assert drawn(1) == drawn(1) and drawn(1) != drawn(2)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_watch_ends_an_answer_at_any_layer(reasoners, look):
    class StopError(Exception):
        pass

    for limit in (0, 2, 7):
        calls = []

        def watch(calls=calls, limit=limit):
            calls.append(1)
            if len(calls) > limit:
                raise StopError

        with pytest.raises(StopError):
            reasoners["qwen3_vl"].write(look, "Say.", think=False, sampling=QUIET, watch=watch)
        assert len(calls) == limit + 1
    reasoners["qwen3_vl"].choose(look, "Say.", ("1", "2"), think=False, sampling=QUIET, watch=nothing)


@pytest.mark.parametrize("mark", ["<|im_end|>", "<|video_pad|>", "<|im_start|>system", "<|vision_start|>"])
def test_a_question_with_marks_of_the_model_is_refused(reasoners, look, mark):
    with pytest.raises(TalkError, match="is a mark of the model"):
        reasoners["qwen3_vl"].inputs(look, f"Is it {mark} here?", think=False)


def test_a_step_of_generation_2_is_stamped_as_stock_does(reasoners):
    stock = importlib.import_module("transformers.models.qwen3_vl.processing_qwen3_vl").Qwen3VLProcessor
    times = stock._calculate_timestamps(None, [0, 3, 6, 9], 24.0, 2)
    tokenizer = reasoners["qwen3_vl"]._loaded.tokenizer
    text = compose(tokenizer, "Q", generation=2, think=False, tokens=2, times=times)
    steps = "".join(f"<{t:.1f} seconds><|vision_start|><|video_pad|><|video_pad|><|vision_end|>" for t in times)
    assert f"user\n{steps}Q" in text and text.endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize(
    "frames,height,width", [(4, 64, 96), (8, 144, 256), (7, 704, 1280), (32, 90, 33), (2, 20, 300)]
)
def test_sizes_are_those_of_the_stock_processor(frames, height, width):
    stock = importlib.import_module("transformers.models.qwen3_vl.video_processing_qwen3_vl").smart_resize
    budget = Budget(least=256 * 1024, most=2048 * 1024)
    want = stock(frames, height, width, 2, 32, min_pixels=budget.least, max_pixels=budget.most)
    assert fit_size(height, width, frames, EYE3, budget) == want


def test_patches_are_those_of_the_stock_processor():
    stock = importlib.import_module("transformers.models.qwen3_vl.video_processing_qwen3_vl").Qwen3VLVideoProcessor
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), dtype=np.uint8)
    patches, grid = to_patches(frames, EYE3, (64, 96), torch.device("cpu"))
    video = (torch.from_numpy(frames).permute(0, 3, 1, 2).double() / 255.0 - 0.5) / 0.5
    want, *sizes = stock.patchify(None, video[None], 16, 2, 2)
    assert grid.tolist() == [sizes]
    np.testing.assert_allclose(patches.numpy(), want[0].numpy(), atol=1e-6)


def test_scaled_patches_are_close_to_the_stock_picture_processor():
    stock = importlib.import_module("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    frame = np.random.default_rng(1).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    frame = np.asarray(Image.fromarray(frame).resize((160, 90), Image.Resampling.BICUBIC))
    processor = stock.Qwen2VLImageProcessorPil(size={"shortest_edge": 56 * 56, "longest_edge": 84 * 140})
    want = processor(Image.fromarray(frame), return_tensors="np")
    eye = Eye(patch=14, merge=2, temporal=2, mean=tuple(processor.image_mean), std=tuple(processor.image_std))
    rows, columns = (int(n) * 14 for n in want["image_grid_thw"][0, 1:])
    patches, grid = to_patches(frame[None], eye, (rows, columns), torch.device("cpu"))
    assert grid.tolist() == want["image_grid_thw"].tolist()
    assert np.abs(patches.numpy() - want["pixel_values"]).max() < 2.0 / 255.0 / 0.26


@pytest.mark.parametrize(
    "num_frames,fps,wanted,least,most", [(96, 24, 4, 4, 768), (6, 24, 4, 4, 768), (1, 24, 4, 4, 9)]
)
def test_frames_are_those_of_the_stock_processor(num_frames, fps, wanted, least, most):
    stock = importlib.import_module("transformers.models.qwen3_vl.video_processing_qwen3_vl").Qwen3VLVideoProcessor
    told = SimpleNamespace(min_frames=least, max_frames=most, fps=wanted)
    want = stock.sample_frames(told, SimpleNamespace(total_num_frames=num_frames, fps=fps), fps=wanted)
    assert pick_frames(num_frames, fps, wanted_fps=wanted, least=least, most=most) == want.tolist()


def test_another_phase_looks_at_other_frames_of_the_clip():
    first, second = (pick_frames(48, 24.0, wanted_fps=4.0, least=4, most=99, phase=phase) for phase in (0, 1))
    assert first != second and len(set(second)) == len(second) == len(first) and max(second) == 47
    assert pick_frames(4, 24.0, wanted_fps=24.0, least=4, most=99, phase=3) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "text,generation,think,fault",
    [
        ("<think>a</think>\n<answer>B</answer> and more", 1, True, "between <answer>"),
        ("<think>a</think>\nB", 1, True, "between <answer>"),
        ("B", 1, True, "one thought"),
        ("<think>a</think><think>b</think>\n<answer>B</answer>", 1, True, "one thought"),
        ("<think>a</think>\n<answer></answer>", 1, True, "empty"),
        ("<think>never ends", 2, True, "one thought"),
        ("ok <think>a</think> B", 2, True, "one thought"),
        ("", 2, False, "empty"),
    ],
)
def test_another_form_is_no_answer(text, generation, think, fault):
    with pytest.raises(TalkError, match=fault):
        split_answer(text, generation=generation, think=think)


def test_both_forms_are_read():
    assert split_answer("<think>x\n</think>\n\n<answer>\nB\n</answer>", generation=1, think=True) == ("x", "B")
    assert split_answer("<think>\nx\n</think>\n\nB", generation=2, think=True) == ("x", "B")
    assert split_answer(" B\n", generation=2, think=False) == ("", "B")


def test_a_folder_of_another_kind_is_refused(tmp_path, folders):
    with pytest.raises(WeightsError, match="cannot be read"):
        load_reason(tmp_path, device="cpu", dtype=torch.float32)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(WeightsError, match="holds a 'llama'; a Reason model is one of"):
        load_reason(tmp_path, device="cpu", dtype=torch.float32)
    with pytest.raises(WeightsError, match="with a patch_size"):
        read_eye(tmp_path)


def test_missing_and_damaged_weights_are_refused(tmp_path):
    folder = write_tiny_reason(tmp_path, "qwen3_vl")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({**config, "text_config": {**config["text_config"], "num_hidden_layers": 4}})
    )
    with pytest.raises(WeightsError, match=r"lacks \d+ weights"):
        load_reason(folder, device="cpu", dtype=torch.float32)
    (folder / "config.json").write_text(json.dumps(config))
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="fetch the checkpoint again"):
        load_reason(folder, device="cpu", dtype=torch.float32)
