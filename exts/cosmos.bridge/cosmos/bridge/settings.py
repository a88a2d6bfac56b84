"""Frozen dataclasses to plain values (what JSON and TOML hold) and back, strictly."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from cosmos.bridge.errors import ConfigError


def from_plain(cls: Any, plain: Any, where: str = "") -> Any:
    """Build a value of a type from plain values.

    Args:
        cls: A dataclass, or any type its fields may have: scalars, Optional, Union, Literal, Enum, range, tuples and
            mappings of these.
        plain: What a file gave.
        where: Dotted key of the value, for the error.

    Raises:
        ConfigError: If a key is unknown (the nearest known one is named), missing, of the wrong type or out of range.
    """
    if is_dataclass(cls):
        return _dataclass(cls, plain, where)
    origin, args = get_origin(cls), get_args(cls)
    if cls is Any:
        return plain
    if origin in (Union, types.UnionType):
        return _union(args, plain, where)
    if origin is Literal:
        if plain not in args or isinstance(plain, bool):
            raise _refused(where, "one of " + ", ".join(map(repr, args)), plain)
        return plain
    if origin is tuple:
        return _tuple(args, plain, where)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(plain, Mapping):
            raise _refused(where, "a table", plain)
        key_type, value_type = args
        return {
            from_plain(key_type, key, where): from_plain(value_type, value, f"{where}.{key}")
            for key, value in plain.items()
        }
    return _scalar(cls, plain, where)


def to_plain(value: Any) -> Any:
    """Turn a dataclass, or anything its fields hold, into what JSON can write; the inverse of `from_plain`."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, range):
        return f"{value.start}:{value.stop}:{value.step}"
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, PurePath):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ConfigError(f"A {type(value).__name__} cannot be saved in a config; use numbers, strings, lists and tables.")


def _dataclass(cls: Any, plain: Any, where: str) -> Any:
    if isinstance(plain, cls):
        return plain
    if not isinstance(plain, Mapping):
        raise _refused(where, "a table", plain)
    hints = get_type_hints(cls)
    known = {item.name: item for item in fields(cls) if item.init}
    for key in plain:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
            at = f" in {where}" if where else ""
            raise ConfigError(f"{key!r} is no setting{at}; the nearest is {near[0]!r}, all are {', '.join(known)}.")
    missing = [
        name
        for name, item in known.items()
        if name not in plain and item.default is MISSING and item.default_factory is MISSING
    ]
    if missing:
        raise ConfigError(f"{_dotted(where, missing[0])} is missing; set it.")
    values = {key: from_plain(hints[key], value, _dotted(where, key)) for key, value in plain.items()}
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigError(_of_setting(str(error), cls, where)) from error


def _of_setting(said: str, cls: Any, where: str) -> str:
    """Put the key of a setting where an error names its class: users know ``weights.edge``, no ``WeightSpec.edge``."""
    for name in (base.__name__ for base in cls.__mro__):
        if where and said.startswith((f"{name}.", f"{name} ")):
            return where + said[len(name) :]
    return f"{where or 'The config'} is refused: {said}"


def _union(args: tuple[Any, ...], plain: Any, where: str) -> Any:
    if plain is None and type(None) in args:
        return None
    options = [arg for arg in args if arg is not type(None)]
    if len(options) == 1:
        return from_plain(options[0], plain, where)
    problems = []
    for option in options:
        try:
            return from_plain(option, plain, where)
        except ConfigError as error:
            problems.append(error)
    raise problems[-1]


def _tuple(args: tuple[Any, ...], plain: Any, where: str) -> Any:
    if not isinstance(plain, (list, tuple)):
        raise _refused(where, "a list", plain)
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(from_plain(args[0], item, f"{where}[{index}]") for index, item in enumerate(plain))
    if len(args) != len(plain):
        raise _refused(where, f"a list of {len(args)}", plain)
    return tuple(
        from_plain(arg, item, f"{where}[{index}]") for index, (arg, item) in enumerate(zip(args, plain, strict=True))
    )


def _scalar(cls: Any, plain: Any, where: str) -> Any:
    if cls is range and isinstance(plain, str):
        return parse_frames(plain)
    if isinstance(cls, type) and issubclass(cls, Enum):
        try:
            return cls(plain)
        except ValueError as error:
            raise _refused(where, "one of " + ", ".join(repr(item.value) for item in cls), plain) from error
    if cls is float and isinstance(plain, int) and not isinstance(plain, bool):
        return float(plain)
    if isinstance(cls, type) and issubclass(cls, PurePath) and isinstance(plain, str):
        return cls(plain)
    if not isinstance(plain, cls) or (isinstance(plain, bool) and cls is not bool):
        names = {str: "a string", int: "a whole number", float: "a number", bool: "true or false",
                 range: '"START:STOP[:STEP]", e.g. "0:48"'}  # fmt: skip
        raise _refused(where, names.get(cls, f"a {getattr(cls, '__name__', cls)}"), plain)
    return plain


def parse_frames(text: str) -> range:
    """Parse ``START:STOP[:STEP]`` or a single frame number.

    Raises:
        ConfigError: If it is none of these.
    """
    match = re.fullmatch(r"(\d+)(?::(\d+)(?::(\d+))?)?", text.strip())
    if match is None:
        raise ConfigError(f"frames must be START:STOP[:STEP], e.g. 0:48 or 0:48:2, got {text!r}.")
    start, stop, step = (None if group is None else int(group) for group in match.groups())
    if step == 0:
        raise ConfigError(f"frames {text!r} steps by 0; use a step of 1 or more.")
    return range(start or 0, (start or 0) + 1 if stop is None else stop, step or 1)


def format_frames(frames: range) -> str:
    """Write frames as `parse_frames` reads them."""
    return f"{frames.start}:{frames.stop}" + (f":{frames.step}" if frames.step != 1 else "")


def _dotted(where: str, key: str) -> str:
    return f"{where}.{key}" if where else str(key)


def _refused(where: str, wanted: str, plain: Any) -> ConfigError:
    text = repr(plain)
    return ConfigError(
        f"{where or 'The config'} must be {wanted}, got {text if len(text) <= 80 else text[:77] + '...'}."
    )


__all__ = ["format_frames", "from_plain", "parse_frames", "to_plain"]
