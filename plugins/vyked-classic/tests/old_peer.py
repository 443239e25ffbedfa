"""A service of Vyked 2.x as others see it: written from what is known of its wire, sharing no code with the plugin.

    python old_peer.py '{"name": "echo", "version": "1", "port": 4502, "registry": "127.0.0.1:4500", "redis": "127.0.0.1:6379"}'

It registers, answers requests and pings, calls what it is told on stdin (JSON lines), and says on stdout what happens.
"""

import asyncio
import json
import random
import sys
import uuid

import redis.asyncio


def say(**what):
    print(json.dumps(what), flush=True)


class Wire(asyncio.Protocol):
    """The inside of an endless JSON array. As in the original, the text is ASCII and garbage costs what is held."""

    def __init__(self, on_packet, on_lost=lambda: None, delimiter=","):
        self.on_packet, self.on_lost, self.delimiter, self.text = on_packet, on_lost, delimiter, ""
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, exc):
        self.on_lost()

    def send(self, packet):
        self.transport.write((json.dumps(packet) + self.delimiter).encode("ascii"))

    def data_received(self, data):
        self.text += data.decode("ascii")
        while True:
            self.text = self.text.lstrip(", \r\n").removeprefix("!<^>!")
            if not self.text or self.text == "]" or "!<^>!".startswith(self.text):
                return
            try:
                packet, end = json.JSONDecoder().raw_decode(self.text)
            except json.JSONDecodeError:
                return  # the rest is on its way
            self.text = self.text[end:]
            self.on_packet(packet, self)


