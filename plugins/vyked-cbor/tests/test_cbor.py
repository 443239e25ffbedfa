"""Typed both ways; whatever a peer wrote, the answer is a value of the type or a ValueError."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import uuid
from types import SimpleNamespace
from typing import Any

import cbor2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vyked_cbor.codec import Cbor
from vyked_cbor.shapes import untyped

from vyked_host.contracts import Codec, LimitsTable
from vyked_host.loading import load


class User(msgspec.Struct, frozen=True):
    name: str
    id: int
    photo: bytes = b""
    born: datetime.datetime | None = None
    token: uuid.UUID | None = None
    owes: decimal.Decimal | None = None
    years: dict[int, str] = {}


def codec(shape: Any, **limits: Any) -> Codec:
    return Cbor(LimitsTable(**limits)).codec(shape)


def test_a_value_comes_back_as_it_was() -> None:
    user = User(
        "ada", 2**80, b"\x00\xff", datetime.datetime(1815, 12, 10, tzinfo=datetime.UTC), uuid.uuid4(),
        decimal.Decimal("1.20"), {1815: "born"},
    )  # fmt: skip
    assert codec(User).decode(codec(User).encode(user)) == user


def test_bytes_are_bytes_and_not_base64() -> None:
    assert cbor2.loads(codec(bytes).encode(b"\xff")) == b"\xff"


def test_times_of_foreign_writers_are_read() -> None:
    when = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    for stamped in (False, True):
        assert codec(datetime.datetime).decode(cbor2.dumps(when, datetime_as_timestamp=stamped)) == when


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\xff", b"\x01\x02", b"\xd8\x23\x61a", b"\xd9\x01\x02\x81\x61a", b"\xd8\x1c\x80", b"\xd9\xff\x00\x01",
        b"\xa1\x01\x02", b"\xa2\x61a\x01\x61a\x02", b"\x81" * 200 + b"\x01", b"\xe0", b"\xf7", b"\x81\xf7", b"\x61\xff",
        cbor2.dumps(decimal.Decimal("1E+999999999")), b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", b"\x5f\x41a",
    ],
)  # fmt: skip
def test_what_is_not_read_here_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        codec(Any).decode(body)


def test_text_beyond_ascii_is_no_simple_value() -> None:
    assert codec(Any).decode(cbor2.dumps({"é": "日本語"})) == {"é": "日本語"}


def test_the_type_is_checked_and_the_field_named() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.id"):
        codec(User).decode(cbor2.dumps({"name": "ada", "id": "x"}))


def test_the_cap_holds_before_anything_is_built() -> None:
    body = b"\x80" * 101
    with pytest.raises(ValueError, match=r"101 bytes are over \[limits\] untyped_message = 100"):
        codec(Any, untyped_message=100).decode(body)
    assert len(codec(list[Any], untyped_message="none").decode(cbor2.dumps([0] * 100_000))) == 100_000


class Tree(msgspec.Struct):
    leaves: list[Tree] = []


@pytest.mark.parametrize(
    ("shape", "answer"),
    [(Any, True), (list, True), (dict[str, list[Any]], True), (User, False), (Tree, False), (User | None, False)],
)
def test_the_cap_follows_from_the_type(shape: Any, answer: bool) -> None:
    assert untyped(shape) is answer


def test_what_can_not_travel_is_refused_at_the_writer() -> None:
    circle: list[Any] = []
    circle.append(circle)
    for value in (object(), circle):
        with pytest.raises((TypeError, ValueError)):
            codec(Any).encode(value)


def test_a_type_that_can_not_be_coded_is_found_at_start() -> None:
    with pytest.raises(TypeError):
        codec(list[int] | set[int])


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_value_error(body: bytes) -> None:
    for shape in (Any, User, list[int]):
        with contextlib.suppress(ValueError):
            codec(shape).decode(body)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(PLAIN)
def test_whatever_is_plain_comes_back(value: Any) -> None:
    assert codec(Any).decode(codec(Any).encode(value)) == value


def test_it_is_found_by_name_when_installed() -> None:
    provider = load(environ={}).provider("serializer", "cbor")
    assert provider.build(provider.options(), SimpleNamespace(limits=LimitsTable())).content_type == "application/cbor"
