"""``--set a.b.c=value``: one value of the file, replaced for one run. The value is TOML when it can be read so, else a string."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from typing import Any, NamedTuple

from .paths import Path, dotted


class FlagFault(NamedTuple):
    """What is wrong with one ``--set``; `flag` is how it was given."""

    flag: str
    message: str
    remedy: str = ""


def apply(data: dict[str, Any], overrides: Iterable[str]) -> tuple[dict[str, Any], dict[Path, str], list[FlagFault]]:
    """`data` with each ``key=value`` put in (a copy), the flag that set each path, and faults of the flags."""
    flags: dict[Path, str] = {}
    faults: list[FlagFault] = []
    for text in overrides:
        try:
            path, value = _parsed(text)
            data = _put(data, path, value, path)
        except (ValueError, RecursionError) as error:
            faults.append(FlagFault(f"--set {text}", str(error), "write --set table.key=value"))
        else:
            flags[path] = f"--set {text}"
    return data, flags, faults


def _parsed(text: str) -> tuple[Path, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError('there is no "=" in it')
    return _key(key), _value(value)


def _key(text: str) -> Path:
    try:
        found: Any = tomllib.loads(f"{text.strip()} = 0")
    except tomllib.TOMLDecodeError:
        raise ValueError(f'"{text}" is no dotted key') from None
    path: list[str] = []
    while isinstance(found, dict) and len(found) == 1:
        name, found = next(iter(found.items()))
        path.append(name)
    if found != 0:
        raise ValueError(f'"{text}" is no dotted key')
    return tuple(path)


def _value(text: str) -> Any:
    try:
        found = tomllib.loads(f"value = {text}")
    except ValueError:
        return text
    return found["value"] if len(found) == 1 else text


def _put(data: dict[str, Any], path: Path, value: Any, whole: Path) -> dict[str, Any]:
    first, rest = str(path[0]), path[1:]
    if not rest:
        return {**data, first: value}
    inner = data.get(first, {})
    if not isinstance(inner, dict):
        raise ValueError(f'"{dotted(whole[: len(whole) - len(rest)])}" is no table here')  # noqa: TRY004 - not a type
    return {**data, first: _put(inner, rest, value, whole)}
