"""The training tools at toy size: data is whole or absent, training resumes, what is exported loads and paints."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch  # noqa: TID253
import warp as wp
from safetensors.torch import load_file, save_file

import make_training_data
import train_transfer
import transfer_metrics
from cosmos.bridge import scenes
from cosmos.bridge.kernels.laid_glow import lay_glow as lay_on_bytes
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import Look
from cosmos.models.embedded.adapting import Adaptation, adapt
from cosmos.models.embedded.net import TransferNet
from cosmos.models.embedded.pairs import Pairs, random_weights, read_pair, whole_batch
from cosmos.models.embedded.sampling import load_embedded, padding_for
from cosmos.models.embedded.training import batch_loss, is_told, motion_loss, paint, picture_loss, shown
from cosmos.models.spec import TransferNetConfig
from source_light import draw_source_light

SIZE = (48, 64)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def write_pair(folder: Path, name: str, seed: int) -> None:
    """A pair whose target is the picture at half the brightness."""
    rng = np.random.default_rng(seed)
    rgb = np.repeat(np.repeat(rng.integers(0, 256, (SIZE[0] // 8, SIZE[1] // 8, 3), dtype=np.uint8), 8, 0), 8, 1)
    grey = rng.integers(0, 256, SIZE, dtype=np.uint8)
    np.savez(
        folder / f"{name}.npz",
        rgb=rgb,
        target=rgb // 2,
        edge=grey,
        depth=grey,
        seg=rgb,
        vis=rgb,
        hints=rng.integers(0, 256, (*SIZE, 23), dtype=np.uint8),
        maps=np.concatenate([rgb, rng.integers(0, 256, (*SIZE, 11), dtype=np.uint8)], axis=-1),
        style=np.zeros(14, np.float32),
        about=np.array(json.dumps({"scene": seed})),
    )


@pytest.fixture
def folder(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for index in range(4):
        write_pair(data, f"{index:06d}_00", index)
    write_pair(data, "900000_00", 99)
    return data


def test_held_out_scenes_are_never_trained_on(folder):
    assert [path.name for path in Pairs(folder, seed=0).files] == [f"{i:06d}_00.npz" for i in range(4)]


def test_a_batch_has_what_the_net_takes(folder):
    batch = Pairs(folder, seed=0).batch(3, 0, (32, 40))
    assert batch.rgb.shape == batch.target.shape == (3, 3, 32, 40) and batch.hints.shape == (3, 23, 32, 40)
    assert batch.maps.shape == (3, 14, 32, 40) and batch.maps.abs().max() <= 1.0 and batch.lit.shape == (3, 1, 1, 1)
    assert set(batch.controls) == set(batch.weights) == {"edge", "depth", "seg", "vis"}
    assert batch.rgb.abs().max() <= 1.0 and batch.hints.abs().max() <= 1.01
    assert sum(batch.weights.values()).max() <= 1.0 + 1e-6


def test_a_batch_is_decided_by_seed_and_number(folder):
    first, again = Pairs(folder, seed=0).batch(3, 5), Pairs(folder, seed=0).batch(3, 5)
    assert torch.equal(first.rgb, again.rgb) and torch.equal(first.weights["edge"], again.weights["edge"])
    for other in (Pairs(folder, seed=0).batch(3, 6), Pairs(folder, seed=1).batch(3, 5)):
        assert not torch.equal(first.weights["edge"], other.weights["edge"])
    with closing(Pairs(folder, seed=0).stream(3, 4)) as stream:
        next(stream)
        assert torch.equal(next(stream).rgb, first.rgb)


def test_a_folder_without_pairs_is_told(tmp_path):
    with pytest.raises(ValueError, match="holds no pairs to learn from"):
        Pairs(tmp_path, seed=0).batch(2, 0)


def test_what_a_pair_lacks_stays_out(folder, tmp_path):
    whole = read_pair(folder / "000000_00.npz")
    bare = {name: array for name, array in whole.items() if name not in ("depth", "seg", "hints", "maps")}
    np.savez(tmp_path / "000000_00.npz", **bare)
    config = TransferNetConfig(controls=("edge", "depth", "seg", "vis", "lidar"))
    batch = Pairs(tmp_path, seed=0, config=config, always="vis").batch(40, 0)
    assert all(not batch.weights[kind].any() for kind in ("depth", "seg", "lidar"))
    assert batch.weights["vis"].amax(dim=(1, 2, 3)).min() > 0.0 and batch.weights["edge"].any()
    assert not batch.lit.any() and not batch.hints.any() and not batch.maps.any()


def write_clip(folder: Path, name: str, follows: tuple[str, ...]) -> None:
    """A clip whose picture moves to the right by two pixels a frame; its left rim comes anew."""
    write_pair(folder, name, 4)
    arrays = read_pair(folder / f"{name}.npz")
    for frame, after in enumerate(follows, 1):
        moved = {k: np.roll(v, 2 * frame, axis=1) if v.shape[:2] == SIZE else v for k, v in arrays.items()}
        motion = np.broadcast_to(np.array([-2.0, 0.0], np.float16), (*SIZE, 2))
        stays = np.ones(SIZE, np.uint8)
        stays[:, :2] = 0
        np.savez(folder / f"{after}.npz", **moved, motion=motion, stays=stays)


def test_frames_of_a_clip_come_together_at_times_all_changed_alike(tmp_path):
    write_clip(tmp_path, "000003_01", ("000003_01_1", "000003_01_2"))
    write_pair(tmp_path, "000004_00", 5)
    pairs = Pairs(tmp_path, seed=0)
    assert [(a.stem, b.stem) for a, b in pairs.moves] == [
        ("000003_01", "000003_01_1"),
        ("000003_01_1", "000003_01_2"),
    ]
    assert Pairs(tmp_path, seed=0, moving=False).moves == []
    alone = [pairs.batch(4, number) for number in range(60) if number % 3 < 2]
    # Now and then a frame that follows is drawn by itself; then it follows nothing.
    assert all(batch.motion is None and batch.stays is None for batch in alone)
    turned = set()
    for number in range(2, 60, 3):
        batch = pairs.batch(5, number)
        assert batch.stays.flatten(1).any(1).tolist() == [False, True, False, True, False]
        for row in (1, 3):
            way = batch.motion[row, 0, 0, 0]
            turned.add(float(way))
            shift = -int(way)
            for name in ("rgb", "target", "maps", "hints"):
                now, before = getattr(batch, name)[row], getattr(batch, name)[row - 1]
                assert torch.equal(torch.roll(before, shift, -1), now), name
            for kind in batch.controls:
                assert torch.equal(torch.roll(batch.controls[kind][row - 1], shift, -1), batch.controls[kind][row])
                assert torch.equal(batch.weights[kind][row - 1], batch.weights[kind][row])
            assert batch.lit[row] == batch.lit[row - 1] and batch.picture[row] == batch.picture[row - 1]
            assert torch.equal(batch.style[row], batch.style[row - 1])
    assert turned == {-2.0, 2.0}  # mirrored pictures move the other way


def test_the_loss_of_motion_is_that_of_remapped_errors(tmp_path):
    write_clip(tmp_path, "000003_01", ("000003_01_1",))
    pairs, rng = Pairs(tmp_path, seed=0), np.random.default_rng(3)
    batch = pairs.batch(4, 2)
    batch.motion += torch.from_numpy(rng.uniform(-1.0, 1.0, batch.motion.shape).astype(np.float32))
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    batch.stays[..., : SIZE[1] * 3 // 4] = 0.0
    slope = 0.05 * x + rng.normal(0.0, 0.001, batch.target.shape)  # where it came from is all that counts
    out = batch.target + torch.from_numpy(slope.astype(np.float32))
    error = (out - batch.target).permute(0, 2, 3, 1).numpy()
    total, count = 0.0, 0
    for row in (1, 3):
        mx, my = x + batch.motion[row, 0].numpy(), y + batch.motion[row, 1].numpy()
        came = cv2.remap(error[row - 1], mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        seen = (batch.stays[row, 0].numpy() > 0) & (mx >= 0) & (my >= 0) & (mx <= SIZE[1] - 1) & (my <= SIZE[0] - 1)
        total, count = total + np.abs(error[row] - came)[seen].sum(), count + 3 * seen.sum()
    assert float(motion_loss(out, batch)) == pytest.approx(total / count, rel=0.02)  # cv2 rounds places to 1/32 px
    same = batch.target + 0.3  # the same error everywhere moves with everything
    assert float(motion_loss(same, batch)) < 1e-5 < float(motion_loss(out, batch))
    assert float(batch_loss(same, batch)) == pytest.approx(float(picture_loss(same, batch.target)), abs=1e-5)
    assert float(motion_loss(out, pairs.batch(4, 0))) == 0.0


def test_the_glow_of_lamps_need_not_be_painted_where_the_stage_tells_it(tmp_path):
    write_pair(tmp_path, "000003_00", 4)
    arrays, rng = read_pair(tmp_path / "000003_00.npz"), np.random.default_rng(2)
    glow = np.zeros((*SIZE, 3), np.uint8)
    glow[:, :20] = rng.integers(20, 160, (SIZE[0], 20, 3))
    lit = wp.array(arrays["target"][None], dtype=wp.uint8, device="cpu")
    lay_on_bytes(lit, wp.array(glow[None], dtype=wp.uint8, device="cpu"))
    np.savez(tmp_path / "000003_00.npz", **{**arrays, "glow": glow, "target": lit.numpy()[0]})
    batch, _ = whole_batch([tmp_path / "000003_00.npz"], {"depth": 1.0})
    bare = torch.from_numpy(arrays["target"] / np.float32(127.5) - 1.0).permute(2, 0, 1)[None]
    assert train_transfer.psnr(shown(bare, batch), batch.target) > 50.0 > 30.0 > train_transfer.psnr(bare, batch.target)
    assert float(batch_loss(bare, batch)) < 0.1 * float(picture_loss(bare, batch.target))
    batch.lit[:] = 0.0  # no stage to ask: what glows must be painted
    assert torch.equal(shown(bare, batch), bare)
    assert float(batch_loss(bare, batch)) == float(picture_loss(bare, batch.target))


def test_a_short_clip_is_rendered_with_the_motion_between_its_frames(tmp_path):
    """What the frames tell agrees: the plain picture, moved as the renderer says, is the next one."""
    size = (72, 128)
    shape = {"size": size, "crop": size, "views": 1, "looks": 1, "frames": 2, "samples": 1}
    assert make_training_data.render_scene(6, tmp_path, **shape) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000006_00.npz", "000006_00_1.npz"]
    first, then = (read_pair(tmp_path / f"000006_00{end}.npz") for end in ("", "_1"))
    assert "motion" not in first and first["maps"].shape == then["maps"].shape == (*size, 14)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    mx, my = (at + then["motion"][..., axis].astype(np.float32) for axis, at in enumerate((x, y)))
    came = cv2.remap(first["rgb"].astype(np.float32), mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = then["stays"] > 0
    change = {name: np.abs(then["rgb"] - before.astype(np.float32))[seen].mean() for name, before in
              (("along", came), ("still", first["rgb"]))}  # fmt: skip
    assert 0.3 < seen.mean() < 1.0 and change["along"] < 0.9 * change["still"]
    told = [json.loads(str(arrays["about"])) for arrays in (first, then)]
    assert told[1]["time_code"] == told[0]["time_code"] + 1.0 and told[0]["conditions"] == told[1]["conditions"]


def test_the_source_alone_is_lit_another_way():
    """A look brings its own sky and sun; the stage's own light changes nothing that the model is told of it."""
    look, kinds = Look(sun_elevation=40.0, sun_azimuth=120.0, seed=7), dict[str, list[int]]()
    for seed in range(40):
        kinds.setdefault(draw_source_light(scenes.random(11), np.random.default_rng(seed)), []).append(seed)
    assert set(kinds) == {"authored", "harsh", "sun alone", "none", "dome", "soft sun"}
    seen = {}
    for kind, (seed, *_) in kinds.items():
        stage = scenes.random(11)
        draw_source_light(stage, np.random.default_rng(seed))
        with closing(Renderer(stage)) as renderer:
            camera, start = renderer.scene.camera_paths[0], renderer.scene.start_time
            plain = renderer.render(camera, start, size=(72, 128)).rgb.numpy().astype(int)
            told = renderer.light(camera, start, look, size=(72, 128))
            seen[kind] = plain, make_training_data.side_by_side(told), told.glow.numpy().copy()
    for kind, (plain, maps, glow) in seen.items():
        np.testing.assert_array_equal(maps, seen["authored"][1])
        np.testing.assert_array_equal(glow, seen["authored"][2])
        assert kind == "authored" or np.abs(plain - seen["authored"][0]).mean() > 4.0


