"""The consumer of the matrix, as people wrote them; what it is told on stdin it does, and says on stdout what happens:
`bench.py TCP_PORT REGISTRY_PORT REDIS_PORT NAME VENDOR ...`."""

import asyncio
import json
import sys

from vyked import Host, RequestException, TCPService, TCPServiceClient, request, subscribe, xsubscribe


def say(**what):
    print(json.dumps(what), flush=True)


class EchoClient(TCPServiceClient):
    def __init__(self, vendor):
        super().__init__(vendor, 1)

    @request
    def echo(self, data):
        return locals()

    @request
    def boom(self, data):
        return locals()

    @request
    def denied(self, data):
        return locals()

    @request
    def handled(self, data):
        return locals()

    @request
    def old_echo(self, data):
        return locals()

    @request(timeout=10)
    def slow(self, seconds):
        return locals()

    @request
    def whoami(self, entity=None):
        return locals()

    @request
    def tick(self, n):
        return locals()

    @subscribe
    def ticked(self, n, who):
        yield from asyncio.sleep(0)
        say(event="ticked", how="subscribe", payload={"n": n, "who": who})


class Once(TCPServiceClient):
    def __init__(self, vendor):
        super().__init__(vendor, 1)

    @xsubscribe(strategy="LEADER")
    def ticked(self, n, who):
        say(event="ticked", how="xsubscribe", payload={"n": n, "who": who})


class Bench(TCPService):
    def __init__(self, port, name, *vendors):
        super().__init__(name, "1.0", "127.0.0.1", port)
        self.vendors = {vendor: EchoClient(vendor) for vendor in vendors}
        self.clients = [*self.vendors.values(), *map(Once, vendors)]

    async def on_active(self):
        say(active=True)
        self.spawn(self.obey(), name="orders")

    async def obey(self):
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        async for line in reader:
            order = json.loads(line)
            self.spawn(self.call(**order), name="order")

    async def call(self, vendor, endpoint, payload, id, **more):
        try:
            say(id=id, result=await getattr(self.vendors[vendor], endpoint)(**payload, **more))
        except RequestException as error:
            say(id=id, error=error.error, kind="RequestException")
        except Exception as error:
            say(id=id, error=str(error), kind=type(error).__name__)


if __name__ == "__main__":
    Host.configure(
        "Bench",
        registry_host="127.0.0.1",
        registry_port=int(sys.argv[2]),
        pubsub_host="127.0.0.1",
        pubsub_port=int(sys.argv[3]),
    )
    Host.attach_tcp_service(Bench(int(sys.argv[1]), *sys.argv[4:]))
    Host.run()
