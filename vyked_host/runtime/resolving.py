"""From a host's name to a connected socket, within bounds: a name server that does not answer, or a route that swallows everything,
costs a dial a moment and holds up nobody else.

* One look-up per name at a time, in a thread of its own: a resolver may hang for half a minute and can't be stopped, and the loop's
  own threads are few and are waited for at the end of a process. Who finds it running waits for the same one.
* What a name meant last is used while it can't be looked up.
* Of several addresses the next is tried as well when one has not answered within 0.25 s, the families in turn: Happy Eyeballs
  (RFC 8305, section 5). The first that connects is used.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from typing import Any

log = logging.getLogger("vyked")

LOOK_UP_S = 1.0
"""How long a dial waits for a name; well within the time it has ([timing] dial)."""
HEAD_START_S = 0.25
Info = tuple[Any, ...]
"""(family, type, protocol, canonical name, address), as of `socket.getaddrinfo`."""


def in_turn(found: Sequence[Info]) -> list[Info]:
    """The same, families in turn, beginning with that of the first."""
    first = [each for each in found if each[0] == found[0][0]]
    rest = [each for each in found if each[0] != found[0][0]]
    return [each for each in chain.from_iterable(zip_longest(first, rest)) if each is not None]


def is_literal(host: str) -> bool:
    """Is it an address already?"""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


class Resolver:
    """Names of one process. `look_up` blocks, and raises OSError."""

    def __init__(
        self, look_up: Callable[..., Sequence[Info]] = socket.getaddrinfo, within_s: float = LOOK_UP_S
    ) -> None:  # fmt: skip
        self._look_up, self._within_s = look_up, within_s
        self._known: dict[tuple[str, int], Sequence[Info]] = {}
        self._running: dict[tuple[str, int], asyncio.Future[Sequence[Info]]] = {}

    async def addresses(self, host: str, port: int) -> Sequence[Info]:
        """Where `host` is. Raises OSError when nobody says, and nobody has before."""
        if is_literal(host):
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)  # asks nobody
        key = (host, port)
        looking = self._running.get(key) or self._begin(key)
        try:
            async with asyncio.timeout(self._within_s):
                return await asyncio.shield(looking)
        except OSError as error:  # a TimeoutError is one
            known = self._known.get(key)
            if known is None:
                if isinstance(error, TimeoutError):
                    raise OSError(f"no name server said within {self._within_s:g} s where {host} is") from None
                raise
            log.warning("%s can't be looked up (%s): dialled where it was last", host, error or "no answer in time")
            return known

    def _begin(self, key: tuple[str, int]) -> asyncio.Future[Sequence[Info]]:
        loop = asyncio.get_running_loop()
        looking = self._running[key] = loop.create_future()

        def ended(found: Sequence[Info] | OSError) -> None:
            self._running.pop(key, None)
            if not isinstance(found, OSError):
                self._known[key] = found
            if looking.done():
                return
            if isinstance(found, OSError):
                looking.set_exception(found)
                looking.exception()  # whoever waited may have left
            else:
                looking.set_result(found)

        def look() -> None:
            try:
                found: Sequence[Info] | OSError = list(self._look_up(*key, type=socket.SOCK_STREAM))
            except OSError as error:
                found = error
            except UnicodeError:  # a label that is too long, or empty
                found = OSError(f"{key[0]!r} is no name of a host")
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(ended, found or OSError(f"{key[0]} has no address"))

        threading.Thread(target=look, name=f"look-up of {key[0]}", daemon=True).start()
        return looking


async def connected(found: Sequence[Info]) -> socket.socket:
    """A socket that is connected to one of the addresses. Raises the OSError of the first that failed, when all do."""
    waiting, running, failure = in_turn(found), set[asyncio.Task[socket.socket]](), None
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(_try(waiting.pop(0))))
            done, running = await asyncio.wait(
                running, timeout=HEAD_START_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for each in done:
                if (error := each.exception()) is None:
                    running |= done - {each}
                    return each.result()
                failure = failure or error
    finally:
        for each in running:
            each.cancel()
            each.add_done_callback(_close_unused)
    raise failure or OSError("there is no address to try")


async def _try(info: Info) -> socket.socket:
    family, kind, protocol, _, address = info
    found = socket.socket(family, kind, protocol)
    try:
        found.setblocking(False)
        await asyncio.get_running_loop().sock_connect(found, address)
    except BaseException:
        found.close()
        raise
    return found


def _close_unused(done: asyncio.Task[socket.socket]) -> None:
    """It connected in the same moment as another."""
    if not done.cancelled() and done.exception() is None:
        done.result().close()
