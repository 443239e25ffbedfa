"""The ancestor's face on the real runtime and real sockets. Numbers are the rows of the defects of Vyked 2.x."""

import asyncio
import json
import socket
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.runtime.waiting import until
from tests.ports import free_port
from vyked_host import (
    ClientNotFoundError,
    Host,
    HTTPService,
    HTTPServiceClient,
    NotSupported,
    Registry,
    RequestException,
    Response,
    TCPService,
    TCPServiceClient,
    UsageError,
    VykedServiceException,
    api,
    apideprecated,
    get,
    post,
    publish,
    request,
    subscribe,
    xsubscribe,
)
from vyked_host.errors import DeadlineExceeded

PORTS = "[plugins]\nautoload = false\n[transports.tcp]\nport = 0\n[transports.http]\nport = 0\n"


class Identity(TCPService):
    def __init__(self) -> None:
        super().__init__("IdentityService", 1, "127.0.0.1", 0)

    @api
    def create(self, user_name: Any, password: Any) -> Any:
        yield from asyncio.sleep(0).__await__()
        if user_name is None:
            raise VykedServiceException("username cannot be none")
        return {"user_name": user_name, "minus": -5}

    @api(timeout=0.1)
    def slow(self) -> Any:
        yield from asyncio.sleep(10).__await__()

    @apideprecated(replacement_api="create")
    def make(self, user_name: Any) -> Any:
        return user_name

    @api
    def change(self, user_name: Any) -> None:
        self.password_changed(user_name)

    @publish
    def password_changed(self, user_name: Any) -> dict[str, Any]:
        return locals()


class IdentityClient(TCPServiceClient):
    def __init__(self) -> None:
        super().__init__("IdentityService", 1)
        self.seen: list[str] = []
        self.once: list[str] = []

    @request
    def create(self, user_name: Any, password: Any) -> Any:
        return locals()

    @request
    def slow(self) -> Any:
        return locals()

    @request
    def nothing(self) -> Any:
        return locals()

    @subscribe
    def password_changed(self, user_name: str) -> Any:
        yield from asyncio.sleep(0).__await__()
        self.seen.append(user_name)


class OnceClient(IdentityClient):
    @xsubscribe
    def password_changed(self, user_name: str) -> None:
        self.once.append(user_name)


class Pages(HTTPService):
    def __init__(self) -> None:
        super().__init__("Pages", 1, "127.0.0.1", 0, allow_cross_domain=True)

    @get(path="/users/{username}")
    def hello(self, request: Any) -> Any:
        return Response(status=200, body=f"Hello {request.match_info['username']}".encode())

    @post(path="/users", required_params="key")
    async def create(self, request: Any) -> Any:
        return Response(text=json.dumps(await request.json()))

    @get(path="/bad")
    def bad(self, request: Any) -> Any:
        raise VykedServiceException("not today")


class PagesClient(HTTPServiceClient):
    def __init__(self) -> None:
        super().__init__("Pages", 1)

    @get
    def hello(self, username: str) -> dict[str, Any]:
        return {
            "path": f"/users/{username}",
            "params": {"key": "value"},
            "headers": {"X-Who": "me"},
            "app_name": "test",
        }


class Consumer(TCPService):
    def __init__(self, *clients: Any) -> None:
        super().__init__("Consumer", "1.0", "127.0.0.1", 0)
        self.clients = list(clients)


def http_of(host: Host) -> str:
    return next(each.uri for each in host.addresses if each.transport == "http")


async def test_requests_and_events_between_services_of_one_host() -> None:
    one, once = IdentityClient(), OnceClient()
    async with Host(Identity(), Consumer(one, once), text=PORTS) as host:
        assert await one.create("ada", "x") == {"user_name": "ada", "minus": -5}
        identity = next(each.instance for each in host.node.hosted if each.name == "identityservice")
        await host.client("identityservice").change(user_name="ada")
        await until(lambda: one.seen == ["ada"] and once.once == ["ada"])
        assert identity.name == "identityservice"


async def test_1_2_the_services_own_exception_and_its_timeout_have_a_text() -> None:
    one = IdentityClient()
    async with Host(Identity(), Consumer(one), text=PORTS):
        with pytest.raises(RequestException) as caught:
            await one.create(None, "x")
        assert caught.value.error == "username cannot be none"
        with pytest.raises((DeadlineExceeded, TimeoutError), match="slow"):
            await one.slow()


async def test_25_an_unknown_endpoint_is_answered() -> None:
    one = IdentityClient()
    async with Host(Identity(), Consumer(one), text=PORTS):
        with pytest.raises(Exception, match="nothing does not exist"):
            await one.nothing()


async def test_10_a_service_without_instances_fails_at_once() -> None:
    one = IdentityClient()
    async with Host(Consumer(one), text=PORTS):
        with pytest.raises(ClientNotFoundError):
            await asyncio.wait_for(one.create("ada", "x"), 2)


