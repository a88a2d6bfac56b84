"""What a new process does beside: the collector waits, painting starts late, images are decoded on threads."""

import gc
import subprocess
import sys
import threading
import weakref

import cv2
import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom, UsdShade  # noqa: TID253

from cosmos.bridge.errors import SourceError
from cosmos.bridge.render.patience import collector_waits
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.render.usd.stage import StageReader


@pytest.mark.parametrize("on", [True, False])
def test_the_collector_is_left_as_it_was(on):
    was = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        with pytest.raises(KeyError), collector_waits():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() == on
    finally:
        (gc.enable if was else gc.disable)()


class _Knot:
    """An object that only the collector can release."""

    def __init__(self):
        self.self = self


def test_what_stays_counts_as_old_and_is_released_in_time():
    with collector_waits(stays=True):
        knot = _Knot()
    assert any(one is knot for one in gc.get_objects(generation=2)), "the next quick look would go through all"
    gone = weakref.ref(knot)
    del knot
    gc.collect()
    assert gone() is None


def test_what_is_done_again_and_again_does_not_put_off_the_look_at_what_is_old():
    collections = gc.get_stats()[2]["collections"]
    for _ in range(12):
        for _ in range(12):
            gc.collect(1)  # as time brings it; each counts towards a look at what is old
        with collector_waits():
            knots = [_Knot() for _ in range(1000)]
    assert gc.get_count()[2] > 100 or gc.get_stats()[2]["collections"] > collections
    del knots


def test_what_somebody_froze_stays_frozen():
    knot = _Knot()
    gc.freeze()
    try:
        with collector_waits(stays=True):
            pass
        assert gc.get_freeze_count() > 0
        assert all(one is not knot for one in gc.get_objects()), "released by us"
    finally:
        gc.unfreeze()
    assert any(one is knot for one in gc.get_objects(generation=2))


FIRST_PICTURE = """
import sys
from pxr import Usd, UsdGeom
from cosmos.bridge.render.renderer import Renderer
stage = Usd.Stage.CreateInMemory()
UsdGeom.Cube.Define(stage, "/Cube")
renderer = Renderer(stage, device="cpu", threads=1)
frame = renderer.render(renderer.frame_camera((16, 16)), 0.0)
assert frame.rgb.numpy().any()
print(*(name for name in sys.modules if name.startswith("cosmos.bridge.")))
"""


def test_a_first_picture_reads_no_kernels_and_types_of_other_things():
    done = subprocess.run([sys.executable, "-c", FIRST_PICTURE], check=True, capture_output=True, text=True)
    loaded = {name.removeprefix("cosmos.bridge.") for name in done.stdout.splitlines()[-1].split()}
    assert {"render.draw.shade", "render.draw.raster", "types.frame"} <= loaded
    others = ("annotators", "lidar", "roadmap", "usd.trust")
    drawn = ("cast", "clear", "parallel", "thorough", "layers", "balls", "trace", "tiles", "sweep", "particles", "lens")
    unwanted = {f"render.{name}" for name in others} | {f"render.draw.{name}" for name in drawn}
    assert not loaded & (unwanted | {"types.verdict", "types.transfer", "types.control"})


@pytest.fixture
def moving():
    """A ball that leaves the middle of the picture, on a floor, seen from above."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, "Z")
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(10)
    UsdGeom.Cube.Define(stage, "/Floor").AddScaleOp().Set((8.0, 8.0, 0.1))
    ball = UsdGeom.Sphere.Define(stage, "/Ball").AddTranslateOp()
    ball.Set((0.0, 0.0, 1.1), 0.0)
    ball.Set((2.0, 0.0, 1.1), 10.0)
    camera = UsdGeom.Camera.Define(stage, "/Camera")
    camera.AddTranslateOp().Set((0.0, 0.0, 12.0))
    return stage


@pytest.mark.parametrize("kind", ["missing", "broken"])
def test_a_file_opened_on_another_thread_is_refused_here(tmp_path, kind):
    path = tmp_path / "stage.usda"
    if kind == "broken":
        path.write_text("#usda 1.0\ndef Cube {")
    with pytest.raises(SourceError, match="does not exist" if kind == "missing" else "cannot be read by USD"):
        Renderer(path, device="cpu", threads=1)
    left = [thread for thread in threading.enumerate() if thread.name.startswith("cosmos_bridge_stage")]
    for thread in left:
        thread.join(10.0)
    assert not any(thread.is_alive() for thread in left)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_picture_does_not_depend_on_when_painting_began(moving, threads):
    size = (36, 64)
    early, late = Renderer(moving, device="cpu", threads=1), Renderer(moving, device="cpu", threads=threads)
    early.render("/Camera", 0.0, size=size)
    expected = early.render("/Camera", 8.0, size=size)
    frame = late.render("/Camera", 8.0, size=size, rgb=False)
    np.testing.assert_array_equal(frame.details.linear().numpy(), expected.details.linear().numpy())
    np.testing.assert_array_equal(late.render("/Camera", 8.0, size=size).rgb.numpy(), expected.rgb.numpy())
    assert expected.instance_ids.numpy()[18, 44] == 2, "the ball has left the middle"


@pytest.mark.parametrize("stops", [False, True])
def test_threads_that_decode_images_end_with_the_reading(tmp_path, stops):
    stage = Usd.Stage.CreateNew(str(tmp_path / "stage.usda"))
    UsdGeom.Cube.Define(stage, "/Cube")
    for index in range(8):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((64, 64, 3), index, np.uint8))
        material = UsdShade.Material.Define(stage, f"/Looks/Look{index}")
        shader = UsdShade.Shader.Define(stage, f"/Looks/Look{index}/Surface")
        shader.CreateIdAttr("UsdPreviewSurface")
        image = UsdShade.Shader.Define(stage, f"/Looks/Look{index}/Image")
        image.CreateIdAttr("UsdUVTexture")
        image.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(f"./{index}.png")
        color = shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f)
        color.ConnectToSource(image.CreateOutput("rgb", Sdf.ValueTypeNames.Float3))
        material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
        cube = UsdGeom.Cube.Define(stage, f"/Cube{index}")
        UsdShade.MaterialBindingAPI.Apply(cube.GetPrim()).Bind(material)

    decoding = []

    def told(stage: str, done: int, of: int) -> None:
        decoding.extend(thread for thread in threading.enumerate() if thread.name.startswith("cosmos_bridge_images"))
        if stops and stage == "prims read":
            raise KeyError

    if stops:
        with pytest.raises(KeyError):
            StageReader(stage, progress=told)
    else:
        textures = StageReader(stage, progress=told).scene.textures
        assert [int(texture.texels[0, 0, 0]) for texture in textures] == list(range(8))
    assert decoding and not any(thread.is_alive() for thread in decoding)
