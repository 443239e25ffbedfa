"""Origins that single routes allow, beside those of the transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from vyked_host.builtin.http.options import Cors, Options
from vyked_host.builtin.http.transport import HttpTransport
from vyked_host.contracts import Kind
from vyked_host.errors import Overloaded

from .services import endpoint
from .small_calls import SmallCalls, environment

SHOP = {"Origin": "https://shop.example"}
OTHER = {"Origin": "https://other.example"}
ALLOW = "Access-Control-Allow-Origin"


def asking(method: str, origin: dict[str, str] = SHOP) -> dict[str, str]:
    return origin | {"Access-Control-Request-Method": method}


async def page(request: web.Request) -> web.Response:
    return web.Response(text="page")


async def refused(request: web.Request) -> web.Response:
    raise web.HTTPForbidden(text="no")


async def busy(request: web.Request) -> web.Response:
    raise Overloaded("enough to do")


async def own(request: web.Request) -> web.Response:
    return web.Response(text="own", headers={ALLOW: "https://mine.example"})


async def preflight(request: web.Request) -> web.Response:
    return web.Response(text="the service's own", headers={"Access-Control-Allow-Methods": "GET"})


def calls() -> SmallCalls:
    made = SmallCalls()
    everyone, shop = {"origins": ("*",)}, {"origins": ("https://shop.example",)}
    routes: list[tuple[str, Any, list[dict[str, Any]]]] = [
        ("page", page, [{"method": "GET", "path": "/page/{n}"} | everyone]),
        ("change", page, [{"method": "PUT", "path": "/page/{n}"} | shop]),
        ("remove", page, [{"method": "DELETE", "path": "/page/{n}"}]),
        ("refused", refused, [{"method": "GET", "path": "/refused"} | everyone]),
        ("busy", busy, [{"method": "GET", "path": "/busy"} | everyone]),
        ("own", own, [{"method": "GET", "path": "/own"} | everyone]),
        ("closed", page, [{"method": "GET", "path": "/closed"}]),
        ("answered", page, [{"method": "GET", "path": "/answered"} | everyone]),
        ("preflight", preflight, [{"method": "OPTIONS", "path": "/answered"} | everyone]),
    ]
    for name, handler, bindings in routes:
        made.serve(endpoint(name, kind=Kind.HTTP, service="pages", http=bindings), handler)
    return made


@pytest.fixture
async def open_with() -> AsyncIterator[Any]:
    """A client of a listener with the given cors options."""
    closing: list[Any] = []

    async def start(**options: Any) -> aiohttp.ClientSession:
        served = calls()
        listener = await HttpTransport(Options(port=0, **options), environment()).serve(served, served.surface)
        session = aiohttp.ClientSession(listener.addresses[0].uri)
        closing.extend((session.close, listener.aclose))
        return session

    yield start
    for close in closing:
        await close()


@pytest.fixture
async def http(open_with: Any) -> aiohttp.ClientSession:
    session: aiohttp.ClientSession = await open_with()
    return session


@pytest.mark.parametrize(("path", "status"), [("/page/1", 200), ("/refused", 403), ("/busy", 429)])
async def test_every_answer_of_an_open_route_says_so(http: aiohttp.ClientSession, path: str, status: int) -> None:
    async with http.get(path, headers=OTHER) as answer:
        assert (answer.status, answer.headers[ALLOW]) == (status, "*")
        assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_a_route_of_one_origin_is_for_that_one_and_caches_are_told(http: aiohttp.ClientSession) -> None:
    async with http.put("/page/1", headers=SHOP) as answer:
        assert (answer.headers[ALLOW], answer.headers["Vary"]) == ("https://shop.example", "Origin")
    async with http.put("/page/1", headers=OTHER) as answer:
        assert ALLOW not in answer.headers
        assert answer.headers["Vary"] == "Origin"


async def test_routes_beside_an_open_one_stay_closed(http: aiohttp.ClientSession) -> None:
    for verb, path in (("GET", "/closed"), ("DELETE", "/page/1"), ("GET", "/nothing"), ("GET", "/ping")):
        async with http.request(verb, path, headers=SHOP) as answer:
            assert ALLOW not in answer.headers, path


@pytest.mark.parametrize(
    ("verb", "origin", "verbs"),
    [
        ("GET", SHOP, "GET, HEAD, OPTIONS, PUT"),
        ("PUT", SHOP, "GET, HEAD, OPTIONS, PUT"),
        ("GET", OTHER, "GET, HEAD, OPTIONS"),
        ("PUT", OTHER, None),
        ("DELETE", SHOP, None),
    ],
)
async def test_a_preflight_allows_the_verbs_that_are_open_to_the_origin(
    http: aiohttp.ClientSession, verb: str, origin: dict[str, str], verbs: str | None
) -> None:
    async with http.options("/page/1", headers=asking(verb, origin)) as answer:
        assert answer.status == 204
        assert answer.headers["Allow"] == "DELETE, GET, HEAD, OPTIONS, PUT"
        assert answer.headers.get("Access-Control-Allow-Methods") == verbs
        assert (ALLOW in answer.headers) is (verbs is not None)


async def test_an_explicit_options_route_wins_over_the_automatic_preflight(http: aiohttp.ClientSession) -> None:
    async with http.options("/answered", headers=asking("GET")) as answer:
        assert (answer.status, await answer.text()) == (200, "the service's own")
        assert answer.headers[ALLOW] == "*"


async def test_what_a_handler_says_itself_is_kept(http: aiohttp.ClientSession) -> None:
    async with http.get("/own", headers=SHOP) as answer:
        assert answer.headers.getall(ALLOW) == ["https://mine.example"]


async def test_a_verb_that_is_missing_can_be_read_where_the_path_is_open(http: aiohttp.ClientSession) -> None:
    async with http.patch("/page/1", headers=OTHER) as answer:
        assert (answer.status, answer.headers[ALLOW]) == (405, "*")


async def test_an_open_route_takes_no_credentials_away_from_the_transports_origins(open_with: Any) -> None:
    http = await open_with(cors=Cors(origins=("https://shop.example",), credentials=True))
    async with http.get("/page/1", headers=SHOP) as answer:
        assert answer.headers[ALLOW] == "https://shop.example"
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert answer.headers["Vary"] == "Origin"
    async with http.get("/page/1", headers=OTHER) as answer:
        assert answer.headers[ALLOW] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_a_routes_own_origin_gets_no_credentials(open_with: Any) -> None:
    http = await open_with(cors=Cors(origins=("https://other.example",), credentials=True))
    async with http.put("/page/1", headers=SHOP) as answer:
        assert answer.headers[ALLOW] == "https://shop.example"
        assert "Access-Control-Allow-Credentials" not in answer.headers
