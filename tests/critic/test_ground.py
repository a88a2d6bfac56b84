from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.critic.faults import Subject
from cosmos.bridge.critic.truth import Truth


def with_normals(clip, normals):
    return replace(clip, normals=wp.array(normals.astype(np.float32), dtype=wp.float32, device="cpu"))


def levelled(world, instance, *, facing=1.0, share=1.0, scale=1.0):
    """The clip with one thing facing up over a share of its rows, and its depths scaled."""
    clip = world.request().clip
    up = 1 if clip.up_axis == "Y" else 2
    normals = np.zeros((*world.ids.shape, 3))
    normals[..., 0] = 1.0
    for frame, ids in enumerate(world.ids):
        rows, columns = np.nonzero(ids == instance)
        level = rows <= np.quantile(rows, share)
        normals[frame, rows[level], columns[level]] = np.eye(3)[up] * facing
    depth = wp.array(world.depth * np.float32(scale), dtype=wp.float32, device="cpu")
    return replace(with_normals(clip, normals), depth=depth)


def single(clip):
    truth = Truth.of(clip)
    return {thing.id: bool(one) for thing, one in zip(truth.things, truth.single, strict=True)}


ROBOT = 5


@pytest.mark.parametrize("facing", [1.0, -1.0])
def test_what_is_level_and_wide_is_the_scene_itself_and_small_tops_are_not(world, facing):
    assert single(world.request().clip)[ROBOT]  # without normals nothing is known to be ground
    wide, small = levelled(world, ROBOT, facing=facing, scale=30.0), levelled(world, ROBOT, facing=facing, scale=0.2)
    assert not single(wide)[ROBOT] and single(small)[ROBOT]
    assert single(levelled(world, ROBOT, facing=facing, share=0.6, scale=30.0))[ROBOT]
    others = {number for number, one in single(wide).items() if one}
    assert others == {number for number, one in single(small).items() if one} - {ROBOT}


def test_ground_is_neither_judged_nor_a_thing_that_faults_befall(world):
    wide = levelled(world, ROBOT, scale=30.0)
    request, result = replace(world.request(), clip=wide), world.result(world.rgb)
    path = world.path(ROBOT)
    assert path not in {thing.path for thing in Subject.of(request, result).things}
    assert path in {thing.path for thing in Subject.of(world.request(), result).things}


def test_holes_in_depth_are_no_trouble(world):
    clip = levelled(world, ROBOT, scale=30.0)
    holes = clip.depth.numpy().copy()
    holes[world.ids == ROBOT] = np.nan
    assert single(replace(clip, depth=wp.array(holes, dtype=wp.float32, device="cpu")))[ROBOT]
