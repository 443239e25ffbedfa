"""Whatever a handler raises, returns or does at its end: one typed error at the caller, and the host serves on."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator

import pytest

from tests.integration.runtime.waiting import until
from tests.withheld import withheld
from vyked_host import Service, ServiceError, api, context
from vyked_host.assembly import Host
from vyked_host.errors import ApplicationError, CallError, Cancelled, DeadlineExceeded, Overloaded, RemoteFailure
from vyked_host.runtime.lag import BLOCKED_S
from vyked_host.runtime.runners import RUNNERS

FAULTY_CALLS = 10_000
"""Row S5 of the reliability table."""


class Odd(BaseException):
    """Neither an Exception nor one of the interpreter's own."""


class Stubborn(ServiceError, code="stubborn"):
    """Its constructor is not that of ServiceError, so a caller can't make one of a code and fields."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class Unset(ServiceError, code="unset"):
    """A field that was never set: it can't be sent."""

    name: str

    def __init__(self) -> None:
        Exception.__init__(self, "forgot the name")


class Faulty(Service, name="faulty", version="1.0.0"):
    def __init__(self) -> None:
        self.gate, self.entered = threading.Event(), threading.Event()
        self.cleaned: list[str] = []

    @api
    async def fail(self, kind: str) -> str:
        if kind == "junk":
            return object()  # type: ignore[return-value]
        raise {"exit": SystemExit(3), "odd": Odd(), "error": ValueError("x")}[kind]

    @api
    async def fail_later(self, kind: str) -> str:
        await asyncio.sleep(0)
        return await self.fail(kind)

    @api
    async def stream(self, kind: str) -> AsyncIterator[int]:
        yield 1
        await self.fail(kind)

    @api(blocking=True)
    def next_of_nothing(self) -> int:
        return next(iter(list[int]()))

    @api(blocking=True)
    def exit_in_thread(self) -> int:
        raise SystemExit(4)

    @api(blocking=True)
    def who(self) -> list[str]:
        return [context().endpoint, context().metadata["user"], threading.current_thread().name]

    @api(blocking=True, concurrency=1)
    def hold(self) -> str:
        self.entered.set()
        self.gate.wait(5)
        return "let go"

    @api(raises=[Stubborn])
    async def stubborn(self) -> None:
        raise Stubborn(1, 2)

    @api(raises=[Unset])
    async def unset(self) -> None:
        raise Unset

    @api(timeout=0.5)
    async def tidy(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(30):  # longer than several looks at the deadlines
                await asyncio.sleep(0.01)
            self.cleaned.append("all")

    @api
    async def cancels_itself(self) -> None:
        raise asyncio.CancelledError


@pytest.fixture(params=["local", "tcp"])
def text(request: pytest.FixtureRequest) -> str:
    return {
        "local": "[transports.local]\n",
        "tcp": "[transports.tcp]\nport = 0\n[clients.default]\nprefer_local = false\ntransport = 'tcp'\n",
    }[request.param]


@pytest.fixture(params=list(RUNNERS))
def runner(request: pytest.FixtureRequest) -> str:
    return f"host.runner={request.param}"


@pytest.fixture
async def host(text: str, runner: str) -> AsyncIterator[Host]:
    async with Host(Faulty, text=text, overrides=(runner,)) as running:
        yield running


@pytest.mark.parametrize("kind", ["exit", "odd", "error", "junk"])
@pytest.mark.parametrize("method", ["fail", "fail_later"])
async def test_whatever_is_raised_is_one_typed_error_and_the_host_serves_on(host: Host, method: str, kind: str) -> None:
    service = host.client("faulty")
    for _ in range(3):
        with pytest.raises(RemoteFailure) as failed:
            await getattr(service, method)(kind=kind)
        assert (failed.value.executed, bool(failed.value.id)) == ("executed", True)
    assert not host.node.dispatcher.running


@pytest.mark.parametrize("kind", ["exit", "odd", "error"])
async def test_so_it_is_in_the_middle_of_a_stream(host: Host, kind: str) -> None:
    stream = host.client(Faulty).stream(kind)
    assert await anext(stream) == 1
    with pytest.raises(RemoteFailure):
        await anext(stream)


async def test_ten_thousand_faulty_calls_are_ten_thousand_typed_errors_on_one_open_connection() -> None:
    logging.getLogger("vyked").setLevel(logging.CRITICAL + 1)
    overrides = ("transports.tcp.port=0", "clients.default.prefer_local=false", "clients.default.transport=tcp")
    try:
        async with Host(Faulty, text="[transports.tcp]\n[clients.default]\n[limits]\n", overrides=overrides) as host:
            service, more, refused = host.client(Faulty), withheld(), 0
            for _ in range(0, FAULTY_CALLS, 100):  # few at once: a line of 0.8 s would be refused
                left = ["exit", "odd", "error", "junk"] * 25
                while left:
                    outcomes = await asyncio.gather(*[service.fail(kind) for kind in left], return_exceptions=True)
                    assert {type(outcome) for outcome in outcomes} <= {RemoteFailure, Overloaded}
                    left = [kind for kind, end in zip(left, outcomes, strict=True) if isinstance(end, Overloaded)]
                    refused += len(left)
            assert (
                not refused or more() >= BLOCKED_S
            )  # what comes while the machine has no processor for a host is refused
            statistics = host.node.statistics()
            codes = {"INTERNAL": FAULTY_CALLS} | ({"RESOURCE_EXHAUSTED": refused} if refused else {})
            assert statistics["calls"]["faulty.fail"]["codes"] == codes
            assert statistics["connections"]["tcp"] == 1
    finally:
        logging.getLogger("vyked").setLevel(logging.NOTSET)


async def test_stop_iteration_in_a_thread_is_an_error_not_a_call_that_hangs(host: Host) -> None:
    with pytest.raises(RemoteFailure):
        await host.client(Faulty).next_of_nothing.using(timeout=2)()


async def test_sys_exit_in_a_thread_ends_the_call_not_the_host(host: Host) -> None:
    with pytest.raises(RemoteFailure):
        await host.client(Faulty).exit_in_thread()


async def test_a_blocking_handler_has_its_context(host: Host) -> None:
    endpoint, user, thread = await host.client(Faulty).who.using(metadata={"user": "ada"})()
    assert (endpoint, user) == ("faulty.who", "ada")
    assert thread.startswith("vyked-blocking")


async def test_a_cancelled_blocking_handler_keeps_its_place_until_its_thread_is_free(host: Host) -> None:
    service, instance = host.client(Faulty), host.instance(Faulty)
    call = asyncio.ensure_future(service.hold())
    await until(instance.entered.is_set)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: host.node.statistics()["calls"]["faulty.hold"]["codes"])
    with pytest.raises(CallError) as refused:  # concurrency=1: the thread is still in it
        await service.hold()
    assert refused.value.code == "RESOURCE_EXHAUSTED"
    instance.gate.set()
    await until(lambda: host.node.statistics()["calls"]["faulty.hold"]["in_flight"] == 0)
    assert await service.hold() == "let go"


async def test_an_error_class_that_cannot_be_made_again_arrives_by_its_code(host: Host) -> None:
    with pytest.raises(ApplicationError, match="1 and 2") as failed:
        await host.client(Faulty).stubborn()
    assert failed.value.type == "stubborn"


async def test_a_declared_error_that_cannot_be_sent_is_a_failure_of_the_handler(host: Host) -> None:
    with pytest.raises(RemoteFailure):
        await host.client(Faulty).unset()


async def test_cleaning_up_after_the_deadline_is_not_interrupted_again(host: Host) -> None:
    with pytest.raises(DeadlineExceeded):
        await host.client(Faulty).tidy()
    cleaned = host.instance(Faulty).cleaned
    await until(lambda: cleaned == ["all"])


async def test_a_handler_that_is_cancelled_from_within_does_not_blame_its_caller(host: Host) -> None:
    with pytest.raises(Cancelled, match=r"faulty\.cancels_itself was cancelled by its own host") as failed:
        await host.client(Faulty).cancels_itself()
    assert failed.value.executed == "executed"
