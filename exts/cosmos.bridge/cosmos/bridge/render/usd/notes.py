"""Notes: what was assumed or left out on reading a stage, gathered so that each kind is said once."""

from __future__ import annotations


class Notes:
    """Counts the prims that one sentence holds for, and keeps the first as the example."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, None]] = {}

    def add(self, sentence: str, path: str) -> None:
        """Remember that ``sentence`` holds for the prim or file ``path``; saying it twice of one path counts once."""
        self._seen.setdefault(sentence, {})[path] = None

    def take(self, others: Notes, *, but: tuple[str, ...] = ()) -> None:
        """Remember what others do, less the sentences with one of the words ``but``."""
        for sentence, paths in others._seen.items():
            if not any(word in sentence for word in but):
                self._seen.setdefault(sentence, {}).update(paths)

    def sentences(self) -> tuple[str, ...]:
        """Return one sentence a kind, with the path, or the first path and how many more there are."""
        said = []
        for sentence, paths in self._seen.items():
            first, more = next(iter(paths)), len(paths) - 1
            said.append(f"{sentence}: {first}" + (f" and {more} more." if more else "."))
        return tuple(said)


__all__ = ["Notes"]
