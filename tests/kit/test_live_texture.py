import numpy as np
import pytest
import warp as wp

from cosmos.bridge.errors import SinkError


def picture(level, size=(4, 6)):
    return wp.full((*size, 3), level, dtype=wp.uint8, device="cpu")


def test_a_picture_arrives_whole(kit):
    kit("5.1", ui=True)
    from cosmos.bridge.kit.live_texture import LiveTexture

    texture = LiveTexture("cosmos_test")
    texture.show(picture(10), picture(200), 0.5)
    shown = texture.provider._picture
    assert shown.shape == (4, 6, 4) and shown[0, 0].tolist() == [10, 10, 10, 255] and shown[0, 5, 0] == 200
    assert texture.url == "dynamic://cosmos_test" and texture.size == (4, 6)
    with pytest.raises(SinkError, match="cannot be shown"):
        texture.show(picture(1), picture(2, (5, 5)))
    texture.close()
    texture.close()
    with pytest.raises(SinkError, match="closed"):
        texture.show(picture(1), picture(2))


def test_a_kit_without_the_array_call_gets_bytes(kit, monkeypatch):
    kit("4.2", ui=True)
    from cosmos.bridge.kit.live_texture import LiveTexture
    from kit.ui import ByteImageProvider

    monkeypatch.delattr(ByteImageProvider, "set_data_array")
    texture = LiveTexture()
    texture.show(picture(7), picture(9))
    assert texture.provider._uploads == ["bytes"] and (texture.provider._picture[..., 0] == 9).all()


@pytest.mark.parametrize(("ordinal", "how"), [(0, "gpu"), (1, "array")])
def test_only_pictures_on_the_renderers_gpu_stay_there(kit, monkeypatch, ordinal, how):
    kit("6.0", ui=True)
    from cosmos.bridge.kit import live_texture

    class OnGpu:  # no GPU is needed to see which way is taken
        shape, ptr = (4, 6, 4), 1234
        device = type("Device", (), {"is_cuda": True, "ordinal": ordinal})()

        def numpy(self):
            return np.zeros(self.shape, np.uint8)

    import cosmos.bridge.kernels.wipe as wipe

    monkeypatch.setattr(wipe, "wipe_pictures", lambda *arguments: OnGpu())
    monkeypatch.setattr(wp, "synchronize_device", lambda device: None)
    texture = live_texture.LiveTexture()
    texture.show(None, None)
    assert texture.provider._uploads == [how] and texture._kept is not None  # Kit reads it later


def test_the_overlay_lies_over_the_viewport_and_goes_again(kit):
    machine = kit("5.0", ui=True)
    from cosmos.bridge.kit.live_texture import OVERLAY, LiveTexture, Overlay

    overlay, texture = Overlay(), LiveTexture()
    assert overlay.show(texture)
    frame = machine.viewport._frames[OVERLAY]
    assert [type(child).__name__ for child in frame._children] == ["ImageWithProvider"]
    overlay.show(texture)
    assert len(frame._children) == 1
    overlay.hide()
    overlay.hide()
    assert frame._children == []
    machine.viewport = None
    assert not overlay.show(texture)


def test_a_headless_application_says_that_it_has_no_texture(kit):
    kit("5.1")
    from cosmos.bridge.kit.compat import KitError
    from cosmos.bridge.kit.live_texture import LiveTexture, Overlay

    with pytest.raises(KitError, match="DynamicTextureProvider is missing"):
        LiveTexture()
    assert not Overlay().show(None)
