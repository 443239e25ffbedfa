"""Packets as they are written: those of registries and services in the reader's dialect, requests and responses by hand,
because they are what is written all the time.

Everything is ASCII: a receiver of the original breaks off the connection when a character is split over two segments.
"""

from __future__ import annotations

import itertools
import json
import re
import secrets
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from .packets import Dialect

Fields = Mapping[str, Any]
_IN_S = {"dependencies": "vendors", "name": "service"}
_STAYS = frozenset({"registered"})
"""Types whose inner `name` is the same in both dialects."""


def packet(kind: str, dialect: Dialect | None = "N", *, params: Any = None, **fields: Any) -> bytes:
    """A packet of `kind`; `params` and `fields` are given in dialect N. Fields that are None are left out."""
    said: dict[str, Any] = {"pid": str(uuid.uuid4()), "type": kind}
    said |= {name: value for name, value in fields.items() if value is not None}
    if params is not None:
        said["params"] = params
    return json.dumps(_in_s(said, kind) if dialect == "S" else said).encode("ascii")


def _in_s(said: Any, kind: str) -> Any:
    """The same in dialect S."""
    if isinstance(said, Mapping):
        return {_key(name, kind): _in_s(value, kind) for name, value in said.items()}
    return [_in_s(each, kind) for each in said] if isinstance(said, list) else said


def _key(name: str, kind: str) -> str:
    if name == "name" and kind in _STAYS:
        return name
    if kind == "new_instance":
        return {"name": "service", "node_id": "node", "service_type": "type"}.get(name, name)
    return _IN_S.get(name, name)


# ---- registries ------------------------------------------------------------------------------------------------------
def place(host: str, port: int, node_id: str, kind: str) -> Fields:
    """One address in a list of `registered`."""
    return {"host": host, "port": port, "node_id": node_id, "type": kind}


def registered(dependencies: Sequence[tuple[str, str, Sequence[Fields]]], dialect: Dialect | None) -> bytes:
    """`dependencies`: (name, version as it was asked for, addresses)."""
    found = [{"name": name, "version": version, "addresses": list(at)} for name, version, at in dependencies]
    return packet("registered", dialect, params={"dependencies": found})


def new_instance(name: str, version: str, at: Fields, dialect: Dialect | None) -> bytes:
    """An instance came; `at` is a :func:`place`."""
    params = {
        "name": name, "version": version, "host": at["host"], "port": at["port"], "node_id": at["node_id"],
        "service_type": at["type"],
    }  # fmt: skip
    return packet("new_instance", dialect, params=params)


def deregister(name: str, version: str, node_id: str, dialect: Dialect | None) -> bytes:
    """An instance went."""
    return packet("deregister", dialect, params={"node_id": node_id, "name": name, "version": version})


def subscribers(
    name: str, version: str, endpoint: str, found: Sequence[Fields], request_id: str | None, dialect: Dialect | None
) -> bytes:
    """Who has xsubscribed to an event."""
    params = {"name": name, "version": version, "endpoint": endpoint, "subscribers": list(found)}
    return packet("subscribers", dialect, request_id=request_id, params=params)


def instances(
    name: str, version: str, found: Sequence[Fields], request_id: str | None, dialect: Dialect | None
) -> bytes:
    """Who serves a version; the id of each is called `node` here."""
    listed = [{"host": at["host"], "port": at["port"], "node": at["node_id"], "type": at["type"]} for at in found]
    params = {"name": name, "version": version, "instances": listed}
    return packet("instances", dialect, request_id=request_id, params=params)


# ---- services --------------------------------------------------------------------------------------------------------
def register(
    name: str, version: str, host: str, port: int, node_id: str, needs: Sequence[tuple[str, str]], kind: str,
    dialect: Dialect | None = "N",
) -> bytes:  # fmt: skip
    """A service says that it is there; `needs`: (name, version) of each dependency."""
    params = {
        "name": name, "version": version, "host": host, "port": port, "node_id": node_id,
        "dependencies": [{"name": each, "version": wanted} for each, wanted in needs], "type": kind,
    }  # fmt: skip
    return packet("register", dialect, params=params)


def xsubscribe(
    name: str, version: str, host: str, port: int, node_id: str, events: Sequence[Fields],
    dialect: Dialect | None = "N",
) -> bytes:  # fmt: skip
    """A service says which events one instance of it is to get."""
    params = {
        "name": name, "version": version, "host": host, "port": port, "node_id": node_id, "events": list(events),
    }  # fmt: skip
    return packet("xsubscribe", dialect, params=params)


def get_subscribers(name: str, version: str, endpoint: str, request_id: str, dialect: Dialect | None = "N") -> bytes:
    """A publisher asks who has xsubscribed."""
    params = {"name": name, "version": version, "endpoint": endpoint}
    return packet("get_subscribers", dialect, params=params, request_id=request_id)


