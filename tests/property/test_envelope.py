"""The envelope: whatever goes in comes out, and no bytes do anything but give an event or a MalformedEnvelope."""

from types import MappingProxyType

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vyked_host.errors import RemoteProtocolError
from vyked_host.model.message import Event
from vyked_host.wire.envelope import ID_CHARACTERS, VERSION, MalformedEnvelope, enveloping, pack, unpack

words = st.text(max_size=20)
times = st.floats(allow_nan=False, allow_infinity=False)
versions = st.tuples(*[st.integers(0, 999)] * 3).map(lambda parts: ".".join(map(str, parts)))
events = st.builds(
    Event, id=words, service=words, version=versions, name=words, source=words, body=st.binary(max_size=200),
    content_type=words, key=st.none() | words, metadata=st.dictionaries(words, words, max_size=4),
    published_unix_s=times, expires_unix_s=st.none() | times,
)  # fmt: skip
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | words | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20,
)


def fields(event):
    return msgspec.msgpack.decode(pack(event))


def outcome(packed):
    try:
        return unpack(packed)
    except MalformedEnvelope as error:
        return error.kind


@given(events)
def test_what_is_packed_comes_out_the_same(event):
    assert unpack(pack(event)) == event


IDS = st.text("0123456789abcdef", min_size=ID_CHARACTERS, max_size=ID_CHARACTERS)
SIZES = st.sampled_from([0, 1, 255, 256, 65_535, 65_536])  # at which a body has another head


@given(events, IDS, SIZES.map(bytes) | st.binary(max_size=200), times)
def test_what_is_put_into_an_envelope_that_is_half_written_is_what_is_packed(event, id, body, published):
    whole = msgspec.structs.replace(event, id=id, body=body, published_unix_s=published)
    assert enveloping(event)(id, body, published) == pack(whole)


@given(events)
def test_the_version_stands_first(event):
    assert fields(event)[0] == VERSION


@given(st.binary(max_size=300))
@example(b"")
@example(b"\x91" * 5000)
@example(b"\xdd\xff\xff\xff\xff\x01")
@example(b"\x91\x01" + b"\x91" * 5000)
def test_any_bytes_give_an_event_or_a_malformed_envelope(packed):
    assert isinstance(outcome(packed), Event | str)


@given(plain)
def test_any_msgpack_gives_an_event_or_a_malformed_envelope(value):
    assert isinstance(outcome(msgspec.msgpack.encode(value)), Event | str)


@given(events, st.data())
def test_an_envelope_with_one_byte_changed_or_cut_off_never_raises_anything_else(event, data):
    packed = bytearray(pack(event))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] = data.draw(st.integers(0, 255))
    outcome(bytes(packed))
    assert isinstance(outcome(pack(event)[:at]), str)


@given(events, st.lists(plain, min_size=1, max_size=3))
def test_fields_added_at_the_end_are_ignored(event, more):
    assert unpack(msgspec.msgpack.encode([*fields(event), *more])) == event


@given(events, st.integers(-100, 100).filter(lambda number: number != VERSION), st.lists(plain, max_size=12))
def test_another_version_is_refused_by_its_number_whatever_it_holds(event, number, rest):
    for row in ([number, *fields(event)[1:]], [number, *rest]):
        with pytest.raises(MalformedEnvelope, match=f"version {number};") as caught:
            unpack(msgspec.msgpack.encode(row))
        assert caught.value.kind == "another version"


@given(events, st.integers(1, 11))
def test_a_field_that_does_not_fit_is_told(event, at):
    row = fields(event)
    row[at] = [1, 2, 3]
    assert outcome(msgspec.msgpack.encode(row)) == "wrong fields"


@given(events, st.integers(1, 11))
def test_one_that_ends_before_the_fields_that_each_has_is_refused(event, count):
    assert outcome(msgspec.msgpack.encode(fields(event)[:count])) == "wrong fields"


@given(events, st.integers(10, 13), st.sampled_from([float("inf"), float("-inf"), float("nan")]))
def test_a_time_that_is_none_is_a_wrong_field(event, at, time):
    row = fields(event)
    row[at] = time
    assert outcome(msgspec.msgpack.encode(row)) == ("wrong fields")


@given(events)
def test_the_fields_stand_in_the_order_of_version_1(event):
    assert fields(event) == [
        1, event.id, event.service, event.version, event.name, event.source, event.body, event.content_type, event.key,
        event.metadata, event.published_unix_s, event.expires_unix_s, event.named, event.not_before_unix_s,
    ]  # fmt: skip


def test_metadata_of_any_mapping_are_packed():
    event = Event(
        id="1", service="s", version="1", name="n", source="x", body=b"", content_type="application/json",
        metadata=MappingProxyType({"a": "b"}),
    )  # fmt: skip
    assert unpack(pack(event)).metadata == {"a": "b"}


@pytest.mark.parametrize("version", ["", "one", "1.2.3.4", "99999999999"])
def test_a_version_that_is_none_is_a_wrong_field(version):
    event = Event(id="1", service="s", version="1", name="n", source="x", body=b"", content_type="application/json")
    row = fields(event)
    row[3] = version
    assert outcome(msgspec.msgpack.encode(row)) == "wrong fields"


def test_it_is_the_peers_fault():
    assert issubclass(MalformedEnvelope, RemoteProtocolError)
