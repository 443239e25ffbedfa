"""One event in one group, one delivery of it, and what keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from ....contracts import Clock
from .parcel import Parcel, Topic

if TYPE_CHECKING:
    from .group import GroupQueue
    from .member import Member

State = Literal["waiting", "given", "delayed", "dead"]


class Entry:
    """One event in one group. `count`: deliveries so far; `order`: its place in the queue; `number` names it in the store;
    `held`: somebody has it from an earlier term and may still say what became of it; `due`: when a delay ends, in monotonic
    seconds."""

    __slots__ = ("cause", "count", "done", "due", "group", "held", "number", "order", "parcel")

    def __init__(self, group: GroupQueue, parcel: Parcel, order: int, number: int = 0) -> None:
        self.group, self.parcel, self.order, self.number = group, parcel, order, number
        self.count, self.cause, self.done, self.held, self.due = 0, "", False, False, 0.0

    @property
    def id(self) -> str:
        """The event's id."""
        return self.parcel.event.id


class Given:
    """One delivery to one member. `is_out`: it went to the member's node; `over`: the event has gone back, or it is settled."""

    __slots__ = ("cancel_wait", "count", "entry", "is_out", "member", "over", "token")

    def __init__(self, token: int, entry: Entry, member: Member) -> None:
        self.token, self.entry, self.member, self.count = token, entry, member, entry.count
        self.cancel_wait: Callable[[], None] = nothing
        self.is_out = self.over = False


class Past(NamedTuple):
    """What is known of an entry from before: of another holder, or of the file. `seconds`: until it is due."""

    deliveries: int
    state: State
    seconds: float
    cause: str


class Store(Protocol):
    """Where entries are kept. What is told is told on the loop, in the order of the calls."""

    durable: bool
    keeps_past: bool

    def group(self, topic: Topic, name: str, strategy: str) -> int:
        """The number of a group, which is known from now on."""
        ...

    def keep(self, entries: Sequence[Entry], kept: Callable[[str], None], parcel: Parcel | None = None) -> None:
        """New entries of one event, and the event itself where all are kept for replay; `kept` is told why they could not be
        kept, "" when they are."""
        ...

    def mark(self, entry: Entry, state: State, due_s: float, marked: Callable[[], None]) -> None:
        """The state of an entry, with its count and cause; `due_s` seconds from now something is due."""
        ...

    def forget(self, entry: Entry) -> None:
        """An entry is done with."""
        ...


class MemoryStore:
    """Keeps nothing beyond the objects themselves."""

    durable = keeps_past = False

    def group(self, topic: Topic, name: str, strategy: str) -> int:
        """Nobody asks for it."""
        return 0

    def keep(self, entries: Sequence[Entry], kept: Callable[[str], None], parcel: Parcel | None = None) -> None:
        """They are kept as soon as they are there."""
        kept("")

    def mark(self, entry: Entry, state: State, due_s: float, marked: Callable[[], None]) -> None:
        """The entry says so itself."""
        marked()

    def forget(self, entry: Entry) -> None:
        """There is nothing else."""


class Receiver(Protocol):
    """Where a member's deliveries go: the session of its node. `is_attached`: they get there now."""

    is_attached: bool

    def give(self, given: Given) -> None:
        """One delivery."""


class Means(NamedTuple):
    """What the queues of one broker share. `released` is told the bytes that are free again."""

    clock: Clock
    chance: Callable[[], float]
    ack_wait_s: float
    store: Store
    released: Callable[[int], None]
    wake: Callable[[GroupQueue], None]
    token: Callable[[], int]


def nothing() -> None:
    """Nothing to do."""