def get_instances(name: str, version: str, request_id: str, dialect: Dialect | None = "N") -> bytes:
    """Anybody asks who serves a version."""
    asked = {"name": name, "version": version}
    return packet("get_instances", dialect, request_id=request_id, params=asked, **asked)


def ping(node_id: str, payload: Fields | None = None) -> bytes:
    """Are you there? `payload`: {"tcp": id} or {"http": id} of a service that asks its registry."""
    return packet("ping", node_id=node_id, payload=payload)


def pong(node_id: str | None) -> bytes:
    """I am; `node_id` is that of the ping."""
    return packet("pong", node_id=node_id)


def event(service: str, version: str, endpoint: str, payload: bytes, publish_id: str) -> bytes:
    """An event for one instance of release 2.1.91, and so in dialect S; `payload` is JSON."""
    said = json.loads(payload)
    return packet("publish", service=service, version=version, endpoint=endpoint, payload=said, publish_id=publish_id)


def ack(publish_id: str | None) -> bytes:
    """The event came: what release 2.1.91 waits for after `publish`."""
    return packet("ack", request_id=publish_id)


# ---- calls -----------------------------------------------------------------------------------------------------------
def fresh_id() -> str:
    """Eight hexadecimal digits."""
    return secrets.token_hex(4)


def quoted(text: str) -> bytes:
    """`text` as a JSON string in ASCII."""
    return json.dumps(text).encode("ascii")


def in_ascii(body: bytes | bytearray | memoryview) -> bytes:
    """A JSON text with nothing beyond ASCII in it. Raises UnicodeDecodeError (a ValueError) when it is no UTF-8."""
    text = bytes(body)
    return text if text.isascii() else _BEYOND.sub(_escape, text.decode()).encode("ascii")


_BEYOND = re.compile("[^\x00-\x7f]+")


def _escape(found: re.Match[str]) -> str:
    return json.dumps(found.group())[1:-1]


def escaped(raw: bytes) -> bytes:
    """JSON that a peer sent, in ASCII; null where it is no UTF-8."""
    try:
        return in_ascii(raw)
    except UnicodeDecodeError:
        return b"null"


class Requests:
    """Writes the requests for one endpoint of one instance: what is the same in each is written once."""

    def __init__(
        self, name: str, version: str, endpoint: str, sender: str, node_id: str, dialect: Dialect | None = "N"
    ) -> None:
        named = quoted("service" if dialect == "S" else "name")
        self._head = b'{"pid": "%b-0000-4000-8000-%b", "app": %b, ' + named.replace(b"%", b"%%")
        self._head += b": " + _literal(name) + b', "version": ' + _literal(version) + b', "entity": %b, "endpoint": '
        self._head += _literal(endpoint) + b', "type": "request", "payload": %b, "from": ' + _literal(sender)
        self._head += b', "to": ' + _literal(node_id) + b"}"

    def write(self, request_id: str, arguments: bytes, entity: str | None, app: str | None) -> bytes:
        """One request; `arguments` is a JSON object in ASCII."""
        at = request_id.encode("ascii")
        return self._head % (
            at,
            at.rjust(12, b"0"),
            b"null" if app is None else quoted(app),
            b"null" if entity is None else quoted(entity),
            with_request_id(arguments, at),
        )


def _literal(text: str) -> bytes:
    return quoted(text).replace(b"%", b"%%")


def with_request_id(arguments: bytes, request_id: bytes) -> bytes:
    """A JSON object with `request_id` as its last member."""
    body = arguments.rstrip()[:-1].rstrip()
    return body + (b"" if body == b"{" else b", ") + b'"request_id": "' + request_id + b'"}'


def response(to: bytes, entity: bytes, request_id: bytes, outcome: bytes, deprecated: bytes = b"") -> bytes:
    """The answer to a request: `to`, `entity` and `request_id` are JSON, `outcome` is written by :func:`result` or :func:`failure`,
    `deprecated` by :func:`goes`."""
    return b'{"pid": "%08x", "to": %b, "entity": %b, "type": "response", "payload": {"request_id": %b, %b%b}}' % (
        next(_PIDS) & 0xFFFFFFFF,
        to,
        entity,
        request_id,
        outcome,
        deprecated,
    )


_PIDS = itertools.count(secrets.randbits(32))
"""Of responses: no two alike for a long time, which is all that anybody asks of them."""


def result(body: bytes) -> bytes:
    """What an api returned, JSON in ASCII."""
    return b'"result": ' + body


def failure(error: str, *, failed: bool, **more: Any) -> bytes:
    """Why there is no result. `failed`: the service could not handle it; else it answers with an error of its own. `more` is for
    those who read it: the original does not."""
    said = {"error": error, **({"failed": True} if failed else {}), **more}
    return json.dumps(said)[1:-1].encode("ascii")


def goes(endpoint: str, replacement: str) -> bytes:
    """What an answer says of an api that will go, inside its payload."""
    said = {"old_api": endpoint} | ({"replacement_api": replacement} if replacement else {})
    return b", " + json.dumps(said)[1:-1].encode("ascii")
