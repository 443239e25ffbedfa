"""Types at paths, and sizes."""

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from vyked_host.config import shape
from vyked_host.model.settings import LimitsTable, Settings, Size


class Inner(msgspec.Struct, rename="kebab"):
    buffer_size: Size = 1
    kind: Literal["a", "b"] = "a"


class Outer(msgspec.Struct):
    inner: Inner | None = None
    several: list[Inner] = []
    named: dict[str, Annotated[Inner, Meta(description="x")]] = {}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("64KiB", 65536),
        ("1MiB", 1 << 20),
        ("1.5 MiB", 3 << 19),
        ("1kB", 1000),
        ("2g", 2 * 10**9),
        ("10B", 10),
    ],
)
def test_sizes(text, number):
    assert shape.size(text) == number


@pytest.mark.parametrize("text", ["", "MiB", "-1MiB", "1 MiBs", "1e3", "none", "1,5MiB"])
def test_no_sizes(text):
    assert shape.size(text) is None


@pytest.mark.parametrize(
    "path", [("inner", "buffer-size"), ("several", 3, "buffer-size"), ("named", "x", "buffer-size")]
)
def test_a_size_is_found_wherever_it_is(path):
    assert shape.is_size(shape.at(Outer, path))


def test_there_is_nothing_at_a_wrong_path():
    assert shape.at(Outer, ("inner", "buffer_size")) == []
    assert shape.at(Settings, ("limits", "message", "x")) == []


def test_only_sizes_are_read_as_sizes():
    data = {"message": "1MiB", "in_flight": "1k", "nope": "1MiB"}
    assert shape.readings(LimitsTable, data, (), ()) == {"message": 1 << 20, "in_flight": "1k", "nope": "1MiB"}
