"""What both checkers must infer, and (below) what they must refuse: each ignore is used, or --warn-unused-ignores fails."""

import sqlite3
from collections.abc import AsyncIterator, Coroutine
from typing import Any, assert_type

from shop import Accounts, Greeting, Identity, LedgerApi, PasswordChanged, User

from vyked_host import Published, Queue, Service, SqliteOutbox, client, enqueue, subscribe, work


async def infers(accounts: Accounts, users: AsyncIterator[User]) -> None:
    assert_type(accounts.identity, Identity)
    assert_type(await accounts.identity.create("ada", password="x"), User)
    assert_type(await accounts.identity.digest("x"), str)  # plain def, blocking: still awaited
    assert_type(await accounts.identity.hello("ada"), Greeting)  # an HTTP-only endpoint is callable too
    assert_type(await accounts.identity.load(users), int)
    assert_type(await accounts.identity.find.using(timeout=1.0)("ada"), User)
    async for user in accounts.identity.all():
        assert_type(user, User)
    assert_type(await Identity().password_changed("ada"), Published)
    assert_type(await accounts.audit.record(a=1), Any)
    handled: Coroutine[Any, Any, None] = accounts.forget_sessions(
        PasswordChanged("ada")
    )  # a handler stays a plain method
    await handled
    assert_type(LedgerApi.booked.payload, type[Greeting])

    assert_type(await Desk().letter("ada"), Published)
    assert_type(await Desk().letter.using(delay=1.0, id="order-17")("ada"), Published)
    assert_type(await Desk().greet(Greeting("ada")), None)
    assert_type(Desk.greet, Queue[Greeting])
    assert_type(Identity().password_changed.through(SqliteOutbox("x.db"), sqlite3.connect("x.db"))("ada"), str)


async def refuses(accounts: Accounts) -> None:
    await accounts.identity.create("ada")  # type: ignore[call-arg]
    await accounts.identity.create("ada", 1)  # type: ignore[arg-type]
    await accounts.identity.nope()  # type: ignore[attr-defined]
    accounts.identity.set_password("a", "b")  # type: ignore[unused-coroutine]
    Identity().password_changed.through(SqliteOutbox("x.db"), "a connection")("ada")  # type: ignore[misc]
    Identity().password_changed.through(SqliteOutbox("x.db"), sqlite3.connect("x.db"))(3)  # type: ignore[arg-type]
    await Desk().letter(3)  # type: ignore[arg-type]
    await accounts.identity.password_changed(3)  # type: ignore[arg-type]


class Desk(Service, name="desk", version="1.0.0"):
    @work(concurrency=2)
    async def greet(self, job: Greeting) -> None: ...

    @enqueue(greet)
    def letter(self, to: str) -> Greeting:
        return Greeting(to)

    @enqueue(greet)  # type: ignore[arg-type]
    def wrong_letter(self, to: str) -> User:
        raise NotImplementedError


class Wrong(Service, name="wrong", version="1.0.0"):
    identity = client(Identity)

    @subscribe(Identity.password_changed)  # type: ignore[arg-type]
    async def bad(self, event: User) -> None: ...

    @subscribe(Identity.create)  # type: ignore[call-overload,untyped-decorator]
    async def worse(self, event: User) -> None: ...
