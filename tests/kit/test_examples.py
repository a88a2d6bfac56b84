"""Every example of Kit is run, against the doubles."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from kit.scene import CAMERAS, SIZE

EXAMPLES = Path(__file__).resolve().parents[2] / "exts/cosmos.bridge/examples"
WIDE = (SIZE[1], SIZE[0])


def load(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_headless_batch_makes_every_camera_and_look(kit, scene, tmp_path, capsys):
    machine = kit("6.0", standalone=True)
    arguments = [str(scene), str(tmp_path / "out"), "--prompt", "rain", "--prompt", "snow", "--frames", "3"]
    (summary,) = load("kit_headless").main([*arguments, "--size", "64x96", "--transfer", "identity"])
    assert summary.accepted == summary.planned == 4 and machine.problems() == []
    assert "4 of 4 accepted" in capsys.readouterr().out


def test_the_script_makes_two_takes_and_shows_the_first(kit, tmp_path):
    machine = kit("5.1", ui=True)
    machine.enable()
    work = load("kit_writer").capture(CAMERAS[0], str(tmp_path / "out"), 3, WIDE, transfer="identity")
    summaries = machine.run(work)
    assert [summary.accepted for summary in summaries] == [1, 1] and machine.problems() == []
    assert machine.context.get_stage().GetPrimAtPath("/CosmosBridge/clip_0000")


def test_the_panel_is_walked_through(kit, tmp_path, capsys):
    machine = kit("4.5", ui=True)
    machine.enable()
    run = machine.run(load("kit_panel").walk_through(str(tmp_path / "out"), 3, SIZE, "identity"))
    assert run.summary.accepted == 1 and machine.problems() == []
    printed = capsys.readouterr().out
    assert "Choose at least one camera." in printed and "writer.initialize(" in printed and "1 of 1 accepted" in printed


def test_another_writer_gets_the_accepted_frames(kit, tmp_path):
    machine = kit("5.0")
    machine.enable()
    import omni.replicator.core as rep

    class TrainWriter(rep.Writer):
        def __init__(self, rgb=True):
            self.annotators, self.seen = ["rgb"], 0

        def write(self, data):
            self.seen += 1
            type(self).total = self.seen

    rep.WriterRegistry.register(TrainWriter)
    work = load("kit_other_writers").capture(
        CAMERAS[0], 3, WIDE, "TrainWriter", {"rgb": True}, output_dir=str(tmp_path / "out"), transfer="identity"
    )
    (summary,) = machine.run(work)
    assert summary.accepted == 2 and TrainWriter.total == 6


def test_the_observation_redraws_a_batch_of_environments(kit):
    torch = pytest.importorskip("torch")
    machine = kit("5.1")
    drawn = [machine.feed.frame(camera, 3.0, WIDE) for camera in CAMERAS]
    rgb = np.stack([frame["rgb"] for frame in drawn])
    depth = np.stack([frame["distance_to_image_plane"] for frame in drawn])[..., None]
    focal = 18.0 / 20.955 * SIZE[1]
    lens = np.array([[focal, 0, SIZE[1] / 2], [0, focal, SIZE[0] / 2], [0, 0, 1]])
    sensor = SimpleNamespace(
        output={"rgb": torch.from_numpy(rgb), "distance_to_image_plane": torch.from_numpy(depth)},
        intrinsic_matrices=torch.from_numpy(np.stack([lens] * 2)),
    )
    term = load("observation").AugmentedImages(["a clear day", "night, lamps lit", "dense fog"], device="cpu")
    looks = {}
    for seed in range(20):
        term.reset(seed)
        if term.prompt in looks:
            continue
        made = term.of_sensor(sensor)
        assert made.dtype == torch.uint8 and tuple(made.shape) == (2, *SIZE, 3)
        looks[term.prompt] = float(made.float().mean())
    term.reset(1)
    np.testing.assert_array_equal(term.of_sensor(sensor), term.of_sensor(sensor))
    term.close()
    assert len(looks) == 3 and looks["night, lamps lit"] < looks["a clear day"]
