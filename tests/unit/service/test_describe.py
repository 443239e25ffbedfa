"""A class becomes a description: kinds, argument Structs, results, routes, events, dependencies, work."""

from collections.abc import AsyncIterator, Awaitable, Generator
from typing import Annotated, Any

import msgspec
import pytest
from aiohttp import web
from msgspec import Meta, Struct

from vyked_host.errors import ServiceError
from vyked_host.model.description import EndpointDescription, Kind
from vyked_host.service.base import Contract, Service
from vyked_host.service.decorators import (
    api,
    apideprecated,
    background,
    every,
    get,
    post,
    publish,
    subscribe,
    trace,
    xsubscribe,
)
from vyked_host.service.dependencies import client
from vyked_host.service.inspect import describe
from vyked_host.service.websockets import websocket

Short = Annotated[str, Meta(max_length=3)]


class User(Struct, frozen=True):
    name: str


class Missing(ServiceError, code="missing", status=404):
    name: str
    hint: str = "look elsewhere"


class Silent(ServiceError, code="silent"):
    pass


class Options(Struct, frozen=True):
    greeting: str = "Hello"


class Shapes(Service, name="Shapes", version="1.2"):
    """One of each.

    And more words.
    """

    options: Options

    @api(raises=[Missing, Silent], sensitive=["word"], idempotent=True, timeout=2, concurrency=3, priority="high")
    async def unary(self, name: Short, word: str = "x", *, loud: bool = False, calm: bool) -> User:
        """Answers once.

        Longer.
        """
        return User(name)

    @api
    async def nothing(self) -> None: ...

    @api
    async def items(self, count: int) -> AsyncIterator[User]:
        for _ in range(count):
            yield User("a")

    @api
    def items_of_another(self) -> AsyncIterator[User]:
        return self.items(1)

    @api
    async def load(self, before: int, users: AsyncIterator[User], after: int = 0) -> int:
        return len([each async for each in users])

    @api
    async def echo(self, *, users: AsyncIterator[User]) -> AsyncIterator[str]:
        async for each in users:
            yield each.name

    @api
    def later(self) -> Awaitable[int]:
        raise NotImplementedError

    @api
    def old_style(self) -> Generator[Any, Any, int]:
        yield from ()
        return 1

    @get("/raw")
    async def raw(self, request: web.Request) -> web.Response: ...

    @get("/bare")
    async def bare(self, request):  # as newcomers write it
        ...

    @get("/users.csv")
    async def export(self) -> web.StreamResponse: ...

    @get(["/a/{name}", "/b/{name:[a-z]{1,3}}"], required_params="x", status=203)
    @post("/c/{name}")
    async def routed(self, name: str) -> str:
        return name

    @get
    async def unnamed(self) -> str:
        return ""

    @trace("/trace")
    async def traced(self) -> str:
        return ""

    @apideprecated(replacement_api="unary")
    async def old(self, anything) -> str:
        return str(anything)

    @websocket("/ws", origins=["http://a"])
    async def socket(self, ws: Any) -> None: ...

    @publish
    def happened(self, name: str) -> User:
        return User(name)


def endpoint(name: str, cls: Any = Shapes) -> EndpointDescription:
    return next(each for each in describe(cls).endpoints if each.name == name)


def test_name_version_summary_and_options_are_the_class_s() -> None:
    found = describe(Shapes)
    assert (found.name, found.version, found.summary) == ("shapes", "1.2.0", "One of each.")
    assert found.options is Options
    assert found.module == __name__
    assert endpoint("unary").summary == "Answers once."


def test_a_class_can_be_served_under_another_name() -> None:
    found = describe(Shapes, name="Twin")
    assert found.name == "twin"
    assert {each.service for each in (*found.endpoints, *found.events)} == {"twin"}


@pytest.mark.parametrize(
    ("name", "kind", "result"),
    [
        ("unary", Kind.UNARY, User),
        ("nothing", Kind.UNARY, type(None)),
        ("later", Kind.UNARY, int),
        ("old_style", Kind.UNARY, int),
        ("items", Kind.SERVER_STREAM, User),
        ("items_of_another", Kind.SERVER_STREAM, User),
        ("load", Kind.CLIENT_STREAM, int),
        ("echo", Kind.BOTH_WAYS, str),
        ("raw", Kind.HTTP, None),
        ("bare", Kind.HTTP, None),
        ("export", Kind.HTTP, None),
        ("socket", Kind.WEBSOCKET, Any),
    ],
)
def test_the_signature_tells_the_kind_and_the_result(name: str, kind: Kind, result: Any) -> None:
    assert (endpoint(name).kind, endpoint(name).result) == (kind, result)


