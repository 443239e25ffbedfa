"""Vyked 2.x code works as documented, and does what it should have done where it was wrong (the numbers are of the
ancestor's known defects)."""

import asyncio
import inspect
from typing import Any

import msgspec
import pytest

from vyked_host.errors import (
    ApplicationError,
    CallError,
    DeadlineExceeded,
    InvalidPayload,
    RemoteFailure,
    ServiceError,
    Unavailable,
    UsageError,
)
from vyked_host.model.description import Kind, ServiceDescription
from vyked_host.service.base import attach
from vyked_host.service.binding import handler, subscription_handler
from vyked_host.service.classic.clients import HttpRequest, HTTPServiceClient, TCPServiceClient, request
from vyked_host.service.classic.errors import (
    ClientDisconnected,
    ClientException,
    ClientNotFoundError,
    RequestException,
    RequestTimeout,
    VykedServiceError,
    VykedServiceException,
)
from vyked_host.service.classic.services import HTTPService, TCPService
from vyked_host.service.decorators import (
    api,
    apideprecated,
    get,
    options,
    post,
    publish,
    subscribe,
    trace,
    xsubscribe,
)
from vyked_host.service.inspect import describe
from vyked_host.service.websockets import websocket

from .doubles import Loopback, Raising, Remembering, hosted


class NoSuchUser(VykedServiceException):
    pass


class IdentityService(TCPService):
    """Knows users."""

    def __init__(self, ip: str | None = None, port: int | None = None) -> None:
        super().__init__("IdentityService", 1, ip, port)

    @api
    def create(self, user_name, password="none"):
        yield from asyncio.sleep(0).__await__()
        return {"user_name": user_name, "password": password}

    @api(timeout=5)
    def find(self, user_name):
        raise NoSuchUser(f"no {user_name}")

    @api
    async def anything(self, **values: Any) -> Any:
        return values

    @apideprecated(replacement_api="create")
    def old(self, user_name):
        return user_name

    @publish
    def password_changed(self, user_name, **more):
        helper = user_name.upper()
        assert helper
        return locals()

    @publish
    def created_later(self, user_name):
        yield from asyncio.sleep(0).__await__()
        return {"user_name": user_name}

    @publish
    def broken(self) -> Any:
        return 3


class IdentityClient(TCPServiceClient):
    def __init__(self, version: Any = 1) -> None:
        super().__init__("IdentityService", version)
        self.heard: list[Any] = []

    @request
    def create(self, user_name, password="none"):
        helper = user_name.upper()
        assert helper
        return locals()

    @request(timeout=3)
    def find(self, user_name):
        return {"user_name": user_name, "entity": 7, "app_name": "shop"}

    @request
    def anything(self, **values):
        return locals()

    @request
    def wrong(self) -> Any:
        return 3

    @subscribe
    def password_changed(self, user_name):
        self.heard.append(user_name)

    @xsubscribe(strategy="LEADER")
    def created(self, user_name, **rest):
        yield from asyncio.sleep(0).__await__()
        self.heard.append((user_name, rest))

    @xsubscribe
    async def removed(self, user_name: str) -> None:
        raise RuntimeError(user_name)


class AccountService(TCPService):
    def __init__(self, *clients: TCPServiceClient) -> None:
        super().__init__("accounts", "2.1")
        self.clients = list(clients)


def served(*clients: TCPServiceClient, invoker: Any = None) -> AccountService:
    service = AccountService(*clients)
    hosted(service, {"identityservice": invoker or Loopback(IdentityService())})
    return service


def endpoint(description: ServiceDescription, name: str) -> Any:
    return next(each for each in description.endpoints if each.name == name)


# ---- description -----------------------------------------------------------------------------------------------------
def test_an_instance_is_described_by_what_its_constructor_got() -> None:
    service = IdentityService("127.0.0.1", 4502)
    found = describe(service)
    assert (found.name, found.version, found.summary) == ("identityservice", "1.0.0", "Knows users.")
    assert (service.name, service.version, service.properties) == ("identityservice", "1", ("identityservice", "1"))
    assert (service.host, service.port, service.socket_address) == ("127.0.0.1", 4502, ("127.0.0.1", 4502))
    assert len(service.node_id) == 8
    assert describe(service, name="twin").endpoints[0].service == "twin"


def test_a_class_alone_has_no_name_yet() -> None:
    with pytest.raises(UsageError, match=r"IdentityService .*constructor.*arguments = \[...\]"):
        describe(IdentityService)


def test_arguments_need_no_types_and_keep_their_defaults() -> None:
    create = endpoint(describe(IdentityService()), "create")
    assert (create.kind, create.result) == (Kind.UNARY, Any)
    assert msgspec.json.decode(b'{"user_name": -5}', type=create.arguments) == create.arguments(-5, "none")


