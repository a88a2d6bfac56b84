"""Strength and colour of a stage's lamps under a look, against the linearity of light and USD's own black body."""

import numpy as np
import pytest
from pxr import Sdf, Usd, UsdLux  # noqa: TID253

from cosmos.bridge.config import parse_look
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import Look

SIZE = (48, 64)
HALL = """#usda 1.0
( upAxis = "Z"
  metersPerUnit = 1 )
def Cube "Hall" {
    double size = 1
    double3 xformOp:translate = (0, 0, 2)
    double3 xformOp:scale = (12, 12, 4)
    uniform token[] xformOpOrder = ["xformOp:translate", "xformOp:scale"]
    color3f[] primvars:displayColor = [(0.5, 0.5, 0.5)]
}
def Cube "Crate" {
    double size = 1
    double3 xformOp:translate = (0.8, 0.5, 0.5)
    uniform token[] xformOpOrder = ["xformOp:translate"]
    color3f[] primvars:displayColor = [(0.4, 0.4, 0.4)]
}
def RectLight "Lamp" {
    float inputs:width = 1
    float inputs:height = 0.4
    float inputs:intensity = 30
    double3 xformOp:translate = (0, 0, 3.8)
    uniform token[] xformOpOrder = ["xformOp:translate"]
}
def Camera "Camera" {
    float focalLength = 18
    double3 xformOp:translate = (0, -5, 1.6)
    double xformOp:rotateX = 85
    uniform token[] xformOpOrder = ["xformOp:translate", "xformOp:rotateX"]
}
"""


@pytest.fixture(scope="module")
def light():
    layer = Sdf.Layer.CreateAnonymous(".usda")
    assert layer.ImportFromString(HALL)
    renderer = Renderer(Usd.Stage.Open(layer), device="cpu")

    def of(**settings):
        look = Look(**{"vignette": 0.0, "detail": 0.0, **settings})
        frame = renderer.render("/Camera", 0.0, size=SIZE, look=look)
        return frame.details.linear().numpy().astype(np.float64)

    yield of
    renderer.close()


@pytest.mark.parametrize("elevation", [40.0, -12.0])
def test_half_the_lamps_give_half_their_light(light, elevation):
    dark, half, whole, double = (light(sun_elevation=elevation, lamps=lamps) for lamps in (0.0, 0.5, 1.0, 2.0))
    given = whole - dark
    assert given.mean() > 10.0 * dark.mean()  # it is the lamps that light a hall
    lit = given.mean(-1) > 0.2 * given.mean()
    np.testing.assert_allclose((half - dark)[lit], 0.5 * given[lit], rtol=0.02)
    np.testing.assert_allclose((double - dark)[lit], 2.0 * given[lit], rtol=0.05)


@pytest.mark.parametrize(("warmth", "kelvin"), [(1.0, 2500.0), (-1.0, 10000.0)])
def test_warm_and_cold_lamps_are_black_bodies(light, warmth, kelvin):
    dark, plain, tinted = light(lamps=0.0), light(), light(lamp_warmth=warmth)
    want = np.array(UsdLux.BlackbodyTemperatureAsRgb(kelvin))
    want /= want @ (0.2126, 0.7152, 0.0722)
    ratio = (tinted - dark).mean((0, 1)) / (plain - dark).mean((0, 1))
    np.testing.assert_allclose(ratio, want, rtol=0.02)


def test_the_command_line_names_them():
    assert parse_look("lamps=0.5,lamp_warmth=-1") == Look(lamps=0.5, lamp_warmth=-1)


def test_bad_strengths_get_a_sentence():
    with pytest.raises(ValueError, match=r"Look.lamps must lie in \[0, 4\], got 5"):
        Look(lamps=5.0)
    with pytest.raises(ValueError, match=r"Look.lamp_warmth must lie in \[-1, 1\]"):
        Look(lamp_warmth=-2.0)
