"""The Transfer2.5 backend: every setting of a request and every option reaches the nets, and what cannot is refused."""

import gc
import shutil
import weakref
from dataclasses import fields, replace

import numpy as np
import pytest
import torch  # noqa: TID253
import warp as wp

from cosmos.bridge.errors import ConfigError, ModelError, ModelMemoryError, ModelNotInstalledError, ModelWeightsError
from cosmos.bridge.transfer.cosmos_transfer25 import CosmosTransfer25, Transfer25Options
from cosmos.bridge.transfer.registry import create
from cosmos.bridge.types import ControlKind, ControlWeights, TransferRequest
from fake_clips import make_clip, make_controls

SIZE, FRAMES = (36, 50), 7


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where embeddings are cached."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("COSMOS_BRIDGE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def options(tiny25, home):
    return Transfer25Options(weights=str(tiny25), chunk_frames=5)


@pytest.fixture(scope="module")
def base(model, clip):
    """What the nets are given for the plain request, and its pictures."""
    return inputs_of(model, ask(clip))


@pytest.fixture(scope="module")
def model(options):
    model = CosmosTransfer25(options)
    model.load("cpu")
    yield model
    model.unload()


@pytest.fixture(scope="module")
def clip():
    return make_clip(SIZE, FRAMES)


def ask(clip, **changes):
    settings = {"weights": ControlWeights(edge=0.5, depth=0.5), "prompt": "snow", "num_steps": 2, "seed": 3, **changes}
    controls = settings.pop("controls", None) or make_controls(clip)
    return TransferRequest(clip=clip, controls=controls, **settings)


