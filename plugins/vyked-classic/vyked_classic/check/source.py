"""An old module as a syntax tree, also where no living Python parses it."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

_KEYWORD = re.compile(r"\b(asyncio\s*\.\s*)async\b|\basync\b(?!\s+(?:def|for|with)\b)")


class Finding(NamedTuple):
    """`severity`: "stops" (it does not run so), "differs" (it runs, and something is not as it was)."""

    line: int
    column: int
    severity: str
    what: str
    remedy: str = ""


class Source(NamedTuple):
    """A file; `tree` is None where it can't be parsed at all. `faults` were met on the way."""

    path: Path
    tree: ast.Module | None
    faults: tuple[Finding, ...]


def read(path: Path) -> Source:
    """The module in a file. Raises OSError, UnicodeDecodeError."""
    text = path.read_text(encoding="utf-8")
    try:
        return Source(path, ast.parse(text, str(path)), ())
    except SyntaxError as error:
        return _mended(path, text, error)


def _mended(path: Path, text: str, error: SyntaxError) -> Source:
    """With `async` as a name replaced, so that the rest can be looked at."""
    faults = [_keyword(text, match) for match in _KEYWORD.finditer(text) if not _is_comment(text, match.start())]
    try:
        return Source(path, ast.parse(_KEYWORD.sub(_replaced, text), str(path)), tuple(faults))
    except SyntaxError as second:
        where = second if faults else error
        fault = Finding(
            where.lineno or 1, where.offset or 1, "stops", f"this Python can't parse it: {where.msg}", "correct it"
        )
        return Source(path, None, (*faults, fault))


def _replaced(match: re.Match[str]) -> str:
    return f"{match.group(1) or ''}async_"


def _keyword(text: str, match: re.Match[str]) -> Finding:
    line = text.count("\n", 0, match.start()) + 1
    column = match.start() - text.rfind("\n", 0, match.start())
    if match.group(1):
        return Finding(
            line, column, "stops", "asyncio.async: `async` is a keyword since Python 3.7", "write asyncio.ensure_future"
        )
    return Finding(
        line, column, "stops", "`async` is used as a name; it is a keyword since Python 3.7", "give it another name"
    )


def _is_comment(text: str, at: int) -> bool:
    return "#" in text[text.rfind("\n", 0, at) + 1 : at]
