"""Several critics as one: each has a voice, and any of them can refuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

from cosmos.bridge.critic.base import Critic, Unloads
from cosmos.bridge.fetched import require_weights
from cosmos.bridge.types import Finding, Progress, TransferRequest, TransferResult, Verdict


class Voices:
    """Asks its critics in turn; the first that refuses ends it, since the later ones cost more.

    Args:
        critics: Two or more, the cheapest first.
    """

    def __init__(self, critics: Sequence[Critic]) -> None:
        self._critics = tuple(critics)

    @property
    def name(self) -> str:
        """Names of all, joined by ``+``."""
        return "+".join(critic.name for critic in self._critics)

    def judge(self, request: TransferRequest, result: TransferResult, progress: Optional[Progress] = None) -> Verdict:
        """Return one verdict: accepted only if every critic accepts; its score is the lowest of theirs.

        Raises:
            VerdictParseError: If a critic's answer is no verdict; another's yes does not make up for it.
        """
        verdicts: list[Verdict] = []
        for critic in self._critics:
            verdicts.append(critic.judge(request, result, progress))
            if not verdicts[-1].accepted:
                break
        silent = [critic.name for critic in self._critics[len(verdicts) :]]
        notes = tuple(
            Finding(
                kind="unchecked",
                check=name,
                severity="note",
                text=f"{name} was not asked, since {verdicts[-1].critic} refused.",
            )
            for name in silent
        )
        first = verdicts[0]
        return replace(
            first,
            accepted=verdicts[-1].accepted,
            score=min(verdict.score for verdict in verdicts),
            critic=self.name,
            findings=(*(finding for verdict in reversed(verdicts) for finding in verdict.findings), *notes),
            measurements=tuple(measurement for verdict in verdicts for measurement in verdict.measurements),
            rationale=verdicts[-1].rationale if silent or not verdicts[-1].accepted else _together(verdicts),
            raw="\n\n".join(f"[{verdict.critic}]\n{verdict.raw}" for verdict in verdicts if verdict.raw),
            seconds=sum(verdict.seconds for verdict in verdicts),
            costs={name: cost for verdict in verdicts for name, cost in verdict.costs.items()},
            scores=next((verdict.scores for verdict in verdicts if verdict.scores is not None), None),
            carried=next((verdict.carried for verdict in verdicts if verdict.carried is not None), None),
        )

    def require_weights(self) -> None:
        """Refuse weights of any that are not there."""
        require_weights(*self._critics)

    def unload(self) -> None:
        """Free the models of all; safe to call twice."""
        for critic in self._critics:
            if isinstance(critic, Unloads):
                critic.unload()


def _together(verdicts: Sequence[Verdict]) -> str:
    return " ".join(f"{verdict.critic}: {verdict.rationale}" for verdict in verdicts)


__all__ = ["Voices"]
