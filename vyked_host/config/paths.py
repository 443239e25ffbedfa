"""Paths of values inside a file: tuples of keys and list indexes, and how people read and write them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]
"""Such as ("middleware", "server", 1, "use")."""

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


def dotted(path: Path) -> str:
    """`path` as TOML would write it, with list indexes in brackets: ``middleware.server[1].use``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE.match(part) else quoted(part))
    return text


def quoted(text: str) -> str:
    """`text` as a TOML basic string."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(c) or (c if c.isprintable() else f"\\u{ord(c):04x}") for c in text) + '"'


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that holds no other, with its path; an empty table or list is one."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path, value


def at(value: Any, path: Path) -> Any:
    """What lies at `path`; raises KeyError, IndexError or TypeError when nothing does."""
    for part in path:
        value = value[part]
    return value
