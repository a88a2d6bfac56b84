"""Published layouts: what is loaded is what lies there, and what is wrong is refused before it costs memory."""

import json
import pickle
import shutil

import pytest
import torch  # noqa: TID253
from safetensors.torch import load_file, save_file

from cosmos.models.checkpoint import build_on_meta, load_module, parameter_count, read_header, weight_files
from cosmos.models.weights import WeightsError
from tiny_cosmos import make_branch25, make_transformer25

CPU = torch.device("cpu")
NAME = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def branch(tiny25, tmp_path):
    """A branch that a test may damage."""
    return shutil.copytree(tiny25 / "controlnet" / "edge", tmp_path / "edge")


def load_branch(folder, dtype=torch.float32):
    return load_module(folder, "CosmosControlNetModel", device=CPU, dtype=dtype)


def test_shards_and_single_files_load_to_what_was_saved(tiny25):
    assert len(weight_files(tiny25 / "general" / "transformer")) > 1
    for folder, name, made in (
        (tiny25 / "general" / "transformer", "CosmosTransformer3DModel", make_transformer25()),
        (tiny25 / "controlnet" / "edge", "CosmosControlNetModel", make_branch25(20)),
    ):
        loaded = load_module(folder, name, device=CPU, dtype=torch.float32)
        wanted = made.state_dict()
        assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
        assert all(torch.equal(value, wanted[key]) for key, value in loaded.state_dict().items())
        assert parameter_count(build_on_meta(folder, name)) == parameter_count(made)


def test_weights_take_the_asked_type(tiny25):
    loaded = load_branch(tiny25 / "controlnet" / "edge", torch.bfloat16)
    assert {p.dtype for p in loaded.parameters()} == {torch.bfloat16}


def test_a_truncated_file_is_refused(branch):
    whole = (branch / NAME).read_bytes()
    (branch / NAME).write_bytes(whole[:-100])
    with pytest.raises(WeightsError, match=r"bytes, its header says \d+; fetch"):
        load_branch(branch)
    (branch / NAME).write_bytes(whole[:40])
    with pytest.raises(WeightsError, match="truncated or no safetensors file"):
        load_branch(branch)
    (branch / NAME).write_bytes(b"")
    with pytest.raises(WeightsError, match="truncated or no safetensors file"):
        load_branch(branch)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_under_another_name_is_refused(branch, protocol):
    (branch / NAME).write_bytes(pickle.dumps({"weight": [1.0] * 100}, protocol=protocol))
    with pytest.raises(WeightsError, match="is a pickle, not safetensors"):
        load_branch(branch)


def test_a_torch_archive_under_another_name_is_refused(branch):
    torch.save({"weight": torch.zeros(4)}, branch / NAME)
    with pytest.raises(WeightsError, match="is a pickle, not safetensors"):
        load_branch(branch)


def test_a_header_that_is_no_header_is_refused(branch):
    (branch / NAME).write_bytes((16).to_bytes(8, "little") + b'{"a": [1, 2, 3]}')
    with pytest.raises(WeightsError, match="damaged safetensors header"):
        read_header(branch / NAME)


def test_a_renamed_file_of_another_module_is_refused(branch, tiny25):
    shutil.copy(tiny25 / "general" / "vae" / NAME, branch / NAME)
    with pytest.raises(WeightsError, match=r"of \d+ tensors \d+ are missing and \d+ are foreign"):
        load_branch(branch)


def test_a_missing_file_or_shard_is_named(branch, tiny25, tmp_path):
    (branch / NAME).unlink()
    with pytest.raises(WeightsError, match=rf"The weight file \S+{NAME} is missing"):
        load_branch(branch)
    folder = shutil.copytree(tiny25 / "general" / "transformer", tmp_path / "transformer")
    shard = weight_files(folder)[1]
    shard.unlink()
    with pytest.raises(WeightsError, match=rf"The shard \S+{shard.name} is missing"):
        load_module(folder, "CosmosTransformer3DModel", device=CPU, dtype=torch.float32)


def test_an_index_that_points_elsewhere_is_refused(tiny25, tmp_path):
    folder = shutil.copytree(tiny25 / "general" / "transformer", tmp_path / "transformer")
    index = folder / f"{NAME}.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../../secrets.safetensors"}}))
    with pytest.raises(WeightsError, match="points outside of its folder"):
        weight_files(folder)
    index.write_text("[]")
    with pytest.raises(WeightsError, match="cannot be read"):
        weight_files(folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"_class_name": "UNet2DModel"}, "holds a 'UNet2DModel', not a CosmosControlNetModel"),
        ({"n_controlnet_blocks": 3}, "are missing and 0 are foreign"),
        ({"text_embed_dim": 8}, r"is \[32, 32\], its config.json says \[32, 8\]"),
        ({"attention_head_dim": "wide"}, "describes no CosmosControlNetModel"),
    ],
)
def test_a_wrong_configuration_is_refused(branch, change, sentence):
    config = json.loads((branch / "config.json").read_text())
    (branch / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(WeightsError, match=sentence):
        load_branch(branch)


def test_a_folder_without_a_configuration_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="cannot be read"):
        load_branch(tmp_path)


def test_a_tensor_too_many_is_refused(branch):
    tensors = load_file(branch / NAME)
    save_file({**tensors, "zzz": torch.zeros(3)}, branch / NAME)
    with pytest.raises(WeightsError, match="1 are foreign"):
        load_branch(branch)
