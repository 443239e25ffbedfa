"""Which nodes are connected to the servers: each listens to a subject, and who asks where nobody listens is told so at once
(https://docs.nats.io/nats-concepts/core-nats/reqreply, no responders). All readers together ask for each node a few times a
sweep, however many they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from vyked_host.contracts import Environment

from ..jetstream.api import is_unheard
from ..line import Line, NoAnswer
from ..message import Message

READERS = 3
"""So many ask for a node in one sweep, on average."""


class Probes:
    """`link` gives the subject of a node's generation; `unheard` is told of each that nobody listens to."""

    def __init__(self, env: Environment, link: Callable[[str, int], str], unheard: Callable[[str, int], None]) -> None:
        self._env, self._link, self._unheard = env, link, unheard
        self._line: Line | None = None
        self._asked: dict[tuple[str, int], tuple[bytes, float]] = {}

    def joined(self, line: Line) -> None:
        """There is a connection."""
        self._line, self._asked = line, {}

    def left(self) -> None:
        """There is none."""
        self._line, self._asked = None, {}

    def ask(self, nodes: Iterable[tuple[str, int]], among: int) -> None:
        """Ask for some of `nodes` (node, counter), of which there are `among` in the mesh."""
        line, now = self._line, self._env.clock.now()
        if line is None:
            return
        for reply, _ in [each for each in self._asked.values() if each[1] <= now]:
            line.forget(
                reply
            )  # it stands still, which its heartbeats show, or it was killed with the question in its hands
        self._asked = {node: each for node, each in self._asked.items() if each[1] > now}
        for node in nodes:
            if node not in self._asked and self._env.rng.random() * among < READERS:
                reply = line.ask(self._link(*node), b"", partial(self._answered, node))
                self._asked[node] = (reply, now + self._env.timing.heartbeat)

    def _answered(self, node: tuple[str, int], answer: Message | NoAnswer) -> None:
        self._asked.pop(node, None)
        if isinstance(answer, Message) and is_unheard(answer):
            self._unheard(*node)
