"""Shapes are closed, face outwards, and keep metres on their surface."""

import numpy as np
import pytest

from cosmos.bridge.scenes import shapes

SOLIDS = {
    "box": (shapes.box((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), yaw=30.0), 6.0),
    "cylinder": (shapes.cylinder(0.5, 2.0, sides=256), np.pi * 0.25 * 2.0),
    "cone": (shapes.turned([(1.0, 0.0), (0.0, 3.0)], sides=256), np.pi),
    "extruded": (shapes.extruded([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)], 0.5), 1.5),
    "profile_bar": (shapes.profile_bar([(0, 0), (2, 0), (0, 1)], 3.0), 3.0),
    "beam": (shapes.beam((1, 2, 3), (4, 6, 3), 0.1, sides=256), np.pi * 0.01 * 5.0),
    "stairs": (shapes.stairs(2.0, 0.2, 0.3, 3), 2.0 * 0.3 * 0.2 * 6),
    "ball": (shapes.blob((1.0, 1.0, 1.0), 0, roughness=0.0, rows=64, sides=64), 4.0 / 3.0 * np.pi),
}


def fans(shape):
    """Every face as a fan of triangles: corner positions [N, 3, 3] and corner normals [N, 3, 3]."""
    corners = shape.points[shape.indices].astype(np.float64)
    start, triangles, normals = 0, [], []
    for count in shape.counts:
        for k in range(1, count - 1):
            pick = [start, start + k, start + k + 1]
            triangles.append(corners[pick])
            normals.append(shape.normals[pick])
        start += count
    assert start == len(shape.indices) == len(shape.uvs) == len(shape.normals)
    return np.array(triangles), np.array(normals)


@pytest.mark.parametrize("name", SOLIDS)
def test_solids_enclose_their_volume_with_faces_outwards(name):
    shape, volume = SOLIDS[name]
    triangles, _ = fans(shape)
    moved = triangles - shape.points.mean(axis=0)
    signed = np.einsum("ni,ni->n", moved[:, 0], np.cross(moved[:, 1], moved[:, 2])).sum() / 6.0
    assert signed == pytest.approx(volume, rel=5e-3)


@pytest.mark.parametrize("name", [*SOLIDS, "ground", "quad"])
def test_normals_are_unit_and_on_the_side_of_the_winding(name):
    flat = {"ground": shapes.ground(2, 3, cells=2), "quad": shapes.quad(2, 1)}
    shape = flat[name] if name in flat else SOLIDS[name][0]
    triangles, normals = fans(shape)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1.0, atol=1e-5)
    winding = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    area = np.linalg.norm(winding, axis=1)
    solid = area > 1e-9
    if name == "extruded":  # a fan over a concave cap has triangles that turn the other way
        solid &= np.abs(winding[:, 2]) < 1e-9
    assert (np.einsum("ni,nci->nc", winding[solid], normals[solid]) > 0.0).all()


@pytest.mark.parametrize("name", ["box", "extruded", "profile_bar", "stairs"])
def test_texture_coordinates_run_in_metres(name):
    shape, _ = SOLIDS[name]
    start = 0
    for count in shape.counts:
        corners, uvs = shape.points[shape.indices[start : start + count]], shape.uvs[start : start + count]
        edges = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
        np.testing.assert_allclose(np.linalg.norm(uvs - np.roll(uvs, 1, axis=0), axis=1), edges, atol=1e-4)
        start += count


def test_fitted_texture_covers_each_face_of_a_box_once():
    uvs = shapes.box((3.0, 0.5, 2.0), fit=True).uvs.reshape(6, 4, 2)
    np.testing.assert_allclose(uvs.min(axis=1), 0.0, atol=1e-6)
    np.testing.assert_allclose(uvs.max(axis=1), 1.0, atol=1e-6)


def test_fitted_texture_stands_upright_and_unmirrored():
    box = shapes.box((3.0, 0.5, 2.0), fit=True)
    for corners, uvs, normal in zip(
        box.points[box.indices].reshape(6, 4, 3), box.uvs.reshape(6, 4, 2), box.normals[::4], strict=True
    ):
        if abs(normal[2]) > 0.5:
            continue
        right = np.cross([0, 0, 1], normal)  # to the right of who looks at the face
        assert np.argmax(uvs @ [1, 0]) in np.flatnonzero(corners @ right > (corners @ right).mean())
        assert np.argmax(uvs @ [0, 1]) in np.flatnonzero(corners[:, 2] > corners[:, 2].mean())


def test_merge_keeps_every_face():
    first, second = shapes.box((1, 1, 1)), shapes.quad(1, 1).moved((5, 0, 0))
    both = shapes.merge([first, second])
    np.testing.assert_array_equal(both.points[both.indices[-4:]], second.points[second.indices])
    assert both.counts.sum() == len(both.indices) == 28
