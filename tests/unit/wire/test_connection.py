"""Bytes to packets and back: every kind, and what each malformed one gets."""

from __future__ import annotations

import msgspec
import pytest

from vyked_host.errors import LocalProtocolError, RemoteProtocolError
from vyked_host.model.message import Fault
from vyked_host.model.settings import LimitsTable
from vyked_host.wire import packets
from vyked_host.wire.hello import TABLE_BYTES, Goaway, Hello
from vyked_host.wire.metadata import CallMeta
from vyked_host.wire.packets import HEADER_BYTES, State

from .ends import HELLO, HOST, SURFACE, client, header, opened, server


def broken(found) -> str:
    """The one error at the end of `found`."""
    assert [packet[0] for packet in found] == [packets.BROKEN]
    assert isinstance(found[0][7], RemoteProtocolError)
    return str(found[0][7])


def test_a_request_arrives_as_it_was_sent():
    one, other = opened()
    data = one.request(7, 3, 1, 2, 1500, b"body")
    assert len(data) == HEADER_BYTES + 4
    assert other.receive(data) == [(packets.REQUEST, 7, 3, 1, 2, 1500, None, b"body")]


def test_a_request_with_meta_arrives_with_it():
    one, other = opened()
    meta = CallMeta("user-1", "key-1", "late/1.0.0", b'{"traceparent":"00-ab"}')
    [packet] = other.receive(one.request(7, 3, 0, 1, 1500, b"body", meta))
    assert packet == (packets.REQUEST, 7, 3, 0, 1, 1500, meta, b"body")


def test_empty_bodies_are_bodies():
    one, other = opened()
    assert other.receive(one.request(1, 0, 0, 1, 1, b""))[0][7] == b""
    assert one.receive(other.response(1, b""))[0][7] == b""
    assert one.receive(other.item(1, b""))[0][7] == b""


def test_small_packets_arrive_as_they_were_sent():
    one, other = opened()
    sent = one.cancel(3) + one.end(3) + one.credit(3, 16) + one.ping(99) + one.pong(98)
    assert [(p[0], p[1], p[5], p[7]) for p in other.receive(sent)] == [
        (packets.CANCEL, 3, 0, None), (packets.END, 3, 0, None), (packets.CREDIT, 3, 16, None),
        (packets.PING, 0, 99, None), (packets.PONG, 0, 98, None),
    ]  # fmt: skip


def test_a_goaway_carries_the_last_call_id():
    one, other = opened()
    [packet] = one.receive(other.goaway(41, "draining", "bye"))
    assert (packet[1], packet[7]) == (41, Goaway(code="draining", message="bye"))


def test_a_surface_is_told_again():
    one, other = opened()
    [packet] = one.receive(other.surface(SURFACE))
    assert packet[7].revision == 7
    assert [entry.index for entry in packet[7].endpoints] == [0, 2]


def test_each_end_learns_what_the_other_takes():
    one, other = client(LimitsTable(message=2000)), server(LimitsTable(message=3000))
    hello = msgspec.structs.replace(HELLO, limits=msgspec.structs.replace(HELLO.limits, message=2000))
    other.receive(one.hello(hello))
    welcome = HOST.welcome("json", SURFACE)
    one.receive(
        other.welcome(msgspec.structs.replace(welcome, limits=msgspec.structs.replace(HOST.limits, message=3000)))
    )
    assert (one.sendable, other.sendable) == (3000, 2000)


def test_good_packets_before_a_bad_one_are_kept_and_nothing_after_it():
    one, other = opened()
    data = one.ping(1) + one.request(1, 0, 0, 1, 5, b"x") + header(77) + one.ping(2)
    assert [packet[0] for packet in other.receive(data)] == [packets.PING, packets.REQUEST, packets.BROKEN]
    assert other.receive(one.ping(3)) == []


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "this is HTTP"),
        (b"POST /x HTTP/1.1\r\nHost: x\r\n\r\n", "this is HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(20), "this is TLS"),
        (bytes(20), "kind 0"),
        (b"\xff" * 20, "kind 255"),
        (header(packets.HELLO, 0xFFFFFFFF), "HELLO of 4294967295 bytes: at most 8192"),
        (header(packets.HELLO, 8193), "at most 8192"),
        (header(packets.HELLO, 0), "a HELLO is not as it should be"),
        (header(packets.HELLO, 2, flags=1) + b"{}", "flags 0x01"),
        (header(packets.HELLO, 2, reserved=9) + b"{}", "reserved byte"),
        (header(packets.REQUEST), "REQUEST is not legal for a client while the connection is fresh"),
        (header(packets.REJECT), "REJECT is not legal"),
    ],
)  # fmt: skip
def test_a_server_refuses_wrong_first_bytes_at_the_header(data, text):
    assert text in broken(server().receive(data))


