"""Where frames come from: a USD stage drawn here, or a folder that another tool wrote."""

from cosmos.bridge.sources.base import CameraRig, FrameSource, read_clip
from cosmos.bridge.sources.folder import FolderSource
from cosmos.bridge.sources.opener import STAGE_ENDINGS, VIDEO_ENDINGS, open_source
from cosmos.bridge.sources.stage import StageSource

__all__ = [
    "STAGE_ENDINGS", "VIDEO_ENDINGS", "CameraRig", "FolderSource", "FrameSource", "StageSource", "open_source",
    "read_clip",
]  # fmt: skip
