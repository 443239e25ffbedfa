"""Times in what old code says: Vyked 2.x wrote each as whole seconds since 1970 (naive ones are local), and its callers count with them."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

PLAIN = frozenset({str, int, float, bool, type(None)})


def in_seconds(value: Any) -> Any:
    """`value` with seconds in the place of times, at any depth of dicts, lists and tuples; itself where it has none."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if isinstance(value, datetime.datetime):
        return int(value.timestamp())
    if kind is dict or isinstance(value, Mapping):
        changes = _changed(value.items())
        return {**value, **changes} if changes else value
    if kind is list or kind is tuple:
        changes = _changed(enumerate(value))
        return [changes.get(at, each) for at, each in enumerate(value)] if changes else value
    return value


def _changed(items: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Place -> what stands there instead, of those places where it is something else."""
    found = {}
    for place, value in items:
        if type(value) not in PLAIN and (new := in_seconds(value)) is not value:
            found[place] = new
    return found
