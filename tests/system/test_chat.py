"""The chat of services_example as people have it: hosts as processes, a real Chromium, a real Valkey between two hosts."""

import os
import secrets
import signal
from pathlib import Path

import pytest

from tests.chromium import chromium
from tests.ports import free_port
from tests.valkey import Valkey

from .program import command

FILE = '[host]\nmesh = "{mesh}"\n[transports.http]\nport = 0\n[services.chat]\n'
SAID = "[...document.querySelectorAll('#lines .what')].map((each) => each.textContent)"
STATUS = "document.getElementById('status').textContent"
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def valkey():
    server = Valkey().start()
    yield server
    server.close()


@pytest.fixture
def mesh():
    """A mesh of the test's own: hosts of other tests never join it."""
    return f"chat-{secrets.token_hex(4)}"


def host(launch, folder, mesh, *words):
    (folder / "vyked.toml").write_text(FILE.format(mesh=mesh))
    return launch(*words, folder=folder).ready()


def over(valkey):
    return ("--set", 'pubsub.use="redis"', "--set", f'pubsub.redis.url="{valkey.url}"')


def keep(name, picture):
    """For eyes: VYKED_PICTURES=FOLDER keeps what the page looked like."""
    assert picture.startswith(b"\x89PNG")
    if folder := os.environ.get("VYKED_PICTURES"):
        Path(folder, name).write_bytes(picture)


async def joined(page, name):
    await page.type(name)
    await page.until(f"{STATUS} === 'Connected as {name}'")


async def sees(page, *texts):
    await page.until(f"JSON.stringify({SAID}) === JSON.stringify({list(texts)})")


async def test_two_people_talk_in_one_host(launch, mesh, tmp_path):
    url = host(launch, tmp_path, mesh).address(0) + "/chat"
    async with chromium() as browser, browser.page(url) as ada, browser.page(url) as bob:
        await joined(ada, "ada")
        await joined(bob, "bob")
        await ada.type("hello <b>bob</b>")
        await bob.type("hello ada")
        await sees(ada, "hello <b>bob</b>", "hello ada")
        await sees(bob, "hello <b>bob</b>", "hello ada")
        assert await ada.value("document.querySelectorAll('#lines .own').length") == 1
        assert await ada.value("document.querySelectorAll('#lines b').length") == 0
        assert ada.problems == bob.problems == []
        for width, scheme in ((800, "light"), (800, "dark"), (360, "light")):
            keep(f"chat-{width}-{scheme}.png", await ada.picture(width, 640, scheme))


async def test_the_page_can_be_used_without_seeing_it(launch, mesh, tmp_path):
    url = host(launch, tmp_path, mesh).address(0) + "/chat"
    async with chromium() as browser, browser.page(url) as page:
        assert {("heading", "Chat"), ("textbox", "Your name"), ("button", "Join"), ("main", "")} <= await page.roles()
        keep("chat-join.png", await page.picture(800, 640))
        await joined(page, "ada")
        assert await page.value("document.activeElement.id") == "text"
        roles = await page.roles()
        assert {("log", "Messages"), ("textbox", "Message"), ("button", "Send"), ("region", "Conversation")} <= roles
        assert any(role == "status" for role, _ in roles)
        assert await page.value("document.documentElement.lang") == "en"


@pytest.mark.parametrize("bus", ["embedded", "redis"])
async def test_people_at_two_hosts_talk(launch, mesh, valkey, tmp_path, bus):
    words = over(valkey) if bus == "redis" else ()
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    one, other = (host(launch, folder, mesh, *words) for folder in folders)
    async with (
        chromium() as browser,
        browser.page(one.address(0) + "/chat") as ada,
        browser.page(other.address(0) + "/chat") as bob,
    ):
        await joined(ada, "ada")
        await joined(bob, "bob")
        await ada.type("from one host")
        await sees(bob, "from one host")
        await bob.type("from the other")
        await sees(ada, "from one host", "from the other")
    assert one.stop() == other.stop() == 0


async def test_a_page_comes_back_by_itself_when_its_host_does(launch, mesh, tmp_path):
    port = ("--set", f"transports.http.port={free_port()}")
    first = host(launch, tmp_path, mesh, *port)
    async with chromium() as browser, browser.page(first.address(0) + "/chat") as ada:
        await joined(ada, "ada")
        await ada.type("before")
        await sees(ada, "before")
        first.signal(signal.SIGTERM)
        await ada.until(f"{STATUS} !== 'Connected as ada'")
        assert first.ends() == 0
        assert await ada.value("document.querySelector('#say button').disabled")
        host(launch, tmp_path, mesh, *port)
        await ada.until(f"{STATUS} === 'Connected as ada'")
        await ada.type("after")
        await sees(ada, "before", "after")


def test_services_shows_the_socket(tmp_path):
    (tmp_path / "vyked.toml").write_text(FILE.format(mesh="chat"))
    code, out, _ = command("services", folder=tmp_path)
    assert code == 0
    assert "talk(WebSocket[Say, Welcome | Posted], name)  websocket  GET /chat/socket" in out
