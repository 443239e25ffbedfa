"""What is asked of the kernel, and what it tells about a peer. Sockets of a simulated network have no options: skipped."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import resource
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal

HIGH_WATER, LOW_WATER = 128 << 10, 32 << 10
"""Bytes waiting in a socket's buffer, from which nothing large is added, until which."""

KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES = 10, 5, 3
_SPARE_DESCRIPTORS = 64


def tune(transport: asyncio.Transport, user_timeout_s: float) -> None:
    """Send at once, and notice a dead peer: a half-open link is silent for 15 minutes by default."""
    transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)
    found = transport.get_extra_info("socket")
    if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S), ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_S),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES), ("TCP_USER_TIMEOUT", max(1, int(user_timeout_s * 1000))),
    ):  # fmt: skip
        if hasattr(socket, name):  # not every system has each of them
            found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def gathering(
    transport: asyncio.Transport, version: tuple[int, ...] = sys.version_info[:3]
) -> Callable[[Sequence[bytes | memoryview]], None]:
    """What writes several buffers to `transport` at once, without a copy of them where that can be had. asyncio's own transport of
    3.12.0 to 3.12.8 and of 3.13.0 and 3.13.1 tells nobody when too much waits in it then (CVE-2024-12254, gh-127655)."""
    is_deaf = (3, 12) <= version < (3, 12, 9) or (3, 13) <= version < (3, 13, 2)
    if not (is_deaf and type(transport).__module__ == "asyncio.selector_events"):
        return transport.writelines
    return lambda buffers: transport.write(b"".join(buffers))


def peer_host(transport: asyncio.Transport) -> str:
    """The peer's address without its port; empty for a Unix socket."""
    name: Any = transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) and name else ""


def peer_address(transport: asyncio.Transport) -> str:
    """``host:port`` of the peer, ``unix`` for a Unix socket."""
    name: Any = transport.get_extra_info("peername")
    return _join(str(name[0]), int(name[1])) if isinstance(name, tuple) and len(name) > 1 else "unix"


def is_near(host: str) -> bool:
    """Is the peer on this machine? Such peers are exempt from per-peer caps."""
    if not host:
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def cause(error: OSError) -> str:
    """Why a connection failed, as the system says it: event loops put the address, which is told already, into theirs."""
    return os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error)


def uri(host: str, port: int) -> str:
    """``tcp://host:port``."""
    return f"tcp://{_join(host, port)}"


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def most_connections(limit: int | Literal["none"]) -> int:
    """Connections that a listener takes: `limit`, or what this process has file descriptors for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    affordable = max(1, int(soft * 0.8) - _SPARE_DESCRIPTORS)
    return affordable if limit == "none" else min(limit, affordable)
