"""What the renderer sees, judged by Embree: the authored scenes and a sample of the random ones."""

import numpy as np
import pytest
import warp as wp

import check_visibility
from check_visibility import MOST_DEPTH, check, embree, interior, percentile
from cosmos.bridge import scenes
from cosmos.bridge.render.usd.stage import StageReader

wp.config.quiet = True


@pytest.mark.parametrize("name", check_visibility.AUTHORED)
def test_authored_scenes_are_seen_as_embree_sees_them(name):
    found = check(name, getattr(scenes, name)(), times=(5.0,), size=(72, 128))
    assert len(found) >= 2
    assert min(item.pixels for item in found) > 500
    assert [str(item) for item in found if not item.sound] == []
    assert percentile(found) <= MOST_DEPTH


@pytest.mark.parametrize("seed", range(16))
def test_random_scenes_are_seen_as_embree_sees_them(seed):
    found = check(f"random {seed}", scenes.random(seed), times=(3.0,))
    assert [str(item) for item in found if not item.sound] == []
    assert percentile(found) <= MOST_DEPTH


def test_a_shifted_world_is_found_wrong(monkeypatch):
    place = check_visibility.placed_triangles

    def shifted(scene, pose, origin):
        corners, owners, sides = place(scene, pose, origin)
        return corners * (1.0 + 1e-4), np.where(owners == 1, 2, owners), sides

    monkeypatch.setattr(check_visibility, "placed_triangles", shifted)
    found = check("tabletop", scenes.tabletop())
    assert any(item.depth > MOST_DEPTH for item in found)
    assert any(item.ids > 0 for item in found)


def test_embree_sees_a_picture_with_an_inside():
    reader = StageReader(scenes.tabletop())
    camera = reader.camera(reader.scene.camera_paths[0], 0.0, size=(48, 64))
    depth, ids = embree(reader.scene, reader.pose(0.0), camera)
    inside = interior(ids)
    assert 0.2 < inside.mean() < 1.0 and np.isfinite(depth[ids > 0]).all() and np.isinf(depth[ids == 0]).all()
