"""What is wrong with a machine of doubles, the self-test finds out."""

import sys

import numpy as np
import pytest

MOVING = ("time-sampled pictures of OmniPBR", "time-sampled pictures of UsdPreviewSurface")


def failed(machine):
    """Run the self-test on a new stage of centimetres; return what failed by name, and what was measured."""
    from cosmos.bridge.kit import selftest

    report = selftest._drive(machine.update, 0.01)
    return {fact.name: fact.found for fact in report.failed}, report.calibration


def test_all_that_can_be_wrong_is_found_out(kit, monkeypatch):
    wrong = {"follows": False, "recycles": True, "extensions": ("omni.usd.schema.playback",)}
    machine = kit("6.0", stage=None, ui=True, **wrong)
    from kit.replicator import Annotator
    from kit.ui import ByteImageProvider

    def get_data(self, device):
        raise AssertionError("nobody asks it here")

    monkeypatch.setattr(Annotator, "get_data", get_data)
    monkeypatch.setattr(ByteImageProvider, "_take", lambda self, *_: None)
    monkeypatch.delattr(sys.modules["omni.timeline"], "get_timeline_interface")
    bad, _ = failed(machine)
    assert bad["symbols that are needed"] == "omni.timeline.get_timeline_interface"
    assert bad["the probe"].startswith("omni.timeline.get_timeline_interface is missing")
    monkeypatch.setattr(sys.modules["omni.timeline"], "get_timeline_interface", lambda: machine.timeline, raising=False)
    bad, _ = failed(machine)
    assert "missing a required argument" in bad.pop("signature of Annotator.get_data")
    assert bad.pop("omni.usd.schema.playback") == "the extension is on, but USD does not know OmniPlaybackAPI"
    assert "1.26 px" in bad.pop("buffers under multi-tick rendering")
    assert all(bad.pop(name).endswith("red, then red is seen") for name in MOVING)
    assert bad == {"dynamic texture, from the host": "green was given, grey is seen"}


def test_a_background_of_motion_that_is_neither_is_found_out(kit):
    from cosmos.bridge.kit.ask_frames import _void_fact

    measured = {}
    noise = np.random.default_rng(3).uniform(-2.0, 2.0, (50, 2))
    assert _void_fact(noise, measured).ok is False and measured == {}


def test_buffers_that_change_while_they_are_read_are_found_out(kit, monkeypatch):
    machine = kit("5.1", stage=None)
    from cosmos.bridge.kit import probe

    plain, calls = probe.host_of, iter(range(100_000))

    def racing(array):
        seen = np.array(plain(array))
        if seen.dtype.names is None and seen.size:
            seen.ravel()[0] = next(calls)
        return seen

    monkeypatch.setattr(probe, "host_of", racing)
    bad, _ = failed(machine)
    assert "buffers last while write() runs" in bad


@pytest.mark.parametrize(("arrives", "kept"), [(True, 1), (False, -1)])
def test_a_pointer_of_the_renderers_gpu_arrives_or_is_not_used_again(kit, monkeypatch, arrives, kept):
    pytest.importorskip("torch")
    import warp as wp

    monkeypatch.setattr(wp, "is_cuda_available", lambda: True)
    machine = kit("6.0", stage=None, ui=True, renderer=1, reads_pointers=arrives)
    bad, measured = failed(machine)
    # the host stands in for the GPU, which torch cannot but say
    assert bad.pop("the renderer's GPU is torch's") == "pictures lie on cuda:1, and for torch on the host"
    assert list(bad) == ([] if arrives else ["dynamic texture, from the GPU"])
    assert measured["renderer_device"] == kept
    from cosmos.bridge.kit.live_texture import LiveTexture
    from cosmos.bridge.kit.settings import read_settings

    assert read_settings().renderer_device == LiveTexture()._renderer == kept


def test_broken_machines_are_found_out(kit, monkeypatch):
    machine = kit("5.1", stage=None, motion=(0.0, 0.0))
    from cosmos.bridge.kit import selftest

    report = selftest._drive(machine.update, 0.01)
    assert [fact.name for fact in report.failed] == ["motion vectors"]
    assert "motion_scale_x" not in report.calibration
    machine.replicator.warm_up = 100
    report = selftest._drive(machine.update, 0.01)
    assert "0 pictures" in {fact.name: fact.found for fact in report.failed}["the probe"]
