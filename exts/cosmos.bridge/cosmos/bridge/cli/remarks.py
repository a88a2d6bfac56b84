"""Keep USD's own warnings off the screen while it works, and say them afterwards as notes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from cosmos.bridge.cli.console import log

_SHOWN = 3


@contextmanager
def usd_remarks() -> Iterator[list[str]]:
    """Catch what USD prints in a block; afterwards log the first few remarks, each once, and count the rest.

    Yields:
        Notes that the block will say itself, for it to fill in; what one of them repeats is left out.
    """
    said: list[str] = []
    try:
        from pxr import UsdUtils
    except ImportError:  # whatever needs USD will say so
        yield said
        return
    delegate = UsdUtils.CoalescingDiagnosticDelegate()
    try:
        yield said
    finally:
        told = dict.fromkeys(_readable(remark.commentary) for remark in delegate.TakeUncoalescedDiagnostics())
        del delegate
        told = {text: None for text in told if not any(_core(text) in note for note in said)}
        for text in list(told)[:_SHOWN]:
            log(f"note: USD says: {text}")
        if len(told) > _SHOWN:
            log(f"note: USD says {len(told) - _SHOWN} more things; open the stage in usdview to see them.")


def _readable(commentary: str) -> str:
    """Drop the addresses in memory that USD adds in brackets."""
    return re.sub(r"\s*\([^()]*<0x[0-9a-f]+>\)", "", " ".join(commentary.split()))


def _core(remark: str) -> str:
    """Return a remark without the prim at which it was made."""
    return re.sub(r"^In <[^>]*>: ", "", remark).rstrip(".")


__all__ = ["usd_remarks"]
