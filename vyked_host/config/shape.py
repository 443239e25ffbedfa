"""What type a path has inside a Struct, and the two readings of a string that depend on it: sizes ("1MiB" where bytes are
counted) and references ("${PORT}" where a number stands)."""

from __future__ import annotations

import re
import tomllib
import types
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from .paths import Path

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKmMgG]i?)?[bB]?\s*\Z")
_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}
UNIT = "x-unit"
"""Key of a Meta's extra_json_schema; "bytes" there says that the number is a size."""


def size(text: str) -> int | None:
    """``"1MiB"`` -> 1048576; None when it is no size."""
    found = _SIZE.match(text)
    if found is None:
        return None
    return int(float(found[1]) * _UNITS[(found[2] or "").lower()])


@lru_cache(maxsize=256)
def hints(struct: type) -> dict[str, Any]:
    """Key in the file -> annotation, of each field of a Struct."""
    resolved = get_type_hints(struct, include_extras=True)
    return {field.encode_name: resolved[field.name] for field in msgspec.structs.fields(struct)}


def alternatives(hint: Any) -> list[tuple[Any, tuple[Any, ...]]]:
    """The members of a union (or the one type), each with the metadata around it."""
    if get_origin(hint) is Annotated:
        inner, *extras = get_args(hint)
        return [(plain, (*found, *extras)) for plain, found in alternatives(inner)]
    if get_origin(hint) in (Union, types.UnionType):
        return [pair for member in get_args(hint) for pair in alternatives(member)]
    return [(hint, ())]


def is_struct(hint: Any) -> bool:
    """Is it a Struct type?"""
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def step(hint: Any, key: str | int) -> list[Any]:
    """The annotations that `key` may have inside `hint`."""
    found: list[Any] = []
    for plain, _ in alternatives(hint):
        origin, arguments = get_origin(plain) or plain, get_args(plain)
        if is_struct(plain):
            found += [hints(plain)[key]] if key in hints(plain) else []
        elif isinstance(key, str) and _is(origin, Mapping) and len(arguments) == 2:
            found.append(arguments[1])
        elif isinstance(key, int) and _is(origin, Collection) and arguments:
            found.append(arguments[0])
    return found


def _is(origin: Any, base: type) -> bool:
    return isinstance(origin, type) and issubclass(origin, base)


def at(hint: Any, path: Path) -> list[Any]:
    """The annotations that `path` may have inside `hint`; none: there is no such place."""
    found = [hint]
    for key in path:
        found = [inner for outer in found for inner in step(outer, key)]
    return found


def _members(annotations: list[Any]) -> list[tuple[Any, tuple[Any, ...]]]:
    return [pair for hint in annotations for pair in alternatives(hint)]


def is_size(annotations: list[Any]) -> bool:
    """Does one of them count bytes?"""
    return any((_extra(meta) or {}).get(UNIT) == "bytes" for _, metas in _members(annotations) for meta in metas)


def _extra(meta: Any) -> dict[str, Any] | None:
    return meta.extra_json_schema if isinstance(meta, msgspec.Meta) else None


def _scalars(annotations: list[Any]) -> set[Any]:
    return {plain for plain, _ in _members(annotations)} & {int, float, bool}


def _wants_text(annotations: list[Any], text: str) -> bool:
    """Would the string itself do?"""
    for plain, _ in _members(annotations):
        if plain in (str, Any) or (get_origin(plain) is Literal and text in get_args(plain)):
            return True
    return False


def readings(struct: Any, data: Any, referenced: Collection[Path], base: Path) -> Any:
    """`data` with sizes as numbers, and strings that came from references read as the number or boolean wanted there."""

    def walk(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: walk(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner, (*path, index)) for index, inner in enumerate(value)]
        return _read(at(struct, path), value, (*base, *path) in referenced) if isinstance(value, str) else value

    return walk(data, ())


def _read(annotations: list[Any], text: str, referenced: bool) -> Any:
    if is_size(annotations):
        number = size(text)
        return text if number is None else number
    if not referenced or not _scalars(annotations) or _wants_text(annotations, text):
        return text
    try:
        found = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    value = found.get("value")
    return value if len(found) == 1 and isinstance(value, (bool, int, float)) else text
