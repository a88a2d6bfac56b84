import numpy as np
import pytest

from cosmos.bridge.critic.carry_over import RULES
from cosmos.bridge.critic.consistency import ConsistencyCritic
from cosmos.bridge.critic.thresholds import THRESHOLDS
from cosmos.bridge.types import LABEL_STATES

CRATE_A, ROBOT, BOLT = 3, 5, 6


def states(world, rgb, kind, instance=None):
    carried = ConsistencyCritic().judge(world.request(), world.result(rgb)).carried
    label = next(label for label in carried.labels if label.kind == kind)
    column = 0 if instance is None else carried.instances.tolist().index(instance)
    checks = [carried.checks[i] if i >= 0 else None for i in label.check[:, column]]
    return [LABEL_STATES[i] for i in label.state[:, column]], checks, label.score[:, column]


def test_rules_name_checks_that_exist():
    for kind, rule in RULES.items():
        named = {*rule.frame, *rule.instance, *rule.proof}
        assert named <= set(THRESHOLDS), kind
        assert set(rule.proof) <= {*rule.frame, *rule.instance}, kind
        assert rule.reason and {rule.passed, rule.failed} <= set(LABEL_STATES)


@pytest.mark.parametrize("kind", ["box_2d", "mask", "depth", "flow", "box_3d", "pose", "class"])
def test_geometry_of_an_unchanged_clip_survives(world, kind):
    state, checks, score = states(world, world.rgb, kind, ROBOT)
    assert set(state) == {"survives"} and set(checks) == {"boundary_shift"} and np.isfinite(score).all()


def test_what_nothing_proves_is_unknown(world):
    assert set(states(world, world.rgb, "box_2d", BOLT)[0]) == {"unknown"}
    assert set(states(world, world.rgb, "color", ROBOT)[0]) == {"unknown"}


def test_appearance_is_dropped_or_made_again(world):
    assert set(states(world, world.rgb, "material", ROBOT)[0]) == {"dropped"}
    assert set(states(world, world.rgb, "caption")[0]) == {"rederive"}
    assert set(states(world, world.rgb, "camera")[0]) == {"survives"}


def test_only_the_moved_instance_loses_its_labels_and_only_where_it_moved(world, draw_world, layers_without):
    rgb = world.rgb.copy()
    rgb[6:8] = draw_world(layers_without(i5=(4.0, 0.0))).rgb[6:8]
    state, checks, _ = states(world, rgb, "box_2d", ROBOT)
    assert [t for t, name in enumerate(state) if name == "dropped"] == [6, 7] and checks[6] == "boundary_shift"
    assert set(states(world, rgb, "box_2d", CRATE_A)[0]) == {"survives"}
    assert [t for t, name in enumerate(states(world, rgb, "flow", ROBOT)[0]) if name == "dropped"] == [6, 7, 8]


def test_a_frame_of_another_moment_carries_no_label(world):
    rgb = world.rgb.copy()
    rgb[[4, 7]] = rgb[[7, 4]]
    state, checks, _ = states(world, rgb, "box_2d", ROBOT)
    assert {state[4], state[7]} == {"dropped"} and checks[4] == "frame_order" and state[2] == "survives"


def test_a_result_of_another_length_carries_nothing(world):
    assert ConsistencyCritic().judge(world.request(), world.result(world.rgb[:-1])).carried is None


def test_labels_of_another_moment_carry_nothing(world):
    late = type(world)(
        layers=world.layers, rgb=world.rgb,
        **{name: np.roll(getattr(world, name), 1, axis=0) for name in ("ids", "depth", "motion")},
    )  # fmt: skip
    state, checks, _ = states(late, world.rgb, "box_2d", ROBOT)
    assert set(state) == {"dropped"} and set(checks) == {"label_moment"}