class OldService:
    def __init__(self, name, version, port, registry, redis="", needs=(), subscribe=(), xsubscribe=(), host="127.0.0.1",
                 ping_s=5.0, pong_s=10.0, dialect="N", delimiter=",", node=None, release=False, kind="tcp"):  # fmt: skip
        self.name, self.version, self.port, self.host = name, version, port, host
        self.registry, self.redis, self.needs = registry, redis, needs
        self.subscribe, self.xsubscribe = subscribe, xsubscribe
        self.ping_s, self.pong_s, self.delimiter = ping_s, pong_s, delimiter
        self.key, self.list = ("service", "vendors") if dialect == "S" else ("name", "dependencies")
        self.node, self.bus = node or uuid.uuid4().hex[:8], uuid.uuid4().hex[:8]
        self.places, self.links, self.sticky = {}, {}, {}  # (name, version) -> {node: place}; node -> Wire
        self.waiting, self.asked, self.up = {}, {}, None
        self.listening, self.kind = None, kind
        self.release = release  # 2.1.91: events for one instance come over its port, and it acknowledges them

    # ---- registry --------------------------------------------------------------------------------------------------
    async def stay_registered(self):
        host, port = self.registry.rsplit(":", 1)
        loop, wait = asyncio.get_running_loop(), 0
        while True:
            try:
                _, self.up = await loop.create_connection(
                    lambda: Wire(self.told, delimiter=self.delimiter), host, int(port)
                )
            except OSError:
                wait = min(wait + 0.1, 1.0)
                await asyncio.sleep(wait)
                continue
            me = {
                self.key: self.name,
                "version": self.version,
                "host": self.host,
                "port": self.port,
                "node_id": self.node,
            }
            needs = [{self.key: name, "version": version} for name, version in self.needs]
            self.up.send(
                {"pid": str(uuid.uuid4()), "type": "register", "params": {**me, self.list: needs, "type": self.kind}}
            )
            events = [
                {self.key: service, "version": version, "endpoint": event, "strategy": strategy}
                for service, version, event, strategy in self.xsubscribe
            ]
            self.up.send({"pid": str(uuid.uuid4()), "type": "xsubscribe", "params": {**me, "events": events}})
            await self.ping_the_registry()
            self.up.transport.close()

    async def ping_the_registry(self):
        while True:
            await asyncio.sleep(self.ping_s)
            self.ponged = asyncio.Event()
            self.up.send(
                {"pid": str(uuid.uuid4()), "type": "ping", "node_id": "registry", "payload": {self.kind: self.node}}
            )
            try:
                await asyncio.wait_for(self.ponged.wait(), self.pong_s)
            except TimeoutError:
                say(lost="registry")
                return

    def told(self, packet, wire):
        """A packet of the registry."""
        kind, params = packet["type"], packet.get("params")
        if kind == "pong":
            self.ponged.set()
        elif kind == "registered":
            for each in params[self.list]:
                places = self.places.setdefault((each["name"], each["version"]), {})
                places.update({place["node_id"]: place for place in each.get("addresses", ())})
            say(registered=[[*key, sorted(places)] for key, places in self.places.items()])
            self.connect()
        elif kind == "new_instance":
            node, kind = (
                (params["node"], params["type"]) if "node" in params else (params["node_id"], params["service_type"])
            )
            key = (params[self.key], params["version"])
            self.places.setdefault(key, {})[node] = {
                "host": params["host"],
                "port": params["port"],
                "node_id": node,
                "type": kind,
            }
            say(new_instance=[*key, node])
            self.connect()
        elif kind == "deregister":
            key = (params[self.key], params["version"])
            self.places.get(key, {}).pop(params["node_id"], None)
            say(deregister=[*key, params["node_id"]])
        elif kind in ("subscribers", "instances"):
            self.asked.pop(packet["request_id"]).set_result(params)

    def connect(self):
        for places in self.places.values():
            for node, place in places.items():
                if place["type"] == "tcp" and node not in self.links:
                    self.links[node] = None
                    keep(self.dial(node, place))

    async def dial(self, node, place):
        loop = asyncio.get_running_loop()
        try:
            _, wire = await loop.create_connection(
                lambda: Wire(self.answered, delimiter=self.delimiter), place["host"], place["port"]
            )
        except OSError as error:
            say(refused=node, why=str(error))
            return
        self.links[node] = wire
        say(connected=node)

    # ---- calling ---------------------------------------------------------------------------------------------------
    async def call(self, service, version, endpoint, payload, entity=None, timeout=10.0, id=None):
        node = await self.reachable(service, version, entity)
        request_id, future = uuid.uuid4().hex[:8], asyncio.get_running_loop().create_future()
        self.waiting[request_id] = future
        self.links[node].send({
            "pid": str(uuid.uuid4()), "app": None, self.key: service, "version": version, "entity": entity, "endpoint": endpoint,
            "type": "request", "payload": {**payload, "request_id": request_id}, "from": self.bus, "to": node,
        })  # fmt: skip
        try:
            packet = await asyncio.wait_for(future, timeout)
        except TimeoutError:
            say(id=id, timeout=True)
            return
        say(id=id, to=packet["to"] == self.bus, entity=packet["entity"], **packet["payload"])

    async def reachable(self, service, version, entity):
        """A node to call, chosen anew for each try: one that is connected."""
        while True:
            places = [node for node, each in self.places.get((service, version), {}).items() if each["type"] == "tcp"]
            if places:
                node = random.choice(places)
                if entity is not None:
                    node = self.sticky.setdefault((service, version, entity), node)
                if self.links.get(node) is not None and not self.links[node].transport.is_closing():
                    return node
            await asyncio.sleep(0.1)

    def answered(self, packet, wire):
        if packet["type"] == "response" and packet["payload"]["request_id"] in self.waiting:
            self.waiting.pop(packet["payload"]["request_id"]).set_result(packet)

    # ---- serving ---------------------------------------------------------------------------------------------------
    def served(self, packet, wire):
        if packet["type"] == "ping":
            say(pinged=packet["node_id"])
            wire.send({"pid": str(uuid.uuid4()), "type": "pong", "node_id": packet["node_id"]})
        elif packet["type"] == "publish":
            say(event=packet["endpoint"], how="xsubscribe", payload=packet["payload"])
            wire.send({"pid": str(uuid.uuid4()), "type": "ack", "request_id": packet["publish_id"]})
        elif (packet[self.key], packet["version"]) == (self.name, self.version):  # else dropped, as it was
            keep(self.answer(packet, wire))

    async def answer(self, packet, wire):
        payload = dict(packet["payload"])
        request_id = payload.pop("request_id")
        api = getattr(self, "api_" + packet["endpoint"], None)
        if api is None:
            return
        try:
            outcome = await asyncio.wait_for(api(**payload), 1.0)
        except TimeoutError:
            outcome = {"error": "", "failed": True}
        except Exception as error:
            outcome = {"error": str(error), "failed": True}
        wire.send({
            "pid": uuid.uuid4().hex[:8], "to": packet["from"], "entity": packet["entity"], "type": "response",
            "payload": {"request_id": request_id, **outcome},
        })  # fmt: skip

    async def api_echo(self, data):
        return {"result": data}

    async def api_boom(self, data):
        raise Exception(f"boom {data}")

    async def api_handled(self, data):
        return {"error": f"handled {data}"}  # as the release answered; the last development version said null

    async def api_old_echo(self, data):
        return {"result": data, "old_api": "old_echo", "replacement_api": "echo"}

    async def api_slow(self, seconds):
        await asyncio.sleep(seconds)
        return {"result": "slept"}

    async def api_whoami(self):
        return {"result": self.node}

    # ---- events ----------------------------------------------------------------------------------------------------
    async def publish(self, event, payload):
        channel = f"{self.name}/{self.version}/{event}"
        async with self.connection() as bus:
            await bus.publish(channel, json.dumps(payload))
            request_id = str(uuid.uuid4())
            self.asked[request_id] = asyncio.get_running_loop().create_future()
            params = {self.key: self.name, "version": self.version, "endpoint": event}
            self.up.send(
                {"pid": str(uuid.uuid4()), "type": "get_subscribers", "params": params, "request_id": request_id}
            )
            groups = {}
            for each in (await self.asked[request_id])["subscribers"]:
                groups.setdefault((each[self.key], each["version"]), []).append(each)
            for members in groups.values():
                chosen = members[0] if members[0]["strategy"] == "LEADER" else random.choice(members)
                await bus.publish(f"{channel}/{chosen['node_id']}", json.dumps(payload))
        say(published=event, groups=len(groups))

    def connection(self):
        host, port = self.redis.rsplit(":", 1)
        return redis.asyncio.Redis(host=host, port=int(port))

    async def hear(self):
        plain = {f"{service}/{version}/{event}": event for service, version, event in self.subscribe}
        exclusive = {
            f"{service}/{version}/{event}/{self.node}": event for service, version, event, _ in self.xsubscribe
        }
        if self.release:
            exclusive = {}
        if not plain and not exclusive:
            return
        async with self.connection() as bus, bus.pubsub() as heard:
            await heard.subscribe(*plain, *exclusive)
            async for message in heard.listen():
                channel = message["channel"].decode()
                if message["type"] == "subscribe":
                    say(subscribed=channel)
                elif message["type"] == "message":
                    how = "xsubscribe" if channel in exclusive else "subscribe"
                    say(event=(plain | exclusive)[channel], how=how, payload=json.loads(message["data"]))

    # ---- life ------------------------------------------------------------------------------------------------------
    async def listen(self):
        loop = asyncio.get_running_loop()
        if self.kind == "http":
            server = await asyncio.start_server(self.serve_http, "127.0.0.1", self.port)
            self.port = server.sockets[0].getsockname()[1]
            return server
        server = await loop.create_server(lambda: Wire(self.served, delimiter=self.delimiter), "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def serve_http(self, reader, writer):
        """One request: answered with its first line, and with 404 below /-/, which it knows nothing of."""
        asked = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]
        status = b"404 Not Found" if asked.startswith(b"GET /-/") else b"200 OK"
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(asked), asked))
        await writer.drain()
        writer.close()

    async def run(self):
        self.listening = await self.listen()
        say(up=self.node, port=self.port)
        keep(self.stay_registered())
        keep(self.hear())
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        async for line in reader:
            order = json.loads(line)
            keep(getattr(self, order.pop("do"))(**order))


TASKS = set()


def keep(work):
    task = asyncio.ensure_future(work)
    TASKS.add(task)
    task.add_done_callback(ended)


def ended(task):
    TASKS.discard(task)
    if not task.cancelled() and task.exception() is not None:
        say(failed=repr(task.exception()))


if __name__ == "__main__":
    asyncio.run(OldService(**json.loads(sys.argv[1])).run())
