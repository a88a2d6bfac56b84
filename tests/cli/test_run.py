"""Whole runs of the command line on a real stage with the identity backend."""

import errno
import json
import os

import numpy as np
import pytest

from cosmos.bridge.sinks.manifest import read_manifest


def changed(words, option, value):
    words = [str(word) for word in words]
    if option in words:
        words[words.index(option) + 1] = str(value)
        return words
    return [*words, option, str(value)]


def test_augment_writes_everything_and_prints_where(cli, small, tmp_path):
    code, out, err = cli(*small)
    assert code == 0, err
    assert "1 clip planned: 1 accepted" in out
    for name in ("report.html", "stage.usda", "manifest.json", "config.json", "clip_0000/augmented.mp4"):
        assert (tmp_path / "out" / name).is_file(), name
    assert str(tmp_path / "out" / "report.html") in out
    assert "Traceback" not in err


def test_json_is_the_only_thing_on_stdout(cli, small):
    code, out, _ = cli(*small, "--json")
    summary = json.loads(out)
    assert code == 0
    assert (summary["planned"], summary["accepted"], summary["attempts"]) == (1, 1, 1)
    assert set(summary["stage_seconds"]) >= {"read", "derive", "transfer", "judge", "write"}


def test_the_report_carries_the_command(cli, small, tmp_path):
    cli(*small)
    command = read_manifest(tmp_path / "out")["run"]["command"]
    assert command.startswith("cosmos-bridge augment ")
    assert "--prompt rain" in command


def test_the_saved_config_runs_again_alike(cli, small, tmp_path):
    cli(*small)
    config = tmp_path / "out" / "config.json"
    code, _, err = cli("augment", "--config", config, "--out", tmp_path / "again")
    assert code == 0, err
    folders = [tmp_path / name / "frames" for name in ("out", "again")]
    first, again = ({path.name: path.read_bytes() for path in folder.rglob("*.png")} for folder in folders)
    assert len(first) == 3
    assert first == again


def test_two_cameras_and_two_prompts_are_four_clips(cli, small, tmp_path):
    words = [*small, "--camera", "/World/Camera", "--camera", "/World/Side", "--prompt", "snow", "--json"]
    code, out, err = cli(*words)
    assert code == 0, err
    assert json.loads(out)["planned"] == 4
    cameras = [clip["tags"]["camera"] for clip in read_manifest(tmp_path / "out")["clips"]]
    assert cameras == ["/World/Camera", "/World/Camera", "/World/Side", "/World/Side"]


