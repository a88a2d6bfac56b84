"""Which instances a word means."""

import numpy as np
import pytest

from cosmos.bridge.kernels.regions import ANY, FIRST_THING, GROUND, OTHER, WALL
from cosmos.bridge.transfer.naming import has_openings, instance_kinds, is_named, is_painted, surface_kind
from cosmos.bridge.types import Instance


def thing(path, label=None, *, owner="", size=None):
    bounds = None if size is None else np.array([np.zeros(3), size])
    return Instance(id=1, prim_path=path, labels={"class": label} if label else {}, owner=owner, bounds=bounds)


@pytest.mark.parametrize(
    ("instance", "noun", "named"),
    [
        (thing("/World/A", "car"), "car", True),
        (thing("/World/A", "Car"), "car", True),
        (thing("/World/A", "sports_car"), "car", True),
        (thing("/World/A", "cars"), "car", True),
        (thing("/World/Cars/Body_3"), "car", True),
        (thing("/World/Cars/Load", "box"), "car", False),
        (thing("/World/Carpet"), "car", False),
        (thing("/World/Car_3"), "car", True),
        (thing("/World/X/Body", owner="/World/Forklift_01"), "forklift", True),
        (thing("/World/A", "cardboard box"), "box", True),
        (thing("/World/A", "box"), "cardboard box", True),
        (thing("/World/A", "carton"), "car", False),
        (thing("/World/A", "robot"), "robot arm", True),
        (thing("/World/A", "robot_arm"), "robot arm", True),
        (thing("/World/A", "van"), "vehicle", True),
        (thing("/World/A", "traffic light"), "car", False),
    ],
)
def test_a_noun_names_labels_and_prims(instance, noun, named):
    assert is_named(instance, noun) is named


@pytest.mark.parametrize(
    ("instance", "kind"),
    [
        (thing("/World/Road", "road"), "ground"),
        (thing("/World/Marks", "road marking"), ""),
        (thing("/World/Hall/Front", "building"), "walls"),
        (thing("/World/Hall/Roof", "building"), ""),
        (thing("/World/Room/Back", "wall"), "walls"),
        (thing("/World/GroundPlane"), "ground"),
        (thing("/World/Wall_03"), "walls"),
        (thing("/World/Mesh_7", size=(0.2, 9.0, 3.0)), "any"),
        (thing("/World/Mesh_7", size=(0.2, 1.0, 3.0)), ""),
        (thing("/World/Mesh_7"), ""),
        (thing("/World/Crate", "crate", size=(9.0, 9.0, 9.0)), ""),
    ],
)
def test_ground_and_walls_are_known_by_label_name_and_size(instance, kind):
    assert surface_kind(instance) == kind


def test_wheels_and_panes_keep_their_colour_and_fronts_their_windows():
    assert is_painted(thing("/World/Car/Body", "car")) and not is_painted(thing("/World/Car/Wheel_2", "car"))
    assert has_openings(thing("/World/House/Walls", "building")) and not has_openings(thing("/World/A", "wall"))


def test_kinds_are_those_of_the_kernel_and_strangers_are_named():
    instances = {
        1: thing("/World/Road", "road"), 2: thing("/World/W", "wall"), 4: thing("/World/Car/Body", "car"),
        5: thing("/World/Car/Wheel", "car"), 6: thing("/World/M", size=(5, 5, 5)),
    }  # fmt: skip
    kinds, absent = instance_kinds(instances, ["ship", "car"])
    assert kinds.tolist() == [OTHER, GROUND, WALL, OTHER, FIRST_THING + 1, OTHER, ANY] and absent == ("ship",)
    assert instance_kinds({}, ["car"])[1] == ("car",)