def half_map(clip, value=1.0):
    weights = np.zeros(clip.rgb.shape[:3], np.float32)
    weights[:, :, : clip.width // 2] = value
    return wp.array(weights, dtype=wp.float32, device="cpu")


def inputs_of(model, request):
    """Return everything the transformer and the branches were given, and the pictures, as one list of arrays."""
    seen = []

    def note(net, args, kwargs):
        values = [*args, *kwargs.values()]
        while values:
            value = values.pop()
            if isinstance(value, (list, tuple)):
                values += value
            elif isinstance(value, torch.Tensor):
                seen.append(value.detach().double().numpy().copy())
            elif isinstance(value, float):
                seen.append(np.array(value))

    model.load("cpu")
    nets = model._loaded.nets
    hooks = [
        net.register_forward_pre_hook(note, with_kwargs=True) for net in (nets.transformer, *nets.branches.values())
    ]
    try:
        pictures = model.transfer(request).rgb.numpy()
    finally:
        for hook in hooks:
            hook.remove()
    return [*seen, pictures]


def same(first, second):
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


REQUESTS = {
    "clip": lambda clip: {"preserve": half_map(clip)},  # the pictures themselves act where they are preserved
    "controls": lambda clip: {"controls": make_controls(clip, seed=6)},
    "weights": lambda clip: {"weights": ControlWeights(edge=0.5, depth=0.25)},
    "prompt": lambda clip: {"prompt": "rain"},
    "negative_prompt": lambda clip: {"negative_prompt": "rain"},
    "seed": lambda clip: {"seed": 4},
    "num_steps": lambda clip: {"num_steps": 3},
    "guidance": lambda clip: {"guidance": 2.0},
    "preserve": lambda clip: {"preserve": half_map(clip)},
}


def test_every_field_of_a_request_is_perturbed_here():
    assert set(REQUESTS) == {item.name for item in fields(TransferRequest)}


@pytest.mark.parametrize("name", REQUESTS)
def test_every_field_of_a_request_reaches_the_nets(model, clip, base, name):
    changed = REQUESTS[name](clip)
    if name == "clip":
        base = inputs_of(model, ask(clip, preserve=half_map(clip)))
    if name == "clip":
        other = wp.array(255 - clip.rgb.numpy(), dtype=wp.uint8, device="cpu")
        request = ask(replace(clip, rgb=other), controls=make_controls(clip), **changed)
    else:
        request = ask(clip, **changed)
    assert not same(base, inputs_of(model, request)), name


OPTIONS = {
    "weights": lambda folder: {"weights": str(folder)},
    "branches": lambda folder: {"branches": ("edge", "depth")},
    "schedule": lambda folder: {"schedule": "karras"},
    "chunk_frames": lambda folder: {"chunk_frames": 9},
    "overlap": lambda folder: {"overlap": 2},
    "preserve_steps": lambda folder: {"preserve_steps": 1},
    "block_gains": lambda folder: {"block_gains": {"edge": (0.5, 1.0)}},
    "dtype": lambda folder: {"dtype": "bfloat16"},
    "fp8": lambda folder: {"fp8": True},
    "vae_tiling": lambda folder: {"vae_tiling": True},
    "cache_embeddings": lambda folder: {"cache_embeddings": False},
}


def test_every_option_is_perturbed_here():
    assert set(OPTIONS) == {item.name for item in fields(Transfer25Options)}


@pytest.mark.parametrize("name", sorted(set(OPTIONS) - {"branches", "vae_tiling", "cache_embeddings"}))
def test_every_option_reaches_the_nets(model, options, clip, base, tiny25, tmp_path, name):
    other = tmp_path / "other"
    if name == "weights":
        shutil.copytree(tiny25, other)
        edge, seg = other / "controlnet" / "edge", other / "controlnet" / "seg"
        shutil.rmtree(edge)
        shutil.copytree(seg, edge)
    request = ask(clip)
    if name == "preserve_steps":
        request = ask(clip, preserve=half_map(clip))
        base = inputs_of(model, request)
    changed = CosmosTransfer25(replace(options, **OPTIONS[name](other)))
    assert not same(base, inputs_of(changed, request)), name


def test_branches_choose_what_is_loaded(options, clip, base):
    fewer = CosmosTransfer25(replace(options, branches=("edge", "depth")))
    fewer.load("cpu")
    assert tuple(fewer._loaded.nets.branches) == ("edge", "depth")
    assert same(inputs_of(fewer, ask(clip))[-1:], base[-1:])
    with pytest.raises(ModelError, match="no branch seg loaded, only edge, depth; name it in transfer_options"):
        fewer.transfer(ask(clip, weights=ControlWeights(seg=1.0)))


def test_vae_tiling_reaches_the_autoencoder(options):
    tiled = CosmosTransfer25(replace(options, vae_tiling=True))
    tiled.load("cpu")
    assert tiled._loaded.nets.vae.use_tiling is True


def test_embeddings_are_cached_on_disk_and_change_nothing(options, clip, home, base):
    before = set((home / "embeddings").rglob("*.safetensors"))
    caching = CosmosTransfer25(options)
    assert same(inputs_of(caching, ask(clip)), base) and set((home / "embeddings").rglob("*.safetensors")) == before
    caching.transfer(ask(clip, prompt="never seen", negative_prompt="nor this"))
    assert len(set((home / "embeddings").rglob("*.safetensors")) - before) == 2
    plain = CosmosTransfer25(replace(options, cache_embeddings=False))
    assert same(inputs_of(plain, ask(clip)), base)
    plain.transfer(ask(clip, prompt="unheard of", guidance=0.0))
    assert len(set((home / "embeddings").rglob("*.safetensors")) - before) == 2


def test_a_map_of_ones_equals_the_number_one_to_the_bit(model, clip):
    ones = wp.full(clip.rgb.shape[:3], 1.0, dtype=wp.float32, device="cpu")
    number = model.transfer(ask(clip, weights=ControlWeights(edge=1.0))).rgb.numpy()
    np.testing.assert_array_equal(model.transfer(ask(clip, weights=ControlWeights(edge=ones))).rgb.numpy(), number)


def test_weights_are_capped_at_one_in_every_place(model, clip):
    """Numbers that sum to 2 act as halves; a map caps only where it lies."""
    both = model.transfer(ask(clip, weights=ControlWeights(edge=1.0, depth=1.0)))
    halves = model.transfer(ask(clip, weights=ControlWeights(edge=0.5, depth=0.5)))
    np.testing.assert_array_equal(both.rgb.numpy(), halves.rgb.numpy())
    assert both.provenance.effective["weights"] == {"edge": 0.5, "depth": 0.5}
    ones = wp.full(clip.rgb.shape[:3], 1.0, dtype=wp.float32, device="cpu")
    mapped = model.transfer(ask(clip, weights=ControlWeights(edge=ones, depth=1.0)))
    np.testing.assert_array_equal(mapped.rgb.numpy(), halves.rgb.numpy())
    assert mapped.provenance.effective["weights"] == "maps"


def test_a_long_clip_is_painted_in_chunks_whose_seams_are_told(model, clip):
    told = []
    result = model.transfer(ask(clip), progress=lambda *step: told.append(step))
    assert told == [("transfer", step, 4) for step in (1, 2, 3, 4)]  # two chunks of two steps
    effective = result.provenance.effective
    assert len(effective["seams"]) == 1 and effective["seams"][0] >= 0.0
    assert (effective["chunk_frames"], effective["overlap"], effective["size"]) == (5, 1, [48, 64])
    still = model.transfer(ask(make_clip(SIZE, 1)))
    assert still.rgb.shape == (1, *SIZE, 3)
    assert still.provenance.effective["seams"] == [] and still.provenance.effective["chunk_frames"] == 1


def test_the_provenance_tells_what_a_user_must_know(model, clip):
    result = model.transfer(ask(clip, prompt="snow " * 300, preserve=half_map(clip)))
    assert result.provenance.licence == "NVIDIA Open Model License" and len(result.provenance.weights_sha256) == 64
    assert result.provenance.effective["negative_prompt"].startswith("The video captures")
    assert result.provenance.requested["preserve"] == {"map_mean": 0.5}
    text = " ".join(result.provenance.notes)
    assert "tokens of the prompt were not read" in text and "approximation" in text and "704 x 1280" in text


REFUSALS = {
    "negative_prompt at guidance 0": ({"guidance": 0.0, "negative_prompt": "rain"}, "no negative prompt at guidance 0"),
    "guidance": ({"guidance": 8.0}, r"a guidance in \[0, 7\], got 8"),
    "steps": ({"num_steps": 201}, "at most 200 num_steps, got 201"),
    "no weight": ({"weights": ControlWeights()}, "needs a control, but all weights are 0"),
    "hdmap": (
        {"weights": ControlWeights(hdmap=1.0)},
        "does not know the control hdmap; it knows edge, depth, seg, vis",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_it_cannot_do_is_refused_in_one_sentence(model, clip, name):
    changes, sentence = REFUSALS[name]
    with pytest.raises(ModelError, match=sentence):
        model.transfer(ask(clip, **changes))


def test_masks_and_maps_that_do_not_fit_are_refused(model, clip):
    short = wp.full((FRAMES - 1, *SIZE), 1.0, dtype=wp.float32, device="cpu")
    with pytest.raises(ModelError, match=r"The preserve mask is \[6, 36, 50\] \[T, H, W\], the clip \[7, 36, 50\]"):
        model.transfer(ask(clip, preserve=short))
    with pytest.raises(ModelError, match="The preserve mask is zero everywhere"):
        model.transfer(ask(clip, preserve=half_map(clip, 0.0)))
    with pytest.raises(ModelError, match=r"The weight map of edge must lie in \[0, 1\]"):
        model.transfer(ask(clip, weights=ControlWeights(edge=half_map(clip, 2.0))))
    with pytest.raises(ModelError, match=r"The weight map of edge is \[6, 36, 50\]"):
        model.transfer(ask(clip, weights=ControlWeights(edge=short)))


def test_a_control_under_another_name_is_refused(model, clip):
    controls = make_controls(clip)
    swapped = replace(
        controls,
        signals=tuple(
            replace(signal, video=controls[ControlKind.DEPTH].video) if signal.kind == ControlKind.SEG else signal
            for signal in controls
        ),
    )
    with pytest.raises(ModelError, match="The seg control is a grey gradient, as depth is"):
        model.transfer(ask(clip, controls=swapped, weights=ControlWeights(seg=1.0)))


@pytest.mark.parametrize(
    ("plain", "sentence"),
    [
        ({"chunk_frames": 92}, r"chunk_frames must be 4k \+ 1"),
        ({"overlap": 0}, r"overlap must lie in \[1, 92\], got 0"),
        ({"preserve_steps": 0}, "preserve_steps must be 1 or more"),
        ({"block_gains": {"lidar": [1.0]}}, "block_gains knows edge, depth, seg, vis, got 'lidar'"),
        ({"block_gains": {"edge": [2.0]}}, r"block_gains.edge must lie in \[0, 1\]"),
        ({"schedule": "cosine"}, "transfer_options.schedule must be one of 'shift', 'karras'"),
        ({"dtype": "float16"}, "transfer_options.dtype must be one of"),
    ],
)
def test_a_wrong_option_is_refused(plain, sentence):
    with pytest.raises(ConfigError, match=sentence):
        create("cosmos-transfer2.5", plain)


def test_block_gains_of_another_length_are_refused(options, clip):
    model = CosmosTransfer25(replace(options, block_gains={"edge": (1.0, 1.0, 1.0)}))
    with pytest.raises(ModelError, match=r"block_gains\.edge must name 2 numbers, one a block, got 3"):
        model.transfer(ask(clip))


def test_missing_weights_name_the_ways_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("COSMOS_BRIDGE_HOME", str(tmp_path))
    with pytest.raises(
        ModelWeightsError, match=r"no checkpoint of cosmos-transfer2\.5 in \S+checkpoints\S+ .*models fetch"
    ):
        CosmosTransfer25().load("cpu")
    with pytest.raises(ModelWeightsError, match="elsewhere"):
        CosmosTransfer25(Transfer25Options(weights=str(tmp_path / "elsewhere"))).load("cpu")


def test_missing_packages_name_the_extra(options, monkeypatch):
    from cosmos.models import checkpoint

    def missing(name):
        raise ImportError("No module named 'diffusers'", name="diffusers")

    monkeypatch.setattr(checkpoint, "diffusers_class", missing)
    with pytest.raises(ModelNotInstalledError, match=r'needs diffusers: pip install "cosmos-bridge\[cosmos\]"'):
        CosmosTransfer25(options).load("cpu")


def test_a_device_that_is_not_there_is_refused(options):
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="torch sees no CUDA device"):
            CosmosTransfer25(options).load("cuda:0")
    with pytest.raises(ModelError, match="cannot run on 'gpu'"):
        CosmosTransfer25(options).load("gpu")


def test_running_out_of_memory_is_a_sentence_and_leaves_the_model_usable(model, clip, monkeypatch):
    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with monkeypatch.context() as patch:
        patch.setattr(model._loaded.nets.transformer, "forward", full)
        with pytest.raises(
            ModelMemoryError,
            match=r"does not fit cpu: CUDA out of memory.*; 36 x 50 px and 5 frames a chunk are too much",
        ):
            model.transfer(ask(clip))
    model.transfer(ask(clip))


def test_a_load_that_fails_leaves_nothing_behind(options, tiny25, tmp_path):
    """The transformer is loaded before the branch that is damaged; none of its storages may stay."""
    folder = shutil.copytree(tiny25, tmp_path / "copy")
    file = next((folder / "controlnet" / "blur").glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-4])
    kept = _alive()
    model = CosmosTransfer25(replace(options, weights=str(folder)))
    with pytest.raises(ModelWeightsError, match="blur"):
        model.load("cpu")
    gc.collect()
    assert _alive() - kept == 0


def test_unloading_frees_every_weight(options, clip):
    """Counted by the storages that live, as the CPU has no allocator to ask."""
    kept = _alive()
    model = CosmosTransfer25(options)
    model.transfer(ask(clip))
    nets = model._loaded.nets
    loaded = [weakref.ref(p) for net in (nets.transformer, nets.vae, *nets.branches.values()) for p in net.parameters()]
    del nets
    assert _alive() - kept > 200_000
    model.unload()
    assert not any(reference() is not None for reference in loaded)
    assert _alive() - kept < 0.01 * 200_000


def _alive():
    """Bytes of all parameters that are alive."""
    gc.collect()
    found = [item for item in gc.get_objects() if type(item) is torch.nn.Parameter]
    return sum({item.data_ptr(): item.numel() * item.element_size() for item in found}.values())
