"""`vyked.packet`: makers of the packets of the old wire, as plain dicts."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

Packet = dict[str, Any]


def _named(name: str, version: Any, **more: Any) -> Packet:
    return {"name": name, "version": version, **more}


class _Packet:
    """What both kinds share."""

    @staticmethod
    def _next_pid() -> str:
        return str(uuid.uuid4())

    @classmethod
    def _make(cls, kind: str, **fields: Any) -> Packet:
        return {"pid": cls._next_pid(), "type": kind, **fields}


class ControlPacket(_Packet):
    """Between services and their registry."""

    @classmethod
    def registration(
        cls, ip: str, port: int, node_id: str, name: str, version: str, dependencies: Iterable[Any], service_type: str
    ) -> Packet:
        """A service says that it is there; `dependencies` are client objects."""
        needs = [_named(each.name, each.version) for each in dependencies]
        params = _named(name, version, host=ip, port=port, node_id=node_id, dependencies=needs, type=service_type)
        return cls._make("register", params=params)

    @classmethod
    def get_instances(cls, name: str, version: str) -> Packet:
        """Who serves a version?"""
        asked = _named(name, version)
        return cls._make("get_instances", **asked, params=asked, request_id=cls._next_pid())

    @classmethod
    def get_subscribers(cls, name: str, version: str, endpoint: str) -> Packet:
        """Who has xsubscribed to an event?"""
        params = _named(name, version, endpoint=endpoint)
        return cls._make("get_subscribers", params=params, request_id=cls._next_pid())

    @classmethod
    def send_instances(cls, name: str, version: str, request_id: str, instances: Iterable[tuple[Any, ...]]) -> Packet:
        """The answer to get_instances; `instances` are (host, port, node, type)."""
        found = [dict(zip(("host", "port", "node", "type"), each, strict=True)) for each in instances]
        return cls._make("instances", params=_named(name, version, instances=found), request_id=request_id)

    @classmethod
    def deregister(cls, name: str, version: str, node_id: str) -> Packet:
        """An instance went."""
        return cls._make("deregister", params=_named(name, version, node_id=node_id))

    @classmethod
    def activated(cls, instances: Mapping[tuple[str, str], Iterable[tuple[Any, ...]]]) -> Packet:
        """All dependencies are there: (name, version) -> (host, port, node_id, type) of each instance."""
        found = [
            _named(
                *key, addresses=[dict(zip(("host", "port", "node_id", "type"), each, strict=True)) for each in places]
            )
            for key, places in instances.items()
        ]
        return cls._make("registered", params={"dependencies": found})

    @classmethod
    def ping(cls, node_id: str, payload: Any = None) -> Packet:
        """Are you there?"""
        return cls._make("ping", node_id=node_id, **({} if payload is None else {"payload": payload}))

    @classmethod
    def pong(cls, node_id: str, payload: Any = None) -> Packet:
        """I am."""
        return cls._make("pong", node_id=node_id, **({} if payload is None else {"payload": payload}))

    @classmethod
    def xsubscribe(
        cls, name: str, version: str, host: str, port: int, node_id: str, endpoints: Iterable[tuple[Any, ...]]
    ) -> Packet:
        """Which events one instance is to get; `endpoints` are (name, version, event, strategy)."""
        events = [dict(zip(("name", "version", "endpoint", "strategy"), each, strict=True)) for each in endpoints]
        return cls._make(
            "xsubscribe", params=_named(name, version, host=host, port=port, node_id=node_id, events=events)
        )

    @classmethod
    def new_instance(cls, name: str, version: str, host: str, port: int, node_id: str, type: str) -> Packet:
        """An instance came."""
        params = _named(name, version, host=host, port=port, node_id=node_id, service_type=type)
        return cls._make("new_instance", params=params)

    @classmethod
    def subscribers(
        cls, name: str, version: str, endpoint: str, request_id: str, subscribers: Iterable[tuple[Any, ...]]
    ) -> Packet:
        """The answer to get_subscribers; `subscribers` are (name, version, host, port, node_id, strategy)."""
        keys = ("name", "version", "host", "port", "node_id", "strategy")
        found = [dict(zip(keys, each, strict=True)) for each in subscribers]
        params = _named(name, version, endpoint=endpoint, subscribers=found)
        return cls._make("subscribers", request_id=request_id, params=params)

    @classmethod
    def uptime(cls, uptimes: Any) -> Packet:
        """The answer to uptime_report."""
        return cls._make("uptime_report", params=dict(uptimes))


class MessagePacket(_Packet):
    """Between services."""

    @classmethod
    def request(
        cls, name: str, version: str, app_name: str | None, packet_type: str, endpoint: str, params: Mapping[str, Any],
        entity: Any,
    ) -> Packet:  # fmt: skip
        """A call."""
        payload = {**params, "request_id": params.get("request_id", secrets.token_hex(4))}
        return {
            "pid": cls._next_pid(), "app": app_name, **_named(name, version), "entity": entity, "endpoint": endpoint,
            "type": packet_type, "payload": payload,
        }  # fmt: skip

    @classmethod
    def publish(cls, publish_id: str, name: str, version: str, endpoint: str, payload: Any) -> Packet:
        """An event, as release 2.1.91 sent it to an xsubscriber."""
        return cls._make("publish", **_named(name, version), endpoint=endpoint, payload=payload, publish_id=publish_id)

    @classmethod
    def ack(cls, request_id: str) -> Packet:
        """Its acknowledgement."""
        return cls._make("ack", request_id=request_id)
