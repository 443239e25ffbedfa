"""`vyked.registry`: the registry, and what it keeps.

    python -m vyked.registry [HOST [PORT]]
    python -m vyked.registry --list HOST:PORT     who is registered there

It is a host without services, at which old processes and new ones register alike. In a mesh, a host that has services does it too:
``[transports.classic] registry = "127.0.0.1:4500"``.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
from pathlib import Path
from typing import Any

from vyked_classic.wire import speech
from vyked_classic.wire.packets import Packet
from vyked_classic.wire.stream import Stream

from .host import ANYWHERE, NEAR, Host, quoted

USAGE = "usage: python -m vyked.registry [HOST [PORT]], or --list HOST:PORT"
ANSWER_S = 5.0
CONFIG_FILE = "config.json"
log = logging.getLogger("vyked")
__all__ = ["Registry", "Repository"]


class Repository:
    """What the original kept its services in: `Registry` takes one and needs none."""


class Registry:
    """The registry's process. An empty `ip` is 127.0.0.1, as is none; others may be reached from other machines. Of both is warned."""

    def __init__(self, ip: str | None = None, port: int = 4500, repository: object = None) -> None:
        self.ip, self.port, self.repository = ip or "127.0.0.1", port, repository
        self._is_said = bool(ip)

    def start(self) -> None:
        """Serve until a signal. Ends the process with the exit code of ``vyked-host run`` when that is not 0."""
        if not self._is_said:
            log.warning("the registry listens at 127.0.0.1: Vyked 2.x listened everywhere: give 0.0.0.0 for that")
        elif self.ip not in NEAR:
            where = "on every address" if self.ip in ANYWHERE else f"at {self.ip}"
            log.warning(
                "the registry listens %s, and whoever reaches it may register: there is no secret in the old wire",
                where,
            )
        code = Host.serve(self._text(), title="vyked-registry")
        if code:
            sys.exit(code)

    def _text(self) -> str:
        where = f"[{self.ip}]" if ":" in self.ip else self.ip
        lines = [
            '[host]\nname = "vyked-registry"\nmesh = "vyked"',
            '[registry]\nuse = "embedded"\n[registry.embedded]\naddress = "none"',
            f"[transports.classic]\nport = 0\nregistry = {quoted(f'{where}:{self.port}')}",
            *(f"{name} = {quoted(value)}" for name, value in certificate().items()),
        ]
        return "\n".join(lines) + "\n"


def certificate() -> dict[str, str]:
    """The options that make the registry listen with TLS, out of ``./config.json``; none without that file. Raises SystemExit for
    a file that says half of it: it would be plain by mistake."""
    try:
        said: Any = json.loads(Path(CONFIG_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SystemExit(f"{CONFIG_FILE} can't be read: {error}") from error
    found = {
        name: said[key]
        for name, key in (("registry_cert", "SSL_CERTIFICATE"), ("registry_key", "SSL_KEY"))
        if key in said
    }
    if len(found) == 1:
        raise SystemExit(f"{CONFIG_FILE} needs both SSL_CERTIFICATE and SSL_KEY, or neither")
    return {name: str(Path(value).resolve()) for name, value in found.items()}


def listed(where: str) -> list[str]:
    """A line for each service that is registered at HOST:PORT. Raises SystemExit when nobody answers, as a registry of Vyked 2.x does
    not: it knows no such question."""
    host, _, port = where.rpartition(":")
    if not port.isdigit():
        raise SystemExit(f"{where!r} is no HOST:PORT; {USAGE}")
    try:
        with socket.create_connection((host or "127.0.0.1", int(port)), timeout=ANSWER_S) as link:
            link.sendall(speech.packet("services_report") + b",")
            stream, items = Stream(16 << 20), list[Any]()
            while not items and (data := link.recv(1 << 16)):
                items = stream.receive(data)
    except (OSError, OverflowError) as error:
        raise SystemExit(f"{where} does not say who is registered there: {error}") from error
    found = json.loads(bytes(items[0].params)) if items and isinstance(items[0], Packet) else {}
    return [
        f"{name} {version}  {kind} {host}:{port}  {node}  {'waiting' if pending else 'active'}"
        for name, versions in sorted(found.items())
        for version, lines in sorted(versions.items())
        for host, port, node, kind, *pending in lines
    ]


def main(words: list[str]) -> None:
    """Run a registry at HOST and PORT, or say who is registered at one."""
    if words[:1] == ["--list"]:
        where = (words[1:] or ["127.0.0.1:4500"])[0]
        print(*listed(where) or [f"nobody is registered at {where}"], sep="\n")  # noqa: T201 - what was asked for
        return
    if len(words) > 2 or any(each.startswith("-") for each in words):
        raise SystemExit(USAGE)
    ip, port = (*words, *("", "4500")[len(words) :])[:2]
    if not port.isdigit():
        raise SystemExit(f"{port!r} is no port; {USAGE}")
    Registry(ip, int(port)).start()


if __name__ == "__main__":
    main(sys.argv[1:])
