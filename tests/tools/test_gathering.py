from dataclasses import dataclass

import gathering
from cosmos.bridge.calibrate.suite import plan_suite


@dataclass(frozen=True)
class Seen:
    clip: str
    values: dict


def test_what_was_looked_at_is_read_again_and_not_looked_at_twice(tmp_path, capsys):
    clips = [(plan, tmp_path / f"{plan.name}.abc.npz") for plan in plan_suite(3)]
    asked = []

    def look(plan, path):
        asked.append(path.name)
        yield from (Seen(plan.name, {"a": float("inf") if turn else 0.5}) for turn in range(2))

    first = gathering.gather(clips[:2], tmp_path / "seen", look, Seen)
    assert first == [Seen(plan.name, {"a": value}) for plan, _ in clips[:2] for value in (0.5, float("inf"))]
    assert gathering.gather(clips, tmp_path / "seen", look, Seen)[:4] == first
    assert asked == [path.name for _, path in clips]
    assert capsys.readouterr().out.count("looked at") == 3 and not list((tmp_path / "seen").glob("*.partial"))
