"""An old module as a syntax tree, also where no living Python parses it."""

from __future__ import annotations

import ast
import contextlib
import io
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_DEFINES = frozenset({"def", "for", "with"})
"""What `async` stands before since Python 3.5, where it is no name."""
_NO_VALUE = frozenset({"=", ")", "]", "}", ",", ".", ":", ";", ""})
"""What `await` stands before where it is a name: nothing that begins a value. The last one is the end of a line."""


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


def at(node: ast.AST, severity: str, what: str, remedy: str = "") -> Finding:
    """A finding where `node` stands."""
    return Finding(getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1, severity, what, remedy)


def read(path: Path) -> Source:
    """The module in a file, in the encoding that it names. Raises OSError, ValueError for what is no text of that."""
    try:
        with tokenize.open(path) as file:
            text = file.read()
    except SyntaxError as error:  # its coding line names none
        raise ValueError(str(error)) from error
    try:
        return Source(path, ast.parse(text, str(path)), ())
    except SyntaxError as error:
        return _mended(path, text, error)


def _mended(path: Path, text: str, error: SyntaxError) -> Source:
    """With keywords that were names replaced, so that the rest can be looked at."""
    found = list(_keywords(text))
    faults = [each.finding for each in found]
    try:
        return Source(path, ast.parse(_renamed(text, found), str(path)), tuple(faults))
    except SyntaxError as second:
        where = second if faults else error
        fault = Finding(
            where.lineno or 1, where.offset or 1, "stops", f"this Python can't parse it: {where.msg}", "correct it"
        )
        return Source(path, None, (*faults, fault))


class _Keyword(NamedTuple):
    """A keyword in the place of a name."""

    token: tokenize.TokenInfo
    finding: Finding


def _keywords(text: str) -> Iterator[_Keyword]:
    tokens = list(_tokens(text))
    imported = frozenset(_imported(tokens))
    for place, token in enumerate(tokens):
        after = tokens[place + 1].string if place + 1 < len(tokens) else ""
        if token.type != tokenize.NAME or not _is_a_name(token.string, after):
            continue
        before = [each.string for each in tokens[max(place - 2, 0) : place]]
        is_called = bool(imported) and token.string == "async" and after == "(" and before[-1:] != ["."]
        owned = token.string == "async" and before == ["asyncio", "."]
        start = tokens[place - 2].start if owned else token.start
        yield _Keyword(token, _told(token.string, start, of_asyncio=owned or is_called or token.start in imported))


def _is_a_name(word: str, after: str) -> bool:
    return (word == "async" and after not in _DEFINES) or (word == "await" and after.strip() in _NO_VALUE)


def _imported(tokens: list[tokenize.TokenInfo]) -> Iterator[tuple[int, int]]:
    """Where ``from asyncio import async`` says `async`."""
    line: list[str] = []
    for token in tokens:
        if token.type == tokenize.NEWLINE:
            line = []
        elif token.type not in (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT):
            line.append(token.string)
        if line[:3] == ["from", "asyncio", "import"] and line[-1] == "async":
            yield token.start


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    """As far as it can be read."""
    with contextlib.suppress(tokenize.TokenError, SyntaxError):
        yield from tokenize.generate_tokens(io.StringIO(text).readline)


def _told(word: str, start: tuple[int, int], *, of_asyncio: bool) -> Finding:
    place = (start[0], start[1] + 1, "stops")
    if of_asyncio:
        return Finding(*place, "asyncio.async: `async` is a keyword since Python 3.7", "write asyncio.ensure_future")
    return Finding(*place, f"`{word}` is used as a name; it is a keyword since Python 3.7", "give it another name")


def _renamed(text: str, found: Iterable[_Keyword]) -> str:
    """`text` with an underscore behind each."""
    lines = text.splitlines(keepends=True)
    for token, _ in sorted(found, key=lambda each: each.token.start, reverse=True):
        row, column = token.end
        line = lines[row - 1]
        lines[row - 1] = f"{line[:column]}_{line[column:]}"
    return "".join(lines)
