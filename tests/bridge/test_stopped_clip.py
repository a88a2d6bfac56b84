"""A run that is stopped in the midst of a long clip of NVIDIA's models loses no chunk of it: resume goes on there."""

from functools import partial

import numpy as np
import pytest
import torch  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from cosmos.bridge import BridgeConfig
from cosmos.bridge.errors import JobCancelled
from cosmos.bridge.jobs import StopSignal
from cosmos.bridge.transfer.registry import create
from fake_line import DrawnSource, ScriptedCritic
from tiny_cosmos import streaming, write_tiny_cosmos3, write_tiny_transfer25

BACKENDS = {
    "cosmos-transfer2.5": (write_tiny_transfer25, {"chunk_frames": 5}, 2, 5, [5, 6]),
    "cosmos3-sim-transfer": (partial(write_tiny_cosmos3, memory=streaming()), {}, None, 10, list(range(9, 17))),
}
"""Backend -> writes its weights, options, steps, where the run is stopped, and the steps that are left then."""


@pytest.mark.parametrize("name", BACKENDS)
def test_resume_goes_on_in_the_midst_of_a_clip_to_the_bit(name, make_bridge, tmp_path, monkeypatch):
    monkeypatch.setenv("COSMOS_BRIDGE_HOME", str(tmp_path / "home"))
    torch.set_num_threads(1)
    write, options, steps, step, left = BACKENDS[name]
    options = {"weights": str(write(tmp_path / "weights")), **options}

    class Recorder(ScriptedCritic):
        """Keeps the pictures themselves; x264 codes those of such small ones in one of several ways."""

        def judge(self, request, result, *more):
            pictures.append(result.rgb.numpy().copy())
            return super().judge(request, result, *more)

    def bridge(out):
        settings = {"source": "drawn", "out": str(tmp_path / out), "prompts": ["rain"], "weights": {"depth": 1.0}}
        config = BridgeConfig.from_mapping({**settings, "num_steps": steps, "device": "cpu"})
        source = partial(DrawnSource, num_frames=12, size=(48, 64))
        return make_bridge(config, transfer=create(name, options), open_source=source, critic=Recorder())

    pictures = []
    whole, stop, told = bridge("whole").augment(), StopSignal(), []

    def tell(stage, done, total):
        stop.check()
        if stage.startswith("transfer"):
            told.append(done)
            if done == step and len(told) == step:
                stop.abort()

    with pytest.raises(JobCancelled):
        bridge("parts").augment(tell, stop)
    told.clear()
    stop = StopSignal()
    parts = bridge("parts").augment(tell, stop, resume=True)
    assert told == left
    assert parts.complete and whole.complete
    np.testing.assert_array_equal(*pictures)
    assert any("were there from a run that was stopped" in note for note in parts.notes)
