"""An authenticator without a secret or certificates: whom it names belongs to the mesh; nobody in particular may call services,
and neither ask nor drain nodes, announce itself, or see the events of others."""

from __future__ import annotations

import pytest

from tests.integration.control.meshes import Meshed, control, meshed
from tests.unit.loading.shelf import Shelf, shelf  # noqa: F401
from vyked_host import Service, api, context
from vyked_host.assembly import Host
from vyked_host.errors import StartError, Unauthenticated

DOOR = """
    import msgspec
    from vyked_host import Unauthenticated
    from vyked_host.contracts import Provider, hookimpl

    class Options(msgspec.Struct):
        pass

    class Door:
        def identify(self, hello, peer):
            if hello.get("token", "") not in ("", "open sesame"):
                raise Unauthenticated("a wrong token")
            return "friend" if hello.get("token") else None

    @hookimpl
    def vyked_authenticators():
        return [Provider(name="door", summary="a door", options=Options, build=lambda options, env: Door())]
"""
GUARDED = '[security]\nauthenticator = "door"\n'
FRIEND = 'identity = { token = "open sesame" }\n'
SECRET = 'secret = "correct horse battery staple"\n'


class Shop(Service, name="shop", version="1.0.0"):
    @api
    async def buy(self) -> str:
        caller = context().caller
        return str(caller.identity if caller else None)


@pytest.fixture(autouse=True)
def door(shelf: Shelf) -> None:  # noqa: F811
    shelf.add("door", plugins={"authenticator.door": "door_of_test"}, modules={"door_of_test": DOOR})


def past_the_hub(mesh: Meshed, shop: Host, security: str) -> Host:
    """A host that is told where the shop is, and needs no hub."""
    uri = next(each.uri for each in shop.addresses if each.transport == "tcp")
    text = f'[host]\nmesh = "{mesh.mesh}"\n[plugins]\nautoload = false\n[registry]\nuse = "static"\n'
    return Host(text=text + f"[registry.static]\nnodes = ['{uri}']\n" + security)


async def test_whom_the_authenticator_names_belongs_to_the_mesh() -> None:
    async with meshed() as mesh:
        shop = await mesh.host(Shop, name="shop", more=GUARDED + FRIEND)
        asker = await mesh.asker(GUARDED + FRIEND)
        assert await asker.client(Shop).buy() == "friend"
        assert (await control(asker, shop).report()).host == "shop"


async def test_nobody_in_particular_may_call_a_service_and_neither_ask_nor_drain_its_node() -> None:
    async with meshed() as mesh:
        shop = await mesh.host(Shop, name="shop", more=GUARDED + FRIEND)
        async with past_the_hub(mesh, shop, "") as guest:
            assert await guest.client(Shop).buy() == "None"
            for ask in (control(guest, shop).report, lambda: control(guest, shop).failures(0.0)):
                with pytest.raises(Unauthenticated, match=r"is for members of the mesh.*\[security\] secret") as caught:
                    await ask()
                assert caught.value.executed == "not_executed"
            with pytest.raises(Unauthenticated, match=r"vyked-control.drain is for members of the mesh"):
                async for _ in control(guest, shop).drain():
                    pass
        assert (await shop.node.readiness())[0]


@pytest.mark.parametrize("serves", [True, False])
async def test_nobody_in_particular_is_not_let_in_at_the_hub_and_told_the_remedy(serves: bool) -> None:
    async with meshed() as mesh:
        await mesh.host(Shop, name="shop", more=GUARDED + FRIEND)
        with pytest.raises(StartError, match=r"for members of mesh .*\[security\] secret"):
            await (mesh.host(Shop, name="other", more="[timing]\nstart = 1\n") if serves else mesh.asker())


async def test_who_proves_the_secret_is_a_member_whatever_the_authenticator_says() -> None:
    async with meshed() as mesh:
        shop = await mesh.host(Shop, name="shop", more=GUARDED + SECRET)
        asker = await mesh.asker(GUARDED + SECRET)
        assert await asker.client(Shop).buy() == "None"
        assert (await control(asker, shop).report()).host == "shop"