@pytest.mark.parametrize(
    "payload",
    [
        b"{", b"null", b"[]", b"{}", b'{"versions":1}', b'{"versions":[1]}', b'{"versions":["1"]}', b"\xff\xfe",
        b'{"versions":[1],"mesh":"\xff","node":"n","serializers":[]}',
        b'{"versions":[1],"mesh":"m","node":"n","serializers":["json"],"limits":{"message":0}}',
        b'{"versions":[1],"mesh":"m","node":"n","serializers":["json"],"limits":{"message":-1}}',
        b'{"versions":[1],"mesh":"m","node":"n","serializers":["json"],"generation":[' + b"9" * 5000 + b",1]}",
        b'{"versions":[' + b"9" * 8000 + b"]}",
        b'{"versions":[1],"x":' + b"[" * 4000,
        b'{"versions":[1],"x":' + b"[" * 4000 + b"]" * 4000 + b"}",
        b'{"versions":[1],"x":' + b'{"a":' * 1300 + b"1" + b"}" * 1300 + b"}",
    ],
)  # fmt: skip
def test_a_malformed_hello_is_the_peers_fault(payload):
    assert "HELLO is not as it should be" in broken(server().receive(header(packets.HELLO, len(payload)) + payload))


def test_unknown_fields_of_a_hello_are_skipped():
    payload = b'{"versions":[1,2],"mesh":"m","node":"n","serializers":["json"],"colour":{"of":["the","sky"]}}'
    [packet] = server().receive(header(packets.HELLO, len(payload)) + payload)
    assert packet[7] == Hello(versions=(1, 2), mesh="m", node="n", serializers=("json",))


def test_a_hello_of_another_version_needs_nothing_but_its_versions():
    payload = b'{"versions":[2,3],"mesh":{"name":"it changed"}}'
    [packet] = server().receive(header(packets.HELLO, len(payload)) + payload)
    assert packet[7].versions == (2, 3)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (header(77), "kind 77 is not legal"),
        (header(0), "kind 0"),
        (header(packets.RESPONSE), "RESPONSE is not legal for a client"),
        (header(packets.HELLO, 2) + b"{}", "HELLO is not legal"),
        (header(packets.REQUEST, 0xFFFFFFFF), "REQUEST of 4294967295 bytes: at most 1048576"),
        (header(packets.REQUEST, (1 << 20) + 1), "at most 1048576"),
        (header(packets.ITEM, 1 << 31), "at most 1048576"),
        (header(packets.CANCEL, 1), "CANCEL of 1 bytes: at most 0"),
        (header(packets.PING, 4), "PING of 4 bytes: at most 0"),
        (header(packets.GOAWAY, 65537), "at most 65536"),
        (header(packets.REQUEST, 0, flags=4), "flags 0x04"),
        (header(packets.CANCEL, 0, flags=2), "flags 0x02"),
        (header(packets.REQUEST, 0, flags=2), "whose first ones never came"),
        (header(packets.REQUEST, 0, flags=255), "flags 0xff"),
        (header(packets.ITEM, 0, flags=1), "flags 0x01"),
        (header(packets.REQUEST, 0, reserved=1), "reserved byte"),
        (header(packets.REQUEST, 0, flags=1), "needs its two bytes of length"),
        (header(packets.REQUEST, 1, flags=1) + b"x", "needs its two bytes of length"),
        (header(packets.REQUEST, 2, flags=1) + b"\x05\x00", "ends beyond its packet"),
        (header(packets.REQUEST, 4, flags=1) + b"\x02\x00[]", "meta block is not"),
        (header(packets.REQUEST, 13, flags=1) + b'\x0b\x00{"h":[1,2]}', "meta block is not"),
        (header(packets.REQUEST, 13, flags=1) + b'\x0b\x00{"h":{"a":1', "meta block is not"),
        (header(packets.GOAWAY, 1) + b"x", "GOAWAY is not"),
    ],
)  # fmt: skip
def test_an_open_server_refuses_what_is_malformed(data, text):
    assert text in broken(opened()[1].receive(data))


