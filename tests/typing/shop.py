"""A small system that uses every typed name of the public face: what the two type checkers are shown."""

import hashlib
from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import Meta, Struct

from vyked_host import (
    Contract,
    Reject,
    Response,
    Retry,
    Service,
    ServiceError,
    Unavailable,
    WebSocket,
    api,
    background,
    client,
    context,
    every,
    get,
    post,
    publish,
    subscribe,
    websocket,
    xsubscribe,
)

UserName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[\w.-]+$")]


# -- payloads and errors: plain typed values ------------------------------------------------------
class User(Struct, frozen=True):
    user_name: str
    id: int


class Greeting(Struct, frozen=True):
    text: str


class PasswordChanged(Struct, frozen=True):
    user_name: str


class Line(Struct, frozen=True):
    who: str
    text: str


class UserExists(ServiceError, code="user_exists", status=409):
    user_name: str


class NoSuchUser(ServiceError, code="no_such_user", status=404):
    user_name: str


# -- options of a service: [services.identity.options] in vyked.toml ------------------------------
class IdentityOptions(Struct, frozen=True, forbid_unknown_fields=True):
    greeting: str = "Hello"
    purge_after: Annotated[float, Meta(gt=0)] = 3600.0
    pepper: str = ""


# -- a service ------------------------------------------------------------------------------------
class Identity(Service, name="identity", version="1.2.0"):
    options: IdentityOptions

    async def on_start(self) -> None:  # before anything is served or announced; raising stops the host: exit 3
        self.users: dict[str, User] = {}

    async def on_stop(self) -> None:  # after the last handler has finished
        self.users.clear()

    @api(raises=[UserExists], sensitive=["password"])
    @post("/users", status=201)  # the same method over TCP, local and HTTP
    async def create(self, user_name: UserName, password: str) -> User:
        if user_name in self.users:
            raise UserExists(user_name)
        user = self.users[user_name] = User(user_name, len(self.users) + 1)
        self.log.info("created", extra={"user": user_name, "left": context().remaining})
        return user

    @api(idempotent=True, raises=[NoSuchUser])
    async def find(self, user_name: str) -> User:
        try:
            return self.users[user_name]
        except KeyError:
            raise NoSuchUser(user_name) from None

    @api(blocking=True)  # a plain def; callers await it like any other
    def digest(self, password: str) -> str:
        return hashlib.scrypt(password.encode(), salt=self.options.pepper.encode(), n=2**14, r=8, p=1).hex()

    @get("/users/{user_name}")
    async def hello(self, user_name: str, shout: bool = False) -> Greeting:  # shout: ?shout=true
        text = f"{self.options.greeting} {user_name}"
        return Greeting(text.upper() if shout else text)

    @get("/users.csv")  # the escape hatch: aiohttp's own response
    async def export(self) -> Response:
        return Response(text="\n".join(self.users), content_type="text/csv")

    @api
    async def set_password(self, user_name: str, password: str) -> None:
        await self.find(user_name)  # own method: plain Python
        await self.password_changed(user_name)  # returns when the bus has it

    @publish
    def password_changed(self, user_name: str) -> PasswordChanged:
        return PasswordChanged(user_name)

    @api
    async def all(self, page_size: int = 100) -> AsyncIterator[User]:  # server stream
        for user in list(self.users.values()):
            yield user

    @api
    async def load(self, users: AsyncIterator[User]) -> int:  # client stream
        return len([self.users.setdefault(u.user_name, u) async for u in users])

    @every(seconds=60, jitter=0.1)  # from activation to drain, per instance; a failure is logged and counted
    async def report(self) -> None:
        self.log.info("users: %d", len(self.users))


# -- a consumer -----------------------------------------------------------------------------------
class Accounts(Service, name="accounts", version="1.0.0"):
    identity = client(Identity, version="1")  # typed as Identity; a declared dependency
    audit = client("audit", version="2", required=False)  # no class at hand, may be absent

    async def on_start(self) -> None:
        self.sessions: dict[str, list[WebSocket[Line, Line]]] = {}

    @api(raises=[NoSuchUser])
    async def open(self, user_name: str) -> int:
        user = await self.identity.find.using(timeout=2.0, entity=user_name)(user_name)
        digest: str = await self.identity.digest("s3cret")
        async with self.identity.all(page_size=10) as users:
            first = [u.id async for u in users][:1]
        try:
            await self.audit.record(user_name=user_name, digest=digest)
        except Unavailable as error:
            self.log.warning("audit is away (executed: %s)", error.executed)
        return user.id + sum(first)

    @subscribe(Identity.password_changed)  # every instance; at most once
    async def forget_sessions(self, event: PasswordChanged) -> None:
        for session in self.sessions.pop(event.user_name, []):
            await session.close(reason="password changed")

    @xsubscribe(Identity.password_changed, max_deliveries=5)  # one instance; at least once
    async def mail_the_user(self, event: PasswordChanged) -> None:
        delivery = context().delivery
        if delivery and delivery.delivery_count > 3:
            raise Reject("mail server keeps refusing")
        if not event.user_name:
            raise Retry(after=30.0)

    @subscribe("billing.invoice_paid", version="1")
    async def paid(self, event: Greeting) -> None: ...

    @websocket("/sessions/{user_name}", origins=["http://127.0.0.1:4501"])
    async def session(self, ws: WebSocket[Line, Line], user_name: str) -> None:
        self.sessions.setdefault(user_name, []).append(ws)
        async for line in ws:
            await ws.send(Line("echo", line.text))

    @background  # restarted with backoff; cancelled first thing in drain
    async def sweep(self) -> None: ...


# -- a contract for consumers in another repository -----------------------------------------------
class LedgerApi(Contract, name="ledger", version="1.0.0"):
    @api
    async def book(self, amount: int) -> str:
        raise NotImplementedError

    @publish
    def booked(self, amount: int) -> Greeting:
        raise NotImplementedError


class Ledger(LedgerApi, Service):
    @api
    async def book(self, amount: int) -> str:
        await self.booked(amount)
        return str(amount)

    @publish
    def booked(self, amount: int) -> Greeting:
        return Greeting(str(amount))


class Shop(Service, name="shop", version="0.1.0"):
    ledger = client(LedgerApi, version="1")

    @xsubscribe(LedgerApi.booked)
    async def on_booked(self, event: Greeting) -> None:
        await self.ledger.book(1)
