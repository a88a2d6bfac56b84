"""``cosmos-bridge models finetune`` and ``train-branch`` at tiny size: they learn, freeze, go on, and refuse."""

import json
import os
import shutil
import signal
import time

import cv2
import numpy as np
import pytest
import torch  # noqa: TID253
import warp as wp
from safetensors.torch import load_file

from cosmos.bridge.controls import derive_controls
from cosmos.bridge.errors import ModelError, ModelWeightsError
from cosmos.bridge.kernels.finish import Finish, finish_pictures
from cosmos.bridge.render.lidar import Lidar
from cosmos.bridge.sinks.video import write_video
from cosmos.bridge.sources import open_source, read_clip
from cosmos.bridge.transfer.embedded import EmbeddedTransfer
from cosmos.bridge.transfer.registry import create
from cosmos.bridge.types import ControlKind, ControlWeights, TransferRequest
from cosmos.models.embedded.training import Run

SIZE = (36, 48)
PROMPT = "a dull day in Schnee"
LIST = """
[[pairs]]
source = "sim"
target = "real"
prompt = "a dull day in Schnee, dirty lens"

[[pairs]]
source = "sim"
target = "real"
prompt = "a dull day in Schnee"
held_out = true
"""


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    from tiny_transfer import write_tiny_transfer

    return write_tiny_transfer(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A folder as BasicWriter leaves it, with LiDAR pictures, and what it should look like: darker, and bluer where
    LiDAR sees something, which no other control tells."""
    data = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(4)
    for name in ("sim", "real"):
        (data / name).mkdir()
    for frame in range(3):
        rgb = cv2.resize(rng.integers(60, 250, (5, 6, 3), dtype=np.uint8), SIZE[::-1], interpolation=cv2.INTER_NEAREST)
        lidar = np.zeros_like(rgb)
        lidar[8:28, 6 + 8 * frame : 22 + 8 * frame] = 255
        target = np.where(lidar > 0, rgb // 3 + np.array([0, 20, 120]), rgb // 3).astype(np.uint8)
        depth = np.tile(np.linspace(2.0, 9.0, SIZE[0], dtype=np.float32)[::-1, None], (1, SIZE[1]))
        for path, picture in (("sim/rgb", rgb), ("sim/lidar", lidar), ("real/rgb", target)):
            cv2.imwrite(str(data / f"{path}_{frame:04d}.png"), picture[..., ::-1])
        np.save(data / "sim" / f"distance_to_image_plane_{frame:04d}.npy", depth)
    (data / "pairs.toml").write_text(LIST)
    return data


def clip_of(data):
    return read_clip(open_source(data / "sim", device="cpu"))


def painted(weights, clip, **amounts):
    """What the adapter paints, float64 [T, H, W, 3]."""
    asked = ControlWeights(**(amounts or {"edge": 0.5, "depth": 0.5}))
    controls = derive_controls(clip, kinds=asked.kinds)
    request = TransferRequest(clip=clip, controls=controls, weights=asked, prompt=PROMPT)
    model = EmbeddedTransfer(weights)
    model.load("cpu")
    return model.transfer(request).rgb.numpy().astype(np.float64)


def signed(levels):
    """Levels as the net was trained on them, float32 in [-1, 1]."""
    assert levels.dtype == torch.uint8
    return levels.float() / 127.5 - 1.0


def psnr(out, data):
    wanted = np.stack([cv2.imread(str(path))[..., ::-1] for path in sorted((data / "real").glob("*.png"))])
    return 10.0 * np.log10(255.0**2 / np.mean((out - wanted.astype(np.float64)) ** 2))


def options(tiny, data, out, **changes):
    values = {"data": data, "out": out, "from": tiny, "device": "cpu", "steps": 60, "rate": 0.02, **changes}
    return [word for name, value in values.items() for word in (f"--{name}", value)]


def test_finetune_learns_its_pairs_and_what_it_writes_paints_them(cli, tiny, recorded, tmp_path):
    out = tmp_path / "adapted"
    code, told, err = cli("models", "finetune", *options(tiny, recorded, out))
    assert code == 0, err
    assert "wear, lamps and lens are done around the net, so it does not learn them" in err
    assert "Not understood: 'schnee'" in err and "step 60/60: loss" in err
    assert "learnt    3 pictures, PSNR" in told and "held out  3 pictures, PSNR" in told
    assert f"--transfer-weights {out}" in told
    losses = [json.loads(line)["loss"] for line in (out / "training" / "log.jsonl").read_text().splitlines()]
    assert len(losses) == 6 and losses[-1] < 0.6 * losses[0]
    clip = clip_of(recorded)
    before, after = (psnr(painted(weights, clip), recorded) for weights in (tiny, out))
    assert after > before + 4.0
    config = json.loads((out / "config.json").read_text())
    record = config["adapted"][-1]
    assert record["from"]["revision"] == "tiny-0" and record["steps"] == 60 and record["pictures"] == 3
    assert config["revision"].startswith("tiny-0+") and config["licence"] == "Apache-2.0"
    assert record["psnr"]["trained"][2] == pytest.approx(after, abs=1.5)  # (the model's own, of bytes and bfloat16)
    assert create("embedded", {"weights": str(out)}).spec.revision == config["revision"]


def test_a_branch_is_taught_alone_and_the_model_then_knows_its_control(cli, tiny, recorded, tmp_path):
    tuned, out, clip = tmp_path / "tuned", tmp_path / "lidar", clip_of(recorded)
    assert cli("models", "finetune", *options(tiny, recorded, tuned, steps=120))[0] == 0
    assert [str(kind) for kind in EmbeddedTransfer(tiny).spec.controls] == ["edge", "depth", "seg", "vis"]
    with pytest.raises(ModelError, match=r"does not know the control lidar; these weights know .* train-branch"):
        painted(tiny, clip, lidar=1.0)
    words = options(tuned, recorded, out, steps=150, rate=0.1)
    code, told, err = cli("models", "train-branch", "--control", "lidar", *words)
    assert code == 0, err
    assert f"augment ... --weights edge=0.3,depth=0.3,lidar=0.4 --transfer-weights {out}" in told
    before, after = (load_file(folder / "net.safetensors") for folder in (tuned, out))
    assert set(after) - set(before) == {f"branches.lidar.{part}" for part in
                                        ("see.weight", "see.bias", "speak.weight", "speak.bias")}  # fmt: skip
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert after["branches.lidar.speak.weight"].abs().max() > 0.0
    assert EmbeddedTransfer(out).spec.controls[-1] is ControlKind.LIDAR
    plain = {"edge": 0.25, "depth": 0.25}
    np.testing.assert_array_equal(painted(out, clip, **plain), painted(tuned, clip, **plain))
    heard, unheard = painted(out, clip, **plain, lidar=0.5), painted(out, clip, **plain)
    assert psnr(heard, recorded) > psnr(unheard, recorded) + 0.5
    bluer, seen = (heard - unheard)[..., 2], clip.lidar.numpy()[..., 2] > 0
    assert bluer[seen].mean() > bluer[~seen].mean() + 5.0


@pytest.mark.parametrize("kind", ["lidar", "depth"])
def test_a_branch_is_silent_or_as_it_was_before_its_first_step(tiny, tmp_path, kind):
    from cosmos.models.embedded.adapting import with_branch
    from cosmos.models.embedded.sampling import load_embedded

    old = load_embedded(tiny, "cpu").net.to(memory_format=torch.channels_last)  # (sums in the order of the run's net)
    run = Run(tmp_path, with_branch(old.config, kind), rate=0.1, start=old.state_dict(), branch=kind)
    assert {name.split(".")[1] for name, p in run.net.named_parameters() if p.requires_grad} == {kind}
    draw = torch.Generator().manual_seed(1)
    rgb, hints = (torch.rand((2, channels, 24, 40), generator=draw) * 2 - 1 for channels in (3, old.config.hints))
    controls = {name: torch.rand((2, 3, 24, 40), generator=draw) for name in ("edge", "depth", "lidar")}
    weights = {name: torch.full((2, 1, 24, 40), 0.3) for name in controls}
    style = torch.rand((2, old.config.style), generator=draw)
    with torch.inference_mode():
        assert torch.equal(run.net(rgb, controls, weights, hints, style), old(rgb, controls, weights, hints, style))


def test_ctrl_c_keeps_what_was_learnt_and_the_same_command_ends_as_one_go(cli, tiny, recorded, tmp_path, monkeypatch):
    words = ("models", "finetune", *options(tiny, recorded, tmp_path / "whole", steps=12), "--json")
    assert cli(*words)[0] == 0
    learn = Run.learn

    def interrupted(run, *args, **settings):
        loss = learn(run, *args, **settings)
        if run.step == 5:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)
        return loss

    handler, parts = signal.getsignal(signal.SIGINT), [*words]
    parts[parts.index(tmp_path / "whole")] = tmp_path / "parts"
    try:
        with monkeypatch.context() as patched:
            patched.setattr(Run, "learn", interrupted)
            code, told, err = cli(*parts)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert code == 130 and not told
    assert "Finishing the step at work" in err and "the same command goes on" in err
    assert not (tmp_path / "parts" / "config.json").exists()
    code, told, err = cli(*parts)
    assert code == 0, err
    whole, resumed = (load_file(tmp_path / name / "net.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    other = [*parts, "--seed", "7"]
    code, _, err = cli(*other)
    assert code == 2 and "was begun with other settings: seed (0 then, 7 now)" in err


def test_a_pair_is_what_the_adapter_hands_the_net(cli, stage, tiny, tmp_path, monkeypatch):
    """A stage as source: the training pairs hold the light maps, hints and controls of the same request, and motion."""
    from cosmos.models.embedded import sampling
    from cosmos.models.embedded.net import unmarched
    from cosmos.models.embedded.pairs import read_pair, whole_batch

    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    pair = {"source": str(stage), "target": "real", "prompt": PROMPT, "frames": "3:6", "camera": "/World/Camera"}
    pair["conditions"] = {"vignette": 1.0}
    (data / "pairs.json").write_text(json.dumps({"size": "36x48", "pairs": [pair]}))
    clip = read_clip(open_source(stage, frames=range(3, 6), camera="/World/Camera", size=SIZE, device="cpu"))
    (data / "real").mkdir()
    for frame, picture in enumerate(clip.rgb.numpy()):
        cv2.imwrite(str(data / "real" / f"rgb_{frame:04d}.png"), picture[..., ::-1])
    code, _, err = cli("models", "finetune", *options(tiny, data, out, steps=1))
    assert code == 0, err
    config = sampling.load_embedded(tiny, "cpu").net.config
    files = sorted((out / "training" / "pairs").glob("*.npz"))
    assert [path.name for path in files] == ["000000_00.npz", "000000_00_1.npz", "000000_00_2.npz"]
    motion, ids = clip.motion.numpy(), clip.instance_ids.numpy()
    stored, _ = whole_batch(files, dict.fromkeys(config.controls, 0.25), config)
    given = []
    paint = sampling.EmbeddedModel.paint
    monkeypatch.setattr(
        sampling.EmbeddedModel,
        "paint",
        lambda self, *args, **named: (given.append(args), paint(self, *args, **named))[1],
    )
    painted(tiny, clip, edge=0.25, depth=0.25, seg=0.25, vis=0.25)
    clip.close()
    for frame, path in enumerate(files[1:], 1):
        arrays = read_pair(path)
        np.testing.assert_allclose(arrays["motion"], motion[frame], atol=2e-3 + 1e-3 * np.abs(motion).max())
        y, x = (np.rint(at).astype(int) for at in np.mgrid[:36, :48] + motion[frame][..., ::-1].transpose(2, 0, 1))
        inside = (y >= 0) & (x >= 0) & (y < 36) & (x < 48)
        came = ids[frame - 1][np.where(inside, y, 0), np.where(inside, x, 0)]
        told = (arrays["stays"] > 0) != (inside & (came == ids[frame]) & (ids[frame] > 0))
        assert 0.3 < arrays["stays"].mean() < 1.0 and told.mean() < 0.04  # rims of half a pixel aside
    ((inputs, looks),) = given
    (conditions,) = set(looks)
    style = torch.from_numpy(sampling.style_vector(conditions)).expand(3, -1)
    torch.testing.assert_close(stored.style, style)
    torch.testing.assert_close(stored.rgb, signed(inputs.rgb[0].transpose(0, 1)))
    torch.testing.assert_close(stored.maps, signed(inputs.maps[0].transpose(0, 1)))
    hints = unmarched(stored.hints, stored.lit)  # pairs hold those that are marched as well
    torch.testing.assert_close(hints, inputs.hints[0].transpose(0, 1), atol=1.01 / 127.0, rtol=0.0)
    assert stored.lit.flatten().tolist() == [1.0] * 3 and set(stored.controls) == set(inputs.controls)
    for kind, control in inputs.controls.items():
        torch.testing.assert_close(stored.controls[kind], signed(control[0].transpose(0, 1)))
    # The last pass darkens the rim; what the net must paint becomes the target by it.
    bare = np.load(files[0])["target"]
    assert (bare.astype(int) - clip.rgb.numpy()[0])[0, 0].min() > 20
    shown = wp.array(bare[None], dtype=wp.uint8, device="cpu")
    finish_pictures(shown, source=clip.rgb[:1], finish=Finish(vignette=1.0), times=np.zeros(1), first_frame=0)
    fits = bare < 255
    assert fits.mean() > 0.5 and np.abs(shown.numpy()[0].astype(int) - clip.rgb.numpy()[0])[fits].max() <= 1


def test_a_stage_draws_the_control_that_is_taught(cli, stage, tiny, recorded, tmp_path):
    pair = {"source": str(stage), "target": str(recorded / "real"), "prompt": PROMPT, "frames": "3:6"}
    styles = {"lidar": {"channels": 16}}
    (tmp_path / "pairs.json").write_text(json.dumps({"size": "36x48", "pairs": [pair], "controls": styles}))
    out = tmp_path / "weights"
    code, _, err = cli(
        *("models", "train-branch", "--control", "lidar", "--data", tmp_path, "--from", tiny),
        *("--steps", 1, "--every", 2, "--device", "cpu"),
    )
    assert code == 0, err
    source = open_source(
        stage, frames=range(3, 6), size=SIZE, device="cpu", controls=("lidar",), lidar=Lidar(channels=16)
    )
    drawn = [frame.lidar.numpy() for frame in source.read()]
    source.close()
    stored = [np.load(path)["lidar"] for path in sorted((out / "training" / "pairs").glob("*.npz"))]
    assert len(stored) == 2 and stored[0].any()
    np.testing.assert_array_equal(stored, drawn[::2])


def test_videos_teach_without_depth_and_light(cli, tiny, recorded, tmp_path):
    for name in ("sim", "real"):
        pictures = np.stack([cv2.imread(str(path))[..., ::-1] for path in sorted((recorded / name).glob("rgb*.png"))])
        write_video(tmp_path / f"{name}.mp4", pictures, fps=24.0)
    (tmp_path / "pairs.json").write_text(
        json.dumps({"pairs": [{"source": "sim.mp4", "target": "real.mp4", "prompt": PROMPT}]})
    )
    code, told, err = cli("models", "finetune", *options(tiny, tmp_path, tmp_path / "out", steps=2))
    assert code == 0, err
    assert "learnt    3 pictures" in told and "held out" not in told and "A video holds colour only" in err
    arrays = np.load(next((tmp_path / "out" / "training" / "pairs").glob("*.npz")))
    assert set(arrays.files) == {"rgb", "target", "edge", "vis", "style", "about"}


@pytest.mark.parametrize(
    ("change", "words", "sentence"),
    [
        ({"pairs": []}, (), "needs at least one pair"),
        ({"prompt": " "}, (), "a pair needs a prompt"),
        ({"promt": "x"}, (), "'promt' is no setting in pairs[0]; the nearest is 'prompt'"),
        ({"target": "nowhere"}, (), "nowhere does not exist"),
        ({"frames": "0:2"}, (), "The target real has 3 frames, its source sim 2"),
        ({"target": "small"}, (), "The target small is 18 x 24 (height x width), the first source 36 x 48"),
        ({"conditions": {"fog": 2.0}}, (), "fog must lie in [0, 1], got 2.0"),
        ({"conditions": {"mist": 0.5}}, (), "'mist' is no setting in pairs[0].conditions"),
        ({}, ("--control", "hdmap"), "holds no hdmap_0000.png"),
        ({}, ("--every", "0"), "--every must be 1 or more"),
        ({}, ("--steps", "0"), "steps must be >= 1, got 0."),
        ({}, ("--rate", "nan"), "rate must lie in (0, 0.1]"),
        ({}, ("--from", "nowhere"), "holds no weights"),
        ({}, ("--device", "cuda:9"), "cuda:9"),
    ],
)
def test_what_cannot_be_learnt_is_refused_in_a_sentence(cli, tiny, recorded, tmp_path, change, words, sentence):
    data = tmp_path / "data"
    shutil.copytree(recorded, data)
    (data / "small").mkdir()
    for path in (data / "real").glob("*.png"):
        cv2.imwrite(str(data / "small" / path.name), cv2.imread(str(path))[::2, ::2])
    pair = {"source": "sim", "target": "real", "prompt": "fog", **change}
    (data / "pairs.toml").unlink()
    (data / "pairs.json").write_text(json.dumps({"pairs": change.get("pairs", [pair])}))
    action = "train-branch" if "--control" in words else "finetune"
    code, told, err = cli("models", action, *options(tiny, data, tmp_path / "out"), *words)
    assert code in (2, 3) and not told and sentence in err and "fault" not in err
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_list_and_a_taken_out_folder_are_refused(cli, tiny, recorded, tmp_path):
    code, _, err = cli("models", "finetune", *options(tiny, tmp_path, tmp_path / "out"))
    assert code == 2 and "must hold pairs.toml or pairs.json, which lists the pairs; it holds none" in err
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    code, _, err = cli("models", "finetune", *options(tiny, recorded, tmp_path / "taken"))
    assert code == 3 and "holds something else; nothing is written over" in err
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["mine.txt"]


def test_a_list_that_was_put_right_begins_anew_where_nothing_was_learnt(cli, tiny, recorded, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(recorded, data)
    (data / "real" / "rgb_0002.png").write_bytes(b"no picture")
    code, _, err = cli("models", "finetune", *options(tiny, data, tmp_path / "out", steps=2))
    assert code == 3 and "cannot be decoded" in err
    shutil.copyfile(recorded / "real" / "rgb_0002.png", data / "real" / "rgb_0002.png")
    code, _, err = cli("models", "finetune", *options(tiny, data, tmp_path / "out", steps=2, every=2))
    assert code == 0, err
    assert len(list((tmp_path / "out" / "training" / "pairs").glob("0*.npz"))) == 2


def test_a_damaged_checkpoint_is_named(cli, tiny, recorded, tmp_path):
    words = ("models", "finetune", *options(tiny, recorded, tmp_path / "out", steps=2))
    assert cli(*words)[0] == 0
    (tmp_path / "out" / "training" / "last.pt").write_bytes(b"damaged")
    code, _, err = cli(*words)
    assert code == 3 and "last.pt cannot be read" in err and "delete it to begin anew" in err


def test_a_loss_that_is_no_number_ends_the_learning(cli, tiny, recorded, tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "learn", lambda run, *args, **settings: float("nan"))
    code, _, err = cli("models", "finetune", *options(tiny, recorded, tmp_path / "out"))
    assert code == 3 and "no number for 10 steps on end; take a lower rate than 0.02" in err


def test_augment_takes_weights_by_folder(tiny, tmp_path):
    from cosmos.bridge.cli.augment import config_of
    from cosmos.bridge.cli.main import build_parser

    words = ["augment", "scene.usda", "--prompt", "fog", "--out", "out", "--transfer-weights", str(tiny)]
    config = config_of(build_parser().parse_args(words))
    assert config.transfer_options == {"weights": str(tiny)}
    assert create(config.transfer, config.transfer_options).spec.revision == "tiny-0"
    with pytest.raises(ModelWeightsError, match=r"config\.json is missing"):
        _ = create("embedded", {"weights": str(tmp_path)}).spec
