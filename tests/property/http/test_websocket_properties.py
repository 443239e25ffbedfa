"""Frames in any chunking, and messages of any type: what goes in comes out, and whatever a peer wrote has one verdict."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from vyked_host.builtin.http.websocket.frames import (
    CLOSE,
    PING,
    PONG,
    Frame,
    Scanner,
    Violation,
    close_code,
)
from vyked_host.builtin.http.websocket.messages import Messages, Misfit
from vyked_host.builtin.http.websocket.reasons import LONGEST_REASON, cut
from vyked_host.builtin.serializers.codecs import Json
from vyked_host.contracts import LimitsTable

SERIALIZER = Json(LimitsTable())


# ---- frames ----------------------------------------------------------------------------------------------------------
def encoded(opcode: int, payload: bytes, fin: bool, mask: bytes) -> bytes:
    first = bytes([(0x80 if fin else 0) | opcode])
    size = len(payload)
    if size < 126:
        head = first + bytes([0x80 | size])
    elif size < 1 << 16:
        head = first + b"\xfe" + size.to_bytes(2, "big")
    else:
        head = first + b"\xff" + size.to_bytes(8, "big")
    return head + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))


data_frames = st.tuples(
    st.sampled_from([0, 1, 2]), st.binary(max_size=400), st.booleans(), st.binary(min_size=4, max_size=4)
)
control_frames = st.tuples(
    st.sampled_from([CLOSE, PING, PONG]), st.binary(max_size=125), st.just(True), st.binary(min_size=4, max_size=4)
)
frames = st.lists(st.one_of(data_frames, control_frames), max_size=12)


def chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def scanned(parts: list[bytes], limit: int | None) -> tuple[list[Frame], int | None, bool]:
    scanner = Scanner(limit)
    found: list[Frame] = []
    for part in parts:
        try:
            found += scanner.feed(part)
        except Violation as violation:
            return found, violation.code, False
    return found, None, scanner.is_partial


@given(frames, st.lists(st.integers(0, 5000), max_size=20))
def test_frames_are_the_same_in_any_chunking(sent: list[Any], cuts: list[int]) -> None:
    data = b"".join(encoded(*each) for each in sent)
    found, code, partial = scanned(chunks(data, cuts), None)
    assert code is None
    assert found == [Frame(opcode, payload if opcode >= 8 else b"") for opcode, payload, _, _ in sent]
    finals = [fin for opcode, _, fin, _ in sent if opcode < 8]
    assert partial == bool(finals and not finals[-1])


@given(st.binary(max_size=600), st.lists(st.integers(0, 700), max_size=20))
def test_any_bytes_have_one_verdict_in_any_chunking(data: bytes, cuts: list[int]) -> None:
    assert scanned(chunks(data, cuts), 300)[1:] == scanned([data], 300)[1:]


@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=8), st.integers(1, 900))
def test_a_message_is_refused_exactly_when_its_fragments_are_over_the_limit(parts: list[bytes], limit: int) -> None:
    last = len(parts) - 1
    data = b"".join(encoded(0 if n else 2, part, n == last, b"mask") for n, part in enumerate(parts))
    _, code, _ = scanned([data], limit)
    assert code == (1009 if sum(map(len, parts)) > limit else None)


@given(st.integers(0, 255), st.integers(0, 127))
def test_a_frame_without_a_mask_is_refused_at_its_second_byte(first: int, second: int) -> None:
    scanner = Scanner(None)
    assert scanner.feed(bytes([first])) == []
    with pytest.raises(Violation) as caught:
        scanner.feed(bytes([second]))
    assert caught.value.code == 1002


@given(st.integers(0, 65535), st.text(max_size=40))
def test_a_close_frame_says_its_code(code: int, reason: str) -> None:
    assert close_code(code.to_bytes(2, "big") + reason.encode()) == code


@given(st.text(max_size=300))
def test_a_reason_always_fits_and_is_a_prefix(reason: str) -> None:
    found = cut(reason)
    assert len(found) <= LONGEST_REASON
    assert reason.encode(errors="replace").decode().startswith(found.decode())
    assert len(found) > LONGEST_REASON - 4 or found.decode() == reason.encode(errors="replace").decode()


# ---- messages --------------------------------------------------------------------------------------------------------
class Say(Struct, frozen=True, tag=True):
    text: str
    to: list[str] = []


class Typing(Struct, frozen=True, tag=True):
    since: float


def messages(inbound: Any, outbound: Any | None = None, limit: int | None = 1 << 20) -> Messages:
    return Messages(inbound, inbound if outbound is None else outbound, SERIALIZER.codec, limit)


def received(reader: Messages, sent: tuple[int, bytes]) -> Any:
    opcode, body = sent
    return reader.text(body) if opcode == 1 else reader.binary(body)


def judged(reader: Messages, sent: tuple[int, bytes]) -> Any:
    try:
        return received(reader, sent)
    except Misfit as misfit:
        return misfit


SAY = st.builds(Say, st.text(), st.lists(st.text(), max_size=3))
TYPING = st.builds(Typing, st.floats(0, 1e9))


@pytest.mark.parametrize(
    ("shape", "values"),
    [
        (str, st.text()),
        (bytes, st.binary()),
        (str | bytes, st.one_of(st.text(), st.binary())),
        (Say, SAY),
        (Say | Typing, st.one_of(SAY, TYPING)),
        (Say | bytes, st.one_of(SAY, st.binary())),
        (Say | Typing | bytes | None, st.one_of(SAY, TYPING, st.binary(), st.none())),
        (list[int], st.lists(st.integers(-(2**53), 2**53))),
        (dict[str, int], st.dictionaries(st.text(), st.integers(-100, 100))),
        (int, st.integers(-(2**53), 2**53)),
        (Literal["a", "b"], st.sampled_from(["a", "b"])),
        (Any, st.one_of(st.text(), st.binary())),
    ],
    ids=str,
)
def test_what_is_sent_is_received(shape: Any, values: st.SearchStrategy[Any]) -> None:
    both = messages(shape)

    @given(values)
    def check(value: Any) -> None:
        assert received(both, both.encode(value)) == value

    check()


SHAPES = [str, bytes, Say, Say | bytes, str | bytes, Say | Typing, list[int], Annotated[str, Meta(max_length=3)], Any]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_whatever_came_is_a_value_or_a_misfit(shape: Any) -> None:
    reader = messages(shape)

    @given(st.one_of(st.binary(max_size=200), st.text(max_size=50).map(str.encode)), st.sampled_from([1, 2]))
    def check(body: bytes, opcode: int) -> None:
        verdict = judged(reader, (opcode, body))
        if isinstance(verdict, Misfit):
            assert (verdict.code in (1003, 1007, 1009), bool(verdict.reason)) == (True, True)
        elif shape is not Any and not isinstance(verdict, bytes):
            assert msgspec.convert(verdict, str if shape == str | bytes else shape) == verdict

    check()


def test_the_wrong_kind_is_1003_and_the_wrong_content_1007() -> None:
    for reader, sent, code in (
        (messages(str), (2, b"a"), 1003),
        (messages(bytes), (1, b"a"), 1003),
        (messages(Say), (2, b"{}"), 1003),
        (messages(Say), (1, b'{"type": "Typing", "since": 1}'), 1007),
        (messages(str), (1, b"\xff"), 1007),
        (messages(dict[str, Any]), (1, b'{"a": "' + b"x" * (65 << 10) + b'"}'), 1009),
    ):
        with pytest.raises(Misfit) as caught:
            received(reader, sent)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("shape", "value"), [(str, b"a"), (bytes, "a"), (Say, b"a"), (bytes, Say("a")), (str, Say("a")), (Any, object())]
)
def test_what_a_type_does_not_send_is_a_type_error(shape: Any, value: Any) -> None:
    with pytest.raises(TypeError):
        messages(shape).encode(value)
