"""A transactional outbox (https://microservices.io/patterns/data/transactional-outbox.html): events are rows of the author's own
database, written in the transaction that changes what they tell of, and the host relays them once that is committed. As in Debezium's
(https://debezium.io/blog/2019/02/19/reliable-microservices-data-exchange-with-the-outbox-pattern/) the row's id is the event's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from ..model.values import Value

P = ParamSpec("P")
T_contra = TypeVar("T_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class OutboxRow(Value):
    """One event that is to be published once its transaction is committed. `topic` is ``service.event@major``, `packed` the event as
    it travels; events of one topic and `key` go out in the order of their rows."""

    id: str
    topic: str
    key: str | None
    packed: bytes


class Outbox(Protocol[T_contra, R_co]):
    """Where the rows are. `T` is what the author's database calls a transaction: a connection, a session. One object is used by
    one relay; several relays of one database must not be given the same rows, or must be given all in order."""

    def put(self, transaction: T_contra, row: OutboxRow) -> R_co:
        """Write `row` within `transaction`, which its author commits or rolls back; what this returns is what the author's call
        returns, such as an awaitable. May be called in any thread. A row whose id is there already changes nothing."""
        ...

    async def waiting(self, most: int) -> Sequence[OutboxRow]:
        """The first `most` rows that are committed, in the order of their commits; none while another relay has them."""
        ...

    async def sent(self, ids: Sequence[str]) -> None:
        """The bus has these: forget them."""
        ...

    async def aclose(self) -> None:
        """Let go of the database; another relay may go on. Idempotent."""
        ...


class Stored(Generic[P, R_co]):
    """An event on its way into an outbox: calling it builds the payload and writes its row."""

    __slots__ = ("_build", "_outbox", "_put", "_transaction")

    def __init__(
        self, build: Callable[..., OutboxRow], put: Callable[[Any, Any, OutboxRow], R_co], outbox: Any, transaction: Any
    ) -> None:  # fmt: skip
        self._build, self._put, self._outbox, self._transaction = build, put, outbox, transaction

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Write the row; what the outbox returns. Raises TooLarge, and what the database raises."""
        return self._put(self._outbox, self._transaction, self._build(*args, **kwargs))
