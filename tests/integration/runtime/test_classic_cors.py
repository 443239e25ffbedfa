"""`HTTPService(allow_cross_domain=, preflight_response=)` of Vyked 2.x, over a real listener."""

from __future__ import annotations

from typing import Any

import aiohttp

from vyked_host import Host, HTTPService, Response, get, put

PORT = "[transports.http]\nport = 0\n"
ASKED = {"Origin": "http://elsewhere", "Access-Control-Request-Method": "PUT"}


class Pages(HTTPService):
    @get(path="/users/{name}")
    def find(self, request: Any) -> Any:
        return Response(text="found")

    @put(path="/users/{name}")
    def change(self, request: Any) -> Any:
        return Response(text="changed")


def pages(**more: Any) -> Pages:
    return Pages("Pages", 1, "127.0.0.1", 0, **more)


def session(host: Host) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(next(each.uri for each in host.addresses if each.transport == "http"))


async def test_two_verbs_on_one_path_share_the_preflight_of_the_host() -> None:
    async with (
        Host(pages(allow_cross_domain=True), text=PORT) as host,
        session(host) as http,
        http.options("/users/ada", headers=ASKED) as answer,
    ):
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS, PUT"


async def test_the_services_own_preflight_answers_instead_once_for_both_verbs(caplog: Any) -> None:
    asked: list[str] = []

    def preflight(request: Any) -> Any:
        asked.append(request.headers["Access-Control-Request-Method"])
        return Response(status=200, headers={"Access-Control-Allow-Methods": "PUT"})

    served = pages(allow_cross_domain=True, preflight_response=preflight)
    async with (
        Host(served, text=PORT) as host,
        session(host) as http,
        http.options("/users/ada", headers=ASKED) as answer,
    ):
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Methods"] == "PUT"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert asked == ["PUT"]
    assert "is taken by an earlier route" not in caplog.text


async def test_without_it_no_page_of_another_origin_reads_answers() -> None:
    async with Host(pages(), text=PORT) as host, session(host) as http:
        async with http.put("/users/ada", headers=ASKED) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers
        async with http.options("/users/ada", headers=ASKED) as answer:
            assert "Access-Control-Allow-Methods" not in answer.headers
