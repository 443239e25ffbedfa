"""`vyked.registry`: the registry, and what it keeps.

    python -m vyked.registry [HOST [PORT]]

It is a host without services, at which old processes and new ones register alike. In a mesh, a host that has services does it too:
``[transports.classic] registry = "127.0.0.1:4500"``.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

from .host import ANYWHERE, Host, quoted

CONFIG_FILE = "config.json"
log = logging.getLogger("vyked")
__all__ = ["Registry", "Repository"]


class Repository:
    """What the original kept its services in: `Registry` takes one and needs none."""


class Registry:
    """The registry's process. An empty `ip` is 127.0.0.1; ``0.0.0.0`` is every address, which is warned of."""

    def __init__(self, ip: str | None = None, port: int = 4500, repository: object = None) -> None:
        self.ip, self.port, self.repository = ip or "127.0.0.1", port, repository

    def start(self) -> None:
        """Serve until a signal. Ends the process with the exit code of ``vyked-host run`` when that is not 0."""
        if self.ip in ANYWHERE:
            log.warning(
                "the registry listens on every address, and whoever reaches it may register: there is no secret in the old wire"
            )
        code = Host.serve(self._text())
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


def main(words: list[str]) -> None:
    """Run a registry at HOST and PORT."""
    ip, port = (*words, *("127.0.0.1", "4500")[len(words) :])[:2]
    if not port.isdigit():
        raise SystemExit(f"{port!r} is no port; usage: python -m vyked.registry [HOST [PORT]]")
    Registry(ip, int(port)).start()


if __name__ == "__main__":
    main(sys.argv[1:])
