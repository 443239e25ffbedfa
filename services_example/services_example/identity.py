"""Who the users are: over HTTP, over TCP, and as events."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import Meta, Struct

from vyked_host import Service, ServiceError, api, context, get, post, publish

UserName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[\w.-]+$")]


class User(Struct, frozen=True):
    """A user, as others see it."""

    user_name: str
    id: int


class Greeting(Struct, frozen=True):
    """What ``GET /users/{user_name}`` answers."""

    text: str


class PasswordChanged(Struct, frozen=True):
    """The payload of the event `Identity.password_changed`."""

    user_name: str


class UserExists(ServiceError, code="user_exists", status=409):
    """The name is taken."""

    user_name: str


class NoSuchUser(ServiceError, code="no_such_user", status=404):
    """Nobody has that name."""

    user_name: str


class WrongPassword(ServiceError, code="wrong_password", status=403):
    """The password is not the user's."""


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """``[services.identity.options]``."""

    greeting: str = "Hello"


class Identity(Service, name="identity", version="1.0.0"):
    """Users and their passwords, in the memory of this process: each host has its own. Where several hosts are to know the
    same users, a service keeps them in a database."""

    options: Options

    async def on_start(self) -> None:
        """Before anything is served; a service with a database would connect here."""
        self.users: dict[str, User] = {}
        self.passwords: dict[str, tuple[bytes, bytes]] = {}

    @get("/users/{user_name}")
    async def hello(self, user_name: UserName, shout: bool = False) -> Greeting:
        """Greet anybody. A parameter of the path is found by its name, the others in the query: ``?shout=true``."""
        text = f"{self.options.greeting} {user_name}"
        return Greeting(text.upper() if shout else text)

    @api(raises=[UserExists], sensitive=["password"])
    @post("/users", status=201)
    async def create(self, user_name: UserName, password: str) -> User:
        """Add a user: one method for other services and for HTTP."""
        if user_name in self.users:
            raise UserExists(user_name)
        user = self.users[user_name] = User(user_name, len(self.users) + 1)
        self.passwords[user_name] = await self.digest(password)
        self.log.info("created %s", user_name, extra={"seconds_left": context().remaining})
        return user

    @api(idempotent=True, raises=[NoSuchUser])
    async def find(self, user_name: str) -> User:
        """The user of that name. Idempotent: the host may try again when it can't know what became of a call."""
        try:
            return self.users[user_name]
        except KeyError:
            raise NoSuchUser(user_name) from None

    @api
    async def all(self) -> AsyncIterator[User]:
        """Every user, as a stream."""
        for user in list(self.users.values()):
            yield user

    @api(raises=[NoSuchUser, WrongPassword], sensitive=["old", "new"])
    async def change_password(self, user_name: str, old: str, new: str) -> None:
        """Set another password and tell everybody who subscribed."""
        await self.find(user_name)
        salt, expected = self.passwords[user_name]
        _, given = await self.digest(old, salt)
        if not secrets.compare_digest(given, expected):
            raise WrongPassword("that is not the password")
        self.passwords[user_name] = await self.digest(new)
        await self.password_changed(user_name)

    @publish
    def password_changed(self, user_name: str) -> PasswordChanged:
        """A user's password is another one now."""
        return PasswordChanged(user_name)

    @api(blocking=True, sensitive=["password"])
    def digest(self, password: str, salt: bytes | None = None) -> tuple[bytes, bytes]:
        """Salt and digest of a password. Slow on purpose, so it runs in a thread."""
        salt = salt or secrets.token_bytes(16)
        return salt, hashlib.scrypt(password.encode(), salt=salt, n=2**13, r=8, p=1)
