"""The text of a vyked.toml and what TOML makes of it.

``tomllib`` reads (TOML 1.0, the same on every Python we run on). It stops at the first syntax error; a person
wants all of them, so each statement that is no TOML is blanked - line numbers stay - and the rest is read again.
"""

from __future__ import annotations

import os
import re
import tomllib
from typing import Any, NamedTuple

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")
_TWICE = ("Cannot overwrite", "Cannot declare", "Cannot mutate", "Cannot redefine", "Duplicate inline")
_STATEMENT = re.compile(r"\s*(\[+[^\[\]]+\]+\s*(#.*)?\Z|[\w.\"'-]+\s*=)")
_MOST_ERRORS = 25
_STAND_IN = " broken header "  # begins the name of what stands in for a table whose header could not be read
_LONGEST_STATEMENT = 200  # lines
_DEEPEST = 64  # levels of tables and lists

_REMEDIES = (
    ("Invalid value", 'strings are quoted: key = "text"; booleans are true and false'),
    ("Expected '='", "write key = value"),
    ("Illegal character '\\n'", "the string is not closed: a quote is missing"),
    ("Unterminated string", "a closing quote is missing"),
    ("Unclosed array", 'a "]" or a "," is missing'),
    ("Expected newline", "one statement per line; strings are quoted"),
    ("Unescaped '\\'", "write \\\\, or use single quotes"),
    ("Invalid initial character for a key part", "an inline table ends without a comma; odd keys are quoted"),
    ("Expected ']'", 'a table header is [name]; a "]" is missing'),
    ("Cannot overwrite", "this key is there already: remove one"),
    ("Cannot declare", "this table is there already: put both together"),
    ("Cannot mutate", "an inline table can't be added to: write it as [table]"),
    ("Duplicate inline", "this key is there already: remove one"),
)


class SyntaxFault(NamedTuple):
    """Text that is no TOML. Line and column from 1, in characters; line 0: the whole file."""

    line: int
    column: int
    message: str
    remedy: str = ""


class Source(NamedTuple):
    """A file as read: `text` as it is, `toml` with the statements blanked that are none, `data` what that says."""

    name: str
    folder: str
    text: str
    toml: str
    data: dict[str, Any]
    faults: tuple[SyntaxFault, ...] = ()

    def line(self, number: int) -> str:
        """A line of the file, from 1; empty when there is none."""
        lines = self.text.split("\n")
        return lines[number - 1] if 0 < number <= len(lines) else ""


def read(path: str) -> Source:
    """The file at `path`; whatever is wrong with it is in `faults`."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        return Source(path, folder, "", "", {}, (SyntaxFault(0, 0, *_unreadable(path, error)),))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Source(path, folder, content.decode("utf-8-sig", "replace"), "", {}, (_not_utf8(content, error),))
    return parse(text, path, folder)


def _unreadable(path: str, error: OSError) -> tuple[str, str]:
    if isinstance(error, FileNotFoundError):
        return "there is no such file", "name it: vyked-host check FILE, or begin with: vyked-host new project"
    return f"can't be read: {error.strerror}", "name the vyked.toml itself" if os.path.isdir(path) else ""


def _not_utf8(content: bytes, error: UnicodeDecodeError) -> SyntaxFault:
    before = content[: error.start].decode("utf-8-sig", "replace").replace("\r\n", "\n")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return SyntaxFault(line, column, f"byte 0x{content[error.start]:02x} is no UTF-8", "save the file as UTF-8")


def parse(text: str, name: str, folder: str) -> Source:
    """`text` as a document, as far as it is one."""
    text = toml = text.replace("\r\n", "\n")
    faults: list[SyntaxFault] = []
    while len(faults) < _MOST_ERRORS:
        found = _attempt(toml)
        if isinstance(found, dict):
            data = {key: value for key, value in found.items() if not key.startswith(_STAND_IN)}
            return Source(name, folder, text, toml, data, tuple(faults))
        start, fault = _placed(toml, found)
        faults.append(fault)
        blanked = _without(toml, start, _last(toml, start, found[0]))
        if blanked == toml:
            break
        toml = blanked
    return Source(name, folder, text, "", {}, tuple(faults))


def _attempt(text: str) -> dict[str, Any] | tuple[int, int, str]:
    """The document, or line, column and words of the first error."""
    try:
        data = tomllib.loads(text)
        return (*_deepest(text), "Nested too deeply") if _depth(data) > _DEEPEST else data
    except RecursionError:
        return (*_deepest(text), "Nested too deeply")
    except ValueError as error:  # TOMLDecodeError, or an int of thousands of digits
        words = str(error)
        place = _AT.search(words)
        if place is None:
            return (*_far_too_long(text), words)
        if place[1] is None:
            end = text.rstrip("\n")
            return end.count("\n") + 1, len(end) - end.rfind("\n"), words[: place.start()]
        return int(place[1]), int(place[2]), words[: place.start()]


def _depth(data: dict[str, Any]) -> int:
    level: list[Any] = [data]
    depth = 0
    while level and depth <= _DEEPEST:
        depth += 1
        level = [inner for value in level for inner in _inside(value)]
    return depth


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _deepest(text: str) -> tuple[int, int]:
    nesting = [sum(map(line.count, "[{.")) for line in text.split("\n")]
    return nesting.index(max(nesting)) + 1, 1


def _far_too_long(text: str) -> tuple[int, int]:
    digits = re.search(r"[0-9_]{4300,}", text)
    before = text[: digits.start()] if digits else ""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _placed(text: str, found: tuple[int, int, str]) -> tuple[int, SyntaxFault]:
    """Line where the statement at fault starts, and the fault at the place where a person looks for it."""
    line, column, words = found
    lines = text.split("\n")
    start = _statement(lines, line)
    if words.startswith(_TWICE):
        line = start
        column = len(lines[line - 1]) - len(lines[line - 1].lstrip()) + 1
    if words == "Illegal character '\\n'":
        words = "Unterminated string"
    remedy = next((remedy for begin, remedy in _REMEDIES if words.startswith(begin)), "")
    return start, SyntaxFault(line, column, f"this is no TOML: {words[0].lower()}{words[1:]}", remedy)


def _statement(lines: list[str], line: int) -> int:
    """The line where the statement that ends at `line` begins: all before it is TOML."""
    for start in range(line, max(0, line - _LONGEST_STATEMENT), -1):
        if isinstance(_attempt("\n".join(lines[: start - 1])), dict):
            return start
    return line


def _last(text: str, start: int, line: int) -> int:
    """The last line to blank: what was not closed runs into the next statement, which is to stay."""
    return line - 1 if line > start and _STATEMENT.match(text.split("\n")[line - 1]) else line


def _without(text: str, start: int, end: int) -> str:
    """`text` with the lines of one statement blanked. A header keeps a place of its own, so that its keys do not fall into
    the table before it."""
    lines = text.split("\n")
    header = lines[start - 1].lstrip().startswith("[") and start == end
    for index in range(start - 1, min(end, len(lines))):
        lines[index] = ""
    if header:
        lines[start - 1] = f'["{_STAND_IN}{start}"]'
    return "\n".join(lines)
