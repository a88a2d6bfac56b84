"""What NVIDIA's models take on a machine, measured the way of every user; here on the CPU with small nets."""

import json

import pytest
import torch  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

import measure_published
from cosmos.models.checkpoint import read_header
from random_checkpoints import write_net


@pytest.mark.parametrize("backend", ["cosmos-transfer2.5", "cosmos3", "cosmos3-sim-transfer"])
def test_memory_is_what_the_plan_says_and_comes_back(backend, tmp_path, capsys, monkeypatch):
    """Bytes of real tensors that live at once in the whole line, against the plan, which counts nets without any."""
    torch.set_num_threads(1)
    monkeypatch.setenv("COSMOS_BRIDGE_HOME", str(tmp_path / "home"))  # put back after the tool has set its own
    out = tmp_path / "rows.json"
    asked = ["--device", "cpu", "--shapes", "small", "--held", "bf16", "--num-steps", "2", "--backend", backend]
    assert measure_published.main([*asked, "--folder", str(tmp_path), "--out", str(out)]) == 0
    told = json.loads(out.read_text())
    (row,) = told["rows"]
    assert told["device"] == "CPU" and row["backend"] == backend and row["plan_seconds"] is None
    assert row["gib"] == pytest.approx(row["plan_gib"], rel=0.15)
    assert row["left"] < 0.01 and 0.0 < row["step_seconds"] < row["clip_seconds"]
    shown = capsys.readouterr().out
    assert "CPU, torch" in shown and f"| {backend} | bf16 | here |" in shown


def test_memory_of_blocks_that_wait_is_not_told_on_a_cpu():
    row = measure_published.Row(backend="b", held="cpu_offload", placement="here", clip_seconds=1.0, plan_gib=2.0)
    assert "| b | cpu_offload | here | - | 2 | - | - | 1 | - | - |" in measure_published.table([row])


def test_without_a_gpu_the_published_shapes_are_refused(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        measure_published.main([])
    assert "torch sees no CUDA device here; take --device cpu --shapes small" in capsys.readouterr().err


def test_weights_are_written_in_shards_with_their_index(tmp_path, monkeypatch):
    monkeypatch.setattr("random_checkpoints.SHARD", 40_000)
    config = {"base_dim": 4, "z_dim": 16, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
    write_net(tmp_path, "AutoencoderKLWan", config, seed=1)
    index = json.loads((tmp_path / "diffusion_pytorch_model.safetensors.index.json").read_text())["weight_map"]
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) > 1 and set(index.values()) == {file.name for file in files}
    assert {name: file for file in map(str, files) for name in read_header(tmp_path / file)}.keys() == index.keys()
