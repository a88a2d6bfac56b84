from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Optional, Union

import pytest

from cosmos.bridge.errors import ConfigError
from cosmos.bridge.settings import from_plain, to_plain


class Shade(Enum):
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, kw_only=True, slots=True)
class Everything:
    shade: Shade = Shade.LIGHT
    folder: Path = Path("here")
    table: dict[str, float] = field(default_factory=dict)
    either: Union[int, str] = 0
    frames: Optional[range] = None
    whatever: Any = None
    flag: bool = False

    def __post_init__(self) -> None:
        if self.either == 13:
            raise ValueError("13 brings bad luck.")


def test_every_kind_of_field_goes_there_and_back():
    value = Everything(
        shade=Shade.DARK, folder=Path("a/b"), table={"x": 1.5}, either="text", frames=range(2, 9, 3), flag=True
    )
    plain = to_plain(value)
    assert plain == {
        "shade": "dark",
        "folder": str(Path("a/b")),
        "table": {"x": 1.5},
        "either": "text",
        "frames": "2:9:3",
        "whatever": None,
        "flag": True,
    }
    assert from_plain(Everything, plain) == value
    assert from_plain(Everything, value) is value


@pytest.mark.parametrize(
    ("plain", "told"),
    [
        ({"shade": "grey"}, "shade must be one of 'light', 'dark', got 'grey'"),
        ({"table": [1]}, r"table must be a table, got \[1\]"),
        ({"table": {"x": "1"}}, "table.x must be a number, got '1'"),
        ({"either": [1]}, "either must be a string"),
        ({"either": 13}, "refused: 13 brings bad luck"),
        ({"frames": 3}, r'frames must be "START:STOP\[:STEP\]", e.g. "0:48", got 3'),
        ({"flag": 1}, "flag must be true or false, got 1"),
        ({"folder": 3}, "folder must be a Path, got 3"),
        ("text", "The config must be a table, got 'text'"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_key(plain, told):
    with pytest.raises(ConfigError, match=told):
        from_plain(Everything, plain)


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(ConfigError, match="object cannot be saved"):
        to_plain({"a": object()})
