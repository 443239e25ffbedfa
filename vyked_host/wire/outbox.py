"""What goes out when nothing small waits: large payloads of many calls, a piece of each in turn.

Rules: the packets of one call keep their order, so what follows a payload of its call waits here too; at most MOST_PARTED calls have their
turns, others after them; whoever writes sends what is small before each piece.
"""

from __future__ import annotations

from collections import deque

from .pieces import MOST_PARTED, Buffers, Payload


class Outbox:
    """The large output of one connection. `queued` holds the calls that wait here; `waiting` is the sum of their bytes."""

    __slots__ = ("_turns", "_waiting", "queued", "waiting")

    def __init__(self) -> None:
        self.queued: dict[int, deque[Payload | bytes]] = {}
        self._turns: deque[int] = deque()
        self._waiting: deque[int] = deque()
        self.waiting = 0

    def add(self, call_id: int, packet: Payload | bytes) -> None:
        """`packet` of a call goes out after what waits of that call already."""
        queue = self.queued.get(call_id)
        if queue is None:
            queue = self.queued[call_id] = deque()
            (self._turns if len(self._turns) < MOST_PARTED else self._waiting).append(call_id)
        queue.append(packet)
        self.waiting += _size(packet)

    def next(self) -> tuple[int, Buffers]:
        """The next packet, and the call it belongs to. Raises IndexError when nothing waits."""
        call_id = self._turns.popleft()
        queue = self.queued[call_id]
        packet = queue[0]
        self.waiting -= _size(packet)
        if isinstance(packet, bytes):
            buffers: Buffers = (packet,)
            queue.popleft()
        else:
            buffers = packet.next()
            self.waiting += packet.left
            if not packet.left:
                queue.popleft()
        if queue:
            self._turns.append(call_id)
        else:
            self._leave(call_id)
        return call_id, buffers

    def of(self, call_id: int) -> int:
        """Bytes that wait of one call."""
        queue = self.queued.get(call_id)
        return 0 if queue is None else sum(map(_size, queue))

    def holds_request(self, call_id: int) -> bool:
        """Is the REQUEST of this call not sent completely?"""
        queue = self.queued.get(call_id)
        return queue is not None and isinstance(queue[0], Payload) and queue[0].is_request

    def drop(self, call_id: int) -> bool:
        """Nobody wants this any more. False: nothing waited."""
        queue = self.queued.get(call_id)
        if queue is None:
            return False
        self.waiting -= sum(map(_size, queue))
        (self._turns if call_id in self._turns else self._waiting).remove(call_id)
        self._leave(call_id)
        return True

    def _leave(self, call_id: int) -> None:
        del self.queued[call_id]
        if self._waiting and len(self._turns) < MOST_PARTED:
            self._turns.append(self._waiting.popleft())

    def clear(self) -> None:
        """Nothing is sent any more."""
        self.queued.clear()
        self._turns.clear()
        self._waiting.clear()
        self.waiting = 0


def _size(packet: Payload | bytes) -> int:
    return len(packet) if isinstance(packet, bytes) else packet.left
