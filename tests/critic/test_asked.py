from dataclasses import replace

import numpy as np
import pytest

from cosmos.bridge.critic.consistency import ConsistencyCritic
from cosmos.bridge.critic.thresholds import THRESHOLDS

CLEAR = {"sun_elevation": 45.0, "overcast": 0.0, "fog": 0.0, "rain": 0.0, "snow": 0.0, "dust": 0.0}
NIGHT = {**CLEAR, "sun_elevation": -12.0}


def judge(world, rgb, **effective):
    result = world.result(rgb)
    return ConsistencyCritic().judge(
        world.request(), replace(result, provenance=replace(result.provenance, effective=effective))
    )


def test_a_prompt_that_guidance_weakened_is_held_to_what_it_says(world):
    """A model that was told to follow little is not excused by having followed little."""
    rejected = judge(world, world.rgb, conditions=CLEAR, asked=NIGHT)
    assert "prompt_night" in {finding.check for finding in rejected.findings if finding.severity == "reject"}
    assert not [finding for finding in judge(world, world.rgb, conditions=CLEAR).findings if finding.kind == "prompt"]
    dark = np.clip(world.rgb * 0.3, 0, 255).astype(np.uint8)
    verdict = judge(world, dark, conditions=CLEAR, asked=NIGHT)
    assert not [finding for finding in verdict.findings if finding.kind == "prompt"]


@pytest.mark.parametrize(
    "asked, farther",
    [({}, 0.0), ({"fog": 0.5}, 1.0), ({"dust": 0.4}, 1.0), ({"snow": 0.8}, 0.0),
     ({"snow": 0.8, "sun_elevation": -30.0}, 1.0), ({"sun_elevation": -30.0}, 0.0)],
)  # fmt: skip
def test_bars_lie_farther_out_where_haze_or_a_snowy_night_was_asked_for(world, asked, farther):
    verdict = judge(world, world.rgb, conditions={**CLEAR, **asked})
    bars = {measurement.check: measurement.threshold for measurement in verdict.measurements}
    for check in ("instance_placed", "instance_kept", "boundary_shift"):
        bar = THRESHOLDS[check]
        out = farther * bar.drowned * (1.0 if bar.better == "lower" else -1.0)
        assert bars[check] == pytest.approx(bar.value + out), check
