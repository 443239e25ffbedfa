"""The suite for serializers: types survive, whatever a peer wrote gives a ValueError, caps hold."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ...contracts import Environment, LimitsTable, Provider, Serializer
from .suite import Suite

_PROPERTY = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors, HealthCheck.too_slow],
)


class Colour(enum.Enum):
    """An enum of text."""

    RED = "red"
    BLUE = "blue"


class Part(msgspec.Struct, frozen=True):
    """A nested value."""

    name: str
    tags: tuple[str, ...] = ()


class Everything(msgspec.Struct):
    """One field of each type that services use."""

    text: str
    whole: int
    real: float
    yes: bool
    blob: bytes
    when: datetime.datetime
    day: datetime.date
    id: uuid.UUID
    money: decimal.Decimal
    colour: Colour
    parts: list[Part]
    by_name: dict[str, Part]
    maybe: int | None = None


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    """Arguments refuse what they don't know."""

    a: int


class Tolerant(msgspec.Struct):
    """Results let through what they don't know, for rolling upgrades."""

    a: int


EVERYTHING = Everything(
    text="grüß\0 \U0001f600", whole=-(2**53), real=0.1, yes=True, blob=bytes(range(256)),
    when=datetime.datetime(2026, 2, 28, 23, 59, 59, 123456, datetime.UTC), day=datetime.date(2026, 2, 28),
    id=uuid.UUID(int=5), money=decimal.Decimal("1.10"), colour=Colour.BLUE, parts=[Part("a", ("x", "y")), Part("b")],
    by_name={"k": Part("c")},
)  # fmt: skip

_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.asyncio
class SerializerConformance(Suite):
    """Inherit, and write the fixture `provider`."""

    @pytest_asyncio.fixture
    async def serializer(self, provider: Provider[Serializer], options: msgspec.Struct, env: Environment) -> Serializer:
        """The object under test."""
        return provider.build(options, env)

    async def test_has_a_content_type(self, serializer: Serializer) -> None:
        kind, slash, name = serializer.content_type.partition("/")
        assert kind and slash and name
        assert serializer.content_type == serializer.content_type.lower().strip()

    async def test_every_type_survives(self, serializer: Serializer) -> None:
        codec = serializer.codec(Everything)
        assert codec.decode(codec.encode(EVERYTHING)) == EVERYTHING

    async def test_types_inside_containers_survive(self, serializer: Serializer) -> None:
        codec = serializer.codec(dict[str, list[Part] | None])
        found = codec.decode(codec.encode({"a": [Part("x")], "b": None}))
        assert found == {"a": [Part("x")], "b": None}
        assert type(found["a"][0]) is Part

    async def test_none_travels(self, serializer: Serializer) -> None:
        codec = serializer.codec(None)
        assert codec.decode(codec.encode(None)) is None

    @_PROPERTY
    @given(value=_plain)
    async def test_any_plain_value_survives(self, serializer: Serializer, value: Any) -> None:
        codec = serializer.codec(Any)
        assert codec.decode(codec.encode(value)) == value

    @_PROPERTY
    @given(body=st.binary(max_size=200))
    async def test_any_bytes_give_a_value_or_a_value_error(self, serializer: Serializer, body: bytes) -> None:
        for shape in (Everything, Any, list[int]):
            try:
                serializer.codec(shape).decode(body)
            except ValueError:
                continue

    async def test_a_truncated_body_is_a_value_error(self, serializer: Serializer) -> None:
        codec = serializer.codec(Everything)
        body = bytes(codec.encode(EVERYTHING))
        for length in range(len(body)):
            with pytest.raises(ValueError):  # noqa: PT011 - any ValueError
                codec.decode(body[:length])

    async def test_a_memoryview_is_as_good_as_bytes(self, serializer: Serializer) -> None:
        codec = serializer.codec(Everything)
        assert codec.decode(memoryview(bytes(codec.encode(EVERYTHING)))) == EVERYTHING

    async def test_what_does_not_fit_is_a_value_error_that_names_the_field(self, serializer: Serializer) -> None:
        body = serializer.codec(Any).encode({"name": 3})
        with pytest.raises(ValueError, match="name"):
            serializer.codec(Part).decode(body)

    async def test_unknown_fields_are_refused_by_strict_types_only(self, serializer: Serializer) -> None:
        body = serializer.codec(Any).encode({"a": 1, "later": 2})
        assert serializer.codec(Tolerant).decode(body) == Tolerant(1)
        with pytest.raises(ValueError, match="later"):
            serializer.codec(Strict).decode(body)

    async def test_what_contains_itself_can_not_be_encoded(self, serializer: Serializer) -> None:
        endless: list[Any] = []
        endless.append(endless)
        with pytest.raises((ValueError, TypeError)):
            serializer.codec(Any).encode(endless)

    async def test_what_is_nested_too_deeply_is_a_value_error(self, serializer: Serializer) -> None:
        codec, value = serializer.codec(Any), b""
        for depth in (500, 5_000, 30_000):
            value = _nested(codec.encode([0]), codec.encode(0), depth)
            try:
                codec.decode(value)
            except ValueError:
                return
        # never refused: then it has to come out as deep as it went in
        assert codec.encode(codec.decode(value)) == value

    async def test_what_can_not_travel_is_refused(self, serializer: Serializer) -> None:
        with pytest.raises((ValueError, TypeError)):
            serializer.codec(Any).encode(object())

    async def test_codecs_are_independent_and_can_be_used_again(self, serializer: Serializer) -> None:
        one, other = serializer.codec(Part), serializer.codec(list[int])
        first = one.encode(Part("a"))
        kept = bytes(first)
        other.encode([1, 2, 3])
        one.encode(Part("another, and longer"))
        assert bytes(first) == kept
        assert one.decode(first) == Part("a")

    async def test_caps_hold_before_anything_is_built(
        self, provider: Provider[Serializer], options: msgspec.Struct, env: Environment
    ) -> None:
        limits = LimitsTable(message=4096, untyped_message=256)
        small = provider.build(options, msgspec.structs.replace(env, limits=limits))
        free = provider.build(
            options, msgspec.structs.replace(env, limits=LimitsTable(message="none", untyped_message="none"))
        )
        for shape, size in ((list[str], 4096), (list[Any], 256)):
            assert small.codec(shape).decode(free.codec(shape).encode(["x" * (size // 2)]))
            body = free.codec(shape).encode(["x" * size])
            with pytest.raises(ValueError):  # noqa: PT011 - any ValueError
                small.codec(shape).decode(body)
            assert free.codec(shape).decode(body) == ["x" * size]


def _nested(one: Any, zero: Any, depth: int) -> bytes:
    """[[[...0...]]] encoded, made from how [0] and 0 are: nothing here recurses."""
    head, _, tail = bytes(one).partition(bytes(zero))
    return head * depth + bytes(zero) + tail * depth
