"""The host's own paths, cross-origin rules, ports, drain."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import aiohttp
import pytest

from vyked_host.builtin.http.options import Cors
from vyked_host.errors import StartError, UsageError

from .services import endpoint
from .small_calls import SmallCalls, environment


class Reporting(SmallCalls):
    """Calls that can tell statistics and readiness."""

    reasons: dict[str, Any] = {}

    def statistics(self) -> dict[str, Any]:
        return {"count": 7, "sub": {}}

    async def readiness(self) -> tuple[bool, dict[str, Any]]:
        return not self.reasons, {"phase": "serving", "reasons": self.reasons}


async def test_ping_is_empty_and_live_is_json(http: Any) -> None:
    async with http.get("/ping") as answer:
        assert (answer.status, await answer.read()) == (200, b"")
    async with http.get("/-/live") as answer:
        assert await answer.json() == {"live": True, "node": "node-a"}


async def test_the_index_lists_services_endpoints_and_routes(http: Any) -> None:
    async with http.get("/") as answer:
        found = await answer.json()
    assert found["services"]["identity"]["endpoints"]["hello"] == {
        "kind": "unary", "call": "POST /-/call/identity/hello", "arguments": ["user_name", "shout", "times"], "summary": "greets",
    }  # fmt: skip
    assert {"method": "GET", "path": "/users/{user_name}", "endpoint": "identity.hello"} in found["routes"]


async def test_the_index_is_a_page_for_a_browser(http: Any) -> None:
    async with http.get("/", headers={"Accept": "text/html,application/xml;q=0.9,*/*;q=0.8"}) as answer:
        assert answer.content_type == "text/html"
        assert "/users/{user_name}" in await answer.text()


async def test_statistics_and_readiness_come_from_the_node(serve: Any) -> None:
    calls = Reporting()
    _, _, port = await serve(calls=calls)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        async with http.get("/_stats") as answer:
            found = await answer.json()
            assert (found["count"], found["listener"]["open"]) == (7, 1)
        async with http.get("/-/ready") as answer:
            assert (answer.status, (await answer.json())["ready"]) == (200, True)
        calls.reasons = {"database": "away"}
        async with http.get("/-/ready") as answer:
            assert (answer.status, (await answer.json())["reasons"]) == (503, {"database": "away"})


async def test_row_40_drain_lets_running_calls_end_refuses_new_ones_and_answers_probes(
    served: Any, http: Any, raw: Any
) -> None:
    identity, listener, port = served
    idle = await raw(port)
    await idle.send(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await idle.head()
    running = asyncio.create_task(http.post("/-/call/identity/wait").__aenter__())
    await identity.gate.entered.wait()
    listener.stop_accepting()
    assert await idle.everything() == b""
    async with http.get("/-/ready") as answer:
        assert (answer.status, answer.headers["Connection"]) == (503, "close")
        assert "draining" in (await answer.json())["reasons"]
    async with http.get("/users/ada") as answer:
        found = await answer.json()
        assert (answer.status, found["code"], found["executed"]) == (503, "UNAVAILABLE", "not_executed")
    identity.gate.open.set()
    answer = await running
    assert (await answer.json(), answer.headers["Connection"]) == ("waited", "close")


async def test_closing_cuts_what_still_runs_and_frees_the_port(served: Any, raw: Any) -> None:
    identity, listener, port = served
    connection = await raw(port)
    await connection.send(b"POST /-/call/identity/wait HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    await identity.gate.entered.wait()
    await listener.aclose()
    assert await connection.everything() == b""
    await identity.gate.cancelled.wait()
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
    await listener.aclose()


async def test_a_given_port_that_is_taken_is_a_start_error_naming_whom_to_ask(served: Any, serve: Any) -> None:
    with pytest.raises(StartError, match=rf"127.0.0.1:{served[2]} .*ss -ltnp 'sport = :{served[2]}'"):
        await serve(port=served[2])


async def test_the_default_port_that_is_taken_is_replaced_by_a_free_one(serve: Any) -> None:
    _, _, first = await serve(port=None)
    _, _, second = await serve(port=None)
    assert len({first, second, 4501}) >= 2
    assert first != second


async def test_the_advertised_address_is_told(serve: Any) -> None:
    _, listener, _ = await serve(advertise="10.0.0.7:80")
    assert listener.addresses[0].uri == "http://10.0.0.7:80"


async def test_a_new_surface_is_served_at_once(served: Any, http: Any) -> None:
    identity, listener, _ = served
    identity.calls.serve(endpoint("late", result=str, http=[{"method": "GET", "path": "/late"}]), identity.traced)
    async with http.get("/late") as answer:
        assert answer.status == 404
    listener.expose(identity.calls.surface)
    async with http.get("/late") as answer:
        assert answer.status == 200


async def test_a_service_may_answer_stats_itself_until_it_drains(served: Any, http: Any) -> None:
    identity, listener, _ = served
    identity.calls.serve(endpoint("mine", result=str, http=[{"method": "GET", "path": "/_stats"}]), identity.traced)
    listener.expose(identity.calls.surface)
    async with http.get("/_stats") as answer:
        assert "listener" not in await answer.text()
    listener.stop_accepting()
    async with http.get("/_stats") as answer:
        assert "listener" in await answer.json()


@pytest.mark.parametrize("path", ["/-/mine", "/ping", "no/slash", "/{unknown}"])
async def test_a_route_that_cant_work_is_refused_when_it_is_exposed(served: Any, path: str) -> None:
    identity, listener, _ = served
    identity.calls.serve(endpoint("bad", result=str, http=[{"method": "GET", "path": path}]), identity.traced)
    with pytest.raises(UsageError, match=r"identity\.bad"):
        listener.expose(identity.calls.surface)


# ---- other origins ---------------------------------------------------------------------------------------------------
ORIGIN = {"Origin": "https://shop.example"}


async def test_row_31_real_answers_carry_the_origin_also_errors_and_streams(serve: Any) -> None:
    identity, _, port = await serve(cors=Cors(origins=("https://shop.example",), credentials=True))
    identity.gate.open.set()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=ORIGIN) as http:
        for path, status in [
            ("/users/ada", 200),
            ("/nothing", 404),
            ("/count?to=1", 200),
            ("/slow", 200),
            ("/busy", 429),
        ]:
            async with http.get(path) as answer:
                assert answer.status == status
                assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
                assert answer.headers["Access-Control-Allow-Credentials"] == "true"
                assert answer.headers["Vary"] == "Origin"


async def test_row_31_two_verbs_on_one_path_have_one_preflight(serve: Any) -> None:
    _, _, port = await serve(cors=Cors(origins=("https://shop.example",)))
    asked = ORIGIN | {"Access-Control-Request-Method": "DELETE"}
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
        http.options("/users/ada", headers=asked) as answer,
    ):
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Methods"] == "DELETE, GET, HEAD, OPTIONS"
        assert "Content-Type" in answer.headers["Access-Control-Allow-Headers"]
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"


@pytest.mark.parametrize("options", [{}, {"cors": Cors(origins=("https://other.example",))}])
async def test_an_origin_that_is_not_listed_gets_no_permission(serve: Any, options: Any) -> None:
    _, _, port = await serve(**options)
    asked = ORIGIN | {"Access-Control-Request-Method": "GET"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        async with http.options("/users/ada", headers=asked) as answer:
            assert "Access-Control-Allow-Methods" not in answer.headers
        async with http.get("/users/ada", headers=ORIGIN) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers


async def test_allow_cross_domain_allows_every_origin_without_credentials(serve: Any) -> None:
    _, _, port = await serve(allow_cross_domain=True, cors=Cors(credentials=True))
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
        http.get("/users/ada", headers=ORIGIN) as answer,
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_a_given_environment_without_serializers_of_its_own_still_speaks_json(serve: Any) -> None:
    base = environment()
    only = {"json": base.serializers()["json"]}
    _, _, port = await serve(env=environment(serializers=lambda: only))
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http, http.get("/users/ada") as answer:
        assert await answer.json() == {"text": "Hello ada"}


async def test_row_39_requests_that_go_well_log_nothing_at_info(http: Any, caplog: Any) -> None:
    caplog.set_level("INFO")
    for path in ("/users/ada", "/nothing", "/count?to=1"):
        async with http.get(path) as answer:
            await answer.read()
    assert caplog.records == []
