"""One message as it came from the server. Nothing of it is decoded before somebody asks: most are events, of which only `data` is
looked at.
"""

from __future__ import annotations

import msgspec

FIRST_LINE = b"NATS/1.0"
STATUS, DESCRIPTION = "Status", "Description"
CRLF = b"\r\n"


class Message(msgspec.Struct, gc=False, eq=False):
    """`sent_to` and `answer_to` are subjects in bytes, `head` is the block of headers, each empty where there is none."""

    sent_to: bytes
    answer_to: bytes
    data: bytes
    head: bytes = b""

    @property
    def subject(self) -> str:
        """Where it was sent to. Subjects are bytes to a server: what is no UTF-8 comes through, and goes back, as surrogates."""
        return self.sent_to.decode("utf-8", "surrogateescape")

    @property
    def reply(self) -> str:
        """Where an answer goes, "" where none is wanted."""
        return self.answer_to.decode("utf-8", "surrogateescape")

    @property
    def headers(self) -> dict[str, str]:
        """By name; the server's own word is under `STATUS`, with a `DESCRIPTION`. What is no header is left out: publishers may
        write what they like there, and the server looks at none of it."""
        first, _, rest = self.head.partition(CRLF)
        if not first.startswith(FIRST_LINE):
            return {}
        found = _said(first[len(FIRST_LINE) :].strip())
        for line in rest.split(CRLF):
            name, colon, value = line.partition(b":")
            if colon and (name := name.strip()) and name.isascii() and len(name.split()) == 1:
                found[name.decode()] = value.strip().decode("utf-8", "replace")
        return found


def header(name: str, value: str) -> bytes:
    """One line of a block of headers: nothing in `value` ends it."""
    return f"{one_line(name)}: {one_line(value)}\r\n".encode()


def one_line(value: str) -> str:
    """`value` as it may stand in a header. Most are printed as they are."""
    return value.strip() if value.isprintable() else value.strip().replace("\r", " ").replace("\n", " ")


def block(*lines: bytes) -> bytes:
    """A block of headers."""
    return b"%b\r\n%b\r\n" % (FIRST_LINE, b"".join(lines))


def _said(inline: bytes) -> dict[str, str]:
    """A status, which stands behind the version: ``503`` or ``100 Idle Heartbeat``."""
    number, _, text = inline.partition(b" ")
    if not number.isdigit():
        return {}
    found = {STATUS: number.decode()}
    if text:
        found[DESCRIPTION] = text.strip().decode("utf-8", "replace")
    return found