@pytest.mark.parametrize(
    ("kind", "payload", "text"),
    [
        (packets.FAULT, b"", "FAULT is not"),
        (packets.FAULT, b'{"code":"INTERNAL"}', "FAULT is not"),
        (packets.FAULT, b'{"code":"X","message":"m","details":' + b"[" * 5000, "FAULT is not"),
        (packets.SURFACE, b'{"revision":1,"endpoints":[{"index":70000,"service":"a","version":"1","name":"b"}]}', "SURFACE"),
        (packets.SURFACE, b'{"revision":1,"endpoints":[{"index":-1,"service":"a","version":"1","name":"b"}]}', "SURFACE"),
        (packets.REQUEST, b"", "REQUEST is not legal for a server"),
        (packets.END, b"", "END is not legal for a server"),
    ],
)  # fmt: skip
def test_an_open_client_refuses_what_is_malformed(kind, payload, text):
    assert text in broken(opened()[0].receive(header(kind, len(payload)) + payload))


def test_a_client_refuses_a_version_it_did_not_offer():
    one = client()
    one.hello(HELLO)
    welcome = msgspec.json.encode(msgspec.structs.replace(HOST.welcome("json", SURFACE), version=2))
    assert "chose version 2" in broken(one.receive(header(packets.WELCOME, len(welcome)) + welcome))


def test_an_error_is_found_before_its_payload_is_waited_for():
    other = opened()[1]
    assert other.receive(header(packets.REQUEST, 5000, call_id=1)[:19]) == []
    assert other.incomplete
    assert "at most" in broken(opened()[1].receive(header(packets.REQUEST, 1 << 24)))


def test_limits_that_are_lifted_let_a_header_say_what_it_can():
    limits = LimitsTable(message="none", hello="none")
    _one, other = opened(limits)
    assert other.receive(header(packets.REQUEST, 0xFFFFFFFF)) == []
    assert other.state is State.OPEN


def test_a_frame_that_never_comes_costs_what_came():
    other = opened(LimitsTable(message="none"))[1]
    other.receive(header(packets.REQUEST, 0xFFFFFFFF))
    for _ in range(100):
        assert other.receive(b"x" * 10) == []
    assert len(other._left) == HEADER_BYTES + 1000


def test_an_endpoint_table_that_no_client_takes_is_not_sent():
    _, other = opened()
    endpoint = SURFACE.endpoints[0]
    long = msgspec.structs.replace(endpoint, name="x" * 200)
    huge = msgspec.structs.replace(SURFACE, endpoints=(long,) * (TABLE_BYTES // 200))
    with pytest.raises(LocalProtocolError, match="endpoint table"):
        other.surface(huge)


def test_faults_lose_details_that_can_not_travel():
    one, other = opened()
    fault = Fault(code="APPLICATION", message="no", executed="executed", type="taken", details={"x": "y" * 70000})
    [packet] = one.receive(other.fault(3, fault))
    assert packet[7].details is None
    assert packet[7].type == "taken"
    assert "too large" in packet[7].message
    odd = msgspec.structs.replace(fault, details={"x": object()})
    assert "can't be sent" in one.receive(other.fault(3, odd))[0][7].message
    long = msgspec.structs.replace(fault, message="m" * 200000, details=None)
    assert len(one.receive(other.fault(3, long))[0][7].message) < 2000


@pytest.mark.parametrize(
    ("said", "heard"),
    [("not_sent", "not_executed"), ("not_executed", "not_executed"), ("executed", "executed"), ("unknown", "unknown")],
)
def test_executed_travels_only_where_it_is_known(said, heard):
    one, other = opened()
    data = other.fault(3, Fault(code="UNAVAILABLE", message="no", executed=said, retry_after_s=0.5))
    fault = one.receive(data)[0][7]
    assert (fault.executed, fault.retry_after_s) == (heard, 0.5)
    assert b"not_sent" not in data
    assert b"unknown" not in data


def test_a_code_of_a_later_version_counts_as_internal():
    payload = b'{"code":"MOON_PHASE","message":"m","executed":"maybe"}'
    fault = opened()[0].receive(header(packets.FAULT, len(payload)) + payload)[0][7]
    assert (fault.code, fault.executed) == ("INTERNAL", "unknown")
