"""Fan-out: one connection reads the topics of all @subscribe handlers of this host, each from where it is. What came while there was
no connection is read afterwards; a handler is told of a gap only when it was away for longer than the server keeps events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ....contracts import Environment
from ....routing.backlog import Backlog
from ....wire.envelope import MalformedEnvelope, unpack
from ..errands import Errands
from ..server import Server
from ..wire import Word
from .reader import Reader

Id = tuple[int, int]
START: Id = (0, 0)
A_READ = 256
READ_S = 1.0
"""How long a read waits for events, in seconds, where the watch of the connection allows it."""


def parsed(entry: str) -> Id:
    """An id of an entry, to compare with others."""
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number or 0)


def written(entry: Id) -> str:
    """The id as the server has it."""
    return f"{entry[0]}-{entry[1]}"


class Follow:
    """One handler, and the last entry that it got."""

    def __init__(self, stream: str, last: Id) -> None:
        self.stream, self.last = stream, last
        self.backlog: Backlog | None = None


class Follower:
    """All of them. `read_s` is how long a read may wait, in seconds."""

    def __init__(self, server: Server, env: Environment, errands: Errands, read_s: float) -> None:
        self._errands, self._log, self._read_ms = errands, env.log, max(1, int(min(READ_S, read_s) * 1000))
        self._follows: dict[str, list[Follow]] = {}
        self.malformed: Counter[str] = Counter()
        self._reader = Reader(
            "bus, reading",
            server,
            env,
            command=self._command,
            got=self._got,
            refused=self._refused,
            joined=self._joined,
        )

    def add(self, follow: Follow) -> None:
        """From now on `follow` is read for."""
        self._follows.setdefault(follow.stream, []).append(follow)
        if self._reader.client:  # it waits for other topics: asked again, it waits for this one too
            unblocked = self._errands.ask("CLIENT", "UNBLOCK", str(self._reader.client))
            unblocked.add_done_callback(lambda told: told.cancelled() or told.exception())
        self._reader.wake()

    def remove(self, follow: Follow) -> None:
        """No more. Idempotent."""
        others = [each for each in self._follows.get(follow.stream, ()) if each is not follow]
        if others:
            self._follows[follow.stream] = others
        else:
            self._follows.pop(follow.stream, None)

    async def aclose(self) -> None:
        """End the connection. Idempotent."""
        await self._reader.aclose()

    # ---- reading -----------------------------------------------------------------------------------------------------------
    def _command(self) -> tuple[Word, ...] | None:
        if not self._follows:
            return None
        since = [written(min(each.last for each in follows)) for follows in self._follows.values()]
        return ("XREAD", "COUNT", str(A_READ), "BLOCK", str(self._read_ms), "STREAMS", *self._follows, *since)

    def _got(self, reply: Any) -> None:
        for stream, entries in reply or ():
            follows = self._follows.get(stream.decode(), ())
            for id_, fields in entries:
                self._told(stream.decode(), follows, parsed(id_.decode()), bytes(fields[1]))

    def tell(self, follow: Follow, entry: Id, packed: bytes) -> None:
        """One entry for `follow` alone."""
        self._told(follow.stream, (follow,), entry, packed)

    def _told(self, stream: str, follows: Sequence[Follow], entry: Id, packed: bytes) -> None:
        behind = [each for each in follows if each.last < entry]
        for each in behind:
            each.last = entry
        try:
            event = unpack(packed)
        except MalformedEnvelope as error:
            self.malformed[error.kind] += 1
            if self.malformed[error.kind] == 1:
                self._log.error("an entry of %s is refused, %s: %s; others of this kind are only counted",
                                stream, error.kind, error)  # fmt: skip
            return
        for each in behind:
            if each.backlog is not None:
                each.backlog.accept(event)

    def _refused(self, error: Exception) -> None:
        self._log.error("no events come in: %s", error)

    # ---- gaps --------------------------------------------------------------------------------------------------------------
    def _joined(self) -> None:
        """A new connection: has what we did not see been trimmed?"""
        for stream, follows in self._follows.items():
            if any(each.last > START for each in follows):
                oldest = self._errands.ask("XRANGE", stream, "-", "+", "COUNT", "1")
                oldest.add_done_callback(_compare_with(follows, {each: each.last for each in follows}))


def _compare_with(follows: list[Follow], lasts: dict[Follow, Id]) -> Callable[[Any], None]:
    def compare(oldest: Any) -> None:
        if oldest.cancelled() or oldest.exception() is not None:
            return
        entries = oldest.result()
        first = parsed(entries[0][0].decode()) if entries else None
        for each in follows:
            last = lasts.get(each, START)
            if last > START and (first is None or first > last) and each.backlog is not None:
                each.backlog.missed()

    return compare
