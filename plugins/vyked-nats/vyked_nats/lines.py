"""What stands before each message of a subscription, taken apart once: of most events it is the same, byte for byte, as of others before
them. No socket, no loop."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Generic, TypeVar

from .message import CRLF

KNOWN = 1024
"""Lines that are kept."""
_PLAIN = re.compile(rb"MSG [^ \r\n]++ ([^ \r\n]++) ([0-9]{1,9})")
"""Its subject, the number of the subscription, and its bytes: with no headers, and nobody to answer."""
C = TypeVar("C")


class Lines(Generic[C]):
    """`of` is whose messages come, by number of subscription."""

    def __init__(self, of: Mapping[bytes, C]) -> None:
        self._of = of
        self._known: dict[bytes, tuple[C, int]] = {}

    def forget(self) -> None:
        """The numbers are others from now on."""
        self._known.clear()

    def within(self, data: bytes) -> tuple[int, list[tuple[C, bytes]]]:
        """The messages that stand whole at the beginning, without headers and with nobody to answer; and how far they are."""
        at, find, known, ends_at = 0, data.find, self._known.get, data.startswith
        found: list[tuple[C, bytes]] = []
        while (end := find(CRLF, at)) >= 0:
            line = known(data[at:end]) or self._read(data[at:end])
            if line is None:
                break
            of, size = line
            end += 2
            stop = end + size
            if not ends_at(CRLF, stop):
                break
            found.append((of, data[end:stop]))
            at = stop + 2
        return at, found

    def _read(self, line: bytes) -> tuple[C, int] | None:
        """Of whom it is and how many bytes follow, where it is one of those."""
        match = _PLAIN.fullmatch(line)
        if match is None or (of := self._of.get(match[1])) is None:
            return None
        if len(self._known) >= KNOWN:
            self._known.clear()
        found = self._known[line] = of, int(match[2])
        return found
