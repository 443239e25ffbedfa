"""A host that starts while no registry can be reached: with the nodes known last it calls, without it says what is wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from vyked_host import Service, api
from vyked_host.assembly import Host
from vyked_host.errors import StartError
from vyked_host.testing.waiting import eventually

from .party import TEXT, Party, holder


class Shop(Service, name="shop", version="1.0.0"):
    @api
    async def where(self) -> str:
        return "here"


class Keeper(Service, name="keeper", version="1.0.0"):
    pass


def file(folder: Path, party: Party) -> str:
    path = folder / "vyked.toml"
    path.write_text(TEXT.format(mesh=party.mesh, port=party.port, transport="tcp"))
    return str(path)


async def without_a_registry(party: Party, path: str) -> Host:
    """A mesh whose registry is gone, with a shop that goes on. Somebody saw the shop before."""
    keeper, shop = await party.host(Keeper), await party.host(Shop)
    await party.meet()
    assert holder(party.hosts) is keeper
    async with Host(path) as caller:
        assert await caller.client(Shop).where() == "here"
        folder = Path(path).parent / ".vyked"
        await eventually(lambda: folder.is_dir() and shop.node.record.node_id in read(folder))
    hub: Any = next(iter(shop.node.hubs._hubs.values()))  # type: ignore[attr-defined]
    hub._can_bind = frozenset()
    await party.kill(keeper)
    return shop


def read(folder: Path) -> str:
    return "".join(each.read_text() for each in folder.glob("*.nodes"))


@pytest.fixture(autouse=True)
def no_heir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vyked_host.assembly.hubs.HEIR", 0.01)


async def test_R1_a_new_caller_starts_with_the_nodes_known_last(party: Party, tmp_path: Path) -> None:
    path = file(tmp_path, party)
    shop = await without_a_registry(party, path)
    async with asyncio.timeout(10), Host(path) as caller:
        assert caller.node.directory.doubts[shop.node.record.node_id] == "suspect"
        assert await caller.client(Shop).where() == "here"
        back = await party.host(Keeper)
        await eventually(lambda: caller.node.directory.view.epoch == back.node.directory.view.epoch is not None)
        await eventually(lambda: not caller.node.directory.doubts)
        assert await caller.client(Shop).where() == "here"


async def test_R1_without_them_the_start_fails_and_says_where_nobody_is(party: Party, tmp_path: Path) -> None:
    path = file(tmp_path, party)
    await without_a_registry(party, path)
    for each in (tmp_path / ".vyked").glob("*.nodes"):
        each.write_bytes(each.read_bytes()[::-1])  # damaged is as good as not there
    with pytest.raises(StartError, match=f"127.0.0.1:{party.port}"):
        async with asyncio.timeout(10), Host(path):
            pass


async def test_a_host_that_met_nobody_writes_nothing(tmp_path: Path, party: Party) -> None:
    async with Host(file(tmp_path, party), Shop) as host:
        await eventually(lambda: not host.node.membership._saving and host.node.directory.view.epoch is not None)
    assert not (tmp_path / ".vyked").exists()
