"""What a server sends, taken apart (https://docs.nats.io/reference/reference-protocols/nats-protocol). Bytes go in as they came, in pieces
of any size; each message goes to whoever subscribed, each other line to `control`. No socket, no loop.

It keeps what is not whole yet: one line of `LONGEST_LINE` bytes or one message of `LARGEST_MESSAGE` at most, and looks at it again only
when enough has come. Whatever a server would not send is a NotNats; after that it is of no use any more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from vyked_host import VykedError

from .message import CRLF, Message

LONGEST_LINE = 64 << 10
"""Bytes: the longest is INFO, which names all servers of a cluster."""
LARGEST_MESSAGE = 64 << 20
"""Bytes, headers included: no server can be told to take more
(https://docs.nats.io/running-a-nats-service/configuration, max_payload)."""
SHOWN = 60
_MESSAGE = re.compile(rb"(H)?MSG ([^ \r\n]++) ([^ \r\n]++) (?:([^ \r\n]++) )?(?(1)([0-9]{1,9}) )([0-9]{1,9})\r\n")
"""Headers, subject, number, where an answer goes, bytes of the headers, bytes of it all."""
_MESSAGES = b"MSG", b"HMSG"

Heard = Callable[[Message], None]


class NotNats(VykedError):
    """What came is nothing that a NATS server sends."""


class Parser:
    """`heard` is who subscribed, by number; a message for a number that is not there is left out. `control` is given every other
    line, and may raise NotNats. `failed` is called, in its except block, when one of those who subscribed raised."""

    def __init__(
        self, heard: Mapping[bytes, Heard], control: Callable[[bytes], None], failed: Callable[[], None]
    ) -> None:
        self._heard, self._control, self._failed = heard, control, failed
        self.ahead: Callable[[bytes], int] | None = None
        """Who may take whole messages that stand at the beginning, many at once; answers how far they were."""
        self._kept: list[bytes] = []
        self._missing = 0

    def feed(self, data: bytes) -> None:
        """The next bytes. Raises NotNats."""
        if self._kept:
            self._kept.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join(self._kept)
            self._kept.clear()
        at = self._taken(data)
        if at < len(data):
            self._kept.append(data[at:])

    def _taken(self, data: bytes) -> int:
        """Give away whatever of it is whole; how far that was. So many bytes are `_missing` then, at least."""
        at, who, match = 0 if self.ahead is None else self._ahead(self.ahead, data), self._heard.get, _MESSAGE.match
        while True:
            if (line := match(data, at)) is None:
                if (end := data.find(CRLF, at)) < 0:
                    break
                self._say(data[at:end])
                at = end + 2
                continue
            _, sent_to, number, answer_to, head, size = line.groups()
            start = body = line.end()
            stop = start + int(size)
            if head is not None:
                body += int(head)
                if body > stop:
                    raise unreadable(line[0])
            if not data.startswith(CRLF, stop):
                self._await_rest(data, at, start - 2, stop)
                return at
            at = stop + 2
            if (take := who(number)) is not None:
                try:
                    take(Message(sent_to, answer_to or b"", data[body:stop], data[start:body]))
                except Exception:  # noqa: BLE001 - told; one message's failure is not that of those behind it
                    self._failed()
        self._missing = 1
        if len(data) - at > LONGEST_LINE + 1:  # one byte of its end may be there
            raise unreadable(data[at:])
        return at

    def _ahead(self, take: Callable[[bytes], int], data: bytes) -> int:
        try:
            return take(data)
        except Exception:  # noqa: BLE001 - told, as of one message
            self._failed()
            return 0

    def _say(self, line: bytes) -> None:
        if len(line) > LONGEST_LINE or line.startswith(_MESSAGES):
            raise unreadable(line)
        self._control(line)

    def _await_rest(self, data: bytes, at: int, end: int, stop: int) -> None:
        """A message has no end: it is yet to come."""
        self._missing = stop + len(CRLF) - len(data)
        if stop - end > LARGEST_MESSAGE or self._missing <= 0 or not CRLF.startswith(data[stop:]):
            raise unreadable(data[at:end])


def unreadable(line: bytes) -> NotNats:
    """The error for it."""
    shown = repr(line[:SHOWN])[1:] + ("..." if len(line) > SHOWN else "")
    return NotNats(f"the server sent what no NATS server sends: {shown}")
