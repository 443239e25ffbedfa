"""What users have open here: a service that depends on another one."""

from __future__ import annotations

from msgspec import Struct

from vyked_host import Service, ServiceError, Unavailable, api, client, get, subscribe, xsubscribe

from .identity import Identity, NoSuchUser, PasswordChanged


class Account(Struct, frozen=True):
    """An account, as others see it."""

    user_name: str
    user_id: int
    mails: int


class NoAccount(ServiceError, code="no_account", status=404):
    """That user has opened none."""

    user_name: str


class IdentityAway(ServiceError, code="identity_away", status=503):
    """Users can't be looked up at the moment; trying again later makes sense."""


class Accounts(Service, name="accounts", version="1.0.0"):
    """Opened accounts, their sessions, and the mails sent to their owners."""

    identity = client(Identity, version="1")  # typed as Identity; this service waits until one is there

    async def on_start(self) -> None:
        """Start empty."""
        self.opened: dict[str, int] = {}
        self.sessions: set[str] = set()
        self.mails: list[str] = []

    @api(raises=[NoSuchUser, IdentityAway])
    async def open(self, user_name: str) -> Account:
        """Open an account for a user that identity knows. Its NoSuchUser arrives here as itself, and goes on as itself."""
        try:
            user = await self.identity.find.using(timeout=2.0)(user_name)
        except Unavailable as error:
            self.log.warning("identity can't be reached (executed: %s)", error.executed)
            raise IdentityAway("users can't be looked up now") from error
        self.opened[user_name] = user.id
        self.sessions.add(user_name)
        return Account(user_name, user.id, self.mails.count(user_name))

    @api(idempotent=True, raises=[NoAccount])
    @get("/accounts/{user_name}")
    async def show(self, user_name: str) -> Account:
        """The account of a user."""
        if user_name not in self.opened:
            raise NoAccount(user_name)
        return Account(user_name, self.opened[user_name], self.mails.count(user_name))

    @api
    async def is_signed_in(self, user_name: str) -> bool:
        """Has the user a session?"""
        return user_name in self.sessions

    @subscribe(Identity.password_changed)
    async def end_session(self, event: PasswordChanged) -> None:
        """Every instance hears of it: sessions are held by each."""
        self.sessions.discard(event.user_name)

    @xsubscribe(Identity.password_changed)
    async def mail_the_user(self, event: PasswordChanged) -> None:
        """One instance hears of it, again if this raises: one mail is enough."""
        self.mails.append(event.user_name)
