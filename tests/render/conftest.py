"""A quad on a stage of its own, with an image beside it, and a yard of labelled things, drawn.

Modules with other wants define their own ``stage``.
"""

import sys
from pathlib import Path

import cv2
import pytest
from pxr import Usd, UsdGeom  # noqa: TID253

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))


@pytest.fixture
def stage(tmp_path):
    from shader_networks import PIXELS

    made = Usd.Stage.CreateNew(str(tmp_path / "scene.usda"))
    UsdGeom.SetStageMetersPerUnit(made, 1.0)
    mesh = UsdGeom.Mesh.Define(made, "/Quad")
    mesh.CreatePointsAttr([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)])
    mesh.CreateFaceVertexCountsAttr([3, 3])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 0, 2, 3])
    cv2.imwrite(str(tmp_path / "image.png"), PIXELS[..., [2, 1, 0, 3]])
    return made


@pytest.fixture(scope="module")
def yard():
    from yard import author

    return author()


@pytest.fixture(scope="module")
def yard_renderer(yard, device):
    from cosmos.bridge.render.renderer import Renderer

    renderer = Renderer(yard, device=device, threads=2)
    yield renderer
    renderer.close()


@pytest.fixture
def frame(yard_renderer):
    from yard import SIZE

    return yard_renderer.render("/World/Camera", 0.0, size=SIZE)


@pytest.fixture
def given(frame):
    from cosmos.bridge.render.annotators import ANNOTATORS, annotate

    return annotate(frame, ANNOTATORS)