def test_26_integers_stay_integers() -> None:
    create = endpoint(describe(IdentityService()), "create")
    assert type(msgspec.json.decode(b'{"user_name": -5}', type=create.arguments).user_name) is int


def test_timeouts_are_600_seconds_unless_told() -> None:
    found = describe(IdentityService())
    assert (endpoint(found, "create").timeout_s, endpoint(found, "find").timeout_s) == (600.0, 5)


def test_deprecation_names_the_replacement() -> None:
    old = endpoint(describe(IdentityService()), "old")
    assert (old.deprecated, old.replacement) == (True, "create")


def test_1_the_service_s_own_exception_is_a_declared_error_with_its_text() -> None:
    (declared,) = endpoint(describe(IdentityService()), "find").raises
    error = NoSuchUser("no ada")
    assert isinstance(error, ServiceError)
    assert (declared.code, declared.error, declared.details) == (error.code, VykedServiceException, None)
    assert str(error) == "no ada"


def test_an_error_that_is_not_the_service_s_own_is_not_declared() -> None:
    assert not issubclass(VykedServiceError, ServiceError)


def test_6_compatible_versions_are_served() -> None:
    service = TCPService("a", "1.7")
    assert service.is_for_me("A", "1.2")
    assert not service.is_for_me("a", "1.8")
    assert not service.is_for_me("a", "2")
    assert not service.is_for_me("b", "1.2")


@pytest.mark.parametrize("name", ["a/b", "", "1a", "a b"])
def test_41_names_are_checked(name: str) -> None:
    for kind in (TCPService, HTTPService, TCPServiceClient, HTTPServiceClient):
        with pytest.raises(UsageError):
            kind(name, 1)
    with pytest.raises(UsageError):
        TCPService("fine", "one")


def test_38_dependencies_are_those_of_the_instance() -> None:
    first, second = AccountService(IdentityClient()), AccountService()
    assert [(each.service, each.version) for each in describe(first).dependencies] == [("identityservice", "1.0.0")]
    assert describe(second).dependencies == ()


def test_clients_can_be_read_and_set_and_nothing_else_is_taken() -> None:
    service, client = AccountService(), IdentityClient()
    service.clients = [client]
    assert service.clients == [client]
    with pytest.raises(UsageError, match="is no TCPServiceClient"):
        service.clients = [3]


# ---- handlers --------------------------------------------------------------------------------------------------------
async def test_generator_plain_and_open_ended_bodies_are_served() -> None:
    service = IdentityService()
    found = describe(service)
    create, anything = endpoint(found, "create"), endpoint(found, "anything")
    assert await handler(service, create)(create.arguments("ada")) == {"user_name": "ada", "password": "none"}
    assert anything.arguments == dict[str, Any]
    assert await handler(service, anything)({"a": 1}) == {"a": 1}
    with pytest.raises(NoSuchUser):
        await handler(service, endpoint(found, "find"))(endpoint(found, "find").arguments("ada"))


# ---- requests --------------------------------------------------------------------------------------------------------
async def test_a_request_is_under_way_at_once_and_gives_a_future() -> None:
    client = IdentityClient()
    served(client)
    future = client.create("ada")
    assert isinstance(future, asyncio.Future)
    assert await future == {"user_name": "ada", "password": "none"}


async def test_41_locals_carries_the_parameters_and_no_helpers() -> None:
    client = IdentityClient()
    served(client)
    assert await client.anything(a=1, entity="e") == {"a": 1}


async def test_entity_and_app_name_are_options_not_arguments() -> None:
    client, loopback = IdentityClient(), Loopback(IdentityService())
    served(client, invoker=loopback)
    with pytest.raises(RequestException, match="no ada"):
        await client.find("ada")
    (options_,) = loopback.options
    assert options_ is not None
    assert (options_.entity, options_.timeout, options_.metadata) == ("7", 3, {"app": "shop"})


