"""One connection at work, once it is logged in (:mod:`login`). What is sent in one turn of the loop goes out in one write, in order; what
comes is given to whoever subscribed, in the turn in which it was read.

A server works off what one client sends in order, so the answer to a PING proves that it has taken all that went before.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from nats.errors import Error as NatsError
from nats.errors import UnexpectedEOF

from .login import Wire
from .message import block, header
from .parser import Heard, NotNats, Parser, unreadable

ON_ITS_WAY = 256 << 10
"""Bytes that the socket has not taken, beyond which who has more to publish waits."""
LASTING = "permissions violation"
"""What a server complains of and goes on after; all else ends the connection."""
ANY = ("utf-8", "surrogateescape")
Returned = Callable[[str | None], None]
"""Called once: with None, or with why it will never be so."""


class Info(msgspec.Struct):
    """What a server says of itself, as far as we ask. `ldm`: it is about to end ("lame duck")."""

    server_id: str = ""
    version: str = ""
    max_payload: int = 1 << 20
    cluster: str = ""
    ldm: bool = False


class Watch:
    """Who is told what becomes of a connection."""

    def told(self, error: Exception) -> None:
        """The server reports an error, and goes on."""

    def retires(self) -> None:
        """The server is about to end."""

    def ended(self) -> None:
        """It is over. Called once."""


class Subscription:
    """What one `subscribe` gave."""

    __slots__ = ("_connection", "number")

    def __init__(self, connection: Connection, number: bytes) -> None:
        self._connection, self.number = connection, number

    def stop(self) -> None:
        """Nothing new; what is on its way still comes."""
        self._connection.send(b"UNSUB %b\r\n" % self.number)

    def forget(self) -> None:
        """What still comes goes to nobody."""
        self._connection.heard.pop(self.number, None)

    def unsubscribe(self) -> None:
        """Nothing more."""
        self.stop()
        self.forget()


class Connection(asyncio.Protocol):
    """`told` is what the server said of itself when we logged in, `wire` what that was done over. Raises NotNats."""

    def __init__(self, told: dict[str, Any], wire: Wire, watch: Watch, url: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self.transport, self._watch, self.connected_url = wire.transport, watch, url
        self._told = told
        self._know(told)
        self.heard: dict[bytes, Heard] = {}
        self._parser = Parser(self.heard, self._said, self._failed)
        self._subscribed = self.chunks = 0
        self._out: list[bytes] = []
        self._is_due = self.is_full = self.is_over = False
        self._pongs: deque[Returned] = deque()
        self.roomy: Callable[[], None] = _nothing
        self.last_error: Exception | None = None
        self.over: asyncio.Future[None] = self._loop.create_future()
        self._take_over(wire)

    def _take_over(self, wire: Wire) -> None:
        self.transport.set_protocol(self)
        self.transport.set_write_buffer_limits(high=ON_ITS_WAY)
        if wire.came:
            self._loop.call_soon(self.data_received, bytes(wire.came))
        if wire.has_ended:
            self._loop.call_soon(self._ended_before, wire.error)

    def _ended_before(self, error: Exception | None) -> None:
        self.eof_received()
        self.transport.abort()
        self.connection_lost(error)

    # ---- out ---------------------------------------------------------------------------------------------------------
    def publish(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send one message."""
        where = f"{subject} {reply}" if reply else subject
        if headers:
            head = block(*(header(name, value) for name, value in headers.items()))
            sizes = b"%d %d" % (len(head), len(head) + len(payload))
            self.send(b"HPUB %b %b\r\n%b%b\r\n" % (where.encode(*ANY), sizes, head, payload))
        else:
            self.send(publication(where, payload))

    def subscribe(self, subject: str, heard: Heard) -> Subscription:
        """From now on."""
        self._subscribed += 1
        number = b"%d" % self._subscribed
        self.heard[number] = heard
        self.send(b"SUB %b %b\r\n" % (subject.encode(*ANY), number))
        return Subscription(self, number)

    def take_ahead(self, ahead: Callable[[bytes], int]) -> None:
        """Let `ahead` see what comes before it is taken apart (:class:`parser.Parser`)."""
        self._parser.ahead = ahead

    def ping(self, returned: Returned) -> None:
        """`returned` is called when the server has taken all that was sent before."""
        if self.is_over:
            returned("the connection is over")
            return
        self._pongs.append(returned)
        self.send(b"PING\r\n")

    def forget_pings(self, cause: str) -> None:
        """No answer comes any more, for this reason."""
        pongs, self._pongs = self._pongs, deque()
        for each in pongs:
            each(cause)

    def send(self, data: bytes) -> None:
        """At the end of this turn of the loop, in one write with all else."""
        self._out.append(data)
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self.flush)

    def send_all(self, data: list[bytes]) -> None:
        """Likewise, in this order."""
        self._out += data
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Now."""
        self._is_due = False
        out, self._out = self._out, []
        if out and not self.transport.is_closing():
            self.transport.write(out[0] if len(out) == 1 else b"".join(out))

    @staticmethod
    def new_inbox() -> str:
        """A subject that nobody else has."""
        return f"_INBOX.{secrets.token_hex(11)}"

    # ---- asyncio.Protocol ----------------------------------------------------------------------------------------------
    def data_received(self, data: bytes) -> None:
        """The next bytes."""
        self.chunks += 1
        try:
            self._parser.feed(data)
        except NotNats as error:
            self.fail(error)

    def pause_writing(self) -> None:
        """The socket does not take what there is."""
        self.is_full = True

    def resume_writing(self) -> None:
        """It does again."""
        self.is_full = False
        self.roomy()

    def eof_received(self) -> None:
        """The server has closed its end."""
        self.last_error = self.last_error or UnexpectedEOF()

    def connection_lost(self, error: Exception | None) -> None:
        """It is over."""
        if self.is_over:
            return
        self.is_over = True
        self.last_error = self.last_error or error
        self.heard.clear()
        self._out.clear()
        self.over.set_result(None)
        self._watch.ended()

    # ---- what the server says --------------------------------------------------------------------------------------------
    def _said(self, line: bytes) -> None:
        verb, _, rest = line.partition(b" ")
        if verb == b"PONG":
            if not self._pongs:
                raise NotNats("the server answers a PING that it was not sent")
            self._returned(self._pongs.popleft())
        elif verb == b"PING":
            self.send(b"PONG\r\n")
        elif verb == b"-ERR":
            self._complains(rest.strip().strip(b"'").decode("utf-8", "replace"))
        elif verb == b"INFO":
            self._informs(rest)
        elif verb != b"+OK":
            raise unreadable(line)

    def _returned(self, returned: Returned) -> None:
        try:
            returned(None)
        except Exception:  # noqa: BLE001 - told; it is no failure of the connection
            self._failed()

    def _complains(self, text: str) -> None:
        error = NatsError(f"nats: {text}")
        if text.lower().startswith(LASTING):
            self._watch.told(error)
        else:
            self.fail(error)

    def _informs(self, rest: bytes) -> None:
        try:
            self._told |= json.loads(rest)
        except (ValueError, TypeError, RecursionError):
            raise NotNats(f"the server tells of itself what is no JSON object: {rest[:60]!r}") from None
        self._know(self._told)
        if self.info.ldm:
            self._watch.retires()

    def _know(self, told: dict[str, Any]) -> None:
        try:
            self.info = msgspec.convert(told, Info)
        except msgspec.ValidationError as error:
            raise NotNats(f"the server tells of itself what can't be: {error}") from None
        self.max_payload = self.info.max_payload
        """Bytes that the server takes in one message, headers included."""

    def _failed(self) -> None:
        """In an except block: one of ours could not take a message."""
        self._loop.call_exception_handler({"message": "a NATS message was not taken", "exception": sys.exception()})

    # ---- the end -----------------------------------------------------------------------------------------------------------
    def fail(self, error: Exception) -> None:
        """End it at once, for this reason."""
        self.last_error = error
        self._end()

    async def aclose(self, within: float) -> None:
        """End it once everything is written, for which it has so many seconds. Idempotent."""
        if self.is_over:
            return
        self.flush()
        self.transport.close()
        try:
            await asyncio.wait({self.over}, timeout=within)
        except asyncio.CancelledError:
            self._loop.call_later(within, self._end)  # it has its time all the same
            raise
        self._end()

    def _end(self) -> None:
        if not self.is_over:
            self.transport.abort()


def publication(where: str, payload: bytes) -> bytes:
    """What publishes one message without headers."""
    return b"PUB %b %d\r\n%b\r\n" % (where.encode(*ANY), len(payload), payload)


def _nothing() -> None:
    """Nobody waits."""
