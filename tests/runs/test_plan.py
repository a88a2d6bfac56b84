from hypothesis import given
from hypothesis import strategies as st

from cosmos.bridge.config import BridgeConfig
from cosmos.bridge.runs.plan import plan_clips


def config(**changes):
    return BridgeConfig.from_mapping({"source": "s", "out": "o", "prompts": ["rain", "snow"], **changes})


def test_clips_are_numbered_camera_by_camera():
    plan = plan_clips(config(cameras=["/A", "/B"], variants=2, seed=5))
    assert [(clip.name, clip.camera, clip.prompt.text, clip.seed) for clip in plan] == [
        ("clip_0000", "/A", "rain", 5),
        ("clip_0001", "/A", "rain", 6),
        ("clip_0002", "/A", "snow", 5),
        ("clip_0003", "/A", "snow", 6),
        ("clip_0004", "/B", "rain", 5),
        ("clip_0005", "/B", "rain", 6),
        ("clip_0006", "/B", "snow", 5),
        ("clip_0007", "/B", "snow", 6),
    ]


def test_no_camera_takes_the_source_s_own():
    assert [clip.camera for clip in plan_clips(config())] == [None, None]


@given(st.integers(0, 2**40), st.integers(1, 20), st.integers(1, 100))
def test_no_two_attempts_of_variants_share_a_seed(seed, variants, attempts):
    plan = plan_clips(config(prompts=["rain"], seed=seed, variants=variants))
    seeds = {clip.seed_of(attempt) for clip in plan for attempt in range(1, attempts + 1)}
    assert len(seeds) == variants * attempts


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, unique=True), st.integers(1, 3))
def test_a_seed_depends_on_its_variant_alone(cameras, variants):
    for clip in plan_clips(config(cameras=[f"/{name}" for name in cameras], variants=variants)):
        assert clip.seed == clip.variant
