"""Decorators bare and with arguments, stacked both ways; the ancestor's face; what both checkers must infer and refuse."""

from asyncio import Future
from collections.abc import AsyncIterator
from typing import Any, assert_type

from shop import Identity, User

from vyked_host import (
    BoundEndpoint,
    BoundEvent,
    Context,
    Delivery,
    Endpoint,
    HTTPService,
    Reply,
    Request,
    Response,
    Service,
    StreamEndpoint,
    TCPService,
    TCPServiceClient,
    api,
    apideprecated,
    client,
    context,
    get,
    post,
    request,
    subscribe,
    xsubscribe,
)


class Stacked(Service, name="stacked", version="1"):
    @api
    @get("/a/{number}")
    async def over(self, number: int) -> str:
        return str(number)

    @post("/b")
    @api(timeout=2.0)
    async def under(self, number: int) -> str:
        return str(number)

    @get
    async def bare(self) -> int:
        return 1

    @get("/items")
    @api
    async def items(self, count: int) -> AsyncIterator[User]:
        for number in range(count):
            yield User("ada", number)

    @apideprecated(replacement_api="over")
    def old(self, number: int) -> str:
        return str(number)


async def infers(stacked: Stacked, event: BoundEvent[[str]]) -> None:
    over: Endpoint[[int], str] = Stacked.over
    items: StreamEndpoint[[int], User] = Stacked.items
    under: BoundEndpoint[[int], str] = stacked.under
    assert over.name
    assert items.name
    assert under
    assert_type(await stacked.over(1), str)
    assert_type(await stacked.bare(), int)
    assert_type(await stacked.old(number=3), str)
    assert_type(stacked.items(3), Reply[User])
    async with stacked.items.using(timeout=1.0)(count=3) as users:
        assert_type([user async for user in users], list[User])
    assert_type(context(), Context)
    assert_type(context().delivery, Delivery | None)
    await event.using(key="ada")("ada")


class AccountsClient(TCPServiceClient):
    @request
    def find(self, user_name: str) -> dict[str, Any]:
        return {"user_name": user_name}

    @request(timeout=3)
    def slow(self, user_name: str) -> dict[str, Any]:
        return {"user_name": user_name}

    @subscribe
    def created(self, user_name: str) -> None: ...

    @xsubscribe(strategy="LEADER")
    def removed(self, user_name: str) -> None: ...


class Pages(HTTPService):
    @get("/page", required_params=["name"])
    async def page(self, request: Request) -> Response:
        return Response(text=request.query["name"])


def infers_the_ancestors(accounts: AccountsClient, service: TCPService) -> None:
    assert_type(accounts.find("ada"), Future[Any])
    assert_type(accounts.slow("ada"), Future[Any])
    assert_type(service.name, str)


async def refuses(stacked: Stacked, accounts: AccountsClient) -> None:
    await stacked.over("1")  # type: ignore[arg-type]
    await stacked.items(1)  # type: ignore[misc]
    accounts.find(1)  # type: ignore[arg-type]
    await stacked.over.using(timeout="2")(1)  # type: ignore[arg-type]


class Wrong(Service, name="wrong", version="1"):
    nobody = client(3)  # type: ignore[call-overload]

    @xsubscribe(Identity.password_changed, strategy="FIRST")  # type: ignore[call-overload,untyped-decorator]
    async def bad(self, event: User) -> None: ...
