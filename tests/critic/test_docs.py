from pathlib import Path

from cosmos.bridge.critic.carry_over import RULES
from cosmos.bridge.critic.thresholds import THRESHOLDS

DOCS = Path(__file__).parents[2] / "exts/cosmos.bridge/docs/critic.md"


def test_the_docs_tell_every_check_with_its_bar_and_every_label():
    lines = DOCS.read_text(encoding="utf-8").split("\n## What each check asks\n")[1].splitlines()
    told: dict[str, list[str]] = {}
    for cells in (line.split(" | ") for line in lines if line.startswith("| ")):
        if len(cells) >= 6:
            told.setdefault(cells[0].strip("| `"), cells)
    for check, bar in THRESHOLDS.items():
        assert told[check][3].split()[1] == f"{bar.value:g}", f"{check} in docs/critic.md"
        assert told[check][4] == bar.severity
    for kind, rule in RULES.items():
        assert told[kind][1] == rule.scope and told[kind][4:6] == [rule.passed, rule.failed]
