"""Types as people read them."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal, Optional

import msgspec
import pytest

from vyked_host.service.annotations import type_name

Name = Annotated[str, msgspec.Meta(min_length=1)]


class User(msgspec.Struct):
    name: Name


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (str, "str"),
        (None, "None"),
        (Any, "Any"),
        (Name, "str"),
        (User, "User"),
        (list[User], "list[User]"),
        (dict[str, list[Name]], "dict[str, list[str]]"),
        (tuple[Name, ...], "tuple[str, ...]"),
        (bytes | None, "bytes | None"),
        (Optional[Name], "str | None"),  # noqa: UP045 - the older spelling
        (Literal["a", 1], "Literal['a', 1]"),
        (AsyncIterator[int], "AsyncIterator[int]"),
    ],
)
def test_a_type_reads_as_it_is_written(shape, text):
    assert type_name(shape) == text
