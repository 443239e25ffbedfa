"""Who of many gets an event: every one (fan-out), or one member of each group, chosen by the group's strategy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..model.description import EventDescription, EventNeeds, ServiceDescription, Strategy, SubscriptionDescription
from ..model.message import Guarantees
from .affinity import Rendezvous

LASTS = ("memory", "process", "disk")


class Group:
    """The members of one consumer group, and whose turn it is. `chance` gives floats in [0, 1).

    any: in turn, whoever has room. random: with equal chance, whoever has room. leader: always the member that joined
    first; the others wait. keyed: the owner of the event's key (rendezvous), so one key stays with one member while
    members stay; an event without a key goes to any.
    """

    def __init__(self, strategy: Strategy, chance: Callable[[], float]) -> None:
        self._strategy, self._chance = strategy, chance
        self._members: list[str] = []
        self._ring = Rendezvous({})
        self._turn = 0

    @property
    def members(self) -> tuple[str, ...]:
        """The members, in the order in which they joined."""
        return tuple(self._members)

    def join(self, member: str) -> None:
        """One more member."""
        self._members.append(member)
        self._ring = Rendezvous(dict.fromkeys(self._members, 1.0))

    def leave(self, member: str) -> None:
        """One less; who is not a member is ignored."""
        self._members = [each for each in self._members if each != member]
        self._ring = Rendezvous(dict.fromkeys(self._members, 1.0))

    def owner(self, key: str | None) -> str | None:
        """The member that has to get an event with `key`; None: anybody may."""
        if not self._members:
            return None
        if self._strategy == "leader":
            return self._members[0]
        return self._ring.owner(key) if self._strategy == "keyed" and key is not None else None

    def pick(self, free: Sequence[str]) -> str:
        """One of the members that have room, which are at least one."""
        if self._strategy == "random":
            return free[int(self._chance() * len(free))]
        self._turn += 1
        return free[self._turn % len(free)]


def lack(wanted: SubscriptionDescription, given: Guarantees) -> str:
    """What a subscription asks of a bus beyond what that one gives, in words; "" when it has all."""
    if wanted.queue and not given.queues:
        return "@work needs a bus that keeps jobs for one group"
    if wanted.exclusive and not (given.at_least_once or (wanted.may_miss and given.one_of_group)):
        return "@xsubscribe needs at-least-once delivery to one instance"
    if not wanted.exclusive and not given.fan_out:
        return "@subscribe needs delivery to every instance"
    if wanted.exclusive and wanted.strategy != "any" and wanted.strategy not in given.strategies:
        return f"the strategy {wanted.strategy!r} is not offered (it has {', '.join(sorted(given.strategies))})"
    if wanted.since is not None and not given.replay:
        return "it asks for a replay"
    if wanted.dedupe and not given.dedupe_s:
        return "dedupe=True needs a bus that knows events again by their ids"
    return ""


def lacks(service: ServiceDescription, given: Guarantees) -> list[str]:
    """What a service asks of a bus beyond what that one gives: each with the method or attribute that asks."""
    found = [("event_needs", lacking) for lacking in _lacks_of_needs(service.event_needs, given)]
    found += [(wanted.handler, lack(wanted, given)) for wanted in service.subscriptions]
    found += [(job.attribute, _lack_of_job(job, given)) for job in service.enqueues]
    return [f"{service.name}.{method}: {lacking}" for method, lacking in found if lacking]


def _lacks_of_needs(needs: EventNeeds, given: Guarantees) -> list[str]:
    found = []
    if LASTS.index(given.durability) < LASTS.index(needs.durability):
        more = {
            "process": '[pubsub.embedded] path = "events.db" makes that one keep them in a file',
            "disk": '[pubsub.redis-streams] durability = "disk" sees to it that its server does',
        }[needs.durability]
        found.append(
            f"events have to be kept with durability {needs.durability!r}, it has {given.durability!r} ({more})"
        )
    if needs.ordered and given.ordered != "publisher":
        found.append("events of one publisher have to come in order")
    if needs.largest > given.max_message_bytes:
        found.append(f"events of {needs.largest} bytes have to go through, it takes {given.max_message_bytes}")
    return found


def _lack_of_job(job: EventDescription, given: Guarantees) -> str:
    if not given.queues:
        return "@enqueue needs a bus that keeps jobs for one group"
    return "@enqueue(delay=) needs a bus that holds jobs back" if job.delays and not given.delays else ""