def test_what_shows_through_is_the_share_that_was_mixed_in():
    rng = np.random.default_rng(0)
    bright = rng.integers(120, 250, (2, 40, 60, 3)).astype(np.uint8)
    dark = bright.copy()
    dark[:, :, :30] = dark[:, :, :30] // 3  # a shadow over the left half
    assert transfer_metrics.shows_through((bright, dark), (bright, dark)) == pytest.approx(1.0)
    assert transfer_metrics.shows_through((bright, dark), (bright, bright)) == 0.0
    faint = np.exp(0.9 * np.log(bright / 255.0 + 0.016) + 0.1 * np.log(dark / 255.0 + 0.016)) - 0.016
    assert transfer_metrics.shows_through((bright, dark), (bright, np.rint(faint * 255.0))) == pytest.approx(
        0.1, abs=0.02
    )
    assert np.isnan(transfer_metrics.shows_through((bright, bright), (bright, dark)))


def test_padding_repeats_the_rim_and_what_is_painted_keeps_its_size(folder):
    batch = Pairs(folder, seed=0).batch(2, 0, (33, 42))
    net = TransferNet(train_transfer.SIZES["tiny"]).eval()
    pad = padding_for(net.config, (33, 42), 4)
    grown = batch.padded(pad)
    assert pad == (0, 6, 0, 7) and grown.rgb.shape[-2:] == grown.weights["edge"].shape[-2:] == (40, 48)
    assert torch.equal(grown.maps[..., :33, :42], batch.maps)
    assert torch.equal(grown.hints[..., 39, :42], batch.hints[..., 32, :])
    assert train_transfer.paint(net, batch, 4).shape == batch.target.shape


