"""The live shares of classes: against a plain count of what the camera shows, and without a trace afterwards."""

import numpy as np
import pytest

from kit.scene import CAMERAS


def truth(machine, camera, label, resolution=(320, 176)):
    """Count by hand what the double shows."""
    drawn = machine.feed.frame(camera, float(machine.timeline._steps), resolution)["semantic_segmentation"]
    keys = [int(key) for key, entry in drawn["info"]["idToLabels"].items() if entry == {"class": label}]
    return np.isin(drawn["data"], keys).mean()


def settle(machine, shares):
    for _ in range(3):
        machine.update()
        found = shares.poll()
        if found is not None:
            return found
    raise AssertionError("nothing was counted")


@pytest.mark.parametrize("version", ["4.2", "5.1", "6.2"])
def test_shares_are_those_of_the_picture(kit, version):
    machine = kit(version)
    from cosmos.bridge.kit.shares import LiveShares

    shares = LiveShares()
    assert shares.poll() is None
    shares.follow(CAMERAS[0])
    found = settle(machine, shares)
    assert set(found) == {"crate", "floor"}
    for label, share in found.items():
        assert share == pytest.approx(truth(machine, CAMERAS[0], label), abs=1e-12) and share > 0.01
    shares.follow(CAMERAS[1])
    assert settle(machine, shares)["crate"] == pytest.approx(truth(machine, CAMERAS[1], "crate"), abs=1e-12)
    assert len(machine.replicator.products) == len(machine.replicator.polled) == 1
    shares.close()
    shares.close()
    assert machine.replicator.products == {} and machine.replicator.polled == []


def test_what_moves_is_counted_anew_and_nothing_is_drawn_between(kit):
    machine = kit("5.1")
    from cosmos.bridge.kit import shares as module

    shares = module.LiveShares()
    shares.follow(CAMERAS[0])
    first = settle(machine, shares)
    (product,) = machine.replicator.products.values()
    drawn = 0
    for _ in range(60):
        machine.timeline._advance()
    for _ in range(module.PERIOD):
        machine.update()
        drawn += product.hydra_texture._enabled
        found = shares.poll()
        if found is not None:
            break
    assert found["crate"] == pytest.approx(truth(machine, CAMERAS[0], "crate"), abs=1e-12) and found != first
    assert drawn <= 3
    shares.close()


def test_counting_is_rare(kit):
    machine = kit("5.1")
    from cosmos.bridge.kit import shares as module

    shares, counted = module.LiveShares(), 0
    shares.follow(CAMERAS[0])
    for _ in range(4 * module.PERIOD):
        machine.update()
        counted += shares.poll() is not None
    assert counted == 4
    shares.close()


def test_a_closed_stage_takes_its_graph_along(kit):
    machine = kit("5.1")
    from cosmos.bridge.kit.shares import LiveShares

    shares = LiveShares()
    shares.follow(CAMERAS[0])
    machine.context.close_stage()
    shares.forget()
    assert shares.camera == "" and shares.poll() is None
    shares.close()


def test_labels_with_several_names_count_for_each_and_ids_may_be_signed():
    from cosmos.bridge.kit.shares import count_shares

    ids = np.array([[0, 1, 2, 2], [2, 3, 3, -1]], np.int32)
    labels = {"0": {"class": "BACKGROUND"}, "1": {"class": "UNLABELLED"}, 2: {"class": "car,vehicle"}}
    labels.update({"3": {"class": "van", "kind": "vehicle"}, str(2**32 - 1): {"class": "bus"}})
    found = count_shares({"data": ids, "info": {"idToLabels": labels}})
    assert found == {"car": 3 / 8, "vehicle": 5 / 8, "van": 2 / 8, "bus": 1 / 8}


@pytest.mark.parametrize(
    "reading", [None, {}, {"data": np.zeros((0,), np.uint32), "info": {}}, {"data": np.zeros((2, 2), np.uint32)}]
)
def test_what_is_no_picture_yet_is_not_counted(reading):
    from cosmos.bridge.kit.shares import count_shares

    assert count_shares(reading) is None