@pytest.mark.parametrize(
    ("option", "value", "code", "told"),
    [
        ("--camera", "/World/None", 3, "it has /World/Camera, /World/Side"),
        ("--frames", "100:120", 3, "which is 0 to 23"),
        ("--size", "0x64", 2, "at least 1x1"),
        ("--transfer", "identiti", 3, "did you mean 'identity'?"),
        ("--guard", "none", 3, "there is blocklist, cosmos, off"),
        ("--critic", "nobody", None, "there is consistency"),
        ("--device", "cuda:77", 2, "There is no device 'cuda:77'; there is cpu"),
        ("--weights", "edge=0", 2, "every control 0"),
        ("--weights", "edge=7", 2, r"must lie in [0, 1]"),
        ("--guidance", "3", 3, "identity does not use guidance"),
        ("--negative-prompt", "blur", 3, "identity does not use negative_prompt"),
        ("--num-steps", "9", 3, "identity takes at most 1 num_steps, got 9"),
        ("--size", "60000x60000", 3, "smaller size"),
        ("--out", "/proc/nowhere", 3, "choose another"),
        ("--set", 'sinks=["report"]', 2, "must hold 'dataset'"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(cli, small, tmp_path, option, value, code, told):
    got, out, err = cli(*changed(small, option, value))
    assert got in ((2, 3) if code is None else (code,)), err
    last = err.strip().splitlines()[-1]
    assert last.startswith("cosmos-bridge: ")
    assert told in last
    assert "Traceback" not in err
    assert out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("none.usda", None, "does not exist"),
        ("broken.usda", "garbage", "cannot be read by USD"),
        ("broken.usdc", "garbage", "cannot be read by USD"),
        ("empty.usda", '#usda 1.0\ndef Xform "World" {}\n', "nothing that can be drawn"),
        ("notes.txt", "hello", "of no known kind"),
    ],
)
def test_a_bad_source_is_one_sentence_and_leaves_nothing(cli, small, tmp_path, name, content, told):
    if content is not None:
        (tmp_path / name).write_text(content)
    words = [str(word) for word in small]
    words[1] = str(tmp_path / name)
    code, out, err = cli(*words)
    assert code == 3
    last = err.strip().splitlines()[-1]
    assert told in last
    assert name in last
    assert out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", ["1x1", "3x5", "37x65"])
def test_odd_sizes_work(cli, small, tmp_path, size):
    code, _, err = cli(*changed(small, "--size", size))
    assert code in (0, 4), err  # a single pixel may fail the critic, but is written and counted
    counts = read_manifest(tmp_path / "out")["counts"]
    assert counts["accepted"] + counts["rejected"] == 1


def test_a_missing_layer_is_a_note(cli, small, stage):
    stage.write_text(stage.read_text().replace('defaultPrim = "World"', "subLayers = [@./gone.usda@]", 1))
    code, _, err = cli(*small)
    assert code == 0, err
    assert "gone.usda" in err
    assert "0x" not in err


def test_a_folder_that_is_not_empty_is_refused_whole(cli, small, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("keep me")
    code, _, err = cli(*small)
    assert code == 3
    assert "not empty" in err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_a_second_run_into_one_folder_points_to_resume(cli, small, tmp_path):
    cli(*small)
    before = sorted(path.name for path in (tmp_path / "out").iterdir())
    code, _, err = cli(*small)
    assert code == 3
    assert f"cosmos-bridge resume {tmp_path / 'out'}" in err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(cli, small, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    code, _, err = cli(*changed(small, "--out", tmp_path / "closed" / "out"))
    assert code == 3
    assert "not writable" in err


def test_a_full_disk_stops_with_one_sentence_and_resume_finishes(cli, small, tmp_path, monkeypatch):
    from cosmos.bridge.sinks import dataset

    real, calls = dataset.write_video, []

    def full(path, *args, **options):
        calls.append(path)
        if len(calls) > 4:  # the source and two controls are shared: a further clip writes one video
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return real(path, *args, **options)

    monkeypatch.setattr(dataset, "write_video", full)
    code, out, err = cli(*small, "--prompt", "snow")
    assert code == 4
    last = err.strip().splitlines()[-1]
    assert "No space left on device" in last
    assert out == ""
    assert not list((tmp_path / "out").rglob("*.partial"))
    assert read_manifest(tmp_path / "out")["counts"]["accepted"] == 1
    monkeypatch.setattr(dataset, "write_video", real)
    code, out, _ = cli("resume", tmp_path / "out")
    assert code == 0
    assert "2 clips planned: 2 accepted" in out
    assert cli("verify", tmp_path / "out")[0] == 0


def test_rejected_clips_are_partial_success(cli, small, tmp_path, monkeypatch):
    import warp as wp

    from cosmos.bridge.transfer.identity import IdentityTransfer

    real = IdentityTransfer.transfer

    def black(self, request, progress=None):
        result = real(self, request, progress)
        result.rgb.fill_(wp.uint8(0))
        return result

    monkeypatch.setattr(IdentityTransfer, "transfer", black)
    code, out, _ = cli(*small)
    assert code == 4
    assert "0 accepted, 1 rejected (2 attempts" in out
    assert (tmp_path / "out" / "rejected" / "clip_0000_attempt2").is_dir()


def test_verify_finds_a_changed_byte(cli, small, tmp_path):
    cli(*small)
    assert cli("verify", tmp_path / "out")[0] == 0
    path = tmp_path / "out" / "clip_0000" / "labels.json"
    path.write_text(path.read_text() + " ")
    code, out, _ = cli("verify", tmp_path / "out", "--json")
    problems = json.loads(out)["problems"]
    assert code == 4
    assert len(problems) == 1
    assert "labels.json" in problems[0]


@pytest.mark.parametrize("command", ["resume", "verify", "report"])
def test_a_folder_without_a_run_is_one_sentence(cli, tmp_path, command):
    code, out, err = cli(command, tmp_path)
    assert code == 3
    assert err.count("\n") == 1
    assert out == ""


def test_report_is_written_again(cli, small, tmp_path):
    cli(*small)
    path = tmp_path / "out" / "report.html"
    path.unlink()
    code, out, _ = cli("report", tmp_path / "out")
    assert (code, out.strip()) == (0, str(path))
    assert path.is_file()


def test_a_dry_run_prices_the_run_and_writes_nothing(cli, small, tmp_path):
    words = changed(small, "--frames", "0:12")
    code, out, err = cli(*words, "--prompt", "snow", "--dry-run", "--json")
    guess = json.loads(out)
    assert code == 0, err
    assert (guess["clips"], guess["frames"], guess["frames_by_camera"]) == (2, 24, [12])
    assert guess["seconds"] > 0
    assert "measured just now on this machine: 4 of 24 frames at 36x64" in guess["basis"]
    assert not (tmp_path / "out").exists()
    cli(*words, "--prompt", "snow")
    real = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert real / 2 < guess["num_bytes"] < real * 2


def test_a_dry_run_says_when_the_disk_is_too_small(cli, small, monkeypatch):
    import shutil
    from types import SimpleNamespace

    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    code, out, err = cli(*small, "--dry-run")
    assert code == 3
    assert "has 1.0 kB free; make room" in err
    assert "clips   1 of 3 frames at 36x64" in out
    assert "basis   measured just now" in out


def test_render_writes_what_the_folder_source_reads(cli, stage, tmp_path):
    from cosmos.bridge.sources import open_source, read_clip

    words = ["render", stage, "--size", "36x64", "--camera", "/World/Camera", "--out", tmp_path / "frames"]
    code, out, err = cli(*words, "--frames", "0:3")
    assert code == 0, err
    assert out.startswith("3 frames")
    drawn = read_clip(open_source(stage, camera="/World/Camera", size=(36, 64), frames=range(3), device="cpu"))
    read = read_clip(open_source(tmp_path / "frames"))
    for name in ("rgb", "depth", "motion"):
        np.testing.assert_array_equal(getattr(read, name).numpy(), getattr(drawn, name).numpy(), err_msg=name)
    np.testing.assert_allclose(read.cameras[1].intrinsics, drawn.cameras[1].intrinsics, rtol=1e-6)
    np.testing.assert_allclose(read.cameras[1].cam_to_world, drawn.cameras[1].cam_to_world, atol=1e-6)
    ids = {instance.prim_path: key for key, instance in read.instances.items()}
    for key, instance in drawn.instances.items():
        np.testing.assert_array_equal(
            read.instance_ids.numpy() == ids[instance.prim_path], drawn.instance_ids.numpy() == key
        )


def test_render_traces_paths_where_asked(cli, stage, tmp_path):
    words = ("render", stage, "--frames", "0:1", "--size", "16x24", "--annotators", "rgb", "--device", "cpu")
    pictures = []
    for name, options in (("quick", ()), ("a", ("--seed", "1")), ("b", ("--seed", "1")), ("c", ("--seed", "2"))):
        traced = ("--quality", "reference", "--samples", "2", *options) if options else ()
        code, _, err = cli(*words, *traced, "--out", tmp_path / name)
        assert code == 0, err
        pictures.append((tmp_path / name / "rgb_0000.png").read_bytes())
    assert pictures[1] == pictures[2] and len(set(pictures)) == 3


def test_render_draws_the_look_that_was_asked_for(cli, stage, tmp_path):
    import cv2

    words = ["render", stage, "--size", "36x64", "--frames", "0:1", "--camera", "/World/Camera", "--annotators", "rgb"]
    for name, look in (("day", "sun_elevation=50"), ("night", "sun_elevation=-15,vignette=1")):
        code, _, err = cli(*words, "--look", look, "--out", tmp_path / name)
        assert code == 0, err
    day, night = (cv2.imread(str(next((tmp_path / name).glob("*.png")))).mean() for name in ("day", "night"))
    assert night < 0.8 * day


def test_render_writes_every_annotator_and_names_the_files_as_told(cli, stage, tmp_path):
    from cosmos.bridge.render.annotators import ANNOTATORS

    words = ["render", stage, "--size", "36x64", "--frames", "0:1", "--camera", "/World/Camera", "--json"]
    words += ["--annotators", ",".join(ANNOTATORS), "--lidar", "channels=8,steps=60", "--units", "scene"]
    code, out, err = cli(*words, "--out", tmp_path / "frames")
    assert code == 0, err
    assert any("no lane, pole or box" in note.lower() for note in json.loads(out)["notes"])
    found = {path.name for path in (tmp_path / "frames").iterdir()}
    boxes = [f"bounding_box_{kind}" for kind in ("2d_tight", "2d_loose", "3d")]
    stems = [f"{name}{part}" for name in boxes for part in ("_0000.npy", "_labels_0000.json", "_prim_paths_0000.json")]
    parts = ("points", "intensity", "semantic", "instance")
    stems += [f"lidar_{part}_0000.npy" for part in parts] + [
        "lidar_0000.npy",
        "lidar_0000.png",
        "lidar_params_0000.json",
    ]
    stems += ["hdmap_0000.png", "occlusion_0000.npy", "HdrColor_0000.npy", "camera_params_0000.json"]
    stems += [f"pointcloud_{part}0000.npy" for part in ("", "rgb_", "normals_", "semantic_", "instance_")]
    assert set(stems) <= found
    assert all(any(path.startswith(name) for path in found) for name in ANNOTATORS)
    assert np.load(tmp_path / "frames/lidar_0000.npy").shape == (8, 60)
    ids = tmp_path / "ids"
    code, _, err = cli(*words, "--ids", "--out", ids)
    assert code == 0, err
    assert json.loads((ids / "instance_segmentation_mapping_0000.json").read_text())["2"] == "/World/Crate"


def test_a_map_control_reaches_the_dataset_and_models_without_it_say_so(cli, tmp_path):
    from cosmos.bridge.scenes.street import street

    scene = tmp_path / "street.usda"
    street(scene, num_frames=2)
    words = ["augment", scene, "--size", "36x64", "--frames", "0:2", "--camera", "/World/Camera", "--prompt", "rain"]
    words += ["--weights", "hdmap=0.6,lidar=0.4", "--set", "controls.lidar.channels=16", "--out", tmp_path / "out"]
    code, _, err = cli(*words, "--transfer", "identity")
    assert code == 0, err
    clip = json.loads((tmp_path / "out/clip_0000/clip.json").read_text())
    assert set(clip["controls"]) == {"hdmap", "lidar"}
    told = json.dumps(json.loads((tmp_path / "out/manifest.json").read_text()))
    assert '"channels": 16' in told and '"depth_test": false' in told
    for kind in ("hdmap", "lidar"):
        assert (tmp_path / f"out/clip_0000/control_{kind}.mp4").stat().st_size > 500
    code, _, err = cli(*changed(words, "--out", tmp_path / "other"), "--transfer", "embedded")
    assert code == 3 and "embedded does not know the control hdmap and lidar; it knows" in err
    frames = ["render", scene, "--size", "36x64", "--frames", "0:2", "--camera", "/World/Camera", "--out"]
    assert cli(*frames, tmp_path / "frames", "--annotators", "rgb,distance_to_image_plane,hdmap")[0] == 0
    folder = ["augment", tmp_path / "frames", "--prompt", "rain", "--transfer", "identity"]
    code, _, err = cli(*folder, "--weights", "hdmap=1", "--out", tmp_path / "third")
    assert code == 0, err
    assert (tmp_path / "third/clip_0000/control_hdmap.mp4").exists()
    code, _, err = cli(*folder, "--weights", "lidar=1", "--out", tmp_path / "fourth")
    assert code == 3 and "holds no lidar_0000.png; draw it from a stage" in err


def test_render_of_two_cameras_is_a_folder_each(cli, stage, tmp_path):
    words = ["render", stage, "--size", "9x16", "--frames", "0:2", "--annotators", "rgb", "--out", tmp_path / "frames"]
    code, _, err = cli(*words, "--camera", "/World/Camera", "--camera", "/World/Side", "--json")
    assert code == 0, err
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["World_Camera", "World_Side"]
    assert len(list((tmp_path / "frames" / "World_Side").iterdir())) == 2
    words[-1] = tmp_path / "none"
    code, _, err = cli(*words, "--camera", "/World/Camera", "--camera", "/None")
    assert code == 3 and "has no camera '/None'" in err
    assert not list(tmp_path.glob("none/*"))  # a wrong camera is told before any work


@pytest.mark.parametrize(
    ("option", "value", "code", "told"),
    [
        ("--annotators", "depth", 2, "no annotator 'depth'; there are rgb"),
        ("--annotators", ",", 2, "names none"),
        ("--size", "0x0", 2, "at least 1x1"),
        ("--frames", "3:3", 2, "holds no frame"),
        ("--look", "fogg=1", 2, "nearest is 'fog'"),
        ("--samples", "8", 2, "add --quality reference"),
        ("--camera", "/None", 3, "it has /World/Camera"),
        ("--lidar", "rays=3", 2, "no 'rays'; it has mount"),
        ("--lidar", "channels=0", 2, "at least 1 channel"),
    ],
)
def test_render_refuses_with_one_sentence(cli, stage, tmp_path, option, value, code, told):
    got, out, err = cli("render", stage, "--out", tmp_path / "frames", option, value)
    assert got == code
    assert told in err.strip().splitlines()[-1]
    assert out == ""


def test_ctrl_c_before_the_work_is_quiet(cli, small, monkeypatch):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("cosmos.bridge.cli.augment.config_of", interrupted)
    assert cli(*small) == (130, "", "cosmos-bridge: Interrupted.\n")


def test_a_missing_reference_is_told_once(cli, small, stage):
    stage.write_text(stage.read_text() + 'def "Gone" (references = @./gone.usd@)\n{\n}\n')
    code, _, err = cli(*small)
    assert code in (0, 4), err
    assert sum("gone.usd" in line for line in err.splitlines()) == 1
    assert "Parts of the stage that USD cannot compose are missing: Could not open asset" in err
