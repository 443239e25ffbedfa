"""A byte stream is cut into packets, whatever it holds and however it comes."""

import json

import pytest
from captured import segments, silent
from vyked_classic.wire import speech
from vyked_classic.wire.packets import Packet
from vyked_classic.wire.scanner import DEPTH
from vyked_classic.wire.stream import ENDLESS, FORK, Closed, Malformed, Stream

PING = b'{"pid": "1", "type": "ping", "node_id": "a"},'
PONG = b'{"pid": "2", "type": "pong", "node_id": "a"},'


def types(items):
    return [each.type if isinstance(each, Packet) else type(each).__name__ for each in items]


def test_every_captured_segment_is_read_whole():
    for each in (*(segment.data for segment in segments()), *silent()):
        items = Stream().receive(each)
        said = json.loads(b"[" + each.rstrip(b",]") + b"]")
        assert types(items)[: len(said)] == [packet["type"] for packet in said]
        assert types(items)[len(said) :] == ["Closed"] * each.endswith(b"]")


def test_several_packets_in_a_segment_and_one_in_several():
    stream = Stream()
    assert types(stream.receive(PING + PONG + PING[:7])) == ["ping", "pong"]
    assert types(stream.receive(PING[7:30])) == []
    assert types(stream.receive(PING[30:])) == ["ping"]
    assert stream.held == 0


def test_a_packet_is_there_with_its_last_brace_not_with_the_comma_after_it():
    assert types(Stream().receive(PING[:-1])) == ["ping"]


def test_the_brackets_and_spaces_around_packets_don_t_matter():
    assert types(Stream().receive(b"[" + PING + b"\r\n ,, " + PONG + b"]")) == ["ping", "pong", "Closed"]


def test_the_fork_s_delimiter_is_taken_and_remembered():
    stream = Stream()
    assert stream.delimiter == b","
    assert types(stream.receive(PING[:-1] + FORK + PONG[:-1] + FORK[:3])) == ["ping", "pong"]
    assert types(stream.receive(FORK[3:] + PING[:-1])) == ["ping"]
    assert stream.delimiter == FORK


def test_braces_quotes_and_escapes_inside_strings_are_text():
    said = {"type": "request", "payload": {"text": '}{][",\\ \\" é', "request_id": "1"}}
    for encoded in (json.dumps(said).encode(), json.dumps(said, ensure_ascii=False).encode()):
        for at in range(1, len(encoded)):
            stream = Stream()
            (packet,) = stream.receive(encoded[:at]) + stream.receive(encoded[at:])
            assert json.loads(bytes(packet.payload)) == said["payload"]


@pytest.mark.parametrize(
    "wrong",
    [b"{]", b'{"a" 1}', b'{"a": 1 2}', b'{"a": [1}', b'{,}', b'{"a"}', b'{"a": 1,}', b"nonsense", b'{{"a": 1}', b"}", b'{"a": [,]}', b"{\xff"],
)  # fmt: skip
def test_after_bytes_that_are_no_json_the_next_segment_is_read(wrong):
    stream = Stream()
    first = stream.receive(wrong + PING)
    assert types(first)[0] == "Malformed"
    assert types(stream.receive(PONG)) == ["pong"]
    assert stream.held == 0


@pytest.mark.parametrize(
    "wrong",
    [
        b'{"type": 1}', b'{"pid": "1"}', b'{"type": "ping", "node_id": 7}', b'{"type": "a\nb"}', b'{"type": "\\x"}', b'{"type": "a", "n": tru}',
        b'{"type": "\xff\xfe"}', b'{"type": "a", "n": 01}', b"{}", b'{"type": "a", "n": 1e}', b'{"type": "' + b"x" * 3000 + b'"}',
        b'{"type": "a", "n": ' + b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1) + b"}",
        b'{"type": "a", "n": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    ],
)  # fmt: skip
def test_a_packet_that_is_whole_but_wrong_costs_itself_alone(wrong):
    stream = Stream(largest=2000)
    assert types(stream.receive(PING + wrong + b"," + PONG)) == ["ping", "Malformed", "pong"]


def test_with_the_fork_s_delimiter_reading_goes_on_within_the_segment():
    stream = Stream()
    stream.receive(PING[:-1] + FORK)
    assert types(stream.receive(b'{"a": ]' + FORK + PONG[:-1] + FORK)) == ["Malformed", "pong"]


def test_a_packet_that_never_ends_is_not_kept():
    stream = Stream(largest=1000)
    stream.receive(b'{"type": "a", "n": "')
    for _ in range(1000):
        stream.receive(b"x" * 100)
        assert stream.held <= 1000
    assert types(stream.receive(b'"},' + PING)) == ["Malformed", "ping"]


def test_a_packet_that_lost_the_end_of_a_list_does_not_take_all_that_follows():
    stream = Stream(largest=1000)
    stream.receive(b'{"pid": "1", "type": "a", "n": [')
    found = [types(stream.receive(PING)) for _ in range(ENDLESS * 1000 // len(PING) + 3)]
    assert found[0] == []
    assert found[-2:] == [["Malformed", "ping"], ["ping"]]


def test_half_a_packet_and_then_a_new_one_is_told_where_the_new_one_begins():
    stream = Stream()
    assert types(stream.receive(b'{"pid": "1", ')) == []
    assert types(stream.receive(PING)) == ["Malformed"]
    assert types(stream.receive(PONG)) == ["pong"]


def test_what_the_original_sends_before_it_goes_is_read_as_a_packet_and_the_end():
    dummy = b'{"closed":"true", "type":"closed", "service":"none", "version":"none"}]'
    assert types(Stream().receive(dummy)) == ["closed", "Closed"]


def test_long_strings_in_small_pieces_are_looked_at_once():
    """Quadratic work would take minutes here."""
    stream = Stream()
    stream.receive(b'{"type": "a", "n": "')
    for _ in range(200_000):
        stream.receive(b"xxxx")
    (packet,) = stream.receive(b'"}')
    assert packet.type == "a"


def test_many_packets_that_are_none_are_looked_at_once_each():
    """Quadratic work would take minutes here, too."""
    for _ in range(4):
        assert types(Stream().receive(b"{}," * 20_000)) == ["Malformed"] * 20_000


def test_a_segment_of_many_packets_and_a_half_one_is_read_like_many_segments():
    stream, many = Stream(), (PING + PONG) * 500
    assert types(stream.receive(many + PING[:20])) == ["ping", "pong"] * 500
    assert types(stream.receive(PING[20:] + many)) == ["ping"] + ["ping", "pong"] * 500


def test_what_is_written_is_read_again_with_either_delimiter():
    for delimiter in (b",", FORK):
        items = Stream().receive(speech.ping("n1") + delimiter + speech.pong("n1") + delimiter)
        assert types(items) == ["ping", "pong"]


def test_the_kinds_of_items_are_told_apart():
    assert isinstance(Stream().receive(b"]")[0], Closed)
    assert isinstance(Stream().receive(b"x")[0], Malformed)
