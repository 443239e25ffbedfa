"""Pace, framing, negotiation, headers, exchange, provider: the rules, without a socket."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from vyked_host.builtin.http import headers, provider
from vyked_host.builtin.http.census import is_remote
from vyked_host.builtin.http.cors import is_same_origin
from vyked_host.builtin.http.exchange import Exchange
from vyked_host.builtin.http.exposed import longest
from vyked_host.builtin.http.framing import Frames, FrameSplitter, LineSplitter
from vyked_host.builtin.http.negotiation import Negotiation, preferences
from vyked_host.builtin.http.options import Options
from vyked_host.builtin.http.pace import Allowances, Pace
from vyked_host.builtin.http.refusal import Refused, encode_error, failure
from vyked_host.builtin.serializers.codecs import Json, Msgpack
from vyked_host.contracts import (
    INITIAL_CREDIT,
    Call,
    DeclaredError,
    EndpointDescription,
    Fault,
    Kind,
    LimitsTable,
    TimingTable,
)
from vyked_host.wire.metadata import pack, unpack

ALLOWED = Allowances(TimingTable())  # headers 10, body 30, write 10, grace 5


def slow(pace: Pace, now: float, *, body: int | None = None, reading: bool = True, unsent: int = 0) -> str | None:
    return pace.too_slow(now, body=body, reading=reading, unsent=unsent)


# ---- pace ------------------------------------------------------------------------------------------------------------
def test_headers_have_ten_seconds_from_the_first_byte_on() -> None:
    pace = Pace(ALLOWED, 100.0)
    assert (slow(pace, 110.0), slow(pace, 110.1)) == (None, "headers")
    pace.began(105.0)
    pace.ended()
    assert (pace.idle, slow(pace, 999.0)) == (True, None)
    pace.heard(1000.0)
    pace.heard(1009.0)
    assert (pace.idle, slow(pace, 1010.1)) == (False, "headers")


def test_a_body_has_thirty_seconds_and_a_least_rate() -> None:
    pace = Pace(ALLOWED, 0.0)
    pace.began(0.0)
    assert slow(pace, 5.0, body=0) is None
    assert slow(pace, 6.0, body=6 * 1024 - 1) == "body"
    assert slow(pace, 6.0, body=6 * 1024) is None
    assert slow(pace, 30.1, body=10**9) == "body"
    assert slow(pace, 30.1, body=None) is None


def test_who_is_not_read_is_not_slow() -> None:
    pace = Pace(ALLOWED, 0.0)
    pace.began(0.0)
    assert slow(pace, 20.0, body=100, reading=False) is None
    assert slow(pace, 24.0, body=100) is None
    assert slow(pace, 26.0, body=100) == "body"


def test_an_answer_has_to_be_taken() -> None:
    pace = Pace(ALLOWED, 0.0)
    pace.began(0.0)
    assert slow(pace, 1.0, unsent=500) is None
    assert slow(pace, 10.0, unsent=400) is None
    assert slow(pace, 19.0, unsent=400) is None
    assert slow(pace, 20.1, unsent=400) == "reading"
    assert slow(pace, 21.0, unsent=0) is None


def test_the_scale_holds_for_what_is_fixed_here_too() -> None:
    allowed = Allowances(TimingTable(scale=0.1))
    assert (allowed.grace, allowed.rate) == pytest.approx((0.5, 10240))


@pytest.mark.parametrize(
    ("peer", "remote"), [("127.0.0.1", False), ("::1", False), ("", False), ("10.0.0.1", True), ("fe80::1%eth0", True)]
)
def test_only_peers_beyond_this_machine_count(peer: str, remote: bool) -> None:
    assert is_remote(peer) is remote


# ---- framing ---------------------------------------------------------------------------------------------------------
def test_lines_need_no_last_line_feed_and_empty_ones_are_skipped() -> None:
    splitter = LineSplitter(0)
    assert splitter.feed(b"1\n\n2") == [b"1"]
    assert splitter.rest() == b"2"


def test_items_over_the_limit_are_refused_before_they_are_complete() -> None:
    with pytest.raises(ValueError, match="longer than 10"):
        LineSplitter(10).feed(b"x" * 11)
    with pytest.raises(ValueError, match="longer than 10"):
        FrameSplitter(10).feed(b"\xff\xff\xff\xff")


def test_half_a_frame_is_no_item() -> None:
    splitter = FrameSplitter(0)
    assert splitter.feed(Frames().item(b"abc")[:-1]) == []
    with pytest.raises(ValueError, match="inside a frame"):
        splitter.rest()


# ---- negotiation -----------------------------------------------------------------------------------------------------
NEGOTIATION = Negotiation({"json": Json(LimitsTable()), "msgpack": Msgpack(LimitsTable())})


def test_the_most_wanted_type_comes_first_and_q_0_is_refused() -> None:
    assert preferences("a/b;q=0.5, c/d, e/f;q=0, g/h;q=x") == ["c/d", "a/b"]


@pytest.mark.parametrize(("said", "name"), [("", "json"), ("application/json", "json"), ("application/problem+json", "json"), ("application/msgpack", "msgpack"), ("application/x-msgpack", "msgpack")])  # fmt: skip
def test_a_body_is_what_its_type_says(said: str, name: str) -> None:
    assert NEGOTIATION.of_body(said) == name


@pytest.mark.parametrize("said", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_types_that_a_page_may_send_unasked_are_no_json(said: str) -> None:
    with pytest.raises(Refused) as caught:
        NEGOTIATION.of_body(said)
    assert caught.value.answer().status == 415


# ---- headers ---------------------------------------------------------------------------------------------------------
ENDPOINT = EndpointDescription(service="s", version="1", name="m", kind=Kind.UNARY)


def test_the_time_is_what_the_caller_says_then_what_the_endpoint_says_then_ten_seconds() -> None:
    assert headers.timeout_s({headers.TIMEOUT: "250"}, 3.0) == 0.25
    assert headers.timeout_s({headers.TIMEOUT: "999999999"}, 3.0) == 600
    assert headers.timeout_s({}, 3.0) == 3.0
    assert longest(ENDPOINT) == 10
    assert longest(msgspec.structs.replace(ENDPOINT, timeout_s=3.0)) == 3
    assert longest(msgspec.structs.replace(ENDPOINT, kind=Kind.SERVER_STREAM)) == 600


def made_call(**fields: Any) -> Call:
    return Call(id=1, endpoint=0, codec="json", body=b"", deadline=0.0, **fields)


def test_what_a_call_carries_survives_its_headers() -> None:
    pairs = {"traceparent": "00-a-b-01", "baggage": "a=b\r\nX: y", "tenant": "é"}
    call = made_call(metadata=pack(pairs), entity="a b/é", attempt=2, caller="accounts/1.0.0", idempotency_key="k")
    said = headers.of_call(call, 1.5)
    assert all(value.isascii() and value.isprintable() for value in said.values())
    assert unpack(headers.metadata(said)) == pairs
    assert (headers.entity(said), headers.attempt(said), headers.caller(said)) == ("a b/é", 2, "accounts/1.0.0")
    assert (said[headers.TIMEOUT], said[headers.IDEMPOTENCY], said["traceparent"]) == ("1500", "k", "00-a-b-01")


def test_an_idempotency_key_that_no_header_can_hold_is_quoted() -> None:
    assert headers.of_call(made_call(idempotency_key="a\r\nb"), 1.0)[headers.IDEMPOTENCY] == "a%0D%0Ab"


@pytest.mark.parametrize("said", ["", "x", "Accounts/1", "a/1\r\n", "a" * 80 + "/1"])
def test_a_caller_that_is_none_is_dropped(said: str) -> None:
    assert headers.caller({headers.CALLER: said}) == ""


# ---- errors ----------------------------------------------------------------------------------------------------------
def test_the_status_of_a_declared_error_is_the_endpoints() -> None:
    fault = Fault(code="APPLICATION", message="m", executed="executed", type="gone")
    assert failure(fault, raises=(DeclaredError(code="gone", status=410),)).status == 410
    assert failure(fault).status == 400


def test_details_that_json_cant_hold_dont_lose_the_error() -> None:
    fault = Fault(code="INTERNAL", message="m", executed="unknown", details=object())
    assert b'"error":"m"' in encode_error(fault)


# ---- exchange --------------------------------------------------------------------------------------------------------
async def test_items_are_refused_after_the_credit_and_taken_again_once_written() -> None:
    exchange = Exchange()
    call = made_call()
    taken = [exchange.item(call, number) for number in range(INITIAL_CREDIT)]
    assert taken == [True] * (INITIAL_CREDIT - 1) + [False]
    assert await exchange.batch() == list(range(INITIAL_CREDIT))
    exchange.written(INITIAL_CREDIT)
    assert exchange.item(call, 0)


async def test_the_requests_stream_waits_for_room() -> None:
    exchange = Exchange()
    for _ in range(INITIAL_CREDIT):
        assert await exchange.room()
    waiting = asyncio.ensure_future(exchange.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    exchange.credit(made_call(), 1)
    assert await waiting
    last = asyncio.ensure_future(exchange.room())
    await asyncio.sleep(0)
    exchange.respond(made_call(), None)
    assert not await last


# ---- provider --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"use": "http", "options": {"host": "0.0.0.0"}}, True),
        ({"use": "http", "host": "192.168.0.1"}, True),
        ({"use": "http", "options": {"host": "127.0.0.1"}}, False),
        ({"use": "http", "options": {"host": "::1"}}, False),
        ({"use": "http", "options": {}}, False),
        ({"use": "tcp", "options": {"host": "0.0.0.0"}}, False),
    ],
)
def test_a_bind_beyond_loopback_is_a_problem_at_its_key(table: Any, problem: bool) -> None:
    found = list(provider.vyked_check_settings({"transports": {"web": table}, "security": {"insecure": False}}))
    assert [path for path, _, _ in found] == ["transports.web.host"] * problem
    assert not list(provider.vyked_check_settings({"transports": {"web": table}, "security": {"insecure": True}}))


def test_allow_cross_domain_is_every_origin() -> None:
    assert Options(allow_cross_domain=True).allowed_origins() == {"*"}
    assert Options().allowed_origins() == frozenset()


def test_the_provider_imports_no_aiohttp() -> None:
    import subprocess
    import sys

    code = "import sys, vyked_host.builtin.http.provider; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "null", "", "http://elsewhere:1"])
def test_what_is_no_origin_of_this_host_is_none_whatever_it_looks_like(origin: str) -> None:
    request = SimpleNamespace(host="127.0.0.1:4501")
    assert not is_same_origin(request, origin)  # type: ignore[arg-type]  # all that it looks at
    assert is_same_origin(request, "http://127.0.0.1:4501")  # type: ignore[arg-type]  # likewise
