"""`contracts.Net` over subjects: who listens does so on a subject of its own, who connects asks there for a link. One connection to the
servers carries them all; it stands for as long as anybody listens or is linked."""

from __future__ import annotations

import asyncio
import errno
import secrets
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

from vyked_host import StartError
from vyked_host.contracts import Environment

from ..connection import Connection, Subscription
from ..jetstream.api import is_unheard
from ..keeper import Keeper
from ..line import Line, NoAnswer
from ..message import Message
from ..server import Servers, Unreachable
from .link import LOST, PROBE, SubjectLink

OPEN = b"O"
SCHEME = "nats:"
PROBES = 4
"""How often within ``[timing] ping`` it is asked whether the other end of a link is there."""
MOST_PROBE_S = 1.0
AGAIN_S = 0.05
"""Between two questions to a host that is not back yet."""
LONGER = 2.0
"""A host's last wait for its servers is no longer than so many times that they were away: waits grow by 1.6 (`keeper`)."""
NO_TLS = (
    "[security.tls] can't be used over subjects, which have no host names: use tls:// for the NATS servers and [security] secret, "
    "or leave this transport out"
)
Accept = Callable[[], asyncio.BaseProtocol]


class SubjectServer(asyncio.AbstractServer):
    """Who listens: `subject` is where."""

    def __init__(self, net: SubjectNet, subject: str, accept: Accept) -> None:
        self._net, self.subject, self.accept = net, subject, accept
        self.handle: Subscription | None = None
        self._closed = asyncio.Event()
        self._is_closing = False

    @property
    def sockets(self) -> tuple[Any, ...]:
        """None that others could dial; who asks for the name of one gets this."""
        return (self,)

    def getsockname(self) -> tuple[str, int]:
        """A host and a port that mean nothing."""
        return ("127.0.0.1", 0)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The one that runs."""
        return asyncio.get_running_loop()

    async def start_serving(self) -> None:
        """It does from the beginning."""

    async def serve_forever(self) -> None:
        """Until it is closed."""
        await self._closed.wait()

    def is_serving(self) -> bool:
        """Not closed yet?"""
        return not self._is_closing

    def close(self) -> None:
        """Accept nothing more. Idempotent."""
        if not self._is_closing:
            self._is_closing = True
            self._net.deaf(self, self._closed.set)

    async def wait_closed(self) -> None:
        """Wait until the servers know."""
        await self._closed.wait()


class SubjectNet:
    """Of one transport."""

    def __init__(self, servers: Servers, env: Environment, root: str) -> None:
        self._servers, self._env, self._root = servers, env, root
        self._keeper: Keeper | None = None
        self._line: Line | None = None
        self._came = asyncio.Event()
        self._inbox = ""
        self._number = 0
        self._links: dict[str, SubjectLink] = {}
        self._listening: list[SubjectServer] = []
        self._dialling = 0
        self._was_away = f"{servers.place}: not connected yet"
        self._left_at: float | None = None
        self._settled_at = 0.0
        self._forget_probe: Callable[[], None] | None = None

    @property
    def subject(self) -> str:
        """Where it began to listen last."""
        return self._listening[-1].subject

    # ---- contracts.Net -------------------------------------------------------------------------------------------------
    async def listen(self, _uri: str, link: Accept, tls: ssl.SSLContext | None) -> SubjectServer:
        """Listen on a subject of its own. Raises StartError when no server can be reached."""
        if tls is not None:
            raise StartError(f"[transports.{self._env.name}]: {NO_TLS}")
        server = SubjectServer(self, f"{self._root}.{secrets.token_hex(12)}", link)
        self._listening.append(server)
        try:
            async with asyncio.timeout(self._env.timing.dial):
                line = await self._connected()
                heard = asyncio.Event()
                line.echo(lambda _cause: heard.set())
                await heard.wait()
        except TimeoutError:
            keeper = self._keeper  # which is let go of where nobody else needs it
            server.close()
            away, todo = (keeper.away, keeper.todo) if keeper is not None else (self._servers.place, Unreachable.todo)
            todo = todo.format(table=f"transports.{self._env.name}")
            raise StartError(
                f"the transport 'nats' can't be used: {away}; {todo}, or leave this transport out"
            ) from None
        return server

    async def connect(self, uri: str, link: Accept, tls: ssl.SSLContext | None) -> None:
        """Ask on the subject of `uri` for a link. Raises OSError."""
        if tls is not None:
            raise OSError(NO_TLS)
        self._dialling += 1
        try:
            while not await self._linked(uri.removeprefix(SCHEME), link):
                pass  # the next waits for a connection, or has waited for the other end
        finally:
            self._dialling -= 1
            self._release()

    async def _linked(self, subject: str, link: Accept) -> bool:
        """Ask once; False: it is to be asked again, for who listens there may have lost the servers as this host did. Raises OSError."""
        line = await self._connected()
        own = self._own()
        answer: asyncio.Future[Message | NoAnswer] = asyncio.get_running_loop().create_future()
        line.ask(subject, OPEN + own.encode(), partial(_answered, answer))
        found = await answer
        if isinstance(found, NoAnswer):
            if found.denied:
                raise ConnectionAbortedError(found.cause)
            return False
        if is_unheard(found) or not found.reply:
            if self._is_settled():
                raise ConnectionRefusedError(errno.ECONNREFUSED, "nobody listens there")
            await asyncio.sleep(AGAIN_S)
            return False
        self._made(line, own, found.reply, "").start(link())
        return True

    # ---- links -----------------------------------------------------------------------------------------------------------
    def _own(self) -> str:
        self._number += 1
        return f"{self._inbox}.{self._number}"

    def _made(self, line: Line, own: str, peer: str, who: str) -> SubjectLink:
        def post(payload: bytes) -> None:
            line.client.publish(peer, payload, own)

        link = SubjectLink(post, partial(self._over, own), who or peer.rpartition(".")[0], line.client.max_payload)
        self._links[own] = link
        self._probe_soon()
        return link

    def _over(self, own: str) -> None:
        self._links.pop(own, None)
        self._release()

    def _opened(self, server: SubjectServer, message: Message) -> None:
        line, peer = self._line, message.data[1:].decode("ascii", "replace")
        if line is None or not server.is_serving() or not message.reply or message.data[:1] != OPEN:
            return
        own = self._own()
        link = self._made(line, own, peer, "")
        line.client.publish(message.reply, b"", own)
        link.start(server.accept())

    def _heard(self, message: Message) -> None:
        link = self._links.get(message.subject)
        if link is None:
            if message.reply and message.data[:1] != LOST and self._line is not None:
                self._line.client.publish(message.reply, LOST)
        elif is_unheard(message):
            link.lost(ConnectionResetError("the other end is gone"))
        elif message.data[:1] != PROBE:
            link.heard(message.data)

    def _probe_soon(self) -> None:
        if self._forget_probe is None:
            pause = min(MOST_PROBE_S, self._env.timing.ping / PROBES)
            self._forget_probe = self._env.clock.at(self._env.clock.now() + pause, self._probe)

    def _probe(self) -> None:
        self._forget_probe = None
        for link in list(self._links.values()):
            link.ask()
        if self._links:
            self._probe_soon()

    # ---- is it this end? ------------------------------------------------------------------------------------------------
    @property
    def away(self) -> str:
        """Why nobody can be judged who was asked for now: this host has no connection, or has it back only now; "" otherwise."""
        if self._line is None:
            return f"no connection: {self._keeper.away if self._keeper is not None else self._was_away}"
        return "" if self._is_settled() else "this host has its connection back, and that one not yet"

    def _is_settled(self) -> bool:
        """May all that lost the servers when this host did be expected to be connected again?"""
        return self._env.clock.now() >= self._settled_at

    # ---- the connection --------------------------------------------------------------------------------------------------
    async def _connected(self) -> Line:
        if self._keeper is None:
            keeper = self._keeper = Keeper(
                f"transport {self._env.name}",
                self._servers,
                self._env,
                joined=self._joined,
                left=lambda cause: self._left(keeper, cause),
                told=_ignore,
            )
            keeper.begin()
        while self._line is None:
            self._came.clear()
            await self._came.wait()
        return self._line

    def _joined(self, line: Line) -> None:
        self._line, self._inbox = line, line.client.new_inbox()
        if self._left_at is not None:
            now, timing = self._env.clock.now(), self._env.timing
            self._settled_at = now + min(timing.ping, LONGER * (now - self._left_at)) + timing.dial
            self._left_at = None
        line.client.subscribe(f"{self._inbox}.*", self._heard)
        for server in self._listening:
            line.send(partial(self._served, server))
        self._came.set()

    def _served(self, server: SubjectServer, client: Connection) -> None:
        if server.is_serving():
            server.handle = client.subscribe(server.subject, partial(self._opened, server))

    def _left(self, keeper: Keeper, cause: str) -> None:
        if keeper is not self._keeper:  # nobody needed it any more
            return
        self._line = None
        self._left_at = self._env.clock.now()
        for link in list(self._links.values()):
            link.lost(ConnectionResetError(cause))

    def deaf(self, server: SubjectServer, ended: Callable[[], None]) -> None:
        """Nobody listens there any more; `ended` is called when the servers know."""
        self._listening = [each for each in self._listening if each is not server]
        line, handle = self._line, server.handle
        if line is None or handle is None:
            ended()
        else:
            handle.unsubscribe()
            line.echo(lambda _cause: ended())
        self._release()

    def _release(self) -> None:
        """Nobody needs the connection: it ends, once what was said has gone out."""
        if not (self._links or self._listening or self._dialling) and self._keeper is not None:
            keeper, self._keeper = self._keeper, None
            line, self._line = self._line, None
            self._was_away, self._left_at = keeper.away, None
            self._env.tasks(self._ended(keeper, line), f"nats: end of transport {self._env.name}")

    async def _ended(self, keeper: Keeper, line: Line | None) -> None:
        if line is not None:
            gone = asyncio.Event()
            line.echo(lambda _cause: gone.set())
            try:
                async with asyncio.timeout(self._env.timing.pong):
                    await gone.wait()
            except TimeoutError:
                self._env.log.info("transport %s: the server does not answer; the connection is cut", self._env.name)
        await keeper.aclose()


def _answered(answer: asyncio.Future[Message | NoAnswer], found: Message | NoAnswer) -> None:
    if not answer.done():
        answer.set_result(found)


def _ignore(_error: str) -> None:
    """Whoever waits for an answer is told."""
