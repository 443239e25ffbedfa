"""What an outbox does when its holder answers with what nobody expected."""

from __future__ import annotations

import asyncio
import time

import pytest

from vyked_host.builtin.embedded.events.letters import Letter, Taken
from vyked_host.builtin.embedded.events.outbox import GRACE_S, Outbox
from vyked_host.builtin.embedded.events.parcel import Parcel
from vyked_host.contracts import Event
from vyked_host.errors import DeadlineExceeded, UsageError
from vyked_host.runtime import clock
from vyked_host.testing import environment


class Holder:
    """Fails so often, then takes everything."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.left, self.taken = error, times, list[bytes]()

    async def publish(self, letters: list[Letter], within: float) -> Taken:
        if self.left:
            self.left -= 1
            raise self.error
        self.taken += [each.packed for each in letters]
        return Taken(len(letters), None)


def parcel(name: str) -> Parcel:
    event = Event(
        id=name, service="shop", version="1.0.0", name="sold", source="n", body=b"1", content_type="application/json"
    )  # fmt: skip
    return Parcel(event)


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("a defect"), UsageError("no such desk"), ValueError("no such answer")]
)
async def test_what_nobody_expected_is_told_and_the_events_are_sent_again_in_order(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async with environment() as env:
        outbox, holder = Outbox(env, 1 << 20, lambda: "nobody is there"), Holder(error, 3)
        outbox.resume(holder)
        first = outbox.publish(parcel("a"), env.clock.now() + 5.0)
        second = outbox.publish(parcel("b"), env.clock.now() + 5.0)
        await first
        await second
        assert [Parcel.of(each).event.id for each in holder.taken] == ["a", "b"]
        assert outbox.mishaps.count == 3
    assert [each.message for each in caplog.records if each.exc_info] == ["publishing events failed and goes on"]


async def test_until_the_deadline_of_their_publishers_and_no_longer() -> None:
    async with environment() as env:
        outbox = Outbox(env, 1 << 20, lambda: "nobody is there")
        outbox.resume(Holder(ZeroDivisionError("a defect"), 1 << 30))
        with pytest.raises(DeadlineExceeded) as caught:
            await outbox.publish(parcel("a"), env.clock.now() + 0.05)
        assert caught.value.executed == "unknown"
        outbox.close()


async def test_who_was_held_up_until_long_after_the_deadline_hears_what_the_holder_says_all_the_same() -> None:
    class Late(Holder):
        answer = asyncio.Event()

        async def publish(self, letters: list[Letter], within: float) -> Taken:
            await self.answer.wait()
            return await super().publish(letters, within)

    async with environment() as env:
        outbox, holder = Outbox(env, 1 << 20, lambda: "nobody is there"), Late(ZeroDivisionError("none"), 0)
        outbox.resume(holder)
        accepted = outbox.publish(parcel("a"), env.clock.now() + 0.1)
        await asyncio.sleep(0.02)
        time.sleep(0.1 + 2 * GRACE_S)  # noqa: ASYNC251 - the machine has no processor for this loop
        await asyncio.sleep(1.2 * clock.GRACE_S)
        holder.answer.set()
        await accepted