def test_weights_cover_subsets_and_maps_and_never_pass_one():
    rng = np.random.default_rng(0)
    drawn = [random_weights(rng, 6, 8) for _ in range(300)]
    assert all(w.sum(-1).max() <= 1.0 + 1e-6 and w.any() for w in drawn)
    assert len({tuple(w.any(axis=(0, 1))) for w in drawn}) >= 12
    assert any(np.ptp(w, axis=(0, 1)).max() > 0.2 for w in drawn)


def test_training_lowers_the_loss_resumes_and_exports_what_loads(folder, tmp_path, monkeypatch):
    from tiny_transfer import write_tiny_transfer

    out = write_tiny_transfer(tmp_path / "weights")
    run = train_transfer.Run(tmp_path / "run", train_transfer.SIZES["tiny"], rate=2e-2)
    pairs = Pairs(folder, seed=0)
    losses = [run.learn(pairs.batch(4, number), 0.0, 2) for number in range(70)]
    assert np.mean(losses[-5:]) < 0.75 * np.mean(losses[:5])
    run.seconds = 90.0
    run.save()
    again = train_transfer.Run(tmp_path / "run", train_transfer.SIZES["small"], rate=3e-3)
    assert (again.step, again.seconds) == (70, 90.0) and again.net.config == train_transfer.SIZES["tiny"]
    for a, b in zip(run.average.parameters(), again.average.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    train_transfer.export(again, out, {"minutes": 1.5})
    model = load_embedded(out, "cpu")
    batch, about = whole_batch([folder / "900000_00.npz"], {"edge": 0.5, "depth": 0.5})
    assert about == [{"scene": 99}]
    with torch.inference_mode():
        ours = model.net(batch.rgb, batch.controls, batch.weights, batch.hints, batch.style, maps=batch.maps)
        before = train_transfer.psnr(batch.rgb, batch.target)
    assert train_transfer.psnr(ours, batch.target) > before + 2.0


def test_processes_share_each_batch_whole_and_once(tmp_path):
    write_clip(tmp_path, "000003_01", ("000003_01_1", "000003_01_2"))
    for number in range(4, 8):
        write_pair(tmp_path, f"{number:06d}_00", number)
    for number in range(6):
        whole, *parts = (Pairs(tmp_path, seed=0, part=part).batch(4, number) for part in ((0, 1), (0, 2), (1, 2)))
        assert [len(part.rgb) for part in parts] == [2, 2]
        # Single frames are dealt out in turn; two that follow each other stay together.
        order = [0, 1, 2, 3] if whole.motion is not None else [0, 2, 1, 3]
        for name in ("rgb", "target", "maps", "hints", "style", "lit", "picture"):
            assert torch.equal(getattr(whole, name)[order], torch.cat([getattr(part, name) for part in parts])), name


def test_two_processes_learn_what_one_does(folder, tmp_path, monkeypatch):
    from tiny_transfer import write_tiny_transfer

    nets = {}
    for count in (1, 2):
        out = write_tiny_transfer(tmp_path / f"weights-{count}")
        given = ("--data", folder, "--run", tmp_path / str(count), "--size", "tiny", "--steps", 3, "--out", out)
        command = ["train_transfer.py", *map(str, (*given, "--rate", "1e-2", "--processes", count))]
        monkeypatch.setattr("sys.argv", command)
        train_transfer.main()
        nets[count] = torch.load(tmp_path / str(count) / "last.pt", weights_only=True)
    assert nets[2]["step"] == 3
    torch.manual_seed(0)
    start = TransferNet(train_transfer.SIZES["tiny"]).state_dict()
    apart, moved = (
        torch.cat([(one["net"][name] - other[name]).flatten() for name in start])
        for one, other in ((nets[1], nets[2]["net"]), (nets[1], start))
    )
    assert apart.norm() < 0.05 * moved.norm()  # sums of halves round otherwise
    monkeypatch.setattr("sys.argv", [*command[:-1], "3"])
    with pytest.raises(SystemExit):
        train_transfer.main()


def test_a_teacher_and_its_student_are_trained_exported_and_load(folder, tmp_path, monkeypatch):
    """By the command; the student's answers are kept, and taken up when it goes on."""
    from tiny_transfer import write_tiny_transfer

    def command(name, steps, *more):
        out = write_tiny_transfer(tmp_path / f"weights-{name}")
        given = ("--data", folder, "--run", tmp_path / name, "--size", "tiny", "--steps", steps, "--out", out)
        monkeypatch.setattr(
            "sys.argv", ["train_transfer.py", *map(str, (*given, "--batch", 2, "--check-pairs", 1, *more))]
        )
        train_transfer.main()
        return json.loads((out / "config.json").read_text()), load_embedded(out, "cpu")

    config, teacher = command("teacher", 4, "--draft")
    assert config["name"] == "transfer-tiny-steps" and config["max_steps"] == 16 and teacher.net.config.draft
    taught = ("--teacher", tmp_path / "teacher" / "last.pt", "--teacher-steps", 2, "--answers", 3, "--seed", 1)
    config, student = command("student", 5, *taught, "--warm", tmp_path / "teacher" / "last.pt")
    assert config["name"] == "transfer-tiny-distilled" and config["max_steps"] == 1 and student.net.config.draft
    kept = sorted((tmp_path / "student" / "answers").iterdir())
    assert len(kept) == 3 and np.load(kept[0]).shape == (2, 3, *SIZE)
    before = [path.stat().st_mtime_ns for path in kept]
    assert config["training"]["steps"] == 5
    config, _ = command("student", 8, *taught)
    assert config["training"]["steps"] == 8 and [path.stat().st_mtime_ns for path in kept] == before


def test_training_goes_on_from_shipped_weights(folder, tmp_path, monkeypatch):
    from tiny_transfer import write_tiny_transfer

    def command(name, steps, *more):
        out = write_tiny_transfer(tmp_path / f"weights-{name}")
        given = ("--data", folder, "--run", tmp_path / name, "--size", "tiny", "--steps", steps, "--out", out)
        monkeypatch.setattr("sys.argv", ["train_transfer.py", *map(str, (*given, "--batch", 2, *more))])
        train_transfer.main()
        return out

    first = command("first", 3)
    second = command("second", 0, "--warm", first)
    nets = [load_file(out / "net.safetensors") for out in (first, second)]
    assert nets[0].keys() == nets[1].keys() and all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])
    told = [json.loads((out / "config.json").read_text())["training"] for out in (first, second)]
    assert told[1]["steps"] == 0 and told[1]["minutes_before_warm_start"] == told[0]["minutes"]


