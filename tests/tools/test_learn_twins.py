import numpy as np
import pytest

from learn_twins import Row, _shows, judged, of_clips, table


def row(clip, value, *, scene="a", planted=False, fault=False, thing=1, frame=2):
    seen = {} if value is None else {"a": value}
    return Row(clip=clip, scene=scene, planted=planted, fault=fault, thing=thing, frame=frame, seen=seen)


def test_a_clip_counts_as_the_check_counts_it():
    """The best of each frame, both frames on average, and the clearest thing; a frame without it counts -12."""
    rows = [row("one", 0.0), row("one", 0.0), row("one", 0.0, frame=6), row("one", 0.0, thing=2), row("two", None)]
    assert of_clips(rows, [1.0, 3.0, 2.0, 11.0, 5.0]) == {"one": (False, pytest.approx(2.5)), "two": (False, -12.0)}


def test_a_place_shows_the_twin_where_the_picture_changed():
    changed = np.zeros((100, 100), bool)
    changed[20:80, 40:44] = True
    assert _shows(changed, (50, 42)) and _shows(changed, (58, 42)) and not _shows(changed, (50, 50))
    assert not _shows(changed.T, (50, 42)) and _shows(changed.T, (42, 58)) and not _shows(changed, (70, 42))
    assert not _shows(np.zeros((100, 100), bool), (50, 50))


def test_a_scene_is_never_judged_by_what_was_learnt_from_it():
    """One scene alone has its sign turned: what was learnt on the others must call its good clips faulty."""
    rng = np.random.default_rng(1)
    rows = [
        row(
            f"{scene}.{turn}.{planted}",
            (-1.0 if scene == 3 else 1.0) * ((3.0 if planted else -3.0) + rng.normal(0, 0.3)),
            scene=f"scene_{scene}", planted=planted, fault=planted, frame=frame,
        )
        for scene in range(12) for turn in range(10) for planted in (False, True) for frame in (2, 6)
    ]  # fmt: skip
    odds = judged(rows)
    turned = np.array([one.scene == "scene_3" for one in rows])
    planted = np.array([one.planted for one in rows])
    assert ((odds > 0.0) == (planted != turned)).all()
    assert table(rows, odds.tolist()).startswith("120 good clips, 120 with a twin: area 0.8")
