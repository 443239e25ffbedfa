"""A wait that nobody answers ends in its time, and one that is answered leaves nothing."""

import asyncio
from collections.abc import Callable

from vyked_host.routing.patience import Patience


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.t = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self.t

    def expire(self, when: float, expired: Callable[[], None]) -> Callable[[], None]:
        entry = (when, expired)
        self.due.append(entry)
        return lambda: self.due.remove(entry)

    def pass_to(self, t: float) -> None:
        self.t = t
        for entry in [each for each in self.due if each[0] <= t]:
            self.due.remove(entry)
            entry[1]()


async def test_who_is_not_answered_in_time_is_told_and_nobody_else() -> None:
    time, late = Time(), list[asyncio.Future[None]]()
    patience = Patience[asyncio.Future[None]](time.now, time.expire, 10.0, late.extend)
    loop = asyncio.get_running_loop()
    first, second, third = (loop.create_future() for _ in range(3))
    patience.watch(first)
    time.pass_to(4.0)
    patience.watch(second)
    patience.watch(third)
    second.set_result(None)
    time.pass_to(9.9)
    assert late == []
    time.pass_to(10.0)
    assert late == [first]
    time.pass_to(14.0)
    assert late == [first, third]
    assert time.due == []


async def test_one_look_is_due_however_many_wait_and_those_that_are_done_are_forgotten() -> None:
    time = Time()
    patience = Patience[asyncio.Future[None]](time.now, time.expire, 10.0, lambda _late: None)
    for _ in range(1000):
        told = asyncio.get_running_loop().create_future()
        patience.watch(told)
        told.set_result(None)
    assert len(time.due) == 1
    assert len(patience._waiting) == 1
    time.pass_to(10.0)
    assert not patience._waiting
    assert time.due == []


async def test_closed_it_says_who_was_waited_for_and_nothing_is_due() -> None:
    time, late = Time(), list[asyncio.Future[None]]()
    patience = Patience[asyncio.Future[None]](time.now, time.expire, 10.0, late.extend)
    told = asyncio.get_running_loop().create_future()
    patience.watch(told)
    assert patience.close() == {told}
    assert patience.close() == set()
    time.pass_to(20.0)
    assert late == []
