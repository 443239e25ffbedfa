"""One shared connection to each node (more where a client asks for them), dialled when first needed; calls inside this node take
the dispatcher itself.

A node may listen on several addresses: local before unix before tcp before the others. A channel that retires (GOAWAY, loss)
is dropped at once; the next call dials again. Two calls that need the same node share one dial.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Protocol, runtime_checkable

from ..contracts import Channel, Running, Sink
from ..errors import DeadlineExceeded, NotConnected, NotFound, Unavailable, VykedError
from ..model.description import EndpointDescription, Kind, Surface
from ..model.message import Call, Fault
from ..model.topology import Address, Generation, NodeRecord, is_earlier
from .dispatcher import Dispatcher

log = logging.getLogger("vyked")
Dial = Callable[[Address, float], Awaitable[Channel]]
Ends = tuple[Channel, int, str, Callable[[Any], Any], Callable[[Any], Any]]
"""What calls an endpoint: the channel, the endpoint's index and codec there, what encodes and decodes."""
OBJECT = "object"
LONGEST_CALL_S = 600.0
"""No deadline is further away than this (docs/semantics.md, deadlines)."""
_ORDER = {"local": 0, "unix": 1, "tcp": 2}


@runtime_checkable
class CountsCalls(Protocol):
    """A channel that knows how many calls wait for answers on it."""

    def in_flight(self) -> int:
        """Calls that have no answer yet."""
        ...


def _uncounted() -> int:
    return 0


def by_preference(addresses: tuple[Address, ...], only: str | None) -> list[Address]:
    """The addresses to try, best first; `only` keeps those of one transport."""
    wanted = [each for each in addresses if only is None or each.transport == only]
    return sorted(wanted, key=lambda each: _ORDER.get(each.uri.partition(":")[0], 3))


class LocalChannel:
    """Calls inside one node: the dispatcher, without a socket."""

    codec = OBJECT

    def __init__(self, dispatcher: Dispatcher, node_id: str, encoded: str) -> None:
        self._dispatcher, self.node_id, self._encoded = dispatcher, node_id, encoded
        self.new_id = count(1).__next__
        """Numbers of calls."""
        self.generation: Generation | None = None
        self.retired: asyncio.Future[Fault | None] = asyncio.get_running_loop().create_future()

    @property
    def surface(self) -> Surface:
        """What this node serves."""
        return self._dispatcher.surface()

    def endpoint(self, wanted: EndpointDescription) -> int:
        """The index of `wanted`. Raises NotFound naming what exists."""
        found = self._dispatcher.find(wanted)
        if found is None:
            raise unknown_endpoint(wanted, self.surface)
        return found

    def codec_for(self, wanted: EndpointDescription, index: int) -> str:
        """Objects are handed over where both sides mean the same types; a contract, or a client by name, has types of its
        own, so its calls are encoded as they would be on any other way."""
        served = self._dispatcher.endpoint(index)
        same = served.arguments is wanted.arguments and served.result == wanted.result
        return OBJECT if same else self._encoded

    def dispatch(self, call: Call, sink: Sink) -> Running | None:
        """Run it here."""
        call.id = self.new_id()
        return self._dispatcher.dispatch(call, sink, self._dispatcher.start_inside)

    async def aclose(self) -> None:
        """Nothing to close."""


def unknown_endpoint(wanted: EndpointDescription, surface: Surface) -> NotFound:
    """The error that names what exists."""
    served = [each for each in surface.endpoints if each is not None and each.service == wanted.service]
    known = ", ".join(sorted({each.name for each in served}))
    text = f"{wanted.path} does not exist" + (f"; {wanted.service} has: {known}" if known else " at that node")
    return NotFound(text, service=wanted.service, method=wanted.name, executed="not_executed")


