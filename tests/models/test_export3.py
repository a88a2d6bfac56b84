"""How a streaming checkpoint is told to be run: both published kinds are read, all else is a sentence."""

import json

import pytest

pytest.importorskip("torch")

from cosmos.models.cosmos3.export import Export, read_export
from cosmos.models.weights import WeightsError
from tiny_cosmos import CHUNKWISE, streaming


def write(folder, section, name="cosmos3_nano_sim_bimanual", **config):
    """Write the configuration of a transformer with the section of NVIDIA's exporter."""
    (folder / "transformer").mkdir(parents=True)
    (folder / "transformer" / "config.json").write_text(json.dumps({**config, **({name: section} if section else {})}))
    return folder


FRAMEWISE = Export(chunk=1, window=4, sinks=1, names_control=True)


@pytest.mark.parametrize("name", ["cosmos3_nano_sim_bimanual", "cosmos_dreams"])
def test_a_framewise_export_is_read_under_both_names(tmp_path, name):
    assert read_export(write(tmp_path, streaming(), name)) == FRAMEWISE


def test_a_chunkwise_export_is_read(tmp_path):
    """The section of the published checkpoint, as SGLang's tests quote it, but for its hashes."""
    section = {
        "attention_mode": "three_way",
        "base_fps": 24.0,
        "chunk_size": 4,
        "conditioning": {
            "emphasize_control_in_prompt": True,
            "hints": ["edge", "blur", "depth", "seg"],
            "mode": "control_video",
            "no_eviction": True,
            "share_vision_temporal_positions": True,
            "system_prompt_id": "cosmos3_transfer_v1",
            "transfer_control_attention_mode": "causal_control_with_rgb_history",
        },
        "fixed_step_sampler_config": {
            "num_train_timesteps": 1000,
            "sample_type": "sde",
            "t_list": [1.0, 0.9375, 0.8333333333333334, 0.625],
        },
        "schema_version": 1,
        "sink_frames": 0,
        "temporal_compression_factor": 4,
        "window_frames": 96,
    }
    export = read_export(write(tmp_path, section, "cosmos_dreams"))
    assert export == Export(chunk=4, window=None, sinks=0, names_control=True)


def test_what_the_user_gives_wins_and_fills_what_is_missing(tmp_path):
    folder = write(tmp_path / "one", streaming())
    assert read_export(folder, window=8) == Export(chunk=1, window=8, sinks=1, names_control=True)
    assert read_export(folder, sinks=0) == Export(chunk=1, window=4, sinks=0, names_control=True)
    silent = write(tmp_path / "two", None)
    assert read_export(silent, window=30, sinks=3) == Export(chunk=1, window=30, sinks=3, names_control=False)
    endless = write(tmp_path / "three", streaming(window_frames=None, sink_frames=0))
    assert read_export(endless).window is None and read_export(endless, window=9).window == 9


def test_the_controls_that_it_was_trained_on_are_read(tmp_path):
    folder = write(tmp_path, streaming(conditioning={"hints": ["depth"], "emphasize_control_in_prompt": False}))
    assert read_export(folder) == Export(chunk=1, window=4, sinks=1, names_control=False, hints=("depth",))


@pytest.mark.parametrize(
    ("changes", "given", "sentence"),
    [
        (
            None,
            {"sinks": 3},
            r"does not say how it streams; .*set transfer_options\.window and transfer_options\.sinks",
        ),
        ({}, {"window": 1}, "got window 1 and sinks 1"),
        ({"window_frames": None}, {}, r"no sinks, got 1; set transfer_options\.window"),
        ({"window_frames": "30"}, {}, "must say window_frames as a whole number of 1 or more, got '30'"),
        ({"sink_frames": -1}, {}, "must say sink_frames as a whole number of 0 or more, got -1"),
        ({"chunk_size": None}, {}, "must say chunk_size as a whole number of 1 or more, got None"),
        ({"chunk_size": True}, {}, "must say chunk_size as a whole number of 1 or more, got True"),
        ({**CHUNKWISE, "conditioning": {}}, {}, "paints 2 latent frames at once and forgets old ones"),
        (CHUNKWISE, {"window": 8}, r"was trained to remember all; leave transfer_options\.window and .*sinks out"),
        (CHUNKWISE, {"sinks": 1}, "was trained to remember all"),
        ({"conditioning": {"mode": "action"}}, {}, "wants conditioning.mode = 'action', only 'control_video' is done"),
        ({"conditioning": {"share_vision_temporal_positions": False}}, {}, "share_vision_temporal_positions = False"),
        ({"conditioning": {"transfer_control_attention_mode": "global"}}, {}, "attention_mode = 'global'"),
        ({"conditioning": {"hints": ["edge", "lidar"]}}, {}, r"wants the controls \['edge', 'lidar'\], only"),
        ({"conditioning": {"hints": []}}, {}, r"wants the controls \[\]"),
        ({"temporal_compression_factor": 8}, {}, "wants temporal_compression_factor = 8, only 4 is done"),
        ({"fixed_step_sampler_config": {"sample_type": "ode"}}, {}, "sample_type = 'ode'"),
        ({"fixed_step_sampler_config": {"t_list": [1.0, 0.75]}}, {}, r"distilled to the noise levels \[1\.0, 0\.75\]"),
        ({"fixed_step_sampler_config": {"t_list": [1.0, 0.9, 0.8, 0.6]}}, {}, "distilled to the noise levels"),
        ({"fixed_step_sampler_config": {"t_list": ["a"] * 4}}, {}, "distilled to the noise levels"),
        ({"fixed_step_sampler_config": [1]}, {}, "wants fixed_step_sampler_config.sample_type"),
        ({"base_fps": 30.0}, {}, r"says base_fps = 30\.0 of how it streams, but 24\.0 of its transformer"),
    ],
)
def test_what_is_not_done_here_is_a_sentence(tmp_path, changes, given, sentence):
    section = None if changes is None else streaming(**changes)
    folder = write(tmp_path, section, base_fps=24.0)
    with pytest.raises(WeightsError, match=sentence) as caught:
        read_export(folder, **given)
    assert ("\n" not in str(caught.value) and str(folder) in str(caught.value)) or "got" in str(caught.value)


def test_a_folder_without_a_configuration_is_a_sentence(tmp_path):
    with pytest.raises(WeightsError, match="Give the folder of a published checkpoint"):
        read_export(tmp_path)
