"""What passes between services of one process by reference, and what is copied."""

import datetime
import enum
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from vyked_host.runtime.codecs import exact_classes, is_immutable


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

    assert exact_classes(Plain) == (str, Frozen)
    assert exact_classes(Constrained) is None
    assert exact_classes(Optional) is None
    assert exact_classes(int) is None
