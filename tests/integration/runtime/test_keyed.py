"""Calls with an idempotency key, on the real runtime: one handler runs, whoever asks and however often."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec import Struct

from vyked_host import (
    InvalidPayload,
    KeyInUse,
    KeyReused,
    RemoteFailure,
    Service,
    ServiceError,
    UsageError,
    api,
    client,
    context,
    post,
)
from vyked_host.errors import DeadlineExceeded
from vyked_host.service.inspect import describe
from vyked_host.testing import Mesh, running
from vyked_host.testing.waiting import eventually

OVER = pytest.mark.parametrize("over", ["local", "tcp", "http"])


class Paid(Struct, frozen=True):
    number: int
    by: str
    tags: list[str] = []


class Broke(ServiceError, code="broke", status=402):
    missing: int


class Till(Service, name="till", version="1.0.0"):
    """Counts what its handlers do."""

    async def on_start(self) -> None:
        self.runs, self.fail, self.cancelled = 0, 0, 0
        self.gate = asyncio.Event()
        self.gate.set()

    @api(keyed=True, raises=[Broke])
    async def pay(self, amount: int, by: str = "ada", note: dict[str, Any] | None = None) -> Paid:
        self.runs += 1
        number = self.runs
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if amount > 100:
            raise Broke(missing=amount - 100)
        if self.fail:
            self.fail -= 1
            raise RuntimeError("the printer is out of paper")
        return Paid(number, by, ["new"])

    @api(keyed=True, timeout=1.0)
    async def hurry(self) -> int:
        self.runs += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.runs

    @post("/pay")
    @api(keyed=True)
    async def over_http(self, amount: int) -> Paid:
        self.runs += 1
        await self.gate.wait()
        return Paid(self.runs, context().idempotency_key or "")


class Other(Service, name="other", version="1.0.0"):
    till = client(Till)

    @api
    async def pass_on(self, amount: int) -> int:
        return (await self.till.pay.using(idempotency_key="k")(amount)).number


def till_of(mesh: Mesh) -> Till:
    return mesh.instance(Till)


@OVER
async def test_the_same_key_gives_the_same_result_and_runs_once(over: Any) -> None:
    async with running(Till, over=over) as mesh:
        pay = mesh.client(Till).pay
        first = await pay.using(idempotency_key="k1")(5, by="bo")
        assert await pay.using(idempotency_key="k1")(5, by="bo") == first == Paid(1, "bo", ["new"])
        assert (await pay.using(idempotency_key="k2")(5, by="bo")).number == 2
        assert [(await pay(5)).number for _ in range(2)] == [3, 4], "without a key each call is one of its own"


@OVER
async def test_a_declared_error_is_given_again(over: Any) -> None:
    async with running(Till, over=over) as mesh:
        for _ in range(2):
            with pytest.raises(Broke) as told:
                await mesh.client(Till).pay.using(idempotency_key="k")(130)
            assert told.value.missing == 30
        assert till_of(mesh).runs == 1


@OVER
async def test_another_payload_under_the_same_key_is_refused(over: Any) -> None:
    async with running(Till, over=over) as mesh:
        pay = mesh.client(Till).pay.using(idempotency_key="k")
        await pay(5)
        with pytest.raises(KeyReused, match="another payload") as told:
            await pay(6)
        assert (told.value.executed, told.value.field) == ("not_executed", "idempotency_key")
        assert till_of(mesh).runs == 1


async def test_the_order_in_which_a_mapping_was_made_is_no_other_payload() -> None:
    async with running(Till, over="tcp") as mesh:
        pay = mesh.client(Till).pay.using(idempotency_key="k")
        assert await pay(1, note={"a": 1, "b": 2}) == await pay(1, note={"b": 2, "a": 1})


@OVER
async def test_a_second_call_waits_for_the_first_and_gets_what_it_gives(over: Any) -> None:
    async with running(Till, over=over) as mesh:
        till, pay = till_of(mesh), mesh.client(Till).pay.using(idempotency_key="k")
        till.gate.clear()
        calls = [asyncio.ensure_future(pay(5)) for _ in range(5)]
        await eventually(lambda: mesh.host.node.statistics()["calls"]["till.pay"]["in_flight"] == 5)
        till.gate.set()
        assert {each.number for each in await asyncio.gather(*calls)} == {1}


async def test_a_second_call_whose_time_is_over_first_is_refused_and_was_not_run() -> None:
    async with running(Till, over="tcp") as mesh:
        till, pay = till_of(mesh), mesh.client(Till).pay.using(idempotency_key="k")
        till.gate.clear()
        first = asyncio.ensure_future(pay(5))
        await eventually(lambda: till.runs)
        with pytest.raises(KeyInUse) as told:
            await pay.using(timeout=1.0)(5)  # long enough to get there on a busy machine
        assert (told.value.executed, bool(told.value.retry_after)) == ("not_executed", True)
        till.gate.set()
        assert (await first).number == 1


async def test_what_a_handler_did_not_declare_is_not_kept() -> None:
    async with running(Till, over="tcp") as mesh:
        till, pay = till_of(mesh), mesh.client(Till).pay.using(idempotency_key="k")
        till.fail = 1
        with pytest.raises(RemoteFailure):
            await pay(5)
        assert (await pay(5)).number == 2


@OVER
async def test_a_caller_that_gives_up_gets_the_result_when_it_comes_again(over: Any) -> None:
    async with running(Till, over=over) as mesh:
        till, pay = till_of(mesh), mesh.client(Till).pay.using(idempotency_key="k")
        till.gate.clear()
        late = asyncio.ensure_future(pay.using(timeout=1.0)(5))
        await eventually(lambda: till.runs)
        with pytest.raises(DeadlineExceeded):
            await late
        given_up = asyncio.ensure_future(pay(5))
        await eventually(lambda: mesh.host.node.statistics()["calls"]["till.pay"]["in_flight"] >= 2)
        given_up.cancel()
        till.gate.set()
        assert (await pay(5)).number == 1
        assert (till.runs, till.cancelled) == (1, 0)


async def test_the_method_s_own_time_limit_ends_the_handler_and_frees_the_key() -> None:
    async with running(Till, over="tcp") as mesh:
        till, hurry = till_of(mesh), mesh.client(Till).hurry.using(idempotency_key="k")
        till.gate.clear()
        with pytest.raises(DeadlineExceeded):
            await hurry()
        await eventually(lambda: till.cancelled == 1)
        till.gate.set()
        assert await hurry() == 2


async def test_a_stop_waits_for_a_handler_whose_caller_has_gone() -> None:
    async with running(Till, over="tcp") as mesh:
        till = till_of(mesh)
        till.gate.clear()
        late = asyncio.ensure_future(mesh.client(Till).pay.using(idempotency_key="k", timeout=1.0)(5))
        await eventually(lambda: till.runs)
        with pytest.raises(DeadlineExceeded):
            await late
        node = mesh.host.node
        stopping = asyncio.ensure_future(mesh.host.stop())
        await eventually(lambda: node.phase == "draining")
        till.gate.set()
        await stopping
        assert node.left_behind == []
        assert till.cancelled == 0


async def test_a_key_belongs_to_one_caller_and_one_method() -> None:
    async with running(Till, Other, over="tcp") as mesh:
        mine = (await mesh.client(Till).pay.using(idempotency_key="k")(5)).number
        theirs = await mesh.client(Other).pass_on(5)
        assert (mine, theirs, await mesh.client(Other).pass_on(5)) == (1, 2, 2)
        assert (await mesh.client(Till).over_http.using(idempotency_key="k")(5)).number == 3


@pytest.mark.parametrize("key", ["", "k" * 256, "ünique", "a\nb", " a"])
async def test_a_key_that_a_header_could_not_hold_is_refused(key: str) -> None:
    async with running(Till, over="tcp") as mesh:
        with pytest.raises(InvalidPayload, match="1 to 255 printable ASCII"):
            await mesh.client(Till).pay.using(idempotency_key=key)(5)


async def test_over_http_the_header_is_the_key_and_refusals_have_the_statuses_of_the_draft() -> None:
    async with running(Till, over="http") as mesh:
        http, answers = mesh.http(Till), []
        for key, amount in (('"k 1"', 5), ("k 1", 5), ('"k 1"', 6)):
            async with http.post("/pay", json={"amount": amount}, headers={"Idempotency-Key": key}) as answer:
                answers.append((answer.status, await answer.json()))
        assert answers[0] == answers[1] == (200, {"number": 1, "by": "k 1", "tags": []})
        assert (answers[2][0], answers[2][1]["type"]) == (422, "key_reused")


def test_streams_and_raw_answers_can_t_be_keyed() -> None:
    class Streams(Service, name="streams", version="1.0.0"):
        @api(keyed=True)
        async def count(self) -> Any:
            yield 1

    with pytest.raises(UsageError, match="keyed=True keeps one result"):
        describe(Streams)


async def test_where_nothing_is_keyed_there_is_no_store() -> None:
    async with running(Other, fakes={"till": object()}) as mesh:
        assert mesh.host.node.keys is None
