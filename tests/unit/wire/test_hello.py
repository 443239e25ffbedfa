"""What the two ends agree on, and why they may not."""

from __future__ import annotations

import msgspec
import pytest

from vyked_host.errors import LocalProtocolError
from vyked_host.model.description import EndpointDescription, Kind, Surface
from vyked_host.model.settings import LimitsTable
from vyked_host.model.topology import Generation
from vyked_host.wire.hello import CALLERS_BYTES, listed, pair, wire_limits
from vyked_host.wire.table import Entry, surface, table

from .ends import HELLO, HOST, SURFACE


def changed(**fields):
    return HOST.judge(msgspec.structs.replace(HELLO, **fields))


def test_the_clients_preference_decides_the_serializer():
    assert changed(serializers=("cbor", "json", "msgpack")) == "json"


@pytest.mark.parametrize(
    ("fields", "reason", "text"),
    [
        ({"versions": (2, 3)}, "version", "speaks version 1 of the protocol, the client 2, 3"),
        ({"versions": ()}, "version", "the client none"),
        ({"mesh": "prod"}, "mesh", "of mesh 'demo', the client of 'prod'"),
        ({"serializers": ("cbor",)}, "serializer", "this host has msgpack, json, the client cbor"),
    ],
)
def test_a_client_that_does_not_fit_is_told_what_would(fields, reason, text):
    reject = changed(**fields)
    assert reject.reason == reason
    assert text in reject.message
    assert (reject.mesh, reject.versions, reject.serializers) == ("demo", (1,), ("msgpack", "json"))


def test_the_table_has_what_can_be_called_and_comes_back_as_a_surface():
    again = surface(7, table(SURFACE))
    assert [each and each.path for each in again.endpoints] == ["lab.echo", None, "lab.count"]
    assert again.endpoints[0].idempotent
    assert again.endpoints[2].kind is Kind.SERVER_STREAM


def test_the_table_tells_what_is_deprecated_and_what_to_call_instead():
    old = EndpointDescription(
        service="lab", version="1.0.0", name="old", kind=Kind.UNARY, deprecated=True, replacement="new"
    )
    (again,) = surface(1, table(Surface(revision=1, endpoints=(old,)))).endpoints
    assert (again.deprecated, again.replacement) == (True, "new")


def test_rows_of_an_unknown_kind_are_skipped():
    rows = [
        Entry(index=0, service="a", version="1.0.0", name="x", kind=9),
        Entry(index=2, service="a", version="1.0.0", name="y"),
    ]
    assert [each and each.name for each in surface(1, rows).endpoints] == [None, None, "y"]


def test_an_empty_table_is_an_empty_surface():
    assert surface(3, ()).endpoints == ()


def test_more_endpoints_than_an_index_can_say_are_refused():
    one = EndpointDescription(service="a", version="1.0.0", name="x", kind=Kind.UNARY)
    with pytest.raises(LocalProtocolError, match="65537 endpoints"):
        table(Surface(revision=1, endpoints=(one,) * 65537))


def test_the_control_lane_is_told():
    one = EndpointDescription(service="a", version="1.0.0", name="x", kind=Kind.UNARY, lane="control")
    assert surface(1, table(Surface(revision=1, endpoints=(one,)))).endpoints[0].lane == "control"


def test_limits_none_is_all_that_a_header_can_say():
    found = wire_limits(LimitsTable(message="none", in_flight_per_connection="none"))
    assert (found.message, found.in_flight) == (0xFFFFFFFF, None)


def test_callers_are_listed_while_there_is_room():
    many = [f"service-{number:04}/1.0.0" for number in range(2000)]
    found = listed(many)
    assert list(found) == many[: len(found)]
    assert 0 < sum(len(each) + 3 for each in found) <= CALLERS_BYTES


def test_a_generation_is_a_pair():
    assert pair(Generation(epoch=9, counter=2)) == (9, 2)
    assert pair(None) is None
