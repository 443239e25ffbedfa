"""Verdicts on their way to a holder: bounded in time, also while there is none, and in bytes."""

import random

import pytest

from vyked_host.builtin.embedded.events.inbox import GroupDelivery
from vyked_host.builtin.embedded.events.letters import BATCH_BYTES
from vyked_host.builtin.embedded.events.settlements import Settlements
from vyked_host.contracts import Verdict
from vyked_host.errors import Unavailable
from vyked_host.testing import environment, eventually
from vyked_host.testing.conformance.pubsub import ACK, event
from vyked_host.testing.virtual_time import virtual_time

AW = 30.0


class Member:
    """Whose delivery it is."""

    class wanted:
        index = 1


class Holder:
    """Takes settlements, after so many defects."""

    born = 1

    def __init__(self, defects=0):
        self.batches, self.defects = [], defects

    async def settle(self, settlements):
        if self.defects:
            self.defects -= 1
            raise ZeroDivisionError("a defect")
        self.batches.append(settlements)


@pytest.fixture
async def env():
    with virtual_time():
        async with environment(rng=random.Random(1)) as env:
            yield env


@pytest.fixture
def settlements(env):
    return Settlements(env, AW)


def delivery(token):
    return GroupDelivery(Member(), 1, token, 1, event())


async def test_without_a_holder_a_verdict_is_kept_for_the_ack_wait_and_then_refused(env, settlements):
    settlements.hold(one := delivery(1))
    told, began = settlements.settle(one, ACK), env.clock.now()
    with pytest.raises(Unavailable, match="no holder"):
        await told
    assert env.clock.now() - began == pytest.approx(AW, abs=0.1)
    assert settlements.tokens(1) == []
    assert not settlements._waiting


async def test_a_holder_that_comes_in_time_is_told_and_nothing_is_refused_later(env, settlements):
    first = settlements.settle(delivery(1), ACK)
    settlements.resume(holder := Holder())
    await first
    assert [each.token for batch in holder.batches for each in batch] == [1]
    await settlements.settle(delivery(2), ACK)
    assert len(holder.batches) == 2


async def test_no_call_is_larger_than_a_batch(env, settlements):
    verdict = Verdict(action="retry", seconds=1.0, cause="x" * 2000)
    told = [settlements.settle(delivery(number), verdict) for number in range(1000)]
    settlements.resume(holder := Holder())
    for each in told:
        await each
    assert [each.token for batch in holder.batches for each in batch] == list(range(1000))
    assert max(sum(len(each.cause) for each in batch) for batch in holder.batches) <= BATCH_BYTES
    assert len(holder.batches) > 1


async def test_settling_goes_on_after_a_defect(env, settlements):
    settlements.resume(holder := Holder(defects=3))
    await settlements.settle(delivery(1), ACK)
    assert settlements.mishaps.count == 3
    await eventually(lambda: len(holder.batches) == 1)
