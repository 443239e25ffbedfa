"""Any chunking gives the same items; any request gives arguments or a refusal, never another exception."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any

import msgspec
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from vyked_host.builtin.http.binding import FORM, Binder
from vyked_host.builtin.http.exposed import codecs_of
from vyked_host.builtin.http.framing import Frames, FrameSplitter, Lines, LineSplitter
from vyked_host.builtin.http.refusal import Refused
from vyked_host.builtin.serializers.codecs import Json, Msgpack
from vyked_host.contracts import EndpointDescription, HttpBinding, Kind, LimitsTable
from vyked_host.model.http import Header, Query

SERIALIZERS = {"json": Json(LimitsTable()), "msgpack": Msgpack(LimitsTable())}
ARGUMENTS = msgspec.defstruct(
    "Arguments",
    [("a", int), ("b", Annotated[list[float], Query()], []), ("c", Annotated[str | None, Header("X-C")], None), ("d", dict[str, int], {})],
    forbid_unknown_fields=True,
)  # fmt: skip
ENDPOINT = EndpointDescription(service="s", version="1", name="m", kind=Kind.UNARY, arguments=ARGUMENTS)
BINDER = Binder(ENDPOINT, HttpBinding(method="POST", path="/{a}"), lambda shape: codecs_of(shape, SERIALIZERS))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:stop] for start, stop in pairwise(edges)]


@given(
    st.lists(st.binary(min_size=1).filter(lambda item: b"\n" not in item and item.strip())),
    st.lists(st.integers(min_value=0)),
)
def test_lines_are_the_same_however_they_are_cut(items: list[bytes], places: list[int]) -> None:
    splitter = LineSplitter(0)
    data = b"".join(Lines().item(item) for item in items)
    assert [item for chunk in cut(data, places) for item in splitter.feed(chunk)] == items
    assert splitter.rest() == b""


@given(st.lists(st.binary()), st.lists(st.integers(min_value=0)))
def test_frames_are_the_same_however_they_are_cut(items: list[bytes], places: list[int]) -> None:
    splitter = FrameSplitter(0)
    data = b"".join(Frames().item(item) for item in items)
    assert [item for chunk in cut(data, places) for item in splitter.feed(chunk)] == items
    assert splitter.rest() == b""


_text = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=20)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _text,
    lambda inner: st.lists(inner) | st.dictionaries(_text, inner),
    max_leaves=8,
)
_body = (
    st.binary(max_size=60)
    | _json.map(msgspec.json.encode)
    | st.dictionaries(st.sampled_from(["d", "e", "a"]), _json).map(msgspec.json.encode)
)


@given(
    a=_text.filter(bool), query=st.lists(st.tuples(st.sampled_from(["b", "b", "x", "version"]), _text), max_size=4),
    body=_body, serializer=st.sampled_from(["json", "msgpack", FORM]), header=st.none() | _text,
)  # fmt: skip
def test_a_request_gives_arguments_or_a_refusal(
    a: str, query: Any, body: bytes, serializer: str, header: str | None
) -> None:
    target = str(URL("/x").with_query(query)) if query else "/x"
    request = make_mocked_request(
        "POST", target, headers={} if header is None else {"X-C": header}, match_info={"a": a}
    )
    found = outcome(request, body, serializer)
    if isinstance(found, Refused):
        assert found.fault.executed == "not_executed"
        assert 400 <= found.answer().status < 500
    else:
        assert msgspec.convert(msgspec.to_builtins(found), ARGUMENTS) == found


def outcome(request: Any, body: bytes, serializer: str) -> Any:
    try:
        return BINDER.bind(request, body, serializer)
    except Refused as refused:
        return refused
