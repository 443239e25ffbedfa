"""What passes between services of one process by reference, and what is copied."""

import datetime
import enum
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from vyked_host.runtime.codecs import exactly, exactness, is_immutable


class Colour(enum.Enum):
    RED = 1


class Frozen(Struct, frozen=True):
    name: str
    when: datetime.datetime | None = None


class Shallow(Struct, frozen=True):
    names: list[str]


class Open(Struct):
    name: str


@pytest.mark.parametrize(
    "shape",
    [str, int, None, bytes, Colour, Frozen, tuple[int, ...], tuple[str, Frozen], frozenset[str], int | None,
     Literal["a"], Annotated[str, Meta(min_length=1)]],
)  # fmt: skip
def test_deeply_immutable_types_are_found(shape: Any) -> None:
    assert is_immutable(shape)


@pytest.mark.parametrize(
    "shape", [list[int], dict[str, int], Open, Shallow, tuple[Open, ...], Any, int | list[int], set]
)
def test_everything_else_is_not(shape: Any) -> None:
    assert not is_immutable(shape)


def test_only_plain_classes_can_be_proved_by_their_class() -> None:
    class Plain(Struct):
        name: str
        row: Frozen

    class Constrained(Struct):
        name: Annotated[str, Meta(min_length=1)]

    class Optional(Struct):
        name: str | None

    class Text(str):
        __slots__ = ()

    is_exact = exactness(Plain)
    assert is_exact is not None
    assert is_exact(("a", Frozen("b")))
    assert not is_exact((Text("a"), Frozen("b")))
    assert not is_exact(("a", "b"))
    assert exactness(Constrained) is None
    assert exactness(Optional) is None
    assert exactness(int) is None


@pytest.mark.parametrize("count", range(5))
def test_each_field_has_to_be_of_its_class_and_of_no_subclass(count: int) -> None:
    is_exact = exactly(*[int] * count)
    assert is_exact(tuple(range(count)))
    for place in range(count):
        for other in (True, "1", None):
            assert not is_exact(tuple(other if number == place else 1 for number in range(count)))
