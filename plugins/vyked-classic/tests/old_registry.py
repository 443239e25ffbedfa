"""The registry of Vyked 2.x as services see it, its defects left out where a test would only wait for them.

python old_registry.py 127.0.0.1 4500
"""

import asyncio
import json
import sys
import uuid

from old_peer import Wire, keep, say


class OldRegistry:
    def __init__(self, ping_s=5.0, pong_s=10.0):
        self.ping_s, self.pong_s = ping_s, pong_s
        self.services, self.pending, self.links, self.needs = {}, [], {}, {}  # node -> params; [node]; node -> Wire
        self.events = {}  # (name, version, event) -> [subscriber]

    def received(self, packet, wire):
        handler = getattr(self, "on_" + packet["type"], None)
        if handler is not None:
            handler(packet, wire)

    def of(self, name, version, kind=None):
        """Non-breaking resolution: the exact version, else the highest of the same major."""
        versions = {each["version"] for each in self.services.values() if each["name"] == name}
        same = sorted((v for v in versions if v.split(".")[0] == version.split(".")[0]), key=lambda v: v.split("."))
        version = version if version in versions else (same or [None])[-1]
        found = [e for e in self.services.values() if (e["name"], e["version"]) == (name, version)]
        return [each for each in found if kind in (None, each["type"])]

    def on_register(self, packet, wire):
        params = packet["params"]
        node = params["node_id"]
        params["host"] = wire.transport.get_extra_info("peername")[0]
        params["name"] = params["name"].lower()
        self.services[node], self.links[node], self.needs[node] = params, wire, params["dependencies"]
        self.pending.append(node)
        say(registered=params["name"], node=node, type=params["type"])
        for each in list(self.pending):
            if all(self.of(need["name"], need["version"], "tcp") for need in self.needs[each]):
                self.pending.remove(each)
                self.activate(each)
        self.tell(params, {
            "type": "new_instance",
            "params": {**{k: params[k] for k in ("name", "version", "host", "port", "node_id")}, "service_type": params["type"]},
        })  # fmt: skip
        if params["type"] == "tcp":
            keep(self.watch(node, params))

    def activate(self, node):
        found = [
            {**need, "addresses": [{k: at[k] for k in ("host", "port", "node_id", "type")} for at in self.of(**need)]}
            for need in self.needs[node]
        ]
        self.links[node].send({"pid": str(uuid.uuid4()), "type": "registered", "params": {"dependencies": found}})

    def tell(self, about, packet):
        for node, needs in self.needs.items():
            if node not in self.pending and any(
                (n["name"], n["version"]) == (about["name"], about["version"]) for n in needs
            ):
                self.links[node].send({"pid": str(uuid.uuid4()), **packet})

    async def watch(self, node, params):
        """Ping the service until it does not answer."""
        ponged, loop = asyncio.Event(), asyncio.get_running_loop()
        try:
            _, wire = await loop.create_connection(
                lambda: Wire(lambda *_: ponged.set()), params["host"], params["port"]
            )
            while True:
                ponged.clear()
                wire.send({"pid": str(uuid.uuid4()), "type": "ping", "node_id": node})
                await asyncio.wait_for(ponged.wait(), self.pong_s)
                await asyncio.sleep(self.ping_s)
        except (OSError, TimeoutError):
            self.forget(node)

    def forget(self, node):
        gone = self.services.pop(node, None)
        self.needs.pop(node, None)
        self.pending = [each for each in self.pending if each != node]
        if gone is not None:
            say(deregistered=gone["name"], node=node)
            self.tell(
                gone,
                {"type": "deregister", "params": {"node_id": node, "name": gone["name"], "version": gone["version"]}},
            )
            if not self.of(gone["name"], gone["version"]):
                self.pending += [n for n, needs in self.needs.items() if any(e["name"] == gone["name"] for e in needs)]

    def on_xsubscribe(self, packet, wire):
        params = packet["params"]
        for each in params["events"]:
            members = self.events.setdefault((each["name"], each["version"], each["endpoint"]), [])
            me = {k: params[k] for k in ("name", "version", "host", "port", "node_id")}
            members.append({**me, "strategy": each["strategy"]})

    def on_get_subscribers(self, packet, wire):
        params = packet["params"]
        found = self.events.get((params["name"], params["version"], params["endpoint"]), [])
        alive = [each for each in found if each["node_id"] in self.services]
        self.answer(wire, "subscribers", packet, {**params, "subscribers": alive})

    def on_get_instances(self, packet, wire):
        params = packet["params"]
        found = [
            {"host": e["host"], "port": e["port"], "node": e["node_id"], "type": e["type"]} for e in self.of(**params)
        ]
        self.answer(wire, "instances", packet, {**params, "instances": found})

    def answer(self, wire, kind, packet, params):
        wire.send({"pid": str(uuid.uuid4()), "request_id": packet["request_id"], "type": kind, "params": params})

    def on_ping(self, packet, wire):
        if all(node in self.services for node in packet.get("payload", {}).values()):
            wire.send({"pid": str(uuid.uuid4()), "type": "pong", "node_id": packet["node_id"]})


async def main(host, port, timers):
    registry = OldRegistry(**timers)
    server = await asyncio.get_running_loop().create_server(lambda: Wire(registry.received), host, int(port))
    say(up="registry", port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3], json.loads((sys.argv[3:] or ["{}"])[0])))
