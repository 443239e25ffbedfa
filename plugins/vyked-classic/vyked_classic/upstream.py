"""A service's registration at an old registry: one connection, kept, and everything said over it.

The registry answers a ping only while it knows the service. So a service that it has lost, or forgot in a restart, finds out by its
silence, connects anew and registers again; a connection that is lost is made again at once, with growing pauses.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from vyked_host import Unavailable
from vyked_host.contracts import Backoff, Environment

from .address import bracketed
from .link import Link
from .options import RegistryOptions
from .transport import connect
from .wire import speech
from .wire.packets import FAULTS, Packet, params_of

AGAIN = Backoff(first=1.0, most=32.0, factor=2.0)
"""Pauses between tries to reach the registry, in seconds: at most those of Vyked 2.x."""
MISSED = 2
"""Pings without an answer after which the service registers anew."""
ANY = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - recognised, so that something that can be dialled is said instead
Told = Callable[[Packet, Any], None]


class Entry(NamedTuple):
    """One service as an old registry knows it; `needs`: (name, version as it asks for it); `kind`: tcp or http."""

    name: str
    version: str
    host: str
    port: int
    node_id: str
    needs: tuple[tuple[str, str], ...]
    kind: str


class UpLink(Link):
    """One connection to a registry."""

    def __init__(self, env: Environment, options: RegistryOptions, told: Told) -> None:
        super().__init__(env, options.packet, options.dialect)
        self._told = told
        self.over = asyncio.Event()
        self.ponged = asyncio.Event()

    @property
    def here(self) -> str:
        """This machine's address on the way to the registry."""
        name = self._transport.get_extra_info("sockname") if self._transport is not None else None
        return str(name[0]) if isinstance(name, tuple) else "127.0.0.1"

    def heard(self, packet: Packet) -> None:
        """A word of the registry."""
        if packet.type == "pong":
            self.ponged.set()
        elif packet.type == "ping":
            self.send(speech.pong(packet.node_id))
        else:
            self._read(packet)

    def _read(self, packet: Packet) -> None:
        try:
            params = params_of(packet)
        except KeyError:
            return  # a type that no service is told of
        except FAULTS as error:
            self.env.log.warning("the registry at %s sends a %s that can't be read: %s", self.peer, packet.type, error)
            return
        self._told(packet, params)

    def lost(self, why: str) -> None:
        """The connection is over."""
        self.over.set()


class Registration:
    """Keeps one service registered. `told` gets what the registry says to it; `wishes` are its xsubscriptions."""

    def __init__(
        self, entry: Entry, options: RegistryOptions, env: Environment, told: Callable[[Registration, Packet, Any], None]
    ) -> None:  # fmt: skip
        self.entry, self._options, self._env, self._told = entry, options, env, told
        self.wishes: list[speech.Fields] = []
        self._link: UpLink | None = None
        self._asked: dict[str, asyncio.Future[Any]] = {}
        self._cause = ""
        self.answered = asyncio.Event()  # there was an answer of this registry to this service
        self._cancel = env.tasks(self._keep(), f"registration of {entry.name} {entry.version} ({entry.kind})")

    # ---- asking ------------------------------------------------------------------------------------------------------
    async def subscribers(self, event: str, version: str, within: float) -> Sequence[Any]:
        """Who has xsubscribed to an event of this service. Raises Unavailable."""
        if self._link is None:
            raise Unavailable(f"the registry is not connected: {self._cause}", executed="not_sent")
        request_id = str(uuid.uuid4())
        answer = self._asked[request_id] = asyncio.get_running_loop().create_future()
        self._link.send(speech.get_subscribers(self.entry.name, version, event, request_id, self._options.dialect))
        try:
            async with asyncio.timeout(within):
                found: Sequence[Any] = (await answer).subscribers
                return found
        except TimeoutError as error:
            raise Unavailable("the registry did not answer in time", executed="unknown") from error
        finally:
            self._asked.pop(request_id, None)

    def _heard(self, packet: Packet, params: Any) -> None:
        self.answered.set()
        waiting = self._asked.get(packet.request_id or "")
        if waiting is not None and not waiting.done():
            waiting.set_result(params)
        elif packet.request_id is None:
            self._told(self, packet, params)

    # ---- being known -------------------------------------------------------------------------------------------------
    async def _keep(self) -> None:
        attempt = 0
        while True:
            link = await self._connect()
            if link is not None:
                attempt = 0
                self._link = link
                self._register(link)
                await self._stay(link)
                self._link = None
                self._complain(link.why or "the connection was lost")
            await asyncio.sleep(AGAIN.delay(attempt, self._env.rng.random()) * self._scale)
            attempt += 1

    @property
    def _scale(self) -> float:
        return min(1.0, self._env.timing.scale)

    async def _connect(self) -> UpLink | None:
        options = self._options
        link = UpLink(self._env, options, self._heard)
        try:
            await connect(
                self._env, f"tcp://{bracketed(options.host)}:{options.port}", link,
                self._env.clock.now() + self._env.timing.dial, self._env.tls("client"),
            )  # fmt: skip
        except Unavailable as error:
            self._complain(str(error))
            return None
        self._cause = ""
        return link

    def _complain(self, cause: str) -> None:
        if cause != self._cause:
            self._cause = cause
            entry, options = self.entry, self._options
            self._env.log.warning(
                "%s %s is not registered at %s:%d: %s; trying again", entry.name, entry.version, options.host, options.port, cause
            )  # fmt: skip

    def _register(self, link: UpLink) -> None:
        entry, dialect = self.entry, self._options.dialect
        host = link.here if entry.host in ANY else entry.host
        me = (entry.name, entry.version, host, entry.port, entry.node_id)
        link.send(speech.register(*me, entry.needs, entry.kind, dialect))
        link.send(speech.xsubscribe(*me, self.wishes, dialect))

    async def _stay(self, link: UpLink) -> None:
        """Until the connection is over, or the registry does not know this service any more."""
        timing, missed = self._env.timing, 0
        while not await _within(link.over, timing.heartbeat):
            link.ponged.clear()
            link.send(speech.ping("registry", {self.entry.kind: self.entry.node_id}))
            missed = 0 if await _within(link.ponged, max(timing.lease - timing.heartbeat, 0.01)) else missed + 1
            if missed >= MISSED:
                link.close("the registry does not answer for this service: registering anew")
                return

    async def aclose(self, *, says_so: bool) -> None:
        """End it; `says_so`: tell the registry that the service is gone, which those of Vyked 2.x ignore."""
        link, self._link = self._link, None
        if link is not None:
            if says_so:
                entry = self.entry
                link.send(speech.deregister(entry.name, entry.version, entry.node_id, self._options.dialect))
            link.close()
        self._cancel()


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """Was `event` set within `seconds`?"""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