class Way:
    """One shared connection to one node; dialled when first needed, again after it retired."""

    def __init__(self, link: Link, dial: Dial, dial_s: float, only: str | None) -> None:
        self._link, self._dial, self._dial_s, self._only = link, dial, dial_s, only
        self.channel: Channel | None = None
        self.away = ""
        """Why the transport could not even try, when it was asked last (NotConnected); "" when it could."""
        self._waiting = 0
        self._in_flight: Callable[[], int] = _uncounted
        self.known: dict[int, tuple[int, str]] = {}
        """What was agreed on this channel: id(endpoint) -> its index and codec there."""
        self.ends: dict[object, Ends] = {}
        """The same by whoever calls it, put together."""
        self._wanted: list[EndpointDescription] = []  # by identity, so each of them is kept
        self._warned: set[int] = set()
        self._dialling: asyncio.Future[Channel] | None = None
        self._closed = False
        self._retiring: weakref.WeakSet[Channel] = weakref.WeakSet()  # calls may still run on them

    def agreed(self, channel: Channel, wanted: EndpointDescription) -> tuple[int, str]:
        """The index and the codec to call `wanted` with on `channel`, `known` from now on. Raises NotFound."""
        found = self.known.get(id(wanted))
        if found is None:
            index = channel.endpoint(wanted)
            codec = channel.codec_for(wanted, index) if isinstance(channel, LocalChannel) else channel.codec
            found = (index, "raw" if wanted.kind is Kind.HTTP else codec)
            self.known[id(wanted)] = found
            self._wanted.append(wanted)
            self._warn(channel, index)
        return found

    def _warn(self, channel: Channel, index: int) -> None:
        """Tell the people of a caller once per channel that an endpoint will go; what is raw is no row of the surface."""
        endpoints = channel.surface.endpoints
        served = endpoints[index] if index < len(endpoints) else None
        if served is None or not served.deprecated or index in self._warned:
            return
        self._warned.add(index)
        instead = f", New API: {served.replacement}" if served.replacement else ""
        log.warning("Deprecated API: %s%s", served.path, instead, extra={"node": channel.node_id})

    def _forget(self) -> None:
        """What was agreed and said on a channel that is no longer used."""
        self.known.clear()
        self.ends.clear()
        self._wanted.clear()
        self._warned.clear()

    async def open(self, deadline: float) -> Channel:
        """The channel, dialled if need be: one dial for all who wait, each until its own deadline. Raises Unavailable naming
        each address and why, NotConnected where one of them may be reached once its transport is back, DeadlineExceeded; all `not_sent`."""
        if self.channel is not None:
            return self.channel
        if self._closed:
            raise self._gone()
        if self._dialling is None:
            self._dialling = asyncio.ensure_future(self._connect())
            self._dialling.add_done_callback(self._dialled)
        dialling = self._dialling
        self._waiting += 1
        try:
            await asyncio.wait({dialling}, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
        finally:
            self._waiting -= 1
        if self._closed:
            raise self._gone()
        if not dialling.done():
            text = f"the deadline passed while node {self._link.record.node_id} was dialled"
            raise DeadlineExceeded(f"{text} ({self.away})" if self.away else text, executed="not_sent")
        return dialling.result()

    def in_flight(self) -> int:
        """Calls that wait here, for answers or for the dial."""
        return self._in_flight() + self._waiting

    def _gone(self) -> Unavailable:
        text = f"the way to node {self._link.record.node_id} is closed: that node left, or this host stops"
        return Unavailable(text, executed="not_sent")

    async def _connect(self) -> Channel:
        record, tried, kind = self._link.record, list[str](), Unavailable
        for address in by_preference(record.addresses, self._only):
            try:
                channel = await self._dial(address, asyncio.get_running_loop().time() + self._dial_s)
            except (VykedError, OSError, TimeoutError) as error:
                text = str(error) or type(error).__name__
                kind = NotConnected if isinstance(error, NotConnected) else kind
                tried.append(text if text.startswith(address.uri) else f"{address.uri}: {text}")
                continue
            if not (other := self._somebody_else(channel, record)):
                self.away = ""
                return channel
            await channel.aclose()
            tried.append(f"{address.uri}: {other} answers there now")
        cause = "; ".join(tried) or f"it has no address for {self._only or 'this host to dial'}"
        self.away = cause if kind is NotConnected else ""
        raise kind(f"node {record.node_id} can't be reached ({cause})", executed="not_sent")

    def _somebody_else(self, channel: Channel, record: NodeRecord) -> str:
        """Who it is that answers, when it is not the node: an address is no identity, and a node id outlives its process where it
        was given. An earlier life than the one that is known was taken for dead; a later one is known soon."""
        if channel.node_id != record.node_id:
            return f"node {channel.node_id}"
        return "an earlier life of it" if is_earlier(channel.generation, self._link.generation) else ""

    def _dialled(self, done: asyncio.Future[Channel]) -> None:
        self._dialling = None
        if done.cancelled() or done.exception() is not None:
            return
        self._forget()
        channel = self.channel = done.result()
        self._in_flight = channel.in_flight if isinstance(channel, CountsCalls) else _uncounted
        channel.retired.add_done_callback(lambda _: self._retired(channel))

    def _retired(self, channel: Channel) -> None:
        self._retiring.add(channel)
        if self.channel is channel:
            self.channel, self._in_flight = None, _uncounted
            self._forget()

    @property
    def is_used(self) -> bool:
        """Calls may be running on it."""
        return self.channel is not None or self._dialling is not None or len(self._retiring) > 0

    async def aclose(self) -> None:
        """Close the channel, and those that retired before it; who waits for a dial hears that nothing was sent."""
        self._closed = True
        if self._dialling is not None:
            self._dialling.cancel()
            await asyncio.wait({self._dialling})  # it may have succeeded just now
        channels, self.channel = [each for each in (self.channel, *self._retiring) if each is not None], None
        self.ends.clear()
        for channel in channels:
            await channel.aclose()


class Link:
    """The ways to one node: the best one, and one for each transport that somebody insists on. `record` and `generation` are what
    the registry knows of it now."""

    def __init__(self, record: NodeRecord, dial: Dial, dial_s: float) -> None:
        self.record = record
        self.generation: Generation | None = None
        self._dial, self._dial_s = dial, dial_s
        self.best = self._way(None)
        self._others: dict[tuple[str | None, int], Way] = {}

    @classmethod
    def local(cls, record: NodeRecord, dispatcher: Dispatcher, dial: Dial, dial_s: float, encoded: str) -> Link:
        """The link of a node to itself; `encoded` is the serializer where objects can't be handed over."""
        link = cls(record, dial, dial_s)
        channel: Channel = LocalChannel(dispatcher, record.node_id, encoded)
        link.best.channel = channel
        return link

    def way(self, only: str | None, number: int = 0) -> Way:
        """The way by one transport, or the best (None); beside the first there may be others, by `number`."""
        if only is None and number == 0:
            return self.best
        found = self._others.get((only, number))
        if found is None:
            found = self._others[only, number] = self._way(only)
        return found

    def least_busy(self, only: str | None, count: int) -> Way:
        """The one of `count` ways on which the fewest calls wait for answers; further ones are dialled when those before them
        are in use. Calls inside this node need one."""
        if count == 1 or isinstance(self.best.channel, LocalChannel):
            return self.way(only)
        return min((self.way(only, number) for number in range(count)), key=lambda way: way.in_flight())

    @property
    def _is_used(self) -> bool:
        return any(way.is_used for way in (self.best, *self._others.values()))

    def _way(self, only: str | None) -> Way:
        return Way(self, self._dial, self._dial_s, only)

    async def leave(self) -> None:
        """The node is gone from the registry: no new call comes here, those that run get their answers. A node that drains
        closes the connection itself, a dead one is found by its pings; what is left after the longest call is closed."""
        try:
            if self._is_used:
                await asyncio.sleep(LONGEST_CALL_S)
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Close every way."""
        for way in (self.best, *self._others.values()):
            await way.aclose()