def test_weights_that_paint_in_steps_are_finetuned_as_such(folder, tmp_path):
    from tiny_transfer import write_tiny_transfer

    base, out = write_tiny_transfer(tmp_path / "base", most_steps=6), tmp_path / "out"
    plan = Adaptation(steps=40, batch=4, rate=2e-3, seed=2)
    named = {"device": "cpu", "about": {}, "tell": lambda *step: None, "stop": lambda: False}
    out.mkdir()
    adapted = adapt(base, folder, out, plan, **named)
    assert adapted.trained[2] > adapted.trained[1] + 0.5
    assert json.loads((out / "config.json").read_text())["max_steps"] == 6
    before, after = load_embedded(base, "cpu").net, load_embedded(out, "cpu").net
    assert after.config.draft and not torch.equal(before.draft.see.weight, after.draft.see.weight)


def test_the_size_for_a_gpu_builds_learns_exports_and_loads(folder, tmp_path):
    """At its real size, on one small picture."""
    from tiny_transfer import write_tiny_transfer

    out = write_tiny_transfer(tmp_path / "weights")
    run = train_transfer.Run(tmp_path / "run", train_transfer.SIZES["base"], rate=1e-4)
    count = sum(parameter.numel() for parameter in run.net.parameters())
    assert round(count / 1e6, 1) == 31.9  # as the documentation says
    before = run.net.branches["depth"].speak.weight.clone()
    assert np.isfinite(run.learn(Pairs(folder, seed=0).batch(1, 0, (32, 32)), 0.0, 2))
    assert not torch.equal(run.net.branches["depth"].speak.weight, before)
    train_transfer.export(run, out, {}, name="transfer-base")
    loaded = load_embedded(out, "cpu").net
    assert loaded.config == train_transfer.SIZES["base"]
    for name, value in loaded.state_dict().items():
        torch.testing.assert_close(value, run.average.state_dict()[name].half().float(), atol=0.0, rtol=0.0)


