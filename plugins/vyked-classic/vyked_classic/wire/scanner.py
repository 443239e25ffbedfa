"""Finds the end of a JSON object in bytes that come in pieces of any size, in one pass and with bounded memory.

It checks the structure (brackets, colons, commas, where strings and bare words may stand), so that what can't become an object
any more is known at the byte where it goes wrong, as the parser of the original knew it. What is inside strings and bare words is
left to the decoder.
"""

from __future__ import annotations

import re
from enum import Enum

DEPTH = 512
"""Objects and lists inside one another that a packet may have: what the decoder, which recurses, can take for certain."""


class _Wants(Enum):
    """What may come next inside an object or a list."""

    KEY = "a key"
    FIRST_KEY = "a key or }"
    COLON = "a colon"
    VALUE = "a value"
    FIRST_VALUE = "a value or ]"
    NEXT = "a comma or the end"


class NotJson(ValueError):
    """What comes can't become a JSON object any more."""


_BLANK = re.compile(rb"[ \t\r\n]*")
_TEXT = re.compile(rb'[^"\\]*')
_WORD = re.compile(rb"[-+.0-9A-Za-z]+")
_IN_LIST = ord("[")
_CLOSES = {ord("}"): ord("{"), ord("]"): ord("[")}
_QUOTE, _ESCAPE = ord('"'), ord("\\")


class Scanner:
    """One object at a time. `too_deep` is set once brackets stand more than DEPTH deep; from there on only their number counts."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Expect an object, from its opening brace on."""
        self._open = bytearray()
        self._beyond = 0
        self._wants = _Wants.VALUE
        self._in_text = self._escaped = self._in_word = False
        self.too_deep = False

    @property
    def at_rest(self) -> bool:
        """Is what was read so far not the beginning of a string or of a bare word?"""
        return not self._in_text and not self._in_word

    def scan(self, data: bytes | bytearray, at: int, end: int) -> int | None:
        """Go on from `at`; the answer is the place after the object, or None when it goes on after `end`. Raises NotJson."""
        while at < end:
            if self._in_text:
                at = self._text(data, at, end)
                continue
            if self._in_word:
                at = self._word(data, at, end)
                continue
            at = _blank(data, at, end)
            if at < end:
                self._take(data[at])
                at += not self._in_word
                if not self._open:
                    return at
        return None

    def _text(self, data: bytes | bytearray, at: int, end: int) -> int:
        """Inside a string."""
        if self._escaped:
            self._escaped = False
            return at + 1
        found = _TEXT.match(data, at, end)
        at = found.end() if found is not None else at
        if at >= end:
            return end
        if data[at] == _ESCAPE:
            self._escaped = True
        else:
            self._in_text = False
        return at + 1

    def _word(self, data: bytes | bytearray, at: int, end: int) -> int:
        """Inside a number, true, false or null."""
        found = _WORD.match(data, at, end)
        at = found.end() if found is not None else at
        self._in_word = at >= end
        return at

    def _take(self, byte: int) -> None:
        if self._beyond:
            self._take_unchecked(byte)
        elif byte in b"{[":
            self._opened(byte)
        elif byte in b"}]":
            self._closed(byte)
        elif byte == _QUOTE:
            self._text_begins()
        elif byte in b":,":
            self._separated(byte)
        else:
            self._word_begins(byte)

    def _take_unchecked(self, byte: int) -> None:
        """Too deep to remember each bracket: they are counted."""
        if byte in b"{[":
            self._beyond += 1
        elif byte in b"}]":
            self._beyond -= 1
        elif byte == _QUOTE:
            self._in_text = True

    def _opened(self, byte: int) -> None:
        if self._wants not in (_Wants.VALUE, _Wants.FIRST_VALUE):
            raise self._fault(byte)
        if len(self._open) >= DEPTH:
            self.too_deep = True
            self._beyond = 1
            self._wants = _Wants.NEXT
            return
        self._open.append(byte)
        self._wants = _Wants.FIRST_VALUE if byte == _IN_LIST else _Wants.FIRST_KEY

    def _closed(self, byte: int) -> None:
        empty = _Wants.FIRST_VALUE if byte == ord("]") else _Wants.FIRST_KEY
        if not self._open or self._open[-1] != _CLOSES[byte] or self._wants not in (_Wants.NEXT, empty):
            raise self._fault(byte)
        self._open.pop()
        self._wants = _Wants.NEXT

    def _text_begins(self) -> None:
        if self._wants in (_Wants.KEY, _Wants.FIRST_KEY):
            self._wants = _Wants.COLON
        elif self._wants in (_Wants.VALUE, _Wants.FIRST_VALUE):
            self._wants = _Wants.NEXT
        else:
            raise self._fault(_QUOTE)
        self._in_text = True

    def _separated(self, byte: int) -> None:
        if byte == ord(":") and self._wants is _Wants.COLON:
            self._wants = _Wants.VALUE
        elif byte == ord(",") and self._wants is _Wants.NEXT:
            self._wants = _Wants.VALUE if self._open[-1] == _IN_LIST else _Wants.KEY
        else:
            raise self._fault(byte)

    def _word_begins(self, byte: int) -> None:
        if self._wants not in (_Wants.VALUE, _Wants.FIRST_VALUE) or not _WORD.match(bytes((byte,))):
            raise self._fault(byte)
        self._wants = _Wants.NEXT
        self._in_word = True

    def _fault(self, byte: int) -> NotJson:
        return NotJson(f"{chr(byte)!r} where {self._wants.value} should stand")


def _blank(data: bytes | bytearray, at: int, end: int) -> int:
    found = _BLANK.match(data, at, end)
    return found.end() if found is not None else at