async def test_a_request_can_be_yielded_from_in_a_generator() -> None:
    class Asking(AccountService):
        @api
        def ask(self, user_name):
            result = yield from self.clients[0].create(user_name)
            return result["user_name"]

    service = Asking(IdentityClient())
    hosted(service, {"identityservice": Loopback(IdentityService())})
    ask = endpoint(describe(service), "ask")
    assert await handler(service, ask)(ask.arguments("ada")) == "ada"


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (VykedServiceException("no ada"), RequestException),
        (ApplicationError("taken", type="user_exists"), RequestException),
        (DeadlineExceeded("identityservice.find took over 3 s"), RequestTimeout),
        (DeadlineExceeded("identityservice.find took over 3 s"), TimeoutError),
        (Unavailable("no instance", executed="not_sent"), ClientNotFoundError),
        (Unavailable("refused", executed="not_executed"), ClientNotFoundError),
        (Unavailable("link lost", executed="unknown"), ClientDisconnected),
        (Unavailable("link lost", executed="unknown"), ClientException),
        (RemoteFailure("it failed", details={"id": "1"}), RemoteFailure),
    ],
)
async def test_1_2_9_10_11_failures_have_a_type_and_a_text(raised: Exception, seen: type[Exception]) -> None:
    client = IdentityClient()
    served(client, invoker=Raising(raised))
    with pytest.raises(seen) as caught:
        await client.create("ada")
    assert str(raised) in str(caught.value)
    if isinstance(caught.value, RequestException | ClientException):
        assert caught.value.error == str(raised)
    if isinstance(raised, CallError) and isinstance(caught.value, CallError):
        assert caught.value.executed == raised.executed


async def test_a_request_without_a_host_says_where_clients_belong() -> None:
    with pytest.raises(UsageError, match="into the `clients` of a service"):
        await IdentityClient().create("ada")


async def test_a_body_that_returns_no_dict_says_so() -> None:
    client = IdentityClient()
    served(client, invoker=Raising(RuntimeError()))
    with pytest.raises(UsageError, match="return a dict"):
        await client.wrong()


@pytest.mark.parametrize("timeout", [0, -1, 601])
def test_a_request_s_timeout_has_bounds(timeout: float) -> None:
    with pytest.raises(UsageError, match="up to 600"):
        request(timeout=timeout)


async def test_an_object_may_stand_for_the_service_in_a_test() -> None:
    class Fake:
        async def create(self, user_name: str, password: str) -> str:
            return f"{user_name}/{password}"

    client = IdentityClient()
    service = AccountService(client)
    attach(service, Remembering(clients={"clients[0]": Fake()}), describe(service))
    assert await client.create("ada") == "ada/none"


# ---- events ----------------------------------------------------------------------------------------------------------
async def test_publishing_sends_the_arguments_and_no_helpers() -> None:
    service = IdentityService()
    host = hosted(service)
    await service.password_changed("ada", reason="old")
    ((event, payload, _),) = host.published
    assert (event.name, event.payload, payload) == ("password_changed", Any, {"user_name": "ada", "reason": "old"})


async def test_a_generator_body_publishes_when_it_is_done_also_when_nobody_waits() -> None:
    service = IdentityService()
    host = hosted(service)
    task = service.created_later("ada")
    assert host.tasks == ["publish identityservice.created_later"]
    await task
    assert host.published[0][1] == {"user_name": "ada"}


async def test_a_payload_that_is_no_dict_is_refused() -> None:
    service = IdentityService()
    hosted(service)
    with pytest.raises(UsageError, match="return a dict"):
        await service.broken()


def test_subscriptions_of_clients_are_the_service_s() -> None:
    found = describe(AccountService(IdentityClient("1.3"))).subscriptions
    shown = {each.event: (each.service, each.major, each.exclusive, each.strategy) for each in found}
    assert shown == {
        "password_changed": ("identityservice", 1, False, "any"),
        "created": ("identityservice", 1, True, "leader"),
        "removed": ("identityservice", 1, True, "any"),
    }


async def test_handlers_get_the_fields_they_have_names_for() -> None:
    client = IdentityClient()
    service = AccountService(client)
    handlers = {each.event: subscription_handler(service, each) for each in describe(service).subscriptions}
    await handlers["password_changed"]({"user_name": "ada", "added_later": 1})
    await handlers["created"]({"user_name": "bob", "more": 1})
    assert client.heard == ["ada", ("bob", {"more": 1})]
    with pytest.raises(InvalidPayload, match="takes named values"):
        await handlers["password_changed"](["ada"])


async def test_21_an_exception_of_a_handler_reaches_the_host() -> None:
    service = AccountService(IdentityClient())
    removed = next(each for each in describe(service).subscriptions if each.event == "removed")
    with pytest.raises(RuntimeError, match="ada"):
        await subscription_handler(service, removed)({"user_name": "ada"})


async def test_22_two_clients_of_one_service_both_get_events_and_both_can_call() -> None:
    first, second = IdentityClient(), IdentityClient()
    service = served(first, second)
    for each in describe(service).subscriptions:
        if each.event == "password_changed":
            await subscription_handler(service, each)({"user_name": "ada"})
    assert first.heard == second.heard == ["ada"]
    assert [await each.create("ada") for each in (first, second)] == [{"user_name": "ada", "password": "none"}] * 2


