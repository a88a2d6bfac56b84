"""Memory profiles: what each sets, that the pictures stay, and what happens when memory runs out while loading."""

import gc
from dataclasses import fields

import numpy as np
import pytest
import torch  # noqa: TID253
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from cosmos.bridge.config import BridgeConfig
from cosmos.bridge.errors import ConfigError, ModelMemoryError
from cosmos.bridge.offload import OffloadPolicy
from cosmos.bridge.transfer.profiles import PROFILES, ladder
from cosmos.bridge.transfer.registry import BACKENDS, create
from cosmos.bridge.types import ControlWeights, TransferRequest
from cosmos.models.metering import Meter
from fake_clips import make_controls
from tiny_cosmos import streaming, write_tiny_cosmos3


@pytest.fixture(scope="module")
def folders(tiny25, tmp_path_factory):
    folder = write_tiny_cosmos3(tmp_path_factory.mktemp("sim"), memory=streaming())
    return {"cosmos-transfer2.5": tiny25, "cosmos3": folder, "cosmos3-sim-transfer": folder}


def options_of(name, folders, **more):
    chunk = {} if name == "cosmos3-sim-transfer" else {"chunk_frames": 5}
    cache = {"cache_embeddings": False} if name == "cosmos-transfer2.5" else {}
    return {"weights": str(folders[name]), **chunk, **cache, **more}


def ask(name, clip):
    steps = None if name == "cosmos3-sim-transfer" else 2
    return TransferRequest(
        clip=clip, controls=make_controls(clip), weights=ControlWeights(depth=1.0), prompt="snow", num_steps=steps
    )


@pytest.mark.parametrize("name", PROFILES)
def test_waiting_blocks_change_no_picture_and_are_told(name, folders, clip):
    results = []
    for waits in (False, True):
        model = create(name, options_of(name, folders, cpu_offload=waits))
        model.load("cpu")
        results.append(model.transfer(ask(name, clip)))
        model.unload()
    one, other = (result.rgb.numpy().astype(int) for result in results)
    np.testing.assert_allclose(one, other, atol=1)  # where weights lie in memory decides how the CPU rounds
    assert [result.provenance.effective["cpu_offload"] for result in results] == [False, True]


@pytest.mark.parametrize("name", PROFILES)
def test_a_backend_has_every_profile_in_settings_it_knows(name):
    module, _, attribute = BACKENDS[name].target.partition(":")
    known = {item.name for item in fields(getattr(__import__(module, fromlist=[attribute]), attribute).Options)}
    assert list(PROFILES[name]) == [80, 48, 32, 24, 16]
    assert all(set(options) <= known for options in PROFILES[name].values())
    waits = ["cpu_offload" in options for options in PROFILES[name].values()]
    assert waits == sorted(waits) and not PROFILES[name][80] and PROFILES[name][16]  # less memory, more that waits


def test_the_ladder_begins_at_the_memory_and_skips_equals():
    assert [label for label, _ in ladder("cosmos3", 32)] == ["the profile for 32 GB", "the profile for 24 GB"]
    assert [label for label, _ in ladder("cosmos-transfer2.5", None)] == [
        "the settings as given",
        "the profile for 16 GB",
    ]


def test_the_memory_sets_the_profile_and_the_users_own_options_win(folders, clip):
    policy = OffloadPolicy(memory=16)
    model = create("cosmos3-sim-transfer", options_of("cosmos3-sim-transfer", folders), policy)
    provenance = model.transfer(ask("cosmos3-sim-transfer", clip)).provenance
    assert provenance.effective["cpu_offload"] and "float8" in provenance.dtype and not model_notes(provenance)
    model = create("cosmos3-sim-transfer", options_of("cosmos3-sim-transfer", folders, fp8=False), policy)
    assert "float8" not in model.transfer(ask("cosmos3-sim-transfer", clip)).provenance.dtype


def model_notes(provenance):
    return [note for note in provenance.notes if "Memory ran out" in note]


