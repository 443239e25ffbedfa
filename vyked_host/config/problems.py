"""What is wrong in a file, where, and what to do about it; and the forms in which it is told.

Lines and columns count from 1, columns in characters. A problem without a line belongs to the file as a whole or to a
flag. The caret line repeats tabs and doubles wide characters, so that it points at the right place on every terminal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import msgspec

from ..model.values import Value

Severity = Literal["error", "warning"]

_WINDOW = 160  # characters of a source line that are shown


class Problem(Value):
    """One fault. `key` is the dotted path it is about; `source` is the line it is in; `plugin`: the fault is not the
    file's, a plugin that the file names is broken."""

    file: str
    message: str
    line: int = 0
    column: int = 0
    length: int = 1
    remedy: str = ""
    key: str = ""
    source: str = ""
    severity: Severity = "error"
    plugin: bool = False

    @property
    def place(self) -> str:
        """``file:line:col``, or the file or flag alone."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    @property
    def sentence(self) -> str:
        """Message and remedy in one line."""
        text = f"{self.message}; {self.remedy}" if self.remedy else self.message
        return " ".join(visible(line) for line in text.splitlines())


def visible(text: str) -> str:
    """`text` with everything a terminal would act on replaced, one character for one."""
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _cells(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _padding(text: str) -> str:
    return "".join("\t" if c == "\t" else " " * _cells(c) for c in text)


def excerpt(problem: Problem) -> list[str]:
    """The source line and the caret line below it; nothing when the problem has no place."""
    if not problem.line:
        return []
    start = max(0, problem.column - 1 - _WINDOW // 2) if len(problem.source) > _WINDOW else 0
    line = visible(problem.source[start : start + _WINDOW])
    before = line[: problem.column - 1 - start]
    marked = line[len(before) :][: problem.length]
    caret = "^" * max(1, sum(_cells(c) for c in marked))
    number = f"{problem.line:5d}"
    return [f"{number} │ {line}".rstrip(), f"{' ' * len(number)} │ {_padding(before)}{caret}"]


def text_line(problem: Problem) -> str:
    """One problem as people read it: place, severity, what is wrong, and the line with a caret."""
    return "\n".join([f"{problem.place}  {problem.severity}  {problem.sentence}", *excerpt(problem)])


def as_text(problems: Sequence[Problem]) -> str:
    """All problems, one below the other."""
    return "\n".join(text_line(problem) for problem in problems)


def as_json(problems: Sequence[Problem]) -> str:
    """All problems as one JSON object: ``{"problems": [...], "errors": n, "warnings": n}``."""
    document: dict[str, Any] = {"problems": [msgspec.to_builtins(problem) for problem in problems], **count(problems)}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def _escaped(text: str, more: str = "") -> str:
    for char in "%\r\n" + more:
        text = text.replace(char, f"%{ord(char):02X}")
    return text


def _github_line(problem: Problem) -> str:
    place = f"file={_escaped(problem.file, ':,')}"
    if problem.line:
        end = problem.column + problem.length
        place += f",line={problem.line},col={problem.column},endColumn={end}"
    return f"::{problem.severity} {place},title=vyked-host check::{_escaped(problem.sentence)}"


def as_github(problems: Sequence[Problem]) -> str:
    """All problems as workflow commands: GitHub shows them at their lines in a pull request."""
    return "\n".join(_github_line(problem) for problem in problems)


def count(problems: Iterable[Problem]) -> dict[str, int]:
    """How many errors and warnings there are."""
    found = {"errors": 0, "warnings": 0}
    for problem in problems:
        found[f"{problem.severity}s"] += 1
    return found


FORMATS: dict[str, Callable[[Sequence[Problem]], str]] = {"text": as_text, "json": as_json, "github": as_github}
"""What ``-o`` of `check` can be."""
