"""`vyked-host` as a process: started, listened to, signalled. Every wait has an end and says what was waited for."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.request import Request, urlopen

PROGRAM = str(Path(sys.executable).with_name("vyked-host"))
WITHIN_S = 30.0


def environment(**more):
    """The environment of the suite, without what would change the program's mind."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VYKED_", "_VYKED"))}
    return kept | {"PYTHONUNBUFFERED": "1"} | more


def command(*words, folder=".", stdin="", within=None, **more):
    """Run one command to its end, which has to come `within` seconds: (exit code, stdout, stderr)."""
    done = subprocess.run(
        [PROGRAM, *words],
        cwd=folder,
        env=environment(**more),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=within or WITHIN_S,
    )
    return done.returncode, done.stdout, done.stderr


class Running:
    """`vyked-host run` in a folder, from start to end."""

    def __init__(self, *words, folder, program=PROGRAM, **more):
        self.process = subprocess.Popen(
            [program, "run", *words], cwd=folder, env=environment(**more), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.lines = []
        self._more = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            with self._more:
                self.lines.append(line.rstrip("\n"))
                self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()

    def said(self, text, times=1):
        """Wait for the line of the log that has `text` in it for the n-th time; gives that line."""
        with self._more:
            self._more.wait_for(lambda: self._ended or len(self._with(text)) >= times, WITHIN_S)
            found = self._with(text)
        assert len(found) >= times, f"never said {text!r}:\n" + self.words
        return found[times - 1]

    def _with(self, text):
        return [line for line in self.lines if text in line]

    @property
    def words(self):
        """All it said so far."""
        return "\n".join(self.lines)

    def ready(self):
        """Wait until it serves; gives itself."""
        self.facts = json.loads(self.said('"message": "ready in'))
        return self

    def address(self, port_of):
        """Where the transport of the n-th table listens, as a URI."""
        return self.facts["addresses"][port_of]

    def signal(self, number):
        """Send a signal."""
        self.process.send_signal(number)

    def ends(self):
        """Wait for its end: the exit code."""
        code = self.process.wait(WITHIN_S)
        self._reader.join(WITHIN_S)
        return code

    def stop(self):
        """Drain it: the exit code."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.ends()

    def kill(self):
        """The end of the test, whatever happened in it."""
        if self.process.poll() is None:
            self.process.kill()
        self.ends()
        self.process.stderr.close()


def fetch(url, body=None, method=None):
    """(status, JSON) of an HTTP request."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data=data, method=method, headers={"Content-Type": "application/json"} if data else {})
    with urlopen(request, timeout=WITHIN_S) as answer:
        return answer.status, json.loads(answer.read() or b"null")
