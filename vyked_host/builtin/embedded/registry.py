"""The embedded registry as a node sees it: a desk at whoever holds the hub, found again whenever the holder changes."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from ...contracts import Change, Environment, Lease, NodeRecord, Registry, Term
from ...errors import CallError, Unavailable
from .desk import RegistryDesk
from .follower import Follower, Watch
from .lease import AGAIN, EmbeddedLease
from .messages import Answer, Speaker
from .options import RegistryOptions

Question = Callable[[RegistryDesk], Awaitable[Answer]]


class EmbeddedRegistry(Registry):
    """`contracts.Registry` over the hub at ``[registry.embedded] address``."""

    def __init__(self, options: RegistryOptions, env: Environment) -> None:
        self._env, self._place = env, options.address
        self._hub = env.hub(options.address)
        self._hub.offer(RegistryDesk, lambda: RegistryDesk(env))
        self._life = env.rng.getrandbits(62)
        self._leases: set[EmbeddedLease] = set()
        self._followers: set[Follower] = set()
        self._closed = False
        self.log, self.chance, self.scale = env.log, env.rng.random, min(1.0, env.timing.scale)
        self.now, self.heartbeat_s = env.clock.now, env.timing.heartbeat

    # ---- contracts.Registry ------------------------------------------------------------------------------------------
    async def announce(self, record: NodeRecord) -> Lease:
        """Make `record` known; said again, within ``[timing] dial``, where the connection is lost or the holder goes meanwhile.
        Raises errors.Unavailable when the registry is closed, away or of another mesh, StartError when this host may not join."""
        answer = await self.ask(lambda desk: desk.announce(record, self._life), again=True)
        if answer.generation is None:
            raise Unavailable(answer.refused, executed="not_executed")
        speaker = Speaker(node_id=record.node_id, generation=answer.generation, life=self._life)
        lease = EmbeddedLease(self, speaker, min(self._env.timing.heartbeat, answer.heartbeat_s))
        self._leases.add(lease)
        return lease

    def watch(self, services: frozenset[str] | None) -> AsyncIterator[Change]:
        """A snapshot first, then what changes; over all terms, until the registry is closed."""
        follower = Follower(self, services)
        self._followers.add(follower)
        if self._closed:
            follower.close()

        def close() -> None:
            self._followers.discard(follower)
            follower.close()

        return Watch(follower.inbox, close)

    async def aclose(self) -> None:
        """Watches end, leases are no longer kept. Idempotent."""
        self._closed = True
        for lease in list(self._leases):
            lease.close()
        for follower in list(self._followers):
            follower.close()
        self._followers.clear()

    # ---- for leases and watches --------------------------------------------------------------------------------------
    def closed(self, lease: EmbeddedLease) -> None:
        """`lease` is over."""
        self._leases.discard(lease)

    def spawn(self, body: Coroutine[Any, Any, None], name: str) -> Callable[[], None]:
        """Run `body` outside of whatever call runs now: its deadline and metadata are not those of the registry."""
        return contextvars.Context().run(self._env.tasks, body, name)

    async def term(self) -> Term:
        """The hub's term, however long that takes. Raises StartError."""
        return await self._hub.term()

    async def desk(self) -> RegistryDesk:
        """The desk of the term that runs."""
        return (await self._hub.term()).desk(RegistryDesk)

    async def ask(self, question: Question, *, again: bool = False) -> Answer:
        """The desk's answer, within ``[timing] dial``. `again`: ask until then, as long as nobody is there to answer.
        Raises errors.Unavailable, StartError."""
        if self._closed:
            raise Unavailable("the registry is closed: this host stops", executed="not_sent")
        limit = self._env.timing.dial
        try:
            async with asyncio.timeout(limit):
                answer = await (self._insist(question) if again else self._ask(question))
        except TimeoutError as error:
            text = f"the registry at {self._place or 'its default place'} did not answer within {limit:g} s"
            raise Unavailable(text, executed="unknown") from error
        except CallError as error:
            raise Unavailable(f"the registry can't be reached: {error}", executed=error.executed) from error
        for follower in self._followers:
            follower.expect(answer.epoch, answer.revision)
        return answer

    async def _ask(self, question: Question) -> Answer:
        return await question(await self.desk())

    async def _insist(self, question: Question) -> Answer:
        attempt = 0
        while True:
            try:
                return await self._ask(question)
            except Unavailable as error:
                self.log.info("the registry did not answer and is asked again: %s", error)
            await asyncio.sleep(AGAIN.spread(attempt, self.chance()) * self.scale)
            attempt += 1
