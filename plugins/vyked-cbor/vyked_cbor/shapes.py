"""Is there something untyped inside a type? That decides how large a message of it may be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import inspect


def untyped(shape: Any) -> bool:
    """True when `shape` has Any, a bare container or a type that msgspec does not know somewhere inside."""
    return _untyped(inspect.type_info(shape), set())


def _untyped(info: inspect.Type, seen: set[int]) -> bool:
    if isinstance(info, inspect.AnyType | inspect.CustomType | inspect.RawType):
        return True
    if id(info) in seen:  # a type that contains itself
        return False
    seen.add(id(info))
    return any(_untyped(part, seen) for part in _parts(info))


def _parts(info: inspect.Type) -> Iterator[inspect.Type]:
    for name in info.__struct_fields__:
        value = getattr(info, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, inspect.Field):
                yield part.type
            elif isinstance(part, inspect.Type):
                yield part
