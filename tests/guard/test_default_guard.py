"""The guard that a backend gets when the user names none follows the licence of its weights."""

import pytest

from cosmos.bridge.transfer.registry import BACKENDS, default_guard
from cosmos.models.published import PUBLISHED

GUARDED = "NVIDIA Open Model License"
UNKNOWN = "as its model card says"


@pytest.mark.parametrize("name", BACKENDS)
def test_weights_whose_licence_ends_or_may_end_with_a_bypassed_guardrail_get_nvidias_guard(name):
    """Against the licences of what is published, which the registry repeats so as to import nothing."""
    licence = PUBLISHED[name].licence if name in PUBLISHED else "Apache-2.0"
    assert BACKENDS[name].licence == licence
    assert default_guard(name) == ("cosmos" if licence in (GUARDED, UNKNOWN) else "blocklist")


def test_another_licence_brings_another_guard(monkeypatch):
    from dataclasses import replace

    assert default_guard("cosmos-transfer2.5") == "cosmos" and default_guard("cosmos3") == "blocklist"
    changed = {**BACKENDS, "cosmos3": replace(BACKENDS["cosmos3"], licence=GUARDED)}
    monkeypatch.setattr("cosmos.bridge.transfer.registry.BACKENDS", changed)
    assert default_guard("cosmos3") == "cosmos"


def test_the_licence_in_every_specification_is_that_of_the_registry():
    pytest.importorskip("torch")
    from cosmos.bridge.transfer.registry import create

    for name, backend in BACKENDS.items():
        assert create(name).spec.licence == backend.licence
