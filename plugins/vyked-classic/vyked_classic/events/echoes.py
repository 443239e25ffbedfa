"""Messages of our own that Redis brings back: old payloads have no room for a mark, so what was said is remembered until it is
heard."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

KEPT_S = 30.0
MOST = 10_000


class Echoes:
    """What we said and have not heard yet: at most MOST, each for KEPT_S seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._said: OrderedDict[bytes, list[float]] = OrderedDict()

    def expect(self, channel: str, payload: bytes) -> None:
        """This is about to be said."""
        self._said.setdefault(_digest(channel, payload), []).append(self._now())
        while len(self._said) > MOST or self._is_old():
            self._said.popitem(last=False)

    def is_one(self, channel: str, payload: bytes) -> bool:
        """Was it said by us? Each saying is heard once."""
        key = _digest(channel, payload)
        times = self._said.get(key)
        if not times:
            return False
        times.pop(0)
        if not times:
            del self._said[key]
        return True

    def _is_old(self) -> bool:
        first = next(iter(self._said.values()), None)
        return first is not None and self._now() - first[-1] > KEPT_S


def _digest(channel: str, payload: bytes) -> bytes:
    return blake2b(channel.encode() + b"\0" + payload, digest_size=16).digest()
