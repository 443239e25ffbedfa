"""The table of calls that wait: bounded, looked through by one timer, empty when all is over."""

import asyncio
import time

import pytest

from tests.integration.runtime.waiting import until
from vyked_host.errors import Overloaded
from vyked_host.runtime.clock import HELD_UP_S
from vyked_host.runtime.pending import Pending


class Waiting:
    def __init__(self, seconds: float, *, fails: bool = False) -> None:
        self.deadline = asyncio.get_running_loop().time() + seconds
        self.expired, self.fails = 0, fails

    def expire(self) -> None:
        self.expired += 1
        if self.fails:
            raise RuntimeError("it can't be told")


async def test_who_is_over_is_told_once_and_forgotten_and_the_others_wait_on() -> None:
    pending, short, long = Pending(limit=None), Waiting(0.01), Waiting(60)
    pending.add(short)
    pending.add(long)
    await until(lambda: short.expired)
    assert (len(pending), long.expired) == (1, 0)
    pending.waiting.pop(long, None)
    pending.waiting.pop(long, None)
    assert (len(pending), short.expired) == (0, 1)


async def test_the_limit_is_told_as_not_sent_and_names_its_setting() -> None:
    pending, first = Pending(limit=1), Waiting(60)
    pending.add(first)
    with pytest.raises(Overloaded, match=r"\[limits\] pending") as full:
        pending.add(Waiting(60))
    assert full.value.executed == "not_sent"
    pending.waiting.pop(first, None)
    pending.add(first)


async def test_one_that_fails_to_expire_keeps_no_other_from_it() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, found: complaints.append(found["exception"]))
    pending, broken, other, later = Pending(limit=None), Waiting(0, fails=True), Waiting(0), Waiting(0.06)
    for each in (broken, other, later):
        pending.add(each)
    await until(lambda: other.expired and later.expired)
    assert [str(each) for each in complaints] == ["it can't be told"]
    assert len(pending) == 0


async def test_who_was_held_up_waits_a_moment_more_for_those_who_were_held_up_too() -> None:
    pending, answered, not_answered = Pending(limit=None), Waiting(0.1), Waiting(0.1)
    pending.add(answered)
    pending.add(not_answered)
    await asyncio.sleep(0)
    time.sleep(2 * HELD_UP_S)  # noqa: ASYNC251 - the machine has no processor for this loop
    await asyncio.sleep(0.02)
    pending.waiting.pop(answered, None)
    await until(lambda: not_answered.expired)
    assert answered.expired == 0
