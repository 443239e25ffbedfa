import re

import aiohttp
import pytest
from services_example.chat import Chat

from vyked_host.testing import running

PAGE = [("/chat", "text/html"), ("/chat/chat.css", "text/css"), ("/chat/chat.js", "text/javascript")]


async def next_said(ws):
    while True:
        message = await ws.receive_json()
        if message.get("kind") == "said":
            return message


@pytest.mark.parametrize(("path", "content_type"), PAGE)
async def test_the_page_needs_nothing_from_elsewhere(path, content_type):
    async with running(Chat, over="http") as mesh, mesh.http(Chat) as http, http.get(path) as answer:
        assert (answer.status, answer.content_type) == (200, content_type)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert not re.search(r"(https?:)?//[a-z]", re.sub(r"^\s*//.*$", "", await answer.text(), flags=re.MULTILINE))


async def test_what_one_says_everybody_hears():
    async with running(Chat, over="http") as mesh, mesh.http(Chat) as http:
        async with http.ws_connect("/chat/socket?name=ada") as ada, http.ws_connect("/chat/socket?name=bob") as bob:
            await ada.send_json({"text": "hello"})
            for ws in (ada, bob):
                message = await next_said(ws)
                assert (message["author"], message["text"]) == ("ada", "hello")
        assert (await mesh.next(Chat.posted, where=lambda each: each.kind == "left")).author in ("ada", "bob")


async def test_who_comes_later_sees_the_last_lines():
    async with (
        running(Chat, over="http", options={"chat": {"history": 3}}) as mesh,
        mesh.http(Chat) as http,
        http.ws_connect("/chat/socket?name=ada") as ada,
    ):
        for n in range(5):
            await ada.send_json({"text": str(n)})
            await next_said(ada)
        async with http.ws_connect("/chat/socket?name=bob") as bob:
            welcome = await bob.receive_json()
    assert welcome["type"] == "welcome"
    assert [each["text"] for each in welcome["history"]] == ["2", "3", "4"]


@pytest.mark.parametrize(
    "message", ['{"text": ""}', '{"text": "' + "x" * 501 + '"}', '{"text": "a", "author": "bob"}', "hi"]
)
async def test_what_is_no_line_ends_the_socket(message):
    async with (
        running(Chat, over="http") as mesh,
        mesh.http(Chat) as http,
        http.ws_connect("/chat/socket?name=ada") as ws,
    ):
        await ws.send_str(message)
        while (await ws.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
        assert ws.close_code == 1007


@pytest.mark.parametrize("name", ["", "%20", "x" * 33])
async def test_nobody_is_nameless(name):
    async with running(Chat, over="http") as mesh, mesh.http(Chat) as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect(f"/chat/socket?name={name}")
        assert caught.value.status == 400


async def test_a_page_of_another_origin_may_not_listen_in():
    async with running(Chat, over="http") as mesh, mesh.http(Chat) as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect("/chat/socket?name=eve", origin="https://evil.example")
        assert caught.value.status == 403
