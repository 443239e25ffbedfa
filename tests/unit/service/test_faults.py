"""What can't work is refused at start-up, with class, method, file, line, and the remedy."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from aiohttp import web
from msgspec import Struct

from vyked_host.errors import ServiceError, UsageError
from vyked_host.service.base import Contract, Service
from vyked_host.service.decorators import api, background, every, get, publish, subscribe, xsubscribe
from vyked_host.service.dependencies import client
from vyked_host.service.inspect import describe


class Payload(Struct):
    name: str


class Other(Struct):
    name: str


class Foreign:
    pass


class Nested(Struct):
    inner: list[Foreign]


class Twin(ServiceError, code="same"):
    pass


class Sibling(ServiceError, code="same"):
    pass


class Broken(ServiceError, code="broken"):
    inner: Foreign


def service(**members: Any) -> type[Service]:
    """A service class with these members."""
    return type("Sample", (Service,), members, name="sample", version="1")


async def star(self: Any, *numbers: int) -> None: ...
async def stars(self: Any, **numbers: int) -> None: ...
async def foreign(self: Any, it: Foreign) -> None: ...
async def nested(self: Any, it: Nested) -> None: ...
async def foreign_result(self: Any) -> Foreign: ...
async def union(self: Any, it: Payload | Other) -> None: ...
async def unresolved(self: Any, it: "Nowhere") -> None: ...  # noqa: F821
async def mutable(self: Any, it: list[int] = [1]) -> None: ...  # noqa: B006
async def two_streams(self: Any, a: AsyncIterator[int], b: AsyncIterator[int]) -> None: ...
async def fine(self: Any, name: str) -> None: ...
async def stream_of_foreign(self: Any, a: AsyncIterator[Foreign]) -> None: ...
async def coroutine_of_stream(self: Any) -> AsyncIterator[int]: ...
async def raw(self: Any, request: web.Request) -> web.Response: ...
async def raw_and_stream(self: Any, request: web.Request, a: AsyncIterator[int]) -> web.Response: ...
def plain(self: Any) -> int: ...
def sync_stream(self: Any) -> Iterator[int]:
    yield 1


def no_self() -> None: ...


REFUSED: list[tuple[str, Callable[[], Any], str, str]] = [
    ("star", lambda: service(m=api(star)), r"\*numbers can't be described", "name each parameter"),
    ("stars", lambda: service(m=api(stars)), r"\*\*numbers can't be described", "name each parameter"),
    ("foreign parameter", lambda: service(m=api(foreign)), "parameter 'it' has .*Foreign", "msgspec.Struct"),
    ("foreign inside", lambda: service(m=api(nested)), "parameter 'it' has .*Foreign", "msgspec.Struct"),
    ("foreign result", lambda: service(m=api(foreign_result)), "the result has .*Foreign", "msgspec.Struct"),
    ("ambiguous union", lambda: service(m=api(union)), "the type of parameter 'it'", "msgspec.Struct"),
    ("unresolved", lambda: service(m=api(unresolved)), "Nowhere", "at the top of the module"),
    ("mutable default", lambda: service(m=api(mutable)), "default of 'it'", "None or a tuple"),
    ("two streams", lambda: service(m=api(two_streams)), "a and b are streams", "one"),
    ("foreign stream", lambda: service(m=api(stream_of_foreign)), "each item of 'a'", "msgspec.Struct"),
    ("coroutine of stream", lambda: service(m=api(coroutine_of_stream)), "answers with a stream", "without async"),
    ("sync stream", lambda: service(m=api(sync_stream)), "plain generator", "AsyncIterator"),
    ("raw and api", lambda: service(m=api(get("/x")(raw))), "raw HTTP", "remove @api"),
    ("raw with stream", lambda: service(m=get("/x")(raw_and_stream)), "stream of items", "request's own content"),
    ("no self", lambda: service(m=api(no_self)), "no self", "method"),
    ("blocking coroutine", lambda: service(m=api(blocking=True)(fine)), "blocking", "without async"),
    ("timeout 0", lambda: service(m=api(timeout=0)(fine)), "timeout=0", "up to 600"),
    ("timeout 601", lambda: service(m=api(timeout=601)(fine)), "timeout=601", "up to 600"),
    ("concurrency", lambda: service(m=api(concurrency=0)(fine)), "concurrency=0", "1 or more"),
    ("sensitive", lambda: service(m=api(sensitive=["word"])(fine)), "'word', which is no parameter", "it has: name"),
    ("raises", lambda: service(m=api(raises=[ValueError])(fine)), "ValueError", "ServiceError"),
    ("same code", lambda: service(m=api(raises=[Twin, Sibling])(fine)), "same code 'same'", "its own"),
    ("error field", lambda: service(m=api(raises=[Broken])(fine)), "Broken.inner", "msgspec.Struct"),
    ("reserved", lambda: service(spawn=api(fine)), "uses this name itself", "another"),
    ("private", lambda: service(_m=api(fine)), "private", "another"),
    ("relative path", lambda: service(m=get("users")(fine)), "not absolute", "'/users'"),
    ("stray brace", lambda: service(m=get("/{name")(fine)), "brace", "{name}"),
    ("unknown variable", lambda: service(m=get("/{id}")(fine)), r"\{id\}, which is no parameter", "it has: name"),
    ("status", lambda: service(m=get("/x", status=42)(fine)), "status=42", "200 to 599"),
    ("duplicate route", lambda: service(a=get("/{name}")(fine), b=get("/{name}")(fine)), "already the route of a", "another path"),
    ("event without type", lambda: service(e=publish(lambda self: 1)), "payload has no type", "annotate"),
    ("async event", lambda: service(e=publish(fine)), "at once", "plain `def`"),
    ("foreign event", lambda: service(e=publish(foreign_event)), "the payload has .*Foreign", "msgspec.Struct"),
    ("bare subscribe", lambda: service(h=subscribe(handler())), "which event", "@subscribe"),
    ("no version", lambda: service(h=subscribe("a.b")(handler())), "says no version", 'version="1"'),
    ("no topic", lambda: service(h=subscribe("ab", version="1")(handler())), "is no topic", "identity.created"),
    ("plain handler", lambda: service(h=subscribe("a.b", version="1")(plain)), "awaits it", "async def"),
    ("no parameter", lambda: service(h=subscribe("a.b", version="1")(nothing)), "takes the event", "event: ItsType"),
    ("other payload", lambda: service(h=subscribe(Publisher.happened)(other)), "the event carries", "own type"),
    ("max_deliveries", lambda: service(h=xsubscribe("a.b", version="1", max_deliveries=0)(handler())), "count from 1", "1 or more"),
    ("plain work", lambda: service(w=background(plain)), "awaits it", "async def"),
    ("plain every", lambda: service(w=every(1)(plain)), "awaits it", "async def"),
    ("plain on_start", lambda: service(on_start=plain), "awaits it", "async def on_start"),
    ("constructor", lambda: service(__init__=fine), "needs 'name'", "options: MyStruct"),
    ("options", lambda: service(__annotations__={"options": dict}), "is no Struct", "Struct"),
    ("nameless dependency", lambda: service(c=client(Nameless)), "Nameless has no name", "client("),
    ("hidden", lambda: type("Child", (service(m=api(fine)),), {"m": fine}), "hides the decorated", "decorate it"),
    ("no service", lambda: Foreign, "is no service", "derive it from"),
    ("no name", lambda: Nameless, "has no name", 'name="nameless"'),
    ("not implemented", lambda: type("Half", (Promise, Service), {}), "Promise.find is not implemented", "write it in Half"),
    ("wrong type", lambda: kept(find=api(find_int)), "stands where", "contract's parameters"),
    ("missing parameter", lambda: kept(find=api(find_nothing)), "no parameter 'name'", "add it"),
    ("extra parameter", lambda: kept(find=api(find_more)), "don't know parameter 'more'", "default"),
    ("needed parameter", lambda: kept(find=api(find_needs)), "may be left out", "default"),
    ("other result", lambda: kept(find=api(find_result)), "answers with", "same types"),
    ("other event", lambda: kept(found=publish(found_other)), "payload is", "same type"),
    ("no endpoint", lambda: kept(find=publish(found_other)), "is an endpoint, this is not", "@api"),
]  # fmt: skip


def foreign_event(self: Any) -> Foreign: ...
def handler() -> Any:
    async def fresh(self: Any, event: Payload) -> None: ...

    return fresh


async def other(self: Any, event: Other) -> None: ...
async def nothing(self: Any) -> None: ...


class Nameless(Service):
    pass


class Publisher(Service, name="publisher", version="1"):
    @publish
    def happened(self) -> Payload:
        return Payload("")


class Promise(Contract, name="promise", version="1"):
    @api
    async def find(self, name: str = "") -> str:
        raise NotImplementedError

    @publish
    def found(self) -> Payload:
        raise NotImplementedError


async def find(self: Any, name: str = "") -> str: ...
async def find_int(self: Any, name: int = 1) -> str: ...
async def find_nothing(self: Any) -> str: ...
async def find_more(self: Any, name: str = "", *, more: int) -> str: ...
async def find_needs(self: Any, name: str) -> str: ...
async def find_result(self: Any, name: str = "") -> int: ...
def found(self: Any) -> Payload: ...
def found_other(self: Any) -> Other: ...


def kept(**members: Any) -> type[Service]:
    return type("Kept", (Promise, Service), {"find": api(find), "found": publish(found)} | members)


@pytest.mark.parametrize(("make", "fault", "remedy"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_it_is_refused_with_the_remedy(make: Callable[[], Any], fault: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        describe(make())
    text = str(caught.value)
    assert re.search(fault, text), text
    assert remedy in text


def test_what_fits_is_accepted() -> None:
    assert describe(kept()).name == "promise"
    assert describe(service(m=api(fine))).name == "sample"


def test_a_fault_names_class_method_file_and_line() -> None:
    with pytest.raises(UsageError, match=rf"^Sample\.m \({re.escape(__file__)}:{star.__code__.co_firstlineno}\): "):
        describe(service(m=api(star)))


@pytest.mark.parametrize(
    "decorate",
    [
        lambda: api(3),
        lambda: api(staticmethod(fine)),
        lambda: api(Publisher.happened),
        lambda: get("/x")(3),
        lambda: publish(3),
        lambda: subscribe(api(fine)),
        lambda: xsubscribe(strategy="FIRST"),
        lambda: every(0),
        lambda: every(1, jitter=2),
        lambda: client(3),
        lambda: client(Foreign),
        lambda: client("a/b"),
        lambda: client("audit", version="one"),
    ],
)
def test_a_decorator_refuses_at_once_what_it_can_t_take(decorate: Callable[[], Any]) -> None:
    with pytest.raises(UsageError):
        decorate()


@pytest.mark.parametrize("wrong", [{"name": "a/b"}, {"name": "1a"}, {"version": "x"}, {"name": "a" * 65}])
def test_names_and_versions_are_checked_where_they_are_written(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        type("Wrong", (Service,), {}, **({"name": "fine", "version": "1"} | wrong))