async def test_24_answered_and_timed_out_calls_leave_nothing_behind() -> None:
    one = IdentityClient()
    async with Host(Identity(), Consumer(one), text=PORTS) as host:
        await asyncio.gather(*(one.create(f"{n}", "x") for n in range(200)))
        with pytest.raises((DeadlineExceeded, TimeoutError)):
            await one.slow()
        clients = [each for each in host.node.clients if each.counters]
        await until(lambda: not host.node.dispatcher.running and not any(len(each.pending) for each in clients))


async def test_30_an_http_client_reaches_the_routes_of_an_http_service() -> None:
    one = PagesClient()
    async with Host(Pages(), Consumer(one), text=PORTS):
        answer = await one.hello("ada")
        assert (answer.status, await answer.text()) == (200, "Hello ada")


async def test_31_32_real_answers_carry_cors_and_errors_a_body() -> None:
    async with Host(Pages(), text=PORTS) as host, aiohttp.ClientSession(http_of(host)) as http:
        async with http.get("/users/ada", headers={"Origin": "http://elsewhere"}) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] in ("*", "http://elsewhere")
        async with http.options(
            "/users/ada", headers={"Origin": "http://elsewhere", "Access-Control-Request-Method": "GET"}
        ) as answer:
            assert answer.status in (200, 204)
        async with http.get("/bad") as answer:
            body = await answer.json()
            assert (answer.status, body["error"]) == (400, "not today")
        async with http.post("/users", json={}) as answer:
            assert (answer.status, (await answer.json())["error"]) == (400, "Required params key not found")
        async with http.get("/ping") as answer:
            assert (answer.status, await answer.text()) == (200, "")
        async with http.get("/_stats") as answer:
            assert answer.status == 200


async def test_a_deprecated_api_still_answers() -> None:
    async with Host(Identity(), text=PORTS) as host:
        assert await host.client("identityservice").make(user_name="ada") == "ada"


def test_registry_says_that_it_is_not_needed() -> None:
    with pytest.raises(NotSupported, match="no registry process"):
        Registry("", 4500).start()
    with pytest.raises(NotSupported):
        Registry("", 4500, object()).start()


@pytest.fixture
def detached() -> Iterator[None]:
    yield
    Host._attached = {}


@pytest.mark.usefixtures("detached")
def test_one_service_of_each_kind_and_nothing_else_can_be_attached() -> None:
    Host.attach_tcp_service(Identity())
    with pytest.warns(RuntimeWarning, match="is ignored"):
        Host.attach_tcp_service(Identity())
    with pytest.raises(UsageError):
        Host.attach_http_service(Identity())  # type: ignore[arg-type]
    with pytest.warns(DeprecationWarning, match="attach_service is deprecated"):
        Host.attach_service(Pages())
    assert set(Host._attached) == {"tcp", "http"}


def test_running_nothing_says_so(caplog: pytest.LogCaptureFixture) -> None:
    Host.run()
    assert "no services to host" in caplog.text


OLD_CODE = """
from vyked_host import Host, HTTPService, TCPService, TCPServiceClient, Response, api, get, request

class Tcp(TCPService):
    def __init__(self, ip, port):
        super(Tcp, self).__init__("IdentityService", 1, ip, port)

    @api
    def create(self, user_name, password):
        return user_name

class Missing(TCPServiceClient):
    def __init__(self):
        super().__init__("Nowhere", 1)

    @request
    def call(self):
        return locals()

class Http(HTTPService):
    def __init__(self, ip, port):
        super(Http, self).__init__("IdentityService", 1, ip, port)

    @get(path="/users/{username}")
    def hello(self, request):
        return Response(status=200, body="Hello {}".format(request.match_info.get("username")).encode())

if __name__ == "__main__":
    http = Http("127.0.0.1", %(http)d)
    tcp = Tcp("127.0.0.1", %(tcp)d)
    tcp.clients = [Missing()]
    Host.configure("Identity", registry_host="127.0.0.1", registry_port=%(stranger)d)
    Host.ronin = True
    Host.attach_tcp_service(tcp)
    Host.attach_http_service(http)
    Host.run()
"""


@pytest.fixture
def stranger() -> Iterator[int]:
    """Where the registry would be there is something else."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_40_old_code_runs_in_ronin_mode_and_sigterm_drains_it(tmp_path: Path, stranger: int) -> None:
    http, tcp = free_port(), free_port()
    script = tmp_path / "identity.py"
    script.write_text(textwrap.dedent(OLD_CODE) % {"http": http, "tcp": tcp, "stranger": stranger})
    process = subprocess.Popen([sys.executable, str(script)], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = []
        while "serving" not in (line := process.stderr.readline()):
            assert line, f"it ended before it served: {''.join(said)}"
            said.append(line)
        with urllib.request.urlopen(f"http://127.0.0.1:{http}/users/ada", timeout=60) as answer:
            assert answer.read() == b"Hello ada"
        called = subprocess.run(
            [sys.executable, "-m", "vyked_host", "call", "identityservice.create", "user_name=ada", "password=x",
             "--address", f"tcp://127.0.0.1:{tcp}"],
            capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False,
        )  # fmt: skip
        assert (called.returncode, called.stdout.strip()) == (0, '"ada"'), called.stderr
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()
