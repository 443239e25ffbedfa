"""Which nats-server may keep what a host keeps in JetStream, events or who is where: decided here, and told when a host starts."""

from __future__ import annotations

import re

from vyked_host.contracts import Environment

LEAST = (2, 10, 0)
"""The first that keeps what is said of a group with it, its metadata (ADR-33); an older one drops that in silence, and `delivery_count`
after a restart would be wrong."""
PROVEN = (2, 10, 25)
"""The first for which tests/test_lost_end.py was run. Of some before it people report groups that were left beyond the end of a stream
that lost its own, and got nothing until it had grown so far again (https://github.com/nats-io/nats-server/issues/6124)."""


_SAID: set[tuple[str, str]] = set()
"""Nodes of this process that have warned of their servers: registry and bus of one host have them in common."""


def too_old(version: str) -> str:
    """Why a server of this version can't be used, and what to do; "" when it can. One that can't be read is a build of somebody's own."""
    if (found := _numbers(version)) and found < LEAST:
        return (
            f"it is nats-server {version}, and what is kept in JetStream needs {_text(LEAST)} or later: use a newer one"
        )
    return ""


def warn(version: str, place: str, env: Environment) -> None:
    """Log what a server of this version may not do, once for a node and its servers."""
    if (doubt := doubtful(version)) and (env.node_id, place) not in _SAID:
        _SAID.add((env.node_id, place))
        env.log.warning("%s: %s", place, doubt)


def doubtful(version: str) -> str:
    """What a server of this version may not do."""
    if (found := _numbers(version)) and found < PROVEN:
        return (
            f"nats-server {version} may leave whoever reads a stream, as groups do, beyond the end of one that lost its end (docs/nats.md): "
            f"they would get nothing until it has grown so far again; {_text(PROVEN)} and later move them back: use one of these"
        )
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else ()


def _text(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
