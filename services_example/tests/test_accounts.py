import pytest
from services_example.accounts import Account, Accounts, IdentityAway, NoAccount
from services_example.identity import Identity, NoSuchUser, PasswordChanged, User

from vyked_host import Unavailable
from vyked_host.testing import running


class FakeIdentity:
    async def find(self, user_name: str) -> User:
        if user_name == "nobody":
            raise NoSuchUser(user_name)
        return User(user_name, 7)


async def test_opens_an_account_for_a_user_of_identity() -> None:
    async with running(Identity, Accounts) as mesh:
        await mesh.client(Identity).create("ada", "s3cret")
        accounts = mesh.client(Accounts)
        assert await accounts.open("ada") == Account("ada", 1, 0)
        assert await accounts.show("ada") == Account("ada", 1, 0)


async def test_an_error_of_identity_reaches_the_caller_of_accounts_as_itself() -> None:
    async with running(Accounts, fakes={"identity": FakeIdentity()}) as mesh:
        with pytest.raises(NoSuchUser) as caught:
            await mesh.client(Accounts).open("nobody")
        assert caught.value.user_name == "nobody"


async def test_identity_being_away_is_said_in_words_of_accounts() -> None:
    class Away:
        async def find(self, user_name: str) -> User:
            raise Unavailable("gone", service="identity", executed="not_sent")

    async with running(Accounts, fakes={"identity": Away()}) as mesh:
        with pytest.raises(IdentityAway):
            await mesh.client(Accounts).open("ada")


async def test_without_an_account_there_is_none_to_show() -> None:
    async with running(Accounts, fakes={"identity": FakeIdentity()}, over="http") as mesh, mesh.http(Accounts) as http:
        with pytest.raises(NoAccount):
            await mesh.client(Accounts).show("ada")
        async with http.get("/accounts/ada") as answer:
            assert answer.status == 404


async def test_a_changed_password_ends_the_session_and_sends_one_mail() -> None:
    async with running(Identity, Accounts) as mesh:
        await mesh.client(Identity).create("ada", "old")
        accounts = mesh.client(Accounts)
        await accounts.open("ada")
        assert await accounts.is_signed_in("ada")
        await mesh.client(Identity).change_password("ada", "old", "new")
        await mesh.settled()
        assert not await accounts.is_signed_in("ada")
        assert (await accounts.show("ada")).mails == 1


async def test_an_event_can_be_published_by_the_test_itself() -> None:
    async with running(Accounts, fakes={"identity": FakeIdentity()}) as mesh:
        await mesh.client(Accounts).open("ada")
        await mesh.publish(Identity.password_changed, PasswordChanged("ada"))
        await mesh.settled()
        assert mesh.instance(Accounts).mails == ["ada"]
