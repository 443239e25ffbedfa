"""Where parameters come from, without a socket."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request

from vyked_host.builtin.http.binding import FORM, Binder
from vyked_host.builtin.http.exposed import codecs_of
from vyked_host.builtin.http.refusal import Refused
from vyked_host.builtin.http.sources import path_names, sources
from vyked_host.builtin.serializers.codecs import Json, Msgpack
from vyked_host.contracts import EndpointDescription, HttpBinding, Kind, LimitsTable
from vyked_host.errors import UsageError
from vyked_host.model.http import Body, Cookie, Header, Query

SERIALIZERS = {"json": Json(LimitsTable()), "msgpack": Msgpack(LimitsTable())}


class Point(msgspec.Struct, frozen=True):
    x: int
    y: int = 0


def described(kind: Kind = Kind.UNARY, sensitive: tuple[str, ...] = (), **fields: Any) -> EndpointDescription:
    made = [(name, *shape) if isinstance(shape, tuple) else (name, shape) for name, shape in fields.items()]
    arguments = msgspec.defstruct("Arguments", made, forbid_unknown_fields=True)
    return EndpointDescription(service="s", version="1", name="m", kind=kind, arguments=arguments, sensitive=sensitive)


def binder(method: str = "GET", path: str = "/", sensitive: tuple[str, ...] = (), **fields: Any) -> Binder:
    endpoint = described(sensitive=sensitive, **fields)
    return Binder(endpoint, HttpBinding(method=method, path=path), lambda shape: codecs_of(shape, SERIALIZERS))


def bound(
    made: Binder, target: str = "/", body: bytes = b"", serializer: str = "json", match: Any = None, **headers: str
) -> Any:
    request = make_mocked_request("GET", target, headers=headers, match_info=match or {})
    found = made.bind(request, body, serializer)
    return msgspec.structs.astuple(found)


def refused(made: Binder, *args: Any, **named: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        bound(made, *args, **named)
    return caught.value


@pytest.mark.parametrize(
    ("method", "place"),
    [("GET", "query"), ("HEAD", "query"), ("DELETE", "query"), ("OPTIONS", "query"), ("TRACE", "query"), ("POST", "field"), ("PUT", "field"), ("PATCH", "field")],
)  # fmt: skip
def test_the_verb_decides_where_unmarked_parameters_come_from(method: str, place: str) -> None:
    found = sources(described(a=int), HttpBinding(method=method, path="/"))
    assert [source.place for source in found] == [place]


def test_the_path_wins_over_the_verb_and_markers_over_the_rest() -> None:
    endpoint = described(
        a=int, b=Annotated[str, Header()], c=Annotated[str, Cookie("sid")], d=Annotated[int, Query()], e=int
    )
    found = sources(endpoint, HttpBinding(method="POST", path="/x/{a}"))
    assert [(each.place, each.key) for each in found] == [
        ("path", "a"),
        ("header", "b"),
        ("cookie", "sid"),
        ("query", "d"),
        ("field", "e"),
    ]


def test_where_the_body_is_a_stream_parameters_come_from_the_query() -> None:
    found = sources(described(kind=Kind.CLIENT_STREAM, a=int), HttpBinding(method="POST", path="/"))
    assert found[0].place == "query"


def test_a_header_is_named_after_its_parameter_with_dashes() -> None:
    found = sources(described(x_request_id=Annotated[str, Header()]), HttpBinding(method="GET", path="/"))
    assert found[0].key == "x-request-id"


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/a", []),
        ("/{a}/{b}", ["a", "b"]),
        (r"/{a:\d+}", ["a"]),
        (r"/{a:\d{4}}/{b}", ["a", "b"]),
        ("/files/{tail:.*}", ["tail"]),
    ],
)
def test_the_names_in_a_path_are_found_beside_their_patterns(path: str, names: list[str]) -> None:
    assert list(path_names(path)) == names


@pytest.mark.parametrize(
    ("method", "path", "fields", "said"),
    [
        ("GET", "/{b}", {"a": int}, "names b, but the method has no such parameter"),
        ("GET", "/", {"a": Annotated[bytes, Body()]}, "no body to read"),
        ("POST", "/", {"a": Annotated[bytes, Body()], "b": int}, "'a' is the whole body, so b can't be in it"),
        ("POST", "/", {"a": Annotated[bytes, Body()], "b": Annotated[bytes, Body()]}, "b can't be in it"),
    ],
)
def test_a_route_that_cant_work_is_refused_with_its_reason(method: str, path: str, fields: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        sources(described(**fields), HttpBinding(method=method, path=path))


def test_texts_are_converted() -> None:
    made = binder(path="/{a}", a=int, b=(bool, False), c=(float, 0.5), d=(list[int], []), e=(str | None, None))
    assert bound(made, "/5?b=true&d=1&d=2&e=null", match={"a": "5"}) == (5, True, 0.5, [1, 2], "null")


def test_json_is_taken_strictly() -> None:
    made = binder("POST", a=int, b=(Point, Point(0)))
    assert bound(made, body=b'{"a": 1, "b": {"x": 2}}') == (1, Point(2, 0))
    assert str(refused(made, body=b'{"a": "1"}')) == "body field 'a': Expected `int`, got `str`"
    assert str(refused(made, body=b'{"a": 1, "b": {"x": "2"}}')) == "body field 'b' at b.x: Expected `int`, got `str`"
    assert refused(made, body=b'{"a": 1, "b": {"x": "2"}}').fault.details == {"field": "b.x"}


def test_texts_and_body_are_put_together() -> None:
    made = binder("PUT", "/{a}", a=int, b=int, c=Annotated[str, Header("X-C")])
    assert bound(made, body=b'{"b": 2}', match={"a": "1"}, **{"X-C": "c"}) == (1, 2, "c")


def test_a_form_has_lists_only_where_the_type_has() -> None:
    made = binder("POST", a=int, b=(list[str], []))
    assert bound(made, body=b"a=1&b=x&b=y", serializer=FORM) == (1, ["x", "y"])
    assert "body field 'a'" in str(refused(made, body=b"a=z", serializer=FORM))
    assert "can't be read" in str(refused(made, body=b"&&==&", serializer=FORM))


def test_no_body_counts_as_an_empty_one() -> None:
    assert bound(binder("POST", a=(int, 3))) == (3,)
    assert str(refused(binder("POST", a=int))) == "body field 'a' is missing"


def test_constraints_hold_for_texts() -> None:
    made = binder(a=Annotated[int, msgspec.Meta(ge=1)])
    assert str(refused(made, "/?a=0")) == "query parameter 'a': Expected `int` >= 1, got '0'"


def test_a_sensitive_value_is_not_repeated() -> None:
    assert "s3cret" not in str(refused(binder(a=int, sensitive=("a",)), "/?a=s3cret"))


def test_the_whole_body_may_be_bytes_text_or_a_struct() -> None:
    assert bound(binder("POST", a=Annotated[bytes, Body()]), body=b"\xff") == (b"\xff",)
    assert bound(binder("POST", a=Annotated[str, Body()]), body="é".encode()) == ("é",)
    assert bound(binder("POST", a=Annotated[Point, Body()]), body=b'{"x":1}') == (Point(1),)
    assert refused(binder("POST", a=Annotated[str, Body()]), body=b"\xff").fault.code == "INVALID_ARGUMENT"


def test_a_body_over_the_cap_of_its_type_says_so() -> None:
    found = refused(binder("POST", a=Any), body=b'{"a": "' + b"x" * 70_000 + b'"}')
    assert (found.fault.code, "untyped_message" in str(found)) == ("TOO_LARGE", True)


def test_a_method_without_parameters_takes_none() -> None:
    assert bound(binder()) == ()
    assert str(refused(binder(), "/?a=1")) == "unknown query parameter 'a'; known: none"