# ---- HTTP ------------------------------------------------------------------------------------------------------------
class Pages(HTTPService):
    def __init__(self, **settings: Any) -> None:
        super().__init__("pages", 1, **settings)

    @get("/page/{name}", required_params=["x", "y"])
    def page(self, request):
        yield from asyncio.sleep(0).__await__()
        return f"page {request}"

    @post(path="/page/{name}")
    async def save(self, request):
        return f"saved {request}"

    @trace("/trace")
    def traced(self, req):
        return req

    @options("/own")
    async def asked(self, request):
        return "own"

    @get("/own")
    async def own(self, request):
        return "own"

    @websocket("/chat")
    async def chat(self, message: Any) -> None: ...


async def test_routes_work_on_the_raw_request() -> None:
    pages = Pages()
    found = describe(pages)
    page = endpoint(found, "page")
    assert (page.kind, page.timeout_s, page.http[0].required_params) == (Kind.HTTP, 600.0, ("x", "y"))
    assert await handler(pages, page)("r") == "page r"
    assert await handler(pages, endpoint(found, "traced"))("r") == "r"


def test_29_trace_is_trace_and_33_a_websocket_is_a_websocket() -> None:
    found = describe(Pages())
    assert endpoint(found, "traced").http[0].method == "TRACE"
    assert endpoint(found, "chat").kind is Kind.WEBSOCKET


def test_32_handled_exceptions_of_routes_are_declared() -> None:
    assert endpoint(describe(Pages()), "page").raises[0].code == "service_exception"


def test_31_cross_domain_answers_are_open_and_preflights_are_the_host_s() -> None:
    closed, opened = describe(Pages()), describe(Pages(allow_cross_domain=True))
    assert Pages(allow_cross_domain=True).cross_domain_allowed
    assert {each.origins for found in closed.endpoints for each in found.http} == {()}
    assert endpoint(opened, "page").http[0].origins == ("*",)
    assert [each.name for each in opened.endpoints] == [each.name for each in closed.endpoints]


async def test_31_a_preflight_of_one_s_own_answers_each_path_once() -> None:
    pages = Pages(allow_cross_domain=True, preflight_response=lambda request: f"preflight {request}")
    preflight = endpoint(describe(pages), "preflight_response")
    assert [(each.method, each.path) for each in preflight.http] == [
        ("OPTIONS", "/page/{name}"), ("OPTIONS", "/trace"), ("OPTIONS", "/chat"),
    ]  # fmt: skip
    assert await handler(pages, preflight)("r") == "preflight r"
    assert pages.preflight_response is not None


class PagesClient(HTTPServiceClient):
    @get()
    def page(self, name, entity):
        path, params = f"/page/{name}", {"x": 1}
        return {"path": path, "params": params, "entity": entity}

    @post()
    def save(self, name):
        return {"path": f"/page/{name}", "data": b"x", "headers": {"a": "b"}, "app_name": "shop"}

    @get()
    def person(self, name):
        path, params, app_name = f"/page/{name}", {"key": "value"}, "test"
        return locals()

    @get()
    def wrong(self) -> Any:
        return {"pth": "/"}


async def test_30_an_http_client_sends_what_its_body_returned() -> None:
    class Recording:
        def __init__(self) -> None:
            self.sent: list[Any] = []

        def bind(self, found: Any) -> Any:
            async def call(arguments: HttpRequest, inbound: Any, options_: Any) -> Any:
                assert found.kind is Kind.HTTP
                self.sent.append((arguments, options_.entity))
                return "response"

            return call

    client, recording = PagesClient("pages", 1), Recording()
    service = AccountService(client)
    hosted(service, {"pages": recording})
    assert await client.page("ada", 7) == "response"
    await client.save("ada")
    (first, entity), (second, _) = recording.sent
    assert (first.method, first.path, entity) == ("GET", "/page/ada", "7")
    assert first.params == {"x": 1, "version": "1", "service": "pages"}
    assert (second.method, second.data, second.headers, second.params["app"]) == ("POST", b"x", {"a": "b"}, "shop")
    await client.person("ada")
    third, _ = recording.sent[2]
    assert (third.path, third.params) == (
        "/page/ada",
        {"key": "value", "version": "1", "service": "pages", "app": "test"},
    )
    with pytest.raises(UsageError, match=r"PagesClient\.wrong returned pth.*path, params"):
        await client.wrong()


def test_a_classic_service_can_be_a_base_of_a_base() -> None:
    class More(IdentityService):
        @api
        def more(self) -> int:
            return 1

    names = [each.name for each in describe(More()).endpoints]
    assert names[0] == "create"
    assert names[-1] == "more"
    assert inspect.isgeneratorfunction(More.create.body)
