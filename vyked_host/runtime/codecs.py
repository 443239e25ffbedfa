"""Codecs by name, bound to one type at composition. "object" is the codec of local calls and of the HTTP edge: nothing is
encoded, and what could be changed by both sides is copied by way of the node's own serializer, never deepcopied.

Deeply immutable values pass by reference: `frozen=True` alone is shallow, so types are looked through once, here.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import astuple

from ..contracts import Codec, Serializer
from ..errors import UsageError

_ATOMS = frozenset({
    str, bytes, int, float, bool, type(None), datetime.datetime, datetime.date, datetime.time, datetime.timedelta,
    decimal.Decimal, uuid.UUID,
})  # fmt: skip


class AsIs:
    """Passes values through: the outcome of a handler to the HTTP edge, requests to raw endpoints."""

    def encode(self, value: Any) -> Any:
        """The value itself."""
        return value

    def decode(self, body: Any) -> Any:
        """The value itself."""
        return body


AS_IS = AsIs()


class ByReference:
    """For Structs whose fields are immutable and unconstrained: passed on when each has exactly its declared class; any
    other value takes the long way, which validates it and says what is wrong."""

    def __init__(self, is_exact: Callable[[Any], bool], otherwise: Codec) -> None:
        self._is_exact, self._otherwise = is_exact, otherwise

    def encode(self, value: Any) -> Any:
        """`value`, or a validated copy of it."""
        if self._is_exact(astuple(value)):
            return value
        return self._otherwise.decode(self._otherwise.encode(value))

    def decode(self, body: Any) -> Any:
        """The value itself."""
        return body


class ByCopy:
    """For everything that could be changed: a round trip through the serializer's bound codec, which also validates."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def encode(self, value: Any) -> Any:
        """A validated copy."""
        return self._codec.decode(self._codec.encode(value))

    def decode(self, body: Any) -> Any:
        """The value itself."""
        return body


class Codecs:
    """The serializers of one host, by name."""

    def __init__(self, serializers: Mapping[str, Serializer], local: str) -> None:
        if local not in serializers:
            raise UsageError(f"serializer {local!r} is not loaded")
        self._serializers, self._local = dict(serializers), local

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the serializers."""
        return tuple(self._serializers)

    def bind(self, shape: Any, name: str) -> Codec:
        """The codec `name` for one type. Raises UsageError for an unknown name."""
        if name == "raw":
            return AS_IS
        found = self._serializers.get(name)
        if found is None:
            raise UsageError(f"no serializer {name!r} here; loaded: {', '.join(self._serializers)}")
        return found.codec(shape)

    def handed_over(self, shape: Any) -> Codec:
        """For calls inside this process: by reference where that is safe, else a copy."""
        codec = self._serializers[self._local].codec(shape)
        is_exact = exactness(shape)
        return ByCopy(codec) if is_exact is None else ByReference(is_exact, codec)

    def answered(self, shape: Any) -> Codec:
        """Likewise for results, which need not be Structs."""
        return AS_IS if is_immutable(shape) else self.handed_over(shape)


def exactness(shape: Any) -> Callable[[Any], bool] | None:
    """What tells of the fields of a Struct of this type, as a tuple, whether each is of exactly its class, where that proves that the Struct is
    valid and can't change; else None."""
    classes = exact_classes(shape)
    return None if classes is None else exactly(*classes)


def exact_classes(shape: Any) -> tuple[type, ...] | None:
    """Those classes."""
    if not (isinstance(shape, type) and issubclass(shape, msgspec.Struct)):
        return None
    hints = get_type_hints(shape, include_extras=True)
    found = tuple(hints[name] for name in shape.__struct_fields__)
    return found if all(isinstance(each, type) and is_immutable(each) for each in found) else None


def exactly(*classes: type) -> Callable[[tuple[Any, ...]], bool]:
    """(values) -> is each an instance of its class, and of no subclass? Few are looked at one by one: to go over them takes four times as
    long."""
    if len(classes) == 1:
        (only,) = classes
        return lambda values: type(values[0]) is only
    if len(classes) == 2:
        first, second = classes
        return lambda values: type(values[0]) is first and type(values[1]) is second
    return lambda values: (*map(type, values),) == classes


def is_immutable(shape: Any) -> bool:
    """Can a value of this type not be changed, however deep one looks?"""
    origin = get_origin(shape)
    if origin is Annotated:
        return is_immutable(get_args(shape)[0])
    if origin in (typing.Union, types.UnionType):
        return all(is_immutable(each) for each in get_args(shape))
    if origin is tuple or origin is frozenset:
        return all(each is Ellipsis or is_immutable(each) for each in get_args(shape))
    if origin is typing.Literal or shape is None or shape in _ATOMS:
        return True
    if not isinstance(shape, type):
        return False
    if issubclass(shape, enum.Enum):
        return True
    if issubclass(shape, msgspec.Struct) and shape.__struct_config__.frozen:
        hints = get_type_hints(shape)
        return all(is_immutable(hints[name]) for name in shape.__struct_fields__)
    return False