def test_a_net_that_is_told_more_hints_paints_as_before(folder, tmp_path):
    """Until it has learnt what the new hint says, whatever that is."""
    config = train_transfer.SIZES["tiny"]
    fewer = TransferNet(replace(config, hints=config.hints - 1)).eval()
    with torch.no_grad():
        for parameter in fewer.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    weights = tmp_path / "weights"
    weights.mkdir()
    save_file({name: value.contiguous() for name, value in fewer.state_dict().items()}, weights / "net.safetensors")
    (weights / "config.json").write_text('{"training": {"minutes": 1.0, "minutes_before_warm_start": 0.0}}')
    run = train_transfer.Run(tmp_path / "run", config, rate=1e-3)
    assert train_transfer.take(run, weights) == len(run.net.state_dict())
    batch = whole_batch(Pairs(folder, seed=0).files[:2], {"depth": 0.5, "edge": 0.5})[0]
    assert batch.hints[:, -1].abs().max() > 0.1
    with torch.inference_mode():
        before, after = paint(fewer, batch), paint(run.average, batch)
        batch.hints[:, -2] *= -1.0
        torch.testing.assert_close(after, before, atol=2e-2, rtol=0.0)  # sums of bfloat16, in another order
        assert (paint(fewer, batch) - before).abs().max() > 0.1


