"""Lofted bodies are closed, face outwards, are shaded smoothly and have the sizes they were asked for."""

import numpy as np
import pytest

from cosmos.bridge.scenes import people, vehicles
from cosmos.bridge.scenes.lofts import hull, loft, ring, upright

BODIES = {
    "upright": upright([(0.0, 0.4, 0.6, 0.0), (0.5, 0.3, 0.5, 0.1), (1.0, 0.2, 0.2, 0.0)]),
    "hull": hull([(-1.0, 0.2, 0.6, 0.8), (0.0, 0.2, 0.9, 1.0), (1.2, 0.3, 0.7, 0.7)], tuck=0.2),
    "torso": people.torso_shape(),
    "head": people.head_shape(),
    "limb": people.limb_shape(0.4, 0.06, 0.04),
    "shoe": people.shoe_shape(),
    "car": vehicles.body_shape((-2.0, 2.0), ((-2.0, 0.7), (0.0, 0.9), (2.0, 0.6)), 1.8, (-1.3, 1.3)),
}


def triangles_of(shape):
    """Every face as a fan: corners [N, 3, 3], corner normals [N, 3, 3], and the directed edges of all faces."""
    corners = shape.points[shape.indices].astype(np.float64)
    start, found, normals, edges = 0, [], [], []
    for count in shape.counts:
        face = shape.indices[start : start + count]
        edges += list(zip(face.tolist(), np.roll(face, -1).tolist(), strict=True))
        for k in range(1, count - 1):
            pick = [start, start + k, start + k + 1]
            found.append(corners[pick])
            normals.append(shape.normals[pick])
        start += count
    return np.array(found), np.array(normals), edges


@pytest.mark.parametrize("name", BODIES)
def test_bodies_are_closed_and_face_outwards(name):
    triangles, normals, edges = triangles_of(BODIES[name])
    assert len(set(edges)) == len(edges)
    assert {(b, a) for a, b in edges} == set(edges)
    middle = triangles.reshape(-1, 3).mean(axis=0)
    moved = triangles - middle
    assert np.einsum("ni,ni->n", moved[:, 0], np.cross(moved[:, 1], moved[:, 2])).sum() > 0.0
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1.0, atol=1e-5)
    winding = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    winding /= np.maximum(np.linalg.norm(winding, axis=1, keepdims=True), 1e-12)
    assert np.mean(np.einsum("ni,nci->nc", winding, normals) > 0.0) > 0.97


def test_a_lofted_cylinder_has_its_volume_and_its_normals():
    circle = ring(1.0, 1.0, sides=256)
    rows = [np.concatenate([circle, np.full((256, 1), z)], axis=1) for z in (0.0, 0.7, 2.0)]
    shape = loft(rows)
    triangles, _, _ = triangles_of(shape)
    volume = np.einsum("ni,ni->n", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])).sum() / 6.0
    assert volume == pytest.approx(np.pi * 0.25 * 2.0, rel=1e-3)
    sides = shape.normals[: 4 * 512]
    out = shape.points[shape.indices[: 4 * 512], :2] * 2.0
    np.testing.assert_allclose(sides[:, :2], out, atol=1e-3)
    np.testing.assert_allclose(sides[:, 2], 0.0, atol=1e-6)


@pytest.mark.parametrize("power", [2.0, 3.0, 6.0])
def test_a_ring_is_a_superellipse(power):
    points = ring(3.0, 1.0, sides=40, power=power)
    np.testing.assert_allclose(np.abs(points[:, 0] / 1.5) ** power + np.abs(points[:, 1] / 0.5) ** power, 1.0)


def test_a_car_body_leaves_room_for_its_wheels():
    points = BODIES["car"].points
    for axle in (-1.3, 1.3):
        near = points[np.abs(points[:, 0] - axle) < 0.25]
        assert near[:, 2].min() > 0.33 + 0.2
    assert points[np.abs(points[:, 0]) < 0.3][:, 2].min() == pytest.approx(0.22, abs=1e-6)
    assert np.ptp(points[:, 1]) == pytest.approx(1.8, abs=0.1)
