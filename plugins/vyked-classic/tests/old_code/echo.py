"""The vendor of the matrix, as people wrote them: `echo.py TCP_PORT REGISTRY_PORT REDIS_PORT [NAME]`."""

import asyncio
import sys

from vyked import Host, TCPService, VykedServiceException, api, apideprecated, publish


class Denied(BaseException):
    """As people wrote them, following the samples."""


class Echo(TCPService):
    def __init__(self, port, name="echo"):
        super().__init__(name, 1, "127.0.0.1", port)

    @api
    def echo(self, data):
        yield from asyncio.sleep(0)
        return data

    @api
    def boom(self, data):
        raise Exception(f"boom {data}")

    @api
    def denied(self, data):
        raise Denied(f"denied {data}")

    @api
    def handled(self, data):
        raise VykedServiceException(f"handled {data}")

    @apideprecated(replacement_api="echo")
    def old_echo(self, data):
        return data

    @api(timeout=0.5)
    def slow(self, seconds):
        yield from asyncio.sleep(seconds)
        return "slept"

    @api
    def whoami(self):
        return self.node_id

    @api
    def tick(self, n):
        self.ticked(n, "new")

    @publish
    def ticked(self, n, who):
        return locals()


if __name__ == "__main__":
    Host.configure(
        "Echo",
        registry_host="127.0.0.1",
        registry_port=int(sys.argv[2]),
        pubsub_host="127.0.0.1",
        pubsub_port=int(sys.argv[3]),
    )
    Host.attach_tcp_service(Echo(int(sys.argv[1]), *sys.argv[4:]))
    Host.run()