def test_the_budget_counts_over_all_starts_and_a_run_that_stopped_ends_as_one_that_did_not(folder, tmp_path):
    def trained(name, *budgets):
        for steps in budgets:
            torch.manual_seed(3)
            run = train_transfer.Run(tmp_path / name, train_transfer.SIZES["tiny"], rate=1e-3)
            for step in range(run.step, steps):  # each budget stops as if it were on the way to nine
                batch = Pairs(folder, seed=0).batch(2, step)
                told = is_told(batch, run.net.config)
                run.learn(batch, step / 9, train_transfer.coarse_at(step, told=told))
            run.save()
        train_transfer.train(run, Pairs(folder, seed=0), steps=9, batch=2, save_minutes=1.0, held_out=[])
        assert run.step == 9
        return run.average.state_dict()

    whole, again, stopped = trained("whole", 0), trained("again", 0), trained("stopped", 2, 4)
    for name, value in whole.items():
        assert torch.equal(value, again[name]) and torch.equal(value, stopped[name])


def test_metrics_know_the_same_picture_and_a_worse_one():
    rng = np.random.default_rng(1)
    picture = np.repeat(np.repeat(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), 8, 0), 8, 1)
    noisy = np.clip(picture + rng.normal(0.0, 10.0, picture.shape), 0, 255).astype(np.uint8)
    assert transfer_metrics.psnr(picture, picture) == 60.0
    assert transfer_metrics.psnr(noisy, picture) == pytest.approx(28.1, abs=0.6)  # 20 log10(255 / 10), less clipping
    assert transfer_metrics.ssim(picture, picture) == pytest.approx(1.0)
    assert transfer_metrics.ssim(noisy, picture) < 0.99
    assert transfer_metrics.edge_f1(picture, picture, 0) == 1.0
    faint = np.full_like(picture, 128)
    faint[10:14, 10:14] = 255  # an outline shorter than the picture is high: nothing to meet
    assert np.isnan(transfer_metrics.edge_f1(faint, faint, 0))
    moved = np.roll(picture, 1, axis=1)
    assert transfer_metrics.edge_f1(moved, picture, 0) < transfer_metrics.edge_f1(moved, picture, 1)


