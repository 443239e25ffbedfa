"""What can be known of a type before the first message: is anything untyped inside, can it hold a float.

Walked once per codec at start-up. A message of a fully typed shape may be large, because a typed decoder refuses a bomb
at its first wrong element; one with an untyped corner is decoded into whatever the peer wrote, so its cap is smaller.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from .settings import LimitsTable

_UNTYPED = (inspect.AnyType, inspect.CustomType, inspect.ExtType)
_FLOATING = (*_UNTYPED, inspect.FloatType, inspect.DecimalType)


def message_limit(shape: Any, limits: LimitsTable) -> int | None:
    """Bytes that a message of `shape` may have; None: no limit. Raises TypeError when msgspec does not know the type."""
    limit = limits.untyped_message if untyped(shape) else limits.message
    return None if limit == "none" else limit


def untyped(shape: Any) -> bool:
    """Is Any, a bare container or a type unknown to msgspec anywhere inside `shape`?"""
    return any(isinstance(part, _UNTYPED) for part in _parts(shape))


def floating(shape: Any) -> bool:
    """Can a value of `shape` make the decoder read a number with a fraction or an exponent?"""
    return any(isinstance(part, _FLOATING) for part in _parts(shape))


def _parts(shape: Any) -> Iterator[inspect.Type]:
    """Every type inside `shape`, each once: shapes may be recursive."""
    seen: set[int] = set()
    waiting: list[Any] = [inspect.type_info(shape)]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, inspect.Type):
            yield part
        waiting.extend(_inner(part))


def _inner(part: Any) -> Iterator[Any]:
    if isinstance(part, tuple):
        yield from part
    elif isinstance(part, inspect.Type | inspect.Field):
        # `extra` of Metadata and defaults of fields are values, not types
        yield from (getattr(part, name) for name in part.__struct_fields__ if name not in {"default", "extra"})
    elif isinstance(part, msgspec.Struct):
        raise TypeError(f"msgspec.inspect gave {type(part).__name__}, which vyked_host does not know")
