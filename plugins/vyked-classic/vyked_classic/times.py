"""Times in what old code says: Vyked 2.x wrote each as whole seconds since 1970 (naive ones are local), and its callers count with them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

PLAIN = frozenset({str, int, float, bool, type(None)})


def in_seconds(value: Any) -> Any:
    """`value` with seconds in the place of times, at any depth of dicts, lists and tuples; itself where it has none."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if isinstance(value, datetime.datetime):
        return int(value.timestamp())
    if isinstance(value, Mapping):
        found = {name: in_seconds(each) for name, each in value.items()}
        return found if any(found[name] is not each for name, each in value.items()) else value
    if kind is list or kind is tuple:
        items = [in_seconds(each) for each in value]
        return items if any(one is not other for one, other in zip(items, value, strict=True)) else value
    return value