def test_a_moved_thing_is_displaced_by_as_much():
    truth = np.full((60, 80, 3), 60, np.uint8)
    ids = np.ones((60, 80), np.uint32)
    ids[20:40, 30:60] = 2
    truth[ids == 2] = 220
    for offset in (0, 1, 3):
        found = transfer_metrics.boundary_displacement(np.roll(truth, offset, axis=1), truth, ids)
        sides = found[: 2 * 20]  # the two upright sides come first
        np.testing.assert_allclose(sides, offset, atol=0.02)
    half = (truth.astype(int) + np.roll(truth, 1, axis=1)) // 2  # half a pixel to the right
    assert np.median(transfer_metrics.boundary_displacement(half.astype(np.uint8), truth, ids)[:40]) == pytest.approx(
        0.5, abs=0.02
    )
    assert not len(transfer_metrics.boundary_displacement(truth, np.full_like(truth, 90), ids))  # nothing shows there


def test_specks_beside_a_boundary_do_not_displace_it():
    """At many pixels the steepest step is a speck's; the boundary itself stays where it was."""
    rng = np.random.default_rng(3)
    truth = np.full((60, 80, 3), 90, np.uint8)
    ids = np.ones((60, 80), np.uint32)
    ids[10:50, 30:60] = 2
    truth[ids == 2] = 150
    specks = truth.copy()
    specks[rng.random(ids.shape) < 0.04] = 230
    found = transfer_metrics.boundary_displacement(specks, truth, ids)
    assert np.median(found) < 0.1 and (found > 1.0).mean() < 0.1


def test_the_residual_follows_the_motion():
    rng = np.random.default_rng(2)
    before = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    now = np.roll(before, 3, axis=1)  # moved right by 3: previous minus current is -3
    motion = np.zeros((20, 30, 2), np.float32)
    motion[..., 0] = -3.0
    ids = np.ones((20, 30), np.uint32)
    assert transfer_metrics.motion_residual(now, before, motion, (ids, ids)) == pytest.approx(0.0, abs=1e-6)
    assert transfer_metrics.motion_residual(now, before, np.zeros_like(motion), (ids, ids)) > 0.1
    hidden = np.zeros_like(ids)
    assert np.isnan(transfer_metrics.motion_residual(now, before, motion, (ids, hidden)))
