from dataclasses import replace

import numpy as np

from cosmos.bridge.critic.consistency import ConsistencyCritic

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
