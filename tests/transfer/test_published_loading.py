"""NVIDIA's backends load what is whole, refuse in one sentence what is not, and nothing stays of what fails or goes."""

import gc
import json
import pickle
import shutil
from contextlib import contextmanager

import pytest
import torch  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from backends import CASES
from cosmos.bridge.errors import ModelError, ModelMemoryError, ModelNotInstalledError, ModelWeightsError
from cosmos.models.fetching import LOCK
from fake_clips import make_clip

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


@pytest.fixture
def folder(kept, case):
    return kept.folder(case)


@pytest.fixture
def clip(kept, case):
    return kept.clip(case)


def test_missing_weights_name_the_ways_to_get_them(case, tmp_path, monkeypatch):
    monkeypatch.setenv("COSMOS_BRIDGE_HOME", str(tmp_path))
    with pytest.raises(
        ModelWeightsError, match=rf"no checkpoint of {case.name} in \S+elsewhere .*models fetch {case.name}"
    ):
        case.create(tmp_path / "elsewhere").load("cpu")
    with pytest.raises(ModelWeightsError, match=r"in \S+checkpoints\S+ "):
        type(case.create(tmp_path))().load("cpu")


def test_the_commit_that_was_fetched_is_told(case, folder, tmp_path):
    """The lock is what ``models fetch`` writes beside a checkpoint."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    piece = "general" if case.name == "cosmos-transfer2.5" else ""
    published = case.create(copy).spec.revision
    lock = {"name": case.name, "licence": "x", "pieces": {piece: {"commit": "c0ffee", "files": {}}}}
    (copy / LOCK).write_text(json.dumps(lock))
    model = case.create(copy)
    assert model.spec.revision == f"{published}@c0ffee"
    assert model.transfer(case.ask(make_clip((36, 50), 1))).provenance.revision == f"{published}@c0ffee"
    (copy / LOCK).write_text('{"pieces": {"": {}}}')
    with pytest.raises(ModelWeightsError, match=r"The lock \S+ is damaged .*; fetch again"):
        case.create(copy).transfer(case.ask(make_clip((36, 50), 1)))


def test_missing_packages_name_the_extra(case, folder, monkeypatch):
    from cosmos.models import checkpoint

    def missing(name):
        raise ImportError("No module named 'diffusers'", name="diffusers")

    monkeypatch.setattr(checkpoint, "diffusers_class", missing)
    with pytest.raises(ModelNotInstalledError, match=r'needs diffusers: pip install "cosmos-bridge\[cosmos\]"'):
        case.create(folder).load("cpu")


def test_a_device_that_is_not_there_is_refused(case, folder):
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="torch sees no CUDA device"):
            case.create(folder).load("cuda:0")
    with pytest.raises(ModelError, match="cannot run on 'gpu'"):
        case.create(folder).load("gpu")


def _truncate(part):
    file = part / WEIGHTS
    file.write_bytes(file.read_bytes()[:-4])


def _pickle(part):
    (part / WEIGHTS).write_bytes(pickle.dumps({"weight": [1.0] * 100}))


def _rename(part):
    (part / WEIGHTS).rename(part / "model.safetensors")


def _foreign(part):
    vae = next(folder for folder in (part.parent / "vae", part.parents[1] / "general" / "vae") if folder.is_dir())
    shutil.copy(vae / WEIGHTS, part / WEIGHTS)


def _misconfigure(part):
    config = json.loads((part / "config.json").read_text())
    (part / "config.json").write_text(json.dumps({**config, "_class_name": "UNet2DModel"}))


def _lose_shard(part):
    index = {"metadata": {}, "weight_map": {"proj_in.weight": "diffusion_pytorch_model-00002-of-00002.safetensors"}}
    (part / f"{WEIGHTS}.index.json").write_text(json.dumps(index))


DAMAGES = {
    "truncated": (_truncate, r"bytes, its header says \d+; fetch"),
    "pickle": (_pickle, "is a pickle, not safetensors; only safetensors are loaded"),
    "renamed": (_rename, r"The weight file \S+ is missing; fetch"),
    "foreign": (_foreign, r"of \d+ tensors \d+ are missing and \d+ are foreign"),
    "wrong configuration": (_misconfigure, "holds a 'UNet2DModel', not a Cosmos"),
    "missing shard": (_lose_shard, r"The shard \S+00002-of-00002\.safetensors is missing; fetch"),
    "out of memory": (None, "does not fit cpu: CUDA out of memory"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_load_that_fails_is_a_sentence_and_leaves_nothing_behind(case, folder, tmp_path, monkeypatch, damage):
    """What is loaded last is damaged, so that all before it is in memory when that is found."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    spoil, sentence = DAMAGES[damage]
    last = copy / ("controlnet/blur" if case.name == "cosmos-transfer2.5" else "transformer")
    if spoil is not None:
        spoil(last)
    else:
        from cosmos.models import checkpoint

        opened = checkpoint.safe_open

        def full(file, **settings):
            if file.parent == last:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return opened(file, **settings)

        monkeypatch.setattr(checkpoint, "safe_open", full)
    model = case.create(copy)
    with new_tensors() as held:
        with pytest.raises(ModelMemoryError if spoil is None else ModelWeightsError, match=sentence) as caught:
            model.load("cpu")
        assert "\n" not in str(caught.value)
        del caught
        assert held() == 0


def test_unloading_frees_every_weight(case, folder, clip):
    """Counted by the tensors that live, as the CPU has no allocator to ask."""
    model = case.create(folder)
    with new_tensors() as held:
        model.load("cpu")
        loaded = held()
        assert loaded > 200_000
        model.transfer(case.ask(clip))
        model.unload()
        model.unload()
        assert held() < 0.01 * loaded


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_unloading_gives_the_allocators_memory_back(case, folder, clip):
    before = torch.cuda.memory_allocated()
    model = case.create(folder)
    model.load("cuda:0")
    loaded = torch.cuda.memory_allocated() - before
    assert loaded > 100_000
    model.transfer(case.ask(clip))
    model.unload()
    assert torch.cuda.memory_allocated() - before < 0.01 * loaded


@contextmanager
def new_tensors():
    """Give a count of the bytes of all tensors that were made inside and are alive."""

    def held():
        gc.collect()
        alive = [item.untyped_storage() for item in gc.get_objects() if issubclass(type(item), torch.Tensor)]
        return sum({storage.data_ptr(): storage.nbytes() for storage in alive}.values())

    gc.freeze()  # what lives already is neither collected nor listed
    try:
        yield held
    finally:
        gc.unfreeze()
