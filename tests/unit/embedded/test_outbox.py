"""What an outbox does when its holder answers with what nobody expected."""

from __future__ import annotations

import pytest

from vyked_host.builtin.embedded.events.letters import Letter, Taken
from vyked_host.builtin.embedded.events.outbox import Outbox
from vyked_host.builtin.embedded.events.parcel import Parcel
from vyked_host.contracts import Event
from vyked_host.errors import DeadlineExceeded, UsageError
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
