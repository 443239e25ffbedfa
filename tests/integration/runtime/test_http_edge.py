"""What the HTTP edge gets from the node behind it: readiness, statistics, the request, raised responses."""

from typing import Any

import aiohttp
from aiohttp import web

from vyked_host import Service, api, client, context, get
from vyked_host.assembly import Host

HTTP = "[plugins]\nautoload = false\n[transports.http]\nport = 0\n"


class Pages(Service, name="pages", version="1.0.0"):
    @get("/who")
    async def who(self) -> str | None:
        request = context().request
        return request.headers.get("X-Who") if request is not None else None

    @get("/gone")
    async def gone(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("/who")

    @get("/no")
    async def no(self, request: web.Request) -> web.Response:
        raise web.HTTPForbidden(text="not you")


class Waits(Service, name="waits", version="1.0.0"):
    missing = client("nowhere", version="1")

    @api
    async def do(self) -> None: ...


def base(host: Host) -> str:
    return next(each.uri for each in host.addresses if each.transport == "http")


async def fetch(host: Host, path: str, **options: Any) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(base(host) + path, allow_redirects=False, **options) as answer,
    ):
        return answer.status, await answer.json() if "json" in answer.content_type else await answer.text()


async def test_a_handler_sees_the_request_it_came_by() -> None:
    async with Host(Pages, text=HTTP) as host:
        assert await fetch(host, "/who", headers={"X-Who": "ada"}) == (200, "ada")


async def test_responses_that_a_raw_handler_raises_are_its_answer() -> None:
    async with Host(Pages, text=HTTP) as host:
        assert (await fetch(host, "/gone"))[0] == 302
        assert (await fetch(host, "/no"))[0] == 403


async def test_readiness_names_what_a_service_waits_for() -> None:
    async with Host(Waits, text=HTTP) as host:
        status, body = await fetch(host, "/-/ready")
        assert status == 503
        assert "waiting (nowhere)" in str(body)
        assert (await fetch(host, "/-/live"))[0] == 200


async def test_statistics_count_calls_per_endpoint() -> None:
    async with Host(Pages, text=HTTP) as host:
        await fetch(host, "/who")
        status, body = await fetch(host, "/_stats")
        assert (status, body["calls"]["pages.who"]["ok"]) == (200, 1)
