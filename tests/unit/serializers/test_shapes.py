"""Which types are typed all through, and which may hold floats."""

from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest

from vyked_host.model.shapes import floating, untyped


class Tree(msgspec.Struct):
    value: Annotated[int, msgspec.Meta(ge=0, extra={"note": object()})]
    children: "list[Tree]" = []


class Loose(msgspec.Struct):
    anything: Any = None


class Table(TypedDict):
    row: tuple[int, str]


@pytest.mark.parametrize("shape", [Tree, int, None, dict[str, list[int]], Table, Literal["a"], str | None, msgspec.Raw])
def test_a_type_without_any_is_typed(shape):
    assert not untyped(shape)


@pytest.mark.parametrize(
    "shape", [Any, object, dict, list, tuple, Loose, dict[str, list[Loose]], list[Any] | None, dict[str, list]]
)
def test_any_and_bare_containers_are_untyped(shape):
    assert untyped(shape)


def test_floats_are_found_wherever_they_are():
    assert floating(dict[str, list[float | None]])
    assert floating(Loose)
    assert not floating(Tree)
