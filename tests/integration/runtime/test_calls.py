"""What a caller and a handler may rely on, on the real runtime inside one process."""

import asyncio
import contextvars
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from tests.integration.runtime.waiting import until
from vyked_host import Service, ServiceError, api, client, context
from vyked_host.assembly import Host
from vyked_host.errors import (
    ApplicationError,
    DeadlineExceeded,
    InvalidPayload,
    NotFound,
    Overloaded,
    RemoteFailure,
    Unavailable,
)
from vyked_host.runtime.runners import RUNNERS

LOCAL = "[plugins]\nautoload = false\n[transports.local]\n"
VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class Row(Struct, frozen=True):
    name: str
    n: int = 0


class Bag(Struct):
    names: list[str]


class Taken(ServiceError, code="taken", status=409):
    name: str


class Secret(ServiceError, code="secret"):
    text: str


class Lab(Service, name="lab", version="1.4.0"):
    async def on_start(self) -> None:
        self.seen: list[Any] = []
        self.gate = asyncio.Event()
        self.cancelled = 0

    @api
    async def echo(self, row: Row) -> Row:
        return row

    @api
    async def grow(self, bag: Bag) -> Bag:
        bag.names.append("handler")
        self.seen.append(bag)
        return bag

    @api(raises=[Taken])
    async def take(self, name: str) -> None:
        raise Taken(name) if name != "hidden" else Secret("do not tell")

    @api
    async def crash(self) -> None:
        raise ZeroDivisionError("internal detail")

    @api
    async def limited(self, n: Annotated[int, Meta(ge=1, le=3)] = 1) -> int:
        return n

    @api
    async def wait(self) -> str:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "done"

    @api(concurrency=1)
    async def single(self) -> None:
        await self.gate.wait()

    @api
    def plain(self) -> str:
        return "plain"

    @api(blocking=True)
    def blocking(self, n: int) -> int:
        return n * 2

    @api
    async def lies(self) -> int:
        return "no number"  # type: ignore[return-value]

    @api
    async def task_facts(self) -> list[str]:
        task = asyncio.current_task()
        assert task is not None
        before = VARIABLE.get()
        VARIABLE.set("handler")
        async with asyncio.timeout(1), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        return [before, VARIABLE.get(), str(asyncio.current_task() is task)]

    @api
    async def remaining(self) -> float:
        return context().remaining

    @api
    async def count(self, to: int) -> AsyncIterator[int]:
        try:
            for n in range(to):
                yield n
        finally:
            self.seen.append("closed")

    @api
    async def total(self, numbers: AsyncIterator[int], start: int = 0) -> int:
        return start + sum([n async for n in numbers])

    @api
    async def doubled(self, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        async for n in numbers:
            yield n * 2


class Front(Service, name="front", version="1.0.0"):
    lab = client(Lab)

    @api
    async def left(self) -> float:
        return await self.lab.remaining.using(timeout=60)()

    @api
    async def hang(self) -> str:
        return await self.lab.wait()


@pytest.fixture(params=sorted(RUNNERS))
async def host(request: pytest.FixtureRequest) -> AsyncIterator[Host]:
    async with Host(Lab, Front, text=f'{LOCAL}[host]\nrunner = "{request.param}"\n') as running:
        yield running


async def test_a_value_goes_there_and_back(host: Host) -> None:
    assert await host.client(Lab).echo(Row("ada", 1)) == Row("ada", 1)


async def test_mutable_values_are_not_shared_between_caller_and_handler(host: Host) -> None:
    bag = Bag(["caller"])
    answer = await host.client(Lab).grow(bag)
    assert bag.names == ["caller"]
    assert answer.names == ["caller", "handler"]
    answer.names.append("later")
    assert host.instance(Lab).seen[0].names == ["caller", "handler"]


async def test_a_declared_error_arrives_as_its_class(host: Host) -> None:
    with pytest.raises(Taken) as caught:
        await host.client(Lab).take("ada")
    assert caught.value.name == "ada"


async def test_a_declared_error_reaches_a_string_client_by_its_code(host: Host) -> None:
    with pytest.raises(ApplicationError) as caught:
        await host.client("lab").take(name="ada")
    assert (caught.value.type, caught.value.details) == ("taken", {"name": "ada"})


async def test_what_is_not_declared_stays_in_this_hosts_log(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    for call in (host.client(Lab).crash(), host.client(Lab).take("hidden")):
        with pytest.raises(RemoteFailure) as caught:
            await call
        assert "detail" not in str(caught.value)
        assert "tell" not in str(caught.value)
        assert any(caught.value.id in line.getMessage() for line in caplog.records)
    assert "ZeroDivisionError" in caplog.text


async def test_arguments_are_validated_before_the_handler_runs(host: Host) -> None:
    lab = host.client("lab")
    with pytest.raises(InvalidPayload) as caught:
        await lab.limited(n=9)
    assert (caught.value.field, caught.value.executed) == ("n", "not_executed")
    with pytest.raises(InvalidPayload, match="it takes: row"):
        await lab.echo(rwo={})
    with pytest.raises(InvalidPayload, match="Expected `int`"):
        await lab.limited(n="2")
    assert await host.client(Lab).limited(2) == 2
    with pytest.raises(InvalidPayload):
        await host.client(Lab).limited(9)


@pytest.mark.parametrize("left", [0, 0.0, -1.0])
async def test_a_caller_who_has_no_time_left_sends_nothing(host: Host, left: float) -> None:
    with pytest.raises(DeadlineExceeded, match="no time was left") as caught:
        await host.client(Lab).limited.using(timeout=left)(2)
    assert caught.value.executed == "not_sent"


async def test_an_unknown_method_says_which_exist(host: Host) -> None:
    with pytest.raises(NotFound, match=r"lab\.nope does not exist; lab has: .*echo"):
        await host.client("lab").nope()


async def test_an_unknown_service_fails_at_once(host: Host) -> None:
    with pytest.raises(Unavailable, match="no instance of nobody is known") as caught:
        await host.client("nobody").do()
    assert caught.value.executed == "not_sent"


async def test_a_version_is_compatible_or_refused(host: Host) -> None:
    assert await host.client("lab", version="1.2").plain() == "plain"
    with pytest.raises(Exception, match=r"known: 1\.4\.0"):
        await host.client("lab", version="1.5").plain()
    with pytest.raises(Exception, match=r"known: 1\.4\.0"):
        await host.client("lab", version="2").plain()


async def test_a_result_of_the_wrong_type_is_the_handlers_fault(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RemoteFailure):
        await host.client(Lab).lies()
    assert "Expected `int`, got `str`" in caplog.text


async def test_plain_and_blocking_functions_are_awaited_like_any_other(host: Host) -> None:
    assert await host.client(Lab).plain() == "plain"
    assert await asyncio.gather(*(host.client(Lab).blocking(n) for n in range(8))) == [n * 2 for n in range(8)]


async def test_a_handler_runs_in_a_real_task_and_a_context_of_its_own(host: Host) -> None:
    VARIABLE.set("caller")
    assert await host.client(Lab).task_facts() == ["unset", "handler", "True"]
    assert VARIABLE.get() == "caller"


async def test_the_deadline_ends_the_call_on_both_sides(host: Host) -> None:
    with pytest.raises(DeadlineExceeded):
        await host.client(Lab).wait.using(timeout=0.1)()
    await until(lambda: host.instance(Lab).cancelled == 1)
    assert not host.node.dispatcher.running


async def test_a_nested_call_has_less_time_than_its_caller(host: Host) -> None:
    assert await host.client(Front).left.using(timeout=2)() < 2.0


async def test_nothing_starts_without_time_left(host: Host) -> None:
    with pytest.raises(DeadlineExceeded) as caught:
        await host.client(Lab).plain.using(timeout=1e-9)()
    assert caught.value.executed == "not_sent"


async def test_a_cancel_reaches_the_handler_through_two_calls(host: Host) -> None:
    call = asyncio.ensure_future(host.client(Front).hang())
    await until(lambda: len(host.node.dispatcher.running) == 2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: host.instance(Lab).cancelled == 1 and not host.node.dispatcher.running)


async def test_a_cancel_before_the_first_line_leaves_nothing_behind(host: Host) -> None:
    for _ in range(50):
        call = asyncio.ensure_future(host.client(Lab).wait())
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    await until(lambda: not host.node.dispatcher.running)


async def test_a_full_endpoint_refuses_honestly(host: Host) -> None:
    first = asyncio.ensure_future(host.client(Lab).single())
    await until(lambda: len(host.node.dispatcher.running) == 1)
    with pytest.raises(Overloaded) as caught:
        await host.client(Lab).single()
    assert caught.value.executed == "not_executed"
    assert caught.value.retry_after
    host.instance(Lab).gate.set()
    await first


async def test_streams_flow_with_credit_in_each_direction(host: Host) -> None:
    async def numbers(to: int) -> AsyncIterator[int]:
        for n in range(to):
            yield n

    lab = host.client(Lab)
    assert [n async for n in lab.count(200)] == list(range(200))
    assert await lab.total(numbers(200), start=1) == sum(range(200)) + 1
    assert [n async for n in lab.doubled(numbers(100))] == [n * 2 for n in range(100)]


async def test_leaving_a_stream_early_closes_the_handler(host: Host) -> None:
    async with host.client(Lab).count(10_000) as items:
        async for n in items:
            if n == 5:
                break
    await until(lambda: host.instance(Lab).seen == ["closed"])
    await until(lambda: not host.node.dispatcher.running)


async def test_the_callers_own_failing_stream_is_its_own_error(host: Host) -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await host.client(Lab).total(broken())
    await until(lambda: not host.node.dispatcher.running)