class Full(TorchDispatchMode):
    """A device whose memory ends at some conversion of a weight, as often as told; raises what torch raises."""

    def __init__(self, at, times=1):
        super().__init__()
        self.left, self.at, self.times = at, at, times

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if self.times and func._overloadpacket in (torch.ops.aten._to_copy, torch.ops.aten.to):
            self.left -= 1
            if self.left == 0:
                self.left, self.times = self.at, self.times - 1
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", PROFILES)
def test_memory_that_runs_out_while_loading_leaves_nothing_loaded(name, folders):
    """The error is held on to, as a job holds it, and still no weight lives on with its traceback."""
    model = create(name, options_of(name, folders, dtype="bfloat16"))
    with Meter() as meter, Full(at=60) as full:
        with pytest.raises(
            ModelMemoryError, match=r"does not fit cpu: CUDA out of memory.*set offload\.memory"
        ) as held:
            model.load("cpu")
        gc.collect()
        assert held.value is not None and full.times == 0
        assert meter.peak > 10_000 and meter.live < 0.01 * meter.peak
    model.load("cpu")  # and the next attempt works
    model.unload()


def test_unloading_gives_the_memory_back(folders, clip):
    for name in PROFILES:
        model = create(name, options_of(name, folders, dtype="bfloat16"))
        with Meter() as meter:
            model.load("cpu")
            held = meter.live
            model.transfer(ask(name, clip))
            model.unload()
            gc.collect()
        assert held > 100_000 and meter.live < 0.01 * held, name


def test_the_next_profile_is_taken_only_if_allowed_and_told(folders, clip):
    name = "cosmos3-sim-transfer"
    options = options_of(name, folders, dtype="bfloat16")
    with Full(at=60), pytest.raises(ModelMemoryError):
        create(name, options, OffloadPolicy(memory=48)).load("cpu")
    model = create(name, options, OffloadPolicy(memory=48, fall_back=True))
    with Full(at=60, times=2) as full:
        model.load("cpu")
    assert full.times == 0
    provenance = model.transfer(ask(name, clip)).provenance
    first, second = model_notes(provenance)
    assert "so cosmos3-sim-transfer fell back to the profile for 32 GB" in first and "out of memory" in first
    assert "fell back to the profile for 24 GB" in second
    assert "float8" not in provenance.dtype and provenance.effective["cpu_offload"]
    with Full(at=60, times=9), pytest.raises(ModelMemoryError):
        create(name, options, OffloadPolicy(memory=32, fall_back=True)).load("cpu")


def test_memory_that_runs_out_while_painting_makes_the_request_again(folders, clip):
    name = "cosmos-transfer2.5"
    options = options_of(name, folders, dtype="bfloat16")
    want = create(name, {**options, "cpu_offload": True})
    want.load("cpu")
    model, told = create(name, options, OffloadPolicy(fall_back=True)), []
    model.load("cpu")
    with Full(at=20) as full:
        result = model.transfer(ask(name, clip), lambda *step: told.append(step))
    assert full.times == 0 and len(model_notes(result.provenance)) == 1
    assert result.provenance.effective["cpu_offload"] and told[-1][1] == told[-1][2]
    np.testing.assert_array_equal(result.rgb.numpy(), want.transfer(ask(name, clip)).rgb.numpy())


@pytest.mark.parametrize("policy", [{"memory": 24}, {"fall_back": True}])
def test_profiles_are_refused_where_there_are_none(policy):
    with pytest.raises(ConfigError, match=r"embedded has no memory profiles, only cosmos-transfer2\.5, cosmos3"):
        create("embedded", None, OffloadPolicy(**policy))


def test_a_memory_that_no_profile_is_for_is_refused():
    plain = {"source": "a.usda", "out": "out", "prompts": ["rain"], "offload": {"memory": 12}}
    with pytest.raises(ConfigError, match=r"offload\.memory must be .*16, 24, 32, 48, 80"):
        BridgeConfig.from_mapping(plain)
