"""Pictures into the viewport and the panel while they are made: a dynamic texture, on the GPU where that is allowed."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from cosmos.bridge.errors import SinkError
from cosmos.bridge.kit import compat
from cosmos.bridge.kit.settings import read_settings

OVERLAY = "cosmos.bridge.overlay"


class LiveTexture:
    """A texture named ``dynamic://<name>`` that shows the newest picture; main thread only.

    The memory of a picture on the GPU is kept until the next one came: Kit reads it later than it is handed over.
    """

    def __init__(self, name: str = "cosmos_bridge") -> None:
        """Make the texture.

        Args:
            name: Name within the process; letters, digits and underscores.

        Raises:
            KitError: If there is no UI, as in a headless application.
        """
        self.name = name
        self.provider: Any = compat.need("omni.ui.DynamicTextureProvider")(name)
        self._renderer = read_settings().renderer_device
        self._kept: Any = None
        self.size: Optional[tuple[int, int]] = None

    @property
    def url(self) -> str:
        """Asset path for material inputs; it dies with the process, so keep it in the session layer."""
        return f"dynamic://{self.name}"

    def show(self, before: Any, after: Any, share: float = 0.0) -> None:
        """Show two pictures, cut by a wiper.

        Args:
            before: The simulated picture, Warp uint8, shape [H, W, 3].
            after: The result, same shape and device.
            share: Place of the wiper in [0, 1]; 0 shows the result alone.

        Raises:
            SinkError: If the pictures do not fit each other.
        """
        from cosmos.bridge.kernels.wipe import wipe_pictures

        if self.provider is None:
            raise SinkError("The live texture is closed; open it again.")
        try:
            picture = wipe_pictures(before, after, share)
        except ValueError as error:
            raise SinkError(f"The preview cannot be shown: {error}") from error
        height, width, _ = picture.shape
        if picture.device.ordinal == self._renderer >= 0:
            upload_pointer(self.provider, picture)
        else:
            self.show_pixels(picture.numpy())
        self._kept, self.size = picture, (height, width)

    def show_pixels(self, pixels: np.ndarray) -> None:
        """Show a picture of the host; by the whole-array call where this Kit has it.

        Args:
            pixels: RGBA, uint8, shape [H, W, 4].
        """
        height, width, _ = pixels.shape
        by_array = getattr(self.provider, "set_data_array", None)
        if by_array is not None:
            by_array(pixels, [width, height])
        else:
            self.provider.set_bytes_data(pixels.ravel().tolist(), [width, height])

    def close(self) -> None:
        """Let go of the texture; safe to call twice."""
        self.provider, self._kept, self.size = None, None, None


def upload_pointer(provider: Any, picture: Any) -> None:
    """Hand a picture on the renderer's GPU over without a copy through the host; keep it alive until the next came.

    Args:
        provider: Texture provider of omni.ui; it skips a pointer on another GPU without a word.
        picture: Warp uint8, shape [H, W, 4], RGBA.
    """
    import warp as wp

    height, width, _ = picture.shape
    wp.synchronize_device(picture.device)
    form = compat.need("omni.gpu_foundation_factory.TextureFormat.RGBA8_UNORM")
    provider.set_bytes_data_from_gpu(picture.ptr, [width, height], format=form)


class Overlay:
    """A live texture over the active viewport; main thread only."""

    def __init__(self) -> None:
        self._frame: Any = None

    def show(self, texture: LiveTexture) -> bool:
        """Lay the texture over the viewport; return whether there is one."""
        self.hide()
        find = compat.find("omni.kit.viewport.utility.get_active_viewport_window")
        window = find() if find is not None else None
        if window is None:
            return False
        self._frame = window.get_frame(OVERLAY)
        self._frame.clear()
        with self._frame:
            image = compat.need("omni.ui.ImageWithProvider")
            fit = compat.need("omni.ui.IwpFillPolicy.IWP_PRESERVE_ASPECT_FIT")
            image(texture.provider, fill_policy=fit)
        return True

    def hide(self) -> None:
        """Take the overlay away; safe to call twice."""
        frame, self._frame = self._frame, None
        if frame is not None:
            frame.clear()


__all__ = ["OVERLAY", "LiveTexture", "Overlay", "upload_pointer"]