def test_arguments_are_a_strict_struct_with_annotations_kept() -> None:
    arguments = endpoint("unary").arguments
    assert arguments.__struct_fields__ == ("name", "word", "loud", "calm")
    assert msgspec.json.decode(b'{"name": "ada", "calm": true}', type=arguments) == arguments("ada", calm=True)
    for bad in (b'{"name": "ada"}', b'{"name": "adas", "calm": true}', b'{"name": "a", "calm": true, "more": 1}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(bad, type=arguments)


def test_the_struct_of_a_method_is_the_same_whoever_describes_it() -> None:
    assert endpoint("unary").arguments is endpoint("unary").arguments


def test_a_stream_among_the_parameters_is_no_argument() -> None:
    load, echo = endpoint("load"), endpoint("echo")
    assert load.arguments.__struct_fields__ == ("before", "after")
    assert (load.inbound, load.stream_parameter, load.stream_position) == (User, "users", 1)
    assert (echo.stream_parameter, echo.stream_position) == ("users", -1)


def test_marks_reach_the_description() -> None:
    found = endpoint("unary")
    assert (found.idempotent, found.timeout_s, found.concurrency, found.priority) == (True, 2, 3, "high")
    assert found.sensitive == ("word",)
    assert endpoint("old").deprecated
    assert endpoint("old").replacement == "unary"


def test_declared_errors_carry_a_struct_of_their_fields() -> None:
    missing, silent = endpoint("unary").raises
    assert (missing.code, missing.status, missing.error) == ("missing", 404, Missing)
    assert msgspec.convert({"name": "ada"}, missing.details).hint == "look elsewhere"
    assert (silent.code, silent.details) == ("silent", None)


def test_routes_are_all_there_and_api_over_or_under_makes_no_difference() -> None:
    class Both(Service, name="both", version="1"):
        @api
        @get("/x")
        async def over(self) -> str:
            return ""

        @get("/y")
        @api
        async def under(self) -> str:
            return ""

    assert [(each.method, each.path, each.status) for each in endpoint("routed").http] == [
        ("GET", "/a/{name}", 203), ("GET", "/b/{name:[a-z]{1,3}}", 203), ("POST", "/c/{name}", 200),
    ]  # fmt: skip
    assert endpoint("routed").http[0].required_params == ("x",)
    assert endpoint("unnamed").http[0].path == "/unnamed"
    assert endpoint("over", Both).transports is endpoint("under", Both).transports is None
    assert endpoint("over", Both).http[0].path == "/x"
    assert endpoint("under", Both).http[0].path == "/y"


def test_trace_is_trace() -> None:
    assert endpoint("traced").http[0].method == "TRACE"


def test_what_is_only_a_route_is_not_offered_to_other_transports() -> None:
    assert endpoint("unnamed").transports == {"http", "local"}
    assert endpoint("raw").transports == {"http"}


def test_events_carry_the_type_their_body_returns() -> None:
    (event,) = describe(Shapes).events
    assert (event.service, event.version, event.name, event.payload) == ("shapes", "1.2.0", "happened", User)
    assert Shapes.happened.payload is User


class Named(Shapes, name="named", version="2"):
    @api
    async def extra(self) -> None: ...

    nothing = None


class Consumer(Service, name="consumer", version="0.1"):
    shapes = client(Shapes)
    pinned = client(Shapes, version="1", required=False)
    audit = client("Audit", version="2")

    @subscribe(Shapes.happened)
    async def one(self, event: User) -> None: ...

    @xsubscribe(Named.happened, strategy="DESIGNATION", max_deliveries=2, dedupe=True)
    @subscribe("billing.paid", version="3.1", concurrency=1)
    async def two(self, event: User) -> None: ...

    @every(seconds=5, jitter=0.5, at_start=True)
    async def tick(self) -> None: ...

    @background
    async def sweep(self) -> None: ...


def test_inherited_members_come_first_and_none_withdraws_one() -> None:
    names = [each.name for each in describe(Named).endpoints]
    assert names[-1] == "extra"
    assert "nothing" not in names


def test_dependencies_name_the_version_they_were_written_against() -> None:
    found = {each.attribute: each for each in describe(Consumer).dependencies}
    assert (found["shapes"].service, found["shapes"].version, found["shapes"].contract) == ("shapes", "1.2.0", Shapes)
    assert (found["pinned"].version, found["pinned"].required) == ("1.0.0", False)
    assert (found["audit"].service, found["audit"].version, found["audit"].contract) == ("audit", "2.0.0", None)


def test_subscriptions_follow_the_event_also_an_inherited_one() -> None:
    one, billing, inherited = describe(Consumer).subscriptions
    assert (one.service, one.major, one.event, one.handler, one.exclusive) == ("shapes", 1, "happened", "one", False)
    assert (billing.service, billing.major, billing.event, billing.concurrency) == ("billing", 3, "paid", 1)
    assert (inherited.service, inherited.major, inherited.strategy, inherited.exclusive) == ("named", 2, "keyed", True)
    assert (inherited.max_deliveries, inherited.dedupe, inherited.payload) == (2, True, User)


def test_designation_is_keyed_leader_and_random_are_themselves() -> None:
    from vyked_host.service.subscriptions import STRATEGIES

    assert STRATEGIES == {"LEADER": "leader", "RANDOM": "random", "DESIGNATION": "keyed"}


def test_work_is_listed() -> None:
    found = describe(Consumer)
    (tick,) = found.periodic
    assert (tick.handler, tick.seconds, tick.jitter, tick.at_start) == ("tick", 5, 0.5, True)
    assert found.background == ("sweep",)


class Ledger(Contract, name="ledger", version="1.0"):
    @api
    async def book(self, amount: int, note: str = "") -> str:
        raise NotImplementedError

    @publish
    def booked(self, amount: int) -> User:
        raise NotImplementedError


class BookKeeper(Ledger, Service):
    @api
    async def book(self, amount: int, note: str = "", more: int = 0) -> str:
        return str(amount)

    @publish
    def booked(self, amount: int) -> User:
        return User(str(amount))


def test_a_contract_is_described_like_its_service() -> None:
    contract, service = describe(Ledger), describe(BookKeeper)
    assert (contract.name, contract.version) == (service.name, service.version) == ("ledger", "1.0.0")
    assert [each.name for each in contract.endpoints] == ["book"]
    assert contract.events == service.events
