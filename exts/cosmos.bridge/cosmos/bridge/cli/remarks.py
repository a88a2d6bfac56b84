"""Keep USD's own warnings off the screen while it works, and say them afterwards as notes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from cosmos.bridge.cli.console import log

_SHOWN = 3


@contextmanager
def usd_remarks() -> Iterator[None]:
    """Catch what USD prints in a block; afterwards log the first few remarks, each once, and count the rest."""
    try:
        from pxr import UsdUtils
    except ImportError:  # whatever needs USD will say so
        yield
        return
    delegate = UsdUtils.CoalescingDiagnosticDelegate()
    try:
        yield
    finally:
        told = dict.fromkeys(_readable(remark.commentary) for remark in delegate.TakeUncoalescedDiagnostics())
        del delegate
        for text in list(told)[:_SHOWN]:
            log(f"note: USD says: {text}")
        if len(told) > _SHOWN:
            log(f"note: USD says {len(told) - _SHOWN} more things; open the stage in usdview to see them.")


def _readable(commentary: str) -> str:
    """Drop the addresses in memory that USD adds in brackets."""
    return re.sub(r"\s*\([^()]*<0x[0-9a-f]+>\)", "", " ".join(commentary.split()))


__all__ = ["usd_remarks"]
