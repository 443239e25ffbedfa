"""HTTP under wrk, keep-alive connections: `@get` of a text and an echo of JSON by our host, and by the same two handlers on bare
aiohttp, both on uvloop. The echo decodes into the typed row and encodes it again.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import uvloop
from aiohttp import web

from vyked_host import Service, get, post

from . import report
from .echo import ROW, Row
from .processes import (
    LOOPBACK,
    DidNotStart,
    Server,
    cpu_seconds,
    environment,
    free_port,
    running,
    says_ok,
    script,
    tune_collector,
)

FILE = """
[host]
mesh = "bench"
loop = "uvloop"
[logging]
level = "warning"
[transports.http]
port = {port}
[registry.embedded]
address = "none"
[services.web]
use = "benchmarks.http:Web"
"""
POST = 'wrk.method = "POST"\nwrk.body = {body!r}\nwrk.headers["Content-Type"] = "application/json"\n'
SERVERS = ("vyked", "aiohttp")
MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
PATHS = ("/hello", "/echo")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run; `connections` are kept open by wrk."""

    rounds: int = 3
    connections: int = 64
    seconds: int = 3


class Served(msgspec.Struct, kw_only=True):
    """Answers a second, the latency that one in a hundred exceeded, CPU microseconds of the server per answer."""

    per_second: float
    p99_ms: float
    cpu_us: float


class Web(Service, name="web", version="1.0.0"):
    """What is asked."""

    @get("/hello")
    async def hello(self) -> str:
        """A greeting."""
        return "hello"

    @post("/echo")
    async def echo(self, user_name: str, n: int, tags: list[str], f: float) -> Row:
        """The row again."""
        return Row(user_name, n, tags, f)


def run(settings: Settings) -> report.Report:
    """Measure, print, and return everything. Raises DidNotStart where there is no wrk."""
    if shutil.which("wrk") is None:
        raise DidNotStart("wrk is not installed; it is a package of most Linux distributions")
    rounds: dict[str, list[Served]] = {f"{name} {path}": [] for path in PATHS for name in SERVERS}
    for number in range(1, settings.rounds + 1):
        for name in SERVERS:
            print(f"round {number} of {settings.rounds}: {name}", file=sys.stderr)
            with serving(name) as (port, server, folder):
                for path in PATHS:
                    rounds[f"{name} {path}"].append(_asked(settings, port, path, server, folder))
    found = report.Report("http", msgspec.to_builtins(settings), rounds)
    middle = {label: report.median(each) for label, each in rounds.items()}
    print(found.heading())
    rows = [
        (label, f"{one.per_second:,.0f}", f"{share(rounds, label):.2f}", f"{one.p99_ms:.1f}", f"{one.cpu_us:.1f}")
        for label, one in middle.items()
    ]
    print(report.table(("server, path", "answers/s", "of aiohttp", "p99 ms", "CPU us"), rows))
    return found


def share(rounds: Mapping[str, Sequence[Served]], label: str) -> float:
    """The throughput of `label` as a share of what bare aiohttp has at the same path in the same round."""
    return report.paired(rounds[label], rounds[f"aiohttp {label.partition(' ')[2]}"], "per_second")


@contextmanager
def serving(name: str) -> Iterator[tuple[int, Server, Path]]:
    """A server of one of `SERVERS`, once it answers."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        (folder / "vyked.toml").write_text(FILE.format(port=port))
        ours = [script("vyked-host"), "run", str(folder / "vyked.toml")]
        argv = ours if name == "vyked" else [sys.executable, "-m", "benchmarks.http", str(port)]
        with running(argv, cwd=folder, env=environment()) as server:
            server.wait(lambda: says_ok(port, "/hello"))
            yield port, server, folder


def _asked(settings: Settings, port: int, path: str, server: Server, folder: Path) -> Served:
    words: list[str] = []
    if path == "/echo":
        lua = folder / "post.lua"
        lua.write_text(POST.format(body=msgspec.json.encode(ROW).decode()))
        words = ["-s", str(lua)]
    before = cpu_seconds(server.pid)
    argv = [
        "wrk",
        "-t1",
        f"-c{settings.connections}",
        f"-d{settings.seconds}",
        "--latency",
        *words,
        f"http://{LOOPBACK}:{port}{path}",
    ]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
    used = cpu_seconds(server.pid) - before
    if "Non-2xx" in said or "Socket errors" in said:
        raise DidNotStart(f"wrk did not get answers of {path}:\n{said}")
    made = int(_found(r"(\d+) requests in", said)[0])
    per_second, (number, unit) = (
        _found(r"Requests/sec:\s+([\d.]+)", said)[0],
        _found(r"\n\s+99%\s+([\d.]+)(us|ms|s)", said),
    )
    return Served(per_second=float(per_second), p99_ms=float(number) * MS[unit], cpu_us=used / made * 1e6)


def _found(pattern: str, said: str) -> tuple[str, ...]:
    match = re.search(pattern, said)
    if match is None:
        raise DidNotStart(f"wrk says something else than expected:\n{said}")
    return match.groups()


# ---- bare aiohttp ------------------------------------------------------------------------------------------------------
async def _bare(port: int) -> None:
    decode, encode = msgspec.json.Decoder(Row).decode, msgspec.json.Encoder().encode

    async def hello(request: web.Request) -> web.Response:
        return web.Response(body=encode("hello"), content_type="application/json")

    async def echo(request: web.Request) -> web.Response:
        row = decode(await request.read())
        return web.Response(body=encode(row), content_type="application/json")

    app = web.Application()
    app.router.add_get("/hello", hello)
    app.router.add_post("/echo", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    tune_collector()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_bare(int(sys.argv[1])))
