"""Lines of a file as they may be shown: no secret stands in them, and what is at a column stays there.

The file may be no TOML, so nothing of its structure is relied on: whatever looks like the value of a key that is called like a secret,
or like an address with a password, is hidden, in comments and texts too. Too much rather than too little. Imported only where
something is at fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from .secrecy import HIDDEN, NAMES, is_secret

_PART = r"(?:[\w-]+|\"[^\"\n]*\"|'[^'\n]*')"
# from the beginning of a word and of a path only: a long line is read once
_KEY = re.compile(rf"(?<![\w-])(?<!\w\.)(?P<key>(?:{_PART}[ \t]*\.[ \t]*)*{_PART})[ \t]*(?:=|:(?!//))[ \t]*")
_PARTS = re.compile(_PART)
_HEADER = re.compile(r"^[ \t]*\[+([^\[\]\n=]+)", re.MULTILINE)
_ALONE = re.compile(
    rf"^[ \t#]*[\"']?[\w.-]*(?:{NAMES.pattern})[\w-]*[\"']?[ \t]+(?P<hidden>[^=\s][^=\n]*)$", re.I | re.M
)
"""A statement without an equals sign."""
_ADDRESS = re.compile(r"://(?:[^/@:\s\"',]{0,256}:)?")
_NEXT = re.compile(r"\n|[\"'](?=[\s,\]}#]|\Z)|,\s*[\w+.-]{1,32}://")
"""What ends an address for certain. A password ends at the last @ before it, for it may hold what should be percent-encoded."""
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?(?:"{3,5}|\Z)|\'\'\'.*?(?:\'{3,5}|\Z)|"(?:\\[^\n]|[^"\\\n])*"|\'[^\'\n]*\'', re.DOTALL
)
_INSIDE = re.compile(rf"{_STRING.pattern}|[\[\]{{}}]", re.DOTALL)
_ENDS = re.compile(r"[ \t]*(?:\n|\Z|#)")
_ENDS_INSIDE = re.compile(rf"\s*(?:\n|\Z|#|[}}\]]|,\s*(?:{_PART}[ \t]*[.=]|[}}\]]|\n|\Z))")
_REFERENCES = re.compile(r"\$\{(?:file:[^}]*|\w+(?::\?[^}]*)?)\}")
_BARE = re.compile(r"[\s\[\],\"']*\Z")


class Span(NamedTuple):
    """Characters that are not shown, by their place in the text."""

    start: int
    end: int


class Redacted:
    """A text of which lines are shown."""

    def __init__(self, text: str) -> None:
        self._text, self._lines = text, text.split("\n")

    def line(self, number: int, column: int) -> str:
        """A line, from 1, to be shown with a caret at `column`; empty when there is none. Secrets that begin before the column
        are hidden letter by letter, so that it stays where it is; of others not even the length is shown."""
        if not 0 < number <= len(self._lines):
            return ""
        begins = sum(len(line) + 1 for line in self._lines[: number - 1])
        return _without(self._lines[number - 1], [Span(s - begins, e - begins) for s, e in self._spans], column - 1)

    @cached_property
    def _spans(self) -> list[Span]:
        text = self._text
        found = [*_in_addresses(text), *(Span(*one.span("hidden")) for one in _ALONE.finditer(text))]
        headers = [(one.start(), one[1]) for one in _HEADER.finditer(text)]
        until = 0
        for key in _KEY.finditer(text):
            if key.start() < until:
                continue
            header = next((name for start, name in reversed(headers) if start < key.start()), "")
            before = text[text.rfind("\n", 0, key.start()) + 1 : key.start()]
            if _is_secret(key["key"], header, before):
                found.append(_value(text, key.end(), before.count("{") > before.count("}")))
                until = found[-1].end
        return found


def all_of(text: str) -> str:
    """The whole, such as a flag, as it may be shown."""
    redacted = Redacted(text)
    return "\n".join(redacted.line(number + 1, 1) for number in range(text.count("\n") + 1))


def _in_addresses(text: str) -> Iterator[Span]:
    until = 0
    for begin in _ADDRESS.finditer(text):
        if begin.start() >= until:
            end = _NEXT.search(text, begin.end())
            at = text.rfind("@", begin.end(), end.start() if end else len(text))
            if at > begin.end():
                until = at
                yield Span(begin.end(), at)


def _is_secret(key: str, header: str, before: str) -> bool:
    parts = [part.strip("\"'") for part in _PARTS.findall(f"{header}.{key}")]
    is_identity = "identity" in parts and ("security" in parts or "security" in before)
    return is_identity or is_secret(tuple(parts))


def _value(text: str, start: int, is_inside: bool) -> Span:
    """From where the value begins to where it certainly ends; nothing of it where it only says where a secret is."""
    end = _certain_end(text, start)
    ends = _ENDS_INSIDE if is_inside else _ENDS
    if end is None or not ends.match(text, end):
        stop = text.find("\n", max(start, end or 0))
        end = len(text) if stop < 0 else stop
        inside = re.compile(r"(?=[},])").finditer(text, start, end) if is_inside else ()
        end = next((one.start() for one in inside if _ENDS_INSIDE.match(text, one.start())), end)
    references = _BARE.match(_REFERENCES.sub("", text[start:end]))
    return Span(start, start if references else end)


def _certain_end(text: str, start: int) -> int | None:
    """The end of a string or of brackets; None for anything else."""
    if found := _STRING.match(text, start):
        return found.end()
    if text[start : start + 1] not in ("[", "{"):
        return None
    depth = 0
    for found in _INSIDE.finditer(text, start):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    return len(text)


def _without(line: str, spans: list[Span], caret: int) -> str:
    """Spans may overlap, and reach beyond the line."""
    text, at = "", 0
    for start, end in _runs(len(line), spans):
        text += line[at:start] + ("*" * (end - start) if start < caret else HIDDEN)
        at = end
    return text + line[at:]


def _runs(length: int, spans: list[Span]) -> Iterator[Span]:
    """Those of `spans` that lie in a line, what overlaps put together."""
    run: Span | None = None
    for each in sorted(Span(max(0, start), min(length, end)) for start, end in spans):
        if each.start >= each.end:
            continue
        if run is not None and each.start > run.end:
            yield run
            run = None
        run = each if run is None else Span(run.start, max(run.end, each.end))
    if run is not None:
        yield run
