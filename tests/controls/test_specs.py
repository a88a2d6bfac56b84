import numpy as np
import pytest

from cosmos.bridge.controls import Region, WeightSpec
from cosmos.bridge.types import ControlKind


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Region(classes=("a",)), "at least one of edge, depth, seg, vis, hdmap, lidar"),
        (lambda: Region(edge=1.5), r"Region.edge must lie in \[0, 1\], got 1.5"),
        (lambda: Region(vis=float("nan")), "Region.vis must lie in"),
        (lambda: Region(edge=1.0, box=(5.0, 0.0, 5.0, 9.0)), "x0 < x1 and y0 < y1"),
        (lambda: Region(edge=1.0, box=(0.0, 0.0, 5.0, 1.0), normalized=True), "where normalized"),
        (lambda: Region(edge=1.0, mask="m.png", mask_array=np.ones((2, 2))), "mask or mask_array, got both"),
        (lambda: Region(edge=1.0, keys=((3, 1.0), (3, 0.0))), "Region.keys needs frames >= 0 in ascending order"),
        (lambda: Region(edge=1.0, keys=((-1, 1.0),)), "frames >= 0"),
        (lambda: WeightSpec(keys=((0, 2.0),)), r"WeightSpec.keys needs values in \[0, 1\], got \[2.0\]"),
        (lambda: WeightSpec(seg=-0.1), "WeightSpec.seg must lie in"),
    ],
)
def test_impossible_specs_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_specs_know_every_kind():
    for kind in ControlKind:
        assert getattr(WeightSpec(**{str(kind): 0.5}), str(kind)) == 0.5
        assert getattr(Region(**{str(kind): 0.5}), str(kind)) == 0.5


def test_equal_specs_are_equal():
    make = lambda: WeightSpec(seg=0.3, regions=(Region(classes=("robot",), edge=1.0, keys=((0, 0.0), (12, 1.0))),))  # noqa: E731
    assert make() == make()
    assert make() != WeightSpec(seg=0.3)
