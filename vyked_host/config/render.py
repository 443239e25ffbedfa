"""``config show``: every effective value, as text with its origin, as JSON, or as a TOML file that `run` accepts.

What came through a ``${reference}`` is written as the reference in TOML, always, and elsewhere where it is a secret. A value is
one when it came from a file, or when its key or its variable is called like one.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

import msgspec

from ..errors import VykedError
from .expectation import literal
from .load import Loaded
from .paths import Path, at, dotted, leaves
from .secrecy import HIDDEN, NAMES, is_secret, without_defaults, without_passwords

_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]|\\x|[\ud800-\udfff]")


def shown(loaded: Loaded, path: Path, value: Any) -> Any:
    """`value` as it may be seen: a secret as its reference, or hidden."""
    written = loaded.document.written.get(path)
    if written and _is_secret(path, written.sources):
        return without_defaults(written.text)
    if isinstance(value, str) and value and is_secret(path):
        return HIDDEN
    return without_passwords(value) if isinstance(value, str) else value


def _is_secret(path: Path, sources: tuple[tuple[str, str], ...]) -> bool:
    if is_secret(path) or any(kind == "file" for kind, _ in sources):
        return True
    return any(NAMES.search(name) for _, name in sources)


def as_json(loaded: Loaded, *, origin: bool) -> str:
    """The values as one JSON object shaped like the file; with `origin`: ``{dotted key: {"value", "origin"}}``."""
    document: dict[str, Any]
    if origin:
        document = {
            dotted(path): {"value": shown(loaded, path, value), "origin": str(loaded.origin(path))}
            for path, value in leaves(loaded.plain)
        }
    else:
        document = visible(loaded, loaded.plain, ())
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def visible(loaded: Loaded, value: Any, path: Path) -> Any:
    """`value`, whatever is inside it, as it may be seen."""
    if isinstance(value, dict):
        return {key: visible(loaded, inner, (*path, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [visible(loaded, inner, (*path, index)) for index, inner in enumerate(value)]
    return shown(loaded, path, value)


def as_text(loaded: Loaded, *, origin: bool) -> str:
    """One line a value: key, value, and with `origin` where it comes from."""
    rows = [(dotted(path), _cell(shown(loaded, path, value)), path) for path, value in leaves(loaded.plain)]
    wide = max(len(key) for key, _, _ in rows)
    cells = min(40, max(len(cell) for _, cell, _ in rows))
    if not origin:
        return "\n".join(f"{key:<{wide}}  {cell}" for key, cell, _ in rows)
    return "\n".join(f"{key:<{wide}}  {cell:<{cells}}  {loaded.origin(path)}" for key, cell, path in rows)


def _cell(value: Any) -> str:
    return "{}" if value == {} else literal(value)


def as_toml(loaded: Loaded) -> str:
    """The values as a file that `run` accepts: read back and compared before it is given out. Raises VykedError where the
    TOML writer can't do it."""
    document = _writable(loaded, loaded.plain, ())
    _guard(document, ())
    text = _written(document)
    if tomllib.loads(text) != document:
        raise VykedError("this can't be written as TOML without changing it; take -o json")
    return f"# every effective setting of {loaded.file}; references are left as they are\n\n{text}"


def _written(document: dict[str, Any]) -> str:
    import toml

    try:
        return toml.dumps(document)
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise VykedError(f"this can't be written as TOML ({error}); take -o json") from error


def _writable(loaded: Loaded, value: Any, path: Path) -> Any:
    """Plain data with references as they stand in the file, and what only looks like one escaped."""
    if isinstance(value, dict):
        return {key: _writable(loaded, inner, (*path, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_writable(loaded, inner, (*path, index)) for index, inner in enumerate(value)]
    written = _reference(loaded, path)
    if written is not None:
        return written
    if path[:1] == ("security",) and isinstance(value, str) and is_secret(path):
        return HIDDEN  # too short to be taken for one: a file made of this is refused, not weak
    return value.replace("${", "$${") if isinstance(value, str) else value


def _reference(loaded: Loaded, path: Path) -> str | None:
    """How the value at `path` is written, when there is a reference in it; also a client's that stands in the default."""
    written = loaded.document.written
    found = written.get(path)
    if found is None and path[:1] == ("clients",) and not _stands(loaded, path):
        found = written.get(("clients", "default", *path[2:]))
    return found.text if found else None


def _stands(loaded: Loaded, path: Path) -> bool:
    try:
        at(loaded.document.raw, path)
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _guard(value: Any, path: Path) -> None:
    """Refuse what the writer is known to corrupt."""
    for place, leaf in leaves(value):
        if isinstance(leaf, str) and (_UNSAFE.search(leaf) or leaf.endswith("\\")):
            raise VykedError(f"{dotted((*path, *place))} holds characters that can't be written as TOML; take -o json")
        if sum(isinstance(part, int) for part in place) > 1:
            raise VykedError(f"{dotted((*path, *place))}: lists inside lists can't be written as TOML; take -o json")
