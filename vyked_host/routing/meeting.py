"""Where the nodes of a mesh meet, and what a node does with what it found there. Pure: who dials and binds is elsewhere.

Binding a port is the election on one machine: the kernel gives it to one. A mesh whose file names no place has several,
tried in the same order by every node: where another mesh or program sits on one, the next is theirs. Two holders of one mesh
(one hung, or both began at once) end up as one: the earliest place wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal

from ..model.values import Value

DEFAULT_PORT = 4500
"""The ancestor's registry port."""
FALLBACKS = 6
FIRST_PORT, PORTS = 20_000, 10_000
"""Fallback ports lie below the range from which systems draw ports for outgoing connections."""

Found = Literal["ours", "leaving", "unwelcome", "silent", "other", "nobody"]
"""Who sits at a place. ours: a holder that took us in. leaving: one that stops, or has no room just now. unwelcome: it is of
this mesh and refuses us. silent: something that does not answer. other: another mesh or program. nobody: free, as it seems."""


class Place(Value):
    """An address at which nodes may meet."""

    host: str
    port: int

    @property
    def text(self) -> str:
        """``HOST:PORT``, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def uri(self) -> str:
        """The address to dial."""
        return f"tcp://{self.text}"


class Finding(Value):
    """What was found at a place; `said` is for people."""

    place: Place
    found: Found
    said: str = ""


class Decision(Value):
    """`join` or `hold` what stands at `place`, look `again` a little later, or `refuse` with `reason`; `is_away`: since nobody
    answers anywhere."""

    action: Literal["join", "hold", "again", "refuse"]
    place: Place | None = None
    reason: str = ""
    is_away: bool = False


def place(address: str) -> Place:
    """``HOST:PORT`` as a place. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"{address!r} is no address: write HOST:PORT")
    return Place(host=host.strip("[]"), port=int(port))


def places(mesh: str) -> tuple[Place, ...]:
    """The places of a mesh whose file names none: the default port of this machine, then ports drawn from its name."""
    digest = blake2b(mesh.encode(), digest_size=4 * FALLBACKS).digest()
    drawn = (int.from_bytes(digest[at : at + 4], "big") for at in range(0, len(digest), 4))
    ports = dict.fromkeys((DEFAULT_PORT, *(FIRST_PORT + each % PORTS for each in drawn)))
    return tuple(Place(host="127.0.0.1", port=each) for each in ports)


def decide(findings: Sequence[Finding], *, may_hold: bool, can_bind: frozenset[Place]) -> Decision:
    """What to do about `findings`, which are in the order of the places. `can_bind`: places this machine may open."""
    for each in findings:
        if each.found == "ours":
            return Decision(action="join", place=each.place)
    for each in findings:
        if each.found == "unwelcome":
            return Decision(action="refuse", reason=each.said)
    if any(each.found == "leaving" for each in findings):
        return Decision(action="again", reason=_sentence(findings))
    free = [each.place for each in findings if each.found == "nobody" and each.place in can_bind]
    if free and may_hold:
        return Decision(action="hold", place=free[0])
    is_away = all(each.found in ("nobody", "silent") for each in findings)
    return Decision(action="refuse", reason=_sentence(findings), is_away=is_away)


def _sentence(findings: Sequence[Finding]) -> str:
    """Who sits where; where nobody does, the first place is enough."""
    taken = [each for each in findings if each.found != "nobody"] or list(findings[:1])
    told = (each for each in taken if each.said)
    return "; ".join(each.said if each.place.text in each.said else f"{each.place.text}: {each.said}" for each in told)


def elders(held: Place, known: Sequence[Place]) -> tuple[Place, ...]:
    """The places at which a holder of the same mesh would win against the one at `held`."""
    return tuple(known[: known.index(held)])
