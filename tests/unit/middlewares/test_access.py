"""The access log: who is worth a line, and what must never be in it."""

import asyncio
import logging

import msgspec
import pytest

from vyked_host.builtin.middlewares.provider import LoggingOptions, vyked_middlewares
from vyked_host.contracts import Call, EndpointDescription, Kind
from vyked_host.errors import Overloaded, ServiceError
from vyked_host.service.context import CURRENT, Context, Reject, Retry
from vyked_host.testing import environment


class Arguments(msgspec.Struct):
    user_name: str
    password: str


ENDPOINT = EndpointDescription(
    service="identity", version="1.0.0", name="create", kind=Kind.UNARY, arguments=Arguments, sensitive=("password",)
)
ADA = Arguments("ada", "s3cret")


class Taken(ServiceError, code="taken"):
    user_name: str


@pytest.fixture
async def wrapped(caplog):
    caplog.set_level(logging.INFO)
    async with environment() as env:

        def wrap(proceed, endpoint=ENDPOINT, side="server", **options):
            return vyked_middlewares()[0].build(LoggingOptions(**options), env).wrap(endpoint, side, proceed)

        yield wrap


async def fine(arguments):
    return arguments.user_name


def fails(error):
    async def proceed(_arguments):
        raise error

    return proceed


async def test_a_quick_success_leaves_no_line(wrapped, caplog):
    assert await wrapped(fine)(ADA) == "ada"
    assert caplog.records == []


async def test_every_call_and_slow_calls_when_asked_for(wrapped, caplog):
    await wrapped(fine, every=True)(ADA)
    await wrapped(fine, slow_ms=0.0)(ADA)
    every, slow = caplog.records
    assert (every.levelname, slow.levelname) == ("INFO", "WARNING")
    assert (every.service, every.method, every.side, every.code) == ("identity", "create", "server", "OK")
    assert every.ms >= 0


@pytest.mark.parametrize(
    ("error", "code", "level"),
    [
        (RuntimeError("s3cret"), "INTERNAL", "WARNING"),
        (Overloaded("busy"), "RESOURCE_EXHAUSTED", "WARNING"),
        (Taken("s3cret"), "APPLICATION", "INFO"),
        (Retry(1.0), "RETRY", "INFO"),
        (Reject("s3cret"), "REJECT", "WARNING"),
        (asyncio.CancelledError(), "CANCELLED", "INFO"),
    ],
)
async def test_a_failure_is_logged_with_its_code_and_passed_on(wrapped, caplog, error, code, level):
    with pytest.raises(type(error)):
        await wrapped(fails(error))(ADA)
    (line,) = caplog.records
    assert (line.code, line.levelname) == (code, level)
    assert "s3cret" not in f"{line.getMessage()} {vars(line)}"


async def test_arguments_are_shown_only_when_asked_for_and_sensitive_ones_never(wrapped, caplog):
    await wrapped(fine, every=True)(ADA)
    await wrapped(fine, every=True, arguments=True)(Arguments("x" * 1000, "s3cret"))
    without, shown = caplog.records
    assert not hasattr(without, "arguments")
    assert shown.arguments["password"] == "***"
    assert len(shown.arguments["user_name"]) == 200
    assert "s3cret" not in str(vars(shown))


async def test_the_caller_is_named(wrapped, caplog):
    call = Call(1, 0, "object", ADA, 1.0, caller="accounts/1.0.0")
    token = CURRENT.set(Context(call, ENDPOINT, lambda: 0.0))
    try:
        await wrapped(fine, every=True)(ADA)
    finally:
        CURRENT.reset(token)
    assert caplog.records[0].caller == "accounts/1.0.0"


async def test_probes_are_left_as_they_are(wrapped):
    assert wrapped(fine, endpoint=msgspec.structs.replace(ENDPOINT, lane="control")) is fine
