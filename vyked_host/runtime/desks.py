"""Desks served to the other nodes of a mesh: one listener, one dispatcher, every call of the control lane."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Executor

import msgspec

from ..contracts import Calls, Clock, Listener, Surface
from ..routing.meeting import Place
from ..service.binding import handler
from ..service.inspect import describe
from .codecs import Codecs
from .dispatcher import Dispatcher
from .routes import Route

Serve = Callable[[Place, Calls, Surface], Awaitable[Listener]]
"""Binds a place. Raises errors.StartError, with `in_use` set where somebody else has it."""


class Counter:
    """What is behind the listener of one term."""

    def __init__(self, codecs: Codecs, clock: Clock, threads: Executor, log: logging.Logger) -> None:
        self._codecs, self._clock, self._threads, self._log = codecs, clock, threads, log
        self._dispatcher = self._new()
        self._listener: Listener | None = None

    def _new(self) -> Dispatcher:
        return Dispatcher(clock=self._clock, log=self._log, in_flight_limit=None)

    async def bind(self, place: Place, serve: Serve) -> None:
        """Take the place; nothing is served before :meth:`open`. Raises errors.StartError."""
        self._listener = await serve(place, self._dispatcher, self._dispatcher.surface())

    def open(self, desks: Iterable[object]) -> None:
        """Serve `desks` from now on."""
        for desk in desks:
            for endpoint in describe(type(desk)).endpoints:
                control = msgspec.structs.replace(endpoint, lane="control")
                self._dispatcher.add(Route(control, handler(desk, endpoint), (), self._codecs, self._threads))
        if self._listener is not None:
            self._listener.expose(self._dispatcher.surface())

    async def close(self) -> None:
        """Tell the others, give the place up at once, end what still runs."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        listener.stop_accepting()
        self._dispatcher.abort()
        await listener.aclose()
