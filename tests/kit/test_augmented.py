"""Other writers get the augmented picture, and the labels of the very same frame."""

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.errors import ConfigError
from cosmos.bridge.transfer.identity import IdentityTransfer
from kit.scene import CAMERAS, SIZE, products_of


def inverted(self, request, progress=None, plain=IdentityTransfer.transfer):
    """A model whose result can be told from its source: every level inverted."""
    result = plain(self, request, progress)
    wp.copy(result.rgb, wp.array(255 - request.clip.rgb.numpy(), dtype=wp.uint8, device=result.rgb.device))
    return result


@pytest.fixture
def start(kit, tmp_path, monkeypatch):
    monkeypatch.setattr(IdentityTransfer, "transfer", inverted)

    def make(structure="legacy", cameras=CAMERAS[:1], names=("rgb", "semantic_segmentation"), **keywords):
        machine = kit("5.1")
        import omni.replicator.core as rep

        machine.enable()
        rep.orchestrator.set_capture_on_play(False)

        class NotesWriter(rep.Writer):
            def __init__(self, label):
                self.label, self.annotators, self.data_structure = label, list(names), structure
                self.seen, self.finals = [], 0

            def write(self, data):
                self.seen.append(data)

            def on_final_frame(self):
                self.finals += 1

        rep.WriterRegistry.register(NotesWriter)
        writer = rep.WriterRegistry.get("CosmosBridgeAugmentedWriter")
        writer.initialize(
            writer="NotesWriter",
            writer_params={"label": "mine"},
            **{"output_dir": str(tmp_path / "out"), "prompt": "rain", "transfer": "identity", **keywords},
        )
        writer.attach(products_of(rep, cameras))
        return machine, rep, writer

    return make


def accept_all(monkeypatch, accepted=lambda request: True):
    import cosmos.bridge.critic.consistency as consistency
    from cosmos.bridge.types import Finding, Verdict

    def judge(self, request, result, progress=None):
        if accepted(request):
            return Verdict(accepted=True, score=1.0, critic="test")
        finding = Finding(kind="geometry", check="test", severity="reject", text="No.")
        return Verdict(accepted=False, score=0.0, critic="test", findings=(finding,))

    critic = next(value for name, value in vars(consistency).items() if name.endswith("Critic") and name != "Critic")
    monkeypatch.setattr(critic, "judge", judge)


def steps(machine, rep, count):
    for _ in range(count):
        machine.run(rep.orchestrator.step_async(pause_timeline=False))


def entry(frame, structure, name, product, many):
    if structure == "legacy":
        found = frame[f"{name}-{product}" if many else name]
    elif structure == "annotator":
        found = frame["annotators"][name][product]
    else:
        found = frame["renderProducts"][product][name]
    return found["data"] if isinstance(found, dict) else found


@pytest.mark.parametrize("structure", ["legacy", "annotator", "renderProduct"])
@pytest.mark.parametrize("count", [1, 2])
def test_the_other_writer_sees_the_new_picture_and_the_old_labels(start, monkeypatch, structure, count):
    accept_all(monkeypatch)
    machine, rep, writer = start(structure, CAMERAS[:count])
    steps(machine, rep, 5)
    assert writer.inner.seen == []  # not before the critic has said yes
    writer.flush(machine.update)
    assert writer.inner.label == "mine" and writer.inner.finals == 1 and machine.problems() == []
    assert len(writer.inner.seen) == 4
    for index, frame in enumerate(writer.inner.seen):
        for camera, product in zip(CAMERAS[:count], ("Replicator", "Replicator_01"), strict=False):
            drawn = machine.feed.frame(camera, float(2 + index), (SIZE[1], SIZE[0]))
            picture = entry(frame, structure, "rgb", product, count > 1)
            np.testing.assert_array_equal(picture[..., :3], 255 - drawn["rgb"][..., :3])
            assert (picture[..., 3] == 255).all()
            ids = entry(frame, structure, "semantic_segmentation", product, count > 1)
            np.testing.assert_array_equal(ids, drawn["semantic_segmentation"]["data"])
    writer.close()


def test_several_looks_come_one_after_the_other(start, monkeypatch):
    accept_all(monkeypatch)
    machine, rep, writer = start(prompt=["rain", "snow"], num_frames=2)
    steps(machine, rep, 5)
    writer.flush(machine.update)
    assert [frame["reference_time"] for frame in writer.inner.seen] == [
        frame["reference_time"] for take in (0, 4) for frame in writer.inner.seen[take : take + 2] * 2
    ]
    assert len(writer.inner.seen) == 8 and writer.withheld == 0
    writer.close()


def test_what_was_not_accepted_is_withheld_and_counted(start, monkeypatch):
    accept_all(monkeypatch, lambda request: request.clip.cameras[0].prim_path == CAMERAS[0])
    machine, rep, writer = start(cameras=CAMERAS, retry={"max_attempts": 1})
    steps(machine, rep, 4)
    writer.flush(machine.update)
    assert writer.inner.seen == [] and writer.withheld == 3  # one camera of the two was refused
    writer.detach()
    writer.close()
    writer.close()


def test_one_frame_an_update_is_handed_on(start, monkeypatch):
    accept_all(monkeypatch)
    machine, rep, writer = start(num_frames=3)
    steps(machine, rep, 4)
    writer.source._session.queue.wait(60)
    counts = []
    for _ in range(6):
        machine.update()
        counts.append(len(writer.inner.seen))
    assert counts[-1] == 3 and max(np.diff(counts)) <= 1
    machine.disable()
    assert machine.alive() == 0


def test_a_writer_without_pictures_is_refused(start):
    with pytest.raises(ConfigError, match="NotesWriter looks at bounding_box_3d, but not at rgb"):
        start(names=("bounding_box_3d",))
