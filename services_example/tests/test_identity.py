import pytest
from services_example.identity import Greeting, Identity, NoSuchUser, PasswordChanged, User, UserExists, WrongPassword

from vyked_host import InvalidPayload
from vyked_host.testing import running


async def test_greets_over_http() -> None:
    async with running(Identity, over="http") as mesh, mesh.http(Identity) as http:
        async with http.get("/users/ada") as answer:
            assert await answer.json() == {"text": "Hello ada"}
        async with http.get("/users/ada?shout=true") as answer:
            assert await answer.json() == {"text": "HELLO ADA"}


async def test_greets_as_the_options_say() -> None:
    async with running(Identity, options={"identity": {"greeting": "Salve"}}) as mesh:
        assert await mesh.instance(Identity).hello("ada") == Greeting("Salve ada")


@pytest.mark.parametrize("over", ["local", "tcp", "http"])
async def test_creates_a_user_once(over: str) -> None:
    async with running(Identity, over=over) as mesh:
        identity = mesh.client(Identity)
        assert await identity.create("ada", "s3cret") == User("ada", 1)
        assert await identity.find("ada") == User("ada", 1)
        with pytest.raises(UserExists) as caught:
            await identity.create("ada", "again")
        assert caught.value.user_name == "ada"


async def test_a_taken_name_is_409_over_http() -> None:
    async with running(Identity, over="http") as mesh, mesh.http(Identity) as http:
        async with http.post("/users", json={"user_name": "ada", "password": "s3cret"}) as answer:
            assert answer.status == 201
        async with http.post("/users", json={"user_name": "ada", "password": "s3cret"}) as answer:
            assert answer.status == 409
            assert "user_exists" in await answer.text()


async def test_a_name_with_spaces_is_refused_before_the_method_runs() -> None:
    async with running(Identity) as mesh:
        with pytest.raises(InvalidPayload, match="user_name"):
            await mesh.client(Identity).create("ada lovelace", "s3cret")


@pytest.mark.parametrize("over", ["local", "tcp", "http"])
async def test_all_users_come_as_a_stream(over: str) -> None:
    async with running(Identity, over=over) as mesh:
        identity = mesh.client(Identity)
        for name in ("ada", "bob"):
            await identity.create(name, "s3cret")
        assert [user.user_name async for user in identity.all()] == ["ada", "bob"]


async def test_a_changed_password_is_published() -> None:
    async with running(Identity) as mesh:
        identity = mesh.client(Identity)
        await identity.create("ada", "old")
        await identity.change_password("ada", "old", "new")
        assert await mesh.next(Identity.password_changed) == PasswordChanged("ada")


async def test_a_wrong_password_changes_nothing() -> None:
    async with running(Identity) as mesh:
        identity = mesh.client(Identity)
        await identity.create("ada", "old")
        with pytest.raises(WrongPassword):
            await identity.change_password("ada", "guess", "new")
        await identity.change_password("ada", "old", "new")


async def test_an_unknown_user_is_an_error_of_its_own_class() -> None:
    async with running(Identity) as mesh:
        with pytest.raises(NoSuchUser) as caught:
            await mesh.client(Identity).find("bob")
        assert caught.value.user_name == "bob"
