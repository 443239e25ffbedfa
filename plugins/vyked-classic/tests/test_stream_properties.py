"""Any chunking gives the same packets; any mutation of what the original sent is survived, within bounds."""

import contextlib
import itertools
import json
import random

from captured import segments, streams
from hypothesis import example, given, settings
from hypothesis import strategies as st
from vyked_classic.wire.packets import FAULTS, PARAMS, Packet, params_of, plain_arguments
from vyked_classic.wire.stream import ENDLESS, FORK, Malformed, Stream

CAPTURED = [data for data in streams().values() if data]
PACKETS = [each.data for each in segments()]
LIST = b'{"pid": "1", "type": "registered", "params": {"dependencies": []}},'
PING = b'{"pid": "1", "type": "ping", "node_id": "a"},'
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def in_pieces(data, cuts):
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


def fed(pieces, largest=1 << 20):
    stream = Stream(largest)
    found = []
    for piece in pieces:
        found += stream.receive(piece)
        assert stream.held <= largest
    return found


@given(st.sampled_from(CAPTURED), st.lists(st.integers(min_value=0), max_size=30))
def test_any_chunking_of_what_was_captured_gives_the_same_packets(data, cuts):
    assert fed(in_pieces(data, cuts)) == fed([data])
    assert len(fed([data])) == len(json.loads(b"[" + data.rstrip(b",") + b"]"))


@given(
    st.lists(st.tuples(JSON, st.booleans()), min_size=1, max_size=5),
    st.sampled_from([b",", FORK]),
    st.lists(st.integers(min_value=0), max_size=30),
)
def test_any_payload_in_any_chunking_arrives_as_it_was(payloads, delimiter, cuts):
    said = [
        json.dumps({"type": "request", "payload": payload}, ensure_ascii=ascii).encode("utf-8", "surrogatepass")
        for payload, ascii in payloads
    ]
    items = fed(in_pieces(delimiter.join(said) + delimiter, cuts))
    readable = [_readable(text) for text in said]
    assert [isinstance(item, Packet) for item in items] == readable
    for item, (payload, _) in zip(items, payloads, strict=True):
        if isinstance(item, Packet):
            assert json.loads(bytes(item.payload)) == payload


def _readable(text):
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(PACKETS), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(min_value=0), st.sampled_from(["flip", "cut", "twice", "put"]), st.binary(max_size=6)), min_size=1, max_size=5),
    st.lists(st.integers(min_value=0), max_size=8),
)  # fmt: skip
@example([LIST], [(LIST.index(b"]"), "cut", b"")], [])  # it has lost its end, and takes all that comes for elements
def test_any_mutation_is_survived_and_what_follows_in_a_segment_of_its_own_is_read(packets, mutations, cuts):
    data = bytearray(b"".join(packets))
    for where, how, what in mutations:
        at = where % (len(data) + 1)
        if how == "put":
            data[at:at] = what
        elif how == "cut":
            del data[at : at + len(what) + 1]
        elif how == "twice":
            data[at:at] = data[at : at + 40]
        elif at < len(data):
            data[at] ^= 1 << (where % 8)
    stream = Stream(largest=2000)
    for piece in in_pieces(bytes(data), cuts):
        for item in stream.receive(piece):
            if isinstance(item, Packet) and item.type in PARAMS:
                with contextlib.suppress(FAULTS):
                    params_of(item)
        assert stream.held <= 2000
    # what was cut off may still want its end, or be inside a string: two segments later nothing of it is left
    tail = [stream.receive(PING) for _ in range(4)][-1] if not stream.held else _to_the_end(stream)
    assert [type(item) for item in tail] == [Packet]


def _to_the_end(stream):
    """Segments until the half packet is whole after all, has become impossible, or is taken for one without an end; then each is
    read again."""
    for _ in range(ENDLESS * 2000 // len(PING) + 2):
        if any(isinstance(item, Malformed) for item in stream.receive(PING)):
            break
    return stream.receive(PING)


@given(st.binary(max_size=200), st.lists(st.integers(min_value=0), max_size=6))
def test_any_bytes_are_survived(data, cuts):
    fed(in_pieces(data, cuts), largest=100)


@given(st.text(alphabet='{}[]:,"a1\\ !<^>', max_size=60))
def test_what_the_decoder_reads_the_scanner_lets_through(text):
    """The scanner refuses nothing that is JSON."""
    try:
        said = json.loads(text)
    except ValueError:
        return
    if isinstance(said, dict):
        items = fed([text[:1].encode(), text[1:].encode()])
        assert len(items) == 1
        assert "where" not in getattr(items[0], "why", "").partition("should stand")[1]


def test_every_single_byte_split_of_one_exchange():
    data = b"".join(PACKETS[:12])
    whole = fed([data])
    rng = random.Random(1)
    for at in rng.sample(range(len(data)), 300):
        assert fed([data[:at], data[at:]]) == whole
    assert fed([data[at : at + 1] for at in range(len(data))]) == whole


NAMES = st.sampled_from(["data", "request_id", "entity", "from_id", ', "request_id": "a"}', "\\"]) | st.text()
ID = st.from_regex(r"[-0-9a-zA-Z]{1,8}", fullmatch=True) | st.text(max_size=3)


@given(st.dictionaries(NAMES, JSON | NAMES, max_size=4), ID, st.booleans(), st.booleans())
@example({"data": ', "request_id": "a"}'}, "0a", False, False)
@example({"data": {"request_id": "b"}}, "0a", False, False)
@example({"entity": 1}, "0a", False, False)
def test_arguments_that_are_cut_off_are_those_that_are_read(arguments, request_id, twice, ascii_only):
    members = [*arguments.items(), *[("request_id", "other")] * twice, ("request_id", request_id)]
    payload = "{" + ", ".join(
        f"{json.dumps(name, ensure_ascii=ascii_only)}: {json.dumps(value, ensure_ascii=ascii_only)}" for name, value in members
    )  # fmt: skip
    found = plain_arguments(f"{payload}}}".encode("utf-8", "surrogatepass"))
    if found is not None:
        read = {name: value for name, value in members if name != "request_id"}
        assert (json.loads(found[0]), json.loads(found[1])) == (read, request_id)
        assert not {"entity", "from_id"} & set(read)


def test_arguments_as_everybody_writes_them_are_cut_off():
    request = {"user_name": "ada", "rows": [{"a": 1}], "request_id": "12ab34cd"}
    assert plain_arguments(json.dumps(request).encode()) == (b'{"user_name": "ada", "rows": [{"a": 1}]}', b'"12ab34cd"')
    for other in ({"request_id": "12ab34cd"}, request | {"x": 1}, {"entity": 1} | request, {"text": "é"} | request):
        assert plain_arguments(json.dumps(other).encode()) is None
