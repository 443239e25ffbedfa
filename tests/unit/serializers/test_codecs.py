"""json and msgpack: types survive, caps hold, hostile bodies get a ValueError."""

import datetime
import decimal
import time
import uuid
from typing import Any

import msgspec
import pytest

from vyked_host.builtin.serializers.codecs import Json, MessageTooLarge, Msgpack
from vyked_host.contracts import LimitsTable
from vyked_host.errors import TooLarge


class Row(msgspec.Struct):
    name: str
    at: datetime.datetime
    id: uuid.UUID
    price: decimal.Decimal
    blob: bytes
    next: "Row | None" = None


ROW = Row(
    "ada", datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), uuid.UUID(int=7), decimal.Decimal("1.10"), b"\0\xff"
)


@pytest.fixture(params=[Json, Msgpack])
def serializer(request):
    return request.param(LimitsTable())


def test_typed_values_survive_the_round_trip(serializer):
    row = Row("bob", ROW.at, ROW.id, ROW.price, ROW.blob, next=ROW)
    codec = serializer.codec(Row)
    assert codec.decode(codec.encode(row)) == row


def test_what_does_not_fit_names_its_path(serializer):
    body = serializer.codec(Any).encode({"name": 3})
    with pytest.raises(ValueError, match=r"\$\.name"):
        serializer.codec(Row).decode(body)


def test_truncated_bodies_are_value_errors(serializer):
    codec = serializer.codec(Row)
    body = codec.encode(ROW)
    for length in range(len(body)):
        with pytest.raises(ValueError):
            codec.decode(body[:length])


def test_what_is_too_deep_is_a_value_error(serializer):
    codec = serializer.codec(Any)
    deep = b"[" * 60_000 if isinstance(serializer, Json) else b"\x91" * 60_000
    with pytest.raises(ValueError, match="nested too deeply"):
        codec.decode(deep)
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="contains itself"):
        codec.encode(endless)


def test_what_can_not_travel_is_a_type_error(serializer):
    with pytest.raises(TypeError, match="object"):
        serializer.codec(Any).encode(object())


def test_the_cap_depends_on_what_the_type_says(serializer):
    text = "x" * 100_000
    typed, untyped = serializer.codec(list[str]), serializer.codec(dict[str, Any])
    assert typed.decode(typed.encode([text])) == [text]
    with pytest.raises(MessageTooLarge, match="untyped_message = 65536") as caught:
        untyped.decode(untyped.encode({"a": text}))
    assert isinstance(caught.value, TooLarge)
    with pytest.raises(ValueError, match="message = 1048576"):
        typed.decode(typed.encode([text] * 11))


def test_none_lifts_a_cap():
    codec = Json(LimitsTable(untyped_message="none")).codec(Any)
    text = "x" * (2 << 20)
    assert codec.decode(codec.encode(text)) == text


@pytest.mark.parametrize("body", [b"NaN", b"[Infinity]", b"-Infinity", b"[1e999]"])
def test_json_refuses_what_is_no_number(body):
    with pytest.raises(ValueError):
        Json(LimitsTable()).codec(Any).decode(body)


@pytest.mark.parametrize(
    "number",
    [
        b"1.5e300",
        b"5e-324",
        b"1e0300",
        b"1E+0000000299",
        b"1234567890123456789012345678901234567890e268",
        b"9007199254740993000000.5",
    ],
)
def test_numbers_that_are_slow_to_read_are_refused_quickly(number):
    codec = Json(LimitsTable()).codec(list[float])
    body = b"[" + b",".join([number] * ((1 << 20) // (len(number) + 1) - 1)) + b"]"
    started = time.process_time()
    with pytest.raises(ValueError, match="send them with msgpack"):
        codec.decode(body)
    assert time.process_time() - started < 0.5  # unguarded: 1.3 s and more


def test_an_unfinished_string_is_looked_at_once():
    codec = Json(LimitsTable()).codec(list[float])
    started = time.process_time()
    with pytest.raises(ValueError):
        codec.decode(b'["' + b"0e000" * 300 + b'\\"' * 400_000)
    assert time.process_time() - started < 0.5


def test_ordinary_numbers_and_digests_pass():
    codec = Json(LimitsTable()).codec(list[float | str])
    values: list[float | str] = [1.5e-30, 0.1, 1e22, 123456789.123456, -1e-120] * 2000
    assert codec.decode(codec.encode(values)) == values
    digests: list[float | str] = ["0e123456789012345678901234567890", '\\"1.5e300'] * 5000
    assert codec.decode(codec.encode(digests)) == digests


def test_a_few_extreme_numbers_pass():
    codec = Json(LimitsTable()).codec(list[float])
    values = [1.5e300, 5e-324] * 100 + [0.5] * 1000
    assert codec.decode(codec.encode(values)) == values
