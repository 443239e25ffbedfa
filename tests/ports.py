"""Ports for what has to be at a place that is known before."""

from __future__ import annotations

import random
import socket

_PORTS = range(10_000, 20_000)
"""Below what systems draw for outgoing connections (ip_local_port_range), and below the fallback places of hubs."""


def free_port() -> int:
    """A port of the loopback interface that nobody has, and that no outgoing connection will get meanwhile."""
    chance = random.SystemRandom()
    while True:
        port = chance.choice(_PORTS)
        with socket.socket() as held:
            try:
                held.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
